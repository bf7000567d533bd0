"""Landlock, for what namespaces leave open: a sandbox that shares the host's network shares its abstract sockets.

The files of a sandbox are confined by its root, whose mounts are read-only and locked; Landlock would add little there.
"""

from __future__ import annotations

import ctypes
import os
import struct

from torpor.sandbox import libc

SCOPES_SINCE = 6  # Linux 6.12
_VERSION = 1
_ABSTRACT_SOCKETS = 1


def abi() -> int:
    """Which version this kernel speaks. Raises OSError where it speaks none."""
    return libc.syscall("landlock_create_ruleset", None, 0, _VERSION)


def hide_abstract_sockets() -> None:
    """From here on, connect only to abstract sockets of our own making. Needs no_new_privileges. Raises OSError."""
    attributes = struct.pack("QQQ", 0, 0, _ABSTRACT_SOCKETS)
    rules = libc.syscall("landlock_create_ruleset", ctypes.create_string_buffer(attributes, 24), 24, 0)
    try:
        libc.syscall("landlock_restrict_self", rules, 0)
    finally:
        os.close(rules)

"""How commands are run: by whoever composes the server, so that this package starts no process of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_UMASK = ("/bin/sh", "-c", 'umask 022; exec "$@"', "sh")


class Completed(Protocol):
    """A command that ended; `output` is its standard output and error together."""

    @property
    def returncode(self) -> int: ...
    @property
    def output(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Several commands that all ended well."""

    returncode: int = 0
    output: bytes = b""


class Run(Protocol):
    """Runs a trusted command, which dies with the server. Raises TimeoutError after `timeout_s`."""

    async def __call__(
        self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str, timeout_s: float
    ) -> Completed: ...


class RunSandboxed(Protocol):
    """Runs an untrusted command. Of the machine's files it sees `writable` and `readable` only, at the same paths."""

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        timeout_s: float,
        writable: Sequence[Path],
        readable: Sequence[Path],
    ) -> Completed: ...


def readable_by_all(argv: Sequence[str]) -> tuple[str, ...]:
    """The command, with a umask that lets instances, which have other user ids, read what it writes."""
    return (*_UMASK, *argv)


def last_lines(output: bytes, lines: int = 20, characters: int = 2000) -> str:
    """The end of a command's output as plain text, without colours and passwords, for a StateReason."""
    text = _ESCAPES.sub("", output[-64 * 1024 :].decode(errors="replace"))
    kept = [line.rstrip() for line in re.split(r"[\r\n]+", _CREDENTIALS.sub("****", text)) if line.strip()]
    clean = "\n".join("".join(c for c in line if c.isprintable() or c == "\t") for line in kept[-lines:])
    return clean if len(clean) <= characters else "…" + clean[-characters:]

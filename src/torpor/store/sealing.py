"""Encryption at rest: what a copied database must not reveal is sealed with a key that lies beside it.

AES-256-GCM (NIST SP 800-38D) with a random nonce for each sealing. The `context` says what a value belongs to; it is
authenticated and not stored, so a sealed value that is moved to another place in the database does not open there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from torpor.core.errors import PlatformFault
from torpor.store.data_dir import DataDirUnusable, write_private

_FORMAT = b"\x01"
_KEY_BYTES = 32
_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD_BYTES = len(_FORMAT) + _ID_BYTES + _NONCE_BYTES


class SealingKeyLost(PlatformFault):
    """The value was sealed with another key than the data folder's."""


class SealBroken(PlatformFault):
    """The sealed value is damaged, or does not belong where it was found."""


class Sealer:
    """Seals and opens values with one key of 32 bytes. A sealed value is 33 bytes longer than the plain one."""

    def __init__(self, key: bytes, file: Path | None = None) -> None:
        self._cipher = AESGCM(key)
        self._id = hashlib.sha256(b"torpor sealing key" + key).digest()[:_ID_BYTES]
        self._where = "the sealing key" if file is None else str(file)

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt `plain`; it opens only with the same `context`, such as `b"function:NAME"`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        head = _FORMAT + self._id
        return head + nonce + self._cipher.encrypt(nonce, plain, head + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed. Raises SealingKeyLost for another key's value, SealBroken for a damaged or moved one."""
        if len(sealed) < _HEAD_BYTES or not sealed.startswith(_FORMAT):
            raise SealBroken(f"{context!r} holds no sealed value of a format that this torpor knows.")
        head, nonce = sealed[: _HEAD_BYTES - _NONCE_BYTES], sealed[_HEAD_BYTES - _NONCE_BYTES : _HEAD_BYTES]
        if head[len(_FORMAT) :] != self._id:
            raise SealingKeyLost(
                f"Sealed with another key than {self._where} holds: {context.decode(errors='replace')}. Put the key "
                "that belongs to this database back from a backup: without it, what was sealed cannot be read."
            )
        try:
            return self._cipher.decrypt(nonce, sealed[_HEAD_BYTES:], head + context)
        except InvalidTag:
            raise SealBroken(
                f"The sealed value of {context.decode(errors='replace')} is damaged, or was moved there: restore the "
                "database from a backup, or set the value again."
            ) from None


def open_sealer(file: Path) -> Sealer:
    """Read the key of a data folder, or make it: a file for its owner alone. Blocks. Raises DataDirUnusable."""
    try:
        key = _decode(file.read_bytes())
        file.chmod(0o600)  # whatever a backup or a copy made of it
    except FileNotFoundError:
        key = secrets.token_bytes(_KEY_BYTES)
        write_private(file, base64.b64encode(key).decode() + "\n")
    except (OSError, ValueError) as error:
        raise DataDirUnusable(
            f"{file} cannot be read as torpor's sealing key ({type(error).__name__}: {error}). Restore it from a "
            "backup: without it, what was sealed cannot be read."
        ) from error
    return Sealer(key, file)


def _decode(text: bytes) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error as error:
        raise ValueError(f"it is no base64 text: {error}") from error
    if len(key) != _KEY_BYTES:
        raise ValueError(f"it has {len(key)} bytes, and needs {_KEY_BYTES}")
    return key

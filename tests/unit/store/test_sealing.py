"""What is sealed opens with its key and its context, and with nothing else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.store.data_dir import DataDirUnusable
from torpor.store.sealing import SealBroken, Sealer, SealingKeyLost, open_sealer

SEALER = Sealer(bytes(range(32)))


@given(st.binary(max_size=2000), st.binary(max_size=40))
def test_what_was_sealed_opens_again(plain: bytes, context: bytes) -> None:
    """Any bytes under any context come back, and are not to be seen in between."""
    sealed = SEALER.seal(plain, context)
    assert SEALER.open(sealed, context) == plain
    assert len(plain) < 8 or plain not in sealed


def test_the_same_value_is_never_sealed_alike() -> None:
    """Two sealings of one value differ, so that equal values cannot be told."""
    assert SEALER.seal(b"secret", b"a") != SEALER.seal(b"secret", b"a")


def test_a_moved_value_does_not_open() -> None:
    """A sealed value in another's place is refused, naming the place."""
    with pytest.raises(SealBroken, match="function:other"):
        SEALER.open(SEALER.seal(b"secret", b"function:mine"), b"function:other")


@given(st.integers(min_value=17, max_value=38), st.integers(min_value=1, max_value=255))
def test_a_damaged_value_does_not_open(at: int, flip: int) -> None:
    """One changed byte of the ciphertext is noticed."""
    sealed = bytearray(SEALER.seal(b"secret", b"a"))
    sealed[at] ^= flip
    with pytest.raises(SealBroken):
        SEALER.open(bytes(sealed), b"a")


@pytest.mark.parametrize("junk", [b"", b"\x01", b"\x02" + bytes(40), b"plain text"])
def test_what_was_never_sealed_is_refused(junk: bytes) -> None:
    """Anything else than a sealed value gives the module's own error."""
    with pytest.raises(SealBroken):
        SEALER.open(junk, b"a")


def test_another_keys_value_is_told_apart_from_a_damaged_one() -> None:
    """A value of another key says that the key is lost, and what to do."""
    with pytest.raises(SealingKeyLost, match="backup"):
        Sealer(bytes(32)).open(SEALER.seal(b"secret", b"a"), b"a")


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    """The first opening makes a file for its owner alone; the next one reads it, and mends its mode."""
    file = tmp_path / "sealing.key"
    sealed = open_sealer(file).seal(b"secret", b"a")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    assert open_sealer(file).open(sealed, b"a") == b"secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "no base64!", "c2hvcnQ=", "\xff"])
def test_a_damaged_key_file_is_not_replaced(tmp_path: Path, content: str) -> None:
    """A file that is no key is refused, with what to do, and left as it is."""
    file = tmp_path / "sealing.key"
    file.write_text(content)
    with pytest.raises(DataDirUnusable, match="backup"):
        open_sealer(file)
    assert file.read_text() == content

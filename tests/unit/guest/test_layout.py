"""Where the guest's files are."""

from pathlib import Path

from torpor.guest import layout


def test_every_file_to_be_mounted_exists():
    """Parents come before what is mounted in them, and sources exist."""
    pairs = layout.files()
    assert all(Path(source).exists() for source, _ in pairs)
    assert [target for _, target in pairs] == [
        "/var/runtime/bootstrap.py",
        "/var/runtime/_torpor_guest/__init__.py",
        "/var/runtime/_torpor_guest/guest",
        "/var/runtime/_torpor_guest/wire",
    ]

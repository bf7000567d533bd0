"""Archives as friends and enemies make them."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from torpor.build.bundles import Bundles
from torpor.core.limits import Limits


class Archives:
    """Makes zips entry by entry, and breaks them."""

    def of(self, *entries, method=zipfile.ZIP_DEFLATED):
        """A zip of (name, content) or (name, content, mode with file type) entries, in that order, duplicates kept."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as archive:
            for name, content, *mode in entries:
                info = zipfile.ZipInfo("placeholder")
                info.filename = info.orig_filename = name  # as written, without zipfile's own cleaning
                info.create_system = 3
                info.compress_type = method
                info.external_attr = (mode[0] if mode else stat.S_IFREG | 0o644) << 16
                archive.writestr(info, content)
        return made.getvalue()

    def link(self, name, target):
        return (name, target, stat.S_IFLNK | 0o777)

    def patched(self, archive, offset_in_record, value, *, record=0):
        """The archive with bytes of a central directory record overwritten."""
        at = -1
        for _ in range(record + 1):
            at = archive.index(b"PK\x01\x02", at + 1)
        at += offset_in_record
        return archive[:at] + value + archive[at + len(value) :]


@pytest.fixture(scope="session")
def archives():
    return Archives()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def bundles(root):
    return Bundles(root, Limits())


@pytest.fixture
def tree(root):
    """Lists everything below the store, with its kind, mode and size."""

    def listed(folder: Path = root):
        return sorted(
            (str(path.relative_to(folder)), path.lstat().st_mode) for path in folder.rglob("*") if path.name != ".lock"
        )

    return listed

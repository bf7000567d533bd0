"""Packing on the user's side: the same files make the same bytes, and only what belongs is in them."""

import io
import os
import stat
import zipfile

import pytest

from torpor.build.ignore import IgnoreRules
from torpor.build.pack import pack
from torpor.core.errors import InvalidBundle
from torpor.core.limits import Limits


def names(archive):
    return zipfile.ZipFile(io.BytesIO(archive)).namelist()


@pytest.fixture
def project(tmp_path):
    """Writes files given as name=content below a fresh folder."""

    def written(files):
        root = tmp_path / "project"
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        return root

    return written


def test_the_same_files_make_the_same_bytes(project):
    """Neither times nor the order of creation change the archive; contents do."""
    root = project({"b.py": "b", "a/x.py": "x", "app.py": "app"})
    first = pack(root)
    os.utime(root / "b.py", (0, 0))
    (root / "a/x.py").unlink()
    (root / "a/x.py").write_text("x")
    (root / "b.py").chmod(0o600)
    assert pack(root) == first
    assert names(first) == ["a/x.py", "app.py", "b.py"]
    (root / "b.py").write_text("c")
    assert pack(root) != first


def test_execute_bits_and_inward_links_are_packed(project):
    """A program stays one, and a link inside the folder stays a link."""
    root = project({"tool.sh": "#!/bin/sh", "lib/real.py": "r"})
    (root / "tool.sh").chmod(0o755)
    (root / "lib/alias.py").symlink_to("real.py")
    (root / "also").symlink_to("lib")
    entries = {entry.filename: entry for entry in zipfile.ZipFile(io.BytesIO(pack(root))).infolist()}
    assert entries["tool.sh"].external_attr >> 16 == stat.S_IFREG | 0o755
    assert entries["lib/real.py"].external_attr >> 16 == stat.S_IFREG | 0o644
    assert stat.S_ISLNK(entries["lib/alias.py"].external_attr >> 16)
    assert stat.S_ISLNK(entries["also"].external_attr >> 16)
    assert "also/real.py" not in entries


async def test_what_is_packed_can_be_stored(project, bundles):
    """A packed folder with links and programs is accepted by the store, and comes out as it was."""
    root = project({"app.py": "a", "deep/er/x.py": "x"})
    (root / "deep/link.py").symlink_to("../app.py")
    code = bundles.code_dir(await bundles.add(pack(root)))
    assert (code / "deep/link.py").read_text() == "a"
    assert (code / "deep/er/x.py").read_text() == "x"


def test_what_never_belongs_is_left_out(project):
    """Repositories, virtual environments, compiled files and data folders are skipped; .gitignore is not obeyed."""
    root = project(
        {
            "app.py": "",
            "model.bin": "m",
            ".gitignore": "*.bin",
            ".git/config": "",
            ".venv/lib/x.py": "",
            "env/pyvenv.cfg": "",
            "env/lib/y.py": "",
            "pkg/__pycache__/z.cpython-311.pyc": "",
            "pkg/m.py": "",
            "old.pyc": "",
            ".env": "A=1",
            ".torpor/key.json": "{}",
            ".torpor/torpor.db": "",
            ".torpor/code/abc/app.py": "",
            "conf/key.json": "{}",
        }
    )
    assert names(pack(root)) == [".env", "app.py", "conf/key.json", "model.bin", "pkg/m.py"]


def test_a_torporignore_leaves_out_more(project):
    """What .torporignore names is not packed, nor the file itself, and broken links it names do no harm."""
    root = project(
        {"app.py": "", "data/big.csv": "", "notes.md": "", "keep.md": "", ".torporignore": "data/\n*.md\n!keep.md\nbad"}
    )
    (root / "bad").symlink_to("/nowhere")
    assert names(pack(root)) == ["app.py", "keep.md"]


@pytest.mark.parametrize(
    ("rules", "path", "folder", "ignored"),
    [
        ("*.log", "a/b.log", False, True),
        ("/only.txt", "only.txt", False, True),
        ("/only.txt", "sub/only.txt", False, False),
        ("build/", "build", True, True),
        ("build/", "build", False, False),
        ("a/**/z", "a/b/c/z", False, True),
        ("a/**/z", "a/z", False, True),
        ("**/tmp", "x/y/tmp", True, True),
        ("docs/**", "docs/a/b", False, True),
        ("a?c", "abc", False, True),
        ("a?c", "a/c", False, False),
        ("[ab].py", "b.py", False, True),
        ("[!ab].py", "b.py", False, False),
        ("*\n!keep", "keep", False, False),
        ("# note\n\n\\#odd", "#odd", False, True),
        ("x.y", "xzy", False, False),
        ("/", "anything", False, False),
    ],
)
def test_ignore_rules_read_like_git(rules, path, folder, ignored):
    """Patterns mean what they mean in a .gitignore, and the last one that matches decides."""
    assert IgnoreRules(rules).ignores(path, folder=folder) is ignored


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "loop"])
def test_links_out_of_the_folder_are_refused(project, target):
    """A link that leads out, or round in a circle, is refused with its name and what to do."""
    root = project({"app.py": ""})
    (root / "loop").symlink_to(target)
    with pytest.raises(InvalidBundle, match=r"loop is a symbolic link.*\.torporignore"):
        pack(root)


def test_a_single_file_and_a_ready_zip_are_packed(tmp_path):
    """One file becomes an archive of itself; a zip is taken as it is."""
    (tmp_path / "app.py").write_text("x")
    packed = pack(tmp_path / "app.py")
    assert names(packed) == ["app.py"]
    (tmp_path / "ready.zip").write_bytes(packed)
    assert pack(tmp_path / "ready.zip") == packed


def test_what_cannot_be_packed_is_said(project, tmp_path):
    """Missing paths, empty folders, pipes and too much are refused, each by its reason."""
    with pytest.raises(InvalidBundle, match="no file or folder"):
        pack(tmp_path / "missing")
    (tmp_path / "empty/.git").mkdir(parents=True)
    with pytest.raises(InvalidBundle, match="nothing to pack"):
        pack(tmp_path / "empty")
    root = project({f"f{number}": "x" * 100 for number in range(4)})
    with pytest.raises(InvalidBundle, match="4 files; at most 3"):
        pack(root, limits=Limits(bundle_files=3))
    with pytest.raises(InvalidBundle, match="more than the 350 bytes"):
        pack(root, limits=Limits(bundle_unpacked=350))
    os.mkfifo(root / "pipe")
    with pytest.raises(InvalidBundle, match="device, pipe or socket"):
        pack(root)
    with pytest.raises(InvalidBundle, match="neither a file nor a folder"):
        pack(root / "pipe")


def test_too_large_an_archive_is_refused_while_it_is_made(project, monkeypatch):
    """An archive that grows beyond what fits in memory is refused, whether packed or ready."""
    root = project({"a": os.urandom(4000).hex(), "b": "x"})
    ready = root.parent / "ready.zip"
    ready.write_bytes(pack(root))
    monkeypatch.setattr("torpor.build.pack._LARGEST", 2000)
    for path in (root, ready):
        with pytest.raises(InvalidBundle, match="more than 2000 bytes"):
            pack(path)

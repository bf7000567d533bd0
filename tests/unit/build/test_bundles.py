"""The store of code: what goes in comes out unchanged, read-only, and once."""

import asyncio
import hashlib
import os
import random
import stat
import threading
import zipfile
from pathlib import Path

import pytest

from torpor.build import bundles as bundles_module
from torpor.build.bundles import Bundles
from torpor.core.errors import InvalidBundle, PlatformFault, ResourceNotFound
from torpor.core.function import Bundle
from torpor.core.limits import Limits


async def test_a_bundle_is_named_by_its_archive_and_unpacked_read_only(bundles, archives):
    """An added archive is kept byte for byte under its SHA-256, and its files are there, read-only."""
    archive = archives.of(("app.py", "x = 1\n"), ("pkg/data/a.txt", "hello"))
    bundle = await bundles.add(archive)
    assert bundle == Bundle(hashlib.sha256(archive).hexdigest(), len(archive))
    assert bundles.archive(bundle).read_bytes() == archive
    code = bundles.code_dir(bundle)
    assert (code / "app.py").read_text() == "x = 1\n"
    assert (code / "pkg/data/a.txt").read_text() == "hello"
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in code.rglob("*") if path.is_file()}
    assert modes == {0o444}
    assert {stat.S_IMODE(path.lstat().st_mode) for path in (code, code / "pkg", code / "pkg/data")} == {0o555}


async def test_execute_bits_are_kept(bundles, archives):
    """A program in the bundle can be executed; set-user-id bits are gone."""
    entry = ("tool", "#!/bin/sh\n", stat.S_IFREG | 0o4755)
    code = bundles.code_dir(await bundles.add(archives.of(entry, ("app.py", ""))))
    assert stat.S_IMODE((code / "tool").stat().st_mode) == 0o555


async def test_an_archive_on_disk_is_read_as_a_stream(bundles, archives, tmp_path):
    """A path gives the same bundle as its bytes, and the file itself is left alone."""
    archive = archives.of(("app.py", "x"))
    path = tmp_path / "upload"
    path.write_bytes(archive)
    assert await bundles.add(path) == await bundles.add(archive)
    assert path.read_bytes() == archive
    with pytest.raises(InvalidBundle, match="no archive at"):
        await bundles.add(tmp_path / "missing")


async def test_folders_without_files_and_dot_names_are_understood(bundles, archives):
    """Folder entries, empty ones included, and names beginning with ./ unpack as other tools unpack them."""
    folder = stat.S_IFDIR | 0o755
    archive = archives.of(("./", "", folder), ("./app.py", "x"), ("empty/", "", folder), ("odd", "", folder))
    code = bundles.code_dir(await bundles.add(archive))
    assert sorted(path.name for path in code.iterdir()) == ["app.py", "empty", "odd"]
    assert (code / "empty").is_dir()
    assert (code / "odd").is_dir()


async def test_inward_links_are_kept(bundles, archives):
    """A relative link that stays inside is a link afterwards, through other links too, and may dangle."""
    archive = archives.of(
        ("lib/real.py", "y = 2"),
        archives.link("alias.py", "lib/real.py"),
        archives.link("deep/down/up.py", "../../sub/real.py"),
        archives.link("sub", "lib"),
        archives.link("dangling", "lib/nothing"),
    )
    code = bundles.code_dir(await bundles.add(archive))
    assert (code / "alias.py").readlink().as_posix() == "lib/real.py"
    assert (code / "deep/down/up.py").read_text() == "y = 2"
    assert (code / "dangling").is_symlink()


async def test_the_same_bundle_twice_at_once_is_stored_once(bundles, archives, tree):
    """Many additions of one archive at once all succeed, and leave one copy."""
    archive = archives.of(("app.py", "x"))
    added = await asyncio.gather(*(bundles.add(archive) for _ in range(8)))
    assert len(set(added)) == 1
    digest = added[0].digest
    assert [name for name, _ in tree()] == [
        "artifacts",
        f"artifacts/{digest}.zip",
        "code",
        f"code/{digest}",
        f"code/{digest}/app.py",
    ]


async def test_lost_code_is_unpacked_again(bundles, archives):
    """Where only the archive is left, extract brings the code back, once for many callers; and says when it cannot."""
    bundle = await bundles.add(archives.of(("app.py", "x")))
    bundles.code_dir(bundle).chmod(0o700)
    (bundles.code_dir(bundle) / "app.py").unlink()
    bundles.code_dir(bundle).rmdir()
    folders = await asyncio.gather(*(bundles.extract(bundle) for _ in range(4)))
    assert set(folders) == {bundles.code_dir(bundle)}
    assert (folders[0] / "app.py").read_text() == "x"
    with pytest.raises(ResourceNotFound, match="Deploy it again"):
        await bundles.extract(Bundle("0" * 64, 1))


async def test_leaving_early_leaves_nothing_half_done(bundles, archives, tree):
    """A caller that is cancelled while its bundle is stored leaves it whole or not there."""
    archive = archives.of(*((f"f{number}.py", "x" * 100) for number in range(50)))
    adding = asyncio.create_task(bundles.add(archive))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    assert not [name for name, _ in tree() if ".new-" in name]


async def test_a_sweep_removes_what_is_not_kept(bundles, archives, tree):
    """A sweep keeps the named bundles, frees the others, and takes strays of killed processes along."""
    kept = await bundles.add(archives.of(("app.py", "keep")))
    before = tree()
    dropped = await bundles.add(archives.of(("app.py", "drop"), ("sub/b.py", "b" * 5000)))
    stray = bundles.code_dir(kept).parent / ".new-killed"
    (stray / "half").mkdir(parents=True)
    (stray / "half").chmod(0o555)
    (bundles.archive(kept).parent / ".new-upload").write_bytes(b"half")
    freed = bundles.sweep({kept.digest})
    assert tree() == before
    assert freed.count == 1
    assert freed.bytes > 5000
    assert not bundles.archive(dropped).exists()
    assert bundles.sweep({kept.digest}).count == 0


async def test_a_sweep_leaves_what_another_process_is_writing(bundles, archives, root):
    """While the store's lock is held by a writer, strays are not touched."""
    stray = root / "code/.new-busy"
    stray.mkdir()
    lock = os.open(root / "artifacts/.lock", os.O_RDWR | os.O_CREAT)
    try:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_SH)
        bundles.sweep(set())
        assert stray.is_dir()
    finally:
        os.close(lock)
    bundles.sweep(set())
    assert not stray.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_store_that_cannot_be_written_is_our_fault(bundles, archives, root):
    """An error of the file system is torpor's own failure, not the bundle's."""
    (root / "code").chmod(0o555)
    with pytest.raises(PlatformFault, match="could not be stored"):
        await bundles.add(archives.of(("app.py", "x")))


async def test_everything_is_synced_before_it_gets_its_name(bundles, archives, monkeypatch):
    """The archive and the unpacked code are durable before the renames that make them exist."""
    steps = []
    monkeypatch.setattr("torpor.build.bundles.sync_file", lambda path: steps.append("sync"))
    monkeypatch.setattr("torpor.build.bundles.sync_tree", lambda path: steps.append("sync tree"))
    rename = Path.rename

    def renamed(path, target):
        steps.append(f"rename to {target.parent.name}")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", renamed)
    await bundles.add(archives.of(("app.py", "x")))
    assert steps == ["sync", "sync tree", "rename to artifacts", "sync", "rename to code", "sync"]


async def test_a_full_disk_is_our_fault_and_leaves_nothing(bundles, archives, tree, monkeypatch):
    """Running out of space while unpacking is torpor's own failure, and nothing half-stored stays."""
    before = tree()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torpor.build.bundles.unpack", full)
    with pytest.raises(PlatformFault, match="No space left"):
        await bundles.add(archives.of(("app.py", "x")))
    assert tree() == before


async def test_names_written_as_utf8_without_saying_so_are_read_right(bundles, archives):
    """Unix tools that leave the UTF-8 flag out still give the names they meant."""
    archive = archives.of(("aaaaaa.py", "x")).replace(b"aaaaaa.py", "größ.py".encode() + b"")
    code = bundles.code_dir(await bundles.add(archive))
    assert [path.name for path in code.iterdir()] == ["größ.py"]


@pytest.mark.slow
async def test_as_many_files_as_allowed_are_accepted(root, archives):
    """A bundle at the limit of files is stored."""
    bundles = Bundles(root, Limits(bundle_files=2000))
    bundle = await bundles.add(archives.of(*((f"d{n % 50}/f{n}.py", "") for n in range(2000))))
    assert sum(path.is_file() for path in bundles.code_dir(bundle).rglob("*")) == 2000


@pytest.mark.slow
async def test_random_bytes_in_place_of_an_archive_are_refused_or_stored_whole(root, archives):
    """An archive with bytes overwritten anywhere is refused as a bad bundle, or stored with right checksums."""
    bundles = Bundles(root, Limits())
    noise = random.Random(7)
    archive = archives.of(("app.py", bytes(noise.randbytes(300))), ("b/c.txt", "hello" * 50), archives.link("l", "b"))
    for _ in range(300):
        broken = bytearray(archive)
        for _ in range(noise.randint(1, 4)):
            broken[noise.randrange(len(broken))] = noise.randrange(256)
        cut = bytes(broken[: noise.choice([len(broken), noise.randrange(len(broken))])])
        try:
            bundle = await bundles.add(cut)
        except InvalidBundle:
            continue
        with zipfile.ZipFile(bundles.archive(bundle)) as opened:
            assert opened.testzip() is None
    assert not list(root.rglob(".new-*"))


async def test_many_at_once_leave_threads_for_everyone_else(bundles, archives, monkeypatch):
    """However many archives come, only a few are unpacked at a time; all of them are in the end."""
    running, most = 0, 0
    lock, unpack = threading.Lock(), bundles_module.unpack

    def counted(archive, into, limits):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            unpack(archive, into, limits)
            quick.wait(0.02)
        finally:
            with lock:
                running -= 1

    quick = threading.Event()
    monkeypatch.setattr(bundles_module, "unpack", counted)
    added = await asyncio.gather(*(bundles.add(archives.of(("app.py", str(n)))) for n in range(6)))
    assert most == 2
    assert all(bundles.code_dir(bundle).is_dir() for bundle in added)

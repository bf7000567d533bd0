"""Archives made to harm: each is refused with what is wrong, and the store is as it was."""

import stat
import struct
import zipfile
import zlib
from contextlib import nullcontext

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torpor.build.archives import clean_name
from torpor.build.bundles import Bundles
from torpor.core.errors import InvalidBundle
from torpor.core.limits import Limits

_FILE = stat.S_IFREG | 0o644
_NAMES = {
    "climbs out": ["../evil.py", "a/../../evil.py", "a/b/../../../x", "..", "a/.."],
    "absolute path": ["/etc/passwd", "//x", "C:/windows/x", "c:x"],
    "backslashes": ["a\\b.py", "..\\evil", "C:\\x"],
    "control characters": ["a\nb", "a\x1b[2J", "a\x7f"],
    "too long": ["x" * 256, "/".join(["d" * 100] * 12)],
}


@pytest.fixture
def refused(bundles, archives, tree):
    """Adds an archive, expects InvalidBundle with these words, and that the store is unchanged."""

    async def check(archive, words, store=bundles):
        before = tree()
        with pytest.raises(InvalidBundle, match=words):
            await store.add(archive)
        assert tree() == before

    return check


@pytest.mark.parametrize(("words", "name"), [(words, name) for words, names in _NAMES.items() for name in names])
async def test_names_that_lead_elsewhere_are_refused(refused, archives, words, name):
    """A name that climbs out, is absolute, or is no name on Linux is refused."""
    await refused(archives.of(("app.py", "x"), (name, "evil")), words)


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "a/../../outside", "", "x\ny"])
async def test_links_that_lead_out_are_refused(refused, archives, target):
    """A symbolic link that is absolute, empty, or leaves the bundle is refused."""
    await refused(archives.of(("app.py", "x"), archives.link("bad", target)), "symbolic link")


async def test_links_that_lead_out_only_through_others_are_refused(refused, archives):
    """Two links that look inward one by one, and lead out together, are refused."""
    entries = [("top/f", "x"), archives.link("deep/a/b/l", "../../../top"), archives.link("deep/a/b/m", "l/../..")]
    await refused(archives.of(*entries), "leads out")
    entries = [("f", "x"), archives.link("a", "b"), archives.link("b", "a")]
    await refused(archives.of(*entries), "circle")
    await refused(archives.of(("f", "x"), archives.link("l", "y" * 2000)), "too long a target")
    await refused(archives.of(("f", "x"), archives.link("l", b"\xff\xfe")), "not text")


async def test_nothing_is_written_through_a_link(refused, archives, tmp_path):
    """A file below a name that is also a link is refused, so no link is ever written through."""
    (tmp_path / "outside").mkdir()
    entries = [("app.py", "x"), archives.link("d", "."), ("d/evil", "evil")]
    await refused(archives.of(*entries), "both as a file and as a folder")
    await refused(archives.of(("a", "x"), ("a/b", "y")), "both as a file and as a folder")
    await refused(archives.of(("a", "x"), ("a/", "", stat.S_IFDIR | 0o755)), "twice|both")


@pytest.mark.parametrize("name", ["app.py", "./app.py", ".//app.py"])
async def test_duplicate_names_are_refused(refused, archives, name):
    """The same file twice, however it is written, is refused: which one would run?"""
    with pytest.warns(UserWarning, match="Duplicate") if name == "app.py" else nullcontext():
        archive = archives.of(("app.py", "good"), (name, "evil"))
    await refused(archive, "twice")


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
async def test_devices_and_the_like_are_refused(refused, archives, kind):
    """Devices, pipes and sockets have no place in a bundle."""
    await refused(archives.of(("app.py", "x"), ("dev", "", kind | 0o666)), "device, pipe or socket")


async def test_what_cannot_be_unpacked_safely_is_refused(refused, archives):
    """Encrypted entries and compression whose memory the archive chooses are refused."""
    archive = archives.of(("app.py", "x"))
    await refused(archives.patched(archive, 8, b"\x01"), "encrypted")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        await refused(archives.of(("app.py", "x" * 100), method=method), "compressed by method")


async def test_what_is_no_zip_is_refused(refused, archives):
    """Empty input, other files, and archives without any file are refused, each by its reason."""
    for content in (b"", b"x", b"not a zip at all" * 100, b"\x1f\x8b" + bytes(100)):
        await refused(content, "not a zip archive")
    await refused(archives.of(), "empty")
    await refused(archives.of(("folder/", "", stat.S_IFDIR | 0o755)), "empty")


async def test_every_truncation_is_refused(refused, archives):
    """An archive broken off at any byte is refused."""
    archive = archives.of(("app.py", "x = 1\n" * 20), ("b.py", "y"))
    for length in range(0, len(archive), 7):
        await refused(archive[:length], "not a zip|damaged|broken off")


async def test_wrong_contents_are_refused(refused, archives):
    """Contents that do not have their checksum or length are refused."""
    stored = archives.of(("app.py", "hello hello"), method=zipfile.ZIP_STORED)
    await refused(stored.replace(b"hello hello", b"hello jello"), "CRC")
    deflated = archives.of(("app.py", "x" * 1000), ("b.py", "y"))
    await refused(archives.patched(deflated, 24, struct.pack("<I", 2000)), "broken off|CRC|damaged")
    await refused(archives.patched(deflated, 16, b"\0\0\0\0"), "CRC")


@pytest.mark.slow
async def test_a_hundred_thousand_files_are_refused(refused, archives):
    """An archive of 100,000 files is refused by its list of contents alone."""
    await refused(_many(100_000), "more than 50000 files")


def _many(count):
    """An archive with `count` empty stored files, written without zipfile for speed."""
    local, central = bytearray(), bytearray()
    for number in range(count):
        name = b"f%d" % number
        fields = (20, 0, 0, 0, 33, 0, 0, 0, len(name), 0)
        central += b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", 0x314, *fields, 0, 0, 0, 0, len(local)) + name
        local += b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", *fields) + name
    end = struct.pack("<HHHHIIH", 0, 0, count & 0xFFFF, count & 0xFFFF, len(central), len(local), 0)
    return bytes(local + central + b"PK\x05\x06" + end)


async def test_too_many_folders_are_refused(root, refused, archives):
    """Few files whose names make very many folders are refused."""
    store = Bundles(root, Limits(bundle_files=100))
    entries = [("/".join(f"{n}x{m}" for m in range(40)), "") for n in range(5)]
    await refused(archives.of(*entries), "more than 100 folders", store)


async def test_declared_size_over_the_limit_is_refused(root, refused, archives):
    """An archive that says it unpacks to more than allowed is refused before anything is unpacked."""
    store = Bundles(root, Limits(bundle_unpacked=1000))
    await refused(archives.of(("a", "x" * 600), ("b", "x" * 600)), "unpacks to 1200 bytes", store)
    await refused(archives.of(("a", b"\0" * 2000), method=zipfile.ZIP_STORED), "larger than the 1000", store)


async def test_zip_bombs_are_refused(refused, archives):
    """An archive that unpacks to far more than its size is refused, as is one whose entries share their bytes."""
    bomb = archives.of(("a", b"\0" * 1000))
    await refused(archives.patched(bomb, 24, struct.pack("<I", 2**31)), "zip bomb")
    shared = archives.of(("a", "x" * 100), ("b", "y" * 100))
    at = shared.index(b"PK\x01\x02", shared.index(b"PK\x01\x02") + 1) + 42
    await refused(shared[:at] + struct.pack("<I", 0) + shared[at + 4 :], "overlaps")


async def test_an_entry_that_holds_more_than_it_says_does_no_harm(bundles, refused, archives):
    """Declaring less than the stream inflates to is refused; with a checksum to match, no more than that is written."""
    content = b"\0" * 5_000_000
    archive = archives.of(("app.py", content))
    lie = archives.patched(archive, 24, struct.pack("<I", 10))
    await refused(lie, "CRC")
    honest_sum = archives.patched(lie, 16, struct.pack("<I", zlib.crc32(content[:10])))
    bundle = await bundles.add(honest_sum)
    assert (bundles.code_dir(bundle) / "app.py").stat().st_size == 10


async def test_two_lists_of_contents_are_not_two_archives(refused, archives):
    """An archive whose comment hides another end record is read in one way, or refused."""
    inner = archives.of(("evil.py", "evil"))
    outer = bytearray(archives.of(("app.py", "good")))
    outer[-2:] = struct.pack("<H", len(inner))
    await refused(bytes(outer) + inner[:-1], "damaged|not a zip")


_PARTS = st.sampled_from(["..", ".", "", "a", "b.py", "C:", "~", "\\", "\0", "é", "x" * 300, "\udc80", "\n"])


@pytest.mark.slow
@given(st.lists(_PARTS, max_size=8).map("/".join) | st.text(max_size=40))
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_leads_out(name):
    """Whatever an entry is called, its cleaned name is relative, has no `..`, and survives cleaning."""
    try:
        clean = clean_name(name)
    except InvalidBundle:
        return
    assert not clean.startswith("/")
    assert not {"..", ".", ""} & set(clean.split("/")) or clean == ""
    assert clean_name(clean) == clean
    assert "\\" not in clean
    assert "\0" not in clean


_LINKS = st.dictionaries(
    st.sampled_from(["a", "b", "d/a", "d/b", "d/e/c"]),
    st.lists(st.sampled_from(["..", ".", "a", "b", "d", "e", "c"]), min_size=1, max_size=6).map("/".join),
    min_size=1,
)


@pytest.mark.slow
@given(links=_LINKS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_combination_of_links_leads_out(archives, tmp_path_factory, links):
    """Whatever links a bundle has, following any of them as the kernel does stays inside it."""
    from torpor.build.unpacking import unpack

    folder = tmp_path_factory.mktemp("links")
    archive = folder / "a.zip"
    archive.write_bytes(archives.of(("d/e/f", "x"), *(archives.link(name, target) for name, target in links.items())))
    try:
        unpack(archive, folder / "out", Limits())
    except InvalidBundle:
        return
    for name in links:
        assert (folder / "out" / name).resolve().is_relative_to(folder / "out")

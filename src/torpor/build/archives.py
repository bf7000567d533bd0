"""What a zip archive says it holds, checked before a byte of it is written: names, kinds, sizes, and where they lie.

Nothing in an archive is trusted. The central directory is walked here first, record by record, so that a hundred
thousand entries are refused before `zipfile` makes an object of each.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from dataclasses import dataclass, field
from typing import IO

from torpor.core.errors import InvalidBundle
from torpor.core.limits import MIB, Limits

MAX_NAME_BYTES = 255  # of one component: what Linux file systems allow
MAX_PATH_BYTES = 1024
MAX_LINK_BYTES = 1024
_MAX_DIRECTORY_BYTES = 64 * MIB
_BOMB_BYTES, _BOMB_RATIO = 100 * MIB, 200  # below that size, no ratio does harm
_END, _END64_LOCATOR, _END64, _RECORD = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06", b"PK\x01\x02"
_END_SIZE, _LOCATOR_SIZE, _END64_SIZE, _RECORD_SIZE, _LOCAL_SIZE = 22, 20, 56, 46, 30
_MAX_COMMENT = 65535
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write: regular files with their execute bit, folders, and links whose targets are known to be inside."""

    files: tuple[tuple[str, zipfile.ZipInfo, bool], ...]
    folders: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    size: int


@dataclass(slots=True)
class _Tree:
    """The names seen so far. A name is one thing only: a file cannot also be the folder of another."""

    most: int  # folders
    files: dict[str, tuple[zipfile.ZipInfo, bool]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)

    def claim(self, name: str, written: str) -> None:
        if name in self.named:
            raise InvalidBundle(f"The archive holds {written!r} twice. Make it again, with each file once.")
        self.named.add(name)

    def enter(self, name: str) -> None:
        parent = name.rpartition("/")[0]
        while parent and parent not in self.folders:
            self.folders.add(parent)
            if len(self.folders) > self.most:  # deep names make many folders of few entries
                raise InvalidBundle(f"The archive's names make more than {self.most} folders.")
            parent = parent.rpartition("/")[0]

    def check(self) -> None:
        both = self.folders & (self.files.keys() | self.links.keys())
        if both:
            raise InvalidBundle(f"The archive holds {min(both)!r} both as a file and as a folder.")


def plan(archive: zipfile.ZipFile, archive_size: int, limits: Limits) -> Plan:
    """Check every entry of an opened archive, and say what would be written. Raises InvalidBundle."""
    tree = _Tree(most=limits.bundle_files)
    entries = archive.infolist()
    _refuse_bombs(archive, entries, archive_size, limits)
    for entry in entries:
        _place(archive, entry, tree)
    tree.check()
    if not tree.files:
        raise InvalidBundle("The archive is empty: it holds no file. Pack the folder that holds the handler.")
    for name in tree.links:
        _follow(name, tree.links)
    return Plan(
        files=tuple((name, entry, executable) for name, (entry, executable) in sorted(tree.files.items())),
        folders=tuple(sorted(tree.folders)),
        links=tuple(sorted(tree.links.items())),
        size=sum(entry.file_size for entry, _ in tree.files.values()),
    )


def _place(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, tree: _Tree) -> None:
    written = _written(entry)
    name = clean_name(written)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    _refuse_methods(entry)
    if not name:
        return  # "./", the archive's own root
    tree.claim(name, written)
    tree.enter(name)
    if written.endswith("/") or (kind == stat.S_IFDIR and not entry.file_size):
        if entry.file_size:
            raise InvalidBundle(f"The archive's folder {written!r} has contents of its own: the archive is malformed.")
        tree.folders.add(name)
    elif kind == stat.S_IFLNK:
        tree.links[name] = _link_target(archive, entry)
    elif kind in (0, stat.S_IFREG):
        tree.files[name] = (entry, bool((entry.external_attr >> 16) & 0o111))
    else:
        raise InvalidBundle(
            f"The archive's entry {written!r} is a device, pipe or socket; "
            "a bundle holds files, folders and links only."
        )


def _written(entry: zipfile.ZipInfo) -> str:
    """The entry's name. Unix tools do not always say that they wrote UTF-8; `zipfile` then reads code page 437."""
    if entry.create_system == 3 and not entry.flag_bits & 0x800:
        try:
            return entry.orig_filename.encode("cp437").decode()
        except UnicodeError:
            pass
    return entry.orig_filename


def clean_name(written: str) -> str:
    """An entry's name as a relative path without `.` parts. Raises InvalidBundle for one that could lead outside."""
    if "\0" in written or any(ord(letter) < 32 or ord(letter) == 127 for letter in written):
        raise InvalidBundle(f"The archive's entry {written!r} has control characters in its name.")
    if "\\" in written:
        raise InvalidBundle(
            f"The archive's entry {written!r} is written with backslashes. Make it with a tool that writes '/', "
            "such as `zip -r` or Python's zipfile."
        )
    parts = [part for part in written.split("/") if part not in ("", ".")]
    if written.startswith("/") or (parts and _DRIVE.match(parts[0])):
        raise InvalidBundle(f"The archive's entry {written!r} is an absolute path; names must be relative.")
    if ".." in parts:
        raise InvalidBundle(f"The archive's entry {written!r} climbs out of the bundle with '..'.")
    try:
        lengths = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        raise InvalidBundle(f"The archive's entry {written!r} has a name that is not valid Unicode.") from None
    if max(lengths, default=0) > MAX_NAME_BYTES or sum(lengths) + len(parts) > MAX_PATH_BYTES:
        raise InvalidBundle(
            f"The archive's entry {written[:60]!r}… has too long a name: {MAX_NAME_BYTES} bytes for one part and "
            f"{MAX_PATH_BYTES} for a whole path are allowed."
        )
    return "/".join(parts)


def _refuse_methods(entry: zipfile.ZipInfo) -> None:
    if entry.flag_bits & _ENCRYPTED:
        raise InvalidBundle(f"The archive's entry {entry.orig_filename!r} is encrypted. Pack it without a password.")
    if entry.compress_type not in _METHODS:
        # Others take memory by the archive's own word: LZMA's dictionary alone may be 4 GB.
        raise InvalidBundle(
            f"The archive's entry {entry.orig_filename!r} is compressed by method {entry.compress_type}. "
            "Only deflate, and no compression at all, are accepted."
        )


def _refuse_bombs(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], size: int, limits: Limits) -> None:
    total = sum(entry.file_size for entry in entries)
    if total > limits.bundle_unpacked:
        raise InvalidBundle(f"The archive unpacks to {total} bytes; at most {limits.bundle_unpacked} are allowed.")
    if total > max(_BOMB_BYTES, _BOMB_RATIO * size):
        raise InvalidBundle(
            f"The archive of {size} bytes unpacks to {total}, more than {_BOMB_RATIO} times as much: "
            "it looks like a zip bomb. Let the function make or fetch such data itself."
        )
    # Entries that share bytes make small archives large without any entry looking so.
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise InvalidBundle(
                f"The archive's entry {entry.orig_filename!r} overlaps another: it looks like a zip bomb."
            )
        end = entry.header_offset + _LOCAL_SIZE + entry.compress_size
    if end > archive.start_dir:
        raise InvalidBundle("The archive is damaged: its entries reach into its list of contents.")


def _link_target(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    if entry.file_size > MAX_LINK_BYTES:
        raise InvalidBundle(f"The archive's symbolic link {entry.orig_filename!r} has too long a target.")
    try:
        target = archive.read(entry).decode()
    except UnicodeDecodeError:
        raise InvalidBundle(
            f"The archive's symbolic link {entry.orig_filename!r} has a target that is not text."
        ) from None
    if not target or target.startswith("/") or any(ord(letter) < 32 for letter in target):
        raise InvalidBundle(
            f"The archive's symbolic link {entry.orig_filename!r} has the absolute or odd target {target!r}. "
            "A link must be relative and stay inside the bundle."
        )
    return target


def _follow(name: str, links: dict[str, str]) -> None:
    """Walk where a link leads as the kernel would, other links included, so that no chain of them leads out."""
    here = name.split("/")[:-1]
    ahead = links[name].split("/")[::-1]
    hops = 0
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                raise InvalidBundle(
                    f"The archive's symbolic link {name!r} leads out of the bundle, to {links[name]!r}."
                )
            here.pop()
            continue
        here.append(part)
        onward = links.get("/".join(here))
        if onward is not None:
            hops += 1
            if hops > 40:  # as many as the kernel follows
                raise InvalidBundle(f"The archive's symbolic link {name!r} leads round in a circle.")
            here.pop()
            ahead.extend(onward.split("/")[::-1])


def count_entries(file: IO[bytes], size: int, limits: Limits) -> int:
    """Count the archive's entries in its central directory, with bounded memory. Raises InvalidBundle.

    The directory is found as `zipfile` finds it, so that both read the same one (APPNOTE.TXT 4.3.16, 4.3.14).
    """
    start, length = _directory(file, size)
    if length > _MAX_DIRECTORY_BYTES:
        raise InvalidBundle(f"The archive's list of contents takes {length} bytes; it holds too many files.")
    file.seek(start)
    left, count = length, 0
    while left > 0:
        record = file.read(_RECORD_SIZE)
        if len(record) < _RECORD_SIZE or record[:4] != _RECORD:
            raise _damaged("its list of contents is broken off or overwritten")
        skip = sum(struct.unpack_from("<3H", record, 28))
        file.seek(skip, 1)
        left -= _RECORD_SIZE + skip
        count += 1
        if count > limits.bundle_files:
            raise InvalidBundle(
                f"The archive holds more than {limits.bundle_files} files. Leave out what the function does not need "
                "(a .torporignore file lists it), or declare dependencies instead of packing them."
            )
    return count


def _directory(file: IO[bytes], size: int) -> tuple[int, int]:
    """Where the central directory starts, and its length in bytes."""
    tail_start = max(0, size - _END_SIZE - _MAX_COMMENT)
    file.seek(tail_start)
    tail = file.read()
    at = len(tail) - _END_SIZE
    if at < 0 or tail[at : at + 4] != _END or tail[-2:] != b"\0\0":
        at = tail.rfind(_END)
    if at < 0 or at + _END_SIZE > len(tail):
        raise InvalidBundle("This is not a zip archive, or it is broken off: its end record is missing.")
    end = tail_start + at
    length = struct.unpack_from("<I", tail, at + 12)[0]
    file.seek(max(0, end - _LOCATOR_SIZE))
    if end >= _LOCATOR_SIZE + _END64_SIZE and file.read(4) == _END64_LOCATOR:
        end -= _LOCATOR_SIZE + _END64_SIZE
        file.seek(end)
        record = file.read(_END64_SIZE)
        if record[:4] != _END64:
            raise _damaged("its zip64 end record is missing")
        length = struct.unpack_from("<Q", record, 40)[0]
    if length > end:
        raise _damaged("its list of contents would start before the file does")
    return end - length, length


def _damaged(how: str) -> InvalidBundle:
    return InvalidBundle(f"The archive is damaged: {how}. Make it again, and upload it whole.")

"""Reads requirements files by pip's format, and keeps of them what is safe to follow for someone else.

Refused, each with what to write instead: editable installs, folders and repositories (they cannot be pinned by a
hash), files outside the bundle, source archives where builds are not allowed, and switching off TLS checks.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from torpor.build.texts import inside, read_text
from torpor.core.errors import BuildFailed

_MAX_LINES, _MAX_FILES = 10_000, 50
_COMMENT = re.compile(r"(^|\s)#.*$")
_SATISFIED = {"--only-binary", "--prefer-binary", "--require-hashes", "--use-pep517", "--no-cache-dir"}
_SHORT = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-i": "--index-url", "-f": "--find-links"}
_INDEXES = {"--index-url", "--extra-index-url", "--find-links", "--no-index"}
_ARCHIVES = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")


@dataclass(frozen=True, slots=True)
class Declared:
    """Vetted requirements: lines and constraints for the resolver, hashes by package name, and where to look."""

    lines: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    hashes: tuple[tuple[str, frozenset[str]], ...] = ()
    index_url: str = ""
    extra_indexes: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    prereleases: bool = False
    no_binary: tuple[str, ...] = ()

    def __add__(self, other: Declared) -> Declared:
        return Declared(
            self.lines + other.lines,
            self.constraints + other.constraints,
            self.hashes + other.hashes,
            other.index_url or self.index_url,
            self.extra_indexes + other.extra_indexes,
            self.find_links + other.find_links,
            self.no_index or other.no_index,
            self.prereleases or other.prereleases,
            self.no_binary + other.no_binary,
        )


@dataclass(slots=True)
class _Reading:
    code: Path
    source_builds: bool
    indexes: bool
    seen: set[tuple[Path, bool]] = field(default_factory=set)
    lines: int = 0


def read_requirements_file(code: Path, name: str, *, source_builds: bool, indexes: bool) -> Declared:
    """What `name` in the bundle at `code` asks for, with the files it includes. Raises BuildFailed."""
    return _read(_Reading(code, source_builds, indexes), name, constraint=False)


def one_requirement(code: Path, line: str, *, where: str, source_builds: bool) -> str:
    """One requirement as the resolver may see it. Raises BuildFailed with what is not allowed about it."""
    if not line.strip():
        raise BuildFailed(f"{where}: an empty text is not a requirement.")
    if _is_path(line):
        return _bundled(code, line, where, source_builds=source_builds)
    if "://" in line.split(maxsplit=1)[0]:
        return _fetched(line, line, where, source_builds=source_builds)
    try:
        requirement = Requirement(line)
    except (InvalidRequirement, RecursionError) as problem:
        reason = str(problem).partition("\n")[0]
        raise BuildFailed(f"{where}: {line[:200]!r} is not a requirement: {reason}.") from None
    if requirement.url is None:
        return str(requirement)
    if urlsplit(requirement.url).scheme in ("", "file"):
        raise BuildFailed(
            f"{where}: {line!r} names a local file: write its path in the bundle, such as ./wheels/x.whl."
        )
    return _fetched(str(requirement), requirement.url, where, source_builds=source_builds)


def _read(reading: _Reading, name: str, *, constraint: bool) -> Declared:
    path = inside(reading.code, name)
    if (path, constraint) in reading.seen:
        return Declared()
    reading.seen.add((path, constraint))
    if len(reading.seen) > _MAX_FILES:
        raise BuildFailed(f"{name}: more than {_MAX_FILES} requirements files include each other.")
    declared = Declared()
    for number, line in _logical_lines(read_text(reading.code, name)):
        reading.lines += 1
        if reading.lines > _MAX_LINES:
            raise BuildFailed(f"{name} and what it includes have more than {_MAX_LINES} lines.")
        declared += _line(reading, name, f"{name}, line {number}", line, constraint=constraint)
    return declared


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, continued ones joined, comments and empty ones gone."""
    joined, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start if joined else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            joined += line[:-1] + " "
            continue
        whole = _COMMENT.sub("", joined + line).strip()
        joined = ""
        if whole:
            yield start, whole
    last = _COMMENT.sub("", joined).strip()
    if last:
        yield start, last


def _line(reading: _Reading, name: str, where: str, line: str, *, constraint: bool) -> Declared:
    if "${" in line:
        raise BuildFailed(
            f"{where}: variables such as ${{NAME}} are not filled in: the server's are not the function's."
        )
    if line.startswith("-"):
        return _option(reading, name, where, line)
    requirement, *options = re.split(r"\s+(?=--)", line)
    vetted = one_requirement(reading.code, requirement, where=where, source_builds=reading.source_builds)
    hashes = frozenset(_hash(option, where) for option in options)
    package = canonicalize_name(re.split(r"[^A-Za-z0-9._-]", vetted, maxsplit=1)[0])
    return Declared(
        lines=() if constraint else (vetted,),
        constraints=(vetted,) if constraint else (),
        hashes=((package, hashes),) if hashes else (),
    )


def _hash(option: str, where: str) -> str:
    name, _, value = option.replace("=", " ", 1).partition(" ")
    if name != "--hash":
        raise BuildFailed(f"{where}: the option {name} of a requirement is not supported.")
    return value.strip()


def _option(reading: _Reading, name: str, where: str, line: str) -> Declared:
    try:
        words = shlex.split(line)
    except ValueError as problem:
        raise BuildFailed(f"{where}: {line!r} cannot be read: {problem}.") from None
    flag, _, value = words[0].partition("=")
    if not flag.startswith("--") and len(flag) > 2:  # -rfile
        flag, value = flag[:2], words[0][2:]
    value = value or (words[1] if len(words) > 1 else "")
    flag = _SHORT.get(flag, flag)
    if flag in _SATISFIED:
        return Declared()  # already so: wheels only, by hash
    if flag in ("--requirement", "--constraint"):
        included = str(PurePosixPath(name).parent / value)
        return _read(reading, included, constraint=flag == "--constraint")
    if flag in _INDEXES and not reading.indexes:
        raise BuildFailed(f"{where}: {flag} is not allowed here: this server installs from its own indexes only.")
    choose = _OPTIONS.get(flag)
    if choose is None:
        raise BuildFailed(f"{where}: {_REFUSED.get(flag, f'the option {flag} is not supported.')}")
    return choose(reading, where, value)


def _no_binary(reading: _Reading, where: str, value: str) -> Declared:
    if not reading.source_builds:
        raise BuildFailed(
            f"{where}: --no-binary builds from source, which this function does not allow (source_builds)."
        )
    return Declared(no_binary=tuple(value.split(",")))


def _find_links(reading: _Reading, where: str, value: str) -> Declared:
    if urlsplit(value).scheme in ("http", "https"):
        return Declared(find_links=(value,))
    folder = (reading.code / value).resolve()
    if urlsplit(value).scheme or not folder.is_relative_to(reading.code.resolve()) or not folder.is_dir():
        raise BuildFailed(f"{where}: --find-links {value!r} must be an address, or a folder inside the bundle.")
    return Declared(find_links=(str(folder),))


def _address(where: str, flag: str, value: str) -> str:
    if urlsplit(value).scheme not in ("http", "https"):
        raise BuildFailed(f"{where}: {flag} {value!r} must be an http or https address.")
    return value


_OPTIONS: MappingProxyType[str, Callable[[_Reading, str, str], Declared]] = MappingProxyType(
    {
        "--index-url": lambda _, where, value: Declared(index_url=_address(where, "--index-url", value)),
        "--extra-index-url": lambda _, where, value: Declared(
            extra_indexes=(_address(where, "--extra-index-url", value),)
        ),
        "--find-links": _find_links,
        "--no-index": lambda *_: Declared(no_index=True),
        "--pre": lambda *_: Declared(prereleases=True),
        "--no-binary": _no_binary,
    }
)
_REFUSED = MappingProxyType(
    {
        "--editable": "editable installs are not possible, since code is read-only. Pack the package's folder with the "
        "function, or name a wheel.",
        "--trusted-host": "--trusted-host would switch off TLS checks for everyone's downloads. Whoever runs the "
        "server can set it in pip's configuration.",
    }
)


def _is_path(line: str) -> bool:
    head = line.partition(";")[0].partition("@")[0].strip()
    if "://" in head:
        return head.startswith("file:")
    return head.startswith((".", "/", "~", "file:")) or "/" in head or head.endswith(".whl")


def _bundled(code: Path, line: str, where: str, *, source_builds: bool) -> str:
    path, _, marker = (part.strip() for part in line.partition(";"))
    path = path.removeprefix("file://").removeprefix("file:")
    if (code / path).is_dir():
        raise BuildFailed(
            f"{where}: {path!r} is a folder, which cannot be pinned by a hash. Build a wheel of it and pack that."
        )
    try:
        found = inside(code, path)
    except BuildFailed as problem:
        raise BuildFailed(f"{where}: {problem}") from None
    _check_archive(found.name, where, source_builds=source_builds)
    return found.as_uri() + (f" ; {marker}" if marker else "")


def _fetched(line: str, url: str, where: str, *, source_builds: bool) -> str:
    parts = urlsplit(url.split(maxsplit=1)[0])
    if parts.scheme not in ("http", "https"):
        raise BuildFailed(
            f"{where}: {url!r} is a repository or an unknown kind of address, which cannot be pinned by a hash. Name a "
            "wheel's https address instead, or a source archive's where source builds are allowed."
        )
    _check_archive(parts.path, where, source_builds=source_builds)
    return line


def _check_archive(name: str, where: str, *, source_builds: bool) -> None:
    if name.endswith(".whl"):
        return
    if not name.endswith(_ARCHIVES):
        raise BuildFailed(f"{where}: {name!r} is neither a wheel nor a source archive.")
    if not source_builds:
        raise BuildFailed(
            f"{where}: {name!r} is a source archive, and this function allows wheels only. Deploy it with source "
            "builds allowed (source_builds), or name a wheel."
        )

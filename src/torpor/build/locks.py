"""Locks: the exact packages, with hashes, that requirements come to; resolved once, then remembered."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from torpor.build.files import Freed, make_folder, size_of, write_durably
from torpor.build.interpreters import Interpreter
from torpor.build.requirement_files import Declared
from torpor.core.errors import BuildFailed

_FORMAT = 1
_SETTINGS = re.compile(r"UV_(NO_INDEX|INDEX.*|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|PRERELEASE|EXCLUDE_NEWER)")
_ENTRY = re.compile(r"(?m)^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)[^\n]*?(?: \\\n    --hash=[^\n]*?)*$")
_HASH = re.compile(r" \\\n    --hash=(\S+)")
MAX_LOCK_BYTES = 16 * 1024 * 1024


def request_key(declared: Declared, interpreter: Interpreter, variables: Mapping[str, str], *, source: bool) -> str:
    """Digest of everything a resolution depends on, so that the same question finds the same lock, offline too."""
    settings = {name: value for name, value in sorted(variables.items()) if _SETTINGS.fullmatch(name)}
    asked = {name: value for name, value in asdict(declared).items() if name != "hashes"}
    hashes = [[name, sorted(values)] for name, values in declared.hashes]
    return digest_of([_FORMAT, asked, hashes, interpreter.facts, settings, source])


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class LockStore:
    """Resolved locks by `request_key`, each with the digest of the environment made of it.

    A record also names its question, which is the request's key without the operator's indexes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_folder(folder)

    def get(self, key: str) -> str | None:
        try:
            return str(json.loads((self._folder / f"{key}.json").read_bytes())["lock"])
        except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
            return None  # what a damaged record said can be resolved again

    def newest(self, question: str) -> str | None:
        """The lock that this question was last answered by, whatever indexes were configured then."""
        for path in sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True):
            with suppress(json.JSONDecodeError, KeyError, TypeError):
                record = json.loads(path.read_bytes())
                if record["question"] == question:
                    return str(record["lock"])
        return None

    def put(self, key: str, lock: str, environment: str, *, question: str) -> None:
        record = {"lock": lock, "environment": environment, "question": question}
        write_durably(self._folder / f"{key}.json", json.dumps(record).encode())

    def sweep(self, keep: set[str]) -> Freed:
        """Forget the locks of environments that are not kept."""
        freed = Freed()
        for path in self._folder.glob("*.json"):
            try:
                kept = json.loads(path.read_bytes())["environment"] in keep
            except (json.JSONDecodeError, KeyError, TypeError):
                kept = False
            if not kept:
                freed += Freed(0, size_of(path))
                path.unlink(missing_ok=True)
        return freed


def index_variables(variables: Mapping[str, str], declared: Declared) -> dict[str, str]:
    """The operator's variables with the bundle's own indexes added to them.

    All indexes count alike, as with pip: a package may come from any of them. uv's own rule, that the first index
    which knows a name is the only one asked, makes extra indexes of a few packages unusable.
    """
    combined = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_LINK_MODE": "hardlink"} | dict(variables)
    if declared.index_url:
        combined.pop("UV_INDEX_URL", None)
        combined["UV_DEFAULT_INDEX"] = declared.index_url
    for name, separator, places in (
        ("UV_INDEX", " ", declared.extra_indexes),
        ("UV_FIND_LINKS", ",", declared.find_links),
    ):
        values = [*filter(None, combined.get(name, "").split(separator)), *places]
        if values:
            combined[name] = separator.join(values)
    if declared.no_index:
        combined["UV_NO_INDEX"] = "1"
    if declared.prereleases:
        combined["UV_PRERELEASE"] = "allow"
    return combined


def keep_hashes(lock: str, declared: Declared) -> str:
    """The lock with only those hashes that the bundle's own requirements allow, where they name any."""
    allowed: dict[str, frozenset[str]] = {}
    for name, hashes in declared.hashes:
        allowed[name] = allowed.get(name, frozenset()) | hashes

    def narrow(entry: re.Match[str]) -> str:
        wanted = allowed.get(canonicalize_name(entry["name"]))
        if wanted is None:
            return entry[0]
        kept = [one for one in _HASH.findall(entry[0]) if one in wanted]
        if not kept:
            raise BuildFailed(
                f"No file of {entry['name']} that fits has one of the hashes in the requirements: they may be of "
                "another version, platform, or of a source archive."
            )
        return entry[0].split(" \\\n", 1)[0] + "".join(f" \\\n    --hash={one}" for one in kept)

    return _ENTRY.sub(narrow, lock) if allowed else lock

"""Locks are found again by what was asked, keep a bundle's own hashes, and failures read as plain text."""

import dataclasses
import json
import os

import pytest

from torpor.build.commands import last_lines, readable_by_all
from torpor.build.interpreters import Interpreter, choose
from torpor.build.locks import LockStore, index_variables, keep_hashes, request_key
from torpor.build.requirement_files import Declared
from torpor.core.errors import BuildFailed

PYTHON = Interpreter(
    version=(3, 11, 7),
    path="/p/bin/python3.11",
    prefix="/p",
    abi="cpython-311",
    cache_tag="cpython-311",
    platform="x86_64",
)
LOCK = """\
dep==1.5 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
Tiny_Thing==1.0 ; python_version > "3" \\
    --hash=sha256:cc
"""


def test_the_same_question_has_the_same_key_and_another_has_another():
    """Everything that can change a resolution changes its key; what cannot does not."""
    variables = {"UV_INDEX": "https://a", "HOME": "/root"}
    asked = Declared(lines=("a",))
    key = request_key(asked, PYTHON, variables, source=False)
    assert request_key(Declared(lines=("a",)), PYTHON, {**variables, "HOME": "/x"}, source=False) == key
    others = [
        request_key(Declared(lines=("b",)), PYTHON, variables, source=False),
        request_key(dataclasses.replace(asked, hashes=(("a", frozenset({"h"})),)), PYTHON, variables, source=False),
        request_key(dataclasses.replace(asked, prereleases=True), PYTHON, variables, source=False),
        request_key(asked, dataclasses.replace(PYTHON, version=(3, 11, 8)), variables, source=False),
        request_key(asked, PYTHON, {"UV_INDEX": "https://b"}, source=False),
        request_key(asked, PYTHON, variables, source=True),
    ]
    assert len({key, *others}) == len(others) + 1


def test_locks_are_remembered_until_their_environment_is_gone(tmp_path):
    """A stored lock is found again; a damaged record counts as none; a sweep keeps those of kept environments."""
    store = LockStore(tmp_path / "locks")
    store.put("one", LOCK, "env-1", question="q")
    store.put("two", "x", "env-2", question="r")
    (tmp_path / "locks/bad.json").write_text("{")
    (tmp_path / "locks/odd.json").write_text("[]")
    assert store.get("one") == LOCK
    assert store.get("none") is None
    assert store.get("bad") is None
    assert store.get("odd") is None
    store.sweep({"env-1"})
    assert (store.get("one"), store.get("two")) == (LOCK, None)
    assert [path.name for path in (tmp_path / "locks").iterdir()] == ["one.json"]
    assert json.loads((tmp_path / "locks/one.json").read_text())["environment"] == "env-1"


def test_the_newest_answer_to_a_question_is_found(tmp_path):
    """Whatever else was configured then; damaged and older records, which name no question, are passed over."""
    store = LockStore(tmp_path / "locks")
    for age, (key, lock, question) in enumerate([("c", "other", "r"), ("b", "new", "q"), ("a", "old", "q")]):
        store.put(key, lock, "env", question=question)
        os.utime(tmp_path / f"locks/{key}.json", (1000 - age, 1000 - age))
    (tmp_path / "locks/bad.json").write_text("{")
    (tmp_path / "locks/odd.json").write_text('{"lock": "x", "environment": "env"}')
    assert store.newest("q") == "new"
    assert store.newest("s") is None


def test_hashes_that_a_bundle_names_narrow_the_lock():
    """Only the named hashes of a package stay; a package whose named hashes fit nothing is refused."""
    assert keep_hashes(LOCK, Declared()) == LOCK
    narrowed = keep_hashes(LOCK, Declared(hashes=(("dep", frozenset({"sha256:bb", "sha256:zz"})),)))
    assert narrowed == LOCK.replace("    --hash=sha256:aa \\\n", "")
    with pytest.raises(BuildFailed, match="Tiny_Thing"):
        keep_hashes(LOCK, Declared(hashes=(("tiny-thing", frozenset({"sha256:aa"})),)))


def test_a_bundles_indexes_are_added_to_the_operators():
    """The operator's indexes stay, the bundle's come on top, and all count alike."""
    asked = Declared(
        index_url="https://mine", extra_indexes=("https://x",), find_links=("/c/w",), no_index=True, prereleases=True
    )
    operator = {
        "UV_INDEX": "https://o",
        "UV_FIND_LINKS": "/w",
        "UV_INDEX_URL": "https://old",
        "UV_DEFAULT_INDEX": "https://d",
    }
    assert index_variables(operator, asked) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_LINK_MODE": "hardlink",
        "UV_DEFAULT_INDEX": "https://mine",
        "UV_INDEX": "https://o https://x",
        "UV_FIND_LINKS": "/w,/c/w",
        "UV_NO_INDEX": "1",
        "UV_PRERELEASE": "allow",
    }
    assert index_variables({"UV_INDEX_STRATEGY": "first-index"}, Declared())["UV_INDEX_STRATEGY"] == "first-index"


def test_the_right_interpreter_is_chosen():
    """The newest patch of the asked version is taken; the nearest version only when that is allowed."""
    found = [
        dataclasses.replace(PYTHON, version=version) for version in [(3, 9, 1), (3, 11, 2), (3, 11, 10), (3, 13, 0)]
    ]
    assert choose(found, 11, nearest=False).version == (3, 11, 10)
    assert choose(found, 12, nearest=False) is None
    assert choose(found, 12, nearest=True).version == (3, 13, 0)
    assert choose(found, 10, nearest=True).version == (3, 11, 10)
    assert choose([], 10, nearest=True) is None


def test_only_what_a_sandbox_lacks_is_mounted():
    """The system's Python needs no mount, since every sandbox shows /usr; another's own folder is mounted."""
    assert PYTHON.mounts == ("/p",)
    assert dataclasses.replace(PYTHON, prefix="/usr").mounts == ()
    assert dataclasses.replace(PYTHON, prefix="/usr/local").mounts == ()


def test_the_end_of_an_output_is_plain_bounded_text():
    """Colours, cursor movements, passwords and all but the last lines are gone."""
    output = b"".join(b"line %d\r\n" % number for number in range(100))
    output += b"\x1b[1;31merror\x1b[0m: \x1b]8;;x\x07no https://me:pw@x.example/simple\xff\x00\r\n\n"
    text = last_lines(output)
    assert text.splitlines()[0] == "line 81"
    assert text.splitlines()[-1] == "error: no https://****@x.example/simple\ufffd"
    assert len(last_lines(b"x" * 100_000)) == 2001
    assert last_lines(b"") == ""


def test_commands_write_for_everyone():
    """Commands run with a umask that lets other user ids read what they write."""
    assert readable_by_all(["uv", "x"])[-2:] == ("uv", "x")
    assert "umask 022" in readable_by_all(["uv"])[2]

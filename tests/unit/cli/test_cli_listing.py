"""`torpor ls`, `describe`, `rm`, `logs`, `usage` and `gc`: questions to the server."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

LINES = b"".join(
    json.dumps(
        {"at_ms": 1_700_000_000_000 + n, "stream": "s", "request_id": "r", "line": f"line {n}\x1b]0;t\x07"}
    ).encode()
    + b"\n"
    for n in range(3)
)


def test_ls_shows_a_table(torpor, fake):
    """Each function is a row with its state and its address."""
    fake.add("alpha")
    fake.add("beta", state="Failed")
    ran = torpor("ls")
    head, *rows = ran.out.splitlines()
    assert ran.code == 0
    assert head.split() == ["NAME", "STATE", "RUNTIME", "MEMORY", "TIMEOUT", "IDLE", "BUSY", "ADDRESS"]
    assert rows[0].split() == [
        "alpha",
        "Active",
        "python3.11",
        "1024",
        "MB",
        "60",
        "s",
        "1",
        "0",
        f"{fake.url}/fn/alpha/",
    ]
    assert rows[1].split()[:2] == ["beta", "Failed"]


def test_ls_reads_all_pages(torpor, fake):
    """A listing that the server cuts into pages is shown whole."""
    fake.page = 2
    for n in range(5):
        fake.add(f"f{n}")
    assert [one["name"] for one in torpor("ls", "--json").json] == ["f0", "f1", "f2", "f3", "f4"]


def test_ls_of_nothing_says_what_to_do(torpor):
    """Without functions, standard output is empty and the hint is on standard error."""
    ran = torpor("ls")
    assert (ran.code, ran.out) == (0, "")
    assert "torpor deploy" in ran.err
    assert torpor("ls", "--json").json == []


def test_describe_leaves_out_what_is_empty(torpor, fake):
    """A description shows units and omits what has no value."""
    fake.add("alpha", reach=["db.local:5432"], code_size=2048, state_reason="one\ntwo")
    text = torpor("describe", "alpha").out
    assert "\n" + " " * 15 + "two\n" in text
    lines = dict(line.split("  ", 1) for line in text.splitlines())
    shown = {key: value.strip() for key, value in lines.items()}
    assert shown["memory"] == "1024 MB"
    assert shown["reach"] == "db.local:5432"
    assert shown["code size"] == "2.0 KB"
    assert "permissions" not in shown


def test_describe_of_a_missing_function_is_refused(torpor):
    """A name that is not deployed is exit code 4."""
    assert torpor("describe", "nobody").code == 4


def test_rm_removes_each(torpor, fake):
    """Several functions are removed in one go, silently on standard output."""
    fake.add("alpha")
    fake.add("beta")
    ran = torpor("rm", "alpha", "beta")
    assert (ran.code, ran.out, fake.functions) == (0, "", {})


def test_rm_goes_on_after_a_name_that_is_not_there(torpor, fake):
    """One wrong name does not keep the others; the exit code tells of it."""
    fake.add("beta")
    ran = torpor("rm", "alpha", "beta")
    assert (ran.code, fake.functions) == (4, {})
    assert "alpha" in ran.err


@pytest.mark.parametrize("name", ["hello/url", "", "..", "ünï", "x" * 65])
@pytest.mark.parametrize("command", ["rm", "describe", "logs"])
def test_what_can_name_no_function_is_wrong_use(torpor, fake, command, name):
    """It is told before anything is asked of the server, or removed."""
    fake.add("beta")
    ran = torpor(command, *(["beta"] if command == "rm" else []), name)
    assert (ran.code, fake.calls) == (2, [])
    assert "is not a function's name" in ran.err


def test_logs_prints_time_and_line(torpor, fake):
    """Each line comes with its local time; filters travel to the server."""
    fake.reply("GET", "/_torpor/logs/echo", SimpleNamespace(status=200, body=LINES, headers={}))
    ran = torpor("logs", "echo", "--since", "10m", "--request", "r", "--limit", "5")
    assert ran.code == 0
    assert [line[25:31] for line in ran.out.splitlines()] == ["line 0", "line 1", "line 2"]
    query = fake.calls[-1].query
    assert (query["request"], query["limit"], query["follow"]) == ("r", "5", "0")
    assert int(query["since_ms"]) > 1_700_000_000_000


def test_logs_as_json_are_lines_of_objects(torpor, fake):
    """--json passes the server's objects on, one a line."""
    fake.reply("GET", "/_torpor/logs/echo", SimpleNamespace(status=200, body=LINES, headers={}))
    assert [json.loads(line)["at_ms"] % 10 for line in torpor("logs", "echo", "--json").out.splitlines()] == [0, 1, 2]


def test_following_ends_with_a_message(torpor, fake):
    """When the server ends a followed log, that is said, and it is not success."""
    fake.reply("GET", "/_torpor/logs/echo", SimpleNamespace(status=200, body=LINES, headers={}))
    ran = torpor("logs", "echo", "-f")
    assert ran.code == 3
    assert len(ran.out.splitlines()) == 3
    assert "ended the log" in ran.err


def test_logs_refuses_a_moment_it_cannot_read(torpor):
    """A --since that is no moment is wrong use with examples."""
    ran = torpor("logs", "echo", "--since", "yesterday")
    assert ran.code == 2
    assert "10m" in ran.err


def test_usage_sums_up(torpor, fake):
    """The table ends with the total, and times are in units for people."""
    row = {"invocations": 1200, "errors": 3, "cold_starts": 2, "duration_ms": 61_000.0, "billed_ms": 62_000,
           "init_ms": 900.0, "cpu_ms": 5.25, "gb_seconds": 12.3456, "max_memory_mb": 77}  # fmt: skip
    fake.reply("GET", "/_torpor/usage", _json({"rows": [{"function": "echo", **row}], "total": row}))
    ran = torpor("usage", "echo", "--since", "2026-01-31")
    head, one, total = ran.out.splitlines()
    assert head.split()[:4] == ["FUNCTION", "INVOCATIONS", "ERRORS", "COLD"]
    assert one.split() == [
        "echo",
        "1,200",
        "3",
        "2",
        "61.00",
        "s",
        "62.00",
        "s",
        "900",
        "ms",
        "5.25",
        "ms",
        "12.346",
        "77",
    ]
    assert total.split()[0] == "TOTAL"
    assert fake.calls[-1].query["function"] == "echo"
    assert float(fake.calls[-1].query["since"]) > 1_769_000_000


def test_usage_of_nothing(torpor, fake):
    """Where nothing was invoked, there is no table."""
    fake.reply("GET", "/_torpor/usage", _json({"rows": [], "total": {}}))
    ran = torpor("usage")
    assert (ran.code, ran.out) == (0, "")


def test_gc_tells_what_it_freed(torpor, fake):
    """The freed bytes are shown in a unit for people."""
    freed = {
        "bundles": {"count": 2, "bytes": 10},
        "environments": {"count": 1, "bytes": 90},
        "logs": 0,
        "bytes_freed": 5_000_000,
    }
    fake.reply("POST", "/_torpor/gc", _json(freed))
    assert torpor("gc").out == "freed 4.8 MB: 2 bundles, 1 environment, 0 logs\n"
    assert torpor("gc", "--json").json == freed


def _json(value):
    return SimpleNamespace(status=200, body=json.dumps(value).encode(), headers={})

"""The whole of the command line: help, version, exit codes, and what is handed to the composition root."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from torpor import __version__
from torpor.cli import since
from torpor.cli.commands import functions
from torpor.cli.context import Auth, ClientOptions, UpFlags
from torpor.cli.failures import WrongUse
from torpor.cli.main import _COMMANDS
from torpor.core.errors import InvalidValue


def test_version(torpor):
    """--version prints the version alone."""
    ran = torpor("--version")
    assert (ran.code, ran.out) == (0, f"{__version__}\n")


@pytest.mark.parametrize("name", [name for name, _ in _COMMANDS])
def test_every_command_explains_itself(torpor, name):
    """Each command has help without defects, a one-line summary in the overview, and --json."""
    ran = torpor(name, "--help")
    assert ran.code == 0
    assert f"Usage: torpor {name}" in ran.out
    assert "--json" in ran.out
    _, _, overview = torpor("--help").out.partition("Commands:")
    (line,) = [line for line in overview.splitlines() if line.split()[:1] == [name]]
    assert not line.endswith("...")


def test_wrong_use_is_exit_code_2(torpor):
    """An unknown command or option is wrong use, with the nearest one."""
    ran = torpor("invok", "x")
    assert ran.code == 2
    assert "invoke" in ran.err
    assert torpor("ls", "--nope").code == 2
    assert torpor("deploy").code == 2


def test_up_is_handed_its_flags(torpor):
    """`up` calls what the composition root gave, with what was given, and leaves with its exit code."""
    seen = []

    def serve(flags):
        seen.append(flags)
        return 7

    assert torpor("up", "--port", "0", "--auth", "off", "--public-url", "https://x", up=serve).code == 7
    assert seen == [UpFlags(port=0, auth=Auth.OFF, public_url="https://x")]
    assert torpor("up", "--port", "65536", up=serve).code == 2


def test_doctor_shows_findings_and_remedies(torpor):
    """What is missing comes with what to do, and makes the exit code 1; what does not matter does not."""
    fine = SimpleNamespace(name="user namespaces", ok=True, detail="allowed", remedy="")
    unknown = SimpleNamespace(name="cgroup v2", ok=None, detail="not mounted", remedy="mount it")
    missing = SimpleNamespace(name="uv", ok=False, detail="not found", remedy="pip install uv")
    ran = torpor("doctor", doctor=lambda: [fine, unknown, missing])
    assert ran.code == 1
    assert [line.split() for line in ran.out.splitlines()] == [
        ["ok", "user", "namespaces", "allowed"],
        ["--", "cgroup", "v2", "not", "mounted"],
        ["mount", "it"],
        ["no", "uv", "not", "found"],
        ["pip", "install", "uv"],
    ]
    assert torpor("doctor", doctor=lambda: [fine, unknown]).code == 0
    assert torpor("doctor", "--json", doctor=lambda: [fine]).json[0]["ok"] is True


def test_doctor_measures_when_asked(torpor):
    """`--bench` shows each figure in a unit that fits, instead of the findings; one that cannot be had makes it 1."""
    hop = SimpleNamespace(name="hop", detail="there and back", p50_ms=0.0312, p99_ms=0.25, count=100)
    start = SimpleNamespace(name="start", detail="an interpreter", p50_ms=12.4, p99_ms=1400.0, count=20)
    none = SimpleNamespace(name="sandbox", detail="no namespaces", p50_ms=None, p99_ms=None, count=0)
    ran = torpor("doctor", "--bench", bench=lambda: [hop, start])
    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()[1:]] == [
        ["hop", "31", "µs", "250", "µs", "100", "there", "and", "back"],
        ["start", "12", "ms", "1.40", "s", "20", "an", "interpreter"],
    ]
    ran = torpor("doctor", "--bench", "--json", bench=lambda: [hop, none])
    assert ran.code == 1
    assert ran.json[0] == {"name": "hop", "detail": "there and back", "p50_ms": 0.0312, "p99_ms": 0.25, "count": 100}
    assert ran.json[1]["p50_ms"] is None


def test_options_are_read_by_those_who_need_them(torpor, fake, data_dir):
    """Where the server is may be a question, asked by commands that talk to it; its errors are wrong use."""
    asked = []

    def options():
        asked.append(True)
        if len(asked) > 1:
            raise InvalidValue("TORPOR_URL is bad")
        return ClientOptions(url=None, token=None, data_dir=data_dir)

    assert torpor("--help", options=options).code == 0
    assert torpor("doctor", options=options).code == 0
    assert asked == []
    assert torpor("ls", options=options).code == 0
    ran = torpor("ls", options=options)
    assert (ran.code, ran.err) == (2, "error: TORPOR_URL is bad\n")


def test_interruption_is_130(torpor, monkeypatch):
    """Ctrl-C ends a command as a shell expects, without a traceback."""

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(functions, "all_functions", interrupted)
    ran = torpor("ls")
    assert (ran.code, ran.err) == (130, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 910.0), ("1.5m", 910.0), ("0.25h", 100.0), ("2d", 0.0), ("1w", 0.0), ("1700000000", 1.7e9),
     ("2026-01-31T12:00:00+00:00", 1_769_860_800.0), ("2026-01-31T12:00:00Z", 1_769_860_800.0)],
)  # fmt: skip
def test_moments(text, expected):
    """How long ago, and when, are both understood."""
    assert since.moment(text, now=1000.0) == expected


@pytest.mark.parametrize("text", ["", "soon", "10 parsecs", "-5m", "2026-13-01"])
def test_other_moments_are_wrong_use(text):
    """What cannot be read is refused with examples."""
    with pytest.raises(WrongUse, match="10m"):
        since.moment(text, now=1000.0)

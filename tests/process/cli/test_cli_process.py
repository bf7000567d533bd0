"""The command line as a process among others: pipes, signals, terminals, and the command it hands over to."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

WITNESS = "import json, os, sys; print(json.dumps(dict(os.environ))); sys.exit(37)"


def test_help_imports_only_what_it_needs(data_dir):
    """Nothing that costs time to import is loaded for `torpor --help`: it is to answer in 150 ms."""
    code = (
        "import sys\nfrom torpor.__main__ import main\ncode = main(['--help'])\n"
        "heavy = {'rich', 'pydantic', 'botocore', 'http.client', 'ssl', 'msgspec', 'asyncio', 'sqlalchemy', 'starlette'}\n"
        "print(sorted(heavy & set(sys.modules)), code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "[] 0\n"
    assert "Commands:" in done.stdout


def test_a_reader_that_has_seen_enough(start):
    """A closed pipe ends the command quietly, with the code that shells give it."""
    process = start("ls", "--json")
    assert process.stdout.read(10)
    process.stdout.close()
    assert process.wait(30) == 141
    assert process.stderr.read() == b""


def test_following_a_log_ends_with_ctrl_c(start):
    """Lines come as they are written, and Ctrl-C ends it without a traceback."""
    process = start("logs", "echo", "-f")
    assert process.stdout.readline().endswith(b"  hello\n")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr.read() == b""


def test_run_gives_the_command_its_variables_and_passes_its_exit_code_on(start, canned_url):
    """The command sees this server, none of the user's profiles, and its exit code is ours."""
    surroundings = {**os.environ, "AWS_PROFILE": "production", "AWS_ENDPOINT_URL_S3": "https://elsewhere"}
    process = start("run", "--", sys.executable, "-c", WITNESS, env=surroundings)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (37, b"")
    seen = json.loads(out)
    assert (seen["AWS_ENDPOINT_URL"], seen["AWS_REGION"]) == (canned_url, "eu-test-1")
    assert (seen["AWS_ACCESS_KEY_ID"], seen["AWS_SECRET_ACCESS_KEY"]) == ("ID", "SECRET")
    assert not {"AWS_PROFILE", "AWS_ENDPOINT_URL_S3"} & set(seen)
    assert seen["PATH"] == surroundings["PATH"]


def test_run_lets_signals_through(start):
    """A signal to `torpor run` is the command's own: there is no process in between."""
    process = start("run", "--", sys.executable, "-c", "print('up', flush=True); import signal; signal.pause()")
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM


def test_env_can_be_evaluated_by_a_shell(start):
    """What `torpor env` prints is understood by a plain shell."""
    out, _ = start("env").communicate(timeout=30)
    script = out.decode() + '\nprintf "%s %s" "$AWS_SECRET_ACCESS_KEY" "${AWS_PROFILE-none}"'
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=30, check=True, env={"AWS_PROFILE": "x"}
    )
    assert done.stdout == "SECRET none"


def test_a_terminal_gets_colours(on_terminal):
    """On a terminal, times are dim and heads are bold."""
    code, seen = on_terminal("logs", "echo")
    assert code == 0
    assert re.search(r"\x1b\[2m2023-\S+ \S+\x1b\[0m  hello\r\n", seen)
    code, seen = on_terminal("ls")
    assert code == 0
    head = seen.splitlines()[0]
    assert "\x1b[1m" in head


def test_a_pipe_gets_none(start):
    """Elsewhere there is no escape sequence at all."""
    out, _ = start("logs", "echo").communicate(timeout=30)
    assert b"\x1b" not in out

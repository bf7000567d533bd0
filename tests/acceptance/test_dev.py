"""The development loop as somebody at a terminal sees it: saves, typed events, errors where they happened, a debugger."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

TORPOR = str(Path(sys.executable).with_name("torpor"))
APP = "def lambda_handler(event, context):\n    return {'version': %d, 'event': event}\n"
BOUND_S = 60


class Lines:
    """What a stream says, line by line, each waited for with a bound."""

    def __init__(self, stream):
        self._queue = queue.Queue()
        threading.Thread(target=lambda: [self._queue.put(line) for line in stream], daemon=True).start()

    def next(self):
        return self._queue.get(timeout=BOUND_S)

    def until(self, text):
        seen = []
        while text not in (line := self.next()):
            seen.append(line)
        return line, seen


@contextlib.contextmanager
def developing(server, path, *flags):
    process = subprocess.Popen(
        [TORPOR, "dev", str(path), *flags],
        env={**os.environ, "TORPOR_DATA": str(server.data)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process, Lines(process.stdout), Lines(process.stderr)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def say(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()


@pytest.mark.slow
def test_a_save_runs_and_the_last_event_is_asked_again(server, tmp_path):
    """New code answers after a save, an event that was typed is kept for the saves after it, and q leaves."""
    app = tmp_path / "app.py"
    app.write_text(APP % 1)
    with developing(server, tmp_path, "--name", "dev-loop", "-d", '{"a": 1}') as (process, answers, _):
        assert json.loads(answers.next()) == {"version": 1, "event": {"a": 1}}
        app.write_text(APP % 2)
        assert json.loads(answers.next()) == {"version": 2, "event": {"a": 1}}
        say(process, '{"b": 2}')
        assert json.loads(answers.next()) == {"version": 2, "event": {"b": 2}}
        app.write_text(APP % 3)
        assert json.loads(answers.next()) == {"version": 3, "event": {"b": 2}}
        say(process, "")
        assert json.loads(answers.next()) == {"version": 3, "event": {"b": 2}}
        say(process, "q")
        assert process.wait(20) == 0


@pytest.mark.slow
def test_errors_are_shown_where_they_happened_and_the_next_save_mends_them(server, tmp_path):
    """A handler's error and a file that is no Python are told with file and line of this machine; prints are shown."""
    app = tmp_path / "app.py"
    app.write_text("def lambda_handler(event, context):\n    print('looking')\n    return 1 / 0\n")
    with developing(server, tmp_path, "--name", "dev-errors") as (process, answers, errors):
        line, _ = errors.until("ZeroDivisionError")
        assert "error: ZeroDivisionError: division by zero" in line or "[ERROR] ZeroDivisionError" in line
        assert f'{app}", line 3' in errors.until(f"{app}")[0]
        app.write_text("def lambda_handler(event, context):\n    return (\n")
        assert "app.py" in errors.until("line 2")[0]
        app.write_text(APP % 4)
        assert json.loads(answers.next())["version"] == 4
        say(process, "{no json")
        errors.until("that is no JSON")
        app.write_text("def lambda_handler(event, context):\n    print('a line')\n    return 5\n")
        assert answers.next() == "5\n"
        errors.until("a line")


class Editor:
    """The little of an editor that debugging takes: debugpy's own adapter, spoken to by its protocol."""

    def __init__(self):
        self._adapter = subprocess.Popen(
            [sys.executable, "-m", "debugpy.adapter"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._sent = 0
        self._heard = []

    def send(self, command, **arguments):
        self._sent += 1
        body = json.dumps({"seq": self._sent, "type": "request", "command": command, "arguments": arguments}).encode()
        self._adapter.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._adapter.stdin.flush()
        return self._sent

    def ask(self, command, **arguments):
        number = self.send(command, **arguments)
        answer = self.hear(lambda one: one.get("request_seq") == number)
        assert answer["success"], answer
        return answer.get("body", {})

    def hear(self, wanted):
        for place, message in enumerate(self._heard):
            if wanted(message):
                return self._heard.pop(place)
        while not wanted(message := self._read()):
            self._heard.append(message)
        return message

    def event(self, name):
        return self.hear(lambda one: one.get("event") == name).get("body", {})

    def _read(self):
        length = 0
        while (line := self._adapter.stdout.readline().strip()) or not length:
            length = int(line.rpartition(b":")[2])
        return json.loads(self._adapter.stdout.read(length))

    def close(self):
        self._adapter.kill()
        self._adapter.wait(10)
        self._adapter.stdin.close()
        self._adapter.stdout.close()


@pytest.mark.slow
def test_a_breakpoint_is_hit_in_the_editor(server, tmp_path):
    """With --debug an instance connects to the editor, which stops it at a line and reads its variables."""
    app = tmp_path / "app.py"
    app.write_text("def lambda_handler(event, context):\n    answer = event['n'] * 2\n    return answer\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    editor = Editor()
    try:
        editor.ask("initialize", adapterID="test", pathFormat="path", linesStartAt1=True)
        flags = ("--name", "dev-debug", "--debug", "--debug-port", str(port), "-d", '{"n": 21}')
        with developing(server, tmp_path, *flags) as (_, answers, errors):
            errors.until("start the debugger")
            launch = json.loads((tmp_path / ".vscode" / "launch.json").read_text())["configurations"][0]
            assert launch["listen"]["port"] == port
            launch["pathMappings"][0]["localRoot"] = str(tmp_path)
            editor.send("attach", **launch)
            editor.event("initialized")
            verified = editor.ask("setBreakpoints", source={"path": str(app)}, breakpoints=[{"line": 3}])
            assert verified["breakpoints"]
            editor.ask("configurationDone")
            thread = editor.event("stopped")["threadId"]
            frame = editor.ask("stackTrace", threadId=thread, levels=1)["stackFrames"][0]
            assert (frame["line"], frame["source"]["path"]) == (3, str(app))
            assert editor.ask("evaluate", expression="answer", frameId=frame["id"])["result"] == "42"
            editor.ask("continue", threadId=thread)
            assert answers.next() == "42\n"
    finally:
        editor.close()

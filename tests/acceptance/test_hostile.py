"""Hostile handlers, each beside a function under load: its own invocation fails, everyone else's goes on."""

from __future__ import annotations

import json
import threading

import pytest

STEADY = "def handler(event, context):\n    return event['n']\n"

# name: (handler's body, configuration, the error types that may come; None where the call may succeed)
HOSTILE = {
    "prints-100-mb": ("line = 'x' * 999\n    for _ in range(100_000):\n        print(line)", {"Timeout": 3}, {None, "Sandbox.Timedout"}),
    "forks-without-end": ("import os\n    while True:\n        os.fork()", {"Timeout": 3}, {"Sandbox.Timedout", "BlockingIOError", "Runtime.OutOfMemory", "Runtime.ExitError"}),
    "fills-tmp": ("f = open('/tmp/x', 'wb')\n    while True:\n        f.write(b'x' * 1_000_000)", {}, {"OSError"}),
    "allocates-without-end": ("x = []\n    while True:\n        x.append(bytearray(10_000_000))", {"MemorySize": 128}, {"Runtime.OutOfMemory"}),
    "ignores-sigterm": ("import signal, time\n    for n in range(1, 32):\n        if n not in (9, 19):\n            signal.signal(n, signal.SIG_IGN)\n    time.sleep(60)", {"Timeout": 1}, {"Sandbox.Timedout"}),
    "closes-its-descriptors": ("import os\n    os.closerange(0, 65536)\n    return 1", {"Timeout": 3}, {None, "Runtime.ExitError", "Sandbox.Timedout"}),
    "writes-garbage-to-them": ("import os\n    for fd in range(1, 1100):\n        try:\n            os.write(fd, b'\\xff' * 100)\n        except OSError:\n            pass\n    return 1", {"Timeout": 3}, {None, "Runtime.ExitError", "Sandbox.Timedout"}),
    "os-exit": ("import os\n    os._exit(3)", {}, {"Runtime.ExitError"}),
    "kills-its-parent": ("import os, signal\n    for pid in (os.getppid(), 1, -1):\n        try:\n            os.kill(pid, signal.SIGKILL)\n        except OSError:\n            pass\n    return 1", {"Timeout": 3}, {None, "Runtime.ExitError"}),
    "returns-nan": ("return float('nan')", {}, {"Runtime.MarshalError"}),
    "returns-bytes": ("return b'x'", {}, {"Runtime.MarshalError"}),
    "returns-a-circle": ("x = {}\n    x['x'] = x\n    return x", {}, {"Runtime.MarshalError"}),
    "returns-7-mb": ("return 'x' * 7_000_000", {}, {"Function.ResponseSizeTooLarge"}),
    "threads-without-end": ("import threading, time\n    while True:\n        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", {"Timeout": 3}, {"RuntimeError", "Sandbox.Timedout", "Runtime.OutOfMemory", "Runtime.ExitError"}),
    "opens-files-without-end": ("files = []\n    while True:\n        files.append(open('/dev/null'))", {}, {"OSError"}),
    "deep-recursion": ("import sys\n    sys.setrecursionlimit(10**9)\n    def f():\n        f()\n    f()", {"Timeout": 5}, {"Runtime.ExitError", "RecursionError", "MemoryError", "Runtime.OutOfMemory", "Sandbox.Timedout"}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_handler_harms_only_itself(server, create, name):
    """While it does its worst, another function answers every call; and afterwards it is called again with the same end."""
    body, configuration, allowed = HOSTILE[name]
    client = create(server, f"hostile-{name}", f"def handler(event, context):\n    {body}\n", **configuration)
    create(server, "steady", STEADY) if not _exists(client, "steady") else None
    done, wrong, answered = threading.Event(), [], []

    def load() -> None:
        mine = server.client("lambda")
        number = 0
        while not done.is_set():
            number += 1
            answer = mine.invoke(FunctionName="steady", Payload=json.dumps({"n": number}).encode())
            value = answer["Payload"].read()
            (answered if "FunctionError" not in answer and json.loads(value) == number else wrong).append(value)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            answer = client.invoke(FunctionName=f"hostile-{name}")
            value = json.loads(answer["Payload"].read())
            kind = value["errorType"] if "FunctionError" in answer else None
            assert kind in allowed, value
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    assert not wrong
    assert answered


def _exists(client, name):
    try:
        client.get_function(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return False
    return True

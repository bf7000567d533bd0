"""Libraries on zygotes: each works in a forked instance, or its functions start afresh and `describe` says why."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "libraries"
PREFIX = "torpor_trial_"  # of the names of distributions: an index may have others named as their modules are
LOCALLY = "import app, json; print(json.dumps(app.handler(None, None)))"

# What libraries do when they are imported, as modules of an environment. None of them is a fault.
WHEELS = {
    "threaded": "import threading, time\nthreading.Thread(target=time.sleep, args=(9999,), daemon=True).start()\n",
    "pooled": "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(2)\npool.submit(int).result()\n",
    "parental": "import subprocess\nchild = subprocess.Popen(['sleep', '9999'])\n",
    "listening": "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n",
    "looping": "import asyncio\nloop = asyncio.new_event_loop()\nasyncio.set_event_loop(loop)\n",
    "looped": "import asyncio\nasync def seven(): return 7\nvalue = asyncio.run(seven())\n",
    "forkshy": "import os, time\nborn = os.getpid()\ndef use():\n    while os.getpid() != born: time.sleep(0.1)\n",
    "hooked": "import os, threading\nlock = threading.Lock()\nos.register_at_fork(before=lock.acquire)\n",
}


@dataclass(frozen=True)
class Case:
    """A function, and how it starts once its environment is known. `reason` is a pattern."""

    files: dict[str, str]
    depth: str = "zygote"
    reason: str = ""
    timeout_s: int = 60
    by_chance: bool = False


def case(name, **more):
    return Case({"app.py": (HERE / f"{name}.py").read_text()}, **more)


def importing(name, reason="", *, use="1", **more):
    """A function that imports one of the modules above."""
    code = f"import {name}\nvalue = {use}\ndef handler(event, context): return value\n"
    files = {"app.py": code, "requirements.txt": f"{PREFIX}{name}"}
    return Case(files, depth="spawn" if reason else "zygote", reason=reason, **more)


CASES = {
    "processes": case("processes"),
    "chance": case("chance", by_chance=True),
    "library-with-a-thread": importing("threaded", r"\(threaded\) start 1 thread"),
}
LONG = {
    "threads": case("threads"),
    "library-with-a-pool": importing("pooled", "start 1 thread", use="pooled.pool.submit(abs, -1).result()"),
    "library-with-a-child": importing("parental", "start processes", use="parental.child.poll()"),
    "library-with-a-socket": importing("listening", "keep open .*socket", use="listening.server.fileno() > 2"),
    "library-with-a-loop": importing("looping", "keep open .*eventpoll", use="looping.loop.is_closed()"),
    "library-that-ran-a-loop": importing("looped", use="looped.value"),
    "library-that-hangs-in-a-fork": importing("forkshy", "forked instance", use="forkshy.use()", timeout_s=1),
    "library-whose-hook-hangs": importing("hooked", "did not fork|not ready within"),
    "kmeans": case("kmeans"),
    "random-forest": case("forest"),
    "loky": case("validation"),
    "numpy-chance": case("chance_numpy", by_chance=True),
    "pandas": case("frames"),
    "onnxruntime": case("network", depth="spawn", reason=r"\(onnxruntime\) start 1 thread"),
    "xgboost": case("xgboost_trees"),
    "lightgbm": case("lightgbm_trees"),
}


@pytest.fixture(scope="module")
def patient(start_server, tmp_path_factory):
    """A server that finds the modules above beside what pip is configured with, and does not wait long for a start."""
    wheels = tmp_path_factory.mktemp("wheels")
    for name, text in WHEELS.items():
        _wheel(wheels, name, text)
    links = f"{os.environ.get('PIP_FIND_LINKS', '')} {wheels}".strip()
    return start_server(PIP_FIND_LINKS=links, TORPOR_START_TIMEOUT_S="8")


def _wheel(folder, name, text):
    distribution = f"{PREFIX}{name}"
    info = f"{distribution}-1.0.dist-info"
    contents = {
        f"{name}.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{distribution}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(path, content)


class Probe:
    """One function of a case, called again and again in instances that start anew."""

    def __init__(self, server, client, name, wanted):
        self._server = server
        self._client = client
        self._name = name
        self._wanted = wanted
        self._changes = 0
        self.answers = []

    def call(self):
        """Invoke it; keeps the answer, and returns the depth of the start."""
        answer = self._client.invoke(FunctionName=self._name)
        payload = answer["Payload"].read()
        assert "FunctionError" not in answer, payload
        self.answers.append(json.loads(payload))
        return answer["ResponseMetadata"]["HTTPHeaders"]["x-torpor-start"]

    def as_wanted(self):
        """Call it in a new instance: whether it started as is expected by now, and `describe` says so."""
        self._changes += 1
        variables = {"Variables": {"CHANGE": str(self._changes)}}
        self._client.update_function_configuration(FunctionName=self._name, Environment=variables)
        waiter = self._client.get_waiter("function_updated_v2")
        waiter.wait(FunctionName=self._name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
        depth = self.call()
        start = json.loads(self._server.cli("describe", self._name, "--json").stdout)["start"]
        said = start["depth"] == self._wanted.depth and re.search(self._wanted.reason or "^$", start["reason"])
        return depth == self._wanted.depth and said


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [*CASES, *(pytest.param(name, marks=pytest.mark.full) for name in LONG)])
def test_a_library_works_forked_or_says_why_not(patient, create, eventually, tmp_path, name):
    """Started afresh, forked and warm a function answers alike; only what is drawn by chance differs each time."""
    wanted = (CASES | LONG)[name]
    client = create(patient, name, wanted.files, Timeout=wanted.timeout_s, MemorySize=1024)
    probe = Probe(patient, client, name, wanted)
    probe.call()
    eventually(probe.as_wanted, bound_s=180, every_s=0.5)
    probe.as_wanted()
    assert probe.call() == "warm"
    if wanted.by_chance:
        for source in probe.answers[0]:
            drawn = [answer[source] for answer in probe.answers[:-1]]
            assert len(set(drawn)) == len(drawn), source
    else:
        assert all(answer == _reference(wanted, tmp_path, probe) for answer in probe.answers)


def _reference(wanted, folder, probe):
    """What a process of this interpreter answers; where the libraries are not here, what the first instance did."""
    if "dependencies" in wanted.files["app.py"] or "requirements.txt" in wanted.files:
        return probe.answers[0]
    (folder / "app.py").write_text(wanted.files["app.py"])
    done = subprocess.run(
        [sys.executable, "-c", LOCALLY], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)

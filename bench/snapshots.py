"""A long initialisation, started at the three depths: from its snapshot, from a zygote, and afresh.

The function trains a scikit-learn model while it is loaded. Each call wakes it, over Lambda's interface, byte to byte.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import time
import urllib.request
from typing import Any

from harness import HERE, BenchFailed, Connection, Plan, Row, Table, ask, quantiles, torpor, wait_until

from torpor.testing.serving import RunningServer

_NAME = "trained"
_BODY = json.dumps({"first": 0}).encode()
_LAMBDA = "/2015-03-31/functions"
_BOUND_S = 60
_PAUSE_S = 0.5  # between a function's sleep and its next call: time enough to prepare another blank
_FUNCTION = HERE / "functions/trained"


def measure(plan: Plan) -> Table:
    folder = plan.place("snapshots")
    count = plan.count(20, 3)
    with torpor(folder, keep_alive_s=0.1) as server:
        server.torpor("deploy", _FUNCTION, "--name", _NAME)
        version, published_s = _publish(server)
        taken = {"snapshot": _samples(server, version, "snapshot", count)}
        taken["zygote"] = _samples(server, "$LATEST", "zygote", count)
    with torpor(folder, keep_alive_s=0.1, zygotes=0) as server:
        taken["spawn"] = _samples(server, "$LATEST", "spawn", count)
    slowest = statistics.median(taken["spawn"])
    rows = [
        Row(depth, {**quantiles(samples), "x spawn": f"{slowest / statistics.median(samples):.1f}"})
        for depth, samples in taken.items()
    ]
    note = f"The version was Active, its snapshot made, {published_s:.1f} s after it was published."
    return Table("Start of a function that trains a model while it is loaded", rows, [note])


def _publish(server: RunningServer) -> tuple[str, float]:
    """A version with a snapshot; its number, and how long that took."""
    _send(server, "PUT", f"{_LAMBDA}/{_NAME}/configuration", {"SnapStart": {"ApplyOn": "PublishedVersions"}})
    place = f"{_LAMBDA}/{_NAME}/configuration"
    wait_until(lambda: ask(server, place)["LastUpdateStatus"] == "Successful", "it was not updated")
    began = time.monotonic()
    version = _send(server, "POST", f"{_LAMBDA}/{_NAME}/versions", {})["Version"]
    place = f"{place}?Qualifier={version}"
    wait_until(lambda: ask(server, place)["State"] != "Pending", "it was not published", bound_s=200)
    told = ask(server, place)
    if told["SnapStart"]["OptimizationStatus"] != "On":
        raise BenchFailed(f"no snapshot: {told.get('StateReason')}")
    return version, time.monotonic() - began


def _samples(server: RunningServer, qualifier: str, depth: str, count: int) -> list[float]:
    path = f"{_LAMBDA}/{_NAME}/invocations?Qualifier={qualifier}"
    samples: list[float] = []
    end = time.monotonic() + _BOUND_S
    while len(samples) < count and (time.monotonic() < end or len(samples) < 3):
        if time.monotonic() > end + _BOUND_S:
            raise BenchFailed(f"it does not start from a {depth}")
        with contextlib.closing(Connection(server.port, path, _BODY)) as connection:
            elapsed, headers, _ = connection.call()
        if headers["x-torpor-start"] == depth:
            samples.append(elapsed)
        _sleep(server)
    return samples


def _sleep(server: RunningServer) -> None:
    wait_until(lambda: not any(ask(server, f"/_torpor/functions/{_NAME}")["instances"].values()), "it stays awake")
    time.sleep(_PAUSE_S)


def _send(server: RunningServer, method: str, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)

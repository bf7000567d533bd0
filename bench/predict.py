"""A scikit-learn prediction over HTTP at 1 and 32 connections, on torpor and on other platforms.

Every platform is started afresh in every round, measured right beside torpor, and ended again: that many servers at
once would take each other's processor time. The ratios are those of neighbours in time.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from environments import Missing, iris_function
from harness import BenchFailed, Plan, Row, Table, Target, at_least, load, middle, torpor, wake
from platforms import PLATFORMS, REQUEST, running

_CONNECTIONS = (1, 32)
_AT_LEAST = {"starlette": 1, "functions-framework": 4, "mlserver": 4, "litserve": 4, "bentoml": 8, "rayserve": 15}
_NAMES = {
    "starlette": "Starlette, in its own process",
    "functions-framework": "functions-framework",
    "mlserver": "MLServer",
    "litserve": "LitServe",
    "bentoml": "BentoML",
    "rayserve": "Ray Serve",
    "ministack": "MiniStack (a Lambda call)",
}


@dataclass(slots=True)
class _Peer:
    """What was measured of one platform: by connections, its requests a second and torpor's beside it."""

    rates: dict[int, list[float]] = field(default_factory=lambda: {one: [] for one in _CONNECTIONS})
    ours: dict[int, list[float]] = field(default_factory=lambda: {one: [] for one in _CONNECTIONS})
    first_s: list[float] = field(default_factory=list)
    missing: str = ""


def measure(plan: Plan) -> Table:
    folder, seconds = plan.place("predict"), plan.seconds(3)
    peers = {name: _Peer() for name in PLATFORMS if name in plan.peers}
    try:
        function = iris_function(folder)
    except Missing as reason:
        return Table("scikit-learn prediction (iris)", [Row("torpor", {"missing": str(reason)})])
    with torpor(folder, keep_alive_s=1800) as server:  # torpor sleeps while the peers start, and would wake cold
        server.torpor("deploy", function, "--public")
        wake(server, "iris", REQUEST, max(_CONNECTIONS))
        ours = {one: [_rate(server.port, "/fn/iris/", REQUEST, one, seconds)] for one in _CONNECTIONS}
        for _ in range(plan.count(3, 1)):
            for name, peer in peers.items():
                _beside(name, peer, server.port, seconds)
    for peer in peers.values():
        for one in _CONNECTIONS:
            ours[one] += peer.ours[one]
    rows = [Row("torpor", {f"requests/s at {one}": middle(ours[one], 0) for one in _CONNECTIONS})]
    missing = [f"{_NAMES[name]}: {peer.missing}" for name, peer in peers.items() if peer.missing]
    return Table("scikit-learn prediction (iris)", [*rows, *_rows(peers)], [*_NOTES, *missing])


_NOTES = [
    "`first answer`: from the start of its process to its first prediction; torpor's are among the cold starts.",
    "Defaults everywhere; linear algebra single-threaded.",
    "MiniStack is asked over the Lambda interface, MLServer over the Open Inference Protocol.",
]


def _beside(name: str, peer: _Peer, ours: int, seconds: float) -> None:
    """One round of one peer, each of its runs followed by one of torpor's."""
    if peer.missing:
        return
    platform = PLATFORMS[name]
    with tempfile.TemporaryDirectory(prefix="tb-") as folder:  # short: Ray's sockets have long names
        try:
            with running(platform, Path(folder)) as started:
                peer.first_s.append(started.first_s)
                for one in _CONNECTIONS:
                    rate = _rate(started.port, platform.path, platform.body, one, seconds)
                    peer.ours[one].append(_rate(ours, "/fn/iris/", REQUEST, one, seconds))
                    peer.rates[one].append(rate)
        except (Missing, BenchFailed) as reason:
            peer.missing = " ".join(str(reason).split())[:300]


def _rate(port: int, path: str, body: bytes, connections: int, seconds: float) -> float:
    return load(port, path, body, connections=connections, seconds=seconds)["per_second"]


def _rows(peers: dict[str, _Peer]) -> Iterator[Row]:
    for name, peer in peers.items():
        cells: dict[str, float | int | str] = {}
        target: Target | None = None
        for one in _CONNECTIONS:
            if pairs := list(zip(peer.ours[one], peer.rates[one], strict=False)):
                ratios = [ours / theirs for ours, theirs in pairs]
                cells[f"requests/s at {one}"] = middle(peer.rates[one][: len(pairs)], 0)
                cells[f"torpor is x at {one}"] = middle(ratios)
                bound = _AT_LEAST.get(name)
                if one == max(_CONNECTIONS) and bound:
                    target = at_least(statistics.median(ratios), bound, f"≥ {bound} × at {one}")
        if peer.first_s:
            cells["first answer s"] = middle(peer.first_s, 1)
        if peer.missing:
            cells["missing"] = "see below"
        yield Row(_NAMES[name], cells, target)

"""Warm latency at one connection beside bare uvicorn's, processor time per invocation, and what a signature costs."""

from __future__ import annotations

import contextlib
import json
import statistics

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from harness import EVENT, JSON, ROOT, Connection, Plan, Row, Table, at_most, bare_uvicorn, middle, quantiles, torpor

from torpor.testing.serving import RunningServer

_ROUNDS = 10
_AWS = "/2015-03-31/functions/echo/invocations"


def measure(plan: Plan) -> Table:
    """Calls of each kind take turns, so that a machine that changes its speed changes it for all."""
    folder = plan.place("warm")
    with (
        torpor(folder) as server,
        torpor(plan.place("signed"), "--auth", "on") as signed,
        bare_uvicorn(folder) as bare,
        contextlib.ExitStack() as stack,
    ):
        for one in (server, signed):
            one.torpor("deploy", ROOT / "examples/echo", "--public")
        open_ = {
            "bare uvicorn": Connection(bare, "/", EVENT),
            "torpor, function URL": Connection(server.port, "/fn/echo/", EVENT),
            "torpor, Lambda call": Connection(server.port, _AWS, EVENT),
            "torpor, Lambda call, signed": Connection(signed.port, _AWS, EVENT, (JSON, *_signature(signed))),
        }
        for connection in open_.values():
            stack.enter_context(contextlib.closing(connection))
        rounds = _in_turn(open_, plan.count(4000, 100))
    return Table("Warm call at one connection", [*_rows(rounds)], ["An echo of 18 bytes; `x uvicorn`: of the medians."])


def _in_turn(open_: dict[str, Connection], count: int) -> dict[str, list[list[float]]]:
    for connection in open_.values():
        for _ in range(max(5, count // 8)):
            connection.call()
    rounds: dict[str, list[list[float]]] = {name: [] for name in open_}
    for _ in range(_ROUNDS):
        for name, connection in open_.items():
            rounds[name].append([connection.call()[0] for _ in range(count // _ROUNDS)])
    return rounds


def _rows(rounds: dict[str, list[list[float]]]) -> list[Row]:
    floors = [statistics.median(one) for one in rounds["bare uvicorn"]]
    rows = []
    for name, samples in rounds.items():
        ratios = [statistics.median(one) / floor for one, floor in zip(samples, floors, strict=True)]
        cells: dict[str, float | int | str] = {
            **quantiles([one for part in samples for one in part]),
            "x uvicorn": middle(ratios),
        }
        bound = at_most(statistics.median(ratios), 3, "≤ 3 × uvicorn") if name == "torpor, function URL" else None
        rows.append(Row(name, cells, bound))
    return rows


def _signature(server: RunningServer) -> tuple[str, ...]:
    """SigV4 headers of the one request that is made; they hold for a quarter of an hour."""
    key = json.loads((server.data / "key.json").read_text())
    request = AWSRequest(
        "POST",
        f"http://127.0.0.1:{server.port}{_AWS}",
        data=EVENT,
        headers={"content-type": "application/json", "host": f"127.0.0.1:{server.port}"},
    )
    credentials = Credentials(key["access_key_id"], key["secret_access_key"])
    SigV4Auth(credentials, "lambda", "us-east-1").add_auth(request)
    wanted = ("authorization", "x-amz-date", "x-amz-content-sha256")
    return tuple(f"{name}: {value}" for name, value in request.headers.items() if name.lower() in wanted)

"""A mixed load on a running server, with kills of what belongs to it; the report goes to standard output as JSON.

python run.py URL DATA PID SECONDS SEED
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

from botocore.exceptions import ClientError
from calls import Caller, Record
from killer import kill_until, traces, wait_for
from places import PLACES, Place, deploy

CALLERS = 10
TIDE_S, EBB_S = 14.0, 5.0  # calls come for so long, and then nobody calls until everything sleeps
KEPT = 75.0  # seconds after which no blank is held any more
MODULES = ("wave", "colorsys", "csv", "bz2", "sqlite3", "decimal", "difflib", "fractions", "ftplib", "xml.dom.minidom")
WEIGHTS = {
    "echo": 8, "burn": 4, "sleep": 4, "print": 3, "raise": 2, "leave": 1, "overrun": 1, "hoard": 1, "large": 1,
    "litter": 1, "predict": 5, "narrow": 5, "page": 6,
}  # fmt: skip


class Tide:
    """Whether calls come now."""

    def __init__(self) -> None:
        self.stop = Event()
        self.flood = Event()
        self.flood.set()

    def turn(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.flood.set()
            self.stop.wait(min(TIDE_S, end - time.monotonic()))
            self.flood.clear()
            self.stop.wait(EBB_S)
        self.stop.set()
        self.flood.set()


def call_until(tide: Tide, caller: Caller, chance: random.Random) -> None:
    """One call after the other, sometimes in bursts, sometimes after a rest."""
    names, weights = list(WEIGHTS), list(WEIGHTS.values())
    while not tide.stop.is_set():
        tide.flood.wait()
        (name,) = chance.choices(names, weights)
        for _ in range(chance.choice([1, 1, 1, 5])):
            if not tide.stop.is_set():
                caller.call(name)
        tide.stop.wait(chance.random() ** 4)


def churn_until(tide: Tide, caller: Caller, record: Record, chance: random.Random) -> int:
    """Deploy, call, update while it is called, and delete, one function after the other; returns how many."""
    count = 0
    while not tide.stop.is_set():
        name = f"churn-{count}"
        try:
            _one_life(caller, record, name, chance)
        except Exception as error:
            record.complain(name, repr(error))
        count += 1
    return count


def _one_life(caller: Caller, record: Record, name: str, chance: random.Random) -> None:
    client = caller.client
    deploy(client, name, _edition(chance, 0))
    _call_edition(caller, record, name, {0})
    for edition in range(1, chance.randrange(1, 4)):
        with ThreadPoolExecutor(2) as others:
            calls = [others.submit(_call_edition, caller, record, name, {edition - 1, edition}) for _ in range(2)]
            client.update_function_code(FunctionName=name, ZipFile=_edition(chance, edition).code)
            for call in calls:
                call.result()
        waiter = client.get_waiter("function_updated_v2")
        waiter.wait(FunctionName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 300})
        _call_edition(caller, record, name, {edition})
    client.delete_function(FunctionName=name)
    try:
        client.invoke(FunctionName=name, Payload=b"{}")
        record.complain(name, "it answers although it was deleted")
    except client.exceptions.ResourceNotFoundException:
        record.refused("churn", "gone")


def _edition(chance: random.Random, number: int) -> Place:
    return Place(f"return reply(event, {number})", f"import {chance.choice(MODULES)}")


def _call_edition(caller: Caller, record: Record, name: str, allowed: set[int]) -> None:
    try:
        answer = caller.client.invoke(FunctionName=name, Payload=json.dumps({"token": name}).encode())
    except ClientError as error:
        record.complain(name, error)
        return
    got = json.loads(answer["Payload"].read())
    right = got.get("value") if got.get("value") in allowed else None
    result = caller.judge(name, name, answer.get("FunctionError"), got, right)
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    record.answered(name, result, headers["x-amzn-requestid"], headers["x-torpor-start"])


def main() -> None:
    url, data, pid, seconds, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
    keys = json.loads((data / "key.json").read_text())
    groups = [Path(root) for root in json.loads((data / "run/cgroups.json").read_text())]
    record, tide = Record(), Tide()
    caller = lambda name: Caller(url, keys, record, random.Random(f"{seed} {name}"))  # noqa: E731
    report: dict[str, Any] = {"fresh": traces(pid, groups), "memory_mb": []}
    for name, place in PLACES.items():
        deploy(caller("deploy").client, name, place)
    with ThreadPoolExecutor(CALLERS + 2) as threads:
        work = [
            threads.submit(call_until, tide, caller(n), random.Random(f"{seed} rhythm {n}")) for n in range(CALLERS)
        ]
        churned = threads.submit(churn_until, tide, caller("churn"), record, random.Random(f"{seed} lives"))
        killed = threads.submit(kill_until, tide.stop, pid, random.Random(f"{seed} kills"))
        sampler = threading.Thread(target=_sample, args=(tide, pid, groups, report["memory_mb"]))
        sampler.start()
        tide.turn(seconds)
        for one in work:
            one.result()
        report |= {"churned": churned.result(), "killed": killed.result()}
        sampler.join()
    report["asleep"] = wait_for(lambda: not _instances(traces(pid, groups)), KEPT)
    time.sleep(EBB_S)  # the processes are gone, and what they had is being put away
    report["after"] = traces(pid, groups)
    report |= {
        "outcomes": dict(sorted(record.outcomes.items())), "starts": record.starts, "left": record.left,
        "wrong": record.wrong, "requests": record.requests,
    }  # fmt: skip
    print(json.dumps(report))  # noqa: T201 -- it is the report


def _sample(tide: Tide, pid: int, groups: list[Path], kept: list[int]) -> None:
    while not tide.stop.wait(EBB_S):
        kept.append(traces(pid, groups)["memory_mb"])


def _instances(counts: dict[str, int]) -> Counter[str]:
    """What is neither the server's own nor a resting zygote's."""
    return Counter({kind: counts[kind] for kind in ("init", "worker", "order", "other") if counts.get(kind)})


if __name__ == "__main__":
    main()

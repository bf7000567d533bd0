"""The tour of examples/tour calls every operation that is built, and uses every waiter and paginator, by both clients."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import botocore.exceptions
import botocore.loaders
import pytest
from botocore import xform_name

from torpor.testing.aws_wire import SERVICES, Wire

TOUR = Path(__file__).parents[2] / "examples/tour"
# Version 1 of the `aws` command line has no streams of events; its live tail is for terminals.
NOT_BY_SHELL = {("lambda", "invoke-with-response-stream"), ("logs", "start-live-tail")}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def built(server):
    """Every operation that the server answers, by service."""
    wire = Wire.to(server.url, server.keys)
    found = {(service, operation) for service in SERVICES for operation in wire.offered(service)}
    wire.close()
    return found


def modelled(kind, key):
    """What botocore has of a kind besides operations: waiters or paginators, by service and name."""
    for service in SERVICES:
        try:
            model = botocore.loaders.Loader().load_service_model(service, kind)
        except botocore.exceptions.UnknownServiceError:
            continue  # a service without any
        for name, one in model[key].items():
            yield service, name, one


def waiters_of(built):
    return {
        (service, xform_name(name))
        for service, name, one in modelled("waiters-2", "waiters")
        if (service, one["operation"]) in built
    }


def paginators_of(built):
    return {
        (service, xform_name(name))
        for service, name, _ in modelled("paginators-1", "pagination")
        if (service, name) in built
    }


def test_the_tour_by_boto3_leaves_nothing_out(server, built):
    """Each operation succeeds at least once, each waiter waits, each paginator has more than one page; nothing is left."""
    lines = server.cli("run", "--", sys.executable, str(TOUR / "tour.py")).stdout.splitlines()
    name = lines[0].removeprefix("name ")
    words = [line.split() for line in lines]
    called = {(service, operation) for service, operation, *more in words if not more and service in SERVICES}
    assert called == built
    assert {(service, waiter) for kind, service, waiter in _of(words, "waiter")} == waiters_of(built)
    pages = {(service, operation): int(count) for _, service, operation, count in _of(words, "paginator")}
    assert set(pages) == paginators_of(built)
    assert min(pages.values()) > 1
    left = server.client("lambda").get_paginator("list_functions").paginate()
    assert not [one for page in left for one in page["Functions"] if one["FunctionName"].startswith(name)]


def test_the_tour_by_shell_leaves_nothing_out(built):
    """Each operation has its line, each waiter one with `wait`, each paginator one with a page size."""
    script = (TOUR / "tour.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(rf"\b(?:call|ask) ({'|'.join(SERVICES)}) ([a-z0-9-]+)(.*)", script)
    called = {(service, operation) for service, operation, _ in lines if operation != "wait"}
    assert called == {(service, xform_name(operation, "-")) for service, operation in built} - NOT_BY_SHELL
    paged = {(service, operation) for service, operation, more in lines if "--page-size 1" in more}
    assert paged == {(service, operation.replace("_", "-")) for service, operation in paginators_of(built)}
    names = {f"{service} {name.replace('_', '-')}" for service, name in waiters_of(built)}
    looped = re.findall(r"for waiter in ([a-z0-9 -]+);", script)
    waited = {f"lambda {name}" for names in looped for name in names.split()}
    waited |= {f"{service} {more.split()[0]}" for service, operation, more in lines if operation == "wait"}
    assert waited - {"lambda $waiter"} == names


@pytest.mark.full
def test_the_tour_by_shell_runs_through(server, aws):
    """The published command line is content with every answer."""
    path = f"{Path(aws).parent}:/usr/local/bin:/usr/bin:/bin"
    done = server.cli("run", "--", "bash", str(TOUR / "tour.sh"), more={"PATH": path}, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]


def _of(words, kind):
    return [line for line in words if line[0] == kind]

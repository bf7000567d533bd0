"""Requests generated from the service models, valid and mutated, signed, against a server of their own: none gets a 500.

Every operation that the server answers otherwise than with 501 is called, in turns, so that what one turn creates the next
one finds. The choices come from a seed, which a failure names with the request and the answer.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from torpor.testing.aws_answers import WrongAnswer, check
from torpor.testing.aws_requests import mutated, valid
from torpor.testing.aws_values import Pool
from torpor.testing.aws_wire import SERVICES, Wire

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass
class Caller:
    """Sends generated requests, and checks every answer."""

    wire: Wire
    pool: Pool = field(default_factory=Pool)
    statuses: Counter[int] = field(default_factory=Counter)
    succeeded: set[tuple[str, str]] = field(default_factory=set)
    called: set[tuple[str, str]] = field(default_factory=set)

    def try_out(self, service: str, operation: str, seed: str) -> None:
        rng = random.Random(seed)
        request = valid(service, operation, rng, self.pool)
        if rng.random() < 0.5:
            request = mutated(request, rng)
        answer = self.wire.send(request)
        try:
            parsed = check(request, answer)
        except WrongAnswer as error:
            error.add_note(f"seed: {seed}")
            raise
        self.statuses[answer.status] += 1
        self.called.add((service, operation))
        if answer.status < 300:
            parsed.pop("ResponseMetadata", None)
            self.pool.learn(parsed)
            self.succeeded.add((service, operation))


def fuzz(server, turns: int) -> Caller:
    """Call every operation that is built in so many turns; what takes away comes in every third."""
    wire = Wire.to(server.url, server.keys)
    caller = Caller(wire)
    offered = [(service, operation) for service in SERVICES for operation in wire.offered(service)]
    assert len(offered) > 100
    for turn in range(turns):
        for service, operation in offered:
            if turn % 3 == 2 or not operation.startswith(("Delete", "Remove")):
                caller.try_out(service, operation, f"{service}:{operation}:{turn}")
    wire.close()
    assert caller.called == set(offered)
    return caller


@pytest.fixture
def target(start_server):
    """A server of its own: what is deleted here belongs to nobody else."""
    server = start_server(TORPOR_DEPLOY_CHECK="false", TORPOR_ZYGOTES="false", TORPOR_BLANKS="0")
    yield server
    server.stop()


def test_no_generated_request_is_answered_with_500(target):
    """Whatever is asked of any operation, the answer comes, is no 5xx, and is what botocore's parsers and models expect."""
    caller = fuzz(target, turns=40)
    assert len(caller.succeeded) > len(caller.called) / 2, caller.called - caller.succeeded
    assert target.http("GET", "/_torpor/health")[0] == 200


@pytest.mark.full
def test_nor_is_any_of_very_many(target):
    """The same for two minutes; by then nearly each operation was also done at least once, and the server is well."""
    caller = fuzz(target, turns=300)
    never = caller.called - caller.succeeded
    assert len(never) < len(caller.called) / 10, never
    assert target.http("GET", "/_torpor/health")[0] == 200
    assert target.status()

"""What an instance holds open while it is frozen: its connections to the platform's own interface."""

import asyncio
import json

import pytest

from torpor.core.http import HttpResponse
from torpor.core.identity import Kind, Principal
from torpor.core.invocation import Invocation
from torpor.gateway.auth import Certain
from torpor.gateway.door import Doors
from torpor.runtime.node import Node, NodeOptions
from torpor.testing.logs import MemoryLog
from torpor.testing.revisions import make_revision

pytestmark = pytest.mark.slow

ASKING = """
import http.client

door = http.client.HTTPConnection("127.0.0.1", 9001, timeout=5)

def handler(event, context):
    fresh = door.sock is None
    door.request("GET", "/2015-03-31/functions/x")
    answer = door.getresponse().read().decode()
    return [fresh, door.sock.getsockname()[1], answer]
"""


class Front:
    """Answers everything alike."""

    async def __call__(self, _request):
        return HttpResponse(status=200, headers=(("content-type", "text/plain"),), body=b"hello")


class Known:
    """Knows every request for the function's own."""

    def begin(self, _request):
        return Certain(Principal(Kind.FUNCTION, "arn", "function", ()))

    def holds_token(self, _request):
        return False


async def test_a_connection_to_the_door_outlives_the_frost(sandboxes, tmp_path):
    """A client inside finds its kept-alive connection usable after its instance was frozen, and nothing reconnects."""
    if not sandboxes.can_freeze:
        pytest.skip("no version 2 control group can be written here")
    tmp_path.chmod(0o755)
    doors = Doors(Front(), lambda _request: "lambda", Known(), None)

    async def open_door(revision, _instance_id, listeners):
        return await doors.open(revision.config, revision.version, listeners)

    node = Node(sandboxes, options=NodeOptions(), open_door=open_door, log_sink=MemoryLog())
    try:
        revision = make_revision(tmp_path / "code", ASKING, timeout_s=10)
        first = await _call(node, revision)
        async with asyncio.timeout(10):
            while not node.statistics().pools[0].frozen:  # noqa: ASYNC110  # seen from outside only
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        second = await _call(node, revision)
    finally:
        await node.close(grace_s=0)
    assert first[0] is True
    assert second == [False, first[1], "hello"]


async def _call(node, revision):
    outcome = await node.invoke(revision, Invocation(payload=b"{}"))
    assert outcome.function_error is None, outcome.payload
    return json.loads(outcome.payload)

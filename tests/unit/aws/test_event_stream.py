"""Event streams as botocore reads them: every message comes out as it went in."""

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from torpor.aws.lambda_.streams import ResponseEvents
from torpor.aws.protocol.event_stream import EventBody, encode
from torpor.aws.protocol.model import load_model
from torpor.core.invocation import Depth, Outcome, Result, Usage

SHAPE = load_model("lambda", ["InvokeWithResponseStream"]).operations["InvokeWithResponseStream"].output


class FakeStreamed:
    """An answer of these pieces, with this outcome."""

    executed_version = "$LATEST"

    def __init__(self, pieces, payload=b"", error=None, content_type="text/plain"):
        self.content_type = content_type
        self.pieces = list(pieces)
        self.closed = False
        usage = Usage(
            function="f", version="$LATEST", request_id="r", at=0.0, depth=Depth.WARM, init_ms=0.0, duration_ms=1.0,
            billed_ms=1, memory_mb=128, max_memory_mb=1, cpu_ms=1.0, result=Result.ERROR if error else Result.OK,
        )  # fmt: skip
        self.outcome = Outcome(
            payload=payload, usage=usage, executed_version="$LATEST", function_error=error, log_tail=b"log"
        )

    async def read(self):
        return self.pieces.pop(0) if self.pieces else None

    def close(self):
        self.closed = True


async def events(streamed, *, want_log=False):
    """What botocore makes of all the pieces."""
    body, buffer = (
        EventBody(SHAPE.members["EventStream"].shape, ResponseEvents(streamed, want_log=want_log)),
        EventStreamBuffer(),
    )
    while (piece := await body.read()) is not None:
        buffer.add_data(piece)
    body.close()
    assert streamed.closed
    return [(one.headers[":event-type"], one.payload) for one in buffer]


@given(
    st.dictionaries(st.from_regex(r":?[a-z-]{1,30}", fullmatch=True), st.text(max_size=50), max_size=5),
    st.binary(max_size=300),
)
def test_a_message_comes_out_as_it_went_in(headers, payload):
    """Lengths and checksums are botocore's to verify."""
    buffer = EventStreamBuffer()
    buffer.add_data(encode(headers, payload))
    (one,) = list(buffer)
    assert (one.headers, one.payload) == (headers, payload)


async def test_pieces_are_chunks_and_the_end_is_a_completion():
    """With the log where it was asked for."""
    assert await events(FakeStreamed([b"a", b"\xff"]), want_log=True) == [
        ("PayloadChunk", b"a"),
        ("PayloadChunk", b"\xff"),
        ("InvokeComplete", b'{"LogResult":"bG9n"}'),
    ]


async def test_a_failure_is_in_the_completion():
    """Its code is the error's type, or what Lambda says of errors that have none."""
    for payload, code in ((b'{"errorType": "Own"}', "Own"), (b"[1]", "Unhandled"), (b"no json", "Unhandled")):
        (first, (kind, completion)) = await events(FakeStreamed([b"a"], payload, "Unhandled"))
        assert first == ("PayloadChunk", b"a")
        assert kind == "InvokeComplete"
        assert f'"ErrorCode":"{code}"'.encode() in completion


async def test_a_whole_answer_is_cut_into_chunks():
    """One that is large; and one that failed has none."""
    found = await events(FakeStreamed([], b"x" * 150_000, content_type=None))
    assert [len(payload) for kind, payload in found if kind == "PayloadChunk"] == [65536, 65536, 18928]
    assert found[-1] == ("InvokeComplete", b"{}")
    assert [kind for kind, _ in await events(FakeStreamed([], b"{}", "Unhandled", None))] == ["InvokeComplete"]

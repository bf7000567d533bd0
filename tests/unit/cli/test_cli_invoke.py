"""`torpor invoke`: what is sent, what is printed, and the exit code."""

from __future__ import annotations

import base64
import io
import json
import sys
from types import SimpleNamespace

import pytest

ERROR = {
    "errorMessage": "division by zero",
    "errorType": "ZeroDivisionError",
    "requestId": "1",
    "stackTrace": ['  File "/var/task/app.py", line 3, in handler\n    1/0\n'],
}
INVOCATIONS = "/2015-03-31/functions/echo/invocations"


def test_prints_the_payload_exactly(torpor, fake):
    """What the function returned is on standard output to the byte, and nothing else anywhere."""
    fake.add("echo")
    ran = torpor("invoke", "echo", "-d", '{"a": "é"}')
    assert (ran.code, ran.raw, ran.err) == (0, '{"a": "é"}'.encode(), "")
    call = fake.calls[-1]
    assert (call.method, call.path) == ("POST", INVOCATIONS)
    assert call.headers["x-amz-invocation-type"] == "RequestResponse"


def test_sends_an_empty_object_by_default(torpor, fake):
    """Without -d the event is an empty object, as from AWS's console."""
    fake.add("echo")
    assert torpor("invoke", "echo").raw == b"{}"


def test_reads_the_event_from_a_file(torpor, fake, tmp_path):
    """@FILE sends a file's bytes untouched."""
    fake.add("echo")
    (tmp_path / "event.json").write_bytes(b'{ "n" : 1 }\n')
    assert torpor("invoke", "echo", "-d", f"@{tmp_path}/event.json").raw == b'{ "n" : 1 }\n'


def test_reads_the_event_from_standard_input(torpor, fake, monkeypatch):
    """- sends standard input."""
    fake.add("echo")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"[1]")))
    assert torpor("invoke", "echo", "-d", "-").raw == b"[1]"


def test_refuses_an_event_that_is_not_json(torpor, fake):
    """A text without quotes is wrong use, and the message shows how to write it; nothing is sent."""
    ran = torpor("invoke", "echo", "-d", "hello")
    assert ran.code == 2
    assert "'\"text\"'" in ran.err
    assert fake.calls == []


@pytest.mark.parametrize("event", ["[" * 100_000 + "]" * 100_000, "1" * 5000], ids=["deep", "long"])
def test_json_that_is_too_much_for_the_client_is_the_servers_to_judge(torpor, fake, tmp_path, event):
    """An event may be deeper, or have more digits, than this Python reads; so may an answer."""
    fake.add("echo")
    (tmp_path / "event.json").write_text(event)
    for more in ((), ("--json",), ("--http", "POST", "/"), ("--http", "POST", "/", "--json")):
        ran = torpor("invoke", "echo", "-d", f"@{tmp_path / 'event.json'}", *more)
        assert ran.code == 0, ran.err
        assert event in ran.out


def test_refuses_an_event_file_that_is_not_there(torpor):
    """A missing @FILE is wrong use, named."""
    ran = torpor("invoke", "echo", "-d", "@/nowhere/event.json")
    assert ran.code == 2
    assert "/nowhere/event.json" in ran.err


def test_a_function_error_goes_to_standard_error(torpor, fake):
    """A function that raised gives exit code 1, its error with the stack on standard error, and nothing on output."""
    fake.reply("POST", INVOCATIONS, _reply(200, json.dumps(ERROR).encode(), {"x-amz-function-error": "Unhandled"}))
    ran = torpor("invoke", "echo")
    assert (ran.code, ran.out) == (1, "")
    assert "ZeroDivisionError: division by zero" in ran.err
    assert "/var/task/app.py" in ran.err


def test_json_tells_everything(torpor, fake):
    """--json prints payload and measurements as one object."""
    fake.add("echo")
    told = torpor("invoke", "echo", "-d", '{"a": 1}', "--json").json
    assert told["payload"] == {"a": 1}
    assert (told["start"], told["init_ms"], told["billed_ms"]) == ("spawn", 80.25, 82)
    assert told["executed_version"] == "$LATEST"
    assert told["function_error"] is None


def test_json_of_a_function_error(torpor, fake):
    """--json keeps the error on standard output, and the exit code is 1 all the same."""
    fake.reply("POST", INVOCATIONS, _reply(200, json.dumps(ERROR).encode(), {"x-amz-function-error": "Unhandled"}))
    ran = torpor("invoke", "echo", "--json")
    assert ran.code == 1
    assert ran.json["function_error"] == "Unhandled"
    assert ran.json["payload"]["errorType"] == "ZeroDivisionError"


def test_tail_prints_the_log_on_standard_error(torpor, fake):
    """--tail asks for the log and shows it apart from the payload."""
    log = base64.b64encode(b"START RequestId: 1\nhello\nEND RequestId: 1\n").decode()
    fake.reply("POST", INVOCATIONS, _reply(200, b"1", {"x-amz-log-result": log}))
    ran = torpor("invoke", "echo", "--tail")
    assert fake.calls[-1].headers["x-amz-log-type"] == "Tail"
    assert (ran.raw, ran.err) == (b"1", "START RequestId: 1\nhello\nEND RequestId: 1\n")


def test_dry_run_invokes_nothing(torpor, fake):
    """--dry-run sends the invocation type DryRun and prints no payload."""
    fake.reply("POST", INVOCATIONS, _reply(204))
    ran = torpor("invoke", "echo", "--dry-run")
    assert (ran.code, ran.out) == (0, "")
    assert fake.calls[-1].headers["x-amz-invocation-type"] == "DryRun"


def test_a_missing_function_is_refused(torpor):
    """The server's refusal is exit code 4, in its words."""
    ran = torpor("invoke", "nobody")
    assert ran.code == 4
    assert "Function not found: nobody" in ran.err


def test_aws_errors_are_read_too(torpor, fake):
    """Errors in AWS's shape are understood as well as our own."""
    body = b'{"Type": "User", "Message": "Rate Exceeded.", "Reason": "x"}'
    fake.reply("POST", INVOCATIONS, _reply(429, body, {"x-amzn-errortype": "TooManyRequestsException:http://x/"}))
    ran = torpor("invoke", "echo", "--json")
    assert ran.code == 4
    assert json.loads(ran.err) == {"error": {"code": "TooManyRequestsException", "message": "Rate Exceeded."}}


def test_a_qualifier_stays_readable_in_the_path(torpor, fake):
    """NAME:QUALIFIER and an ARN are sent as they are."""
    torpor("invoke", "echo:$LATEST")
    assert fake.calls[-1].path == "/2015-03-31/functions/echo:$LATEST/invocations"


def test_over_http(torpor, fake):
    """--http prints the status on standard error and the body's bytes on standard output."""
    headers = {"x-torpor-start": "warm", "content-type": "image/png"}
    fake.reply("POST", "/fn/echo/items", _reply(201, b"\x89PNG\x00", headers))
    ran = torpor("invoke", "echo", "--http", "post", "/items?page=2", "-d", "[1]", "-H", "X-One: 1")
    assert (ran.code, ran.raw, ran.err) == (0, b"\x89PNG\x00", "201 Created\n")
    call = fake.calls[-1]
    assert (call.method, call.query, call.body) == ("POST", {"page": "2"}, b"[1]")
    assert (call.headers["content-type"], call.headers["x-one"]) == ("application/json", "1")


def test_over_http_a_function_may_answer_404(torpor, fake):
    """A 404 that the function itself gave is an answer; one without the function having run is a refusal."""
    fake.reply("GET", "/fn/echo/x", _reply(404, b"no such item", {"x-torpor-start": "warm"}))
    ran = torpor("invoke", "echo", "--http", "GET", "/x")
    assert (ran.code, ran.out, ran.err) == (0, "no such item", "404 Not Found\n")
    assert torpor("invoke", "nobody", "--http", "GET", "/x").code == 4


def test_over_http_a_failed_function_is_exit_code_1(torpor, fake):
    """A 5xx answer of a function that ran is its failure, and the way to its log is shown."""
    headers = {"x-torpor-start": "warm", "x-amzn-requestid": "r-1"}
    fake.reply("GET", "/fn/echo/", _reply(502, b'{"message":"Internal Server Error"}', headers))
    ran = torpor("invoke", "echo", "--http", "GET", "/")
    assert ran.code == 1
    assert "logs echo --request r-1" in ran.err


def test_over_http_any_letters_may_be_typed(torpor, fake):
    """Spaces and letters beyond ASCII are percent-encoded; what is encoded already stays."""
    fake.add("echo")
    assert torpor("invoke", "echo", "--http", "GET", "/a b/é%20?q=1#x").code == 0
    assert fake.calls[-1].path == "/fn/echo/a%20b/%C3%A9%20"
    assert fake.calls[-1].query == {"q": "1#x"}


@pytest.mark.parametrize("header", ["no colon", ": x", "a: b\nc: d", "a: \u4e16"])
def test_headers_that_cannot_be_sent_are_wrong_use(torpor, fake, header):
    """A header that would break the request, or cannot be written in it, is refused here."""
    assert torpor("invoke", "echo", "--http", "GET", "/", "-H", header).code == 2
    assert fake.calls == []


def test_wrong_combinations_teach(torpor):
    """Options that do not go together are wrong use, and say what to do instead."""
    assert torpor("invoke", "echo", "--http", "GET", "/", "--dry-run").code == 2
    assert torpor("invoke", "echo", "-H", "a: b").code == 2
    assert torpor("invoke", "echo", "--http", "GET /", "/").code == 2
    ran = torpor("invoke", "echo", "--http", "GET", "x")
    assert ran.code == 2
    assert "/x" in ran.err


def _reply(status, body=b"", headers=None):
    return SimpleNamespace(status=status, body=body, headers=headers or {})

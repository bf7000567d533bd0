"""The context object."""

import json

import pytest

from torpor.guest.context import LambdaContext
from torpor.guest.faults import Fault
from torpor.wire.messages import Call

CALL = Call("req-1", "arn:aws:lambda:us-east-1:000000000000:function:f", 3000)


@pytest.fixture(autouse=True)
def _variables(monkeypatch):
    for name, value in {
        "FUNCTION_NAME": "f", "FUNCTION_VERSION": "$LATEST", "FUNCTION_MEMORY_SIZE": "128",
        "LOG_GROUP_NAME": "/aws/lambda/f", "LOG_STREAM_NAME": "stream",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"AWS_LAMBDA_{name}", value)


def test_it_has_lambdas_attributes():
    """Names, identity and memory (a string, as in Lambda's Python) are those of the function."""
    context = LambdaContext(CALL)
    assert (context.function_name, context.function_version) == ("f", "$LATEST")
    assert context.memory_limit_in_mb == "128"
    assert context.aws_request_id == "req-1"
    assert context.invoked_function_arn == CALL.function_arn
    assert (context.log_group_name, context.log_stream_name) == ("/aws/lambda/f", "stream")
    assert context.identity.cognito_identity_id is None
    assert context.client_context is None
    assert "aws_request_id=req-1" in repr(context)


def test_the_remaining_time_counts_down_from_the_timeout():
    """It starts at what is left and never goes below zero."""
    assert 2900 < LambdaContext(CALL).get_remaining_time_in_millis() <= 3000
    assert LambdaContext(CALL._replace(timeout_ms=0)).get_remaining_time_in_millis() == 0


def test_a_client_context_becomes_an_object():
    """custom, env and client are attributes, as in Lambda."""
    text = json.dumps({"custom": {"k": "v"}, "env": {"e": 1}, "client": {"installation_id": "i"}})
    client_context = LambdaContext(CALL._replace(client_context=text)).client_context
    assert client_context.custom == {"k": "v"}
    assert client_context.env == {"e": 1}
    assert client_context.client.installation_id == "i"
    assert client_context.client.app_title is None


def test_an_unreadable_client_context_is_lambdas_error():
    """The handler is not called with half a context."""
    with pytest.raises(Fault) as caught:
        LambdaContext(CALL._replace(client_context="{"))
    assert caught.value.kind == "Runtime.LambdaContextUnmarshalError"

"""Real clients: boto3 with its own signing, presigned links, botocore's credentials from a door."""

import asyncio
import re
import socket
import time
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
import time_machine
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from torpor.core.arn import Home
from torpor.core.errors import FunctionNotFound
from torpor.core.function import FunctionConfig
from torpor.core.identity import Kind
from torpor.functions.sessions import Sessions
from torpor.gateway.auth import Closed, Keys
from torpor.gateway.door import CREDENTIALS, Doors
from torpor.store.sealing import Sealer

CONFIG = Config(retries={"total_max_attempts": 1}, read_timeout=10, connect_timeout=5)


@pytest.fixture
def client(server, credentials):
    def client(service="lambda", **changes):
        return boto3.client(service, endpoint_url=server.url, config=CONFIG, **{**credentials, **changes})

    return client


@pytest.mark.slow
async def test_boto3_is_let_in(server, client):
    """What boto3 signs is its owner's, odd names and payloads included."""
    payload = '{"text": "hé ☃"}'.encode()
    answer = await asyncio.to_thread(
        lambda: client().invoke(
            FunctionName="hello:live", Payload=payload, Qualifier="live", InvocationType="RequestResponse"
        )
    )
    assert answer["Payload"].read() == payload
    assert server.backend.requests[0].principal.kind is Kind.OWNER
    await asyncio.to_thread(lambda: client("s3").put_object(Bucket="bucket", Key="a b/../ü+=?.txt", Body=b"data"))
    assert b"data" in server.backend.requests[1].body
    assert (await asyncio.to_thread(lambda: client("sts").get_caller_identity()))["ResponseMetadata"][
        "HTTPStatusCode"
    ] == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("service", "change", "code"),
    [
        ("lambda", {"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
        ("lambda", {"aws_access_key_id": "AKIAOTHER"}, "UnrecognizedClientException"),
        ("lambda", {"aws_session_token": "left over"}, "UnrecognizedClientException"),
        ("sts", {"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
        ("sts", {"aws_access_key_id": "AKIAOTHER"}, "InvalidClientTokenId"),
        ("sqs", {"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
    ],
)
async def test_boto3_understands_a_refusal(server, client, service, change, code):
    """Each protocol's own error reaches the caller as AWS's would."""
    calls = {"lambda": "list_functions", "sts": "get_caller_identity", "sqs": "list_queues"}
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(getattr(client(service, **change), calls[service]))
    assert caught.value.response["Error"]["Code"] == code
    assert not server.backend.requests


@pytest.mark.slow
async def test_boto3_understands_an_oversized_payload(server, client):
    """More than six megabytes is RequestTooLargeException, though the body was still being sent."""
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(lambda: client().invoke(FunctionName="hello", Payload=b'"' + b"x" * 7_000_000 + b'"'))
    assert caught.value.response["Error"]["Code"] == "RequestTooLargeException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


@pytest.mark.slow
async def test_a_presigned_link_works_in_any_client(server, client):
    """generate_presigned_url, fetched without any AWS library."""
    link = client().generate_presigned_url("get_function", {"FunctionName": "hello"}, ExpiresIn=60)
    async with httpx.AsyncClient() as http:
        assert (await http.get(link)).status_code == 200
        assert (await http.get(link.replace("hello", "other"))).status_code == 403
        assert (await http.delete(link)).status_code == 403


async def test_a_signed_request_to_a_function(server, credentials):
    """Requests to a function's address are signed as for `lambda`."""
    request = AWSRequest(
        "POST", f"{server.url}/fn/hello/a%20b", data=b"{}", headers={"content-type": "application/json"}
    )
    SigV4Auth(
        Credentials(credentials["aws_access_key_id"], credentials["aws_secret_access_key"]), "lambda", "x"
    ).add_auth(request)
    async with httpx.AsyncClient() as http:
        answer = await http.post(request.url, content=b"{}", headers=dict(request.headers.items()))
    assert answer.status_code == 200
    assert answer.json()["rawPath"] == "/a%20b"


HELLO = FunctionConfig(name="hello", handler="app.handler", permissions=("lambda:*",))


class Functions:
    """The configurations of the functions there are."""

    def __init__(self):
        self.configs = {"hello": HELLO}

    def __call__(self, name, _version):
        if name not in self.configs:
            raise FunctionNotFound(name)
        return self.configs[name]


@pytest.fixture
def functions():
    return Functions()


@pytest.fixture
async def door(backend, functions):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    sessions = Sessions(Sealer(b"k" * 32), {}, functions, Home())
    doors = Doors(backend, backend.service_of, Closed(Keys(session=sessions.find)), sessions)
    door = await doors.open(HELLO, "$LATEST", [listener])
    yield door, listener, sessions
    await door.close()


@pytest.mark.slow
async def test_botocore_renews_its_credentials_at_the_door(door, backend, functions, monkeypatch):
    """With the two variables of a container, a client asks for credentials by itself, asks again when the clock jumps
    beyond their hour, and is refused once its function has lost a permission or is gone.
    """
    _, listener, _ = door
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url + CREDENTIALS)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "any")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    caller = await asyncio.to_thread(
        lambda: boto3.Session().client("lambda", endpoint_url=url, region_name="us-east-1", config=CONFIG)
    )

    async def call():
        await asyncio.to_thread(lambda: caller.invoke(FunctionName="other", Payload=b"{}"))
        request = backend.requests[-1]
        (key_id,) = re.findall(r"Credential=(\w+)/", request.header("authorization"))
        return key_id, request.principal.permissions

    now = time.time()
    first = await call()
    assert first[1] == ("lambda:*",)
    assert await call() == first
    with time_machine.travel(now + 3 * 3600, tick=True):
        renewed = await call()
        assert renewed[0] != first[0]
        functions.configs["hello"] = HELLO.evolve(permissions=())
        assert await call() == (renewed[0], ())
        functions.configs.clear()
        with pytest.raises(ClientError) as caught:
            await call()
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"
    caller.close()


async def test_a_closed_door_holds_nothing(door, backend, until):
    """Listener and connections are closed, and what was asked is dropped, though the client still waits."""
    opened, listener, sessions = door
    backend.hold = asyncio.Event()
    port = listener.getsockname()[1]
    given = sessions.of_function(HELLO, "$LATEST", 60)
    request = AWSRequest("POST", "http://x/2015-03-31/functions/a/invocations", data=b"")
    SigV4Auth(Credentials(given.access_key_id, given.secret, given.token), "lambda", "us-east-1").add_auth(request)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = "\r\n".join([f"POST {urlsplit(request.url).path} HTTP/1.1", "Host: x", "Content-Length: 0", *lines, "", ""])
    writer.write(head.encode())
    await until(lambda: backend.requests)
    assert opened.connections == 1
    await opened.close()
    assert opened.connections == 0
    assert listener.fileno() == -1
    assert backend.cancelled == 1
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await opened.close()

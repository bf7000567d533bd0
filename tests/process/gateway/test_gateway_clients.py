"""Real clients: boto3 with its own signing, presigned links, botocore's credentials from a door."""

import asyncio
import socket

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import ContainerProvider, Credentials
from botocore.exceptions import ClientError

from torpor.core.identity import Kind, Principal
from torpor.gateway.door import CREDENTIALS, Doors, Pass

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


FUNCTION = Principal(Kind.FUNCTION, "arn:aws:sts::000000000000:assumed-role/hello/hello", "hello")


@pytest.fixture
async def door(backend):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    issued = Pass(authorization="the token of this door")
    door = await Doors(backend, backend.service_of).open(FUNCTION, [listener], issued)
    yield door, listener, issued
    await door.close()


@pytest.mark.slow
async def test_botocore_finds_its_credentials_at_the_door(door, backend):
    """With the two variables of a container, botocore fetches credentials and signs; the door knows who it is."""
    _, listener, issued = door
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    environ = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": url + CREDENTIALS,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": issued.authorization,
    }
    found = await asyncio.to_thread(ContainerProvider(environ).load)
    frozen = await asyncio.to_thread(found.get_frozen_credentials)
    assert frozen.access_key == issued.access_key_id
    assert not await asyncio.to_thread(found.refresh_needed)
    caller = boto3.client(
        "lambda", endpoint_url=url, region_name="us-east-1", config=CONFIG, aws_access_key_id=frozen.access_key,
        aws_secret_access_key=frozen.secret_key, aws_session_token=frozen.token,
    )  # fmt: skip
    await asyncio.to_thread(lambda: caller.invoke(FunctionName="other", Payload=b"{}"))
    assert backend.requests[0].principal == FUNCTION


async def test_a_closed_door_holds_nothing(door, backend, until):
    """Listener and connections are closed, and what was asked is dropped, though the client still waits."""
    opened, listener, _ = door
    backend.hold = asyncio.Event()
    port = listener.getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /2015-03-31/functions/a/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
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

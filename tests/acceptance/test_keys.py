"""Keys for others, and the credentials of functions, on a running server."""

from __future__ import annotations

import json
import urllib.request

import boto3
import botocore.config
import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow

# What an SDK does inside a function, without one: credentials from the door, and a signature.
ASK = """
import datetime, hashlib, hmac, json, os, urllib.error, urllib.request

def credentials():
    token = os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    url = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": token})) as answer:
        return json.load(answer)

def digest(key, text):
    return hmac.new(key, text.encode(), "sha256").digest()

def sign(given, method, path, body, service):
    at = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{at[:8]}/us-east-1/{service}/aws4_request"
    headers = {"host": "127.0.0.1:9001", "x-amz-date": at, "x-amz-security-token": given["Token"]}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\\n" for name in sorted(headers))
    canonical = "\\n".join([method, path, "", lines, names, hashlib.sha256(body).hexdigest()])
    key = ("AWS4" + given["SecretAccessKey"]).encode()
    for part in (at[:8], "us-east-1", service, "aws4_request"):
        key = digest(key, part)
    text = "\\n".join(["AWS4-HMAC-SHA256", at, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    proof = hmac.new(key, text.encode(), "sha256").hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={given['AccessKeyId']}/{scope}, SignedHeaders={names}, Signature={proof}"
    )
    return headers

def handler(event, context):
    given = event.get("credentials") or credentials()
    if event.get("unsigned"):
        headers = {}
    else:
        headers = sign(given, "POST", event["path"], b"{}", "lambda")
    request = urllib.request.Request("http://127.0.0.1:9001" + event["path"], b"{}", headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return {"status": answer.status, "body": answer.read().decode(), "credentials": given}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "body": error.read().decode(), "credentials": given}
"""
HELLO = "def handler(event, context):\n    return 'hello'\n"


def client_of(server, key, service, token=None):
    return boto3.client(
        service,
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=key["access_key_id"],
        aws_secret_access_key=key["secret_access_key"],
        aws_session_token=token,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_key_does_what_it_was_made_for_until_it_is_removed(server, create):
    """By boto3, presigned URL, session and command line; every refusal names the right; removed is refused."""
    create(server, "spam-1", HELLO)
    create(server, "ham", HELLO)
    words = ["keys", "create", "ci", "--allow", "lambda:InvokeFunction", "--allow", "lambda:GetFunction"]
    key = json.loads(server.cli(*words, "--function", "spam-*", "--json").stdout)
    assert key["permissions"] == ["lambda:InvokeFunction/spam-*", "lambda:GetFunction/spam-*"]
    lambda_, sts = client_of(server, key, "lambda"), client_of(server, key, "sts")

    assert lambda_.invoke(FunctionName="spam-1")["Payload"].read() == b'"hello"'
    link = lambda_.generate_presigned_url("get_function", {"FunctionName": "spam-1"}, ExpiresIn=60)
    with urllib.request.urlopen(link) as answer:
        assert json.load(answer)["Configuration"]["FunctionName"] == "spam-1"
    code, message = refused(lambda_.invoke, FunctionName="ham")
    arn = "arn:aws:lambda:us-east-1:000000000000:function:ham"
    assert code == "AccessDeniedException"
    assert f"user/ci is not authorized to perform: lambda:InvokeFunction on resource: {arn}" in message
    assert refused(lambda_.delete_function, FunctionName="spam-1")[0] == "AccessDeniedException"
    assert refused(lambda_.list_functions)[0] == "AccessDeniedException"

    assert sts.get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:user/ci"
    given = sts.get_session_token(DurationSeconds=900)["Credentials"]
    session = {"access_key_id": given["AccessKeyId"], "secret_access_key": given["SecretAccessKey"]}
    for_a_while = client_of(server, session, "lambda", given["SessionToken"])
    assert for_a_while.invoke(FunctionName="spam-1")["Payload"].read() == b'"hello"'

    token = {"TORPOR_TOKEN": key["token"], "TORPOR_URL": server.url}
    said = server.cli("describe", "spam-1", "--json", check=False, more=token)
    assert said.returncode == 0, said.stderr
    said = server.cli("rm", "spam-1", check=False, more=token)
    assert said.returncode == 4
    assert "lambda:DeleteFunction" in said.stderr
    assert server.cli("keys", "ls", check=False, more=token).returncode == 4

    listed = server.cli("keys", "ls").stdout
    assert key["access_key_id"] in listed
    assert key["secret_access_key"] not in listed
    server.cli("keys", "rm", "ci")
    assert refused(lambda_.invoke, FunctionName="spam-1")[0] == "UnrecognizedClientException"
    assert refused(for_a_while.invoke, FunctionName="spam-1")[0] == "UnrecognizedClientException"
    secret = key["secret_access_key"].encode()
    assert not any(secret in path.read_bytes() for path in server.data.rglob("*") if path.is_file())


def test_keys_outlive_the_server(start_server, tmp_path):
    """A key made before is good after, and its secret lies nowhere in the data folder."""
    data = tmp_path / "data"
    server = start_server(data=data)
    key = json.loads(server.cli("keys", "create", "ci", "--allow", "*", "--json").stdout)
    server.stop()
    again = start_server(data=data)
    assert client_of(again, key, "lambda").list_functions()["Functions"] == []
    assert not any(key["secret_access_key"].encode() in path.read_bytes() for path in data.rglob("*") if path.is_file())
    again.stop()


def test_a_function_s_credentials_are_good_for_what_it_may(server, create):
    """Granted calls pass, others and unsigned ones are refused; what it lost, or what is gone, is refused with them."""
    create(server, "greeter", HELLO)
    asker = create(server, "asker", ASK, Tags={"torpor:permissions": "lambda:InvokeFunction/greeter"})

    def ask(name="asker", **event):
        payload = json.dumps({"path": "/2015-03-31/functions/greeter/invocations", **event}).encode()
        return json.loads(asker.invoke(FunctionName=name, Payload=payload)["Payload"].read())

    told = ask()
    assert (told["status"], told["body"]) == (200, '"hello"')
    assert ask(path="/2015-03-31/functions/asker/invocations")["status"] == 403
    refusal = ask(unsigned=True)
    assert (refusal["status"], "Missing Authentication Token" in refusal["body"]) == (403, True)

    create(server, "other", ASK)
    stolen = ask("other", credentials=told["credentials"])
    assert (stolen["status"], "not the credentials of the function other" in stolen["body"]) == (403, True)
    outside = {
        "access_key_id": told["credentials"]["AccessKeyId"],
        "secret_access_key": told["credentials"]["SecretAccessKey"],
    }
    client = client_of(server, outside, "lambda", told["credentials"]["Token"])
    assert client.invoke(FunctionName="greeter")["Payload"].read() == b'"hello"'
    asker.delete_function(FunctionName="asker")
    assert refused(client.invoke, FunctionName="greeter")[0] == "UnrecognizedClientException"


def test_a_key_for_one_function_stays_with_that_function(server, create, zipped):
    """Tags, layers, connections and other roles' sessions give its function nothing that the key itself may not do."""
    server.client("secretsmanager").create_secret(Name="prod/db", SecretString="hunter2")
    owner = create(server, "mine", HELLO)
    layer = owner.publish_layer_version(LayerName="theirs", Content={"ZipFile": zipped({"secret.py": "X = 1"})})
    server.client("iam").create_role(RoleName="torpor", AssumeRolePolicyDocument="{}")
    rights = ["lambda:TagResource/mine", "lambda:UntagResource/mine", "lambda:GetFunction/mine", "sts:AssumeRole"]
    words = [word for right in rights for word in ("--allow", right)]
    tagger = json.loads(server.cli("keys", "create", "tagger", *words, "--json").stdout)
    words += ["--allow", "lambda:UpdateFunctionConfiguration/mine"]
    configurer = json.loads(server.cli("keys", "create", "configurer", *words, "--json").stdout)

    arn = "arn:aws:lambda:us-east-1:000000000000:function:mine"
    client_of(server, tagger, "lambda").tag_resource(Resource=arn, Tags={"team": "a"})
    limited = client_of(server, configurer, "lambda")
    for tag, value, right in [
        ("secrets", "DB=prod/db", "secretsmanager:GetSecretValue/prod/db"),
        ("reach", "127.0.0.1:5432", "torpor:Connect/127.0.0.1:5432"),
        ("permissions", "iam:CreateRole", "iam:CreateRole"),
        ("source-builds", "true", "torpor:BuildSources"),
    ]:
        tags = {f"torpor:{tag}": value}
        code, message = refused(client_of(server, tagger, "lambda").tag_resource, Resource=arn, Tags=tags)
        assert (code, "lambda:UpdateFunctionConfiguration" in message) == ("AccessDeniedException", True)
        code, message = refused(limited.tag_resource, Resource=arn, Tags=tags)
        assert (code, f"grant {right}:" in message) == ("AccessDeniedException", True)
        owner.tag_resource(Resource=arn, Tags=tags)
        owner.get_waiter("function_updated_v2").wait(FunctionName="mine", WaiterConfig={"Delay": 1})
        limited.untag_resource(Resource=arn, TagKeys=list(tags))  # taking away is no grant
        owner.get_waiter("function_updated_v2").wait(FunctionName="mine", WaiterConfig={"Delay": 1})
    assert json.loads(server.cli("describe", "mine", "--json").stdout)["secrets"] == []

    wanted = {"FunctionName": "mine", "Layers": [layer["LayerVersionArn"]]}
    assert "grant lambda:GetLayerVersion/theirs:" in refused(limited.update_function_configuration, **wanted)[1]
    role = "arn:aws:iam::000000000000:role/torpor"  # its sessions are named as functions are
    code, _ = refused(client_of(server, configurer, "sts").assume_role, RoleArn=role, RoleSessionName="other")
    assert code == "AccessDenied"

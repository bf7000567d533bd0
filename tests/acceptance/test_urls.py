"""Functions over HTTP: their own address, payload format 2.0 both ways, and who may call."""

from __future__ import annotations

import json

ECHO = "def handler(event, context):\n    return event\n"


def test_a_function_answers_the_public_only_when_its_url_says_so(server, create):
    """Without a URL, or with AWS_IAM, a stranger is refused; with NONE everybody is answered; removed, refused again."""
    client = create(server, "shop", ECHO)
    assert server.http("GET", "/fn/shop/")[0] == 403
    assert server.owner("GET", "/fn/shop/")[0] == 200
    url = client.create_function_url_config(FunctionName="shop", AuthType="AWS_IAM")
    assert url["AuthType"] == "AWS_IAM"
    assert server.http("GET", "/fn/shop/")[0] == 403
    client.update_function_url_config(FunctionName="shop", AuthType="NONE")
    assert server.http("GET", "/fn/shop/")[0] == 200
    assert client.get_function_url_config(FunctionName="shop")["FunctionUrl"].startswith("http")
    client.delete_function_url_config(FunctionName="shop")
    assert server.http("GET", "/fn/shop/")[0] == 403


def test_the_event_is_payload_format_two(server, create):
    """Path, query, cookies, headers and a text body arrive as Lambda's function URLs send them."""
    client = create(server, "format", ECHO)
    client.create_function_url_config(FunctionName="format", AuthType="NONE")
    status, _, body = server.http(
        "POST",
        "/fn/format/a%20b/c?x=1&x=2&y=",
        b'{"k": 1}',
        content_type="application/json",
        cookie="a=1; b=2",
        x_own="v",
    )
    event = json.loads(body)
    assert status == 200
    assert (event["version"], event["routeKey"], event["isBase64Encoded"]) == ("2.0", "$default", False)
    assert event["rawQueryString"] == "x=1&x=2&y="
    assert event["queryStringParameters"] == {"x": "1,2", "y": ""}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-own"] == "v"
    assert event["body"] == '{"k": 1}'
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"


def test_binary_goes_both_ways(server, create):
    """Bytes that are no text arrive as base64 and leave as bytes."""
    code = (
        "import base64\n"
        "def handler(event, context):\n"
        "    data = base64.b64decode(event['body']) if event['isBase64Encoded'] else b'text'\n"
        "    back = base64.b64encode(data[::-1]).decode()\n"
        "    return {'statusCode': 201, 'headers': {'content-type': 'image/png', 'x-n': '1'},\n"
        "            'cookies': ['c=1', 'd=2'], 'body': back, 'isBase64Encoded': True}\n"
    )
    client = create(server, "binary", code)
    client.create_function_url_config(FunctionName="binary", AuthType="NONE")
    data = bytes(range(256)) * 100
    status, headers, body = server.http("PUT", "/fn/binary/", data, content_type="application/octet-stream")
    assert (status, body) == (201, data[::-1])
    assert headers["content-type"] == "image/png"
    assert headers["x-torpor-start"] in {"spawn", "zygote", "warm"}
    assert int(headers["x-torpor-billed-ms"]) >= 1


def test_a_functions_failure_is_a_gateway_error(server, create):
    """An exception is 502, a time-out 504, and neither tells a stranger what went wrong inside."""
    code = (
        "import time\ndef handler(event, context):\n"
        "    if event['rawPath'] == '/slow':\n        time.sleep(30)\n    raise ValueError('secret')\n"
    )
    client = create(server, "failing", code, Timeout=1)
    client.create_function_url_config(FunctionName="failing", AuthType="NONE")
    status, _, body = server.http("GET", "/fn/failing/")
    assert status == 502
    assert b"secret" not in body
    assert server.http("GET", "/fn/failing/slow")[0] == 504


def test_a_function_has_a_host_of_its_own(server, create):
    """NAME.localhost answers at the root path."""
    client = create(server, "hosted", ECHO)
    client.create_function_url_config(FunctionName="hosted", AuthType="NONE")
    port = server.url.rsplit(":", 1)[1]
    status, _, body = server.http("GET", "/deep/path", host=f"hosted.localhost:{port}")
    assert status == 200
    assert json.loads(body)["rawPath"] == "/deep/path"


def test_cors_is_answered_without_waking_the_function(server, create):
    """A preflight request gets the URL's configuration and starts no instance."""
    client = create(server, "cors", ECHO)
    client.create_function_url_config(
        FunctionName="cors", AuthType="NONE", Cors={"AllowOrigins": ["https://app.example"], "AllowMethods": ["POST"]}
    )
    status, headers, _ = server.http(
        "OPTIONS", "/fn/cors/", origin="https://app.example", access_control_request_method="POST"
    )
    assert status in {200, 204}
    assert headers["access-control-allow-origin"] == "https://app.example"
    assert json.loads(server.owner("GET", "/_torpor/functions/cors")[2])["instances"] == {"idle": 0, "busy": 0}


def test_a_presigned_request_is_accepted(server, create):
    """An address signed in its query needs no header, and only until it expires."""
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials

    create(server, "presigned", ECHO)
    credentials = botocore.credentials.Credentials(server.keys["access_key_id"], server.keys["secret_access_key"])
    request = botocore.awsrequest.AWSRequest("GET", f"{server.url}/fn/presigned/")
    botocore.auth.SigV4QueryAuth(credentials, "lambda", "us-east-1", expires=60).add_auth(request)
    path = request.url.removeprefix(server.url)
    assert server.http("GET", path)[0] == 200
    assert server.http("GET", path.replace("X-Amz-Expires=60", "X-Amz-Expires=61"))[0] == 403

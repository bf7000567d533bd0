"""Requests generated from botocore's service models: valid ones, and ones with one thing wrong on the wire.

A request is drawn valid (by `aws_values`), written by botocore's own serializer, and then, unless it is to stay valid,
changed where it is bytes: a member is missing, unknown, of another type, out of range, too long, deeply nested; the
form, the query string, the path, a header or the whole body is odd. It is signed afterwards: what is wrong with it is
not its signature.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.loaders
import botocore.model
import botocore.serialize

from torpor.testing.aws_examples import BLOBS, EXAMPLES
from torpor.testing.aws_values import Pool, Values, filled

_HOST = "http://localhost"


def _nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = {"a": [value]}
    return value


_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1.5, -0.0, 1e308, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**300),
    *("", " ", "a" * 300, "a" * 70_000, "\0", "a\0b", "é\u2028𝒳", "\ud800", "\ufffe", "../..", "%00", "${x}", "a\r\nb"),
    *("NaN", "-1", "1e400", "9" * 5000, "²", "٣", ":::::", "arn:", "arn:aws:lambda:us-east-1:000000000000:function:"),
    *("{", '{"Version": 1}', '{"Statement": [{}]}', "[" * 3000, "*", "((((", "a:b:c:d", "$LATEST.PUBLISHED", "\n"),
    *([], {}, [[]], [None], [{}], {"a": None}, {"": ""}, {"\0": "\0"}, ["a"] * 2000, _nested(20), _nested(400)),
    *({str(number): "x" for number in range(500)}, float("nan"), float("inf")),
)  # fmt: skip
_ODD_TEXTS = tuple(one for one in _ODD if isinstance(one, str)) + tuple(
    str(one) for one in _ODD if isinstance(one, (int, float))
)
_ODD_SEGMENTS = (
    *("", "%00", "%2F", "%", "%zz", "%2e%2e", ".", "..", "a" * 3000, "%ED%A0%80", "%FF", "{x}", "$LATEST", "a:b:c:d"),
    *(quote("é𝒳"), "%0A", "%0D%0Aa:b", "*", ":", "9" * 500, "%C2%B2", "+", "%20", "arn:aws:lambda", "%25%32%46"),
)  # fmt: skip
_ODD_BODIES = (
    *(b"", b"{", b"null", b"[]", b'"x"', b"7", b"\xff\xfe", b"\0" * 10, b"[" * 100_000, b'{"a":' * 5000, b"{}{}"),
    *(b"\xef\xbb\xbf{}", b'{"a": "\\ud800"}', b'{"\\u0000": 1}', b"Action", b"Action=&Version=", b"&&&=&=", b"%zz=%"),
    *(b"{}", b"<a/>", b"PK\x03\x04", b"a" * 200_000),
)  # fmt: skip
_ODD_HEADERS = {
    "content-type": (
        "",
        "text/plain",
        "application/xml",
        "application/json; charset=utf-16",
        "multipart/form-data",
        "/",
    ),
    "accept": ("text/html", "*/*", "application/vnd.amazon.eventstream"),
    "content-encoding": ("gzip", "aws-chunked", "nonsense"),
    "x-amz-target": ("", ".", "Nope.Nope", "a" * 2000, "\xe9"),
    "x-amzn-trace-id": ("Root", "a" * 2000, "Root=1-5e988e4a;;=;="),
    "x-amz-client-context": ("{", "////", "bnVsbA==", "e30=", "a" * 4000, "W10="),
    "x-amz-invocation-type": ("", "Nope", "Event", "DryRun"),
    "x-amz-log-type": ("Tail", "Nope"),
    "x-amz-security-token": ("nope",),
    "amz-sdk-invocation-id": ("a" * 1000,),
    "accept-encoding": ("br", "identity;q=0"),
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Generated:
    """A request for an operation of a service, before it is signed; `how` says what was done to it, "" if nothing."""

    service: str
    operation: str
    method: str
    path: str  # as it goes over the wire
    query: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    how: str = ""

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    def signed(self, key_id: str, secret: str, host: str) -> dict[str, str]:
        """All headers of this request, signed for `host` by SigV4 with this key."""
        request = botocore.awsrequest.AWSRequest(
            self.method, f"http://{host}{self.target}", headers=dict(self.headers), data=self.body
        )
        credentials = botocore.credentials.Credentials(key_id, secret)
        name = model_of(self.service).signing_name
        botocore.auth.SigV4Auth(credentials, name, "us-east-1").add_auth(request)
        return {"host": host, **dict(request.headers.items())}


@cache
def model_of(service: str) -> Any:
    """Botocore's own model of a service."""
    raw = botocore.loaders.Loader().load_service_model(service, "service-2")
    return botocore.model.ServiceModel(raw, service)


def operations_of(service: str) -> list[str]:
    """The names of all operations that a service has."""
    return sorted(model_of(service).operation_names)


def valid(service: str, operation: str, rng: random.Random, pool: Pool) -> Generated:
    """A request that the model has nothing against, with few or many of its optional members."""
    shape = model_of(service).operation_model(operation).input_shape
    example = filled(EXAMPLES.get((service, operation), {}), rng, pool) if rng.random() < 0.6 else {}
    values = Values(rng, pool, BLOBS, rng.choice((0.0, 0.0, 0.02, 0.1, 0.3, 0.8)))
    return written(service, operation, (values.of(shape) if shape else {}) | example)


def written(service: str, operation: str, params: dict[str, Any]) -> Generated:
    """The request that botocore writes for these parameters."""
    model = model_of(service)
    serializer = botocore.serialize.create_serializer(model.metadata["protocol"], include_validation=False)
    plain = serializer.serialize_to_request(params, model.operation_model(operation))
    botocore.awsrequest.prepare_request_dict(plain, endpoint_url=_HOST)
    prepared = botocore.awsrequest.create_request_object(plain).prepare()
    path, _, query = prepared.url.partition("//")[2].partition("?")
    path = "/" + path.partition("/")[2]  # some operations have a host of their own: there is one here
    body = prepared.body or b""
    headers = {
        name.lower(): " ".join((value if isinstance(value, str) else value.decode()).split())  # a header is one line
        for name, value in prepared.headers.items()
        if name.lower() != "content-length"
    }
    return Generated(
        service, operation, prepared.method, path, query, headers, body.encode() if isinstance(body, str) else body
    )


def mutated(request: Generated, rng: random.Random) -> Generated:
    """The same with one thing wrong, or odd."""
    ways: list[Callable[[Generated, random.Random], Generated]] = [_raw_body, _header, _path, _query, _method]
    if request.body.startswith(b"{"):
        ways += [_json] * 12
    elif request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        ways += [_form] * 12
    elif request.query or request.path.count("/") > 2:
        ways += [_path, _query] * 4
    way = rng.choice(ways)
    return replace(way(request, rng), how=way.__name__.strip("_"))


def _json(request: Generated, rng: random.Random) -> Generated:
    tree = json.loads(request.body)
    places = list(_places(tree))
    action = rng.choice(("replace", "replace", "replace", "remove", "add"))
    if action == "add" or not places:
        holders = [tree, *(holder[key] for holder, key in places if isinstance(holder[key], dict))]
        rng.choice(holders)[rng.choice(("Unknown", "", "__proto__", "\0", "a" * 3000))] = rng.choice(_ODD)
    else:
        holder, key = rng.choice(places)
        if action == "remove":
            del holder[key]
        else:
            holder[key] = rng.choice(_ODD)
    return replace(request, body=json.dumps(tree).encode())


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a tree that holds something: the dictionary or list, and the key or index."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


def _form(request: Generated, rng: random.Random) -> Generated:
    pairs = parse_qsl(request.body.decode(), keep_blank_values=True)
    at = rng.randrange(len(pairs))
    name, value = pairs[at]
    action = rng.choice(("value", "value", "value", "remove", "key", "add", "double"))
    if action == "value":
        pairs[at] = (name, rng.choice(_ODD_TEXTS))
    elif action == "remove":
        del pairs[at]
    elif action == "double":
        pairs.append((name, rng.choice(_ODD_TEXTS)))
    else:
        odd = (
            f"{name}.member.1",
            f"{name}.member.x",
            f"{name}.entry.1.key",
            f"{name}.{'9' * 40}",
            ".",
            "",
            f"{name}.",
            "." * 300,
        )
        renamed = (rng.choice(odd), value)
        pairs = [*pairs, renamed] if action == "add" else [*pairs[:at], renamed, *pairs[at + 1 :]]
    return replace(request, body=urlencode(pairs, errors="surrogatepass").encode())


def _query(request: Generated, rng: random.Random) -> Generated:
    pairs = parse_qsl(request.query, keep_blank_values=True)
    names = [name for name, _ in pairs] + list(_query_names(request)) + ["unknown"]
    changed = dict(pairs) | {rng.choice(names): rng.choice(_ODD_TEXTS)[:4000]}
    if rng.random() < 0.1:
        return replace(
            request, query=rng.choice(("&", "=", "&&=&=", "%zz", "a=%FF", "a" * 5000, "%00=%00", "X-Amz-Algorithm"))
        )
    return replace(request, query=urlencode(changed, errors="surrogatepass"))


def _query_names(request: Generated) -> Iterator[str]:
    shape = model_of(request.service).operation_model(request.operation).input_shape
    for name, member in shape.members.items() if shape else ():
        if member.serialization.get("location") == "querystring":
            yield member.serialization.get("name", name)


def _path(request: Generated, rng: random.Random) -> Generated:
    segments = request.path.split("/")[1:]
    action = rng.choice(("replace", "replace", "replace", "add", "remove"))
    at = rng.randrange(len(segments))
    if action == "replace":
        segments[at] = rng.choice(_ODD_SEGMENTS)
    elif action == "add":
        segments.insert(at, rng.choice(_ODD_SEGMENTS))
    else:
        del segments[at]
    return replace(request, path="/" + "/".join(segments))


def _header(request: Generated, rng: random.Random) -> Generated:
    name = rng.choice([*_ODD_HEADERS, *request.headers])
    odd = rng.choice(_ODD_HEADERS.get(name, ("", "a" * 2000, "-1", "\xe9", "{}")))
    return replace(request, headers={**request.headers, name: odd})


def _raw_body(request: Generated, rng: random.Random) -> Generated:
    body = request.body
    changed = (body[: len(body) // 2], body * 2, body + b"\0", b" " + body, body.replace(b'"', b"'"), body[::-1])
    return replace(request, body=rng.choice([*changed, *_ODD_BODIES]))


def _method(request: Generated, rng: random.Random) -> Generated:
    return replace(request, method=rng.choice(_METHODS))

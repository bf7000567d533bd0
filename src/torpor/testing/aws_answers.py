"""What every answer of an AWS service has to be, whatever was asked: checked by botocore's parsers and models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import botocore.awsrequest
import botocore.parsers
import botocore.validate

from torpor.testing.aws_requests import Generated, model_of

_NUMBER = (int, float)
_JSON_TYPES: Mapping[str, Any] = {
    "structure": dict,
    "string": str,
    "blob": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": _NUMBER,
    "double": _NUMBER,
    "timestamp": (int, float, str),
}


class WrongAnswer(AssertionError):
    """An answer is not what the protocol says."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def check(request: Generated, answer: Answer) -> dict[str, Any]:
    """The answer as boto3 would give it. Raises WrongAnswer for what no client should ever see."""
    problem = _problem(request, answer)
    if problem:
        raise WrongAnswer(
            f"{problem}\n{request.service}:{request.operation} {request.how or 'valid'}\n"
            f"{request.method} {request.target[:600]}\n{request.headers}\n{request.body[:1500]!r}\n"
            f"→ {answer.status} {dict(answer.headers)}\n{answer.body[:1500]!r}"
        )
    return {} if request.method == "HEAD" else _parsed(request, answer)


def _problem(request: Generated, answer: Answer) -> str:
    if answer.status >= 500 and answer.status != 501:
        return "the server failed"
    if not answer.headers.get("x-amzn-requestid"):
        return "the answer has no request id"
    if request.method == "HEAD":
        return "" if not answer.body else "an answer to HEAD has a body"
    try:
        parsed = _parsed(request, answer)
    except Exception as error:
        return f"botocore cannot read the answer: {error!r}"
    if answer.status >= 300:
        return _problem_of_error(parsed, answer)
    return "" if request.how else _problem_of_result(request, parsed, answer)


def _problem_of_error(parsed: Mapping[str, Any], answer: Answer) -> str:
    error = parsed.get("Error", {})
    code, message = error.get("Code"), error.get("Message")
    if not code or code == str(answer.status):
        return "the error has no code"
    if not message or not isinstance(message, str):
        return "the error has no message"
    if answer.status == 501 and not code.startswith("NotImplemented"):
        return "501 is for what is not built"
    return ""


def _problem_of_result(request: Generated, parsed: Mapping[str, Any], answer: Answer) -> str:
    shape = _output(request)
    if shape is None or _streams(shape):
        return ""
    plain = {name: value for name, value in parsed.items() if name != "ResponseMetadata"}
    report = botocore.validate.ParamValidator().validate(plain, shape)
    # Lengths are AWS's own: its URLs are longer than ours, and it too answers with empty lists where one is the least.
    wrong = [line for line in report.generate_report().splitlines() if not line.startswith("Invalid length")]
    if wrong:
        return f"the result is not of the model's shape: {'; '.join(wrong)}"
    unknown = list(_unknown(request, shape, answer.body))
    return f"the result has what the model does not know: {unknown}" if unknown else ""


def _parsed(request: Generated, answer: Answer) -> dict[str, Any]:
    model = model_of(request.service)
    shape = _output(request)
    if answer.status < 300 and shape is not None and _streams(shape):
        return {"ResponseMetadata": {"HTTPStatusCode": answer.status}}
    if answer.body and model.metadata["protocol"] != "query":
        json.loads(answer.body)  # botocore takes what is no JSON for an error's message
    plain = {
        "status_code": answer.status,
        "headers": botocore.awsrequest.HeadersDict(answer.headers),
        "body": answer.body,
    }
    parser = botocore.parsers.create_parser(model.metadata["protocol"])
    parsed: dict[str, Any] = parser.parse(plain, shape)
    return parsed


def _output(request: Generated) -> Any:
    return model_of(request.service).operation_model(request.operation).output_shape


def _streams(shape: Any) -> bool:
    """Whether the body is one blob or a stream of events, which is not parsed."""
    payload = shape.serialization.get("payload")
    blob = payload is not None and shape.members[payload].type_name == "blob"
    return bool(blob or shape.event_stream_name)


def _unknown(request: Generated, shape: Any, body: bytes) -> Iterator[str]:
    """What stands in the body and not in the model, or is of another type there, by its path."""
    if not body:
        return
    if model_of(request.service).metadata["protocol"] == "query":
        root = ET.fromstring(body)  # noqa: S314  our own server's answer
        name = shape.serialization.get("resultWrapper", "")
        for element in root:
            if _tag(element) == name:
                yield from _unknown_in_xml(shape, element, name)
        return
    yield from _unknown_in_json(shape, json.loads(body), "")


def _wire_names(shape: Any) -> dict[str, Any]:
    return {member.serialization.get("name", name): member for name, member in shape.members.items()}


def _unknown_in_json(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure" and isinstance(value, dict):
        known = _wire_names(shape)
        for name, item in value.items():
            if name not in known:
                yield f"{path}.{name}"
            else:
                yield from _unknown_in_json(known[name], item, f"{path}.{name}")
    elif shape.type_name == "list":
        for item in value:
            yield from _unknown_in_json(shape.member, item, f"{path}[]")
    elif shape.type_name == "map":
        for item in value.values():
            yield from _unknown_in_json(shape.value, item, f"{path}{{}}")
    elif not isinstance(value, _JSON_TYPES[shape.type_name]):
        yield f"{path}={value!r}"


def _unknown_in_xml(shape: Any, element: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        known = _wire_names(shape)
        for child in element:
            if _tag(child) not in known:
                yield f"{path}.{_tag(child)}"
            else:
                yield from _unknown_in_xml(known[_tag(child)], child, f"{path}.{_tag(child)}")
    elif shape.type_name == "list":
        for child in element:
            yield from _unknown_in_xml(shape.member, child, f"{path}[]")


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]

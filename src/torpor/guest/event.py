"""The event as the handler sees it: an ordinary dictionary that also knows how to decode what it carries."""

from __future__ import annotations

import base64
import json
from typing import Any

_HTTP_MARKS = ("requestContext", "isBase64Encoded", "httpMethod", "headers")


class Event(dict):  # type: ignore[type-arg]  # dict[str, Any] cannot be a base class' argument at run time on 3.8-era pickles
    """A JSON object. `event["body"]` and every other use of a dictionary work as in Lambda."""

    def get_data(self) -> Any:
        """What the event is about, decoded.

        - an HTTP request (function URL, API): its body; base64 undone, JSON parsed when its content type says JSON, or
          when it says nothing better and the body is JSON; otherwise text, or bytes where it is no text; None without;
        - records (SQS, SNS, Kinesis, S3, DynamoDB …): the one record's data, or a list of all their data when there are
          several: a message's body, a stream's data, and for sources without a payload the record itself;
        - an EventBridge event: its detail;
        - anything else: the payload itself.

        Raises ValueError when a body that is declared as JSON is not.
        """
        records = self.get("Records")
        if isinstance(records, list) and records:
            data = [_record_data(record) for record in records]
            return data[0] if len(data) == 1 else data
        if "body" in self and any(mark in self for mark in _HTTP_MARKS):
            return _http_body(self)
        if "detail-type" in self and "detail" in self:
            return self["detail"]
        return self


def wrap(payload: Any) -> Any:
    """Give a JSON object its `get_data`; other payloads pass as they are."""
    return Event(payload) if isinstance(payload, dict) else payload


def _record_data(record: Any) -> Any:
    if not isinstance(record, dict):
        return record
    if "body" in record:
        return _json_or_text(record["body"])
    if isinstance(record.get("Sns"), dict):
        return _json_or_text(record["Sns"].get("Message"))
    if isinstance(record.get("kinesis"), dict):
        return _json_or_text(_text_or_bytes(base64.b64decode(record["kinesis"].get("data", ""))))
    return record


def _http_body(event: dict[str, Any]) -> Any:
    body = event["body"]
    if not isinstance(body, str):
        return body
    data: Any = _text_or_bytes(base64.b64decode(body)) if event.get("isBase64Encoded") else body
    kind = _content_type(event)
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return json.loads(data)
        except ValueError as error:
            raise ValueError(f"the request's content type is {kind}, but its body is not JSON: {error}") from error
    if kind in ("", "application/x-www-form-urlencoded", "text/plain"):  # what curl -d and simple clients send
        return _json_or_text(data)
    return data


def _content_type(event: dict[str, Any]) -> str:
    headers = event.get("headers")
    if not isinstance(headers, dict):
        return ""
    for name, value in headers.items():
        if isinstance(value, str) and name.lower() == "content-type":
            return value.partition(";")[0].strip().lower()
    return ""


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _json_or_text(data: Any) -> Any:
    if not isinstance(data, str):
        return data
    try:
        return json.loads(data)
    except ValueError:
        return data

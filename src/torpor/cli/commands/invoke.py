"""`torpor invoke`: call a function, as boto3 would or over HTTP."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from torpor.cli import flags, output
from torpor.cli.connect import connect, segment
from torpor.cli.failures import Failed, WrongUse
from torpor.cli.hints import own_name

if TYPE_CHECKING:
    from torpor.cli.client import Answer, Client

# What the server tells about an invocation, and how it is called in our JSON.
_MEASURED = {
    "x-torpor-start": "start",
    "x-torpor-init-ms": "init_ms",
    "x-torpor-duration-ms": "duration_ms",
    "x-torpor-billed-ms": "billed_ms",
    "x-torpor-max-memory-mb": "max_memory_mb",
    "x-torpor-cpu-ms": "cpu_ms",
}

_SENT_AS_THEY_ARE = "%/:?[]@!$&'()*+,;=~-._"  # in a path with its query; the rest is percent-encoded
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


def invoke(
    *,
    context: typer.Context,
    name: Annotated[str, flags.argument("NAME", "The function's name or ARN, with or without :QUALIFIER.")],
    payload: Annotated[
        str | None,
        flags.option(
            "-d",
            "--payload",
            metavar="JSON|@FILE|-",
            text="The event, a file that holds it, or - for standard input. [default: {}]",
        ),
    ] = None,
    http: Annotated[
        tuple[str, str] | None,
        flags.option(
            "--http",
            metavar="METHOD PATH",
            text="Call it over HTTP instead: --http POST /items?page=2; -d is the body.",
        ),
    ] = None,
    header: Annotated[
        list[str] | None,
        flags.option("-H", "--header", metavar="NAME:VALUE", text="A header, with --http; may be repeated."),
    ] = None,
    dry_run: Annotated[
        bool, flags.option("--dry-run", text="Check that the call would be accepted, without making it.")
    ] = False,
    tail: Annotated[bool, flags.option("--tail", text="Print the invocation's log on standard error.")] = False,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Call a function and print what it returned, exactly.

    When the function fails, its error goes to standard error and the exit code is 1.
    """
    if http and (dry_run or tail):
        raise WrongUse("--http does not go with --dry-run or --tail: `torpor logs NAME` shows the log")
    if header and not http:
        raise WrongUse("-H goes with --http: the Lambda interface takes only an event")
    client = connect(context, url, data)
    if http:
        _over_http(client, name, http, payload, header or [], as_json=as_json)
    else:
        _as_lambda(client, name, read_event(payload), dry_run=dry_run, tail=tail, as_json=as_json)


def _as_lambda(client: Client, name: str, event: bytes, *, dry_run: bool, tail: bool, as_json: bool) -> None:
    sent = {
        "content-type": "application/json",
        "x-amz-invocation-type": "DryRun" if dry_run else "RequestResponse",
        "x-amz-log-type": "Tail" if tail else "None",
    }
    answer = client.request("POST", f"/2015-03-31/functions/{segment(name)}/invocations", body=event, headers=sent)
    client.check(answer)
    log = base64.b64decode(answer.headers.get("x-amz-log-result", "")).decode(errors="replace")
    if tail and not as_json:
        for line in log.splitlines():
            output.say(output.printable(line, sys.stderr))
    fault = answer.headers.get("x-amz-function-error")
    if as_json:
        described: dict[str, Any] = {"payload": _json_or_text(answer.body), "function_error": fault}
        described |= {"executed_version": answer.headers.get("x-amz-executed-version")}
        output.result_json({**_measured(answer), **described, **({"log": log} if tail else {})})
        if fault:
            raise typer.Exit(Failed.exit_code)
    elif fault:
        raise Failed(error_text(answer.body, fault), code=fault)
    elif dry_run:
        output.say(f"{name} would be invoked")
    else:
        output.result_bytes(answer.body)
        _sum_up(answer)


def _over_http(
    client: Client, name: str, http: tuple[str, str], payload: str | None, header: list[str], *, as_json: bool
) -> None:
    method, path = http[0].upper(), quote(http[1], safe=_SENT_AS_THEY_ARE)
    if not method.isalpha() or not method.isascii():
        raise WrongUse(f"'{http[0]}' is no HTTP method: write --http GET / or --http POST /items")
    if not path.startswith("/"):
        raise WrongUse(f"the path after --http {method} begins with a slash: /{path}")
    body = _bytes(payload) if payload is not None else b""
    headers = dict(_header(text) for text in header)
    if body and "content-type" not in headers:
        headers["content-type"] = _content_type(body)
    answer = client.request(method, f"/fn/{segment(name)}{path}", body=body, headers=headers)
    ran = "x-torpor-start" in answer.headers
    if not ran:
        client.check(answer)
    if as_json:
        output.result_json(
            {
                "status": answer.status,
                "headers": dict(answer.headers),
                "body": _json_or_text(answer.body),
                **_measured(answer),
            }
        )
    else:
        output.say(f"{answer.status} {answer.reason}".rstrip())
        output.result_bytes(answer.body)
        _sum_up(answer)
    if answer.status >= 500:
        if not as_json and (request_id := answer.headers.get("x-amzn-requestid")):
            output.say(f"why: `{own_name()} logs {name.partition(':')[0]} --request {request_id}`")
        raise typer.Exit(Failed.exit_code)


def read_event(payload: str | None) -> bytes:
    """The event as -d names it, `{}` without. Raises WrongUse where it is not JSON."""
    event = _bytes(payload) if payload is not None else b"{}"
    try:
        json.loads(event)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise WrongUse(
            f"the event is not JSON ({error}): a text is written '\"text\"', a file @FILE, standard input -"
        ) from None
    except (ValueError, RecursionError):
        pass  # JSON that is too much for us, in depth or in digits, is the server's to judge
    return event


def _bytes(payload: str) -> bytes:
    if payload == "-":
        return sys.stdin.buffer.read()
    if not payload.startswith("@"):
        return payload.encode()
    try:
        return Path(payload[1:]).read_bytes()
    except OSError as error:
        raise WrongUse(f"{payload[1:]} cannot be read: {error.strerror}") from None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not _HEADER_NAME.fullmatch(name.strip()) or not _HEADER_VALUE.fullmatch(value):
        raise WrongUse(f"-H takes NAME:VALUE, in one line of Latin letters, not {text!r}")
    return name.strip().lower(), value.strip()


def _content_type(body: bytes) -> str:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        pass
    else:
        return "application/json"
    try:
        body.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain; charset=utf-8"


def _json_or_text(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def _measured(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"status": answer.status, "request_id": answer.headers.get("x-amzn-requestid")}
    for header, key in _MEASURED.items():
        value = answer.headers.get(header)
        told[key] = value if value is None or key == "start" else json.loads(value)
    return told


def error_text(body: bytes, fault: str) -> str:
    """A function's error in the words of a Python traceback."""
    error = _json_or_text(body)
    if not isinstance(error, Mapping):
        return f"{fault}: {error}"
    said = f"{error.get('errorType') or fault}: {error.get('errorMessage', '')}"
    trace = error.get("stackTrace")
    lines = [str(line).rstrip("\n") for line in trace] if isinstance(trace, list) else []
    return output.printable("\n".join([said, *lines]), sys.stderr)


def _sum_up(answer: Answer) -> None:
    """One line on what the call took, for people at a terminal."""
    told = _measured(answer)
    if not sys.stderr.isatty() or told["start"] is None:
        return
    start = told["start"] if not told["init_ms"] else f"{told['start']} in {output.elapsed(told['init_ms'])}"
    parts = [start, f"ran {output.elapsed(told['duration_ms'] or 0)}", f"billed {told['billed_ms'] or 0:.0f} ms"]
    parts.append(f"{told['max_memory_mb'] or 0:.0f} MB")
    output.say(typer.style(" · ".join(parts), dim=True))

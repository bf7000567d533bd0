"""What the command line is given by the composition root, and what each command receives.

The command line neither reads the environment nor knows the server's classes: `app.py` hands both in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOptions:
    """Where tools that need an environment of their own are kept, and the variables to install them with."""

    cache: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Where the environment says the server is; `url` and `token` are None where it says nothing.

    `tools` is called by commands that need tools of their own.
    """

    url: str | None
    token: str | None
    data_dir: Path
    tools: Callable[[], ToolOptions] | None = None


class Auth(StrEnum):
    """Whether callers must prove who they are."""

    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpFlags:
    """The flags of `torpor up`; None where one was not given, so that settings decide.

    With `as_json`, what `up` prints on standard output is one JSON object a line: `{"ready": "http://HOST:PORT"}`.
    """

    host: str | None = None
    port: int | None = None
    data: Path | None = None
    auth: Auth | None = None
    public_url: str | None = None
    as_json: bool = False


class Finding(Protocol):
    """One line of `torpor doctor`: `ok` is None where the answer does not matter or cannot be known."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool | None: ...
    @property
    def detail(self) -> str: ...
    @property
    def remedy(self) -> str: ...


class Measurement(Protocol):
    """One line of `torpor doctor --bench`: the median and 99th percentile of `count` attempts, None without any."""

    @property
    def name(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def p50_ms(self) -> float | None: ...
    @property
    def p99_ms(self) -> float | None: ...
    @property
    def count(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One run of the command line. `read_options` is called by commands that need a server, and by no others."""

    read_options: Callable[[], ClientOptions]
    up: Callable[[UpFlags], int]
    doctor: Callable[[], Sequence[Finding]]
    bench: Callable[[], Sequence[Measurement]]

"""A project's own settings: `torpor.toml`, or `[tool.torpor]` in pyproject.toml or in a file's PEP 723 block."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from torpor.cli.discover import find_handler
from torpor.cli.failures import WrongUse
from torpor.cli.source import Source
from torpor.core.identity import PERMISSION
from torpor.core.secret import VARIABLE

_BLOCK = re.compile(r"(?m)^# /// script\s*$\s(?P<content>(?:^#(?: .*)?$\s)+)^# ///\s*$")  # PEP 723's own expression
_REACH = r"^(\*|(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):[0-9]{1,5})$"

Reach = Annotated[str, Field(pattern=_REACH)]
Layer = Annotated[str, Field(pattern=r"^(arn:[a-zA-Z0-9:-]+:layer:)?[a-zA-Z0-9_-]+(:[0-9]+)?$")]
Action = Annotated[str, Field(pattern=PERMISSION)]
FromSecret = Annotated[str, Field(pattern=VARIABLE)]


class Table(BaseModel):
    """The `[tool.torpor]` table. Every key may be left out; flags of `torpor deploy` win over it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, title="[tool.torpor]")

    name: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z0-9_-]{1,64}$",
        description="The function's name; by default the folder's or the file's.",
    )
    handler: str | None = Field(
        default=None,
        pattern=r"^[^\s]+$",
        description=(
            "MODULE.FUNCTION; by default lambda_function.lambda_handler, app.lambda_handler, or the only file's. "
            "On a provided runtime, what its bootstrap makes of it."
        ),
    )
    runtime: str | None = Field(
        default=None,
        pattern=r"^(python3\.\d+|provided\.al2(023)?)$",
        description=(
            "The interpreter, such as python3.12, by default the command line's own; or provided.al2023, for code that "
            "brings a runtime of its own."
        ),
    )
    memory: int = Field(default=1024, ge=1, description="Memory in MB; processor time is in proportion to it.")
    timeout: int = Field(default=60, ge=1, description="The longest an invocation may take, in seconds.")
    tmp: int = Field(default=512, ge=1, description="Size of the instance's own /tmp in MB.")
    environment: dict[str, str] = Field(default_factory=dict, description="Environment variables; 4 KB in all.")
    reach: tuple[Reach, ...] = Field(
        default=(),
        strict=False,
        description='What the function may connect to: "HOST:PORT" each, or "*" for the web through a proxy.',
    )
    permissions: tuple[Action, ...] = Field(
        default=(),
        strict=False,
        description="Actions it may call on the platform, such as lambda:InvokeFunction or lambda:InvokeFunction/NAME.",
    )
    secrets: tuple[FromSecret, ...] = Field(
        default=(),
        strict=False,
        description='Environment variables that hold secrets: "VARIABLE=SECRET" each, such as "DB_PASSWORD=prod/db".',
    )
    layers: tuple[Layer, ...] = Field(
        default=(),
        strict=False,
        max_length=5,
        description=(
            "What it shares with others under /opt, later over earlier: NAME:VERSION, NAME for the newest, or ARNs."
        ),
    )
    source_builds: bool = Field(
        default=False, description="Allow packages without a wheel: they are built in a sandbox."
    )
    max_concurrency: int = Field(default=1, ge=1, description="Invocations that one instance handles at a time.")
    reserved_concurrency: int | None = Field(
        default=None,
        ge=0,
        description=(
            "Invocations at a time that are kept for the function, which never gets more; by default it stays as it is."
        ),
    )
    keep_alive: float | None = Field(
        default=None,
        ge=0,
        strict=False,
        description="Seconds an idle instance is kept; by default the server's setting.",
    )
    public: bool | None = Field(
        default=None,
        description="true opens the function's URL to everyone, false closes it; by default it stays as it is.",
    )
    streaming: bool | None = Field(
        default=None,
        description=(
            "true sends over the function's URL what its handler yields, as it comes; by default it stays as it is."
        ),
    )
    description: str = Field(default="", max_length=256, description="What the function is for.")
    tags: dict[str, str] = Field(default_factory=dict, description="Labels of your own.")


def read_table(source: Source) -> Table:
    """The project's table, or the defaults where it has none. Raises WrongUse naming the file and the key."""
    found = list(_tables(source))
    if not found:
        return Table()
    if len(found) > 1:
        places = " and ".join(place for place, _ in found)
        raise WrongUse(f"the function is configured twice, in {places}: keep one of them")
    return _validated(*found[0])


def json_schema() -> dict[str, Any]:
    """The published JSON schema of the table."""
    schema = Table.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _tables(source: Source) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where a table stands, and its content. A file's own block counts where no project file speaks."""
    spoken = False
    if "torpor.toml" in source.names:
        spoken = True
        yield "torpor.toml", _toml("torpor.toml", source.read("torpor.toml"))
    if "pyproject.toml" in source.names:
        table = _toml("pyproject.toml", source.read("pyproject.toml")).get("tool", {}).get("torpor")
        if table is not None:
            spoken = True
            yield "[tool.torpor] of pyproject.toml", table
    if not spoken and (name := _own_file(source)):
        table = _script_table(source, name)
        if table is not None:
            yield f"[tool.torpor] of {name}", table


def _own_file(source: Source) -> str | None:
    """The file that holds the handler, or None where that is not to be told without being told."""
    if source.is_file:
        return source.names[0]
    try:
        return find_handler(source).rpartition(".")[0] + ".py"
    except WrongUse:
        return None  # --handler may still name it; if not, deploy says what was looked at


def _script_table(source: Source, name: str) -> Mapping[str, Any] | None:
    blocks = list(_BLOCK.finditer(source.read(name)))
    if len(blocks) > 1:
        raise WrongUse(f"{name} has {len(blocks)} `# /// script` blocks: PEP 723 allows one")
    if not blocks:
        return None
    lines = blocks[0]["content"].splitlines()
    text = "\n".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    table = _toml(f"the `# /// script` block of {name}", text).get("tool", {}).get("torpor")
    return table if table is None or isinstance(table, dict) else {"": table}


def _toml(place: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongUse(f"{place} is not TOML: {error}") from None


def _validated(place: str, table: Mapping[str, Any]) -> Table:
    if not isinstance(table, Mapping):
        raise WrongUse(f"{place} must be a table of keys and values")
    try:
        return Table.model_validate(dict(table))
    except ValidationError as error:
        problems = [_taught(problem["type"], problem["loc"], problem["msg"]) for problem in error.errors()]
        raise WrongUse("\n".join(f"{place}: {problem}" for problem in problems)) from None


def _taught(kind: str, location: tuple[int | str, ...], message: str) -> str:
    key = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        near = get_close_matches(key, _spellings(), n=1, cutoff=0.6)
        hint = f"did you mean '{_spellings()[near[0]]}'?" if near else f"the keys are {', '.join(Table.model_fields)}"
        return f"unknown key '{key}': {hint}"
    if location and location[0] == "reach" and kind == "string_pattern_mismatch":
        return f'{key}: write "HOST:PORT", such as "api.example.com:443", or "*" for the web through a proxy'
    if location and location[0] == "permissions" and kind == "string_pattern_mismatch":
        return f'{key}: write "SERVICE:Action", such as "lambda:InvokeFunction", or "lambda:InvokeFunction/NAME"'
    return f"{key}: {message[:1].lower()}{message[1:]}"


def _spellings() -> dict[str, str]:
    """Keys by the names people try, those of the AWS interface among them."""
    own = {name: name for name in Table.model_fields}
    other = {"memory_mb": "memory", "memory_size": "memory", "timeout_s": "timeout", "env": "environment",
             "variables": "environment", "tmp_mb": "tmp", "ephemeral_storage": "tmp", "python": "runtime",
             "concurrency": "max_concurrency", "keepalive": "keep_alive", "keep_alive_s": "keep_alive"}  # fmt: skip
    return own | other

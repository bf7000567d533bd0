"""What a function's configuration may be, beyond the service model's shapes, in Lambda's words where it has any."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from torpor.core.arn import is_function_name
from torpor.core.errors import InvalidValue
from torpor.core.function import CUSTOM_RUNTIMES, FunctionConfig, FunctionLayer, Isolation, is_custom
from torpor.core.identity import is_permission
from torpor.core.limits import Limits
from torpor.core.secret import split_variable
from torpor.policy import reach

RUNTIMES = ("python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14", *CUSTOM_RUNTIMES)
DEPRECATED = ("python2.7", "python3.6", "python3.7", "python3.8")
RESERVED = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
_HANDLER = re.compile(r"[^\s]{1,128}")
_VARIABLE = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
_LOG_GROUP = re.compile(r"[a-zA-Z0-9._/#-]{0,512}")
_DEAD_LETTER = re.compile(r"arn:aws[a-zA-Z-]*:(?:sqs|sns):[a-z0-9-]+:\d{12}:[a-zA-Z0-9_.-]{1,256}")
_MOST_TAGS = 50
_DEBUGGED_S = 86_400  # people think while an invocation stands at a breakpoint
_FIXED = frozenset({"name"})
_TEXTS = (
    "name",
    "handler",
    "runtime",
    "role",
    "description",
    "architecture",
    "log_format",
    "application_log_level",
    "system_log_level",
    "log_group",
    "dead_letter",
)
_NUMBERS = ("timeout_s", "memory_mb", "tmp_mb", "max_concurrency", "debug_port")


class ConfigRules:
    """Checks configurations against the limits of this server. Each failure is an InvalidValue that says what to do."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def evolve(self, config: FunctionConfig, changes: Mapping[str, Any]) -> FunctionConfig:
        """The configuration with some fields changed, checked. Values may be as JSON has them."""
        _refuse_unknown(changes, FunctionConfig.__dataclass_fields__.keys() - _FIXED)
        values = dict(changes)
        for name in ("reach", "permissions", "secrets"):
            if name in values:
                values[name] = _texts(name, values[name])
        if "layers" in values:
            values["layers"] = _layers(values["layers"])
        if "isolation" in values:
            values["isolation"] = _isolation(values["isolation"])
        changed = config.evolve(**values)
        self.check(changed)
        return changed

    def check(self, config: FunctionConfig) -> None:
        """Raise InvalidValue for the first thing that is not allowed."""
        _check_types(config)
        _check_name_and_handler(config)
        _check_runtime(config.runtime)
        self._check_sizes(config)
        self._check_variables(config.variables)
        check_tags(config.tags)
        _check_logging(config)
        _check_dead_letter(config.dead_letter)
        if config.snap_start and is_custom(config.runtime):
            raise InvalidValue(f"{config.runtime} is not supported for SnapStart enabled functions.")
        if config.isolation is not Isolation.SANDBOX:
            raise InvalidValue(f"isolation {config.isolation.value!r} is not available yet: leave it out.")
        _within("debug_port", config.debug_port, 0, 65_535)
        _check_reach(config.reach)
        for entry in config.permissions:
            _check_permission(entry)
        _check_secrets(config)

    def _check_sizes(self, config: FunctionConfig) -> None:
        limits = self._limits
        _within("MemorySize", config.memory_mb, limits.memory_min_mb, limits.memory_max_mb)
        _within("Timeout", config.timeout_s, 1, _DEBUGGED_S if config.debug_port else limits.timeout_s)
        _within("EphemeralStorage.Size", config.tmp_mb, limits.tmp_min_mb, limits.tmp_max_mb)
        _within("max_concurrency", config.max_concurrency, 1, limits.concurrency)
        keep = config.keep_alive_s
        if keep is not None and not (0 <= keep <= 86_400):
            raise InvalidValue(f"keep_alive_s is {keep}: write seconds between 0 and 86400, or leave it out.")

    def _check_variables(self, variables: Mapping[str, str]) -> None:
        prefix = (
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided "
        )
        reserved = [name for name in variables if name in RESERVED]
        if reserved:
            raise InvalidValue(
                f"{prefix}contains reserved keys that are currently not supported for modification. "
                f"Reserved keys: {', '.join(reserved)}"
            )
        for name, value in variables.items():
            _check_variable(name, value)
        measured = json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False)
        if len(measured.encode()) > self._limits.environment:
            size = f"{self._limits.environment // 1024}KB"
            raise InvalidValue(f"{prefix}exceeded the {size} limit. String measured: {measured}")


def _refuse_unknown(values: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(values.keys() - known)
    if unknown:
        raise InvalidValue(f"{', '.join(unknown)} cannot be set. What can: {', '.join(sorted(known))}.")


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
        raise InvalidValue(f"{name} is a list of texts, not {value!r}.")
    return tuple(value)


def _layers(value: Any) -> tuple[FunctionLayer, ...]:
    """Layers as `Layers.resolve` gives them; a name alone says nothing of their code."""
    if not isinstance(value, list | tuple) or not all(isinstance(layer, FunctionLayer) for layer in value):
        raise InvalidValue("layers cannot be set so: name them when the function is deployed.")
    return tuple(value)


def _isolation(value: Any) -> Isolation:
    try:
        return Isolation(value)
    except ValueError:
        raise InvalidValue(f"isolation is one of {', '.join(Isolation)}, not {value!r}.") from None


def _check_types(config: FunctionConfig) -> None:
    checks: list[tuple[tuple[str, ...], Callable[[Any], bool], str]] = [
        (_TEXTS, _is_text, "a text"),
        (_NUMBERS, lambda value: type(value) is int, "a whole number"),
        (("variables", "tags"), _is_text_mapping, "a table of texts"),
        (("source_builds", "snap_start"), lambda value: isinstance(value, bool), "true or false"),
        (("keep_alive_s",), _is_seconds, "a number of seconds"),
    ]
    for names, fits, wanted in checks:
        for name in names:
            value = getattr(config, name)
            if not fits(value):
                raise InvalidValue(f"{name} is {wanted}, not {value!r}.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and _storable(value)


def _is_text_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_is_text(key) and _is_text(text) for key, text in value.items())


def _is_seconds(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))


def _storable(text: str) -> bool:
    """Whether the text is Unicode: JSON can carry half a surrogate pair, nothing else can."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text) if not text.isascii() else True


def _check_name_and_handler(config: FunctionConfig) -> None:
    if not is_function_name(config.name):
        raise InvalidValue(f"{config.name!r} is not a function's name: letters, digits, - and _, 64 at most.")
    if _HANDLER.fullmatch(config.handler) is None:
        raise InvalidValue(
            f"Value '{config.handler}' at 'handler' failed to satisfy constraint: write MODULE.FUNCTION, such as "
            "app.lambda_handler, without spaces and with 128 characters at most"
        )
    if len(config.description) > 256:
        raise InvalidValue("description is longer than 256 characters.")
    if config.architecture not in ("x86_64", "arm64"):
        raise InvalidValue(f"architecture is x86_64 or arm64, not {config.architecture!r}.")


def _check_runtime(runtime: str) -> None:
    if runtime in RUNTIMES:
        return
    if runtime in DEPRECATED:
        raise InvalidValue(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
            "We recommend you use a supported runtime while creating or updating functions. "
            f"Supported here: {', '.join(RUNTIMES)}."
        )
    raise InvalidValue(
        f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
        f"[{', '.join(RUNTIMES)}] or be a valid ARN"
    )


def _within(name: str, value: int, least: int, most: int) -> None:
    if value < least:
        raise InvalidValue(
            f"'{name}' value failed to satisfy constraint: Member must have value greater than or equal to {least}"
        )
    if value > most:
        raise InvalidValue(
            f"'{name}' value failed to satisfy constraint: Member must have value less than or equal to {most}"
        )


def _check_variable(name: str, value: str) -> None:
    if _VARIABLE.fullmatch(name) is None:
        raise InvalidValue(
            f"The environment variable {name!r} cannot be set: a name begins with a letter, and goes on with at least "
            "one letter, digit or _."
        )
    if "\0" in value:
        raise InvalidValue(f"The environment variable {name} holds a NUL character, which no environment can carry.")


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise InvalidValue for too many tags, or too long ones."""
    if len(tags) > _MOST_TAGS:
        raise InvalidValue(f"{len(tags)} tags are more than the {_MOST_TAGS} a function may have.")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise InvalidValue(f"The tag {key[:128]!r} is too long: 128 characters for a key, 256 for a value.")


def _check_logging(config: FunctionConfig) -> None:
    if config.log_format not in ("Text", "JSON"):
        raise InvalidValue(f"log_format is Text or JSON, not {config.log_format!r}.")
    levels = {
        "application_log_level": ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
        "system_log_level": ("DEBUG", "INFO", "WARN"),
    }
    for name, known in levels.items():
        level = getattr(config, name)
        if level and level not in known:
            raise InvalidValue(f"{name} is one of {', '.join(known)}, not {level!r}.")
        if level and config.log_format != "JSON":
            raise InvalidValue(f"{name} goes with log_format JSON: text lines have no levels to choose by.")
    if _LOG_GROUP.fullmatch(config.log_group) is None:
        raise InvalidValue(f"{config.log_group!r} is not a log group's name: letters, digits and . - _ / # only.")


def _check_dead_letter(arn: str) -> None:
    if arn and _DEAD_LETTER.fullmatch(arn) is None:
        raise InvalidValue(f"{arn!r} is not the ARN of an SQS queue or an SNS topic.")


def _check_reach(entries: tuple[str, ...]) -> None:
    if len(entries) > reach.MOST_ENTRIES:
        raise InvalidValue(f"reach has {len(entries)} entries: at most {reach.MOST_ENTRIES} are possible.")
    for entry in entries:
        try:
            if entry != reach.WEB:
                reach.parse(entry)
        except ValueError:
            raise InvalidValue(
                f"reach holds {entry!r}: write HOST:PORT, such as {_meant(entry)}, or * for the whole web."
            ) from None
        if entries.count(entry) > 1:
            raise InvalidValue(f"reach holds {entry!r} twice.")
    taken = reach.in_the_way(entries)
    if taken is not None:
        raise InvalidValue(
            f"reach holds {str(taken)!r}: inside an instance that port of its loopback is the platform's own. Have the "
            "service listen on another port, or name it by another name of the host."
        )


def _meant(entry: str) -> str:
    """What somebody may have had in mind who wrote a URL, or a host alone."""
    scheme, mark, rest = entry.partition("://")
    meant = rest.partition("/")[0] if mark else "api.example.com"
    if ":" in meant:
        return meant
    return meant + (":80" if scheme == "http" else ":443")


def _check_secrets(config: FunctionConfig) -> None:
    taken = set(config.variables)
    for entry in config.secrets:
        variable, _ = split_variable(entry) or ("", "")
        if not variable:
            raise InvalidValue(f"secrets holds {entry[:200]!r}: write VARIABLE=SECRET, such as DB_PASSWORD=prod/db.")
        if variable in RESERVED or variable in taken:
            raise InvalidValue(
                f"secrets sets the variable {variable}, which is {'reserved' if variable in RESERVED else 'set twice'}."
            )
        taken.add(variable)


def _check_permission(entry: str) -> None:
    if not is_permission(entry):
        raise InvalidValue(
            f"permissions holds {entry!r}: write SERVICE:ACTION, SERVICE:* or *, each with /NAME behind it to allow it "
            "on one resource only, such as lambda:InvokeFunction/resize."
        )

"""The only reader of the environment and the settings file; every value ends in a small frozen group.

Order: flags over `TORPOR_*` variables over `settings.toml` over defaults. The file is the one that `TORPOR_SETTINGS`
names, else `settings.toml` in the data folder. A bad value fails at start and names its key.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from torpor.core.errors import UserError
from torpor.core.limits import Limits

if TYPE_CHECKING:
    from pydantic import ValidationError

PREFIX = "TORPOR_"
# Variables of ours that the server does not read: the command line's, and the one that finds the settings file.
_CLIENT_ONLY = {"TORPOR_URL", "TORPOR_TOKEN", "TORPOR_SETTINGS"}


class SettingsInvalid(UserError):
    """A setting has a value that is not allowed."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What the command line needs to find a server; None where the data folder's record is to be asked."""

    url: str | None
    token: str | None
    data: Path


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """`$TORPOR_DATA`, or the platform's user data folder."""
    if chosen := environ.get("TORPOR_DATA"):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("torpor", appauthor=False)


def client_settings(environ: Mapping[str, str] | None = None) -> ClientSettings:
    """Read what the command line needs, without loading the server's settings (and pydantic with them)."""
    environ = os.environ if environ is None else environ
    return ClientSettings(environ.get("TORPOR_URL"), environ.get("TORPOR_TOKEN"), default_data_dir(environ))


def cache_dir() -> Path:
    """Where what can be made again is kept: the platform's user cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path("torpor", appauthor=False)


def environment() -> dict[str, str]:
    """The process's environment as it is, for what passes it on: pip's configuration, proxies, certificates."""
    return dict(os.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Everything `torpor up` can be told. Times in seconds, sizes in bytes unless the name says otherwise."""

    data: Path
    host: str = "127.0.0.1"
    port: Annotated[int, Ge(0), Le(65535)] = 7070  # 0: a free one
    auth: Literal["on", "off"] = "on"
    public_url: str | None = None  # how the outside reaches this server, e.g. https://functions.example.com
    region: str = "us-east-1"
    account: str = "000000000000"
    keep_alive_s: Annotated[float, Ge(0), Le(86_400)] = 60.0
    freeze_after_s: Annotated[float, Ge(0), Le(86_400)] = 0.1
    grace_s: Annotated[float, Ge(0), Le(3600)] = 20.0
    start_timeout_s: Annotated[float, Gt(0), Le(600)] = 30.0
    memory_budget_mb: Annotated[int, Ge(128)] | None = None  # None: three quarters of the machine's memory
    uid_base: Annotated[int, Ge(1000), Le(2**31)] | None = None  # first of the ids that instances get; None: chosen
    deploy_check: bool = True  # initialise what was deployed once, without a call
    zygotes: bool = True  # fork instances from processes that have imported an environment's libraries
    blanks: Annotated[int, Ge(0), Le(16)] = 2  # instances held ready for each environment that is called
    nearest_interpreter: bool = False  # run a function on the nearest Python there is, where its own is missing
    build_timeout_s: Annotated[float, Gt(0), Le(86_400)] = 1800.0
    ledger_days: Annotated[int, Ge(1)] = 400
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    limits: Limits = field(default_factory=Limits)

    @property
    def node_memory_mb(self) -> int:
        """The memory budget, as set or by default."""
        total_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024**2
        return self.memory_budget_mb or total_mb * 3 // 4


_PATTERNS = {
    "public_url": (r"https?://[^/?#]+", "an address such as https://functions.example.com, without a path"),
    "region": (r"[a-z]{2}(-[a-z]+)+-\d", "a region's name such as us-east-1"),
    "account": (r"\d{12}", "twelve digits"),
}


def server_settings(flags: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> ServerSettings:
    """Merge flags (None: not given), variables, file and defaults. Raises SettingsInvalid naming the bad key."""
    from pydantic import TypeAdapter, ValidationError  # late: `torpor --help` must not wait for it

    environ = os.environ if environ is None else environ
    given = {name: value for name, value in flags.items() if value is not None}
    variables = _variables(environ)
    data = Path(given.get("data") or variables.get("data") or default_data_dir(environ)).expanduser().absolute()
    file = Path(environ.get("TORPOR_SETTINGS") or data / "settings.toml")
    merged = _merge(_merge(_file(file, required="TORPOR_SETTINGS" in environ), variables), {**given, "data": data})
    _refuse_unknown(merged, ServerSettings, "setting")
    if isinstance(limits := merged.get("limits"), dict):
        _refuse_unknown(limits, Limits, "limit")
    try:
        settings = TypeAdapter(ServerSettings).validate_python(merged)
    except ValidationError as error:
        raise SettingsInvalid(_explain(error, file)) from None
    for name, (pattern, meant) in _PATTERNS.items():
        value = getattr(settings, name)
        if value is not None and re.fullmatch(pattern, value) is None:
            raise SettingsInvalid(f"{name} is {value!r}, and must be {meant}.")
    return settings


def _refuse_unknown(given: Mapping[str, Any], model: type, what: str) -> None:
    known = [one.name for one in fields(model)]
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}."
            raise SettingsInvalid(f"There is no {what} named {name}; {hint}")


def _variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """`TORPOR_KEEP_ALIVE_S=5` sets keep_alive_s, `TORPOR_LIMITS__SYNC_PAYLOAD=…` the limit of that name."""
    found: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in _CLIENT_ONLY:
            continue
        group, _, member = name.removeprefix(PREFIX).lower().partition("__")
        if member:
            found.setdefault(group, {})[member] = value
        else:
            found[group] = value
    return found


def _file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):  # a data folder that is none is told by who opens it
        if required:
            raise SettingsInvalid(f"TORPOR_SETTINGS names {path}, and there is no such file.") from None
        return {}
    except OSError as error:
        raise SettingsInvalid(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path} is not valid TOML: {error}") from None


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` wins; tables are merged member by member."""
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _explain(error: ValidationError, file: Path) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        variable = PREFIX + "__".join(str(part).upper() for part in problem["loc"])
        lines.append(f"{key}: {problem['msg']} (set by --{key.replace('_', '-')}, {variable}, or in {file})")
    return "Settings are not valid:\n  " + "\n  ".join(lines)

"""What is deployed: a function's configuration, its code, its state, and the immutable revision that instances run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from torpor.core.arn import LATEST


class Isolation(StrEnum):
    """`sandbox` is the wall; `process` (Landlock, seccomp, limits) is for development where namespaces are not had."""

    SANDBOX = "sandbox"
    PROCESS = "process"


CUSTOM_RUNTIMES = ("provided.al2", "provided.al2023")


def is_custom(runtime: str) -> bool:
    """Whether functions on this runtime bring their own: an executable `bootstrap` that speaks the Runtime API."""
    return runtime in CUSTOM_RUNTIMES


def takes_snapshot(config: FunctionConfig, version: str) -> bool:
    """Whether instances of this version are forked from a snapshot of their initialisation, where that is possible."""
    return config.snap_start and version != LATEST and not is_custom(config.runtime) and not config.debug_port


class State(StrEnum):
    """Lambda's states of a function."""

    PENDING = "Pending"
    ACTIVE = "Active"
    INACTIVE = "Inactive"
    FAILED = "Failed"


class UpdateStatus(StrEnum):
    """Lambda's states of the last update of a function."""

    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    IN_PROGRESS = "InProgress"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionLayer:
    """A layer version as a function uses it, with its code: it may be deleted, and goes on to serve the function.

    `digest` is the SHA-256 (hex) of its archive; sizes in bytes, of the archive and unpacked.
    """

    arn: str
    digest: str
    size: int
    unpacked: int

    @property
    def name(self) -> str:
        """The layer's, without the version."""
        return self.arn.partition(":layer:")[2].partition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionConfig:
    """What a user sets. `reach` and `permissions` are torpor's own: see DESIGN 'One door'."""

    name: str
    handler: str
    runtime: str = "python3.11"
    role: str = ""
    description: str = ""
    timeout_s: int = 3
    memory_mb: int = 128
    tmp_mb: int = 512
    variables: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "x86_64"
    tags: Mapping[str, str] = field(default_factory=dict)
    reach: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()  # actions the function may call on the platform, e.g. "lambda:InvokeFunction"
    secrets: tuple[str, ...] = ()  # VARIABLE=SECRET: what an instance finds in its environment when it starts
    source_builds: bool = False
    max_concurrency: int = 1
    snap_start: bool = False  # published versions are forked from a snapshot of their initialisation
    keep_alive_s: float | None = None  # None: the server's default
    isolation: Isolation = Isolation.SANDBOX
    log_format: str = "Text"  # or "JSON"; levels go with JSON only
    application_log_level: str = ""
    system_log_level: str = ""
    log_group: str = ""  # empty: /aws/lambda/NAME
    dead_letter: str = ""  # ARN of a queue or topic
    layers: tuple[FunctionLayer, ...] = ()  # merged in this order under /opt
    debug_port: int = 0  # of this machine, where a debugger waits for the instance; 0: none does

    def evolve(self, **changes: Any) -> FunctionConfig:
        return replace(self, **changes)

    @property
    def grants(self) -> tuple[str, ...]:
        """What who sets this must hold: the function's permissions, and the right to all that it is given."""
        return (
            *self.permissions,
            *(f"secretsmanager:GetSecretValue/{entry.partition('=')[2]}" for entry in self.secrets),
            *(f"lambda:GetLayerVersion/{layer.name}" for layer in self.layers),
            *(f"torpor:Connect/{entry}" for entry in self.reach),
            *(("torpor:BuildSources",) if self.source_builds else ()),
            *(("torpor:Debug",) if self.debug_port else ()),
        )

    def grants_beyond(self, before: FunctionConfig | None) -> tuple[str, ...]:
        """Those that a configuration in the place of `before` adds."""
        had = set(before.grants) if before is not None else set()
        return tuple(grant for grant in self.grants if grant not in had)

    def as_json(self) -> dict[str, Any]:
        """A plain dictionary that `from_json` reads back."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        layers = [asdict(layer) for layer in self.layers]
        return plain | {"variables": dict(self.variables), "tags": dict(self.tags), "layers": layers}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> FunctionConfig:
        known = {name: value for name, value in plain.items() if name in cls.__dataclass_fields__}
        for name in ("reach", "permissions", "secrets"):
            known[name] = tuple(known.get(name, ()))
        known["layers"] = tuple(FunctionLayer(**layer) for layer in known.get("layers", ()))
        known["isolation"] = Isolation(known.get("isolation", Isolation.SANDBOX))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A function's code, named by the SHA-256 (hex) of its archive. `size` in bytes, as uploaded."""

    digest: str
    size: int

    @property
    def code_sha256(self) -> str:
        """Lambda's CodeSha256: base64 of the same digest."""
        return base64.b64encode(bytes.fromhex(self.digest)).decode()


@dataclass(frozen=True, slots=True)
class Environment:
    """Locked dependencies for one interpreter, installed at its final path (the same inside a sandbox and outside).

    `python` is the interpreter to execute; `mounts` are the host folders that must be visible, read-only, at the same
    path (the environment itself and the interpreter's own installation).
    """

    digest: str
    python: str
    site_packages: str
    mounts: tuple[str, ...]
    runtime: str = "python3.11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One immutable pair of code and configuration; an instance belongs to exactly one."""

    arn: str  # unqualified function ARN
    version: str
    config: FunctionConfig
    bundle: Bundle
    code_dir: str  # host folder with the extracted bundle, mounted read-only at /var/task
    environment: Environment
    key: str
    layers_dir: str | None = None  # host folder with the layers, merged, mounted read-only at /opt

    @property
    def name(self) -> str:
        return self.config.name


_COSMETIC = ("description", "tags", "role", "dead_letter")  # no instance can tell them


def revision_key(config: FunctionConfig, bundle: Bundle, environment: Environment, version: str) -> str:
    """Digest of everything an instance depends on: equal keys may share instances."""
    settings = config.as_json()
    for cosmetic in _COSMETIC:
        settings.pop(cosmetic)
    text = json.dumps([settings, bundle.digest, environment.digest, version], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function as it stands: configuration, code, and Lambda's two state machines."""

    config: FunctionConfig
    bundle: Bundle
    version: str = LATEST
    environment: Environment | None = None  # None until it is built
    state: State = State.PENDING
    state_reason: str = "The function is being created."
    state_reason_code: str = "Creating"
    update_status: UpdateStatus = UpdateStatus.IN_PROGRESS
    update_reason: str = ""
    update_reason_code: str = ""
    revision_id: str = ""
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    source: str = ""  # of a published version: the digest of what it was published from

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def qualifier(self) -> str | None:
        """How its ARN ends: the version, where it is a published one."""
        return None if self.version == LATEST else self.version

    def evolve(self, **changes: Any) -> Function:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionUrl:
    """A function's own HTTP address, or an alias's. `auth` is `NONE` or `AWS_IAM`; `cors` as in Lambda's Cors shape."""

    name: str
    qualifier: str | None = None  # the alias
    auth: str = "AWS_IAM"
    cors: Mapping[str, Any] | None = None
    invoke_mode: str = "BUFFERED"
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def streams(self) -> bool:
        """Whether what a handler yields is sent as it comes."""
        return self.invoke_mode == "RESPONSE_STREAM"


def is_public(url: FunctionUrl | None) -> bool:
    """Whether anybody may call over HTTP what has this URL."""
    return url is not None and url.auth == "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """An IAM role: accepted and stored, since scripts begin by making one."""

    name: str
    path: str
    role_id: str
    trust_policy: str
    description: str = ""
    max_session_s: int = 3600
    tags: Mapping[str, str] = field(default_factory=dict)
    attached: tuple[str, ...] = ()  # ARNs of managed policies
    inline: Mapping[str, str] = field(default_factory=dict)  # policies of its own: documents, as written, by name
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def evolve(self, **changes: Any) -> Role:
        return replace(self, **changes)


def environment_as_json(environment: Environment) -> dict[str, Any]:
    return asdict(environment)


def environment_from_json(plain: Mapping[str, Any]) -> Environment:
    return Environment(**{**plain, "mounts": tuple(plain["mounts"])})

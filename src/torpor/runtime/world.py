"""The handler's world: which variables and files an instance of a revision starts with, as Lambda describes them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from torpor.core.arn import Home
from torpor.core.function import Environment, FunctionConfig, Revision, is_custom, takes_snapshot
from torpor.core.limits import Limits
from torpor.core.log_group import key_of, log_group_of
from torpor.guest import layout
from torpor.guest.settings import PRIVATE_VARIABLE, to_variable
from torpor.policy import preload, reach
from torpor.runtime.spec import DOOR as DOOR_LISTENER
from torpor.runtime.spec import LaunchSpec, Mount, ZygoteSpec

TASK_ROOT = "/var/task"
LAYERS_ROOT = "/opt"
DOOR = "127.0.0.1:9001"
# Lambda's AWS_LAMBDA_INITIALIZATION_TYPE
ON_DEMAND, PROVISIONED, SNAP_START = "on-demand", "provisioned-concurrency", "snap-start"
SNAPSHOT = "snapshot-"  # before a revision's key
_SNAPSHOT_S = 130.0  # as on Lambda, or the function's own timeout where that is longer

# Lambda's documented list: a function's own variables may not set these.
RESERVED = frozenset({
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", PRIVATE_VARIABLE,
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """One instance to be: what to launch, and the names under which it will be known."""

    spec: LaunchSpec
    instance_id: str
    log_stream: str
    log_key: str  # of its group, as the store of logs names it

    def with_variables(self, found: Mapping[str, str]) -> LaunchSpec:
        """What to launch, with secrets in its environment: here they join it, and no world keeps them."""
        if not found:
            return self.spec
        base = self.spec.snapshot
        snapshot = base and replace(base, env={**base.env, **found})
        return replace(self.spec, env={**self.spec.env, **found}, snapshot=snapshot)


def build_world(
    revision: Revision,
    *,
    home: Home,
    limits: Limits,
    now: datetime | None = None,
    no_zygote: str = "",
    initialization: str = ON_DEMAND,
) -> World:
    """Everything a new instance of `revision` needs; identity and credentials are fresh for each.

    `no_zygote` says why it must not be forked, if somebody knows.
    """
    instance_id = secrets.token_hex(16)
    day = (now or datetime.now(UTC)).strftime("%Y/%m/%d")
    log_stream = f"{day}/[{revision.version}]{instance_id}"
    config = revision.config
    base = zygote_of(revision.environment)
    env = variables(revision, home=home, limits=limits, log_stream=log_stream)
    env["AWS_LAMBDA_INITIALIZATION_TYPE"] = initialization
    spec = LaunchSpec(
        instance_id=instance_id,
        argv=(revision.environment.python, layout.PROGRAM),
        env=env,
        cwd=TASK_ROOT,
        mounts=_mounts(revision),
        memory_mb=config.memory_mb,
        tmp_mb=config.tmp_mb,
        processes=limits.instance_processes,
        open_files=limits.instance_files,
        hosts=reach.names(config.reach),
        doors=(DOOR_LISTENER, *((way.address, way.port) for way in reach.ways(config.reach))),
        isolation=config.isolation,
        zygote=base,
        snapshot=_snapshot_of(revision, base, env) if takes_snapshot(config, revision.version) else None,
        no_zygote=no_zygote or preload.variable_in_the_way(env, base.env),
    )
    return World(spec, instance_id, log_stream, key_of(log_group_of(config)))


def variables(revision: Revision, *, home: Home, limits: Limits, log_stream: str) -> dict[str, str]:
    """The instance's environment: defaults, then the function's own variables, then what is reserved."""
    own = {name: value for name, value in revision.config.variables.items() if name not in RESERVED}
    proxy = reach.variables(revision.config.reach)
    return {**_defaults(revision.environment), **proxy, **own, **_reserved(revision, home, limits, log_stream)}


def zygote_of(environment: Environment) -> ZygoteSpec:
    """What instances of this environment are forked from: it starts as they do, but for what is a function's own."""
    return ZygoteSpec(
        key=environment.digest,
        python=environment.python,
        site_packages=environment.site_packages,
        env=_defaults(environment),
        mounts=_shared_mounts(environment),
        always=(layout.WORKER, layout.REHEARSAL),
        programs=(layout.PROGRAM,),
        rehearsal=layout.REHEARSAL,
    )


def snapshot_key(revision: Revision) -> str:
    """Names the zygote in which this revision was initialised."""
    return f"{SNAPSHOT}{revision.key}"


def _snapshot_of(revision: Revision, base: ZygoteSpec, env: Mapping[str, str]) -> ZygoteSpec:
    """A zygote of one revision's own: it has its files and variables, and initialises it."""
    return replace(
        base,
        key=snapshot_key(revision),
        env={**env, "AWS_LAMBDA_INITIALIZATION_TYPE": SNAP_START},
        mounts=_mounts(revision),
        always=(*base.always, layout.SNAPSHOT),
        snapshot=layout.SNAPSHOT,
        doors=(DOOR_LISTENER,),
        start_s=max(_SNAPSHOT_S, float(revision.config.timeout_s)),
    )


def _defaults(environment: Environment) -> Mapping[str, str]:
    """What a function may set otherwise. HOME is the one folder it can write to: many libraries insist on one."""
    return {
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "HOME": "/tmp",  # noqa: S108  # the sandbox's own
        "PATH": f"{Path(environment.python).parent}:/usr/local/bin:/usr/bin:/bin:/opt/bin",
        "LD_LIBRARY_PATH": f"{TASK_ROOT}:{TASK_ROOT}/lib:/opt/lib",
        "PYTHONPATH": layout.RUNTIME_DIR,
        "AWS_ENDPOINT_URL": f"http://{DOOR}",
    }


def _reserved(revision: Revision, home: Home, limits: Limits, log_stream: str) -> Mapping[str, str]:
    config = revision.config
    return {
        "_HANDLER": config.handler,
        "LAMBDA_TASK_ROOT": TASK_ROOT,
        "LAMBDA_RUNTIME_DIR": layout.RUNTIME_DIR,
        "AWS_LAMBDA_FUNCTION_NAME": config.name,
        "AWS_LAMBDA_FUNCTION_VERSION": revision.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": log_group_of(config),
        **_log_format(config),
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_INITIALIZATION_TYPE": ON_DEMAND,
        **({} if is_custom(config.runtime) else {"AWS_EXECUTION_ENV": f"AWS_Lambda_{config.runtime}"}),
        "AWS_REGION": home.region,
        "AWS_DEFAULT_REGION": home.region,
        **_credentials(),
        PRIVATE_VARIABLE: to_variable(
            site_packages=revision.environment.site_packages,
            max_response=limits.response_payload,
            concurrency=config.max_concurrency,
            custom=is_custom(config.runtime),
            debug_port=config.debug_port,
        ),
    }


def _log_format(config: FunctionConfig) -> Mapping[str, str]:
    """What Lambda tells a runtime of its LoggingConfig."""
    if config.log_format != "JSON":
        return {}
    return {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": config.application_log_level or "INFO"}


def _credentials() -> Mapping[str, str]:
    """Where SDKs get theirs, and new ones before those expire: variables of their own would win and never change."""
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{DOOR}/_torpor/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": secrets.token_urlsafe(32),
    }


def _mounts(revision: Revision) -> tuple[Mount, ...]:
    layers = [] if revision.layers_dir is None else [Mount(source=revision.layers_dir, target=LAYERS_ROOT)]
    return (Mount(source=revision.code_dir, target=TASK_ROOT), *layers, *_shared_mounts(revision.environment))


def _shared_mounts(environment: Environment) -> tuple[Mount, ...]:
    """What all instances of an environment see: the guest, the environment, its interpreter."""
    guest = [Mount(source=source, target=target) for source, target in layout.files()]
    return (*guest, *(Mount(source=path, target=path) for path in environment.mounts))

"""The legal transitions of a function, as tables, and the functions that make them. Lambda's words throughout."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from torpor.core.errors import BuildFailed, InterpreterMissing, InvalidBundle, PlatformFault, TorporError
from torpor.core.function import Bundle, Environment, Function, FunctionConfig, State, UpdateStatus
from torpor.store.function_table import FunctionRecord, Serving

_CREATING = ("The function is being created.", "Creating")

STATES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.PENDING, State.ACTIVE, State.FAILED}),
    State.ACTIVE: frozenset({State.ACTIVE}),  # an update that fails leaves the function active, on its old code
    State.FAILED: frozenset({State.PENDING}),
    State.INACTIVE: frozenset({State.PENDING}),
}
UPDATES: Mapping[UpdateStatus, frozenset[UpdateStatus]] = {
    UpdateStatus.IN_PROGRESS: frozenset(UpdateStatus),  # to itself when `put` replaces an update with a newer one
    UpdateStatus.SUCCESSFUL: frozenset({UpdateStatus.IN_PROGRESS}),
    UpdateStatus.FAILED: frozenset({UpdateStatus.IN_PROGRESS}),
}


class IllegalTransition(PlatformFault):
    """A function cannot go from one of these states to the other."""


def created(config: FunctionConfig, bundle: Bundle) -> FunctionRecord:
    """A new function, whose environment is still to be built."""
    return FunctionRecord(function=Function(config=config, bundle=bundle, revision_id=str(uuid.uuid4())))


def updating(record: FunctionRecord, config: FunctionConfig, bundle: Bundle | None = None) -> FunctionRecord:
    """The function with new configuration, or new code too; the old one serves meanwhile, if it ever did.

    New code is always built, even if it is the old: a damaged environment is repaired by deploying again.
    """
    active = record.function.state is State.ACTIVE
    reason, code = ("", "") if active else _CREATING
    function = _step(
        record.function,
        State.ACTIVE if active else State.PENDING,
        UpdateStatus.IN_PROGRESS,
        config=config,
        bundle=bundle or record.function.bundle,
        environment=_still_valid(record.function, config) if bundle is None else None,
        state_reason=reason,
        state_reason_code=code,
        update_reason=_CREATING[0],
        update_reason_code=_CREATING[1],
    )
    return record.evolve(function=function, build=object())


def published(record: FunctionRecord, number: str, description: str | None) -> FunctionRecord:
    """A version of the function as it stands: it never changes, and is made ready like a new function."""
    latest = record.function
    config = latest.config if description is None else latest.config.evolve(description=description)
    function = Function(
        config=config,
        bundle=latest.bundle,
        version=number,
        environment=latest.environment,
        revision_id=str(uuid.uuid4()),
        source=source_of(latest),
    )
    return FunctionRecord(function=function)


def source_of(function: Function) -> str:
    """A digest of everything that makes a version differ from the one before: code and configuration without tags."""
    settings = function.config.as_json()
    settings.pop("tags")
    text = json.dumps([settings, function.bundle.digest], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def touched(record: FunctionRecord) -> FunctionRecord:
    """The same function under a new revision id: something that belongs to it was changed."""
    return record.evolve(function=record.function.evolve(revision_id=str(uuid.uuid4())))


def retagged(record: FunctionRecord, tags: Mapping[str, str]) -> FunctionRecord:
    """The function with these tags; what runs is not touched."""
    function, serving = record.function, record.serving
    return record.evolve(
        function=function.evolve(config=function.config.evolve(tags=tags)),
        serving=None if serving is None else serving.evolve(config=serving.config.evolve(tags=tags)),
    )


def succeeded(record: FunctionRecord, environment: Environment, no_snapshot: str = "") -> FunctionRecord:
    """The function, built: it serves from now on. `no_snapshot` says why it has none, where it was to have one."""
    function = _step(
        record.function,
        State.ACTIVE,
        UpdateStatus.SUCCESSFUL,
        environment=environment,
        state_reason=no_snapshot and f"Starts without a snapshot: {no_snapshot}",
        state_reason_code="",
        update_reason="",
        update_reason_code="",
        modified=record.function.modified,
    )
    serving = Serving(config=function.config, bundle=function.bundle, environment=environment)
    return record.evolve(function=function, serving=serving)


def failed(record: FunctionRecord, error: BaseException) -> FunctionRecord:
    """The function, whose build failed: a new one cannot be invoked, an updated one goes on as it was."""
    reason, code = reason_of(error)
    changes: dict[str, Any] = {"update_reason": reason, "update_reason_code": code}
    state = record.function.state
    if state is State.PENDING:
        state = State.FAILED
        changes |= {"state_reason": reason, "state_reason_code": code}
    function = _step(record.function, state, UpdateStatus.FAILED, modified=record.function.modified, **changes)
    return record.evolve(function=function)


def is_settled(function: Function) -> bool:
    """Whether nothing is being built for the function."""
    return function.state is not State.PENDING and function.update_status is not UpdateStatus.IN_PROGRESS


def reason_of(error: BaseException) -> tuple[str, str]:
    """What to tell about a failed build: the reason, and its code of the model's StateReasonCode."""
    match error:
        case InterpreterMissing():
            return error.message, "InvalidRuntime"
        case InvalidBundle():
            return error.message, "InvalidZipFileException"
        case BuildFailed():
            return error.message, "FunctionError"
        case TorporError():
            return error.message, "InternalError"
        case _:
            return f"torpor failed while building the function: {type(error).__name__}: {error}", "InternalError"


def _still_valid(old: Function, config: FunctionConfig) -> Environment | None:
    same = (old.config.runtime, old.config.source_builds) == (config.runtime, config.source_builds)
    return old.environment if same else None


def _step(function: Function, state: State, update: UpdateStatus, **changes: Any) -> Function:
    if state not in STATES[function.state] or update not in UPDATES[function.update_status]:
        raise IllegalTransition(
            f"{function.name} cannot go from {function.state}/{function.update_status} to {state}/{update}"
        )
    stamp = {"revision_id": str(uuid.uuid4()), "modified": datetime.now(UTC)}
    return function.evolve(**stamp | {"state": state, "update_status": update} | changes)

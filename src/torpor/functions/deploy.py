"""Deploy functions: check, store, build in the background, and let the new take over from the old."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from torpor.core.errors import Conflict, InvalidValue, PlatformFault, PreconditionFailed, TorporError
from torpor.core.function import Bundle, Environment, Function, FunctionConfig, State, takes_snapshot
from torpor.functions import lifecycle
from torpor.functions.catalog import Catalog
from torpor.functions.check import NoChecks
from torpor.functions.config_rules import ConfigRules
from torpor.functions.gate import Gate
from torpor.functions.ports import Checks, CodeStore, EnvironmentStore, LayerStore, Logs, Runner
from torpor.functions.revisions import Revisions, key_of
from torpor.store.function_table import FunctionRecord, Serving

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)
_DEBUGGER = ("debugpy>=1.8,<2",)
_CHECK_S = 15.0  # so long, at the most, who waits for a build waits for its check too


class Deployer:
    """Changes functions. At most `builds` environments are built at a time; the others wait as Pending."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        bundles: CodeStore,
        layers: LayerStore,
        environments: EnvironmentStore,
        node: Runner,
        logs: Logs,
        revisions: Revisions,
        rules: ConfigRules,
        checks: Checks | None = None,
        builds: int = 2,
        retry_s: float = 2.0,
    ) -> None:
        self._catalog = catalog
        self._bundles = bundles
        self._layers = layers
        self._environments = environments
        self._node = node
        self._logs = logs
        self._revisions = revisions
        self._rules = rules
        self._checks = checks or NoChecks()
        self._slots = asyncio.Semaphore(builds)
        self._retry_s = retry_s
        self._builds: dict[tuple[str, str], asyncio.Task[None]] = {}  # by name and version
        self._commits: set[asyncio.Task[Any]] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._retired: dict[str, Serving] = {}  # by their revisions' keys; some may have ended since
        self._closed = False
        self.code_gate = Gate()  # shared between a bundle's `add` and the catalog
        self.environment_gate = Gate()  # shared between an environment's `ensure` and the catalog

    async def create(self, config: FunctionConfig, archive: bytes | Path, *, publish: bool = False) -> Function:
        """Store a new function and begin to build it: it is Pending. Raises Conflict when its name is taken.

        With `publish` its first version is made at once, built beside it, and returned.
        """
        self._rules.check(config)
        if self._catalog.find(config.name) is not None:
            raise Conflict(f"Function already exist: {config.name}")
        async with self.code_gate.shared():
            bundle = await self._bundles.add(archive)
            record = lifecycle.created(config, bundle)
            version = self._version_of(record) if publish else None
            return await self._commit(self._catalog.add(record, version), version)

    async def update_code(
        self,
        name: str,
        archive: bytes | Path,
        revision_id: str | None = None,
        dry_run: bool = False,  # noqa: FBT001, FBT002 - Lambda's own parameter, given by name
        *,
        architecture: str | None = None,
        publish: bool = False,
    ) -> Function:
        """Store new code and begin to build it; the old serves until that is done.

        Raises FunctionNotFound, PreconditionFailed, and Conflict while another change is being built. With `dry_run`
        everything is checked, and what the function would be is returned. With `publish` a version is made of it.
        """
        self._changeable(name, revision_id)
        async with self.code_gate.shared():
            bundle = await self._bundles.add(archive)
            record = self._changeable(name, revision_id)
            changes = {} if architecture is None else {"architecture": architecture}
            config = self._rules.evolve(record.function.config, changes)
            if dry_run:
                return record.function.evolve(config=config, bundle=bundle)
            new = lifecycle.updating(record, config, bundle)
            last = self._published(new) if publish else None
            version = self._version_of(new) if publish and last is None else None
            updated = await self._commit(self._catalog.replace(record, new, version), version)
            return updated if last is None else last

    async def publish(
        self,
        name: str,
        *,
        description: str | None = None,
        code_sha256: str | None = None,
        revision_id: str | None = None,
    ) -> Function:
        """Make a version of the function as it stands; of an unchanged one the last version is returned.

        Raises FunctionNotFound, PreconditionFailed, InvalidValue where the code is not the one named, and Conflict
        while the function is not ready.
        """
        record = self._changeable(name, revision_id)
        latest = record.function
        if code_sha256 and code_sha256 != latest.bundle.code_sha256:
            raise InvalidValue(
                f"CodeSHA256 ({code_sha256}) is different from current CodeSHA256 in $LATEST "
                f"({latest.bundle.code_sha256}). Please try again with the CodeSHA256 in $LATEST."
            )
        last = self._published(record)
        if last is not None:
            return last
        version = self._version_of(record, description)
        return await self._commit(self._catalog.replace(record, lifecycle.touched(record), version), version, only=True)

    async def delete_version(self, name: str, version: str) -> None:
        """Remove a version; what runs on it finishes. Raises Conflict while an alias leads to it."""

        def check() -> None:
            self._catalog.get(name)
            users = [alias.name for alias in self._catalog.aliases.of(name).values() if version in alias.versions]
            if users:
                raise Conflict(
                    f"Unable to delete version because the following aliases reference it: [{', '.join(users)}]"
                )

        async def remove() -> None:
            removed = await self._catalog.remove_version(name, version, check=check)
            if removed is not None:
                self._leave(removed)

        await self._finish(remove())

    async def update_config(self, name: str, changes: Mapping[str, Any], revision_id: str | None = None) -> Function:
        """Change the given fields of the function's configuration; otherwise like `update_code`."""
        record = self._changeable(name, revision_id)
        config = self._rules.evolve(record.function.config, changes)
        return await self._commit(self._catalog.replace(record, lifecycle.updating(record, config)))

    async def put(self, config: FunctionConfig, archive: bytes | Path) -> Function:
        """Create the function, or give it this code and configuration; an unfinished build is replaced."""
        self._rules.check(config)
        async with self.code_gate.shared():
            bundle = await self._bundles.add(archive)
            return await self._commit(self._put(config, bundle))

    async def delete(self, name: str) -> None:
        """Remove the function, its URL and its log; running invocations end. Raises FunctionNotFound."""
        await self._finish(self._delete(name))

    async def wait_settled(
        self, name: str, timeout_s: float | None = None, *, version: str | None = None, checked: bool = True
    ) -> Function:
        """The function, once nothing is being built for it, or when the time is up. Raises FunctionNotFound.

        With `checked`, its deployment check is waited for, too, though not for long.
        """
        now = asyncio.get_running_loop().time
        deadline = None if timeout_s is None else now() + timeout_s
        key = name, self._catalog.get(name, version).version
        while (build := self._builds.get(key)) is not None and (deadline is None or now() < deadline):
            await asyncio.wait({build}, timeout=None if deadline is None else deadline - now())
        if checked and self._catalog.get(*key).state is State.ACTIVE:
            await self._checks.wait(key, _CHECK_S if deadline is None else min(_CHECK_S, max(0.0, deadline - now())))
        return self._catalog.get(*key)

    def resume(self) -> int:
        """Begin again what a stopped server left unbuilt; returns how many builds."""
        unsettled = [record for record in self._catalog.records() if not lifecycle.is_settled(record.function)]
        for record in unsettled:
            self._begin(record)
        return len(unsettled)

    def retired(self) -> tuple[Serving, ...]:
        """What instances of replaced or deleted functions are still running, or starting for those who wait."""
        running = self._node.running()
        self._retired = {key: serving for key, serving in self._retired.items() if key in running}
        return tuple(self._retired.values())

    async def close(self) -> None:
        """Stop all builds; the next server resumes them. No change may be asked for any more."""
        self._closed = True
        for task in [*self._builds.values(), *self._retiring]:
            task.cancel()
        while tasks := self._commits | self._retiring | set(self._builds.values()):
            await asyncio.wait(tasks)

    def _changeable(self, name: str, revision_id: str | None) -> FunctionRecord:
        record = self._catalog.record(name)
        if not lifecycle.is_settled(record.function):
            if record.function.state is State.PENDING:
                raise Conflict(
                    "The operation cannot be performed at this time. The function is currently in the following "
                    "state: Pending"
                )
            raise self._catalog.update_in_progress(name)
        if revision_id is not None and revision_id != record.function.revision_id:
            raise PreconditionFailed(
                "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias API to "
                "retrieve the latest RevisionId"
            )
        return record

    async def _put(self, config: FunctionConfig, bundle: Bundle) -> FunctionRecord:
        while True:  # somebody else may create, change or delete it between the look and the write
            record = self._catalog.find(config.name)
            try:
                if record is None:
                    return await self._catalog.add(lifecycle.created(config, bundle))
                return await self._catalog.replace(record, lifecycle.updating(record, config, bundle))
            except Conflict:
                if self._catalog.find(config.name) is record:
                    raise

    def _published(self, record: FunctionRecord) -> Function | None:
        """The last version, if it was made of what the function is now."""
        versions = self._catalog.versions(record.name)
        same = versions and versions[-1].function.source == lifecycle.source_of(record.function)
        return versions[-1].function if same else None

    def _version_of(self, record: FunctionRecord, description: str | None = None) -> FunctionRecord:
        return lifecycle.published(record, self._catalog.next_version(record.name), description)

    async def _commit(
        self,
        change: Coroutine[Any, Any, FunctionRecord],
        version: FunctionRecord | None = None,
        *,
        only: bool = False,
    ) -> Function:
        """Store, and begin to build what was stored: the function and its new version, or `only` the latter."""

        async def commit() -> Function:
            record = await change
            function = record.function if only else self._begin(record)
            return function if version is None else self._begin(version)

        return await self._finish(commit())

    async def _delete(self, name: str) -> None:
        for removed in await self._catalog.remove(name):
            self._leave(removed)
        self._node.reserve(name, self._catalog.reserved(name))  # None, unless one of its name was made since
        try:
            await self._logs.delete(name)
        except TorporError as error:  # the function is gone all the same; collecting garbage tries again
            _log.warning("a log stays", action="function.log_left", function=name, reason=error.message)
        _log.info("function deleted", action="function.deleted", function=name)

    def _leave(self, removed: FunctionRecord) -> None:
        """What was deleted is built no more, and takes no new work."""
        self._stop_build((removed.name, removed.version))
        self._checks.cancel((removed.name, removed.version))
        self._revisions.forget(removed.name, removed.version)
        if removed.serving is not None:
            self._retire(removed.serving, removed.version)

    def _begin(self, record: FunctionRecord) -> Function:
        key = (record.name, record.version)
        self._stop_build(key)
        if not self._closed:
            build = asyncio.create_task(self._build(record), name=f"build-{':'.join(key)}")
            self._builds[key] = build
            build.add_done_callback(partial(self._built, key))
        return record.function

    def _built(self, key: tuple[str, str], build: asyncio.Task[None]) -> None:
        if self._builds.get(key) is build:
            del self._builds[key]
        _report_crash("deploy.lost", build)

    def _stop_build(self, key: tuple[str, str]) -> None:
        build = self._builds.pop(key, None)
        if build is not None:
            build.cancel()
            self._commits.add(build)  # `close` waits for it
            build.add_done_callback(self._commits.discard)

    async def _build(self, record: FunctionRecord) -> None:
        try:
            await self._build_and_take_over(record)
        except Exception as error:
            if self._superseded(record):
                return
            _report_failure(record.name, error)
            await self._record_failure(record, error)

    async def _record_failure(self, record: FunctionRecord, error: Exception) -> None:
        """Where the disk refuses even that it is asked again: a function must not be Pending for ever."""
        while not self._superseded(record):
            try:
                await self._catalog.amend(record, lambda now: lifecycle.failed(now, error))
            except Conflict:
                return  # superseded while that was written
            except PlatformFault as refused:
                _log.warning("a failure is not stored yet", action="deploy.unstored", reason=refused.message)
                await asyncio.sleep(self._retry_s)
            else:
                return

    async def _build_and_take_over(self, record: FunctionRecord) -> None:
        environment = record.function.environment
        config = record.function.config
        if environment is not None:  # only settings changed, and the catalog keeps it from being collected
            await self._layers.prepare(config.layers, config.runtime)
            refused = await self._snapshot(record, environment)
            await self._finish(self._take_over(record, environment, refused))
            return
        async with self._slots, self.environment_gate.shared():
            code_dir = await self._bundles.extract(record.function.bundle)
            environment = await self._environments.ensure(
                code_dir,
                runtime=config.runtime,
                source_builds=config.source_builds,
                more=_DEBUGGER if config.debug_port else (),
            )
            await self._layers.prepare(config.layers, config.runtime)
            refused = await self._snapshot(record, environment)
            await self._finish(self._take_over(record, environment, refused))

    async def _snapshot(self, record: FunctionRecord, environment: Environment) -> str:
        """Have a version's snapshot made where it is to have one; empty, or why there is none."""
        function = record.function
        if not takes_snapshot(function.config, function.version):
            return ""
        serving = Serving(config=function.config, bundle=function.bundle, environment=environment)
        refused = await self._node.snapshot(await self._revisions.build(record, serving))
        if refused:
            _log.warning("no snapshot", action="deploy.no_snapshot", function=record.name, reason=refused)
        return refused

    async def _take_over(self, old: FunctionRecord, environment: Environment, no_snapshot: str = "") -> None:
        """The new revision is what the next invocation finds; then the old one may go."""
        new = await self._catalog.amend(old, lambda now: lifecycle.succeeded(now, environment, no_snapshot))
        version = new.version
        _log.info("function built", action="deploy.done", function=new.name, version=version)
        if no_snapshot or not takes_snapshot(new.function.config, version):  # else it was initialised by that
            self._checks.begin(new)
        before, after = old.serving, new.serving
        if before is not None and after is not None and key_of(before, version) != key_of(after, version):
            self._retire(before, version)

    def _retire(self, serving: Serving, version: str) -> None:
        self.retired()  # forget those that have ended, so that updates without end keep no list without end
        key = key_of(serving, version)
        self._retired[key] = serving
        task = asyncio.create_task(self._node.retire(key), name=f"retire-{serving.config.name}")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        task.add_done_callback(partial(_report_crash, "deploy.retire_failed"))

    def _superseded(self, record: FunctionRecord) -> bool:
        now = self._catalog.current(record)
        return now is None or now.build is not record.build

    async def _finish(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What has begun to be stored is finished, even when who asked for it has gone."""
        task = asyncio.create_task(work)
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        return await asyncio.shield(task)


def _report_failure(name: str, error: Exception) -> None:
    if isinstance(error, TorporError):
        _log.warning("build failed", action="deploy.failed", function=name, reason=error.message)
    else:
        _log.error("build failed", action="deploy.failed", function=name, exc_info=error)


def _report_crash(action: str, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a background task failed", action=action, task=task.get_name(), exc_info=error)

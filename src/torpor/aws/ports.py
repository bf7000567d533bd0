"""What the AWS services need of the use cases, as narrow contracts: the real ones are in `torpor.functions`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from torpor.aws.lambda_.ports import Provisioning
from torpor.core.arn import FunctionRef
from torpor.core.attached import Alias, EventInvoke
from torpor.core.function import Function, FunctionConfig, FunctionLayer, FunctionUrl, Role
from torpor.core.identity import Credentials, Principal
from torpor.core.invocation import Outcome, Streamed
from torpor.core.layer import LayerVersion
from torpor.core.secret import Secret, SecretKind, SecretVersion


class FunctionPage(Protocol):
    """Some functions in order of their names, and the name to go on after: None on the last page."""

    @property
    def functions(self) -> tuple[Function, ...]: ...

    @property
    def next(self) -> str | None: ...


class Catalog(Protocol):
    """All functions. `get` raises FunctionNotFound in Lambda's words, also for a version that does not exist."""

    def get(self, name: str, qualifier: str | None = None) -> Function: ...
    def list(self, after: str | None = None, limit: int = 50, *, versions: bool = False) -> FunctionPage: ...
    def list_versions(self, name: str, after: str | None = None, limit: int = 50) -> FunctionPage: ...


class Deployer(Protocol):
    async def create(self, config: FunctionConfig, archive: bytes, *, publish: bool = False) -> Function: ...
    async def update_code(
        self, name: str, archive: bytes, revision_id: str | None = None, *, dry_run: bool = False, publish: bool = False
    ) -> Function: ...
    async def publish(
        self,
        name: str,
        *,
        description: str | None = None,
        code_sha256: str | None = None,
        revision_id: str | None = None,
    ) -> Function: ...
    async def update_config(
        self, name: str, changes: Mapping[str, Any], revision_id: str | None = None
    ) -> Function: ...
    async def delete(self, name: str) -> None: ...
    async def delete_version(self, name: str, version: str) -> None: ...


class AliasPage(Protocol):
    """Some aliases in order of their names, and the name to go on after: None on the last page."""

    @property
    def aliases(self) -> tuple[Alias, ...]: ...

    @property
    def next(self) -> str | None: ...


class Aliases(Protocol):
    def get(self, function: str, name: str) -> Alias: ...
    def list(
        self, function: str, *, version: str | None = None, after: str | None = None, limit: int = 50
    ) -> AliasPage: ...
    async def create(
        self,
        function: str,
        name: str,
        version: str,
        *,
        description: str = "",
        weights: Mapping[str, float] | None = None,
    ) -> Alias: ...
    async def update(
        self,
        function: str,
        name: str,
        *,
        version: str | None = None,
        description: str | None = None,
        weights: Mapping[str, float] | None = None,
        revision_id: str | None = None,
    ) -> Alias: ...
    async def delete(self, function: str, name: str) -> bool: ...


class PolicyText(Protocol):
    """A policy as JSON text, and the revision id of what it belongs to."""

    @property
    def text(self) -> str: ...

    @property
    def revision_id(self) -> str: ...


class Policies(Protocol):
    """Resource policies. `grant` has the fields of a permission by name."""

    def get(self, ref: FunctionRef) -> PolicyText: ...
    async def add(
        self, ref: FunctionRef, grant: Mapping[str, Any], revision_id: str | None = None
    ) -> Mapping[str, Any]: ...
    async def remove(self, ref: FunctionRef, statement_id: str, revision_id: str | None = None) -> None: ...
    def permits(self, principal: Principal, action: str, ref: FunctionRef) -> bool: ...


class EventInvokePage(Protocol):
    """Some configurations by qualifier, and the one to go on after: None on the last page."""

    @property
    def configs(self) -> Mapping[str, EventInvoke]: ...

    @property
    def next(self) -> str | None: ...


class EventInvokes(Protocol):
    """What is to be done with asynchronous invocations; `changes` has the fields of EventInvoke."""

    def get(self, ref: FunctionRef) -> EventInvoke: ...
    async def put(self, ref: FunctionRef, changes: Mapping[str, Any]) -> EventInvoke: ...
    async def update(self, ref: FunctionRef, changes: Mapping[str, Any]) -> EventInvoke: ...
    async def delete(self, ref: FunctionRef) -> None: ...
    def list(self, name: str, after: str | None = None, limit: int = 50) -> EventInvokePage: ...


class Tags(Protocol):
    def get(self, name: str) -> Mapping[str, str]: ...
    async def change(self, name: str, add: Mapping[str, str], remove: Collection[str] = ()) -> None: ...


class Attachments(Protocol):
    """What hangs on functions."""

    @property
    def aliases(self) -> Aliases: ...

    @property
    def policies(self) -> Policies: ...

    @property
    def event_invokes(self) -> EventInvokes: ...

    @property
    def tags(self) -> Tags: ...

    @property
    def provisioning(self) -> Provisioning: ...


class AccountSettings(Protocol):
    """Sizes in bytes."""

    @property
    def code_used(self) -> int: ...

    @property
    def code_room(self) -> int: ...

    @property
    def code_unpacked(self) -> int: ...

    @property
    def code_zipped(self) -> int: ...

    @property
    def concurrency(self) -> int: ...

    @property
    def unreserved(self) -> int: ...

    @property
    def functions(self) -> int: ...


class Account(Protocol):
    async def settings(self) -> AccountSettings: ...


class Invoker(Protocol):
    async def invoke(
        self,
        ref: FunctionRef,
        payload: bytes,
        *,
        principal: Principal,
        request_id: str,
        client_context: str | None = None,
        want_log: bool = False,
        trace_id: str = "",
    ) -> Outcome: ...
    def begin(
        self,
        ref: FunctionRef,
        payload: bytes,
        done: Callable[[Outcome | Exception], None],
        *,
        principal: Principal,
        request_id: str,
        trace_id: str = "",
    ) -> Callable[[], None] | None: ...
    async def stream(
        self,
        ref: FunctionRef,
        payload: bytes,
        *,
        principal: Principal,
        request_id: str,
        client_context: str | None = None,
        want_log: bool = False,
        trace_id: str = "",
    ) -> Streamed: ...
    def check(self, ref: FunctionRef, principal: Principal) -> None: ...


class Urls(Protocol):
    """URLs of functions, and with a qualifier of their aliases."""

    async def create(
        self,
        name: str,
        *,
        auth: str,
        cors: Mapping[str, Any] | None,
        invoke_mode: str,
        qualifier: str | None = None,
    ) -> FunctionUrl: ...
    def get(self, name: str, qualifier: str | None = None) -> FunctionUrl: ...
    async def update(
        self,
        name: str,
        *,
        auth: str | None,
        cors: Mapping[str, Any] | None,
        invoke_mode: str | None,
        qualifier: str | None = None,
    ) -> FunctionUrl: ...
    async def delete(self, name: str, qualifier: str | None = None) -> None: ...
    def list(self, name: str) -> Sequence[FunctionUrl]: ...


class Concurrency(Protocol):
    """Reserved concurrency; None: nothing is reserved."""

    async def put(self, name: str, concurrency: int) -> int: ...
    def get(self, name: str) -> int | None: ...
    async def delete(self, name: str) -> None: ...


class Sessions(Protocol):
    """Credentials for a while."""

    def of_key(self, key_id: str, arn: str, lifetime_s: float) -> Credentials: ...


class Secrets(Protocol):
    """Secrets by name, sealed until their value is asked for. Errors carry Secrets Manager's codes."""

    def get(self, name: str, *, deleted: bool = False) -> Secret: ...
    def all(self) -> tuple[Secret, ...]: ...
    def value(self, secret: Secret, version: SecretVersion) -> bytes: ...
    async def create(self, name: str, *, kind: SecretKind = ..., **about: Any) -> Secret: ...
    async def create_with(
        self,
        name: str,
        value: bytes,
        *,
        kind: SecretKind = ...,
        binary: bool = False,
        version_id: str | None = None,
        **about: Any,
    ) -> Secret: ...
    async def put(
        self,
        name: str,
        value: bytes,
        *,
        binary: bool = False,
        version_id: str | None = None,
        stages: tuple[str, ...] = ...,
        **about: Any,
    ) -> tuple[Secret, SecretVersion]: ...
    async def set(self, name: str, value: bytes, *, kind: SecretKind | None = None, **about: Any) -> Secret: ...
    async def change(self, name: str, change: Callable[[Secret], Secret], *, deleted: bool = False) -> Secret: ...
    async def delete(self, name: str, *, recovery_days: int | None = None) -> tuple[Secret, datetime]: ...


class RoleNames(Protocol):
    """Roles by name. `get` raises a UserError where there is none."""

    def get(self, name: str) -> Role: ...


class LayerPolicy(Protocol):
    """A layer version's policy as JSON, and the revision to change it at."""

    @property
    def text(self) -> str: ...

    @property
    def revision(self) -> str: ...


class Layers(Protocol):
    """Layers. `versions` has the newest first, `all` the names in order besides; `get` raises ResourceNotFound."""

    async def publish(self, name: str, archive: bytes, **about: Any) -> LayerVersion: ...
    def get(self, name: str, version: int) -> LayerVersion: ...
    def versions(self, name: str) -> Sequence[LayerVersion]: ...
    def all(self) -> Sequence[LayerVersion]: ...
    async def delete(self, name: str, version: int) -> None: ...
    def resolve(self, wanted: Sequence[str]) -> tuple[FunctionLayer, ...]: ...
    def policy(self, name: str, version: int) -> LayerPolicy: ...
    async def allow(
        self, name: str, version: int, statement_id: str, statement: Mapping[str, Any], revision: str | None = None
    ) -> LayerVersion: ...
    async def disallow(self, name: str, version: int, statement_id: str, revision: str | None = None) -> None: ...


class RolePage(Protocol):
    """Some roles in order of their names, and the name to go on after: None on the last page."""

    @property
    def roles(self) -> tuple[Role, ...]: ...

    @property
    def next(self) -> str | None: ...


class NamePage(Protocol):
    """Some names or ARNs in order, and the one to go on after: None on the last page."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def next(self) -> str | None: ...


class Roles(Protocol):
    """IAM's roles; its errors carry the codes of IAM's own exceptions."""

    async def create(
        self,
        name: str,
        trust_policy: str,
        *,
        path: str = "/",
        description: str = "",
        max_session_s: int = 3600,
        tags: Mapping[str, str] | None = None,
    ) -> Role: ...
    def get(self, name: str) -> Role: ...
    def list(self, *, path_prefix: str = "/", after: str | None = None, limit: int = 100) -> RolePage: ...
    async def delete(self, name: str) -> None: ...
    async def update_trust_policy(self, name: str, trust_policy: str) -> None: ...
    async def tag(self, name: str, tags: Mapping[str, str]) -> None: ...
    async def untag(self, name: str, keys: Collection[str]) -> None: ...
    async def attach(self, name: str, arn: str) -> None: ...
    async def detach(self, name: str, arn: str) -> None: ...
    def attached(
        self, name: str, *, path_prefix: str = "/", after: str | None = None, limit: int = 100
    ) -> NamePage: ...
    async def put_policy(self, name: str, policy: str, document: str) -> None: ...
    def policy(self, name: str, policy: str) -> str: ...
    def policies(self, name: str, *, after: str | None = None, limit: int = 100) -> NamePage: ...
    async def delete_policy(self, name: str, policy: str) -> None: ...

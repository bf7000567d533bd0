"""Resource policies: who may use a function, a version or an alias, besides those whose own rights allow it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torpor.core.arn import LATEST, FunctionRef
from torpor.core.attached import Policy
from torpor.core.errors import Conflict, InvalidValue, PreconditionFailed, ResourceNotFound, UserError
from torpor.core.identity import Principal
from torpor.functions.catalog import Catalog
from torpor.functions.lifecycle import touched

_MOST_BYTES = 20_480
_ACCOUNT = re.compile(r"\d{12}")


class PolicyTooLong(UserError):
    """The resource policy is larger than the limit."""

    code = "PolicyLengthExceededException"


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy as JSON text, and the revision id of what it belongs to."""

    text: str
    revision_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One permission, in the words of `AddPermission`; empty where nothing was said."""

    statement_id: str
    action: str
    principal: str
    source_arn: str = ""
    source_account: str = ""
    event_source_token: str = ""
    organisation: str = ""
    url_auth: str = ""
    via_url: bool = False


class Policies:
    """Adds, removes and reads permissions. `ref.qualifier` picks a version or an alias; without one, the function."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get(self, ref: FunctionRef) -> PolicyText:
        """The policy. Raises FunctionNotFound, and ResourceNotFound where there is none."""
        revision_id = self._revision_id(ref)
        policy = self._find(ref)
        if policy is None or not policy.statements:
            raise ResourceNotFound("The resource you requested does not exist.")
        document = {"Version": "2012-10-17", "Id": "default", "Statement": list(policy.statements.values())}
        return PolicyText(json.dumps(document, separators=(",", ":")), revision_id)

    async def add(
        self, ref: FunctionRef, grant: Mapping[str, Any], revision_id: str | None = None
    ) -> Mapping[str, Any]:
        """Add the statement that the fields of a Grant make, which is returned.

        Raises FunctionNotFound, ResourceNotFound, Conflict for an id in use, PreconditionFailed, InvalidValue and
        PolicyTooLong.
        """
        wanted = Grant(**grant)
        if ref.qualifier == LATEST:
            raise InvalidValue("We currently do not support adding policies for $LATEST.")
        if wanted.url_auth and wanted.action != "lambda:InvokeFunctionUrl":
            raise InvalidValue("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")
        statement = _statement(wanted, self._catalog.home.function_arn(ref.name, ref.qualifier))

        def change(policy: Policy) -> Policy:
            if wanted.statement_id in policy.statements:
                raise Conflict(
                    f"The statement id ({wanted.statement_id}) provided already exists. Please provide a new statement "
                    "id, or remove the existing statement."
                )
            return Policy({**policy.statements, wanted.statement_id: statement})

        await self._change(ref, change, revision_id)
        return statement

    async def remove(self, ref: FunctionRef, statement_id: str, revision_id: str | None = None) -> None:
        """Remove a statement. Raises FunctionNotFound, ResourceNotFound without it, and PreconditionFailed."""

        def change(policy: Policy) -> Policy:
            if statement_id not in policy.statements:
                raise ResourceNotFound(f"Statement {statement_id} is not found in resource policy.")
            return Policy({key: value for key, value in policy.statements.items() if key != statement_id})

        await self._change(ref, change, revision_id)

    def permits(self, principal: Principal, action: str, ref: FunctionRef) -> bool:
        """Whether the policy of what is called lets this caller do `action`."""
        return self._catalog.permits(principal, action, ref)

    async def _change(self, ref: FunctionRef, change: Callable[[Policy], Policy], revision_id: str | None) -> None:
        key, made = _key(ref), list[Policy]()

        def check() -> None:
            if revision_id is not None and revision_id != self._revision_id(ref):
                raise PreconditionFailed(
                    "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API "
                    "to retrieve the latest Revision Id"
                )
            self._revision_id(ref)
            policy = change(self._find(ref) or Policy())
            if len(json.dumps(dict(policy.statements))) > _MOST_BYTES:
                raise PolicyTooLong(f"The final policy size is bigger than the limit ({_MOST_BYTES}).")
            made.append(policy)

        await self._catalog.policies.save_made(ref.name, key, partial(made.__getitem__, 0), check=check)
        await self._touch(ref)

    async def _touch(self, ref: FunctionRef) -> None:
        """What the policy belongs to gets a new revision id, so that others notice the change."""
        alias = self._catalog.alias(ref.name, ref.qualifier)
        if alias is None:
            await self._catalog.amend(self._catalog.record(ref.name, ref.qualifier), touched)
            return
        new = alias.evolve(revision_id=str(uuid.uuid4()))
        await self._catalog.aliases.save(ref.name, alias.name, new, check=lambda: self._revision_id(ref))

    def _revision_id(self, ref: FunctionRef) -> str:
        alias = self._catalog.alias(ref.name, ref.qualifier)
        return self._catalog.get(ref.name, ref.qualifier).revision_id if alias is None else alias.revision_id

    def _find(self, ref: FunctionRef) -> Policy | None:
        return self._catalog.policies.get(ref.name, _key(ref))


def _key(ref: FunctionRef) -> str:
    return "" if ref.qualifier == LATEST else ref.qualifier or ""


def _statement(grant: Grant, arn: str) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": grant.statement_id,
        "Effect": "Allow",
        "Principal": _principal(grant.principal),
        "Action": grant.action,
        "Resource": arn,
    }
    equals = {
        "AWS:SourceAccount": grant.source_account,
        "lambda:EventSourceToken": grant.event_source_token,
        "aws:PrincipalOrgID": grant.organisation,
        "lambda:FunctionUrlAuthType": grant.url_auth,
    }
    conditions: dict[str, Any] = {"StringEquals": {key: value for key, value in equals.items() if value}}
    conditions["ArnLike"] = {"AWS:SourceArn": grant.source_arn} if grant.source_arn else {}
    conditions["Bool"] = {"lambda:InvokedViaFunctionUrl": "true"} if grant.via_url else {}
    conditions = {operator: keys for operator, keys in conditions.items() if keys}
    return statement | ({"Condition": conditions} if conditions else {})


def _principal(text: str) -> Any:
    if text == "*":
        return "*"
    if _ACCOUNT.fullmatch(text):
        return {"AWS": f"arn:aws:iam::{text}:root"}
    return {"AWS": text} if text.startswith("arn:") else {"Service": text}

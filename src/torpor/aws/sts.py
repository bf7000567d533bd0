"""AWS STS, as torpor offers it: who am I, and credentials for a while."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from torpor.aws.ports import RoleNames, Sessions
from torpor.aws.service import Call, Params, Result, Service
from torpor.core.arn import Home
from torpor.core.errors import AccessDenied, InvalidValue, UserError
from torpor.core.identity import Credentials, Kind, Principal

_SESSION_S, _ROLE_S = 43_200, 3_600  # AWS's defaults
_OF_FUNCTIONS = "torpor"  # assumed-role/torpor/NAME is the function NAME, which resource policies may let in
_NARROWING = ("Policy", "PolicyArns", "Tags", "TransitiveTagKeys", "ProvidedContexts", "SerialNumber", "TokenCode")


def sts_service(home: Home, sessions: Sessions, roles: RoleNames) -> Service:
    """STS for this account."""
    operations = StsOperations(home, sessions, roles)
    return Service(
        name="sts",
        handlers=operations.handlers(),
        codes={"InvalidParameterValueException": "ValidationError", "NoSuchEntityException": "AccessDenied"},
        resource=lambda params: _role_of(params["RoleArn"]) if "RoleArn" in params else "",
        arn=lambda role: home.role_arn(role) if role else "*",
    )


@dataclass(frozen=True, slots=True)
class StsOperations:
    """Handlers by operation. Roles grant nothing here, so who assumes one keeps the rights they have."""

    home: Home
    sessions: Sessions
    roles: RoleNames

    def handlers(self) -> Mapping[str, Any]:
        return {
            "GetCallerIdentity": self.get_caller_identity,
            "GetSessionToken": self.get_session_token,
            "AssumeRole": self.assume_role,
        }

    async def get_caller_identity(self, call: Call, _: Params) -> Result:
        arn, user_id = _identity(call.principal, self.home)
        return {"UserId": user_id, "Account": self.home.account, "Arn": arn}

    async def get_session_token(self, call: Call, params: Params) -> Result:
        _refuse_narrowing(params)
        arn, _ = _identity(call.principal, self.home)
        given = self.sessions.of_key(_signing_key(call), arn, params.get("DurationSeconds") or _SESSION_S)
        return {"Credentials": _shape(given)}

    async def assume_role(self, call: Call, params: Params) -> Result:
        _refuse_narrowing(params)
        key_id = _signing_key(call)
        name = _role_of(params["RoleArn"])
        if name == _OF_FUNCTIONS:
            raise AccessDenied(f"The sessions of the role {name} are the functions'. Assume another role.")
        try:
            role = self.roles.get(name)
        except UserError:
            raise AccessDenied(
                f"User: {call.principal.arn} is not authorized to perform: sts:AssumeRole on resource: "
                f"{params['RoleArn']}: there is no such role."
            ) from None
        lifetime_s = params.get("DurationSeconds") or min(_ROLE_S, role.max_session_s)
        if lifetime_s > role.max_session_s:
            raise InvalidValue(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role: "
                f"{lifetime_s} s is more than {role.max_session_s} s."
            )
        session = params["RoleSessionName"]
        arn = f"arn:aws:sts::{self.home.account}:assumed-role/{role.name}/{session}"
        given = self.sessions.of_key(key_id, arn, lifetime_s)
        user = {"AssumedRoleId": f"{role.role_id}:{session}", "Arn": arn}
        return {"Credentials": _shape(given), "AssumedRoleUser": user}


def _signing_key(call: Call) -> str:
    if call.principal.key_id:
        return call.principal.key_id
    raise AccessDenied(
        f"Cannot call {call.operation} with session credentials, or without a key: sign with a key that `torpor env` "
        "or `torpor keys create` printed."
    )


def _role_of(arn: str) -> str:
    return arn.rpartition("/")[2]


def _refuse_narrowing(params: Params) -> None:
    for name in _NARROWING:
        if params.get(name):
            raise InvalidValue(
                f"torpor does not support {name}: a session has its key's rights. Make a key that may do less with "
                "`torpor keys create`."
            )


def _shape(given: Credentials) -> dict[str, Any]:
    return {
        "AccessKeyId": given.access_key_id,
        "SecretAccessKey": given.secret,
        "SessionToken": given.token,
        "Expiration": datetime.fromtimestamp(given.expires, UTC),
    }


def _identity(principal: Principal, home: Home) -> tuple[str, str]:
    """ARN and unique id; both have AWS's shapes."""
    if principal.kind is Kind.OWNER:
        return principal.arn or f"arn:aws:iam::{home.account}:root", home.account
    if principal.kind is Kind.KEY:
        return principal.arn, f"AIDATORPORKEY000000:{principal.arn.rpartition('/')[2]}"
    arn = principal.arn or f"arn:aws:sts::{home.account}:assumed-role/torpor/{principal.function}"
    return arn, f"AROATORPORFUNCTION00:{principal.function}"

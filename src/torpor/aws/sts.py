"""AWS STS, as torpor offers it: who am I."""

from __future__ import annotations

from torpor.aws.service import Call, Params, Result, Service
from torpor.core.arn import Home
from torpor.core.identity import Kind, Principal


def sts_service(home: Home) -> Service:
    """STS for this account."""

    async def get_caller_identity(call: Call, _: Params) -> Result:
        arn, user_id = _identity(call.principal, home)
        return {"UserId": user_id, "Account": home.account, "Arn": arn}

    return Service(name="sts", handlers={"GetCallerIdentity": get_caller_identity})


def _identity(principal: Principal, home: Home) -> tuple[str, str]:
    """ARN and unique id; both have AWS's shapes."""
    if principal.kind is Kind.OWNER:
        return principal.arn or f"arn:aws:iam::{home.account}:root", home.account
    arn = principal.arn or f"arn:aws:sts::{home.account}:assumed-role/torpor/{principal.function}"
    return arn, f"AROATORPORFUNCTION00:{principal.function}"

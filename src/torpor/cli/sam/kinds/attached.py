"""What hangs on functions: addresses, permissions for others, and what becomes of asynchronous invocations."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torpor.cli.sam.kinds.functions import split_arn
from torpor.cli.sam.kinds.kind import Result, Wanted, boolean, physical_name, picked, text, whole
from torpor.cli.sam.record import Made
from torpor.cli.sam.remote import Gone, Remote, calling


@dataclass(frozen=True, slots=True)
class Urls:
    """AWS::Lambda::Url. Physical is the ARN of the function, or alias, that it belongs to."""

    remote: Remote

    def name(self, wanted: Wanted) -> str:
        name, qualifier = split_arn(str(wanted.properties.get("TargetFunctionArn", "")))
        qualifier = wanted.properties.get("Qualifier") or qualifier
        arn = self.remote.function_arn(name)
        return f"{arn}:{qualifier}" if qualifier else arn

    def exists(self, name: str) -> bool:
        try:
            with calling():
                self.remote.aws("lambda").get_function_url_config(**_function(name))
        except Gone:
            return False
        return True

    def create(self, wanted: Wanted) -> Result:
        return self._apply("create_function_url_config", wanted)

    def update(self, wanted: Wanted, made: Made) -> Result:  # noqa: ARG002 - it belongs to the same function
        return self._apply("update_function_url_config", wanted)

    def delete(self, made: Made) -> None:
        with calling():
            self.remote.aws("lambda").delete_function_url_config(**_function(made.physical))

    def _apply(self, operation: str, wanted: Wanted) -> Result:
        properties = wanted.properties
        arn = self.name(wanted)
        given: dict[str, Any] = {
            "AuthType": properties.get("AuthType", "AWS_IAM"),
            "InvokeMode": properties.get("InvokeMode", "BUFFERED"),
            "Cors": _cors(properties.get("Cors") or {}),
        }
        with calling():
            made = getattr(self.remote.aws("lambda"), operation)(**_function(arn), **given)
        return Result(arn, {"Ref": arn, "FunctionArn": arn, "FunctionUrl": made["FunctionUrl"]})


@dataclass(frozen=True, slots=True)
class Permissions:
    """AWS::Lambda::Permission. Physical is FUNCTION/STATEMENT."""

    remote: Remote

    def name(self, wanted: Wanted) -> str:
        function = str(wanted.properties.get("FunctionName", ""))
        return f"{function}/{physical_name(wanted.stack, wanted.id, 100)}"

    def exists(self, name: str) -> bool:  # noqa: ARG002 - no statement of others has such a name
        return False

    def create(self, wanted: Wanted) -> Result:
        name = self.name(wanted)
        function, _, statement = name.rpartition("/")
        given = picked(
            wanted.properties,
            *("Action", "Principal", "SourceArn", "SourceAccount", "EventSourceToken", "PrincipalOrgID"),
            "FunctionUrlAuthType",
        )
        given = {key: text(value) for key, value in given.items()}
        if wanted.properties.get("InvokedViaFunctionUrl") is not None:
            given |= {"InvokedViaFunctionUrl": boolean(wanted.properties["InvokedViaFunctionUrl"])}
        with calling():
            self.remote.aws("lambda").add_permission(**_function(function), StatementId=statement, **given)
        return Result(name, {"Ref": statement, "Id": statement})

    def update(self, wanted: Wanted, made: Made) -> Result:
        """A statement cannot change: it goes, and comes back."""
        with suppress(Gone):
            self.delete(made)
        return self.create(wanted)

    def delete(self, made: Made) -> None:
        function, _, statement = made.physical.rpartition("/")
        with calling():
            self.remote.aws("lambda").remove_permission(**_function(function), StatementId=statement)


@dataclass(frozen=True, slots=True)
class EventInvokes:
    """AWS::Lambda::EventInvokeConfig. Physical is FUNCTION:QUALIFIER."""

    remote: Remote

    def name(self, wanted: Wanted) -> str:
        name, qualifier = split_arn(str(wanted.properties.get("FunctionName", "")))
        return f"{name}:{wanted.properties.get('Qualifier') or qualifier or '$LATEST'}"

    def exists(self, name: str) -> bool:
        try:
            with calling():
                self.remote.aws("lambda").get_function_event_invoke_config(**_function(name))
        except Gone:
            return False
        return True

    def create(self, wanted: Wanted) -> Result:
        properties = wanted.properties
        numbers = picked(properties, "MaximumRetryAttempts", "MaximumEventAgeInSeconds")
        given: dict[str, Any] = {name: whole(value) for name, value in numbers.items()}
        destinations = {
            name: {"Destination": about["Destination"]}
            for name, about in (properties.get("DestinationConfig") or {}).items()
            if name in ("OnSuccess", "OnFailure") and (about or {}).get("Destination")
        }
        if destinations:
            given["DestinationConfig"] = destinations
        with calling():
            self.remote.aws("lambda").put_function_event_invoke_config(**_function(self.name(wanted)), **given)
        return Result(self.name(wanted), {"Ref": self.name(wanted)})

    def update(self, wanted: Wanted, made: Made) -> Result:  # noqa: ARG002 - put replaces all of it
        return self.create(wanted)

    def delete(self, made: Made) -> None:
        with calling():
            self.remote.aws("lambda").delete_function_event_invoke_config(**_function(made.physical))


def _function(reference: str) -> dict[str, str]:
    name, qualifier = split_arn(reference)
    return {"FunctionName": name} | ({"Qualifier": qualifier} if qualifier else {})


def _cors(cors: Mapping[str, Any]) -> dict[str, Any]:
    typed: dict[str, Any] = {}
    for name, value in cors.items():
        if name == "MaxAge":
            typed[name] = whole(value)
        elif name == "AllowCredentials":
            typed[name] = boolean(value)
        else:
            typed[name] = [text(one) for one in value] if isinstance(value, list) else [text(value)]
    return typed

"""Layers, versions and aliases: what cannot change once it is there, and the names that move between such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torpor.cli.sam.kinds.functions import split_arn
from torpor.cli.sam.kinds.kind import Result, Wanted, picked, text, whole
from torpor.cli.sam.record import Made
from torpor.cli.sam.remote import Remote, calling


@dataclass(frozen=True, slots=True)
class Layers:
    """AWS::Lambda::LayerVersion, sent to our own interface, which takes large archives."""

    remote: Remote

    def name(self, wanted: Wanted) -> None:  # noqa: ARG002 - a version's number is the server's
        return None

    def exists(self, name: str) -> bool:  # noqa: ARG002 - the protocol's signature
        return False

    def create(self, wanted: Wanted) -> Result:
        properties = wanted.properties
        query = {
            "description": properties.get("Description"),
            "license": properties.get("LicenseInfo"),
            "runtimes": " ".join(properties.get("CompatibleRuntimes") or ()) or None,
            "architectures": " ".join(properties.get("CompatibleArchitectures") or ()) or None,
        }
        archive = wanted.archives.get(properties.get("Content") or {})
        name = wanted.given_name("LayerName", 140)
        made = self.remote.client.call(
            "PUT", f"/_torpor/layers/{name}", query=query, body=archive, headers={"content-type": "application/zip"}
        )
        arn = str(made["arn"])
        return Result(arn, {"Ref": arn, "LayerVersionArn": arn})

    def update(self, wanted: Wanted, made: Made) -> Result:  # noqa: ARG002 - a version never changes
        return self.create(wanted)

    def delete(self, made: Made) -> None:
        layer, _, version = made.physical.rpartition(":")
        with calling():
            self.remote.aws("lambda").delete_layer_version(LayerName=layer, VersionNumber=int(version))


@dataclass(frozen=True, slots=True)
class Versions:
    """AWS::Lambda::Version. Publishing what did not change gives the version that is there."""

    remote: Remote

    def name(self, wanted: Wanted) -> None:  # noqa: ARG002 - its number is the server's
        return None

    def exists(self, name: str) -> bool:  # noqa: ARG002 - the protocol's signature
        return False

    def create(self, wanted: Wanted) -> Result:
        with calling():
            functions = self.remote.aws("lambda")
            made = functions.publish_version(**picked(wanted.properties, "FunctionName", "Description", "CodeSha256"))
            arn, version = made["FunctionArn"], made["Version"]
            if not arn.endswith(f":{version}"):
                arn = f"{arn}:{version}"
            functions.get_waiter("published_version_active").wait(
                FunctionName=made["FunctionName"], Qualifier=version, WaiterConfig={"Delay": 1, "MaxAttempts": 600}
            )
        return Result(arn, {"Ref": arn, "Version": version, "FunctionArn": arn})

    def update(self, wanted: Wanted, made: Made) -> Result:  # noqa: ARG002 - a version never changes
        return self.create(wanted)

    def delete(self, made: Made) -> None:
        name, version = split_arn(made.physical)
        with calling():
            self.remote.aws("lambda").delete_function(FunctionName=name, Qualifier=version)


@dataclass(frozen=True, slots=True)
class Aliases:
    """AWS::Lambda::Alias."""

    remote: Remote

    def name(self, wanted: Wanted) -> str:
        function, _ = split_arn(str(wanted.properties.get("FunctionName", "")))
        return f"{self.remote.function_arn(function)}:{wanted.properties.get('Name')}"

    def exists(self, name: str) -> bool:
        from torpor.cli.sam.remote import Gone

        function, alias = split_arn(name)
        try:
            with calling():
                self.remote.aws("lambda").get_alias(FunctionName=function, Name=alias)
        except Gone:
            return False
        return True

    def create(self, wanted: Wanted) -> Result:
        with calling():
            self.remote.aws("lambda").create_alias(**self._parameters(wanted))
        self._provide(wanted)
        return self._result(wanted)

    def update(self, wanted: Wanted, made: Made) -> Result:  # noqa: ARG002 - its name is the same
        with calling():
            parameters = self._parameters(wanted)
            self.remote.aws("lambda").update_alias(**{"Description": "", "RoutingConfig": {}} | parameters)
        self._provide(wanted)
        return self._result(wanted)

    def delete(self, made: Made) -> None:
        function, alias = split_arn(made.physical)
        with calling():
            self.remote.aws("lambda").delete_alias(FunctionName=function, Name=alias)

    def _provide(self, wanted: Wanted) -> None:
        """Ask for the instances that shall be ready. They come in the time that they need."""
        which = {"FunctionName": wanted.properties["FunctionName"], "Qualifier": wanted.properties["Name"]}
        count = (wanted.properties.get("ProvisionedConcurrencyConfig") or {}).get("ProvisionedConcurrentExecutions")
        with calling():
            functions = self.remote.aws("lambda")
            if count is None:
                functions.delete_provisioned_concurrency_config(**which)
            else:
                functions.put_provisioned_concurrency_config(**which, ProvisionedConcurrentExecutions=whole(count))

    def _parameters(self, wanted: Wanted) -> dict[str, Any]:
        properties = wanted.properties
        found = picked(properties, "FunctionName", "Name", "Description")
        found["FunctionVersion"] = text(properties.get("FunctionVersion", ""))
        weights = (properties.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
        if weights:
            shares = {text(one["FunctionVersion"]): float(one["FunctionWeight"]) for one in weights}
            found["RoutingConfig"] = {"AdditionalVersionWeights": shares}
        return found

    def _result(self, wanted: Wanted) -> Result:
        arn = self.name(wanted)
        return Result(arn, {"Ref": arn, "AliasArn": arn})

"""Roles and log groups."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.cli.sam.kinds.kind import Result, Wanted, plain_tags, text, whole
from torpor.cli.sam.record import Made
from torpor.cli.sam.remote import Gone, Remote, calling


@dataclass(frozen=True, slots=True)
class Roles:
    """AWS::IAM::Role: stored with its policies. What these allow is in the functions' permissions."""

    remote: Remote

    def name(self, wanted: Wanted) -> str:
        return wanted.given_name("RoleName")

    def exists(self, name: str) -> bool:
        try:
            with calling():
                self.remote.aws("iam").get_role(RoleName=name)
        except Gone:
            return False
        return True

    def create(self, wanted: Wanted) -> Result:
        properties = wanted.properties
        given: dict[str, Any] = {
            "RoleName": self.name(wanted),
            "Path": text(properties.get("Path", "/")),
            "AssumeRolePolicyDocument": json.dumps(properties.get("AssumeRolePolicyDocument")),
            "Description": text(properties.get("Description", "")),
            "Tags": _pairs(plain_tags(properties.get("Tags"))),
        }
        if properties.get("MaxSessionDuration") is not None:
            given["MaxSessionDuration"] = whole(properties["MaxSessionDuration"])
        with calling():
            made = self.remote.aws("iam").create_role(**given)["Role"]
        self._policies(made["RoleName"], properties)
        return Result(made["RoleName"], {"Ref": made["RoleName"], "Arn": made["Arn"], "RoleId": made["RoleId"]})

    def update(self, wanted: Wanted, made: Made) -> Result:
        properties, name = wanted.properties, made.physical
        with calling():
            iam = self.remote.aws("iam")
            document = json.dumps(properties.get("AssumeRolePolicyDocument"))
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=document)
            role = iam.get_role(RoleName=name)["Role"]
            tags = plain_tags(properties.get("Tags"))
            gone = [tag["Key"] for tag in role.get("Tags", ()) if tag["Key"] not in tags]
            if gone:
                iam.untag_role(RoleName=name, TagKeys=gone)
            if tags:
                iam.tag_role(RoleName=name, Tags=_pairs(tags))
        self._policies(name, properties)
        return Result(name, {"Ref": name, "Arn": role["Arn"], "RoleId": role["RoleId"]})

    def delete(self, made: Made) -> None:
        self._policies(made.physical, {})
        with calling():
            self.remote.aws("iam").delete_role(RoleName=made.physical)

    def _policies(self, name: str, properties: Mapping[str, Any]) -> None:
        """Give the role these policies, and no others."""
        managed = [text(arn) for arn in properties.get("ManagedPolicyArns") or ()]
        inline = {text(one["PolicyName"]): one["PolicyDocument"] for one in properties.get("Policies") or ()}
        with calling():
            iam = self.remote.aws("iam")
            attached = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
            there = {one["PolicyArn"] for page in attached for one in page["AttachedPolicies"]}
            kept = {
                one
                for page in iam.get_paginator("list_role_policies").paginate(RoleName=name)
                for one in page["PolicyNames"]
            }
            for arn in there - set(managed):
                iam.detach_role_policy(RoleName=name, PolicyArn=arn)
            for policy in kept - set(inline):
                iam.delete_role_policy(RoleName=name, PolicyName=policy)
            for arn in managed:
                iam.attach_role_policy(RoleName=name, PolicyArn=arn)
            for policy, document in inline.items():
                iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))


@dataclass(frozen=True, slots=True)
class LogGroups:
    """AWS::Logs::LogGroup."""

    remote: Remote

    def name(self, wanted: Wanted) -> str:
        return wanted.given_name("LogGroupName", 512)

    def exists(self, name: str) -> bool:  # noqa: ARG002 - a function's group is there without a template
        return False

    def create(self, wanted: Wanted) -> Result:
        name = self.name(wanted)
        tags = plain_tags(wanted.properties.get("Tags"))
        with calling():
            logs = self.remote.aws("logs")
            if not self._is_there(name):
                logs.create_log_group(logGroupName=name, **({"tags": tags} if tags else {}))
        return self._retain(wanted, name)

    def update(self, wanted: Wanted, made: Made) -> Result:
        with calling():
            if not self._is_there(made.physical):
                raise Gone(made.physical)
        return self._retain(wanted, made.physical)

    def delete(self, made: Made) -> None:
        with calling():
            self.remote.aws("logs").delete_log_group(logGroupName=made.physical)

    def _is_there(self, name: str) -> bool:
        found = self.remote.aws("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return any(group["logGroupName"] == name for group in found)

    def _retain(self, wanted: Wanted, name: str) -> Result:
        days = wanted.properties.get("RetentionInDays")
        with calling():
            logs = self.remote.aws("logs")
            if days is None:
                logs.delete_retention_policy(logGroupName=name)
            else:
                logs.put_retention_policy(logGroupName=name, retentionInDays=whole(days))
        arn = f"arn:aws:logs:{self.remote.region}:{self.remote.account}:log-group:{name}:*"
        return Result(name, {"Ref": name, "Arn": arn})


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]

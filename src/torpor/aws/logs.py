"""Amazon CloudWatch Logs, over what functions write: groups, streams, events, filters and retention."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.live_tail import LiveTail
from torpor.aws.log_places import event_id, place_of, token_of
from torpor.aws.paging import page
from torpor.aws.service import Call, Params, Result, Service
from torpor.core.arn import Home
from torpor.core.errors import InvalidValue, ResourceNotFound
from torpor.core.log_group import LogGroup, is_group_name
from torpor.functions.log_groups import LogGroups, Wanted
from torpor.policy.log_patterns import PatternInvalid, compile_pattern
from torpor.store.log_scan import Event, Place

_PAGE, _EVENTS = 50, 10_000


def logs_service(groups: LogGroups, home: Home) -> Service:
    """CloudWatch Logs over these groups."""
    names = GroupNames(home)
    return Service(
        name="logs",
        handlers={
            **GroupOperations(groups, names).handlers(),
            **EventOperations(groups, names).handlers(),
            "StartLiveTail": LiveTails(groups, names).start_live_tail,
        },
        codes={
            "InvalidParameterValueException": "InvalidParameterException",
            "ServiceException": "ServiceUnavailableException",
            "ValidationException": "InvalidParameterException",
        },
        resource=names.resource,
        arn=lambda name: names.arn(name) if name else "*",
    )


@dataclass(frozen=True, slots=True)
class GroupNames:
    """Groups as requests name them, by name or ARN."""

    home: Home

    def arn(self, name: str) -> str:
        return f"arn:aws:logs:{self.home.region}:{self.home.account}:log-group:{name}"

    def of(self, params: Params) -> str:
        """The group that is meant. Raises InvalidValue where none is named, or two are."""
        name, identifier = params.get("logGroupName"), params.get("logGroupIdentifier")
        if bool(name) == bool(identifier):
            raise InvalidValue("Exactly one of logGroupName and logGroupIdentifier must be given.")
        return self.plain(name or identifier or "")

    def plain(self, identifier: str) -> str:
        return identifier.removeprefix(self.arn("")).removesuffix(":*")

    def resource(self, params: Params) -> str | list[str]:
        """What is acted upon, in the words of rights: a group's whole name."""
        if "logGroupIdentifiers" in params:
            return [self.plain(one) for one in params["logGroupIdentifiers"]]
        given = params.get("logGroupName") or params.get("logGroupIdentifier") or params.get("resourceArn") or ""
        return self.plain(given)


@dataclass(frozen=True, slots=True)
class GroupOperations:
    """Handlers of what concerns groups themselves, by operation."""

    groups: LogGroups
    names: GroupNames

    def handlers(self) -> Mapping[str, Any]:
        return {
            "CreateLogGroup": self.create_log_group,
            "DeleteLogGroup": self.delete_log_group,
            "DescribeLogGroups": self.describe_log_groups,
            "PutRetentionPolicy": self.put_retention_policy,
            "DeleteRetentionPolicy": self.delete_retention_policy,
            "ListTagsForResource": self.list_tags,
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
        }

    async def create_log_group(self, _: Call, params: Params) -> Result:
        for name in ("kmsKeyId", "deletionProtectionEnabled"):
            if params.get(name):
                raise InvalidValue(f"torpor does not support {name}: leave it out.")
        if params.get("logGroupClass") not in (None, "STANDARD"):
            raise InvalidValue("torpor keeps log groups of the class STANDARD alone.")
        name = params["logGroupName"]
        if not is_group_name(name):
            raise InvalidValue(f"'{name[:100]}' cannot name a log group: letters, digits and _-/.#, 512 at most.")
        await self.groups.create(name, dict(params.get("tags") or {}))
        return {}

    async def delete_log_group(self, _: Call, params: Params) -> Result:
        await self.groups.delete(params["logGroupName"])
        return {}

    async def describe_log_groups(self, _: Call, params: Params) -> Result:
        prefix, pattern = params.get("logGroupNamePrefix"), params.get("logGroupNamePattern")
        if prefix and pattern:
            raise InvalidValue("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
        only = {self.names.plain(one) for one in params.get("logGroupIdentifiers") or ()}
        found = [
            group
            for group in self.groups.all()
            if group.name.startswith(prefix or "")
            and (not pattern or pattern.lower() in group.name.lower())
            and (not only or group.name in only)
        ]
        some, token = page(found, lambda one: one.name, params.get("nextToken"), params.get("limit") or _PAGE)
        return {"logGroups": [await self._shape(group) for group in some], "nextToken": token}

    async def put_retention_policy(self, _: Call, params: Params) -> Result:
        days = params["retentionInDays"]
        if days not in _DAYS:
            raise InvalidValue(f"retentionInDays is one of {', '.join(map(str, _DAYS))}, not {days}.")
        await self.groups.change(params["logGroupName"], lambda group: group.evolve(retention_days=days))
        return {}

    async def delete_retention_policy(self, _: Call, params: Params) -> Result:
        await self.groups.change(params["logGroupName"], lambda group: group.evolve(retention_days=None))
        return {}

    async def list_tags(self, _: Call, params: Params) -> Result:
        return {"tags": dict(self.groups.get(self.names.plain(params["resourceArn"])).tags)}

    async def tag_resource(self, _: Call, params: Params) -> Result:
        added = dict(params["tags"])
        name = self.names.plain(params["resourceArn"])
        await self.groups.change(name, lambda group: group.evolve(tags={**group.tags, **added}))
        return {}

    async def untag_resource(self, _: Call, params: Params) -> Result:
        gone = set(params["tagKeys"])

        def without(group: LogGroup) -> LogGroup:
            return group.evolve(tags={key: value for key, value in group.tags.items() if key not in gone})

        await self.groups.change(self.names.plain(params["resourceArn"]), without)
        return {}

    async def _shape(self, group: LogGroup) -> dict[str, Any]:
        arn = self.names.arn(group.name)
        return {
            "logGroupName": group.name,
            "creationTime": int(group.created.timestamp() * 1000),
            "retentionInDays": group.retention_days,
            "metricFilterCount": 0,
            "arn": f"{arn}:*",
            "logGroupArn": arn,
            "storedBytes": await self.groups.stored_bytes(group.name),
            "logGroupClass": "STANDARD",
        }


@dataclass(frozen=True, slots=True)
class EventOperations:
    """Handlers of what concerns streams and their events, by operation."""

    groups: LogGroups
    names: GroupNames

    def handlers(self) -> Mapping[str, Any]:
        return {
            "DescribeLogStreams": self.describe_log_streams,
            "GetLogEvents": self.get_log_events,
            "FilterLogEvents": self.filter_log_events,
        }

    async def describe_log_streams(self, _: Call, params: Params) -> Result:
        name, prefix = self.names.of(params), params.get("logStreamNamePrefix")
        by_time = params.get("orderBy") == "LastEventTime"
        if by_time and prefix:
            raise InvalidValue("Cannot order by LastEventTime with a logStreamNamePrefix.")
        streams = await self.groups.streams(name)
        shapes = [
            {
                "logStreamName": stream,
                "creationTime": facts.first_ms,
                "firstEventTimestamp": facts.first_ms,
                "lastEventTimestamp": facts.last_ms,
                "lastIngestionTime": facts.last_ms,
                "arn": f"{self.names.arn(name)}:log-stream:{stream}",
                "storedBytes": 0,  # as AWS answers since 2019
            }
            for stream, facts in streams.items()
            if stream.startswith(prefix or "")
        ]

        def order(shape: Mapping[str, Any]) -> str:
            text = f"{shape['lastEventTimestamp']:020}\0{shape['logStreamName']}" if by_time else shape["logStreamName"]
            return _reversed(text) if params.get("descending") else text

        shapes.sort(key=order)
        some, token = page(shapes, order, params.get("nextToken"), params.get("limit") or _PAGE)
        return {"logStreams": list(some), "nextToken": token}

    async def get_log_events(self, _: Call, params: Params) -> Result:
        name, stream = self.names.of(params), params["logStreamName"]
        if stream not in await self.groups.streams(name):
            raise ResourceNotFound("The specified log stream does not exist.")
        wanted = Wanted(
            streams=frozenset({stream}), start_ms=params.get("startTime") or 0, end_ms=params.get("endTime")
        )
        token = params.get("nextToken")
        start, newest = place_of(token) if token else (None, not params.get("startFromHead"))
        found = await self.groups.read(name, wanted, start=start, limit=params.get("limit") or _EVENTS, newest=newest)
        return {
            "events": [_event(event) for event in found.events],
            "nextForwardToken": token_of(found.behind, forward=True),
            "nextBackwardToken": token_of(found.before, forward=False),
        }

    async def filter_log_events(self, _: Call, params: Params) -> Result:
        name = self.names.of(params)
        if params.get("startFromHead") is False:
            raise InvalidValue("torpor filters from the oldest event on: leave out startFromHead.")
        if params.get("logStreamNames") and params.get("logStreamNamePrefix"):
            raise InvalidValue("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
        wanted = Wanted(
            streams=frozenset(params.get("logStreamNames") or ()),
            stream_prefix=params.get("logStreamNamePrefix") or "",
            start_ms=params.get("startTime") or 0,
            end_ms=None if params.get("endTime") is None else params["endTime"] + 1,  # here the end is included
            matches=pattern_of(params.get("filterPattern")),
        )
        token = params.get("nextToken")
        start: Place | None = place_of(token)[0] if token else None
        found = await self.groups.read(name, wanted, start=start, limit=params.get("limit") or _EVENTS)
        events = [
            {"logStreamName": event.line.stream, **_event(event), "eventId": event_id(event)} for event in found.events
        ]
        token = token_of(found.behind, forward=True) if found.more else None
        return {"events": events, "searchedLogStreams": [], "nextToken": token}


@dataclass(frozen=True, slots=True)
class LiveTails:
    """The handler of StartLiveTail."""

    groups: LogGroups
    names: GroupNames

    async def start_live_tail(self, call: Call, params: Params) -> Result:
        given = params["logGroupIdentifiers"]
        if (params.get("logStreamNames") or params.get("logStreamNamePrefixes")) and len(given) > 1:
            raise InvalidValue("Streams can be chosen in one log group alone.")
        wanted = Wanted(
            streams=frozenset(params.get("logStreamNames") or ()),
            stream_prefix=tuple(params.get("logStreamNamePrefixes") or ("",)),
            matches=pattern_of(params.get("logEventFilterPattern")),
        )
        names = {self.names.plain(one): one for one in given}
        places = {name: await self.groups.end(name) for name in names}
        start = {
            "requestId": call.request_id,
            "sessionId": str(uuid.uuid4()),
            "logGroupIdentifiers": given,
            "logStreamNames": params.get("logStreamNames") or [],
            "logStreamNamePrefixes": params.get("logStreamNamePrefixes") or [],
            "logEventFilterPattern": params.get("logEventFilterPattern") or "",
        }
        return {"responseStream": LiveTail(self.groups, wanted, places, names, start)}


def pattern_of(text: str | None) -> Callable[[str], bool]:
    """What a filter pattern matches. Raises InvalidValue."""
    try:
        return compile_pattern(text or "")
    except PatternInvalid as error:
        raise InvalidValue(f"Invalid filter pattern: {error}") from None


def _event(event: Event) -> dict[str, Any]:
    line = event.line
    return {"timestamp": line.at_ms, "message": f"{line.line}\n", "ingestionTime": line.at_ms}


def _reversed(text: str) -> str:
    """Sorts the other way round."""
    return "".join(chr(0x10FFFF - ord(letter)) for letter in text) + chr(0x10FFFF)


_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip

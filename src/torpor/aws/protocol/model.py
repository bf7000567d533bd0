"""A service's model as botocore ships it, compiled into the few values that the protocols need.

botocore describes a service in JSON: operations, their input and output shapes, and where on the wire each member
stands. Traits (`location`, `flattened`, …) may stand at a shape or at the reference to it; the reference wins, as in
botocore's own resolver. Documentation and everything of operations that are not served is left behind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.loaders import Loader


@dataclass(frozen=True, slots=True)
class Member:
    """A reference to a shape, with the traits that hold at this place."""

    name: str  # as in the parameters
    wire: str  # as on the wire
    shape: Shape
    location: str = ""  # uri, querystring, header, headers, statusCode; empty: in the body
    flattened: bool = False
    timestamp: str = ""  # timestampFormat
    json_value: bool = False  # JSON, base64-encoded into a header
    renamed: bool = False  # whether `wire` was given by the model
    event_payload: bool = False  # the whole payload of an event in a stream


@dataclass(slots=True, eq=False)
class Shape:
    """One shape. It is filled after it is registered, because shapes may contain themselves."""

    name: str
    kind: str  # structure, list, map, string, integer, long, float, double, boolean, blob, timestamp
    members: dict[str, Member] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    payload: str | None = None
    item: Member | None = None  # of a list
    key: Member | None = None  # of a map
    value: Member | None = None  # of a map
    enum: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    sensitive: bool = False
    document: bool = False
    event_stream: bool = False  # a union of events, which come one after the other
    exception: bool = False
    code: str = ""  # of an exception, in the query protocol
    status: int = 0  # of an exception
    sender: bool = True  # whether an exception is the caller's fault


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `input` and `output` are None both where there is none and where it is not served."""

    name: str
    method: str
    uri: str
    status: int
    served: bool
    input: Shape | None = None
    output: Shape | None = None
    wrapper: str = ""  # query protocol: the element around the output


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """A service: what its metadata says, every operation by name, every exception by name."""

    name: str
    title: str
    protocol: str
    signing_name: str
    target_prefix: str
    json_version: str
    api_version: str
    namespace: str
    query_compatible: bool  # speaks JSON now, spoke the query protocol once: SDKs still want its error codes
    operations: Mapping[str, Operation]
    exceptions: Mapping[str, Shape]


def load_model(name: str, served: Collection[str]) -> ServiceModel:
    """Read botocore's newest model of `name`; shapes are compiled for the `served` operations only."""
    raw = _read(name)
    unknown = set(served) - set(raw["operations"])
    if unknown:
        raise ValueError(f"botocore's model of {name} has no operation {', '.join(sorted(unknown))}")
    return _Compiler(name, raw, frozenset(served)).compile()


def _read(name: str) -> dict[str, Any]:
    # A loader keeps what it read for ever, documentation and all, so each is used once.
    raw: dict[str, Any] = Loader().load_service_model(name, "service-2")
    return raw


class _Compiler:
    def __init__(self, name: str, raw: Mapping[str, Any], served: frozenset[str]) -> None:
        self._name = name
        self._raw = raw
        self._served = served
        self._shapes: dict[str, Shape] = {}

    def compile(self) -> ServiceModel:
        metadata = self._raw["metadata"]
        return ServiceModel(
            name=self._name,
            title=metadata["serviceId"],
            protocol=metadata["protocol"],
            signing_name=metadata.get("signingName", metadata["endpointPrefix"]),
            target_prefix=metadata.get("targetPrefix", ""),
            json_version=metadata.get("jsonVersion", "1.0"),
            api_version=metadata["apiVersion"],
            namespace=metadata.get("xmlNamespace", ""),
            query_compatible="awsQueryCompatible" in metadata,
            operations={name: self._operation(raw) for name, raw in self._raw["operations"].items()},
            exceptions=dict(self._exceptions()),
        )

    def _operation(self, raw: Mapping[str, Any]) -> Operation:
        http = raw.get("http", {})
        served = raw["name"] in self._served
        return Operation(
            name=raw["name"],
            method=http.get("method", "POST"),
            uri=http.get("requestUri", "/"),
            status=http.get("responseCode", 200),
            served=served,
            input=self._shape(raw["input"]["shape"]) if served and "input" in raw else None,
            output=self._shape(raw["output"]["shape"]) if served and "output" in raw else None,
            wrapper=raw.get("output", {}).get("resultWrapper", ""),
        )

    def _exceptions(self) -> Iterator[tuple[str, Shape]]:
        for name, raw in self._raw["shapes"].items():
            if raw.get("exception"):
                yield name, self._shape(name)

    def _shape(self, name: str) -> Shape:
        if name in self._shapes:
            return self._shapes[name]
        raw = self._raw["shapes"][name]
        error = raw.get("error", {})
        shape = self._shapes[name] = Shape(
            name=name,
            kind=raw["type"],
            required=tuple(raw.get("required", ())),
            payload=raw.get("payload"),
            enum=tuple(raw.get("enum", ())),
            minimum=raw.get("min"),
            maximum=raw.get("max"),
            pattern=raw.get("pattern"),
            sensitive=bool(raw.get("sensitive")),
            document=bool(raw.get("document")),
            event_stream=bool(raw.get("eventstream")),
            exception=bool(raw.get("exception")),
            code=error.get("code", name),
            status=error.get("httpStatusCode", 500 if raw.get("fault") else 400),
            sender=bool(error.get("senderFault", not raw.get("fault"))),
        )
        shape.members = {member: self._member(member, ref) for member, ref in raw.get("members", {}).items()}
        shape.item = self._member("member", raw["member"]) if "member" in raw else None
        shape.key = self._member("key", raw["key"]) if "key" in raw else None
        shape.value = self._member("value", raw["value"]) if "value" in raw else None
        return shape

    def _member(self, name: str, ref: Mapping[str, Any]) -> Member:
        raw = self._raw["shapes"][ref["shape"]]

        def trait(key: str, default: Any) -> Any:
            return ref.get(key, raw.get(key, default))

        return Member(
            name=name,
            wire=trait("locationName", name),
            shape=self._shape(ref["shape"]),
            location=trait("location", ""),
            flattened=bool(trait("flattened", default=False)),
            timestamp=trait("timestampFormat", ""),
            json_value=bool(trait("jsonvalue", default=False)),
            event_payload=bool(trait("eventpayload", default=False)),
            renamed="locationName" in ref or "locationName" in raw,
        )

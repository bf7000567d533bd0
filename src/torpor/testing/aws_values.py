"""Values for the shapes of a service's model, valid by it: what a generated request is made of.

A value is taken from what earlier answers held where that fits (an `ApiId` from the last `CreateApi`), so that requests
reach what exists without a word about any operation; else from a list of words, by the shape's own constraints.
Everything is drawn from a `random.Random`, so that the same seed makes the same choices.
"""

from __future__ import annotations

import random
import re
import string
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from torpor.aws.protocol.java_regex import full_match

_DEEPEST = 5
_KEPT = 4  # values of one name: the fewer, the likelier two of them belong together
_LAMBDA = "arn:aws:lambda:us-east-1:000000000000"
# At least one for every pattern in the models of what is served; a test holds it.
WORDS = (
    *("a", "b", "spam", "1", "2", "$LATEST", "python3.11", "app.handler", "x" * 40, "/", "/a/", "/a/b/", "*", "live"),
    *(f"{_LAMBDA}:function:spam", f"{_LAMBDA}:function:spam:1", f"{_LAMBDA}:layer:spam:1", f"{_LAMBDA}:layer:spam"),
    *("arn:aws:iam::000000000000:role/spam", "arn:aws:iam::aws:policy/Any", "arn:aws:iam::000000000000:root"),
    *("arn:aws:sqs:us-east-1:000000000000:spam", "arn:aws:s3:::spam", "lambda:GetLayerVersion"),
    *("arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0", "/mnt/a", "subnet-1"),
    *("lambda:InvokeFunction", "/aws/lambda/spam", "Name"),
    *(f"{_LAMBDA}:code-signing-config:csc-0123456789abcdef0", f"{_LAMBDA}:capacity-provider:spam", "sg-1"),
    *("arn:aws:lambda:us-east-1::runtime:spam", "us-east-1", "000000000000", "o-0123456789", "lambda.amazonaws.com"),
    *("GET /a", "ANY /a/{b+}", "$default", "{}", '{"Version": "2012-10-17", "Statement": []}'),
    *("HTTP", "2.0", "https://example.com/", "ERROR -not", '{ $.level = "ERROR" }', "é ü ∑", "ab", "abc" * 12, "KEY"),
)  # fmt: skip
_MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# What a function that works needs: without these, hardly any of the enumerations' values leads on.
_LIKELY = {
    "runtime": ("python3.11",),
    "handler": ("app.handler",),
    "packagetype": ("Zip",),
    "protocoltype": ("HTTP",),
    "integrationtype": ("AWS_PROXY", "HTTP_PROXY"),
    "invocationtype": ("RequestResponse", "DryRun"),
    "timeout": (3,),
}


class Pool:
    """What answers held, by the names of members, the newest few of each."""

    def __init__(self) -> None:
        self._by_name: dict[str, deque[Any]] = {}
        self._texts: deque[str] = deque(maxlen=60)

    def learn(self, value: Any, name: str = "") -> None:
        """Keep all that is in an answer."""
        if isinstance(value, Mapping):
            for key, item in value.items():
                self.learn(item, str(key))
                if name and isinstance(item, str):
                    self.learn(item, name + str(key))  # a role's `Arn` is a `RoleArn`
        elif isinstance(value, list):
            for item in value[:_KEPT]:
                self.learn(item, name)
        elif name and isinstance(value, (str, int)) and not isinstance(value, bool):
            kept = self._by_name.setdefault(name.lower(), deque(maxlen=_KEPT))
            if value not in kept:
                kept.append(value)
            if isinstance(value, str) and 0 < len(value) < 300 and value not in self._texts:
                self._texts.append(value)

    def named(self, name: str) -> list[Any]:
        return list(self._by_name.get(name.lower(), ()))

    def texts(self) -> list[str]:
        return list(self._texts)


_PLACE = re.compile(r"\{(\w+)\}")


def filled(value: Any, rng: random.Random, pool: Pool) -> Any:
    """An example's parameters, with what the pool holds in the places of `@{Name}`."""
    if isinstance(value, Mapping):
        return {key: filled(item, rng, pool) for key, item in value.items()}
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    if whole := _PLACE.fullmatch(value, 1):
        return rng.choice(pool.named(whole[1]) or [1])
    return _PLACE.sub(lambda place: str(rng.choice(pool.named(place[1]) or ["none"])), value[1:])


class Values:
    """Draws values of botocore's shapes. `blobs` are the archives and other bytes to choose from."""

    def __init__(self, rng: random.Random, pool: Pool, blobs: Sequence[bytes], density: float) -> None:
        self._rng = rng
        self._pool = pool
        self._blobs = blobs
        self._density = density  # how likely a member is that need not be there

    def of(self, shape: Any, name: str = "", depth: int = 0) -> Any:
        """A value of this shape for the member `name`."""
        kind = shape.type_name
        draw: Callable[[Any, str, int], Any] | None = {
            "structure": self._structure,
            "list": self._list,
            "map": self._map,
        }.get(kind)
        if draw is not None:
            return draw(shape, name, depth)
        if kind == "string":
            return self._text(shape, name)
        if kind in ("integer", "long", "float", "double"):
            return self._number(shape, name)
        others = {"boolean": self._rng.random() < 0.5, "timestamp": _MOMENT, "blob": self._rng.choice(self._blobs)}
        return others[kind]

    def _structure(self, shape: Any, _: str, depth: int) -> dict[str, Any]:
        if getattr(shape, "is_document_type", False):
            return {"any": [1, "thing"]}
        names = [
            name
            for name in shape.members
            if name in shape.required_members or (depth < _DEEPEST and self._rng.random() < self._density)
        ]
        if getattr(shape, "is_tagged_union", False):
            names = [self._rng.choice(list(shape.members))]
        return {name: self.of(shape.members[name], name, depth + 1) for name in names}

    def _list(self, shape: Any, name: str, depth: int) -> list[Any]:
        return [self.of(shape.member, name, depth + 1) for _ in range(self._size(shape))]

    def _map(self, shape: Any, name: str, depth: int) -> dict[Any, Any]:
        return {
            self.of(shape.key, name, depth + 1): self.of(shape.value, name, depth + 1) for _ in range(self._size(shape))
        }

    def _size(self, shape: Any) -> int:
        least = shape.metadata.get("min", 0)
        return int(min(shape.metadata.get("max", least + 2), least + self._rng.choice((0, 1, 1, 2))))

    def _number(self, shape: Any, name: str) -> int | float:
        least = shape.metadata.get("min", 0)
        most = shape.metadata.get("max", max(1000, least))
        known = [one for one in (*self._pool.named(name), *_LIKELY.get(name.lower(), ())) if isinstance(one, int)]
        drawn = self._rng.choice([least, most, self._rng.randint(int(least), int(most)), *known])
        drawn = min(max(drawn, least), most)
        return float(drawn) if shape.type_name in ("float", "double") else int(drawn)

    def _text(self, shape: Any, name: str) -> str:
        if shape.enum:
            likely = [one for one in _LIKELY.get(name.lower(), ()) if one in shape.enum]
            return str(self._rng.choice(likely if likely and self._rng.random() < 0.8 else shape.enum))
        if self._rng.random() < 0.85 and (known := self._known(shape, name)):
            return self._rng.choice(known)
        return self._rng.choice(
            _words(shape.metadata.get("min", 0), shape.metadata.get("max"), shape.metadata.get("pattern"))
        )

    def _known(self, shape: Any, name: str) -> list[str]:
        found = [one for one in self._pool.named(name) if isinstance(one, str)] + list(
            map(str, _LIKELY.get(name.lower(), ()))
        )
        if not found or self._rng.random() < 0.1:
            found = [*found, *self._pool.texts()]
        rules = shape.metadata
        return [one for one in found if _fits(one, rules.get("min", 0), rules.get("max"), rules.get("pattern"))]


@cache
def _words(least: int, most: int | None, pattern: str | None) -> tuple[str, ...]:
    """The words that a string may be; where none fits, letters of the least length."""
    fitting = tuple(word for word in WORDS if _fits(word, least, most, pattern))
    return fitting or ((string.ascii_lowercase * 100)[: max(least, 1)],)


@lru_cache(maxsize=20_000)
def _fits(text: str, least: int, most: int | None, pattern: str | None) -> bool:
    if len(text) < least or (most is not None and len(text) > most):
        return False
    return pattern is None or full_match(pattern, text)

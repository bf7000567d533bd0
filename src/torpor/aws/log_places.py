"""Places in a log as CloudWatch Logs' clients carry them about: tokens that say a direction, and ids of events."""

from __future__ import annotations

import re

from torpor.core.errors import InvalidValue
from torpor.store.log_scan import Event, Place

_TOKEN = re.compile(r"(?P<way>[fb])/(?P<segment>\d{10})(?P<offset>\d{14})(?P<part>\d{8})", re.ASCII)


def token_of(place: Place, *, forward: bool) -> str:
    """What goes on from here: with the events behind a place, or with those before it."""
    return f"{'f' if forward else 'b'}/{place.segment:010}{place.offset:014}{place.part:08}"


def place_of(token: str) -> tuple[Place, bool]:
    """The place, and whether to read backwards from it. Raises InvalidValue."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise InvalidValue("The specified nextToken is invalid.")
    return Place(int(match["segment"]), int(match["offset"]), int(match["part"])), match["way"] == "b"


def event_id(event: Event) -> str:
    """56 digits, as AWS's, that no other event of the group has; in the order of the events."""
    place = event.place
    return f"{event.line.at_ms:016}{place.segment:010}{place.offset:014}{place.part:016}"

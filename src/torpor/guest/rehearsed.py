"""The handler of a rehearsal."""

from __future__ import annotations

from typing import Any


def handler(event: Any, context: Any) -> Any:
    """Reads what handlers read."""
    return {"id": context.aws_request_id, "event": event}

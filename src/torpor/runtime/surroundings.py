"""What all instances of a node share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from torpor.core.arn import Home
from torpor.core.limits import Limits
from torpor.runtime.journal import LogSink
from torpor.runtime.ports import DoorOpener, SecretsOf, no_secrets
from torpor.runtime.spec import Launcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all instances of a node share."""

    launcher: Launcher
    open_door: DoorOpener
    log_sink: LogSink
    limits: Limits
    home: Home
    start_timeout_s: float
    secrets_of: SecretsOf = no_secrets
    clock: Callable[[], float] = time.monotonic

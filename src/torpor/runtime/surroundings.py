"""What all instances of a node share, and who each of them tells what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torpor.core.arn import Home
from torpor.core.invocation import Outcome
from torpor.core.limits import Limits
from torpor.runtime.job import Job
from torpor.runtime.journal import LogSink
from torpor.runtime.ports import DoorOpener, SecretsOf, no_secrets
from torpor.runtime.spec import Launcher

if TYPE_CHECKING:
    from torpor.runtime.instance import Instance


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


class Owner(Protocol):
    """Who holds an instance, and is told what becomes of it."""

    def on_finished(self, job: Job) -> None: ...

    def on_outcome(self, job: Job, outcome: Outcome) -> None: ...

    def on_slot_free(self, instance: Instance) -> None: ...

    def on_ending(self, instance: Instance) -> None: ...

    def on_ended(self, instance: Instance) -> None: ...

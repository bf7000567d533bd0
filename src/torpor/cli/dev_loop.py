"""The development loop: what happens (a file was saved, a line was typed, the log grew) and what is done about it."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torpor.cli import output
from torpor.cli.failures import Failed, Failure, Refused, Unreachable, WrongUse

if TYPE_CHECKING:
    from torpor.cli.client import Client

TASK_ROOT = "/var/task"
_SETTLES_MS = 20  # editors save in several steps
_LOG_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Saved:
    """Files of the source have changed."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A line was typed; empty for Enter alone."""

    line: str


@dataclass(frozen=True, slots=True)
class Left:
    """Nobody will type any more."""


Happening = Saved | Typed | Left


@dataclass(frozen=True, slots=True)
class Answered:
    """What one event came to. `took_ms`: of the call; `since_ms`: since the save, where there was one."""

    payload: bytes
    fault: str
    start: str
    took_ms: float
    since_ms: float | None


class Loop:
    """Deploys at every save, calls the function with the last event, and shows what comes of it.

    `deploy` puts the code on the server and waits until it runs; `call` invokes with an event. Both raise Failure.
    """

    def __init__(
        self,
        *,
        deploy: Callable[[], None],
        call: Callable[[bytes], Answered],
        event: bytes,
        show: Callable[[Answered], None],
    ) -> None:
        self._deploy = deploy
        self._call = call
        self._event = event
        self._show = show
        self._deployed = False

    def run(self, happenings: Iterator[Happening]) -> None:
        """Until somebody types q, or nothing happens any more."""
        self._renew()
        for happening in happenings:
            if isinstance(happening, Saved):
                self._renew()
            elif isinstance(happening, Typed) and not self._heed(happening.line.strip()):
                return

    def _renew(self) -> None:
        began = time.monotonic()
        try:
            self._deploy()
        except (Failed, Refused, Unreachable, WrongUse) as failure:
            _complain(failure)
            return
        self._deployed = True
        self._ask(began)

    def _heed(self, line: str) -> bool:
        """Do what was typed; False to leave."""
        if line in ("q", "quit", "exit"):
            return False
        if line and line != "r":
            try:
                json.loads(line)
            except ValueError as error:
                output.say(f"that is no JSON ({error}): type an event, Enter or r for the last one again, q to leave")
                return True
            self._event = line.encode()
        if self._deployed:
            self._ask(None)
        else:
            output.say("there is nothing to call yet: mend the code and save it")
        return True

    def _ask(self, began: float | None) -> None:
        try:
            answered = self._call(self._event)
        except (Refused, Unreachable) as failure:
            _complain(failure)
            return
        if began is not None:
            since = (time.monotonic() - began) * 1000
            answered = Answered(answered.payload, answered.fault, answered.start, answered.took_ms, since)
        self._show(answered)


def _complain(failure: Failure) -> None:
    output.complain(failure.message, code=failure.code)


def here(text: str, folder: Path) -> str:
    """A trace's paths as they are on this machine, so that an editor's terminal leads there."""
    return text.replace(f"{TASK_ROOT}/", f"{folder}/")


def happenings(path: Path, stop: threading.Event) -> Iterator[Happening]:
    """What from now on is saved below `path` and typed on standard input, as it comes."""
    told: queue.Queue[Happening] = queue.Queue()
    for work, name in ((lambda: _watch(path, told, stop), "watch"), (lambda: _listen(told), "typed")):
        threading.Thread(target=work, name=name, daemon=True).start()
    return _until_left(told, stop)


def _until_left(told: queue.Queue[Happening], stop: threading.Event) -> Iterator[Happening]:
    """Where standard input has ended, files are saved all the same."""
    while not (isinstance(found := told.get(), Left) and stop.is_set()):
        if not isinstance(found, Left):
            yield found


def _watch(path: Path, told: queue.Queue[Happening], stop: threading.Event) -> None:
    import watchfiles

    class Sources(watchfiles.DefaultFilter):
        """Leaves out what editors, version control and interpreters write, and what the loop itself does."""

        ignore_dirs = (*watchfiles.DefaultFilter.ignore_dirs, ".vscode", ".ruff_cache")

        def __call__(self, change: watchfiles.Change, changed: str) -> bool:
            return super().__call__(change, changed) and (not path.is_file() or Path(changed) == path)

    watched = path.parent if path.is_file() else path
    try:
        for _ in watchfiles.watch(
            watched, watch_filter=Sources(), debounce=_SETTLES_MS * 10, step=_SETTLES_MS, stop_event=stop,
            rust_timeout=1000, raise_interrupt=False, recursive=not path.is_file(),
        ):  # fmt: skip
            told.put(Saved())
    finally:
        stop.set()
        told.put(Left())


def _listen(told: queue.Queue[Happening]) -> None:
    for line in sys.stdin:
        told.put(Typed(line))
    told.put(Left())


def follow_log(client: Client, path: str, stop: threading.Event, show: Callable[[dict[str, Any]], None]) -> None:
    """Show the function's log from now on, in a thread of its own; begun again when the server is."""

    def follow() -> None:
        since = int(time.time() * 1000)
        while not stop.is_set():
            try:
                for line in client.lines(path, query={"since_ms": since, "follow": 1}):
                    entry = json.loads(line)
                    since = max(since, int(entry["at_ms"]) + 1)
                    show(entry)
            except (Refused, Unreachable):
                pass  # who calls the function is told; the log comes back with the server
            stop.wait(_LOG_AGAIN_S)

    threading.Thread(target=follow, name="log", daemon=True).start()

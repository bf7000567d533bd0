"""How zygotes are kept, and what is raised where there is none."""

from __future__ import annotations

from dataclasses import dataclass

from torpor.core.errors import StartFailed


class NoZygote(StartFailed):
    """There is no zygote to fork this instance from, for the reason that is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZygoteOptions:
    """For `hot_s` after a start blanks are held ready, for `idle_s` the zygote; `memory_mb` bounds those unused."""

    blanks: int = 2
    hot_s: float = 60.0
    idle_s: float = 3600.0
    memory_mb: int = 4096
    refill_s: float = 0.05  # after a start, so that the request goes first
    settle_s: float = 0.5  # before a zygote is built: what was learned by several starts at once is learned together
    check_s: float = 5.0
    fork_s: float = 15.0  # a zygote that has not forked by then never will: a library's hook waits for something

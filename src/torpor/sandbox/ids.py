"""Which user ids the sentinel's namespace holds: the server's own as 0, and where possible a range for instances."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

WANTED = 65_535
BLOCK = 1024
_SPAWNED_PART = 8
# High in the range that is set aside for containers, and aligned as those are.
DEFAULT_BASE = 0x6A00_0000

IdMap = tuple[tuple[int, int, int], ...]  # inside, outside, count


@dataclass(frozen=True, slots=True)
class IdPlan:
    """The maps of the sentinel's user namespace. `count` ids from 1 on are for instances; 0 of them: all share one id.

    `tools` are the setuid programs that write the maps where we may not.
    """

    users: IdMap
    groups: IdMap
    count: int = 0
    tools: tuple[str, str] | None = None

    @property
    def init_id(self) -> int:
        """The id of every init; workers have those below it."""
        return self.count

    @property
    def worker_ids(self) -> range:
        """Of those alone that are started one by one; zygotes have blocks of their own."""
        return range(1, self._first_block if self.blocks else self.count)

    @property
    def blocks(self) -> range:
        """The first id of each block of BLOCK ids, one for each zygote and what is born of it."""
        first = self._first_block
        return range(first, self.count - BLOCK, BLOCK) if first > BLOCK else range(0)

    @property
    def _first_block(self) -> int:
        """Blocks get the larger part: those started one by one are no more than invocations that run at a time."""
        return max(self.count // _SPAWNED_PART, min(self.count // 2, 2 * BLOCK))


def plan(uid_base: int | None = None) -> IdPlan:
    """What this process may map: as root some of its own ids, else what /etc/subuid gives it, else itself alone."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        users = available(Path("/proc/self/uid_map").read_text(encoding="ascii"), uid_base)
        groups = available(Path("/proc/self/gid_map").read_text(encoding="ascii"), uid_base)
        return _ranges((uid, gid), users, groups, None)
    tools = _tools()
    if tools is None:
        return single(uid, gid)
    names = {str(uid), _name_of(uid)}
    users = subordinate(_text("/etc/subuid"), names)
    groups = subordinate(_text("/etc/subgid"), names)
    return _ranges((uid, gid), users, groups, tools)


def single(uid: int, gid: int) -> IdPlan:
    return IdPlan(((0, uid, 1),), ((0, gid, 1),))


def available(own_map: str, wanted_base: int | None) -> tuple[int, int]:
    """(first, count) of ids to give away among those in /proc/self/uid_map: the wanted, or the highest there are."""
    base = DEFAULT_BASE if wanted_base is None else wanted_base
    rows = [(int(first), int(count)) for first, _, count in (line.split() for line in own_map.splitlines())]
    for first, count in rows:
        if first <= base and base + WANTED <= first + count:
            return base, WANTED
    first, count = max(rows, key=lambda row: row[1], default=(0, 0))
    half = min(count // 2, WANTED)  # the lower half is where this container's own users are
    return first + count - half, half


def subordinate(text: str, names: set[str]) -> tuple[int, int]:
    """(first, count) of the largest range that /etc/subuid or /etc/subgid gives to one of `names`."""
    rows = [line.split(":") for line in text.splitlines()]
    mine = [(int(row[1]), int(row[2])) for row in rows if len(row) == 3 and row[0] in names]
    first, count = max(mine, key=lambda row: row[1], default=(0, 0))
    return first, min(count, WANTED)


def _ranges(
    own: tuple[int, int], users: tuple[int, int], groups: tuple[int, int], tools: tuple[str, str] | None
) -> IdPlan:
    count = min(users[1], groups[1])
    if count < 2:
        return single(*own)
    return IdPlan(((0, own[0], 1), (1, users[0], count)), ((0, own[1], 1), (1, groups[0], count)), count, tools)


def _tools() -> tuple[str, str] | None:
    users, groups = shutil.which("newuidmap"), shutil.which("newgidmap")
    return (users, groups) if users and groups else None


def _name_of(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

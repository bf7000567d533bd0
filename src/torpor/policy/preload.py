"""What to import before the fork, for whom that is no good, when to begin again, and how many blanks to hold ready."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MAX_MODULES = 4000
_HOTTEST = 4
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
# Read by interpreters, loaders and libraries when they are loaded: a zygote was loaded without them.
_READ_AT_LOADING = re.compile(
    r"PYTHON(?!UNBUFFERED$|DONTWRITEBYTECODE$|PATH$)|LD_|LC_|LANG$|LANGUAGE$|GLIBC_TUNABLES$|MALLOC_|"
    r"OMP_|GOMP_|KMP_|OPENBLAS_|MKL_|BLIS_|NUMEXPR_|NPY_|VECLIB_|TORCH_|CUDA_|XLA_|TF_|NUMBA_|ORT_|ARROW_|RAYON_|JOBLIB_"
)
_BACK_OFF_S = (0.0, 1.0, 5.0, 30.0, 120.0, 600.0)


def importable(names: Iterable[object]) -> list[str]:
    """Those that are names of modules, each once, as many as one report may hold. They come from guests."""
    known: dict[str, None] = {}
    for name in names:
        if isinstance(name, str) and len(name) < 200 and _NAME.fullmatch(name) and len(known) < MAX_MODULES:
            known[name] = None
    return list(known)


def variable_in_the_way(variables: Mapping[str, str], base: Mapping[str, str]) -> str:
    """Why instances with these variables are not forked from a zygote that has `base`; empty when they may be."""
    for name in sorted(variables):
        if _READ_AT_LOADING.match(name) and variables[name] != base.get(name):
            return f"its variable {name} is read when an interpreter or a library is loaded"
    if variables.get("PYTHONPATH") != base.get("PYTHONPATH"):
        return "its variable PYTHONPATH is read when an interpreter is loaded"
    return ""


def module_in_the_way(own: Iterable[str], modules: Sequence[str]) -> str:
    """Why code whose folder has the entries `own` is not forked from a zygote with these modules; empty when it may be.

    Code comes before the environment on the search path, so its modules hide those of the same name.
    """
    loaded = {name.partition(".")[0] for name in modules}
    for entry in sorted(own):
        if entry.partition(".")[0] in loaded:
            return f"its own {entry} hides a module of the same name that is loaded beforehand"
    return ""


def news(known: Sequence[str], reported: Sequence[str], hopeless: Iterable[str]) -> list[str]:
    """Of the modules reported, those worth importing beforehand that are not known yet."""
    seen = {*known, *hopeless}
    return [name for name in importable(reported) if name not in seen][: MAX_MODULES - len(known)]


def back_off_s(failures: int) -> float:
    """How long to wait before the next try after this many in a row have failed."""
    return _BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)]


def blanks(starts: Sequence[float], now: float, hot_s: float, most: int) -> int:
    """How many to hold ready, by the times of the latest starts: as many as there were lately, `most` at the most."""
    return min(most, sum(now - at < hot_s for at in starts))


def hottest(calls: Mapping[str, int], most: int = _HOTTEST) -> list[str]:
    """Environments to have a zygote for when the server comes up, in order: those with the most calls lately.

    None that nobody called, and few: each takes seconds of processor time, while the first calls come in.
    """
    called = [key for key, count in calls.items() if count > 0]
    return sorted(called, key=lambda key: (-calls[key], key))[:most]


@dataclass(frozen=True, slots=True)
class Resting:
    """A zygote. `since` is when it was last called, `unused` whether no instance of it lives."""

    memory_mb: int
    since: float
    unused: bool


def to_sleep(zygotes: Sequence[Resting], budget_mb: int, now: float, idle_s: float) -> list[int]:
    """Which to end: unused ones not called for `idle_s`, and the longest uncalled until the budget is kept."""
    chosen = [i for i, one in enumerate(zygotes) if one.unused and now - one.since >= idle_s]
    total = sum(one.memory_mb for i, one in enumerate(zygotes) if i not in chosen)
    for index in sorted(range(len(zygotes)), key=lambda i: zygotes[i].since):
        if total <= budget_mb:
            break
        if zygotes[index].unused and index not in chosen:
            chosen.append(index)
            total -= zygotes[index].memory_mb
    return sorted(chosen)


def longest_unused(zygotes: Sequence[Resting], now: float, least_s: float) -> int | None:
    """Which makes way where no more zygotes may live: the unused one not called for longest, `least_s` at the least.

    None when there is no such: environments called in turn would otherwise take each other's place with every call.
    """
    unused = [index for index, one in enumerate(zygotes) if one.unused and now - one.since >= least_s]
    return min(unused, key=lambda index: zygotes[index].since, default=None)


@dataclass(frozen=True, slots=True)
class Spare:
    """A blank or an unused zygote. `since` is when its environment was last called."""

    memory_mb: int
    since: float
    blank: bool


def give_up(spares: Sequence[Spare], need_mb: int) -> list[int]:
    """Which to let go so that `need_mb` become free, as far as there are: blanks first, the longest uncalled first."""
    chosen: list[int] = []
    for index in sorted(range(len(spares)), key=lambda i: (not spares[i].blank, spares[i].since)):
        if need_mb <= 0:
            break
        chosen.append(index)
        need_mb -= spares[index].memory_mb
    return chosen


def too_large(memory_mb: int, budget_mb: int) -> str:
    """Why a zygote of this size is not kept on a node with this budget; empty when it may be.

    Instances are to have the larger part.
    """
    if memory_mb <= budget_mb // 2:
        return ""
    return f"its libraries take {memory_mb} MB beforehand: more than half of the memory budget of {budget_mb} MB"

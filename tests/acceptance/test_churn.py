"""Ten thousand starts and stops: nothing is left that was not there before."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from torpor.core.errors import NotSupported
from torpor.runtime.launch import LaunchSpec, SandboxOptions, open_sandboxes

STARTS, AT_ONCE = 10_000, 8


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | _descendants(child)
    return found


def _counts(cgroups: list[Path]) -> dict[str, int]:
    """What starts could leave behind: of this process and of all below it, so that neighbours do not matter."""
    ours = {os.getpid()} | _descendants(os.getpid())
    namespaces = {str(link.readlink()) for pid in ours for link in Path(f"/proc/{pid}/ns").iterdir()}
    return {
        "descriptors": sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in ours),
        "namespaces": len(namespaces),
        "cgroups": sum(1 for root in cgroups for path in (root, *root.rglob("*")) if path.is_dir()),
        "mounts": sum(len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines()) for pid in ours),
        "processes": len(ours),
    }


def _spec(number: int) -> LaunchSpec:
    return LaunchSpec(
        instance_id=f"churn-{number}", argv=("/usr/bin/true",), env={}, cwd="/", mounts=(),
        memory_mb=128, tmp_mb=16, processes=16, open_files=64,
    )  # fmt: skip


@pytest.mark.full
@pytest.mark.timeout(1500)
async def test_ten_thousand_starts_and_stops_leave_nothing(tmp_path):
    """Descriptors, namespaces, cgroups, mounts and children are as many as before, while it runs and after."""
    (tmp_path / "run").mkdir()
    before = _counts([])
    try:
        sandboxes = await open_sandboxes(SandboxOptions(data_dir=tmp_path, run_dir=tmp_path / "run"))
    except NotSupported as reason:
        pytest.skip(str(reason))
    numbers = iter(range(STARTS))

    async def churn() -> None:
        for number in numbers:
            live = await sandboxes.start(_spec(number))
            ended = await live.wait()
            assert (ended.status, ended.signal, ended.out_of_memory) == (0, None, False)
            await live.close()

    live = await sandboxes.start(_spec(-1))
    await live.wait()
    await live.close()
    cgroups = [Path(root) for _, root in sandboxes._cgroups.roots]
    idle = _counts(cgroups)
    try:
        await asyncio.gather(*(churn() for _ in range(AT_ONCE)))
        assert next(numbers, None) is None
        after = _counts(cgroups)
    finally:
        await sandboxes.close()
    assert after == idle
    assert _counts(cgroups) == before

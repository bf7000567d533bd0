"""Takes the snapshot of a version, and tells its log how that went."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from torpor.core.errors import TorporError
from torpor.core.function import Revision
from torpor.runtime.json_journal import open_journal
from torpor.runtime.spec import LaunchSpec
from torpor.runtime.surroundings import Surroundings
from torpor.runtime.world import SNAP_START, World, build_world

_MOST_LINES = 1000


def spec_of(world: World, revision: Revision, shared: Surroundings) -> LaunchSpec:
    """What to launch, with secrets; while a snapshot initialises, the platform's door is open to it, and nothing else.

    Raises NotInvocable where a secret is missing.
    """
    spec = world.with_variables(shared.secrets_of(revision))
    if spec.snapshot is None:
        return spec
    alone = replace(revision, config=revision.config.evolve(reach=()))
    return replace(spec, snapshot=replace(spec.snapshot, open_doors=partial(shared.open_door, alone, world.log_stream)))


async def take_snapshot(revision: Revision, shared: Surroundings) -> str:
    """Initialise it in a zygote of its own; empty, or why its instances cannot be forked from there."""
    world = build_world(revision, home=shared.home, limits=shared.limits)
    try:
        spec = spec_of(world, revision, shared)
    except TorporError as refused:  # a secret is missing
        return refused.message
    if spec.snapshot is None:
        return ""
    journal = open_journal(shared.log_sink, revision.config, world.log_key, world.log_stream)
    journal.init_start(revision.config.runtime, revision.version)
    prepared, began = shared.launcher.prepared, shared.clock()
    reason = await prepared.prepare(spec.snapshot)
    for line in prepared.words(spec.snapshot.key).splitlines()[-_MOST_LINES:]:
        journal.write(line)
    if reason:
        journal.write(f"There is no snapshot: {reason}".encode())
    journal.init_report((shared.clock() - began) * 1000, SNAP_START, ok=not reason)
    return reason

"""Takes the snapshot of a version, and tells its log how that went."""

from __future__ import annotations

from torpor.core.errors import TorporError
from torpor.core.function import Revision
from torpor.runtime.json_journal import open_journal
from torpor.runtime.surroundings import Surroundings
from torpor.runtime.world import build_world

_MOST_LINES = 1000


async def take_snapshot(revision: Revision, shared: Surroundings) -> str:
    """Initialise it in a zygote of its own; empty, or why its instances cannot be forked from there."""
    world = build_world(revision, home=shared.home, limits=shared.limits)
    try:
        spec = world.with_variables(shared.secrets_of(revision))
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
    journal.init_report((shared.clock() - began) * 1000, ok=not reason)
    return reason

"""Which kind makes resources of which type."""

from __future__ import annotations

from collections.abc import Mapping

from torpor.cli.sam import support
from torpor.cli.sam.kinds.apis import Apis, Parts, Stages
from torpor.cli.sam.kinds.attached import EventInvokes, Permissions, Urls
from torpor.cli.sam.kinds.code_parts import Aliases, Layers, Versions
from torpor.cli.sam.kinds.functions import Functions
from torpor.cli.sam.kinds.kind import Kind
from torpor.cli.sam.kinds.roles import LogGroups, Roles
from torpor.cli.sam.remote import Remote


def kinds_of(remote: Remote) -> Mapping[str, Kind]:
    """By type: every one that `support.APPLIED` names."""
    apis, stages = Apis(remote), Stages(remote)
    return {
        support.FUNCTION: Functions(remote),
        support.VERSION: Versions(remote),
        support.ALIAS: Aliases(remote),
        support.LAYER: Layers(remote),
        support.URL: Urls(remote),
        support.PERMISSION: Permissions(remote),
        support.EVENT_INVOKE: EventInvokes(remote),
        support.ROLE: Roles(remote),
        support.LOG_GROUP: LogGroups(remote),
        support.HTTP_API: apis,
        support.REST_API: apis,
        support.STAGE: stages,
        support.REST_STAGE: stages,
        support.ROUTE: Parts(remote, "Route"),
        support.INTEGRATION: Parts(remote, "Integration"),
    }

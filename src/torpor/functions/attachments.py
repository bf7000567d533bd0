"""Everything that belongs to functions, together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torpor.functions.aliases import Aliases
from torpor.functions.catalog import Catalog
from torpor.functions.event_invokes import EventInvokes
from torpor.functions.policies import Policies
from torpor.functions.provisioning import Provisioning
from torpor.functions.tags import Tags


@dataclass(frozen=True, slots=True)
class Attachments:
    """The use cases of what hangs on a function."""

    aliases: Aliases
    policies: Policies
    event_invokes: EventInvokes
    tags: Tags
    provisioning: Provisioning

    @classmethod
    def of(cls, catalog: Catalog, provisioning: Provisioning) -> Self:
        return cls(Aliases(catalog), Policies(catalog), EventInvokes(catalog), Tags(catalog), provisioning)

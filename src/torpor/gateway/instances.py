"""What the node and the checks know of a function's instances, put together for who asks about it."""

from __future__ import annotations

from torpor.functions.check import DeploymentChecks, NoChecks
from torpor.gateway.use_cases import Instances
from torpor.runtime.node import Node


def instances_of(node: Node, checks: DeploymentChecks | NoChecks, function: str | None) -> Instances:
    """Of one function, or of all together."""
    statistics = node.statistics()
    pools = statistics.pools if function is None else statistics.of(function)
    start = None if function is None else node.start_of(function)
    return Instances(
        sum(pool.idle for pool in pools),
        sum(pool.busy for pool in pools),
        start=None if start is None else {"depth": start.depth.value, "reason": start.reason},
        check=None if function is None else checks.state(function),
    )

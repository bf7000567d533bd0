"""The wire protocols by their names in the models. REST-XML joins here when objects do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torpor.aws.protocol.dialect import Dialect
from torpor.aws.protocol.json_rpc import JsonRpc
from torpor.aws.protocol.model import ServiceModel
from torpor.aws.protocol.query import Query
from torpor.aws.protocol.rest_json import RestJson

DIALECTS: Mapping[str, Callable[[ServiceModel], Dialect]] = {"rest-json": RestJson, "json": JsonRpc, "query": Query}


def dialect_for(model: ServiceModel) -> Dialect:
    """The dialect that a service speaks."""
    if model.protocol not in DIALECTS:
        raise ValueError(f"{model.name} speaks {model.protocol}; known are {', '.join(sorted(DIALECTS))}")
    return DIALECTS[model.protocol](model)

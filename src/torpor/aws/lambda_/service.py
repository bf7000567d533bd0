"""Lambda as a service: all its operations together."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from torpor.aws.lambda_.account import AccountOperations
from torpor.aws.lambda_.aliases import AliasOperations
from torpor.aws.lambda_.concurrency import ConcurrencyOperations
from torpor.aws.lambda_.configuration import Configurations
from torpor.aws.lambda_.event_invokes import EventInvokeOperations
from torpor.aws.lambda_.functions import FunctionOperations
from torpor.aws.lambda_.invoke import InvokeOperations
from torpor.aws.lambda_.layers import LayerOperations
from torpor.aws.lambda_.names import function_ref
from torpor.aws.lambda_.policies import PolicyOperations
from torpor.aws.lambda_.provisioned import ProvisionedOperations
from torpor.aws.lambda_.tags import TagOperations, function_of
from torpor.aws.lambda_.urls import UrlOperations
from torpor.aws.lambda_.versions import VersionOperations
from torpor.aws.ports import Account, Attachments, Catalog, Concurrency, Deployer, Invoker, Layers, Urls
from torpor.aws.service import Service
from torpor.core.arn import Home
from torpor.core.function import Function
from torpor.core.identity import Principal
from torpor.core.layer import LayerVersion
from torpor.core.limits import Limits

_ARCHITECTURES = {"aarch64": "arm64", "arm64": "arm64"}


def lambda_service(
    *,
    catalog: Catalog,
    deployer: Deployer,
    invoker: Invoker,
    urls: Urls,
    attachments: Attachments,
    concurrency: Concurrency,
    account: Account,
    layers: Layers,
    home: Home,
    limits: Limits,
    code_location: Callable[[Function], str],
    url_address: Callable[[str], str],
    layer_location: Callable[[LayerVersion], str],
    architecture: str | None = None,
) -> Service:
    """Lambda over these use cases.

    `code_location` gives the address that serves an archive without further credentials, `url_address` the public one
    of NAME or NAME:ALIAS, `layer_location` the former for a layer. `architecture` is this machine's, `x86_64` or
    `arm64`, unless given.
    """
    architecture = architecture or _ARCHITECTURES.get(platform.machine(), "x86_64")
    configurations = Configurations(home, architecture, layers)

    def resource(params: dict[str, Any]) -> str:
        if params.get("Resource"):
            return function_of(params["Resource"], home)
        if params.get("LayerName"):
            return str(params["LayerName"]).rpartition(":layer:")[2]
        return function_ref(params, home).name if params.get("FunctionName") else ""

    def permits(principal: Principal, action: str, params: dict[str, Any]) -> bool:
        named = bool(params.get("FunctionName"))
        return named and attachments.policies.permits(principal, action, function_ref(params, home))

    def arn(name: str) -> str:
        return home.function_arn(name) if name else "*"

    return Service(
        name="lambda",
        handlers={
            **FunctionOperations(
                catalog, deployer, concurrency, configurations, home, limits, code_location
            ).handlers(),
            **ConcurrencyOperations(concurrency, home).handlers(),
            **ProvisionedOperations(attachments.provisioning, home).handlers(),
            **InvokeOperations(invoker, home).handlers(),
            **VersionOperations(catalog, deployer, home).handlers(),
            **AliasOperations(attachments.aliases, home).handlers(),
            **PolicyOperations(attachments.policies, home).handlers(),
            **EventInvokeOperations(attachments.event_invokes, home).handlers(),
            **TagOperations(attachments.tags, deployer, home).handlers(),
            **AccountOperations(account).handlers(),
            **LayerOperations(layers, home, limits, layer_location).handlers(),
            **UrlOperations(catalog, urls, home, url_address).handlers(),
        },
        actions={"Invoke": "InvokeFunction", "InvokeWithResponseStream": "InvokeFunction"},
        resource=resource,
        permits=permits,
        arn=arn,
    )

"""The composition root: the only place where concrete classes meet. Opened in order, closed in the reverse order."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
import uvloop

from torpor import __version__, server_log
from torpor.aws.apigateway.service import apigateway_service
from torpor.aws.front import AwsFront
from torpor.aws.iam import iam_service
from torpor.aws.lambda_.service import lambda_service
from torpor.aws.logs import logs_service
from torpor.aws.secretsmanager import secretsmanager_service
from torpor.aws.ssm import ssm_service
from torpor.aws.sts import sts_service
from torpor.aws.which import service_of
from torpor.build.bundles import Bundles
from torpor.build.environments import Environments
from torpor.build.layers import LayerFolders
from torpor.build.options import BuildOptions
from torpor.build.pip_settings import uv_variables
from torpor.core.arn import Home
from torpor.core.errors import TorporError, UserError
from torpor.functions.account import Account
from torpor.functions.accounting import Accounting
from torpor.functions.attachments import Attachments
from torpor.functions.catalog import Catalog
from torpor.functions.check import DeploymentChecks, NoChecks
from torpor.functions.collector import CodeStores, Collector
from torpor.functions.concurrency import Concurrency
from torpor.functions.config_rules import ConfigRules
from torpor.functions.deploy import Deployer
from torpor.functions.http_apis import HttpApis
from torpor.functions.identities import Identities
from torpor.functions.invoke import Invoker
from torpor.functions.layers import Layers
from torpor.functions.log_groups import LogGroups
from torpor.functions.log_reader import LogReader
from torpor.functions.provisioning import Provisioning
from torpor.functions.revisions import Revisions
from torpor.functions.roles import Roles
from torpor.functions.stacks import Stacks
from torpor.functions.urls import Urls
from torpor.functions.vault import Vault
from torpor.functions.warm_up import WarmUp
from torpor.gateway.app import QUICK_PATHS, Gateway, GatewayOptions
from torpor.gateway.auth import Auth, Authenticator, Closed, Keys, Open, check_bind
from torpor.gateway.code_links import CodeLinks
from torpor.gateway.descriptions import function_address
from torpor.gateway.door import Doors
from torpor.gateway.function_urls import FunctionUrls
from torpor.gateway.http_apis import HttpApiServer, api_address
from torpor.gateway.instances import instances_of
from torpor.gateway.management import Management
from torpor.gateway.openings import Openings
from torpor.gateway.origins import Hosts
from torpor.gateway.reach import Reach
from torpor.gateway.serve import Server, Serving, listen, url_of
from torpor.gateway.uploads import Uploads
from torpor.gateway.use_cases import Instances, ServerFacts, UseCases
from torpor.runtime.launch import Launcher, SandboxOptions, open_sandboxes
from torpor.runtime.node import Node, NodeOptions
from torpor.runtime.sandboxed_command import run_sandboxed
from torpor.runtime.unfit import FileOfReasons
from torpor.settings import ServerSettings, environment, server_settings
from torpor.store.data_dir import DataDir, ServerRecord, open_data_dir
from torpor.store.database import Database
from torpor.store.key_table import KeyTable
from torpor.store.ledger import Ledger, LedgerOptions
from torpor.store.log_group_table import LogGroupTable
from torpor.store.logs import LogStore
from torpor.store.secret_table import SecretTable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from torpor.cli.context import UpFlags

_REFUSED, _WRONG_USE = 4, 2
_LATEST = 1000  # invocations that tell what was called lately
_log = structlog.get_logger(__name__)


def up(flags: UpFlags) -> int:
    """Run the server until SIGTERM or SIGINT; returns the exit code. Says `ready URL` on standard output."""
    chosen = {name: getattr(flags, name) for name in ("host", "port", "data", "public_url")}
    try:
        settings = server_settings({**chosen, "auth": flags.auth and flags.auth.value})
        check_bind(settings.host, Auth(settings.auth))
    except UserError as error:
        return server_log.complain(error, _WRONG_USE)
    server_log.configure(settings.log_level)
    try:
        return uvloop.run(_serve_until_told(settings, as_json=flags.as_json))
    except TorporError as error:
        return server_log.complain(error, _REFUSED)


async def _serve_until_told(settings: ServerSettings, *, as_json: bool) -> int:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with running(settings, environment()) as url:
        sys.stdout.write(json.dumps({"ready": url}) + "\n" if as_json else f"ready {url}\n")
        sys.stdout.flush()
        _spare_the_collector()
        await told.wait()
    return 0


def _spare_the_collector() -> None:
    """What was loaded until now stays: the collector need not go through it again and again, nor so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@asynccontextmanager
async def running(settings: ServerSettings, variables: Mapping[str, str]) -> AsyncIterator[str]:
    """A whole server, from the data folder to the listening socket; gives the address that clients here reach it by.

    `variables` is the environment that pip's configuration, proxies and certificates are taken from. On leaving, what
    runs is finished within the grace period, and everything is written, ended and removed.
    """
    os.umask(0o022)  # what is built here is read by instances, which have other user ids
    async with AsyncExitStack() as stack:
        listener = listen(settings.host, settings.port)
        stack.callback(listener.close)
        data = stack.enter_context(await asyncio.to_thread(open_data_dir, settings.data))
        back = await _open_back(settings, variables, data, stack)
        local = url_of(listener)
        server, management = _compose_edge(settings, data, back, settings.public_url or local)
        back.deployer.resume()
        back.provisioning.restore()
        back.warm_up.begin()
        serving = await server.serve([listener])
        stack.push_async_callback(_close_edge, serving, management, settings.grace_s)
        stack.callback(back.log_groups.closing.set)
        record = ServerRecord(
            url=local,
            pid=os.getpid(),
            host=settings.host,
            port=listener.getsockname()[1],
            started=time.time(),
            version=__version__,
        )
        data.write_server_record(record)
        stack.callback(data.remove_server_record)
        _log.info("serving", action="server_ready", url=local, functions=len(back.catalog))
        yield local


@dataclass(frozen=True, slots=True, kw_only=True)
class _Back:
    """What the edge stands on. `doors` is filled in once there is a front for them to lead to."""

    home: Home
    catalog: Catalog
    apis: HttpApis
    layers: Layers
    deployer: Deployer
    warm_up: WarmUp
    concurrency: Concurrency
    provisioning: Provisioning
    collector: Collector
    invoker: Invoker
    ledger: Ledger
    logs: LogStore
    bundles: Bundles
    instances: Callable[[str | None], Instances]
    doors: list[Doors]
    identities: Identities
    vault: Vault
    stacks: Stacks
    log_groups: LogGroups


async def _open_back(
    settings: ServerSettings, variables: Mapping[str, str], data: DataDir, stack: AsyncExitStack
) -> _Back:
    """Stores, sandboxes, node and use cases; each is closed before what it uses."""
    home = Home(settings.account, settings.region)
    database = stack.enter_context(await asyncio.to_thread(Database, data.database))
    vault = Vault(SecretTable(database), database.sealer)
    await vault.open()
    ledger = Ledger(database, LedgerOptions(keep_days=settings.ledger_days))
    stack.push_async_callback(asyncio.to_thread, ledger.close)
    logs = LogStore(data.logs)
    stack.push_async_callback(asyncio.to_thread, logs.close)
    launcher = await open_sandboxes(
        SandboxOptions(
            data_dir=data.path,
            run_dir=data.run,
            uid_base=settings.uid_base,
            start_timeout_s=settings.start_timeout_s,
            zygotes=settings.zygotes,
            blanks=settings.blanks,
        ),
        server_log.note,
    )
    stack.push_async_callback(launcher.close)
    if not launcher.can_freeze:
        _log.info("idle instances are not frozen: see `torpor doctor`", action="instances_not_frozen")
    doors: list[Doors] = []
    unfit = FileOfReasons(data.path / "preload" / "unfit.json")
    stack.push_async_callback(unfit.close)
    node = Node(
        launcher,
        options=NodeOptions(
            keep_alive_s=settings.keep_alive_s,
            freeze_after_s=settings.freeze_after_s,
            start_timeout_s=settings.start_timeout_s,
            memory_budget_mb=settings.node_memory_mb,
            limits=settings.limits,
            home=home,
        ),
        # The platform's own interface inside an instance: as that function, with its rights and no others.
        open_door=Openings(lambda one, held: doors[0].open(one.config, one.version, held), Reach(logs)),
        log_sink=logs,
        abandoned=lambda outcome: ledger.record(outcome.usage),
        secrets_of=lambda revision: vault.variables_of(revision.config),
        unfit=unfit,
    )
    stack.push_async_callback(node.close, settings.grace_s)
    catalog = await Catalog.open(database, home)
    stack.push_async_callback(catalog.wait_written)
    log_groups = LogGroups(LogGroupTable(database), catalog, logs)
    await log_groups.open()
    stack.push_async_callback(log_groups.close)
    owner_key = (data.key.access_key_id, data.key.secret_access_key)
    identities = Identities(KeyTable(database), database.sealer, catalog, home, owner_key=owner_key)
    await identities.keys.open()
    apis = await HttpApis.open(database, home.account)
    stack.push_async_callback(apis.wait_written)
    bundles = Bundles(data.path, settings.limits)
    environments = _environments(settings, variables, data, launcher)
    stack.push_async_callback(environments.close)
    folders = LayerFolders(data.path, bundles, environments)
    revisions = Revisions(bundles, folders, home)
    checks = DeploymentChecks(catalog, revisions, node) if settings.deploy_check else NoChecks()
    stack.push_async_callback(checks.close)
    warm_up = WarmUp(catalog, lambda: [usage.function for usage in ledger.recent(limit=_LATEST)], node)
    stack.push_async_callback(warm_up.close)
    deployer = Deployer(
        catalog,
        bundles=bundles,
        layers=folders,
        environments=environments,
        node=node,
        logs=logs,
        revisions=revisions,
        rules=ConfigRules(settings.limits),
        checks=checks,
    )
    stack.push_async_callback(deployer.close)
    concurrency = Concurrency(catalog, node, settings.limits.concurrency)
    concurrency.restore()
    provisioning = Provisioning(catalog, revisions, node, settings.limits.concurrency)
    stack.push_async_callback(provisioning.close)
    layers = await Layers.open(database, bundles, deployer.code_gate, home=home, limits=settings.limits)
    stack.push_async_callback(layers.wait_written)
    stores = CodeStores(bundles, folders, layers.in_use)
    collector = Collector(catalog, deployer, code=stores, environments=environments, logs=logs, groups=log_groups)
    stack.push_async_callback(collector.close)
    return _Back(
        home=home,
        catalog=catalog,
        apis=apis,
        layers=layers,
        deployer=deployer,
        warm_up=warm_up,
        concurrency=concurrency,
        provisioning=provisioning,
        collector=collector,
        invoker=Invoker(catalog, revisions, node, ledger, settings.limits),
        ledger=ledger,
        logs=logs,
        bundles=bundles,
        instances=partial(instances_of, node, checks),
        doors=doors,
        identities=identities,
        vault=vault,
        stacks=Stacks(database),
        log_groups=log_groups,
    )


def _environments(
    settings: ServerSettings, variables: Mapping[str, str], data: DataDir, launcher: Launcher
) -> Environments:
    options = BuildOptions(
        variables=uv_variables(variables),
        nearest_interpreter=settings.nearest_interpreter,
        install_timeout_s=settings.build_timeout_s,
    )
    return Environments(data.path, launcher.run, options, partial(run_sandboxed, launcher))


def _compose_edge(settings: ServerSettings, data: DataDir, back: _Back, url: str) -> tuple[Server, Management]:
    """The HTTP edge: our own interface, the AWS protocols, functions' addresses, and the doors inside instances."""
    home, catalog = back.home, back.catalog
    links = CodeLinks(url)
    urls, roles = Urls(catalog), Roles(catalog)
    front = AwsFront(
        [
            lambda_service(
                catalog=catalog,
                deployer=back.deployer,
                invoker=back.invoker,
                urls=urls,
                attachments=Attachments.of(catalog, back.provisioning),
                concurrency=back.concurrency,
                account=Account(catalog, settings.limits, data.path),
                layers=back.layers,
                home=home,
                limits=settings.limits,
                code_location=lambda function: links.location(function.name, function.bundle),
                url_address=partial(function_address, url),
                layer_location=lambda layer: links.location(layer.name, layer.bundle),
            ),
            iam_service(roles=roles, home=home),
            sts_service(home, back.identities.sessions, roles),
            apigateway_service(apis=back.apis, home=home, endpoint=partial(api_address, url)),
            secretsmanager_service(back.vault, home),
            ssm_service(back.vault, home),
            logs_service(back.log_groups, home),
        ],
        back.invoker,
    )
    front.prepare()  # reads the service models now, and not in the first request
    # Doors let in sessions alone, even with `--auth off`: a function has its own rights and no others.
    functions_alone = Closed(Keys(session=back.identities.sessions.find))
    back.doors.append(Doors(front, service_of, functions_alone, back.identities.sessions, limits=settings.limits))
    use_cases = UseCases(
        catalog=catalog,
        deployer=back.deployer,
        urls=urls,
        concurrency=back.concurrency,
        accounting=Accounting(back.ledger),
        collector=back.collector,
        logs=LogReader(catalog, back.logs, back.log_groups.horizon_ms),
        keys=back.identities.keys,
        secrets=back.vault,
        stacks=back.stacks,
        layers=back.layers,
        instances=back.instances,
        archive=back.bundles.archive,
    )
    facts = ServerFacts(
        version=__version__,
        url=url,
        data=str(data.path),
        auth=settings.auth,
        region=settings.region,
        account=settings.account,
        pid=os.getpid(),
    )
    management = Management(use_cases, facts, home, Uploads(data.run), links)
    authenticator = _authenticator(settings, data, back.identities)
    gateway = Gateway(
        front=front,
        service_of=service_of,
        functions=FunctionUrls(catalog, back.invoker, authenticator, home=home),
        apis=HttpApiServer(back.apis, back.invoker, authenticator, home=home),
        management=management.app(),
        authenticator=authenticator,
        hosts=Hosts.of(settings.host, settings.public_url or ""),
        options=GatewayOptions(
            version=__version__, limits=settings.limits, log_requests=settings.log_level in ("debug", "info")
        ),
    )
    return Server(gateway, quick=gateway.quick, quick_paths=QUICK_PATHS), management


async def _close_edge(serving: Serving, management: Management, grace_s: float) -> None:
    management.closing.set()  # what streams or waits ends now; what runs gets its time
    await serving.close(grace_s)


def _authenticator(settings: ServerSettings, data: DataDir, known: Identities) -> Authenticator:
    keys = Keys(known.keys.by_id, data.key.token, known.owner, known.sessions.find)
    return Closed(keys) if Auth(settings.auth) is Auth.ON else Open(keys)

"""`torpor deploy TEMPLATE`: a whole application, planned, shown, and applied."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from torpor.cli import output
from torpor.cli.context import Session
from torpor.cli.failures import Failed, WrongUse

if TYPE_CHECKING:
    from torpor.cli.client import Client
    from torpor.cli.sam.application import Application
    from torpor.cli.sam.deployment import Deployment
    from torpor.cli.sam.plan import Step
    from torpor.cli.sam.record import Stack
    from torpor.cli.sam.remote import Remote
    from torpor.cli.sam.template import Template

_SIGNS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "keep": "="}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command's words say; `partial` leaves out what is not supported."""

    stack: str | None
    parameters: tuple[str, ...]
    dry_run: bool
    yes: bool
    partial: bool


def deploy_template(client: Client, session: Session, path: Path, choice: Choice, *, as_json: bool) -> None:
    """Plan and apply a template. Raises WrongUse, Failed, Refused and Unreachable."""
    from torpor.cli.sam.deployment import Deployment
    from torpor.cli.sam.kinds.table import kinds_of
    from torpor.cli.sam.names import stack_name
    from torpor.cli.sam.remote import Remote
    from torpor.cli.sam.template import read_template

    template, name = read_template(path), stack_name(choice.stack, path)
    remote = Remote.of(client)
    before = remote.stack(name)
    application = _application(session, remote, template, name, choice.parameters, quiet=as_json)
    say = (lambda _text: None) if as_json else output.say
    deployment = Deployment(application, before, remote, kinds_of(remote), say)
    steps = deployment.plan()
    _warn(application, quiet=as_json)
    if not as_json or choice.dry_run:
        _show(application, before, steps, as_json=as_json)
    if application.unsupported and not choice.partial:
        raise WrongUse("\n".join(application.unsupported) + "\nWith --partial, all but these are deployed.")
    if choice.dry_run:
        return
    _ask(steps, yes=choice.yes)
    deployment.apply()
    _tell(deployment, steps, as_json=as_json)


def _application(
    session: Session, remote: Remote, template: Template, name: str, given: Sequence[str], *, quiet: bool
) -> Application:
    from torpor.cli.sam import parameters
    from torpor.cli.sam.application import read_application
    from torpor.cli.sam.translator import environment_of, is_ready, translate

    values = parameters.values_of(template, parameters.given_values(given))
    values |= parameters.pseudo_parameters(name, account=remote.account, region=remote.region)

    def translated(document: dict[str, Any]) -> dict[str, Any]:
        find = session.read_options().tools
        if find is None:
            raise Failed("this command line has no place for tools of its own, so it cannot translate templates")
        tools = find()
        if not is_ready(tools):
            with output.progress("installing the translator of SAM templates, which happens once", quiet=quiet):
                environment_of(tools)
        return translate(document, tools, remote.region)

    return read_application(template, name, values, translated)


def _warn(application: Application, *, quiet: bool) -> None:
    if quiet:
        return
    for remark in application.remarks:
        output.say(f"warning: {remark}")
    for waiting in application.waiting:
        what = f"{waiting.resource}'s event {waiting.event}" if waiting.event else waiting.resource
        place = f"{application.template.path}:{waiting.line}"
        output.say(f"waiting: {place}: {what} ({waiting.type}) is kept with the stack: nothing here can make it yet")


def _show(application: Application, stack: Stack, steps: Sequence[Step], *, as_json: bool) -> None:
    if as_json:
        output.result_json(_as_json(application, stack, steps))
        return
    output.say(f"stack {stack.name}:")
    for step in steps:
        if step.action.value == "unchanged":
            continue
        changes = f" ({', '.join(step.changes)})" if step.changes and step.action.value in ("update", "replace") else ""
        where = f"  {application.template.path}:{step.line}" if step.line else ""
        output.say(f"  {_SIGNS[step.action.value]} {step.action.value:8} {step.id}  {step.type}{changes}{where}")
    unchanged = sum(step.action.value == "unchanged" for step in steps)
    if unchanged:
        output.say(f"    {output.counted(unchanged, 'resource')} unchanged")


def _as_json(application: Application, stack: Stack, steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "stack": stack.name,
        "plan": [step.as_json() for step in steps],
        "waiting": [waiting.as_json() for waiting in application.waiting],
        "unsupported": application.unsupported,
        "warnings": application.remarks,
    }


def _ask(steps: Sequence[Step], *, yes: bool) -> None:
    """Nothing is changed that was not agreed to. Raises WrongUse where nobody can be asked."""
    if yes or all(step.action.value == "unchanged" for step in steps):
        return
    if not sys.stdin.isatty():
        raise WrongUse("nobody can be asked here: pass --yes to apply the plan, or --dry-run to look at it")
    if not typer.confirm("apply?", err=True):
        raise WrongUse("nothing was changed")


def _tell(deployment: Deployment, steps: Sequence[Step], *, as_json: bool) -> None:
    stack = deployment.stack
    if as_json:
        done = _as_json(deployment.application, stack, steps)
        output.result_json(done | {"status": stack.status, "outputs": stack.outputs})
        return
    output.say(f"stack {stack.name} is deployed")
    for name, about in stack.outputs.items():
        output.result(f"{name}: {about['Value']}")

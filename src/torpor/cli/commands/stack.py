"""`torpor stack`: what was deployed from templates."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from torpor.cli import flags, output
from torpor.cli.connect import connect
from torpor.cli.failures import Refused, WrongUse

StackName = Annotated[str, flags.argument("NAME", "The stack's name.")]


def list_stacks(
    *, context: typer.Context, url: flags.Url = None, data: flags.Data = None, as_json: flags.AsJson = False
) -> None:
    """List the stacks there are."""
    from torpor.cli.sam.remote import Remote

    found = Remote.of(connect(context, url, data)).stacks()
    if as_json:
        output.result_json({"stacks": found})
        return
    rows = [
        (one["name"], one["status"], str(one["resources"]), str(one["waiting"]), one["changed"], one["template"])
        for one in found
    ]
    output.table(
        ("name", "status", "resources", "waiting", "changed", "template"), rows, right=("resources", "waiting")
    )


def describe(
    *,
    context: typer.Context,
    name: StackName,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Show a stack: its resources, outputs, parameters, and what waits."""
    from torpor.cli.sam.remote import Remote

    stack = Remote.of(connect(context, url, data)).stack(name)
    if not stack.revision:
        raise _no_stack(name)
    if as_json:
        output.result_json({"name": name, "revision": stack.revision, **stack.document()})
        return
    output.result(f"{name}: {stack.status}, changed {stack.changed}, from {stack.template}")
    if stack.reason:
        output.result(f"  {stack.reason}")
    for key, value in stack.parameters.items():
        output.result(f"parameter {key}: {value}")
    output.table(("id", "type", "name"), [(one.id, one.type, one.physical) for one in stack.resources.values()])
    for made in stack.leftovers:
        output.result(f"to be removed: {made.id} ({made.type}, {made.physical})")
    for one in stack.waiting:
        output.result(f"waiting: {one['resource']} {one['event']} ({one['type']}), line {one['line']}")
    for key, about in stack.outputs.items():
        output.result(f"{key}: {about['Value']}")


def remove(
    *,
    context: typer.Context,
    name: StackName,
    yes: Annotated[bool, flags.option("--yes", "-y", text="Do not ask.")] = False,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Remove a stack with all that it made, but what its template says to keep."""
    from torpor.cli.sam.deployment import remove_stack
    from torpor.cli.sam.kinds.table import kinds_of
    from torpor.cli.sam.remote import Remote

    remote = Remote.of(connect(context, url, data))
    stack = remote.stack(name)
    if not stack.revision:
        raise _no_stack(name)
    if not yes:
        if not sys.stdin.isatty():
            raise WrongUse("nobody can be asked here: pass --yes to remove the stack")
        if not typer.confirm(f"remove {name} with its {output.counted(len(stack.resources), 'resource')}?", err=True):
            raise WrongUse("nothing was changed")
    kept = remove_stack(stack, remote, kinds_of(remote), (lambda _text: None) if as_json else output.say)
    if as_json:
        output.result_json({"name": name, "kept": [made.as_json() for made in kept]})
        return
    for made in kept:
        output.say(f"kept {made.id} ({made.physical}): its DeletionPolicy is Retain")
    output.result(f"removed the stack {name}")


def _no_stack(name: str) -> Refused:
    return Refused(f"there is no stack {name}: `torpor stack ls` shows those there are", status=404, code="NoStack")

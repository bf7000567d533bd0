"""`torpor init`: a small working project to start from."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from torpor.cli import flags, output
from torpor.cli.failures import WrongUse
from torpor.cli.hints import own_name


class Template(StrEnum):
    """The projects there are."""

    ECHO = "echo"
    SKLEARN = "sklearn"


# A folder called sklearn would stand in the way of `import sklearn` beside it.
_FOLDERS = {Template.ECHO: "echo", Template.SKLEARN: "regression"}


def init(
    *,
    template: Annotated[
        Template, flags.argument("TEMPLATE", "echo returns its event; sklearn fits a regression. [default: echo]")
    ] = Template.ECHO,
    folder: Annotated[Path | None, flags.argument("DIR", "Where to write. [default: ./echo or ./regression]")] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Write a small project that works, without overwriting anything."""
    goal = folder or Path(_FOLDERS[template])
    files = template_files(template)
    write_new(goal, files)
    if as_json:
        output.result_json({"folder": str(goal), "files": sorted(files)})
        return
    for name in sorted(files):
        output.result(str(goal / name))
    output.say(f"next: {own_name()} deploy {shlex.quote(str(goal))}")


def template_files(template: Template) -> dict[str, bytes]:
    """Names and contents. On disk each ends in `.template`, so that no tool takes it for code of ours."""
    from importlib import resources

    folder = resources.files("torpor.cli") / "templates" / template.value
    return {entry.name.removesuffix(".template"): entry.read_bytes() for entry in folder.iterdir()}


def write_new(folder: Path, files: dict[str, bytes]) -> None:
    """All of them or none. Raises WrongUse where one is there already."""
    if folder.exists() and not folder.is_dir():
        raise WrongUse(f"{folder} is not a folder")
    there = sorted(name for name in files if (folder / name).exists() or (folder / name).is_symlink())
    if there:
        raise WrongUse(f"{folder} already holds {', '.join(there)}: nothing was written. Name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            with (folder / name).open("xb") as file:
                file.write(content)
    except OSError as error:
        raise WrongUse(f"{folder} cannot be written: {error.strerror}") from None

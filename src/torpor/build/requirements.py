"""What a bundle says it needs: requirements.txt, else pyproject.toml, else PEP 723 blocks. Read as data, never run.

uv is never shown the bundle's own files, only requirements that were read and allowed here: a requirements file can
name local folders, source trees and indexes, and would be followed with the server's rights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from torpor.build.requirement_files import Declared, one_requirement, read_requirements_file
from torpor.build.texts import parse_toml, read_source, read_text
from torpor.core.errors import BuildFailed


@dataclass(frozen=True, slots=True)
class Requirements:
    """A function's needs: the lines to resolve, where they were written, and the Python versions it asks for."""

    declared: Declared
    source: str
    python: str = ""

    def extended(self, more: tuple[str, ...]) -> Requirements:
        """These, and requirements that the code does not name itself."""
        return self if not more else replace(self, declared=self.declared + Declared(lines=more))

    def accepts(self, version: str) -> bool:
        return not self.python or SpecifierSet(self.python).contains(version, prereleases=True)


def read_requirements(code: Path, *, base: tuple[str, ...], source_builds: bool, indexes: bool = True) -> Requirements:
    """The requirements of the code in `code`; `base` where it has none. Raises BuildFailed with what is not allowed."""
    project = _project(code)
    python = _python(project.get("requires-python", ""), "pyproject.toml")
    if (code / "requirements.txt").is_file():
        declared = read_requirements_file(code, "requirements.txt", source_builds=source_builds, indexes=indexes)
        source = "requirements.txt"
    elif project.get("dependencies"):
        declared = _listed(code, project["dependencies"], "pyproject.toml", source_builds=source_builds)
        source = "pyproject.toml"
    else:
        declared, source, inline = _scripts(code, source_builds=source_builds)
        python = ",".join(filter(None, (python, inline)))
    if not declared.lines:
        return Requirements(Declared(lines=base), "the base environment", python)
    return Requirements(declared, source, python)


def _project(code: Path) -> dict[str, Any]:
    path = code / "pyproject.toml"
    if not path.is_file():
        return {}
    project = parse_toml(read_text(code, "pyproject.toml"), "pyproject.toml").get("project", {})
    if not isinstance(project, dict):
        raise BuildFailed("pyproject.toml: [project] must be a table.")
    if "dependencies" in project.get("dynamic", []):
        raise BuildFailed(
            "pyproject.toml: dependencies are 'dynamic', known only by running the build. List them in "
            "[project] dependencies, or in requirements.txt."
        )
    return project


def _scripts(code: Path, *, source_builds: bool) -> tuple[Declared, str, str]:
    """The dependencies in the PEP 723 blocks of the Python files at the top of the bundle, together."""
    declared, sources, pythons = Declared(), [], []
    for path in sorted(code.glob("*.py")):
        block = _block(read_source(code, path.name), path.name)
        if block:
            declared += _listed(code, block.get("dependencies", []), path.name, source_builds=source_builds)
            pythons.append(_python(block.get("requires-python", ""), path.name))
            sources.append(path.name)
    return declared, ", ".join(sources), ",".join(filter(None, pythons))


def _block(text: str, name: str) -> dict[str, Any]:
    """The table of a file's `# /// script` block, which the last `# ///` of the same run of comments ends."""
    found: list[list[str]] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line == "# /// script":
            run = list(takewhile(lambda line: line == "#" or line.startswith("# "), lines))
            ends = [at for at, line in enumerate(run) if line == "# ///"]
            if ends:
                found.append([line[2:] for line in run[: ends[-1]]])
    if len(found) > 1:
        raise BuildFailed(f"{name} has more than one '# /// script' block; PEP 723 allows one.")
    return parse_toml("\n".join(found[0]), name) if found else {}


def _listed(code: Path, lines: Any, source: str, *, source_builds: bool) -> Declared:
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise BuildFailed(f"{source}: dependencies must be a list of strings.")
    return Declared(
        lines=tuple(one_requirement(code, line, where=source, source_builds=source_builds) for line in lines)
    )


def _python(specifier: Any, source: str) -> str:
    try:
        return str(SpecifierSet(specifier))
    except (InvalidSpecifier, TypeError, AttributeError):
        raise BuildFailed(
            f"{source}: requires-python = {specifier!r} is not a version specifier such as '>=3.11'."
        ) from None

"""The source tree as the architecture tests see it: modules with their imports, and the files that are kept."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"


@dataclass(frozen=True)
class Module:
    """One file of the package. `name` is dotted; a package's `__init__` has the package's name."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, str(self.path))

    @property
    def house(self) -> str:
        """The package (or root file) it lives in: `core`, `settings`; the root's own `__init__` is ``."""
        return self.name.partition(".")[2].partition(".")[0]

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """Line and absolute dotted name of everything imported anywhere in it, `from x import y` giving `x.y`."""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        return [found for node in ast.walk(self.tree) for found in _imported(node, package)]


def _imported(node: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parts = package.split(".")
        base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
        module = ".".join(part for part in (base, node.module or "") if part)
        yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every file of the package; what `torpor init` writes is not ours but the user's to come."""
    ours = (path for path in sorted(SOURCE.rglob("*.py")) if "templates" not in path.parts)
    return [Module(_name_of(path), path) for path in ours]


@pytest.fixture(scope="session")
def kept_files() -> list[Path]:
    """Every file under version control, or about to be; without git, every file that is not built."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        built = {".venv", ".git", "__pycache__", "dist"}
        return [path for path in ROOT.rglob("*") if path.is_file() and not built & set(path.relative_to(ROOT).parts)]
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def stdlib() -> frozenset[str]:
    return sys.stdlib_module_names

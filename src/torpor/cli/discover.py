"""Finding a function's handler by reading its source, never by running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torpor.cli.failures import WrongUse
from torpor.cli.source import Source

_USUAL = ("lambda_function.py", "app.py")
_FUNCTION = "lambda_handler"


@dataclass(frozen=True, slots=True)
class Names:
    """What a module binds at its top level: everything, and its own functions in order."""

    bound: frozenset[str]
    functions: tuple[str, ...]


def find_handler(source: Source) -> str:
    """`MODULE.FUNCTION`: lambda_function.lambda_handler, then app.lambda_handler, then the only file's.

    Raises WrongUse that lists what was looked at.
    """
    looked: list[str] = []
    for name in _USUAL:
        if name not in source.modules:
            looked.append(f"{name}: not there")
        elif _FUNCTION in (names := top_level(source, name)).bound:
            return f"{_stem(name)}.{_FUNCTION}"
        else:
            looked.append(f"{name}: no {_FUNCTION}, {_defines(names)}")
    if len(source.modules) == 1:
        return _only_files(source, source.modules[0], looked)
    there = ", ".join(source.modules) if source.modules else "none"
    looked.append(f"the only Python file: there are {len(source.modules)} ({there})")
    raise _not_found(source, looked)


def check_handler(source: Source, handler: str) -> str | None:
    """A warning where the source shows that `handler` is not in it; None where it is, or may be."""
    module, _, function = handler.rpartition(".")
    name = f"{module}.py"
    if not module or not function or name not in source.names:
        return None  # a package's module, a vendored one, or the server's to judge
    names = top_level(source, name)
    if function in names.bound or names.bound & {"*", "__getattr__"}:
        return None
    return (
        f"{name} does not define {function}, {_defines(names)}: initialisation will fail unless it appears at run time"
    )


def check_bootstrap(source: Source) -> str | None:
    """A warning where a custom runtime's code holds no program to start; None where it does."""
    if "bootstrap" not in source.names:
        return "there is no file named bootstrap: unless a layer brings one, initialisation will fail"
    if not source.is_executable("bootstrap"):
        return "bootstrap is not executable, and initialisation will fail: run `chmod +x bootstrap`"
    return None


def top_level(source: Source, name: str) -> Names:
    """What the file binds at its top level. Raises WrongUse where it is not Python."""
    try:
        tree = ast.parse(source.read(name), filename=name)
    except SyntaxError as error:
        raise WrongUse(
            f"{name}, line {error.lineno}: {error.msg}; name the handler with --handler if it is newer Python"
        ) from None
    except ValueError as error:  # null bytes
        raise WrongUse(f"{name} is not Python: {error}") from None
    bound: set[str] = set()
    functions: list[str] = []
    for statement in _statements(tree.body):
        bound.update(_bound_by(statement))
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            functions.append(statement.name)
    return Names(frozenset(bound), tuple(functions))


def _only_files(source: Source, name: str, looked: list[str]) -> str:
    names = top_level(source, name)
    if _FUNCTION in names.bound:
        return f"{_stem(name)}.{_FUNCTION}"
    likely = [function for function in dict.fromkeys(names.functions) if _is_likely(function)]
    if len(likely) == 1:
        return f"{_stem(name)}.{likely[0]}"
    if likely:
        looked.append(f"{name}, the only Python file: several could be it ({', '.join(likely)})")
    elif name not in _USUAL:
        looked.append(f"{name}, the only Python file: no {_FUNCTION}, {_defines(names)}")
    raise _not_found(source, looked)


def _is_likely(function: str) -> bool:
    return function.startswith("handler") or function.endswith("handler")


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, also those in `if`, `try` and `with`."""
    for statement in body:
        yield statement
        for field in ("body", "orelse", "finalbody"):
            if isinstance(statement, ast.If | ast.Try | ast.With):
                yield from _statements(getattr(statement, field, ()))
        for clause in getattr(statement, "handlers", ()):
            yield from _statements(clause.body)


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name
        case ast.Import() | ast.ImportFrom():
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0]
        case ast.Assign():
            for goal in statement.targets:
                yield from (node.id for node in ast.walk(goal) if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _stem(name: str) -> str:
    return name.removesuffix(".py")


def _defines(names: Names) -> str:
    functions = list(dict.fromkeys(names.functions))
    if not functions:
        return "and no function at all"
    shown = ", ".join(functions[:5]) + (", …" if len(functions) > 5 else "")
    return f"only {shown}"


def _not_found(source: Source, looked: list[str]) -> WrongUse:
    lines = "\n".join(f"  - {line}" for line in looked)
    return WrongUse(
        f"no handler found in {source.path}. Looked at:\n{lines}\n"
        'Say which with --handler MODULE.FUNCTION, or `handler = "MODULE.FUNCTION"` in [tool.torpor].'
    )

"""The house: a package imports only those above it, and what runs inside a sandbox needs nothing from outside it."""

import ast
import shutil
import subprocess
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

# Highest first; names on one line never import each other. `` is `torpor/__init__.py`, which only holds the version.
ORDER = [
    [""],
    ["core"],
    ["wire"],
    ["policy"],
    ["guest", "sandbox"],
    ["build", "store"],
    ["runtime"],
    ["functions"],
    ["models", "events"],
    ["aws", "gateway"],
    ["console", "cli"],
    ["settings"],
    ["server_log"],
    ["app"],
    ["__main__"],
    ["testing"],
]
LEVEL = {house: level for level, line in enumerate(ORDER) for house in line}

# The environment is configuration, and configuration is read once, in settings.py. These have another reason.
ENVIRONMENT_READERS = {
    "torpor.settings": "the one reader of configuration",
    "torpor.guest": "inside a sandbox the variables are the interface to the function",
    "torpor.runtime.zygote": "inside a nest it gives each child the variables of its function",
    "torpor.cli.commands.environment": "hands its own on to another command, pointing AWS's clients here",
}


def test_each_package_imports_only_those_above_it(modules):
    """A package imports those above it in the house, never one below or beside it."""
    wrong = []
    for module in modules:
        for line, name in module.imports:
            target = name.split(".")[1] if name.startswith("torpor.") else None
            target = target if target in LEVEL else ("" if target is not None else None)
            if target is not None and target != module.house and LEVEL[target] >= LEVEL[module.house]:
                wrong.append(f"{module.path}:{line}: {module.house} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_every_package_has_its_place_in_the_house(modules):
    """A new package or root file is given a level before it is used."""
    assert {module.house for module in modules} <= set(LEVEL)


@pytest.mark.parametrize("house", ["core", "wire", "guest"])
def test_the_innermost_packages_need_the_standard_library_alone(modules, stdlib, house):
    """`core`, `wire` and `guest` import the standard library and what is theirs: they run where nothing else is."""
    allowed = {"core": {"core"}, "wire": {"wire"}, "guest": {"guest", "wire"}}[house]
    wrong = []
    for module in modules:
        if module.house != house:
            continue
        for line, name in module.imports:
            top, _, rest = name.partition(".")
            if top not in stdlib and not (top == "torpor" and rest.partition(".")[0] in allowed):
                wrong.append(f"{module.path}:{line}: {name}")
    assert not wrong, "\n".join(wrong)


def test_modules_do_not_import_each_other_in_circles(modules):
    """No chain of imports, lazy ones included, leads back to where it began."""
    names = {module.name for module in modules}
    graph = {module.name: {_module_in(name, names) for _, name in module.imports} - {None} for module in modules}
    for name, targets in graph.items():
        targets.discard(name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def _module_in(name, names):
    """The module that `from x import y` loads: `x.y` where that is one, else `x`."""
    if name in names:
        return name
    parent = name.rpartition(".")[0]
    return parent if parent in names else None


def test_only_the_settings_read_the_environment(modules):
    """Nobody but settings.py looks into os.environ for configuration."""
    wrong = []
    for module in modules:
        if any(f"{module.name}.".startswith(f"{reader}.") for reader in ENVIRONMENT_READERS):
            continue
        readers = [node for node in ast.walk(module.tree) if _reads_environment(node)]
        wrong += [f"{module.path}:{node.lineno}" for node in readers]
    assert not wrong, "take it from settings.py:\n" + "\n".join(wrong)


def _reads_environment(node):
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
        return node.attr in {"environ", "environb", "getenv", "getenvb"}
    return isinstance(node, ast.ImportFrom) and node.module == "os" and any("env" in one.name for one in node.names)


def test_what_runs_inside_reads_as_python_3_9(modules):
    """Guest and wire use no syntax, dataclass option or argument that came after Python 3.9."""
    for module in modules:
        if module.house not in {"guest", "wire"}:
            continue
        tree = ast.parse(module.text, str(module.path), feature_version=(3, 9))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        late = [f"line {call.lineno}: {word.arg}=" for call in calls for word in call.keywords if _late(call, word.arg)]
        assert not late, f"{module.path}: {late}"
        if any(isinstance(node, ast.FunctionDef | ast.AnnAssign) for node in ast.walk(tree)):
            assert "from __future__ import annotations" in module.text, f"{module.path}: annotations would be evaluated"


def _late(call, keyword):
    name = getattr(call.func, "attr", None) or getattr(call.func, "id", None)
    return (name, keyword) in {("dataclass", "slots"), ("dataclass", "kw_only"), ("zip", "strict")}


@pytest.mark.slow
def test_what_runs_inside_loads_on_the_oldest_interpreter(root, modules):
    """Every module of guest and wire can be imported by Python 3.9 itself, where this machine has one."""
    python = _python_3_9()
    if python is None:
        pytest.skip("no Python 3.9 on this machine; the syntax is checked above")
    inside = [module.name for module in modules if module.house in {"guest", "wire"} and "bootstrap" not in module.name]
    program = f"import importlib\nfor name in {inside!r}: importlib.import_module(name)"
    done = subprocess.run([python, "-B", "-c", program], cwd=root / "src", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _python_3_9():
    candidates = [shutil.which("python3.9"), *Path.home().glob(".pyenv/versions/3.9*/bin/python3.9")]
    for python in filter(None, candidates):
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    return None

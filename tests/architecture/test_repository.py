"""What is kept in the repository: nothing of one machine, locks that pin and hash, documents that tell the truth."""

import dataclasses
import os
import re
import subprocess
import tomllib

import pytest

from torpor.core.limits import Limits
from torpor.settings import ServerSettings

# Spelt in two halves, so that this file does not hold what it forbids.
FORBIDDEN = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "/opt" + "/wheels",
    "/opt" + "/pypi",
    "/work" + "/",
    "/tmp" + "/proj",
]
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==[^\s;\\]+")
LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)")


def test_no_file_names_a_registry_or_one_machine(kept_files, root):
    """No file holds the host of a package registry or a path of the machine it was written on."""
    found = []
    for path in kept_files:
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{path.relative_to(root)}: {word}" for word in FORBIDDEN if word in text]
    assert not found, "\n".join(found)


def test_no_file_is_large_or_built(kept_files, root):
    """The repository holds sources: nothing above half a megabyte, nothing compiled."""
    built = {".pyc", ".so", ".whl", ".gz", ".db", ".sqlite"}
    wrong = [path for path in kept_files if path.suffix in built or path.stat().st_size > 512 * 1024]
    assert not [str(path.relative_to(root)) for path in wrong]


@pytest.mark.parametrize(
    "lock", ["requirements/runtime.txt", "requirements/dev.txt", "src/torpor/cli/sam/translator.txt"]
)
def test_locks_pin_and_hash_every_requirement(root, lock):
    """Each requirement has one version and at least one SHA-256, and no line names an index or a host."""
    text = (root / lock).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^\s*#.*\n?", "", text, flags=re.MULTILINE).strip())
    assert len(entries) > 10
    loose = [
        entry.splitlines()[0] for entry in entries if not REQUIREMENT.match(entry) or "--hash=sha256:" not in entry
    ]
    assert not loose
    assert not re.search(r"https?:|--index-url|--extra-index-url|--find-links|file:", text)


def test_the_development_lock_holds_the_runtime_lock(root):
    """What is tested is what is shipped: the same versions stand in both locks."""
    runtime, dev = (_versions(root / "requirements" / name) for name in ("runtime.txt", "dev.txt"))
    assert runtime.items() <= dev.items()


def test_locks_hold_every_declared_dependency(root):
    """A dependency added to pyproject.toml is locked: `make lock` was run."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {_bare(one) for one in project["project"]["dependencies"] + project["dependency-groups"]["dev"]}
    assert wanted <= set(_versions(root / "requirements/dev.txt"))


def _versions(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split()[0].split("==") for line in lines if REQUIREMENT.match(line))


def _bare(requirement):
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower()


def test_continuous_integration_runs_the_whole_suite(root):
    """`.ci/run` can be executed and calls `make test-all`, which contains `make test`."""
    script = root / ".ci/run"
    assert os.access(script, os.X_OK)
    assert "make test-all" in script.read_text(encoding="utf-8")
    plan = subprocess.run(["make", "-n", "test-all"], cwd=root, capture_output=True, text=True, check=True).stdout
    for step in ("ruff check", "ruff format --check", "mypy", '-m "not full"', "-m full"):
        assert step in plan


def test_make_alone_lists_every_target(root):
    """Bare `make` shows each target that a user may call, one line each."""
    shown = subprocess.run(["make"], cwd=root, capture_output=True, text=True, check=True).stdout
    declared = re.search(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"^\s*make (\S+)", shown, re.MULTILINE)) == set(declared[1].split())


def test_links_between_documents_lead_somewhere(kept_files, root):
    """Every relative link in a Markdown file points at a file or folder that is there."""
    broken = [
        f"{path.relative_to(root)}: {target}"
        for path in kept_files
        if path.suffix == ".md"
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert not broken, "\n".join(broken)


def test_every_setting_and_limit_is_documented(root):
    """The configuration reference names each setting and each limit."""
    text = (root / "docs/reference/configuration.md").read_text(encoding="utf-8")
    names = [field.name for group in (ServerSettings, Limits) for field in dataclasses.fields(group)]
    assert not [name for name in names if name not in text]


def test_every_command_is_documented(root):
    """The command-line reference has each command, and the README names each in its table."""
    from torpor.cli.main import application

    app = application()
    commands = {one.name for one in (*app.registered_commands, *app.registered_groups)}
    reference = (root / "docs/reference/command-line.md").read_text(encoding="utf-8")
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert commands
    assert not [name for name in commands if f"torpor {name}" not in reference]
    assert not [name for name in commands if f"`torpor {name}`" not in readme]


def test_every_example_is_explained(root):
    """Each worked example has a README of its own and stands in the list of examples."""
    folders = [path for path in (root / "examples").iterdir() if path.is_dir()]
    listed = (root / "examples/README.md").read_text(encoding="utf-8")
    assert folders
    assert not [path.name for path in folders if not (path / "README.md").exists() or f"]({path.name}/)" not in listed]

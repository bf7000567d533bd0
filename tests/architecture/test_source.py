"""How the source reads: one concept a file, short functions, a sentence at each head, and reasons where rules bend."""

import ast
import re
import statistics

import pytest

LONGEST_FILE = 400
EXCUSES = re.compile(
    r"#\s*(?:noqa(?P<rules>:\s*[A-Z]+\d+(?:[,\s]+[A-Z]+\d+)*)?|type:\s*ignore(?P<kinds>\[[\w,\s-]+\])?)(?P<rest>.*)$"
)


def test_no_file_grows_beyond_one_concept(modules):
    """No file of the package has 400 lines or more."""
    long = {str(module.path): count for module in modules if (count := len(module.text.splitlines())) >= LONGEST_FILE}
    assert not long


def test_every_module_says_what_it_is(modules):
    """Each module and package opens with a docstring."""
    silent = [str(module.path) for module in modules if not ast.get_docstring(module.tree)]
    assert not silent


def test_functions_are_short(modules):
    """Half of the functions have at most eight lines, and 19 of 20 at most forty."""
    lengths = [
        node.end_lineno - node.lineno + 1
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert statistics.median(lengths) <= 8
    assert statistics.quantiles(lengths, n=20)[-1] <= 40


def test_names_say_what_things_do(modules):
    """No class is called Manager, Helper or Util: such a name says nothing."""
    empty = re.compile(r".*(Manager|Helper|Helpers|Util|Utils)$")
    named = [
        f"{module.path}: {node.name}"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and empty.match(node.name)
    ]
    assert not named


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "XX" + "X:", "raise NotImplemented" + "Error"])
def test_nothing_is_left_for_later(modules, word):
    """What is in the tree is finished: no reminders and no stubs."""
    assert not [str(module.path) for module in modules if word in module.text]


def test_a_bent_rule_comes_with_its_reason(modules):
    """`noqa` and `type: ignore` name the rule, and the line or the one above says why it does not apply."""
    bare = []
    for module in modules:
        lines = module.text.splitlines()
        for number, line in enumerate(lines):
            found = EXCUSES.search(line)
            if found is None:
                continue
            above = lines[number - 1].strip() if number else ""
            reasoned = re.search(r"\w{3}", found["rest"]) or above.startswith("#")
            if not (found["rules"] or found["kinds"]) or not reasoned:
                bare.append(f"{module.path}:{number + 1}: {line.strip()}")
    assert not bare, "\n".join(bare)


def test_each_test_opens_with_a_sentence_of_behaviour(root):
    """A test's docstring says what should happen, so that a failure reads as a sentence."""
    silent = [
        f"{path}:{node.lineno}: {node.name}"
        for path in sorted((root / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def test_no_test_sleeps(root):
    """Tests wait for conditions with a bound, or move a clock; the tick of such a wait stands in a conftest alone."""
    asleep = [
        f"{path}:{node.lineno}"
        for path in sorted((root / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and getattr(node.value, "id", "") == "time"
    ]
    assert not asleep, "\n".join(asleep)

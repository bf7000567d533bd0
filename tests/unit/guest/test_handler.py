"""Finding the handler, and the error for each way in which it is not there."""

import functools
import sys

import pytest

from torpor.guest import faults
from torpor.guest.faults import Fault
from torpor.guest.handler import find_handler, is_async


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A function that writes a module into a folder on the search path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    yield write
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_a_handler_is_found_by_module_and_name(code):
    """MODULE.FUNCTION, in packages with dots or slashes."""
    code("pkg_one/deep/handlers.py", "def go(event, context): return event")
    assert find_handler("pkg_one.deep.handlers.go")(1, None) == 1
    assert find_handler("pkg_one/deep/handlers.go")(2, None) == 2


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("nodots", "Runtime.MalformedHandlerName", "Bad handler 'nodots'"),
        (".x", "Runtime.MalformedHandlerName", "Bad handler '.x'"),
        ("x.", "Runtime.MalformedHandlerName", "Bad handler 'x.'"),
        ("not_there_at_all.x", "Runtime.ImportModuleError",
         "Unable to import module 'not_there_at_all': No module named 'not_there_at_all'"),
        ("needs_missing.x", "Runtime.ImportModuleError",
         "Unable to import module 'needs_missing': No module named 'missing_dependency'"),
        ("present.absent", "Runtime.HandlerNotFound", "Handler 'absent' missing on module 'present'"),
        ("present.VALUE", "Runtime.HandlerNotFound", "Handler 'VALUE' on module 'present' is not callable"),
        ("broken.x", "Runtime.UserCodeSyntaxError", "Syntax error in module 'broken': "),
        ("sys.exit", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
    ],
)  # fmt: skip
def test_each_way_of_not_being_there_has_lambdas_own_error(code, name, kind, message):
    """Error type and text are those of Lambda's runtime."""
    code("present.py", "VALUE = 1")
    code("needs_missing.py", "import missing_dependency")
    code("broken.py", "def x(:\n    pass\n")
    with pytest.raises(Fault) as caught:
        find_handler(name)
    assert caught.value.kind == kind
    assert str(caught.value).startswith(message)


def test_a_syntax_error_shows_where_it_is(code):
    """The trace names file and line."""
    code("broken_too.py", "x = 1\ndef y(:\n")
    with pytest.raises(Fault) as caught:
        find_handler("broken_too.y")
    assert caught.value.trace[0].startswith('  File "')
    assert 'broken_too.py" Line 2' in caught.value.trace[0]


def test_what_a_module_raises_passes_through(code):
    """An error of the user's own during import keeps its type, and its trace begins in the user's code."""
    code("raises.py", "raise ValueError('at import')")
    with pytest.raises(ValueError, match="at import") as caught:
        find_handler("raises.x")
    described = faults.describe(caught.value, "")
    assert described["errorType"] == "ValueError"
    assert described["errorMessage"] == "at import"
    assert described["requestId"] == ""


def test_a_trace_has_lambdas_form_without_the_runtimes_own_frames(code):
    """Frames are `  File "…", line N, in name\\n    source\\n`, the user's only."""
    code("divides.py", "def inner():\n    return 1 / 0\n\ndef go(event, context):\n    return inner()\n")
    try:
        find_handler("divides.go")({}, None)
    except ZeroDivisionError as error:
        described = faults.describe(error, "id-1")
    first, second = described["stackTrace"][-2:]
    assert first.endswith('divides.py", line 5, in go\n    return inner()\n')
    assert second.endswith('divides.py", line 2, in inner\n    return 1 / 0\n')
    assert described["errorType"] == "ZeroDivisionError"
    assert described["requestId"] == "id-1"


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no")


def test_an_error_whose_text_cannot_be_made_is_still_described():
    """A user's own __str__ cannot take the answer away."""
    assert "Unspeakable" in faults.describe(Unspeakable(), "x")["errorMessage"]


def test_a_huge_error_is_cut():
    """Messages and traces are bounded, so that an error always fits into a frame."""
    described = faults.describe(ValueError("x" * 10_000_000), "x")
    assert len(faults.encode(described)) < 200_000


def test_an_error_is_logged_as_lambda_does(capsys):
    """One line with type and message, then the trace with indentation that viewers keep."""
    error = {"errorType": "E", "errorMessage": "m", "stackTrace": ['  File "a.py", line 1, in f\n    x()\n']}
    faults.log(error)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["[ERROR] E: m", "Traceback (most recent call last):"]
    assert lines[2] == '\u00a0\u00a0File "a.py", line 1, in f'
    assert lines[3] == "\u00a0\u00a0\u00a0\u00a0x()"


async def _coroutine(event, context):
    return event


async def _generator(event, context):
    yield event


class _Application:
    async def __call__(self, event, context):
        return event

    async def method(self, event, context):
        return event

    def plain(self, event, context):
        return event


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (_coroutine, True),
        (_generator, True),
        (functools.partial(functools.partial(_coroutine), 1), True),
        (_Application(), True),
        (_Application().method, True),
        (_Application().plain, False),
        (lambda event, context: event, False),
        (dict, False),
        (print, False),
    ],
)
def test_a_handler_written_with_async_def_is_known_by_its_code(handler, expected):
    """Functions, methods, partials and objects are told apart without a call."""
    assert is_async(handler) is expected

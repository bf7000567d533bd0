"""Finding the handler: by reading, in the order that the documentation promises."""

from __future__ import annotations

import zipfile

import pytest

from torpor.cli.discover import check_handler, find_handler
from torpor.cli.failures import WrongUse
from torpor.cli.source import open_source

HANDLER = "def lambda_handler(event, context):\n    return event\n"


def test_lambda_function_comes_first(project):
    """lambda_function.lambda_handler wins over app.lambda_handler."""
    folder = project(lambda_function__py=HANDLER, app__py=HANDLER, other__py=HANDLER)
    assert find_handler(open_source(folder)) == "lambda_function.lambda_handler"


def test_app_comes_second(project):
    """app.lambda_handler is found among other files, and where lambda_function.py has no handler."""
    folder = project(lambda_function__py="def main():\n    pass\n", app__py=HANDLER, util__py=HANDLER)
    assert find_handler(open_source(folder)) == "app.lambda_handler"


def test_the_only_file_comes_last(project):
    """A single module may have any name; tests and setup files beside it do not count."""
    folder = project(predict__py=HANDLER, test_predict__py=HANDLER, setup__py="", conftest__py="")
    assert find_handler(open_source(folder)) == "predict.lambda_handler"


@pytest.mark.parametrize(
    "text",
    [
        "from impl import lambda_handler\n",
        "from impl import main as lambda_handler\n",
        "lambda_handler = make()\n",
        "lambda_handler: object = make()\n",
        "first, lambda_handler = make()\n",
        "async def lambda_handler(event, context): ...\n",
        "class lambda_handler: ...\n",
        "try:\n    import x\nexcept ImportError:\n    def lambda_handler(e, c): ...\n",
        "if True:\n    pass\nelse:\n    lambda_handler = 1\n",
    ],
)
def test_every_way_to_bind_the_name_counts(project, text):
    """A handler may be imported, assigned, or defined in a branch."""
    assert find_handler(open_source(project(app__py=text))) == "app.lambda_handler"


def test_a_function_inside_another_does_not_count(project):
    """Only what the module itself binds is a handler."""
    with pytest.raises(WrongUse):
        find_handler(open_source(project(app__py="def make():\n    def lambda_handler(e, c): ...\n")))


@pytest.mark.parametrize("name", ["handler", "my_handler", "handler_v2"])
def test_a_single_function_named_handler_will_do(project, name):
    """In the only file, one function whose name says handler is taken."""
    folder = project(main__py=f"def helper(): ...\ndef {name}(event, context): ...\n")
    assert find_handler(open_source(folder)) == f"main.{name}"


def test_two_likely_functions_are_not_guessed_between(project):
    """Where several could be meant, both are named and nothing is chosen."""
    folder = project(main__py="def a_handler(e, c): ...\ndef b_handler(e, c): ...\n")
    with pytest.raises(WrongUse, match="a_handler, b_handler"):
        find_handler(open_source(folder))


def test_the_error_lists_what_was_looked_at(project):
    """Who has no handler learns which files were read, what they define, and what to write."""
    folder = project(app__py="def main(): ...\ndef predict(): ...\n", util__py="")
    with pytest.raises(WrongUse) as caught:
        find_handler(open_source(folder))
    message = caught.value.message
    assert "lambda_function.py: not there" in message
    assert "app.py: no lambda_handler, only main, predict" in message
    assert "there are 2 (app.py, util.py)" in message
    assert "--handler MODULE.FUNCTION" in message


def test_a_syntax_error_names_its_line(project):
    """A file that is not Python is wrong use, with the line."""
    with pytest.raises(WrongUse, match=r"app\.py, line 2"):
        find_handler(open_source(project(app__py="x = 1\ndef (\n")))


def test_nothing_is_executed(project, tmp_path):
    """Looking at a file does not run it."""
    witness = tmp_path / "ran"
    find_handler(open_source(project(app__py=f"open({str(witness)!r}, 'w')\n" + HANDLER)))
    assert not witness.exists()


def test_a_single_file(tmp_path):
    """One file is a source of its own, whatever it is called."""
    file = tmp_path / "test_me.py"
    file.write_text(HANDLER)
    source = open_source(file)
    assert (find_handler(source), source.default_name) == ("test_me.lambda_handler", "test_me")


def test_a_zip(tmp_path):
    """A zip is looked into, at its top only."""
    path = tmp_path / "my function.v2.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("app.py", HANDLER)
        packed.writestr("lib/lambda_function.py", HANDLER)
    source = open_source(path)
    assert (find_handler(source), source.default_name) == ("app.lambda_handler", "my-function-v2")


def test_other_paths_are_refused(tmp_path):
    """What is not there, and what is neither folder, Python nor zip, is wrong use."""
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path / "nowhere", tmp_path / "notes.txt"):
        with pytest.raises(WrongUse, match=path.name):
            open_source(path)


def test_a_handler_that_is_not_in_its_file_is_pointed_out(project):
    """A misspelt handler is noticed before anything is sent; what cannot be told is left alone."""
    source = open_source(project(app__py=HANDLER, star__py="from x import *\n"))
    assert "does not define handle, only lambda_handler" in (check_handler(source, "app.handle") or "")
    assert check_handler(source, "app.lambda_handler") is None
    assert check_handler(source, "star.anything") is None
    assert check_handler(source, "package.module.handler") is None

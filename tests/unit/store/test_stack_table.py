"""Stacks as they are kept: by revision, and sealed."""

import pytest

from torpor.core.errors import InvalidValue, ResourceNotFound
from torpor.core.stack import Stack, StackChanged
from torpor.functions.stacks import Stacks
from torpor.store.database import Database
from torpor.store.stack_table import StackTable


@pytest.fixture
def database(tmp_path):
    with Database(tmp_path / "torpor.db") as database:
        yield database


def test_a_stack_takes_the_place_of_the_revision_before_it_alone(database):
    """Two who began from the same state: the second is refused, and the first one's state stays."""
    table = StackTable(database)
    table.write(Stack("app", 1, {"by": "first"}))
    for late in (Stack("app", 1, {"by": "second"}), Stack("app", 3, {}), Stack("other", 2, {})):
        with pytest.raises(StackChanged):
            table.write(late)
    assert table.read_all() == [Stack("app", 1, {"by": "first"})]
    table.write(Stack("app", 2, {"by": "first again"}))
    assert (table.delete("app", 1), table.delete("app", 2), table.read("app")) == (False, True, None)


def test_a_copied_database_does_not_reveal_a_stack(database, tmp_path):
    """Outputs and events may hold what is meant for few: the document is sealed."""
    StackTable(database).write(Stack("app", 1, {"outputs": "never-to-be-found"}))
    assert not [path for path in tmp_path.iterdir() if b"never-to-be-found" in path.read_bytes()]


async def test_stacks_have_names_and_are_there_or_not(database):
    """A name that leads elsewhere is refused; what is not there is told."""
    stacks = Stacks(database)
    for name in ("", "../x", "7up", "a" * 129, "a_b"):
        with pytest.raises(InvalidValue):
            await stacks.put(name, 0, {})
    with pytest.raises(ResourceNotFound):
        await stacks.get("app")
    with pytest.raises(ResourceNotFound):
        await stacks.delete("app", 1)
    assert (await stacks.put("app", 0, {"a": 1})).revision == 1
    assert [stack.name for stack in await stacks.all()] == ["app"]
    with pytest.raises(StackChanged):
        await stacks.delete("app", 7)
    await stacks.delete("app", 1)

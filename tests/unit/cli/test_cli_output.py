"""What is printed: for people, for programs, and what a function wrote."""

from __future__ import annotations

import io

import pytest

from torpor.cli import output


class Terminal(io.StringIO):
    """A stream that people look at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext é 世界", "plain\ttext é 世界"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07x", "]0;titlex"),
        ("\x1b[2Jgone\x1b[1A", "[2Jgone[1A"),
        ("over\rwritten\x08\x9b2J", "overwritten2J"),
    ],
)
def test_a_function_cannot_steer_the_terminal(text, shown):
    """Colours stay; what moves the cursor, clears the screen or sets titles is taken out, on a terminal alone."""
    assert output.printable(text, Terminal()) == shown
    assert output.printable(text, io.StringIO()) == text


def test_table_aligns_and_leaves_no_trailing_spaces(capsys):
    """Columns stand under their heads; numbers to the right."""
    output.table(("NAME", "N", "WHERE"), [("a", "1", ""), ("longer", "100", "x")], right=("N",))
    assert capsys.readouterr().out == "NAME      N  WHERE\na         1\nlonger  100  x\n"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (2048, "2.0 KB"), (5_000_000, "4.8 MB"), (3 * 1024**4, "3072.0 GB")],
)
def test_sizes(count, shown):
    """Bytes are shown in the unit that fits."""
    assert output.size(count) == shown


@pytest.mark.parametrize(
    ("ms", "shown"), [(0, "0.00 ms"), (1.234, "1.23 ms"), (80.4, "80 ms"), (1500, "1.50 s"), (250_000, "250 s")]
)
def test_durations(ms, shown):
    """Durations keep the digits that matter."""
    assert output.elapsed(ms) == shown

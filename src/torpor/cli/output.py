"""Results go to standard output, everything else to standard error; colours and spinners only to a terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import typer

# What a terminal obeys: control characters and escape sequences, except tabs, newlines and colours.
_OBEYED = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def result(text: str) -> None:
    """A line of the answer."""
    sys.stdout.write(f"{text}\n")


def result_json(value: Any) -> None:
    """The answer for programs: indented for a terminal, else one line."""
    for_people = sys.stdout.isatty()
    result(json.dumps(value, indent=2 if for_people else None, ensure_ascii=not for_people))


def result_bytes(payload: bytes) -> None:
    """The answer exactly as it came; on a terminal, ended with a newline where it has none."""
    sys.stdout.flush()
    sys.stdout.buffer.write(payload)
    if sys.stdout.isatty() and payload and not payload.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


def say(text: str) -> None:
    """Progress, a hint, a warning: never part of the answer."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def complain(message: str, *, code: str, as_json: bool = False) -> None:
    """Why the command did not do what was asked."""
    if as_json:
        say(json.dumps({"error": {"code": code, "message": message}}))
    else:
        head = typer.style("error:", fg="red", bold=True) if sys.stderr.isatty() else "error:"
        say(f"{head} {printable(message, sys.stderr)}")


def printable(text: str, stream: TextIO) -> str:
    """What a function wrote, for a terminal without what would steer it; colours stay, other readers get all of it."""
    if not stream.isatty():
        return text
    return _OBEYED.sub(lambda found: found[0] if found[0].endswith("m") and len(found[0]) > 1 else "", text)


@contextmanager
def progress(text: str, *, quiet: bool = False) -> Iterator[None]:
    """Says what is being waited for: a spinner on a terminal, else one line."""
    if quiet:
        yield
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.text import Text

        with Console(stderr=True).status(Text(text)):
            yield
    else:
        say(text)
        yield


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), footer: bool = False
) -> None:
    """Rows under their columns; those named in `right` are numbers. With `footer`, the last row is a total.

    Laid out by hand: a table of ten thousand functions takes Rich five seconds.
    """
    widths = [max(len(cell) for cell in cells) for cells in zip(columns, *rows, strict=True)]
    bold = {0, len(rows)} if footer else {0}
    for index, cells in enumerate((columns, *rows)):
        placed = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for cell, width, column in zip(cells, widths, columns, strict=True)
        ]
        line = "  ".join(placed).rstrip()
        result(typer.style(line, bold=True) if index in bold and sys.stdout.isatty() else line)


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"


def elapsed(milliseconds: float) -> str:
    """A duration for people, with three digits that matter."""
    if milliseconds < 10:
        return f"{milliseconds:.2f} ms"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1000:.2f} s" if milliseconds < 100_000 else f"{milliseconds / 1000:.0f} s"


def counted(count: int, thing: str) -> str:
    """`1 bundle`, `2 bundles`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"

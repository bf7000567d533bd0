"""Why a command ended otherwise than done; each kind has its own exit code.

0 done · 1 the function or the build failed · 2 wrong use · 3 the server cannot be reached · 4 the server refused.
"""

from __future__ import annotations

from typing import ClassVar, Self

INTERRUPTED = 130  # as a shell reports SIGINT
PIPE_CLOSED = 141  # as a shell reports SIGPIPE


class Failure(Exception):
    """The command could not be carried out."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).__name__

    def placed(self, place: str) -> Self:
        """The same failure, told with the place it happened at."""
        self.message = f"{place}: {self.message}"
        self.args = (self.message,)
        return self


class Failed(Failure):
    """The function or its build failed."""


class WrongUse(Failure):
    """The command was not given what it needs."""

    exit_code = 2


class Unreachable(Failure):
    """The server cannot be reached."""

    exit_code = 3


class Refused(Failure):
    """The server understood, and said no."""

    exit_code = 4

    def __init__(self, message: str, *, status: int, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status

"""The entrance: reads where things are, and hands the command line what it runs with."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torpor import settings
from torpor.cli.context import ClientOptions, UpFlags
from torpor.cli.main import run

if TYPE_CHECKING:
    from torpor.runtime.doctor import Finding


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line and return its exit code."""
    client = settings.client_settings()
    options = ClientOptions(url=client.url, token=client.token, data_dir=client.data)
    return run(argv, options=options, up=_up, doctor=_doctor)


def _up(flags: UpFlags) -> int:
    from torpor import app  # late: `torpor --help` needs no server

    return app.up(flags)


def _doctor() -> list[Finding]:
    from torpor.runtime.doctor import examine

    return examine(settings.client_settings().data)


if __name__ == "__main__":
    sys.exit(main())

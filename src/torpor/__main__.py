"""The entrance: hands the command line what it runs with, each thing when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torpor.cli.context import ClientOptions, ToolOptions, UpFlags
from torpor.cli.main import run

if TYPE_CHECKING:
    from torpor.runtime.doctor import Finding
    from torpor.runtime.gauge import Measurement


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line and return its exit code."""
    return run(argv, options=_options, up=_up, doctor=_doctor, bench=_bench)


def _options() -> ClientOptions:
    from torpor.settings import client_settings  # late, like the others: `torpor --help` needs none of them

    client = client_settings()
    return ClientOptions(url=client.url, token=client.token, data_dir=client.data, tools=_tools)


def _tools() -> ToolOptions:
    from torpor.settings import cache_dir, environment

    return ToolOptions(cache=cache_dir(), environment=environment())


def _up(flags: UpFlags) -> int:
    from torpor import app

    return app.up(flags)


def _doctor() -> list[Finding]:
    from torpor.runtime.doctor import examine
    from torpor.settings import client_settings

    return examine(client_settings().data)


def _bench() -> list[Measurement]:
    from torpor.runtime.gauge import gauge
    from torpor.settings import client_settings

    return gauge(client_settings().data)


if __name__ == "__main__":
    sys.exit(main())

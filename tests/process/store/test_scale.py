"""Ten thousand idle functions: quick to start with, small to keep."""

import json
import subprocess
import sys

import pytest

FILL = """
import sys
from pathlib import Path
from sqlalchemy import insert
from torpor.core.function import Bundle, Environment, FunctionConfig
from torpor.functions import lifecycle
from torpor.store.database import Database
from torpor.store.function_table import _Rows
from torpor.store.tables import functions

environment = Environment("cd" * 32, "/data/python/bin/python3", "/data/environments/x/site", ("/data/x", "/data/y"))
database = Database(Path(sys.argv[1]))
rows = []
for number in range(10_000):
    config = FunctionConfig(
        name=f"function-number-{number}", handler="app.lambda_handler", variables={"TABLE": f"t{number}"},
        description="one of very many", role="arn:aws:iam::000000000000:role/runner",
    )
    record = lifecycle.created(config, Bundle(f"{number:064x}", 1000))
    rows.append(_Rows(database.sealer).row(lifecycle.succeeded(record, environment)))
with database.begin() as connection:
    connection.execute(insert(functions), rows)
database.close()
"""

START = """
import asyncio, json, resource, sys, time
from pathlib import Path
from torpor.core.arn import Home
from torpor.functions.catalog import Catalog
from torpor.store.database import Database
from torpor.store.ledger import Ledger
from torpor.store.logs import LogStore

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

async def main():
    before, start = resident_mb(), time.perf_counter()
    database = Database(Path(sys.argv[1]))
    catalog = await Catalog.open(database, Home())
    ledger, logs = Ledger(database), LogStore(Path(sys.argv[1]).parent / "logs")
    page = catalog.list(limit=50)
    took = time.perf_counter() - start
    print(json.dumps({"functions": len(catalog), "seconds": took, "mb": resident_mb() - before, "page": page.next}))
    logs.close()
    ledger.close()

asyncio.run(main())
"""


@pytest.mark.slow
def test_ten_thousand_functions(tmp_path):
    """The catalog of 10,000 functions opens well within two seconds, and takes well less than 200 MB."""
    path = tmp_path / "torpor.db"
    subprocess.run([sys.executable, "-c", FILL, str(path)], check=True)
    done = subprocess.run([sys.executable, "-c", START, str(path)], check=True, capture_output=True)
    seen = json.loads(done.stdout)
    assert seen["functions"] == 10_000
    assert seen["page"] is not None
    assert seen["seconds"] < 2.0
    assert seen["mb"] < 100
    print(seen)  # noqa: T201 - shown with -s, to follow it over time

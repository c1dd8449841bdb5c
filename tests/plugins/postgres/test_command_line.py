"""What a person meets who names this store on the command line."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from tests.plugins.batches import batch
from tests.plugins.postgres.server import fresh_url, shared_server
from tests.plugins.postgres.stores import opened, schema_of

WITHOUT_DRIVER = """
import sys
sys.modules["asyncpg"] = None  # as where it is not installed
from wickwire.cli import main
main(["gaps", "--store", "postgresql://ada:hunter2@h/db"])
"""


def wickwire(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from wickwire.cli import main; main()", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_without_the_extra_it_is_said_how_to_get_it():
    done = subprocess.run([sys.executable, "-c", WITHOUT_DRIVER], check=False, capture_output=True, text=True)

    assert done.returncode != 0
    assert (
        "needs the package 'asyncpg', which is not installed; pip install 'wickwire[postgres]'" in done.stderr
    )
    assert "hunter2" not in done.stderr


def test_gaps_and_export_read_what_a_collector_stored_and_change_nothing():
    url = fresh_url()

    async def commit() -> None:
        async with opened(url) as store:
            await store.commit(batch("kraken", 0))

    asyncio.run(commit())

    assert "kraken:A@1m" in wickwire("gaps", "--store", url).stdout
    told = wickwire("export", "--store", url, "kraken:A@1m").stdout
    assert "kraken:A@1m,1970-01-01T00:02:00Z,1970-01-01T00:03:00Z,0.50,0.50,0.50,0.50,2," in told


def test_an_option_that_ends_in_mode_does_not_open_a_store_for_writing():
    """Reading adds mode=ro; `sslmode=` must not pass for it."""
    url = f"{fresh_url()}&sslmode=prefer"

    seen = wickwire("gaps", "--store", url)

    assert seen.returncode != 0
    assert "there is nothing in the schema" in seen.stderr
    made = f"SELECT count(*) FROM pg_namespace WHERE nspname = '{schema_of(url)}'"
    assert shared_server().psql(made) == "0"

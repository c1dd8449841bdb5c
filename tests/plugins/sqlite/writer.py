"""A collector's process, reduced to its commits: run by the tests, killed by them, starved by them.

writer.py write FILE VENUE COUNT       commit COUNT batches (0: for ever), print the number of each
writer.py die FILE VENUE STEPS         the same, and die by SIGKILL after that many steps of SQLite
writer.py forget FILE VENUE STEPS      commit a thousand batches, then forget, and die after that many steps
writer.py starve FILE VENUE BALLAST    commit until there is no room, remove BALLAST, commit again
writer.py limit FILE VENUE BYTES       the same with a limit on file sizes instead
writer.py frozen FILE VENUE FOLDER     commit, make the file system of FOLDER read-only, open again
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.plugins.batches import WIDTH, batch, both
from wickwire import MINUTE_NS, StoreError
from wickwire_sqlite import SqliteStore


def say(*words: object) -> None:
    """Tell the test, unbuffered: what was said before a SIGKILL was said."""
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


async def write(store: SqliteStore, venue: str, count: int) -> None:
    number = 0
    while number != count or not count:
        await store.commit(batch(venue, number))
        say(number)
        number += 1


async def starve(store: SqliteStore, venue: str, relieve: Callable[[], None]) -> None:
    """Commit until it fails, twice; then make room, and it must go on where it was."""
    number = 0
    while True:
        try:
            await store.commit(batch(venue, number))
        except StoreError as exc:
            say("refused", number, exc)
            break
        number += 1
    try:
        await store.commit(batch(venue, number))
    except StoreError:
        say("again")
    relieve()
    for more in range(number, number + 3):
        await store.commit(batch(venue, more))
    await store.aclose()
    await store.open()
    for series in both(venue):
        found = await store.candles(series, 0, 10**18, limit=10**6)
        say("found", len(found), (number + 3) * WIDTH)


async def frozen(store: SqliteStore, venue: str, path: Path, folder: str) -> None:
    await store.commit(batch(venue, 0))
    await store.aclose()
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)  # noqa: ASYNC221 - nothing else runs
    for target in (path, path.with_name("new.db")):
        try:
            await SqliteStore(target, inline=True).open()
        except StoreError as exc:
            say("refused", exc)
    reader = SqliteStore(path, inline=True, readonly=True)
    await reader.open()
    say("found", len(await reader.committed(0, limit=99)))
    await reader.aclose()


async def main(mode: str, file: str, venue: str, detail: str) -> None:
    path = Path(file)
    store = SqliteStore(path, inline=True)
    await store.open()
    if mode == "write":
        await write(store, venue, int(detail))
    elif mode == "forget":
        await store.commit([change for number in range(1_000) for change in batch(venue, number)])
        assert store._connection is not None
        store._connection.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), int(detail))
        await store.forget(2_901 * MINUTE_NS)
    elif mode == "die":
        assert store._connection is not None
        store._connection.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), int(detail))
        await write(store, venue, 0)
    elif mode == "starve":
        await starve(store, venue, Path(detail).unlink)
    elif mode == "limit":
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(detail), hard))
        await starve(store, venue, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)))
    elif mode == "frozen":
        await frozen(store, venue, path, detail)
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""A collector's process, reduced to its commits: run by the tests, and killed by them.

writer.py URL VENUE COUNT       commit COUNT batches (0: for ever), print the number of each
"""

from __future__ import annotations

import asyncio
import os
import sys

from tests.plugins.batches import batch
from tests.plugins.postgres.stores import opened


async def main(url: str, venue: str, count: int) -> None:
    async with opened(url) as store:
        number = 0
        while number != count or not count:
            await store.commit(batch(venue, number))
            os.write(1, f"{number}\n".encode())  # unbuffered: what was said before a SIGKILL was said
            number += 1


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

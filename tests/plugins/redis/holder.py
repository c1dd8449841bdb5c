"""A process that takes its share of a budget and holds it until it is killed: run by the tests.

holder.py URL COUNT     let COUNT calls of the tests' limit go, say so, and never end any of them
"""

from __future__ import annotations

import asyncio
import os
import sys

from tests.plugins.redis.budgets import HELD, processes
from wickwire import Registry
from wickwire.budget import Priority


async def main(url: str, count: int) -> None:
    async with processes(Registry().open_budget(url), 1) as [process]:
        budget = process.budget(HELD)
        async with asyncio.TaskGroup() as tasks:

            async def hold() -> None:
                async with budget.rest(1, Priority.LIVE):
                    os.write(1, b"held\n")
                    await asyncio.Event().wait()

            for _ in range(count):
                tasks.create_task(hold())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

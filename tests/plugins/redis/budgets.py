"""The shared budget on a real server, with the time of the tests in place of the server's own."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import redis

from tests.plugins.redis.server import fresh_prefix
from wickwire import LEASE_S, Account, Limits, News, Rate, Report, Ruling, SharedBudget
from wickwire.budget import Budget
from wickwire.clock import SystemClock
from wickwire.sharing import Sharing
from wickwire_redis.budget import read, written
from wickwire_redis.metering import SETTLE

_KEYS = itertools.count(1)


class Settled:
    """One limit on a real server, settled by the real script; who calls it says what time it is."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._script = client.script_load(SETTLE)
        self.key = f"{fresh_prefix()}{next(_KEYS)}"

    def settle(self, report: Report, now_s: float | None) -> Ruling:
        # what a generation says of a state that is gone
        return read(
            self._client.execute_command("EVALSHA", self._script, 1, self.key, written(report, now_s))
        )

    def forget(self) -> None:
        """Let it be as after a flush, for this limit alone."""
        self._client.delete(self.key)


class Stepped:
    """A shared budget whose server is real and whose time is that of the loop, which may be virtual.

    Attributes:
        away: Whether it fails.
        slow_s: How long it takes for an answer.
        bug: What it raises that it must not.
        limits: What there is on the server, by venue, account and limit.
        asked: How many reports came.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.away = False
        self.slow_s = 0.0
        self.bug: Exception | None = None
        self.asked = 0
        self.limits: dict[tuple[str, str, str], Settled] = {}

    async def open(self) -> None:
        """Nothing is to be made ready: the client is that of the test."""

    async def aclose(self) -> None:
        """The same."""

    async def settle(self, report: Report) -> Ruling:
        self.asked += 1
        await asyncio.sleep(self.slow_s)
        if self.bug is not None:
            raise self.bug
        if self.away:
            raise ConnectionRefusedError("nobody listens there")
        name = report.venue, report.account, report.limit
        if name not in self.limits:
            self.limits[name] = Settled(self._client)
        return self.limits[name].settle(report, 1e9 + asyncio.get_running_loop().time())

    def flush(self) -> None:
        """Forget all."""
        for one in self.limits.values():
            one.forget()


def report(member: str, rate: Rate | None, more: Mapping[str, object] | None = None) -> Report:
    """Return a report of *member* on a limit of its own."""
    parts = () if rate is None else rate.parts
    return Report(
        venue="kraken",
        account="0123",
        limit="rest",
        member=member,
        generation="",
        rates=parts,
        **(more or {}),  # type: ignore[arg-type]  # by name
    )


PULSE_S = LEASE_S / 2


class Process:
    """One of several processes that share a budget, as far as that knows it."""

    def __init__(self, shared: SharedBudget, seed: int) -> None:
        self.told: list[News] = []
        self.sharing = Sharing(shared, SystemClock(), random.Random(seed), self.told.append)
        self.task: asyncio.Task[None] | None = None

    def budget(self, limits: Limits, account: Account | None = None) -> Budget:
        return Budget(limits, self.sharing.gates("kraken", account or Account()))

    def die(self) -> None:
        """End as a killed process does: nobody says goodbye."""
        assert self.task is not None
        self.task.cancel()


@asynccontextmanager
async def processes(shared: SharedBudget, count: int) -> AsyncIterator[Sequence[Process]]:
    """Run so many processes."""
    made = [Process(shared, seed) for seed in range(count)]
    async with asyncio.TaskGroup() as tasks:
        for one in made:
            await one.sharing.open()
            one.task = tasks.create_task(one.sharing.run())
        try:
            yield made
        finally:
            for one in made:
                assert one.task is not None
                one.task.cancel()
                await one.sharing.close()


HELD = Limits(rest=Rate(5, 1.0))
"""The limit of which a process holds all until it is killed."""

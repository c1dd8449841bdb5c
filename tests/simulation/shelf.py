"""A store as a collector meets it: behind it the real one, before it all that may befall a commit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from tests.simulation.claims import Claims
from tests.simulation.journal import Journal
from wickwire import (
    Change,
    Cursor,
    Grid,
    Loaded,
    RangeAudit,
    Series,
    SeriesCandle,
    SeriesState,
    Store,
    StoreError,
)

__all__ = ["Shelf", "Weather"]


@attrs.define(eq=False)
class Weather:
    """What befalls the store now. It outlives collectors.

    Attributes:
        pace_s: How long a commit takes at most on either side of its deed while all is well.
        on: Details by the name of the trouble.
    """

    pace_s: float = 0.001
    on: dict[str, dict[str, Any]] = attrs.field(factory=dict)


@attrs.define(eq=False)
class Shelf:
    """One life's way to the store.

    Attributes:
        inner: The real store.
        weather: What befalls it.
        journal: Where commits are noted.
        rng: How long commits take.
        claims: What they say.
        dead: The process was killed: nothing is done or answered any more.
        news: Candles that were news, over this life.
        unanswered: Candles that were stored, of which nobody was told: the answer was lost.
    """

    inner: Store
    weather: Weather
    journal: Journal
    rng: random.Random
    claims: Claims
    dead: bool = False
    news: int = 0
    unanswered: int = 0

    async def open(self) -> None:
        await self.inner.open()

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def world(self) -> str:
        return await self.inner.world()

    async def claim(self, world: str) -> None:
        await self.inner.claim(world)

    async def check(self) -> Sequence[str]:
        return await self.inner.check()

    async def load(self, series: Series) -> Loaded | None:
        await self.answering()
        if "load_fails" in self.weather.on:
            raise StoreError("simulated store: the file cannot be read")
        return await self.inner.load(series)

    async def commit(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        on, rng = self.weather.on, self.rng
        await self.answering(self.weather.pace_s * rng.random())
        if "slow" in on:
            await self.answering(on["slow"]["wait_s"] * rng.random())
        if "fails" in on and rng.random() < 0.8:
            raise StoreError("simulated store: disk I/O error")
        if "full" in on:
            raise StoreError("simulated store: the disk is full")
        if "locked" in on:
            await self.answering(on["locked"]["wait_s"])
            raise StoreError("simulated store: the database is locked")
        refused = on.get("one_series", {}).get("series")
        if any(str(change.state.series) == refused for change in changes):
            raise StoreError(f"simulated store: {refused} is not taken")
        news = await self.inner.commit(changes)
        self.claims.committed(changes)
        self.journal.note("commit", len(changes), len(news), news[-1].seq if news else 0)
        if "lost_answer" in on and rng.random() < 0.5:
            self.unanswered += len(news)
            raise StoreError("simulated store: the connection was cut before the answer came")
        await self.answering(self.weather.pace_s * rng.random())
        self.news += len(news)
        return news

    async def candles(
        self, series: Series, since_ns: int, until_ns: int, *, limit: int
    ) -> Sequence[SeriesCandle]:
        await self.answering()
        return await self.inner.candles(series, since_ns, until_ns, limit=limit)

    async def audit(
        self, series: Series, since_ns: int, until_ns: int, *, grid: Grid, signed_prices: bool = False
    ) -> RangeAudit | None:
        return await self.inner.audit(series, since_ns, until_ns, grid=grid, signed_prices=signed_prices)

    async def forget(self, before_ns: int, *, series: Series | None = None) -> int:
        await self.answering()
        return await self.inner.forget(before_ns, series=series)

    async def committed(self, after_seq: int, *, limit: int) -> Sequence[SeriesCandle]:
        await self.answering()
        return await self.inner.committed(after_seq, limit=limit)

    async def last_seq(self) -> int:
        await self.answering()
        return await self.inner.last_seq()

    async def latest(self, series: Series) -> SeriesCandle | None:
        await self.answering()
        return await self.inner.latest(series)

    async def states(self) -> Sequence[SeriesState]:
        await self.answering()
        return await self.inner.states()

    async def cursors(self) -> Mapping[str, Cursor]:
        await self.answering()
        return await self.inner.cursors()

    async def move(self, sink: str, cursor: Cursor | None) -> None:
        await self.answering()
        if self.weather.on.keys() & {"fails", "full", "locked"}:
            raise StoreError("simulated store: disk I/O error")
        await self.inner.move(sink, cursor)

    async def answering(self, wait_s: float = 0.0) -> None:
        """Take so long; for ever, once the process is dead."""
        if wait_s:
            await asyncio.sleep(wait_s)
        if self.dead:
            await asyncio.get_running_loop().create_future()

"""Where things go in somebody else's system: sinks, a register of processes, a budget, a cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from wickwire import (
    LEASE_S,
    SILENT_S,
    BudgetError,
    Cache,
    CacheReader,
    Claim,
    Follower,
    Held,
    Hint,
    Hot,
    Lost,
    Poisoned,
    Quote,
    QuoteSink,
    Report,
    Ruling,
    Series,
    SeriesCandle,
    SharedBudget,
    Sink,
    SinkError,
    Spent,
    Standing,
    Status,
    StatusSink,
    Store,
)


class Shelf:
    """A sink of candles and quotes, with room for so many."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.candles: dict[tuple[Series, int], SeriesCandle] = {}
        self.quotes: dict[Series, Quote] = {}

    async def open(self) -> None:
        if not self.room:
            raise SinkError("shelf: no room at all; make it larger")

    async def aclose(self) -> None:
        return None

    async def put(self, candles: Sequence[SeriesCandle]) -> None:
        for one in candles:
            if one.volume < 0:
                raise Poisoned("shelf: a volume below zero", seq=one.seq)
            self.candles[one.series, one.open_ns] = one
        if len(self.candles) > self.room:
            raise Lost("shelf: it fell over", seq=candles[0].seq)

    async def put_quotes(self, quotes: Mapping[Series, Quote]) -> None:
        self.quotes.update(quotes)


class Processes:
    """A register of processes."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Status]] = []

    async def register(self, component: str, params: Mapping[str, str]) -> str:
        return f"{component} ({params['what']})"

    async def update(self, handle: str, status: Status, message: str | None) -> None:
        self.said.append((handle, status))


class Purse:
    """Counts the limits of one machine's processes; how is not the point here."""

    def __init__(self) -> None:
        self.spent: list[Spent] = []
        self.hints: list[Hint] = []

    async def open(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    async def settle(self, report: Report) -> Ruling:
        if not report.rates:
            raise BudgetError(f"purse: {report.venue} says no rate")
        self.spent += report.spent
        self.hints += report.hints
        granted: Sequence[Claim] = [one for one in report.claims if one.cost <= report.rates[0].amount]
        wait_s = SILENT_S if len(granted) < len(report.claims) else 0.0
        return Ruling(generation=report.generation, granted=len(granted), wait_s=min(wait_s, LEASE_S))


class Newest:
    """A cache of the newest candle of each series."""

    def __init__(self) -> None:
        self.newest: dict[Series, SeriesCandle] = {}

    def follower(self) -> Follower:
        return _Following(self.newest)

    def reader(self, store: Store) -> CacheReader:
        return _Reading(self.newest)


class _Following:
    def __init__(self, newest: dict[Series, SeriesCandle]) -> None:
        self._newest = newest

    async def open(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    async def follow(
        self, store: Store, candles: Sequence[SeriesCandle], *, after_seq: int, whole: bool
    ) -> None:
        self._newest.update({one.series: one for one in candles})


class _Reading:
    def __init__(self, newest: dict[Series, SeriesCandle]) -> None:
        self._newest = newest

    async def held(self, series: Series, since_ns: int, until_ns: int) -> Held | None:
        one = self._newest.get(series)
        if one is None or not since_ns <= one.open_ns < until_ns:
            return None
        return Held(since_ns=one.open_ns, candles=[one])

    async def latest(self, series: Series) -> SeriesCandle | None:
        return self._newest.get(series)

    async def standing(self) -> Standing | None:
        return Standing(seq=max((one.seq for one in self._newest.values()), default=0), age_s=0.0)

    async def aclose(self) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


def every_contract(
    shelf: Shelf, processes: Processes, purse: Purse, newest: Newest
) -> tuple[Sink, QuoteSink, StatusSink, SharedBudget, Cache, Hot]:
    """Return each as the thing that it is: a type checker compares the signatures."""
    return shelf, shelf, processes, purse, newest, _Reading(newest.newest)

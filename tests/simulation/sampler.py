"""What a collector says about itself every few seconds, beside what was really handed to it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import attrs

from wickwire import Feed, Rung, Series, SeriesCandle, StoreError, Timeframe, UsageError
from wickwire.health import Health, SeriesHealth

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.stage import Stage

__all__ = ["Sampler", "sight_of"]

WAKES_S: Final = 0.2
EVERY_S: Final = 11.0

BARE_SAMPLES: Final = 9
"""Where a venue has no open stream for so many samples on end, nothing is collected by one any more."""

FIRST_S: Final = 99.0
"""So long whoever came may wait for the first connection, while others were waiting before."""

_parsed = functools.lru_cache(maxsize=1_024)(Series.parse)  # the same few names at every sample

Sample = tuple[int, str, str, str, int | None]
"""When, series, condition, route, and when data of it was handed over last."""


@attrs.define(eq=False)
class Sampler:
    """Asks for health every few seconds.

    Attributes:
        samples: What it said of each series.
        peaks: The most that there was at once: tasks, streams, unread frames, series.
        committed: Candles that health counts as committed at the end, those that the store told as news, and
            those that it stored without an answer.
        frames: Frames that were handed over on each open stream, and that health counts, at the end.
        bare: What was said to come by a stream while the venue had none, for longer than that is borne.
        carried: The most topics that one connection carried, by venue.
        latest: What was known last of a series when it was asked: when, which, and when that bucket opens.
        last: What health said at the end.
        text: All that health ever showed that was new, for whoever looks for secrets.
    """

    samples: list[Sample] = attrs.field(factory=list)
    peaks: dict[str, int] = attrs.field(factory=dict)
    committed: tuple[int, int, int] = (0, 0, 0)
    frames: tuple[list[int], list[int]] = ((), ())  # type: ignore[assignment]  # filled at the end
    bare: list[tuple[int, str]] = attrs.field(factory=list)
    carried: dict[str, int] = attrs.field(factory=dict)
    latest: list[tuple[int, str, int]] = attrs.field(factory=list)
    last: Health | None = None
    text: dict[str, None] = attrs.field(factory=dict)
    _asked: int = 0
    _sights: dict[tuple[Series, Rung], str] = attrs.field(factory=dict)
    _names: dict[Series, str] = attrs.field(factory=dict)
    _added: dict[str, tuple[int, float]] = attrs.field(factory=dict)
    _without: Counter[tuple[int, str]] = attrs.field(factory=Counter)

    async def run(self, stage: Stage) -> None:
        """Ask for ever."""
        while True:
            await asyncio.sleep(EVERY_S - WAKES_S)
            await asyncio.sleep(WAKES_S)  # where the machine slept, who is asked is awake by now
            self.take(stage)
            await self._ask_for_the_latest(stage)

    def take(self, stage: Stage) -> None:
        """Ask once."""
        life = stage.life
        if life is None or not life.begun.is_set() or life.task is None or life.task.done():
            return
        health, seen = life.collector.health(), stage.books.seen_ns
        at_ns, now_s = stage.true.now_ns(), asyncio.get_running_loop().time()
        stage.roll.call(stage, health, now_s)
        self._look_for_streams(life, {one.series.venue for one in health.series})
        for one in health.series:
            name = self._name(one.series)
            added_ns = seen.get(f"added {name}", 0)
            if self._added.get(name, (None, now_s))[0] != added_ns:
                self._added[name] = added_ns, now_s
            young = now_s - self._added[name][1] < FIRST_S  # who sleeps does not wait
            bare = self._without[life.number, one.series.venue] > BARE_SAMPLES
            if one.rung is Rung.STREAM and bare and not young:
                self.bare.append((at_ns, name))
            came_ns = seen.get(self._sight(one))
            if one.rung is Rung.POLL:  # a stream that is on trial brings closes too
                others = [seen.get(sight_of(one.series, rung), 0) for rung in (Rung.STREAM, Rung.BUILD)]
                came_ns = max(came_ns or 0, *others) or None
            if isinstance(one.series.what, Feed):  # counted from the moment of asking, before anything came
                asked_ns = max(stage.books.reached_ns(one.series.venue), added_ns)
                came_ns = max(came_ns or 0, asked_ns) or None
            self.samples.append((at_ns, name, one.condition.value, one.rung.value, came_ns))
            self.text[one.trouble] = self.text[one.why] = None
        for venue in health.venues:
            self.text[venue.trouble] = None
            for link in venue.links:
                carried = max(self.carried.get(venue.venue, 0), len(link.subscriptions))
                self.carried[venue.venue] = carried
        self._peak("tasks", len(asyncio.all_tasks()))
        self._peak("streams", len(stage.line.open_streams))
        self._peak("unread frames", max((stream.unread for stream in stage.line.open_streams), default=0))

    async def _ask_for_the_latest(self, stage: Stage) -> None:
        """Ask what is known last of one series after the other."""
        life, names = stage.life, [name for name in stage.series if isinstance(_parsed(name).what, Timeframe)]
        if life is None or not life.begun.is_set() or not names:
            return
        name, at_ns = names[self._asked % len(names)], stage.true.now_ns()
        self._asked += 1
        with contextlib.suppress(UsageError, StoreError, TimeoutError):
            async with asyncio.timeout(EVERY_S / 2):
                told = await life.collector.latest(name)
            if isinstance(told, SeriesCandle):
                self.latest.append((at_ns, name, told.open_ns))

    async def at_the_end(self, stage: Stage) -> None:
        """Ask for all that is compared when nothing moves any more."""
        life = stage.life
        assert life is not None
        self.last = health = life.collector.health()
        self.committed = (health.committed, life.shelf.news, life.shelf.unanswered)
        told = [link.frames for venue in health.venues for link in venue.links if link.age_s is not None]
        self.frames = (sorted(stream.frames for stream in life.passage.streams), sorted(told))
        self.text[repr(health)] = None

    def _look_for_streams(self, life: Life, venues: set[str]) -> None:
        """Count for how many samples on end a venue has had no open stream."""
        there = {stream.venue for stream in life.passage.streams}
        for venue in venues:
            self._without[life.number, venue] = 0 if venue in there else self._without[life.number, venue] + 1

    def _name(self, series: Series) -> str:
        name = self._names.get(series)
        if name is None:
            name = self._names[series] = str(series)
        return name

    def _sight(self, one: SeriesHealth) -> str:
        key = one.series, one.rung
        name = self._sights.get(key)
        if name is None:
            name = self._sights[key] = sight_of(one.series, one.rung)
        return name

    def _peak(self, what: str, count: int) -> None:
        self.peaks[what] = max(self.peaks.get(what, 0), count)


def sight_of(series: Series, rung: Rung) -> str:
    """Return what of a venue brings *series* by *rung*, as `passage.sights_of` names it."""
    venue, symbol = series.venue, series.symbol
    kinds: dict[str, Any] = {
        "kraken": ("trade", "trade", None),
        "coinbase": ("market_trades", "ticker", "candles"),
        "alpaca": ("t", "q", "b"),
        "dxlink": ("trade", "quote", None),
        "harbour": ("trade", "quote", None),
    }
    if (rung is Rung.POLL and venue != "dxlink") or venue not in kinds:  # its history comes over a socket
        return f"rest {venue}"
    trades, quotes, candles = kinds[venue]
    if series.what is Feed.QUOTES:
        return f"{venue} {quotes} {symbol}"
    if series.what is Feed.TRADES or rung is Rung.BUILD:
        return f"{venue} {trades} {symbol}"
    return f"{venue} {candles or series.timeframe.nominal_ns // 60_000_000_000} {symbol}"

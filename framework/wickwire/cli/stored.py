"""What is in a store and what it lacks. It is opened for reading only, also while somebody collects."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import attrs

from wickwire.cli.settings import Settings
from wickwire.errors import UsageError, WickwireError
from wickwire.model import DAY_NS, MINUTE_NS, SECOND_NS, Feed, Hole, HoleKind, Series
from wickwire.pages import stored_candles
from wickwire.store import SeriesState, Store
from wickwire.trade_store import TradeStore

__all__ = [
    "Gaps",
    "gaps_of",
    "known_until",
    "nothing_of",
    "reading",
    "state_of",
    "states_of",
    "tape_of",
]

_MOST_NAMED: Final = 20
_MODE: Final = re.compile(r"[?&]mode=")  # and not sslmode=
LACKING: Final = (HoleKind.MISSING, HoleKind.UNREACHABLE, HoleKind.UNKNOWN)
"""Kinds of holes that mean that something is not there; the others are proven to hold nothing."""


@attrs.frozen(kw_only=True)
class Gaps:
    """What a range of a series lacks.

    Attributes:
        series: Which series.
        since_ns: Beginning of the range that was looked at.
        until_ns: Its end.
        candles: Closed candles in it.
        duplicates: Candles that open when another one does.
        holes: In order.
        forgotten_ns: What opened before was forgotten, and so is none of the range, though it was asked for;
            None where that is not so.
    """

    series: Series
    since_ns: int
    until_ns: int
    candles: int
    duplicates: int
    holes: Sequence[Hole]
    forgotten_ns: int | None = None

    @property
    def lacking(self) -> bool:
        """Whether something is not there that should be, or is there twice."""
        return self.duplicates > 0 or any(hole.kind in LACKING for hole in self.holes)


@asynccontextmanager
async def reading(settings: Settings, url: str | None) -> AsyncIterator[Store]:
    """Open a store in a manner that changes nothing in it.

    Raises:
        ConfigError: The URL is wrong.
        StoreError: It is not there, or cannot be read.
    """
    address = settings.store_url(url)
    settings.registry.open_store(address)  # where it is wrong, it is named as it was written
    store = settings.registry.open_store(_readonly(address))
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def _readonly(url: str) -> str:
    """Return *url* with the option that every store takes for reading only."""
    if url.startswith("memory:") or _MODE.search(url):
        return url
    return f"{url}{'&' if '?' in url else '?'}mode=ro"


async def state_of(settings: Settings, store: Store, series: Series) -> SeriesState:
    """Return what *store* knows of *series*, which may be spelled as the venue does.

    Raises:
        UsageError: It holds nothing of it.
    """
    loaded = await store.load(series)
    if loaded is None:
        series = _canonical(settings, series)
        loaded = await store.load(series)
    if loaded is None:
        raise _unknown(series, [state.series for state in await store.states()])
    return loaded.state


async def tape_of(settings: Settings, store: Store, series: Series) -> Series:
    """Return a series of trades as *store* knows it; it may be spelled as the venue does.

    Raises:
        UsageError: It holds no trades of it.
    """
    there = await store.tapes() if isinstance(store, TradeStore) else {}
    for one in (series, _canonical(settings, series)):
        if one in there:
            return one
    raise _unknown(series, sorted(there))


def _canonical(settings: Settings, series: Series) -> Series:
    """Return *series* as its venue's adapter spells it."""
    try:
        symbol = settings.registry.load(series.venue).canonical(series.symbol)
    except WickwireError:  # what is stored can be read without the adapter that brought it
        return series
    return attrs.evolve(series, symbol=symbol)


def _unknown(series: Series, known: Sequence[Series]) -> UsageError:
    named = ", ".join(str(one) for one in known[:_MOST_NAMED]) + (
        " and more" if len(known) > _MOST_NAMED else ""
    )
    return UsageError(f"{series}: nothing of it is in this store; it holds {named or 'nothing at all'}")


async def states_of(settings: Settings, store: Store, series: Sequence[Series]) -> Sequence[SeriesState]:
    """Return what *store* knows of *series*; where none is named, of those of the config, else of all in it.

    Raises:
        UsageError: It holds nothing of one of them, or nothing at all.
    """
    named = series or [one for one in settings.config.series if not isinstance(one.what, Feed)]
    if named:
        return [await state_of(settings, store, one) for one in named]
    states = await store.states()
    if not states:
        raise UsageError("this store holds nothing yet; `wickwire collect` or `wickwire backfill` fills it")
    return states


def known_until(states: Sequence[SeriesState]) -> int:
    """Return up to when any of *states* is known."""
    return max(state.frontier_ns for state in states)


async def gaps_of(
    store: Store, state: SeriesState, since_ns: int | None, until_ns: int | None, *, wanted: bool = False
) -> Gaps:
    """Return what *store* lacks of a series; what was never asked for within the range is missing too.

    What was forgotten, and not asked for again since, is none of the range, unless all of it is *wanted*.
    """
    state = _on_whole_minutes(state)
    since_ns = state.origin_ns if since_ns is None else since_ns
    until_ns = state.frontier_ns if until_ns is None else until_ns
    forgotten_ns = None
    if state.forgotten is not None and since_ns < state.origin_ns and not wanted:
        if since_ns + state.series.timeframe.nominal_ns <= state.origin_ns:
            forgotten_ns = state.origin_ns
        since_ns = state.origin_ns
        until_ns = max(since_ns, until_ns)
    candles = duplicates = 0
    last_ns: int | None = None
    async for page in stored_candles(store, state.series, since_ns, until_ns):
        candles += len(page)
        for candle in page:
            duplicates += candle.open_ns == last_ns
            last_ns = candle.open_ns
    holes = [*_never_asked(state, since_ns, until_ns), *state.holes]
    clipped = [
        attrs.evolve(hole, since_ns=max(hole.since_ns, since_ns), until_ns=min(hole.until_ns, until_ns))
        for hole in sorted(holes)
    ]
    return Gaps(
        series=state.series,
        since_ns=since_ns,
        until_ns=until_ns,
        candles=candles,
        duplicates=duplicates,
        holes=[hole for hole in clipped if hole.since_ns < hole.until_ns],
        forgotten_ns=forgotten_ns,
    )


def nothing_of(series: Series, since_ns: int, until_ns: int) -> Gaps:
    """Return what a store lacks that has never heard of *series*: all of the range."""
    holes = [Hole(since_ns, until_ns)] if since_ns < until_ns else []
    return Gaps(series=series, since_ns=since_ns, until_ns=until_ns, candles=0, duplicates=0, holes=holes)


def _on_whole_minutes(state: SeriesState) -> SeriesState:
    """Return *state* with bounds at which a bucket can open, and with the same buckets between them.

    Where nobody knows the grid, what is known ends when the venue said so; but no bucket of minutes opens
    within a minute, so its end means the same.
    """
    nominal_ns = state.series.timeframe.nominal_ns
    grains = [one for one in (MINUTE_NS, SECOND_NS) if nominal_ns % one == 0 and nominal_ns < DAY_NS]
    grain_ns = grains[0] if grains else SECOND_NS  # days have opened at odd seconds, by clocks of old

    def up(ns: int) -> int:
        return -(-ns // grain_ns) * grain_ns

    return attrs.evolve(
        state,
        origin_ns=up(state.origin_ns),
        frontier_ns=up(state.frontier_ns),
        holes=tuple(
            attrs.evolve(one, since_ns=up(one.since_ns), until_ns=up(one.until_ns)) for one in state.holes
        ),
    )


def _never_asked(state: SeriesState, since_ns: int, until_ns: int) -> Iterator[Hole]:
    """Yield what lies in the range, but before or after all that is known.

    Less than one bucket is none: what is known begins where a bucket opens, and ends where one is running.
    """
    bucket_ns = state.series.timeframe.nominal_ns
    ends = ((since_ns, min(state.origin_ns, until_ns)), (max(state.frontier_ns, since_ns), until_ns))
    yield from (Hole(begin, end) for begin, end in ends if end - begin >= bucket_ns)

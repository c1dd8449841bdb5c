"""Says what a store holds of a range and what not, page by page: of a year no more than a page is in memory.

It believes the store, and asks nobody else. Whether the venue agrees is the question of `wickwire.audit`.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, final

import attrs

from wickwire.buckets import Buckets
from wickwire.holes import within
from wickwire.laws import broken_law
from wickwire.model import MINUTE_NS, Candle, Evidence, Grid, Hole, Rung, Series, SeriesCandle, Utc
from wickwire.pages import stored_candles
from wickwire.store import SeriesState, Store

__all__ = ["MOST_NAMED", "CandleFault", "FaultyCandle", "Placement", "RangeAudit", "audit_range"]

MOST_NAMED: Final = 100
"""So many faulty candles and so many empty ranges are named; of all of them there is the count."""


_ATTEMPTS: Final = 3
_CLOCK_CHANGE_NS: Final = 30 * MINUTE_NS
"""Clocks change by a multiple of this: buckets that divide it are as long on that day as on others."""


@final
class CandleFault(enum.Enum):
    """What may be wrong with a stored candle."""

    OFF_GRID = "off_grid"
    """No bucket opens or ends there."""
    OVERLAP = "overlap"
    """The one before ends later than it opens."""
    LAW = "law"
    """It breaks a law of candles: its low is above its close, say."""
    UNCLAIMED = "unclaimed"
    """It lies in a hole, or where nothing is known: the state of the series says that it is not there."""


@attrs.frozen
class FaultyCandle:
    """One fault of one stored candle.

    Attributes:
        open_ns: When it opens.
        fault: Which kind.
        why: In words.
    """

    open_ns: int
    fault: CandleFault
    why: str


@attrs.frozen(kw_only=True)
class RangeAudit:
    """What a store holds of a range, in nanoseconds.

    Attributes:
        series: Of which series.
        since_ns: Beginning of the range that was asked for.
        until_ns: Its end.
        candles: How many are stored in it.
        first_ns: When the first of them opens; None where there is none.
        last_ns: When the last does.
        evidence: How many of each evidence.
        routes: How many came by each route.
        revised: How many were revised at least once.
        healed: How many came later than live.
        holes: What lies in holes, each clipped to the range.
        never_known: What of the range lies before all that is known, or after it.
        forgotten_ns: What lies before this was forgotten, once; None where nothing was.
        faults: How many of each fault were found; one candle may have several.
        faulty: The first of them, `MOST_NAMED` at most.
        empty_buckets: In how many buckets of the known part there is neither candle nor hole: nothing was
            traded in them, or no session ran. None where the grid does not say where buckets are.
        empty: Where these are, neighbours made one, `MOST_NAMED` at most.
    """

    series: Series
    since_ns: int
    until_ns: int
    candles: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    evidence: Mapping[Evidence, int] = attrs.field(factory=dict)
    routes: Mapping[Rung, int] = attrs.field(factory=dict)
    revised: int = 0
    healed: int = 0
    holes: Sequence[Hole] = ()
    never_known: Sequence[tuple[int, int]] = ()
    forgotten_ns: int | None = None
    faults: Mapping[CandleFault, int] = attrs.field(factory=dict)
    faulty: Sequence[FaultyCandle] = ()
    empty_buckets: int | None = None
    empty: Sequence[tuple[int, int]] = ()


async def audit_range(
    store: Store, series: Series, since_ns: int, until_ns: int, *, grid: Grid, signed_prices: bool = False
) -> RangeAudit | None:
    """Return what *store* holds of *series* in `[since_ns, until_ns)`; None where it knows nothing of it.

    Raises:
        StoreError: The store cannot be read.
    """
    found: RangeAudit | None = None
    for _ in range(_ATTEMPTS):
        loaded = await store.load(series)
        if loaded is None:
            return None
        buckets = Buckets(series.timeframe, grid)
        looking = _Looking(loaded.state, buckets, since_ns, until_ns, signed_prices=signed_prices)
        async for page in stored_candles(store, series, looking.first_ns, until_ns):
            for row in page:
                looking.at(row)
        found = looking.found()
        if (
            CandleFault.UNCLAIMED not in found.faults
        ):  # else they may have been committed since the state was read
            break
    return found


class Placement:
    """Where stored candles lie, one after the other, oldest first."""

    def __init__(self, buckets: Buckets) -> None:
        """Begin with none."""
        self._buckets = buckets
        self._end_ns: int | None = None

    def faults(self, row: Candle | SeriesCandle) -> Iterable[tuple[CandleFault, str]]:
        """Yield what is wrong with the place of *row*, which opens after those before."""
        if not self._buckets.opens(row.open_ns):
            yield CandleFault.OFF_GRID, "no bucket opens then"
        elif not self._buckets.ends(row.open_ns, row.close_ns):
            yield CandleFault.OFF_GRID, f"it ends at {row.close_ns} ns, not when the next one opens"
        if self._end_ns is not None and row.open_ns < self._end_ns:
            yield CandleFault.OVERLAP, "the one before ends later"
        self._end_ns = row.close_ns if self._end_ns is None else max(self._end_ns, row.close_ns)


class _Looking:
    """What was seen so far of one range."""

    def __init__(
        self, state: SeriesState, buckets: Buckets, since_ns: int, until_ns: int, *, signed_prices: bool
    ) -> None:
        self._state = state
        self._buckets = buckets
        self._since_ns, self._until_ns = since_ns, max(since_ns, until_ns)
        self._signed_prices = signed_prices
        self._known_ns = (
            min(max(since_ns, state.origin_ns), self._until_ns),
            max(min(self._until_ns, state.frontier_ns), since_ns),
        )
        self._holes = within(state.holes, *self._known_ns)
        self._placement = Placement(buckets)
        self._decided_ns = self._known_ns[0]
        self._next_hole = 0
        self._candles = self._revised = self._healed = 0
        self._opens_ns: list[int] = []  # the first and the last
        self._evidence, self._routes = Counter[Evidence](), Counter[Rung]()
        self._faults, self._faulty = Counter[CandleFault](), list[FaultyCandle]()
        self._empty_buckets, self._empty = 0, list[tuple[int, int]]()
        self._is_gridded = _says(buckets)

    @property
    def first_ns(self) -> int:
        """From when on candles count: those before are forgotten, though they may not all be gone yet."""
        forgotten, origin_ns = self._state.forgotten, self._state.origin_ns
        is_so_since = forgotten is not None and origin_ns >= forgotten.before_ns
        return max(self._since_ns, origin_ns) if is_so_since else self._since_ns

    def at(self, row: SeriesCandle) -> None:
        """Take one candle, which opens after those before."""
        self._candles += 1
        self._revised += row.revision > 0
        self._healed += row.healed
        self._opens_ns = [*self._opens_ns[:1], row.open_ns]
        assert row.evidence is not None, "only closed candles are stored"
        self._evidence[row.evidence] += 1
        self._routes[row.route] += 1
        for fault, why in self._placement.faults(row):
            self._wrong(row, fault, why)
        law = broken_law(row, signed_prices=self._signed_prices)
        if law is not None:
            self._wrong(row, CandleFault.LAW, law)
        if not self._known_ns[0] <= row.open_ns < self._known_ns[1]:
            self._wrong(row, CandleFault.UNCLAIMED, "nothing is known of that time")
            return
        self._pass_over(row.open_ns)
        if row.open_ns < self._decided_ns and self._is_in_hole(row.open_ns):
            self._wrong(row, CandleFault.UNCLAIMED, "that is a hole, as far as the store knows")
        self._decided_ns = max(self._decided_ns, min(row.close_ns, self._known_ns[1]))

    def found(self) -> RangeAudit:
        """Return all of it, once there is no more."""
        self._pass_over(self._known_ns[1])
        since_ns, until_ns = self._known_ns
        beyond = ((self._since_ns, min(since_ns, self._until_ns)), (max(until_ns, since_ns), self._until_ns))
        return RangeAudit(
            series=self._state.series,
            since_ns=self._since_ns,
            until_ns=self._until_ns,
            candles=self._candles,
            first_ns=self._opens_ns[0] if self._opens_ns else None,
            last_ns=self._opens_ns[-1] if self._opens_ns else None,
            evidence=dict(self._evidence),
            routes=dict(self._routes),
            revised=self._revised,
            healed=self._healed,
            holes=self._holes,
            never_known=[(begin, end) for begin, end in beyond if begin < end],
            forgotten_ns=None if self._state.forgotten is None else self._state.forgotten.before_ns,
            faults=dict(self._faults),
            faulty=self._faulty,
            empty_buckets=self._empty_buckets if self._is_gridded else None,
            empty=self._empty,
        )

    def _wrong(self, row: SeriesCandle, fault: CandleFault, why: str) -> None:
        self._faults[fault] += 1
        if len(self._faulty) < MOST_NAMED:
            self._faulty.append(FaultyCandle(row.open_ns, fault, why))

    def _pass_over(self, until_ns: int) -> None:
        """Note what is empty up to *until_ns*: what lies in no candle and in no hole."""
        while self._next_hole < len(self._holes) and self._holes[self._next_hole].since_ns <= until_ns:
            hole = self._holes[self._next_hole]
            self._note_empty(self._decided_ns, hole.since_ns)
            self._decided_ns = max(self._decided_ns, hole.until_ns)
            self._next_hole += 1
        self._note_empty(self._decided_ns, until_ns)
        self._decided_ns = max(self._decided_ns, until_ns)

    def _is_in_hole(self, open_ns: int) -> bool:
        """Say whether it lies in the last hole that was passed: candles come in order."""
        return self._next_hole > 0 and open_ns < self._holes[self._next_hole - 1].until_ns

    def _note_empty(self, since_ns: int, until_ns: int) -> None:
        if not self._is_gridded or since_ns >= until_ns:
            return
        first_ns = self._buckets.first_from(since_ns)
        count = _buckets_between(self._buckets, first_ns, until_ns)
        if not count:
            return
        self._empty_buckets += count
        if self._empty and self._empty[-1][1] == first_ns:
            self._empty[-1] = self._empty[-1][0], until_ns
        elif len(self._empty) < MOST_NAMED:
            self._empty.append((first_ns, until_ns))


def _says(buckets: Buckets) -> bool:
    """Say whether the grid says where buckets are."""
    try:
        buckets.timeframe.open_at(0, buckets.grid)
    except ValueError:
        return False
    return True


def _buckets_between(buckets: Buckets, first_ns: int, until_ns: int) -> int:
    """Return how many buckets open in `[first_ns, until_ns)`, where one opens at *first_ns*."""
    timeframe, grid = buckets.timeframe, buckets.grid
    if timeframe.fixed_ns is not None and (
        isinstance(grid, Utc) or _CLOCK_CHANGE_NS % timeframe.fixed_ns == 0
    ):
        return max(0, -(-(until_ns - first_ns) // timeframe.fixed_ns))
    count = 0
    while first_ns < until_ns:
        count += 1
        first_ns = timeframe.close_of(first_ns, grid)
    return count

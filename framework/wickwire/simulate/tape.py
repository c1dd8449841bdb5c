"""All trades of one instrument, any part of them computable without the parts before.

A session has a fixed number of trades, shuffled over its minutes by the seed: the number of a trade is a
sum. The price follows a path that is a pure function of time (value noise: a random lattice per octave,
slower octaves swinging wider, as a random walk does). Only integers leave this module's inner loop: ticks
for prices, lots for sizes, so that sums are exact.
"""

from __future__ import annotations

import bisect
import itertools
import operator
import random
from array import array
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final, NamedTuple, TypeVar

import attrs

from wickwire.model import MINUTE_NS
from wickwire.simulate.hours import ALWAYS, TradingHours
from wickwire.simulate.listings import Listing

__all__ = ["Bar", "Block", "Tape", "make_room"]

K = TypeVar("K")
V = TypeVar("V")

BLOCK_MINUTES: Final = 60
"""Trades are made and kept by the hour: seeding a generator costs as much as twenty trades."""
BLOCKS_KEPT: Final = 1_024
BARS_KEPT: Final = 32_768
DAYS_KEPT: Final = 128
LATTICE_KEPT: Final = 32_768

_BLOCK_NS: Final = BLOCK_MINUTES * MINUTE_NS
_MINUTE_US: Final = 60_000_000
_OCTAVES: Final = tuple(4**power for power in range(8))
"""Minutes between two lattice points: from 1 minute to 11 days."""
_DAY_MINUTES: Final = 1_440


class Bar(NamedTuple):
    """What a run of at least one trade adds up to; prices in ticks, *turnover* in ticks times lots."""

    trades: int
    open: int
    high: int
    low: int
    close: int
    lots: int
    turnover: int

    def then(self, later: Bar) -> Bar:
        """Return both runs as one."""
        return Bar(
            self.trades + later.trades,
            self.open,
            max(self.high, later.high),
            min(self.low, later.low),
            later.close,
            self.lots + later.lots,
            self.turnover + later.turnover,
        )


@attrs.define
class Block:
    """The trades of up to an hour, as columns.

    Attributes:
        first: Number of the first trade, counted from the first session there ever was.
        times: When each happened, nanoseconds, strictly ascending.
        ticks: Prices.
        lots: Sizes.
        coins: A random bit each, for trades that print at the price of the one before.
    """

    first: int
    times: array[int]
    ticks: array[int]
    lots: array[int]
    coins: array[int]

    def bar(self, low: int, high: int) -> Bar | None:
        """Add up the trades at positions *low* to *high*."""
        if low >= high:
            return None
        ticks, lots = self.ticks[low:high], self.lots[low:high]
        return Bar(
            high - low,
            ticks[0],
            max(ticks),
            min(ticks),
            ticks[-1],
            sum(lots),
            sum(map(operator.mul, ticks, lots)),
        )


class Tape:
    """The trades of one listing under one seed, from the beginning of time."""

    def __init__(self, seed: int, listing: Listing) -> None:
        self.listing = listing
        self.hours: TradingHours = listing.session or ALWAYS
        self._name = f"{seed}/{listing.symbol}"
        tick, lot = 10**listing.price_decimals, 10**listing.size_decimals
        self._level_ticks = float(listing.level * tick)
        self._floor_ticks = 2 * listing.spread_ticks + 1
        self._mean_lots = max(1, round(listing.size * lot))
        self._swings = tuple(
            (octave, listing.volatility * (octave / _DAY_MINUTES) ** 0.5) for octave in _OCTAVES
        )
        self._chunks = -(-self.hours.minutes // BLOCK_MINUTES)
        self._shape = self._busyness()
        self._days: dict[int, tuple[list[int], list[int]]] = {}
        self._blocks: dict[tuple[int, int], Block] = {}
        self._bars: dict[tuple[int, int], Bar | None] = {}
        self._lattice: dict[tuple[int, int], float] = {}
        self._place, self._place_since_ns, self._place_until_ns = (0, 0), 0, 0

    # ------------------------------------------------------------------------------------------ reading

    def count_before(self, ns: int) -> int:
        """Return how many trades happened before *ns*, from the first session there ever was."""
        session, chunk = self._place_of(ns)
        if ns >= self.hours.open_ns(session) + self.hours.length_ns:
            return (session + 1) * self.listing.trades_per_session
        block = self._block(session, chunk)
        return block.first + bisect.bisect_left(block.times, ns)

    def spans(self, since_ns: int, until_ns: int) -> Iterator[tuple[Block, int, int]]:
        """Yield every block that has trades in `[since_ns, until_ns)`, with the positions of those."""
        if self._is_in_one_block(since_ns, until_ns):
            block = self._block(*self._place)
            low = bisect.bisect_left(block.times, since_ns)
            high = bisect.bisect_left(block.times, until_ns, low)
            if low < high:
                yield block, low, high
            return
        for session, chunk, whole in self._pieces(since_ns, until_ns):
            block = self._block(session, chunk)
            low, high = (
                (0, len(block.times))
                if whole
                else (bisect.bisect_left(block.times, since_ns), bisect.bisect_left(block.times, until_ns))
            )
            if low < high:
                yield block, low, high

    def bar(self, since_ns: int, until_ns: int) -> Bar | None:
        """Add up the trades in `[since_ns, until_ns)`; None when there are none."""
        if since_ns >= until_ns:
            return None
        if self._is_in_one_block(since_ns, until_ns):
            if since_ns == self._place_since_ns and until_ns == self._place_until_ns:
                return self._whole_bar(*self._place)
            block = self._block(*self._place)
            low = bisect.bisect_left(block.times, since_ns)
            return block.bar(low, bisect.bisect_left(block.times, until_ns, low))
        total: Bar | None = None
        for session, chunk, whole in self._pieces(since_ns, until_ns):
            if whole:
                part = self._whole_bar(session, chunk)
            else:
                block = self._block(session, chunk)
                part = block.bar(
                    bisect.bisect_left(block.times, since_ns), bisect.bisect_left(block.times, until_ns)
                )
            if part is not None:
                total = part if total is None else total.then(part)
        return total

    def next_at(self, ns: int) -> tuple[Block, int]:
        """Return block and position of the first trade at or after *ns*; there always is one."""
        session, chunk = self._place_of(ns)
        while True:
            while chunk < self._chunks:
                block = self._block(session, chunk)
                position = bisect.bisect_left(block.times, ns)
                if position < len(block.times):
                    return block, position
                chunk += 1
            session, chunk = session + 1, 0

    def last_before(self, ns: int) -> tuple[Block, int]:
        """Return block and position of the last trade before *ns*; there always is one."""
        session, chunk = self._place_of(ns)
        chunk = min(self._chunks - 1, chunk)
        while True:
            while chunk >= 0:
                block = self._block(session, chunk)
                position = bisect.bisect_left(block.times, ns)
                if position:
                    return block, position - 1
                chunk -= 1
            session, chunk = session - 1, self._chunks - 1

    def mids(self, first: int, count: int) -> list[int]:
        """Return the middle between bid and ask, in ticks, at so many minutes on end, counted from 1970."""
        swings = [0.0] * count
        for octave, width in self._swings:
            index, inside = divmod(first, octave)
            here, there = self._point(octave, index), self._point(octave, index + 1)
            for place in range(count):
                if inside == octave:
                    index, inside = index + 1, 0
                    here, there = there, self._point(octave, index + 1)
                # smoothstep: no corners at lattice points
                share = inside / octave
                share = share * share * (3.0 - 2.0 * share)
                swings[place] += width * (here + (there - here) * share)
                inside += 1
        # (1 + (1 + x)^2) / 2 follows exp(x) closely, is above zero everywhere, and uses only operations that
        # every machine rounds alike
        level, floor = self._level_ticks, self._floor_ticks
        return [max(floor, round(level * (1.0 + (1.0 + swing) ** 2) / 2.0)) for swing in swings]

    # ------------------------------------------------------------------------------------------- making

    def _place_of(self, ns: int) -> tuple[int, int]:
        """Return the session that opened last, and which of its blocks *ns* is in; one too many after it.

        Nearly all questions are about the hour that runs: where that is, is found once.
        """
        if not self._place_since_ns <= ns < self._place_until_ns:
            session = self.hours.number_at(ns)
            open_ns = self.hours.open_ns(session)
            chunk = (ns - open_ns) // _BLOCK_NS
            since_ns = open_ns + chunk * _BLOCK_NS
            self._place, self._place_since_ns = (session, chunk), since_ns
            self._place_until_ns = min(since_ns + _BLOCK_NS, self.hours.open_ns(session + 1))
        return self._place

    def _is_in_one_block(self, since_ns: int, until_ns: int) -> bool:
        """Say whether a range lies in one block, as most do; that is the one `_place` says then."""
        return self._place_of(since_ns)[1] < self._chunks and until_ns <= self._place_until_ns

    def _pieces(self, since_ns: int, until_ns: int) -> Iterator[tuple[int, int, bool]]:
        """Yield session, chunk and whether the range holds all of it, for all that the range touches."""
        if since_ns >= until_ns:
            return
        session = self.hours.number_at(since_ns)
        while (open_ns := self.hours.open_ns(session)) < until_ns:
            first = max(0, (since_ns - open_ns) // _BLOCK_NS)
            end = min(self._chunks, -((open_ns - until_ns) // _BLOCK_NS))
            for chunk in range(first, end):
                start_ns = open_ns + chunk * _BLOCK_NS
                stop_ns = min(start_ns + _BLOCK_NS, open_ns + self.hours.length_ns)
                yield session, chunk, since_ns <= start_ns and stop_ns <= until_ns
            session += 1

    def _whole_bar(self, session: int, chunk: int) -> Bar | None:
        key = (session, chunk)
        if key not in self._bars:
            block = self._block(session, chunk)
            make_room(self._bars, BARS_KEPT)
            self._bars[key] = block.bar(0, len(block.times))
        return self._bars[key]

    def _block(self, session: int, chunk: int) -> Block:
        key = (session, chunk)
        block = self._blocks.get(key)
        if block is None:
            make_room(self._blocks, BLOCKS_KEPT)
            block = self._blocks[key] = self._make_block(session, chunk)
        return block

    def _make_block(self, session: int, chunk: int) -> Block:
        counts, sums = self._day(session)
        first_minute = chunk * BLOCK_MINUTES
        counts = counts[first_minute : first_minute + BLOCK_MINUTES]
        open_minute = self.hours.open_ns(session) // MINUTE_NS + first_minute
        mids = self.mids(open_minute, len(counts) + 1)
        draw = random.Random(f"{self._name}/trades/{session}/{chunk}").getrandbits
        ask = self.listing.spread_ticks - self.listing.spread_ticks // 2
        bid = ask - self.listing.spread_ticks
        mean_lots = self._mean_lots
        times, ticks, lots, coins = array("q"), array("q"), array("q"), array("b")
        for minute, count in enumerate(counts):
            if not count:
                continue
            start_ns = (open_minute + minute) * MINUTE_NS
            mid, slope = mids[minute], mids[minute + 1] - mids[minute]
            room = _MINUTE_US // count  # each trade has a stretch of the minute to itself: never two at once
            for begin in range(0, room * count, room):
                bits = draw(64)
                moment = begin + (bits & 0xFFFF_FFFF) % room
                times.append(start_ns + moment * 1_000)
                ticks.append(mid + slope * moment // _MINUTE_US + (ask if bits >> 32 & 1 else bid))
                # four times the mean times the cube of an even draw: many small ones, few large ones
                lots.append(1 + (4 * mean_lots * ((bits >> 48) + 1) ** 3 >> 48))
                coins.append(bits >> 33 & 1)
        first = session * self.listing.trades_per_session + sums[first_minute] + 1
        return Block(first - 1, times, ticks, lots, coins)

    def _day(self, session: int) -> tuple[list[int], list[int]]:
        """Return the trades of every minute of a session, and their sums before every minute."""
        day = self._days.get(session)
        if day is None:
            make_room(self._days, DAYS_KEPT)
            draw = random.Random(f"{self._name}/day/{session}").getrandbits
            counts = [count for _, count in sorted((draw(64), count) for count in self._shape)]
            day = self._days[session] = (counts, [0, *itertools.accumulate(counts)])
        return day

    def _busyness(self) -> list[int]:
        """Return how many trades the minutes of any session have, before they are shuffled.

        One minute in 64 is idle even where trading is lively; the others differ by up to a factor of ten.
        """
        draw = random.Random(f"{self._name}/shape").getrandbits
        weights = [
            0 if draw(6) == 0 else 100 + (900 * draw(16) ** 2 >> 32) for _ in range(self.hours.minutes)
        ]
        weights[0] = weights[0] or 1
        total, sums = sum(weights), list(itertools.accumulate(weights))
        marks = [0, *(part * self.listing.trades_per_session // total for part in sums)]
        return [after - before for before, after in itertools.pairwise(marks)]

    def _point(self, octave: int, index: int) -> float:
        """Return a lattice point of the price path, even in [-1, 1)."""
        key = (octave, index)
        value = self._lattice.get(key)
        if value is None:
            make_room(self._lattice, LATTICE_KEPT)
            digest = blake2b(f"{self._name}/path/{octave}/{index}".encode(), digest_size=6).digest()
            value = self._lattice[key] = int.from_bytes(digest, "big") / 2.0**47 - 1.0
        return value


def make_room(kept: dict[K, V], most: int) -> None:
    """Forget the oldest entry of a full cache."""
    if len(kept) >= most:
        del kept[next(iter(kept))]

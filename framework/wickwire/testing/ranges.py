"""Level 4, ranges: whether a page of history is what the venue's market did in the range asked for."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import attrs

from wickwire.conversation import OhlcvQuery, Page, StreamHistory
from wickwire.description import Account, OhlcvSupport
from wickwire.errors import FaultKind, VenueError
from wickwire.model import (
    DAY_NS,
    SECOND_NS,
    Candle,
    Finality,
    Session,
    Timeframe,
    Unit,
    Unknown,
    Utc,
    iso,
    parse_instant,
)
from wickwire.testing.checks import Checks, Level, Need, Skipped, require
from wickwire.testing.material import Material
from wickwire.testing.pages import page_of, require_no_bug
from wickwire.testing.playing import few, grid_of
from wickwire.testing.search import search
from wickwire.testing.truth import known
from wickwire.testing.values import unlawful

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = [
    "RANGES",
    "Served",
    "agree",
    "brought",
    "depth_of",
    "false_proof",
    "inside",
    "served",
    "some_served",
]

RANGES: Final = Checks(Level.HISTORY)

ROWS: Final = 12
BEYOND_ROWS: Final = 6
LONGEST_NS: Final = 31 * DAY_NS
"""No day, week or month is longer."""
SNIPPING: Final = "snip"
"""A fault, by the name that a simulated venue may have it under: it cuts snapshots after so many `rows`."""
SNIPPED_ROWS: Final = 5
LATE: Final = "delayed"
"""A fault, by the name that a simulated venue may have it under: its data is late, and nothing says so."""
CHANGES_NS: Final = tuple(map(parse_instant, ("2026-11-03T15:00:20Z", "2026-03-31T15:00:20Z")))
"""Shortly after clocks were changed in Europe or America."""


@attrs.frozen
class Served:
    """A series of which history is served, for an account."""

    symbol: str
    timeframe: Timeframe
    account: Account
    support: OhlcvSupport

    def has_settled(self, row: Candle, query: OhlcvQuery) -> bool:
        """Say whether a bucket was over so long before *query* that it changes no more."""
        return row.close_ns + round(self.support.settle_s * SECOND_NS) <= query.now_ns

    def __str__(self) -> str:
        """Return `BTC/USD@1m`."""
        return f"{self.symbol}@{self.timeframe}"


def served(material: Material, *, all_timeframes: bool = False) -> Iterator[Served]:
    """Yield series of few timeframes, or of all: of what the simulated venue knows, one of each grid."""
    playing = material.playing
    for account in playing.accounts:
        for symbol in playing.kinds if account == playing.accounts[0] else playing.known(account)[:1]:
            told = material.described(account).timeframes
            support = {one: material.adapter.support_for(symbol, one, account) for one in told}
            rest = [one for one in told if support[one].rest]
            if account != playing.accounts[0]:
                rest = list(few(rest)[:1])
            elif not all_timeframes:
                rest = list(few(rest))
            yield from (Served(symbol, one, account, support[one]) for one in rest)


@RANGES(
    "H01",
    "History is the market's own, of every timeframe: what `covered` holds is there, and nothing else is.",
    Need.HISTORY,
    Need.SERVED,
)
def true_history(material: Material) -> None:
    looked = 0
    for one in served(material, all_timeframes=True):
        for rows, back in ((ROWS, 0), (ROWS, 2)):
            query = material.playing.query(one.symbol, one.timeframe, rows, back)
            page = brought(material, one, query)
            wrong = false_proof(material, one, query, page) or _untrue(material, one, query, page)
            require(not wrong, f"{one}: {wrong}", shown=repr(query))
            looked += 1
    material.count_or_skip(looked, "supports_ohlcv() says of no timeframe that history is served")


@RANGES(
    "H02", "A range that is asked for in two pieces brings what the whole brings.", Need.HISTORY, Need.SERVED
)
def pieces_make_the_whole(material: Material) -> None:
    def look(drawn: tuple[Served, int]) -> None:
        one, cut = drawn
        query, *pieces = _cut(material, one, cut)
        whole = inside(query, brought(material, one, query))
        parts = [inside(piece, brought(material, one, piece)) for piece in pieces]
        joined = {open_ns: row for part in parts for open_ns, row in part.items()}
        lost = next((row for open_ns, row in whole.items() if open_ns not in joined), None)
        require(lost is None, f"the pieces lack {lost!r:.300}")
        other = next((row for open_ns, row in joined.items() if whole.get(open_ns) != row), None)
        require(other is None, f"the whole has not {other!r:.300}")

    def show(drawn: tuple[Served, int]) -> str:
        one, cut = drawn
        return f"{one}: {_cut(material, one, cut)[0]}, cut after {cut} buckets"

    search(material, _cuts(material), look, share=0.6, show=show)


def _cuts(material: Material) -> SearchStrategy[tuple[Served, int]]:
    from hypothesis import strategies as st  # noqa: PLC0415 - an extra

    return st.tuples(st.sampled_from(some_served(material)), st.integers(1, ROWS - 1))


def _cut(material: Material, one: Served, cut: int) -> tuple[OhlcvQuery, OhlcvQuery, OhlcvQuery]:
    """Return a range that is over, and its two pieces."""
    query = material.playing.query(one.symbol, one.timeframe, ROWS, 2)
    later = material.playing.query(one.symbol, one.timeframe, ROWS - cut, 2)
    return query, attrs.evolve(query, until_ns=later.since_ns), later


@RANGES(
    "H03",
    "No row is called closed before its bucket is over, or forming once that has settled.",
    Need.HISTORY,
    Need.SERVED,
)
def calls_no_running_row_closed(material: Material) -> None:
    for one in served(material, all_timeframes=True):
        query = material.playing.query(one.symbol, one.timeframe, ROWS, 0)
        for row in brought(material, one, query).candles:
            material.count()
            is_forming = row.finality is Finality.FORMING
            running = row.close_ns > query.now_ns
            wrong = f"ends at {iso(row.close_ns)} and says {row.finality}; it is {iso(query.now_ns)}"
            is_closed = row.finality is Finality.CLOSED
            require(not (running and is_closed), f"{one}: a row {wrong}", shown=repr(row))
            require(
                not is_forming or not one.has_settled(row, query), f"{one}: a row {wrong}", shown=repr(row)
            )


@RANGES(
    "H04",
    "What lies ahead, or before the market began, holds no candle.",
    Need.HISTORY,
    Need.SERVED,
)
def nothing_out_of_time(material: Material) -> None:
    for one in served(material):
        # where history comes over a stream it comes up to now: only the longest buckets are few enough
        early = not one.support.over_stream or one.timeframe.nominal_ns >= DAY_NS
        for query in (_ahead(material, one), *([_before_all(material, one)] if early else [])):
            material.count()
            fetched = material.playing.fetch(query, one.account)
            require_no_bug(material, fetched, one)
            error = fetched.error
            away = isinstance(error, VenueError) and error.kind in {FaultKind.OUTAGE, FaultKind.WAIT}
            require(not away, f"{one}: there can be nothing, which is no outage: {error}", shown=repr(query))
            rows = [] if fetched.page is None else list(inside(query, fetched.page).values())
            require(not rows, f"{one}: it is {iso(query.now_ns)}, and there is {rows[:1]}", shown=repr(query))


def _ahead(material: Material, one: Served) -> OhlcvQuery:
    query = material.playing.query(one.symbol, one.timeframe, 1, 0)
    length_ns = one.timeframe.nominal_ns
    return attrs.evolve(query, since_ns=query.until_ns, until_ns=query.until_ns + 3 * length_ns)


def _before_all(material: Material, one: Served) -> OhlcvQuery:
    """Ask for some buckets that ended before anything was traded, as long ago as history may reach."""
    at_ns = material.playing.market.start_ns - 3 * one.timeframe.nominal_ns
    grid = grid_of(one.support)  # sessions of so long ago are known to nobody
    open_ns = one.timeframe.open_at(at_ns, Utc() if isinstance(grid, Session) else grid)
    query = material.playing.query(one.symbol, one.timeframe, 1, 0)
    return attrs.evolve(query, since_ns=open_ns - 3 * one.timeframe.nominal_ns, until_ns=open_ns)


@RANGES(
    "H05",
    "What lies beyond the depth of history, or was cut off, is not proven empty.",
    Need.HISTORY,
    Need.SERVED,
)
def nothing_false_is_proven(material: Material) -> None:
    looked = 0
    for one in served(material):
        depth_ns = depth_of(one)
        for query in () if depth_ns is None else _around(material, one, depth_ns):
            fetched = material.playing.fetch(query, one.account)
            if fetched.page is not None:
                looked += 1
                wrong = false_proof(material, one, query, fetched.page)
                require(not wrong, f"{one}: {wrong}", shown=repr(query))
        for query, page in (*_snipped(material, one), *_late(material, one)):
            looked += 1
            wrong = false_proof(material, one, query, page)
            require(not wrong, f"{one}: where the venue cut or was late: {wrong}", shown=repr(query))
    why = f"its simulated venue knows no more than its history reaches back, and has no fault {SNIPPING}"
    material.count_or_skip(looked, why)


def depth_of(one: Served) -> int | None:
    """Return how far back history reaches, in nanoseconds; None where nothing is said of it."""
    support = one.support
    if support.depth_rows is not None:
        return support.depth_rows * one.timeframe.nominal_ns
    return None if support.depth_s is None else round(support.depth_s * SECOND_NS)


def _around(material: Material, one: Served, depth_ns: int) -> Iterator[OhlcvQuery]:
    """Yield a range that lies beyond the depth of history, and one of which a part does."""
    query = material.playing.query(one.symbol, one.timeframe, 1, 0)
    length_ns = one.timeframe.nominal_ns
    edge_ns = query.since_ns - depth_ns
    if edge_ns - 2 * BEYOND_ROWS * length_ns > material.playing.market.start_ns:
        for until_ns in (edge_ns - BEYOND_ROWS * length_ns, edge_ns + BEYOND_ROWS * length_ns):
            yield attrs.evolve(query, since_ns=until_ns - 2 * BEYOND_ROWS * length_ns, until_ns=until_ns)


def _snipped(material: Material, one: Served) -> Iterator[tuple[OhlcvQuery, Page]]:
    """Yield what comes of a snapshot that the venue cuts after a few rows, where it can."""
    server = material.playing.another_server()
    if not one.support.over_stream or SNIPPING not in server.faults:
        return
    server.inject(SNIPPING, rows=SNIPPED_ROWS)
    query = material.playing.query(one.symbol, one.timeframe, ROWS, 2)
    fetched = material.playing.fetch(query, one.account, server)
    if fetched.page is not None:
        yield query, fetched.page


@RANGES(
    "H11",
    "Where clocks change, a day still begins and ends when it does; a month is as long as it is.",
    Need.HISTORY,
    Need.SERVED,
)
def days_of_all_lengths(material: Material) -> None:
    looked = 0
    for now_ns in CHANGES_NS:
        then = material.at(now_ns)
        for one in _days_of(then):
            looked += 1
            # of months the market behind the venue knows but the running one
            back = int(one.timeframe.unit is not Unit.MONTH)
            query = then.playing.query(one.symbol, one.timeframe, ROWS, back)
            page = brought(then, one, query)
            wrong = false_proof(then, one, query, page) or _untrue(then, one, query, page)
            require(not wrong, f"{one}: {wrong}", shown=repr(query))
            for row in page.candles:
                wrong = unlawful(then, row, one.account)
                require(not wrong, f"{one}: {wrong}", shown=repr(row))
    material.count_or_skip(looked, "supports_ohlcv() says of no day, week or month that history is served")


def _days_of(material: Material) -> Iterator[Served]:
    """Yield days, weeks and months of one symbol of each grid, and of one of each variant."""
    playing = material.playing
    for account in playing.accounts:
        for symbol in playing.kinds if account == playing.accounts[0] else playing.known(account)[:1]:
            for timeframe in material.described(account).timeframes:
                support = material.adapter.support_for(symbol, timeframe, account)
                quick = account == playing.accounts[0] or not support.over_stream
                if quick and support.rest and DAY_NS <= timeframe.nominal_ns <= LONGEST_NS:
                    yield Served(symbol, timeframe, account, support)


@RANGES(
    "H13",
    "Over a stream no more of the past is asked for than is wanted.",
    Need.HISTORY,
    Need.SERVED,
)
def asks_for_what_is_wanted(material: Material) -> None:
    looked = 0
    for one in served(material):
        query = material.playing.query(one.symbol, one.timeframe, ROWS, 0)
        for exchange in material.playing.fetch(query, one.account).exchanges:
            if isinstance(exchange.reply, StreamHistory):
                looked += 1
                first_ns = min((row.open_ns for row in exchange.reply.candles), default=query.since_ns)
                enough_ns = query.since_ns - ROWS * one.timeframe.nominal_ns
                why = f"{one}: wanted from {iso(query.since_ns)} on, and it came from {iso(first_ns)} on"
                require(first_ns >= enough_ns, why, shown=repr(exchange.request))
    material.count_or_skip(looked, "its history comes over HTTP")


def _late(material: Material, one: Served) -> Iterator[tuple[OhlcvQuery, Page]]:
    """Yield what comes of a venue whose newest rows are not there yet, where it can be so."""
    server = material.playing.another_server()
    if LATE not in server.faults or one.support.over_stream:
        return
    server.inject(LATE)
    query = material.playing.query(one.symbol, one.timeframe, ROWS, 0)
    fetched = material.playing.fetch(query, one.account, server)
    if fetched.page is not None:
        yield query, fetched.page


# ---------------------------------------------------------------------------------------- what is compared


def brought(material: Material, one: Served, query: OhlcvQuery) -> Page:
    """Return the page that the simulated venue's answers make.

    Raises:
        Broken: There is none, though history is said to be served.
    """
    return page_of(material, material.playing.fetch(query, one.account), one)


def inside(query: OhlcvQuery, page: Page) -> dict[int, Candle]:
    """Return the rows that were asked for, by their open time."""
    return {row.open_ns: row for row in page.candles if query.since_ns <= row.open_ns < query.until_ns}


def false_proof(material: Material, one: Served, query: OhlcvQuery, page: Page) -> str:
    """Return which bucket *page* proves empty though it is not, or nothing."""
    told = {row.open_ns for row in page.candles} | {row.open_ns for row in page.bad_rows}
    since_ns, until_ns = page.covered
    for true in _true(material, one, query):
        if one.has_settled(true, query) and since_ns <= true.open_ns < until_ns and true.open_ns not in told:
            return f"the bucket of {iso(true.open_ns)} is covered and not there; it was {true!r:.300}"
    return ""


def _true(material: Material, one: Served, query: OhlcvQuery) -> Sequence[Candle]:
    truth = known(material, one.symbol).candles
    if truth is None or one.account.feed:
        return ()
    until_ns = min(query.until_ns + one.timeframe.nominal_ns, query.now_ns)
    found = truth.candles(one.symbol, one.timeframe, query.since_ns, until_ns, grid=grid_of(one.support))
    return [true for true in found if true.open_ns < query.until_ns]


def _untrue(material: Material, one: Served, query: OhlcvQuery, page: Page) -> str:
    """Return which row is not what the market did, or nothing."""
    true = {row.open_ns: row for row in _true(material, one, query)}
    truth = known(material, one.symbol).candles
    rows = [row for row in inside(query, page).values() if one.has_settled(row, query)]
    if truth is None or one.account.feed:
        return ""
    # a venue may count its volume in another unit, but then in every row
    counts = any(row.open_ns in true and row.volume == true[row.open_ns].volume for row in rows)
    running = (row for row in inside(query, page).values() if row.close_ns > query.now_ns)
    for row in (row for row in running if row.open_ns in true):
        if _float32(row.open) != _float32(true[row.open_ns].open):
            return f"{row!r:.300} runs, and opened as {true[row.open_ns]!r:.300}"
    for row in rows:
        whole = true.get(row.open_ns)
        if whole is None:
            return f"{row!r:.300} never was"
        same = row.same_values(whole) or (_near(row, whole) and (not counts or row.volume == whole.volume))
        if not same:
            return f"{row!r:.300} was {whole!r:.300}"
        within_a_day = one.timeframe.nominal_ns < DAY_NS and not isinstance(one.support.grid, Unknown)
        if within_a_day and row.close_ns != whole.close_ns:
            return f"{row!r:.300} ends at {iso(row.close_ns)}, its bucket at {iso(whole.close_ns)}"
    return ""


def agree(row: Candle, other: Candle) -> bool:
    """Say whether two tell the same of a bucket, as far as 32-bit floats go."""
    return row.same_values(other) or (_near(row, other) and row.volume == other.volume)


def _near(row: Candle, whole: Candle) -> bool:
    """Say whether prices agree as far as 32-bit floats go: some venues keep no more."""
    pairs = (
        (row.open, whole.open),
        (row.high, whole.high),
        (row.low, whole.low),
        (row.close, whole.close),
    )
    return all(_float32(one) == _float32(other) for one, other in pairs)


def _float32(number: Decimal) -> bytes:
    return struct.pack("<f", number)


def some_served(material: Material) -> Sequence[Served]:
    """Return what `served` yields of few timeframes.

    Raises:
        Skipped: Nothing.
    """
    found = list(served(material))
    if not found:
        raise Skipped("supports_ohlcv() says of no timeframe that history is served")
    return found

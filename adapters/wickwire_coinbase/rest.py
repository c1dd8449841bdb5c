"""Coinbase's REST: candles.

Reference: Coinbase Advanced Trade REST, "Get Public Product Candles", read 2026-11; replies that public
projects recorded where they disagree.

Rows come newest first, every number is a string. Buckets without trades have no row, so a reply proves those
that lack in it empty, as long as it is whole: a range that is too wide is refused and never cut.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from urllib.parse import quote

import attrs
import msgspec

from wickwire import (
    HOUR_NS,
    SECOND_NS,
    BadRow,
    Candle,
    Conversation,
    FaultKind,
    Finality,
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    Page,
    Timeframe,
    VenueError,
    WireError,
    hookimpl,
)
from wickwire_coinbase.instants import seconds_ns
from wickwire_coinbase.refusals import refused, wire_error
from wickwire_coinbase.symbols import GRANULARITIES, LENGTH_NS, to_venue

__all__ = ["PAGE_ROWS", "PRODUCTS_URL", "fetch_ohlcv"]

PRODUCTS_URL: Final = "https://api.coinbase.com/api/v3/brokerage/market/products"

PAGE_ROWS: Final = 347
"""How many buckets one call asks for. "The number of candles requested should be less than 350", which leaves
349; one more at either end is asked for, since nothing says whether the bounds are inclusive."""

_LIMIT: Final = "350"  # the largest, and the default
_MAY_BE_CUT: Final = 300
"""A reply of so many rows might be one that the venue cut: older pages of the reference name this limit."""


HOUR: Final = Timeframe.parse("1h")
FOUR_HOURS: Final = Timeframe.parse("4h")


class CandleRow(msgspec.Struct, gc=False):
    """One bucket with at least one trade in it."""

    start: str
    low: Decimal
    high: Decimal
    open: Decimal
    close: Decimal
    volume: Decimal


class _Reply(msgspec.Struct):
    candles: list[CandleRow]


class _RawReply(msgspec.Struct):
    candles: list[msgspec.Raw]


class _Start(msgspec.Struct):
    start: str


Told = CandleRow | WireError
"""A row, or what is wrong with it."""

_reply: Final = msgspec.json.Decoder(_Reply).decode
_raw_reply: Final = msgspec.json.Decoder(_RawReply).decode
_row: Final = msgspec.json.Decoder(CandleRow).decode
_start: Final = msgspec.json.Decoder(_Start).decode


@hookimpl
def fetch_ohlcv(query: OhlcvQuery) -> Conversation:
    """Bring candles, with one request unless its reply may have been cut.

    Four hours are on newer copies of the reference only: where they are refused, they are folded from hours.
    """
    try:
        return (yield from _served(query))
    except VenueError as no:
        if query.timeframe is not FOUR_HOURS or "granularity" not in str(no).casefold():
            raise
    return (yield from _from_hours(query))


def _served(query: OhlcvQuery) -> Conversation:
    granularity = GRANULARITIES.get(query.timeframe)
    if granularity is None:
        known = " ".join(map(str, GRANULARITIES))
        raise VenueError(
            FaultKind.REQUEST, f"coinbase: no {query.timeframe} candles over REST; there are {known}"
        )
    length_ns = LENGTH_NS[query.timeframe]
    found: dict[int, Told] = {}
    start_ns, end_ns = max(0, query.since_ns - length_ns), query.until_ns
    now_ns = None
    while True:
        reply = yield _request(query, granularity, start_ns, end_ns)
        assert isinstance(reply, HttpReply)
        if now_ns is None:
            now_ns = query.now_ns if reply.date_ns is None else reply.date_ns
        rows = _rows(reply, query, length_ns)
        found = rows | found
        oldest_ns, newest_ns = min(rows, default=start_ns), max(rows, default=end_ns)
        if (
            not start_ns <= oldest_ns <= newest_ns <= end_ns
        ):  # another range: it proves what it holds, no more
            return _page(query, found, (oldest_ns, newest_ns + length_ns), now_ns)
        if len(rows) < _MAY_BE_CUT or not query.since_ns < oldest_ns < end_ns:
            return _page(query, found, (query.since_ns, query.until_ns), now_ns)
        end_ns = oldest_ns


def _from_hours(query: OhlcvQuery) -> Conversation:
    """Bring candles of four hours, made of those of one."""
    length_ns = LENGTH_NS[FOUR_HOURS]
    at_ns = start_ns = query.since_ns - query.since_ns % length_ns
    end_ns = query.until_ns + -query.until_ns % length_ns
    pages: list[Page] = []
    while at_ns < end_ns:
        until_ns = min(end_ns, at_ns + PAGE_ROWS * HOUR_NS // length_ns * length_ns)
        hours = attrs.evolve(query, timeframe=HOUR, since_ns=at_ns, until_ns=until_ns)
        page = yield from _served(hours)
        if page.covered[0] != at_ns and pages:
            break
        pages.append(page)
        at_ns = page.covered[1]
        if at_ns != until_ns:
            break
    covered = (pages[0].covered[0] if pages else start_ns, at_ns)
    return _folded(query, pages, covered, length_ns)


def _folded(query: OhlcvQuery, pages: list[Page], covered: tuple[int, int], length_ns: int) -> Page:
    """Return the candles of four hours, all of whose hours are in *covered*, and the running one."""
    since_ns, until_ns = covered[0] + -covered[0] % length_ns, covered[1] - covered[1] % length_ns
    running_ns = query.now_ns - query.now_ns % length_ns
    hours: dict[int, list[Candle]] = {}
    bad: dict[int, BadRow] = {}
    for page in pages:
        for candle in page.candles:
            hours.setdefault(candle.open_ns - candle.open_ns % length_ns, []).append(candle)
        for row in page.bad_rows:
            open_ns = row.open_ns - row.open_ns % length_ns
            bad[open_ns] = BadRow(open_ns, open_ns + length_ns, row.why)
    told = [
        open_ns
        for open_ns in sorted(hours.keys() | bad)
        if query.since_ns <= open_ns < query.until_ns
        and since_ns <= open_ns
        and (open_ns < until_ns or open_ns == running_ns)
    ]
    first_ns = min(max(query.since_ns, since_ns), query.until_ns)
    return Page(
        candles=[_four_hours(hours[each], each, length_ns, until_ns) for each in told if each not in bad],
        covered=(first_ns, max(first_ns, min(query.until_ns, until_ns))),
        bad_rows=[bad[each] for each in told if each in bad],
    )


def _four_hours(hours: list[Candle], open_ns: int, length_ns: int, over_ns: int) -> Candle:
    return Candle(
        hours[0].symbol,
        FOUR_HOURS,
        open_ns,
        open_ns + length_ns,
        hours[0].open,
        max(hour.high for hour in hours),
        min(hour.low for hour in hours),
        hours[-1].close,
        sum((hour.volume for hour in hours), Decimal(0)),
        None,
        None,
        Finality.UNSAID if open_ns < over_ns else Finality.FORMING,
    )


def _request(query: OhlcvQuery, granularity: str, start_ns: int, end_ns: int) -> HttpRequest:
    product = quote(to_venue(query.symbol), safe="")
    params = {
        "start": str(start_ns // SECOND_NS),
        "end": str(end_ns // SECOND_NS),
        "granularity": granularity,
        "limit": _LIMIT,
    }
    return HttpRequest(url=f"{PRODUCTS_URL}/{product}/candles", params=params)


def _rows(reply: HttpReply, query: OhlcvQuery, length_ns: int) -> dict[int, Told]:
    """Return the rows of *reply* by open time; of several about one bucket the first, which is the newest.

    Raises:
        VenueError: The reply says no, or is not Coinbase's.
        WireError: It is not what Coinbase documents, its rows are of another granularity, or none is right.
    """
    subject = f"{query.timeframe} candles of {query.symbol}"
    no = refused(reply, subject, query.now_ns if reply.date_ns is None else reply.date_ns)
    if no is not None:
        raise no
    found: dict[int, Told] = {}
    for place, (start, told) in enumerate(_told(reply.body)):
        at = f"$.candles[{place}].start"
        open_ns = seconds_ns(start, at)
        if open_ns % length_ns:
            text = f"coinbase: no {query.timeframe} bucket starts at {start}"
            raise WireError(text, frame=reply.body, at=at)
        found.setdefault(open_ns, told)
    wrong = [told for told in found.values() if isinstance(told, WireError)]
    if wrong and len(wrong) == len(found):
        raise wrong[0]
    return found


def _told(body: bytes) -> list[tuple[str, Told]]:
    """Return each row with its start, as it stands; what is wrong with one does not cost the others."""
    try:
        body.decode()  # the decoder does not look into strings that it skips
        try:
            rows = _reply(body).candles
            if all(map(_is_finite, rows)):
                return [(row.start, row) for row in rows]
        except msgspec.ValidationError:
            pass  # the good rows are still wanted
        raws = _raw_reply(body).candles
        starts = [_start(raw).start for raw in raws]  # without it nobody can say which bucket a row is about
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, body) from exc
    judged = [_judged(raw, f"$.candles[{place}]") for place, raw in enumerate(raws)]
    return list(zip(starts, judged, strict=True))


def _judged(raw: msgspec.Raw, at: str) -> Told:
    try:
        row = _row(raw)
    except (ValueError, RecursionError) as exc:
        return wire_error(exc, bytes(raw), at)
    return row if _is_finite(row) else WireError("coinbase: expected finite numbers", frame=bytes(raw), at=at)


def _is_finite(row: CandleRow) -> bool:
    return all(number.is_finite() for number in (row.open, row.high, row.low, row.close, row.volume))


def _page(query: OhlcvQuery, found: dict[int, Told], proven: tuple[int, int], now_ns: int) -> Page:
    length_ns = LENGTH_NS[query.timeframe]
    running_ns = now_ns - now_ns % length_ns
    candles, bad_rows = list[Candle](), list[BadRow]()
    for open_ns in sorted(open_ns for open_ns in found if query.since_ns <= open_ns < query.until_ns):
        told = found[open_ns]
        if isinstance(told, WireError):
            bad_rows.append(BadRow(open_ns, open_ns + length_ns, str(told)))
        else:
            candles.append(_candle(query, told, open_ns, length_ns, running_ns))
    since_ns = min(max(query.since_ns, proven[0]), query.until_ns)
    until_ns = min(query.until_ns, proven[1], running_ns)
    return Page(candles=candles, covered=(since_ns, max(since_ns, until_ns)), bad_rows=bad_rows)


def _candle(query: OhlcvQuery, row: CandleRow, open_ns: int, length_ns: int, running_ns: int) -> Candle:
    return Candle(
        query.symbol,
        query.timeframe,
        open_ns,
        open_ns + length_ns,
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        None,
        None,
        Finality.FORMING if open_ns >= running_ns else Finality.UNSAID,
    )

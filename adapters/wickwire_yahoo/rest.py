"""The conversation that brings one page of candles, and what a page proves."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final
from urllib.parse import quote

import attrs

from wickwire import (
    DAY_NS,
    SECOND_NS,
    BadRow,
    FaultKind,
    Finality,
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    Page,
    Session,
    Stopped,
    VenueError,
    WireError,
    Zone,
)
from wickwire_yahoo.calendar import calendar, morning
from wickwire_yahoo.chart import Result, read
from wickwire_yahoo.intervals import INTERVALS, Interval
from wickwire_yahoo.intraday import close_of, intraday, looks_coarser
from wickwire_yahoo.rows import Reading, rows_of, splits_of
from wickwire_yahoo.symbols import from_venue, place_of, to_venue
from wickwire_yahoo.told import DELAY_NS, Told, told_by

__all__ = ["fetch"]

CHART_URL: Final = "https://query1.finance.yahoo.com/v8/finance/chart/"

HEADERS: Final = {
    # Yahoo refuses clients by their look, with the status of "too many requests"; this is what
    # yfinance sends where it does not imitate a whole browser.
    "User-Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
    "Accept": "application/json,text/plain,*/*",
}


@attrs.frozen
class _Window:
    """What is asked of Yahoo, `[since_ns, until_ns)`: of the query, what history and one call can reach."""

    since_ns: int
    until_ns: int

    @classmethod
    def of(cls, query: OhlcvQuery, interval: Interval) -> _Window:
        """Return the window for *query*; a window that leaves the limits would be refused whole."""
        since_ns = query.since_ns
        if interval.depth_ns is not None:
            since_ns = min(max(since_ns, query.now_ns - interval.depth_ns), query.until_ns)
        return cls(since_ns, min(query.until_ns, since_ns + interval.span_ns))

    def stopped(self, query: OhlcvQuery) -> Stopped:
        """Return why the page ends where it ends."""
        whole = (self.since_ns, self.until_ns) == (query.since_ns, query.until_ns)
        return Stopped.UNTIL if whole else Stopped.VENUE_LIMIT


def fetch(query: OhlcvQuery) -> Generator[HttpRequest, HttpReply, Page]:
    """Bring one page; the hook `fetch_ohlcv`."""
    interval, place = INTERVALS.get(query.timeframe), place_of(query.symbol)
    if interval is None:
        raise VenueError(FaultKind.REQUEST, f"Yahoo has no {query.timeframe} candles")
    if place is None:
        raise VenueError(FaultKind.SYMBOL, f"Yahoo has no symbols of the form {query.symbol!r:.80}")
    window = _Window.of(query, interval)
    if window.since_ns >= window.until_ns:
        return Page(candles=(), covered=(window.until_ns,) * 2, stopped=window.stopped(query))
    reply = yield _request(query, window, interval)
    result = read(reply, query.now_ns)
    if result is None:
        return _nothing(query, window, reply.date_ns)
    _check(result, query, interval)
    told = told_by(result.meta, query, interval, place, reply.date_ns)
    return _page(query, window, told, result)


def _request(query: OhlcvQuery, window: _Window, interval: Interval) -> HttpRequest:
    before_ns, after_ns = interval.margins_ns
    return HttpRequest(
        # everything is encoded: a symbol is one segment of the path, whatever is in it
        url=CHART_URL + quote(to_venue(query.symbol), safe=""),
        params={
            "interval": interval.text,
            "period1": str((window.since_ns - before_ns) // SECOND_NS),
            "period2": str(-(-(window.until_ns + after_ns) // SECOND_NS)),
            "includePrePost": "false",
            "events": "split",
        },
        headers=HEADERS,
    )


def _check(result: Result, query: OhlcvQuery, interval: Interval) -> None:
    """Refuse a reply about something else.

    Raises:
        WireError: It is about another symbol: a rename is never followed.
        VenueError: OUTAGE, since another try may bring the right rows: they are of another interval (trap 5).
    """
    symbol, served = result.meta.symbol, result.meta.data_granularity
    if symbol is not None and from_venue(symbol) != query.symbol:
        raise WireError(
            f"yahoo: asked for {query.symbol}, got {symbol!r:.60}", at="$.chart.result[0].meta.symbol"
        )
    if served is not None and served not in interval.answers:
        raise VenueError(
            FaultKind.OUTAGE, f"Yahoo was asked for {interval.text} rows and served {served!r:.60}"
        )
    stamps = [stamp * SECOND_NS for stamp in (result.timestamp or ())[:-1]]
    if interval.timeframe.nominal_ns < DAY_NS and looks_coarser(stamps, interval.timeframe.nominal_ns):
        raise VenueError(FaultKind.OUTAGE, f"Yahoo was asked for {interval.text} rows and served wider ones")


def _nothing(query: OhlcvQuery, window: _Window, date_ns: int | None) -> Page:
    """Return the page of a window in which, in Yahoo's words, data doesn't exist."""
    since_ns = until_ns = window.since_ns
    if date_ns is not None:
        over_ns = date_ns - DELAY_NS - query.timeframe.nominal_ns
        until_ns = max(since_ns, min(window.until_ns, over_ns))
    return Page(
        candles=(),
        covered=(since_ns, until_ns),
        stopped=window.stopped(query),
        as_of_ns=query.since_ns if date_ns is None else date_ns,
    )


def _page(query: OhlcvQuery, window: _Window, told: Told, result: Result) -> Page:
    rows, bad = rows_of(result)
    within_a_day = told.interval.timeframe.nominal_ns < DAY_NS
    reading = intraday(rows, told) if within_a_day else calendar(rows, told)
    candles = [candle for candle in reading.candles if window.since_ns <= candle.open_ns < window.until_ns]
    since_ns, stopped = window.since_ns, window.stopped(query)
    if told.listed_ns is not None and told.listed_ns > since_ns:
        opens = (candle.open_ns for candle in candles)
        since_ns = min(_bucket(told.listed_ns, told), window.until_ns, *opens)
        since_ns, stopped = max(since_ns, window.since_ns), Stopped.VENUE_START
    proven_ns = max(since_ns, min(window.until_ns, _proven(reading, told, window)))
    if not result.timestamp:
        proven_ns = max(since_ns, min(proven_ns, _proven_by_nothing(told, window)))
    return Page(
        candles=candles,
        covered=(since_ns, proven_ns),
        stopped=stopped,
        bad_rows=[row for ns, why in bad.items() for row in _bad_row(ns, why, told, window)],
        sessions=told.sessions,
        splits=splits_of(result),
        as_of_ns=told.as_of_ns,
    )


def _bad_row(stamp_ns: int, why: str, told: Told, window: _Window) -> Iterator[BadRow]:
    """Yield what is to be told of a bad row, where it is about a bucket that was asked for."""
    if told.interval.timeframe.nominal_ns >= DAY_NS:
        open_ns = _bucket(morning(stamp_ns, told), told)
        close_ns = told.interval.timeframe.close_of(open_ns, Zone(told.tz))
    elif told.is_outside(stamp_ns):
        return
    else:
        is_anywhere = isinstance(told.place.grid, Session) and told.session_at(stamp_ns) is None
        open_ns = stamp_ns if is_anywhere else _bucket(stamp_ns, told)  # rows are stamped with their begin
        close_ns = close_of(open_ns, told)
    if window.since_ns <= open_ns < window.until_ns:
        yield BadRow(open_ns, close_ns, why)


def _proven(reading: Reading, told: Told, window: _Window) -> int:
    """Return until when a bucket that is not among the rows is known to be empty.

    A missing row of a thin share means that nobody traded, but the newest rows may just not be there yet.
    They are, as far as the last price, a later row, the exchange's delay, or the end of the session prove it.
    """
    if _is_closed(told):
        ends = [told.as_of_ns]
    else:
        ends = [_bucket(told.as_of_ns - DELAY_NS, told)]
        ends += [] if told.last_ns is None else [_bucket(told.last_ns, told)]
        for candle in reading.candles[-2:]:
            ends.append(candle.close_ns if candle.finality is Finality.CLOSED else candle.open_ns)
    proven_ns = max(ends)
    if told.interval.timeframe.nominal_ns >= DAY_NS:
        proven_ns = _bucket(proven_ns, told)
    bounds = [candle.open_ns for candle in reading.candles if candle.finality is Finality.FORMING]
    bounds += reading.doubts_ns
    # the live row comes whatever was asked: before the window it says nothing about what is in it
    return min([proven_ns, *(bound for bound in bounds if bound >= window.since_ns)])


def _proven_by_nothing(told: Told, window: _Window) -> int:
    """Return until when a reply without any row proves that there is none.

    It contradicts itself when its own last price lies in the window. Else it may still be an upstream fault:
    with the last price comes a row, whatever window was asked for. So it proves what is a day old.
    """
    if told.last_ns is not None and window.since_ns <= told.last_ns < window.until_ns:
        return window.since_ns
    return told.as_of_ns - DAY_NS


def _is_closed(told: Told) -> bool:
    """Say whether the market is shut and all of its last session has been shown."""
    open_now = any(since <= told.as_of_ns < until + told.lag_ns for since, until in told.sessions)
    return told.current is not None and not open_now


def _bucket(ns: int, told: Told) -> int:
    """Return when the bucket that holds *ns* opens; at the latest, where the grid does not say."""
    timeframe, grid = told.interval.timeframe, told.place.grid
    if timeframe.nominal_ns >= DAY_NS:
        return timeframe.open_at(ns, Zone(told.tz))
    if not isinstance(grid, Session):
        return timeframe.open_at(ns, grid)
    session = told.session_at(ns)
    return ns - (timeframe.nominal_ns if session is None else (ns - session[0]) % timeframe.nominal_ns)

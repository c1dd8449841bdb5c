"""Alpaca's history over REST: bars of stocks (v2) and crypto (v1beta3).

Reference: Alpaca Docs, "Historical bars", "Historical crypto bars", read 2026-11.

What a row means stands here; the requests and pages are in `pages`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from math import log2
from typing import Final

import attrs
import msgspec

from wickwire import (
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Account,
    BadRow,
    Candle,
    FaultKind,
    Finality,
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    Page,
    Stopped,
    Timeframe,
    VenueError,
    WireError,
    Zone,
    hookimpl,
)
from wickwire_alpaca.pages import BarsReply, Rows, Talk
from wickwire_alpaca.refusals import wire_error
from wickwire_alpaca.symbols import CRYPTO, DAY, MINUTE, Place, close_of, grid_of, opens_on_grid, rest_name
from wickwire_alpaca.times import TextTimes

__all__ = ["SETTLE_S", "fetch_ohlcv"]

SETTLE_S: Final = 35.0
"""A late trade changes a bar until the next half-minute mark ("Real-time Stock Data", Updated bars)."""

_ENOUGH_BITS: Final = 20.0
"""Bars that chance puts at full hours once in a million times (in bits) are bars of hours, or of days.

So four bars of 1m an hour apart each are, and twenty of 30m: thin stocks have some of these honestly."""


class RestBar(msgspec.Struct, gc=False):
    """One bar; `t` is when it opened."""

    t: str
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 - the venue's letter
    c: Decimal
    v: Decimal
    n: int | None = None
    vw: Decimal | None = None


class Opening(msgspec.Struct, gc=False):
    """Of a bar that cannot be read: when it opened."""

    t: str


_bar: Final = msgspec.json.Decoder(RestBar).decode
_opening: Final = msgspec.json.Decoder(Opening).decode


@hookimpl
def fetch_ohlcv(query: OhlcvQuery, account: Account) -> Generator[HttpRequest, HttpReply, Page]:
    """Bring candles, over as many pages as the venue makes of them."""
    name = rest_name(query.timeframe)
    if name is None:
        raise VenueError(FaultKind.REQUEST, f"alpaca: there are no {query.timeframe} bars")
    talk = Talk.about(query.symbol, account, query.now_ns)
    since_ns, until_ns = talk.within(query.since_ns, query.until_ns)
    if since_ns >= until_ns:
        return Page(candles=(), covered=(since_ns, since_ns), stopped=Stopped.VENUE_LIMIT)
    params = {"timeframe": name, "adjustment": "raw"} if talk.place is not CRYPTO else {"timeframe": name}
    rows, as_of_ns, whole = yield from talk.pages("bars", BarsReply, params, since_ns, until_ns)
    told = list(_told(rows, query, talk.place, as_of_ns))
    _check(told, query.timeframe, talk.place)
    told = _cut_short(told)
    reached_ns = until_ns if whole else told[-1].close_ns if told else since_ns
    inside = [row for row in told if query.since_ns <= row.open_ns < query.until_ns]
    return Page(
        candles=[row for row in inside if isinstance(row, Candle)],
        covered=(since_ns, min(reached_ns, until_ns)),
        bad_rows=[row for row in inside if isinstance(row, BadRow)],
        stopped=Stopped.UNTIL
        if (since_ns, reached_ns) == (query.since_ns, query.until_ns)
        else Stopped.VENUE_LIMIT,
    )


# ---------------------------------------------------------------------------------------------------- rows


def _check(told: Sequence[Candle | BadRow], timeframe: Timeframe, place: Place) -> None:
    """Refuse rows that cannot be what was asked for.

    Raises:
        WireError: They are of another interval, or not in order, or there is not one good among them.
    """
    if told and not any(isinstance(row, Candle) for row in told):
        assert isinstance(told[0], BadRow)
        raise WireError(f"alpaca: not one of {len(told)} bars can be read, the first: {told[0].why}")
    apart_ns = min((later.open_ns - row.open_ns for row, later in pairwise(told)), default=HOUR_NS)
    if apart_ns <= 0:
        raise WireError("alpaca: bars are repeated or out of order; the pages may go round in a circle")
    size_ns = timeframe.fixed_ns
    if size_ns is not None and (_overlap(told, size_ns) or _are_coarser(told, size_ns, place)):
        raise WireError(f"alpaca: asked for {timeframe} bars, got others, {apart_ns // MINUTE_NS} min apart")


def _overlap(told: Sequence[Candle | BadRow], size_ns: int) -> bool:
    """Say whether bars are nearer to each other than their length allows.

    Bars of several hours may open at any hour. Runs that do not divide an hour may begin anew at a full one
    (45m: 14:00, 14:45, 15:00), as it is not documented what they count from.
    """
    least_ns = min(size_ns, HOUR_NS)
    return any(
        later.open_ns - row.open_ns < least_ns and (HOUR_NS % least_ns == 0 or later.open_ns % HOUR_NS != 0)
        for row, later in pairwise(told)
    )


def _are_coarser(told: Sequence[Candle | BadRow], size_ns: int, place: Place) -> bool:
    """Say whether bars shorter than an hour are rather bars of hours or days, by how many are in step."""
    if size_ns >= HOUR_NS or any(row.open_ns % HOUR_NS for row in told):
        return False
    calendar = Zone(place.tz)
    # a stock that trades at the close alone has a bar a day at a full hour; midnight is no time for one
    if all(DAY.open_at(row.open_ns, calendar) == row.open_ns for row in told):
        in_step = len(told)
    else:
        in_step = 1 + sum(later.open_ns - row.open_ns == HOUR_NS for row, later in pairwise(told))
    return in_step * log2(HOUR_NS / size_ns) >= _ENOUGH_BITS


def _cut_short(told: Sequence[Candle | BadRow]) -> list[Candle | BadRow]:
    """Return *told*, where none ends after the next one opened: a run that began anew cuts the one before."""
    cut = list(told)
    for place, (row, later) in enumerate(pairwise(told)):
        if row.close_ns > later.open_ns:
            cut[place] = attrs.evolve(row, close_ns=later.open_ns)  # type: ignore[misc]  # both are such classes
    return cut


def _told(rows: Rows, query: OhlcvQuery, place: Place, as_of_ns: int) -> Iterator[Candle | BadRow]:
    """Yield the candle of each row; for one that cannot be read, its bucket and the reason.

    Raises:
        WireError: A row does not say when it opens, or opens when no such bar does.
    """
    timeframe, times = query.timeframe, TextTimes(place)
    grid = grid_of(place, timeframe)
    for raw in rows:
        row, why = _read_bar(raw)
        try:
            opens = _opening(raw).t if row is None else row.t
            open_ns = times.ns(opens)
            if not opens_on_grid(timeframe, open_ns, grid):
                raise WireError(f"alpaca: no {timeframe} bar opens at {opens[:40]}")
            close_ns = close_of(place, timeframe, open_ns)
        except (ValueError, RecursionError) as exc:  # of a calendar, too
            raise wire_error(exc, bytes(raw)) from exc
        if row is None:
            yield BadRow(open_ns, close_ns, why)
            continue
        vwap = None if row.n == 0 else row.vw
        finality = _finality(timeframe, close_ns, as_of_ns)
        ohlc = (row.o, row.h, row.l, row.c)
        yield Candle(query.symbol, timeframe, open_ns, close_ns, *ohlc, row.v, row.n, vwap, finality)


def _read_bar(raw: msgspec.Raw) -> tuple[RestBar | None, str]:
    """Return a row, or why it cannot be read."""
    try:
        row = _bar(raw)
    except (ValueError, RecursionError) as exc:
        return None, str(wire_error(exc, bytes(raw)))
    numbers = (row.o, row.h, row.l, row.c, row.v)
    finite = all(number.is_finite() for number in numbers) and (row.vw is None or row.vw.is_finite())
    return (row, "") if finite else (None, f"alpaca: expected finite numbers in the bar of {row.t[:40]}")


def _finality(timeframe: Timeframe, close_ns: int, as_of_ns: int) -> Finality:
    """Return what a row says of itself: a minute that is settled is as closed as the stream's."""
    if close_ns > as_of_ns:
        return Finality.FORMING
    settled = timeframe is MINUTE and close_ns + round(SETTLE_S) * SECOND_NS <= as_of_ns
    return Finality.CLOSED if settled else Finality.UNSAID

"""What a reply tells beside its rows: its time, its zone, its sessions."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from wickwire import DAY_NS, MINUTE_NS, SECOND_NS, Finality, OhlcvQuery, WireError, when
from wickwire_yahoo.chart import Meta, Period, PeriodsByKind
from wickwire_yahoo.intervals import Interval
from wickwire_yahoo.rows import instant_ns
from wickwire_yahoo.symbols import DELAY_S, Kind, Place, zone_known

__all__ = ["DELAY_NS", "Told", "told_by"]

DELAY_NS: Final = DELAY_S * SECOND_NS

_ROUND_THE_CLOCK_NS: Final = DAY_NS - MINUTE_NS
"""Markets that never close say 00:00 to 23:59:00: no session, for its last minute trades too."""

_UTC_NAMES: Final = ("Etc/UTC", "GMT", "UTC")


@attrs.frozen(kw_only=True)
class Told:
    """What a reply tells, without its rows.

    Attributes:
        symbol: Canonical symbol.
        interval: What was asked for.
        place: Where it is traded.
        tz: Time zone of the exchange.
        as_of_ns: The venue's time when it answered.
        live_ns: The stamp of the live row, which is the time of the last price as it stands in the reply.
        last_ns: The same as a proof: never after *as_of_ns*.
        lag_ns: How long after the end of a bucket its row may still change.
        listed_ns: First day of history.
        sessions: `(open_ns, end_ns)`, oldest first; empty for markets that never close, or where not told.
        current: The session of today, or the next one; None as above.
    """

    symbol: str
    interval: Interval
    place: Place
    tz: str
    as_of_ns: int
    live_ns: int | None
    last_ns: int | None
    lag_ns: int
    listed_ns: int | None
    sessions: Sequence[tuple[int, int]]
    current: tuple[int, int] | None
    _days: frozenset[date] = attrs.field(init=False, repr=False)

    @_days.default
    def _days_with_a_session(self) -> frozenset[date]:
        """Return the days whose session begins and ends on them."""
        return frozenset(
            self.date_of(since)
            for since, until in self.sessions
            if self.date_of(since) == self.date_of(until - 1)
        )

    def date_of(self, ns: int) -> date:
        """Return the exchange's date at an instant."""
        return when(ns).astimezone(ZoneInfo(self.tz)).date()

    def session_at(self, ns: int) -> tuple[int, int] | None:
        """Return the session that holds an instant."""
        after = bisect.bisect_right(self.sessions, ns, key=lambda session: session[0])
        session = self.sessions[after - 1] if after else None
        return session if session is not None and ns < session[1] else None

    def is_outside(self, ns: int) -> bool:
        """Say whether an instant is before or after the session of its day, so far as that is known."""
        return self.session_at(ns) is None and self.date_of(ns) in self._days

    def is_over(self, close_ns: int, *, live: bool = False) -> bool:
        """Say whether the venue's own time proves that a bucket is over.

        Yahoo has no closed flag. A bucket is over when the last price is younger than its end, or the venue's
        clock has passed its end by the settling time (and the exchange's delay).

        Args:
            close_ns: End of the bucket.
            live: The row stands at the time of the last price, so it may hold no more than that one.
        """
        if live:
            return close_ns + DELAY_NS <= self.as_of_ns
        return close_ns + self.lag_ns <= self.as_of_ns or (
            self.last_ns is not None and close_ns <= self.last_ns
        )

    def finality(self, close_ns: int, *, live: bool = False) -> Finality:
        """Return what can be said of a row that ends at *close_ns*; arguments as in `is_over`."""
        return Finality.CLOSED if self.is_over(close_ns, live=live) else Finality.FORMING


def told_by(meta: Meta, query: OhlcvQuery, interval: Interval, place: Place, date_ns: int | None) -> Told:
    """Return what *meta* tells.

    Args:
        meta: Of the reply.
        query: What was asked; its `now_ns` bounds what the reply may claim, and closes nothing.
        interval: What was asked for.
        place: Where the symbol is traded, as far as its form tells.
        date_ns: The server's clock, where it said so.

    Raises:
        WireError: A time is none, or the zone is not one that Yahoo uses.
    """
    clock_ns = query.now_ns if date_ns is None else date_ns
    live_ns = None
    if meta.regular_market_time is not None:
        live_ns = instant_ns(meta.regular_market_time, "regularMarketTime")
    first_ns = None
    if meta.first_trade_date is not None:
        first_ns = instant_ns(meta.first_trade_date, "firstTradeDate")
    last_ns = None if live_ns is None else min(live_ns, clock_ns)
    if date_ns is None:  # the local clock alone closes nothing; the last price proves its own time
        clock_ns = query.since_ns if last_ns is None else last_ns
    current = _session(meta.current_trading_period.regular if meta.current_trading_period else None)
    sessions = {} if current is None else dict([current])
    return Told(
        symbol=query.symbol,
        interval=interval,
        place=place,
        tz=_zone(meta, place),
        as_of_ns=clock_ns,
        live_ns=live_ns,
        last_ns=last_ns,
        lag_ns=(interval.settle_s + place.delay_s) * SECOND_NS,
        listed_ns=first_ns,
        sessions=sorted((sessions | dict(_trading_days(meta))).items()),
        current=current,
    )


def _session(period: Period | None) -> tuple[int, int] | None:
    """Return a session; None for one that never closes, or is none."""
    if period is None:
        return None
    since_ns, until_ns = instant_ns(period.start, "start"), instant_ns(period.end, "end")
    return (since_ns, until_ns) if 0 < until_ns - since_ns < _ROUND_THE_CLOCK_NS else None


def _trading_days(meta: Meta) -> list[tuple[int, int]]:
    """Return one session for each inner list: a lunch break shows in the rows, not here."""
    told = meta.trading_periods
    days = told.regular if isinstance(told, PeriodsByKind) else told or []
    spans = [Period(min(p.start for p in day), max(p.end for p in day)) for day in days if day]
    return [session for span in spans if (session := _session(span)) is not None]


def _zone(meta: Meta, place: Place) -> str:
    """Return the time zone of the exchange, which has to be the one that the symbol's grid is in."""
    told, grid = meta.exchange_timezone_name, place.grid
    if place.kind is Kind.CRYPTO:
        tz, agrees = "UTC", told is None or told in _UTC_NAMES
    elif place.kind is Kind.FX:
        tz, agrees = "Europe/London", told is None or told == "Europe/London"
    else:
        tz = told or getattr(grid, "tz", None) or ""
        agrees = zone_known(tz)
    if not agrees:
        raise WireError(
            f"yahoo: unexpected time zone {told!r:.60}", at="$.chart.result[0].meta.exchangeTimezoneName"
        )
    return tz

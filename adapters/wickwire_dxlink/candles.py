"""Candles of DXLink: a row, the snapshot that it is part of, and a page of history made of one.

Reference: devexperts QD 3.352, classes `IndexedEvent` and `Candle`; dxFeed, dxLink specification (AsyncAPI
1.0.2); both read 2026-11.

A subscription brings a snapshot, newest row first and over many frames, and then updates. Flags mark where it
begins and ends; the row that ends it is mostly a dummy, with NaN for prices, at the time that was asked for.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Generator, Sequence
from decimal import Decimal
from typing import Any, Final, final

import attrs

from wickwire import (
    SECOND_NS,
    Account,
    Candle,
    Event,
    Fault,
    FaultKind,
    Finality,
    Heartbeat,
    OhlcvQuery,
    Page,
    Removed,
    SnapshotDone,
    Stopped,
    StreamHistory,
    StreamRequest,
    Timeframe,
    Topic,
    Unit,
    Utc,
    VenueError,
    WireError,
    hookimpl,
)
from wickwire_dxlink.symbols import TIMEFRAMES, why_not

__all__ = ["CANDLE_ROW", "END", "PAGE_ROWS", "REMOVE", "SNIP", "Route", "delay_s", "fetch_ohlcv"]
__all__ += ["integer", "number"]

CANDLE_ROW: Final = (
    *("eventSymbol", "eventFlags", "index", "time", "count"),
    *("open", "high", "low", "close", "volume", "vwap"),
)
"""The fields that become a candle, in the order in which `Route.row` takes them."""

TX_PENDING, REMOVE, BEGIN, END, SNIP = 0x01, 0x02, 0x04, 0x08, 0x10

SHOWN_ROWS: Final = 1_000
"""How many candles of a series are remembered, to know what a new snapshot no longer holds."""
PENDING_ROWS: Final = 600_000
"""The longest snapshot: tastytrade's page counts half a million minutes in a year."""

PAGE_ROWS: Final = 50_000
"""A snapshot always reaches up to the present, so few long pages cost less than many short ones."""
DELAY_S: Final = 900.0
"""How late a delayed feed is (tastytrade, "Sandbox")."""
TIMEOUT_S: Final = 60.0
"""How long a snapshot may pause: an unknown symbol is answered by silence."""
SIGN_ROWS: Final = 100
"""After so many rows of a snapshot it is said that they come: they are told only with the last of them."""

_NS_PER_MS: Final = 1_000_000
_FIRST_MS, _LAST_MS = 631_152_000_000, 4_102_444_800_000  # 1990 and 2100: beyond are placeholders
_ORDINARY: Final = 40
_NUMBER: Final = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d{1,20}", re.ASCII)
_NOTHING: Final = frozenset({"NaN", "Infinity", "-Infinity", ""})
_DAYS: Final = {Unit.DAY: 1, Unit.WEEK: 7}
_ZERO: Final = Decimal(0)


def number(value: object, name: str) -> Decimal | None:
    """Return what a field says, with its digits; None where it says that there is no value.

    Doubles without a value are texts. Some servers send every number as a text.

    Raises:
        WireError: It is no number.
    """
    if type(value) is int or (type(value) is str and _NUMBER.fullmatch(value)):
        value = Decimal(value)
    if type(value) is Decimal and -_ORDINARY < value.adjusted() < _ORDINARY:
        return value
    if value is None or (type(value) is str and value in _NOTHING):
        return None
    raise WireError(f"dxlink: expected a number in {name}, got {value!r:.60}", at=f".{name}")


def integer(value: object, name: str, default: int | None = None) -> int:
    """Return a field that counts; *default* where it is not there.

    Raises:
        WireError: It is no whole number, or is needed and not there.
    """
    if type(value) is int:
        return value
    if value is None and default is not None:
        return default
    if type(value) is str and _INTEGER.fullmatch(value):
        return int(value)
    if type(value) is Decimal and abs(value.adjusted()) < _ORDINARY and value == int(value):
        return int(value)
    raise WireError(f"dxlink: expected a whole number in {name}, got {value!r:.60}", at=f".{name}")


@final
class Gathering(enum.Enum):
    """What the rows of a candle symbol are part of."""

    LIVE = "updates"
    PARTIAL = "a snapshot that is not complete"
    WHOLE = "a complete snapshot, with more of its transaction to follow"
    LEFT = "a subscription that was given up: they count no more, until a snapshot begins"


@attrs.define
class Route:
    """The rows of one candle symbol on one connection, and the events that they become.

    Attributes:
        topic: What they are rows of.
        state: What the next one is part of.
        shown: The last candles, by index; the newest is the one that forms.
        flawed: A row of the snapshot could not be read.
    """

    topic: Topic
    state: Gathering = Gathering.LIVE
    shown: dict[int, Candle] = attrs.Factory(dict)
    flawed: bool = False
    truncated: bool = False
    _pending: list[tuple[int, int, Candle | None]] = attrs.Factory(list)

    def leave(self) -> None:
        """Take what still comes for nothing, until a snapshot begins."""
        self.state = Gathering.LEFT
        self.shown.clear()
        self._pending.clear()

    def spoil(self) -> None:
        """Note that rows were lost, which matters to a snapshot."""
        self.flawed = self.flawed or self.state is Gathering.PARTIAL

    def row(self, row: Sequence[Any]) -> tuple[Sequence[Event], WireError | None]:
        """Take a row, by `CANDLE_ROW`; return what is to be told now, and what was wrong with its values.

        The flags of a row count even where its values do not.

        Raises:
            WireError: Not even its place and flags can be read.
        """
        flags, time_ms = integer(row[1], "eventFlags", 0), integer(row[3], "time")
        index = integer(row[2], "index", (time_ms // 1000 << 32) | (time_ms % 1000 << 22))
        if flags & BEGIN:
            self.state, self.flawed = Gathering.PARTIAL, False
            self._pending.clear()
        if self.state is Gathering.LEFT:
            return (), None
        candle, wrong = None, None
        try:
            candle = None if flags & REMOVE else self._candle(row, time_ms)
        except WireError as exc:
            self.spoil()
            wrong = exc
        if self.state is Gathering.LIVE and not flags and not self._pending:  # as nearly all rows are
            return (self._live(index, candle),) if candle is not None else (), wrong
        partial, ends = self.state is Gathering.PARTIAL, bool(flags & (END | SNIP))
        if candle is not None or (partial if ends else flags & REMOVE):
            self._pending.append((index, time_ms * _NS_PER_MS, candle))
        if partial and ends:
            self.state, self.truncated = Gathering.WHOLE, bool(flags & SNIP)
        if len(self._pending) > PENDING_ROWS:
            self.leave()
            raise WireError(f"dxlink: more than {PENDING_ROWS} rows of {self.topic} wait for their end")
        if self.state is Gathering.PARTIAL or flags & TX_PENDING:
            more = bool(self._pending) and len(self._pending) % SIGN_ROWS == 0
            return (Heartbeat(topic=self.topic),) if more else (), wrong
        return (self._replaced() if self.state is Gathering.WHOLE else self._updated()), wrong

    def _candle(self, row: Sequence[Any], time_ms: int) -> Candle | None:
        """Return the candle of a row; None where it holds no prices, which zeros do not either."""
        prices = [number(value, name) for value, name in zip(row[5:9], CANDLE_ROW[5:9], strict=True)]
        opened, high, low, close = prices
        if opened is None or high is None or low is None or close is None or not any(prices):
            return None
        if not _FIRST_MS <= time_ms < _LAST_MS:
            raise WireError(f"dxlink: no candle opens at {time_ms} ms", at=".time")
        timeframe, open_ns = self.topic.what, time_ms * _NS_PER_MS
        assert isinstance(timeframe, Timeframe)
        count = number(row[4], "count")
        return Candle(
            self.topic.symbol,
            timeframe,
            open_ns,
            _close_ns(open_ns, timeframe),
            opened,
            high,
            low,
            close,
            number(row[9], "volume") or _ZERO,  # an index has none
            None if count is None else integer(count, "count"),
            number(row[10], "vwap"),
            Finality.UNSAID,
            self.state is not Gathering.LIVE,
        )

    def _live(self, index: int, candle: Candle) -> Candle:
        self.shown[index] = candle
        if len(self.shown) > 2 * SHOWN_ROWS:
            self.shown = {kept: self.shown[kept] for kept in sorted(self.shown)[-SHOWN_ROWS:]}
        return candle

    def _updated(self) -> Sequence[Event]:
        """Return what a transaction changes, oldest first."""
        rows, self._pending = sorted(self._pending, key=lambda row: row[0]), []
        events: list[Event] = []
        for index, open_ns, candle in rows:
            if candle is not None:
                events.append(self._live(index, candle))
            elif self.shown.pop(index, None) is not None or open_ns:
                events.append(Removed(self.topic, open_ns))
        return events

    def _replaced(self) -> Sequence[Event]:
        """Return a whole snapshot, oldest first, after what it no longer holds of what was shown."""
        rows = {index: candle for index, _, candle in self._pending}
        reach = min(rows)
        told = {index: candle for index in sorted(rows) if (candle := rows[index]) is not None}
        events: list[Event] = []
        if self.flawed:
            events.append(Fault(FaultKind.PROTOCOL, f"dxlink: the snapshot of {self.topic} lost rows"))
        else:
            gone = [index for index in self.shown if index >= reach and index not in told]
            events += [Removed(self.topic, self.shown.pop(index).open_ns) for index in sorted(gone)]
        events += [self._live(index, candle) for index, candle in told.items()]
        events.append(SnapshotDone(self.topic, self.truncated or self.flawed))
        self._pending, self.state, self.flawed = [], Gathering.LIVE, False
        return events


def _close_ns(open_ns: int, timeframe: Timeframe) -> int:
    """Return the nominal end. Weeks are stamped with a day that is not documented: they last seven."""
    fixed_ns = timeframe.fixed_ns or timeframe.n * _DAYS.get(timeframe.unit, 0) * 86_400 * SECOND_NS
    return open_ns + fixed_ns if fixed_ns else timeframe.close_of(open_ns, Utc())


# ------------------------------------------------------------------------------------------------ history


@hookimpl
def fetch_ohlcv(query: OhlcvQuery, account: Account) -> Generator[StreamRequest, StreamHistory, Page]:
    """Bring one page: a snapshot from its beginning up to now, of which the rest is left out."""
    reason = why_not(query.symbol)
    if reason:
        raise VenueError(FaultKind.SYMBOL, f"DXLink: {reason}")
    if query.timeframe not in TIMEFRAMES:
        raise VenueError(FaultKind.REQUEST, f"DXLink: {query.timeframe} candles are not asked for")
    topic = Topic(query.symbol, query.timeframe)
    history = yield StreamRequest(topic=topic, since_ns=query.since_ns, timeout_s=TIMEOUT_S)
    rows = {candle.open_ns: candle for candle in history.candles}  # the last word on each
    reached = [candle.open_ns for candle in history.candles if candle.snapshot]
    if not history.complete and not reached:
        raise VenueError(
            FaultKind.OUTAGE,
            f"DXLink: no snapshot of {topic} within {TIMEOUT_S:g} s; it is silent about symbols that it does "
            "not know and about data that the account does not include",
        )
    candles = [row for open_ns, row in sorted(rows.items()) if query.since_ns <= open_ns < query.until_ns]
    # what was cut lies before the oldest row, and asking again would be cut there too
    since_ns = query.since_ns if history.complete else max(min(reached), query.since_ns)
    return Page(
        candles=candles,
        covered=(min(since_ns, query.until_ns), query.until_ns),
        stopped=Stopped.UNTIL if history.complete else Stopped.VENUE_LIMIT,
        as_of_ns=_as_of_ns(history, account),
    )


def _as_of_ns(history: StreamHistory, account: Account) -> int | None:
    """Return the time for which history holds: the feed's, and how late it is, which settling counts."""
    return None if history.as_of_ns is None else history.as_of_ns + round(delay_s(account) * SECOND_NS)


def delay_s(account: Account) -> float:
    """Return how late the data of an environment is: all but production's is delayed by 15 minutes."""
    return 0.0 if account.environment == "production" else DELAY_S

"""Coinbase's stream: how to open it, and what a frame means.

Reference: Coinbase Advanced Trade WebSocket, "WebSocket Overview" and "Market Data Channels", read 2026-11.

Messages are envelopes of a channel, with a number that counts all messages of the connection, answers and
heartbeats too. An error alone is another shape and has no number. Where a JSON object repeats a key the last
one counts, but a message of two different channels is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec

from wickwire import Account, Endpoint, Event, Fault, FaultKind, Heartbeat, VenueError, WireError, hookimpl
from wickwire_coinbase.buckets import CandleRow, candles, check
from wickwire_coinbase.dialogue import GREETING, confirmation, refusal
from wickwire_coinbase.instants import instant
from wickwire_coinbase.memory import Memory
from wickwire_coinbase.refusals import wire_error
from wickwire_coinbase.rows import TickerRow, TradeRow, loose_ticker, quotes, trade_number, trades

__all__ = ["ENVIRONMENTS", "connect", "parse"]

ENVIRONMENTS: Final = {"production": "wss://advanced-trade-ws.coinbase.com"}
"""The sandbox has accounts and orders, and no market data."""

_SILENCE_LIMIT_S: Final = 10.0  # a heartbeat comes each second
_TOPICS_PER_FRAME: Final = 50  # Coinbase names no limit

_EXCHANGE_TYPES: Final = frozenset(
    {
        *("subscriptions", "match", "last_match", "ticker", "snapshot", "l2update", "heartbeat", "status"),
        *("received", "open", "done", "change", "activate", "auction", "rfq_match"),
    }
)
_EXCHANGE: Final = (
    "coinbase: this is the Exchange feed (ws-feed.exchange.coinbase.com), another product that is not read "
    "here; the address of Advanced Trade is wss://advanced-trade-ws.coinbase.com"
)


Tell = Callable[[list[Any], Memory, bool, str, list[Event]], None]
"""Adds what rows mean: rows, memory, whether they are a snapshot, when they were sent, events so far."""


class _Numbered(msgspec.Struct, tag_field="channel", kw_only=True):
    sequence_num: int = -1


class _Candles(msgspec.Struct):
    type: Literal["snapshot", "update"]
    rows: list[CandleRow] = msgspec.field(name="candles")


class _Trades(msgspec.Struct):
    type: Literal["snapshot", "update"]
    rows: list[TradeRow] = msgspec.field(name="trades")


class _Tickers(msgspec.Struct):
    type: Literal["snapshot", "update"]
    rows: list[TickerRow] = msgspec.field(name="tickers")


def _told(tell: Tell, parts: list[Any], memory: Memory, sent: str) -> Sequence[Event]:
    out: list[Event] = []
    for part in parts:
        tell(part.rows, memory, part.type == "snapshot", sent, out)
    return out


class Candles(_Numbered, tag="candles"):
    """Candles of five minutes: first some, then the running one as it changes."""

    events: list[_Candles]
    timestamp: str = ""

    def told(self, memory: Memory) -> Sequence[Event]:
        """Return what it means."""
        for part in self.events[1:]:  # the first is checked when it is told
            check(part.rows, memory)
        return _told(candles, self.events, memory, self.timestamp)


class MarketTrades(_Numbered, tag="market_trades"):
    """Trades: first the newest, then those of a quarter of a second."""

    events: list[_Trades]
    timestamp: str = ""

    def told(self, memory: Memory) -> Sequence[Event]:
        """Return what it means."""
        return _told(trades, self.events, memory, self.timestamp)


class Ticker(_Numbered, tag="ticker"):
    """Quotes, told at each match."""

    events: list[_Tickers]
    timestamp: str = ""

    def told(self, memory: Memory) -> Sequence[Event]:
        """Return what it means."""
        return _told(quotes, self.events, memory, self.timestamp)


class TickerBatch(Ticker, tag="ticker_batch"):
    """Quotes, told every five seconds. Never asked for; a recorded session may hold it."""


class _All(msgspec.Struct):
    subscriptions: dict[str, list[str]]


class Subscriptions(_Numbered, tag="subscriptions"):
    """The answer to each request: all subscriptions that there are now."""

    events: list[_All]

    def told(self, memory: Memory) -> Sequence[Event]:
        """Return what it means."""
        if not self.events:
            raise WireError("coinbase: a confirmation that lists nothing", at="$.events")
        return confirmation(self.events[-1].subscriptions, memory)


class Beat(_Numbered, tag="heartbeats"):
    """Sent each second. Its time is Go's text and its counter a number or a string; neither is read."""

    timestamp: str = ""

    def told(self, memory: Memory) -> Sequence[Event]:
        """Return what it means."""
        sent = self.timestamp
        return (Heartbeat(instant(sent, memory.seconds, "$.timestamp") if sent else None),)


class _Loose(msgspec.Struct):
    """Whatever is no clean message of a channel that we know."""

    channel: str | None = None
    type: str | None = None
    message: str = ""
    reason: str = ""
    sequence_num: int = -1
    timestamp: str = ""


class _RawEvent(msgspec.Struct):
    type: Literal["snapshot", "update"]
    candles: list[msgspec.Raw] = []
    trades: list[msgspec.Raw] = []
    tickers: list[msgspec.Raw] = []


class _RawEvents(msgspec.Struct):
    events: list[_RawEvent]


_Message = Candles | MarketTrades | Ticker | TickerBatch | Subscriptions | Beat

_message: Final = msgspec.json.Decoder(_Message).decode
_loose: Final = msgspec.json.Decoder(_Loose).decode
_raw_events: Final = msgspec.json.Decoder(_RawEvents).decode

_ROWS: Final[dict[str, tuple[str, Callable[[bytes], Any], Tell, Callable[[Any], Any] | None]]] = {
    "candles": ("candles", msgspec.json.Decoder(CandleRow).decode, candles, attrgetter("start")),
    "market_trades": ("trades", msgspec.json.Decoder(TradeRow).decode, trades, trade_number),
    "ticker": ("tickers", loose_ticker, quotes, None),
    "ticker_batch": ("tickers", loose_ticker, quotes, None),
}


@hookimpl
def connect(account: Account) -> Endpoint:
    """Describe the public stream; it needs no key, and says nothing until something is subscribed to."""
    url = ENVIRONMENTS.get(account.environment)
    if url is None:
        raise VenueError(
            FaultKind.REQUEST,
            f"coinbase: no environment {account.environment!r}; there is {', '.join(ENVIRONMENTS)}",
        )
    return Endpoint(
        url=url,
        hello=(GREETING,),
        silence_limit_s=_SILENCE_LIMIT_S,
        topics_per_frame=_TOPICS_PER_FRAME,
        changes_in_flight=1,
        memory=Memory,
    )


@hookimpl
def parse(frame: bytes, memory: Memory) -> Sequence[Event]:
    """Say what one frame means; a bad row among good ones becomes a `Fault` that names it.

    A message that cannot be read is not counted: the next one then shows a gap, since something was lost.
    """
    try:
        if not frame.isascii():
            frame.decode()  # the decoder does not look into strings that it skips
        message: _Message = _message(frame)
        number, expected = message.sequence_num, memory.expected
        if number == expected:
            events = message.told(memory)
        elif 0 <= number < expected:
            return memory.older()
        else:
            lost = memory.gap(number) if number >= 0 else None
            events = message.told(memory)
            if lost is not None:
                events = [lost, *events]
    except (msgspec.ValidationError, WireError) as exc:
        return _second_look(frame, memory, exc)
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, frame) from exc
    if number >= 0:
        memory.expected = number + 1
    return events


# ----------------------------------------------------------------------- what is no clean channel message


def _second_look(frame: bytes, memory: Memory, first: Exception) -> Sequence[Event]:
    """Say what a frame means that is no message of ours in which every row is right."""
    try:
        loose = _loose(frame)
        channel, number = loose.channel, loose.sequence_num
        if channel is None:
            return _unchannelled(loose, memory)
        if 0 <= number < memory.expected:
            return memory.older()
        beyond = number >= 0 and number != memory.expected
        lost = memory.gap(number) if beyond else None
        if channel in _ROWS:
            events = _row_by_row(channel, frame, loose.timestamp, memory, first)
        elif channel in ("subscriptions", "heartbeats"):
            raise wire_error(first, frame)
        else:
            events = ()  # the venue may add some at any time, and says so
    except WireError as exc:
        raise WireError(exc.args[0], frame=exc.frame or frame, at=exc.at) from exc
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, frame) from exc
    if number >= 0:
        memory.expected = number + 1
    return events if lost is None else [lost, *events]


def _unchannelled(loose: _Loose, memory: Memory) -> Sequence[Event]:
    if loose.type == "error":
        return refusal(": ".join(text for text in (loose.message, loose.reason) if text), memory)
    if loose.type in _EXCHANGE_TYPES:
        raise WireError(_EXCHANGE)
    raise WireError("coinbase: expected a channel or an error")


def _row_by_row(channel: str, frame: bytes, sent: str, memory: Memory, first: Exception) -> Sequence[Event]:
    """Return the events of the rows that are right, and a `Fault` about the others."""
    field, decode, tell, order = _ROWS[channel]
    events: list[Event] = []
    wrong: list[WireError] = []
    right = 0
    for place, part in enumerate(_raw_events(frame).events):
        rows: list[tuple[Any, str, bytes]] = []
        for index, raw in enumerate(getattr(part, field)):
            at = f"$.events[{place}].{field}[{index}]"
            try:
                rows.append((decode(raw), at, bytes(raw)))
            except ValueError as exc:
                wrong.append(wire_error(exc, bytes(raw), at))
        if order is not None:
            rows.sort(key=lambda found: order(found[0]))
        for row, at, sample in rows:
            try:
                tell([row], memory, part.type == "snapshot", sent, events)
                right += 1
            except WireError as exc:
                wrong.append(wire_error(exc, sample, at))
    if not right:
        raise wrong[0] if wrong else wire_error(first, frame)
    if wrong:
        text = f"coinbase: {len(wrong)} rows of {channel} left out, the first: {wrong[0]}"
        events.append(Fault(FaultKind.PROTOCOL, text))
    return events

"""Coinbase's stream: how to open it, and what a frame means.

Reference: Coinbase Advanced Trade WebSocket, "WebSocket Overview" and "Market Data Channels", read 2026-11.

Messages are envelopes of a channel, with a number that counts all messages of the connection, answers and
heartbeats too. An error alone is another shape and has no number. Where a JSON object repeats a key the last
one counts, but a message of two different channels is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, assert_never

import msgspec

from wickwire import Account, Endpoint, Event, Fault, FaultKind, Heartbeat, VenueError, WireError, hookimpl
from wickwire_coinbase.dialogue import GREETING, confirmation, refusal
from wickwire_coinbase.instants import instant
from wickwire_coinbase.memory import Memory
from wickwire_coinbase.refusals import wire_error
from wickwire_coinbase.rows import (
    CandleRow,
    TickerRow,
    TradeRow,
    add_candle,
    add_quote,
    add_trade,
    loose_ticker,
    trade_number,
)

__all__ = ["ENVIRONMENTS", "connect", "parse"]

ENVIRONMENTS: Final = {"production": "wss://advanced-trade-ws.coinbase.com"}
"""The sandbox has accounts and orders, and no market data."""

_SILENCE_LIMIT_S: Final = 10.0  # a heartbeat comes each second
_TOPICS_PER_FRAME: Final = 50  # Coinbase names no limit

_EXCHANGE_TYPES: Final = frozenset(
    {
        *("subscriptions", "match", "last_match", "ticker", "snapshot", "l2update", "heartbeat", "status"),
        *("received", "open", "done", "change", "activate"),
    }
)
_EXCHANGE: Final = (
    "coinbase: this is the Exchange feed (ws-feed.exchange.coinbase.com), another product that is not read "
    "here; the address of Advanced Trade is wss://advanced-trade-ws.coinbase.com"
)


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


class Candles(_Numbered, tag="candles"):
    """Candles of five minutes: first some, then the running one as it changes."""

    events: list[_Candles]
    timestamp: str = ""


class MarketTrades(_Numbered, tag="market_trades"):
    """Trades: first the newest, then those of a quarter of a second."""

    events: list[_Trades]
    timestamp: str = ""


class Ticker(_Numbered, tag="ticker"):
    """Quotes, told at each match."""

    events: list[_Tickers]
    timestamp: str = ""


class _All(msgspec.Struct):
    subscriptions: dict[str, list[str]]


class Subscriptions(_Numbered, tag="subscriptions"):
    """The answer to each request: all subscriptions that there are now."""

    events: list[_All]


class Beat(_Numbered, tag="heartbeats"):
    """Sent each second. Its time is Go's text and its counter a number or a string; neither is read."""

    timestamp: str = ""


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


_Message = Candles | MarketTrades | Ticker | Subscriptions | Beat

_message: Final = msgspec.json.Decoder(_Message).decode
_loose: Final = msgspec.json.Decoder(_Loose).decode
_raw_events: Final = msgspec.json.Decoder(_RawEvents).decode

Add = Callable[[Any, Memory, bool, str, list[Event]], None]
Order = Callable[[Any], Any]


def _start(row: CandleRow) -> tuple[int, str]:
    return len(row.start), row.start


# In which order candles come is nowhere written; of trades some say the newest comes first, some the oldest.
_ADD: Final[dict[type, tuple[Add, Order | None]]] = {
    Candles: (add_candle, _start),
    MarketTrades: (add_trade, trade_number),
    Ticker: (add_quote, None),
}
_ROWS: Final[dict[str, tuple[str, Callable[[bytes], Any], Add, Order | None]]] = {
    "candles": ("candles", msgspec.json.Decoder(CandleRow).decode, add_candle, _start),
    "market_trades": ("trades", msgspec.json.Decoder(TradeRow).decode, add_trade, trade_number),
    "ticker": ("tickers", loose_ticker, add_quote, None),
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
        message = _message(frame)
        number, expected = message.sequence_num, memory.expected
        if number == expected:
            events = _events(message, memory)
        elif 0 <= number < expected:
            return memory.older()
        else:
            lost = memory.gap(number) if number >= 0 else None
            events = _events(message, memory)
            if lost is not None:
                events = [lost, *events]
    except (msgspec.ValidationError, WireError) as exc:
        return _second_look(frame, memory, exc)
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, frame) from exc
    if number >= 0:
        memory.expected = number + 1
    return events


def _events(message: _Message, memory: Memory) -> Sequence[Event]:
    match message:
        case Candles() | MarketTrades() | Ticker():
            add, order = _ADD[type(message)]
            events: list[Event] = []
            for part in message.events:
                rows: list[Any] = part.rows
                snapshot = part.type == "snapshot"
                if order is not None and len(rows) > 1:
                    rows.sort(key=order)
                for row in rows:
                    add(row, memory, snapshot, message.timestamp, events)
            return events
        case Beat(timestamp=""):
            return (Heartbeat(),)
        case Beat(timestamp=sent):
            return (Heartbeat(instant(sent, memory.seconds, "$.timestamp")),)
        case Subscriptions(events=[*_, last]):
            return confirmation(last.subscriptions, memory)
        case Subscriptions():
            raise WireError("coinbase: a confirmation that lists nothing", at="$.events")
        case _:
            assert_never(message)


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
    field, decode, add, order = _ROWS[channel]
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
                add(row, memory, part.type == "snapshot", sent, events)
                right += 1
            except WireError as exc:
                wrong.append(wire_error(exc, sample, at))
    if not right:
        raise wrong[0] if wrong else wire_error(first, frame)
    if wrong:
        text = f"coinbase: {len(wrong)} rows of {channel} left out, the first: {wrong[0]}"
        events.append(Fault(FaultKind.PROTOCOL, text))
    return events

"""Kraken's stream, WebSocket v2: how to open it, and what a frame means.

Reference: Kraken API Center, Spot WebSocket v2: "Status", "Heartbeat", "Ping" and the channels, read 2026-11.

A message is one of two families, told apart by key: channel messages carry `channel` (their rows are in
`rows`), answers to requests carry `method` (they are in `dialogue`). Where a JSON object repeats a key the
last one counts, but a message of two different channels is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final, Literal

import msgspec

from wickwire import (
    Account,
    Endpoint,
    Event,
    Fault,
    FaultKind,
    Heartbeat,
    Keepalive,
    VenueError,
    VenueStatus,
    WireError,
    hookimpl,
)
from wickwire_kraken.dialogue import Dialogue, Reply, answer
from wickwire_kraken.refusals import wire_error
from wickwire_kraken.rows import OhlcRow, Seconds, TickerRow, TradeRow, candles, instant, quotes, trades

__all__ = ["ENVIRONMENTS", "connect", "parse"]

ENVIRONMENTS: Final = {"production": "wss://ws.kraken.com/v2", "beta": "wss://beta-ws.kraken.com/v2"}

# Kraken's own heartbeat, once a second, begins with the first subscription; until then only our pings are
# answered. Two of them fit into the silence that counts as death, so an idle connection stays healthy.
_KEEPALIVE: Final = Keepalive(4.0, '{"method":"ping"}')
_SILENCE_LIMIT_S: Final = 10.0
_TOPICS_PER_FRAME: Final = 50  # Kraken names no limit; public projects send 50 to 100

_HEARTBEAT: Final = (Heartbeat(),)
_NOTICE_BYTES: Final = 200
_V1: Final = "kraken: this is WebSocket v1, which is retired and not read; the address of v2 ends in /v2"


class _Rows(msgspec.Struct, tag_field="channel"):
    type: Literal["snapshot", "update"]


class Ohlc(_Rows, tag="ohlc"):
    """Candles: first many, only buckets with trades; then the running one, at each of its trades."""

    data: list[OhlcRow]

    def events(self, seconds: Seconds) -> Sequence[Event]:
        """Return what it means."""
        return candles(self.data, seconds, self.type == "snapshot")


class Trades(_Rows, tag="trade"):
    """Trades: first the last 50, then those of one instant."""

    data: list[TradeRow]

    def events(self, seconds: Seconds) -> Sequence[Event]:
        """Return what it means."""
        snapshot = self.type == "snapshot"
        if snapshot:
            self.data.sort(key=_number)  # in which order they come is nowhere written
        return trades(self.data, seconds, snapshot)


class Ticker(_Rows, tag="ticker"):
    """One quote."""

    data: list[TickerRow]

    def events(self, seconds: Seconds) -> Sequence[Event]:
        """Return what it means."""
        return quotes(self.data, seconds, self.type == "snapshot")


class StatusRow(msgspec.Struct):
    """The state of the trading engine: online, cancel_only, post_only, maintenance."""

    system: str
    upcoming_maintenance: msgspec.Raw = msgspec.Raw(b"[]")
    emergency: msgspec.Raw = msgspec.Raw(b"[]")


class Status(msgspec.Struct, tag_field="channel", tag="status"):
    """Sent on connect and on change."""

    data: list[StatusRow]

    def events(self, _: Seconds) -> Sequence[Event]:
        """Return what it means."""
        return [VenueStatus(None, state.system, _notice(state)) for state in self.data]


class Beat(msgspec.Struct, tag_field="channel", tag="heartbeat"):
    """Sent about once a second while something is subscribed."""

    def events(self, _: Seconds) -> Sequence[Event]:
        """Return what it means."""
        return _HEARTBEAT


class _Unasked(msgspec.Struct, tag_field="channel"):
    """Never asked for; a recorded session may hold it."""

    def events(self, _: Seconds) -> Sequence[Event]:
        """Return nothing."""
        return ()


class Book(_Unasked, tag="book"):
    """The order book."""


class Instrument(_Unasked, tag="instrument"):
    """Assets and pairs."""


class _RawRows(msgspec.Struct):
    type: Literal["snapshot", "update"]
    data: list[msgspec.Raw]


Message = Ohlc | Trades | Ticker | Status | Beat | Book | Instrument
_message: Final = msgspec.json.Decoder(Message).decode
_reply: Final = msgspec.json.Decoder(Reply).decode
_raw_rows: Final = msgspec.json.Decoder(_RawRows).decode

_ROWS: Final[dict[str, tuple[Callable[[bytes], Any], Callable[..., Sequence[Event]]]]] = {
    "ohlc": (msgspec.json.Decoder(OhlcRow).decode, candles),
    "trade": (msgspec.json.Decoder(TradeRow).decode, trades),
    "ticker": (msgspec.json.Decoder(TickerRow).decode, quotes),
}


@hookimpl
def connect(account: Account) -> Endpoint:
    """Describe the public stream; it needs no key and takes subscriptions at once."""
    url = ENVIRONMENTS.get(account.environment)
    if url is None:
        raise VenueError(
            FaultKind.REQUEST,
            f"kraken: no environment {account.environment!r}; there are {', '.join(ENVIRONMENTS)}",
        )
    return Endpoint(
        url=url,
        keepalive=_KEEPALIVE,
        silence_limit_s=_SILENCE_LIMIT_S,
        topics_per_frame=_TOPICS_PER_FRAME,
        memory=Dialogue,
    )


@hookimpl
def parse(frame: bytes, memory: Dialogue) -> Sequence[Event]:
    """Say what one frame means; a bad row among good ones becomes a `Fault` that names it."""
    try:
        if not frame.isascii():
            frame.decode()  # the decoder does not look into strings that it skips
        message: Message = _message(frame)
        return message.events(memory.seconds)
    except (msgspec.ValidationError, WireError) as exc:
        return _second_look(frame, memory, exc)
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, frame) from exc


def _number(row: TradeRow) -> int:
    return row.trade_id


def _notice(state: StatusRow) -> str:
    notices = {"upcoming maintenance": state.upcoming_maintenance, "emergency": state.emergency}
    texts = {name: bytes(raw)[:_NOTICE_BYTES].decode(errors="replace") for name, raw in notices.items()}
    return "; ".join(f"{name}: {text}" for name, text in texts.items() if text not in {"[]", "null"})


# ----------------------------------------------------------------------- what is no clean channel message


def _second_look(frame: bytes, memory: Dialogue, first: Exception) -> Sequence[Event]:
    """Say what a frame means that is no channel message in which every row is right."""
    if frame.lstrip()[:1] == b"[":
        raise WireError(_V1, frame=frame) from first
    try:
        reply = _reply(frame)
        if reply.channel in _ROWS:
            return _row_by_row(reply.channel, frame, memory, first)
        if reply.channel is None:
            return _reply_events(reply, memory)
    except WireError as exc:
        raise WireError(exc.args[0], frame=exc.frame or frame, at=exc.at) from exc
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, frame) from exc
    raise wire_error(first, frame) from first


def _reply_events(reply: Reply, memory: Dialogue) -> Sequence[Event]:
    match reply:
        case Reply(method="subscribe" | "unsubscribe", success=bool()):
            return answer(reply, memory)
        case Reply(method="pong", time_out=said):
            return (Heartbeat(None if said is None else instant(said, memory.seconds, "$.time_out")),)
        case Reply(method="error", error=text):
            return (Fault(FaultKind.PROTOCOL, text),)
        case Reply(complaint=str(text)):
            return (Fault(FaultKind.WAIT if "rate" in text else FaultKind.PROTOCOL, text),)
        case Reply(event=str()):
            raise WireError(_V1)
        case _:
            raise WireError("kraken: expected a channel or the answer to a request")


def _row_by_row(channel: str, frame: bytes, memory: Dialogue, first: Exception) -> Sequence[Event]:
    """Return the events of the rows that are right, and a `Fault` about the others."""
    decode, events_of = _ROWS[channel]
    envelope = _raw_rows(frame)
    snapshot = envelope.type == "snapshot"
    right: list[tuple[int, Event]] = []
    wrong: list[WireError] = []
    for place, raw in enumerate(envelope.data):
        try:
            row = decode(raw)
            order = row.trade_id if snapshot and isinstance(row, TradeRow) else place
            right += [(order, event) for event in events_of([row], memory.seconds, snapshot)]
        except (ValueError, WireError) as exc:
            wrong.append(wire_error(exc, bytes(raw), f"$.data[{place}]"))
    if not right or not wrong:
        raise wrong[0] if wrong else wire_error(first, frame)
    right.sort(key=itemgetter(0))
    text = f"kraken: {len(wrong)} of {len(envelope.data)} rows of {channel} left out, the first: {wrong[0]}"
    return [*(event for _, event in right), Fault(FaultKind.PROTOCOL, text)]

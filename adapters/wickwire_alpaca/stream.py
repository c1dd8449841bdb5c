"""Alpaca's market data stream: how to open it, and what a frame means.

Reference: Alpaca Docs, "WebSocket Stream", "Real-time Stock Data", "Real-time Crypto Data"; read 2026-11.

Every message of the server is an array of objects, each with its type in `T`. Data of several types and
symbols is mixed; an answer stands alone. The encoding is chosen by the Content-Type of the opening request
and is read off the first byte here, so that a recording in either serves a client of either. Types and keys
that are not known are passed over: the venue adds some without notice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import attrs
import msgspec

from wickwire import (
    Account,
    Endpoint,
    Event,
    Fault,
    FaultKind,
    Keepalive,
    Readiness,
    VenueError,
    WireError,
    hookimpl,
)
from wickwire_alpaca.dialogue import Acknowledged, Dialogue, Problem, Success, acknowledged, problem, success
from wickwire_alpaca.refusals import wire_error
from wickwire_alpaca.rows import (
    EVENTS,
    BarRow,
    CancelRow,
    CorrectionRow,
    DailyRow,
    QuoteRow,
    StatusRow,
    TradeRow,
    UpdatedRow,
)
from wickwire_alpaca.symbols import CRYPTO, ENVIRONMENTS, NO_KEYS, PLANS, STOCKS, has_keys
from wickwire_alpaca.times import Times

__all__ = ["connect", "endpoint", "parse"]

# Alpaca's own clients ping every 10 s and wait 5 s for the pong; nothing else may come for hours.
_KEEPALIVE: Final = Keepalive(10.0)
_SILENCE_LIMIT_S: Final = 20.0
_TOPICS_PER_FRAME: Final = 100  # no limit is documented

# Measured on the same trades, quotes and bars: the time of JSON, to a tenth, and half the bytes.
DEFAULT_ENCODING: Final = "msgpack"


class Bands(msgspec.Struct, tag_field="T", tag="l"):
    """Limits of a stock's price (LULD). Never asked for; a recorded session may hold it, as the two below."""


class Imbalance(msgspec.Struct, tag_field="T", tag="i"):
    """Orders that found no match."""


class Book(msgspec.Struct, tag_field="T", tag="o"):
    """Levels of a crypto book."""


_Text = (
    TradeRow[str]
    | QuoteRow[str]
    | BarRow[str]
    | UpdatedRow[str]
    | DailyRow[str]
    | CorrectionRow[str]
    | CancelRow[str]
    | StatusRow[str]
    | Success
    | Problem
    | Acknowledged
    | Bands
    | Imbalance
    | Book
)
_Ext = msgspec.msgpack.Ext
_Binary = (
    TradeRow[_Ext]
    | QuoteRow[_Ext]
    | BarRow[_Ext]
    | UpdatedRow[_Ext]
    | DailyRow[_Ext]
    | CorrectionRow[_Ext]
    | CancelRow[_Ext]
    | StatusRow[_Ext]
    | Success
    | Problem
    | Acknowledged
    | Bands
    | Imbalance
    | Book
)

_text_rows: Final[Callable[[bytes], list[Any]]] = msgspec.json.Decoder(list[_Text]).decode
_binary_rows: Final[Callable[[bytes], list[Any]]] = msgspec.msgpack.Decoder(list[_Binary]).decode

_ANSWERS: Final[dict[type, Callable[[Any, Dialogue], Sequence[Event]]]] = {
    Success: success,
    Problem: problem,
    Acknowledged: acknowledged,
}
_KNOWN: Final = frozenset("tqbudcxslio") | {"success", "error", "subscription"}
_TRADING: Final = (
    "alpaca: this is the trading stream or the retired v1 of market data, neither of which is read"
)


@attrs.frozen
class Encoding:
    """How a message is taken apart where it is not as documented: its rows, a row's type, one row."""

    rows: Callable[[bytes], list[msgspec.Raw]]
    tag: Callable[[msgspec.Raw], Tagged]
    row: Callable[[msgspec.Raw], Any]
    times: Callable[[Dialogue], Times]


class Tagged(msgspec.Struct):
    """A row of which nothing is known but its type."""

    T: str


_TEXT: Final = Encoding(
    msgspec.json.Decoder(list[msgspec.Raw]).decode,
    msgspec.json.Decoder(Tagged).decode,
    msgspec.json.Decoder(_Text).decode,
    attrgetter("text"),
)
_BINARY: Final = Encoding(
    msgspec.msgpack.Decoder(list[msgspec.Raw]).decode,
    msgspec.msgpack.Decoder(Tagged).decode,
    msgspec.msgpack.Decoder(_Binary).decode,
    attrgetter("ext"),
)


@hookimpl
def connect(account: Account) -> Endpoint:
    """Describe the stream of a feed; the keys go out after the welcome."""
    return endpoint(account, DEFAULT_ENCODING)


def endpoint(account: Account, encoding: str) -> Endpoint:
    """Describe the stream of the feed of *account* in an encoding, `json` or `msgpack`.

    Raises:
        VenueError: There is no such environment, plan or feed, or no keys.
    """
    feed = STOCKS.get(account.feed) if account.feed else CRYPTO
    for name, given, there in (
        ("environment", account.environment, ENVIRONMENTS),
        ("plan", account.plan, PLANS),
        ("feed", account.feed, {"": "", **STOCKS}),
    ):
        if given not in there:
            known = ", ".join(filter(None, there))
            raise VenueError(FaultKind.REQUEST, f"alpaca: no {name} {given!r}; there are {known}")
    if not has_keys(account):
        raise VenueError(FaultKind.CREDENTIALS, f"alpaca: the stream {NO_KEYS}")
    assert feed is not None

    def memory() -> Dialogue:  # a partial would show the keys
        key, secret = account.secrets["key"], account.secrets["secret"]
        return Dialogue(feed, key, secret, binary=encoding == "msgpack")

    return Endpoint(
        url=f"{ENVIRONMENTS[account.environment][0]}{feed.stream}",
        headers={"Content-Type": f"application/{encoding}"},
        ready=Readiness.ON_EVENT,
        keepalive=_KEEPALIVE,
        silence_limit_s=_SILENCE_LIMIT_S,
        topics_per_frame=_TOPICS_PER_FRAME,
        changes_in_flight=1,
        memory=memory,
    )


@hookimpl
def parse(frame: bytes, memory: Dialogue) -> Sequence[Event]:
    """Say what one frame means; a bad row among good ones becomes a `Fault` that names it."""
    try:
        times: Times
        if frame[:1] == b"[":
            if not frame.isascii():
                frame.decode()  # the decoder does not look into strings that it skips
            rows, times = _text_rows(frame), memory.text
        else:
            rows, times = _binary_rows(frame), memory.ext
        if len(rows) == 1:
            make = EVENTS.get(type(rows[0]))
            return _answer(rows[0], memory) if make is None else (make(rows[0], times),)
        events: list[Event] = []
        for row in rows:
            make = EVENTS.get(type(row))
            if make is not None:
                events.append(make(row, times))
            elif type(row) in _ANSWERS:
                return _second_look(frame, memory)
    except (msgspec.ValidationError, WireError) as exc:
        return _second_look(frame, memory, exc)
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, frame) from exc
    return events


def _answer(row: object, memory: Dialogue) -> Sequence[Event]:
    make = _ANSWERS.get(type(row))
    return () if make is None else make(row, memory)


def _second_look(frame: bytes, memory: Dialogue, first: Exception | None = None) -> Sequence[Event]:
    """Judge each row of a frame alone: good ones are kept, unknown types passed over, bad ones named."""
    encoding = _TEXT if frame.lstrip()[:1] in {b"[", b"{"} else _BINARY
    if b'"stream"' in frame[:64] and frame.lstrip()[:1] == b"{":
        raise WireError(_TRADING, frame=frame) from first
    events: list[Event] = []
    wrong: list[WireError] = []
    good = 0
    try:
        rows = encoding.rows(frame)
    except (ValueError, RecursionError) as exc:
        raise wire_error(exc, frame) from exc
    for place, raw in enumerate(rows):
        try:
            events += _row(raw, encoding, memory)
            good += 1
        except (ValueError, RecursionError, WireError) as exc:
            wrong.append(wire_error(exc, bytes(raw), f"$[{place}]"))
    if wrong and not good:
        raise wrong[0]
    if wrong:
        text = f"alpaca: {len(wrong)} of {len(rows)} rows left out, the first: {wrong[0]}"
        events.append(Fault(FaultKind.PROTOCOL, text))
    return events


def _row(raw: msgspec.Raw, encoding: Encoding, memory: Dialogue) -> Sequence[Event]:
    """Return what one row means.

    Raises:
        ValueError: It cannot be decoded.
        WireError: It says nothing sensible.
    """
    if encoding.tag(raw).T not in _KNOWN:
        return ()
    row = encoding.row(raw)
    make = EVENTS.get(type(row))
    return _answer(row, memory) if make is None else (make(row, encoding.times(memory)),)

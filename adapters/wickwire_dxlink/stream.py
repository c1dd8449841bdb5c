"""DXLink's stream: what a frame means.

Reference: dxFeed, dxLink specification (AsyncAPI 1.0.2); devexperts QD 3.352, classes `Quote` and
`TimeAndSale`; tastytrade developer documentation, "Streaming Market Data"; read 2026-11.

Data comes as objects (FULL) or as flat arrays (COMPACT); each frame shows which. The fields of an array are
those that FEED_CONFIG confirmed for its channel and type: some of those asked for, and possibly late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final

import msgspec

from wickwire import Event, Fault, FaultKind, Quote, Side, Topic, Trade, TradeAction, WireError, hookimpl
from wickwire_dxlink.candles import CANDLE_ROW, END, REMOVE, SNIP, Route, integer, number
from wickwire_dxlink.dialogue import Channel, Session, answer
from wickwire_dxlink.symbols import CANDLES, QUOTES, SALES, Word, from_venue, read_candle_symbol

__all__ = ["Schema", "parse"]

_NS_PER_MS: Final = 1_000_000
_MOST_NAMES: Final = 100_000

_QUOTE_ROW: Final = ("eventSymbol", "bidPrice", "askPrice", "bidSize", "askSize", "bidTime", "askTime")
_SALE_ROW: Final = (
    *("eventSymbol", "index", "time", "timeNanoPart", "price", "size"),
    *("aggressorSide", "type", "validTick", "extendedTradingHours", "eventFlags"),
)
_LAST_ROW: Final = ("eventSymbol", "price", "size")
_LAST: Final = ("eventType", "eventSymbol", "price", "dayVolume", "size")
_ROWS: Final[Mapping[str, tuple[str, ...]]] = {
    "Candle": CANDLE_ROW,
    "Quote": _QUOTE_ROW,
    "TimeAndSale": _SALE_ROW,
    **dict.fromkeys(("Trade", "TradeETH"), _LAST_ROW),
}
_UNUSED: Final = frozenset(
    {"Summary", "Profile", "Greeks", "TheoPrice", "Underlying", "Series", "Order", "SpreadOrder"}
    | {"AnalyticOrder", "OptionSale", "Message", "Configuration", "OrderImbalance"}
)
"""Types that exist and that we never ask for."""
_SUGGESTED: Final = {"Candle": CANDLES.fields, "Quote": QUOTES.fields[:6], "TimeAndSale": SALES.fields} | (
    dict.fromkeys(("Trade", "TradeETH"), _LAST)
)
"""Fields of a recorded channel whose server confirmed none: tastytrade's page asks for these."""

_ZERO: Final = Decimal(0)
_SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
_NEW: Final = TradeAction.NEW
_ACTIONS: Final = {"CORRECTION": TradeAction.CORRECTED, "CANCEL": TradeAction.CANCELED}
_WORDS: Final = {word.value: word for word in Word}
_AUTH_STATES: Final = (Word.AUTHORIZED, Word.UNAUTHORIZED)
_COMETD: Final = "dxlink: an array of messages is the older CometD protocol of dxFeed, which is not read"


class Message(msgspec.Struct):
    """Any message of a server; keys that are not here mean nothing to us."""

    type: str
    channel: int
    data: list[Any] | None = None
    state: str = ""
    error: str = ""
    message: str = ""
    data_format: str | None = msgspec.field(default=None, name="dataFormat")
    event_fields: dict[str, list[str]] | None = msgspec.field(default=None, name="eventFields")


_message: Final = msgspec.json.Decoder(Message, float_hook=Decimal).decode


class Schema:
    """The fields of one type of event: how wide its rows are, and where in them what we want is."""

    def __init__(self, event: str, fields: Sequence[str]) -> None:
        self.width = len(fields)
        places = {name: place for place, name in enumerate(fields)}
        if "VWAP" in places:
            places.setdefault("vwap", places["VWAP"])
        # what was not confirmed is found behind the row, where None stands
        self.pick = itemgetter(*(places.get(name, self.width) for name in _ROWS[event]))


# ----------------------------------------------------------------------------------------------- frames


@hookimpl
def parse(frame: bytes, memory: Session) -> Sequence[Event]:
    """Say what one frame means; a bad row among good ones becomes a `Fault` that names it."""
    if frame.lstrip()[:1] == b"[":
        raise WireError(_COMETD, frame=frame)
    try:
        if not frame.isascii():
            frame.decode()  # the decoder does not look into strings that it skips
        return _told(_message(frame), memory)
    except WireError as exc:
        said, at = exc.args[0], exc.at
    except RecursionError:
        said, at = "dxlink: nested too deeply", ""
    except (ValueError, ArithmeticError) as exc:
        said, _, path = f"dxlink: {exc}".partition(" - at `$")  # how msgspec ends its texts
        at = f"${path.rstrip('`')}"
    _spoil(memory)
    if memory.token:  # servers are known to repeat what they were told
        frame = frame.replace(memory.token.encode(), b"***")
    raise WireError(said, frame=frame, at=at)


def _told(message: Message, memory: Session) -> Sequence[Event]:
    """Say what a message means: data and its fields here, the rest by the tables of the session."""
    if message.type == "FEED_DATA":
        return _data(message, memory)
    if message.type == "FEED_CONFIG":
        return _configured(message, memory)
    said = message.state if message.type == "AUTH_STATE" else message.type
    word = _WORDS.get(said)
    if word is None or (word in _AUTH_STATES) is not (message.type == "AUTH_STATE"):
        raise WireError(f"dxlink: no message of a server: {message.type[:40]} {said[:40]}", at="$.type")
    return answer(word, message.channel, memory, message.error, message.message)


def _configured(message: Message, memory: Session) -> Sequence[Event]:
    """Merge a configuration: what it does not name keeps its fields."""
    if message.data_format not in (None, "FULL", "COMPACT"):
        raise WireError(f"dxlink: no data format: {message.data_format[:40]!r}", at="$.dataFormat")
    channel = memory.channel(message.channel)
    fields = {event: names for event, names in (message.event_fields or {}).items() if event in _ROWS}
    channel.schemas |= {event: Schema(event, names) for event, names in fields.items() if names}
    if not all(fields.values()):
        raise WireError("dxlink: a type of event without fields", at="$.eventFields")
    return ()


def _data(message: Message, memory: Session) -> Sequence[Event]:
    """Return the events of a frame."""
    if message.data is None:
        raise WireError("dxlink: FEED_DATA without data", at="$.data")
    events: list[Event] = []
    wrong: list[WireError] = []
    count = 0
    for event, row in _rows(memory.channel(message.channel), message.data):
        count += 1
        try:
            told, trouble = ((), row) if isinstance(row, WireError) else _EVENTS[event](row, memory)
            events += told
        except WireError as exc:
            trouble = exc
        if trouble is not None:
            _spoil(memory)  # at once: a later row of the frame may end the snapshot
            wrong.append(trouble)
    if not wrong:
        return events
    if len(wrong) == count and not events:  # flags count even where values do not
        raise wrong[0]
    said = f"dxlink: {len(wrong)} of {count} rows left out, the first: {wrong[0]}"
    return [Fault(FaultKind.PROTOCOL, said), *events]


def _spoil(memory: Session) -> None:
    """Let no snapshot count as complete that may have lost rows."""
    for route in memory.routes.values():
        if route is not None:
            route.spoil()


def _rows(channel: Channel, data: list[Any]) -> Iterator[tuple[str, Sequence[Any] | WireError]]:
    """Yield type and fields of every event that means something to us, whichever format the frame has.

    What cannot be read is yielded as what is wrong with it: a type that is not known, or a length that does
    not fit the fields, costs itself.
    """
    if data and isinstance(data[0], dict):
        for values in data:
            event: Any = values.get("eventType") if isinstance(values, dict) else None
            if not _is_known(event):
                yield "", WireError(f"dxlink: no type of event: {event!r:.60}", at="$.data")
            elif event in _ROWS:
                vwap = values.get("vwap", values.get("VWAP"))  # so the specification spells it
                yield event, [vwap if name == "vwap" else values.get(name) for name in _ROWS[event]]
        return
    for place in range(0, len(data), 2):
        event, values = data[place], data[place + 1] if place + 1 < len(data) else None
        if not _is_known(event):
            yield "", WireError(f"dxlink: no type of event: {event!r:.60}", at="$.data")
        elif event in _ROWS:
            schema = channel.schemas.get(event) or _unconfirmed(channel, event)
            width, pick = schema.width, schema.pick
            if isinstance(values, list) and not len(values) % width:
                for start in range(0, len(values), width):
                    yield event, pick([*values[start : start + width], None])
            else:
                yield "", WireError(f"dxlink: no rows of {width} {event} values: {values!r:.60}", at="$.data")


def _is_known(event: object) -> bool:
    return isinstance(event, str) and (event in _ROWS or event in _UNUSED)


def _unconfirmed(channel: Channel, event: str) -> Schema:
    """Return the fields that were asked for, which is all that is known before the server says better."""
    service = channel.service
    asked = service.fields if service is not None and service.event == event else _SUGGESTED[event]
    schema = channel.schemas[event] = Schema(event, asked)
    return schema


# ------------------------------------------------------------------------------------------------- rows

_Told = tuple[Sequence[Event], WireError | None]


def _candle(row: Sequence[Any], memory: Session) -> _Told:
    symbol = row[0]
    try:
        route = memory.routes[symbol]
    except (KeyError, TypeError):
        route = _route(symbol, memory)
    return ((), None) if route is None else route.row(row)


def _route(symbol: object, memory: Session) -> Route | None:
    """Return where the rows of a candle symbol go; None where it is no candle that this session means.

    The server spells symbols its own way, so what they say is compared: another session, price or alignment,
    and a period that we would ask for otherwise, are other series.
    """
    name = symbol if isinstance(symbol, str) else ""
    try:
        told = read_candle_symbol(name)
    except ValueError as exc:
        raise WireError(f"dxlink: {exc}", at=".eventSymbol") from exc
    route = None
    timeframe = told.timeframe
    if timeframe is not None and told.variant == memory.variant and not told.more:
        topic = Topic(from_venue(told.instrument), timeframe)
        known = (one for one in memory.routes.values() if one is not None and one.topic == topic)
        route = next(known, None) or Route(topic)
    if len(memory.routes) >= _MOST_NAMES:
        memory.routes.clear()
    memory.routes[name] = route
    return route


def _name(symbol: object, memory: Session) -> str:
    if not isinstance(symbol, str) or not symbol:
        raise WireError(f"dxlink: expected a symbol, got {symbol!r:.60}", at=".eventSymbol")
    name = memory.names.get(symbol)
    if name is None:
        if len(memory.names) >= _MOST_NAMES:
            memory.names.clear()
        name = memory.names[symbol] = from_venue(symbol)
    return name


def _quote(row: Sequence[Any], memory: Session) -> _Told:
    """Return a quote: a side without a price is empty, and tastytrade leaves the times at 0."""
    bid, ask, bid_size, ask_size = map(number, row[1:5], _QUOTE_ROW[1:5])
    time_ms = max(integer(row[5], "bidTime", 0), integer(row[6], "askTime", 0))
    time_ns = time_ms * _NS_PER_MS if time_ms > 0 else None
    bid_size, ask_size = (None if bid is None else bid_size), (None if ask is None else ask_size)
    return (Quote(_name(row[0], memory), bid, bid_size, ask, ask_size, time_ns),), None


def _sale(row: Sequence[Any], memory: Session) -> _Told:
    """Return a trade; one that makes no price, or is outside of the session that counts, is left out."""
    if row[7] not in (None, "NEW", "CORRECTION", "CANCEL"):
        raise WireError(f"dxlink: no type of a sale: {row[7]!r:.40}", at=".type")
    action, side = _ACTIONS.get(row[7], _NEW), _SIDES.get(row[6]) if isinstance(row[6], str) else None
    name, index = _name(row[0], memory), str(integer(row[1], "index"))
    price, size = number(row[4], "price"), number(row[5], "size")
    time_ns = integer(row[2], "time") * _NS_PER_MS + integer(row[3], "timeNanoPart", 0)
    if row[9] is True and memory.variant.regular:  # whatever becomes of it: it was never told
        return (), None
    if integer(row[10], "eventFlags", 0) & (REMOVE | END | SNIP) == REMOVE:  # what ends a snapshot is a dummy
        action = TradeAction.CANCELED
    if price is None or size is None or row[8] is False:
        if action is _NEW:
            return (), None
        action = TradeAction.CANCELED  # what was told before makes a price no more
    told = name, index, price or _ZERO, size or _ZERO, side, time_ns, action
    return (Trade(*told, None if action is _NEW else index),), None


def _last(row: Sequence[Any], memory: Session) -> _Told:
    """Read a last price, which is conflated: no trade that anything could be built from."""
    _name(row[0], memory), number(row[1], "price"), number(row[2], "size")
    return (), None


_EVENTS: Final[Mapping[str, Callable[[Sequence[Any], Session], _Told]]] = {
    "Candle": _candle,
    "Quote": _quote,
    "TimeAndSale": _sale,
    **dict.fromkeys(("Trade", "TradeETH"), _last),
}

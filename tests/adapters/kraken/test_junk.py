"""Whatever arrives, Kraken's adapter returns events or raises the errors of its contract."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import wickwire_kraken
from wickwire import (
    Ask,
    Event,
    Feed,
    HttpReply,
    OhlcvQuery,
    Page,
    Timeframe,
    Topic,
    TradePage,
    TradeQuery,
    VenueError,
    WireError,
)
from wickwire_kraken.dialogue import Dialogue

WIRE: Final = Path(__file__).parent / "wire"
FRAMES: Final = {
    path.stem: path.read_bytes() for path in sorted(WIRE.glob("*.json")) if not path.stem.startswith("rest_")
}
REPLIES: Final = {path.stem: path.read_bytes() for path in sorted(WIRE.glob("rest_*.json"))}
OPEN_NS: Final = 1_795_237_140_000_000_000

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["NaN", "sNaN", "-Infinity", "1e999999", "", "online", "trade", "snapshot", "BTC/USD"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(
    [
        *(
            "channel",
            "type",
            "data",
            "method",
            "success",
            "error",
            "Error",
            "symbol",
            "req_id",
            "result",
            "event",
        ),
        *("time_out", "last"),
    ]
)
messages = st.dictionaries(
    keys, values | st.sampled_from(["ohlc", "ticker", "subscribe", "pong"]), max_size=6
)


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Return the path of every part of a JSON value."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


@st.composite
def changed(draw, originals):
    """A real message with one part replaced by something else, removed, or repeated."""
    message = json.loads(draw(st.sampled_from(sorted(originals.values()))))
    *upper, key = draw(st.sampled_from(places(message)[1:]))
    inside = message
    for step in upper:
        inside = inside[step]
    match draw(st.sampled_from(["replace", "remove", "repeat"])):
        case "replace":
            inside[key] = draw(values)
        case "remove":
            del inside[key]
        case _ if isinstance(inside, list):
            inside.insert(key, inside[key])
        case _:
            inside[f"{key}_"] = inside[key]
    return json.dumps(message).encode()


@st.composite
def damaged(draw, originals):
    """A real message with some of its bytes changed or cut out."""
    message = bytearray(draw(st.sampled_from(sorted(originals.values()))))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(message)))
        message[start : start + draw(st.integers(0, 6))] = draw(st.binary(max_size=4))
    return bytes(message)


def junk(originals):
    return st.one_of(
        st.binary(max_size=60),
        values.map(msgspec.json.encode),
        messages.map(msgspec.json.encode),
        changed(originals),
        damaged(originals),
    )


def heard(frame: bytes) -> Sequence[Event] | str:
    """What a connection that waits for answers makes of *frame*: events, or the text of its WireError."""
    memory = Dialogue()
    minute = Timeframe.parse("1m")
    topics = [Topic(symbol, what) for symbol in ("BTC/USD", "ETH/USD") for what in (minute, *Feed)]
    wickwire_kraken.subscribe([Ask(topic) for topic in topics], topics[:2], memory)
    try:
        return list(wickwire_kraken.parse(frame, memory))
    except WireError as exc:
        return str(exc)


@given(junk(FRAMES))
@example(b'{"channel":"trade","channel":"ohlc","type":"update","data":[]}')
@example(
    b'{"channel":"ticker","type":"update","data":[{"symbol":"\\ud800","bid":1,"bid_qty":1,"ask":1,"ask_qty":1}]}'
)
def test_a_frame_is_events_or_a_wire_error(frame):
    told = heard(frame)

    assert isinstance(told, str) or all(isinstance(event, get_args(Event)) for event in told)


@given(junk(FRAMES))
def test_a_frame_means_the_same_each_time(frame):
    assert repr(heard(frame)) == repr(heard(frame))


@given(st.lists(st.sampled_from(sorted(FRAMES)) | junk(FRAMES), max_size=12))
def test_junk_does_not_change_what_is_heard_afterwards(frames):
    memory = Dialogue()
    for frame in frames:
        with suppress(WireError):
            wickwire_kraken.parse(FRAMES[frame] if isinstance(frame, str) else frame, memory)

    for name in ("ohlc_snapshot", "ohlc_update", "trade_update", "ticker_snapshot", "pong"):
        again, anew = (wickwire_kraken.parse(FRAMES[name], each) for each in (memory, Dialogue()))
        assert list(again) == list(anew)


def finished(conversation, body, status):
    next(conversation)
    try:
        for _ in range(3):
            conversation.send(HttpReply(status=status, body=body))
    except StopIteration as stop:
        return stop.value
    except (VenueError, WireError) as exc:
        return exc
    raise AssertionError("more requests than one")


@pytest.mark.parametrize("status", [200, 503])
@given(body=junk(REPLIES))
def test_a_reply_is_a_page_or_a_typed_error(status, body):
    until_ns, now_ns = OPEN_NS + 10**12, OPEN_NS + 10**11
    minute = Timeframe.parse("1m")
    asked = OhlcvQuery(symbol="BTC/USD", timeframe=minute, since_ns=OPEN_NS, until_ns=until_ns, now_ns=now_ns)
    wanted = TradeQuery(symbol="BTC/USD", since_ns=OPEN_NS, until_ns=until_ns, now_ns=now_ns)

    page = finished(wickwire_kraken.fetch_ohlcv(asked), body, status)
    trades = finished(wickwire_kraken.fetch_trades(wanted), body, status)
    symbols = finished(wickwire_kraken.list_instruments(""), body, status)

    assert isinstance(page, Page | VenueError | WireError)
    assert isinstance(trades, TradePage | VenueError | WireError)
    assert isinstance(symbols, list | VenueError | WireError)
    if isinstance(page, Page):
        assert OPEN_NS <= page.covered[0] <= page.covered[1] <= until_ns
        assert all(OPEN_NS <= candle.open_ns < until_ns for candle in page.candles)

"""Whatever arrives, Coinbase's adapter returns events or raises the errors of its contract."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import wickwire_coinbase
from tests.adapters.coinbase.wires import FIVE, START, WIRE
from wickwire import (
    Ask,
    Event,
    Fault,
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
from wickwire_coinbase.memory import Memory

FRAMES: Final = {
    path.stem: path.read_bytes() for path in sorted(WIRE.glob("*.json")) if not path.stem.startswith("rest_")
}
REPLIES: Final = {path.stem: path.read_bytes() for path in sorted(WIRE.glob("rest_*.json"))}
OPEN_NS: Final = START * 10**9

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["NaN", "sNaN", "-Infinity", "1e999999", "", "BUY", "error", "snapshot", "BTC-USD"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(
    [
        "channel",
        "type",
        "message",
        "reason",
        "timestamp",
        "sequence_num",
        "events",
        "error",
        "errors",
        "candles",
    ]
)
words = st.sampled_from(["candles", "market_trades", "ticker", "subscriptions", "heartbeats", "error"])
messages = st.dictionaries(keys, values | words, max_size=6)


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


def asking() -> Memory:
    memory = Memory()
    topics = [Topic(symbol, what) for symbol in ("BTC/USD", "BTC/USDC", "ETH/USD") for what in (FIVE, *Feed)]
    wickwire_coinbase.subscribe([Ask(topic) for topic in topics], [], memory)
    wickwire_coinbase.subscribe([], topics[:2], memory)
    return memory


def heard(frame: bytes) -> Sequence[Event] | str:
    """What a connection that waits for answers makes of *frame*: events, or the text of its WireError."""
    try:
        return list(wickwire_coinbase.parse(frame, asking()))
    except WireError as exc:
        return str(exc)


@given(junk(FRAMES))
@example(b'{"channel":"candles","channel":"ticker","sequence_num":0,"events":[]}')
@example(b'{"channel":"subscriptions","sequence_num":0,"events":[{"subscriptions":{"candles":["\\ud800"]}}]}')
def test_a_frame_is_events_or_a_wire_error(frame):
    told = heard(frame)

    assert isinstance(told, str) or all(isinstance(event, get_args(Event)) for event in told)


@given(junk(FRAMES))
def test_a_frame_means_the_same_each_time(frame):
    assert repr(heard(frame)) == repr(heard(frame))


@given(st.lists(st.binary(max_size=60) | values.map(msgspec.json.encode) | damaged(FRAMES), max_size=12))
def test_junk_does_not_change_what_is_heard_afterwards(frames):
    """But for the gap that it leaves in the count, and what it may rightly have said of volumes."""
    memory = Memory()
    for frame in frames:
        with suppress(WireError):
            wickwire_coinbase.parse(frame, memory)
    memory.volumes.clear()
    memory.doubtful.clear()
    memory.expected = min(memory.expected, 0)

    for name in ("heartbeat", "candles_snapshot", "candles_update", "trades_update", "ticker_snapshot"):
        again, anew = (wickwire_coinbase.parse(FRAMES[name], each) for each in (memory, Memory()))
        assert [event for event in again if not isinstance(event, Fault)] == list(anew)


def finished(conversation, body, status):
    next(conversation)
    try:
        for _ in range(200):
            conversation.send(HttpReply(status=status, body=body))
    except StopIteration as stop:
        return stop.value
    except (VenueError, WireError) as exc:
        return exc
    raise AssertionError("it never ends")


@pytest.mark.parametrize("status", [200, 400, 503])
@given(body=junk(REPLIES))
def test_a_reply_is_a_page_or_a_typed_error(status, body):
    until_ns, now_ns = OPEN_NS + 10**12, OPEN_NS + 10**11
    minute = Timeframe.parse("1m")
    asked = OhlcvQuery(symbol="BTC/USD", timeframe=minute, since_ns=OPEN_NS, until_ns=until_ns, now_ns=now_ns)
    wanted = TradeQuery(symbol="BTC/USD", since_ns=OPEN_NS, until_ns=until_ns, now_ns=now_ns)

    page = finished(wickwire_coinbase.fetch_ohlcv(asked), body, status)
    trades = finished(wickwire_coinbase.fetch_trades(wanted), body, status)
    symbols = finished(wickwire_coinbase.list_instruments(""), body, status)

    assert isinstance(page, Page | VenueError | WireError)
    assert isinstance(trades, TradePage | VenueError | WireError)
    assert isinstance(symbols, list | VenueError | WireError)
    if isinstance(page, Page):
        assert OPEN_NS <= page.covered[0] <= page.covered[1] <= until_ns
        assert all(OPEN_NS <= candle.open_ns < until_ns for candle in page.candles)

"""Whatever arrives, Coinbase's adapter returns events or raises the errors of its contract."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import wickwire_coinbase
from tests.adapters.coinbase.wires import FIVE, START, WIRE
from tests.adapters.junk import damaged, finished, junk, values
from wickwire import (
    Ask,
    Event,
    Fault,
    Feed,
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

anything = values(["BUY", "error", "snapshot", "BTC-USD"])
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
messages = st.dictionaries(keys, anything | words, max_size=6)


frames = junk([*FRAMES.values()], anything, messages)


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


@given(frames)
@example(b'{"channel":"candles","channel":"ticker","sequence_num":0,"events":[]}')
@example(b'{"channel":"subscriptions","sequence_num":0,"events":[{"subscriptions":{"candles":["\\ud800"]}}]}')
def test_a_frame_is_events_or_a_wire_error(frame):
    told = heard(frame)

    assert isinstance(told, str) or all(isinstance(event, get_args(Event)) for event in told)


@given(frames)
def test_a_frame_means_the_same_each_time(frame):
    assert repr(heard(frame)) == repr(heard(frame))


@given(
    st.lists(
        st.binary(max_size=60) | anything.map(msgspec.json.encode) | damaged([*FRAMES.values()]), max_size=12
    )
)
def test_junk_does_not_change_what_is_heard_afterwards(heard_before):
    """But for the gap that it leaves in the count, and what it may rightly have said of volumes."""
    memory = Memory()
    for frame in heard_before:
        with suppress(WireError):
            wickwire_coinbase.parse(frame, memory)
    memory.volumes.clear()
    memory.doubtful.clear()
    memory.expected = min(memory.expected, 0)

    for name in ("heartbeat", "candles_snapshot", "candles_update", "trades_update", "ticker_snapshot"):
        again, anew = (wickwire_coinbase.parse(FRAMES[name], each) for each in (memory, Memory()))
        assert [event for event in again if not isinstance(event, Fault)] == list(anew)


@pytest.mark.parametrize("status", [200, 400, 503])
@given(body=junk([*REPLIES.values()], anything, messages))
def test_a_reply_is_a_page_or_a_typed_error(status, body):
    until_ns, now_ns = OPEN_NS + 10**12, OPEN_NS + 10**11
    minute = Timeframe.parse("1m")
    asked = OhlcvQuery(symbol="BTC/USD", timeframe=minute, since_ns=OPEN_NS, until_ns=until_ns, now_ns=now_ns)
    wanted = TradeQuery(symbol="BTC/USD", since_ns=OPEN_NS, until_ns=until_ns, now_ns=now_ns)

    page = finished(wickwire_coinbase.fetch_ohlcv(asked), body, status, most=200)
    trades = finished(wickwire_coinbase.fetch_trades(wanted), body, status, most=200)
    symbols = finished(wickwire_coinbase.list_instruments(""), body, status, most=200)

    assert isinstance(page, Page | VenueError | WireError)
    assert isinstance(trades, TradePage | VenueError | WireError)
    assert isinstance(symbols, list | VenueError | WireError)
    if isinstance(page, Page):
        assert OPEN_NS <= page.covered[0] <= page.covered[1] <= until_ns
        assert all(OPEN_NS <= candle.open_ns < until_ns for candle in page.candles)

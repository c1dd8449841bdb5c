"""Whatever arrives, Kraken's adapter returns events or raises the errors of its contract."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import wickwire_kraken
from tests.adapters.junk import finished, junk, values
from wickwire import (
    Ask,
    Event,
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
from wickwire_kraken.dialogue import Dialogue

WIRE: Final = Path(__file__).parent / "wire"
FRAMES: Final = {
    path.stem: path.read_bytes() for path in sorted(WIRE.glob("*.json")) if not path.stem.startswith("rest_")
}
REPLIES: Final = {path.stem: path.read_bytes() for path in sorted(WIRE.glob("rest_*.json"))}
OPEN_NS: Final = 1_795_237_140_000_000_000

anything = values(["online", "trade", "snapshot", "BTC/USD"])
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
    keys, anything | st.sampled_from(["ohlc", "ticker", "subscribe", "pong"]), max_size=6
)


frames = junk([*FRAMES.values()], anything, messages)


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


@given(frames)
@example(b'{"channel":"trade","channel":"ohlc","type":"update","data":[]}')
@example(
    b'{"channel":"ticker","type":"update","data":[{"symbol":"\\ud800","bid":1,"bid_qty":1,"ask":1,"ask_qty":1}]}'
)
def test_a_frame_is_events_or_a_wire_error(frame):
    told = heard(frame)

    assert isinstance(told, str) or all(isinstance(event, get_args(Event)) for event in told)


@given(frames)
def test_a_frame_means_the_same_each_time(frame):
    assert repr(heard(frame)) == repr(heard(frame))


@given(st.lists(st.sampled_from([*FRAMES.values()]) | frames, max_size=12))
def test_junk_does_not_change_what_is_heard_afterwards(heard_before):
    memory = Dialogue()
    for frame in heard_before:
        with suppress(WireError):
            wickwire_kraken.parse(frame, memory)

    for name in ("ohlc_snapshot", "ohlc_update", "trade_update", "ticker_snapshot", "pong"):
        again, anew = (wickwire_kraken.parse(FRAMES[name], each) for each in (memory, Dialogue()))
        assert list(again) == list(anew)


@pytest.mark.parametrize("status", [200, 503])
@given(body=junk([*REPLIES.values()], anything, messages))
def test_a_reply_is_a_page_or_a_typed_error(status, body):
    until_ns, now_ns = OPEN_NS + 10**12, OPEN_NS + 10**11
    minute = Timeframe.parse("1m")
    asked = OhlcvQuery(symbol="BTC/USD", timeframe=minute, since_ns=OPEN_NS, until_ns=until_ns, now_ns=now_ns)
    wanted = TradeQuery(symbol="BTC/USD", since_ns=OPEN_NS, until_ns=until_ns, now_ns=now_ns)

    page = finished(wickwire_kraken.fetch_ohlcv(asked), body, status, most=3)
    trades = finished(wickwire_kraken.fetch_trades(wanted), body, status, most=3)
    symbols = finished(wickwire_kraken.list_instruments(""), body, status, most=3)

    assert isinstance(page, Page | VenueError | WireError)
    assert isinstance(trades, TradePage | VenueError | WireError)
    assert isinstance(symbols, list | VenueError | WireError)
    if isinstance(page, Page):
        assert OPEN_NS <= page.covered[0] <= page.covered[1] <= until_ns
        assert all(OPEN_NS <= candle.open_ns < until_ns for candle in page.candles)

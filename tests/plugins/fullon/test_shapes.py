"""What collectors read of a row is what the venue said, whenever it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from tests.plugins.fullon.host import read_row, read_stamp
from wickwire import (
    MINUTE_NS,
    SECOND_NS,
    CandleState,
    Evidence,
    Quote,
    Series,
    SeriesCandle,
    Side,
    Trade,
    TradeAction,
)
from wickwire_fullon.past import TradeCursor
from wickwire_fullon.shapes import as_dict, placeholder, row_of, stamp, tick_of, trade_of, trade_row

SERIES = Series.parse("kraken:BTC/USD@1m")
FIRST_MS = 1_000_000_000_000
"""2001-09-09T01:46:40Z: the first instant that is no number of seconds any more is a millisecond later."""

instants_ms = st.integers(0, 4_000_000_000_000)


@given(instants_ms)
@example(FIRST_MS - 1)
@example(FIRST_MS)
@example(FIRST_MS + 1)
def test_a_stamp_is_read_as_the_instant_that_it_is(ms: int) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert abs(read_stamp(stamp(ms * 1_000_000)) - epoch - timedelta(milliseconds=ms)) < timedelta(
        milliseconds=1
    )


def candle(open_ns: int, close: str = "2.5") -> SeriesCandle:
    return SeriesCandle(
        SERIES,
        open_ns,
        open_ns + MINUTE_NS,
        Decimal("1.5"),
        Decimal("3.0"),
        Decimal("1.25"),
        Decimal(close),
        Decimal("0.125"),
        None,
        None,
        CandleState.CLOSED,
        Evidence.HISTORY,
    )


@given(instants_ms.map(lambda ms: ms // 60_000 * MINUTE_NS))
def test_a_row_is_a_list_of_six_and_says_the_same_as_its_dict(open_ns: int) -> None:
    row = row_of(candle(open_ns))

    assert (type(row), len(row)) == (list, 6)
    assert read_row(row) == read_row(as_dict(row))
    assert read_row(row)[1] == (1.5, 3.0, 1.25, 2.5, 0.125)
    assert json.loads(json.dumps(row)) == row


@given(st.integers(0, 5 * 60))
def test_a_placeholder_comes_after_the_newest_candle_and_holds_nothing(later_s: int) -> None:
    newest = candle(1_800_000_000 * SECOND_NS)
    row = placeholder(newest, newest.close_ns + later_s * SECOND_NS)

    assert row[1:] == [2.5, 2.5, 2.5, 2.5, 0.0]
    assert row[0] == (1_800_000_060 + later_s // 60 * 60) * 1_000


def trade(time_ns: int, number: int = 1, action: TradeAction = TradeAction.NEW) -> Trade:
    return Trade("BTC/USD", str(number), Decimal("100.5"), Decimal("0.25"), Side.SELL, time_ns, action)


def stamp_s(one: Trade) -> float:
    return read_stamp(stamp(one.time_ns)).timestamp()


@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=60).map(sorted), st.integers(1, 10))
def test_who_goes_on_a_second_after_the_last_trade_loses_none(times_ms: list[int], limit: int) -> None:
    """As collectors do: whatever happened in that second would be lost."""
    trades = [trade(ms * 1_000_000, number) for number, ms in enumerate(times_ms)]
    read: list[Trade] = []
    cursor, since_s = TradeCursor(), 0.0
    for _ in range(100):
        begin_ns = cursor.begin(round(since_s * SECOND_NS))
        page = cursor.cut([one for one in trades if one.time_ns >= begin_ns], limit)
        if not page:
            break
        read += page
        since_s = int((stamp_s(page[-1]) + 1) * 1_000) / 1_000

    assert read == trades


def test_trades_and_ticks_can_be_written_as_json() -> None:
    told = trade_of(trade(1_800_000_000_250_000_000), "kraken", "BTC/USD")
    assert json.loads(json.dumps(told.to_dict())) == {
        "symbol": "BTC/USD",
        "exchange": "kraken",
        "side": "sell",
        "price": 100.5,
        "volume": 0.25,
        "cost": 25.125,
        "time": 1_800_000_000.25,
        "ex_trade_id": "1",
    }
    row = trade_row(trade(1_800_000_000_250_000_000), "BTC/USD")
    assert (1_800_000_000_250, "sell", 0.25) == (row["timestamp"], row["side"], row["amount"])


def test_a_tick_knows_the_last_price_or_else_the_middle() -> None:
    quote = Quote("BTC/USD", Decimal(99), Decimal(1), Decimal(101), Decimal(1), 5 * SECOND_NS)
    empty = Quote("BTC/USD", None, None, None, None)

    assert tick_of("kraken", "BTC/USD", None, None, 0) is None
    assert tick_of("kraken", "BTC/USD", empty, None, 0) is None
    middle = tick_of("kraken", "BTC/USD", quote, None, 0)
    assert middle is not None
    assert (100.0, 5.0, None) == (middle.price, middle.time, middle.last)
    last = tick_of("kraken", "BTC/USD", quote, trade(7 * SECOND_NS), 0)
    assert last is not None
    assert (100.5, 7.0, 99.0, 101.0) == (last.price, last.time, last.bid, last.ask)
    asked = tick_of("kraken", "BTC/USD", empty, trade(0), 9 * SECOND_NS)
    assert asked is not None
    assert asked.to_dict()["bid"] is None

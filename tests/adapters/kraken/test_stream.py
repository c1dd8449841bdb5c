"""Kraken's stream: what one frame means."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

import wickwire_kraken
from wickwire import (
    Candle,
    Fault,
    FaultKind,
    Finality,
    Heartbeat,
    Quote,
    Side,
    Timeframe,
    Trade,
    VenueStatus,
    WireError,
    parse_instant,
)
from wickwire_kraken.dialogue import Dialogue

WIRE: Final = Path(__file__).parent / "wire"
MINUTE: Final = Timeframe.parse("1m")


def wire(name):
    return (WIRE / f"{name}.json").read_bytes().strip()


def parse(frame):
    return list(wickwire_kraken.parse(frame, Dialogue()))


# ------------------------------------------------------------------------------------------------ candles


def test_an_ohlc_update_becomes_one_candle_that_says_nothing_of_being_closed():
    """Prices keep the digits that Kraken sent."""
    [candle] = parse(wire("ohlc_update"))

    open_ns = parse_instant("2026-11-21T05:00:00Z")
    assert candle == Candle(
        symbol="BTC/USD",
        timeframe=MINUTE,
        open_ns=open_ns,
        close_ns=open_ns + 60_000_000_000,
        open=Decimal("95020.0"),
        high=Decimal("95025.5"),
        low=Decimal("95019.9"),
        close=Decimal("95025.5"),
        volume=Decimal("0.11250000"),
        trade_count=3,
        vwap=Decimal("95024.9"),
        finality=Finality.UNSAID,
        snapshot=False,
    )
    assert ("95020.0", "0.11250000") == (str(candle.open), str(candle.volume))


def test_a_snapshot_brings_its_rows_in_order_and_marked():
    candles = parse(wire("ohlc_snapshot"))

    assert [parse_instant("2026-11-21T04:59:00Z"), parse_instant("2026-11-21T05:00:00Z")] == [
        candle.open_ns for candle in candles
    ]
    assert [(True, Finality.UNSAID)] * 2 == [(candle.snapshot, candle.finality) for candle in candles]


@pytest.mark.parametrize("channel", ["ohlc", "trade", "ticker"])
def test_an_empty_snapshot_means_nothing(channel):
    assert parse(b'{"channel":"%s","type":"snapshot","data":[]}' % channel.encode()) == []


def test_the_deprecated_timestamp_of_a_row_is_never_read():
    """It holds the end of the bucket, though Kraken's page calls it the start."""
    frame = wire("ohlc_update")

    assert parse(frame.replace(b"2026-11-21T05:01:00.000000Z", b"the day before yesterday")) == parse(frame)


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        *((1, "1m"), (5, "5m"), (15, "15m"), (30, "30m"), (60, "1h"), (240, "4h"), (1440, "1d")),
        *((10080, "1w"), (21600, "15d")),
    ],
)
def test_an_interval_is_counted_in_minutes(minutes, text):
    [candle] = parse(wire("ohlc_update").replace(b'"interval":1', b'"interval":%d' % minutes))

    assert candle.timeframe is Timeframe.parse(text)
    assert candle.close_ns - candle.open_ns == minutes * 60_000_000_000


def test_the_order_of_keys_does_not_matter():
    frame = wire("ohlc_update").replace(b'{"channel":"ohlc","type":"update",', b"{")

    assert parse(frame[:-1] + b',"type":"update","channel":"ohlc"}') == parse(wire("ohlc_update"))


# ------------------------------------------------------------------------------------------------- trades


def test_a_trade_has_the_takers_side_and_the_venues_id():
    [trade] = parse(wire("trade_update"))

    assert trade == Trade(
        "BTC/USD",
        "70000002",
        Decimal("95025.5"),
        Decimal("0.10000000"),
        Side.BUY,
        parse_instant("2026-11-21T05:00:13.500001Z"),
    )


def test_the_trades_of_a_snapshot_are_put_in_order_of_their_ids():
    """In which order Kraken sends them is nowhere written."""
    row = wire("trade_snapshot").partition(b"[")[2].removesuffix(b"]}")
    later = row.replace(b"70000001", b"70000010")

    trades = parse(b'{"channel":"trade","type":"snapshot","data":[%s,%s]}' % (later, row))

    assert [("70000001", True), ("70000010", True)] == [(trade.id, trade.snapshot) for trade in trades]


def test_one_message_may_hold_trades_of_several_takers():
    row = wire("trade_update").partition(b"[")[2].removesuffix(b"]}")
    other = row.replace(b"70000002", b"70000003").replace(b'"buy"', b'"sell"')

    trades = parse(b'{"channel":"trade","type":"update","data":[%s,%s]}' % (row, other))

    assert [Side.BUY, Side.SELL] == [trade.side for trade in trades]


# ------------------------------------------------------------------------------------------------- quotes


def test_a_ticker_becomes_a_quote():
    """Its volume and prices of 24 hours are no part of it."""
    [quote] = parse(wire("ticker_snapshot"))

    assert quote == Quote(
        "BTC/USD",
        Decimal("95025.4"),
        Decimal("1.10000000"),
        Decimal("95025.5"),
        Decimal("0.40000000"),
        parse_instant("2026-11-21T05:00:13.600000Z"),
        snapshot=True,
    )


def test_a_ticker_of_the_older_kind_has_no_time():
    [quote] = parse(wire("ticker_snapshot").replace(b',"timestamp":"2026-11-21T05:00:13.600000Z"', b""))

    assert quote.time_ns is None


def test_an_empty_side_of_the_book_is_none():
    [quote] = parse(
        wire("ticker_snapshot").replace(b'"bid":95025.4,"bid_qty":1.10000000', b'"bid":null,"bid_qty":null')
    )

    assert (None, None, Decimal("95025.5")) == (quote.bid, quote.bid_size, quote.ask)


# ------------------------------------------------------------------------------------- instants and numbers


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-21T05:00:13.500001Z", 500_001_000),
        ("2026-11-21T05:00:13.500000001Z", 500_000_001),
        ("2026-11-21T05:00:13.5Z", 500_000_000),
        ("2026-11-21T05:00:13Z", 0),
    ],
)
def test_an_instant_is_exact_to_the_nanosecond(text, nanoseconds):
    """Read twice on one connection: the second time its second is known already."""
    frame = wire("trade_update").replace(b"2026-11-21T05:00:13.500001Z", text.encode())
    memory = Dialogue()

    for _ in range(2):
        [trade] = wickwire_kraken.parse(frame, memory)
        assert isinstance(trade, Trade)
        assert trade.time_ns == parse_instant("2026-11-21T05:00:13Z") + nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T05:00:13.+00001Z",
        "2026-11-21T05:00:13.50_001Z",
        "2026-11-21T05:00:13.500001X",
        "2026-11-21T05:00:13.500001+01:00",
        "2026-02-30T05:00:13.500001Z",
        "2026-11-21T05:00:60.500001Z",
        "2026-11-21T05:00:13.\u0661\u0661\u0661\u0661\u0661\u0661Z",
        "2026-11-21",
        "",
    ],
)
def test_what_is_no_instant_is_refused_also_when_its_second_is_known(text):
    memory = Dialogue()
    frame = wire("trade_update")
    wickwire_kraken.parse(frame, memory)

    with pytest.raises(WireError) as caught:
        wickwire_kraken.parse(frame.replace(b"2026-11-21T05:00:13.500001Z", text.encode()), memory)

    assert caught.value.at == "$.data[0].timestamp"


def test_a_connection_does_not_remember_every_second_of_its_life():
    memory = Dialogue()
    for second in range(3_600):
        text = f"2026-11-21T05:{second // 60:02}:{second % 60:02}.500001Z"
        wickwire_kraken.parse(
            wire("trade_update").replace(b"2026-11-21T05:00:13.500001Z", text.encode()), memory
        )

    assert len(memory.seconds) < 2_000


def test_many_digits_and_exponents_stay_as_they_are():
    frame = (
        wire("trade_update")
        .replace(b"95025.5", b"12345678901234567890.123456789")
        .replace(b"0.10000000", b"1e-08")
    )
    [trade] = parse(frame)

    assert ("12345678901234567890.123456789", Decimal("0.00000001")) == (str(trade.price), trade.size)


@pytest.mark.parametrize("number", [b'"NaN"', b'"Infinity"', b'"-inf"', b'"sNaN"'])
@pytest.mark.parametrize("name", ["ohlc_update", "trade_update", "ticker_snapshot"])
def test_what_is_not_finite_is_no_number(name, number):
    with pytest.raises(WireError, match="finite"):
        parse(wire(name).replace(b"95025.5", number))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *(("ohlc_update", field) for field in (b"open", b"high", b"low", b"close", b"volume", b"vwap")),
        *(("trade_update", field) for field in (b"price", b"qty")),
        *(("ticker_snapshot", field) for field in (b"bid", b"bid_qty", b"ask", b"ask_qty")),
    ],
)
def test_one_number_that_is_none_is_enough(name, field):
    frame = re.sub(rb'"%s":[\d.]+' % field, b'"%s":"NaN"' % field, wire(name))
    with pytest.raises(WireError, match="finite"):
        parse(frame)


# -------------------------------------------------------------------------------------- everything beside


def test_the_state_of_the_venue_is_told():
    assert parse(wire("status")) == [VenueStatus(None, "online")]


def test_maintenance_is_told_with_what_is_announced():
    """It is no fault: the connection stays, and the venue says when it is back."""
    frame = (
        wire("status")
        .replace(b'"online"', b'"maintenance"')
        .replace(b'"emergency":[]', b'"emergency":["power"]')
    )

    assert parse(frame) == [VenueStatus(None, "maintenance", 'emergency: ["power"]')]


def test_a_status_without_the_newer_fields_is_understood():
    frame = b'{"channel":"status","type":"update","data":[{"version":"2.0.8","system":"post_only"}]}'

    assert parse(frame) == [VenueStatus(None, "post_only")]


def test_a_heartbeat_is_a_heartbeat():
    assert parse(wire("heartbeat")) == [Heartbeat()]


def test_a_pong_tells_the_venues_clock():
    assert parse(wire("pong")) == [Heartbeat(parse_instant("2026-11-21T05:00:09.100020Z"))]


@pytest.mark.parametrize("name", ["book_snapshot", "book_update"])
def test_channels_that_we_never_ask_for_mean_nothing(name):
    assert parse(wire(name)) == []


# -------------------------------------------------------------------------------------------------- junk


def test_one_bad_row_does_not_lose_the_others_and_is_named():
    frame = wire("ohlc_snapshot").replace(b'"open":95020.0', b'"open":"n/a"')

    candle, fault = parse(frame)

    assert candle.open_ns == parse_instant("2026-11-21T04:59:00Z")
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.PROTOCOL
    assert "1 of 2 rows of ohlc" in fault.text
    assert "$.data[1].open" in fault.text


def test_of_several_bad_rows_the_first_is_named():
    rows = json.loads(wire("ohlc_snapshot"))
    rows["data"] = [{**rows["data"][0], name: "n/a"} for name in ("open", "close")] + rows["data"]
    [fault] = [event for event in parse(json.dumps(rows).encode()) if isinstance(event, Fault)]

    assert "2 of 4 rows of ohlc left out, the first" in fault.text
    assert "$.data[0].open" in fault.text


def test_a_row_of_an_interval_that_kraken_does_not_have_is_a_bad_row():
    frame = wire("ohlc_snapshot")
    before, _, last = frame.rpartition(b'"interval":1,')

    candle, fault = parse(before + b'"interval":7,' + last)

    assert isinstance(candle, Candle)
    assert "$.data[1].interval" in fault.text


def test_bad_rows_of_a_trade_snapshot_do_not_disturb_the_order():
    row = wire("trade_update").partition(b"[")[2].removesuffix(b"]}")
    rows = [row.replace(b"70000002", b"70000004"), row.replace(b'"buy"', b'"both"'), row]

    *trades, fault = parse(b'{"channel":"trade","type":"snapshot","data":[%s]}' % b",".join(rows))

    assert ["70000002", "70000004"] == [trade.id for trade in trades]
    assert isinstance(fault, Fault)


def test_an_only_row_that_is_bad_is_refused_with_its_place():
    with pytest.raises(WireError) as caught:
        parse(wire("ohlc_update").replace(b'"volume":0.11250000', b'"volume":"n/a"'))

    assert caught.value.at == "$.data[0].volume"
    assert caught.value.frame.startswith(b'{"symbol":"BTC/USD"')


@pytest.mark.parametrize(
    ("frame", "phrase"),
    [
        (b'[340,["1542057314.748456","1542057360.435743"],"ohlc-5","XBT/USD"]', "WebSocket v1"),
        (b'{"connectionID":1,"event":"systemStatus","status":"online","version":"1.9.6"}', "WebSocket v1"),
        (b"", "truncated"),
        (b"<html>", "malformed"),
        (b'{"channel":"level3","data":[]}', "level3"),
        (b'{"channel":"trade","channel":"ohlc","type":"update","data":[]}', "ohlc"),
        (b'{"channel":"trade","type":"correction","data":[]}', "correction"),
        (b'{"hello":1}', "expected a channel"),
        (b'{"method":"subscribe","req_id":1}', "expected a channel"),
        (b'{"method":5}', "method"),
        (b"7", "Expected `object`"),
        (b'{"channel":"heartbeat","note":"\xff"}', "utf-8"),
        (b'{"channel":"trade","type":"update","data":[{"ord_type":"\xed\xa0\x80"}]}', "utf-8"),
        (b'{"channel":"book","data":' + b"[" * 100_000, "nested too deeply"),
        (b'{"method":' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_documented_is_refused_by_name(frame, phrase):
    with pytest.raises(WireError, match=phrase) as caught:
        parse(frame)

    assert caught.value.frame == frame[: WireError.SAMPLE_BYTES]


def test_of_a_repeated_key_the_last_one_counts():
    [trade] = parse(wire("trade_update").replace(b'"price":95025.5', b'"price":1,"price":95025.5'))

    assert trade.price == Decimal("95025.5")


def test_a_message_of_two_channels_is_refused_whatever_its_rows():
    frame = wire("ohlc_update").replace(b'{"channel":"ohlc"', b'{"channel":"trade","channel":"ohlc"')

    with pytest.raises(WireError, match="ohlc"):
        parse(frame)

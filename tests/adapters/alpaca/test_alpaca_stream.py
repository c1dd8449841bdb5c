"""What each message of Alpaca's stream means, in JSON and in msgpack alike."""

import json
from decimal import Decimal

import pytest

import wickwire_alpaca
from tests.adapters.alpaca.talk import (
    CRYPTO,
    D1,
    DELAYED,
    ENCODINGS,
    IEX,
    M1,
    NOBODY,
    SECRETS,
    SIP,
    TEST,
    frame,
    heard,
    memory,
    ns,
    numbers,
    packed,
    parsed,
    said,
)
from wickwire import (
    Account,
    Candle,
    Fault,
    FaultKind,
    Finality,
    Keepalive,
    Quote,
    Readiness,
    Side,
    Trade,
    TradeAction,
    VenueError,
    VenueStatus,
    WireError,
)
from wickwire_alpaca.stream import endpoint

both = pytest.mark.parametrize("encoding", ENCODINGS)


# ------------------------------------------------------------------------------------------------ connecting


@pytest.mark.parametrize(
    ("account", "url"),
    [
        (IEX, "wss://stream.data.alpaca.markets/v2/iex"),
        (SIP, "wss://stream.data.alpaca.markets/v2/sip"),
        (DELAYED, "wss://stream.data.alpaca.markets/v2/delayed_sip"),
        (TEST, "wss://stream.data.alpaca.markets/v2/test"),
        (CRYPTO, "wss://stream.data.alpaca.markets/v1beta3/crypto/us"),
        (
            Account(feed="iex", environment="sandbox", secrets=SECRETS),
            "wss://stream.data.sandbox.alpaca.markets/v2/iex",
        ),
    ],
)
def test_each_feed_has_an_endpoint_of_its_own(account, url):
    assert wickwire_alpaca.connect(account).url == url


def test_the_connection_waits_for_the_venue_to_speak_and_pings_it():
    told = wickwire_alpaca.connect(IEX)

    assert (told.ready, told.keepalive) == (Readiness.ON_EVENT, Keepalive(10.0))
    assert (told.changes_in_flight, told.acknowledges) == (1, True)


@both
def test_the_encoding_is_asked_for_in_the_opening_request(encoding):
    assert endpoint(IEX, encoding).headers == {"Content-Type": f"application/{encoding}"}
    assert memory(IEX, encoding).binary is (encoding == "msgpack")


def test_without_keys_nothing_is_streamed_and_what_works_is_said():
    with pytest.raises(VenueError, match=r"secrets key and secret .* crypto candles, such as") as caught:
        wickwire_alpaca.connect(NOBODY)

    assert caught.value.kind is FaultKind.CREDENTIALS


@pytest.mark.parametrize("wrong", [{"environment": "moon"}, {"plan": "gold"}, {"feed": "otc"}])
def test_what_does_not_exist_is_refused_with_what_does(wrong):
    with pytest.raises(VenueError, match="there are") as caught:
        wickwire_alpaca.connect(Account(secrets=SECRETS, **wrong))

    assert caught.value.kind is FaultKind.REQUEST


def test_keys_are_never_shown():
    shown = repr(endpoint(IEX, "json")) + repr(memory())

    assert "hush" not in shown
    assert "PKTEST" not in shown


# ------------------------------------------------------------------------------------------------- candles


@both
def test_bars_are_minutes_that_are_over(encoding):
    first, second = parsed("bars", encoding)

    assert first == Candle(
        "AAPL",
        M1,
        ns("2026-11-20T14:31:00Z"),
        ns("2026-11-20T14:32:00Z"),
        Decimal("227.1"),
        Decimal("227.4"),
        Decimal("227.05"),
        Decimal("227.32"),
        Decimal(1234),
        17,
        Decimal("227.214583"),
        Finality.CLOSED,
    )
    assert (second.symbol, second.trade_count) == ("MSFT", 6)


@both
def test_an_updated_bar_is_the_same_minute_closed_again(encoding):
    [before, _], [after] = parsed("bars", encoding), parsed("bar_updated", encoding)

    assert (before.open_ns, before.finality) == (after.open_ns, after.finality)
    assert (after.high, after.volume, after.trade_count) == (Decimal("227.45"), Decimal(1334), 18)


@both
def test_a_daily_bar_is_the_day_so_far_from_midnight_in_new_york(encoding):
    [day] = parsed("bar_daily", encoding)

    assert (day.timeframe, day.finality) == (D1, Finality.FORMING)
    assert (day.open_ns, day.close_ns) == (ns("2026-11-20T05:00:00Z"), ns("2026-11-21T05:00:00Z"))


def test_a_day_of_25_hours_ends_with_the_clock_change():
    [day] = said(
        [{"T": "d", "S": "BTC/USD", "o": 1, "h": 2, "l": 1, "c": 2, "v": 1, "t": "2026-11-01T05:00:00Z"}],
        memory(CRYPTO),
    )

    assert day.close_ns == ns("2026-11-02T06:00:00Z")
    assert (day.trade_count, day.vwap) == (None, None)


@both
def test_a_crypto_minute_without_trades_is_told_apart_by_its_count(encoding):
    """Its prices are the middle of bid and ask: count 0, volume 0, and no average of trades."""
    [candle] = parsed("bar_mids", encoding, CRYPTO)

    assert (candle.trade_count, candle.volume, candle.vwap) == (0, 0, None)
    assert candle.open == Decimal("91250.05")
    assert candle.finality is Finality.CLOSED


# -------------------------------------------------------------------------------------- trades and quotes


@both
def test_trades_of_a_batch_keep_nine_digits_and_no_side(encoding):
    first, second = parsed("trades_stock", encoding)

    assert first == Trade(
        "AAPL", "52983525029461", Decimal("227.31"), Decimal(100), None, ns("2026-11-20T14:31:02.123456789Z")
    )
    assert second.time_ns == ns("2026-11-20T14:31:02.2234567Z")


@both
def test_an_id_of_nineteen_digits_survives_and_crypto_knows_the_taker(encoding):
    [trade] = parsed("trade_crypto", encoding, CRYPTO)

    assert (trade.id, trade.side) == ("3447222699101865076", Side.SELL)
    assert (trade.price, trade.size) == numbers("91250.4", "0.00214")


@both
def test_a_correction_replaces_and_a_cancellation_takes_back(encoding):
    [corrected], [canceled] = parsed("correction", encoding), parsed("cancel", encoding)

    assert (corrected.action, corrected.id, corrected.replaces) == (
        TradeAction.CORRECTED,
        "52983525029499",
        "52983525029461",
    )
    assert (corrected.price, corrected.size) == numbers("227.13", "100")
    assert (canceled.action, canceled.id, canceled.replaces) == (
        TradeAction.CANCELED,
        "52983525029462",
        "52983525029462",
    )


@both
def test_a_quote_has_both_sides_or_says_which_is_missing(encoding):
    [whole], [half] = parsed("quote_stock", encoding), parsed("quote_one_side", encoding)

    assert whole == Quote(
        "AAPL",
        Decimal("227.3"),
        Decimal(200),
        Decimal("227.34"),
        Decimal(100),
        ns("2026-11-20T14:31:02.300000001Z"),
    )
    assert (half.bid, half.bid_size, half.ask) == (None, None, Decimal("227.34"))


@both
def test_a_halt_is_told_in_the_words_of_the_venue(encoding):
    text = "Trading Halt; T12: Trading Halted; For information requested by NASDAQ"

    assert parsed("status", encoding) == (VenueStatus("AAPL", "H", text),)


@both
def test_a_halt_without_a_reason_is_a_halt(encoding):
    row = json.loads(frame("status"))[0] | {"sc": "H", "sm": "Trading Halt", "rc": None, "rm": None}
    message = packed([row]) if encoding == "msgpack" else json.dumps([row]).encode()

    assert heard(message, memory(IEX, encoding)) == (VenueStatus("AAPL", "H", "Trading Halt"),)


@both
def test_a_batch_mixes_types_and_symbols_and_what_is_new_is_passed_over(encoding):
    assert [(type(event).__name__, event.symbol) for event in parsed("mixed", encoding)] == [
        ("Trade", "AAPL"),
        ("Quote", "MSFT"),
        ("Candle", "NVDA"),
    ]


@both
@pytest.mark.parametrize("name", ["luld", "book"])
def test_what_was_never_asked_for_means_nothing(name, encoding):
    assert parsed(name, encoding) == ()


def test_an_empty_batch_means_nothing():
    assert list(said([], memory())) == []
    assert list(heard(b"\x90", memory())) == []


# ---------------------------------------------------------------------------------- what is not documented


def test_a_connection_hears_both_encodings_whatever_it_asked_for():
    """A recording in JSON serves a client that would speak msgpack."""
    heard_by = memory(encoding="msgpack")

    assert heard(frame("bars"), heard_by) == heard(frame("bars", "msgpack"), heard_by)


@both
def test_a_bad_row_is_left_out_and_named(encoding):
    rows = json.loads(frame("trades_stock"))
    rows[0]["p"] = "NaN"
    message = json.dumps(rows).encode() if encoding == "json" else packed(rows)

    trade, fault = heard(message, memory(encoding=encoding))

    assert trade.id == "52983525029462"
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.PROTOCOL
    assert "1 of 2 rows left out" in fault.text
    assert "$[0]" in fault.text


@pytest.mark.parametrize(
    "row",
    [
        {"T": "t", "S": "AAPL", "i": 1, "p": "Infinity", "s": 1, "t": "2026-11-20T14:31:02Z"},
        {"T": "t", "S": "AAPL", "i": 1, "p": None, "s": 1, "t": "2026-11-20T14:31:02Z"},
        {"T": "t", "S": "AAPL", "i": 1.5, "p": 1, "s": 1, "t": "2026-11-20T14:31:02Z"},
        {"T": "q", "S": "AAPL", "bp": 1, "bs": "sNaN", "ap": 1, "as": 1, "t": "2026-11-20T14:31:02Z"},
        {"T": "b", "S": "AAPL", "o": 1, "h": 1, "l": 1, "c": 1, "v": "NaN", "t": "2026-11-20T14:31:00Z"},
        {"T": "b", "S": 7, "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "t": "2026-11-20T14:31:00Z"},
        {"T": "c", "S": "AAPL", "oi": 1, "ci": 2, "cp": "NaN", "cs": 1, "t": "2026-11-20T14:31:00Z"},
        {"T": "x", "S": "AAPL", "i": 1, "p": 1, "s": "NaN", "t": "2026-11-20T14:31:00Z"},
        {"T": "d", "S": "AAPL", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "t": "0001-01-01T00:00:00Z"},
        {"T": "error", "code": "many"},
        {"T": 5},
        {"S": "AAPL"},
        7,
    ],
)
def test_a_message_without_one_good_row_is_junk(row):
    with pytest.raises(WireError):
        said([row], memory())


def test_an_answer_among_data_is_heard_once():
    """It never comes so; were it heard twice, it would answer two requests."""
    heard_by = memory()
    bad = {"T": "t", "S": "AAPL", "i": 1, "p": "NaN", "s": 1, "t": "2026-11-20T14:31:02Z"}

    events = said([{"T": "success", "msg": "connected"}, bad], heard_by)

    assert [type(event).__name__ for event in events] == ["Send", "Fault"]


@pytest.mark.parametrize(
    "message",
    [
        b'{"stream":"authorization","data":{"status":"authorized","action":"authenticate"}}',
        b'{"stream":"listening","data":{"streams":["AM.AAPL"]}}',
    ],
)
def test_the_trading_stream_and_the_retired_v1_are_refused_by_name(message):
    with pytest.raises(WireError, match="trading stream or the retired v1"):
        heard(message, memory())


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"null",
        b"{}",
        b"[",
        b'[{"T":"t"',
        b"\xc1",
        b"\x91",
        b"\xff" * 9,
        b"[" * 100_000,
        b"\x91" * 100_000,
    ],
)
def test_junk_is_a_wire_error(message):
    with pytest.raises(WireError):
        heard(message, memory())


def test_deep_nesting_in_a_field_that_is_skipped_is_a_wire_error():
    deep = b'[{"T":"t","S":"AAPL","i":1,"p":1,"s":1,"t":"2026-11-20T14:31:02Z","c":' + b"[" * 100_000

    with pytest.raises(WireError):
        heard(deep + b"]" * 100_000 + b"}]", memory())


def test_bytes_that_are_no_text_are_refused_also_where_nobody_looks():
    with pytest.raises(WireError):
        heard(frame("trades_stock").replace(b'"@"', b'"\xff"'), memory())


def test_the_last_of_two_equal_keys_counts():
    [trade] = heard(frame("trade_crypto").replace(b'"p":', b'"p":1,"p":'), memory(CRYPTO))

    assert trade.price == Decimal("91250.4")

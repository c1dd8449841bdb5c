"""Alpaca as others recorded it, against what an independent client read in the same replies.

The recordings are third-party data and stay outside the repository; WICKWIRE_CAPTURES names their folder.
"""

import json
import os
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

import wickwire_alpaca
from tests.adapters.alpaca.talk import (
    CRYPTO,
    D1,
    ENCODINGS,
    H1,
    IEX,
    M1,
    NOBODY,
    PLUS,
    QUOTES,
    TEST,
    TRADES,
    answered,
    asked,
    heard,
    memory,
    ns,
    packed,
    query,
)
from wickwire import (
    Accepted,
    Candle,
    Fault,
    FaultKind,
    Finality,
    HttpReply,
    Ready,
    Refused,
    Send,
    Side,
    Topic,
    TradeQuery,
    VenueError,
    WireError,
)

CAPTURES = Path(os.environ.get("WICKWIRE_CAPTURES", "/nonexistent"), "alpaca")

pytestmark = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason="WICKWIRE_CAPTURES is not set, or has no folder alpaca: no captures here"
)


def body(name):
    return (CAPTURES / f"{name}.json").read_bytes()


def events(name, account=IEX, by=None, encoding="json"):
    """All that the frames of a recorded connection mean, also when the venue had packed them."""
    by = by or memory(account, encoding)
    lines = (CAPTURES / f"{name}.jsonl").read_bytes().splitlines()
    frames = lines if encoding == "json" else [packed(json.loads(line)) for line in lines]
    return [event for line in frames for event in heard(line, by)]


def expected(name):
    return json.loads((CAPTURES / f"{name}.expect.json").read_text())


# -------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_crypto_of_2024_keeps_its_ids_and_a_minute_of_quotes(encoding):
    first, second, quote, bar = events("ws.crypto_20240114", CRYPTO, encoding=encoding)

    assert (first.id, first.side, second.side) == ("8102483281662395354", Side.BUY, Side.SELL)
    assert first.time_ns == ns("2024-01-14T23:36:23.17799008Z")
    assert (quote.bid, quote.ask_size) == (Decimal("42135.56"), Decimal("0.550171"))
    assert (bar.trade_count, bar.volume, bar.vwap) == (0, 0, None)
    assert (bar.open, bar.high) == (Decimal("42006.2005"), Decimal("42051.4725"))
    assert bar.open_ns == ns("2024-01-14T23:30:00Z")


def test_crypto_of_2026_says_milliseconds():
    by = memory(CRYPTO)
    asked([Topic("BTC/USD", TRADES)], [], by)
    accepted, trade = events("ws.crypto_20260223", by=by)

    assert accepted == Accepted([Topic("BTC/USD", TRADES)])
    assert (trade.id, trade.size) == ("8160237406270933078", Decimal("0.000038"))
    assert trade.time_ns == ns("2026-02-23T15:57:33.393Z")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_session_that_the_documents_show_reads_from_welcome_to_bar(encoding):
    by = memory(TEST, encoding)
    asked([Topic("FAKEPACA", M1), Topic("FAKEPACA", QUOTES)], [], by)
    keys, ready, accepted, first, second, bar = events("ws.docs_wscat_test", by=by, encoding=encoding)

    assert isinstance(keys, Send)
    assert (keys.secret, ready) == (True, Ready())
    assert accepted == Accepted([Topic("FAKEPACA", M1), Topic("FAKEPACA", QUOTES)])
    assert second.time_ns - first.time_ns == 5_001_493_392
    assert (bar.high, bar.trade_count, bar.finality) == (Decimal(136), 16, Finality.CLOSED)


def test_a_condition_of_one_space_is_no_reason_to_refuse_a_trade():
    [trade] = events("ws.fakepaca_trade_20260915", TEST)

    assert (trade.id, trade.side) == ("1", None)
    assert trade.time_ns == ns("2026-09-15T11:01:53.291535755Z")


@pytest.mark.parametrize(
    ("name", "symbols", "confirmed"),
    [
        ("ack_three", ["AAPL", "NVDA", "SPY"], ["AAPL", "NVDA", "SPY"]),
        ("ack_full_state", ["RIVN", "AAPL"], ["RIVN"]),
        ("ack_unknown_symbol", ["ZZQQTESTX"], ["ZZQQTESTX"]),
        ("ack_empty", ["AAPL"], []),
    ],
)
def test_an_answer_is_the_whole_set_without_empty_channels(name, symbols, confirmed):
    """A symbol that does not exist is confirmed as any other: the venue never refuses one by name."""
    by = memory()
    asked([Topic(symbol, M1) for symbol in symbols], [], by)

    accepted = events(f"ws.marketpulse.{name}", by=by)

    assert [topic.symbol for event in accepted for topic in event.topics] == confirmed


def test_a_bar_and_its_two_revisions():
    [bar], [volume], [close] = (
        events(f"ws.marketpulse.{name}") for name in ("bar_nvda", "updated_bar_volume", "updated_bar_close")
    )

    assert {bar.open_ns, volume.open_ns, close.open_ns} == {ns("2026-09-16T14:01:00Z")}
    assert [each.trade_count for each in (bar, volume, close)] == [82, 84, 84]
    assert (bar.close, volume.close, close.close) == (Decimal("214.75"), Decimal("214.75"), Decimal("214.71"))
    assert all(isinstance(each, Candle) and each.finality is Finality.CLOSED for each in (bar, volume, close))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error_402", FaultKind.CREDENTIALS),
        ("error_406", FaultKind.SLOT_TAKEN),
        ("error_409", FaultKind.ENTITLEMENT),
    ],
)
def test_recorded_errors_of_a_connection(name, kind):
    [fault] = events(f"ws.marketpulse.{name}")

    assert isinstance(fault, Fault)
    assert fault.kind is kind


@pytest.mark.parametrize(
    ("name", "kind"), [("error_400", FaultKind.SYMBOL), ("error_405", FaultKind.ENTITLEMENT)]
)
def test_recorded_errors_of_a_request(name, kind):
    by = memory()
    asked([Topic("AAPL", M1)], [], by)
    [refused] = events(f"ws.marketpulse.{name}", by=by)

    assert isinstance(refused, Refused)
    assert (refused.kind, refused.topics) == (kind, [Topic("AAPL", M1)])


def test_an_answer_names_what_comes_with_the_trades_and_an_error_follows():
    by = memory(PLUS)
    asked([Topic("AAPL", TRADES), Topic("SPY", QUOTES)], [], by)
    asked([Topic("", TRADES)], [], by)
    accepted, refused = events("ws.sip_controls_20261006", by=by)

    assert accepted == Accepted([Topic("AAPL", TRADES), Topic("SPY", QUOTES)])
    assert refused == Refused([Topic("", TRADES)], FaultKind.SYMBOL, "400 invalid syntax")


def test_the_recorded_welcome_and_success():
    assert [type(event) for event in events("ws.marketpulse.greeting")] == [Send]
    assert events("ws.marketpulse.authenticated") == [Ready()]


# --------------------------------------------------------------------------------------------------- history


def test_a_bar_of_crypto_is_the_one_that_ccxt_read():
    asked_for = query("BTC/USD", M1, "2024-07-18T05:00:00Z", "2024-07-18T05:10:00Z")
    page, _ = answered(wickwire_alpaca.fetch_ohlcv(asked_for, NOBODY), body("rest.ccxt.bars"))

    [told], [row] = expected("rest.ccxt.bars")["candles"], page.candles

    assert told[0] == row.open_ns // 1_000_000
    assert [Decimal(str(number)) for number in told[1:]] == [
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
    ]


def test_a_trade_of_crypto_is_the_one_that_ccxt_read():
    asked_for = TradeQuery(
        symbol="BTC/USD",
        since_ns=ns("2024-07-18T05:00:00Z"),
        until_ns=ns("2024-07-18T05:10:00Z"),
        now_ns=ns("2024-07-19"),
    )
    page, _ = answered(wickwire_alpaca.fetch_trades(asked_for, NOBODY), body("rest.ccxt.trades"))
    [trade], [told] = page.trades, expected("rest.ccxt.trades")["trades"]

    assert (trade.id, trade.time_ns // 1_000_000) == (told["id"], told["timestamp_ms"])
    assert (str(trade.price), str(trade.size), trade.side) == (told["price"], told["amount"], Side.BUY)


def test_hours_around_a_short_day_have_gaps_and_none_is_filled():
    asked_for = query("NVDA", H1, "2025-11-25T00:00:00Z", "2025-12-01T00:00:00Z")
    page, _ = answered(wickwire_alpaca.fetch_ohlcv(asked_for, PLUS), body("rest.hourly_halfday"))
    opens = [row.open_ns for row in page.candles]

    assert (len(opens), opens) == (30, sorted(set(opens)))
    assert page.covered == (asked_for.since_ns, asked_for.until_ns)
    assert any(later - earlier > 10 * 3_600 * 10**9 for earlier, later in pairwise(opens))


def test_days_open_at_midnight_in_new_york_and_a_split_stays_a_cliff():
    asked_for = query("NVDA", D1, "2024-05-20T04:00:00Z", "2024-06-20T04:00:00Z")
    page, _ = answered(wickwire_alpaca.fetch_ohlcv(asked_for, PLUS), body("rest.split_raw"))
    closes = [row.close for row in page.candles]

    assert len(closes) == 16
    assert {row.open_ns % 86_400_000_000_000 for row in page.candles} == {4 * 3_600 * 10**9}
    assert max(before / after for before, after in pairwise(closes)) > 9


def test_no_bars_are_no_error():
    asked_for = query("BTC/USD", M1, "2026-07-18T05:00:00Z", "2026-07-18T05:10:00Z")
    page, _ = answered(wickwire_alpaca.fetch_ohlcv(asked_for, NOBODY), body("rest.empty_200"))

    assert list(page.candles) == []


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("rest.error_400", 400, FaultKind.REQUEST),
        ("rest.error_403", 403, FaultKind.ENTITLEMENT),
        ("rest.error_429", 429, FaultKind.WAIT),
    ],
)
def test_recorded_refusals(name, status, kind):
    asked_for = query("AAPL", M1, "2026-07-18T05:00:00Z", "2026-07-18T05:10:00Z")

    with pytest.raises(VenueError) as caught:
        answered(wickwire_alpaca.fetch_ohlcv(asked_for, PLUS), HttpReply(status=status, body=body(name)))
    assert caught.value.kind is kind


def test_a_recording_of_hours_is_not_taken_for_minutes():
    asked_for = query("NVDA", M1, "2025-11-25T00:00:00Z", "2025-12-01T00:00:00Z")

    with pytest.raises(WireError, match="got others"):
        answered(wickwire_alpaca.fetch_ohlcv(asked_for, PLUS), body("rest.hourly_halfday"))

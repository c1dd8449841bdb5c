"""Coinbase's stream: what one frame means."""

import json
from decimal import Decimal
from typing import Any

import pytest

import wickwire_coinbase
from tests.adapters.coinbase.wires import (
    BTC_5M,
    BTC_QUOTES,
    FIVE,
    START,
    WIRE,
    Client,
    candle_row,
    candles,
    envelope,
    ticker,
    trade_row,
    trades,
    wire,
)
from wickwire import (
    SECOND_NS,
    Account,
    Candle,
    Fault,
    FaultKind,
    Finality,
    Heartbeat,
    Quote,
    Readiness,
    Removed,
    Side,
    Trade,
    VenueError,
    WireError,
    parse_instant,
)
from wickwire_coinbase.memory import STALE_IN_A_ROW, Memory
from wickwire_coinbase.rows import TAKER_SIDES


def parse(frame: bytes) -> list[Any]:
    return list(wickwire_coinbase.parse(frame, Memory()))


# --------------------------------------------------------------------------------------------- connecting


def test_heartbeats_are_subscribed_to_at_once():
    """The venue says nothing before, and hangs up after five seconds without a subscription."""
    endpoint = wickwire_coinbase.connect(Account())

    assert endpoint.url == "wss://advanced-trade-ws.coinbase.com"
    assert [{"type": "subscribe", "channel": "heartbeats"}] == [
        json.loads(send.frame) for send in endpoint.hello
    ]
    assert (Readiness.ON_OPEN, 1) == (endpoint.ready, endpoint.changes_in_flight)


def test_the_sandbox_has_no_market_data():
    with pytest.raises(VenueError, match="no environment 'sandbox'; there is production"):
        wickwire_coinbase.connect(Account(environment="sandbox"))


def test_a_whole_session_reads_from_its_greeting_to_its_error():
    names = sorted((p.stem for p in WIRE.glob("*.json") if not p.stem.startswith("rest_")), key=number_of)
    memory = Memory()
    events: list[Any] = []
    for name in names:
        events += wickwire_coinbase.parse(wire(name), memory)

    kinds = [Heartbeat, Candle, Candle, Candle, Trade, Trade, Trade, Trade, Quote, Fault]
    assert kinds == [type(event) for event in events]
    assert events[-1].text == "authentication failure"


def number_of(name: str) -> int:
    return int(json.loads(wire(name)).get("sequence_num", 100))


# ------------------------------------------------------------------------------------------------ candles


def test_a_candle_of_the_stream_has_five_minutes_and_says_nothing_of_being_closed():
    """The row has high, low, open, close in this order, and no granularity."""
    [candle] = parse(wire("candles_update"))

    open_ns = parse_instant("2026-11-21T05:00:00Z")
    assert candle == Candle(
        symbol="BTC/USD",
        timeframe=FIVE,
        open_ns=open_ns,
        close_ns=open_ns + 300 * SECOND_NS,
        open=Decimal(95020),
        high=Decimal(95026),
        low=Decimal("95019.9"),
        close=Decimal(95026),
        volume=Decimal("0.1185"),
        trade_count=None,
        vwap=None,
        finality=Finality.UNSAID,
        snapshot=False,
    )


def test_digits_are_kept_as_they_came():
    [candle] = parse(candles(0, candle_row("0.11250000", close="11.50")))

    assert ("11.50", "0.11250000") == (str(candle.close), str(candle.volume))


def test_a_snapshot_is_sorted_and_marked():
    """The transcribed one comes newest first; nothing documents the order."""
    found = parse(wire("candles_snapshot"))

    assert [START - 300, START] == [candle.open_ns // SECOND_NS for candle in found]
    assert [True, True] == [candle.snapshot for candle in found]


def test_an_older_state_never_overwrites_a_newer_one():
    """Rows of one bucket arrive interleaved: what has less volume is older."""
    client = Client()
    told = client.hear(*(candles(n, candle_row(v)) for n, v in enumerate(("1", "3", "2", "3", "4"), 1)))

    assert [Decimal(volume) for volume in "1334"] == [candle.volume for candle in told]


def test_a_bucket_with_an_older_state_in_it_is_doubted_when_it_ends():
    """It is withdrawn behind the first row of the next bucket: the ledger then asks history."""
    client = Client()
    client.hear(candles(1, candle_row("3")), candles(2, candle_row("2")), candles(3, candle_row("4")))
    told = client.hear(candles(4, candle_row("0.1", START + 300)))
    later = client.hear(candles(5, candle_row("0.1", START + 600)))

    first, doubt = told
    assert ((START + 300) * SECOND_NS, "0.1") == (first.open_ns, str(first.volume))
    assert doubt == Removed(BTC_5M, START * SECOND_NS)
    assert [START + 600] == [candle.open_ns // SECOND_NS for candle in later]


@pytest.mark.parametrize("wrong", [{"volume": "NaN"}, {"start": START + 700}, {"start": "1" * 30}])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_bad_row_beside_the_first_of_the_next_bucket_costs_no_doubt(wrong, parts):
    client = Client()
    client.send(BTC_5M)
    client.hear(candles(1, candle_row("5")), candles(2, candle_row("4")))
    rows = [candle_row("5", START + 300), candle_row(**{"start": START + 600, **wrong})]
    events = [
        {"type": "update", "candles": part} for part in ([rows] if parts == 1 else [[row] for row in rows])
    ]
    told = client.hear(envelope("candles", 3, *events))

    assert [Candle, Removed, Fault] == [type(event) for event in told]
    assert told[1] == Removed(BTC_5M, START * SECOND_NS)


def test_a_message_of_more_buckets_than_are_remembered_is_read_whole():
    rows = [candle_row("1", START + 300 * number) for number in range(3_000)]

    assert len(Client().hear(candles(1, *rows), candles(2, *rows[:2_000]))) > 3_000


@pytest.mark.parametrize("kind", ["snapshot", "update"])
def test_an_older_state_of_a_bucket_that_is_over_is_a_doubt_and_no_row(kind):
    client = Client()
    client.hear(candles(1, candle_row("3")), candles(2, candle_row("1", START + 300)))
    told = client.hear(candles(3, candle_row("2"), candle_row("1", START + 300), kind=kind))

    assert [Removed, Candle] == [type(event) for event in told]
    assert [START, START + 300] == [event.open_ns // SECOND_NS for event in told]


def test_a_newer_state_of_a_bucket_that_is_over_is_a_row():
    client = Client()
    client.hear(candles(1, candle_row("3")), candles(2, candle_row("1", START + 300)))

    assert [Decimal(4)] == [candle.volume for candle in client.hear(candles(3, candle_row("4")))]


def test_products_do_not_share_their_volumes():
    client = Client()
    told = client.hear(candles(1, candle_row("3")), candles(2, candle_row("2", product="ETH-USD")))

    assert ["BTC/USD", "ETH/USD"] == [candle.symbol for candle in told]


@pytest.mark.parametrize("start", ["1795237201", "0x5", "", "-300", "1795237200.0", "30000000000", "9" * 20])
def test_a_start_that_no_five_minutes_have_is_refused(start):
    with pytest.raises(WireError, match=r"events\[0\]\.candles\[0\]\.start"):
        parse(candles(0, candle_row(start=start)))


# ------------------------------------------------------------------------------------------------- trades


def test_the_makers_side_becomes_the_takers():
    """BUY says that the resting order bought: who crossed the spread sold. One table says so, both ways."""
    [first, second] = parse(wire("trades_update"))

    assert first == Trade(
        "BTC/USD",
        "995098702",
        Decimal(95026),
        Decimal("0.03710506"),
        Side.BUY,
        parse_instant("2026-11-21T05:00:12.625001Z"),
    )
    assert second.side is Side.SELL
    assert {"BUY": Side.SELL, "SELL": Side.BUY, "UNKNOWN_ORDER_SIDE": None} == TAKER_SIDES


def test_trades_are_sorted_by_number_not_by_text():
    """Snapshots come newest first, and of updates the sources disagree."""
    told = parse(trades(0, *(trade_row(number) for number in ("1000", "998", "999")), kind="snapshot"))

    assert ["998", "999", "1000"] == [trade.id for trade in told]
    assert {True} == {trade.snapshot for trade in told}


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("05:00:12Z", 0),
        ("05:00:12.834Z", 834_000_000),
        ("05:00:12.000000001Z", 1),
        ("05:00:12.12345678Z", 123456780),
    ],
)
def test_instants_keep_all_their_digits(text, ns):
    [trade] = parse(trades(0, trade_row(time=f"2026-11-21T{text}")))

    assert trade.time_ns == parse_instant("2026-11-21T05:00:12Z") + ns


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time", "2026-02-30T05:00:12.1Z"),
        ("time", "2026-11-21 05:00:12.1 +0000 UTC"),
        ("time", "2026-11-21T05:00:12.1234567890Z"),
        ("side", "BID"),
        ("trade_id", "7a"),
        ("trade_id", "\u0667"),
        ("trade_id", "9" * 5000),
        ("price", "NaN"),
        ("size", "Infinity"),
    ],
)
def test_a_trade_that_says_nonsense_is_refused(field, value):
    with pytest.raises(WireError, match=r"coinbase: "):
        parse(trades(0, trade_row(**{field: value})))


# ------------------------------------------------------------------------------------------------- quotes


def test_a_quote_is_of_the_time_at_which_the_message_was_sent():
    """Rows carry no time."""
    assert parse(wire("ticker_snapshot")) == [
        Quote(
            "BTC/USD",
            Decimal("95025.99"),
            Decimal("1.1"),
            Decimal(95026),
            Decimal("0.4"),
            parse_instant("2026-11-21T05:00:13.000000001Z"),
            snapshot=True,
        )
    ]


EMPTY = {"type": "ticker", "product_id": "", "price": "", "best_bid": "", "best_ask": ""}
FULL = {"type": "ticker", "product_id": "BTC-USD", "price": "10", "best_bid": "9", "best_ask": "11"}


def test_an_empty_row_is_no_quote_and_no_fault():
    assert parse(ticker(0, EMPTY)) == []
    assert [Quote] == [type(event) for event in parse(ticker(0, EMPTY, FULL))]


def test_an_empty_side_of_the_book_is_none():
    [quote] = parse(ticker(0, {**FULL, "best_ask": ""}))

    assert (Decimal(9), None) == (quote.bid, quote.ask)


def test_a_row_from_before_best_prices_were_told_is_no_quote():
    assert parse(ticker(0, {"type": "ticker", "product_id": "BTC-USD", "price": "10"})) == []


def test_a_bad_number_in_a_quote_is_refused():
    with pytest.raises(WireError, match="expected numbers"):
        parse(ticker(0, {**FULL, "best_ask": "11,5"}))


# ----------------------------------------------------------------------------------- the count of messages


def test_one_count_runs_over_all_channels_answers_included():
    """Counting each channel alone would report false gaps."""
    client = Client()
    events = client.hear(
        wire("heartbeat"), wire("candles_snapshot"), wire("ack_candles"), wire("candles_update")
    )

    assert [] == [event for event in events if isinstance(event, Fault)]
    assert client.memory.expected == 5


def test_a_gap_is_a_fault_and_comes_before_the_data():
    """The row that formed is doubted first; what comes after the gap is trusted again."""
    client = Client()
    events = client.hear(candles(1, candle_row("1")), candles(3, candle_row("2")))

    assert [Candle, Fault, Candle] == [type(event) for event in events]
    assert (FaultKind.GAP, "coinbase: lost message 2 of this connection, of whatever channel") == (
        events[1].kind,
        events[1].text,
    )


@pytest.mark.parametrize(("number", "lost"), [(2, "1"), (3, "1..2"), (4, "1..3")])
def test_a_gap_says_which_messages_are_lost(number, lost):
    [fault, _] = Client().hear(candles(number, candle_row()))

    assert f" {lost} of this connection" in fault.text


def test_a_gap_shows_in_any_channel():
    for frame in (
        envelope("heartbeats", 9),
        envelope("l2_data", 9),
        envelope("subscriptions", 9, {"subscriptions": {}}),
    ):
        [fault, *_] = Client().hear(frame)
        assert "1..8" in fault.text


def test_what_is_older_than_the_count_is_dropped():
    client = Client()
    client.hear(candles(1, candle_row("1")), candles(2, candle_row("2")))

    assert client.hear(candles(2, candle_row("3")), candles(0, candle_row("4")), envelope("status", 1)) == []
    assert [Candle] == [type(event) for event in client.hear(candles(3, candle_row("5")))]


def test_a_count_that_begins_anew_ends_the_connection():
    """Else everything that follows would be dropped, for ever."""
    client = Client()
    client.hear(candles(1_000, candle_row("1")))
    heard = client.hear(*(candles(number, candle_row("2")) for number in range(STALE_IN_A_ROW)))

    assert [FaultKind.RESTART] == [event.kind for event in heard]


def test_quotes_told_every_five_seconds_are_quotes():
    """Nothing here asks for them; a recorded session may hold them, bad rows and all."""
    heard = Client()
    heard.send(BTC_QUOTES)
    batch, once = (
        {"type": "update", "tickers": rows} for rows in ([FULL], [FULL, {**FULL, "best_bid": "x"}])
    )

    [quote] = heard.hear(envelope("ticker_batch", 1, batch))
    [again, fault] = heard.hear(envelope("ticker_batch", 2, once))

    assert [quote] == parse(ticker(0, FULL))
    assert (again, type(fault)) == (quote, Fault)


def test_a_message_without_a_number_is_read_and_does_not_count():
    client = Client()
    unnumbered = candles(0, candle_row("1")).replace(b'"sequence_num": 0, ', b"")
    assert b"sequence_num" not in unnumbered

    assert [Candle] == [type(event) for event in client.hear(unnumbered)]
    assert [Candle] == [type(event) for event in client.hear(candles(1, candle_row("2")))]
    assert [Candle] == [type(event) for event in client.hear(unnumbered.replace(b'"1"', b'"3"'))]
    assert [Candle] == [type(event) for event in client.hear(candles(2, candle_row("4")))]


def test_the_first_message_may_have_any_number():
    """Before it nothing was heard that could be doubted."""
    assert [Candle] == [type(event) for event in parse(candles(77, candle_row()))]


def test_what_could_not_be_read_was_lost():
    """Its content is missing, whatever its number: the next message shows a gap."""
    client = Client()
    client.hear(candles(1, candle_row("1")))
    with pytest.raises(WireError):
        client.hear(candles(2, candle_row("nothing")))

    assert [Fault, Candle] == [type(event) for event in client.hear(candles(3, candle_row("3")))]


# --------------------------------------------------------------------------------------- heartbeats, others


@pytest.mark.parametrize("counter", [b"21697", b'"21697"'])
def test_a_heartbeat_tells_the_venues_time_from_its_envelope(counter):
    """Its own is the text of a clock of Go's; its counter is a number, and a string in the documents."""
    frame = wire("heartbeat").replace(b'"heartbeat_counter":21697', b'"heartbeat_counter":' + counter)

    assert parse(frame) == [Heartbeat(parse_instant("2026-11-21T05:00:11.057895263Z"))]


@pytest.mark.parametrize("channel", ["l2_data", "status", "user", "futures_balance_summary", "new"])
def test_a_channel_that_we_did_not_ask_for_means_nothing(channel):
    """The venue may add some at any time."""
    client = Client()

    assert client.hear(envelope(channel, 1, {"type": "snapshot"}), candles(2, candle_row())) != []
    assert client.memory.expected == 3


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"subscriptions","channels":[{"name":"ticker","product_ids":["BTC-USD"]}]}',
        b'{"type":"match","trade_id":1,"side":"buy","size":"1","price":"1","product_id":"BTC-USD","sequence":5}',
        b'{"type":"ticker","sequence":5,"product_id":"BTC-USD","price":"1","side":"buy","best_bid":"1"}',
        b'{"type":"l2update","product_id":"BTC-USD","changes":[["buy","1","2"]]}',
        b'{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD"}',
        b'{"type":"snapshot","product_id":"BTC-USD","bids":[["1","2"]],"asks":[]}',
    ],
)
def test_the_exchange_feed_is_refused_by_name(frame):
    with pytest.raises(WireError, match="this is the Exchange feed"):
        parse(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"channel":5}',
        b'{"channel":"candles"}',
        b'{"channel":"candles","sequence_num":0,"events":[{"type":"delta","candles":[]}]}',
        b'{"channel":"candles","sequence_num":true,"events":[]}',
        b'{"channel":"candles","channel":"ticker","sequence_num":0,"events":[{"type":"update","candles":[]}]}',
        b'{"channel":"subscriptions","sequence_num":0,"events":[]}',
        b'{"channel":"heartbeats","sequence_num":0,"timestamp":"yesterday"}',
        b'{"channel":"heartbeats","sequence_num":0,"timestamp":""' + b',"x":"\xff"}',
        b'{"channel":"candles","x":' + b"[" * 100_000,
    ],
    ids=lambda frame: frame[:70].decode(errors="replace") or "nothing",
)
def test_what_is_not_documented_is_junk(frame):
    with pytest.raises(WireError, match="coinbase: "):
        parse(frame)


@pytest.mark.parametrize(
    ("frame", "at"),
    [
        (b'{"channel":"heartbeats","sequence_num":0,"timestamp":"yesterday"}', "$.timestamp"),
        (b'{"channel":"subscriptions","sequence_num":0,"events":[]}', "$.events"),
        (candles(0, candle_row("NaN")), "$.events[0].candles[0]"),
        (candles(0, candle_row(start=START + 7)), "$.events[0].candles[0].start"),
    ],
)
def test_junk_says_where_it_is(frame, at):
    with pytest.raises(WireError) as caught:
        parse(frame)

    assert (at, bool(caught.value.frame)) == (caught.value.at, True)


def test_a_bad_row_is_left_out_and_named_and_the_others_come():
    events = parse(
        candles(0, candle_row("1"), candle_row("NaN", product="ETH-USD"), candle_row("2", product="X-USD"))
    )

    assert ["BTC/USD", "X/USD"] == [event.symbol for event in events if isinstance(event, Candle)]
    [fault] = [event for event in events if isinstance(event, Fault)]
    assert fault.kind is FaultKind.PROTOCOL
    assert "1 rows of candles left out" in fault.text


def test_of_several_bad_rows_the_first_is_named():
    rows = candle_row("1"), candle_row("NaN", product="ETH-USD"), candle_row("2", START + 7)
    [fault] = [event for event in parse(candles(0, *rows)) if isinstance(event, Fault)]

    assert "2 rows of candles left out, the first: coinbase: expected finite numbers" in fault.text


def test_a_row_of_another_type_spoils_no_other():
    events = parse(trades(0, trade_row("8"), {"product_id": 5}, trade_row("7")))

    assert [("7", Trade), ("8", Trade)] == [(event.id, type(event)) for event in events[:2]]
    assert isinstance(events[2], Fault)

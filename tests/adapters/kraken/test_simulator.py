"""The simulated WebSocket v2, conversation by conversation: frames in, frames out, beside the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.kraken_client import (
    MARKET,
    NOW,
    START,
    Client,
    apply_levels,
    crc_of,
    heard_as,
    opening,
    request_for,
    rows_of,
    same_values,
    true_candles,
)
from wickwire import DAY_NS, MINUTE_NS, SECOND_NS, Side, parse_instant
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.server import Answer
from wickwire_kraken.simulator import KrakenServer
from wickwire_kraken.simulator_book import Book, changes, checksum
from wickwire_kraken.simulator_pairs import pairs_of

# ----------------------------------------------------------------------------------- opening and answers


def test_the_status_comes_first_with_an_id_beyond_63_bits(client: Client) -> None:
    [frame] = [heard_as(out) for out in client.first]

    assert (frame["channel"], frame["type"]) == ("status", "update")
    assert frame["data"][0]["system"] == "online"
    assert frame["data"][0]["connection_id"] > 2**63


def test_only_the_two_protocols_are_served(server: KrakenServer) -> None:
    refusal = server.accept(opening("/v3"), NOW)

    assert isinstance(refusal, Answer)
    assert refusal.status == 404


def test_a_ping_is_answered_with_its_own_id(client: Client) -> None:
    [pong] = client.say({"method": "ping", "req_id": 1})

    assert pong == {
        "method": "pong",
        "req_id": 1,
        "time_in": "2026-11-21T05:00:10.805100Z",
        "time_out": "2026-11-21T05:00:10.805143Z",
    }


def test_acks_come_for_each_symbol_in_order_before_any_data(client: Client) -> None:
    """A symbol that is refused says nothing about the others."""
    heard = client.subscribe("trade", "ETH/USD", "XBT/USD", "BTC/USD", snapshot=True)

    assert [frame.get("success") for frame in heard] == [True, False, True, None, None]
    assert [frame["result"]["symbol"] for frame in (heard[0], heard[2])] == ["ETH/USD", "BTC/USD"]
    assert heard[1]["error"] == "Currency pair not supported XBT/USD"
    assert heard[1]["symbol"] == "XBT/USD"
    assert {frame["req_id"] for frame in heard[:3]} == {9}


def test_the_keys_of_an_ack_are_sorted_and_ohlc_warns(client: Client) -> None:
    [ack, snapshot] = client.subscribe("ohlc", "BTC/USD", interval=1)

    assert list(ack) == sorted(ack)
    assert ack["result"] == {
        "channel": "ohlc",
        "interval": 1,
        "snapshot": True,
        "symbol": "BTC/USD",
        "warnings": ["timestamp is deprecated, use interval_begin"],
    }
    assert snapshot["type"] == "snapshot"


@pytest.mark.parametrize(
    ("symbol", "text"),
    [
        ("XBT/USD", "Currency pair not supported XBT/USD"),
        ("btc/usd", "Currency pair not supported btc/usd"),
        ("AAPL", "Currency pair not in ISO 4217-A3 format AAPL"),
        ("BTCUSD", "Currency pair not in ISO 4217-A3 format BTCUSD"),
    ],
)
def test_wrong_symbols_are_refused_by_name(client: Client, symbol: str, text: str) -> None:
    [reply] = client.subscribe("ohlc", symbol, interval=1)

    assert (reply["success"], reply["error"], reply["symbol"]) == (False, text, symbol)


def test_a_second_interval_of_a_symbol_is_refused(client: Client) -> None:
    client.subscribe("ohlc", "BTC/USD", interval=1)

    [second] = client.subscribe("ohlc", "BTC/USD", interval=5)
    [again] = client.subscribe("ohlc", "BTC/USD", interval=1)

    assert second["error"] == "Already subscribed to one ohlc interval on this symbol"
    assert again["error"] == "Already subscribed"


def test_two_connections_may_hold_two_intervals(server: KrakenServer) -> None:
    one, other = Client(server), Client(server)

    assert one.subscribe("ohlc", "BTC/USD", interval=1)[0]["success"]
    assert other.subscribe("ohlc", "BTC/USD", interval=5)[0]["success"]


@pytest.mark.parametrize(("channel", "params"), [("ohlc", {"interval": 7}), ("book", {"depth": 11})])
def test_values_that_the_venue_lacks_are_refused(
    client: Client, channel: str, params: dict[str, int]
) -> None:
    [reply] = client.subscribe(channel, "BTC/USD", **params)

    assert (reply["success"], reply["symbol"]) == (False, "BTC/USD")
    assert "not supported" in reply["error"]


def test_unsubscribing_ends_the_data(client: Client) -> None:
    client.subscribe("trade", "BTC/USD", snapshot=False)

    [ack] = client.unsubscribe("trade", "BTC/USD")

    assert (ack["method"], ack["success"], ack["result"]["symbol"]) == ("unsubscribe", True, "BTC/USD")
    assert rows_of(client.run(MINUTE_NS), "trade") == []


def test_a_failed_unsubscribe_says_subscribe(client: Client) -> None:
    """Seen on the real venue: route failures by their id, never by their method."""
    [reply] = client.unsubscribe("ticker", "ETH/USD")

    assert (reply["method"], reply["error"]) == ("subscribe", "Subscription Not Found")


def test_an_unsubscription_repeats_the_interval(client: Client) -> None:
    client.subscribe("ohlc", "BTC/USD", interval=5)

    assert not client.unsubscribe("ohlc", "BTC/USD")[0]["success"]
    assert client.unsubscribe("ohlc", "BTC/USD", interval=5)[0]["success"]


@pytest.mark.parametrize(
    "frame",
    ["", "{", "[]", "null", '{"method":1}', '{"method":"subscribe"}', b"\xff\xfe", "[" * 100_000]
    + [json.dumps(request_for("subscribe", channel, "BTC/USD")) for channel in ("level9", "heartbeat")]
    + [
        json.dumps(request_for("subscribe", "ohlc")),
        json.dumps(request_for("subscribe", "ohlc", interval="1")),
    ],
)
def test_what_cannot_be_understood_is_malformed(client: Client, frame: str | bytes) -> None:
    [reply] = client.say(frame)

    assert (reply["error"], reply["method"], reply["success"]) == ("Malformed request", "error", False)


def test_a_field_of_another_channel_is_named(client: Client) -> None:
    [reply] = client.subscribe("trade", "BTC/USD", interval=1)

    assert reply["error"] == "Unsupported field: 'interval' for the given msg type: subscribe"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELD = {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 1, "snapshot": True, "depth": 10}


@st.composite
def junk(draw: Callable[[st.SearchStrategy[Any]], Any]) -> str | bytes:
    """Bytes, JSON of any shape, and real requests in which one part is something else."""
    params = FIELD | {draw(st.sampled_from(sorted(FIELD))): draw(JSON)}
    shapes = JSON | st.fixed_dictionaries(
        {"method": st.just("subscribe") | JSON, "params": st.just(params) | JSON}
    )
    frame: str | bytes = draw(st.binary() | st.text() | shapes.map(json.dumps))
    return frame


@given(st.lists(junk(), max_size=5))
@settings(deadline=None)
def test_whatever_a_client_sends_every_message_gets_a_reply_and_nothing_raises(
    frames: list[str | bytes],
) -> None:
    client = Client(KrakenServer(MARKET))

    for frame in frames:
        replies = client.say(frame)

        assert replies, frame
        assert all({"success", "Error", "channel"} & reply.keys() for reply in replies)
    assert client.say({"method": "ping"})[0]["method"] == "pong"


# --------------------------------------------------------------------------------------------------- ohlc


def test_an_ohlc_snapshot_reaches_twelve_buckets_back_without_the_empty_ones(client: Client) -> None:
    """This pair trades some 240 times a day: most minutes are idle."""
    running = NOW - NOW % MINUTE_NS
    since, symbol = running - 12 * MINUTE_NS, "XMR/USD"

    snapshot = client.subscribe("ohlc", symbol, interval=1)[1]

    truth = true_candles(since, NOW + 1, symbol)
    assert 0 < len(truth) < 12
    assert [parse_instant(row["interval_begin"]) for row in snapshot["data"]] == [
        row.open_ns for row in truth
    ]
    assert all(same_values(row, candle) for row, candle in zip(snapshot["data"], truth, strict=True))


def test_each_trade_updates_the_running_bucket_and_an_ended_one_never_comes_again(client: Client) -> None:
    client.subscribe("ohlc", "BTC/USD", interval=1, snapshot=False)

    rows = rows_of(client.run(30 * MINUTE_NS), "ohlc")

    assert len(rows) == len(MARKET.trades("BTC/USD", NOW + 1, client.now_ns + 1))
    assert all(before["interval_begin"] <= after["interval_begin"] for before, after in pairwise(rows))


@pytest.mark.parametrize("minutes", [1, 5, 60, 1440])
def test_the_last_row_of_every_bucket_is_the_markets_candle(client: Client, minutes: int) -> None:
    client.subscribe("ohlc", "ETH/USD", interval=minutes, snapshot=True)

    rows = rows_of(client.run(30 * MINUTE_NS), "ohlc")

    told = {parse_instant(row["interval_begin"]): row for row in rows}
    truth = {row.open_ns: row for row in true_candles(START, client.now_ns + 1, "ETH/USD", minutes)}
    assert told
    assert all(same_values(row, truth[open_ns]) for open_ns, row in told.items())
    assert {row["interval"] for row in rows} == {minutes}


def test_numbers_are_printed_with_the_decimals_of_the_pair(client: Client) -> None:
    client.subscribe("ohlc", "BTC/USD", interval=1)
    frames = [str(out) for out in client.connection.due(client.connection.next_ns(NOW) + MINUTE_NS)]

    [first, *_] = [frame for frame in frames if '"ohlc"' in frame]

    row = json.loads(first, parse_float=str)["data"][0]
    assert len(row["open"].partition(".")[2]) == 1
    assert len(row["volume"].partition(".")[2]) == 8


def test_send_times_have_nine_digits_or_six_and_the_row_tells_its_end(client: Client) -> None:
    client.subscribe("ohlc", "BTC/USD", interval=1)

    frames = [frame for frame in client.run(30 * MINUTE_NS) if frame.get("channel") == "ohlc"]

    assert {len(frame["timestamp"]) for frame in frames} == {27, 30}
    row = frames[0]["data"][0]
    assert parse_instant(row["timestamp"]) == parse_instant(row["interval_begin"]) + MINUTE_NS


# ------------------------------------------------------------------------------------------------- trades


def test_trades_come_with_consecutive_ids_and_equal_the_truth(client: Client) -> None:
    snapshot = rows_of(client.subscribe("trade", "BTC/USD", snapshot=True), "trade", "snapshot")
    updates = rows_of(client.run(10 * MINUTE_NS), "trade")

    assert len(snapshot) == 50
    rows = snapshot + updates
    assert all(after["trade_id"] == before["trade_id"] + 1 for before, after in pairwise(rows))
    truth = MARKET.trades("BTC/USD", parse_instant(rows[0]["timestamp"]), client.now_ns + 1)
    assert [(row["price"], row["qty"], row["side"]) for row in rows] == [
        (trade.price, trade.size, "buy" if trade.side is Side.BUY else "sell") for trade in truth
    ]


def test_heartbeats_come_each_second_once_there_is_a_subscription(client: Client) -> None:
    before = client.run(10 * SECOND_NS)
    client.subscribe("trade", "PAXG/USD", snapshot=False)
    after = client.run(10 * SECOND_NS)

    assert {"channel": "heartbeat"} not in before
    assert after.count({"channel": "heartbeat"}) == 10


# --------------------------------------------------------------------------------------- ticker and book


def test_a_bbo_ticker_tells_each_new_quote(client: Client) -> None:
    client.subscribe("ticker", "BTC/USD", event_trigger="bbo", snapshot=False)

    rows = rows_of(client.run(5 * MINUTE_NS), "ticker")

    assert len(rows) > 5
    for row in rows:
        quote = MARKET.quote("BTC/USD", parse_instant(row["timestamp"]))
        assert (row["bid"], row["ask"]) == (quote.bid, quote.ask)
        assert (row["bid_qty"], row["ask_qty"]) == (quote.bid_size, quote.ask_size)


def test_a_ticker_tells_the_last_day(client: Client) -> None:
    [row] = rows_of(client.subscribe("ticker", "BTC/USD"), "ticker", "snapshot")

    quarter = 15 * MINUTE_NS
    trades = MARKET.trades("BTC/USD", NOW - NOW % quarter - DAY_NS, NOW + 1)
    assert row["volume"] == sum(trade.size for trade in trades)
    assert (row["high"], row["low"]) == (max(t.price for t in trades), min(t.price for t in trades))
    assert row["last"] == trades[-1].price


def test_the_checksum_follows_the_worked_vector() -> None:
    """Made by hand from Kraken's description: a snapshot and an update, with one and eight decimals."""
    pair = pairs_of(MARKET)["BTC/USD"]
    bids = {"95025.4": "1.10000000", "95020.0": "0.02500000", "95019.9": "0.00012000"}
    asks = {"95025.5": "0.40000000", "95026.0": "0.00100000", "95030.1": "12.00000000"}

    assert checksum(pair, _book(bids, asks)) == 647263807

    bids["95025.4"] = "0.90000000"
    del asks["95025.5"]
    asks["95031.0"] = "0.50000000"
    assert checksum(pair, _book(bids, asks)) == 3612237760


def _book(bids: dict[str, str], asks: dict[str, str]) -> Book:
    return Book(*({Decimal(price): Decimal(size) for price, size in side.items()} for side in (bids, asks)))


@pytest.mark.parametrize("depth", [10, 25, 100])
@pytest.mark.parametrize("cut_each", [False, True], ids=["cut at the end", "cut after each level"])
def test_a_client_that_applies_updates_finds_every_checksum_right(
    client: Client, depth: int, *, cut_each: bool
) -> None:
    """Levels that are pushed out of range are never deleted for the client."""
    heard = client.subscribe("book", "BTC/USD", depth=depth) + client.run(5 * MINUTE_NS)

    updates = 0
    book: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}
    for frame in heard:
        if frame.get("channel") != "book":
            continue
        [row] = frame["data"]
        assert ("timestamp" in row) is (frame["type"] == "update")
        updates += frame["type"] == "update"
        for name in ("asks", "bids"):
            apply_levels(book, name, row[name], depth, cut_each=cut_each)
        assert row["checksum"] == crc_of(book), frame
        assert max(book["bids"]) < min(book["asks"])
    assert updates > 20


def test_a_level_that_is_pushed_out_of_range_is_not_deleted() -> None:
    before = {Decimal(price): Decimal(1) for price in range(20, 10, -1)}
    after = {Decimal(price): Decimal(1) for price in (21, *range(20, 11, -1))}
    shifted = {Decimal(price): Decimal(1) for price in range(19, 9, -1)}

    assert {price for price, size in changes(before, after, 10) if size} == {21}
    assert [price for price, size in changes(before, after, 10) if not size] == []
    assert [price for price, size in changes(before, shifted, 10) if not size] == [20]


def test_instruments_come_as_one_object(client: Client) -> None:
    [ack, snapshot] = client.subscribe("instrument")

    assert "symbol" not in ack["result"]
    assert {pair["symbol"] for pair in snapshot["data"]["pairs"]} >= {"BTC/USD", "DOGE/USD"}
    assert {asset["id"] for asset in snapshot["data"]["assets"]} >= {"BTC", "DOGE", "USD"}


def test_the_same_seed_says_the_same_things() -> None:
    def told() -> Iterator[Any]:
        client = Client(KrakenServer(SeededMarket(3, START)))
        yield from client.subscribe("book", "ETH/USD", depth=25)
        yield from client.subscribe("ohlc", "ETH/USD", interval=5)
        yield from client.run(5 * MINUTE_NS)

    assert list(told()) == list(told())

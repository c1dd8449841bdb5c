"""The simulated REST: what is asked, what is answered, and what is refused, beside the truth."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.adapters.coinbase.venue import MARKET, NOW, START, asked, same_values, true_candles
from tests.adapters.coinbase.wires import wire
from wickwire import MINUTE_NS, SECOND_NS, Side, Timeframe
from wickwire_coinbase.simulator import CoinbaseServer

MINUTE_S = NOW // MINUTE_NS * 60
CANDLES = "market/products/BTC-USD/candles"
TRADES = "market/products/BTC-USD/ticker"


@pytest.fixture
def server() -> CoinbaseServer:
    return CoinbaseServer(MARKET)


def candles(server: CoinbaseServer, since_s: int, until_s: int, granularity: str = "ONE_MINUTE") -> list[Any]:
    status, told = asked(server, CANDLES, start=since_s, end=until_s, granularity=granularity, limit=350)
    assert status == 200
    found: list[Any] = told["candles"]
    return found


@pytest.mark.parametrize(
    ("granularity", "text"),
    [
        ("ONE_MINUTE", "1m"),
        ("FIVE_MINUTE", "5m"),
        ("FIFTEEN_MINUTE", "15m"),
        ("THIRTY_MINUTE", "30m"),
        ("ONE_HOUR", "1h"),
        ("TWO_HOUR", "2h"),
        ("FOUR_HOUR", "4h"),
        ("SIX_HOUR", "6h"),
        ("ONE_DAY", "1d"),
    ],
)
def test_candles_come_newest_first_and_are_the_markets(
    server: CoinbaseServer, granularity: str, text: str
) -> None:
    length_s = Timeframe.parse(text).nominal_ns // SECOND_NS
    last_s = NOW // SECOND_NS // length_s * length_s
    told = candles(server, last_s - 40 * length_s, last_s, granularity)
    truth = true_candles((last_s - 40 * length_s) * SECOND_NS, NOW + 1, text=text)

    assert [candle.open_ns // SECOND_NS for candle in reversed(truth)] == [int(row["start"]) for row in told]
    assert all(same_values(row, candle) for row, candle in zip(told, reversed(truth), strict=True))
    assert list(told[0]) == list(json.loads(wire("rest_candles"))["candles"][0])


def test_buckets_without_trades_have_no_row(server: CoinbaseServer) -> None:
    status, told = asked(
        server,
        "market/products/XMR-USD/candles",
        start=MINUTE_S - 18_000,
        end=MINUTE_S,
        granularity="ONE_MINUTE",
    )

    assert status == 200
    assert 0 < len(told["candles"]) < 200


def test_both_bounds_are_inclusive_unless_the_fault_is_on(server: CoinbaseServer) -> None:
    assert [MINUTE_S - 300] == [int(row["start"]) for row in candles(server, MINUTE_S - 300, MINUTE_S - 300)]
    server.inject("exclusive")
    assert candles(server, MINUTE_S - 300, MINUTE_S - 300) == []


def test_the_newest_row_is_the_running_bucket(server: CoinbaseServer) -> None:
    now_ns = NOW // MINUTE_NS * MINUTE_NS + 50 * SECOND_NS
    _, told = asked(
        server, CANDLES, now_ns, start=MINUTE_S - 60, end=MINUTE_S + 600, granularity="ONE_MINUTE"
    )

    [running] = true_candles(MINUTE_S * SECOND_NS, now_ns + 1, text="1m")
    assert same_values(told["candles"][0], running)


def test_nothing_is_told_of_the_future_or_from_before_the_market(server: CoinbaseServer) -> None:
    assert candles(server, MINUTE_S + 600, MINUTE_S + 900) == []
    assert candles(server, START // SECOND_NS - 900, START // SECOND_NS - 60) == []


TOO_WIDE = "start and end argument is invalid - number of candles requested should be less than 350"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"granularity": "THREE_MINUTE"}, "granularity argument is invalid"),
        ({}, "granularity argument is invalid"),
        ({"granularity": "ONE_MINUTE", "start": "x"}, "start argument is invalid"),
        ({"granularity": "ONE_MINUTE", "end": ""}, "end argument is invalid"),
        ({"granularity": "ONE_MINUTE", "start": MINUTE_S - 350 * 60}, TOO_WIDE),
        ({"granularity": "ONE_MINUTE", "start": MINUTE_S + 1}, TOO_WIDE),
    ],
)
def test_a_wrong_argument_is_an_error_and_never_a_cut(
    server: CoinbaseServer, query: dict[str, object], text: str
) -> None:
    status, told = asked(server, CANDLES, NOW, **{"start": MINUTE_S - 60, "end": MINUTE_S, **query})

    assert (status, told["error"], told["message"]) == (400, "INVALID_ARGUMENT", text)


def test_an_unknown_product_is_not_found(server: CoinbaseServer) -> None:
    status, told = asked(server, "market/products/NOPE-USD/candles", start=1, end=2, granularity="ONE_MINUTE")

    assert (status, told["error"]) == (404, "NOT_FOUND")


def test_private_paths_want_a_key_and_others_are_not_there(server: CoinbaseServer) -> None:
    assert asked(server, "products/BTC-USD/candles")[0] == 401
    assert asked(server, "market/nothing")[0] == 404
    assert asked(server, "/v2/currencies") == (200, {"data": []})


def test_trades_come_newest_first_with_the_makers_side(server: CoinbaseServer) -> None:
    status, told = asked(server, TRADES, limit=20)
    truth = MARKET.trades("BTC/USD", NOW - 60 * MINUTE_NS, NOW + 1)[-20:]

    assert status == 200
    assert [str(trade.number) for trade in reversed(truth)] == [row["trade_id"] for row in told["trades"]]
    for row, trade in zip(told["trades"], reversed(truth), strict=True):
        assert (Decimal(row["price"]), row["side"] == "SELL") == (trade.price, trade.side is Side.BUY)
    assert list(told["trades"][0]) == list(json.loads(wire("rest_trades"))["trades"][0])


def test_trades_of_a_range_stay_in_it(server: CoinbaseServer) -> None:
    since_s = MINUTE_S - 600
    _, told = asked(server, TRADES, limit=1000, start=since_s, end=since_s + 60)
    truth = MARKET.trades("BTC/USD", since_s * SECOND_NS, (since_s + 60) * SECOND_NS + 1)

    assert [str(trade.number) for trade in reversed(truth)] == [row["trade_id"] for row in told["trades"]]
    assert asked(server, TRADES)[0] == 400


def test_products_tell_of_their_aliases_and_come_in_pages(server: CoinbaseServer) -> None:
    _, everything = asked(server, "market/products")
    by_id = {product["product_id"]: product for product in everything["products"]}
    _, page = asked(server, "market/products", limit=2, offset=1)
    _, some = asked(server, "market/products", product_ids="BTC-USDC,ETH-EUR")

    assert by_id["BTC-USD"]["alias_to"] == ["BTC-USDC"]
    assert by_id["BTC-USDC"]["alias"] == "BTC-USD"
    assert [*by_id][1:3] == [product["product_id"] for product in page["products"]]
    assert page["num_products"] == len(by_id)
    assert {"BTC-USDC", "ETH-EUR"} == {product["product_id"] for product in some["products"]}
    assert asked(server, "market/products/BTC-USD")[1] == by_id["BTC-USD"]
    assert json.loads(wire("rest_products"))["products"][0].keys() <= by_id["BTC-USD"].keys()
    assert asked(server, "market/products", product_type="FUTURE")[1] == {"products": [], "num_products": 0}


def test_the_book_and_the_time_are_the_markets(server: CoinbaseServer) -> None:
    _, told = asked(server, "market/product_book", product_id="BTC-USD", limit=3)
    quote = MARKET.quote("BTC/USD", NOW)

    bid, ask = told["pricebook"]["bids"][0], told["pricebook"]["asks"][0]
    assert (Decimal(bid["price"]), Decimal(ask["price"])) == (quote.bid, quote.ask)
    assert len(told["pricebook"]["bids"]) == 3
    assert asked(server, "time")[1] == {
        "iso": "2026-11-21T05:00:10Z",
        "epochSeconds": "1795237210",
        "epochMillis": "1795237210805",
    }


def test_the_eleventh_request_of_a_second_is_refused(server: CoinbaseServer) -> None:
    told = [asked(server, "time") for _ in range(11)]

    assert [200] * 10 + [429] == [status for status, _ in told]
    assert told[-1][1] == {"errors": [{"id": "rate_limit_exceeded", "message": "Too many requests"}]}
    assert asked(server, "time", NOW + SECOND_NS)[0] == 200


def test_errors_on_request(server: CoinbaseServer) -> None:
    server.inject("rest_error", status=503, text="sorry")
    assert asked(server, "time") == (503, {"error": "INTERNAL", "error_details": "sorry", "message": "sorry"})
    server.inject("html_503")
    status, page = asked(server, "time")
    assert (status, page[:6]) == (503, b"<html>")


def test_a_late_trade_changes_history_alone(server: CoinbaseServer) -> None:
    before = candles(server, MINUTE_S - 300, MINUTE_S - 300, "FIVE_MINUTE")
    server.inject("late_trade", symbol="BTC/USD", ago_s=200, price="100000", size="2")
    after = candles(server, MINUTE_S - 300, MINUTE_S - 300, "FIVE_MINUTE")

    assert Decimal(after[0]["volume"]) == Decimal(before[0]["volume"]) + 2
    assert after[0]["high"] == "100000"

"""REST of the simulated Alpaca: parameters, pages, limits and refusals, each as its documents have it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wickwire import MINUTE_NS, Timeframe, Utc, Zone, parse_instant
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.server import Answer, Incoming
from wickwire_alpaca.simulator import AlpacaServer

NOW = parse_instant("2026-11-20T15:04:20Z")
MARKET = SeededMarket(11, parse_instant("2026-11-18T00:00:00Z"))
KEYS = {"apca-api-key-id": "PKTEST", "apca-api-secret-key": "SECRET"}
BARS = "/v2/stocks/bars"
CRYPTO = "/v1beta3/crypto/us/bars"


@pytest.fixture
def server() -> AlpacaServer:
    return AlpacaServer(MARKET)


def asked(server: AlpacaServer, path: str, headers: Any = KEYS, **query: str) -> Answer:
    return server.answer(Incoming(method="GET", path=path, query=query, headers=headers), NOW)


def told(server: AlpacaServer, path: str, **query: str) -> Any:
    answer = asked(server, path, **query)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def refused(server: AlpacaServer, path: str, headers: Any = KEYS, **query: str) -> tuple[int, str]:
    answer = asked(server, path, headers, **query)
    return answer.status, json.loads(answer.body)["message"]


RANGE = {"timeframe": "1Min", "start": "2026-11-20T14:40:00Z", "end": "2026-11-20T15:00:00Z", "feed": "iex"}


def test_bars_of_several_symbols_include_both_ends_sorted_by_symbol_then_time(server: AlpacaServer) -> None:
    page = told(server, BARS, symbols="MSFT,AAPL", **RANGE)

    assert list(page["bars"]) == ["AAPL", "MSFT"]
    assert page["next_page_token"] is None
    for symbol, rows in page["bars"].items():
        since_ns, until_ns = parse_instant(RANGE["start"]), parse_instant(RANGE["end"]) + MINUTE_NS
        truth = MARKET.candles(symbol, Timeframe.parse("1m"), since_ns, until_ns, grid=Utc())
        assert [parse_instant(row["t"]) for row in rows] == [candle.open_ns for candle in truth]
        assert [row["c"] for row in rows] == [float(candle.close) for candle in truth]
    assert page["bars"]["AAPL"][-1]["t"] == "2026-11-20T15:00:00Z"


def in_pages(server: AlpacaServer, symbols: str, **query: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    token: str | None = ""
    while token is not None:
        more = {"page_token": token} if token else {}
        page = told(server, BARS, symbols=symbols, limit="7", **RANGE, **query, **more)
        assert 0 < sum(map(len, page["bars"].values())) <= 7
        for symbol, rows in page["bars"].items():
            found.setdefault(symbol, []).extend(rows)
        token = page["next_page_token"]
    return found


def test_pages_go_on_by_token_through_all_symbols(server: AlpacaServer) -> None:
    assert in_pages(server, "AAPL,MSFT") == told(server, BARS, symbols="AAPL,MSFT", **RANGE)["bars"]


def test_and_backwards_where_the_newest_is_wanted_first(server: AlpacaServer) -> None:
    whole = told(server, BARS, symbols="AAPL,MSFT", **RANGE)["bars"]

    found = in_pages(server, "AAPL,MSFT", sort="desc")

    assert found == {symbol: rows[::-1] for symbol, rows in whole.items()}
    assert found == told(server, BARS, symbols="AAPL,MSFT", sort="desc", **RANGE)["bars"]


def test_a_page_may_be_short_and_a_token_may_lead_in_a_circle(server: AlpacaServer) -> None:
    server.inject("short_pages", rows=3)
    server.inject("token_circle")
    first = told(server, BARS, symbols="AAPL", **RANGE)
    second = told(server, BARS, symbols="AAPL", page_token=first["next_page_token"], **RANGE)

    assert len(first["bars"]["AAPL"]) == 3
    assert first["next_page_token"] == second["next_page_token"]


def test_one_symbol_has_a_form_of_its_own_and_says_null_for_nothing(server: AlpacaServer) -> None:
    some = told(server, "/v2/stocks/AAPL/bars", **RANGE)
    none = told(
        server,
        "/v2/stocks/AAPL/bars",
        **{**RANGE, "start": "2026-11-20T09:00:00Z", "end": "2026-11-20T09:01:00Z"},
    )

    assert (some["symbol"], len(some["bars"]) > 15) == ("AAPL", True)
    assert none == {"bars": None, "symbol": "AAPL", "next_page_token": None}
    assert told(server, BARS, symbols="NOPE", **RANGE) == {"bars": {}, "next_page_token": None}


@pytest.mark.parametrize(
    ("path", "symbol", "text", "zone"),
    [(BARS, "AAPL", "1Day", "America/New_York"), (CRYPTO, "BTC/USD", "1Day", "America/Chicago")],
)
def test_days_open_at_midnight_where_the_market_lives(
    server: AlpacaServer, path: str, symbol: str, text: str, zone: str
) -> None:
    page = told(server, path, symbols=symbol, timeframe=text, start="2026-11-19T00:00:00Z")
    day = Timeframe.parse("1d")
    rows = page["bars"][symbol]

    assert all(day.open_at(parse_instant(row["t"]), Zone(zone)) == parse_instant(row["t"]) for row in rows)
    assert len(rows) >= 2


def test_a_long_bar_is_the_run_of_its_minutes(server: AlpacaServer) -> None:
    minutes = told(server, CRYPTO, symbols="XMR/USD", **{**RANGE, "end": "2026-11-20T14:59:00Z"})["bars"][
        "XMR/USD"
    ]
    [first, *_] = told(server, CRYPTO, symbols="XMR/USD", **{**RANGE, "timeframe": "20Min"})["bars"][
        "XMR/USD"
    ]

    assert len(minutes) == 20
    assert (first["o"], first["c"]) == (minutes[0]["o"], minutes[-1]["c"])
    assert (first["h"], first["l"]) == (max(row["h"] for row in minutes), min(row["l"] for row in minutes))
    assert first["n"] == sum(row["n"] for row in minutes)


@pytest.mark.parametrize(
    ("path", "query", "status", "message"),
    [
        (BARS, {"symbols": "AAPL,A-B"}, 400, "invalid symbol: A-B"),
        (BARS, {"symbols": "AAPL", "timeframe": "30Sec"}, 400, "invalid timeframe: 30Sec"),
        (BARS, {"symbols": "AAPL", "timeframe": "60Min"}, 400, "invalid timeframe: 60Min"),
        (BARS, {"symbols": "AAPL", "feed": "delayed_sip"}, 400, "invalid feed: delayed_sip"),
        (BARS, {"symbols": "AAPL", "limit": "10001"}, 400, "invalid limit: 10001"),
        (BARS, {"symbols": "AAPL", "page_token": "nonsense"}, 400, "invalid page_token"),
        ("/v1beta3/crypto/loc/bars", {"symbols": "BTC/USD"}, 400, "Invalid location: loc"),
        ("/v2/nothing", {}, 404, "endpoint not found."),
    ],
)
def test_bad_parameters_are_refused_by_name(
    server: AlpacaServer, path: str, query: dict[str, str], status: int, message: str
) -> None:
    assert refused(server, path, **{**RANGE, **query}) == (status, message)


def test_stocks_need_keys_and_crypto_does_not(server: AlpacaServer) -> None:
    assert refused(server, BARS, {}, symbols="AAPL", **RANGE) == (403, "forbidden.")
    assert refused(server, BARS, {**KEYS, "apca-api-key-id": "BAD"}, symbols="AAPL", **RANGE) == (
        403,
        "forbidden.",
    )
    assert asked(server, CRYPTO, {}, symbols="BTC/USD", **RANGE).status == 200


@pytest.mark.parametrize("feed", [{"feed": "sip"}, {}])
def test_whoever_pays_nothing_is_not_told_the_latest_sip_data(
    server: AlpacaServer, feed: dict[str, str]
) -> None:
    """Keys are of the free plan unless somebody pays, and without `feed` SIP is meant.

    "free plan, `feed=sip` (or default) and `end` inside the last 15 min: 403" (alpaca.md, 8. REST).
    """
    range_of_all = {name: value for name, value in RANGE.items() if name != "feed"}
    recent = {**range_of_all, **feed, "end": "2026-11-20T15:00:00Z"}

    assert refused(server, BARS, symbols="AAPL", **recent) == (
        403,
        "subscription does not permit querying recent SIP data",
    )
    assert asked(server, BARS, symbols="AAPL", **{**recent, "feed": "iex"}).status == 200
    open_end = {name: value for name, value in recent.items() if name != "end"}
    rows = told(server, BARS, symbols="AAPL", **open_end)["bars"]["AAPL"]
    assert rows[-1]["t"] <= "2026-11-20T14:49:20Z"
    server.inject("plan", name="plus")
    assert asked(server, BARS, symbols="AAPL", **recent).status == 200


def test_a_limit_that_is_reached_is_told_without_a_header(server: AlpacaServer) -> None:
    server.inject("rest_rate", burst=2, per_s=0.1)
    first, _, third = (asked(server, BARS, symbols="AAPL", **RANGE) for _ in range(3))

    assert first.headers["X-RateLimit-Limit"] == "2"
    assert third.status == 429
    assert json.loads(third.body) == {"message": "too many requests."}
    assert "X-RateLimit-Reset" not in third.headers


def test_latest_values_and_assets(server: AlpacaServer) -> None:
    quotes = told(server, "/v2/stocks/quotes/latest", symbols="AAPL,NOPE")["quotes"]
    single = told(server, "/v2/stocks/AAPL/quotes/latest")
    crypto = told(server, "/v1beta3/crypto/us/latest/quotes", symbols="BTC/USD")["quotes"]["BTC/USD"]
    books = told(server, "/v1beta3/crypto/us/latest/orderbooks", symbols="BTC/USD,NO/USD")["orderbooks"]
    last = told(server, "/v2/stocks/trades/latest", symbols="AAPL")["trades"]["AAPL"]

    assert list(quotes) == ["AAPL"]
    assert single == {"symbol": "AAPL", "quote": quotes["AAPL"]}
    assert list(crypto) == ["bp", "bs", "ap", "as", "t"]
    assert books == {
        "BTC/USD": {
            "a": [{"p": crypto["ap"], "s": crypto["as"]}],
            "b": [{"p": crypto["bp"], "s": crypto["bs"]}],
            "t": crypto["t"],
        }
    }
    assert refused(server, "/v1beta3/crypto/us/orderbooks", symbols="BTC/USD")[0] == 404
    assert float(MARKET.trades("AAPL", NOW - 10 * MINUTE_NS, NOW)[-1].price) == last["p"]
    assert {"BTC/USD", "ETH/BTC"} <= {
        one["symbol"] for one in told(server, "/v2/assets", asset_class="crypto")
    }


def test_quotes_of_the_past_are_those_at_each_trade(server: AlpacaServer) -> None:
    span = {"start": "2026-11-20T15:00:00Z", "end": "2026-11-20T15:01:00Z"}
    rows = told(server, "/v2/stocks/quotes", symbols="AAPL", feed="iex", **span)["quotes"]["AAPL"]
    trades = MARKET.trades("AAPL", parse_instant(span["start"]), parse_instant(span["end"]) + 1)

    assert [parse_instant(row["t"]) for row in rows] == [trade.time_ns for trade in trades]
    quote = MARKET.quote("AAPL", trades[0].time_ns)
    assert (rows[0]["bp"], rows[0]["ap"]) == (float(quote.bid), float(quote.ask))


def test_a_snapshot_holds_what_is_latest_and_two_days(server: AlpacaServer) -> None:
    many = told(server, "/v2/stocks/snapshots", symbols="AAPL,NOPE", feed="iex")
    single = told(server, "/v2/stocks/AAPL/snapshot")
    crypto = told(server, "/v1beta3/crypto/us/snapshots", symbols="BTC/USD")["snapshots"]["BTC/USD"]
    keys = ["latestTrade", "latestQuote", "minuteBar", "dailyBar", "prevDailyBar"]

    assert list(many) == ["AAPL"]
    assert single == {"symbol": "AAPL", **many["AAPL"]}
    assert list(many["AAPL"]) == list(crypto) == keys
    assert many["AAPL"]["minuteBar"]["t"] == "2026-11-20T15:03:00Z"
    assert [many["AAPL"][day]["t"][:13] for day in keys[3:]] == ["2026-11-20T05", "2026-11-19T05"]
    assert [crypto[day]["t"][:13] for day in keys[3:]] == ["2026-11-20T06", "2026-11-19T06"]


def test_trades_say_what_became_of_them(server: AlpacaServer) -> None:
    asked_for = {"symbols": "AAPL", "feed": "iex", "start": "2026-11-20T15:00:00Z"}
    told(server, "/v2/stocks/trades", **asked_for)
    server.inject("correct_trade", symbol="AAPL")
    rows = told(server, "/v2/stocks/trades", **asked_for)["trades"]["AAPL"]

    assert [row.get("u") for row in rows[-2:]] == ["incorrect", "corrected"]


@pytest.mark.parametrize(("fault", "status"), [("html_502", 502), ("rest_error", 500)])
def test_outages(server: AlpacaServer, fault: str, status: int) -> None:
    server.inject(fault)
    assert asked(server, BARS, symbols="AAPL", **RANGE).status == status
    server.inject(fault, on=False)
    assert asked(server, BARS, symbols="AAPL", **RANGE).status == 200

"""REST of the simulated Kraken beside the truth."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from tests.simulation.kraken_client import MARKET, NOW, START, reply_of, result_of, true_candles
from wickwire import DAY_NS, SECOND_NS, Side
from wickwire_kraken.simulator import KrakenServer

# --------------------------------------------------------------------------------------------------- rest


def test_rest_ohlc_has_720_rows_and_the_running_one(server: KrakenServer) -> None:
    result = result_of(server, NOW, "OHLC", pair="XBTUSD", interval="1")
    rows = result["XXBTZUSD"]

    assert len(rows) == 721
    assert rows[-1][0] == NOW // SECOND_NS // 60 * 60
    assert result["last"] == rows[-2][0]
    assert all(after[0] == before[0] + 60 for before, after in pairwise(rows))


@pytest.mark.parametrize(("symbol", "key"), [("BTC/USD", "XXBTZUSD"), ("XMR/USD", "XXMRZUSD")])
def test_rest_rows_equal_the_truth_and_idle_ones_are_flat(
    server: KrakenServer, symbol: str, key: str
) -> None:
    rows = result_of(server, NOW, "OHLC", pair=key)[key]

    truth = {row.open_ns // SECOND_NS: row for row in true_candles(rows[0][0] * SECOND_NS, NOW + 1, symbol)}
    assert {row[0] for row in rows if row[7]} == truth.keys()
    previous = ""
    for opened, open_, high, low, close, vwap, volume, count in rows:
        if opened in truth:
            row = truth[opened]
            assert [Decimal(text) for text in (open_, high, low, close, volume)] == [
                row.open,
                row.high,
                row.low,
                row.close,
                row.volume,
            ]
            assert (Decimal(vwap), count) == (row.vwap, row.trade_count)
        else:
            assert (open_, high, low, close) == (previous or open_,) * 4
            assert (vwap, volume, count) == ("0.0", "0.00000000", 0)
        previous = close
    assert any(row[7] == 0 for row in rows)


def test_since_is_exclusive_and_the_running_row_always_comes(server: KrakenServer) -> None:
    last = result_of(server, NOW, "OHLC", pair="XBTUSD")["last"]

    after = result_of(server, NOW, "OHLC", pair="XBTUSD", since=str(last - 60))["XXBTZUSD"]
    future = result_of(server, NOW, "OHLC", pair="XBTUSD", since=str(last + 6000))["XXBTZUSD"]

    assert [row[0] for row in after] == [last, last + 60]
    assert [row[0] for row in future] == [last + 60]


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ("XBTUSD", "XXBTZUSD"),
        ("XXBTZUSD", "XXBTZUSD"),
        ("BTC/USD", "BTC/USD"),
        ("XBT/USD", "BTC/USD"),
        ("XDGUSD", "XDGUSD"),
        ("XTZXBT", "XTZXBT"),
        ("ETHXBT", "XETHXXBT"),
    ],
)
def test_the_result_key_is_the_one_that_the_venue_prefers(server: KrakenServer, asked: str, key: str) -> None:
    assert set(result_of(server, NOW, "OHLC", pair=asked)) == {key, "last"}


def test_rest_trades_can_be_walked_from_the_beginning(server: KrakenServer) -> None:
    server.inject("rest_rate", burst=1000)
    until_ns = START + DAY_NS // 4
    ids, since = list[int](), "0"
    while page := (result := result_of(server, until_ns, "Trades", pair="XBTUSD", since=since))["XXBTZUSD"]:
        assert len(page) <= 1000
        ids += [row[6] for row in page]
        since = result["last"]

    truth = MARKET.trades("BTC/USD", START, until_ns + 1)
    assert ids == [trade.number for trade in truth]
    assert since == str(truth[-1].time_ns)


def test_a_trade_row_has_strings_float_seconds_and_an_id(server: KrakenServer) -> None:
    [row] = result_of(server, NOW, "Trades", pair="XBTUSD", count="1")["XXBTZUSD"]

    [trade] = MARKET.trades("BTC/USD", START, NOW + 1)[-1:]
    assert (Decimal(row[0]), Decimal(row[1]), row[6]) == (trade.price, trade.size, trade.number)
    assert row[2] == pytest.approx(trade.time_ns / SECOND_NS, abs=1e-6)
    assert row[3] == ("b" if trade.side is Side.BUY else "s")
    assert len(row[0].partition(".")[2]) == 5


@pytest.mark.parametrize(
    ("method", "query", "text"),
    [
        ("OHLC", {"pair": "FOO"}, "EQuery:Unknown asset pair"),
        ("OHLC", {"pair": "XBTUSD", "interval": "7"}, "EGeneral:Invalid arguments:interval"),
        ("OHLC", {}, "EGeneral:Invalid arguments"),
        ("Trades", {"pair": "XBTUSD", "since": "yesterday"}, "EGeneral:Invalid arguments:since"),
        ("Nonsense", {}, "EGeneral:Unknown method"),
    ],
)
def test_errors_come_with_http_200(
    server: KrakenServer, method: str, query: dict[str, str], text: str
) -> None:
    assert reply_of(server, NOW, method, **query) == {"error": [text]}


def test_the_small_methods_answer(server: KrakenServer) -> None:
    assert result_of(server, NOW, "Time") == {
        "unixtime": NOW // SECOND_NS,
        "rfc1123": "Sat, 21 Nov 26 05:00:10 +0000",
    }
    assert result_of(server, NOW, "SystemStatus")["status"] == "online"
    assert result_of(server, NOW, "Assets", asset="XBT")["XXBT"]["altname"] == "XBT"
    pair = result_of(server, NOW, "AssetPairs", pair="XBTUSD")["XXBTZUSD"]
    assert (pair["wsname"], pair["pair_decimals"], pair["lot_decimals"]) == ("XBT/USD", 1, 8)
    quote = MARKET.quote("BTC/USD", NOW)
    assert Decimal(result_of(server, NOW, "Ticker", pair="XBTUSD")["XXBTZUSD"]["a"][0]) == quote.ask
    book = result_of(server, NOW, "Depth", pair="XBTUSD", count="3")["XXBTZUSD"]
    assert [Decimal(book[side][0][0]) for side in ("bids", "asks")] == [quote.bid, quote.ask]

"""Rows and meta of the simulated Yahoo beside the market's truth."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.yahoo_client import (
    CLOSED,
    MARKET,
    NOW,
    SATURDAY,
    START,
    asked,
    period,
    result,
    rows,
    widened,
)
from wickwire import DAY_NS, SECOND_NS, Session, Timeframe, parse_instant
from wickwire_yahoo.simulator import YahooServer
from wickwire_yahoo.simulator_quotes import quoted_of
from wickwire_yahoo.simulator_rows import last_price

# --------------------------------------------------------------------------------------------------- rows


@pytest.mark.parametrize(
    ("name", "symbol", "interval", "timeframe"),
    [
        ("AAPL", "AAPL", "1m", "1m"),
        ("AAPL", "AAPL", "60m", "1h"),
        ("7203.T", "7203.T", "5m", "5m"),
        ("BTC-USD", "BTC/USD", "15m", "15m"),
        ("EURUSD=X", "EUR/USD", "90m", "90m"),
        ("JPY=X", "USD/JPY", "1h", "1h"),
        ("ES=F", "ES=F", "4h", "4h"),
        ("^GSPC", "^GSPC", "30m", "30m"),
    ],
)
def test_intraday_rows_are_the_markets_candles_from_each_sessions_open(
    server: YahooServer, name: str, symbol: str, interval: str, timeframe: str
) -> None:
    """Prices come as 32-bit floats; the row after the last bucket is the last price."""
    found = rows(result(server, name, interval=interval, **period("2026-11-17", "2026-11-20T14:58:28Z")))

    truth = MARKET.candles(
        symbol, Timeframe.parse(timeframe), parse_instant("2026-11-17"), NOW + 1, grid=Session()
    )
    told = [row[:5] for row in found[:-1] if row[1] is not None]
    assert told == [
        (row.open_ns // SECOND_NS, *(widened(price) for price in (row.open, row.high, row.low, row.close)))
        for row in truth
    ]
    assert found[-1][1] == found[-1][4] == told[-1][4]


def test_volume_is_shares_or_the_quote_currency_or_nothing(server: YahooServer) -> None:
    def first(name: str) -> int:
        return int(rows(result(server, name, interval="1d", range="5d"))[0][5])

    def true(symbol: str, since: str) -> Any:
        since_ns = parse_instant(since)
        trades = MARKET.trades(symbol, since_ns, since_ns + DAY_NS)
        return sum(t.size for t in trades), sum(t.size * t.price for t in trades)

    assert first("AAPL") == true("AAPL", "2026-11-16")[0]
    assert first("BTC-USD") == pytest.approx(float(true("BTC/USD", "2026-11-16")[1]), rel=1e-6)
    assert first("EURUSD=X") == first("^GSPC") == 0


def test_the_last_price_is_an_extra_row_off_the_grid(server: YahooServer) -> None:
    found = result(server, "AAPL", interval="5m", range="1d")

    *grid, live = rows(found)
    assert (
        live[0]
        == found["meta"]["regularMarketTime"]
        == MARKET.trades("AAPL", START, NOW + 1)[-1].time_ns // (SECOND_NS)
    )
    assert live[0] % 300
    assert len(set(live[1:5])) == 1
    assert live[5] == 0
    assert all(row[0] % 300 == 0 for row in grid)


def test_after_the_close_the_extra_row_is_on_the_grid(server: YahooServer) -> None:
    """Its stamp is the session's end, which no regular candle has."""
    found = result(server, "AAPL", CLOSED, interval="5m", range="1d")

    [[regular]] = found["meta"]["tradingPeriods"]
    assert rows(found)[-1][0] == regular["end"] == parse_instant("2026-11-20T21:00:00Z") // SECOND_NS


def test_the_extra_row_comes_outside_the_window_too(server: YahooServer) -> None:
    saturday = result(server, "AAPL", SATURDAY, interval="5m", **period("2026-11-21", "2026-11-22"))
    morning = result(
        server, "AAPL", CLOSED, interval="5m", **period("2026-11-20T15:00Z", "2026-11-20T15:30Z")
    )

    assert [row[0] for row in rows(saturday)] == [parse_instant("2026-11-20T21:00:00Z") // SECOND_NS]
    assert rows(morning)[-1][0] == parse_instant("2026-11-20T21:00:00Z") // SECOND_NS
    assert len(rows(morning)) == 7


def test_buckets_without_a_trade_are_rows_of_nulls_or_are_missing(server: YahooServer) -> None:
    found = rows(result(server, "DUSK", CLOSED, interval="1m", range="1d"))[:-1]

    nulls = [row for row in found if row[1] is None]
    assert nulls
    assert all(row[1:] == (None,) * 5 for row in nulls)
    assert len(found) < 390
    server.inject("null_rows", on=False)
    assert all(row[1] is not None for row in rows(result(server, "DUSK", CLOSED, interval="1m", range="1d")))


@pytest.mark.parametrize(
    ("name", "now", "stamp"),
    [
        ("AAPL", "2026-11-20T22:00:00Z", "2026-11-20T14:30:00Z"),
        ("AAPL", "2026-10-30T22:00:00Z", "2026-10-30T13:30:00Z"),
        ("7203.T", "2026-11-20T12:00:00Z", "2026-11-20T00:00:00Z"),
        ("BTC-USD", "2026-11-20T12:00:00Z", "2026-11-20T00:00:00Z"),
        ("EURUSD=X", "2026-10-20T12:00:00Z", "2026-10-19T23:00:00Z"),
        ("ES=F", "2026-11-20T12:00:00Z", "2026-11-20T05:00:00Z"),
    ],
)
def test_daily_rows_are_stamped_with_the_session_or_local_midnight(
    server: YahooServer, name: str, now: str, stamp: str
) -> None:
    found = result(server, name, parse_instant(now), interval="1d", range="5d")

    assert found["timestamp"][-1] == parse_instant(stamp) // SECOND_NS
    assert found["indicators"]["adjclose"][0]["adjclose"] == [row[4] for row in rows(found)]


def test_london_has_a_row_from_before_each_session_unasked(server: YahooServer) -> None:
    """ "`includePrePost=false` still yields [...] pre-market rows in London" (yahoo.md, trap 8).

    Nobody trades yet: it is the price of before, without volume, outside of `tradingPeriods`.
    """
    days = {"interval": "60m", "includePrePost": "false", **period("2026-11-18", "2026-11-20T12:00Z")}
    found = result(server, "VOD.L", **days)
    [*_, early] = [row for row in rows(found) if row[0] % 86_400 < 8 * 3_600]

    opened = [day[0]["start"] for day in found["meta"]["tradingPeriods"]]
    assert [row[0] + 3_600 for row in rows(found) if row[0] % 86_400 < 8 * 3_600] == opened
    before = MARKET.trades("VOD.L", START, early[0] * SECOND_NS)[-1]
    assert early[1:] == (widened(before.price),) * 4 + (0,)
    server.inject("early_rows", on=False)
    assert all(row[0] % 86_400 >= 8 * 3_600 for row in rows(result(server, "VOD.L", **days)))


@pytest.mark.parametrize(
    ("name", "interval", "before", "after"),
    [
        ("EURUSD=X", "1d", "2026-10-30T12:00:00Z", "2026-11-03T12:00:00Z"),
        ("AAPL", "1wk", "2026-11-03T22:00:00Z", "2026-11-10T22:00:00Z"),
    ],
)
def test_after_clocks_went_back_days_and_weeks_are_stamped_on_the_evening_before(
    server: YahooServer, name: str, interval: str, before: str, after: str
) -> None:
    """ "Some zones show days at 22:00 or 23:00 of the day before around clock changes" (yahoo.md, 4.3)."""

    def hour(now: str) -> int:
        found = result(server, name, parse_instant(now), interval=interval, range="1mo")
        stamps = [row[0] for row in rows(found) if row[0] != found["meta"]["regularMarketTime"]]
        zone = ZoneInfo(found["meta"]["exchangeTimezoneName"])
        return datetime.fromtimestamp(stamps[-1], zone).hour

    assert (hour(before), hour(after)) == (23, 0)
    server.inject("evening_stamps", on=False)
    assert hour(before) == 0


def test_a_window_holds_what_is_stamped_in_it_although_it_opens_at_its_end(server: YahooServer) -> None:
    """Rows are told by their stamps: a day stamped on the evening before is in that evening's window."""
    evening = {"interval": "1d", **period("2026-10-28T12:00Z", "2026-10-29T00:00Z")}

    assert [row[0] for row in rows(result(server, "EURUSD=X", **evening))] == [
        parse_instant("2026-10-28T23:00:00Z") // SECOND_NS
    ]


def test_a_running_week_comes_as_two_rows(server: YahooServer) -> None:
    """The second is today alone, stamped with the time of the last price."""
    found = result(server, "AAPL", CLOSED, interval="1wk", range="1mo")
    [*_, before, today] = rows(found)

    [day] = rows(result(server, "AAPL", CLOSED, interval="1d", range="1d"))
    assert before[0] == parse_instant("2026-11-16T05:00:00Z") // SECOND_NS
    assert today[0] == found["meta"]["regularMarketTime"]
    assert today[1:] == day[1:]
    server.inject("split_period", on=False)
    [*_, whole] = rows(result(server, "AAPL", CLOSED, interval="1wk", range="1mo"))
    assert whole == (
        before[0],
        before[1],
        max(before[2], today[2]),
        min(before[3], today[3]),
        today[4],
        before[5] + today[5],
    )


# --------------------------------------------------------------------------------------------------- meta


def test_meta_tells_zone_sessions_and_ranges(server: YahooServer) -> None:
    meta = result(server, "AAPL", interval="60m", range="5d")["meta"]

    assert (meta["currency"], meta["instrumentType"], meta["exchangeName"]) == ("USD", "EQUITY", "NMS")
    assert (meta["exchangeTimezoneName"], meta["timezone"], meta["gmtoffset"]) == (
        "America/New_York",
        "EST",
        -18000,
    )
    assert (meta["dataGranularity"], meta["range"]) == ("1h", "5d")
    assert meta["validRanges"][0] == "1d"
    assert [len(day) for day in meta["tradingPeriods"]] == [1] * 5
    assert meta["currentTradingPeriod"]["regular"] == {
        "timezone": "EST",
        "start": 1795185000,
        "end": 1795208400,
        "gmtoffset": -18000,
    }
    assert meta["currentTradingPeriod"]["pre"]["start"] == 1795165200
    assert meta["currentTradingPeriod"]["post"]["end"] == 1795222800
    last = MARKET.trades("AAPL", NOW - DAY_NS, NOW + 1)[-1]
    assert meta["regularMarketPrice"] == widened(last.price)
    before = MARKET.trades("AAPL", START, meta["tradingPeriods"][0][0]["start"] * SECOND_NS)[-1]
    assert meta["chartPreviousClose"] == widened(before.price)


def test_the_current_period_is_the_next_one_after_the_close(server: YahooServer) -> None:
    meta = result(server, "AAPL", SATURDAY, interval="1d", range="1d")["meta"]

    assert meta["currentTradingPeriod"]["regular"]["start"] == parse_instant("2026-11-23T14:30Z") // SECOND_NS


def test_with_prepost_the_periods_are_an_object(server: YahooServer) -> None:
    meta = result(server, "AAPL", interval="5m", range="1d", includePrePost="True")["meta"]

    assert {name: day[0][0]["start"] for name, day in meta["tradingPeriods"].items()} == {
        "pre": 1795165200,
        "regular": 1795185000,
        "post": 1795208400,
    }


def test_crypto_days_end_a_minute_early_on_paper(server: YahooServer) -> None:
    """So the row of 23:59 is stamped at the end of its own day."""
    found = result(server, "BTC-USD", interval="1m", **period("2026-11-19", "2026-11-20"))

    [[regular]] = found["meta"]["tradingPeriods"]
    assert regular["end"] == parse_instant("2026-11-19T23:59:00Z") // SECOND_NS
    assert found["meta"]["range"] == ""


INTERVALS = st.sampled_from(["1m", "2m", "5m", "60m", "4h", "1d", "5d", "1wk", "1mo", "3mo", "7m", ""])
NUMBERS = st.one_of(
    st.integers(START // SECOND_NS - 10**6, NOW // SECOND_NS + 10**6).map(str),
    st.text(max_size=4),
    st.just("-1"),
)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "interval": INTERVALS,
        "range": st.sampled_from(["1d", "5d", "1mo", "ytd", "30h", ""]),
        "period1": NUMBERS,
        "period2": NUMBERS,
        "events": st.text(max_size=5),
        "includePrePost": st.sampled_from(["true", "False"]),
    },
)


@given(query=QUERIES, name=st.sampled_from(["AAPL", "BTC-USD", "DUSK", "JPY=X", "ES=F", "FOO"]))
@settings(deadline=None, max_examples=12)
def test_whatever_is_asked_the_answer_is_a_chart_or_an_error(query: dict[str, Any], name: str) -> None:
    """Stamps ascend, all columns are equally long, and nothing lies in the future."""
    server = YahooServer(MARKET)

    answer = asked(server, f"/v8/finance/chart/{name}", **query)

    chart = json.loads(answer.body)["chart"]
    assert (answer.status == 200) is (chart["error"] is None)
    if chart["error"] is None and "timestamp" in chart["result"][0]:
        found = rows(chart["result"][0])
        stamps = [row[0] for row in found]
        assert stamps == sorted(set(stamps))
        assert stamps[-1] <= NOW // SECOND_NS


@given(now_ns=st.integers(START - SECOND_NS, START + 9 * DAY_NS))
def test_the_last_price_is_that_of_the_last_trade_however_long_ago_it_was(now_ns: int) -> None:
    """Nights and weekends have none, and there is none before the market begins."""
    trades = MARKET.trades("^GSPC", max(START, now_ns - 4 * DAY_NS), now_ns + 1)

    found = last_price(MARKET, quoted_of(MARKET)["^GSPC"], now_ns)

    assert (found and found[1]) == (trades[-1].price if trades else None)

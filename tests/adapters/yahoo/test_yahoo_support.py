"""What can be had, how far back, and what is sent for it."""

from __future__ import annotations

import pytest

import wickwire_yahoo
from tests.adapters.yahoo.talk import answer, body, page, query, request
from wickwire import FaultKind, Stopped, Timeframe, VenueError
from wickwire.adapter import bind

DAY = 86_400
NOW = 1_795_186_707


def test_it_binds_as_an_adapter_that_is_polled():
    adapter = bind("yahoo", wickwire_yahoo)

    assert (adapter.streams, adapter.serves_history) == (False, True)
    assert (adapter.description.channels, adapter.description.credentials) == ((), ())
    assert adapter.description.limits.rest is not None
    assert (adapter.description.limits.rest.per_s, adapter.description.limits.rest.burst) == (2.0, 5)


EVERY = ("1m", "2m", "5m", "15m", "30m", "1h", "90m", "4h", "1d", "1w", "1mo", "3mo")


@pytest.mark.parametrize("text", EVERY)
def test_every_interval_worth_having_is_served(text: str):
    support = wickwire_yahoo.supports_ohlcv("AAPL", Timeframe.parse(text))

    assert (support.rest, support.stream, support.trades, support.marks_closed) == (True, False, False, False)


@pytest.mark.parametrize(
    ("symbol", "said"), [("7203.T", ["closed 20 min late: Yahoo delays most exchanges"]), ("BTC/USD", [])]
)
def test_how_late_an_exchange_is_told_stands_with_the_plan(symbol: str, said: list[str]):
    notes = wickwire_yahoo.supports_ohlcv(symbol, Timeframe.parse("1m")).notes

    assert said == [note for note in notes if "late" in note]


def test_five_days_are_refused_with_the_reason():
    assert "no stable meaning" in wickwire_yahoo.supports_ohlcv("AAPL", Timeframe.parse("5d")).why_not


def test_an_unknown_timeframe_is_told_what_there_is():
    assert "1m, 2m, 5m" in wickwire_yahoo.supports_ohlcv("AAPL", Timeframe.parse("7m")).why_not


@pytest.mark.parametrize(
    ("text", "days", "span"),
    [
        ("1m", 30, 7),
        *((text, 60, 60) for text in ("2m", "5m", "15m", "30m", "90m")),
        *((text, 730, 730) for text in ("1h", "4h")),
    ],
)
def test_history_stays_an_hour_inside_the_limit(text: str, days: int, span: int):
    """A window that leaves the limit by a second is refused whole; pages fit into one call."""
    timeframe = Timeframe.parse(text)
    support = wickwire_yahoo.supports_ohlcv("AAPL", timeframe)

    assert support.depth_s == days * DAY - 3_600
    assert support.page_rows * timeframe.nominal_ns <= span * DAY * 10**9


@pytest.mark.parametrize("text", ["1d", "1w", "1mo", "3mo"])
def test_days_and_above_reach_back_to_the_listing_in_windows_below_a_century(text: str):
    timeframe = Timeframe.parse(text)
    support = wickwire_yahoo.supports_ohlcv("AAPL", timeframe)

    assert support.depth_s is None
    assert support.page_rows * timeframe.nominal_ns < 100 * 365 * DAY * 10**9
    assert text == "1d" or support.page_rows * timeframe.nominal_ns > 98 * 365 * DAY * 10**9


@pytest.mark.parametrize(
    ("text", "rows", "settle_s"),
    [
        *(("1m", 10_080, 10), ("2m", 10_080, 10), ("5m", 10_080, 10), ("15m", 60 * 96, 10)),
        *(("30m", 60 * 48, 10), ("90m", 60 * 16, 10), ("1h", 10_080, 10), ("4h", 730 * 6, 30)),
        *(("1d", 10_080, 300), ("1w", 99 * 365 // 7, 300)),
    ],
)
def test_pages_and_settling_times_are_those_of_the_page_of_the_venue(text: str, rows: int, settle_s: int):
    """docs/venues/yahoo.md, "Intervals"."""
    support = wickwire_yahoo.supports_ohlcv("AAPL", Timeframe.parse(text))

    assert (rows, settle_s) == (support.page_rows, support.settle_s)


@pytest.mark.parametrize(
    ("symbol", "late_s"),
    [
        *(("AAPL", 0), ("EUR/USD", 0), ("BTC/USD", 0), ("^GSPC", 0), ("^IXIC", 0)),
        *(("^VIX", 1_200), ("^FTSE", 1_200), ("^GDAXI", 1_200), ("^N225", 1_200), ("^AXJO", 1_200)),
        *(("ES=F", 1_200), ("GCZ26.CMX", 1_200), ("7203.T", 1_200), ("X.LM", 1_200)),
    ],
)
def test_all_but_us_shares_and_indices_currencies_and_crypto_are_late(symbol: str, late_s: int):
    """docs/venues/yahoo.md, "When a candle is closed"."""
    assert 10 + late_s == wickwire_yahoo.supports_ohlcv(symbol, Timeframe.parse("1m")).settle_s


def test_delayed_exchanges_settle_later():
    minute = Timeframe.parse("1m")

    assert wickwire_yahoo.supports_ohlcv("AAPL", minute).settle_s == 10
    assert wickwire_yahoo.supports_ohlcv("7203.T", minute).settle_s == 10 + 1_200


def test_the_request_is_complete_and_looks_like_a_browser():
    sent = request(query(1_795_185_000, 1_795_186_800, timeframe="1h"))

    assert sent.url == "https://query1.finance.yahoo.com/v8/finance/chart/AAPL"
    assert sent.params == {
        "interval": "1h", "period1": "1795185000", "period2": "1795186800", "includePrePost": "false",
        "events": "split",
    }  # fmt: skip
    assert sent.headers["User-Agent"].startswith("Mozilla/5.0 ")


def test_days_are_asked_for_from_the_evening_before_to_the_day_after():
    """Stamps are session opens, around clock changes 22:00 of the evening before: not where candles open."""
    sent = request(query(1_795_150_800, 1_795_237_200, timeframe="1d"))

    assert sent.params["interval"] == "1d"
    assert int(sent.params["period1"]) == 1_795_150_800 - 7_200
    assert int(sent.params["period2"]) == 1_795_237_200 + DAY


def test_what_is_older_than_the_limit_is_not_asked_for_and_not_claimed():
    asked = query(NOW - 40 * DAY, NOW - 29 * DAY, timeframe="1m", now=NOW)
    oldest = NOW - 30 * DAY + 3_600

    assert int(request(asked).params["period1"]) == oldest
    found = page(asked, body([]))
    assert (found.stopped, found.covered[0]) == (Stopped.VENUE_LIMIT, oldest * 10**9)


def test_what_is_wholly_out_of_reach_costs_no_request():
    asked = query(NOW - 50 * DAY, NOW - 45 * DAY, timeframe="1m", now=NOW)

    found = answer(asked, None)

    assert (found.candles, found.stopped) == ((), Stopped.VENUE_LIMIT)
    assert found.covered[0] == found.covered[1] == asked.until_ns


def test_a_window_longer_than_a_call_is_cut_and_says_so():
    asked = query(NOW - 20 * DAY, NOW, timeframe="1m")
    found = page(asked, body([]))

    assert int(request(asked).params["period2"]) == NOW - 13 * DAY
    assert found.stopped is Stopped.VENUE_LIMIT
    assert found.covered[1] <= (NOW - 13 * DAY) * 10**9


def test_a_timeframe_that_yahoo_lacks_is_refused_before_anything_is_sent():
    with pytest.raises(VenueError) as caught:
        request(query(0, DAY, timeframe="7m"))
    assert caught.value.kind is FaultKind.REQUEST

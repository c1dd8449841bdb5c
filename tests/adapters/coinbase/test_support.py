"""What Coinbase's adapter says that can be had."""

import pytest

import wickwire_coinbase
from wickwire import Account, Counting, Feed, Limits, Rate, Rung, Series, Timeframe, Utc
from wickwire.adapter import bind
from wickwire.places import plan_all
from wickwire.planner import plan


def support(text, symbol="BTC/USD"):
    return wickwire_coinbase.supports_ohlcv(symbol, Timeframe.parse(text))


@pytest.mark.parametrize("text", ["1m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "1d"])
def test_only_five_minutes_are_streamed_and_nine_lengths_are_served(text):
    told = support(text)

    assert (text == "5m", True, True) == (told.stream, told.trades, told.rest)
    assert (347, None, Utc()) == (told.page_rows, told.depth_rows, told.grid)
    assert not told.marks_closed


@pytest.mark.parametrize("text", ["30s", "3m", "12h", "1w", "1mo"])
def test_other_lengths_can_come_from_trades_alone(text):
    told = support(text)

    assert (False, True, False, "") == (told.stream, told.trades, told.rest, told.why_not)
    assert f"Coinbase serves no {text} candles itself" in told.notes


@pytest.mark.parametrize(
    ("text", "rung", "folds"),
    [
        ("30s", Rung.BUILD, None),
        ("3m", Rung.BUILD, "1m"),
        ("10m", Rung.RESAMPLE, "5m"),
        ("12h", Rung.RESAMPLE, "6h"),
        ("1w", Rung.RESAMPLE, "1d"),
        ("1mo", Rung.RESAMPLE, "1d"),
    ],
)
def test_other_lengths_are_made_of_smaller_ones_as_the_page_of_the_venue_says(text, rung, folds):
    made = plan(Series.parse(f"coinbase:BTC/USD@{text}"), bind("coinbase", wickwire_coinbase), Account())

    assert (rung, folds) == (made.rung, str(made.folds) if made.folds else None)


@pytest.mark.parametrize("symbol", ["BTCUSD", "", "A/B/C"])
def test_what_is_no_product_is_refused_with_an_example(symbol):
    told = support("5m", symbol)

    assert (False, False, False) == (told.stream, told.trades, told.rest)
    assert "such as BTC/USD" in told.why_not


def test_the_description_says_what_is_collected():
    told = wickwire_coinbase.describe()

    assert told.channels == ("candles", "market_trades", "ticker", "heartbeats")
    assert ((), ("production",), (Feed.TRADES, Feed.QUOTES)) == (
        told.credentials,
        told.environments,
        told.feeds,
    )


def test_the_planner_streams_five_minutes_and_polls_what_is_served():
    adapter = bind("coinbase", wickwire_coinbase)

    five = plan(Series.parse("coinbase:btc-usd@5m"), adapter, Account())
    pinned = plan(Series.parse("coinbase:BTC/USD@1h"), adapter, Account(), pin=Rung.POLL)

    assert ("coinbase:BTC/USD@5m", Rung.STREAM, Rung.POLL) == (str(five.series), five.rung, five.falls_to)
    assert pinned.rung is Rung.POLL


def test_three_hundred_products_take_three_connections():
    adapter = bind("coinbase", wickwire_coinbase)
    wanted = [Series.parse(f"coinbase:P{number}/USD@5m") for number in range(300)]
    plans = plan_all(wanted, {"coinbase": adapter})

    assert {Rung.STREAM} == {each.rung for each in plans}
    assert sum(each.cost.connections for each in plans) == 3


def test_it_takes_what_the_page_of_the_venue_says():
    """docs/venues/coinbase.md, "Limits", "How a candle closes": what nobody publishes is a choice there."""
    told = support("5m")

    assert wickwire_coinbase.describe().limits == Limits(
        topics_per_connection=100,
        connects=Rate(1, 1.0),
        messages_overall=Rate(8, 1.0, 4),
        rest=Rate(10, 1.0),
        reply_headers=("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    )
    assert (5.0, 5.0) == (told.settle_s, told.grace_s)


def test_bursts_stay_below_the_venues_limits():
    """In any one second: 8 connects, 8 messages, 10 requests."""
    limits = wickwire_coinbase.describe().limits
    assert limits.connects
    assert limits.messages_overall
    assert limits.rest
    rates = (limits.connects, limits.messages_overall, limits.rest)

    assert all(rate.counting is Counting.WINDOW and rate.per_s >= 1.0 for rate in rates)
    assert all(rate.amount <= allowed for rate, allowed in zip(rates, (8, 8, 10), strict=True))

"""Kraken: what it is, what can be had, how it is connected to."""

import importlib
from typing import Final

import pytest

import wickwire_kraken
from wickwire import (
    Account,
    Counting,
    FaultKind,
    Feed,
    Lane,
    Limits,
    Rate,
    Readiness,
    Timeframe,
    Topic,
    Unknown,
    Utc,
    VenueError,
    load_adapter,
)

NINE: Final = ("1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "15d")


def test_the_framework_accepts_it_as_a_streaming_adapter_with_history():
    adapter = load_adapter("kraken")

    assert (True, True) == (adapter.streams, adapter.serves_history)
    assert wickwire_kraken.describe() == adapter.describe(Account())


def test_it_knows_nine_timeframes_and_needs_no_key():
    told = wickwire_kraken.describe()

    assert tuple(map(str, told.timeframes)) == NINE
    assert told.credentials == ()
    assert told.feeds == (Feed.TRADES, Feed.QUOTES)


def test_it_keeps_to_what_public_clients_keep_to():
    """Kraken publishes none of these."""
    assert wickwire_kraken.describe().limits == Limits(
        topics_per_connection=250,
        connects=Rate(150, 600.0, 10),
        messages=Rate(20, 1.0, 10, Counting.BUCKET),
        rest=Rate(10, 10.0, 3, Counting.BUCKET),
    )


@pytest.mark.parametrize("text", NINE)
def test_every_interval_is_streamed_and_served_720_buckets_back(text):
    support = wickwire_kraken.supports_ohlcv("BTC/USD", Timeframe.parse(text))

    assert (True, True, True) == (support.stream, support.trades, support.rest)
    assert (720, 720) == (support.depth_rows, support.page_rows)
    assert (5.0, 3.0) == (support.settle_s, support.grace_s)
    assert not support.marks_closed
    assert not support.why_not


@pytest.mark.parametrize("text", NINE)
def test_weeks_and_fifteen_days_begin_where_nobody_says(text):
    support = wickwire_kraken.supports_ohlcv("BTC/USD", Timeframe.parse(text))

    assert support.grid == (Unknown() if text in {"1w", "15d"} else Utc())


@pytest.mark.parametrize("text", ["90s", "3m", "2h", "12h", "2d", "1mo"])
def test_another_timeframe_is_refused_with_the_nine(text):
    support = wickwire_kraken.supports_ohlcv("BTC/USD", Timeframe.parse(text))

    assert (False, False) == (support.stream, support.rest)
    assert " ".join(NINE) in support.why_not


@pytest.mark.parametrize(
    "symbol", ["AAPL", "XBTUSD.d", "BTC-USD", "BTC/USD/EUR", "/USD", "BTC/", "BTC/USD\n"]
)
def test_what_is_no_pair_is_refused_with_the_form(symbol):
    support = wickwire_kraken.supports_ohlcv(symbol, Timeframe.parse("1m"))

    assert (False, False) == (support.stream, support.rest)
    assert "BASE/QUOTE" in support.why_not


def test_a_pair_that_may_not_exist_is_answered_as_if_it_did():
    """Only the venue knows, and it refuses by itself."""
    assert wickwire_kraken.supports_ohlcv("NOPE/USD", Timeframe.parse("1m")).stream


def test_two_intervals_of_one_pair_never_share_a_connection():
    """The venue would refuse the second and stay silent about it."""
    one, five = (wickwire_kraken.lane(Topic("BTC/USD", Timeframe.parse(text))) for text in ("1m", "5m"))
    other = wickwire_kraken.lane(Topic("ETH/USD", Timeframe.parse("1m")))

    assert one.key == five.key == other.key
    assert one.alone == five.alone != other.alone
    assert one.alone is not None


@pytest.mark.parametrize("feed", list(Feed))
def test_trades_and_quotes_ride_anywhere(feed):
    assert wickwire_kraken.lane(Topic("BTC/USD", feed)) == Lane()


def test_the_stream_is_version_2_and_takes_subscriptions_at_once():
    endpoint = wickwire_kraken.connect(Account())

    assert endpoint.url == "wss://ws.kraken.com/v2"
    assert endpoint.ready is Readiness.ON_OPEN
    assert endpoint.acknowledges


def test_an_idle_connection_hears_two_pongs_before_it_would_count_as_dead():
    """Heartbeats begin only with the first subscription, pings are always answered."""
    endpoint = wickwire_kraken.connect(Account())

    assert endpoint.keepalive is not None
    assert endpoint.keepalive.frame == '{"method":"ping"}'
    assert 2 * endpoint.keepalive.every_s < endpoint.silence_limit_s == 10.0


def test_the_beta_environment_has_a_stream_of_its_own():
    assert wickwire_kraken.connect(Account(environment="beta")).url == "wss://beta-ws.kraken.com/v2"


def test_an_unknown_environment_is_refused_with_those_there_are():
    with pytest.raises(VenueError, match=r"'demo'; there are production, beta") as caught:
        wickwire_kraken.connect(Account(environment="demo"))

    assert caught.value.kind is FaultKind.REQUEST


def test_each_connection_has_a_memory_of_its_own():
    endpoint = wickwire_kraken.connect(Account())

    assert endpoint.memory() is not endpoint.memory()


def test_the_public_names_are_the_hooks():
    module = importlib.import_module("wickwire_kraken")

    assert [name for name in module.__all__ if not hasattr(getattr(module, name), "wickwire_impl")] == []

"""What is promised of the simulated market: everything follows from a seed, and everything agrees."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wickwire import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Session,
    Side,
    Timeframe,
    UsageError,
    Utc,
    Zone,
    broken_law,
    parse_instant,
)
from wickwire.simulate import DEFAULT_LISTINGS, Listing, Market, SeededMarket, TradingHours

START = parse_instant("2027-01-11T00:00:00Z")  # a Monday
END = START + 7 * DAY_NS
GRIDS = (Utc(), Zone("America/New_York"), Session(None, "America/New_York"))

instants = st.integers(0, 7 * DAY_NS // 1_000).map(lambda us: START + us * 1_000)
ranges = st.tuples(instants, st.integers(0, 12 * HOUR_NS)).map(lambda pair: (pair[0], pair[0] + pair[1]))
symbols = st.sampled_from([listing.symbol for listing in DEFAULT_LISTINGS])


def market(seed: int = 1) -> SeededMarket:
    return SeededMarket(seed, START)


def test_it_is_a_market():
    one: Market = market()
    assert "BTC/USD" in one.symbols


@settings(max_examples=40, deadline=None)
@given(symbols, ranges)
def test_trades_are_numbered_without_a_gap_and_never_two_at_once(symbol: str, span: tuple[int, int]):
    one = market()
    trades = one.trades(symbol, *span)

    first = one.count_before(symbol, span[0]) + 1
    assert [trade.number for trade in trades] == list(range(first, first + len(trades)))
    assert all(before.time_ns < after.time_ns for before, after in pairwise(trades))
    assert all(span[0] <= trade.time_ns < span[1] and trade.time_ns % 1_000 == 0 for trade in trades)


@settings(max_examples=40, deadline=None)
@given(symbols, ranges)
def test_the_taker_s_side_agrees_with_the_move(symbol: str, span: tuple[int, int]):
    one = market()
    trades = one.trades(symbol, *span)

    assert all(trade.price > 0 and trade.size > 0 for trade in trades)
    for before, after in pairwise(trades):
        assert after.side is not (Side.SELL if after.price > before.price else None)
        assert after.side is not (Side.BUY if after.price < before.price else None)


@settings(max_examples=40, deadline=None)
@given(symbols, ranges, st.floats(0, 1))
def test_a_range_holds_the_same_in_one_piece_and_in_two(symbol: str, span: tuple[int, int], share: float):
    """Asking never depends on what was asked before: the halves are asked of a market of their own."""
    middle = span[0] + int((span[1] - span[0]) * share)
    halves = market()

    later = halves.trades(symbol, middle, span[1])
    assert list(market().trades(symbol, *span)) == [*halves.trades(symbol, span[0], middle), *later]


@settings(max_examples=60, deadline=None)
@given(
    symbols,
    ranges,
    st.sampled_from(["15s", "90s", "1m", "7m", "1h", "4h", "1d", "1w", "1mo"]).map(Timeframe.parse),
    st.sampled_from(GRIDS),
)
def test_candles_are_what_their_trades_add_up_to(
    symbol: str, span: tuple[int, int], timeframe: Timeframe, grid: Utc | Zone | Session
):
    one = market()
    candles = one.candles(symbol, timeframe, *span, grid=grid)

    for candle in candles:
        trades = one.trades(symbol, candle.open_ns, min(candle.close_ns, span[1]))
        prices = [trade.price for trade in trades]
        volume = sum((trade.size for trade in trades), Decimal(0))
        assert span[0] <= candle.open_ns < candle.close_ns
        assert (candle.open, candle.high, candle.low, candle.close) == (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
        )
        assert (candle.volume, candle.trade_count) == (volume, len(trades))
        assert candle.vwap is not None
        exact = sum((trade.price * trade.size for trade in trades), Decimal(0)) / volume
        listing = one.instrument(symbol)
        assert listing is not None
        assert abs(candle.vwap - exact) <= Decimal(1).scaleb(-listing.price_decimals) / 2 + Decimal("1e-20")
        assert broken_law(candle) is None
    if candles:
        held = sum(candle.trade_count or 0 for candle in candles)
        assert held == len(one.trades(symbol, candles[0].open_ns, span[1]))


def test_sessions_count_from_their_open_and_the_last_bar_is_short():
    """New York trades from 14:30Z to 21:00Z in winter: six whole hours and a half one."""
    hours = market().candles(
        "SPY", Timeframe.parse("1h"), START, START + DAY_NS, grid=Session("XNYS", "America/New_York")
    )

    opens = [candle.open_ns - START for candle in hours]
    assert opens == [14 * HOUR_NS + 30 * MINUTE_NS + number * HOUR_NS for number in range(7)]
    assert hours[-1].close_ns - hours[-1].open_ns == 30 * MINUTE_NS


def test_nothing_trades_outside_sessions():
    one = market()
    saturday = START + 5 * DAY_NS

    assert not one.trades("AAPL", saturday, saturday + 2 * DAY_NS)
    assert not one.trades("AAPL", START, START + 14 * HOUR_NS)
    assert one.trades("BTC/USD", saturday, saturday + DAY_NS)


@pytest.mark.parametrize("day", ["2027-03-12", "2027-03-15", "2027-10-29", "2027-11-05", "2027-11-08"])
def test_sessions_follow_the_clocks_of_their_city(day: str):
    """Weekdays around the changes of New York's clocks: 14:30Z in winter, 13:30Z in summer."""
    noon = parse_instant(f"{day}T12:00:00Z")
    listing = market().instrument("AAPL")
    assert listing is not None
    assert listing.session is not None

    [session] = listing.session.sessions(noon, noon + 6 * HOUR_NS)
    summer = "2027-03-14" <= day < "2027-11-07"
    assert session[0] == parse_instant(f"{day}T{13 if summer else 14}:30:00Z")
    assert session == listing.session.session_at(session[1] - 1)
    assert listing.session.session_at(session[1]) is None


@pytest.mark.parametrize("listing", DEFAULT_LISTINGS, ids=lambda listing: listing.symbol)
def test_every_full_session_has_its_number_of_trades(listing: Listing):
    one = market()
    since = START + 2 * DAY_NS
    hours = listing.session
    span = (since, since + DAY_NS) if hours is None else hours.sessions(since, since + 2 * DAY_NS)[1]

    assert len(one.trades(listing.symbol, *span)) == listing.trades_per_session


def test_quiet_instruments_have_many_empty_minutes_and_lively_ones_few():
    one = market()
    minute = Timeframe.parse("1m")

    lively = one.candles("BTC/USD", minute, START, START + DAY_NS, grid=Utc())
    quiet = one.candles("XTZ/BTC", minute, START, START + DAY_NS, grid=Utc())
    assert 1_300 < len(lively) < 1_440
    assert 0 < len(quiet) <= 24


def test_the_market_begins_when_it_starts():
    """The first trade is number 1, also when the market starts in the middle of a session."""
    start = START + 13 * HOUR_NS + 17 * MINUTE_NS + 23_000
    one = SeededMarket(1, start)

    first = one.trades("ETH/USD", 0, start + HOUR_NS)[0]
    assert first.number == 1
    assert first.time_ns >= start
    assert one.next_trade_ns("ETH/USD", 0) == first.time_ns
    day = one.candles("ETH/USD", Timeframe.parse("1d"), START, START + DAY_NS, grid=Utc())
    assert day[0].open == first.price


@settings(max_examples=40, deadline=None)
@given(symbols, instants)
def test_the_next_trade_is_the_next_trade(symbol: str, ns: int):
    one = market()
    at = one.next_trade_ns(symbol, ns)

    assert at > ns
    assert len(one.trades(symbol, ns + 1, at + 1)) == 1


@settings(max_examples=40, deadline=None)
@given(symbols, instants)
def test_a_quote_stands_around_the_last_trade(symbol: str, ns: int):
    one = market()
    quote = one.quote(symbol, ns)
    trades = one.trades(symbol, START, ns + 1)

    assert 0 < quote.bid < quote.ask
    assert min(quote.bid_size, quote.ask_size) > 0
    assert quote == market().quote(symbol, ns)
    if trades:
        assert trades[-1].price == (quote.ask if trades[-1].side is Side.BUY else quote.bid)


questions = st.lists(
    st.tuples(st.sampled_from(["BTC/USD", "AAPL"]), st.integers(0, 900), st.integers(0, 900)), max_size=20
)


@settings(max_examples=40, deadline=None)
@given(questions)
def test_nothing_that_is_kept_from_earlier_questions_shows(asked: list[tuple[str, int, int]]):
    """Trades, prices, running candles and the next trade are kept, and forgotten when they are too many."""
    minute, noon = Timeframe.parse("1m"), START + 15 * HOUR_NS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wickwire.simulate.market.TRADES_KEPT", 7)
        patch.setattr("wickwire.simulate.market.PRICES_KEPT", 5)
        one = market()
        for symbol, since_s, span_s in asked:
            since_ns, until_ns = noon + since_s * SECOND_NS, noon + (since_s + span_s) * SECOND_NS
            fresh = market()
            assert one.next_trade_ns(symbol, since_ns) == fresh.next_trade_ns(symbol, since_ns)
            assert one.trades(symbol, since_ns, until_ns) == fresh.trades(symbol, since_ns, until_ns)
            span = (since_ns - since_ns % MINUTE_NS, until_ns)
            told = fresh.candles(symbol, minute, *span, grid=Utc())
            assert one.candles(symbol, minute, *span, grid=Utc()) == told


def test_other_seeds_other_markets():
    assert market(1).trades("BTC/USD", START, END - 6 * DAY_NS) != market(2).trades(
        "BTC/USD", START, END - 6 * DAY_NS
    )


def test_two_processes_with_different_hash_seeds_see_the_same_market():
    program = (
        "from wickwire import *; from wickwire.simulate import SeededMarket;"
        f"m = SeededMarket(7, {START});"
        f"print(m.trades('SOL/USD', {START}, {START + HOUR_NS})[-3:],"
        f" m.candles('AAPL', Timeframe.parse('1d'), {START}, {END}, grid=Utc()), m.quote('DOGE/USD', {END}))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]

    assert told[0] == told[1]
    assert "AAPL" in told[0]


def test_what_is_not_listed_does_not_exist():
    one = market()

    assert one.instrument("NOPE/USD") is None
    with pytest.raises(UsageError, match="'NOPE/USD' is not traded"):
        one.trades("NOPE/USD", START, END)


def test_more_instruments_can_be_listed():
    own = Listing(
        symbol="OWN", price_decimals=3, size_decimals=0, level=Decimal(4), size=Decimal(10), spread_ticks=2
    )
    one = SeededMarket(1, START, [own], synthetic_count=1_001)

    assert one.instrument("OWN") == own
    assert one.trades("OWN", START, START + HOUR_NS)
    assert one.trades("SYNTH1000/USD", START, START + HOUR_NS)
    assert one.instrument("SYNTH1001/USD") is None


@pytest.mark.parametrize("start_ns", [-1_000, 1, SECOND_NS + 500])
def test_a_market_starts_at_a_whole_microsecond(start_ns: int):
    with pytest.raises(UsageError, match="whole microsecond"):
        SeededMarket(1, start_ns)


@pytest.mark.parametrize("weekdays", [(), (1, 0), (0, 0), (7,)])
def test_weekdays_are_ascending(weekdays: tuple[int, ...]):
    with pytest.raises(ValueError, match="ascending"):
        TradingHours("UTC", 0, 60, weekdays)

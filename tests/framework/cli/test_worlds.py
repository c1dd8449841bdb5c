"""When simulated time begins."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire.cli.worlds import opening_ns, simulated
from wickwire.model import DAY_NS, HOUR_NS, MINUTE_NS, Series, Utc, iso, parse_instant
from wickwire.registry import Registry
from wickwire.simulate import SeededMarket
from wickwire.simulate.server import Incoming

MARKET = SeededMarket(1, 0)
SATURDAY_NS = parse_instant("2026-11-21T08:00:00Z")


def test_what_trades_round_the_clock_begins_now():
    assert SATURDAY_NS == opening_ns(MARKET, ["BTC/USD", "ETH/USD"], SATURDAY_NS)


def test_at_a_weekend_shares_begin_on_friday():
    began_ns = opening_ns(MARKET, ["BTC/USD", "AAPL"], SATURDAY_NS)

    assert iso(began_ns) == "2026-11-20T20:00:00Z"  # an hour before the close in New York


@given(st.integers(0, 400 * 24 * 60), st.sampled_from([["AAPL"], ["EUR/USD"], ["AAPL", "ES=F"], ["7203.T"]]))
def test_every_market_is_open_when_it_begins_and_stays_so_for_an_hour(minutes, symbols):
    now_ns = SATURDAY_NS + minutes * MINUTE_NS
    began_ns = opening_ns(MARKET, symbols, now_ns)

    assert now_ns - 7 * DAY_NS <= began_ns <= now_ns
    for symbol in symbols:
        instrument = MARKET.instrument(symbol)
        assert instrument is not None
        assert instrument.session is not None
        session = instrument.session.session_at(began_ns)
        assert session is not None
        assert session[1] - began_ns >= HOUR_NS


@pytest.mark.parametrize("symbols", [["BTC/USD"], ["AAPL"]])
def test_what_a_store_knows_does_not_happen_again(symbols):
    """The clock starts after it, in the next session if need be."""
    known_ns = SATURDAY_NS + 2 * HOUR_NS

    began_ns = opening_ns(MARKET, symbols, SATURDAY_NS, known_ns)

    assert known_ns <= began_ns <= known_ns + 3 * DAY_NS


@pytest.mark.parametrize(
    "text", ["kraken:BTC/USD@1w", "kraken:BTC/USD@15d", "yahoo:AAPL@1mo", "kraken:BTC/USD@1d"]
)
def test_the_longest_candles_asked_for_are_not_cut_by_the_beginning_of_the_market(text):
    """Two whole ones lie before the running one, which has the price of its true open."""
    series = Series.parse(text)

    async def main():
        async with simulated(Registry(), [series], seed=1, at_ns=SATURDAY_NS) as world:
            assert world.market is not None
            return world.market

    market = asyncio.run(main())
    cut, whole = (
        one.candles(series.symbol, series.timeframe, market.start_ns, SATURDAY_NS, grid=Utc())
        for one in (market, MARKET)
    )
    assert len(cut) >= 3
    assert [(one.open_ns, one.open, one.volume) for one in whole] == [
        (one.open_ns, one.open, one.volume) for one in cut
    ]


@pytest.mark.parametrize(
    ("plans", "refused"), [({}, True), ({"alpaca": ""}, True), ({"alpaca": "plus"}, False)]
)
def test_a_simulated_venue_is_told_the_plan_of_the_account(plans, refused):
    """Alpaca's free plan has no latest SIP data: "403 ... recent SIP data" (alpaca.md, 8. REST)."""
    series = Series.parse("alpaca.sip:AAPL@1m")
    now_ns = parse_instant("2026-11-20T15:00:00Z")

    async def main():
        async with simulated(Registry(), [series], seed=1, plans=plans, at_ns=now_ns) as world:
            query = {"symbols": "AAPL", "feed": "sip", "timeframe": "1Min", "end": iso(now_ns)}
            headers = {"apca-api-key-id": "key", "apca-api-secret-key": "secret"}
            asked = Incoming(method="GET", path="/v2/stocks/bars", query=query, headers=headers)
            return world.servers["alpaca"].answer(asked, now_ns)

    assert asyncio.run(main()).status == (403 if refused else 200)


def test_a_simulated_venue_without_plans_is_told_of_none():
    async def main():
        async with simulated(Registry(), [], venues=["kraken"], seed=1, plans={"kraken": "pro"}) as world:
            return list(world.servers)

    assert ["kraken"] == asyncio.run(main())


def test_symbols_that_nobody_trades_do_not_matter():
    assert SATURDAY_NS == opening_ns(MARKET, ["FOO/BAR"], SATURDAY_NS)

"""Trades and quotes of several venues at once: each says of which series it is."""

from __future__ import annotations

import asyncio
from inspect import signature
from typing import Any

import pytest

from tests.framework.virtual import virtual
from wickwire import DAY_NS, Collector, Quote, Registry, Series, SeriesQuote, SeriesTrade, Trade, UsageError
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS, running_clock
from wickwire.simulate.memory import MemoryTransport

VENUES = ("coinbase", "kraken")
TRADES = [f"{venue}:BTC/USD@trades" for venue in VENUES]
QUOTES = [f"{venue}:BTC/USD@quotes" for venue in VENUES]


def simulated() -> Collector:
    market, clock, servers = SeededMarket(1, VIRTUAL_START_NS - DAY_NS), running_clock(), []
    for name in VENUES:
        simulate = Registry().load(name).simulate
        assert simulate is not None
        servers.append(simulate(market))
    transport = MemoryTransport(servers, clock, latency_s=0.05)
    return Collector(transport=transport, clock=clock, world="simulated")


@virtual
async def test_one_iterator_tells_the_same_symbol_of_two_venues_apart() -> None:
    async with simulated() as collector:
        trades, quotes = collector.trades(), collector.quotes()
        for name in (*TRADES, *QUOTES):
            await collector.add(name)
        await asyncio.sleep(120)

        told, said = trades.take_ready(), quotes.take_ready()

        assert set(TRADES) == {str(one.series) for one in told}
        assert set(QUOTES) == {str(one.series) for one in said}
        assert set(VENUES) == {one.venue for one in told} == {one.venue for one in said}
        assert {"BTC/USD"} == {one.symbol for one in told}
        assert all(one.price > 0 for one in told)
        assert all(one.bid is None or one.ask is None or one.bid < one.ask for one in said)


@virtual
async def test_functions_are_called_with_trades_and_quotes_until_they_are_not_wanted() -> None:
    async with simulated() as collector:
        told: list[SeriesTrade] = []
        said: list[SeriesQuote] = []

        async def quoted(quote: SeriesQuote) -> None:
            await asyncio.sleep(0.01)
            said.append(quote)

        for name in (*TRADES, *QUOTES):
            await collector.add(name)
        stops = [
            collector.on_trade(told.append, name="mine"),
            collector.on_quote(quoted, QUOTES[1], name="mine too"),
        ]
        assert ["mine", "mine too"] == [one.name for one in collector.health().consumers]
        await asyncio.sleep(120)

        assert set(TRADES) == {str(one.series) for one in told}
        assert {QUOTES[1]} == {str(one.series) for one in said}
        for stop in stops:
            stop()
        assert [] == list(collector.health().consumers)
        await asyncio.sleep(1)
        before = len(told), len(said)
        await asyncio.sleep(120)
        assert before == (len(told), len(said))


@virtual
async def test_what_such_a_function_raises_is_counted_and_the_next_comes() -> None:
    async with simulated() as collector:
        told: list[str] = []

        def listen(trade: SeriesTrade) -> None:
            told.append(trade.id)
            raise KeyError(trade.id)

        collector.on_trade(listen)
        await collector.add(TRADES[1])
        await asyncio.sleep(60)

        assert len(told) == collector.listener_errors > 1


@virtual
async def test_the_latest_names_its_series_too() -> None:
    async with simulated() as collector:
        for name in (TRADES[0], QUOTES[0]):
            await collector.add(name)
        assert await collector.latest(TRADES[0]) is None
        await asyncio.sleep(60)

        trade, quote = await collector.latest(TRADES[0]), await collector.latest(QUOTES[0])

        assert isinstance(trade, SeriesTrade)
        assert isinstance(quote, SeriesQuote)
        assert [TRADES[0], QUOTES[0]] == [str(trade.series), str(quote.series)]


@virtual
async def test_a_function_for_trades_gets_no_candles_and_has_no_policy_of_candles() -> None:
    async with simulated() as collector:
        with pytest.raises(UsageError, match="carries no trades"):
            collector.on_trade(print, "kraken:BTC/USD@1m")
        with pytest.raises(UsageError, match="carries no quotes"):
            collector.on_quote(print, TRADES[0])


def test_nothing_of_a_trade_or_quote_is_lost_with_the_name() -> None:
    """What a field is called in one place and not in the other would be left out silently."""
    pairs: list[tuple[Any, Any, str]] = [(Trade, SeriesTrade, TRADES[0]), (Quote, SeriesQuote, QUOTES[0])]
    for kind, of_series, name in pairs:
        fields = list(signature(kind).parameters)
        named = of_series.of(Series.parse(name), kind(*fields))
        assert fields == [getattr(named, field) for field in fields]


@virtual
async def test_nobody_waits_for_ever_for_what_is_not_collected() -> None:
    async with simulated() as collector:
        await collector.add(TRADES[0])
        minutes = "kraken:BTC/USD@1m"
        for ask, name in (
            (collector.candles, minutes),
            (collector.trades, TRADES[1]),
            (collector.quotes, QUOTES[1]),
        ):
            with pytest.raises(UsageError, match=f"{name} is not collected here; add it first"):
                ask(name)
        assert collector.candles() is not None, "all that will be"
        called: list[object] = []
        collector.on_candle(called.append, minutes)  # nobody waits for a function

        await collector.add(minutes)
        first = await anext(collector.candles(minutes))
        await collector.remove(minutes)
        assert first == await anext(collector.candles(minutes, after_seq=first.seq - 1)), "it is stored"
        with pytest.raises(UsageError, match="add it first"):
            collector.candles(minutes)
        assert first in called

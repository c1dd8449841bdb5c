"""Coinbase's adapter and its simulated server, written apart: what one says the other understands."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pytest

import wickwire_coinbase
from tests.adapters.coinbase.wires import BTC_5M, BTC_QUOTES, BTC_TRADES, ETH_5M, FIVE
from wickwire import (
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Accepted,
    Account,
    Ask,
    Candle,
    Fault,
    FaultKind,
    Feed,
    Finality,
    Heartbeat,
    HttpReply,
    OhlcvQuery,
    Page,
    Quote,
    Refused,
    Released,
    Removed,
    Timeframe,
    Topic,
    Trade,
    TradeQuery,
    Utc,
    VenueError,
    parse_instant,
)
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.server import Answer, Hangup, Incoming
from wickwire_coinbase.memory import Memory
from wickwire_coinbase.simulator import CoinbaseServer

START = parse_instant("2026-11-01T00:00:00Z")
NOON = parse_instant("2026-11-20T12:00:00Z")
MARKET = SeededMarket(11, START)


class Client:
    """One connection to the simulated venue, greeted, spoken and heard by the adapter."""

    def __init__(self, server: CoinbaseServer | None = None, now_ns: int = NOON) -> None:
        self.now_ns = now_ns
        endpoint = wickwire_coinbase.connect(Account())
        self.memory = Memory()
        path = endpoint.url.removeprefix("wss://advanced-trade-ws.coinbase.com")
        opening = Incoming(method="GET", path=path, query={}, headers={})
        connection = (server or CoinbaseServer(MARKET)).accept(opening, now_ns)
        assert not isinstance(connection, Answer)
        self.connection = connection
        assert self.hear(connection.opened(now_ns)) == []
        for send in endpoint.hello:
            assert self.hear(connection.received(send.frame, now_ns)) == []

    def hear(self, frames: Sequence[Any]) -> list[Any]:
        heard: list[Any] = []
        for frame in frames:
            assert not isinstance(frame, Hangup)
            heard += wickwire_coinbase.parse(frame.encode(), self.memory)
        return heard

    def change(self, *topics: Topic, removed: Sequence[Topic] = ()) -> list[Any]:
        sends = wickwire_coinbase.subscribe([Ask(topic) for topic in topics], removed, self.memory)
        return [
            event for send in sends for event in self.hear(self.connection.received(send.frame, self.now_ns))
        ]

    def run(self, for_ns: int) -> list[Any]:
        until_ns, heard = self.now_ns + for_ns, list[Any]()
        while (next_ns := self.connection.next_ns(self.now_ns)) <= until_ns:
            self.now_ns = next_ns
            heard += self.hear(self.connection.due(next_ns))
        self.now_ns = until_ns
        return heard


def fetch(
    conversation: Generator[Any, Any, Any], now_ns: int = NOON, server: CoinbaseServer | None = None
) -> Any:
    """Run a conversation with the simulated venue."""
    server = server or CoinbaseServer(MARKET)
    request = next(conversation)
    while True:
        path = request.url.removeprefix("https://api.coinbase.com")
        answer = server.answer(Incoming(method="GET", path=path, query=request.params, headers={}), now_ns)
        reply = HttpReply(status=answer.status, body=answer.body, date_ns=now_ns - now_ns % SECOND_NS)
        try:
            request = conversation.send(reply)
        except StopIteration as stop:
            return stop.value


def test_every_subscription_is_confirmed_and_ends_when_told():
    client = Client()
    topics = [Topic(symbol, what) for symbol in ("BTC/USD", "ETH/USD") for what in (FIVE, *Feed)]

    confirmed = [event for event in client.change(*topics) if isinstance(event, Accepted)]
    client.run(SECOND_NS)
    released = [event for event in client.change(removed=topics) if isinstance(event, Released)]

    assert set(topics) == {topic for event in confirmed for topic in event.topics}
    assert set(topics) == {topic for event in released for topic in event.topics}
    assert (client.memory.asked, [*client.memory.pending]) == ({}, [])
    assert {Heartbeat} == {type(event) for event in client.run(MINUTE_NS)}


def test_a_wrong_product_is_refused_and_found_by_halves():
    client = Client()
    wrong = Topic("NOPE/USD", FIVE)

    [several] = client.change(BTC_5M, wrong)
    alone = client.change(wrong)
    right = client.change(BTC_5M)

    assert several == Refused((), FaultKind.REQUEST, "failure to subscribe")
    assert alone == [Refused([wrong], FaultKind.REQUEST, "failure to subscribe")]
    assert Accepted([BTC_5M]) in right


def test_an_hour_of_stream_brings_the_candles_of_the_market():
    """The last row of each bucket is what the market says of it; nothing on the way is a fault."""
    client = Client()
    client.change(BTC_5M, ETH_5M)
    heard = client.run(HOUR_NS)

    last = {
        event.open_ns: event for event in heard if isinstance(event, Candle) and event.symbol == "BTC/USD"
    }
    truth = MARKET.candles("BTC/USD", FIVE, NOON, NOON + HOUR_NS, grid=Utc())

    assert len(truth) == 12
    assert [] == [event for event in heard if isinstance(event, Fault)]
    assert [candle.open_ns for candle in truth] == [ns for ns in last if ns >= NOON]
    assert all(last[candle.open_ns].same_values(candle) for candle in truth)


def test_older_states_change_nothing_of_that_but_for_a_doubt_about_each_bucket():
    server = CoinbaseServer(MARKET)
    server.inject("interleave")
    client = Client(server)
    client.change(BTC_5M)
    closed, forming = dict[int, Candle](), None
    doubted: list[int] = []
    for event in client.run(HOUR_NS):
        if isinstance(event, Removed):
            doubted.append(event.open_ns)
        elif isinstance(event, Candle):
            if forming is not None and event.open_ns > forming.open_ns:
                closed[forming.open_ns] = forming
            forming = event
    truth = MARKET.candles("BTC/USD", FIVE, NOON, NOON + HOUR_NS, grid=Utc())[:-1]

    assert all(closed[candle.open_ns].same_values(candle) for candle in truth)
    assert {candle.open_ns for candle in truth} <= {*doubted}


def test_the_trades_of_the_stream_and_of_history_are_those_of_the_market():
    client = Client()
    client.change(BTC_TRADES)
    heard = [event for event in client.run(10 * MINUTE_NS) if isinstance(event, Trade)]
    truth = MARKET.trades("BTC/USD", NOON + 1, NOON + 10 * MINUTE_NS)
    now_ns = NOON + 20 * MINUTE_NS
    query = TradeQuery(symbol="BTC/USD", since_ns=NOON + 1, until_ns=NOON + 10 * MINUTE_NS, now_ns=now_ns)
    page = fetch(wickwire_coinbase.fetch_trades(query), now_ns)

    def told(trades: Sequence[Any]) -> list[tuple[Any, ...]]:
        return [(trade.price, trade.size, trade.side, trade.time_ns // 1_000) for trade in trades]

    assert len(truth) > 30
    assert told(truth) == told(heard) == told(page.trades)
    assert [trade.id for trade in heard] == [trade.id for trade in page.trades]
    assert page.covered == (query.since_ns, query.until_ns)


def test_many_trades_are_paged_backwards_to_the_last_of_them():
    query = TradeQuery(symbol="BTC/USD", since_ns=NOON - 12 * HOUR_NS, until_ns=NOON, now_ns=NOON)
    page = fetch(wickwire_coinbase.fetch_trades(query))
    truth = MARKET.trades("BTC/USD", query.since_ns, query.until_ns)

    assert len(truth) > 3_000
    assert [str(trade.number) for trade in truth] == [trade.id for trade in page.trades]


def test_quotes_follow_the_market():
    client = Client()
    client.change(BTC_QUOTES)
    quotes = [event for event in client.run(10 * MINUTE_NS) if isinstance(event, Quote)]
    trades = MARKET.trades("BTC/USD", NOON + 1, NOON + 10 * MINUTE_NS)
    last = MARKET.quote("BTC/USD", trades[-1].time_ns)

    assert len(quotes) == len(trades)
    told = quotes[-1]
    assert (last.bid, last.bid_size, last.ask, last.ask_size) == (
        told.bid,
        told.bid_size,
        told.ask,
        told.ask_size,
    )


def test_usdc_and_dollars_on_one_connection_both_receive():
    client = Client()
    both = [Topic(symbol, FIVE) for symbol in ("BTC/USD", "BTC/USDC")]
    accepted = [event for event in client.change(*both) if isinstance(event, Accepted)]
    candles = [event for event in client.run(10 * MINUTE_NS) if isinstance(event, Candle)]

    assert [Accepted(both)] == accepted
    assert [c.close for c in candles if c.symbol == "BTC/USD"] == [
        c.close for c in candles if c.symbol == "BTC/USDC"
    ]


def test_every_lost_message_is_a_gap():
    server = CoinbaseServer(MARKET)
    client = Client(server)
    client.change(BTC_5M, BTC_TRADES)
    server.inject("lose_messages", count=3)
    faults = [event for event in client.run(5 * MINUTE_NS) if isinstance(event, Fault)]

    assert faults
    assert {FaultKind.GAP} == {fault.kind for fault in faults}


@pytest.mark.parametrize("bounds", ["inclusive", "exclusive"])
@pytest.mark.parametrize("text", ["1m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "1d"])
def test_history_is_that_of_the_market_whatever_the_bounds_mean(text, bounds):
    server = CoinbaseServer(MARKET)
    server.inject("exclusive", on=bounds == "exclusive")
    timeframe = Timeframe.parse(text)
    length_ns = timeframe.nominal_ns
    since_ns = max(timeframe.open_at(NOON, Utc()) - 340 * length_ns, START)
    until_ns = timeframe.open_at(NOON, Utc()) + length_ns
    query = OhlcvQuery(
        symbol="BTC/USD", timeframe=timeframe, since_ns=since_ns, until_ns=until_ns, now_ns=NOON + 1
    )
    page = fetch(wickwire_coinbase.fetch_ohlcv(query), NOON, server)
    truth = MARKET.candles("BTC/USD", timeframe, since_ns, NOON + 1, grid=Utc())

    assert isinstance(page, Page)
    assert [candle.open_ns for candle in truth] == [candle.open_ns for candle in page.candles]
    assert all(candle.same_values(row) for candle, row in zip(page.candles, truth, strict=True))
    assert page.covered == (since_ns, timeframe.open_at(NOON, Utc()))
    assert [c for c in page.candles if c.finality is Finality.FORMING] == [
        c for c in page.candles if c.open_ns == timeframe.open_at(NOON, Utc())
    ]


def test_the_widest_page_is_taken_and_a_wider_one_is_refused():
    rows = wickwire_coinbase.supports_ohlcv("XMR/USD", Timeframe.parse("1m")).page_rows

    def page(count: int) -> Any:
        query = OhlcvQuery(
            symbol="XMR/USD",
            timeframe=Timeframe.parse("1m"),
            since_ns=NOON - count * MINUTE_NS,
            until_ns=NOON,
            now_ns=NOON,
        )
        return fetch(wickwire_coinbase.fetch_ohlcv(query))

    assert page(rows).covered == (NOON - rows * MINUTE_NS, NOON)
    with pytest.raises(VenueError, match="should be less than 350") as caught:
        page(rows + 5)
    assert caught.value.kind is FaultKind.REQUEST


def test_what_the_venue_refuses_has_its_kind():
    server = CoinbaseServer(MARKET)
    minute = Timeframe.parse("1m")

    def kind(symbol: str = "BTC/USD") -> FaultKind:
        query = OhlcvQuery(
            symbol=symbol, timeframe=minute, since_ns=NOON - HOUR_NS, until_ns=NOON, now_ns=NOON
        )
        with pytest.raises(VenueError) as caught:
            fetch(wickwire_coinbase.fetch_ohlcv(query), NOON, server)
        return caught.value.kind

    assert kind("NOPE/USD") is FaultKind.SYMBOL
    server.inject("rest_error", status=500)
    assert kind() is FaultKind.OUTAGE
    server.inject("rest_error", on=False)
    server.inject("html_503")
    assert kind() is FaultKind.OUTAGE
    server.inject("html_503", on=False)
    server.inject("rest_rate", per_s=1)
    assert kind() is FaultKind.WAIT


def test_instruments_are_what_the_market_trades_round_the_clock():
    symbols = fetch(wickwire_coinbase.list_instruments("BTC"))

    assert symbols == ["BTC/EUR", "BTC/USD", "BTC/USDC", "ETH/BTC", "XTZ/BTC"]

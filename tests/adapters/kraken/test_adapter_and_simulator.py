"""Kraken's adapter and its simulated server, written apart: what one says the other understands."""

from collections.abc import Generator, Sequence
from typing import Any

import pytest

import wickwire_kraken
from wickwire import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    Accepted,
    Account,
    Ask,
    Candle,
    Event,
    Fault,
    Feed,
    Finality,
    HttpReply,
    OhlcvQuery,
    Quote,
    Refused,
    Released,
    Stopped,
    Timeframe,
    Topic,
    Trade,
    TradeQuery,
    Utc,
    VenueStatus,
    parse_instant,
)
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.server import Answer, Hangup, Incoming
from wickwire_kraken.dialogue import Dialogue

START = parse_instant("2026-11-01T00:00:00Z")
NOON = parse_instant("2026-11-20T12:00:00Z")
MINUTE = Timeframe.parse("1m")
MARKET = SeededMarket(11, START)


class Client:
    """One connection to the simulated venue, spoken and heard by the adapter."""

    def __init__(self, now_ns: int = NOON) -> None:
        self.now_ns = now_ns
        self.memory = Dialogue()
        path = wickwire_kraken.connect(Account()).url.removeprefix("wss://ws.kraken.com")
        opening = Incoming(method="GET", path=path, query={}, headers={})
        connection = wickwire_kraken.simulate(MARKET).accept(opening, now_ns)
        assert not isinstance(connection, Answer)
        self.connection = connection
        self.greeting = self.hear(connection.opened(now_ns))

    def hear(self, frames: Sequence[Any]) -> list[Event]:
        heard: list[Event] = []
        for frame in frames:
            assert not isinstance(frame, Hangup)
            heard += wickwire_kraken.parse(frame.encode() if isinstance(frame, str) else frame, self.memory)
        return heard

    def change(self, *topics: Topic, removed: Sequence[Topic] = ()) -> list[Event]:
        sends = wickwire_kraken.subscribe([Ask(topic) for topic in topics], removed, self.memory)
        return [
            event for send in sends for event in self.hear(self.connection.received(send.frame, self.now_ns))
        ]

    def run(self, for_ns: int) -> list[Event]:
        until_ns, heard = self.now_ns + for_ns, list[Event]()
        while (next_ns := self.connection.next_ns(self.now_ns)) <= until_ns:
            self.now_ns = next_ns
            heard += self.hear(self.connection.due(next_ns))
        self.now_ns = until_ns
        return heard


def fetch(conversation: Generator[Any, Any, Any], now_ns: int = NOON) -> Any:
    """Run a conversation with the simulated venue."""
    server = wickwire_kraken.simulate(MARKET)
    request = next(conversation)
    while True:
        path = request.url.removeprefix("https://api.kraken.com")
        incoming = Incoming(method="GET", path=path, query=request.params, headers={})
        answer = server.answer(incoming, now_ns)
        reply = HttpReply(status=answer.status, body=answer.body, date_ns=now_ns - now_ns % 10**9)
        try:
            request = conversation.send(reply)
        except StopIteration as stop:
            return stop.value


def test_it_greets_with_its_status():
    assert Client().greeting == [VenueStatus(None, "online")]


def test_every_subscription_is_confirmed_and_ends_when_told():
    client = Client()
    topics = [Topic(symbol, what) for symbol in ("BTC/USD", "ETH/USD") for what in (MINUTE, *Feed)]

    confirmed = [event for event in client.change(*topics) if isinstance(event, Accepted)]
    released = [event for event in client.change(removed=topics) if isinstance(event, Released)]

    assert set(topics) == {topic for event in confirmed for topic in event.topics}
    assert set(topics) == {topic for event in released for topic in event.topics}
    assert client.memory.asked == {}


def test_a_wrong_symbol_and_a_second_interval_are_refused_by_topic():
    client = Client()
    wrong, second = Topic("NOPE/USD", MINUTE), Topic("BTC/USD", Timeframe.parse("5m"))
    client.change(Topic("BTC/USD", MINUTE))

    refused = [event for event in client.change(wrong, second) if isinstance(event, Refused)]

    assert [[wrong], [second]] == [event.topics for event in refused]


def test_an_hour_of_stream_brings_the_candles_of_the_market():
    """The last row of each bucket is what the market says of it; nothing on the way is a fault."""
    client = Client()
    client.change(Topic("BTC/USD", MINUTE))
    heard = client.run(HOUR_NS)

    last = {event.open_ns: event for event in heard if isinstance(event, Candle)}
    truth = MARKET.candles("BTC/USD", MINUTE, NOON, NOON + HOUR_NS, grid=Utc())

    assert len(truth) > 30
    assert [] == [event for event in heard if isinstance(event, Fault)]
    assert [candle.open_ns for candle in truth] == [ns for ns in last if ns >= NOON]
    assert all(last[candle.open_ns].same_values(candle) for candle in truth)


def test_the_trades_of_the_stream_and_of_history_are_those_of_the_market():
    client = Client()
    client.change(Topic("BTC/USD", Feed.TRADES))
    heard = [event for event in client.run(MINUTE_NS) if isinstance(event, Trade)]
    truth = MARKET.trades("BTC/USD", NOON, NOON + MINUTE_NS)
    query = TradeQuery(
        symbol="BTC/USD", since_ns=NOON, until_ns=NOON + MINUTE_NS, now_ns=NOON + 2 * MINUTE_NS
    )
    page = fetch(wickwire_kraken.fetch_trades(query), query.now_ns)

    def told(trades: Sequence[Any]) -> list[tuple[Any, ...]]:
        return [(trade.price, trade.size, trade.side, trade.time_ns // 1_000) for trade in trades]

    assert truth
    assert told(truth) == told(heard) == told(page.trades)
    assert [trade.id for trade in heard] == [trade.id for trade in page.trades]


def test_quotes_follow_the_market():
    client = Client()
    client.change(Topic("BTC/USD", Feed.QUOTES))
    quotes = [event for event in client.run(MINUTE_NS) if isinstance(event, Quote)]

    assert quotes
    assert all(quote.bid is not None and quote.ask is not None and quote.bid < quote.ask for quote in quotes)


@pytest.mark.parametrize("text", ["1m", "5m", "15m", "30m", "1h", "4h", "1d"])
def test_history_is_that_of_the_market(text):
    timeframe = Timeframe.parse(text)
    since_ns = max(START, timeframe.open_at(NOON, Utc()) - 50 * timeframe.nominal_ns)
    query = OhlcvQuery(
        symbol="BTC/USD", timeframe=timeframe, since_ns=since_ns, until_ns=NOON + DAY_NS, now_ns=NOON
    )
    page = fetch(wickwire_kraken.fetch_ohlcv(query))
    truth = MARKET.candles("BTC/USD", timeframe, since_ns, NOON, grid=Utc())

    over = [candle for candle in truth if candle.close_ns <= NOON]
    closed = [candle for candle in page.candles if candle.finality is not Finality.FORMING]
    assert [candle.open_ns for candle in over] == [candle.open_ns for candle in closed]
    assert all(ours.same_values(theirs) for ours, theirs in zip(closed, over, strict=True))
    assert page.covered == (since_ns, timeframe.open_at(NOON, Utc()))
    assert page.stopped is Stopped.UNTIL


def test_history_ends_720_minutes_back():
    query = OhlcvQuery(
        symbol="BTC/USD", timeframe=MINUTE, since_ns=NOON - DAY_NS, until_ns=NOON - DAY_NS // 4, now_ns=NOON
    )
    page = fetch(wickwire_kraken.fetch_ohlcv(query))

    assert page.covered == (NOON - 720 * MINUTE_NS, NOON - DAY_NS // 4)
    assert page.stopped is Stopped.VENUE_LIMIT


def test_history_of_a_young_market_shows_where_it_begins():
    now_ns = START + HOUR_NS
    query = OhlcvQuery(
        symbol="BTC/USD", timeframe=MINUTE, since_ns=START - HOUR_NS, until_ns=now_ns, now_ns=now_ns
    )
    page = fetch(wickwire_kraken.fetch_ohlcv(query), now_ns)

    assert page.stopped is Stopped.VENUE_START
    assert START <= page.covered[0] < START + HOUR_NS // 2


def test_instruments_carry_canonical_names():
    symbols = fetch(wickwire_kraken.list_instruments(""))

    assert {"BTC/USD", "ETH/USD"} <= set(symbols)
    assert symbols == [wickwire_kraken.from_venue(symbol) for symbol in symbols]

"""The simulated WebSocket v1, which older programs speak: frames in, frames out, beside the truth."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.kraken_client import MARKET, NOW, Client, true_candles
from wickwire import MINUTE_NS, SECOND_NS, Side
from wickwire.simulate.server import Hangup
from wickwire_kraken.simulator import KrakenServer


@pytest.fixture
def v1(server: KrakenServer) -> Client:
    return Client(server, path="")


def asked(channel: str, *pairs: object, event: str = "subscribe", **more: object) -> dict[str, object]:
    return {"event": event, "pair": [*pairs], "subscription": {"name": channel, **more}, "reqid": 5}


def data(heard: list[Any], name: str) -> list[Any]:
    return [frame[1] for frame in heard if isinstance(frame, list) and frame[2] == name]


def test_the_status_comes_first(v1: Client) -> None:
    [frame] = v1.first

    assert json.loads(str(frame)) == {
        "connectionID": 8628615390848610001,
        "event": "systemStatus",
        "status": "online",
        "version": "1.9.6",
    }


def test_a_subscription_is_told_before_its_last_candle(v1: Client) -> None:
    status, snapshot = v1.say(asked("ohlc", "XBT/USD", interval=5))

    assert status == {
        "channelID": 42,
        "channelName": "ohlc-5",
        "event": "subscriptionStatus",
        "pair": "XBT/USD",
        "subscription": {"name": "ohlc", "interval": 5},
        "status": "subscribed",
        "reqid": 5,
    }
    assert [42, "ohlc-5", "XBT/USD"] == [snapshot[0], *snapshot[2:]]


def test_the_last_row_of_every_minute_is_the_markets_candle(v1: Client) -> None:
    v1.say(asked("ohlc", "XBT/USD"))
    rows = data(v1.run(10 * MINUTE_NS), "ohlc-1")

    last = {Decimal(row[1]): row for row in rows}
    since_ns = (NOW // MINUTE_NS + 1) * MINUTE_NS
    true = true_candles(since_ns, since_ns + 8 * MINUTE_NS)
    assert len(true) > 5
    for candle in true:
        _, _, *numbers, count = last[Decimal(candle.close_ns) / SECOND_NS]
        told = [Decimal(number) for number in numbers]
        wanted = (candle.open, candle.high, candle.low, candle.close, candle.vwap, candle.volume)
        assert (*told, count) == (*wanted, candle.trade_count)


def test_trades_equal_the_truth_and_begin_with_the_last_fifty(v1: Client) -> None:
    _, snapshot = v1.say(asked("trade", "XBT/USD"))
    told = [row for rows in data(v1.run(3 * MINUTE_NS), "trade") for row in rows]

    assert len(snapshot[1]) == 50
    true = MARKET.trades("BTC/USD", NOW + 1, NOW + 3 * MINUTE_NS + 1)
    assert true
    assert [(trade.price, trade.size, trade.side) for trade in true] == [
        (Decimal(price), Decimal(size), Side.BUY if side == "b" else Side.SELL)
        for price, size, _, side, _, _ in told
    ]


def test_a_ticker_tells_the_best_prices_at_each_trade(v1: Client) -> None:
    _, snapshot = v1.say(asked("ticker", "XBT/USD"))

    quote = MARKET.quote("BTC/USD", NOW)
    assert (Decimal(snapshot[1]["b"][0]), Decimal(snapshot[1]["a"][0])) == (quote.bid, quote.ask)
    assert data(v1.run(MINUTE_NS), "ticker")


def test_heartbeats_come_each_second_once_there_is_a_subscription(v1: Client) -> None:
    assert not v1.run(5 * SECOND_NS)

    v1.say(asked("trade", "XMR/USD"))

    assert v1.run(5 * SECOND_NS).count({"event": "heartbeat"}) == 5


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (asked("ohlc", "XBTUSD"), "Currency pair not in ISO 4217-A3 format XBTUSD"),
        (asked("ohlc", "BTC/USD"), "Currency pair not supported BTC/USD"),
        (asked("ohlc", "XBT/USD", interval=3), "Subscription ohlc interval not supported"),
        (asked("book", "XBT/USD"), "Subscription name invalid"),
        (asked("ohlc", "XBT/USD", event="unsubscribe"), "Subscription Not Found"),
        ({"event": "subscribe"}, "Malformed request"),
        ("nonsense", "Malformed request"),
    ],
)
def test_what_cannot_be_had_is_refused(v1: Client, wish: object, text: str) -> None:
    [frame] = v1.say(wish)

    assert (frame["event"], frame["status"], frame["errorMessage"]) == ("subscriptionStatus", "error", text)


def test_unsubscribing_ends_the_data(v1: Client) -> None:
    v1.say(asked("trade", "XBT/USD"))
    [status] = v1.say(asked("trade", "XBT/USD", event="unsubscribe"))

    assert status["status"] == "unsubscribed"
    assert not data(v1.run(3 * MINUTE_NS), "trade")


def test_subscribing_again_brings_nothing_twice(v1: Client) -> None:
    for event in ("subscribe", "unsubscribe", "subscribe", "subscribe"):
        v1.say(asked("trade", "XBT/USD", event=event))

    told = [row for rows in data(v1.run(3 * MINUTE_NS), "trade") for row in rows]

    assert len(told) == len(MARKET.trades("BTC/USD", NOW + 1, NOW + 3 * MINUTE_NS + 1))


def test_faults_of_the_venue_are_its_own(server: KrakenServer, v1: Client) -> None:
    v1.say(asked("trade", "XBT/USD"))
    server.inject("mute")
    assert not data(v1.run(2 * MINUTE_NS), "trade")

    server.inject("maintenance")
    assert v1.run(SECOND_NS)[0]["status"] == "maintenance"

    server.inject("hangup", code=1006)
    assert v1.run(SECOND_NS)[-1] == Hangup(1006, "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
WISHES = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["subscribe", "unsubscribe", "ping"]) | JSON,
        "pair": st.lists(st.just("XBT/USD") | JSON, max_size=3) | JSON,
        "subscription": st.fixed_dictionaries(
            {"name": st.sampled_from(["ohlc", "trade", "ticker"]) | JSON, "interval": st.just(1) | JSON}
        )
        | JSON,
    }
)


@given(st.lists((JSON | WISHES).map(json.dumps) | st.binary(max_size=8), max_size=5))
@settings(deadline=None)
def test_whatever_a_client_sends_gets_an_answer_and_nothing_raises(frames: list[str | bytes]) -> None:
    client = Client(KrakenServer(MARKET), path="")

    for frame in frames:
        assert client.say(frame), frame
        client.run(SECOND_NS)
    assert client.say({"event": "ping", "reqid": 8})[-1] == {"event": "pong", "reqid": 8}

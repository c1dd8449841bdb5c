"""Trades of Coinbase that are missing though no message is: their ids tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.adapters.coinbase.wires import BTC_TRADES, Client, trade_row, trades
from wickwire import Fault, FaultKind, Feed, Removed, Topic, Trade, parse_instant

FIRST = "2026-11-21T05:00:58.5Z"
THEN = "2026-11-21T05:01:01.25Z"


def listener(*topics: Topic) -> Client:
    client = Client()
    client.send(*(topics or [BTC_TRADES]))
    return client


def doubts(events: Sequence[Any]) -> list[Removed]:
    return [event for event in events if isinstance(event, Removed)]


def test_an_id_that_is_not_the_next_one_puts_the_buckets_of_both_trades_in_doubt():
    """Between them nobody knows when the lost ones were; the doubt comes before the trade."""
    told = listener().hear(trades(1, trade_row("7", time=FIRST)), trades(2, trade_row("10", time=THEN)))

    first, one, two, last = told
    assert [Removed(BTC_TRADES, parse_instant(text)) for text in (FIRST, THEN)] == [one, two]
    assert ("7", "10") == (first.id, last.id)


@pytest.mark.parametrize(
    "ids", [("7", "8", "9"), ("9", "8", "7"), ("7", "7", "8"), ("7", "8", "7", "9"), ("9", "10")]
)
def test_nothing_is_missing_where_every_number_came_in_whatever_order(ids):
    """Rows of one message are sorted; what comes again counts nowhere."""
    client = listener()

    assert [] == doubts(client.hear(trades(1, *(trade_row(number) for number in ids))))
    assert [] == doubts(client.hear(trades(2, trade_row(ids[0]))))


def test_each_product_counts_its_own():
    client = listener(BTC_TRADES, Topic("ETH/USD", Feed.TRADES))
    rows = [trade_row("7"), trade_row("900", "ETH-USD"), trade_row("8"), trade_row("901", "ETH-USD")]

    assert [] == doubts(client.hear(*(trades(number, row) for number, row in enumerate(rows, 1))))


def test_everybody_who_made_candles_of_them_is_told():
    usdc = Topic("BTC/USDC", Feed.TRADES)
    told = listener(BTC_TRADES, usdc).hear(trades(1, trade_row("7")), trades(2, trade_row("9")))

    assert {BTC_TRADES, usdc} == {event.topic for event in doubts(told)}


def test_a_new_subscription_begins_anew():
    client = listener()
    client.hear(trades(1, trade_row("7")))
    client.send(removed=[BTC_TRADES])
    client.send(BTC_TRADES)

    assert [] == doubts(client.hear(trades(2, trade_row("100"), kind="snapshot")))


def test_after_a_lost_message_all_is_in_doubt_already():
    client = listener()
    client.hear(trades(1, trade_row("7")))
    [fault, trade] = client.hear(trades(3, trade_row("100")))

    assert isinstance(fault, Fault)
    assert FaultKind.GAP is fault.kind
    assert isinstance(trade, Trade)


def test_a_row_that_could_not_be_read_is_missing_too():
    """The others of its message come; the fault names it."""
    client = listener()
    client.hear(trades(1, trade_row("7")))
    told = client.hear(trades(2, trade_row("8", price="a lot"), trade_row("9")))

    assert 2 == len(doubts(told))
    assert ["9"] == [event.id for event in told if isinstance(event, Trade)]


@pytest.mark.parametrize("product", ["BTC-PERP-INTX", "BIT-27NOV26-CDE"])
def test_of_futures_it_is_not_known_how_they_are_numbered(product):
    client = listener(Topic(product, Feed.TRADES))

    assert [] == doubts(client.hear(trades(1, trade_row("7", product), trade_row("900", product))))

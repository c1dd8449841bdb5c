"""Coinbase's stream: what is asked, whose request an answer answers, and which symbols a product means."""

from decimal import Decimal

import pytest

from tests.adapters.coinbase.wires import (
    BTC_5M,
    BTC_QUOTES,
    BTC_TRADES,
    ETH_5M,
    FIVE,
    Client,
    ack,
    candle_row,
    candles,
    envelope,
    error,
    ticker,
    trade_row,
    trades,
)
from wickwire import Accepted, Candle, Fault, FaultKind, Feed, Quote, Refused, Released, Topic, Trade
from wickwire_coinbase.memory import Memory

BTC_USDC_5M = Topic("BTC/USDC", FIVE)
NOPE_5M = Topic("NOPE/USD", FIVE)


# ------------------------------------------------------------------------------------------------- asking


def test_each_channel_has_a_request_of_its_own():
    """The field is `channel`, in the singular: one a frame."""
    requests = Client().send(BTC_5M, BTC_TRADES, ETH_5M, BTC_QUOTES)

    assert requests == [
        {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channel": "candles"},
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "market_trades"},
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "ticker"},
    ]


def test_leaving_names_the_products_and_never_a_whole_channel():
    client = Client()
    client.send(BTC_5M, ETH_5M)
    [request] = client.send(removed=[BTC_5M])

    assert request == {"type": "unsubscribe", "product_ids": ["BTC-USD"], "channel": "candles"}


def test_what_was_never_subscribed_to_is_not_left():
    assert Client().send(removed=[BTC_5M]) == []


# ------------------------------------------------------------------------------------------ confirmations


def test_a_confirmation_lists_everything_and_says_what_is_new_in_it():
    client = Client()
    client.send(BTC_5M, BTC_TRADES)

    first = client.hear(ack(1, heartbeats=["heartbeats"], candles=["BTC-USD"]))
    second = client.hear(ack(2, heartbeats=["heartbeats"], candles=["BTC-USD"], market_trades=["BTC-USD"]))

    assert [Accepted([BTC_5M])] == first
    assert [Accepted([BTC_TRADES])] == second


def test_data_comes_before_its_confirmation():
    client = Client()
    client.send(BTC_5M)
    events = client.hear(candles(1, candle_row(), kind="snapshot"), ack(2, candles=["BTC-USD"]))

    assert [Candle, Accepted] == [type(event) for event in events]


def test_what_is_gone_from_the_list_is_released():
    client = Client()
    client.send(BTC_5M, ETH_5M)
    client.hear(ack(1, candles=["BTC-USD", "ETH-USD"]))
    client.send(removed=[BTC_5M])

    assert [Released([BTC_5M])] == client.hear(ack(2, candles=["ETH-USD"]))


def test_of_several_lists_in_one_answer_the_last_counts():
    """An envelope holds one event usually, and may hold many."""
    client = Client()
    client.send(BTC_5M, ETH_5M)
    lists = ({"subscriptions": {"candles": products}} for products in (["BTC-USD"], ["BTC-USD", "ETH-USD"]))

    assert [Accepted([BTC_5M, ETH_5M])] == client.hear(envelope("subscriptions", 1, *lists))


def test_an_empty_list_releases_all():
    client = Client()
    client.send(BTC_5M)
    client.hear(ack(1, candles=["BTC-USD"]))
    client.send(removed=[BTC_5M])

    assert [Released([BTC_5M])] == client.hear(ack(2))


def test_a_topic_that_is_left_and_asked_for_anew_is_accepted_by_the_second_answer():
    """Answers to leaving look like answers to subscribing."""
    client = Client()
    client.send(BTC_5M)
    client.hear(ack(1, candles=["BTC-USD"]))
    client.send(removed=[BTC_5M])
    client.send(BTC_5M)

    assert [Released([BTC_5M])] == client.hear(ack(2, heartbeats=["heartbeats"]))
    assert [Accepted([BTC_5M])] == client.hear(ack(3, candles=["BTC-USD"]))


def test_a_list_from_before_a_leaving_was_heard_confirms_nothing_that_is_left():
    client = Client()
    client.send(BTC_5M)
    client.hear(ack(1, candles=["BTC-USD"]))
    client.send(ETH_5M)
    client.send(removed=[BTC_5M])
    client.send(BTC_5M)

    assert [Accepted([ETH_5M])] == client.hear(ack(2, candles=["BTC-USD", "ETH-USD"]))
    assert [Released([BTC_5M])] == client.hear(ack(3, candles=["ETH-USD"]))
    assert [Accepted([BTC_5M])] == client.hear(ack(4, candles=["BTC-USD", "ETH-USD"]))


def test_what_the_venue_drops_by_itself_is_released():
    """Channels without updates are closed after a minute or so."""
    client = Client()
    client.send(BTC_5M)
    client.hear(ack(1, candles=["BTC-USD"]))

    assert [Released([BTC_5M])] == client.hear(ack(2, heartbeats=["heartbeats"]))


def test_a_product_that_the_answer_leaves_out_is_refused_by_name():
    client = Client()
    client.send(BTC_5M, NOPE_5M)
    accepted, refused = client.hear(ack(1, candles=["BTC-USD"]))

    assert accepted == Accepted([BTC_5M])
    assert isinstance(refused, Refused)
    assert ([NOPE_5M], FaultKind.SYMBOL) == (refused.topics, refused.kind)
    assert "NOPE-USD on candles" in refused.text


def test_a_request_that_was_never_answered_has_nothing_refused_that_is_asked_for_anew():
    """The answers to what follows come one too early: here that to the leaving, which lists nothing."""
    client = Client()
    client.send(BTC_5M)
    client.hear(ack(1, heartbeats=["heartbeats"]), ack(2, candles=["BTC-USD"]))
    client.send(ETH_5M)
    client.send(ETH_5M, removed=[ETH_5M])

    assert [] == client.hear(ack(3, candles=["BTC-USD"]))
    assert [Accepted([ETH_5M])] == client.hear(ack(4, candles=["BTC-USD", "ETH-USD"]))


def test_after_a_gap_the_order_of_answers_is_not_relied_upon():
    """An answer may be among what was lost; what the list says holds all the same."""
    client = Client()
    client.send(BTC_5M)
    client.send(ETH_5M)
    fault, accepted = client.hear(ack(5, candles=["BTC-USD"]))

    assert isinstance(fault, Fault)
    assert accepted == Accepted([BTC_5M])
    assert [Accepted([ETH_5M])] == client.hear(ack(6, candles=["BTC-USD", "ETH-USD"]))


# ------------------------------------------------------------------------------------------------- errors


def test_an_error_belongs_to_the_request_whose_turn_it_is():
    """It has neither channel nor number, and does not count."""
    client = Client()
    client.send(BTC_5M, BTC_TRADES, BTC_QUOTES)
    client.hear(ack(1, candles=["BTC-USD"]))

    [refused] = client.hear(error("failure to subscribe"))
    [accepted] = client.hear(ack(2, candles=["BTC-USD"], ticker=["BTC-USD"]))

    assert refused == Refused([BTC_TRADES], FaultKind.REQUEST, "failure to subscribe")
    assert accepted == Accepted([BTC_QUOTES])


def test_authentication_failure_is_about_the_channel_and_so_about_all_of_the_request():
    """We send no token; it is what the venue says of a channel name that it does not know."""
    client = Client()
    client.send(BTC_5M, ETH_5M)
    [refused] = client.hear(error("authentication failure"))

    assert isinstance(refused, Refused)
    assert ([BTC_5M, ETH_5M], FaultKind.REQUEST) == (refused.topics, refused.kind)
    assert "a channel that it does not have, here candles" in refused.text


@pytest.mark.parametrize("text", ["failure to subscribe", "Failed to subscribe"])
def test_one_of_several_is_refused_and_the_venue_does_not_say_which(text):
    client = Client()
    client.send(BTC_5M, NOPE_5M)

    assert [Refused((), FaultKind.REQUEST, text)] == client.hear(error(text))
    client.send(NOPE_5M)
    assert [Refused([NOPE_5M], FaultKind.REQUEST, text)] == client.hear(error(text))


def test_a_product_that_the_error_names_is_refused_alone():
    client = Client()
    client.send(BTC_5M, NOPE_5M)
    [refused] = client.hear(error("Failed to subscribe", reason="NOPE-USD is not a valid product."))

    assert isinstance(refused, Refused)
    assert ([NOPE_5M], FaultKind.SYMBOL) == (refused.topics, refused.kind)


def test_too_many_messages_mean_waiting():
    client = Client()
    client.send(BTC_5M, ETH_5M)

    [refused] = client.hear(error("rate limit exceeded"))

    assert refused == Refused([BTC_5M, ETH_5M], FaultKind.WAIT, "rate limit exceeded")


def test_an_error_about_leaving_refuses_nothing():
    client = Client()
    client.send(BTC_5M)
    client.hear(ack(1, candles=["BTC-USD"]))
    client.send(removed=[BTC_5M])

    assert [Fault] == [type(event) for event in client.hear(error("failure to unsubscribe"))]


def test_an_error_that_answers_no_request_of_ours_is_a_fault():
    assert [Fault(FaultKind.PROTOCOL, "authentication failure")] == Client().hear(
        error("authentication failure")
    )


# ----------------------------------------------------------------------------------------- USDC and dollars


def hear_candle(client: Client, product: str, number: int = 1) -> list[str]:
    events = client.hear(candles(number, candle_row(str(number), product=product)))
    return [event.symbol for event in events if isinstance(event, Candle)]


def test_a_product_in_usdc_is_answered_under_the_one_in_dollars_and_heard_as_asked_for():
    client = Client()
    [request] = client.send(BTC_USDC_5M)

    assert request["product_ids"] == ["BTC-USDC"]
    assert hear_candle(client, "BTC-USD") == ["BTC/USDC"]
    assert [Accepted([BTC_USDC_5M])] == client.hear(ack(2, candles=["BTC-USD"]))


def test_both_asked_for_both_receive():
    client = Client()
    client.send(BTC_5M, BTC_USDC_5M)

    assert hear_candle(client, "BTC-USD") == ["BTC/USD", "BTC/USDC"]


def test_trades_and_quotes_follow_the_alias_too():
    client = Client()
    client.send(*(Topic(symbol, feed) for symbol in ("BTC/USDC", "BTC/USD") for feed in Feed))
    row = {"product_id": "BTC-USD", "price": "1", "best_bid": "1", "best_ask": "2"}
    events = client.hear(trades(1, trade_row()), ticker(2, row))

    assert [(Trade, "BTC/USDC"), (Trade, "BTC/USD"), (Quote, "BTC/USDC"), (Quote, "BTC/USD")] == [
        (type(event), event.symbol) for event in events if isinstance(event, Trade | Quote)
    ]


@pytest.mark.parametrize("base", ["USDT", "EURC"])
def test_a_product_in_usdc_with_a_book_of_its_own_is_no_alias(base):
    client = Client()
    client.send(Topic(f"{base}/USDC", FIVE))

    assert hear_candle(client, f"{base}-USD", 1) == [f"{base}/USD"]
    assert hear_candle(client, f"{base}-USDC", 2) == [f"{base}/USDC"]


def test_an_alias_that_is_answered_under_its_own_name_is_none():
    """From then on the rows of its twin are not its own."""
    client = Client()
    client.send(BTC_5M, BTC_USDC_5M)

    assert hear_candle(client, "BTC-USDC", 1) == ["BTC/USDC"]
    assert hear_candle(client, "BTC-USD", 2) == ["BTC/USD"]
    assert hear_candle(client, "BTC-USDC", 3) == ["BTC/USDC"]


def test_leaving_one_of_two_on_the_same_book_says_nothing_to_the_venue():
    """It might end the other as well."""
    client = Client()
    client.send(BTC_5M, BTC_USDC_5M)
    client.hear(ack(1, candles=["BTC-USD"]))

    assert client.send(removed=[BTC_USDC_5M]) == []
    assert hear_candle(client, "BTC-USD", 2) == ["BTC/USD"]
    [request] = client.send(removed=[BTC_5M])
    assert request["product_ids"] == ["BTC-USD", "BTC-USDC"]


def test_each_channel_has_its_own_askers():
    client = Client()
    client.send(BTC_5M, Topic("BTC/USDC", Feed.TRADES))

    assert hear_candle(client, "BTC-USD") == ["BTC/USD"]
    assert ["BTC/USDC"] == [e.symbol for e in client.hear(trades(2, trade_row())) if isinstance(e, Trade)]


def test_what_nobody_asked_for_comes_under_its_own_symbol():
    assert hear_candle(Client(), "BTC-PERP-INTX") == ["BTC-PERP-INTX"]
    assert Memory().symbols("candles", "SOL-USDC") == ("SOL/USDC",)


def test_an_aliased_candle_keeps_one_memory_of_volumes():
    client = Client()
    client.send(BTC_5M, BTC_USDC_5M)
    client.hear(candles(1, candle_row("3")))

    assert client.hear(candles(2, candle_row("2"))) == []
    assert {Decimal(4)} == {
        e.volume for e in client.hear(candles(3, candle_row("4"))) if isinstance(e, Candle)
    }

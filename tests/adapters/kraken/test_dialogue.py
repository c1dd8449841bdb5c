"""Kraken's stream: what is asked, and whose question an answer answers."""

import json
from pathlib import Path
from typing import Final

import pytest

import wickwire_kraken
from wickwire import Accepted, Ask, Fault, FaultKind, Feed, Refused, Released, Timeframe, Topic
from wickwire_kraken.dialogue import Dialogue

WIRE: Final = Path(__file__).parent / "wire"
BTC_1M: Final = Topic("BTC/USD", Timeframe.parse("1m"))
BTC_5M: Final = Topic("BTC/USD", Timeframe.parse("5m"))
ETH_1M: Final = Topic("ETH/USD", Timeframe.parse("1m"))
BTC_TRADES: Final = Topic("BTC/USD", Feed.TRADES)
BTC_QUOTES: Final = Topic("BTC/USD", Feed.QUOTES)


def wire(name):
    return (WIRE / f"{name}.json").read_bytes().strip()


def refusal(text, **fields):
    return json.dumps({"method": "subscribe", "success": False, "error": text} | fields).encode()


class Client:
    """One connection, from the side that asks."""

    def __init__(self):
        self.memory = Dialogue()

    def send(self, *topics, removed=()):
        """Subscribe and unsubscribe; return the requests."""
        asks = [Ask(topic) for topic in topics]
        return [json.loads(send.frame) for send in wickwire_kraken.subscribe(asks, removed, self.memory)]

    def hear(self, frame):
        return list(wickwire_kraken.parse(frame, self.memory))


# ------------------------------------------------------------------------------------------------- asking


def test_topics_of_one_kind_share_a_request():
    """Snapshots are always asked for by name, since Kraken's pages disagree on the default."""
    [request] = Client().send(BTC_1M, ETH_1M)

    assert request == {
        "method": "subscribe",
        "params": {"channel": "ohlc", "interval": 1, "symbol": ["BTC/USD", "ETH/USD"], "snapshot": True},
        "req_id": 1,
    }


def test_quotes_are_asked_for_at_every_change_of_the_best_prices():
    """By default the ticker speaks only when somebody trades."""
    [request] = Client().send(BTC_QUOTES)

    assert request["params"] == {
        "channel": "ticker",
        "event_trigger": "bbo",
        "symbol": ["BTC/USD"],
        "snapshot": True,
    }


def test_leaving_comes_first_and_repeats_the_interval():
    first, second = Client().send(BTC_5M, removed=[BTC_1M])

    assert first["method"] == "unsubscribe"
    assert first["params"] == {"channel": "ohlc", "interval": 1, "symbol": ["BTC/USD"]}
    assert second["method"] == "subscribe"


def test_every_request_has_a_number_of_its_own_within_32_bits():
    client = Client()
    client.memory.last_id = 2**31 - 2

    numbers = [request["req_id"] for request in client.send(BTC_1M, BTC_TRADES, BTC_QUOTES)]

    assert numbers == [2**31 - 1, 1, 2]


def test_nothing_to_ask_is_nothing_to_say():
    assert Client().send() == []


# ---------------------------------------------------------------------------------------------- accepting


@pytest.mark.parametrize(
    ("name", "topic"),
    [("accepted_ohlc", BTC_1M), ("accepted_trade", BTC_TRADES), ("accepted_ticker", BTC_QUOTES)],
)
def test_a_confirmation_is_known_by_what_it_says_and_not_by_its_number(name, topic):
    """Ours is number 1, the recorded ones are 2, 3 and 4; one that nobody asked for reads the same."""
    asking, silent = Client(), Client()
    asking.send(topic)

    assert asking.hear(wire(name)) == silent.hear(wire(name)) == [Accepted((topic,))]
    assert asking.memory.asked == {}


def test_a_confirmed_end_releases_its_topic():
    client = Client()
    client.send(removed=[BTC_QUOTES])

    assert client.hear(wire("released_ticker")) == [Released((BTC_QUOTES,))]
    assert client.memory.asked == {}


def test_a_confirmation_of_a_channel_that_is_not_ours_means_nothing():
    assert Client().hear(wire("accepted_book")) == []


# ----------------------------------------------------------------------------------------------- refusing


def test_a_refusal_names_the_topic_of_its_request_and_symbol():
    """The same symbol waits twice, and only the one of that request is refused."""
    client = Client()
    client.send(BTC_1M, ETH_1M, BTC_TRADES)
    text = "Currency pair not supported BTC/USD"

    assert client.hear(refusal(text, req_id=2, symbol="BTC/USD")) == [
        Refused([BTC_TRADES], FaultKind.SYMBOL, text)
    ]


def test_without_a_number_a_refusal_is_of_all_that_waits_for_the_symbol():
    client = Client()
    client.send(BTC_1M, ETH_1M, BTC_TRADES)
    text = "Currency pair not supported BTC/USD"

    [refused] = client.hear(refusal(text, symbol="BTC/USD"))

    assert set(refused.topics) == {BTC_1M, BTC_TRADES}


def test_with_a_strangers_number_a_refusal_is_known_by_its_symbol():
    """A recorded session numbers its requests differently."""
    client = Client()
    client.send(ETH_1M)
    text = "Currency pair not supported ETH/USD"

    assert client.hear(refusal(text, req_id=77, symbol="ETH/USD")) == [
        Refused([ETH_1M], FaultKind.SYMBOL, text)
    ]


def test_a_refusal_without_a_symbol_is_of_the_one_that_its_text_names():
    client = Client()
    client.send(BTC_1M, ETH_1M)
    text = "Currency pair not supported ETH/USD"

    assert client.hear(refusal(text, req_id=1)) == [Refused([ETH_1M], FaultKind.SYMBOL, text)]


def test_a_refusal_without_a_symbol_is_of_the_only_one_that_waits():
    client = Client()
    client.send(BTC_1M)

    assert client.hear(refusal("Subscription ohlc interval not supported", req_id=1)) == [
        Refused([BTC_1M], FaultKind.REQUEST, "Subscription ohlc interval not supported")
    ]


def test_a_refusal_that_could_be_of_several_leaves_the_choice_to_the_framework():
    client = Client()
    client.send(BTC_1M, ETH_1M)

    assert client.hear(refusal("no", req_id=1)) == [Refused((), FaultKind.REQUEST, "no")]


def test_a_refusal_of_what_we_never_asked_refuses_that_spelling_and_no_other():
    """Kraken refuses XBT/USD; BTC/USD, which is the same pair, goes on."""
    client = Client()
    client.send(BTC_1M)

    [refused] = client.hear(wire("refused_symbol"))

    assert refused.kind is FaultKind.SYMBOL
    assert {"XBT/USD"} == {topic.symbol for topic in refused.topics}
    assert client.hear(wire("accepted_ohlc")) == [Accepted((BTC_1M,))]


def test_a_second_interval_of_a_pair_finds_its_place_taken():
    client = Client()
    client.send(BTC_TRADES, BTC_5M)

    [refused] = client.hear(wire("refused_interval").replace(b'"req_id":6,', b""))

    assert refused == Refused(
        [BTC_5M], FaultKind.SLOT_TAKEN, "Already subscribed to one ohlc interval on this symbol"
    )


def test_already_subscribed_is_as_good_as_accepted():
    client = Client()
    client.send(BTC_TRADES)

    assert client.hear(refusal("Already subscribed", req_id=1, symbol="BTC/USD")) == [Accepted([BTC_TRADES])]


def test_a_subscription_not_found_has_ended():
    """The venue calls its answer "subscribe", though it answers an unsubscribe."""
    client = Client()
    gone = Topic("ETH/USD", Feed.QUOTES)
    client.send(Topic("ETH/USD", Feed.QUOTES), removed=[gone])

    assert client.hear(wire("not_found")) == [Released([gone])]
    assert client.hear(wire("not_found")) == []


@pytest.mark.parametrize("number", [{}, {"req_id": 99}])
def test_whatever_number_it_has_a_subscription_not_found_is_what_was_left(number):
    """What is asked for of the same pair meanwhile still waits for its answer, and the other way round."""
    client = Client()
    client.send(BTC_TRADES, removed=[BTC_QUOTES])

    assert client.hear(refusal("Subscription Not Found", symbol="BTC/USD", **number)) == [
        Released([BTC_QUOTES])
    ]
    client.send(removed=[BTC_QUOTES])
    assert client.hear(refusal("Already subscribed", symbol="BTC/USD", **number)) == [Accepted([BTC_TRADES])]
    assert client.hear(refusal("Subscription Not Found", symbol="BTC/USD", **number)) == [
        Released([BTC_QUOTES])
    ]


def test_another_refusal_to_leave_is_no_refusal_of_the_topic():
    client = Client()
    client.send(removed=[BTC_1M])

    assert client.hear(refusal("Unsupported field: 'x' for the given msg type: unsubscribe", req_id=1)) == [
        Fault(FaultKind.REQUEST, "Unsupported field: 'x' for the given msg type: unsubscribe")
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Currency pair not supported BTC/USD", FaultKind.SYMBOL),
        ("Currency pair not in ISO 4217-A3 format BTCUSD", FaultKind.SYMBOL),
        ("Subscription depth not supported", FaultKind.REQUEST),
        ("EGeneral:Too many requests", FaultKind.WAIT),
        ("EService:Unavailable", FaultKind.WAIT),
        ("EGeneral:Permission denied", FaultKind.ENTITLEMENT),
        ("something that nobody wrote down", FaultKind.REQUEST),
    ],
)
def test_the_kind_of_a_refusal_follows_its_text(text, kind):
    client = Client()
    client.send(BTC_1M)

    [refused] = client.hear(refusal(text, req_id=1, symbol="BTC/USD"))

    assert (refused.kind, refused.text) == (kind, text)


def test_too_many_messages_are_a_reason_to_wait():
    assert Client().hear(wire("exceeded_rate")) == [Fault(FaultKind.WAIT, "Exceeded msg rate")]


@pytest.mark.parametrize("frame", [wire("malformed"), refusal("Malformed request")])
def test_a_request_that_kraken_cannot_read_is_our_fault(frame):
    assert Client().hear(frame) == [Fault(FaultKind.PROTOCOL, "Malformed request")]

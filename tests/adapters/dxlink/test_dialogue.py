"""The session as a state table: every word of a server in every state, and the subscriptions."""

import json
from itertools import pairwise
from typing import Any

import pytest

import wickwire_dxlink
from tests.adapters.dxlink.talk import MINUTE, NOW_NS, endpoint, frame, hear, lines, opened, sent
from wickwire import Ask, Fault, FaultKind, Feed, Heartbeat, Ready, Removed, Send, Timeframe, Topic, WireError
from wickwire_dxlink.dialogue import CHANNEL, CONNECTION, MOST_BYTES, Channel, Phase, Session, State
from wickwire_dxlink.symbols import CANDLES, Word

AAPL = Topic("AAPL", MINUTE)
QUOTES = Topic("AAPL", Feed.QUOTES)
TRADES = Topic("AAPL", Feed.TRADES)

FRAMES = {
    Word.SETUP: frame("SETUP", keepaliveTimeout=60, acceptKeepaliveTimeout=60.0, version="1.0-1.2.1"),
    Word.UNAUTHORIZED: frame("AUTH_STATE", state="UNAUTHORIZED"),
    Word.AUTHORIZED: frame("AUTH_STATE", state="AUTHORIZED", userId="U1"),
    Word.KEEPALIVE: frame("KEEPALIVE"),
    Word.ERROR: frame("ERROR", error="TIMEOUT", message="too late"),
    Word.CHANNEL_OPENED: frame("CHANNEL_OPENED", 1, service="FEED", parameters={"contract": "HISTORY"}),
    Word.CHANNEL_CLOSED: frame("CHANNEL_CLOSED", 1),
}

AUTH, REQUEST, BEAT = "AUTH", "CHANNEL_REQUEST", "beat"
GONE, STALE, NO = FaultKind.RESTART, FaultKind.RESTART, FaultKind.CREDENTIALS

# What a server may say on channel 0, in each state: what follows, and the state after it.
EXPECTED = {
    (State.GREETING, Word.SETUP): ([], State.GREETED),
    (State.GREETING, Word.UNAUTHORIZED): ([AUTH], State.AUTHENTICATING),
    (State.GREETING, Word.AUTHORIZED): ([REQUEST], State.AUTHORIZED),
    (State.GREETING, Word.KEEPALIVE): ([BEAT], State.GREETING),
    (State.GREETING, Word.ERROR): ([GONE], State.GREETING),
    (State.GREETED, Word.SETUP): ([], State.GREETED),
    (State.GREETED, Word.UNAUTHORIZED): ([AUTH], State.AUTHENTICATING),
    (State.GREETED, Word.AUTHORIZED): ([REQUEST], State.AUTHORIZED),
    (State.GREETED, Word.KEEPALIVE): ([BEAT], State.GREETED),
    (State.GREETED, Word.ERROR): ([GONE], State.GREETED),
    (State.AUTHENTICATING, Word.SETUP): ([], State.AUTHENTICATING),
    (State.AUTHENTICATING, Word.UNAUTHORIZED): ([NO], State.REFUSED),
    (State.AUTHENTICATING, Word.AUTHORIZED): ([REQUEST], State.AUTHORIZED),
    (State.AUTHENTICATING, Word.KEEPALIVE): ([BEAT], State.AUTHENTICATING),
    (State.AUTHENTICATING, Word.ERROR): ([GONE], State.AUTHENTICATING),
    (State.AUTHORIZED, Word.SETUP): ([], State.AUTHORIZED),
    (State.AUTHORIZED, Word.UNAUTHORIZED): ([STALE], State.REFUSED),
    (State.AUTHORIZED, Word.AUTHORIZED): ([], State.AUTHORIZED),
    (State.AUTHORIZED, Word.KEEPALIVE): ([BEAT], State.AUTHORIZED),
    (State.AUTHORIZED, Word.ERROR): ([GONE], State.AUTHORIZED),
    (State.REFUSED, Word.SETUP): ([], State.REFUSED),
    (State.REFUSED, Word.UNAUTHORIZED): ([], State.REFUSED),
    (State.REFUSED, Word.AUTHORIZED): ([], State.REFUSED),
    (State.REFUSED, Word.KEEPALIVE): ([BEAT], State.REFUSED),
    (State.REFUSED, Word.ERROR): ([GONE], State.REFUSED),
}

SETUP, READY, LOST = "FEED_SETUP", "ready", FaultKind.CHANNEL_LOST
# What it may say on a channel, in each phase of that channel.
ON_CHANNEL = {
    (Phase.ABSENT, Word.CHANNEL_OPENED): ([], Phase.ABSENT),
    (Phase.ABSENT, Word.CHANNEL_CLOSED): ([], Phase.ABSENT),
    (Phase.ABSENT, Word.ERROR): ([LOST], Phase.ABSENT),
    (Phase.REQUESTED, Word.CHANNEL_OPENED): ([SETUP, READY], Phase.OPEN),
    (Phase.REQUESTED, Word.CHANNEL_CLOSED): ([LOST], Phase.LOST),
    (Phase.REQUESTED, Word.ERROR): ([LOST], Phase.LOST),
    (Phase.OPEN, Word.CHANNEL_OPENED): ([], Phase.OPEN),
    (Phase.OPEN, Word.CHANNEL_CLOSED): ([LOST], Phase.LOST),
    (Phase.OPEN, Word.ERROR): ([LOST], Phase.OPEN),
    (Phase.LOST, Word.CHANNEL_OPENED): ([], Phase.LOST),
    (Phase.LOST, Word.CHANNEL_CLOSED): ([], Phase.LOST),
    (Phase.LOST, Word.ERROR): ([LOST], Phase.LOST),
}


def named(events):
    """Return events by the shortest names that tell them apart here."""
    names = []
    for event in events:
        match event:
            case Send():
                names.append(json.loads(event.frame)["type"])
            case Fault():
                names.append(event.kind)
            case Heartbeat():
                names.append(BEAT)
            case Ready():
                names.append(READY)
            case _:
                raise AssertionError(event)
    return names


@pytest.mark.parametrize(("state", "word"), EXPECTED, ids=str)
def test_every_word_in_every_state_of_the_connection(state, word):
    memory = Session("sim-token", state=state)
    wanted, after = EXPECTED[state, word]

    assert wanted == named(hear(memory, FRAMES[word]))
    assert after is memory.state


@pytest.mark.parametrize(("phase", "word"), ON_CHANNEL, ids=str)
def test_every_word_in_every_phase_of_a_channel(phase, word):
    memory = Session("sim-token", state=State.AUTHORIZED)
    memory.channels[1] = Channel(1, None if phase is Phase.ABSENT else CANDLES, phase)
    said = frame("ERROR", 1, error="UNKNOWN", message="?") if word is Word.ERROR else FRAMES[word]
    wanted, after = ON_CHANNEL[phase, word]

    assert wanted == named(hear(memory, said))
    assert after is memory.channels[1].phase


def test_both_tables_are_complete():
    """Whatever a server may say has a meaning in each state; the expectations above name all of them."""
    assert set(EXPECTED) == {(state, word) for state, row in CONNECTION.items() for word in row}
    assert set(ON_CHANNEL) == {(phase, word) for phase, row in CHANNEL.items() for word in row}
    assert set(State) == set(CONNECTION)
    assert set(Phase) == set(CHANNEL)
    assert set(Word) == {word for _, word in (*EXPECTED, *ON_CHANNEL)}


@pytest.mark.parametrize("state", State, ids=str)
@pytest.mark.parametrize("kind", ["FEED_CONFIG", "FEED_DATA"])
def test_data_and_its_fields_mean_the_same_in_every_state(state, kind):
    """A recorded session may begin in the middle."""
    memory = Session(state=state)
    rest: dict[str, Any] = (
        {"eventFields": {"Quote": ["eventSymbol"]}} if kind == "FEED_CONFIG" else {"data": []}
    )

    assert [] == hear(memory, frame(kind, 3, **rest))
    assert state is memory.state


@pytest.mark.parametrize("state", State, ids=str)
@pytest.mark.parametrize(
    "kind", ["AUTH", "CHANNEL_REQUEST", "CHANNEL_CANCEL", "FEED_SETUP", "FEED_SUBSCRIPTION", "X"]
)
def test_what_only_a_client_says_is_refused_in_every_state(state, kind):
    with pytest.raises(WireError, match="no message of a server"):
        hear(Session("sim-token", state=state), frame(kind, 1))


@pytest.mark.parametrize("word", [Word.SETUP, Word.KEEPALIVE, Word.AUTHORIZED], ids=str)
def test_words_of_the_connection_do_not_belong_on_a_channel(word):
    said = json.loads(FRAMES[word]) | {"channel": 1}
    with pytest.raises(WireError, match="on channel 1"):
        hear(Session(), json.dumps(said).encode())


@pytest.mark.parametrize("word", [Word.CHANNEL_OPENED, Word.CHANNEL_CLOSED], ids=str)
def test_words_of_a_channel_do_not_belong_on_the_connection(word):
    said = json.loads(FRAMES[word]) | {"channel": 0}
    with pytest.raises(WireError, match="on channel 0"):
        hear(Session(), json.dumps(said).encode())


# ------------------------------------------------------------------------------------------- the beginning


def test_a_whole_greeting_in_the_order_that_the_server_enforces():
    """SETUP, the question for a token, AUTH, the channel, its fields: each after the answer before it."""
    memory = Session("sim-token")
    steps = [
        (FRAMES[Word.SETUP], []),
        (FRAMES[Word.UNAUTHORIZED], [{"type": "AUTH", "channel": 0, "token": "sim-token"}]),
        (
            FRAMES[Word.AUTHORIZED],
            [
                {
                    "type": "CHANNEL_REQUEST",
                    "channel": 1,
                    "service": "FEED",
                    "parameters": {"contract": "HISTORY"},
                }
            ],
        ),
    ]
    for said, wanted in steps:
        assert wanted == sent(hear(memory, said))
    [setup, ready] = hear(memory, FRAMES[Word.CHANNEL_OPENED])

    assert isinstance(ready, Ready)
    assert {
        "type": "FEED_SETUP",
        "channel": 1,
        "acceptAggregationPeriod": 0.1,
        "acceptDataFormat": "COMPACT",
        "acceptEventFields": {"Candle": list(CANDLES.fields)},
    } == json.loads(setup.frame)


def test_our_first_message_announces_a_minute_both_ways():
    [hello] = endpoint().hello

    assert {
        "type": "SETUP",
        "channel": 0,
        "version": "0.1-wickwire/0.1.0",
        "keepaliveTimeout": 60,
        "acceptKeepaliveTimeout": 60,
    } == json.loads(hello.frame)


def test_the_token_is_sent_as_a_secret_and_shown_nowhere():
    memory = Session("hush-hush-token")
    [auth] = hear(memory, FRAMES[Word.UNAUTHORIZED])

    assert isinstance(auth, Send)
    assert auth.secret
    assert "hush" not in repr(memory)


def test_a_token_that_the_server_repeats_is_masked():
    memory = Session("hush-hush-token")
    said = "token hush-hush-token is unknown"
    [fault] = hear(memory, frame("ERROR", error="UNAUTHORIZED", message=said))
    with pytest.raises(WireError) as junk:
        hear(memory, frame("NEWS", text=said))

    assert "hush" not in fault.text
    assert "hush" not in str(junk.value)


def test_a_demo_that_wants_a_token_says_so():
    [fault] = hear(Session(), FRAMES[Word.UNAUTHORIZED])

    assert (FaultKind.CREDENTIALS, True) == (fault.kind, "token" in fault.text)


@pytest.mark.parametrize(
    ("error", "channel", "kind"),
    [
        ("UNSUPPORTED_PROTOCOL", 0, FaultKind.PROTOCOL),
        ("TIMEOUT", 0, FaultKind.RESTART),
        ("UNAUTHORIZED", 0, FaultKind.RESTART),
        ("INVALID_MESSAGE", 0, FaultKind.PROTOCOL),
        ("INVALID_MESSAGE", 1, FaultKind.CHANNEL_LOST),
        ("INVALID_MESSAGE", 9, FaultKind.PROTOCOL),
        ("BAD_ACTION", 0, FaultKind.PROTOCOL),
        ("BAD_ACTION", 1, FaultKind.CHANNEL_LOST),
        ("BAD_ACTION", 9, FaultKind.PROTOCOL),
        ("UNKNOWN", 0, FaultKind.RESTART),
        ("UNKNOWN", 1, FaultKind.CHANNEL_LOST),
        ("SOMETHING_NEW", 0, FaultKind.RESTART),
    ],
)
def test_each_error_has_its_kind(error, channel, kind):
    [fault] = hear(opened(AAPL), frame("ERROR", channel, error=error, message="why"))

    assert (kind, True) == (fault.kind, "why" in fault.text and error in fault.text)


def test_an_error_about_the_token_before_all_is_ready_is_a_refusal():
    [fault] = hear(Session("t"), frame("ERROR", error="UNAUTHORIZED", message="expired"))

    assert FaultKind.CREDENTIALS is fault.kind


@pytest.mark.parametrize("heard", [[], [Word.SETUP], [Word.SETUP, Word.UNAUTHORIZED]])
def test_a_refused_version_of_the_protocol_is_nothing_that_passes(heard):
    memory = Session("t")
    hear(memory, *(FRAMES[word] for word in heard))
    [fault] = hear(memory, frame("ERROR", error="UNSUPPORTED_PROTOCOL", message="0.1 is over"))

    assert FaultKind.REQUEST is fault.kind


def test_the_error_of_a_request_ends_its_channel():
    memory = Session("t")
    hear(memory, FRAMES[Word.AUTHORIZED])
    [fault] = hear(memory, frame("ERROR", 1, error="BAD_ACTION", message="no"))

    assert (FaultKind.CHANNEL_LOST, Phase.LOST) == (fault.kind, memory.channels[1].phase)


# ------------------------------------------------------------------------------------------- subscriptions


def test_candles_quotes_and_trades_have_channels_of_their_own():
    """Contracts are named, not left to the server: trades that are conflated would be worth nothing."""
    memory = opened(AAPL, QUOTES, TRADES)

    assert {1: "HISTORY", 3: "TICKER", 5: "STREAM"} == {
        number: channel.service.contract for number, channel in memory.channels.items() if channel.service
    }


@pytest.mark.parametrize(("topic", "period_s"), [(AAPL, 0.1), (QUOTES, 0.1), (TRADES, 0.0)])
def test_no_channel_is_conflated_for_longer_than_a_tenth_of_a_second(topic, period_s):
    """And trades not at all: each is wanted."""
    memory = endpoint("demo", "", topic).memory()
    [request] = sent(hear(memory, FRAMES[Word.SETUP], FRAMES[Word.AUTHORIZED]))
    channel = frame("CHANNEL_OPENED", request["channel"], service="FEED", parameters={})
    [setup] = sent(hear(memory, channel))

    assert period_s == setup["acceptAggregationPeriod"]


def test_a_subscription_says_type_symbol_and_from_when():
    memory = opened(AAPL, feed="rth")
    asks = [
        Ask(Topic("SPY", MINUTE), NOW_NS + 999_999),
        Ask(Topic("BTC/USD", Timeframe.parse("1h")), 5_000_000),
    ]
    sends = wickwire_dxlink.subscribe(asks, (), memory)

    assert [
        {
            "type": "FEED_SUBSCRIPTION",
            "channel": 1,
            "add": [
                {"type": "Candle", "symbol": "SPY{=m,tho=true}", "fromTime": NOW_NS // 1_000_000},
                {"type": "Candle", "symbol": "BTC/USD:CXTALP{=h,tho=true}", "fromTime": 5},
            ],
        }
    ] == sent(sends)


def test_without_a_time_only_the_running_bucket_is_asked_for():
    memory = opened(AAPL)

    assert {AAPL: NOW_NS // 1_000_000 - 60_000} == memory.candles


def test_asking_again_asks_from_where_the_framework_says_now():
    """The high-water mark, never the time of the first subscription."""
    memory = opened(AAPL)
    wickwire_dxlink.subscribe((), [AAPL], memory)
    [again] = sent(wickwire_dxlink.subscribe([Ask(AAPL, NOW_NS + 10**12)], (), memory))

    assert NOW_NS // 1_000_000 + 10**6 == again["add"][0]["fromTime"]


def test_leaving_removes_with_a_time_that_means_nothing():
    memory = opened(AAPL, QUOTES)

    assert [
        {
            "type": "FEED_SUBSCRIPTION",
            "channel": 1,
            "remove": [{"type": "Candle", "symbol": "AAPL{=m}", "fromTime": 0}],
        },
        {"type": "FEED_SUBSCRIPTION", "channel": 3, "remove": [{"type": "Quote", "symbol": "AAPL"}]},
    ] == sent(wickwire_dxlink.subscribe((), [AAPL, QUOTES], memory))
    assert ({}, {}) == (memory.candles, memory.regular)


def test_regular_and_candle_subscriptions_are_kept_apart():
    memory = opened(AAPL, QUOTES, TRADES)

    assert ([AAPL], [QUOTES, TRADES]) == (list(memory.candles), list(memory.regular))


def test_a_kind_that_comes_later_opens_its_channel_and_waits_for_it():
    memory = opened(AAPL)
    [request] = sent(wickwire_dxlink.subscribe([Ask(QUOTES)], (), memory))
    assert ("CHANNEL_REQUEST", 3) == (request["type"], request["channel"])
    assert [] == sent(wickwire_dxlink.subscribe([Ask(Topic("SPY", Feed.QUOTES))], (), memory))

    events = hear(memory, frame("CHANNEL_OPENED", 3, service="FEED", parameters={}))

    assert ["FEED_SETUP", "FEED_SUBSCRIPTION"] == named(events)
    assert ["AAPL", "SPY"] == [entry["symbol"] for entry in sent(events)[1]["add"]]


def test_what_is_left_before_its_channel_opened_is_never_asked_for():
    memory = opened(AAPL)
    spy = Topic("SPY", Feed.QUOTES)
    wickwire_dxlink.subscribe([Ask(QUOTES), Ask(spy)], (), memory)
    wickwire_dxlink.subscribe((), [spy], memory)
    events = hear(memory, frame("CHANNEL_OPENED", 3, service="FEED", parameters={}))

    assert [{"type": "Quote", "symbol": "AAPL"}] == sent(events)[1]["add"]


def test_what_is_asked_before_the_server_let_us_in_waits_too():
    memory = Session("t")
    assert [] == sent(wickwire_dxlink.subscribe([Ask(TRADES)], (), memory))

    assert [1, 5] == [said["channel"] for said in sent(hear(memory, FRAMES[Word.AUTHORIZED]))]


def test_frames_stay_below_the_largest_size_and_are_no_more_than_that_demands():
    memory = opened(AAPL)
    topics = [Topic(f"/ES{letter}{year}:XCME", MINUTE) for letter in "FGHJKMNQUVXZ" for year in range(10, 50)]
    sends = wickwire_dxlink.subscribe([Ask(topic, NOW_NS) for topic in topics], (), memory)

    assert all(len(send.frame) <= MOST_BYTES for send in sends)
    assert len(sends) > 2
    assert len(topics) == sum(len(said["add"]) for said in sent(sends))
    assert all(len(one.frame) + len(next_one.frame) > MOST_BYTES for one, next_one in pairwise(sends))


def test_the_framework_is_told_the_terms():
    told = endpoint()

    assert (100, 8 * 1024, False) == (told.topics_per_frame, told.max_send_bytes, told.acknowledges)
    assert told.keepalive is not None
    assert (60.0, 30.0) == (told.silence_limit_s, told.keepalive.every_s)
    assert {"type": "KEEPALIVE", "channel": 0} == json.loads(told.keepalive.frame or b"")


def test_far_too_many_channels_are_refused():
    memory = Session()
    with pytest.raises(WireError, match="one too many"):
        hear(memory, *(frame("FEED_CONFIG", number) for number in range(1, 200)))


def test_a_transcribed_session_is_heard_without_a_fault():
    """Its client used other channels and other fields; what it confirms is enough."""
    memory = Session("sim-token")
    heard = hear(memory, *lines("lifecycle.txt", "S"))

    assert [] == [event for event in heard if isinstance(event, Fault | Removed)]
    assert ["AUTH", "CHANNEL_REQUEST"] == [said["type"] for said in sent(heard)][:2]

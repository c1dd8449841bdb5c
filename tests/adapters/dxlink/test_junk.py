"""Whatever arrives, DXLink's adapter returns events or raises the errors of its contract."""

import json
from contextlib import suppress
from typing import Final, get_args

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

import wickwire_dxlink
from tests.adapters.dxlink.talk import MINUTE, NOW_NS, WIRE, hear, lines, opened
from tests.adapters.junk import finished, junk, values
from wickwire import Account, Ask, Endpoint, Event, Feed, Topic, VenueError, WireError

FRAMES: Final = [
    frame for path in sorted(WIRE.glob("*.txt")) for side in "CS" for frame in lines(path.name, side)
]

anything = values(["AUTHORIZED", "Quote", "AAPL{=m}", "Candle"])
kinds = st.sampled_from(
    ["FEED_DATA", "FEED_CONFIG", "AUTH_STATE", "ERROR", "CHANNEL_OPENED", "SETUP", "KEEPALIVE"]
)
keys = st.sampled_from(["data", "state", "error", "message", "eventFields", "dataFormat", "service"])
messages = st.builds(
    lambda kind, channel, rest: {"type": kind, "channel": channel, **rest},
    kinds | anything,
    st.integers(-2, 9) | anything,
    st.dictionaries(keys, anything, max_size=4),
)


frames = junk(FRAMES, anything, messages)


def heard(*said):
    """What a connection with subscriptions makes of *said*: events, and the texts of WireErrors."""
    memory = opened(*(Topic("AAPL", what) for what in (MINUTE, *Feed)), feed="rth")
    told: list[object] = []
    for frame in said:
        try:
            told += wickwire_dxlink.parse(frame, memory)
        except WireError as exc:
            told.append(str(exc))
    return told


@given(frames)
@example(b'{"type":"FEED_DATA","channel":1,"data":["Candle",["\\ud800"]]}')
@example(b'{"type":"KEEPALIVE","type":"FEED_DATA","channel":1,"data":null}')
@example(b'{"type":"FEED_DATA","channel":1,"data":[1e999999999999999999999]}')
@example(b'{"type":"FEED_DATA","channel":1,"data":[' + b"9" * 5_000 + b"]}")
@example(b'{"type":"KEEPALIVE","channel":' + b"9" * 30 + b"}")
def test_a_frame_is_events_or_a_wire_error(frame):
    assert all(isinstance(event, (str, *get_args(Event))) for event in heard(frame))


@given(frames, frames)
def test_frames_mean_the_same_each_time(one, other):
    assert repr(heard(one, other)) == repr(heard(one, other))


@given(st.lists(st.sampled_from(FRAMES) | frames, max_size=8))
def test_junk_never_stops_a_connection(heard_before):
    memory = opened(Topic("AAPL", MINUTE))
    for frame in heard_before:
        with suppress(WireError):
            wickwire_dxlink.parse(frame, memory)
    topic = Topic("MSFT", MINUTE)
    sends = wickwire_dxlink.subscribe([Ask(topic, NOW_NS)], [topic], memory)
    whole = json.dumps(
        {
            "type": "FEED_DATA",
            "channel": 63,
            "data": [
                {"eventType": "Candle", "eventSymbol": "MSFT{=m}", "time": NOW_NS // 1_000_000, "index": 1}
                | dict.fromkeys(("open", "high", "low", "close"), 1.5)
            ],
        }
    ).encode()

    assert all(isinstance(json.loads(send.frame), dict) for send in sends)
    [candle] = hear(memory, whole)
    assert ("MSFT", NOW_NS) == (candle.symbol, candle.open_ns)


@given(st.binary(max_size=60) | anything.map(msgspec.json.encode), st.sampled_from([200, 401, 403, 429, 500]))
def test_a_reply_is_a_token_or_a_typed_error(body, status):
    account = Account(secrets={"client_secret": "shh-1", "refresh_token": "shh-2"})
    talk = wickwire_dxlink.connect(account, (), NOW_NS)
    assert not isinstance(talk, Endpoint)

    assert isinstance(finished(talk, body, status, most=2), Endpoint | VenueError | WireError)

"""Whatever arrives, DXLink's adapter returns events or raises the errors of its contract."""

import json
from contextlib import suppress
from typing import Final, get_args

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

import wickwire_dxlink
from tests.adapters.dxlink.talk import MINUTE, NOW_NS, WIRE, hear, lines, opened
from wickwire import Account, Ask, Endpoint, Event, Feed, HttpReply, Topic, VenueError, WireError

FRAMES: Final = [
    frame for path in sorted(WIRE.glob("*.txt")) for side in "CS" for frame in lines(path.name, side)
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(
        ["NaN", "sNaN", "-Infinity", "1e999999", "", "AUTHORIZED", "Quote", "AAPL{=m}", "Candle"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
kinds = st.sampled_from(
    ["FEED_DATA", "FEED_CONFIG", "AUTH_STATE", "ERROR", "CHANNEL_OPENED", "SETUP", "KEEPALIVE"]
)
keys = st.sampled_from(["data", "state", "error", "message", "eventFields", "dataFormat", "service"])
messages = st.builds(
    lambda kind, channel, rest: {"type": kind, "channel": channel, **rest},
    kinds | values,
    st.integers(-2, 9) | values,
    st.dictionaries(keys, values, max_size=4),
)


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Return the path of every part of a JSON value."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


@st.composite
def changed(draw):
    """A real message with one part replaced by something else, removed, or repeated."""
    message = json.loads(draw(st.sampled_from(FRAMES)))
    *upper, key = draw(st.sampled_from(places(message)[1:]))
    inside = message
    for step in upper:
        inside = inside[step]
    match draw(st.sampled_from(["replace", "remove", "repeat"])):
        case "replace":
            inside[key] = draw(values)
        case "remove":
            del inside[key]
        case _ if isinstance(inside, list):
            inside.insert(key, inside[key])
        case _:
            inside[f"{key}_"] = inside[key]
    return json.dumps(message).encode()


@st.composite
def damaged(draw):
    """A real message with some of its bytes changed or cut out."""
    message = bytearray(draw(st.sampled_from(FRAMES)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(message)))
        message[start : start + draw(st.integers(0, 6))] = draw(st.binary(max_size=4))
    return bytes(message)


junk = st.one_of(
    st.binary(max_size=60),
    values.map(msgspec.json.encode),
    messages.map(msgspec.json.encode),
    changed(),
    damaged(),
)


def heard(*frames):
    """What a connection with subscriptions makes of *frames*: events, and the texts of WireErrors."""
    memory = opened(*(Topic("AAPL", what) for what in (MINUTE, *Feed)), feed="rth")
    told: list[object] = []
    for frame in frames:
        try:
            told += wickwire_dxlink.parse(frame, memory)
        except WireError as exc:
            told.append(str(exc))
    return told


@given(junk)
@example(b'{"type":"FEED_DATA","channel":1,"data":["Candle",["\\ud800"]]}')
@example(b'{"type":"KEEPALIVE","type":"FEED_DATA","channel":1,"data":null}')
@example(b'{"type":"FEED_DATA","channel":1,"data":[1e999999999999999999999]}')
@example(b'{"type":"FEED_DATA","channel":1,"data":[' + b"9" * 5_000 + b"]}")
@example(b'{"type":"KEEPALIVE","channel":' + b"9" * 30 + b"}")
def test_a_frame_is_events_or_a_wire_error(frame):
    assert all(isinstance(event, (str, *get_args(Event))) for event in heard(frame))


@given(junk, junk)
def test_frames_mean_the_same_each_time(one, other):
    assert repr(heard(one, other)) == repr(heard(one, other))


@given(st.lists(st.sampled_from(FRAMES) | junk, max_size=8))
def test_junk_never_stops_a_connection(frames):
    memory = opened(Topic("AAPL", MINUTE))
    for frame in frames:
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


@given(st.binary(max_size=60) | values.map(msgspec.json.encode), st.sampled_from([200, 401, 403, 429, 500]))
def test_a_reply_is_a_token_or_a_typed_error(body, status):
    account = Account(secrets={"client_secret": "shh-1", "refresh_token": "shh-2"})
    talk = wickwire_dxlink.connect(account, (), NOW_NS)
    assert not isinstance(talk, Endpoint)
    next(talk)
    told: object = None
    try:
        for _ in range(2):
            talk.send(HttpReply(status=status, body=body))
    except StopIteration as stop:
        told = stop.value
    except (VenueError, WireError) as exc:
        told = exc

    assert isinstance(told, Endpoint | VenueError | WireError)

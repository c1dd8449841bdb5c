"""Whatever arrives, in either encoding, Alpaca's adapter returns events or raises typed errors."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import wickwire_alpaca
from tests.adapters.alpaca.talk import CRYPTO, D1, ENCODINGS, IEX, M1, NOW, WIRE, frame, memory, query
from tests.adapters.junk import changed, damaged, finished, values
from wickwire import Ask, Event, Feed, Page, Topic, TradePage, TradeQuery, VenueError, WireError

NAMES: Final = tuple(sorted(path.stem for path in WIRE.glob("*.json") if not path.stem.startswith("rest_")))
FRAMES: Final = {f"{name}.{way}": frame(name, way) for name in NAMES for way in ENCODINGS}
REPLIES: Final = {path.stem: path.read_bytes() for path in sorted(WIRE.glob("rest_*.json"))}

INSTANTS: Final = ("2026-11-20T14:31:00Z", "2026-13-20T14:31:00Z", "9999-12-31T23:59:59.9Z")

anything = values(
    ["t", "b", "error", "AAPL", "connected", *INSTANTS], st.integers(-(2**63), 2**64 - 1) | st.floats()
)
keys = st.sampled_from([*"TSiptsohlcvnqx", "bp", "bs", "ap", "as", "vw", "code", "msg", "bars", "trades"])
rows = st.dictionaries(
    keys, anything | st.sampled_from([*"tqbudcxslio", "error", "subscription"]), max_size=9
)


def as_json(value: object) -> bytes:
    return json.dumps(value, default=str).encode()


def as_msgpack(value: object) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return b"\x80"


def junk(originals):
    packed = [msgspec.msgpack.decode(one) for name, one in originals.items() if name.endswith(".msgpack")]
    plain = [json.loads(one) for name, one in originals.items() if not name.endswith(".msgpack")]
    messages = anything | st.lists(rows, max_size=3)
    return st.one_of(
        st.binary(max_size=60),
        messages.map(as_json),
        messages.map(as_msgpack),
        changed(plain, anything).map(as_json),
        *([changed(packed, anything).map(as_msgpack)] if packed else []),
        damaged([*originals.values()]),
    )


def heard(message: bytes) -> Sequence[Event] | str:
    """What a connection that waits for answers makes of *message*: events, or the text of its WireError."""
    by = memory()
    topics = [Topic(symbol, what) for symbol in ("AAPL", "MSFT") for what in (M1, D1, *Feed)]
    wickwire_alpaca.subscribe([Ask(topic) for topic in topics], topics[:2], by)
    try:
        return list(wickwire_alpaca.parse(message, by))
    except WireError as exc:
        return str(exc)


@given(junk(FRAMES))
@example(b'[{"T":"t","T":"b","S":"AAPL"}]')
@example(b'[{"T":"q","S":"\\ud800","bp":1,"bs":1,"ap":1,"as":1,"t":"2026-11-20T14:31:00Z"}]')
def test_a_frame_is_events_or_a_wire_error(message):
    told = heard(message)

    assert isinstance(told, str) or all(isinstance(event, get_args(Event)) for event in told)


@given(junk(FRAMES))
def test_a_frame_means_the_same_each_time(message):
    assert repr(heard(message)) == repr(heard(message))


@given(st.lists(st.sampled_from(sorted(FRAMES.values())) | junk(FRAMES), max_size=12))
def test_junk_does_not_change_what_is_heard_afterwards(messages):
    worn, data = memory(), ("bars", "bar_daily", "trades_stock", "quote_stock", "correction", "mixed")
    for message in messages:
        with suppress(WireError):
            wickwire_alpaca.parse(message, worn)

    for name in data:
        again, anew = (wickwire_alpaca.parse(frame(name), each) for each in (worn, memory()))
        assert list(again) == list(anew)


@given(st.lists(st.sampled_from(sorted(FRAMES)).filter(lambda name: "sub" not in name), max_size=8))
def test_a_batch_means_what_its_rows_mean_one_by_one(names):
    batch = [row for name in names for row in json.loads(frame(name.partition(".")[0]))]
    data = [row for row in batch if row["T"] not in {"success", "error"}]

    together = wickwire_alpaca.parse(as_json(data), memory(CRYPTO))
    alone = [event for row in data for event in wickwire_alpaca.parse(as_json([row]), memory(CRYPTO))]

    assert list(together) == alone


@pytest.mark.parametrize("status", [200, 503])
@given(body=junk(REPLIES))
def test_a_reply_is_a_page_or_a_typed_error(status, body):
    asked = query("AAPL", M1, "2026-11-20T14:30:00Z", "2026-11-20T14:34:00Z")
    wanted = TradeQuery(symbol="AAPL", since_ns=asked.since_ns, until_ns=asked.until_ns, now_ns=NOW)
    days = query("AAPL", D1, "2026-11-19T05:00:00Z", "2026-11-20T05:00:00Z")

    page = finished(wickwire_alpaca.fetch_ohlcv(asked, IEX), body, status, most=60)
    trades = finished(wickwire_alpaca.fetch_trades(wanted, IEX), body, status, most=60)
    daily = finished(wickwire_alpaca.fetch_ohlcv(days, IEX), body, status, most=60)

    assert isinstance(page, Page | VenueError | WireError)
    assert isinstance(trades, TradePage | VenueError | WireError)
    assert isinstance(daily, Page | VenueError | WireError)
    if isinstance(page, Page):
        assert asked.since_ns <= page.covered[0] <= page.covered[1] <= asked.until_ns
        assert all(asked.since_ns <= candle.open_ns < asked.until_ns for candle in page.candles)

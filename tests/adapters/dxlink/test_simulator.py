"""The simulated DXLink server: its state machine, its data, its refusals and its token endpoints."""

import json
from decimal import Decimal
from itertools import pairwise

import pytest

from tests.adapters.dxlink.client import (
    LOGIN,
    MARKET,
    NOW,
    START,
    Client,
    access_of,
    ask,
    candle,
    granted,
    heard_as,
    rows,
    token_of,
)
from wickwire import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Session, Timeframe, Utc, Zone, parse_instant
from wickwire.simulate.driver import http_date
from wickwire.simulate.server import Answer, Hangup, Incoming
from wickwire_dxlink.simulator import DXLinkServer
from wickwire_dxlink.simulator_events import double
from wickwire_dxlink.simulator_exchange import FAULTS
from wickwire_dxlink.simulator_symbols import Listings, canonical

MINUTE = Timeframe.parse("1m")
FIELDS = [
    "eventSymbol",
    "eventFlags",
    "index",
    "time",
    "count",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "vwap",
]
LIST = {"acceptEventFields": {"Candle": FIELDS}}


@pytest.fixture
def server() -> DXLinkServer:
    return DXLinkServer(MARKET)


@pytest.fixture
def client(server: DXLinkServer) -> Client:
    return Client(server).enter()


def truth(symbol, since_ns, until_ns, timeframe=MINUTE, grid=None):
    return MARKET.candles(symbol, timeframe, since_ns, until_ns, grid=grid or Utc())


# ------------------------------------------------------------------------------------------------ the way in


def test_the_greeting_and_the_question_for_a_token(server):
    setup, state = Client(server).setup(keepaliveTimeout=60, acceptKeepaliveTimeout=60)

    assert {
        "type": "SETUP",
        "channel": 0,
        "keepaliveTimeout": 60,
        "acceptKeepaliveTimeout": 60,
        "version": "1.0-1.2.1-20240722-153442",
    } == setup
    assert {"type": "AUTH_STATE", "channel": 0, "state": "UNAUTHORIZED"} == state


def test_a_token_of_the_venue_opens_the_door(server):
    client = Client(server)
    client.setup()
    [state] = client.say("AUTH", token=token_of(server))

    assert ("AUTHORIZED", True) == (state["state"], "userId" in state)


@pytest.mark.parametrize("token", ["wrong", "", None, 5])
def test_any_other_token_ends_the_connection(server, token):
    client = Client(server)
    client.setup()
    state, end = client.say("AUTH", token=token)

    assert "UNAUTHORIZED" == state["state"]
    assert Hangup(1000, "unauthorized") == end


def test_a_token_lasts_a_day(server):
    token = token_of(server)
    late = Client(server, now_ns=NOW + DAY_NS)
    late.setup()

    assert "UNAUTHORIZED" == late.say("AUTH", token=token)[0]["state"]


@pytest.mark.parametrize("ahead_s", [90, -90])
def test_the_host_that_grants_tokens_may_have_a_clock_of_its_own(server, ahead_s):
    """Its replies tell it, and when a token ends; the token is let in as long as ever."""
    server.inject("short_tokens", seconds=600)
    server.inject("login_clock", ahead_s=ahead_s)
    headers = {"user-agent": "test/1", "authorization": f"Bearer {access_of(server)}"}
    answer = server.answer(Incoming(method="GET", path="/api-quote-tokens", query={}, headers=headers), NOW)
    expires_ns = parse_instant(granted(server, NOW)["expires-at"])

    assert http_date(NOW + ahead_s * SECOND_NS) == answer.headers["Date"]
    assert expires_ns == NOW + (600 + ahead_s) * SECOND_NS


@pytest.mark.parametrize("path", ["/dxlink-ws", "/market-data/dxlink-ws"])
def test_the_demo_lets_everybody_in(server, path):
    assert ["SETUP", "AUTH_STATE"] == [said["type"] for said in Client(server, path).setup()]
    assert "AUTHORIZED" == Client(server, path).setup()[1]["state"]


def test_other_paths_are_not_found(server):
    answer = server.accept(Incoming(method="GET", path="/x", query={}, headers={}), NOW)

    assert isinstance(answer, Answer)
    assert 404 == answer.status


def test_a_version_of_another_protocol_is_refused(server):
    error, end = Client(server).say("SETUP", version="9.0-x/1")

    assert "UNSUPPORTED_PROTOCOL" == error["error"]
    assert isinstance(end, Hangup)


def test_without_a_setup_the_server_gives_up_after_ten_seconds(server):
    error, end = Client(server).run(11 * SECOND_NS)

    assert ("TIMEOUT", True) == (error["error"], error["message"].startswith("The timeout has been reached."))
    assert Hangup(1000, "timeout") == end


def test_a_silent_client_is_dropped_after_what_it_announced(server):
    client = Client(server)
    client.setup(keepaliveTimeout=20)
    heard = client.run(21 * SECOND_NS)

    assert "TIMEOUT" == heard[-2]["error"]
    assert "20 seconds ago" in heard[-2]["message"]


def test_an_idle_server_says_that_it_lives(client):
    kinds = []
    for _ in range(4):
        client.say("KEEPALIVE")
        kinds += [said["type"] for said in client.run(30 * SECOND_NS)]

    assert ["KEEPALIVE"] * 4 == kinds


def test_what_it_announces_decides_how_often_it_does(server):
    server.inject("keepalive", seconds=2)
    client = Client(server)
    assert 2 == client.setup()[0]["keepaliveTimeout"]

    assert ["KEEPALIVE"] * 5 == [said["type"] for said in client.run(5 * SECOND_NS)]


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    "frame", [b"not json", b"[1]", b"5", b'{"channel":0}', b'{"type":5,"channel":0}', b"\xff"]
)
def test_what_is_no_message_is_named_so(client, frame):
    [error] = client.say(frame)

    assert ("INVALID_MESSAGE", 0) == (error["error"], error["channel"])


def test_the_even_channel_is_refused_in_the_recorded_words(client):
    [error] = client.say("CHANNEL_REQUEST", 2, service="FEED", parameters={"contract": "AUTO"})

    assert {
        "type": "ERROR",
        "channel": 0,
        "error": "BAD_ACTION",
        "message": "Protocol violation with an even channel usage.",
    } == error


@pytest.mark.parametrize(
    ("kind", "rest", "error"),
    [
        ("AUTH", {"token": "x"}, "BAD_ACTION"),
        ("CHANNEL_REQUEST", {"channel": 1}, "BAD_ACTION"),
    ],
)
def test_nothing_is_taken_before_the_setup(server, kind, rest, error):
    assert [error] == [said["error"] for said in Client(server).say(kind, **rest)]


def test_channels_are_for_those_who_are_let_in(server):
    client = Client(server)
    client.setup()
    [error] = client.say("CHANNEL_REQUEST", 1, service="FEED", parameters={"contract": "AUTO"})

    assert ("UNAUTHORIZED", 0) == (error["error"], error["channel"])


def test_who_is_lenient_keeps_what_came_early(server):
    server.inject("lenient")
    client = Client(server)
    client.setup()
    assert [] == client.say("CHANNEL_REQUEST", 1, service="FEED", parameters={"contract": "AUTO"})

    heard = client.say("AUTH", token=token_of(server))

    assert ["AUTH_STATE", "CHANNEL_OPENED"] == [said["type"] for said in heard]


@pytest.mark.parametrize(
    ("said", "contract"),
    [
        ({"kind": "FEED_SETUP", "channel": 9}, "AUTO"),
        ({"kind": "FEED_SUBSCRIPTION", "channel": 9, "reset": True}, "AUTO"),
        ({"kind": "CHANNEL_CANCEL", "channel": 9}, "AUTO"),
        (
            {"kind": "CHANNEL_REQUEST", "channel": 1, "service": "FEED", "parameters": {"contract": "AUTO"}},
            "AUTO",
        ),
        (
            {"kind": "CHANNEL_REQUEST", "channel": 3, "service": "FOOD", "parameters": {"contract": "AUTO"}},
            "AUTO",
        ),
        (
            {"kind": "CHANNEL_REQUEST", "channel": 3, "service": "FEED", "parameters": {"contract": "ALL"}},
            "AUTO",
        ),
        ({"kind": "FEED_SUBSCRIPTION", "channel": 1, "add": []}, "AUTO"),
        ({"kind": "FEED_SUBSCRIPTION", "channel": 1, "remove": []}, "AUTO"),
        ({"kind": "FEED_SUBSCRIPTION", "channel": 1, "add": [{"type": "Quote"}]}, "AUTO"),
        ({"kind": "FEED_SUBSCRIPTION", "channel": 1, "add": [candle("AAPL{=m}", NOW)]}, "TICKER"),
        ({"kind": "FEED_SUBSCRIPTION", "channel": 1, "add": [{"type": "Quote", "symbol": "*"}]}, "HISTORY"),
    ],
)
def test_what_is_against_the_protocol_is_a_bad_action_of_its_channel(client, said, contract):
    client.open(1, contract)
    [error] = client.say(**said)

    assert ("BAD_ACTION", said["channel"]) == (error["error"], error["channel"])
    assert [] == client.say("KEEPALIVE")


def test_an_error_of_the_client_is_taken_note_of(client):
    assert [] == client.say("ERROR", error="TIMEOUT", message="x")


def test_a_frame_that_is_too_long_ends_the_connection(server, client):
    server.inject("largest_frame", bytes=100)

    assert [Hangup(1009, "message too long")] == client.say("KEEPALIVE", padding="x" * 100)


# ------------------------------------------------------------------------------------------------ channels


def test_a_channel_is_opened_configured_late_and_closed(client):
    [opened] = client.say("CHANNEL_REQUEST", 5, service="FEED", parameters={"contract": "AUTO"})
    assert {"contract": "AUTO", "subFormat": "LIST"} == opened["parameters"]
    [config] = client.say("FEED_SETUP", 5, acceptDataFormat="COMPACT", acceptAggregationPeriod=0.5)
    assert {
        "type": "FEED_CONFIG",
        "channel": 5,
        "dataFormat": "COMPACT",
        "aggregationPeriod": Decimal("0.5"),
    } == config
    fields, data = client.add({"type": "Quote", "symbol": "AAPL"}, channel=5)

    assert ("FEED_CONFIG", "FEED_DATA") == (fields["type"], data["type"])
    assert "eventType" == fields["eventFields"]["Quote"][0]
    assert [{"type": "CHANNEL_CLOSED", "channel": 5}] == client.say("CHANNEL_CANCEL", 5)


def test_fields_that_nobody_knows_are_left_out(client):
    wish = {"Quote": ["eventSymbol", "bidPrice", "VWAP", "askPrice"], "Nonsense": ["a"]}
    client.open(acceptEventFields=wish)
    config = client.add({"type": "Quote", "symbol": "AAPL"})[0]

    assert {"Quote": ["eventSymbol", "bidPrice", "askPrice"]} == config["eventFields"]


def test_the_first_keys_are_those_that_the_java_client_reads(client):
    client.open(acceptDataFormat="FULL")
    for out in client.connection.received(
        json.dumps({"type": "FEED_SUBSCRIPTION", "channel": 1, "add": [{"type": "Quote", "symbol": "SPY"}]}),
        NOW,
    ):
        assert isinstance(out, str)
        assert out.startswith('{"type":"')
        assert ',"channel":1' in out[:40]
        assert "FEED_DATA" not in out or '"data":[{"eventType":"Quote","eventSymbol":"SPY"' in out


def test_full_and_compact_say_the_same(client):
    client.open(1, acceptDataFormat="COMPACT")
    client.open(3, acceptDataFormat="FULL")
    entry = {"type": "Quote", "symbol": "AAPL"}
    [compact] = rows(client.add(entry, channel=1), "Quote")
    [full] = rows(client.add(entry, channel=3), "Quote")

    assert full.items() <= compact.items()
    assert {"bidPrice", "askPrice", "bidSize", "askSize"} <= full.keys()


def test_a_quote_is_told_at_once_and_then_at_most_once_in_a_while(client):
    client.open(acceptAggregationPeriod=10)
    [first] = rows(client.add({"type": "Quote", "symbol": "BTC/USD:CXTALP"}), "Quote")
    quote = MARKET.quote("BTC/USD", NOW)
    client.say("FEED_SETUP", 1)
    heard = client.run(55 * SECOND_NS)

    assert (quote.bid, quote.ask) == (first["bidPrice"], first["askPrice"])
    assert 1 <= sum(said["type"] == "FEED_DATA" for said in heard) <= 6


def test_sales_are_all_told(client):
    client.open(acceptAggregationPeriod=10)
    heard = client.add({"type": "TimeAndSale", "symbol": "SPY"}) + client.run(50 * SECOND_NS)
    told = [one for one in rows(heard, "TimeAndSale") if one["validTick"]]
    true = MARKET.trades("SPY", NOW + 1, NOW + 50 * SECOND_NS)

    assert len(true) > 5
    assert [(one.price, one.size, one.side.value.upper()) for one in true] == [
        (one["price"], one["size"], one["aggressorSide"]) for one in told
    ]
    assert [one.time_ns for one in true] == [one["time"] * 1_000_000 + one["timeNanoPart"] for one in told]
    assert all(one["index"] > 2**53 and one["eventFlags"] == 0 for one in told)
    assert len({one["index"] for one in told}) == len(told)


def test_now_and_then_a_tick_is_not_valid(client):
    """`validTick` "false = must not form prices" (dxlink.md, 5. TimeAndSale): none is in a candle."""

    def heard_of(entry, kind, other):
        other.open(acceptAggregationPeriod=10)
        heard = other.add(entry)
        for _ in range(3):
            heard += [*other.run(50 * SECOND_NS), *other.say("KEEPALIVE")]
        return rows(heard, kind)

    told = heard_of({"type": "TimeAndSale", "symbol": "SPY"}, "TimeAndSale", client)
    minute = {"type": "Candle", "symbol": "SPY{=m}", "fromTime": NOW // 1_000_000}
    watched = heard_of(minute, "Candle", Client(client.server).enter())
    invalid = [one["price"] for one in told if not one["validTick"]]
    lows = [one["low"] for one in watched if one["low"] != "NaN"]

    assert 2 <= len(invalid) < len(told) / 4
    assert lows
    assert max(invalid) < min(lows)
    assert len({one["index"] for one in told}) == len(told)


@pytest.mark.parametrize(
    ("kind", "symbol", "field"),
    [
        ("Greeks", ".AAPL261218C200", "delta"),
        ("TheoPrice", ".AAPL261218C200", "underlyingPrice"),
        ("Underlying", "AAPL", "putCallRatio"),
        ("Profile", "AAPL", "description"),
        ("TradeETH", "SPY", "dayVolume"),
    ],
)
def test_what_is_no_price_is_told_at_once_too(server, kind, symbol, field):
    client = Client(server).enter()
    client.open()
    [told] = rows(client.add({"type": kind, "symbol": symbol}), kind)

    assert (kind, symbol) == (told["eventType"], told["eventSymbol"])
    assert told[field] not in (None, "NaN")


def test_a_share_has_no_greeks(server):
    client = Client(server).enter()
    client.open()

    assert [] == rows(client.add({"type": "Greeks", "symbol": "AAPL"}), "Greeks")


def test_sales_of_the_past_are_a_snapshot_newest_first(server):
    client = Client(server).enter()
    client.open(contract="HISTORY")
    since_ms = (client.now_ns - 60 * SECOND_NS) // 1_000_000
    *told, end = rows(
        client.add({"type": "TimeAndSale", "symbol": "BTC/USD:CXTALP", "fromTime": since_ms}), "TimeAndSale"
    )

    assert (4, 10, "NaN") == (told[0]["eventFlags"], end["eventFlags"], end["price"])
    assert since_ms == end["time"]
    times = [one["index"] for one in told]
    assert sorted(times, reverse=True) == times
    assert len(times) > 1


@pytest.mark.parametrize("kind", ["Trade", "Summary"])
def test_the_day_so_far(client, kind):
    client.open()
    [told] = rows(client.add({"type": kind, "symbol": "AAPL"}), kind)
    [today] = truth("AAPL", NOW - DAY_NS, NOW + 1, Timeframe.parse("1d"), Zone("America/New_York"))[-1:]

    if kind == "Summary":
        assert (today.open, today.high, today.low, "NaN") == tuple(
            told[f"day{name}Price"] for name in ("Open", "High", "Low", "Close")
        )
    else:
        assert (today.close, today.volume) == (told["price"], told["dayVolume"])


def test_an_index_has_no_sizes(client):
    client.open()
    [quote] = rows(client.add({"type": "Quote", "symbol": "SPX"}), "Quote")

    assert ("NaN", "NaN") == (quote["bidSize"], quote["askSize"])


@pytest.mark.parametrize("symbol", ["NOPE", ".NOPE251219C600", "/XX:XCME", "VOD/L"])
def test_nothing_is_said_about_what_is_not_traded(client, symbol):
    client.open()

    assert [] == client.add({"type": "Quote", "symbol": symbol}, candle(f"{symbol}{{=m}}", NOW))
    assert [] == [said for said in client.run(30 * SECOND_NS) if said["type"] != "KEEPALIVE"]


def test_a_symbol_of_every_kind_is_traded():
    listings = Listings(MARKET)
    kinds = {
        "AAPL": "share",
        "SPX": "index",
        "IBM&Q": None,
        "AAPL&Q": "share",
        "EUR/USD": "currency",
        "BTC/USD:CXTALP": "coin",
        "/ES:XCME": "future",
        "/ESZ25:XCME": "future",
        ".SPY251219C600": "option",
        "./ESU25P900:XCME": "option",
    }

    found = {name: listings[name] for name in kinds}
    assert kinds == {name: one and one.kind for name, one in found.items()}


def test_what_is_removed_or_reset_is_told_no_more(client):
    client.open()
    entry = {"type": "TimeAndSale", "symbol": "SPY"}
    client.add(entry)
    client.say("FEED_SUBSCRIPTION", 1, remove=[entry])
    assert [] == rows(client.run(20 * SECOND_NS), "TimeAndSale")
    client.add(entry)
    client.say("FEED_SUBSCRIPTION", 1, reset=True)

    assert [] == rows(client.run(20 * SECOND_NS), "TimeAndSale")


# ------------------------------------------------------------------------------------------------ candles


def snapshot(client, symbol="BTC/USD:CXTALP{=1m}", since_ns=NOW - HOUR_NS, **setup):
    client.open(**{**LIST, **setup})
    return rows(client.add(candle(symbol, since_ns)), "Candle")


def test_a_snapshot_is_the_market_newest_first_and_ends_with_a_dummy(client):
    told = snapshot(client)
    *candles, dummy = told
    true = truth("BTC/USD", NOW - HOUR_NS, NOW + 1)

    assert [one.open_ns // 1_000_000 for one in reversed(true)] == [one["time"] for one in candles]
    assert [(one.open, one.close, one.volume, one.trade_count) for one in reversed(true)] == [
        (one["open"], one["close"], one["volume"], one["count"]) for one in candles
    ]
    assert [4, *[0] * (len(candles) - 1)] == [one["eventFlags"] for one in candles]
    assert (10, (NOW - HOUR_NS) // 1_000_000, "NaN") == (dummy["eventFlags"], dummy["time"], dummy["close"])
    assert all(before["index"] > after["index"] for before, after in pairwise(told))


def test_the_symbol_comes_back_shortened(client):
    assert {"SPY{=m,tho=true}"} == {one["eventSymbol"] for one in snapshot(client, "SPY{=1m,tho=true}")}


def test_a_candle_at_the_time_that_was_asked_for_ends_the_snapshot_itself(client):
    [oldest] = truth("BTC/USD", NOW - HOUR_NS, NOW)[:1]
    told = snapshot(client, since_ns=oldest.open_ns)

    assert (8, oldest.open) == (told[-1]["eventFlags"], told[-1]["open"])


def test_a_snapshot_of_one_candle_carries_both_marks(client):
    [newest] = truth("BTC/USD", NOW - HOUR_NS, NOW + 1)[-1:]

    assert [12] == [one["eventFlags"] for one in snapshot(client, since_ns=newest.open_ns)]


def test_an_empty_snapshot_is_one_row(client):
    assert [14] == [one["eventFlags"] for one in snapshot(client, since_ns=NOW + HOUR_NS)]


def test_a_snapshot_that_is_cut_says_so(server, client):
    server.inject("snip", rows=5)
    told = snapshot(client)

    assert [4, 0, 0, 0, 16] == [one["eventFlags"] for one in told]


def test_long_snapshots_come_in_frames_that_the_java_client_takes(client):
    client.open(**LIST)
    raw = client.connection.received(
        json.dumps(
            {"type": "FEED_SUBSCRIPTION", "channel": 1, "add": [candle("BTC/USD:CXTALP{=1m}", START)]}
        ),
        NOW,
    )
    told = rows([heard_as(out) for out in raw], "Candle")

    assert all(len(out) < 65_536 for out in raw if isinstance(out, str))
    assert len(raw) > 5
    assert len(told) == len(truth("BTC/USD", START, NOW + 1)) + (told[-1]["eventFlags"] == 10)


def test_snapshots_of_two_symbols_interleave(client):
    client.open(**LIST)
    heard = client.add(candle("BTC/USD:CXTALP{=1m}", START), candle("ETH/USD:CXTALP{=1m}", START))
    symbols = [said["data"][1][0] for said in heard if said["type"] == "FEED_DATA"]

    assert all(one != other for one, other in pairwise(symbols[:6]))


def test_live_rows_follow_the_market(client):
    client.open(**LIST)
    heard = client.add(candle("BTC/USD:CXTALP{=1m}", NOW)) + client.run(50 * SECOND_NS)
    client.say("KEEPALIVE")
    heard += client.run(50 * SECOND_NS)
    last = {one["time"]: one for one in rows(heard, "Candle") if one["close"] != "NaN"}
    true = truth("BTC/USD", NOW - MINUTE_NS, NOW + 100 * SECOND_NS)

    assert [(one.open_ns // 1_000_000, one.close, one.volume) for one in true] == [
        (time, one["close"], one["volume"]) for time, one in last.items()
    ]


@pytest.mark.parametrize(
    ("symbol", "text", "grid"),
    [
        ("AAPL{=30m}", "30m", Utc()),
        ("AAPL{=d}", "1d", Zone("America/New_York")),
        ("AAPL{=h,a=s}", "1h", None),
    ],
)
def test_bars_open_where_they_should(client, symbol, text, grid):
    timeframe = Timeframe.parse(text)
    told = snapshot(client, symbol, since_ns=START)
    true = MARKET.candles("AAPL", timeframe, START, NOW + 1, grid=grid or Session())
    opens = [one.open_ns // 1_000_000 for one in reversed(true)]
    if text == "1d":  # stamped with midnight UTC of their date
        opens = [one - one % 86_400_000 for one in opens]

    assert opens == [one["time"] for one in told if one["close"] != "NaN"]


@pytest.mark.parametrize("price", ["bid", "ask", "mark"])
def test_candles_of_another_price_have_no_volume(client, price):
    told = snapshot(client, f"EUR/USD{{=m,price={price}}}", since_ns=NOW - 10 * MINUTE_NS)
    last = snapshot(Client(client.server).enter(), "EUR/USD{=m}", since_ns=NOW - 10 * MINUTE_NS)

    assert {"NaN"} == {one["volume"] for one in told}
    assert [one["time"] for one in told] == [one["time"] for one in last]
    assert all(one["low"] <= one["open"] <= one["high"] for one in told[:-1])


def test_the_delayed_path_is_15_minutes_late(server):
    client = Client(server, "/delayed").enter()
    newest, *_ = snapshot(client)

    assert (NOW - 15 * MINUTE_NS) // MINUTE_NS == newest["time"] // 60_000


@pytest.mark.parametrize(
    ("asked", "echoed"),
    [
        ("AAPL{=1m}", "AAPL{=m}"),
        ("AAPL{=1d,tho=true}", "AAPL{=d,tho=true}"),
        ("AAPL{tho=true,=1m}", "AAPL{=m,tho=true}"),
        ("AAPL{tho=true,=5m}", "AAPL{tho=true,=5m}"),
        ("SPY{=5m,tho=true,a=m}", "SPY{=5m,tho=true,a=m}"),
        ("SPY{=1h,a=s,tho=true}", "SPY{=h,a=s,tho=true}"),
        ("IBM{=15m,price=last}", "IBM{=15m,price=last}"),
        ("IBM{=60m}", "IBM{=60m}"),
        ("IBM{=1.0m}", "IBM{=m}"),
        ("IBM{=1M}", "IBM{=m}"),
        ("IBM{=1mo}", "IBM{=mo}"),
        ("IBM{=1t}", "IBM{=t}"),
        ("IBM&Q{=1m}", "IBM&Q{=m}"),
        ("/ESZ25:XCME{=1h}", "/ESZ25:XCME{=h}"),
        ("BTC/USD:CXTALP{=15m}", "BTC/USD:CXTALP{=15m}"),
        ("IBM{=1Min}", "IBM{=m}"),
        ("IBM{=DAY}", "IBM{=d}"),
        ("IBM{=m,price=BID}", "IBM{=m,price=bid}"),
        ("IBM{=m,tho=TRUE}", "IBM{=m,tho=true}"),
        ("IBM{=m,pl=0.10}", "IBM{=m,pl=0.1}"),
    ],
)
def test_candle_symbols_are_spelled_as_dxfeeds_own_class_does(asked, echoed):
    assert echoed == canonical(asked)


@pytest.mark.parametrize("symbol", ["IBM{=x}", "IBM{a=midnight}", "IBM{price=settlement}"])
def test_candle_symbols_that_dxfeeds_own_class_refuses(symbol):
    with pytest.raises(ValueError, match="no "):
        canonical(symbol)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("300", "300.0"),
        ("228.10", "228.1"),
        ("0.00123", "0.00123"),
        ("0.000123", "1.23E-4"),
        ("1204331", "1204331.0"),
        ("43020691", "4.3020691E7"),
        ("10000000", "1.0E7"),
        ("-37.63", "-37.63"),
        ("0", "0.0"),
        (None, '"NaN"'),
    ],
)
def test_doubles_are_printed_as_java_does(value, text):
    assert text == double(None if value is None else Decimal(value))


# ------------------------------------------------------------------------------------------------- faults


def test_every_fault_has_a_sentence_and_refuses_what_it_does_not_take(server):
    assert server.faults.keys() == FAULTS.keys()
    for name in FAULTS:
        with pytest.raises(ValueError, match="takes"):
            server.inject(name, nonsense=1)
    with pytest.raises(ValueError, match="no fault"):
        server.inject("nonsense")
    with pytest.raises(ValueError, match="needs a symbol"):
        server.inject("withdraw", symbol="NOPE")


def test_trimmed_reordered_and_unnamed_fields(server):
    entry = {"type": "Quote", "symbol": "AAPL"}
    wish = {"Quote": ["eventSymbol", "bidPrice", "askPrice"]}
    seen = {}
    for fault, details in (("trim", {"fields": "bidPrice"}), ("reorder", {}), ("no_fields", {})):
        server.inject(fault, **details)
        client = Client(server).enter()
        client.open(acceptEventFields=wish)
        seen[fault] = [said.get("eventFields", {}).get("Quote") for said in client.add(entry)]
        server.inject(fault, on=False)

    assert {
        "trim": [["eventSymbol", "askPrice"], None],
        "reorder": [["askPrice", "bidPrice", "eventSymbol"], None],
        "no_fields": [None],
    } == seen


def test_full_data_on_a_compact_channel_and_two_pairs_in_a_frame(server, client):
    server.inject("force_full")
    assert isinstance(snapshot(client)[0], dict)
    server.inject("force_full", on=False)
    server.inject("two_pairs")
    client.open(3, **LIST)
    [*_, data] = client.add(candle("BTC/USD:CXTALP{=1m}", NOW - HOUR_NS), channel=3)

    assert ["Candle", "Candle"] == data["data"][::2]


def test_a_snapshot_anew_a_withdrawal_and_a_correction(server, client):
    first = snapshot(client)
    flags = {}
    for fault, details in (
        ("resnapshot", {}),
        ("withdraw", {"symbol": "BTC/USD"}),
        ("correct", {"symbol": "BTC/USD"}),
    ):
        server.inject(fault, **details)
        data = [heard_as(out)["data"][1] for out in client.connection.due(client.now_ns)]
        flags[fault] = [values[place + 1] for values in data for place in range(0, len(values), len(FIELDS))]

    assert {"resnapshot": [one["eventFlags"] for one in first], "withdraw": [2], "correct": [0]} == flags


def test_a_stall_says_nothing_at_all(server, client):
    server.inject("stall")

    assert [] == client.run(50 * SECOND_NS)
    assert [] == client.say("CHANNEL_REQUEST", 1, service="FEED", parameters={"contract": "AUTO"})


def test_what_is_announced_once_reaches_every_open_stream(server):
    clients = [Client(server).enter() for _ in range(2)]
    server.inject("expire")
    server.inject("error", error="UNKNOWN", text="x", channel=0)
    server.inject("hangup", code=1001, reason="restart")
    kinds = [
        [said if isinstance(said, Hangup) else said["type"] for said in one.run(SECOND_NS)] for one in clients
    ]

    assert [["AUTH_STATE", "ERROR", Hangup(1001, "restart")]] * 2 == kinds


def test_it_counts_what_it_receives(server, client):
    frames, size = server.received
    client.say(b"x" * 10)

    assert (frames + 1, size + 10) == server.received


# --------------------------------------------------------------------------------------------------- REST


def test_a_login_gives_a_token_of_15_minutes(server):
    answer = ask(server, "POST", "/oauth/token", LOGIN)
    told = json.loads(answer.body)
    access = told["access_token"]
    bearer = {"authorization": f"Bearer {access}"}

    assert ("Bearer", 900) == (told["token_type"], told["expires_in"])
    assert 200 == ask(server, "GET", "/api-quote-tokens", None, NOW + 14 * MINUTE_NS, **bearer).status
    assert 401 == ask(server, "GET", "/api-quote-tokens", None, NOW + 15 * MINUTE_NS, **bearer).status


@pytest.mark.parametrize(
    "changes", [{"refresh_token": "wrong"}, {"client_secret": ""}, {"refresh_token": None}]
)
def test_a_wrong_login_is_refused_in_a_shape_of_its_own(server, changes):
    answer = ask(server, "POST", "/oauth/token", LOGIN | changes)

    assert (400, {"error_code": "invalid_grant", "error_description": "Invalid JWT"}) == (
        answer.status,
        json.loads(answer.body),
    )


def test_tokens_are_for_where_the_client_is(server):
    here = granted(server)
    there = granted(server, host="api.tastyworks.com")
    sandbox = granted(server, host="api.cert.tastyworks.com")

    assert ("ws://127.0.0.1:8080/realtime", "api") == (here["dxlink-url"], here["level"])
    assert "wss://tasty-openapi-ws.dxfeed.com/realtime" == there["dxlink-url"]
    assert ("wss://tasty-demo-ws.dxfeed.com/delayed", "demo") == (sandbox["dxlink-url"], sandbox["level"])
    assert all(url["dxlink-url"].startswith(server.stream_origins) for url in (there, sandbox))


@pytest.mark.parametrize("agent", ["", "python", "a b"])
def test_without_product_and_version_there_is_only_a_page(server, agent):
    answer = ask(server, "POST", "/oauth/token", LOGIN, **{"user-agent": agent})

    assert (401, "text/html") == (answer.status, answer.content_type)
    assert b"401 Authorization Required" in answer.body


@pytest.mark.parametrize("authorization", ["", "Bearer x", "token"])
def test_without_an_access_token_there_is_no_quote_token(server, authorization):
    answer = ask(server, "GET", "/api-quote-tokens", authorization=authorization)

    assert (401, "unauthorized") == (answer.status, json.loads(answer.body)["error"]["code"])


def test_a_login_with_a_password_is_gone(server):
    assert 404 == ask(server, "POST", "/sessions", {"login": "a", "password": "b"}).status


def test_a_version_that_does_not_exist_is_refused_with_a_number(server):
    answer = ask(server, "POST", "/oauth/token", LOGIN, NOW, **{"accept-version": "x"})

    assert (406, 406) == (answer.status, json.loads(answer.body)["error"]["code"])


@pytest.mark.parametrize(
    ("fault", "details", "status"),
    [("throttle", {"retry_after_s": 3}, 429), ("rest_html", {}, 502), ("rest_error", {"status": 503}, 503)],
)
def test_rest_may_fail(server, fault, details, status):
    server.inject(fault, **details)

    assert status == ask(server, "POST", "/oauth/token", LOGIN).status
    server.inject(fault, on=False)
    assert access_of(server)

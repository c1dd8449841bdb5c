"""The simulated stream, conversation by conversation: frames in, frames out, beside the truth."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.coinbase.venue import (
    MARKET,
    NOW,
    Listener,
    of,
    opening,
    rows,
    same_values,
    state,
    true_candles,
)
from tests.adapters.coinbase.wires import WIRE, wire
from wickwire import MINUTE_NS, SECOND_NS, Side, parse_instant
from wickwire.simulate.server import Answer, Hangup
from wickwire_coinbase.simulator import CoinbaseServer
from wickwire_coinbase.simulator_products import go_time, number, products_of, stamp

ALL = ("candles", "market_trades", "ticker", "ticker_batch", "level2")


@pytest.fixture
def server() -> CoinbaseServer:
    return CoinbaseServer(MARKET)


@pytest.fixture
def client(server: CoinbaseServer) -> Listener:
    return Listener(server)


# ------------------------------------------------------------------------------------------------ opening


def test_it_is_silent_until_something_is_subscribed_and_leaves_after_five_seconds(client: Listener) -> None:
    assert client.first == []
    assert client.run(5 * SECOND_NS - 1) == []
    assert [Hangup] == [type(out) for out in client.run(1)]


def test_a_subscription_in_time_keeps_the_connection(client: Listener) -> None:
    client.subscribe("heartbeats")

    assert len(client.run(60 * SECOND_NS)) == 60


def test_without_heartbeats_a_quiet_connection_ends(server: CoinbaseServer) -> None:
    client = Listener(server)
    client.subscribe("status")

    assert [Hangup] == [type(out) for out in client.run(100 * SECOND_NS)]


def test_only_the_root_is_served_and_not_too_often(server: CoinbaseServer) -> None:
    refusal = server.accept(opening("/ws"), NOW)
    assert isinstance(refusal, Answer)
    assert refusal.status == 404

    answers = [server.accept(opening("/"), NOW) for _ in range(9)]
    assert [429] == [each.status for each in answers if isinstance(each, Answer)]
    assert not isinstance(server.accept(opening("/"), NOW + SECOND_NS), Answer)


# ------------------------------------------------------------------------------------------------- answers


def test_one_count_runs_over_everything_from_nought(client: Listener) -> None:
    heard = client.subscribe("heartbeats")
    for channel in (*ALL, "status"):
        client.now_ns += SECOND_NS // 4
        heard += client.subscribe(channel, "BTC-USD", "ETH-USD")
    heard += client.run(30 * SECOND_NS)

    assert [*range(len(heard))] == [frame["sequence_num"] for frame in heard]
    assert len({frame["channel"] for frame in heard}) == 8


def test_the_snapshot_comes_before_the_answer_which_lists_all(client: Listener) -> None:
    client.subscribe("heartbeats")
    snapshot, answer = client.subscribe("candles", "BTC-USD")

    assert (snapshot["channel"], snapshot["events"][0]["type"]) == ("candles", "snapshot")
    assert state(answer) == {"candles": ["BTC-USD"], "heartbeats": ["heartbeats"]}


def test_leaving_is_answered_alike_and_at_the_end_with_nothing(client: Listener) -> None:
    client.subscribe("candles", "BTC-USD", "ETH-USD")
    [one] = client.unsubscribe("candles", "BTC-USD")
    [none] = client.unsubscribe("candles")

    assert ({"candles": ["ETH-USD"]}, {}) == (state(one), state(none))
    assert of(client.run(20 * SECOND_NS), "candles") == []


@pytest.mark.parametrize("channel", ["heartbeat", "full", "matches", "user", "futures_balance_summary"])
def test_an_unknown_channel_is_an_authentication_failure_without_a_number(
    client: Listener, channel: str
) -> None:
    client.subscribe("heartbeats")

    assert client.subscribe(channel, "BTC-USD") == [{"type": "error", "message": "authentication failure"}]
    [beat] = client.run(SECOND_NS)
    assert beat["sequence_num"] == 1


@pytest.mark.parametrize(
    "message",
    ["", "[]", "{", {"type": "subscribe"}, {"type": "subscribe", "channel": "candles", "product_ids": 5}],
)
def test_what_cannot_be_understood_is_an_error(client: Listener, message: object) -> None:
    assert client.say(message) == [{"type": "error", "message": "failure to subscribe"}]


def test_an_unknown_product_fails_its_whole_request(client: Listener, server: CoinbaseServer) -> None:
    assert client.subscribe("candles", "BTC-USD", "NOPE-USD") == [
        {"type": "error", "message": "failure to subscribe"}
    ]
    server.inject("leave_out")
    assert state(client.subscribe("candles", "BTC-USD", "NOPE-USD")[-1]) == {"candles": ["BTC-USD"]}


def test_the_ninth_message_of_a_second_is_refused_on_whatever_connection(server: CoinbaseServer) -> None:
    first, second = Listener(server), Listener(server)
    answers = [client.subscribe("heartbeats") for client in (first, second) for _ in range(5)]

    assert [{"type": "error", "message": "rate limit exceeded"}] == answers[-1]
    assert [1] * 8 == [len(of(answer, "subscriptions")) for answer in answers[:8]]


def test_a_product_in_usdc_is_answered_under_the_one_in_dollars(
    client: Listener, server: CoinbaseServer
) -> None:
    heard = client.subscribe("ticker", "BTC-USDC") + client.run(60 * SECOND_NS)
    assert {"BTC-USD"} == {row["product_id"] for row in rows(heard, "ticker", "tickers")}

    server.inject("own_names")
    own = Listener(server)
    heard = own.subscribe("ticker", "BTC-USDC") + own.run(60 * SECOND_NS)
    assert {"BTC-USDC"} == {row["product_id"] for row in rows(heard, "ticker", "tickers")}


# ---------------------------------------------------------------------------------------------------- data


def keys(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, keys(inner)) for key, inner in value.items() if key != "subscriptions"]
    return [keys(value[0])] if isinstance(value, list) and value else type(value).__name__


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("candles_snapshot", "candles"),
        ("candles_update", "candles"),
        ("trades_snapshot", "market_trades"),
        ("trades_update", "market_trades"),
        ("ticker_snapshot", "ticker"),
        ("l2_snapshot", "level2"),
        ("l2_update", "level2"),
        ("heartbeat", "heartbeats"),
        ("ack_heartbeats", "heartbeats"),
    ],
)
def test_fields_stand_in_the_order_of_the_transcribed_messages(
    client: Listener, name: str, channel: str
) -> None:
    """Types too: a sequence number and a heartbeat's counter are numbers, all the rest are strings."""
    heard = client.subscribe(channel, "BTC-USD") + client.run(60 * SECOND_NS)
    pattern = json.loads(wire(name))
    kind = [event.get("type") for event in pattern["events"]]

    alike = [
        frame
        for frame in of(heard, pattern["channel"])
        if [event.get("type") for event in frame["events"]] == kind
    ]
    assert alike
    assert keys(alike[0]) == keys(pattern)


def test_five_minutes_of_candles_end_as_the_truth(client: Listener) -> None:
    heard = client.subscribe("candles", "BTC-USD") + client.run(17 * MINUTE_NS)
    last = {
        int(row["start"]): row
        for kind in ("snapshot", "update")
        for row in rows(heard, "candles", "candles", kind)
    }

    truth = [
        candle
        for candle in true_candles(NOW - 60 * MINUTE_NS, client.now_ns)
        if candle.close_ns < client.now_ns
    ]
    assert len(truth) > 10
    assert all(same_values(last[candle.open_ns // SECOND_NS], candle) for candle in truth)


def test_candles_come_once_a_second_at_most_and_only_while_something_changes(client: Listener) -> None:
    client.subscribe("candles", "BTC-USD")
    heard = of(client.run(10 * MINUTE_NS), "candles")
    times = [parse_instant(frame["timestamp"]) // SECOND_NS for frame in heard]
    trades = {-(-trade.time_ns // SECOND_NS) for trade in MARKET.trades("BTC/USD", NOW, client.now_ns)}

    assert len(times) == len(set(times))
    assert {*times} <= trades
    assert len(times) >= len(trades) - 1


def test_volume_only_grows_unless_the_fault_is_on(client: Listener, server: CoinbaseServer) -> None:
    def falls() -> int:
        told = rows(client.run(6 * MINUTE_NS), "candles", "candles")
        volumes: dict[str, Decimal] = {}
        count = 0
        for row in told:
            count += Decimal(row["volume"]) < volumes.get(row["start"], Decimal(0))
            volumes[row["start"]] = Decimal(row["volume"])
        return count

    client.subscribe("candles", "BTC-USD")
    assert falls() == 0
    server.inject("interleave")
    assert falls() > 5


def test_trades_are_told_four_times_a_second_newest_first_with_the_makers_side(client: Listener) -> None:
    heard = client.subscribe("market_trades", "BTC-USD") + client.run(10 * MINUTE_NS)
    snapshot = rows(heard, "market_trades", "trades", "snapshot")
    told = rows(heard, "market_trades", "trades")
    truth = {str(trade.number): trade for trade in MARKET.trades("BTC/USD", NOW, client.now_ns)}

    assert len(snapshot) == 50
    ids = [int(row["trade_id"]) for row in snapshot]
    assert ids == sorted(ids, reverse=True)
    assert {row["trade_id"] for row in told} == truth.keys()
    for row in told:
        trade = truth[row["trade_id"]]
        assert (Decimal(row["price"]), Decimal(row["size"])) == (trade.price, trade.size)
        assert (row["side"] == "BUY") is (trade.side is Side.SELL)
    for frame in of(heard, "market_trades")[1:]:
        assert parse_instant(frame["timestamp"]) % (SECOND_NS // 4) < 1_000


def test_lost_trades_are_missing_from_the_stream(client: Listener, server: CoinbaseServer) -> None:
    client.subscribe("market_trades", "BTC-USD")
    server.inject("lose_trades", symbol="BTC/USD", count=4)
    told = rows(client.run(10 * MINUTE_NS), "market_trades", "trades")

    assert len(told) == len(MARKET.trades("BTC/USD", NOW, client.now_ns)) - 4


def test_quotes_are_the_markets_and_a_batch_comes_every_five_seconds(client: Listener) -> None:
    heard = client.subscribe("ticker", "BTC-USD") + client.run(5 * MINUTE_NS)
    for row in rows(heard, "ticker", "tickers"):
        assert Decimal(row["best_bid"]) < Decimal(row["best_ask"])
    quote = MARKET.quote("BTC/USD", MARKET.trades("BTC/USD", NOW, client.now_ns)[-1].time_ns)
    last = rows(heard, "ticker", "tickers")[-1]
    assert (quote.bid, quote.ask) == (Decimal(last["best_bid"]), Decimal(last["best_ask"]))

    client.subscribe("ticker_batch", "BTC-USD")
    batches = of(client.run(5 * MINUTE_NS), "ticker_batch")
    assert {0} == {parse_instant(frame["timestamp"]) // SECOND_NS % 5 for frame in batches}


def test_a_book_kept_from_updates_is_the_book_of_a_new_snapshot(
    client: Listener, server: CoinbaseServer
) -> None:
    """Data of level2 comes as l2_data; a side is bid or offer, never ask; the first times are of 1970."""
    heard = client.subscribe("level2", "BTC-USD") + client.run(3 * MINUTE_NS)
    book: dict[tuple[str, str], str] = {}
    for frame in of(heard, "l2_data"):
        for update in frame["events"][0]["updates"]:
            book[update["side"], update["price_level"]] = update["new_quantity"]
    [snapshot, *_] = Listener(server, client.now_ns).subscribe("level2", "BTC-USD")
    levels = snapshot["events"][0]["updates"]

    assert {"bid", "offer"} == {side for side, _ in book}
    assert {"1970-01-01T00:00:00Z"} == {level["event_time"] for level in levels}
    assert {key: size for key, size in book.items() if size != "0"} == {
        (level["side"], level["price_level"]): level["new_quantity"] for level in levels
    }


def test_heartbeats_count_seconds_in_numbers_and_tell_the_time_as_go_does(client: Listener) -> None:
    client.subscribe("heartbeats")
    first, second = (frame["events"][0] for frame in client.run(2 * SECOND_NS))

    assert second["heartbeat_counter"] == first["heartbeat_counter"] + 1
    assert first["current_time"].startswith("2026-11-21 05:00:11.8051 +0000 UTC m=+")


# -------------------------------------------------------------------------------------------------- faults


def test_lost_messages_leave_a_hole_in_the_count(client: Listener, server: CoinbaseServer) -> None:
    client.subscribe("candles", "BTC-USD")
    server.inject("lose_messages", count=2)
    numbers = [frame["sequence_num"] for frame in client.run(3 * MINUTE_NS)]

    assert numbers[0] == 4
    assert numbers == [*range(4, 4 + len(numbers))]


def test_doubled_messages_have_one_number(client: Listener, server: CoinbaseServer) -> None:
    server.inject("double_messages")
    first, second, _ = client.subscribe("candles", "BTC-USD")

    assert first == second


def test_a_mute_venue_beats_on(client: Listener, server: CoinbaseServer) -> None:
    client.subscribe("heartbeats")
    client.subscribe("candles", "BTC-USD")
    server.inject("mute")
    assert {"heartbeats"} == {frame["channel"] for frame in client.run(MINUTE_NS)}
    server.inject("mute", on=False)
    assert "candles" in {frame["channel"] for frame in client.run(MINUTE_NS)}


def test_an_answer_may_be_late_or_never_come(client: Listener, server: CoinbaseServer) -> None:
    server.inject("late_ack", delay_s=2)
    assert of(client.subscribe("candles", "BTC-USD"), "subscriptions") == []
    assert len(of(client.run(3 * SECOND_NS), "subscriptions")) == 1
    server.inject("late_ack", on=False)
    server.inject("silent_ack", symbol="ETH/USD", acked=False)
    assert client.subscribe("candles", "ETH-USD") == []
    server.inject("silent_ack", symbol="ETH/USD")
    assert ["subscriptions"] == [frame["channel"] for frame in client.subscribe("candles", "ETH-USD")]


def test_a_cut_may_break_a_message_in_two(server: CoinbaseServer) -> None:
    client = Listener(server)
    server.inject("hangup", code=1006, half_frame=True)
    half, hangup = client.connection.due(client.now_ns)

    assert isinstance(half, str)
    with pytest.raises(json.JSONDecodeError):
        json.loads(half)
    assert hangup == Hangup(1006)


def test_faults_explain_themselves(server: CoinbaseServer) -> None:
    assert all(sentence.endswith(".") for sentence in server.faults.values())
    with pytest.raises(ValueError, match="no fault 'rain'; there are mute, "):
        server.inject("rain")
    with pytest.raises(ValueError, match="takes on, symbol, not speed"):
        server.inject("mute_symbol", speed=1)
    with pytest.raises(ValueError, match="needs a symbol that is traded here, got 'NOPE/USD'"):
        server.inject("mute_symbol", symbol="NOPE/USD")


@settings(max_examples=60)
@given(
    st.lists(
        st.text(max_size=20)
        | st.fixed_dictionaries(
            {
                "type": st.sampled_from(["subscribe", "unsubscribe", "sub"]),
                "channel": st.sampled_from([*ALL, "heartbeats", "status", "level3"]),
            },
            optional={"product_ids": st.lists(st.sampled_from(["BTC-USD", "BTC-USDC", "NOPE"]), max_size=3)},
        ).map(json.dumps),
        max_size=6,
    )
)
def test_whatever_a_client_says_the_numbers_never_jump(messages: list[str]) -> None:
    client = Listener(CoinbaseServer(MARKET))
    heard: list[Any] = []
    for message in messages:
        heard += client.say(message) + client.run(SECOND_NS // 3)

    frames = [frame for frame in heard if isinstance(frame, dict) and "channel" in frame]
    assert [*range(len(frames))] == [frame["sequence_num"] for frame in frames]


# --------------------------------------------------------------------------------------------------- names


def test_every_product_in_dollars_has_an_alias() -> None:
    products = products_of(MARKET)

    assert products["BTC-USD"].twins == ("BTC-USDC",)
    assert (products["BTC-USDC"].book, products["BTC-USDC"].symbol) == ("BTC-USD", "BTC/USD")
    assert products["ETH-EUR"].twins == ()
    assert "EUR-USD" not in products, "what does not trade round the clock is not listed"


def test_numbers_and_instants_are_printed_as_captured() -> None:
    assert ["95020", "0.1125", "0.00000043", "100"] == [
        number(Decimal(text)) for text in ("95020.0", "0.11250000", "0.00000043", "1E+2")
    ]
    assert stamp(NOW, 6) == "2026-11-21T05:00:10.805100Z"
    assert go_time(NOW, NOW) == "2026-11-21 05:00:10.8051 +0000 UTC m=+21697.000000000"


def test_every_transcribed_message_is_one_that_is_tested_here() -> None:
    names = {path.stem for path in WIRE.glob("*.json") if not path.stem.startswith(("rest_", "ack_"))}
    tested = {"candles_snapshot", "candles_update", "trades_snapshot", "trades_update", "ticker_snapshot"}

    assert names == tested | {"l2_snapshot", "l2_update", "heartbeat", "error"}

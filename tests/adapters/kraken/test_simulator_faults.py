"""Every fault of the simulated Kraken does what its sentence says."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.simulation.kraken_client import (
    MARKET,
    NOW,
    START,
    Client,
    apply_levels,
    crc_of,
    opening,
    reply_of,
    result_of,
    rows_of,
)
from wickwire import MINUTE_NS, SECOND_NS, parse_instant
from wickwire.simulate.server import Answer, Hangup, Incoming
from wickwire_kraken.simulator import KrakenServer

# ------------------------------------------------------------------------------------------------- faults


def test_muted_data_stops_while_heartbeats_go_on(server: KrakenServer, client: Client) -> None:
    client.subscribe("ohlc", "BTC/USD", interval=1)
    server.inject("mute")

    silent = client.run(5 * MINUTE_NS)
    server.inject("mute", on=False)
    loud = client.run(5 * MINUTE_NS)

    assert {frame["channel"] for frame in silent} == {"heartbeat"}
    assert rows_of(loud, "ohlc")


def test_one_symbol_can_be_muted(server: KrakenServer, client: Client) -> None:
    client.subscribe("trade", "BTC/USD", "ETH/USD", snapshot=False)
    server.inject("mute_symbol", symbol="BTC/USD")

    assert {row["symbol"] for row in rows_of(client.run(5 * MINUTE_NS), "trade")} == {"ETH/USD"}


def test_a_silent_ack_brings_nothing_until_the_subscription_is_made_anew(
    server: KrakenServer, client: Client
) -> None:
    server.inject("silent_ack")
    [ack] = client.subscribe("ohlc", "BTC/USD", interval=1)
    server.inject("silent_ack", on=False)

    assert ack["success"]
    assert rows_of(client.run(5 * MINUTE_NS), "ohlc") == []
    client.unsubscribe("ohlc", "BTC/USD", interval=1)
    client.subscribe("ohlc", "BTC/USD", interval=1)
    assert rows_of(client.run(5 * MINUTE_NS), "ohlc")


def test_an_ack_can_stay_away(server: KrakenServer, client: Client) -> None:
    server.inject("silent_ack", acked=False)

    assert client.subscribe("ohlc", "BTC/USD", interval=1) == []


def test_every_connection_is_hung_up_once(server: KrakenServer) -> None:
    clients = [Client(server), Client(server)]
    server.inject("hangup", code=1013, reason="try again later")

    assert [client.run(SECOND_NS) for client in clients] == [[Hangup(1013, "try again later")]] * 2
    assert Client(server).run(SECOND_NS) == []


def test_a_cut_can_come_in_the_middle_of_a_frame(server: KrakenServer, client: Client) -> None:
    server.inject("hangup", half_frame=True)

    [half, end] = client.connection.due(NOW + SECOND_NS)

    assert isinstance(half, str)
    assert end == Hangup(1006)
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(half)


def test_connections_are_refused_while_told_to_and_after_150_of_them(server: KrakenServer) -> None:
    server.inject("refuse_connections")
    refused = server.accept(opening("/v2"), NOW)
    server.inject("refuse_connections", on=False)
    answers = [server.accept(opening("/v2"), NOW + number) for number in range(151)]

    assert isinstance(refused, Answer)
    assert refused.status == 503
    assert [isinstance(answer, Answer) for answer in answers] == [False] * 150 + [True]
    assert isinstance(server.accept(opening("/v2"), NOW + 9 * MINUTE_NS), Answer)
    assert not isinstance(server.accept(opening("/v2"), NOW + 11 * MINUTE_NS), Answer)


def test_too_many_messages_are_lost(server: KrakenServer, client: Client) -> None:
    server.inject("message_rate", per_s=5)
    replies = [client.say({"method": "ping", "req_id": number})[0] for number in range(7)]

    assert [reply.get("Error") for reply in replies] == [None] * 5 + ["Exceeded msg rate"] * 2
    client.now_ns += 2 * SECOND_NS
    assert client.say({"method": "ping"})[-1]["method"] == "pong"


def test_a_bucket_can_be_missing_in_the_stream_while_rest_has_it(
    server: KrakenServer, client: Client
) -> None:
    client.subscribe("ohlc", "BTC/USD", interval=1, snapshot=False)
    open_ns = NOW - NOW % MINUTE_NS + 2 * MINUTE_NS
    server.inject("drop_candle", symbol="BTC/USD", open_ns=open_ns)

    told = {parse_instant(row["interval_begin"]) for row in rows_of(client.run(5 * MINUTE_NS), "ohlc")}

    assert open_ns not in told
    assert {open_ns - MINUTE_NS, open_ns + MINUTE_NS} <= told
    rest = result_of(server, client.now_ns, "OHLC", pair="XBTUSD")["XXBTZUSD"]
    assert next(row[7] for row in rest if row[0] * SECOND_NS == open_ns) > 0


def test_a_bucket_that_is_missing_in_the_stream_is_missing_in_a_snapshot_within_it_too(
    server: KrakenServer, client: Client
) -> None:
    """Half of it, from a snapshot, would be taken for all of it: no client can know better."""
    open_ns = NOW - NOW % MINUTE_NS + 2 * MINUTE_NS
    server.inject("drop_candle", symbol="BTC/USD", open_ns=open_ns)
    client.run(open_ns + MINUTE_NS // 2 - client.now_ns)

    frames = client.subscribe("ohlc", "BTC/USD", interval=1, snapshot=True)

    [snapshot] = [frame["data"] for frame in frames if frame.get("channel") == "ohlc"]
    told = {parse_instant(row["interval_begin"]) for row in snapshot}
    assert open_ns - MINUTE_NS in told
    assert open_ns not in told


def test_lost_trades_leave_a_jump_in_the_ids(server: KrakenServer, client: Client) -> None:
    client.subscribe("trade", "BTC/USD", snapshot=False)
    client.run(SECOND_NS)
    server.inject("lose_trades", symbol="BTC/USD", count=3)

    ids = [row["trade_id"] for row in rows_of(client.run(10 * MINUTE_NS), "trade")]

    truth = [trade.number for trade in MARKET.trades("BTC/USD", NOW + SECOND_NS, client.now_ns + 1)]
    assert ids == truth[3:]


def test_a_new_trade_subscription_can_repeat_old_trades_as_news(server: KrakenServer, client: Client) -> None:
    server.inject("duplicate_trades", count=4)

    rows = rows_of(client.subscribe("trade", "BTC/USD", snapshot=False), "trade")

    assert [row["trade_id"] for row in rows] == [
        t.number for t in MARKET.trades("BTC/USD", START, NOW + 1)[-4:]
    ]


def test_maintenance_is_told_and_stops_data(server: KrakenServer, client: Client) -> None:
    client.subscribe("ohlc", "BTC/USD", interval=1)
    server.inject("maintenance")

    heard = client.run(2 * MINUTE_NS)

    assert rows_of(heard, "status")[0]["system"] == "maintenance"
    assert rows_of(heard, "ohlc") == []
    assert reply_of(server, client.now_ns, "OHLC", pair="XBTUSD")["error"] == ["EService:Unavailable"]
    server.inject("maintenance", on=False)
    assert rows_of(client.run(2 * MINUTE_NS), "status")[0]["system"] == "online"


def test_slow_data_comes_late_and_complete(server: KrakenServer, client: Client) -> None:
    client.subscribe("trade", "BTC/USD", snapshot=False)
    server.inject("slow", delay_s=30)

    rows = rows_of(client.run(5 * MINUTE_NS), "trade")

    truth = MARKET.trades("BTC/USD", NOW + 1, client.now_ns - 30 * SECOND_NS + 1)
    assert [row["trade_id"] for row in rows] == [trade.number for trade in truth]


def test_a_wrong_checksum_can_be_asked_for(server: KrakenServer, client: Client) -> None:
    server.inject("bad_checksum")
    book: dict[str, dict[Decimal, Decimal]] = {"bids": {}, "asks": {}}

    wrong = []
    for row in rows_of(client.subscribe("book", "BTC/USD"), "book", "snapshot") + rows_of(
        client.run(MINUTE_NS), "book"
    ):
        for name in ("asks", "bids"):
            apply_levels(book, name, row[name], 10, cut_each=False)
        wrong.append(row["checksum"] != crc_of(book))

    assert wrong == [False] + [True] * (len(wrong) - 1)
    assert len(wrong) > 1


def test_other_faults_do_what_they_say(server: KrakenServer, client: Client) -> None:
    client.subscribe("trade", "PAXG/USD", snapshot=False)
    server.inject("no_heartbeat")
    server.inject("junk", frame='{"channel":"ohlc"}')
    server.inject("refuse", symbol="ETH/USD", text="Subscription limit")

    assert client.run(5 * SECOND_NS) == [{"channel": "ohlc"}]
    assert client.subscribe("trade", "ETH/USD")[0]["error"] == "Subscription limit"
    server.inject("exceeded_rate")
    assert client.say({"method": "ping"}) == [{"Error": "Exceeded msg rate"}]


def test_every_fault_has_a_sentence_and_wrong_ones_are_named(server: KrakenServer) -> None:
    assert all(sentence.endswith(".") for sentence in server.faults.values())
    with pytest.raises(ValueError, match=r"no fault 'mut'; there are mute, "):
        server.inject("mut")
    with pytest.raises(ValueError, match="takes on, not symbol"):
        server.inject("mute", symbol="BTC/USD")
    with pytest.raises(ValueError, match="needs a symbol that is traded here, got 'FOO'"):
        server.inject("late_trade", symbol="FOO")


def test_a_late_trade_changes_rest_and_never_the_stream(server: KrakenServer, client: Client) -> None:
    """So REST and stream differ for a bucket that is over."""
    client.subscribe("ohlc", "BTC/USD", interval=1)
    opened = (NOW - 90 * SECOND_NS) // SECOND_NS // 60 * 60
    before = {row[0]: row for row in result_of(server, NOW, "OHLC", pair="XBTUSD")["XXBTZUSD"]}

    server.inject("late_trade", symbol="BTC/USD", ago_s=90, price="99999.9", size="1")
    after = {row[0]: row for row in result_of(server, NOW, "OHLC", pair="XBTUSD")["XXBTZUSD"]}

    assert {opened} == {key for key in before if before[key] != after[key]}
    assert after[opened][2] == "99999.9"
    assert Decimal(after[opened][6]) == Decimal(before[opened][6]) + 1
    assert after[opened][7] == before[opened][7] + 1
    assert after[opened][4] == before[opened][4]
    assert all(row["high"] < 99999 for row in rows_of(client.run(5 * MINUTE_NS), "ohlc"))


def test_rest_can_fail_as_the_edge_does(server: KrakenServer) -> None:
    server.inject("html_520")
    page = server.answer(Incoming(method="GET", path="/0/public/Time", query={}, headers={}), NOW)
    server.inject("html_520", on=False)
    server.inject("rest_error", text="EService:Busy")

    assert (page.status, page.content_type) == (520, "text/html")
    assert reply_of(server, NOW, "Time")["error"] == ["EService:Busy"]


def test_too_many_requests_are_refused_until_time_passes(server: KrakenServer) -> None:
    server.inject("rest_rate", burst=3, per_s=1)
    errors = [reply_of(server, NOW, "Time")["error"] for _ in range(4)]

    assert errors == [[], [], [], ["EGeneral:Too many requests"]]
    assert reply_of(server, NOW + SECOND_NS, "Time")["error"] == []


def test_bad_rows_are_every_other_one_of_history(server: KrakenServer) -> None:
    server.inject("bad_rows")
    rows = result_of(server, NOW, "OHLC", pair="XBTUSD", interval="1")["XXBTZUSD"]

    assert {True, False} == {row[1] == "n/a" for row in rows[:-1]}
    assert rows[-1][1] != "n/a"

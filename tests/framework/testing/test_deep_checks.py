"""What the deeper levels of the kit stand on: sittings, relays, games, and the rows of a reply."""

import json
from decimal import Decimal

import pytest

from tests.framework.testing.variants import edited
from wickwire import (
    SECOND_NS,
    Accepted,
    Account,
    Ask,
    FaultKind,
    Feed,
    Heartbeat,
    HttpReply,
    Refused,
    Timeframe,
    Topic,
)
from wickwire.conversation import Page
from wickwire.events import Event
from wickwire.model import DAY_NS, Candle, Quote, parse_instant
from wickwire.simulate import SeededMarket
from wickwire.testing.material import Material
from wickwire.testing.mutations import MOST_LESSENED, lessened
from wickwire.testing.playing import NOW_NS
from wickwire.testing.relay import Relay
from wickwire.testing.running import CHECKS, State, run_one
from wickwire.testing.sitting import Asked, Parsed, Sitting
from wickwire.testing.stages import Dialogue, Stage, picked
from wickwire.testing.subscriber import Deed, Party, Phase, Subscriber, Word, phases
from wickwire.testing.tables import table_of
from wickwire.testing.values import not_a_month

BY_ID = {one.id: one for one in CHECKS}
MINUTE = Timeframe.parse("1m")
GLOW = Topic("GLOW/USD", MINUTE)
TICKS = Topic("GLOW/USD", Feed.TRADES)
GLOOM = Topic("GLOOM/USD", MINUTE)
MARKET = SeededMarket(1, NOW_NS - 3_600 * SECOND_NS)

KEEPING = ("keepalive=Keepalive(every_s=20.0)", 'keepalive=Keepalive(every_s=20.0, frame="PING")')
PONG = (
    "            case _:\n                return []",
    '            case _:\n                return ["BEAT|0"]',
)


def venue(adapter):
    assert adapter.simulate is not None
    return adapter.simulate(MARKET)


def outcome(check, adapter, effort=20):
    return run_one(Material(adapter, symbols=["GLOW/USD"], effort=effort), BY_ID[check])


def client(adapter, *deeds):
    party = Party(Account(), (GLOW, TICKS), (GLOOM,), NOW_NS)
    one = Subscriber(adapter, MARKET, party)
    for deed in deeds:
        one.do(deed)
    return one


# ---------------------------------------------------------------------------------------------- connections


@pytest.mark.parametrize("step_s", [7, 49, 98])
def test_a_keepalive_goes_out_however_time_is_cut(step_s):
    adapter = edited(KEEPING, simulator=(PONG,))
    sitting = Sitting(adapter, Account(), venue(adapter), NOW_NS)
    for at_s in range(step_s, 99, step_s):
        sitting.until(NOW_NS + at_s * SECOND_NS)

    assert 4 == sum(event == Heartbeat(0) for event in sitting.told)


def test_a_relay_says_so_many_frames_twice_and_says_which():
    adapter = edited()
    relay = Relay(venue(adapter))
    sitting = Sitting(adapter, Account(), relay, NOW_NS)
    relay.twice = 2
    sitting.subscribe([Ask(GLOW)])
    frames = [step.frame for step in sitting.steps if hasattr(step, "frame")]

    assert {2, 4} == relay.echoes
    assert [frames[1], frames[3]] == [frames[2], frames[4]]
    assert frames[1] != frames[3]


def test_a_client_knows_what_is_confirmed_refused_and_left():
    one = client(
        edited(),
        Deed(Word.SUBSCRIBE, (GLOW, TICKS)),
        Deed(Word.SUBSCRIBE, (GLOOM,)),
        Deed(Word.LEAVE, (TICKS,)),
    )

    expected = {GLOW: Phase.CONFIRMED, GLOOM: Phase.REFUSED, TICKS: Phase.LEFT}
    assert expected == phases(one.now.sitting)
    assert [GLOW] == list(one.wanted)


def test_a_refusal_without_names_is_about_what_waits_for_an_answer_and_nothing_else():
    """What was asked for together with it before, and confirmed, is not refused."""
    sitting = Sitting(edited(), Account(), venue(edited()), NOW_NS)
    sitting.steps = [
        Asked((Ask(GLOW), Ask(TICKS)), ()),
        Parsed(b"", NOW_NS, [Accepted([GLOW, TICKS])]),
        Asked((), (GLOW,)),
        Asked((Ask(GLOOM), Ask(GLOW)), ()),
        Parsed(b"", NOW_NS, [Refused([], FaultKind.REQUEST, "failure to subscribe")]),
    ]

    assert {TICKS: Phase.CONFIRMED, GLOOM: Phase.REFUSED, GLOW: Phase.REFUSED} == phases(sitting)


def test_a_frame_is_lessened_by_each_part_and_by_each_end():
    assert [b"[2,3]", b"[]", b"[1,3]", b"[1]", b"[1,2]", b"[1,2]"] == [*lessened(b"[1,2,3]")]
    assert b'{"a":[1]}' in [*lessened(b'{"a":[1,{"b":2}]}')]
    assert [] == [*lessened(b"HELLO")]
    assert 2 * MOST_LESSENED >= len([*lessened(b"[" + b"1," * 10_000 + b"1]")]) > MOST_LESSENED


def test_a_client_that_connects_again_asks_for_what_it_wants():
    one = client(edited(), Deed(Word.SUBSCRIBE, (GLOW,)), Deed(Word.RECONNECT))

    assert 2 == len(one.connections)
    assert {GLOW: Phase.CONFIRMED} == phases(one.now.sitting)
    assert one.connections[0].sitting.now_ns < one.now.sitting.now_ns


# ------------------------------------------------------------------------------------------------ what lacks


@pytest.mark.parametrize(
    ("check", "fault", "why"),
    [
        ("D11", "lose_trades", "has none of the faults lose_messages and lose_trades"),
        ("D12", "expire", "has none of the faults expire, reject_token, auth_failed"),
        ("H07", "short_pages", "has not the fault short_pages"),
    ],
)
def test_what_the_simulated_venue_cannot_do_is_skipped_with_the_reason(check, fault, why):
    found = outcome(check, edited(simulator=((f'    "{fault}":', f'    "no_{fault}":'),)))

    assert State.SKIPPED is found.state
    assert why in found.why


def test_a_refusal_of_which_nothing_comes_says_so():
    first = '            case ["SUB", number, native, seconds] if'
    silent = f'            case ["SUB", *_] if self.server.muted:\n                return []\n{first}'

    found = outcome("D15", edited(simulator=(('    "mute":', '    "refuse":'), (first, silent))))

    assert State.FAILED is found.state
    assert found.why.endswith("there came nothing")


def test_a_symbol_that_the_simulated_venue_does_not_know_is_what_lacks():
    """Who has `simulate` is not told to implement it."""
    material = Material(edited(), symbols=["NOSUCH/USD"], effort=5)

    found = {one: run_one(material, BY_ID[one]).why for one in ("P09", "P15", "D01", "H01", "W01")}

    assert all("brings nothing of NOSUCH/USD: name another with --symbol" in why for why in found.values())
    assert not any("implement" in why for why in found.values())


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (
            ("@hookimpl\ndef simulate", "def simulated"),
            "no connection is there to ask on: needs frames; give --samples DIR, or implement simulate()",
        ),
        (("feeds=(Feed.TRADES,)", "feeds=()"), "describe() names no feed"),
    ],
)
def test_a_feed_that_is_not_asked_for_is_skipped_with_what_lacks(edit, why):
    found = outcome("S11", edited(edit))

    assert (State.SKIPPED, why) == (found.state, found.why)


def test_an_adapter_without_a_simulated_venue_skips_all_that_is_deep():
    adapter = edited(("@hookimpl\ndef simulate", "def simulated"))

    found = [outcome(one.id, adapter) for one in CHECKS if one.id[0] in "DHC"]

    assert {State.SKIPPED} == {one.state for one in found}
    assert all("simulate()" in one.why for one in found)


def test_a_game_that_fails_is_the_same_each_time_and_short():
    def found():
        return outcome("D02", edited(("(Refused((topic,), FaultKind.SYMBOL, text),)", "()")), effort=30)

    first, second = found(), found()

    assert (first.why, first.shown) == (second.why, second.shown)
    assert "wickwire check lantern --only D02 --seed 1" == first.command
    assert first.shown.startswith("production: connect; subscribe to GLOW/USD@1m; subscribe to NOSUCH/USD")


def test_trades_are_no_answer_to_who_asked_for_candles():
    adapter = edited()
    sitting = Sitting(adapter, Account(), venue(adapter), NOW_NS)
    trades, candles = Topic("GLOW/USD", Feed.TRADES), Topic("GLOW/USD", MINUTE)
    sitting.until(NOW_NS + SECOND_NS)
    sitting.subscribe([Ask(trades)])
    sitting.until(NOW_NS + 90 * SECOND_NS)

    assert [candles] == sitting.unanswered([trades, candles])


@pytest.mark.parametrize(("days", "wrong"), [(31, ""), (30, "it lasts 30 days, its month 31")])
def test_a_month_is_as_long_as_the_calendar_says(days, wrong):
    one, opens_ns = Decimal(1), parse_instant("2026-03-01T00:00:00Z")
    month = Candle("A", Timeframe.parse("1mo"), opens_ns, opens_ns + days * DAY_NS, one, one, one, one, one)

    assert wrong == not_a_month(month)


def test_frames_of_one_shape_are_all_kept_where_other_things_come_of_them():
    endpoint = Sitting(edited(), Account(), venue(edited()), NOW_NS).endpoint
    one = Decimal(1)
    row = Candle("A", MINUTE, 0, 60, one, one, one, one, one)
    told: list[Event] = [row, row, row, Quote("A", one, one, one, one, None)]
    steps = [Parsed(b'["x",[1]]', 0, [event]) for event in told]
    dialogue = Dialogue("lamp", Account(), endpoint, steps)

    kept = picked([Stage(dialogue, place, step) for place, step in enumerate(steps)], 9)

    assert [0, 1, 3] == [stage.place for stage in kept]


# ---------------------------------------------------------------------------------------- rows of a reply


def asked(read):
    """What a page is made of a reply whose rows *read* returns, as open times."""

    def ask(reply):
        try:
            opens = read(reply.body)
        except (ValueError, KeyError, IndexError):
            return None
        one = Decimal(1)
        rows = [Candle("A", MINUTE, int(at), int(at) + 60, one, one, one, one, one) for at in opens]
        return Page(candles=rows, covered=(0, 0))

    return ask


WRITTEN = {
    "objects": (
        b'{"bars":[{"t":60,"c":"1.5"},{"t":120,"c":"1.6"},{"t":180,"c":"1.7"}],"next":null}',
        lambda body: [row["t"] for row in json.loads(body)["bars"]],
    ),
    "columns": (
        b'{"t":[60,120,180],"c":["1.5","1.6","1.7"]}',
        lambda body: [at for at, _ in zip(json.loads(body)["t"], json.loads(body)["c"], strict=True)],
    ),
    "lines": (b"60,1.5\n120,1.6\n180,1.7", lambda body: [line.split(b",")[0] for line in body.splitlines()]),
    "as wide as they are many": (
        b"[[60,1,2],[120,1,2],[180,1,2]]",
        lambda body: [at for at, _, _ in json.loads(body)],
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_rows_are_found_in_whatever_they_are_written(name):
    body, read = WRITTEN[name]
    ask = asked(read)
    table = table_of(HttpReply(status=200, body=body), ask)

    assert table is not None
    page = ask(table.with_rows([2, 0, 0]))

    assert 3 == table.count
    assert [180, 60, 60] == [row.open_ns for row in page.candles]


def test_where_no_rows_can_be_told_apart_there_is_no_table():
    reply = HttpReply(status=200, body=b'{"t":60,"c":"1.5"}')

    assert table_of(reply, asked(lambda body: [json.loads(body)["t"]])) is None

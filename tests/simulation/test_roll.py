"""What the venues' servers see is judged: what is subscribed to for nobody, twice, or not at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from tests.simulation.guests import berths
from tests.simulation.life import ACCOUNTS
from tests.simulation.roll import ALONE, AWAY, BORNE, Roll, carried_by
from tests.simulation.world import World, simulate
from wickwire import Series, parse_instant

HOST = "ws.kraken.com"
BITCOIN, ETHER = ("ohlc 1", "BTC/USD"), ("ohlc 1", "ETH/USD")
SAMPLE_S = 11.0
NEW_YORK_OPENS = parse_instant("2027-01-15T14:35:00Z")


@attrs.define(eq=False)
class Streamed:
    """A stream, and the venue's end of it."""

    subscribed: list[tuple[str, str]]
    muted: bool
    origin: str = f"wss://{HOST}"

    @property
    def connection(self) -> Streamed:
        return self


def stream(*topics: tuple[str, str], muted: bool = False) -> Streamed:
    return Streamed(list(topics), muted)


class Sight:
    """A stage of one venue, which is looked at again and again."""

    def __init__(self, *streams: Any, wanted_connections: int = 1, venue: str = "kraken") -> None:
        self.venue = venue
        self.roll, self.now_s = Roll(), 1_000.0
        self.connects: list[float] = [0.0]
        self.failed: list[float] = []
        self.barren: list[float] = []
        self.tries: list[tuple[int, bool, bool]] = []
        self.away_since_ns: int | None = None
        self.streams = list(streams)
        self.wanted_connections = wanted_connections

    def look(self, times: int) -> None:
        connects, failed, barren = (
            {("ws.kraken.com", 1): times} for times in (self.connects, self.failed, self.barren)
        )
        tries = {self.venue: self.tries}
        books = SimpleNamespace(
            venue_of={HOST: "kraken"}, connects=connects, failed=failed, barren=barren, tries=tries
        )
        line = SimpleNamespace(open_streams=self.streams)
        stage = SimpleNamespace(line=line, books=books, lives=1)
        venue = SimpleNamespace(
            venue=self.venue, wanted_connections=self.wanted_connections, away_since_ns=self.away_since_ns
        )
        wanted = [SimpleNamespace(series=Series.parse("kraken:BTC/USD@1m"))]
        for _ in range(times):
            self.now_s += SAMPLE_S
            health = SimpleNamespace(at_ns=7, series=wanted, venues=[venue])
            self.roll.call(cast("Any", stage), cast("Any", health), self.now_s)


def test_what_nobody_wants_may_be_subscribed_to_for_a_moment_alone() -> None:
    sight = Sight(stream(BITCOIN, ETHER))
    sight.look(BORNE - 1)
    assert [] == sight.roll.unwanted
    sight.look(1)
    assert [(7, "kraken", "ETH/USD")] == sight.roll.unwanted


def test_a_topic_is_on_two_connections_for_as_long_as_it_is_handed_over_alone() -> None:
    sight = Sight(stream(BITCOIN), stream(BITCOIN))
    sight.look(BORNE - 1)
    sight.streams = [sight.streams[1]]
    sight.look(1)
    sight.streams = [*sight.streams, stream(BITCOIN)]
    sight.look(BORNE - 1)
    assert [] == sight.roll.doubled
    sight.look(1)
    assert [(7, "kraken", "ohlc 1 BTC/USD")] == sight.roll.doubled


def test_what_is_said_to_a_mute_line_does_not_arrive() -> None:
    sight = Sight(stream(BITCOIN), stream(BITCOIN, ETHER, muted=True))
    sight.look(2 * BORNE)
    assert [] == [*sight.roll.doubled, *sight.roll.unwanted]


class Troubled(Sight):
    """A stage on which something happens to a venue, and is over."""

    def trouble(self, venue: str, *, begins: bool, name: str = "message_rate", **details: object) -> None:
        line, books = SimpleNamespace(open_streams=self.streams), SimpleNamespace(venue_of={HOST: "kraken"})
        stage = SimpleNamespace(line=line, books=books, acting=SimpleNamespace(venue_of=lambda _: venue))
        act = SimpleNamespace(number=1, trouble=SimpleNamespace(name=name, details=details))
        self.roll.forgive(cast("Any", stage), cast("Any", act), self.now_s, begins=begins)


@pytest.mark.parametrize(("venue", "forgiven"), [("kraken", True), ("", True), ("coinbase", False)])
def test_what_was_said_while_the_venue_did_not_listen_was_said_in_vain(venue: str, *, forgiven: bool) -> None:
    sight = Troubled(stream(ETHER))
    sight.trouble(venue, begins=True)
    sight.trouble(venue, begins=False)
    sight.look(2 * BORNE)
    assert forgiven is (not sight.roll.unwanted)


def test_also_on_a_connection_that_was_opened_meanwhile_and_not_on_a_later_one() -> None:
    sight = Troubled()
    sight.trouble("kraken", begins=True)
    sight.streams = [stream(ETHER)]
    sight.look(1)
    sight.trouble("kraken", begins=False)
    sight.look(2 * BORNE)
    assert not sight.roll.unwanted
    sight.streams = [stream(ETHER)]
    sight.look(BORNE)
    assert sight.roll.unwanted


def test_where_one_connection_lives_the_others_are_tried() -> None:
    sight = Sight(stream(BITCOIN), wanted_connections=2)
    sight.look(ALONE)
    assert [] == sight.roll.apart  # the first look cannot know what was tried before
    sight.look(1)
    assert [(7, "kraken", 1, 2)] == sight.roll.apart


@pytest.mark.parametrize("what", ["connects", "failed"])
def test_who_was_tried_or_failed_a_while_ago_may_still_wait(what: str) -> None:
    sight = Sight(stream(BITCOIN), wanted_connections=2)
    sight.look(1)
    for _ in range(4):
        getattr(sight, what).append(sight.now_s)
        sight.look(ALONE - 1)
    assert [] == sight.roll.apart


def test_who_ended_before_data_flowed_may_wait_as_long_as_the_schedule_says() -> None:
    sight = Sight(stream(BITCOIN), wanted_connections=2)
    sight.look(1)
    sight.barren.append(sight.now_s)
    sight.look(ALONE)
    assert [] == sight.roll.apart
    sight.look(2 * ALONE)
    assert sight.roll.apart


def test_one_that_waits_excuses_no_other() -> None:
    sight = Sight(stream(BITCOIN), wanted_connections=3)
    sight.look(1)
    sight.barren.append(sight.now_s)
    sight.look(ALONE)
    assert sight.roll.apart


def test_who_was_sent_away_until_something_is_mended_may_wait_for_long() -> None:
    sight = Troubled(stream(BITCOIN), wanted_connections=2)
    sight.trouble("kraken", begins=True, name="cut", code=1008)
    sight.look(5 * ALONE)
    assert [] == sight.roll.apart
    sight.look(ALONE)
    assert sight.roll.apart


def test_who_was_sent_away_by_another_venue_is_no_excuse() -> None:
    sight = Troubled(stream(BITCOIN), wanted_connections=2)
    sight.trouble("coinbase", begins=True, name="cut", code=1008)
    sight.look(ALONE + 1)
    assert sight.roll.apart


def test_where_none_lives_nothing_is_said_about_the_others() -> None:
    sight = Sight(wanted_connections=2)
    sight.look(3 * ALONE)
    assert [] == sight.roll.apart


def test_what_answers_is_not_away() -> None:
    sight = Sight(stream(BITCOIN), venue="harbour")
    sight.away_since_ns = 5
    sight.tries += [(5, False, False), (6, True, True)]  # a stream that opens says nothing of REST
    sight.look(2 * AWAY)
    sight.tries.append((7, True, False))
    sight.look(AWAY - 1)
    assert [] == sight.roll.slandered
    sight.look(1)
    assert [(7, "harbour")] == sight.roll.slandered


def test_an_answer_need_not_mean_that_all_is_well() -> None:
    sight = Sight(stream(BITCOIN))
    sight.away_since_ns = 5
    sight.tries.append((7, True, False))
    sight.look(2 * AWAY)
    assert [] == sight.roll.slandered


def test_what_fails_again_is_away_after_all() -> None:
    sight = Sight(stream(BITCOIN), venue="harbour")
    sight.away_since_ns = 5
    for _ in range(3):
        sight.tries.append((7, True, False))
        sight.look(AWAY - 1)
        sight.tries.append((7, False, False))
        sight.look(1)
    assert [] == sight.roll.slandered


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("kraken:BTC/USD@1m", "ohlc 1"),
        ("coinbase:BTC/USD@5m", "candles"),
        ("alpaca:BTC/USD@1m", "bars"),
        ("dxlink:BTC/USD@1m", "Candle BTC/USD:CXTALP{=m}"),
    ],
)
def test_each_simulated_venue_says_what_is_subscribed_to(name: str, kind: str) -> None:
    async def play(world: World) -> None:
        await world.minutes(1)
        seen = [one for each in world.transport.open_streams for one in carried_by(each)]
        assert (kind, "BTC/USD") in seen
        await world.collector.remove(name)
        await world.minutes(1)
        assert [] == [one for each in world.transport.open_streams for one in carried_by(each)]

    simulate(play, name, accounts=ACCOUNTS, start_ns=NEW_YORK_OPENS)


def test_there_is_room_for_one_guest_and_for_one_that_replaces() -> None:
    names = ["kraken:BTC/USD@1m", "kraken:BTC/USD@trades", "dxlink:BTC/USD@1m", "coinbase:BTC/USD@5m"]
    assert {"kraken": 4, "dxlink": 4} == berths({"kraken": 1, "coinbase": 2, "dxlink": 1}, names)

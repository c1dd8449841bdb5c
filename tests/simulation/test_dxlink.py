"""DXLink's adapter, its simulated venue and the whole runtime: streamed, polled, cut, with every fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.simulation.world import World, simulate
from wickwire import SECOND_NS, Account, Rung, parse_instant
from wickwire.closer import Condition
from wickwire.simulate import VenueServer
from wickwire.simulate.loops import running_clock
from wickwire_dxlink.simulator_exchange import FAULTS

SECRETS = {"client_secret": "invented-client", "refresh_token": "invented-refresh"}
ACCOUNTS = {"dxlink": Account(secrets=SECRETS)}
NAMES = ("dxlink:BTC/USD@1m", "dxlink:ETH/USD@5m")
STREAM = "wss://tasty-openapi-ws.dxfeed.com"


def play(scene: Any, *names: str, **more: Any) -> None:
    """Run *scene* in a world in which *names* are collected with a tastytrade account."""
    simulate(scene, *(names or NAMES), **{"accounts": ACCOUNTS, **more})


async def whole(world: World, *, first_closes: bool = True) -> None:
    assert [] == await world.broken(first_closes=first_closes)


def test_an_hour_streamed_is_the_market() -> None:
    async def scene(world: World) -> None:
        await world.minutes(60)
        await whole(world)
        health = world.collector.health()
        assert {Rung.STREAM} == {each.rung for each in health.series}
        assert world.transport.requested <= 4  # a login and a token for each connection: live, history

    play(scene)


def test_two_timeframes_and_two_sessions_of_one_instrument_share_a_connection_each() -> None:
    names = ("dxlink:BTC/USD@1m", "dxlink:BTC/USD@5m", "dxlink.rth:BTC/USD@1m")

    async def scene(world: World) -> None:
        await world.minutes(20)
        await whole(world)
        assert len(world.transport.open_streams) <= 4  # one live and one for history, for each session

    play(scene, *names)


def test_polled_over_a_socket_of_its_own_is_the_market_too() -> None:
    async def scene(world: World) -> None:
        await world.collector.add("dxlink:SOL/USD@1m", route="poll")
        await world.minutes(30)
        await whole(world)
        [health] = [one for one in world.collector.health().series if "SOL" in str(one.series)]
        assert Rung.POLL is health.rung

    play(scene)


def test_trades_are_those_of_the_market() -> None:
    async def scene(world: World) -> None:
        since_ns = running_clock().now_ns()
        await world.minutes(5)
        until_ns = running_clock().now_ns() - SECOND_NS
        true = world.market.trades("BTC/USD", since_ns, until_ns)
        told = {(each.time_ns, each.price, each.size, each.side) for each in world.trades}
        assert len(true) > 10
        assert {(each.time_ns, each.price, each.size, each.side) for each in true} <= told
        await whole(world)

    play(scene, "dxlink:BTC/USD@trades")


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1009, 1012])
def test_a_cut_leaves_the_data_whole(code: int) -> None:
    async def scene(world: World) -> None:
        await world.minutes(5)
        for _ in range(3):
            world.servers["dxlink"].inject("hangup", code=code, half_frame=code == 1006)
            await world.minutes(7.3)
        await world.minutes(5)
        await whole(world)
        assert world.transport.requested >= 8  # a token of its own for each connection

    play(scene)


def test_a_connection_is_replaced_before_its_token_ends() -> None:
    async def scene(world: World) -> None:
        world.servers["dxlink"].inject("short_tokens", seconds=1_500)
        world.servers["dxlink"].inject("hangup", code=1001)
        await world.minutes(50)
        opened = [at_s for times in world.counted.connects.values() for at_s in times]
        assert len(opened) >= 4  # each lives for ten minutes less than its token does
        await whole(world)

    play(scene)


def test_the_end_of_a_token_costs_no_trade() -> None:
    """F43: neither between the old connection and the new one nor after it, each of four times."""

    async def scene(world: World) -> None:
        world.servers["dxlink"].inject("short_tokens", seconds=1_500)
        world.servers["dxlink"].inject("hangup", code=1001)
        await world.minutes(5)
        since_ns = running_clock().now_ns()
        await world.minutes(60)
        until_ns = running_clock().now_ns() - SECOND_NS
        told = {each.time_ns for each in world.trades}
        true = world.market.trades("BTC/USD", since_ns, until_ns)
        assert sum(map(len, world.counted.connects.values())) >= 5
        assert len(true) > 100
        assert [] == [each for each in true if each.time_ns not in told]

    play(scene, "dxlink:BTC/USD@trades")


# What a fault of ten minutes may cost; all of them leave the data whole.
SWITCHES: dict[str, dict[str, Any]] = {
    "mute": {},
    "mute_symbol": {"symbol": "BTC/USD"},
    "stall": {},
    "refuse_connections": {},
    "reject_token": {},
    "no_auth": {},
    "short_tokens": {"seconds": 900},
    "lenient": {},
    "trim": {"fields": "count vwap sequence bidVolume"},
    "reorder": {},
    "no_fields": {},
    "force_full": {},
    "two_pairs": {},
    "snip": {"rows": 3},
    "empty_unknown": {},
    "pending": {},
    "slow": {"delay_s": 5},
    "delayed": {},
    "throttle": {"retry_after_s": 5},
    "rest_html": {},
    "rest_error": {},
    "oauth_error": {"code": "invalid_request", "text": "User is not a TastyTrade customer"},
}
ONCE: dict[str, dict[str, Any]] = {
    "hangup": {"code": 1006},
    "expire": {},
    "error": {"error": "UNKNOWN"},
    "close_channel": {},
    "resnapshot": {},
    "withdraw": {"symbol": "BTC/USD"},
    "correct": {"symbol": "BTC/USD"},
    "lose_rows": {"symbol": "BTC/USD", "count": 40},
    "junk": {"frame": '{"type":"FEED_DATA","channel":1,"data":["Candle",[1,2,3]]}'},
}


def test_every_fault_is_played_here() -> None:
    # two change what the server demands, see test_simulator; the login's clock is wrong from the start
    settings = {"largest_frame", "keepalive", "login_clock"}

    assert set(FAULTS) == {*SWITCHES, *ONCE, *settings}


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("fault", [name for name in SWITCHES if name != "delayed"])
def test_a_fault_of_ten_minutes_leaves_the_data_whole(fault: str, *, cut: bool) -> None:
    """With a cut it meets the way in as well as what is open."""

    async def scene(world: World) -> None:
        server, details = world.servers["dxlink"], SWITCHES[fault]
        await world.minutes(5)
        server.inject(fault, **details)
        if cut:
            server.inject("hangup", code=1006)
        await world.minutes(10)
        server.inject(fault, on=False, **details)
        await world.minutes(30)
        await whole(world)
        health = world.collector.health()
        assert {Rung.STREAM} == {each.rung for each in health.series}
        assert {each.condition for each in health.series} <= {Condition.LIVE, Condition.QUIET}

    play(scene)


@pytest.mark.parametrize("fault", ONCE)
def test_what_happens_once_leaves_the_data_whole(fault: str) -> None:
    async def scene(world: World) -> None:
        await world.minutes(5)
        for _ in range(3):
            world.servers["dxlink"].inject(fault, **ONCE[fault])
            await world.minutes(4.3)
        await world.minutes(20)
        await whole(world)

    play(scene)


def test_a_silent_socket_is_given_up_after_a_minute() -> None:
    async def scene(world: World) -> None:
        await world.minutes(3)
        world.transport.mute(STREAM)
        await world.minutes(2)
        world.transport.mute(STREAM, muted=False)
        await world.minutes(15)
        assert world.transport.opened >= 2
        await whole(world)

    play(scene)


def test_a_refused_login_says_which_secrets_and_goes_on_asking() -> None:
    async def scene(world: World) -> None:
        await world.minutes(3)
        why = str(world.collector.health())
        assert "client_secret and refresh_token" in why
        assert "wrong-one" not in why

    wrong = {"client_secret": "wrong-one", "refresh_token": "wrong-two"}
    play(scene, accounts={"dxlink": Account(secrets=wrong)})


def test_the_demo_needs_no_account() -> None:
    async def scene(world: World) -> None:
        await world.minutes(10)
        assert 0 == world.transport.requested
        assert {Rung.STREAM} == {each.rung for each in world.collector.health().series}
        assert world.delivered

    play(scene, accounts={"dxlink": Account(environment="demo")})


def test_the_delayed_feed_of_the_sandbox_is_the_market_a_quarter_of_an_hour_later() -> None:
    async def scene(world: World) -> None:
        await world.minutes(60)
        lines = [line for name in NAMES for line in await world.differences(name)]
        assert [] == [line for line in lines if "behind" not in line]
        assert len(world.delivered) > 30

    play(scene, accounts={"dxlink": Account(environment="sandbox", secrets=SECRETS)})


AWRY_S = (90.0, -90.0, 170.0, -170.0, 600.0, -600.0)
"""By how much the clock of the host that grants tokens is ahead of the feed's."""

USUAL_S = {"stream": 15.0, "poll": 25.0}
"""How long after its end a candle is handed out at the latest, whichever way it is collected: settling takes
five seconds, a quiet market some, and polls find out by rows of a new bucket when that began."""


@pytest.mark.parametrize("route", ["stream", "poll"])
@pytest.mark.parametrize("ahead_s", AWRY_S)
def test_the_clock_of_the_login_settles_no_candle(ahead_s: float, route: str) -> None:
    """It is another host than the feed: no candle is closed before its end by it, and none later."""

    async def scene(world: World) -> None:
        if route == "poll":
            for name in NAMES:
                await world.collector.add(name, route="poll")
        await world.minutes(60)
        await whole(world)
        assert {route} == {each.rung.value for each in world.collector.health().series}
        for name in NAMES:
            assert len([row for row in world.delivered if str(row.series) == name]) >= 10
            assert world.lateness_s(name) <= USUAL_S[route]

    names = NAMES if route == "stream" else ()
    play_at_login(scene, ahead_s, *names)


@pytest.mark.parametrize("off_s", [-90.0, 90.0])
@pytest.mark.parametrize("ahead_s", [0.0, 90.0, -90.0])
def test_nor_does_a_clock_of_ours_that_is_wrong_beside_it(ahead_s: float, off_s: float) -> None:
    """What began before the start is older than usual when it comes; everything after is not."""

    async def scene(world: World) -> None:
        started_ns = running_clock().now_ns()
        await world.minutes(60)
        await whole(world)
        late_s = [
            (world.handed_ns[row.series, row.open_ns] - row.close_ns) / SECOND_NS
            for row in world.delivered
            if not row.revision and row.open_ns > started_ns
        ]
        assert len(late_s) >= 60
        assert max(late_s) <= USUAL_S["stream"]

    play_at_login(scene, ahead_s, *NAMES, off_s=off_s)


def test_a_clock_of_the_login_that_is_far_off_is_told_as_what_it_is() -> None:
    async def scene(world: World) -> None:
        await world.minutes(5)
        [venue] = world.collector.health().venues
        assert "600 s behind that of api.tastyworks.com" in venue.trouble
        await whole(world)

    play_at_login(scene, 600.0, *NAMES)


def test_a_restart_in_a_quiet_market_knows_soon_what_is_over() -> None:
    """Nothing in its feed says so for hours; our clock and that of the login agree, and do together."""

    async def scene(world: World) -> None:
        await world.minutes(20)
        [state] = await world.store.states()
        assert running_clock().now_ns() - state.frontier_ns < 5 * 60 * SECOND_NS
        [health] = world.collector.health().series
        assert Condition.QUIET is health.condition

    # a Sunday, on which no currency is traded; there is no calendar that says so
    sunday_ns = parse_instant("2027-01-17T14:00:00Z")
    play_at_login(scene, 45.0, "dxlink:EUR/USD@1m", start_ns=sunday_ns)


def play_at_login(scene: Any, ahead_s: float, *names: str, **more: Any) -> None:
    """Run *scene* where the host that grants tokens has a clock that is *ahead_s* ahead of the feed's."""

    def before(servers: Mapping[str, VenueServer]) -> None:
        servers["dxlink"].inject("login_clock", ahead_s=ahead_s)

    simulate(scene, *names, accounts=ACCOUNTS, before=before, venues=("dxlink",), **more)

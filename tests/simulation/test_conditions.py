"""What series say of themselves while all goes well."""

from __future__ import annotations

from collections import Counter

from tests.simulation.world import World, simulate
from wickwire import Condition, ConditionChanged, News, parse_instant

AN_HOUR_TO_GO_NS = parse_instant("2026-11-20T20:00:00Z")
"""A Friday; New York trades until 21:00."""


def test_a_share_that_is_hardly_traded_is_quiet_and_so_is_any_when_its_session_is_over() -> None:
    """Yahoo proves twenty minutes later that nobody traded, and at once when the session is over."""
    names = ("yahoo:DUSK@1m", "yahoo:DUSK@5m", "yahoo:AAPL@1m")

    async def play(world: World) -> None:
        def conditions() -> dict[str, Condition]:
            return {str(one.series): one.condition for one in world.collector.health().series}

        for _ in range(59):
            await world.minutes(1)
            assert conditions()["yahoo:DUSK@1m"] in (Condition.QUIET, Condition.POLLED)
            assert conditions()["yahoo:AAPL@1m"] is Condition.POLLED
        await world.minutes(25)
        for _ in range(48):
            assert dict.fromkeys(names, Condition.QUIET) == conditions()
            await world.minutes(60)

    simulate(play, *names, start_ns=AN_HOUR_TO_GO_NS)


def test_a_market_that_is_lively_is_live_all_the_time_however_its_buckets_are_closed() -> None:
    """Siblings and history close a bucket before its own next row comes; that is no news."""
    names = ("kraken:BTC/USD@1m", "kraken:ETH/USD@1m", "coinbase:BTC/USD@1m", "coinbase:BTC/USD@5m")
    told: list[News] = []
    closes: Counter[str] = Counter()

    async def play(world: World) -> None:
        world.collector.on_event(told.append)
        await world.minutes(60)
        assert not any(one.switches for one in world.collector.health().series)
        closes.update(str(one.evidence) for one in world.delivered if not one.revision)

    simulate(play, *names)

    assert closes["sibling"] + closes["history"] > 60, closes
    for name in names:
        changes = [one for one in told if isinstance(one, ConditionChanged) and str(one.series) == name]
        words = [one.condition.value for one in changes]
        assert words in (["starting", "live"], ["starting", "live", "quiet", "live"]), name

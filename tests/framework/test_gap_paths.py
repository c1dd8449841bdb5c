"""Every way in which a gap comes about is noticed and healed, and what is proven empty is asked for once.

An audit's way is in `test_audit`, a machine that slept in `tests/simulation/test_sessions`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from tests.framework.scripted import MINUTE_NS, SERIES, Scripted
from tests.framework.test_collector import accepted, play
from tests.framework.test_runtime_history import Venue
from wickwire import MemoryStore
from wickwire.audit_schedule import AUDIT_POLLED_S, FIRST_AUDIT_BUCKETS
from wickwire.collector import Collector

Path = Callable[[Venue], Awaitable[None]]


async def traded(world: Venue, minutes: int, *, streamed: bool = True) -> None:
    """Let minutes pass, in each of which something is traded."""
    for number in range(minutes):
        world.trade(100 + number, streamed=streamed)
        await world.next_minute(3)


async def reconnect(world: Venue) -> None:
    """The connection ends, and comes back after three minutes."""
    streams = len(world.transport.streams)
    world.transport.refuse = ConnectionError("refused")
    world.stream.hang_up()
    await traded(world, 3, streamed=False)
    world.transport.refuse = None
    await asyncio.sleep(130)
    assert len(world.transport.streams) > streams
    await accepted(world)


async def sequence_gap(world: Venue) -> None:
    """The venue says, by its numbers, that something was lost on a connection that lives."""
    await traded(world, 1, streamed=False)
    world.stream.say({"fault": "gap", "why": "message 7 is missing"})


async def silent_loss(world: Venue) -> None:
    """The stream skips two minutes without a word."""
    await traded(world, 2, streamed=False)


async def missed_polls(world: Venue) -> None:
    """History does not answer for seven minutes."""
    world.down = True
    await traded(world, 7, streamed=False)
    world.down = False


@pytest.mark.parametrize(
    ("path", "streamed"),
    [(reconnect, True), (sequence_gap, True), (silent_loss, True), (missed_polls, False)],
    ids=["reconnect", "sequence gap", "silent loss", "missed polls"],
)
def test_what_a_gap_took_is_healed_and_handed_out_once(path: Path, *, streamed: bool) -> None:
    async def test(world: Venue, collector: Collector) -> None:
        delivered: Counter[int] = Counter()
        collector.on_candle(lambda candle: delivered.update([candle.open_ns // MINUTE_NS]))
        await collector.add(SERIES)
        if streamed:
            await accepted(world)
        await traded(world, 5, streamed=streamed)
        await path(world)
        await traded(world, 5, streamed=streamed)
        await asyncio.sleep(120)
        [health] = collector.health().series
        assert not health.holes
        whole = set(world.truth) - {min(world.truth)}  # the first had begun before it was subscribed to
        assert whole <= set(delivered)
        assert {1} == set(delivered.values())

    play(test, Venue(plugin=Scripted(stream=streamed)))


class Lasting(MemoryStore):
    """A store that outlives its collector."""

    async def aclose(self) -> None:
        """Keep everything."""


def test_what_happened_while_nobody_ran_is_healed_at_the_next_start() -> None:
    async def test(world: Venue, collector: Collector) -> None:
        await collector.add(SERIES)
        await traded(world, 5, streamed=False)
        await collector.remove(SERIES)
        await traded(world, 60, streamed=False)
        await collector.add(SERIES)
        await asyncio.sleep(30)
        stored = {candle.open_ns // MINUTE_NS for candle in await world.stored()}
        assert set(world.truth) <= stored

    play(test, Venue(plugin=Scripted(stream=False), store=Lasting()))


@pytest.mark.parametrize("page_rows", [10, 500])
def test_what_is_proven_empty_is_not_asked_for_again(page_rows: int) -> None:
    """But by an audit once an hour, which goes back behind a start by as much as may be left undone."""

    async def test(world: Venue, collector: Collector) -> None:
        first = world.minute - 700
        world.truth[first] = world.truth[first + 699] = 100
        await collector.add(SERIES, since=first * MINUTE_NS)
        await asyncio.sleep(180)
        assert not collector.health().series[0].holes
        before = len(world.asked)
        await asyncio.sleep(2 * 3_600)
        await collector.remove(SERIES)
        await collector.add(SERIES)
        await asyncio.sleep(2 * 3_600)
        undone = max(round(1.5 * AUDIT_POLLED_S / 60), min(FIRST_AUDIT_BUCKETS, page_rows))
        far_back = [since for _, since, _ in world.asked[before:] if since < first + 699 - undone - 1]
        assert not far_back
        polls, audits = 240, (2 * undone + 240) // page_rows + 8
        assert polls <= len(world.asked) - before <= polls + audits, "one a minute"

    play(test, Venue(plugin=Scripted(stream=False, support={"page_rows": page_rows}), store=Lasting()))


def test_what_a_row_shows_to_be_missing_is_asked_for_at_once() -> None:
    """On a market that is often quiet silence is waited out; the next row says that it was none."""

    async def test(world: Venue, collector: Collector) -> None:
        delivered: set[int] = set()
        collector.on_candle(lambda candle: delivered.add(candle.open_ns // MINUTE_NS))
        await collector.add(SERIES)
        await accepted(world)
        for number in range(121):
            if not number % 6:
                world.trade(100 + number)
            await world.next_minute(3)
        lost = world.minute
        world.trade(300, streamed=False)
        await world.next_minute(3)
        world.trade(301)
        await world.next_minute(1)
        assert lost not in delivered
        world.trade(302)
        await asyncio.sleep(1)
        assert lost in delivered

    play(test, Venue())

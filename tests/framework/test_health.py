"""What a collector says about itself, where nothing else would say it."""

from __future__ import annotations

import asyncio

from tests.framework.scripted import Scripted, rows
from tests.framework.test_collector import World, accepted, play
from wickwire import HttpReply, HttpRequest, Limits, Rate, TransportError
from wickwire.closer import Condition
from wickwire.collector import Collector
from wickwire.condition import LIVE_S
from wickwire.health import SeriesHealth
from wickwire.queues import BOUND
from wickwire.session import STRAY_S
from wickwire.simulate.loops import run_virtual

TRADES = "scripted:BTC/USD@trades"


def feed(collector: Collector) -> SeriesHealth:
    return next(one for one in collector.health().series if str(one.series) == TRADES)


async def subscribed(world: World, collector: Collector) -> None:
    await collector.add(TRADES)
    await asyncio.sleep(1)
    world.stream.say({"accepted": ["BTC/USD@trades"]})
    await asyncio.sleep(0.1)


def test_a_mute_feed_is_quiet_after_a_minute_however_alive_its_connection_is() -> None:
    async def test(world: World, collector: Collector) -> None:
        await subscribed(world, collector)
        assert Condition.LIVE is feed(collector).condition
        world.stream.say({"trade": ["BTC/USD", 7, "100.10"]})
        for _ in range(2):
            await asyncio.sleep(LIVE_S / 2 + 1)
            world.stream.say({"beat": 1})
        await asyncio.sleep(0.1)

        health = feed(collector)
        assert (Condition.QUIET, 62.1) == (health.condition, round(health.age_s or 0.0, 3))

        world.stream.say({"trade": ["BTC/USD", 8, "100.20"]})
        await asyncio.sleep(0.1)
        health = feed(collector)
        assert (Condition.LIVE, 0.1) == (health.condition, round(health.age_s or 0.0, 3))

    play(test)


def test_a_feed_that_never_brought_anything_is_quiet_too() -> None:
    async def test(world: World, collector: Collector) -> None:
        await subscribed(world, collector)
        await asyncio.sleep(LIVE_S)
        world.stream.say({"beat": 1})

        health = feed(collector)
        assert (Condition.QUIET, 0) == (health.condition, health.received)

    play(test)


def test_who_joins_a_mute_topic_is_not_live_because_its_connection_is() -> None:
    """Candles are built of the same trades, which were confirmed long ago; nothing came since (seed 4153)."""

    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@trades"]})
        for _ in range(3):
            await asyncio.sleep(LIVE_S / 2)
            world.stream.say({"beat": 1})
        await collector.add(TRADES)
        await asyncio.sleep(0.1)

        health = feed(collector)
        assert (Condition.QUIET, 90.1) == (health.condition, round(health.age_s or 0.0, 3))

    play(test, World(plugin=Scripted(stream=False, support={"trades": True})))


def test_a_feed_without_a_subscription_has_no_age() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(TRADES)
        assert (Condition.STARTING, None) == (feed(collector).condition, feed(collector).age_s)
        await asyncio.sleep(1)
        world.stream.say({"refused": ["BTC/USD@trades"], "why": "not for you"})
        await asyncio.sleep(0.1)

        health = feed(collector)
        assert (Condition.REFUSED, None) == (health.condition, health.age_s)
        assert "not for you" in health.trouble

    play(test)


def test_what_was_there_and_is_lost_is_reconnecting_for_a_minute_and_then_stale() -> None:
    """Trades and candles alike, with the reason; what never was there is starting."""

    async def test(world: World, collector: Collector) -> None:
        await subscribed(world, collector)
        await collector.add("scripted:BTC/USD@1m", route="stream")
        await asyncio.sleep(1)
        world.stream.say({"accepted": ["BTC/USD@1m"]})
        world.trade(100)
        await asyncio.sleep(1)
        world.transport.refuse = TransportError("scripted.test refused the connection")
        world.stream.hang_up()
        await asyncio.sleep(0.01)
        await collector.add("scripted:ETH/USD@trades")

        trades, candles, never = collector.health().series
        assert (Condition.RECONNECTING, "closed with 1006") == (trades.condition, trades.trouble)
        assert (Condition.RECONNECTING, "closed with 1006") == (candles.condition, candles.trouble)
        assert Condition.STARTING is never.condition

        await asyncio.sleep(LIVE_S)
        words = [one.condition for one in collector.health().series]
        assert [Condition.STALE, Condition.STALE, Condition.STARTING] == words

    play(test)


def test_what_a_slow_reader_lost_is_told_also_when_the_reader_is_gone() -> None:
    async def test(world: World, collector: Collector) -> None:
        await subscribed(world, collector)
        reader = collector.trades()
        world.stream.say(*({"trade": ["BTC/USD", number, "1"]} for number in range(BOUND + 7)))
        await asyncio.sleep(0.1)
        assert 7 == reader.dropped
        del reader

        assert (BOUND + 7, 7) == (feed(collector).received, feed(collector).dropped)

    play(test)


def test_data_that_nobody_asked_for_is_told() -> None:
    async def test(world: World, collector: Collector) -> None:
        await subscribed(world, collector)
        world.stream.say({"trade": ["ETH/USD", 1, "1"]}, {"trade": ["BTC/USD", 1, "1"]})
        await asyncio.sleep(0.1)

        assert 1 == collector.health().venues[0].unrouted

    play(test)


def test_data_under_another_spelling_is_trouble_while_it_comes_and_one_line_of_the_log(caplog) -> None:
    """An adapter that asks for BTC/USD and reads BTC-USD would otherwise look like a mute venue."""

    async def test(world: World, collector: Collector) -> None:
        await subscribed(world, collector)
        for number in range(3):
            world.stream.say({"trade": ["BTC-USD", number, "1"]})
            await asyncio.sleep(0.1)

        venue = collector.health().venues[0]
        assert (3, "data of BTC-USD@trades comes, which nobody asked for") == (venue.unrouted, venue.trouble)
        told = [record for record in caplog.records if record.message == "data that nobody asked for"]
        assert ["BTC-USD@trades"] == [vars(record)["topic"] for record in told]

        await asyncio.sleep(STRAY_S)
        world.stream.say({"beat": 1})
        await asyncio.sleep(0.1)
        venue = collector.health().venues[0]
        assert (3, "") == (venue.unrouted, venue.trouble)

    play(test)


def test_what_is_on_its_way_when_a_series_is_removed_is_no_trouble() -> None:
    async def test(world: World, collector: Collector) -> None:
        await subscribed(world, collector)
        await collector.add("scripted:ETH/USD@trades")
        await collector.remove(TRADES)
        world.stream.say({"trade": ["BTC/USD", 1, "1"]})
        await asyncio.sleep(0.1)

        venue = collector.health().venues[0]
        assert (1, "") == (venue.unrouted, venue.trouble)

    play(test)


def test_a_doubt_of_a_feed_that_lives_is_trouble_for_a_minute_and_counted_for_good() -> None:
    """What is lost of trades cannot be fetched again, and a line that never goes is read by nobody."""

    async def test(world: World, collector: Collector) -> None:
        await subscribed(world, collector)
        world.stream.say({"fault": "gap", "why": "lost 3"})
        await asyncio.sleep(0.1)
        assert (1, True) == (feed(collector).doubts, "lost 3" in feed(collector).trouble)

        for number in range(7):
            await asyncio.sleep(LIVE_S / 6)
            world.stream.say({"trade": ["BTC/USD", number, "1"]})
        await asyncio.sleep(0.1)

        health = feed(collector)
        assert (Condition.LIVE, 1, "") == (health.condition, health.doubts, health.trouble)

    play(test)


def test_each_connection_and_subscription_says_how_it_is() -> None:
    async def test(world: World, collector: Collector) -> None:
        await subscribed(world, collector)
        await collector.add("scripted:BTC/USD@1m")
        await asyncio.sleep(2)
        world.stream.say("junk")
        world.stream.say({"trade": ["BTC/USD", 7, "100.10"]})
        await asyncio.sleep(3)

        [link] = collector.health().venues[0].links
        assert ("ready", 1, 1, 1) == (link.state, link.number, link.attempts, link.junk)
        assert (3.0, 6.1) == (round(link.silent_s or 0.0, 1), round(link.age_s or 0.0, 1))
        told = {str(one.topic): (one.phase, one.asked, one.received) for one in link.subscriptions}
        assert {"BTC/USD@trades": ("confirmed", 1, 1), "BTC/USD@1m": ("asked", 1, 0)} == told
        assert {"trades": 1, "candles": 0} == link.channels

        world.transport.refuse = TransportError("refused")
        world.stream.hang_up()
        await asyncio.sleep(0.1)
        [link] = collector.health().venues[0].links
        assert ("waiting", 1, (), None) == (link.state, link.number, link.subscriptions, link.age_s)

    play(test)


def test_a_pinned_stream_that_stays_away_says_why() -> None:
    """It falls to nothing, and its candles come from history meanwhile: only health can say it."""

    async def test(world: World, collector: Collector) -> None:
        world.transport.refuse = TransportError("scripted.test refused the connection")
        await collector.add("scripted:BTC/USD@1m", route="stream")
        [health] = collector.health().series
        assert (Condition.STARTING, "") == (health.condition, health.trouble)

        await asyncio.sleep(LIVE_S + 10)
        [health] = collector.health().series
        assert (Condition.STALE, "scripted.test refused the connection") == (health.condition, health.trouble)

        world.transport.refuse = None
        await asyncio.sleep(150)
        await accepted(world)
        [health] = collector.health().series
        assert health.trouble == ""

    play(test)


def test_transactions_are_counted_beside_the_candles_in_them() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add("scripted:BTC/USD@1m")
        await accepted(world)
        before = collector.health().batches
        for close in (100, 101, 102):
            world.trade(close)
            await world.next_minute(1)
        world.trade(103)
        await asyncio.sleep(0.1)

        health = collector.health()
        assert (3, 3) == (health.committed, health.batches - before)

    play(test)


def test_requests_that_wait_for_their_turn_are_told() -> None:
    world = World(plugin=Scripted(stream=False, limits=Limits(rest=Rate(1, 15.0))))

    def answer(request: HttpRequest) -> HttpReply:
        return rows()

    world.transport.answer = answer

    async def test(world: World, collector: Collector) -> None:
        for symbol in ("BTC/USD", "ETH/USD", "SOL/USD"):
            await collector.add(f"scripted:{symbol}@1m")
        await asyncio.sleep(1)

        [venue] = collector.health().venues
        assert (1, 2) == (venue.requests, venue.waiting), "each takes a first look"

    play(test, world)


def test_a_feed_of_a_collector_that_ended_is_stopped_and_no_trouble() -> None:
    async def main() -> None:
        world = World()
        async with world.collector() as collector:
            await subscribed(world, collector)
            world.stream.say({"trade": ["BTC/USD", 7, "100.10"]})
            await asyncio.sleep(0.1)
        health = feed(collector)
        assert (Condition.STOPPED, 1, "") == (health.condition, health.received, health.trouble)

    run_virtual(main())

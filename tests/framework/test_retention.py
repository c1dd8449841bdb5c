"""A collector forgets what is older than it is to keep, and knows what others have forgotten."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import cast

import attrs
import pytest

from tests.framework.scripted import SERIES
from tests.framework.shelves import Shelf
from tests.framework.test_collector import Kept, World, accepted, play
from tests.framework.test_forgetting import trade
from tests.framework.test_store import closing
from wickwire import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    Change,
    ConfigError,
    Cursor,
    Evidence,
    Forgotten,
    Hole,
    HoleHealed,
    HotMemory,
    MemoryStore,
    News,
    Registry,
    Retention,
    Series,
    SeriesState,
    StoreError,
    Stretch,
    TradeBatch,
    Verdict,
)
from wickwire.buckets import Buckets
from wickwire.collector import Collector
from wickwire.config import parse_config
from wickwire.forgetting import first_kept
from wickwire.knowledge import Knowledge
from wickwire.ledger import Ledger
from wickwire.retention import EVERY_S, present_ns
from wickwire.simulate.loops import VIRTUAL_START_NS, run_virtual, running_clock
from wickwire.store import Loaded

NAME = "scripted:BTC/USD@1m"
NOW = VIRTUAL_START_NS // MINUTE_NS
OLD = NOW - 5 * 1_440
TRADES = Series.parse("kraken:BTC/USD@trades")


class Reluctant(Kept):
    """A store that forgets nothing for a while."""

    says = ""

    async def forget(self, before_ns: int, *, series: Series | None = None) -> int:
        if self.says:
            raise StoreError(self.says)
        return await super().forget(before_ns, series=series)


def past(*lacking: int, until: int = NOW) -> Change:
    """Five days: some candles of the first and of the last, and holes at some minutes of the first."""
    holes = tuple(Hole((OLD + at) * MINUTE_NS, (OLD + at + 1) * MINUTE_NS) for at in lacking)
    state = SeriesState(series=SERIES, origin_ns=OLD * MINUTE_NS, frontier_ns=until * MINUTE_NS, holes=holes)
    there = [*range(OLD, OLD + 10), *range(until - 10, until)]
    return Change(state=state, closings=[closing(at) for at in there if at - OLD not in lacking])


def kept_since(days: int, now_ns: int = VIRTUAL_START_NS) -> int:
    midnight = now_ns - days * DAY_NS
    return first_kept(SERIES, midnight - midnight % DAY_NS)


def asked_since(world: World) -> list[int]:
    return [int(one.params["since"]) for one in world.transport.requests]


def with_past(*lacking: int, store: MemoryStore | None = None) -> World:
    world = World(store=store or Kept())
    run_virtual(_commit(world.store, past(*lacking)))
    return world


async def _commit(store: MemoryStore, change: Change) -> None:
    await store.commit([change])


async def state(world: World) -> SeriesState:
    loaded = await world.store.load(SERIES)
    assert loaded is not None
    return loaded.state


# ------------------------------------------------------------------------------------ what a collector does


def test_what_is_too_old_is_forgotten_at_the_start_and_not_asked_for():
    """Holes that are older are no work any more."""

    async def test(world: World, collector: Collector) -> None:
        await asyncio.sleep(1)
        await collector.add(NAME)
        await accepted(world)
        world.trade(100)
        await world.next_minute(1)
        world.trade(101)
        await collector.history_is_whole(NAME)

        assert kept_since(2) == (await state(world)).origin_ns == collector.closer(NAME).ledger.origin_ns
        assert all(since >= kept_since(2) for since in asked_since(world))
        assert world.transport.requests
        assert all(one.open_ns >= kept_since(2) for one in await world.stored())

    play(test, with_past(2, 5, 5 * 1_440 - 3), retention=Retention(candles="2d"))


def test_once_a_day_more_is_too_old_while_it_collects():
    async def test(world: World, collector: Collector) -> None:
        await collector.add(NAME)
        await accepted(world)
        await asyncio.sleep(24 * EVERY_S)
        world.trade(100, streamed=False)
        await asyncio.sleep(2 * EVERY_S)

        assert kept_since(2, VIRTUAL_START_NS + DAY_NS) == (await state(world)).origin_ns
        assert (await state(world)).origin_ns == collector.closer(NAME).ledger.origin_ns
        forgotten = (await state(world)).forgotten
        assert forgotten is not None
        assert 2 == forgotten.times

    play(test, with_past(), retention=Retention(candles="2d"))


def test_without_a_word_everything_is_kept():
    async def test(world: World, collector: Collector) -> None:
        await collector.add(NAME)
        await asyncio.sleep(2 * EVERY_S)
        assert OLD * MINUTE_NS == (await state(world)).origin_ns
        assert OLD * MINUTE_NS == (await world.stored())[0].open_ns

    play(test, with_past())


def test_more_than_is_kept_is_not_asked_for_whoever_wants_it(caplog):
    """It would be forgotten within the hour, and asked for again at the next start."""

    async def test(world: World, collector: Collector) -> None:
        await collector.add(NAME, since=OLD * MINUTE_NS)
        await collector.history_is_whole(NAME)
        pages = [page async for page in collector.history(NAME, OLD * MINUTE_NS)]

        assert [] == pages
        assert kept_since(2) == min(asked_since(world))
        assert kept_since(2) == (await state(world)).origin_ns

    play(test, retention=Retention(candles="2d"))
    said = [one for one in caplog.records if one.getMessage() == "older than what is kept is not asked for"]
    assert "2d" == said[0].__dict__["kept"]


def test_what_somebody_else_forgot_is_learned_within_the_hour_and_never_claimed():
    """Another process, of the same store; this one keeps all that it has."""

    async def test(world: World, collector: Collector) -> None:
        await collector.add(NAME)
        await accepted(world)
        reader = collector.reader(NAME)
        assert (await reader.range(OLD * MINUTE_NS))[0].open_ns == OLD * MINUTE_NS
        await world.store.forget(NOW * MINUTE_NS - HOUR_NS)
        gone_ns = (await state(world)).origin_ns

        for close in (1, 2, 3):
            world.trade(close)
            await world.next_minute(1)
            assert gone_ns == (await state(world)).origin_ns

        await asyncio.sleep(EVERY_S)
        assert gone_ns == collector.closer(NAME).ledger.origin_ns
        assert (await reader.range(OLD * MINUTE_NS))[0].open_ns >= gone_ns
        world.transport.requests.clear()
        await collector.history_is_whole(NAME)
        assert all(since >= gone_ns for since in asked_since(world))

    play(test, with_past(3), hot=HotMemory(window_ns=9 * DAY_NS))


def test_a_hole_that_is_forgotten_is_not_healed():
    """Nobody is told that it was, and it is no work any more."""
    told: list[News] = []

    async def test(world: World, collector: Collector) -> None:
        world.down = True
        await collector.add(NAME)
        collector.on_event(told.append)
        await accepted(world)
        assert 2 == len(collector.closer(NAME).ledger.holes)
        await world.store.forget(NOW * MINUTE_NS - HOUR_NS)
        await asyncio.sleep(EVERY_S)
        left = collector.closer(NAME).ledger.holes
        assert all(hole.since_ns >= (NOW - 60) * MINUTE_NS for hole in left)
        world.down = False
        world.truth |= dict.fromkeys(range(NOW - 10, NOW + 90), 7)
        await collector.history_is_whole(NAME)

    play(test, with_past(3, 5 * 1_440 - 3))
    healed = [one.hole for one in told if isinstance(one, HoleHealed)]
    assert healed
    assert all(hole.since_ns >= (NOW - 60) * MINUTE_NS for hole in healed)


def test_who_asks_for_the_past_again_gets_it_although_it_was_forgotten():
    """Also where this process had not heard of it: it looks before it reaches back."""

    async def test(world: World, collector: Collector) -> None:
        await collector.add(NAME)
        await accepted(world)
        await world.store.forget(NOW * MINUTE_NS - HOUR_NS)
        world.truth |= dict.fromkeys(range(OLD - 60, OLD), 7)

        await collector.add(NAME, since=(OLD - 60) * MINUTE_NS)
        await collector.history_is_whole(NAME)
        await asyncio.sleep(2 * EVERY_S)

        assert (OLD - 60) * MINUTE_NS == (await state(world)).origin_ns
        assert [*range(OLD - 60, OLD)] == [
            one.open_ns // MINUTE_NS for one in await world.stored() if one.open_ns < OLD * MINUTE_NS
        ]

    play(test, with_past())


def test_who_asks_again_for_what_was_collected_before_it_was_forgotten_gets_it():
    """Seed 3052: it came, was known to be closed with the same values, and was not stored."""
    asked = [*range(NOW - 120, NOW)]

    async def test(world: World, collector: Collector) -> None:
        world.truth |= dict.fromkeys(asked, 7)
        await collector.add(NAME, since=asked[0] * MINUTE_NS)
        await collector.history_is_whole(NAME)
        assert 0 < await world.store.forget((NOW - 60) * MINUTE_NS)

        await collector.add(NAME, since=asked[0] * MINUTE_NS)
        await collector.history_is_whole(NAME)

        assert asked[0] * MINUTE_NS == (await state(world)).origin_ns
        assert asked == [at for one in await world.stored() if (at := one.open_ns // MINUTE_NS) < NOW]

    play(test, World(store=Kept()))


def test_a_store_that_fails_at_it_is_told_once_and_tried_again(caplog):
    store = Reluctant()

    async def test(world: World, collector: Collector) -> None:
        cast("Reluctant", world.store).says = "store 'shelf': locked"
        await asyncio.sleep(3 * EVERY_S)
        assert OLD * MINUTE_NS == (await state(world)).origin_ns
        cast("Reluctant", world.store).says = ""
        await asyncio.sleep(EVERY_S)
        assert kept_since(2) == (await state(world)).origin_ns

    play(test, with_past(store=store), retention=Retention(candles="2d"))
    assert ["store 'shelf': locked"] == [
        one.__dict__["why"] for one in caplog.records if one.getMessage() == "retention failed"
    ]


def test_a_sink_that_misses_something_is_named(caplog):
    async def test(world: World, collector: Collector) -> None:
        await asyncio.sleep(5)

    world = with_past()
    run_virtual(world.store.move("late", Cursor(seq=3)))
    run_virtual(world.store.move("current", Cursor(seq=20)))
    play(test, world, retention=Retention(candles="2d"), sinks={"current": Shelf()})
    assert [("late", "3")] == [
        (one.__dict__["sink"], one.__dict__["seq"])
        for one in caplog.records
        if one.getMessage() == "sink misses what is forgotten"
    ]


def test_a_sink_that_misses_only_what_came_late_is_named(caplog):
    """Somebody brought the past when newer candles had been stored: what is next for the sink is not old."""

    async def test(world: World, collector: Collector) -> None:
        await asyncio.sleep(5)

    world = with_past()
    whole = past().state
    young = attrs.evolve(whole, frontier_ns=(NOW + 1) * MINUTE_NS)
    run_virtual(_commit(world.store, Change(state=young, closings=[closing(NOW)])))
    run_virtual(_commit(world.store, Change(state=young, closings=[closing(OLD + 20)])))
    run_virtual(world.store.move("late", Cursor(seq=20)))
    run_virtual(world.store.move("current", Cursor(seq=22)))
    play(test, world, retention=Retention(candles="2d"))
    said = [one for one in caplog.records if one.getMessage() == "sink misses what is forgotten"]
    assert ["late"] == [one.__dict__["sink"] for one in said]


def test_trades_have_an_age_of_their_own():
    async def test(world: World, collector: Collector) -> None:
        await asyncio.sleep(1)
        assert [] == list(await world.store.trades(TRADES, 0, (NOW - 2 * 1_440) * MINUTE_NS, limit=9))
        assert 1 == len(await world.store.trades(TRADES, 0, 2**62, limit=9))
        assert OLD * MINUTE_NS == (await state(world)).origin_ns

    world = with_past()
    old, new = OLD * MINUTE_NS, (NOW - 60) * MINUTE_NS
    batch = TradeBatch(series=TRADES, trades=[trade(old), trade(new)], stretch=Stretch(old, new))
    run_virtual(world.store.put_trades([batch]))
    play(test, world, retention=Retention(trades="2d"))


def test_it_is_logged_how_much_went(caplog):
    caplog.set_level(logging.INFO)

    async def test(world: World, collector: Collector) -> None:
        await asyncio.sleep(30 * EVERY_S)

    play(test, with_past(), retention=Retention(candles="2d"))
    told = [one.__dict__ for one in caplog.records if one.getMessage() == "forgotten"]
    assert [("candles", "10")] == [(one["what"], one["count"]) for one in told]


# -------------------------------------------------------------------------------------------- how old is old


def test_a_clock_that_was_set_ahead_makes_nothing_old():
    async def main() -> None:
        store = MemoryStore()
        assert await present_ns(store, 10**19) is None
        await store.commit([past()])
        assert NOW * MINUTE_NS == await present_ns(store, 10**19)
        assert 5 == await present_ns(store, 5)
        late = TradeBatch(series=TRADES, trades=[], stretch=Stretch(0, NOW * MINUTE_NS + 7))
        await store.put_trades([late])
        assert NOW * MINUTE_NS + 7 == await present_ns(store, 10**19)

    asyncio.run(main())


class Hasty:
    """A clock that was set four years ahead."""

    def now_ns(self) -> int:
        return running_clock().now_ns() + 4 * 365 * DAY_NS


def test_a_series_that_was_added_by_a_clock_set_ahead_makes_nothing_old():
    """Its frontier lies years ahead, as far as that clock; what no venue said makes nothing old."""

    async def main() -> None:
        world = World(store=Kept())
        ahead_ns = VIRTUAL_START_NS + 4 * 365 * DAY_NS
        added = SeriesState(
            series=Series.parse("scripted:ETH/USD@1m"), origin_ns=ahead_ns, frontier_ns=ahead_ns
        )
        await world.store.commit([past(), Change(state=added)])
        before = await world.stored()
        collector = Collector(
            world.store,
            registry=Registry(adapters={"scripted": world.plugin}),
            transport=world.transport,
            clock=Hasty(),
            rng=random.Random(1),
            retention=Retention(candles="400d"),
        )
        async with collector:
            await asyncio.sleep(2 * EVERY_S)
            assert before == await world.stored()
            assert OLD * MINUTE_NS == (await state(world)).origin_ns

    run_virtual(main())


def test_ages_count_from_midnight():
    """So that what is known of a series changes once a day, and not with every look."""
    retention = Retention(candles="2d", trades="1.5d")
    noon = 20_000 * DAY_NS + DAY_NS // 2

    assert 19_998 * DAY_NS == retention.candles_before(noon) == retention.candles_before(noon + HOUR_NS)
    assert 19_999 * DAY_NS == retention.trades_before(noon)
    assert (None, None) == (Retention().candles_before(noon), Retention().trades_before(noon))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('candles = "forever"', "retention: candles: not a duration: 'forever'"),
        ('candles = "12h"', "retention: candles: expected a day at least, got '12h'"),
        ('trades = "0d"', "retention: trades: expected a day at least"),
        ("trades = 30", "retention.trades: expected str, got int"),
        ('quotes = "1d"', "retention.quotes: there is no such setting"),
    ],
)
def test_a_config_that_keeps_nothing_sensible_is_refused(text, why):
    with pytest.raises(ConfigError) as caught:
        parse_config(f"[retention]\n{text}\n")
    assert why in str(caught.value)


def test_a_config_says_how_long():
    config = parse_config('[retention]\ncandles = "400d"\ntrades = "30d"\n')
    assert Retention(candles="400d", trades="30d") == config.retention


# ----------------------------------------------------------------------------------------------- the ledger


def knowledge(support) -> Knowledge:
    return Knowledge(
        SERIES,
        support,
        0,
        100 * MINUTE_NS,
        [Hole(0, 5 * MINUTE_NS), Hole(8 * MINUTE_NS, 20 * MINUTE_NS), Hole(50 * MINUTE_NS, 60 * MINUTE_NS)],
    )


def _support(world: World):
    seen = []

    async def test(world: World, collector: Collector) -> None:
        await collector.add(NAME)
        seen.append(collector.closer(NAME).ledger.support)

    play(test, world)
    return seen[0]


def test_a_ledger_forgets_to_where_a_bucket_opens():
    """The store does not know where: half a bucket would be a hole for ever."""
    known = knowledge(_support(World()))
    known.suspect(closing(9).candle)
    known.suspect(closing(12).candle)

    known.forget(Forgotten(10 * MINUTE_NS - 1, 1))

    assert (10 * MINUTE_NS, 100 * MINUTE_NS) == (known.origin_ns, known.frontier_ns)
    assert [(10, 20), (50, 60)] == [
        (one.since_ns // MINUTE_NS, one.until_ns // MINUTE_NS) for one in known.holes
    ]
    assert [12 * MINUTE_NS] == list(known.doubtful)
    assert known.dirty
    assert Forgotten(10 * MINUTE_NS - 1, 1) == known.take().state.forgotten


def test_a_ledger_does_not_take_for_stored_what_was_forgotten():
    """Else what comes when it is asked for again is no news, and the store never has it."""
    known = knowledge(_support(World()))
    for one in (closing(9), closing(12)):
        known.closes.add(one.candle, one.evidence, one.route, healed=False)

    known.forget(Forgotten(10 * MINUTE_NS, 1))

    assert Verdict.INSERT is known.closes.judge(closing(9).candle, Evidence.SIBLING)
    assert Verdict.KEEP is known.closes.judge(closing(12).candle, Evidence.SIBLING)
    assert [12 * MINUTE_NS] == [one.candle.open_ns for one in known.take().closings]


def test_a_ledger_begins_with_what_the_store_has_forgotten_and_with_what_came_back_since():
    support = _support(World())
    buckets = Buckets(SERIES.timeframe, support.grid)
    assert buckets.opens(9 * MINUTE_NS)
    forgotten = Forgotten(9 * MINUTE_NS + 1, 1)
    stored = SeriesState(
        series=SERIES, origin_ns=9 * MINUTE_NS + 1, frontier_ns=9 * MINUTE_NS + 1, forgotten=forgotten
    )

    begun = Ledger.start(SERIES, support, Loaded(state=stored, tail=()), stored.origin_ns)
    assert (10 * MINUTE_NS, 10 * MINUTE_NS, []) == (begun.origin_ns, begun.frontier_ns, begun.holes)

    again = attrs.evolve(stored, origin_ns=2 * MINUTE_NS)
    begun = Ledger.start(SERIES, support, Loaded(state=again, tail=()), again.origin_ns)
    assert (2 * MINUTE_NS, forgotten) == (begun.origin_ns, begun.take().state.forgotten)


def test_a_loop_has_the_time_that_these_tests_count_from():
    async def main() -> None:
        assert VIRTUAL_START_NS == running_clock().now_ns()

    run_virtual(main())

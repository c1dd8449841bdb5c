"""What happens to the hot layer between two steps of whoever feeds it: nothing of it becomes a hole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.plugins.redis.layers import ETH, FailingOver, Feeder, at, change, follower_at, hot_at
from tests.plugins.redis.sinks import BTC, fresh_url, prefix_of, stranger
from wickwire import Series, SeriesCandle, SeriesReader, SinkError

BLOCK = "candle:{kraken:BTC/USD@1m}:hot"


class Interrupted(FailingOver):
    """A store in which something happens behind the next read of a range."""

    behind: Callable[[], Awaitable[object]] | None = None

    async def candles(
        self, series: Series, since_ns: int, until_ns: int, *, limit: int
    ) -> Sequence[SeriesCandle]:
        found = await super().candles(series, since_ns, until_ns, limit=limit)
        behind, self.behind = self.behind, None
        if behind is not None:
            await behind()
        return found


class Stage:
    """Two collectors on one store, and a reader."""

    def __init__(self) -> None:
        self.url = fresh_url()
        self.store = Interrupted()
        self.one, self.other = (Feeder(follower_at(self.url), self.store) for _ in range(2))
        self.hot = hot_at(self.url, self.store)

    async def commit(self, *minutes: int, price: int = 1, series: Series = BTC) -> None:
        for minute in minutes:
            await self.store.commit([change(series, [minute], price)])

    async def count(self, series: Series) -> int:
        """How many candles of *series* are at hand."""
        held = await self.hot.held(series, at(-99), at(999))
        assert held is not None
        return len(held.candles)

    async def is_true_and_at_hand(self) -> None:
        assert await self.hot.held(BTC, at(-99), at(999)) is not None
        found = await SeriesReader(BTC, self.store, self.hot).range(at(-99), at(999))
        assert list(found) == list(await self.store.candles(BTC, at(-99), at(999), limit=9_999))


def play(test: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        stage = Stage()
        for feeder in (stage.one, stage.other):
            await feeder.follower.open()
        try:
            await test(stage)
        finally:
            for feeder in (stage.one, stage.other):
                await feeder.follower.aclose()
            await stage.hot.aclose()

    asyncio.run(main())


def test_a_block_holds_its_window_and_no_more():
    async def test(stage: Stage) -> None:
        for minute in range(100):
            await stage.commit(minute)
            await stage.one.feed()
        await stage.commit(10, price=2)
        await stage.commit(50, price=2)
        await stage.one.feed()
        await stage.is_true_and_at_hand()
        async with stranger() as client:
            assert 61 + 1 == await client.zcard(f"{prefix_of(stage.url)}{BLOCK}"), "and its head"

    play(test)


def test_a_long_window_ends_at_ten_thousand_candles():
    async def test(stage: Stage) -> None:
        feeder = Feeder(follower_at(f"{stage.url}&window=30d"), stage.store)
        await feeder.follower.open()
        await stage.store.commit([change(BTC, range(10_050))])
        await feeder.feed()
        await stage.commit(10_050)
        await feeder.feed()
        await feeder.follower.aclose()
        held = await stage.hot.held(BTC, at(0), at(99_999))
        assert held is not None
        assert [at(minute) for minute in range(51, 10_051)] == [one.open_ns for one in held.candles]

    play(test)


def test_what_is_fed_stays_and_what_is_not_goes_by_itself():
    async def test(stage: Stage) -> None:
        await stage.commit(1)
        await stage.commit(1, series=ETH)
        await stage.one.feed()
        prefix = prefix_of(stage.url)
        state, fed, quiet = (f"{prefix}{key}" for key in ("candle:hot", BLOCK, BLOCK.replace("BTC", "ETH")))
        async with stranger() as client:
            for key in (state, fed, quiet):
                assert await client.pexpire(key, 100_000)
            await stage.commit(2)
            await stage.one.feed()
            left_ms = [await client.pttl(key) for key in (state, fed, quiet)]
        assert [True, True, False] == [one > 100_000 for one in left_ms]

    play(test)


def test_what_is_committed_while_a_block_is_read_keeps_it_from_being_written():
    async def test(stage: Stage) -> None:
        await stage.commit(1, 2)
        rows = await stage.store.committed(0, limit=99)
        await stage.commit(3)
        await stage.one.follower.follow(stage.store, rows, after_seq=0, whole=True)
        assert await stage.hot.held(BTC, at(0), at(99)) is None, "it would be ahead of the layer"
        await stage.one.feed()
        await stage.is_true_and_at_hand()

    play(test)


def test_a_block_that_was_read_before_another_collector_went_on_is_not_written():
    async def test(stage: Stage) -> None:
        await stage.commit(1)

        async def the_other_goes_on() -> None:
            await stage.commit(2, 3)
            await stage.other.feed(page=1, pages=2)

        stage.store.behind = the_other_goes_on
        await stage.one.feed()
        await stage.one.feed()
        await stage.is_true_and_at_hand()

    play(test)


def test_a_store_that_lost_commits_is_seen_by_a_collector_that_was_behind():
    async def test(stage: Stage) -> None:
        await stage.commit(1, 2)
        for feeder in (stage.one, stage.other):
            await feeder.feed()
        replica = stage.store.copied()
        await stage.commit(3, 4, 5)
        await stage.one.feed()
        stage.store.fail_over(replica)
        await stage.commit(6)
        await stage.other.feed()
        await stage.is_true_and_at_hand()

    play(test)


@pytest.mark.parametrize("revised", [False, True])
def test_numbers_that_were_given_again_are_other_commits(revised):
    async def test(stage: Stage) -> None:
        await stage.commit(1, 2)
        for feeder in (stage.one, stage.other):
            await feeder.feed()
        replica = stage.store.copied()
        await stage.commit(3, 4, 5)
        await stage.one.feed()
        stage.store.fail_over(replica)
        await stage.commit(6, 7, 8, 9)
        if revised:
            await stage.commit(8, price=2)  # which had the number up to which the layer goes
        with pytest.raises(SinkError, match="not from this store as it seems"):
            await stage.other.feed()
        stage.one.cursor = 2
        await stage.one.feed()
        await stage.is_true_and_at_hand()
        await stage.other.feed()
        await stage.is_true_and_at_hand()

    play(test)


def test_a_collector_that_starts_takes_no_layer_that_is_older_than_what_it_fed():
    async def test(stage: Stage) -> None:
        await stage.commit(1)
        await stage.one.feed()
        await stage.commit(2)
        await stage.commit(1, series=ETH)
        stage.other.cursor = 2  # as if a dump had been put back since
        await stage.other.feed()
        assert await stage.hot.held(BTC, at(0), at(99)) is None
        assert await stage.hot.held(ETH, at(0), at(99)) is not None

    play(test)


def test_what_the_store_has_forgotten_is_not_at_hand_any_more():
    async def test(stage: Stage) -> None:
        await stage.commit(*range(10))
        await stage.commit(*range(10), series=ETH)
        await stage.one.feed()
        assert 7 == await stage.store.forget(at(8), series=BTC)
        await stage.one.feed()
        await stage.is_true_and_at_hand()
        assert await SeriesReader(BTC, stage.store, stage.hot).range(at(0), at(7)) == []
        assert 10 == await stage.count(ETH)

        assert 3 == await stage.store.forget(at(99), series=BTC)
        await stage.one.feed()
        await stage.is_true_and_at_hand()
        assert await SeriesReader(BTC, stage.store, stage.hot).latest() is None
        async with stranger() as client:
            expires_ms = await client.pttl(f"{prefix_of(stage.url)}{BLOCK}")
        assert expires_ms > 0, "also where nothing is in it any more"

    play(test)


def test_what_was_forgotten_while_nobody_fed_is_cut_off_by_who_comes_next_and_in_no_layer_but_its_own():
    async def test(stage: Stage) -> None:
        await stage.commit(*range(10))
        await stage.one.feed()
        await stage.one.follower.aclose()
        await stage.store.forget(at(8))
        stranger_of_it = Feeder(follower_at(stage.url), FailingOver())
        await stranger_of_it.store.commit([change(BTC, [3])])
        await stranger_of_it.store.forget(at(20))
        await stranger_of_it.follower.open()
        with pytest.raises(SinkError, match="not from this store"):
            await stranger_of_it.feed()
        await stranger_of_it.follower.aclose()
        assert 10 == await stage.count(BTC), "as its own store said a moment ago"
        await stage.other.feed()
        await stage.is_true_and_at_hand()

    play(test)

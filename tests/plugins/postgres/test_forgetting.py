"""A database forgets step by step: other collectors commit in between, and none claims what is gone."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from tests.framework.test_forgetting import filled, known
from tests.framework.test_store import BTC, closing
from tests.plugins.batches import batch, both
from tests.plugins.postgres.server import fresh_url, shared_server
from tests.plugins.postgres.stores import opened, schema_of
from wickwire import FORGET_ROWS, MINUTE_NS, Change, Forgotten, Series, SeriesState, StoreError, Unknown
from wickwire_postgres import PostgresStore


async def state_of(store: PostgresStore, series: Series = BTC) -> SeriesState:
    loaded = await store.load(series)
    assert loaded is not None
    return loaded.state


def test_two_collectors_commit_while_a_third_forgets():
    """One of them learns of it, the other never: neither claims what is gone, and nothing new is lost."""
    count = 3 * FORGET_ROWS

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as one, opened(url) as other, opened(url) as third:
            await one.commit([filled(known(0, count))])

            async def collect(store, *, learns: bool) -> None:
                state = known(0, count)
                for minute in range(count, count + 30):
                    held = await state_of(store)
                    forgotten = held.forgotten if learns else None
                    origin_ns = held.origin_ns if learns else 0
                    frontier_ns = max(held.frontier_ns, (minute + 1) * MINUTE_NS)
                    state = attrs.evolve(
                        state, origin_ns=origin_ns, frontier_ns=frontier_ns, forgotten=forgotten
                    )
                    await store.commit([Change(state=state, closings=[closing(minute)])])
                    await asyncio.sleep(0.01)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(collect(one, learns=True))
                tasks.create_task(collect(other, learns=False))
                gone = tasks.create_task(third.forget((count - 9) * MINUTE_NS))
            assert count - 10 == gone.result()
            kept_ns = (count - 10) * MINUTE_NS
            for store in (one, other, third):
                state = await state_of(store)
                assert (kept_ns, Forgotten(kept_ns, 1)) == (state.origin_ns, state.forgotten)
                found = await store.audit(BTC, 0, 2**62, grid=Unknown())
                assert found is not None
                assert (40, {}) == (found.candles, dict(found.faults))
            assert list(await third.check()) == []

    asyncio.run(main())


def test_what_was_broken_off_goes_on_with_the_next_call():
    """The states were written, and then the connection was gone: rows lie there that nobody claims."""

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as store:
            await store.commit([filled(known(0, 50))])
            steps = store._steps(40 * MINUTE_NS, BTC)
            await steps.aclose()
            steps = store._steps(40 * MINUTE_NS, None)
            assert 0 == await anext(steps)  # states and partitions: this one is not over
            await steps.aclose()
            assert known(39, 50, forgotten=Forgotten(39 * MINUTE_NS, 1)) == await state_of(store)
            assert 50 == len(await store.candles(BTC, 0, 2**62, limit=99))

            assert 39 == await store.forget(40 * MINUTE_NS)
            assert 11 == len(await store.candles(BTC, 0, 2**62, limit=99))
            assert Forgotten(39 * MINUTE_NS, 1) == (await state_of(store)).forgotten

    asyncio.run(main())


def test_what_is_asked_for_again_between_two_steps_stays():
    """Each step looks what is claimed: partitions and rows that somebody wants again are left alone."""

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as store, opened(url) as other:
            await store.commit([filled(known(0, 3 * FORGET_ROWS))])
            steps = store._steps((3 * FORGET_ROWS - 9) * MINUTE_NS, None)
            assert [0, FORGET_ROWS] == [await anext(steps), await anext(steps)]
            again = attrs.evolve(await state_of(other), origin_ns=5 * MINUTE_NS)
            assert 1 == len(await other.commit([Change(state=again, closings=[closing(5)])]))

            assert [] == [count async for count in steps]
            assert again == await state_of(store)
            assert [5] == [
                one.open_ns // MINUTE_NS for one in await store.candles(BTC, 0, MINUTE_NS * 9, limit=9)
            ]

    asyncio.run(main())


def test_what_another_process_forgot_is_known_to_the_next_commit():
    """A process remembers from commit to commit what is in the tables: that is not so any more then."""

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as one, opened(url) as other:
            for number in range(3):
                await one.commit(batch("kraken", number))
            series = both("kraken")[0]
            await other.forget(6 * MINUTE_NS)
            assert len(await one.commit(batch("kraken", 3))) == 8
            state = await state_of(one, series)
            assert (5 * MINUTE_NS, 12 * MINUTE_NS, ()) == (state.origin_ns, state.frontier_ns, state.holes)
            assert list(await one.check()) == []

    asyncio.run(main())


def test_a_reader_may_not_forget():
    async def main() -> None:
        url = fresh_url()
        async with opened(url) as store:
            await store.commit([filled(known(0, 10))])
            async with opened(f"{url}&mode=ro") as reader:
                with pytest.raises(StoreError, match="cannot forget what is old"):
                    await reader.forget(7 * MINUTE_NS)
            assert known(0, 10) == await state_of(store)

    asyncio.run(main())


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_schema_of_every_earlier_version_forgets_too(version):
    """What was made by an older wickwire is what a new one makes, without the columns that came later."""
    url = fresh_url()
    schema = schema_of(url)
    older = [
        "ALTER TABLE tapes DROP COLUMN forgotten_ns, DROP COLUMN last_number",
        "ALTER TABLE series DROP COLUMN forgotten_ns, DROP COLUMN times_forgotten",
        "DROP TABLE stretches, trades, tapes",
        "DROP TABLE parked, sinks",
    ][: {3: 2, 2: 3, 1: 4}[version]]

    async def main() -> None:
        async with opened(url) as store:
            await store.commit([filled(known(0, 10))])
        sql = [f"SET search_path = {schema}", *older, f"UPDATE wickwire_schema SET version = {version}"]
        await asyncio.to_thread(shared_server().psql, "; ".join(sql))
        async with opened(url) as store:
            assert known(0, 10) == await state_of(store)
            assert 6 == await store.forget(7 * MINUTE_NS)
            assert known(6, 10, forgotten=Forgotten(6 * MINUTE_NS, 1)) == await state_of(store)
            assert list(await store.check()) == []

    asyncio.run(main())

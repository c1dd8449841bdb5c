"""A server that comes back without what it had acknowledged: a standby that lagged, a crash, an old copy."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.batches import NEWS_OF_FIRST, NEWS_OF_OTHERS, batch, both
from tests.plugins.postgres.server import Server, fresh_url, new_server, shared_server
from tests.plugins.postgres.stores import check_holds, opened, schema_of, seqs
from wickwire import MINUTE_NS, Change, Series, SeriesState, StoreError
from wickwire_postgres import acknowledged
from wickwire_postgres.acknowledged import Acknowledged, LostError

COUNT = 10


def forget(server: Server, url: str) -> None:
    """Bring back the tables as they were after the first batch: a standby that lagged by all the others."""
    server.psql(
        f"SET search_path = {schema_of(url)}; "
        f"DELETE FROM closed WHERE open_ns >= {3 * MINUTE_NS} OR revision > 0; "
        "INSERT INTO closed SELECT * FROM superseded WHERE seq <= 6; DELETE FROM superseded; "
        f"UPDATE holes SET since_ns = {-MINUTE_NS}; "
        f"UPDATE series SET frontier_ns = {3 * MINUTE_NS}, newest_ns = {2 * MINUTE_NS}, changed = 1; "
        "UPDATE sequence SET last_seq = 6, commits = 1; "
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'wickwire'"
    )


def test_what_a_server_forgot_in_a_crash_is_put_back_with_the_next_commit():
    """Without waiting for the disk the last half second of commits is in the server's memory alone."""
    server = new_server()
    url = f"{server.url}?schema=forgetful&synchronous=normal"

    async def main() -> None:
        async with opened(url) as store:
            for number in range(COUNT):
                await store.commit(batch("kraken", number))
            last = await store.last_seq()
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            assert await store.last_seq() < last, "the crash took nothing: this test shows nothing"

            news = await store.commit(batch("kraken", COUNT))

            assert len(news) == NEWS_OF_OTHERS
            assert min(seqs(news)) > last, "a seq that was told was given again"
            await check_holds(store, "kraken", COUNT + 1)

    try:
        asyncio.run(main())
    finally:
        server.stop()


def test_a_standby_that_lagged_gets_what_it_lacks_which_is_no_news():
    url = fresh_url()

    async def main() -> None:
        async with opened(url) as store, opened(url) as other:
            for number in range(COUNT):
                await store.commit(batch("kraken", number))
            last = await store.last_seq()
            await asyncio.to_thread(forget, shared_server(), url)
            # somebody else's commits make up for the number of those that are gone
            for number in range(COUNT - 1):
                await other.commit(batch("yahoo", number))

            assert list(await store.commit(batch("kraken", COUNT - 1))) == []
            assert len(await store.commit(batch("kraken", COUNT))) == NEWS_OF_OTHERS

            await check_holds(store, "kraken", COUNT + 1)
            await check_holds(store, "yahoo", COUNT - 1)
            assert await store.last_seq() >= last + COUNT * NEWS_OF_OTHERS

    asyncio.run(main())


def test_more_than_is_remembered_is_refused_until_somebody_reads_what_is_there(monkeypatch):
    """Otherwise the frontier would pass over candles that are not there."""
    monkeypatch.setattr("wickwire_postgres.acknowledged._MOST_VALUES", 30)
    url = fresh_url()

    async def main() -> None:
        async with opened(url) as store:
            for number in range(COUNT):
                await store.commit(batch("kraken", number))
            await asyncio.to_thread(forget, shared_server(), url)

            with pytest.raises(
                StoreError, match=r"the server has lost much.*kraken:A@1m.*start the collector"
            ):
                await store.commit(batch("kraken", COUNT))
            assert await store.last_seq() == NEWS_OF_FIRST
            await check_holds(store, "kraken", 1)

            for series in both("kraken"):
                assert await store.load(series) is not None
            for number in range(1, COUNT + 1):
                await store.commit(batch("kraken", number))
            await check_holds(store, "kraken", COUNT + 1)

    asyncio.run(main())


SERIES = [Series.parse(f"kraken:{name}@1m") for name in "ABC"]


@given(
    st.lists(st.sets(st.sampled_from(SERIES), min_size=1), min_size=1, max_size=30),
    st.dictionaries(st.sampled_from(SERIES), st.integers(0, 30)),
    st.integers(1, 40),
)
def test_what_is_lost_is_made_again_in_order_or_not_at_all(batches, found, most):
    """Against a list of everything: the same commits, or a refusal where the first of them is not kept."""
    everything: list[tuple[int, Change]] = []
    kept = Acknowledged()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(acknowledged, "_MOST_VALUES", most)
        for number, wanted in enumerate(batches, 1):
            changes = [
                Change(state=SeriesState(series=one, origin_ns=0, frontier_ns=number))
                for one in SERIES
                if one in wanted
            ]
            everything += [(number, change) for change in changes]
            kept.note(number, changes, number)
    lost = [change for number, change in everything if number > found.get(change.state.series, len(batches))]
    try:
        again = kept.lost(found)
    except LostError:
        assert len(everything) > most
        assert lost
    else:
        assert lost == list(again)

"""Two servers, one of them a standby that takes over: real replication, and a failover that loses commits."""

from __future__ import annotations

import asyncio

import pytest

from tests.plugins.batches import NEWS_OF_OTHERS, batch
from tests.plugins.postgres.server import Server, new_server
from tests.plugins.postgres.stores import check_holds, opened, seqs
from wickwire import StoreError

COUNT = 6


async def replicated(url: str) -> None:
    """Return when the schema of *url* is there."""
    while True:
        try:
            async with opened(url):
                return
        except StoreError as exc:
            if "there is nothing in the schema" not in str(exc):
                raise
        await asyncio.sleep(0.05)


async def seen(standby: Server, seq: int) -> None:
    """Return when *standby* shows what was committed up to *seq*."""
    url = f"{standby.url}?schema=shared&mode=ro"
    await replicated(url)
    async with opened(url) as reader:
        while await reader.last_seq() < seq:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
        await check_holds(reader, "kraken", COUNT)
        with pytest.raises(StoreError, match="it answers for reading only, as a standby does"):
            await reader.commit(batch("kraken", COUNT))


@pytest.mark.slow
def test_a_failover_to_a_standby_that_lagged_leaves_no_hole_and_gives_no_seq_twice():
    primary = new_server()
    standby = new_server(primary)
    url = f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres?schema=shared"

    async def main() -> None:
        async with opened(url) as store:
            for number in range(COUNT):
                await store.commit(batch("kraken", number))
            await seen(standby, await store.last_seq())
            standby.stop()
            for number in range(COUNT, 2 * COUNT):
                await store.commit(batch("kraken", number))
            last = await store.last_seq()

            primary.kill()
            standby.start()
            with pytest.raises(StoreError, match="cannot commit"):  # nobody takes it over by itself
                await store.commit(batch("kraken", 2 * COUNT))
            standby.psql("SELECT pg_promote()")
            news = await store.commit(batch("kraken", 2 * COUNT))

            assert len(news) == NEWS_OF_OTHERS
            assert min(seqs(news)) > last
            await check_holds(store, "kraken", 2 * COUNT + 1)

    try:
        asyncio.run(main())
    finally:
        standby.stop()
        primary.stop()

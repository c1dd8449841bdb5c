"""The hot layer in Redis: what it answers, what it refuses, and that nothing of it ever stops a reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import redis.asyncio

import wickwire_kraken
from tests.plugins.processes import free_port
from tests.plugins.redis.layers import ALL, ETH, FailingOver, Feeder, at, change, follower_at, hot_at
from tests.plugins.redis.server import Server, base_url, new_server
from tests.plugins.redis.sinks import BTC, fresh_url, prefix_of, refusal_of, stranger
from tests.plugins.redis.test_opening import make_user
from wickwire import DAY_NS, Collector, ConfigError, Registry, Series, SeriesReader, SinkError, iso
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import run_scaled, running_clock
from wickwire.simulate.memory import MemoryTransport
from wickwire_redis import open_cache
from wickwire_redis.hot import PAUSE_S, PROVEN_S, RedisHot

BLOCK = "candle:{kraken:BTC/USD@1m}:hot"
COMMANDS = (
    "+hello", "+select", "+multi", "+discard", "+exec", "+script|load", "+evalsha", "+hmget", "+hset",
    "+time", "+del", "+pexpire", "+zrangebylex", "+zadd", "+zrem", "+zremrangebylex",
)  # fmt: skip
"""What docs/redis.md says that whoever feeds the hot layer needs."""
READS = (
    "+hello",
    "+select",
    "+multi",
    "+exec",
    "+hmget",
    "+time",
    "+zrangebylex",
    "+zrevrangebylex",
)


@contextmanager
def running(**settings: str) -> Iterator[Server]:
    server = new_server(**settings)
    try:
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def fed(url: str, store: FailingOver) -> AsyncGenerator[Feeder]:
    feeder = Feeder(follower_at(url), store)
    await feeder.follower.open()
    try:
        yield feeder
    finally:
        await feeder.follower.aclose()


def test_the_last_hour_comes_without_the_store_and_the_rest_from_it():
    url = fresh_url()

    async def main() -> None:
        store = FailingOver()
        async with fed(url, store) as feeder, hot_at(url, store) as hot:
            for series in ALL:
                await store.commit([change(series, range(100))])
            await feeder.feed()
            for series in ALL:
                reader, reads = SeriesReader(series, store, hot), store.reads
                assert [at(minute) for minute in range(40, 100)] == [
                    one.open_ns for one in await reader.range(at(40), at(100))
                ]
                latest = await reader.latest()
                assert latest is not None
                assert (at(99), reads) == (latest.open_ns, store.reads)
                assert await store.candles(series, at(0), at(100), limit=999) == list(
                    await reader.range(at(0))
                )
                assert store.reads > reads
            standing = await hot.standing()
            assert standing is not None
            assert (300, True) == (standing.seq, standing.age_s < 60)

    asyncio.run(main())


def test_a_server_that_is_away_is_asked_again_after_a_pause_by_one_for_all(caplog):
    now_s = 0.0

    async def main(server: Server) -> None:
        store = FailingOver()
        address = follower_at(server.url)._address
        async with fed(server.url, store) as feeder, RedisHot(address, store, lambda: now_s) as hot:
            await store.commit([change(BTC, [1, 2])])
            await feeder.feed()
            reader = SeriesReader(BTC, store, hot)
            set_time(0)
            assert await hot.latest(BTC) is not None
            server.kill()
            assert 2 == len(await reader.range(at(0)))
            server.start(wait=False)  # not in a thread, with whose end the kernel would end it
            await store.commit([change(BTC, [3])])
            await feed_until_taken(feeder)
            assert await hot.latest(BTC) is None, "within the pause nobody asks"
            set_time(PAUSE_S)
            found = await asyncio.gather(*(hot.latest(BTC) for _ in range(3)))
            assert [await store.latest(BTC), None, None] == found, "one tries, and nobody else waits for it"
            assert await hot.latest(BTC) is not None

    def set_time(seconds: float) -> None:
        nonlocal now_s
        now_s = seconds

    with running() as server, caplog.at_level("INFO", "wickwire_redis"):
        asyncio.run(main(server))
    assert ["hot layer away, the store answers", "hot layer is there again"] == [
        one.message for one in caplog.records
    ]


async def feed_until_taken(feeder: Feeder) -> None:
    """Feed as the framework does, again and again."""
    while True:
        try:
            await feeder.feed()
        except SinkError:
            await asyncio.sleep(0.05)
        else:
            return


def test_a_server_that_stands_still_or_was_never_there_holds_no_reader_up():
    async def main(server: Server) -> None:
        store = FailingOver()
        async with fed(server.url, store) as feeder:
            await store.commit([change(BTC, [1, 2])])
            await feeder.feed()
            server.freeze()
            for url in (server.url, f"redis://127.0.0.1:{free_port()}"):
                async with hot_at(url, store) as hot:
                    reader = SeriesReader(BTC, store, hot)
                    for _ in range(20):
                        assert 2 == len(await reader.range(at(0)))
                    assert await hot.standing() is None
            server.thaw()

    with running() as server:
        asyncio.run(main(server))


def test_a_store_that_gives_its_numbers_to_the_same_candles_in_another_order_begins_a_new_layer():
    url = fresh_url()

    async def main() -> None:
        store = FailingOver()
        async with fed(url, store) as feeder, hot_at(url, store) as hot:
            await store.commit([change(BTC, [1])])
            replica = store.copied()
            await store.commit([change(BTC, [2]), change(BTC, [3]), change(BTC, [4])])
            await feeder.feed()
            store.fail_over(replica)
            await store.commit([change(BTC, [9]), change(ETH, [2]), change(BTC, [4])])
            feeder.cursor = 1
            await feeder.feed()
            found = await SeriesReader(BTC, store, hot).range(at(0))
            assert [at(1), at(4), at(9)] == [one.open_ns for one in found]
            assert await hot.held(BTC, at(0), at(99)) is not None

    asyncio.run(main())


def test_a_server_that_went_back_to_a_dump_is_noticed_with_the_next_candle_of_any_series():
    url = fresh_url()

    async def main() -> None:
        store = FailingOver()
        async with (
            fed(url, store) as feeder,
            hot_at(url, store) as hot,
            redis.asyncio.Redis.from_url(base_url()) as server,
        ):
            await store.commit([change(BTC, [1]), change(ETH, [1])])
            await feeder.feed()
            names = await server.keys(f"{prefix_of(url)}*")
            dump = {name: await server.dump(name) for name in names}
            await store.commit([change(BTC, [2])])
            await feeder.feed()
            for name, value in dump.items():
                await server.restore(name, 600_000, value, replace=True)
            held = await hot.held(BTC, at(0), at(9))
            assert held is not None
            assert [at(1)] == [one.open_ns for one in held.candles], "as it was then"
            await store.commit([change(ETH, [2])])
            await feeder.feed()
            assert await hot.held(BTC, at(0), at(9)) is None
            assert 2 == len(await SeriesReader(BTC, store, hot).range(at(0)))

    asyncio.run(main())


def test_a_layer_of_another_store_is_neither_read_nor_overwritten(caplog):
    url = fresh_url()

    async def main() -> None:
        ours, theirs = FailingOver(), FailingOver()
        await ours.commit([change(BTC, [1, 2], 1)])
        await theirs.commit([change(BTC, [1, 2, 3], 2)])
        async with fed(url, ours) as feeder, fed(url, theirs) as other, hot_at(url, theirs) as hot:
            await feeder.feed()
            for _ in range(2):
                with pytest.raises(SinkError, match=r"not from this store as it seems; give one .*prefix"):
                    await other.feed()
            found = await SeriesReader(BTC, theirs, hot).range(at(0))
            assert ["2.10"] * 3 == [str(one.close) for one in found]
            assert await hot.standing() is None

    asyncio.run(main())
    assert ["hot layer of another store"] == [one.message for one in caplog.records]


def test_two_stores_that_began_alike_are_told_apart_once_they_part(caplog):
    """As two collectors have them that started together, with a file each, and one of which was cut off."""
    url, now_s = fresh_url(), 0.0

    async def main() -> None:
        nonlocal now_s
        theirs, ours = FailingOver(), FailingOver()
        for store in (theirs, ours):
            await store.commit([change(BTC, [1, 2])])
        address = follower_at(url)._address
        async with fed(url, theirs) as feeder, RedisHot(address, ours, lambda: now_s) as hot:
            await feeder.feed()
            assert 2 == len(await SeriesReader(BTC, ours, hot).range(at(0)))
            await ours.commit([change(BTC, [3])])
            await ours.commit([change(BTC, [4])])
            await theirs.commit([change(BTC, [4])])
            await theirs.commit([change(BTC, [5])])
            await feeder.feed()
            now_s = PROVEN_S
            found = await SeriesReader(BTC, ours, hot).range(at(0))
            assert [at(1), at(2), at(3), at(4)] == [one.open_ns for one in found]
            assert await hot.standing() is None

    asyncio.run(main())
    assert ["hot layer of another store"] == [one.message for one in caplog.records]


def test_a_symbol_that_is_no_text_and_a_key_of_somebody_else_are_read_from_the_store():
    url = fresh_url()
    half = Series("kraken", "\ud800", BTC.timeframe)

    async def main() -> None:
        store = FailingOver()
        async with fed(url, store) as feeder, hot_at(url, store) as hot, stranger() as client:
            await store.commit([change(half, [1]), change(BTC, [1]), change(ETH, [1])])
            await feeder.feed()
            assert 1 == len(await SeriesReader(half, store, hot).range(at(0)))
            await client.zadd(f"{prefix_of(url)}{BLOCK}", {"9not a candle": 0})
            for _ in range(2):
                assert 1 == len(await SeriesReader(BTC, store, hot).range(at(0)))
            await client.set(f"{prefix_of(url)}{BLOCK}", "theirs")
            assert await hot.held(BTC, at(0), at(9)) is None
            assert await hot.held(ETH, at(0), at(9)) is not None

    asyncio.run(main())


@pytest.mark.parametrize("theirs", ["text", "sorted set"])
def test_a_key_of_somebody_else_keeps_its_series_out_of_the_layer_and_no_other(theirs, caplog):
    """Also where it comes between two candles, and where the store forgets meanwhile; it is left alone."""
    url = fresh_url()
    key = f"{prefix_of(url)}{BLOCK}"

    async def main() -> None:
        store = FailingOver()
        async with fed(url, store) as feeder, hot_at(url, store) as hot, stranger() as client:
            await store.commit([change(BTC, [1]), change(ETH, [1])])
            await feeder.feed()
            await client.delete(key)
            await (client.set(key, "mine") if theirs == "text" else client.zadd(key, {"mine": 1}))
            await store.commit([change(BTC, [2]), change(ETH, [2])])
            await feeder.feed()
            await store.forget(at(2))
            await store.commit([change(BTC, [3]), change(ETH, [3])])
            await feeder.feed()
            assert await hot.held(BTC, at(0), at(9)) is None
            held = await hot.held(ETH, at(2), at(9))
            assert held is not None
            assert [at(2), at(3)] == [one.open_ns for one in held.candles]
            kept = client.get(key) if theirs == "text" else client.zrange(key, 0, -1)
            assert await kept in ("mine", ["mine"])

            await client.delete(key)
            await store.commit([change(BTC, [4])])
            await feeder.feed()
            assert await hot.held(BTC, at(2), at(9)) is not None

    asyncio.run(main())
    [said] = [one for one in caplog.records if one.message == "series not in the hot layer"]
    assert ("kraken:BTC/USD@1m", True) == (said.series, key in said.why)


def test_what_falls_behind_while_more_waits_is_at_hand_again_when_all_has_come():
    url = fresh_url()

    async def main() -> None:
        store = FailingOver()
        async with fed(url, store) as feeder, hot_at(url, store) as hot:
            await store.commit([change(BTC, [1]), change(ETH, [1])])
            await feeder.feed()
            await store.commit([change(BTC, [2]), change(BTC, [3]), change(BTC, [2], 7)])
            await feeder.feed(page=1, pages=1)
            assert await hot.held(BTC, at(0), at(9)) is None, "minute 2 is behind, and minute 3 is here"
            await feeder.feed(page=1)
            held = await hot.held(BTC, at(0), at(9))
            assert held is not None
            assert ["1.10", "7.10", "1.10"] == [str(one.close) for one in held.candles]

    asyncio.run(main())


def test_a_full_server_and_a_replica_are_said_and_nobody_is_told_less():
    async def main(server: Server) -> None:
        store = FailingOver()
        async with (
            fed(server.url, store) as feeder,
            hot_at(server.url, store) as hot,
            stranger(server.url) as client,
        ):
            await store.commit([change(BTC, [1])])
            await feeder.feed()
            await store.commit([change(BTC, [2])])
            await client.config_set("maxmemory", "1")
            with pytest.raises(SinkError, match="memory is full"):
                await feeder.feed()
            assert 2 == len(await SeriesReader(BTC, store, hot).range(at(0))), "it takes no MULTI, either"
            await client.config_set("maxmemory", "0")
            await client.replicaof("127.0.0.1", str(free_port()))
            with pytest.raises(SinkError, match=r"hot layer .*replica"):
                await feeder.feed()
            await client.replicaof("NO", "ONE")
            await feeder.feed()
            async with hot_at(server.url, store) as another:
                assert await another.latest(BTC) == await store.latest(BTC)

    with running() as server:
        asyncio.run(main(server))


def refusal(url: str) -> str:
    return refusal_of(follower_at(url))


def test_what_will_not_work_is_said_at_open():
    with running(requirepass="sesame") as server:
        wrong = refusal(server.url.replace("//", "//:wrong@"))
        assert "look at user and password" in wrong
        assert "wrong@" not in wrong
        assert "wants a password" in refusal(server.url)
    with running(cluster_enabled="yes") as server:
        assert "Redis Cluster and Sentinel are not supported yet" in refusal(server.url)


def test_the_rights_that_the_manual_names_are_enough_and_each_is_needed():
    async def main(writer: str, reader: str) -> None:
        store = FailingOver()
        async with fed(writer, store) as feeder, hot_at(reader, store) as hot:
            await store.commit([change(BTC, range(100))])
            await feeder.feed()
            await store.commit([change(BTC, [70, 100], 2)])
            await feeder.feed()
            assert await hot.latest(BTC) == await store.latest(BTC)
            assert await hot.held(BTC, at(0), at(200)) is not None

    with running() as server:
        with server.admin() as admin:
            admin.execute_command("ACL", "SETUSER", "bob", "on", ">s3cret", *READS, "~candle:*")
        asyncio.run(
            main(make_user(server, *COMMANDS, "~candle:*"), f"redis://bob:s3cret@127.0.0.1:{server.port}")
        )
        for missing in set(COMMANDS) - {"+select", "+hello", "+discard"}:
            said = refusal(make_user(server, *(one for one in COMMANDS if one != missing), "~candle:*"))
            assert "grant them with ACL SETUSER" in said


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://h?nothing=1", "cache 'redis://h.nothing=1': no option 'nothing'"),
        ("redis:h", "cache 'redis:h': write redis://host:6379"),
    ],
)
def test_a_wrong_address_is_refused_before_anything_connects(url, text):
    with pytest.raises(ConfigError, match=text):
        open_cache(url)
    with pytest.raises(ConfigError, match=text):
        Registry().open_cache(url)


@pytest.mark.slow
def test_a_collector_feeds_it_and_another_process_reads_it_beside_the_store(tmp_path):
    """A minute passes in a second; the reader has its own store object on the same file."""
    with running() as server:
        url, store_url = f"{server.url}?timeout=10m", f"sqlite:{tmp_path / 'c.db'}"

        async def collect() -> None:
            clock = running_clock()
            market = SeededMarket(1, clock.now_ns() // DAY_NS * DAY_NS - 3 * DAY_NS)
            transport = MemoryTransport([wickwire_kraken.simulate(market)], clock, latency_s=0.05)
            async with Collector(
                store_url, hot=url, transport=transport, clock=clock, world="simulated venues, seed 1"
            ) as collector:
                await collector.add(str(BTC))
                candles = collector.candles()
                [*_, last] = [await anext(candles) for _ in range(4)]
                while collector.health().sinks[0].lag:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(1)
                found = await collector.reader(BTC).range(iso(last.open_ns))
                assert last.open_ns == found[0].open_ns

        async def read() -> None:
            registry = Registry()
            store = registry.open_store(store_url)
            await store.open()
            async with registry.open_cache(url).reader(store) as hot:
                held = await hot.held(BTC, 0, 2**62)
                assert held is not None
                stored = await store.candles(BTC, held.since_ns, 2**62, limit=999)
                assert [(one.open_ns, one.seq, one.close) for one in stored] == [
                    (one.open_ns, one.seq, one.close) for one in held.candles
                ]  # their evidence may have been raised since
                assert len(stored) >= 4
            await store.aclose()

        run_scaled(collect(), 60)
        asyncio.run(read())

"""Servers that die, stand still, are full or replicas: nothing is lost, and each trouble is named."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.plugins.proxy import proxied
from tests.plugins.redis.layers import ETH, at, change
from tests.plugins.redis.server import Server, new_server
from tests.plugins.redis.sinks import (
    BTC,
    BTC_QUOTES,
    START_NS,
    candle,
    fresh_url,
    opened,
    prefix_of,
    quote,
    seqs,
    stranger,
)
from wickwire import Lost, MemoryStore, Poisoned, SeriesCandle, SinkError, SystemClock
from wickwire.delivery import Delivery
from wickwire.sink_calls import SinkCalls
from wickwire_redis import HotCandles, RedisSink

STREAM = "candle:{kraken:BTC/USD@1m}:stream"
RECENT = "candle:{kraken:BTC/USD@1m}:recent"


@contextmanager
def running(**settings: str) -> Iterator[Server]:
    server = new_server(**settings)
    try:
        yield server
    finally:
        server.stop()


async def put_until_taken(sink: RedisSink, candles: list[SeriesCandle]) -> int:
    """Put them as the framework does, again and again; return how often that failed."""
    failed = 0
    while True:
        try:
            await sink.put(candles)
        except SinkError:
            failed += 1
            await asyncio.sleep(0.02)
        else:
            return failed


@pytest.mark.slow
def test_a_server_that_is_killed_under_puts_has_every_acknowledged_candle_once():
    """With a log on its disk it keeps what it acknowledged; SIGKILL loses nothing that was written."""
    with running(appendonly="yes", appendfsync="always") as server:

        async def main() -> tuple[list[int], list[SeriesCandle], int]:
            put, failed = 0, 0

            async def feed(sink: RedisSink) -> None:
                nonlocal put, failed
                for start in range(0, 600, 3):
                    failed += await put_until_taken(
                        sink, [candle(minute, minute + 1) for minute in range(start, start + 3)]
                    )
                    put = start

            async def trouble() -> None:
                for goal in (100, 250, 400):
                    while put < goal:  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(0.005)
                    await asyncio.to_thread(server.kill)
                    await asyncio.to_thread(server.start)

            async with opened(server.url) as sink, HotCandles(server.url) as hot:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(feed(sink))
                    tasks.create_task(trouble())
                recent = await hot.range(BTC, START_NS, 2 * START_NS)
            async with stranger(server.url) as redis:
                return seqs(await redis.xrange(STREAM)), list(recent), failed

        stream, recent, failed = asyncio.run(main())

    assert stream == [*range(1, 601)]
    assert [one.seq for one in recent] == [*range(541, 601)]
    assert failed


def test_a_server_that_forgot_its_script_is_given_it_again():
    async def main() -> list[int]:
        with running() as server:
            async with opened(server.url) as sink, stranger(server.url) as redis:
                for number in range(1, 4):
                    await sink.put([candle(number, number)])
                    await redis.script_flush()
                return seqs(await redis.xrange(STREAM))

    assert asyncio.run(main()) == [1, 2, 3]


@pytest.mark.parametrize("options", ["", "?stream=off"])
def test_a_server_that_forgot_everything_says_so_before_anything_is_added(options):
    """Who deletes a stream by hand gets it back, too: nothing tells the two apart."""

    async def main() -> None:
        with running() as server:
            async with opened(server.url + options) as sink, stranger(server.url) as redis:
                await sink.put([candle(0, 1), candle(0, 2, series=ETH)])
                await redis.flushall()
                with pytest.raises(Lost, match="the server has lost candles that it took") as caught:
                    await sink.put([candle(1, 3)])
                assert 0 == caught.value.seq
                await sink.put([candle(0, 1), candle(0, 2, series=ETH), candle(1, 3)])
                assert await redis.zcard(RECENT) == 2
                if not options:
                    assert seqs(await redis.xrange(STREAM)) == [1, 3]

    asyncio.run(main())


def test_a_server_that_went_back_to_an_older_copy_is_given_what_it_lost_in_order():
    """As a sink is fed: the store knows what lies between, and nothing is there twice or missing."""

    async def main() -> None:
        with running(save="3600 1") as server:
            store, clock = MemoryStore(), SystemClock()
            await store.open()
            async with opened(server.url) as sink, asyncio.TaskGroup() as tasks:
                calls = SinkCalls("redis", sink)
                delivery = Delivery(calls, store, clock, random.Random(1), lambda _: None)
                await delivery.open(0)
                feeding = tasks.create_task(delivery.run())

                async def commit(*minutes: int) -> None:
                    changes = [change(BTC, minutes), change(ETH, minutes)]
                    delivery.committed(await store.commit(changes))
                    while delivery.lag:  # noqa: ASYNC110 - nobody tells, as it is away in between
                        await asyncio.sleep(0.02)

                await commit(1, 2)
                with server.admin() as admin:
                    admin.save()
                await commit(3)
                await commit(4)
                server.kill()
                server.start()
                await commit(5)
                async with stranger(server.url) as redis, HotCandles(server.url) as hot:
                    for series in (BTC, ETH):
                        stored = await store.candles(series, 0, at(99), limit=99)
                        entries = seqs(await redis.xrange(f"candle:{{{series}}}:stream"))
                        assert [one.seq for one in stored] == entries
                        assert stored == await hot.range(series, 0, at(99))
                feeding.cancel()

    asyncio.run(main())


def test_a_lost_answer_is_no_second_entry():
    with running() as server:

        async def main() -> tuple[list[int], int]:
            async with (
                proxied(server.port) as proxy,
                stranger(server.url) as redis,
                opened(f"redis://127.0.0.1:{proxy.port}") as sink,
            ):
                await sink.put([candle(0, 1)])
                proxy.swallow = lambda data: b"EVALSHA" in data
                with pytest.raises(SinkError, match="see that the server runs"):
                    await sink.put([candle(1, 2)])
                lost, proxy.swallow = proxy.lost, lambda _: False
                await sink.put([candle(1, 2), candle(2, 3)])
                return seqs(await redis.xrange(STREAM)), lost

        assert asyncio.run(main()) == ([1, 2, 3], 1)


def test_a_server_that_stands_still_is_waited_for_no_longer_than_the_timeout():
    with running() as server:

        async def main() -> Any:
            said = []
            async with (
                opened(f"{server.url}?timeout=1s") as sink,
                HotCandles(f"{server.url}?timeout=1s") as hot,
            ):
                await sink.put([candle(0, 1)])
                server.freeze()
                loop = asyncio.get_running_loop()
                for job in (
                    sink.put([candle(1, 2)]),
                    sink.put_quotes({BTC_QUOTES: quote()}),
                    hot.latest(BTC),
                ):
                    began = loop.time()
                    with pytest.raises(SinkError, match="the server did not answer in time") as caught:
                        await job
                    said.append(str(caught.value))
                    assert loop.time() - began < 60
                server.thaw()
                await put_until_taken(sink, [candle(1, 2)])
                latest = await hot.latest(BTC)
                assert latest is not None
                assert latest.seq == 2
            return said

        said = asyncio.run(main())

    assert ["cannot put candles" in said[0], "cannot put quotes" in said[1], "cannot read" in said[2]] == [
        True
    ] * 3


def test_a_server_that_stands_still_when_a_sink_opens_is_away():
    with running() as server:

        async def main() -> None:
            server.freeze()
            async with opened(f"{server.url}?timeout=1s") as sink:
                with pytest.raises(SinkError, match="did not answer in time"):
                    await sink.put([candle(0, 1)])
                server.thaw()
                await put_until_taken(sink, [candle(0, 1)])

        asyncio.run(main())


def test_a_server_that_drips_is_waited_for_no_longer_either():
    """Each single answer of a pipeline comes in time, all of them together do not."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                for command in data.split(b"*")[1:]:
                    if b"MULTI" in data:
                        await asyncio.sleep(0.4)
                    facts = b"%1\r\n+mode\r\n+standalone\r\n"
                    writer.write(facts if b"HELLO" in command else b"+OK\r\n")
        writer.transport.abort()

    async def main() -> None:
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with opened(f"redis://127.0.0.1:{port}?timeout=1s") as sink:
            with pytest.raises(SinkError, match="did not answer in time"):
                await sink.put([candle(0, 1)])
        server.close()
        await asyncio.sleep(2)  # what those need who drip, to see that nobody listens

    asyncio.run(main())


def test_who_is_cancelled_leaves_a_connection_that_nobody_reads_wrongly():
    with running() as server:

        async def main() -> tuple[list[int], SeriesCandle | None]:
            async with opened(server.url) as sink, HotCandles(server.url) as hot:
                await sink.put([candle(0, 1)])
                for turn in range(200):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(turn / 50_000):
                            await sink.put([candle(1, 2)])
                            await hot.latest(BTC)
                await sink.put([candle(2, 3)])
                async with stranger(server.url) as redis:
                    return seqs(await redis.xrange(STREAM)), await hot.latest(BTC)

        entries, latest = asyncio.run(main())

    assert entries == [1, 2, 3]
    assert latest == candle(2, 3)


def test_a_full_server_says_so_and_takes_all_once_it_has_room():
    with running() as server:

        async def main() -> list[int]:
            async with opened(server.url) as sink, stranger(server.url) as redis, redis.pubsub() as ear:
                await ear.psubscribe("*")
                await ear.get_message(timeout=5)
                await sink.put([candle(0, 1)])
                await redis.config_set("maxmemory", "1")
                with pytest.raises(SinkError, match="its memory is full: raise its maxmemory"):
                    await sink.put([candle(minute, minute + 1) for minute in range(1, 300)])
                with pytest.raises(SinkError, match="its memory is full"):
                    await sink.put_quotes({BTC_QUOTES: quote()})
                # a quote that is not there was not told
                await redis.publish("mine", "end")
                message = await ear.get_message(ignore_subscribe_messages=True, timeout=5)
                assert message is not None
                assert message["channel"] == "mine"
                await redis.config_set("maxmemory", "0")
                await sink.put([candle(minute, minute + 1) for minute in range(1, 300)])
                await sink.put_quotes({BTC_QUOTES: quote()})
                return seqs(await redis.xrange(STREAM))

        assert asyncio.run(main()) == [*range(1, 301)]


def test_a_full_server_is_no_error_at_open():
    with running(maxmemory="1") as server:

        async def main() -> None:
            async with opened(server.url) as sink:
                with pytest.raises(SinkError, match="its memory is full"):
                    await sink.put([candle(0, 1)])

        asyncio.run(main())


def test_a_replica_says_that_it_takes_no_writes_and_takes_them_as_master():
    with running() as master, running() as server:

        async def main() -> list[int]:
            async with stranger(server.url) as redis:
                await redis.replicaof("127.0.0.1", master.port)
                async with opened(server.url) as sink:
                    with pytest.raises(SinkError, match="it is a replica, which takes no writes"):
                        await sink.put([candle(0, 1)])
                    with pytest.raises(SinkError, match="it is a replica, which takes no writes"):
                        await sink.put_quotes({BTC_QUOTES: quote()})
                    await redis.replicaof("NO", "ONE")
                    await sink.put([candle(0, 1)])
                    await sink.put_quotes({BTC_QUOTES: quote()})
                return seqs(await redis.xrange(STREAM))

        assert asyncio.run(main()) == [1]


@pytest.mark.slow
def test_a_server_that_loads_its_data_is_waited_for_and_is_no_error_at_open():
    with running(rdbcompression="no") as server:

        async def main() -> list[int]:
            async with opened(server.url) as sink:
                await sink.put([candle(minute, minute + 1) for minute in range(500)])
                async with stranger(server.url) as redis:
                    await redis.mset({f"x{number}": "y" * 1_000 for number in range(20_000)})
                    await redis.save()
                server.kill()
                server.start(wait=False, key_load_delay="200")  # microseconds; it answers every two megabytes
                said = ""
                while "still loads its data" not in said:
                    with pytest.raises(SinkError) as caught:
                        await sink.put([candle(500, 501)])
                    said = str(caught.value)
                async with opened(server.url) as other:
                    await put_until_taken(other, [candle(500, 501)])
            async with stranger(server.url) as redis:
                return seqs(await redis.xrange(STREAM))

        assert asyncio.run(main()) == [*range(1, 502)]


def test_a_server_that_cannot_save_says_so():
    with running() as server:

        async def main() -> None:
            async with opened(server.url) as sink, stranger(server.url) as redis:
                (server.folder / "data").rmdir()
                await redis.config_set("save", "3600 1")
                await redis.bgsave()
                while (await redis.info("persistence"))["rdb_last_bgsave_status"] == "ok":  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)
                with pytest.raises(SinkError, match="it cannot save to its disk and so takes no writes"):
                    await sink.put([candle(0, 1)])

        asyncio.run(main())


@pytest.mark.parametrize("key", [STREAM, RECENT, "candle:series"])
def test_a_key_of_somebody_else_is_left_alone_and_named_and_stops_its_series_alone(key):
    """Whoever holds the list of all series holds up all of them."""
    url = fresh_url()
    place = f"{prefix_of(url)}{key}"
    error = SinkError if key == "candle:series" else Poisoned

    async def main() -> Any:
        async with opened(url) as sink, stranger() as redis, HotCandles(url) as hot:
            await redis.set(place, "mine", ex=60)
            with pytest.raises(error, match=r"choose a \?prefix= of our own") as caught:
                await sink.put([candle(0, 1), candle(1, 2), candle(0, 3, series=ETH)])
            assert key in str(caught.value)
            if isinstance(caught.value, Poisoned):
                assert "cannot put the candle 1 of kraken:BTC/USD@1m" in str(caught.value)
                assert 1 == caught.value.seq
                latest = await hot.latest(ETH)
                assert latest is not None
                assert 3 == latest.seq
            kept = await redis.get(place)
            await redis.delete(place)
            await sink.put([candle(0, 1)])
            return kept

    assert asyncio.run(main()) == "mine"


def test_rows_of_somebody_else_are_no_candles():
    with running() as server:

        async def main() -> None:
            async with stranger(server.url) as redis, HotCandles(server.url) as hot:
                await redis.zadd(RECENT, {'{"series": 1}': START_NS // 1_000_000})
                await redis.set("candle:{kraken:BTC/USD@1m}:latest", "hello")
                await redis.hset("price:kraken:BTC/USD", "bid", "1")
                with pytest.raises(SinkError, match="cannot read kraken:BTC/USD@1m"):
                    await hot.range(BTC, START_NS, START_NS + 1)
                with pytest.raises(SinkError, match="cannot read kraken:BTC/USD@1m"):
                    await hot.latest(BTC)
                with pytest.raises(SinkError, match="cannot read the quote of BTC/USD at kraken"):
                    await hot.latest_quote("kraken", "BTC/USD")

        asyncio.run(main())


def test_what_somebody_else_put_among_recent_candles_gives_way():
    with running() as server:

        async def main() -> Any:
            async with opened(server.url) as sink, stranger(server.url) as redis:
                for strange in ("", "{", "{}", '{"revision":"x"}', "\x93\x01", "[]"):
                    await redis.zadd(RECENT, {strange: START_NS // 1_000_000})
                await sink.put([candle(0, 1)])
                return await redis.zrange(RECENT, 0, -1)

        assert [json.loads(row)["seq"] for row in asyncio.run(main())] == [1]

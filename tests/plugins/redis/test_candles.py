"""Candles as strangers read them: the latest, the recent ones, and a stream for each series."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest
from redis.exceptions import ResponseError

from tests.plugins.redis.sinks import BTC, START_NS, candle, fresh_url, opened, prefix_of, seqs, stranger
from wickwire import MINUTE_NS, Poisoned, Series, Timeframe
from wickwire_redis import HotCandles

MINUTE_MS = 60_000
START_MS = START_NS // 1_000_000


def keys(url: str, series: str = "kraken:BTC/USD@1m") -> tuple[str, str, str]:
    """Recent, latest and stream, as the manual names them."""
    return tuple(f"{prefix_of(url)}candle:{{{series}}}:{what}" for what in ("recent", "latest", "stream"))  # type: ignore[return-value]  # three of them


def test_the_latest_candle_is_json_with_exact_numbers():
    url = fresh_url()

    async def main() -> Any:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([candle(0, 1), candle(1, 2, close="64003.30")])
            return await redis.get(keys(url)[1])

    text = asyncio.run(main())

    assert text is not None
    assert json.loads(text, parse_float=Decimal) == {
        "series": "kraken:BTC/USD@1m",
        "venue": "kraken",
        "symbol": "BTC/USD",
        "timeframe": "1m",
        "open_time": "2025-11-23T00:01:00Z",
        "close_time": "2025-11-23T00:02:00Z",
        "open": Decimal("64000.00"),
        "high": Decimal("64003.30"),
        "low": Decimal("1E+3"),
        "close": Decimal("64003.30"),
        "volume": Decimal("0.50"),
        "trade_count": 7,
        "vwap": None,
        "state": "closed",
        "evidence": "venue",
        "revision": 0,
        "healed": False,
        "route": "stream",
        "seq": 2,
        "first_seq": 2,
    }
    assert '"open":64000.00,' in text


def test_recent_candles_are_sorted_by_open_time_and_no_more_than_the_window():
    url = fresh_url("window=5m")

    async def main() -> Any:
        async with opened(url) as sink, stranger(url) as redis:
            for minute in range(8):
                await sink.put([candle(minute, minute + 1)])
            return await redis.zrange(keys(url)[0], START_MS, START_MS + 99 * MINUTE_MS, byscore=True)

    rows = asyncio.run(main())

    assert [json.loads(row)["seq"] for row in rows] == [4, 5, 6, 7, 8]


def test_a_backfill_in_one_put_leaves_the_same():
    url = fresh_url("window=5m")

    async def main() -> tuple[list[str], int]:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([candle(minute, minute + 1) for minute in range(2_500)])
            return await redis.zrange(keys(url)[0], 0, -1), await redis.xlen(keys(url)[2])

    rows, entries = asyncio.run(main())

    assert [json.loads(row)["seq"] for row in rows] == [2_496, 2_497, 2_498, 2_499, 2_500]
    assert entries == 2_500


def test_a_revision_replaces_the_older_row_and_the_newest_wins_in_any_order():
    url = fresh_url()
    first, second = candle(0, 1, close="1"), candle(0, 3, revision=1, close="2")
    third = candle(0, 4, revision=2, close="3")

    async def main() -> tuple[list[str], str | None]:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([first, candle(1, 2)])
            await sink.put([third])
            await sink.put([second])
            await sink.put([first])
            return await redis.zrange(keys(url)[0], 0, -1), await redis.get(keys(url)[1])

    rows, latest = asyncio.run(main())

    assert [(json.loads(row)["seq"], json.loads(row)["revision"]) for row in rows] == [(4, 2), (2, 0)]
    assert latest == rows[-1]


def test_a_candle_that_was_healed_late_takes_its_place_among_the_recent_ones():
    url = fresh_url()

    async def main() -> Any:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([candle(0, 1), candle(3, 2)])
            await sink.put([candle(1, 3)])
            return await redis.zrange(keys(url)[0], 0, -1)

    assert [json.loads(row)["seq"] for row in asyncio.run(main())] == [1, 3, 2]


def test_what_is_put_twice_is_in_the_stream_once():
    url = fresh_url()
    candles = [candle(0, 1), candle(1, 5), candle(0, 9, revision=1)]

    async def main() -> Any:
        async with opened(url) as sink, stranger(url) as redis:
            for put in (candles[:2], candles, candles[1:], candles):
                await sink.put(put)
            return await redis.xrange(keys(url)[2])

    entries = asyncio.run(main())

    assert [entry for entry, _ in entries] == ["1-0", "5-0", "9-0"]
    assert [json.loads(fields["candle"])["revision"] for _, fields in entries] == [0, 0, 1]
    assert entries[0][1] | {"candle": ""} == {
        "seq": "1",
        "open_ns": str(START_NS),
        "revision": "0",
        "candle": "",
    }


def test_a_stream_goes_on_where_another_store_counts_from_the_beginning():
    """Its ids can only grow: the first part stays, and the second is the new seq, until that is higher."""
    url = fresh_url()

    async def main() -> Any:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([candle(minute, minute + 1) for minute in range(5)])
            other = [candle(minute + 5, minute + 1) for minute in range(7)]
            for put in (other[:2], other[:3], other[1:4], other[:5], other[4:], other[5:]):
                await sink.put(put)
            return await redis.xrange(keys(url)[2])

    entries = asyncio.run(main())

    assert [entry for entry, _ in entries[5:]] == ["5-1", "5-2", "5-3", "5-4", "5-5", "6-0", "7-0"]
    assert seqs(entries) == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6, 7]


def test_a_stream_goes_on_with_a_third_store_too():
    url = fresh_url()

    async def main() -> Any:
        async with opened(url) as sink, stranger(url) as redis:
            for store in range(3):
                put = [candle(10 * store + minute, minute + 1) for minute in range(3)]
                await sink.put(put)
                await sink.put(put[1:])
            return await redis.xrange(keys(url)[2])

    entries = asyncio.run(main())

    assert [entry for entry, _ in entries] == [
        *("1-0", "2-0", "3-0"),
        *("3-1", "3-2", "3-3"),
        *("4-1", "4-2", "4-3"),
    ]


def test_a_parked_candle_that_is_put_later_is_in_the_stream_once():
    url = fresh_url()

    async def main() -> Any:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([candle(0, 1), candle(2, 3)])
            await sink.put([candle(1, 2)])
            await sink.put([candle(1, 2)])
            await sink.put([candle(2, 3), candle(3, 4)])
            return await redis.xrange(keys(url)[2])

    assert [entry for entry, _ in asyncio.run(main())] == ["1-0", "3-0", "3-2", "4-0"]


def test_a_consumer_group_reads_each_candle_once_and_goes_on_where_it_was():
    url = fresh_url()

    async def main() -> list[list[int]]:
        read: list[list[int]] = []
        async with opened(url) as sink, stranger(url) as redis:
            stream = keys(url)[2]
            await sink.put([candle(0, 1), candle(1, 2)])
            await redis.xgroup_create(stream, "bots", id="0")
            for put in ([], [candle(1, 2), candle(2, 3)], [candle(0, 4, revision=1)]):
                await sink.put(put)
                answer = await redis.xreadgroup("bots", "one", {stream: ">"})
                entries = answer[stream][0] if isinstance(answer, dict) else answer[0][1]
                read.append(seqs(entries))
                await redis.xack(stream, "bots", *(entry for entry, _ in entries))
        return read

    assert asyncio.run(main()) == [[1, 2], [3], [4]]


@pytest.mark.parametrize(("option", "least", "most"), [("maxlen:200", 200, 400), ("minid:200", 200, 400)])
def test_a_stream_is_kept_short(option, least, most):
    """Redis drops whole blocks of a hundred entries."""
    url = fresh_url(f"stream={option}")

    async def main() -> Any:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([candle(minute, minute + 1) for minute in range(1_500)])
            return await redis.xlen(keys(url)[2])

    assert least <= asyncio.run(main()) <= most


def test_there_need_be_no_streams():
    url = fresh_url("stream=off")

    async def main() -> tuple[int, int]:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([candle(0, 1)])
            return await redis.exists(keys(url)[2]), await redis.exists(keys(url)[1])

    assert asyncio.run(main()) == (0, 1)


def test_all_series_are_listed():
    """Nobody has to search for keys."""
    url = fresh_url()
    day = Series("alpaca", "BRK.B", Timeframe.parse("1d"), "sip")

    async def main() -> set[str]:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([candle(0, 1), candle(0, 2, series=day)])
            return set(await redis.smembers(f"{prefix_of(url)}candle:series"))

    assert asyncio.run(main()) == {"kraken:BTC/USD@1m", "alpaca.sip:BRK.B@1d"}


def test_recent_candles_go_when_nothing_comes_any_more_and_streams_stay():
    url = fresh_url("keep=2m")

    async def main() -> list[int]:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([candle(0, 1)])
            return [await redis.ttl(key) for key in keys(url)]

    recent, latest, stream = asyncio.run(main())

    assert 0 < recent <= 120
    assert 0 < latest <= 120
    assert stream == -1


def test_msgpack_holds_the_digits_as_text():
    url = fresh_url("serialisation=msgpack")

    async def main() -> tuple[bytes, bytes]:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([candle(0, 1)])
            await sink.put([candle(0, 2, revision=1, close="64009.90")])
            await sink.put([candle(0, 1)])
            redis.connection_pool.connection_kwargs["decode_responses"] = False
            [row] = await redis.zrange(keys(url)[0], 0, -1)
            return row, await redis.get(keys(url)[1])

    row, latest = asyncio.run(main())

    assert row == latest
    value = msgspec.msgpack.decode(row)
    assert (value["open"], value["close"], value["revision"]) == ("64000.00", "64009.90", 1)


def test_the_serialisation_may_change_while_the_keys_stay():
    url = fresh_url()

    async def main() -> list[tuple[int, int]]:
        async with opened(url) as sink:
            await sink.put([candle(0, 1), candle(1, 2, revision=3)])
        async with opened(f"{url}&serialisation=msgpack") as sink:
            await sink.put([candle(0, 3, revision=1), candle(1, 4, revision=2), candle(2, 5)])
        async with HotCandles(url) as hot:
            return [(one.seq, one.revision) for one in await hot.range(BTC, START_NS, START_NS + 10**13)]

    assert asyncio.run(main()) == [(3, 1), (2, 3), (5, 0)]


def test_what_comes_back_is_what_was_put():
    url = fresh_url()
    put = [candle(minute, minute + 1) for minute in range(4)]

    async def main() -> tuple[object, object, object, object]:
        async with opened(url) as sink, HotCandles(url) as hot:
            nothing = await hot.latest(BTC)
            await sink.put(put)
            some = await hot.range(BTC, START_NS + MINUTE_NS, START_NS + 3 * MINUTE_NS)
            return (
                nothing,
                await hot.latest(BTC),
                some,
                await hot.range(BTC, START_NS + 1, START_NS + MINUTE_NS),
            )

    assert asyncio.run(main()) == (None, put[3], put[1:3], [])


@pytest.mark.parametrize("open_ns", [-86_400_000_000_001, 123, START_NS + 1, START_NS + 999_999_999])
def test_an_open_time_is_exact_to_the_nanosecond(open_ns):
    url = fresh_url()
    put = attrs.evolve(candle(0, 1), open_ns=open_ns)  # type: ignore[misc]  # an event

    async def main() -> tuple[object, object]:
        async with opened(url) as sink, HotCandles(url) as hot:
            await sink.put([put])
            return await hot.range(BTC, open_ns, open_ns + 1), await hot.range(BTC, open_ns + 1, START_NS * 2)

    assert asyncio.run(main()) == ([put], [])


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ({"close": Decimal("NaN")}, "NaN is no number"),
        ({"open_ns": 10**21}, "no instant"),
        ({"seq": 0}, "its seq is 0"),
        ({"series": Series("kraken", "\ud800", Timeframe.parse("1m"))}, "surrogates"),
    ],
)
def test_a_candle_that_has_no_place_in_redis_is_named_and_nothing_is_put(spoil, why):
    url = fresh_url()
    bad = attrs.evolve(candle(1, 2), **spoil)  # type: ignore[misc]  # an event

    async def main() -> tuple[Poisoned, int]:
        async with opened(url) as sink, stranger(url) as redis:
            with pytest.raises(Poisoned, match=why) as caught:
                await sink.put([candle(0, 1), bad])
            return caught.value, await redis.exists(*keys(url))

    error, there = asyncio.run(main())

    assert (error.seq, there) == (bad.seq, 0)
    assert "sink 'redis://" in str(error)


def test_a_rewind_behind_a_trimmed_stream_leaves_its_newest_part():
    """The past comes again where nothing tells that it was there; in the end the same entries stand there."""
    url = fresh_url("stream=maxlen:200")
    history = [candle(minute, minute + 1) for minute in range(1_500)]

    async def main() -> Any:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put(history)
            await sink.put(history)
            await sink.put([candle(1_500, 1_501)])
            return seqs(await redis.xrange(keys(url)[2])), await redis.zcard(keys(url)[0])

    entries, recent = asyncio.run(main())

    assert entries[-200:] == [*range(1_302, 1_502)]
    assert recent == 60


def test_redis_itself_refuses_a_repeat():
    """What the ids of a stream stand on."""
    url = fresh_url()

    async def main() -> None:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put([candle(0, 1)])
            with pytest.raises(ResponseError, match="equal or smaller"):
                await redis.xadd(keys(url)[2], {"x": "y"}, id="1-0")

    asyncio.run(main())

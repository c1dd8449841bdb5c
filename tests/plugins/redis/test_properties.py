"""However often, in whatever pieces and in whatever order candles are put: what is there in the end."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.redis.sinks import BTC, candle, fresh_url, opened, prefix_of, seqs, stranger
from wickwire import Series, SeriesCandle

SERIES = [BTC, Series("coinbase", "BTC/USD", BTC.timeframe)]


def key(url: str, series: Series, what: str) -> str:
    return f"{prefix_of(url)}candle:{{{series}}}:{what}"


@st.composite
def histories(draw: st.DrawFn) -> list[SeriesCandle]:
    """What a store committed: first closes and revisions of two series, in order of `seq`."""
    revisions: dict[tuple[Series, int], int] = {}
    history = []
    for seq in range(1, draw(st.integers(1, 12)) + 1):
        where = draw(st.sampled_from(SERIES)), draw(st.integers(0, 5))
        revisions[where] = revisions.get(where, -1) + 1
        history.append(
            candle(where[1], seq, series=where[0], revision=revisions[where], close=str(64_000 + seq))
        )
    return history


async def found(url: str) -> tuple[dict[Series, list[Any]], dict[Series, list[int]]]:
    """The recent candles and the stream of each series."""
    async with stranger(url) as redis:
        recent = {one: await redis.zrange(key(url, one, "recent"), 0, -1) for one in SERIES}
        streams = {one: seqs(await redis.xrange(key(url, one, "stream"))) for one in SERIES}
        for one in SERIES:
            assert await redis.get(key(url, one, "latest")) == (recent[one][-1] if recent[one] else None)
    return {one: [json.loads(row) for row in rows] for one, rows in recent.items()}, streams


def newest(history: list[SeriesCandle], series: Series) -> list[int]:
    """The seqs of what should be recent, by open time."""
    rows = {one.open_ns: one.seq for one in history if one.series == series}
    return [rows[open_ns] for open_ns in sorted(rows)]


@settings(max_examples=40)
@given(histories(), st.lists(st.tuples(st.integers(0, 11), st.integers(1, 5)), max_size=6))
def test_a_feeder_that_begins_again_anywhere_leaves_each_candle_once_and_in_order(history, repeats):
    """As after a death of the collector: its cursor stands where it stood, and all since is put again."""
    url = fresh_url()

    async def main() -> tuple[dict[Series, list[Any]], dict[Series, list[int]]]:
        async with opened(url) as sink:
            cursor = 0
            for begin, length in repeats:
                cursor = min(cursor, begin)  # never beyond what was put
                await sink.put(history[cursor : cursor + length])
                cursor += length
            await sink.put(history[min(cursor, len(history)) :])
            await sink.put(history)
        return await found(url)

    recent, streams = asyncio.run(main())

    for series in SERIES:
        assert streams[series] == [one.seq for one in history if one.series == series]
        assert [row["seq"] for row in recent[series]] == newest(history, series)


@settings(max_examples=40)
@given(histories(), st.randoms(use_true_random=False))
def test_in_any_order_the_newest_revision_stays_and_nothing_is_left_out(history, shuffle: random.Random):
    url = fresh_url()
    order = [*history, *history]
    shuffle.shuffle(order)

    async def main() -> tuple[dict[Series, list[Any]], dict[Series, list[int]]]:
        async with opened(url) as sink:
            for one in order:
                await sink.put([one])
        return await found(url)

    recent, streams = asyncio.run(main())

    for series in SERIES:
        assert set(streams[series]) == {one.seq for one in history if one.series == series}
        assert [row["seq"] for row in recent[series]] == newest(history, series)


@settings(max_examples=40)
@given(st.lists(histories(), min_size=2, max_size=4))
def test_stores_that_count_anew_leave_every_candle_in_the_stream_in_order(stores):
    """Each begins at seq 1 and holds other hours of the same series."""
    url = fresh_url("window=1000d")
    shifted = [
        [
            candle(
                int((one.open_ns // 60_000_000_000) % 6) + 10 * number,
                one.seq,
                series=one.series,
                revision=one.revision,
                close=str(one.close),
            )
            for one in history
        ]
        for number, history in enumerate(stores)
    ]

    async def main() -> dict[Series, list[int]]:
        async with opened(url) as sink:
            for history in shifted:
                await sink.put(history)
                await sink.put(history[-1:])
        return (await found(url))[1]

    streams = asyncio.run(main())

    for series in SERIES:
        assert streams[series] == [one.seq for history in shifted for one in history if one.series == series]


def test_two_collectors_of_one_series_leave_it_as_one_does():
    """They share a store, so what they put is the same, at other times."""
    url = fresh_url()
    history = [candle(minute, minute + 1) for minute in range(60)]

    async def main() -> Any:
        async with opened(url) as one, opened(url) as other, asyncio.TaskGroup() as tasks:
            for sink, size in ((one, 3), (other, 4)):

                async def feed(sink: Any = sink, size: int = size) -> None:
                    for start in range(0, len(history), size):
                        await sink.put(history[start : start + size])

                tasks.create_task(feed())
        async with stranger(url) as redis:
            recent = await redis.zrange(key(url, BTC, "recent"), 0, -1)
            return seqs(await redis.xrange(key(url, BTC, "stream"))), len(recent)

    assert asyncio.run(main()) == ([*range(1, 61)], 60)

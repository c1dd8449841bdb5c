"""What every store promises: the same tests for each of them. A new store is added to `STORES`."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from tests.plugins.postgres.server import fresh_url
from wickwire import (
    LINE,
    MINUTE_NS,
    REAL,
    TAIL,
    Candle,
    CandleState,
    Change,
    Closing,
    Cursor,
    Evidence,
    Hole,
    HoleKind,
    MemoryStore,
    Parked,
    Rung,
    Series,
    SeriesCandle,
    SeriesState,
    Store,
    StoreError,
    Timeframe,
    TradeBatch,
    TradeStore,
    Utc,
    Verdict,
    confirmed,
    judge,
    line_of,
    other_world,
    settled,
)
from wickwire.pages import stored_lines
from wickwire.store import shown_store
from wickwire_postgres import PostgresStore
from wickwire_postgres.address import parse_address
from wickwire_sqlite import SqliteStore


def postgres(base: str | None = None) -> PostgresStore:
    address = parse_address(fresh_url(base))
    assert address is not None
    return PostgresStore(address)


STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda folder: SqliteStore(folder / "store.db"),
    "sqlite-inline": lambda folder: SqliteStore(folder / "store.db", inline=True),
    "postgres": lambda _: postgres(),
    **{
        name: functools.partial(lambda url, _: postgres(url), os.environ[variable])
        for name, variable in (
            ("postgres-given", "WICKWIRE_POSTGRES_URL"),
            ("timescale-given", "WICKWIRE_TIMESCALE_URL"),
        )
        if os.environ.get(variable)
    },
}
"""Name to a function that makes a store in an empty folder."""

DIGITS = ["64001.10", "0.00000001", "1E+3", "-37.63", "0E-8", "-0.00", "1E-999999", "123456789" * 8 + ".98"]
NUMBERS = ("open", "high", "low", "close", "volume", "vwap")
BTC = Series.parse("kraken:BTC/USD@1m")
ETH = Series.parse("kraken:ETH/USD@1m")


@pytest.fixture(params=STORES)
def store(request, tmp_path) -> Store:
    return STORES[request.param](tmp_path)


@asynccontextmanager
async def opened(store: Store) -> AsyncGenerator[Store]:
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def row(
    minute: int,
    price: str = "10",
    *,
    symbol: str = "BTC/USD",
    trades: int | None = None,
    vwap: Decimal | None = None,
) -> Candle:
    value = Decimal(price)
    opens = minute * MINUTE_NS
    values = (value, value, value, value)
    return Candle(symbol, BTC.timeframe, opens, opens + MINUTE_NS, *values, Decimal("1.50"), trades, vwap)


def closing(
    minute: int, price: str = "10", evidence: Evidence = Evidence.SUCCESSOR, series: Series = BTC
) -> Closing:
    return Closing(row(minute, price, symbol=series.symbol), evidence, Rung.STREAM)


def state(series: Series = BTC, *, until: int = 0, holes: Sequence[Hole] = ()) -> SeriesState:
    return SeriesState(series=series, origin_ns=0, frontier_ns=until * MINUTE_NS, holes=tuple(holes))


def change(*closings: Closing, series: Series = BTC, until: int = 0) -> Change:
    return Change(state=state(series, until=until), closings=closings)


def fields(line: str) -> list[object]:
    """What a line says; a number as what it is, however it is written."""
    said = dict(zip(LINE, line.split(","), strict=True))
    return [Decimal(text).as_tuple() if name in NUMBERS and text else text for name, text in said.items()]


def told(candles: Sequence[SeriesCandle]) -> list[tuple[int, str, int, int]]:
    """Minute, price, revision and seq: what most of these tests are about."""
    return [(each.open_ns // MINUTE_NS, str(each.close), each.revision, each.seq) for each in candles]


# --------------------------------------------------------------------------------------------- the verdict

HISTORY, SUCCESSOR, VENUE = Evidence.HISTORY, Evidence.SUCCESSOR, Evidence.VENUE


@pytest.mark.parametrize(
    ("stored", "price", "evidence", "verdict"),
    [
        (None, "10", Evidence.SIBLING, Verdict.INSERT),
        (None, "10", VENUE, Verdict.INSERT),
        (SUCCESSOR, "10", SUCCESSOR, Verdict.KEEP),
        (SUCCESSOR, "10", Evidence.SIBLING, Verdict.KEEP),
        (SUCCESSOR, "10", HISTORY, Verdict.CONFIRM),
        (SUCCESSOR, "10.0", HISTORY, Verdict.CONFIRM),
        (SUCCESSOR, "11", Evidence.SIBLING, Verdict.KEEP),
        (SUCCESSOR, "11", SUCCESSOR, Verdict.KEEP),
        (SUCCESSOR, "11", Evidence.SNAPSHOT, Verdict.REVISE),
        (Evidence.BUILT, "11", Evidence.BUILT, Verdict.REVISE),
        (HISTORY, "11", HISTORY, Verdict.REVISE),
        (HISTORY, "11", VENUE, Verdict.REVISE),
        (VENUE, "11", VENUE, Verdict.REVISE),
        (VENUE, "11", HISTORY, Verdict.KEEP),
        (VENUE, "10", VENUE, Verdict.KEEP),
    ],
)
def test_what_a_closing_does_to_what_is_stored(stored, price, evidence, verdict):
    """A revision needs better evidence, or equal evidence from a source that may correct itself."""
    held = None if stored is None else settled(BTC, closing(1, "10", stored), None, 1)

    assert verdict is judge(held, row(1, price), evidence)


def test_better_evidence_changes_nothing_else():
    stored = settled(BTC, closing(1), settled(BTC, closing(1, "9"), None, 1), 2)
    raised = confirmed(stored, VENUE)

    assert raised.evidence is VENUE
    assert stored == confirmed(raised, SUCCESSOR)


# ------------------------------------------------------------------------------------------- the contract


@pytest.mark.parametrize("kind", [MemoryStore, SqliteStore, PostgresStore])
def test_a_store_has_every_method_of_the_contract(kind):
    for name, method in inspect.getmembers(Store, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(method) == inspect.signature(getattr(kind, name)), name


def test_a_new_store_knows_nothing(store):
    async def main():
        async with opened(store):
            assert await store.load(BTC) is None
            assert await store.latest(BTC) is None
            assert await store.last_seq() == 0
            assert [[], [], []] == [
                list(found)
                for found in (
                    await store.states(),
                    await store.committed(0, limit=10),
                    await store.candles(BTC, 0, 10, limit=10),
                )
            ]
            assert list(await store.commit([])) == []

    asyncio.run(main())


def test_a_first_close_is_news_once_and_found_everywhere(store):
    async def main():
        async with opened(store):
            [news] = await store.commit([change(closing(1), until=2)])
            again = await store.commit([change(closing(1), until=2)])

            assert list(again) == []
            assert (news.series, news.state, news.evidence) == (BTC, CandleState.CLOSED, SUCCESSOR)
            assert (news.revision, news.seq, news.first_seq, news.healed) == (0, 1, 1, False)
            loaded = await store.load(BTC)
            assert loaded is not None
            assert loaded.state == state(until=2)
            assert [news] == list(loaded.tail) == list(await store.committed(0, limit=10))
            assert [news] == list(await store.candles(BTC, 0, 10 * MINUTE_NS, limit=10))
            assert news == await store.latest(BTC)
            assert await store.last_seq() == 1

    asyncio.run(main())


def test_everything_that_a_candle_says_comes_back(store):
    candle = row(1, trades=2**63 - 1, vwap=Decimal("0.000000010"))

    async def main():
        async with opened(store):
            [news] = await store.commit([change(Closing(candle, VENUE, Rung.POLL, healed=True))])
            [found] = await store.candles(BTC, 0, 10**18, limit=1)

            assert news == found
            assert candle.same_values(found)
            assert (found.route, found.healed, found.trade_count) == (Rung.POLL, True, 2**63 - 1)

    asyncio.run(main())


@pytest.mark.parametrize("digits", DIGITS)
def test_a_decimal_keeps_the_digits_received(store, digits):
    async def main():
        async with opened(store):
            await store.commit([change(closing(1, digits))])
            [found] = await store.candles(BTC, 0, 10**18, limit=1)

            for price in (found.open, found.high, found.low, found.close):
                assert Decimal(digits).as_tuple() == price.as_tuple()

    asyncio.run(main())


def test_lines_say_what_candles_say_to_the_digit(store):
    """Whether the store writes them out itself, or they are made of its candles."""
    averages = [*map(Decimal, DIGITS), None]
    closings = [
        Closing(
            row(minute, DIGITS[minute % len(DIGITS)], vwap=vwap, trades=minute or None),
            HISTORY,
            Rung.POLL,
            healed=minute % 2 == 1,
        )
        for minute, vwap in enumerate(averages)
    ]

    async def main():
        async with opened(store):
            await store.commit([change(*closings), change(closing(1, series=ETH), series=ETH)])
            await store.commit([change(Closing(row(3, "11.0"), VENUE, Rung.STREAM))])
            pages = [page async for page in stored_lines(store, BTC, rows=4)]
            some = [page async for page in stored_lines(store, BTC, MINUTE_NS, 3 * MINUTE_NS)]
            none = [page async for page in stored_lines(store, BTC, 3 * MINUTE_NS, 3 * MINUTE_NS)]
            return await store.candles(BTC, 0, 10**18, limit=100), pages, some, none

    candles, pages, some, none = asyncio.run(main())

    assert [4, 4, 1] == [len(page) for page in pages]
    lines = [line for page in pages for line in page]
    assert [fields(line_of(candle)) for candle in candles] == [fields(line) for line in lines]
    assert ([lines[1:3]], []) == (some, none)


def test_better_evidence_is_kept_and_told_to_nobody(store):
    async def main():
        async with opened(store):
            await store.commit([change(closing(1))])
            assert list(await store.commit([change(closing(1, evidence=HISTORY))])) == []

            [found] = await store.committed(0, limit=10)
            assert (found.evidence, found.revision, found.seq) == (HISTORY, 0, 1)
            assert await store.last_seq() == 1

    asyncio.run(main())


def test_a_revision_is_counted_moves_to_the_end_and_remembers_its_first_close(store):
    async def main():
        async with opened(store):
            await store.commit([change(closing(1), closing(2))])
            [news] = await store.commit([change(closing(1, "11", HISTORY))])

            assert (news.state, news.revision, news.seq, news.first_seq) == (CandleState.REVISED, 1, 3, 1)
            assert [(2, "10", 0, 2), (1, "11", 1, 3)] == told(await store.committed(0, limit=10))
            assert [(1, "11", 1, 3), (2, "10", 0, 2)] == told(await store.candles(BTC, 0, 10**18, limit=10))
            assert list(await store.commit([change(closing(1, "12"))])) == []

    asyncio.run(main())


def test_a_batch_may_close_revise_and_confirm_the_same_candle(store):
    batch = [closing(1), closing(1, "11", HISTORY), closing(1, "11", VENUE), closing(1, "12", SUCCESSOR)]

    async def main():
        async with opened(store):
            news = await store.commit([change(*batch)])

            assert [(1, "10", 0, 1), (1, "11", 1, 2)] == told(news)
            [found] = await store.committed(0, limit=10)
            assert (found.seq, found.first_seq, found.evidence) == (2, 1, VENUE)

    asyncio.run(main())


def test_news_of_several_series_come_in_one_order_without_a_gap(store):
    async def main():
        async with opened(store):
            news = await store.commit(
                [
                    change(closing(2), closing(1)),
                    change(closing(1), series=ETH),
                    change(closing(3)),
                    change(series=Series.parse("yahoo:AAPL@1d")),
                ]
            )
            assert [1, 2, 3, 4] == [each.seq for each in news]
            assert [BTC, BTC, ETH, BTC] == [each.series for each in news]
            assert list(news) == list(await store.committed(0, limit=10))
            assert list(news[1:3]) == list(await store.committed(1, limit=2))
            assert list(await store.committed(4, limit=10)) == []

    asyncio.run(main())


def test_a_range_is_half_open_sorted_and_limited(store):
    async def main():
        async with opened(store):
            await store.commit([change(*(closing(minute) for minute in (5, 1, 3, 2, 4)))])
            for since, until, limit, minutes in (
                (2, 4, 10, [2, 3]),
                (0, 9, 2, [1, 2]),
                (4, 4, 10, []),
                (6, 9, 10, []),
                (-(10**30), 10**30, 10, [1, 2, 3, 4, 5]),
            ):
                found = await store.candles(BTC, since * MINUTE_NS, until * MINUTE_NS, limit=limit)
                assert minutes == [each.open_ns // MINUTE_NS for each in found]
            latest = await store.latest(BTC)
            assert latest is not None
            assert latest.open_ns == 5 * MINUTE_NS

    asyncio.run(main())


def test_times_reach_to_both_ends_of_64_bits(store):
    ends = [Candle("X", BTC.timeframe, at, at + 1, *(Decimal(1),) * 5) for at in (-(2**63), -1, 0, 2**63 - 2)]

    async def main():
        async with opened(store):
            await store.commit([change(*(Closing(each, VENUE, Rung.STREAM) for each in ends))])
            found = await store.candles(BTC, -(2**63), 2**63, limit=10)

            assert [(each.open_ns, each.close_ns) for each in ends] == [
                (x.open_ns, x.close_ns) for x in found
            ]

    asyncio.run(main())


def test_variants_timeframes_and_venues_are_never_joined(store):
    names = ("alpaca:A@1m", "alpaca.iex:A@1m", "alpaca.sip:A@1m", "alpaca.sip:A@5m", "kraken:A@1m")
    every = [Series.parse(name) for name in names]

    async def main():
        async with opened(store):
            for price, series in enumerate(every, 1):
                await store.commit([change(closing(1, str(price)), series=series)])
            for price, series in enumerate(every, 1):
                assert [(1, str(price), 0, price)] == told(await store.candles(series, 0, 10**18, limit=10))

    asyncio.run(main())


@pytest.mark.parametrize(
    "symbol", ["'; DROP TABLE closed; --", '"', "?", "%s", ":1", "a,b", "a\nb", "\\", "$x", "Ω", "x" * 10_000]
)
def test_a_symbol_is_data_whatever_it_holds(store, symbol):
    hostile = Series("kraken", symbol, BTC.timeframe, "'")

    async def main():
        async with opened(store):
            await store.commit([change(closing(1), series=hostile), change(closing(1, "11"))])

            assert [(1, "10", 0, 1)] == told(await store.candles(hostile, 0, 10**18, limit=10))
            assert {hostile, BTC} == {each.series for each in await store.states()}
            assert [hostile, BTC] == [each.series for each in await store.committed(0, limit=10)]

    asyncio.run(main())


def test_the_state_of_a_series_is_what_the_last_change_said(store):
    missing, empty = Hole(0, MINUTE_NS), Hole(2 * MINUTE_NS, 3 * MINUTE_NS, HoleKind.EMPTY)
    unknown = Hole(5 * MINUTE_NS, 9 * MINUTE_NS, HoleKind.UNKNOWN)

    async def main():
        async with opened(store):
            for holes in (
                [missing],
                [missing, empty],
                [empty, unknown],
                [unknown],
                [missing, empty, unknown],
                [],
            ):
                said = state(until=len(holes), holes=holes)
                await store.commit([Change(state=said)])

                loaded = await store.load(BTC)
                assert loaded is not None
                assert loaded.state == said
                assert [said] == list(await store.states())

    asyncio.run(main())


def test_how_far_sinks_are_is_kept_and_may_go_back(store):
    parked = (Parked(series=BTC, open_ns=MINUTE_NS, seq=2, why="a ' and a \n"),)

    async def main():
        async with opened(store):
            assert {} == await store.cursors()
            await store.commit([change(closing(0), closing(1))])
            await store.move("redis", Cursor(seq=2, parked=parked))
            await store.move("other", Cursor(seq=0))
            assert {"other": Cursor(seq=0), "redis": Cursor(seq=2, parked=parked)} == await store.cursors()

            await store.move("redis", Cursor(seq=1))
            assert {"other": Cursor(seq=0), "redis": Cursor(seq=1)} == await store.cursors()

    asyncio.run(main())


def test_a_sink_that_is_forgotten_leaves_nothing_and_may_come_again(store):
    parked = (Parked(series=BTC, open_ns=MINUTE_NS, seq=2, why="too odd"),)

    async def main():
        async with opened(store):
            await store.commit([change(closing(0), closing(1))])
            for name in ("redis", "other"):
                await store.move(name, Cursor(seq=2, parked=parked, left_out=3))
            await store.move("redis", None)
            await store.move("nobody", None)
            assert {"other": Cursor(seq=2, parked=parked, left_out=3)} == await store.cursors()

            await store.move("redis", Cursor(seq=1))
            assert Cursor(seq=1) == (await store.cursors())["redis"]
            assert [] == [*await store.check()]

    asyncio.run(main())


def test_states_are_ordered_by_series(store):
    names = ["yahoo:AAPL@1d", "alpaca.sip:A@1m", "alpaca.iex:A@1m", "kraken:BTC/USD@5m", "kraken:BTC/USD@1m"]

    async def main():
        async with opened(store):
            await store.commit([change(series=Series.parse(name)) for name in names])

            assert sorted(map(Series.parse, names)) == [each.series for each in await store.states()]

    asyncio.run(main())


def test_loading_brings_the_last_closes_oldest_first(store):
    async def main():
        async with opened(store):
            await store.commit([change(*(closing(minute) for minute in range(TAIL + 100)))])
            loaded = await store.load(BTC)

            assert loaded is not None
            assert list(range(100, TAIL + 100)) == [each.open_ns // MINUTE_NS for each in loaded.tail]

    asyncio.run(main())


def test_all_that_is_asked_at_the_same_time_is_answered(store):
    """Reads, commits, cursors, audits and forgetting: whoever comes first, each sees whole commits."""

    async def main():
        async with opened(store):
            await store.commit([change(*(closing(minute) for minute in range(50)), until=50)])

            async def commit(number: int) -> None:
                minute = 50 + number
                await store.commit([change(closing(minute), closing(minute, "11", HISTORY), until=100)])

            async def read() -> None:
                assert all(one.close in {10, 11} for one in await store.candles(BTC, 0, 10**18, limit=999))
                found = await store.audit(BTC, 0, 100 * MINUTE_NS, grid=Utc())
                assert found is not None
                assert {} == dict(found.faults)
                assert list(await store.check()) == []
                await store.move("redis", Cursor(seq=await store.last_seq()))

            async with asyncio.TaskGroup() as tasks:
                for number in range(12):
                    tasks.create_task(commit(number))
                    tasks.create_task(read())
                tasks.create_task(store.forget(20 * MINUTE_NS))
            held = await store.candles(BTC, 0, 10**18, limit=999)
            assert [*range(19, 62)] == [one.open_ns // MINUTE_NS for one in held]
            assert 74 == await store.last_seq()

    asyncio.run(main())


def test_what_fails_stores_nothing_of_the_whole_batch(store):
    """Neither of its series is there, and no number was given."""

    async def main():
        async with opened(store):
            await store.commit([change(closing(1))])
            await store.claim("simulated venues, seed 1")
            with pytest.raises(StoreError):
                await store.commit([change(closing(2)), change(closing(1), series=ETH)])
            assert [BTC] == [one.series for one in await store.states()]
            assert 1 == await store.last_seq()
            assert await store.load(ETH) is None

    asyncio.run(main())


def test_commits_at_the_same_time_take_turns(store):
    async def main():
        async with opened(store):
            batches = [[change(closing(minute), closing(minute + 100))] for minute in range(40)]
            news = await asyncio.gather(*(store.commit(batch) for batch in batches))

            assert list(range(1, 81)) == sorted(each.seq for batch in news for each in batch)
            assert all(batch[1].seq == batch[0].seq + 1 for batch in news)
            assert len(await store.committed(0, limit=100)) == 80

    asyncio.run(main())


def test_a_closed_store_refuses_and_says_its_name(store):
    trades = Series.parse("kraken:BTC/USD@trades")

    async def main():
        kept: TradeStore = store
        async with opened(store):
            await store.commit([change(closing(1))])
        for attempt in (
            lambda: store.commit([change(closing(2))]),
            lambda: store.load(BTC),
            lambda: store.candles(BTC, 0, 1, limit=1),
            lambda: store.committed(0, limit=1),
            store.states,
            store.last_seq,
            lambda: store.latest(BTC),
            store.world,
            store.check,
            store.cursors,
            lambda: store.move("redis", Cursor(seq=1)),
            lambda: store.audit(BTC, 0, 1, grid=Utc()),
            lambda: store.forget(1),
            lambda: kept.put_trades([TradeBatch(series=trades, trades=())]),
            lambda: kept.trades(trades, 0, 1, limit=1),
            lambda: kept.forget_trades(1),
            kept.tapes,
        ):
            with pytest.raises(StoreError, match=r"memory|store\.db|postgres"):
                await attempt()

    asyncio.run(main())


def test_timeframes_that_are_no_minutes_come_back_as_they_were(store):
    every = [Series("kraken", "X", Timeframe.parse(text)) for text in ("1s", "90s", "4h", "1d", "1w", "1mo")]

    async def main():
        async with opened(store):
            await store.commit([change(closing(1), series=series) for series in every])

            assert every == [each.series for each in await store.committed(0, limit=10)]

    asyncio.run(main())


# -------------------------------------------------------------------------------- whose candles they are


def test_candles_of_two_worlds_never_get_into_one_store(store):
    """A claim costs nothing; only what is committed settles it."""

    async def main():
        async with opened(store):
            await store.claim("simulated venues, seed 1")
            await store.claim("simulated venues, seed 2")
            assert await store.world() == ""
            await store.commit([change(closing(1))])
            assert await store.world() == "simulated venues, seed 2"

            await store.claim("simulated venues, seed 1")
            with pytest.raises(StoreError, match="holds candles of simulated venues, seed 2"):
                await store.commit([change(closing(2))])
            assert [one.open_ns for one in await store.committed(0, limit=9)] == [MINUTE_NS]

            await store.claim("simulated venues, seed 2")
            assert len(await store.commit([change(closing(2))])) == 1

    asyncio.run(main())


def test_candles_are_of_the_real_venues_unless_somebody_says_otherwise(store):
    async def main():
        async with opened(store):
            await store.commit([change(closing(1))])

            assert await store.world() == REAL

    asyncio.run(main())


def test_a_sound_store_has_nothing_wrong_with_it(store):
    async def main():
        async with opened(store):
            await store.commit([change(closing(1), until=2), change(series=ETH)])
            await store.commit([change(closing(1, "11", Evidence.HISTORY), until=2)])

            assert list(await store.check()) == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:wickwire.db", "sqlite:wickwire.db"),
        ("sqlite:///var/lib/a@b/w.db?mode=ro", "sqlite:///var/lib/a@b/w.db?mode=ro"),
        ("postgres://u:pa@ss@h/db", "postgres://...@h/db"),
        ("postgres://u:pa/ss@h/db", "postgres://...@h/db"),
        ("postgres://u:pa?ss@h/db?mode=ro", "postgres://...@h/db?mode=ro"),
        ("postgres://u:pa#ss@h/db", "postgres://...@h/db"),
        ("postgres://u:12?34@h/db", "postgres://...@h/db"),
        ("redis://h:6379/1?x=a@b", "redis://h:6379/1?x=a@b"),
        ("redis://h/1?password=hunter2&db=3", "redis://h/1?password=...&db=3"),
        ("redis://h/1?db=3&Api_Key=hunter2", "redis://h/1?db=3&Api_Key=..."),
    ],
)
def test_the_url_of_a_store_is_shown_without_its_secrets(url, shown):
    assert shown == shown_store(url)
    assert shown in other_world(url, "one", "another")

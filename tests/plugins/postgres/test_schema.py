"""What other programs see: tables, partitions, views; what is dropped; what is found damaged."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import random
import re
import string
from decimal import Decimal

import asyncpg
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.batches import batch, both, closing
from tests.plugins.postgres.server import fresh_url, shared_server
from tests.plugins.postgres.stores import check_holds, opened, schema_of, store_at
from wickwire import (
    MINUTE_NS,
    Candle,
    Change,
    Closing,
    Evidence,
    Rung,
    Series,
    SeriesState,
    Side,
    StoreError,
    Timeframe,
    Trade,
    TradeBatch,
)
from wickwire_postgres.address import DAY_NS
from wickwire_postgres.partitions import Partition, partition_of

MINUTE = Timeframe.parse("1m")
TRADE = Trade("A", "1", Decimal("10.50"), Decimal(1), Side.BUY, MINUTE_NS)


def at(text: str) -> int:
    """Nanoseconds of a day."""
    return dt.date.fromisoformat(text).toordinal() * DAY_NS - dt.date(1970, 1, 1).toordinal() * DAY_NS


def candle_at(open_ns: int, price: str = "1.10", series: Series | None = None) -> Change:
    """A change that closes one candle."""
    series = series or both("kraken")[0]
    value = Decimal(price)
    candle = Candle(series.symbol, MINUTE, open_ns, open_ns + MINUTE_NS, *(value,) * 5)
    state = SeriesState(series=series, origin_ns=0, frontier_ns=max(open_ns + MINUTE_NS, 0))
    return Change(state=state, closings=[Closing(candle, Evidence.HISTORY, Rung.POLL)])


# ----------------------------------------------------------------------------------------- partitions


@given(st.integers(-(2**63), 2**63 - 1), st.integers(at("2020-01-01"), at("2040-01-01")))
def test_a_time_is_in_its_partition(open_ns, now_ns):
    partition = partition_of(open_ns, now_ns)

    assert partition.since_ns is None or partition.since_ns <= open_ns
    assert partition.until_ns is None or open_ns < partition.until_ns


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 3)), max_size=30))
def test_partitions_never_overlap_however_they_came_to_be(needs):
    """Years pass between one and the next: what was made of months stays made of months."""
    there: dict[str, Partition] = {}
    for open_ns, years in needs:
        one = partition_of(open_ns, at("2026-06-01") + years * 365 * DAY_NS, frozenset(there))
        there[one.name] = one
    edges = sorted(
        (-(2**63) if one.since_ns is None else one.since_ns, 2**63 if one.until_ns is None else one.until_ns)
        for one in there.values()
    )
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(edges))


@pytest.mark.parametrize(
    ("day", "name"),
    [
        ("1970-01-01", "closed_before_2000"),
        ("1999-12-31", "closed_before_2000"),
        ("2000-01-01", "closed_2000"),
        ("2024-12-31", "closed_2024"),
        ("2025-01-01", "closed_2025_01"),
        ("2026-11-22", "closed_2026_11"),
        ("2027-12-31", "closed_2027_12"),
    ],
)
def test_a_partition_is_a_month_and_longer_ago_a_year(day, name):
    assert name == partition_of(at(day), at("2026-11-22")).name


def test_partitions_are_made_as_they_are_needed_and_read_as_one_table():
    days = [at(day) for day in ("1987-10-19", "2008-09-15", "2020-03-16", "2026-10-31", "2026-11-01")]

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as store, opened(url) as other:
            for number, day in enumerate(days):
                await (store, other)[number % 2].commit([candle_at(day), candle_at(day + MINUTE_NS)])
            series = both("kraken")[0]
            found = await store.candles(series, 0, 2**62, limit=99)
            assert [one.open_ns for one in found] == [ns for day in days for ns in (day, day + MINUTE_NS)]
            latest = await other.latest(series)
            assert latest is not None
            assert latest.open_ns == days[-1] + MINUTE_NS
            assert list(await store.check()) == []

    asyncio.run(main())


# ------------------------------------------------------------------------------------------ retention


def test_what_is_older_than_the_retention_is_dropped_and_the_rest_stays(monkeypatch):
    """When the store is opened and once an hour; and nobody brings it back who does not know of it."""
    monkeypatch.setattr("wickwire_postgres.retaining.EVERY_S", 0.0)
    now = dt.datetime.now(dt.UTC).date()  # noqa: TID251 - the server's clock decides
    old, young = at("2019-05-05"), at(str(now)) - 2 * DAY_NS

    async def main() -> None:
        url = fresh_url()
        series = both("kraken")[0]
        async with opened(url) as plain, opened(f"{url}&retention=400d") as store:
            await plain.commit([candle_at(old), candle_at(young)])
            await plain.commit([candle_at(old, "2")])
            assert len(await plain.candles(series, 0, 2**62, limit=9)) == 2

            await store.commit([candle_at(young + MINUTE_NS)])

            for one in (plain, store):
                found = await one.candles(series, 0, 2**62, limit=9)
                assert [young, young + MINUTE_NS] == [candle.open_ns for candle in found]
            assert list(await plain.commit([candle_at(old)])) == []
            loaded = await plain.load(series)
            assert loaded is not None
            assert loaded.state.forgotten is not None
            begun = loaded.state.forgotten.before_ns
            assert begun == loaded.state.origin_ns
            assert (begun + MINUTE_NS) % DAY_NS == 0
            # who knows of it, and asks for it again, has its partition made again
            again = attrs.evolve(loaded.state, origin_ns=old, frontier_ns=young + 2 * MINUTE_NS)
            assert len(await plain.commit([attrs.evolve(candle_at(old), state=again)])) == 1
            assert await store.last_seq() == 5
            assert list(await store.check()) == []
        async with opened(f"{url}&retention=400d") as store:
            assert len(await store.candles(series, 0, 2**62, limit=9)) == 2

    asyncio.run(main())


def test_a_clock_that_was_set_ahead_makes_nothing_old():
    """Ages count from the newest candle, whatever such a clock says of a series that has none."""

    async def main() -> None:
        url = fresh_url()
        ahead = SeriesState(
            series=both("kraken")[1], origin_ns=at("2199-01-01"), frontier_ns=at("2199-01-01")
        )
        async with opened(url) as plain:
            await plain.commit([candle_at(at("2019-05-05")), candle_at(at("2019-06-05"))])
            await plain.commit([Change(state=ahead)])
        async with opened(f"{url}&retention=400d") as store:
            assert len(await store.candles(both("kraken")[0], 0, 2**62, limit=9)) == 2

    asyncio.run(main())


def test_partitions_that_are_over_are_dropped_whole_and_rows_of_others_go():
    url = fresh_url()
    series = both("kraken")[0]
    days = [at(day) for day in ("2026-08-30", "2026-09-15", "2026-10-02", "2026-10-20")]

    async def main() -> None:
        async with opened(url) as store:
            for day in days:
                await store.commit([candle_at(day), candle_at(day, "2")])
            assert 3 == await store.forget(at("2026-10-10"))
            assert days[3:] == [one.open_ns for one in await store.candles(series, 0, 2**62, limit=9)]
            assert list(await store.check()) == []

    asyncio.run(main())
    left = shared_server().psql(
        f"SELECT relname FROM pg_class WHERE relnamespace = '{schema_of(url)}'::regnamespace "
        "AND relkind = 'r' AND relname LIKE 'closed%'"
    )
    assert "closed_2026_10" == left
    assert "1" == shared_server().psql(f"SELECT count(*) FROM {schema_of(url)}.superseded")


def test_a_series_that_reached_back_keeps_its_partitions():
    """What one series claims, no other one's age takes away."""

    async def main() -> None:
        url = fresh_url()
        one, other = both("kraken")
        old = at("2025-05-05")
        async with opened(url) as store:
            await store.commit([candle_at(old, series=one), candle_at(old, series=other)])
            assert 1 == await store.forget(at("2026-01-01"), series=one)
            assert 1 == len(await store.candles(other, 0, 2**62, limit=9))
            assert 1 == await store.forget(at("2026-01-01"))

    asyncio.run(main())

    asyncio.run(main())


def test_a_reader_that_does_not_end_delays_the_retention_and_nothing_else(monkeypatch, caplog):
    """A dump of the database holds every partition for as long as it takes: hours, perhaps."""
    monkeypatch.setattr("wickwire_postgres.forgetting.LOCK_S", 0.1)

    async def main() -> None:
        url = fresh_url()
        series = both("kraken")[0]
        async with opened(url) as plain:
            await plain.commit([candle_at(at("2019-05-05")), candle_at(at("2026-05-05"))])
            dump = await asyncpg.connect(shared_server().url)
            async with dump.transaction():
                await dump.fetch(f"SELECT * FROM {schema_of(url)}.closed")
                async with opened(f"{url}&retention=400d") as store:
                    assert len(await store.commit([candle_at(at("2026-05-06"))])) == 1
            await dump.close()
            assert ["retention failed"] == [record.getMessage() for record in caplog.records]
            assert "another process holds a lock" in caplog.records[0].__dict__["why"]
            async with opened(f"{url}&retention=400d"):
                assert len(await plain.candles(series, 0, 2**62, limit=9)) == 2

    asyncio.run(main())


# ---------------------------------------------------------------------------------------- other readers


def test_psql_reads_times_as_times_and_numbers_as_numbers():
    url = fresh_url()

    async def main() -> None:
        async with opened(url) as store:
            await store.commit([candle_at(at("2026-11-22") + 90 * MINUTE_NS, "64001.10")])

    asyncio.run(main())
    seen = shared_server().psql(
        f"SET search_path = {schema_of(url)}; SET TimeZone = UTC; "
        "SELECT symbol, timeframe, open_time, close, volume * 2, evidence FROM candles "
        "WHERE open_ns >= ns('2026-11-22T01:30Z') AND open_ns < ns('2026-11-22T01:31Z')",
        "-q",
    )

    assert seen == "A|1m|2026-11-22 01:30:00+00|64001.10|128002.20|history"


def test_bounds_on_open_ns_read_only_the_partitions_that_they_need():
    url = fresh_url()

    async def main() -> None:
        async with opened(url) as store:
            for day in ("1999-10-19", "2008-09-15", "2026-10-31", "2026-11-01"):
                await store.commit([candle_at(at(day))])

    asyncio.run(main())
    told = shared_server().psql(
        f"SET search_path = {schema_of(url)}; "
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT close FROM candles "
        "WHERE open_ns >= ns('2026-11-01T00:00Z') AND open_ns < ns('2026-12-01T00:00Z')",
        "-q",
    )
    assert {"closed_2026_11"} == {*re.findall(r"\bon (closed_\w+)", told)}


# --------------------------------------------------------------------------------------- hostile names

HOSTILE = [
    ("x'; DROP TABLE closed; --", ""),
    ('x" OR "1"="1', "x'"),
    ("$1", "{}"),
    ("%s", "%"),
    ("/* */ -- ;", "\\N"),
    ("*?[a]_%", "\t"),
    ("a\r\nb", "\\."),
]


def test_what_a_symbol_looks_like_changes_no_statement():
    """The server tells what it was asked: the same texts for an innocent and a hostile name."""

    async def asked(symbol: str, variant: str) -> set[str]:
        url, told = fresh_url(), set()
        series = Series("kraken", symbol, MINUTE, variant)
        async with opened(url) as store:
            pool = store._pool
            assert pool is not None
            holders = [await pool.acquire() for _ in range(pool.get_max_size())]
            for one in holders:
                one.add_query_logger(lambda record: told.add(record.query))
                await pool.release(one)
            await store.commit([candle_at(0, "1", series)])
            await store.commit([candle_at(0, "2", series)])
            [candle] = await store.candles(series, 0, MINUTE_NS, limit=9)
            [same] = await store.committed(0, limit=9)
            assert (candle.series, candle.revision) == (same.series, 1) == (series, 1)
            assert [series] == [state.series for state in await store.states()]
            assert await store.load(series) is not None
        return told

    async def main() -> None:
        expected = await asked("BTC/USD", "")
        assert any("unnest" in text for text in expected)
        for symbol, variant in HOSTILE:
            assert expected == await asked(symbol, variant)

    asyncio.run(main())


LONG = "".join(random.Random(1).choices(string.ascii_letters, k=9_000))


@pytest.mark.parametrize("symbol", ["a\0b", "\ud800", LONG], ids=["NUL", "surrogate", "long"])
def test_a_name_that_postgresql_cannot_hold_is_refused_and_the_others_go_on(symbol):
    async def main() -> None:
        async with opened() as store:
            with pytest.raises(StoreError, match=r"cannot commit.*it cannot hold such a value"):
                await store.commit([candle_at(0, "1", Series("kraken", symbol, MINUTE))])
            assert len(await store.commit(batch("kraken", 0))) > 0

    asyncio.run(main())


def test_a_value_that_is_too_large_fails_its_whole_batch_and_nothing_else():
    async def main() -> None:
        async with opened() as store:
            await store.commit(batch("kraken", 0))
            spoiled = batch("kraken", 1)
            spoiled[1].closings[-1].candle.trade_count = 2**64  # type: ignore[misc]  # broken on purpose
            with pytest.raises(StoreError, match="cannot commit"):
                await store.commit(spoiled)
            await check_holds(store, "kraken", 1)
            await store.commit(batch("kraken", 1))
            await check_holds(store, "kraken", 2)

    asyncio.run(main())


# ---------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize(
    ("harm", "found"),
    [
        ("DROP TABLE superseded", "the table 'superseded' is missing"),
        ("DROP VIEW candles", "the view 'candles' is missing"),
        ("DROP INDEX closed_by_seq", "the index 'closed_by_seq' is missing"),
        ("DROP INDEX trades_by_time", "the index 'trades_by_time' is missing"),
        ("DELETE FROM world", "the table 'world' has 0 rows in place of one"),
        ("INSERT INTO sequence VALUES (9, 9)", "the table 'sequence' has 2 rows in place of one"),
        (
            "UPDATE sequence SET last_seq = 1",
            "the seq 6 was given, and the table 'sequence' does not know it",
        ),
        ("UPDATE closed SET seq = 1", "the seq 1 was given 6 times"),
        ("UPDATE closed SET evidence = 'rumour' WHERE seq = 1", "a candle of kraken:A@1m is damaged"),
        ("UPDATE closed SET digits = 'x' WHERE seq = 1", "a candle of kraken:A@1m is damaged"),
        ("UPDATE closed SET series = 99 WHERE seq = 1", "belongs to the series 99, which is not there"),
        ("UPDATE holes SET kind = 'black'", "a hole is damaged"),
        ("UPDATE series SET what = 'never'", "a series is damaged"),
        ("UPDATE trades SET action = 'rumoured'", "a trade of kraken:A@trades is damaged"),
        ("UPDATE trades SET digits = '1'", "a trade of kraken:A@trades is damaged"),
    ],
)
def test_damage_is_found_and_named(harm, found):
    url = fresh_url()

    async def main() -> None:
        async with opened(url) as store:
            await store.commit(batch("kraken", 0))
            await store.put_trades([TradeBatch(series=Series.parse("kraken:A@trades"), trades=[TRADE])])
            assert list(await store.check()) == []
            shared_server().psql(f"SET search_path = {schema_of(url)}; {harm}")

            wrongs = await store.check()

            assert any(found in wrong for wrong in wrongs), wrongs

    asyncio.run(main())


def test_a_schema_that_goes_away_is_named_and_not_made_again_in_silence():
    url = fresh_url()

    async def main() -> None:
        store = store_at(url)
        await store.open()
        shared_server().psql(f"DROP SCHEMA {schema_of(url)} CASCADE")
        with pytest.raises(StoreError, match=r"cannot commit.*wickwire doctor"):
            await store.commit(batch("kraken", 0))
        await store.aclose()
        await store.aclose()
        with pytest.raises(StoreError, match="it is not open"):
            await store.last_seq()

    asyncio.run(main())


def test_the_close_of_a_minute_is_found_among_those_of_another_collector():
    """What is remembered of a series is read again where somebody else has changed it, holes and all."""

    async def main() -> None:
        url = fresh_url()
        async with opened(url) as one, opened(url) as other:
            for number in range(6):
                first, second = (one, other) if number % 2 else (other, one)
                assert len(await first.commit(batch("kraken", number))) > 0
                assert list(await second.commit(batch("kraken", number))) == []
                await second.commit(batch("yahoo", number))
            await check_holds(one, "kraken", 6)
            await check_holds(one, "yahoo", 6)
            assert closing(both("kraken")[0], 0, 0).candle.open_ns == 0

    asyncio.run(main())

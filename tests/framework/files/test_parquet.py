"""A store as Parquet, and Parquet as a store: nothing is lost on the way, and nothing is made up."""

import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.files.stocked import (
    BTC,
    START_NS,
    all_of,
    all_series,
    candle,
    changes,
    known,
    run,
    shown,
    stocked,
)
from wickwire import (
    DAY_NS,
    MINUTE_NS,
    ConfigError,
    Evidence,
    Hole,
    HoleKind,
    MemoryStore,
    OhlcvSupport,
    Rung,
    Series,
    Store,
    Utc,
)
from wickwire.files.importing import examine, take
from wickwire.files.parquet import ParquetMonth, Written, files_in, files_of, write_months
from wickwire.files.rows import BadRow, FileRow
from wickwire_sqlite import SqliteStore

ALWAYS = (-(2**63), 2**63 - 1)
STORES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda folder: SqliteStore(folder / "other.db", inline=True, power_safe=False),
}


def support_of(_: Series) -> OhlcvSupport:
    return OhlcvSupport(grid=Utc())


async def exported(
    store, folder, series=BTC, *, since_ns=ALWAYS[0], until_ns=ALWAYS[1], resume=False
) -> Written:
    loaded = await store.load(series)
    assert loaded is not None
    return await write_months(store, loaded.state, folder, since_ns, until_ns, resume=resume)


async def imported(folder, into):
    sources = [ParquetMonth(path) for path in files_in(folder)]
    found = examine(sources, support_of)
    assert not found.refused
    return await take(into, sources, support_of)


def names(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def closed(store) -> list[tuple[int, Evidence | None, Rung]]:
    return [(one.open_ns, one.evidence, one.route) for one in run(all_of(store))]


# --------------------------------------------------------------------------------------------- both ways


@pytest.mark.parametrize("kind", STORES)
@given(data=st.data())
def test_two_stores_agree_after_it_in_every_digit_and_nanosecond(kind, data, tmp_path_factory):
    """So do they on evidence and route, and on what is known between the candles."""
    series = data.draw(all_series)
    change, folder = data.draw(changes(series)), tmp_path_factory.mktemp("there")

    async def there_and_back():
        one = await stocked(change)
        await exported(one, folder / "parquet", series)
        other = await stocked(into=STORES[kind](folder))
        await imported(folder / "parquet", other)
        found = [(await all_of(store, series), await store.load(series)) for store in (one, other)]
        await other.aclose()
        return found

    (one, knew), (other, knows) = run(there_and_back())
    shutil.rmtree(folder)

    assert shown(one) == shown(other)
    assert [(row.evidence, row.route) for row in one] == [(row.evidence, row.route) for row in other]
    assert knew.state.origin_ns == knows.state.origin_ns
    assert knew.state.frontier_ns == knows.state.frontier_ns
    assert known_to_lack(knew.state) == known_to_lack(knows.state)


def known_to_lack(state) -> list[tuple[int, HoleKind]]:
    """Each bucket that lies in a hole, and why; whether two neighbours are one hole is of no matter."""
    length_ns = state.series.timeframe.nominal_ns
    return [
        (opens, HoleKind.MISSING if hole.kind is HoleKind.UNKNOWN else hole.kind)
        for hole in state.holes
        for opens in range(hole.since_ns, hole.until_ns, length_ns)
    ]


def test_it_may_be_imported_twice(tmp_path):
    async def both():
        store = await stocked()
        await exported(await stocked(known([candle(0), candle(3)])), tmp_path)
        return await imported(tmp_path, store), await imported(tmp_path, store), await store.last_seq()

    [first], [second], seq = run(both())

    assert (2, 2, 0) == (first.rows, first.added, first.revised)
    assert (2, 0, 0, 2) == (second.rows, second.added, second.revised, seq)


# ------------------------------------------------------------------------------------------------- files


def test_there_is_a_file_for_each_series_and_month(tmp_path):
    other = Series.parse("kraken.x:/ESz25:XCME@1m")

    async def write():
        store = await stocked(
            known([candle(minute) for minute in range(8, 12)]), known([candle(0, series=other)], other)
        )
        return [await exported(store, tmp_path, series) for series in (BTC, other)]

    assert [(4, 2), (1, 1)] == [(done.candles, done.files) for done in run(write())]
    assert [
        "series=kraken%3ABTC%2FUSD%401m/month=2026-10/candles.parquet",
        "series=kraken%3ABTC%2FUSD%401m/month=2026-11/candles.parquet",
        "series=kraken.x%3A%2FES%7A25%3AXCME%401m/month=2026-10/candles.parquet",
    ] == names(tmp_path)


@given(st.lists(all_series, unique=True))
def test_names_tell_series_apart_also_where_case_does_not_count(series):
    paths = [str(ParquetMonthPath(one)).lower() for one in series]

    assert len(paths) == len({*paths})
    assert not {*'/\\<>"|?*:'} & {*"".join(paths)}


def ParquetMonthPath(series: Series) -> str:  # noqa: N802 - reads as what it makes
    from wickwire.files.parquet import _directory  # noqa: PLC0415 - the one private name that is tested

    return _directory(series)


def test_a_file_says_whose_candles_it_holds_and_who_wrote_it(tmp_path):
    async def write():
        store = await stocked(known([candle(0)]), world="simulated venues, seed 7")
        await exported(store, tmp_path)

    run(write())
    [path] = files_in(tmp_path)
    said = pq.read_metadata(path).metadata

    assert b"simulated venues, seed 7" == said[b"wickwire.world"]
    assert str(BTC).encode() == said[b"wickwire.series"]
    assert {b"wickwire.version", b"wickwire.digest", b"wickwire.known"} <= {*said}
    assert "simulated venues, seed 7" == ParquetMonth(path).world


def test_a_month_is_whole_wherever_the_range_ends(tmp_path):
    """Otherwise what is written again later would hold less than before."""

    async def write():
        store = await stocked(known([candle(minute) for minute in range(15)]))
        return await exported(store, tmp_path, since_ns=START_NS + 12 * MINUTE_NS)

    assert (5, 1) == (run(write()).candles, len(names(tmp_path)))


def test_what_holds_the_same_is_kept_and_the_rest_is_written(tmp_path):
    """A candle that was revised or confirmed since, or a hole that was healed, makes it another file."""

    async def write():
        store = await stocked(known([candle(0), candle(11)]))
        first = await exported(store, tmp_path)
        again = await exported(store, tmp_path, resume=True)
        await store.commit([known([candle(0), candle(11)], evidence=Evidence.VENUE)])
        confirmed = await exported(store, tmp_path, resume=True)
        await store.commit([known([candle(11), candle(12)])])
        return first, again, confirmed, await exported(store, tmp_path, resume=True)

    assert [(2, 0), (0, 2), (2, 0), (2, 0)] == [(done.files, done.kept) for done in run(write())]


def test_what_was_interrupted_leaves_no_half_a_file(tmp_path):
    class Dying(MemoryStore):
        reads = 0

        async def candles(self, *arguments, **options):
            self.reads += 1
            if self.reads == 4:  # the page after the first of a month
                raise KeyboardInterrupt
            return await super().candles(*arguments, **options)

    async def write(store):
        await exported(await stocked(known([candle(0), candle(11)]), into=store), tmp_path)

    with pytest.raises(KeyboardInterrupt):
        run(write(Dying()))
    assert all(pq.read_metadata(path).num_rows == 1 for path in files_in(tmp_path))
    assert 1 == len(names(tmp_path))

    run(write(MemoryStore()))
    assert 2 == len(names(tmp_path))


def test_files_of_a_range_are_those_that_share_an_instant_with_it(tmp_path):
    run(write_two(tmp_path))
    november = START_NS + 10 * MINUTE_NS

    assert 2 == len(files_of(tmp_path, BTC, *ALWAYS))
    assert 1 == len(files_of(tmp_path, BTC, november, november + DAY_NS))
    assert 1 == len(files_of(tmp_path, BTC, november - DAY_NS, november))
    assert not files_of(tmp_path, BTC, november + 40 * DAY_NS, ALWAYS[1])


async def write_two(folder):
    await exported(await stocked(known([candle(0, vwap=Decimal("64001.123456789012")), candle(11)])), folder)


# --------------------------------------------------------------------------------------- what is believed


def test_what_nobody_changed_keeps_its_evidence_and_what_is_known_between(tmp_path):
    async def both():
        store = MemoryStore()
        proven = known([candle(0), candle(5)], evidence=Evidence.VENUE)
        state = proven.state
        quiet = type(state)(
            series=BTC,
            origin_ns=state.origin_ns - 60 * MINUTE_NS,
            frontier_ns=state.frontier_ns,
            holes=(
                Hole(state.origin_ns - 60 * MINUTE_NS, state.origin_ns, HoleKind.UNREACHABLE),
                Hole(START_NS + 2 * MINUTE_NS, START_NS + 3 * MINUTE_NS),
            ),
        )
        await exported(await stocked(type(proven)(state=quiet, closings=proven.closings)), tmp_path)
        await imported(tmp_path, await stocked(into=store))
        return store, quiet, await store.load(BTC)

    store, was, loaded = run(both())

    assert was == loaded.state
    assert [
        (START_NS, Evidence.VENUE, Rung.POLL),
        (START_NS + 5 * MINUTE_NS, Evidence.VENUE, Rung.POLL),
    ] == closed(store)


def test_what_somebody_changed_counts_as_imported_and_proves_nothing(tmp_path):
    """A candle that was taken out must not look like a bucket in which nothing was traded."""

    async def both():
        rows = [candle(minute) for minute in range(5)]
        await exported(await stocked(known(rows)), tmp_path)
        [path] = files_in(tmp_path)
        metadata = pq.read_metadata(path).metadata
        table = pq.read_table(path).take([0, 1, 4]).replace_schema_metadata(metadata)
        pq.write_table(table, path)
        store = await stocked()
        await imported(tmp_path, store)
        return store, await store.load(BTC)

    store, loaded = run(both())

    assert [
        (START_NS + minute * MINUTE_NS, Evidence.IMPORTED, Rung.IMPORT) for minute in (0, 1, 4)
    ] == closed(store)
    assert (Hole(START_NS + 2 * MINUTE_NS, START_NS + 4 * MINUTE_NS),) == loaded.state.holes


def test_what_is_in_the_store_keeps_better_evidence_and_what_it_knows(tmp_path):
    async def both():
        await exported(await stocked(known([candle(0, "1"), candle(1, "2")])), tmp_path)
        store = await stocked(known([candle(1, "3"), candle(9, "4")], evidence=Evidence.VENUE))
        await imported(tmp_path, store)
        loaded = await store.load(BTC)
        assert loaded is not None
        return await all_of(store), loaded.state

    rows, state = run(both())

    assert ["1", "3", "4"] == [str(row.close) for row in rows]
    assert (START_NS, START_NS + 10 * MINUTE_NS) == (state.origin_ns, state.frontier_ns)
    assert (Hole(START_NS + 2 * MINUTE_NS, START_NS + 9 * MINUTE_NS),) == state.holes


# ------------------------------------------------------------------------------------------ what is refused


def test_what_is_no_parquet_of_ours_says_so(tmp_path):
    path = tmp_path / "other.parquet"
    path.write_bytes(b"PAR1 but no more")
    with pytest.raises(ConfigError, match="no whole Parquet file"):
        ParquetMonth(path)
    pq.write_table(pa.table({"open": [1.0]}), path)
    with pytest.raises(ConfigError, match="does not say of which series"):
        ParquetMonth(path)
    path.unlink()
    with pytest.raises(ConfigError, match="no Parquet file in this directory"):
        files_in(tmp_path)


def test_prices_that_became_floats_on_the_way_are_refused(tmp_path):
    run(write_two(tmp_path))
    path = files_in(tmp_path)[0]
    table = pq.read_table(path)
    place = table.schema.get_field_index("close")
    pq.write_table(table.set_column(place, "close", table["close"].cast(pa.float64())), path)

    with pytest.raises(ConfigError, match="column 'close' is double"):
        ParquetMonth(path)


def test_what_went_through_pandas_exactly_is_taken(tmp_path):
    """It writes decimals as narrow as they may be, and other texts."""

    async def write():
        await exported(await stocked(known([candle(0, trade_count=3)])), tmp_path)

    run(write())
    path = files_in(tmp_path)[0]
    metadata = pq.read_metadata(path).metadata
    table = pa.Table.from_pandas(pq.ParquetFile(path).read().to_pandas(), preserve_index=False)
    pq.write_table(table.replace_schema_metadata(metadata), path)

    [row] = ParquetMonth(path).rows()

    assert isinstance(row, FileRow)
    assert "64001.10" == str(row.candle.close)


@pytest.mark.parametrize(
    ("column", "value", "phrase"),
    [
        ("evidence", "hearsay", "there is no evidence 'hearsay'"),
        ("route", "walk", "walk"),
        ("decimals", "1 2", "are no numbers"),
        ("decimals", "x x x x x x", "are no numbers"),
        ("beyond", "{", "are no numbers"),
        ("close", None, "it has no close"),
    ],
)
def test_a_row_that_says_what_we_never_write_is_refused_by_its_number(column, value, phrase, tmp_path):
    run(write_two(tmp_path))
    path = files_in(tmp_path)[0]
    table = pq.read_table(path)
    place = table.schema.get_field_index(column)
    spoilt = pa.array([value], table.schema.field(place).type)
    pq.write_table(table.set_column(place, column, spoilt), path)

    [row] = ParquetMonth(path).rows()

    assert isinstance(row, BadRow)
    assert 1 == row.number
    assert phrase in row.why


# --------------------------------------------------------------------------------------------- strangers


def test_pandas_reads_it_as_any_other(tmp_path):
    run(write_two(tmp_path))

    frame = pd.read_parquet(tmp_path)

    assert [str(BTC)] * 2 == [*frame["series"].astype(str)]
    assert ["2026-10", "2026-11"] == [*frame["month"].astype(str)]
    assert Decimal("64001.1") == frame["close"].iloc[0]
    assert START_NS == frame["open_time"].iloc[0].value


@pytest.mark.parametrize("symbol", ["btc/usd", "$x.y", "A&B=C#1", "^GSPC", "/ESZ25:XCME"])
def test_strangers_read_any_symbol_from_the_name_of_its_directory(symbol, tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed here")
    series = Series("kraken", symbol, BTC.what)

    async def write():
        await exported(await stocked(known([candle(0, series=series)], series)), tmp_path, series)

    run(write())
    with duckdb.connect() as database:
        query = f"SELECT series FROM read_parquet('{tmp_path}/*/*/*.parquet', hive_partitioning = true)"
        assert [(str(series),)] == database.execute(query).fetchall()
    assert [str(series)] == [*pd.read_parquet(tmp_path)["series"].astype(str)]


def test_duckdb_reads_it_as_any_other(tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed here")
    run(write_two(tmp_path))

    with duckdb.connect() as database:
        rows = database.execute(
            "SELECT series, month, epoch_ns(open_time), close, vwap, typeof(close), trade_count "
            f"FROM read_parquet('{tmp_path}/*/*/*.parquet', hive_partitioning = true) ORDER BY open_time"
        ).fetchall()

    assert (
        *(str(BTC), "2026-10", START_NS, Decimal("64001.1"), Decimal("64001.123456789012")),
        *("DECIMAL(38,24)", None),
    ) == rows[0]
    assert 2 == len(rows)

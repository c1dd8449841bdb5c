"""What is in a store, read as Arrow and as pandas frames."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal

import pandas as pd
import pyarrow as pa
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
    stocked,
)
from wickwire import MINUTE_NS, Candle, ConfigError, Rung, StoreError, UsageError
from wickwire.frames import arrow_table, data_frame, record_batches
from wickwire.frames.arrow import PRICE, SCHEMA, VOLUME, candle_of, rows_in
from wickwire.frames.numbers import all_decimals, column_of
from wickwire.frames.packages import brought_by
from wickwire_sqlite import SqliteStore


async def batches_of(store, **options):
    return [batch async for batch in record_batches(store, BTC, **options)]


async def table_of(*rows: Candle):
    return await arrow_table(await stocked(known(rows)), BTC)


def test_a_candle_is_a_row_with_exact_prices_and_times_to_the_nanosecond():
    opens = START_NS + 1
    first, high, low, last, volume, vwap = map(
        Decimal, ("64001.10", "64002", "64000.9", "64001", "0.49974023", "64001.0")
    )
    row = Candle(
        BTC.symbol, BTC.timeframe, opens, opens + MINUTE_NS, first, high, low, last, volume, None, vwap
    )

    table = run(table_of(row))

    assert SCHEMA.equals(table.schema)
    assert str(BTC).encode() == table.schema.metadata[b"wickwire.series"]
    said = table.drop_columns(["open_time", "close_time"]).to_pylist()[0]
    assert [opens] == table["open_time"].cast(pa.int64()).to_pylist()
    assert (Decimal("64001.1"), Decimal("0.49974023"), None) == (
        said["open"],
        said["volume"],
        said["trade_count"],
    )
    assert ("closed", "history", 0, False, "poll", 1) == tuple(
        said[name] for name in ("state", "evidence", "revision", "healed", "route", "seq")
    )
    assert ("2 0 1 0 8 1", None) == (said["decimals"], said["beyond"])


def test_the_types_are_those_that_most_readers_know():
    """No reader of Parquet keeps more than 38 digits; a type that says more becomes a float there."""
    assert pa.timestamp("ns", tz="UTC") == SCHEMA.field("open_time").type
    assert {pa.decimal128(38, 24)} == {
        SCHEMA.field(name).type for name in ("open", "high", "low", "close", "vwap")
    }
    assert pa.decimal128(38, 18) == SCHEMA.field("volume").type
    assert pa.int64() == SCHEMA.field("trade_count").type


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("1E-25", "a decimal too many"),
        ("1234567890123456789012345", "a digit too many before the point"),
        ("-0.00", "minus zero"),
    ],
)
def test_a_number_that_its_column_cannot_hold_is_whole_in_another(number, reason):
    table = run(table_of(candle(0, vwap=Decimal(number))))

    assert [None] == table["vwap"].to_pylist(), reason
    assert [f'{{"vwap":"{number}"}}'] == table["beyond"].to_pylist()
    [back] = [candle_of(BTC, row) for batch in table.to_batches() for row in rows_in(batch)]
    assert number == str(back.vwap)


@given(st.data())
def test_no_digit_and_no_nanosecond_is_lost(data):
    """What is read back from the rows is what the store holds, whatever numbers these are."""
    series = data.draw(all_series)

    async def there_and_back():
        store = await stocked(data.draw(changes(series)))
        batches = [batch async for batch in record_batches(store, series, rows=7)]
        return await all_of(store, series), [
            candle_of(series, row) for batch in batches for row in rows_in(batch)
        ]

    stored, read = run(there_and_back())

    assert [*map(repr, stored)] == [*map(repr, read)]


WRITTEN = st.one_of(
    st.from_regex(r"[0-9]{1,22}(\.[0-9]{1,30})?", fullmatch=True),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(["-0", "-0.00", "1E+3", "12345678901234", "123456789012345", "0." + "0" * 40]),
)


@given(st.lists(st.none() | WRITTEN, max_size=6), st.sampled_from([PRICE, VOLUME]))
def test_a_column_read_at_once_says_what_its_numbers_say_one_by_one(texts, kind):
    """Arrow alone would turn 1234567890123456789 into another number, and -0.00 into 0."""
    column = column_of(pa.array(texts, pa.string()), kind)
    values, decimals = column.numbers.to_pylist(), all_decimals([column.decimals]).to_pylist()

    for row, text in enumerate(texts):
        number = None if text is None else Decimal(text)
        assert decimals[row] == ("-" if number is None else str(places_of(number)))
        if number is None or not has_room(number, kind):
            assert values[row] is None
        else:
            assert values[row] == number
            assert values[row].is_signed() == number.is_signed()
    lost = [row for row, value in enumerate(values) if value is None and texts[row] is not None]
    assert {row: Decimal(texts[row]) for row in lost} == {
        row: Decimal(text) for row, text in column.beyond.items()
    }


def places_of(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return -exponent


def has_room(number: Decimal, kind: pa.Decimal128Type) -> bool:
    """Whether all digits that were written have a place in a column of *kind*, and the sign too."""
    is_minus_zero = number.is_signed() and not number
    return (
        places_of(number) <= kind.scale
        and number.adjusted() < kind.precision - kind.scale
        and not is_minus_zero
    )


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("high = 'a lot'", "'a lot'"),
        ("low = ''", "it has no low"),
        ("close = '6,4'", "15"),
        ("route = 'str' || char(10) || 'eam'", "Expected 14 columns"),
        ("seq = 'first'", "'first'"),
        ("open_ns = 1.5", "'1.5'"),
        ("revision = 1e300", "1.0e+300"),
    ],
)
def test_what_is_no_candle_is_damage_that_is_named(tmp_path, damage, said):
    async def read():
        store = await stocked(known([candle(0)]), into=SqliteStore(tmp_path / "w.db"))
        await store.aclose()
        with closing(sqlite3.connect(tmp_path / "w.db", isolation_level=None)) as connection:
            connection.execute(f"UPDATE closed SET {damage}")
        await store.open()
        try:
            await arrow_table(store, BTC)
        finally:
            await store.aclose()

    with pytest.raises(StoreError, match=r"^a candle of kraken:BTC/USD@1m is damaged: ") as caught:
        run(read())
    assert said in str(caught.value)


def test_a_page_is_all_that_is_held():
    async def pages():
        return await batches_of(await stocked(known([candle(minute) for minute in range(25)])), rows=10)

    assert [10, 10, 5] == [batch.num_rows for batch in run(pages())]


def test_a_range_is_half_open_and_may_be_written_in_words():
    async def read():
        store = await stocked(known([candle(minute) for minute in range(20)]))
        return await arrow_table(store, str(BTC), since="2026-10-31T23:55Z", until="2026-11-01")

    assert [START_NS + minute * MINUTE_NS for minute in range(5, 10)] == run(read())["open_time"].cast(
        pa.int64()
    ).to_pylist()


def test_a_series_that_is_not_there_has_no_rows():
    async def read():
        store = await stocked(known([candle(0)]))
        return await arrow_table(store, "kraken:ETH/USD@1m"), await data_frame(store, "kraken:ETH/USD@1m")

    table, frame = run(read())

    assert (0, SCHEMA) == (table.num_rows, table.schema.remove_metadata())
    assert frame.empty


@pytest.mark.parametrize(("since", "phrase"), [("yesterday", "not an instant"), (1_700_000_000, "SECOND_NS")])
def test_an_instant_that_is_none_is_refused(since, phrase):
    async def read():
        await arrow_table(await stocked(known([candle(0)])), BTC, since=since)

    with pytest.raises(UsageError, match=phrase):
        run(read())


def test_a_frame_has_exact_prices_that_can_be_calculated_with():
    async def read():
        return await data_frame(
            await stocked(known([candle(0, "0.1"), candle(1, "0.2", trade_count=3)])), BTC
        )

    frame = run(read())

    assert pd.ArrowDtype(PRICE) == frame["close"].dtype
    assert pd.ArrowDtype(VOLUME) == frame["volume"].dtype
    assert Decimal("0.3") == frame["close"].sum()
    assert "datetime64[ns, UTC]" == str(frame.index.dtype)
    assert [START_NS, START_NS + MINUTE_NS] == [*frame.index.astype("int64")]
    assert "Int64" == str(frame["trade_count"].dtype)
    assert [True, False] == [*frame["trade_count"].isna()]
    assert {"poll"} == {*frame["route"]} <= {rung.value for rung in Rung}


def test_a_frame_of_floats_has_all_numbers():
    """Also those that have no place in a column of decimals."""

    async def read():
        store = await stocked(known([candle(0, "0.1"), candle(1, "0.1", vwap=Decimal("1E-30"))]))
        return await data_frame(store, BTC, floats=True)

    frame = run(read())

    assert "float64" == str(frame["close"].dtype) == str(frame["vwap"].dtype)
    assert 1e-30 == frame["vwap"].iloc[1]


def test_what_is_not_installed_is_missed_with_the_extra_that_brings_it():
    with pytest.raises(ConfigError, match=r"Arrow needs the package 'pyarrow'.*wickwire\[parquet\]"):  # noqa: SIM117 - one raises within the other
        with brought_by("parquet", "Arrow"):
            raise ModuleNotFoundError("No module named 'pyarrow.lib'", name="pyarrow.lib")


def test_a_module_of_ours_that_is_missing_is_no_package_to_install():
    with pytest.raises(ModuleNotFoundError), brought_by("parquet", "Arrow"):
        raise ModuleNotFoundError("No module named 'wickwire.lost'", name="wickwire.lost")


def test_neither_package_is_loaded_before_it_is_needed():
    probe = (
        "import sys, wickwire.frames, wickwire.cli; print({'pyarrow', 'pandas', 'numpy'} & {*sys.modules})"
    )

    assert "set()\n" == subprocess.check_output([sys.executable, "-c", probe], text=True)

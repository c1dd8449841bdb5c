"""CSV of wickwire and of others, as it comes: what is no candle is refused by its line."""

import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.files.stocked import BTC, all_of, all_series, changes, run, stocked
from wickwire import (
    DAY_NS,
    MINUTE_NS,
    Candle,
    Change,
    Closing,
    ConfigError,
    Evidence,
    Hole,
    OhlcvSupport,
    Rung,
    Series,
    Utc,
    parse_instant,
)
from wickwire.cli.export import write_csv
from wickwire.files.comma import CsvFile, Layout, is_exported
from wickwire.files.importing import examine, take

NOW_NS = parse_instant("2026-11-23")
DAILY = Series.parse("yahoo:AAPL@1d")
HEAD = "open_time,open,high,low,close,volume\n"
GOOD = "2026-11-02T00:00Z,10,12,9,11,5\n"


def support_of(_: Series) -> OhlcvSupport:
    return OhlcvSupport(grid=Utc())


@pytest.fixture
def read(tmp_path):
    """Read a text as a CSV of somebody else; return the candles and what was refused."""

    def reading(text, series=BTC, **layout):
        path = tmp_path / "other.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        file = CsvFile(path, Layout(series=series, **layout), support_of, now_ns=NOW_NS)
        found = examine([file], support_of)
        candles = [row.candle for row in file.rows() if hasattr(row, "candle")]
        return candles, [(one.number, one.why) for one in found.refusals]

    return reading


# ----------------------------------------------------------------------------------------------- as it is


@given(data=st.data())
def test_what_was_exported_comes_back_in_every_digit_and_nanosecond(data, tmp_path_factory):
    """CSV has no exponents: 1E+3 is 1000 there."""
    series = data.draw(all_series)
    change = data.draw(changes(series))
    path = tmp_path_factory.mktemp("csv") / "out.csv"

    async def there_and_back():
        one, other, text = await stocked(change), await stocked(), io.StringIO()
        await write_csv(one, await one.states(), -(2**63), 2**63 - 1, text)
        path.write_text(text.getvalue())
        file = CsvFile(path, None, support_of, now_ns=NOW_NS)
        assert not examine([file], support_of).refused
        await take(other, [file], support_of)
        return await all_of(one, series), await all_of(other, series)

    one, other = run(there_and_back())

    assert [written(row) for row in one] == [written(row) for row in other]
    assert {(Evidence.IMPORTED, Rung.IMPORT)} == {(row.evidence, row.route) for row in other}


def written(row):
    numbers = (row.open, row.high, row.low, row.close, row.volume, row.vwap)
    return (
        row.open_ns,
        row.close_ns,
        row.trade_count,
        *(None if one is None else f"{one:f}" for one in numbers),
    )


def test_only_the_series_that_are_asked_for_are_taken(tmp_path):
    path = tmp_path / "out.csv"
    head = "series,open_time,close_time,open,high,low,close,volume,trade_count,vwap"
    row = "2026-11-02T00:00:00Z,2026-11-02T00:01:00Z,1,1,1,1,1,,"
    path.write_text(f"{head}\n{BTC},{row}\nkraken:ETH/USD@1m,{row}\n")

    found = examine([CsvFile(path, None, support_of, now_ns=NOW_NS, only=[BTC])], support_of)

    assert is_exported(path)
    assert {BTC: 1} == found.rows


# ------------------------------------------------------------------------------------- as others write it


def test_columns_are_named(read):
    text = "Date;O;H;L;C;Vol;n\n1793491200000;10.50;12;9;11;5;7\n"
    columns = {"open_time": "Date", "open": "O", "high": "H", "low": "L", "close": "C", "volume": "Vol"}

    [candle], refused = read(text, columns={**columns, "trade_count": "n"}, time_unit="ms", delimiter=";")

    assert not refused
    assert parse_instant("2026-11-01") == candle.open_ns == candle.close_ns - MINUTE_NS
    assert ("10.50", "5", 7, None) == (str(candle.open), str(candle.volume), candle.trade_count, candle.vwap)


def test_without_a_header_columns_are_numbered(read):
    columns = {"open_time": "1", "open": "2", "high": "3", "low": "4", "close": "5", "volume": "6"}

    [candle], refused = read(
        "1793491200,10,12,9,11,5,x,y\n", columns=columns, has_header=False, time_unit="s"
    )

    assert not refused
    assert Decimal(11) == candle.close


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("iso", "2026-11-01T00:00:00Z"),
        ("iso", "2026-11-01 01:00:00+01:00"),
        ("iso", "2026-11-01"),
        ("s", "1793491200"),
        ("s", "1793491200.0"),
        ("ms", "1793491200000"),
        ("us", "1793491200000000"),
        ("ns", "1793491200000000000"),
        ("ns", "1.7934912E18"),
    ],
)
def test_times_are_written_in_many_ways(read, unit, text):
    [candle], _ = read(f"{HEAD}{text},10,12,9,11,5\n", time_unit=unit)

    assert parse_instant("2026-11-01") == candle.open_ns


def test_times_may_be_those_of_a_zone(read):
    [candle], _ = read(f"{HEAD}2026-11-02 09:30,10,12,9,11,5\n", zone="America/New_York")

    assert parse_instant("2026-11-02T14:30Z") == candle.open_ns


@pytest.mark.parametrize(
    ("time", "phrase"),
    [("2026-11-01 01:30", "there are two such times"), ("2026-03-08 02:30", "there is no such time")],
)
def test_a_time_that_a_clock_shows_twice_or_never_is_refused(read, time, phrase):
    _, [(line, why)] = read(f"{HEAD}{time},10,12,9,11,5\n", zone="America/New_York")

    assert 2 == line
    assert phrase in why


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEAD + GOOD,
        (HEAD + GOOD).replace("\n", "\r\n"),
        ("\ufeff" + HEAD + GOOD).replace("\n", "\r\n"),
        HEAD + "\n" + GOOD + "\n\n",
        (HEAD + GOOD).rstrip("\n"),
        HEAD + GOOD.replace("10", '"10"'),
        HEAD + GOOD.replace(",", ", "),
    ],
    ids=["bom", "crlf", "both", "empty lines", "no last end", "quoted", "spaced"],
)
def test_what_other_programs_put_around_it_is_no_matter(read, text):
    candles, refused = read(text)

    assert (1, []) == (len(candles), refused)


# --------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("2026-11-02T00:01Z,10,12,11,11,5", "outside low 11 and high 12"),
        ("2026-11-02T00:01Z,0,12,0,11,5", "low 0 is not above zero"),
        ("2026-11-02T00:01Z,10,12,9,11,-5", "volume -5 is negative"),
        ("2026-11-02T00:01:30Z,10,12,9,11,5", "off the grid: no 1m candle opens at 2026-11-02T00:01:30Z"),
        ("2026-11-02T00:01Z,NaN,12,9,11,5", "open 'NaN' is not a number"),
        ("2026-11-02T00:01Z,10,inf,9,11,5", "high 'inf' is not a number"),
        ("2026-11-02T00:01Z,10,12,9,,5", "close is empty"),
        ("2026-11-02T00:01Z,10,12,9,0x0B,5", "close '0x0B' is not a number"),
        ("2026-11-02T00:01Z,10,12,9,\u0661\u0661,5", "is not a number"),
        ("2026-11-02T00:01Z,10,12,9,1_0,5", "is not a number"),
        ('2026-11-02T00:01Z,10,"1,200.5",9,11,5', "separator of thousands"),
        ('2026-11-02T00:01Z,10,"1.200,5",9,11,5', "separator of thousands"),
        ("2026-11-02T00:01Z,10,1'200,9,11,5", "separator of thousands"),
        ("2026-11-02T00:01Z,10,1 200,9,11,5", "separator of thousands"),
        ("2026-11-02T00:01Z,10,1\u00a0200,9,11,5", "separator of thousands"),
        ('2026-11-02T00:01Z,"10,5",12,9,11,5', "decimal comma"),
        ("2026-11-02T00:00Z,10,12,9,11,5", "it is there twice: 2 is the candle of 2026-11-02T00:00:00Z too"),
        ("2026-11-01T00:00Z,10,12,9,11,5", "not in order"),
        ("2026-11-02T00:01Z,10,12,9,11", "it has 5 columns, and 6 are needed"),
        ("yesterday,10,12,9,11,5", "not an instant"),
        ("2026-12-24,10,12,9,11,5", "it is not over"),
        ("\ufeff2026-11-02T00:01Z,10,12,9,11,5", "byte order mark in the middle"),
        ("2026-11-02T00:01Z,10,12,9,1\x001,5", "control character"),
        ('2026-11-02T00:01Z,10,"12"3,9,11,5', "no line of CSV"),
    ],
)
def test_a_line_that_is_no_candle_is_refused_by_its_number_and_the_others_are_not(read, line, phrase):
    candles, refused = read(f"{HEAD}{GOOD}{line}\n2026-11-02T00:05Z,10,12,9,11,5\n")

    assert [3] == [number for number, _ in refused]
    assert phrase in refused[0][1]
    assert {parse_instant("2026-11-02"), parse_instant("2026-11-02T00:05Z")} <= {
        one.open_ns for one in candles
    }


def test_a_line_in_another_encoding_is_refused_by_its_number(read):
    _, [(line, why)] = read(f"{HEAD}{GOOD}".encode() + "2026-11-02T00:01Z,10,12,9,11,5€\n".encode("cp1252"))

    assert (3, True) == (line, "not UTF-8" in why)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_file_in_another_encoding_is_refused(read, encoding):
    mark = b"" if encoding == "utf-16" else b"\xfe\xff"

    with pytest.raises(ConfigError, match="encoded as UTF-16; save it as UTF-8"):
        read(mark + (HEAD + GOOD).encode(encoding))


@pytest.mark.parametrize(
    ("head", "layout", "phrase"),
    [
        ("time,open,high,low,close,volume", {}, "which column is open_time.*--column open_time=NAME"),
        (HEAD.strip(), {"columns": {"open": "o"}}, "--column open=o: there is no such column"),
        ("open_time,open,open,high,low,close,volume", {"columns": {"open": "open"}}, "more than one such"),
        (HEAD.strip(), {"columns": {"opne": "open"}}, "--column opne: there is no such field"),
        (HEAD.strip(), {"delimiter": ";;"}, "--delimiter"),
        (HEAD.strip(), {"zone": "Berlin"}, "no time zone 'Berlin'"),
        ("", {}, "it is empty"),
    ],
)
def test_a_file_of_which_nobody_knows_what_is_what_is_refused(read, head, layout, phrase):
    with pytest.raises(ConfigError, match=phrase):
        read(head, **layout)


@given(st.binary(max_size=300))
def test_whatever_a_file_holds_it_is_candles_or_refused_lines(tmp_path_factory, junk):
    path = tmp_path_factory.getbasetemp() / "junk.csv"
    path.write_bytes(HEAD.encode() + junk)

    found = examine([CsvFile(path, Layout(series=BTC), support_of, now_ns=NOW_NS)], support_of)

    assert found.refused + sum(found.rows.values()) <= 1 + sum(junk.count(end) for end in (b"\n", b"\r"))


# --------------------------------------------------------------------------------------- into a store


def into(store, path, series=BTC, support=support_of):
    file = CsvFile(path, Layout(series=series), support, now_ns=NOW_NS)
    return take(store, [file], support)


def test_what_lies_between_two_lines_lacks_and_is_not_empty(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text(f"{HEAD}{GOOD}2026-11-02T00:05Z,10,12,9,11,5\n")

    async def take_it():
        store = await stocked()
        await into(store, path)
        return await all_of(store), await store.load(BTC)

    rows, loaded = run(take_it())
    first = parse_instant("2026-11-02")

    assert (Hole(first + MINUTE_NS, first + 5 * MINUTE_NS),) == loaded.state.holes
    assert (first, first + 6 * MINUTE_NS) == (loaded.state.origin_ns, loaded.state.frontier_ns)
    assert [(Evidence.IMPORTED, Rung.IMPORT, True)] * 2 == [
        (row.evidence, row.route, row.healed) for row in rows
    ]


def test_where_nobody_knows_the_grid_what_lacks_is_unknown(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text(f"{HEAD}2026-11-02T14:30Z,10,12,9,11,5\n2026-11-04T14:30Z,10,12,9,11,5\n")

    async def take_it():
        store = await stocked()
        await into(store, path, DAILY, lambda _: OhlcvSupport())
        loaded = await store.load(DAILY)
        assert loaded is not None
        return loaded.state

    first = parse_instant("2026-11-02T14:30Z")
    [hole] = run(take_it()).holes
    assert (first + DAY_NS, first + 2 * DAY_NS, "unknown") == (hole.since_ns, hole.until_ns, hole.kind.value)


def test_what_any_venue_says_later_is_better(tmp_path):
    """The weakest evidence of a collector revises what a file said; a file revises nothing."""
    path = tmp_path / "other.csv"
    path.write_text(HEAD + GOOD)

    async def both():
        store = await stocked()
        await into(store, path)
        opens, other = parse_instant("2026-11-02"), Decimal("10.5")
        said = Candle(BTC.symbol, BTC.timeframe, opens, opens + MINUTE_NS, other, other, other, other, other)
        [state] = await store.states()
        await store.commit([change(state, said)])
        await into(store, path)
        return await all_of(store)

    [row] = run(both())

    assert ("10.5", 1, Evidence.SIBLING) == (str(row.close), row.revision, row.evidence)


def change(state, candle):
    return Change(state=state, closings=[Closing(candle, Evidence.SIBLING, Rung.STREAM)])

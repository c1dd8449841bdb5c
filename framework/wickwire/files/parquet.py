"""Parquet: one file for each series and month, which says of itself what it holds and that nobody changed it.

    DIRECTORY/series=kraken%3ABTC%2FUSD%401m/month=2026-11/candles.parquet

The columns are those of `wickwire.frames.arrow.SCHEMA`. Months are those of UTC, by open time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from wickwire.errors import ConfigError, UsageError
from wickwire.files.rows import BadRow, FileRow, Known
from wickwire.files.whole import whole_file
from wickwire.frames.arrow import SCHEMA, batch_of, candle_of, rows_in, schema_of
from wickwire.holes import within
from wickwire.instants import FIRST_NS, LAST_NS
from wickwire.lines import line_of
from wickwire.model import (
    Candle,
    Evidence,
    Hole,
    HoleKind,
    Rung,
    Series,
    SeriesCandle,
    Timeframe,
    Utc,
    iso,
    parse_instant,
)
from wickwire.pages import stored_candles
from wickwire.store import SeriesState, Store

__all__ = ["MONTH", "ParquetMonth", "Written", "files_in", "files_of", "write_months"]

MONTH: Final = Timeframe.parse("1mo")
_ROWS: Final = 20_000
"""Of a group of rows in a file, which is what is held in memory."""
_FILE: Final = "candles.parquet"


@attrs.frozen(kw_only=True)
class Written:
    """What became of one series.

    Attributes:
        series: Which one.
        candles: How many were written.
        files: Into how many files.
        kept: Files that held the same already.
    """

    series: Series
    candles: int
    files: int
    kept: int


# ------------------------------------------------------------------------------------------------ where


def _directory(series: Series) -> str:
    """Return the name of the directory of *series*, percent-encoded as readers of such trees expect it.

    Lower-case letters of a symbol are encoded too: some file systems do not tell them from upper-case ones.
    """
    symbol = re.sub(r"[^A-Z0-9_.-]", lambda found: f"%{ord(found[0]):02X}", series.symbol)
    return f"series={series.scope}%3A{symbol}%40{series.what}"


def _path(folder: Path, series: Series, month_ns: int) -> Path:
    return folder / _directory(series) / f"month={iso(month_ns)[:7]}" / _FILE


def files_of(folder: Path, series: Series, since_ns: int, until_ns: int) -> Sequence[Path]:
    """Return the files in *folder* of the months of *series* that share an instant with a range."""
    found = sorted((folder / _directory(series)).glob(f"month=*/{_FILE}"))
    bounds = {path: parse_instant(f"{path.parent.name.removeprefix('month=')}-01") for path in found}
    return [
        path
        for path, month_ns in bounds.items()
        if month_ns < until_ns and since_ns < MONTH.close_of(month_ns, Utc())
    ]


def files_in(path: Path) -> Sequence[Path]:
    """Return *path*, or the Parquet files below it where it is a directory, in order.

    Raises:
        ConfigError: There is none.
    """
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.rglob("*.parquet") if not one.name.startswith("."))
    if not found:
        raise ConfigError(f"{path}: there is no Parquet file in this directory")
    return found


# -------------------------------------------------------------------------------------------------- out


async def write_months(
    store: Store, state: SeriesState, folder: Path, since_ns: int, until_ns: int, *, resume: bool
) -> Written:
    """Write what *store* holds of a series, each month whole that shares an instant with a range.

    Args:
        store: An open store.
        state: What it knows of the series.
        folder: Made where it is not there.
        since_ns: Beginning of the range.
        until_ns: Its end.
        resume: Keep files that hold what would be written; otherwise all are written anew.

    Raises:
        ConfigError: A file cannot be written; those that were written stay.
    """
    world = await store.world()
    candles = files = kept = 0
    async for month_ns in _months(store, state.series, since_ns, until_ns):
        path = _path(folder, state.series, month_ns)
        described = _described(state, world, month_ns)
        if resume and path.exists():
            digest = await _digest(store, state.series, described, month_ns)
            if digest == _said_by(path).get("digest"):
                kept += 1
                continue
        candles += await _write(store, state.series, described, month_ns, path)
        files += 1
    return Written(series=state.series, candles=candles, files=files, kept=kept)


async def _months(store: Store, series: Series, since_ns: int, until_ns: int) -> AsyncIterator[int]:
    """Yield when each month opens of which there are candles."""
    month_ns = MONTH.open_at(since_ns, Utc())
    while first := await store.candles(series, max(month_ns, FIRST_NS), LAST_NS, limit=1):
        month_ns = MONTH.open_at(first[0].open_ns, Utc())
        if month_ns >= until_ns:
            return
        yield month_ns
        month_ns = MONTH.close_of(month_ns, Utc())


def _pages(store: Store, series: Series, month_ns: int) -> AsyncIterator[Sequence[SeriesCandle]]:
    bounds = max(month_ns, FIRST_NS), min(MONTH.close_of(month_ns, Utc()), LAST_NS)
    return stored_candles(store, series, *bounds, rows=_ROWS)


def _described(state: SeriesState, world: str, month_ns: int) -> Mapping[str, str]:
    """Return what a file says of itself, but for its digest."""
    since_ns = max(state.origin_ns, month_ns)
    until_ns = min(state.frontier_ns, MONTH.close_of(month_ns, Utc()))
    holes = within(state.holes, since_ns, until_ns)
    known = {
        "since": iso(since_ns),
        "until": iso(until_ns),
        "holes": [
            {"since": iso(one.since_ns), "until": iso(one.until_ns), "kind": one.kind.value} for one in holes
        ],
    }
    return {
        "series": str(state.series),
        "world": world,
        "known": msgspec.json.encode(known).decode(),
        "version": version("wickwire"),
    }


async def _digest(store: Store, series: Series, described: Mapping[str, str], month_ns: int) -> str:
    digest = _Digest(described)
    async for page in _pages(store, series, month_ns):
        digest.add(page)
    return digest.text


async def _write(
    store: Store, series: Series, described: Mapping[str, str], month_ns: int, path: Path
) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"output {str(path.parent)!r}: cannot be made: {exc.strerror}") from exc
    digest, rows = _Digest(described), 0
    with whole_file(path) as made, pq.ParquetWriter(made, schema_of(series), compression="zstd") as out:
        async for page in _pages(store, series, month_ns):
            out.write_batch(batch_of(series, [line_of(candle) for candle in page]))
            digest.add(page)
            rows += len(page)
        said = {**described, "digest": digest.text}
        out.add_key_value_metadata({f"wickwire.{name}": text for name, text in said.items()})
    return rows


class _Digest:
    """The SHA-256 of what a file holds and says: who changes it without wickwire changes that."""

    def __init__(self, described: Mapping[str, str]) -> None:
        said = [described.get(name, "") for name in ("series", "world", "known")]
        self._sum = hashlib.sha256("\n".join(said).encode())

    def add(self, candles: Sequence[SeriesCandle]) -> None:
        for one in candles:
            numbers = f"{one.open} {one.high} {one.low} {one.close} {one.volume} {one.trade_count} {one.vwap}"
            how = f"{one.evidence} {one.revision} {one.healed} {one.route} {one.seq}"
            self._sum.update(f"\n{one.open_ns} {one.close_ns} {numbers} {how}".encode())

    @property
    def text(self) -> str:
        return self._sum.hexdigest()


# --------------------------------------------------------------------------------------------------- in


class _SaidHole(msgspec.Struct):
    since: str
    until: str
    kind: str


class _SaidKnown(msgspec.Struct):
    since: str
    until: str
    holes: list[_SaidHole]


class ParquetMonth:
    """A file that `write_months` wrote, or that somebody made of one.

    What nobody changed keeps its evidence and its route, and tells what is known between its candles. In a
    file that somebody changed candles count as imported, and nothing is known between them.
    """

    def __init__(self, path: Path) -> None:
        """Read what it says of itself.

        Raises:
            ConfigError: It cannot be read, is no Parquet, or lacks a column that is needed.
        """
        self._path = path
        self._said = _said_by(path)
        self._is_unchanged = False
        try:
            self._series = Series.parse(self._said["series"])
        except (KeyError, UsageError) as exc:
            raise ConfigError(
                f"{path}: it does not say of which series it is, so `wickwire export` did not write it; "
                "bring it in as CSV with --column"
            ) from exc
        self._check_columns()

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    @property
    def series(self) -> Series:
        """Whose candles it holds."""
        return self._series

    @property
    def world(self) -> str | None:
        """Of which world they are."""
        return self._said.get("world") or None

    @property
    def is_unchanged(self) -> bool:
        """Whether it holds what wickwire wrote; known after `rows` was read to its end."""
        return self._is_unchanged

    def rows(self) -> Iterator[FileRow | BadRow]:
        """Yield its candles; evidence and route as they are there once it is known that nobody changed it."""
        digest, is_readable = _Digest(self._said), True
        number = 0
        with pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(batch_size=_ROWS, columns=SCHEMA.names):
                for said in rows_in(batch):
                    number += 1
                    try:
                        candle = candle_of(self._series, said)
                    except ValueError as exc:
                        is_readable = False
                        yield BadRow(number, str(exc))
                        continue
                    digest.add([candle])
                    yield self._row(number, candle)
        self._is_unchanged = is_readable and digest.text == self._said.get("digest")

    def known(self) -> Sequence[Known]:
        """Return what was known between its candles, where nobody changed it."""
        if not self._is_unchanged:
            return ()
        said = msgspec.json.decode(self._said["known"], type=_SaidKnown)
        holes = tuple(
            Hole(parse_instant(one.since), parse_instant(one.until), HoleKind(one.kind)) for one in said.holes
        )
        return (
            Known(
                series=self._series,
                since_ns=parse_instant(said.since),
                until_ns=parse_instant(said.until),
                holes=holes,
            ),
        )

    def _row(self, number: int, one: SeriesCandle) -> FileRow:
        candle = Candle(
            self._series.symbol,
            self._series.timeframe,
            one.open_ns,
            one.close_ns,
            one.open,
            one.high,
            one.low,
            one.close,
            one.volume,
            one.trade_count,
            one.vwap,
        )
        if self._is_unchanged and one.evidence is not None:
            return FileRow(number, self._series, candle, one.evidence, one.route)
        return FileRow(number, self._series, candle, Evidence.IMPORTED, Rung.IMPORT)

    def _check_columns(self) -> None:
        held = pq.read_schema(self._path)
        for field in SCHEMA:
            place = held.get_field_index(field.name)
            if place < 0:
                raise ConfigError(f"{self._path}: it has no column {field.name!r}")
            if not _is_as_exact(held.field(place).type, field.type):
                raise ConfigError(
                    f"{self._path}: the column {field.name!r} is {held.field(place).type}, and wickwire "
                    f"writes {field.type}: some digits may be lost; export it again"
                )


def _is_as_exact(held: pa.DataType, ours: pa.DataType) -> bool:
    """Say whether a column of type *held* keeps what one of *ours* does; pandas writes narrower decimals."""
    if pa.types.is_null(held):
        return True
    if pa.types.is_decimal(ours):
        return bool(pa.types.is_decimal(held) and held.scale == ours.scale)
    if pa.types.is_string(ours):
        return bool(pa.types.is_string(held) or pa.types.is_large_string(held))
    return bool(held == ours)


def _said_by(path: Path) -> dict[str, str]:
    """Return what a file says of itself."""
    try:
        metadata: dict[bytes, bytes] | Any = pq.read_metadata(path).metadata or {}
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except pa.ArrowInvalid as exc:
        raise ConfigError(f"{path}: it is no whole Parquet file: {exc}") from exc
    return {
        name.decode().removeprefix("wickwire."): text.decode()
        for name, text in metadata.items()
        if name.startswith(b"wickwire.")
    }

"""CSV: what `wickwire export` writes, and what others do, once somebody says which column is what."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from wickwire.description import OhlcvSupport
from wickwire.errors import ConfigError, UsageError
from wickwire.files.rows import BadRow, FileRow, Known
from wickwire.instants import ns_of
from wickwire.model import Candle, Feed, Grid, Series, iso, parse_instant

__all__ = ["COLUMNS", "FIELDS", "TIME_UNITS", "CsvFile", "Layout", "is_exported"]

COLUMNS: Final = (
    "series",
    "open_time",
    "close_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "trade_count",
    "vwap",
    "state",
    "evidence",
    "revision",
    "healed",
    "route",
)
"""What `wickwire export` writes: the fields of a candle in JSON, in that order."""

NEEDED: Final = ("open_time", "open", "high", "low", "close", "volume")
FIELDS: Final = (*NEEDED, "close_time", "trade_count", "vwap")
"""What a column may be taken for; the first six are needed."""

TIME_UNITS: Final = {"iso": 0, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""How times are written, and how many nanoseconds one of them lasts."""

_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,60}(?:\.\d{0,60})?|\.\d{1,60})(?:[eE][+-]?\d{1,2})?", re.ASCII)
_COUNT: Final = re.compile(r"\d{1,19}(?:\.0{1,6})?", re.ASCII)
_GROUPED: Final = re.compile(
    r"[+-]?\d{1,3}(?:[,'_\u00a0\u202f ]\d{3})+(?:\.\d*)?|[+-]?\d{1,3}(?:\.\d{3})+,\d*|\d+,\d+"
)
_LOCAL: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?", re.ASCII)
_MARK: Final = "\ufeff"
_OTHER_MARKS: Final = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_NEGLIGIBLE: Final = ("", "null", "None", "NULL")


@attrs.frozen(kw_only=True)
class Layout:
    """How a file of somebody else is to be read.

    Attributes:
        series: Whose candles it holds.
        columns: Field to the column that holds it: its name in the header, or, without one, its number.
        has_header: The first line names the columns.
        delimiter: What stands between two columns.
        time_unit: One of `TIME_UNITS`.
        zone: The zone of times that are written without one.
    """

    series: Series
    columns: Mapping[str, str] = attrs.field(factory=dict)
    has_header: bool = True
    delimiter: str = ","
    time_unit: str = "iso"
    zone: str = "UTC"

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for field in self.columns:
            if field not in FIELDS:
                raise ConfigError(f"--column {field}: there is no such field; there are {', '.join(FIELDS)}")
        if len(self.delimiter) != 1:
            raise ConfigError(f"--delimiter: it has to be one character, got {self.delimiter!r}")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise ConfigError(
                f"--timezone: there is no time zone {self.zone!r}; write Europe/Berlin or the like"
            ) from exc


def is_exported(path: Path) -> bool:
    """Say whether the first line of a file is that of `wickwire export`.

    Raises:
        ConfigError: It cannot be read.
    """
    _check_encoding(path)
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return {*COLUMNS[:8]} <= {*file.readline(1_000).rstrip("\r\n").split(",")}


class CsvFile:
    """One file of candles as text, in UTF-8, with or without a byte order mark, lines ended by LF or CR LF.

    Whoever wrote it, its candles count as imported: text tells nothing of what became of it since.
    """

    world: str | None = None

    def __init__(
        self,
        path: Path,
        layout: Layout | None,
        support_of: Callable[[Series], OhlcvSupport],
        *,
        now_ns: int,
        only: Sequence[Series] = (),
    ) -> None:
        """Read the header.

        Args:
            path: The file.
            layout: How to read it; None for what `wickwire export` wrote.
            support_of: Tells where the buckets of a series end, where the file does not.
            now_ns: Now: a candle that is not over by then is none.
            only: Of what `wickwire export` wrote, nothing but these series; all where none is named.

        Raises:
            ConfigError: It cannot be read, or lacks a column that is needed.
        """
        self._path = path
        self._layout = layout
        self._support_of = support_of
        self._now_ns = now_ns
        self._only = frozenset(only)
        self._places = self._find_columns()

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    def known(self) -> Sequence[Known]:
        """Return nothing: text does not tell what is known between its lines."""
        return ()

    def rows(self) -> Iterator[FileRow | BadRow]:
        """Yield its candles, by line."""
        lines = self._lines()
        if self._layout is None or self._layout.has_header:
            next(lines)
        for number, cells in lines:
            if isinstance(cells, str):
                yield BadRow(number, cells)
            elif cells:  # an empty line says nothing
                try:
                    row = self._row(number, cells)
                except ValueError as exc:
                    yield BadRow(number, str(exc))
                else:
                    if row is not None:
                        yield row

    # ------------------------------------------------------------------------------------------- lines

    def _lines(self) -> Iterator[tuple[int, list[str] | str]]:
        """Yield the number of each line and its cells, or why it has none."""
        delimiter = "," if self._layout is None else self._layout.delimiter
        try:
            # what is no UTF-8 is found line by line, so that it can be named
            with self._path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
                if file.read(1) != _MARK:
                    file.seek(0)
                reader = csv.reader(file, delimiter=delimiter, strict=True)
                while True:
                    number = reader.line_num + 1
                    try:
                        cells: list[str] | str = next(reader)
                    except StopIteration:
                        return
                    except csv.Error as exc:
                        cells = f"no line of CSV: {exc}"
                    yield number, cells
        except OSError as exc:
            raise ConfigError(f"{self._path}: cannot be read: {exc.strerror or exc}") from exc

    def _find_columns(self) -> Mapping[str, int]:
        """Return where each field stands."""
        _check_encoding(self._path)
        _, first = next(self._lines(), (1, ""))
        if isinstance(first, str):
            raise ConfigError(f"{self._path}: {first or 'it is empty'}")
        layout = self._layout
        if layout is None:
            if not {*COLUMNS[:8]} <= {*first}:
                raise ConfigError(
                    f"{self._path}: its first line is not that of `wickwire export`; name the series, and "
                    "with --column which column is what"
                )
            return {name: first.index(name) for name in COLUMNS if name in first}
        names = first if layout.has_header else [str(place + 1) for place in range(len(first))]
        places: dict[str, int] = {field: names.index(field) for field in FIELDS if field in names}
        for field, column in layout.columns.items():
            if names.count(column) != 1:
                there = "no" if column not in names else "more than one"
                raise ConfigError(
                    f"{self._path}: --column {field}={column}: there is {there} such column; there are "
                    f"{', '.join(names)}"
                )
            places[field] = names.index(column)
        for field in NEEDED:
            if field not in places:
                raise ConfigError(
                    f"{self._path}: which column is {field}? Say --column {field}=NAME; there are "
                    f"{', '.join(names)}"
                )
        return places

    # --------------------------------------------------------------------------------------------- rows

    def _row(self, number: int, cells: Sequence[str]) -> FileRow | None:
        """Return the candle of a line; None where nobody asked for it.

        Raises:
            ValueError: It is none; the text says why.
        """
        said = self._said(cells)
        layout = self._layout
        if layout is None:
            series, unit, zone = _series(said["series"]), 0, "UTC"
            if self._only and series not in self._only:
                return None
        else:
            series, unit, zone = layout.series, TIME_UNITS[layout.time_unit], layout.zone
        open_ns = _instant(said["open_time"], unit, zone)
        ends, count, vwap = (said.get(name, "") for name in ("close_time", "trade_count", "vwap"))
        close_ns = _instant(ends, unit, zone) if ends else self._end(series, open_ns)
        if layout is not None and close_ns > self._now_ns:
            raise ValueError(f"it is not over: it ends at {iso(close_ns)}")
        candle = Candle(
            series.symbol,
            series.timeframe,
            open_ns,
            close_ns,
            _number("open", said["open"]),
            _number("high", said["high"]),
            _number("low", said["low"]),
            _number("close", said["close"]),
            _number("volume", said["volume"]),
            None if count in _NEGLIGIBLE else _count(count),
            None if vwap in _NEGLIGIBLE else _number("vwap", vwap),
        )
        return FileRow(number, series, candle)

    def _said(self, cells: Sequence[str]) -> Mapping[str, str]:
        last = max(self._places.values())
        if len(cells) <= last:
            raise ValueError(f"it has {len(cells)} columns, and {last + 1} are needed")
        for cell in cells:
            if not cell.isprintable():
                _explain(cell)
        return {field: cells[place].strip() for field, place in self._places.items()}

    def _end(self, series: Series, open_ns: int) -> int:
        grid: Grid = self._support_of(series).grid
        return series.timeframe.close_of(open_ns, grid)


def _check_encoding(path: Path) -> None:
    try:
        with path.open("rb") as file:
            mark = file.read(2)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    if mark in _OTHER_MARKS:
        raise ConfigError(f"{path}: it is encoded as {_OTHER_MARKS[mark]}; save it as UTF-8")


def _explain(cell: str) -> None:
    """Refuse a cell that holds what no number and no name holds."""
    if any("\udc80" <= character <= "\udcff" for character in cell):
        raise ValueError(f"not UTF-8: {cell.encode(errors='surrogateescape')!r:.60}")
    if _MARK in cell:
        raise ValueError("a byte order mark in the middle of the file; were two files joined?")
    if "\u00a0" not in cell and "\u202f" not in cell:
        raise ValueError(f"a control character in {cell!r:.60}")


def _series(text: str) -> Series:
    try:
        series = Series.parse(text)
    except UsageError as exc:
        raise ValueError(str(exc)) from exc
    if isinstance(series.what, Feed):
        raise ValueError(f"{series} has no candles")  # noqa: TRY004 - a text with the wrong value
    return series


def _number(field: str, text: str) -> Decimal:
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    if _GROUPED.fullmatch(text):
        raise ValueError(f"{field} {text!r} has a separator of thousands or a decimal comma; write 1234.5")
    if not text:
        raise ValueError(f"{field} is empty")
    raise ValueError(f"{field} {text!r:.60} is not a number")


def _count(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise ValueError(f"trade_count {text!r:.60} is not a whole number")
    return int(text.partition(".")[0])


def _instant(text: str, unit_ns: int, zone: str) -> int:
    if unit_ns:
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"time {text!r:.60} is not a number")
        ns = Decimal(text) * unit_ns
        if ns != int(ns):
            raise ValueError(f"time {text!r:.60} has more digits than nanoseconds")
        return int(ns)
    local = _LOCAL.fullmatch(text)
    if zone == "UTC" or local is None:
        try:
            return parse_instant(text)
        except UsageError as exc:
            raise ValueError(str(exc)) from exc
    return _in_zone(datetime.fromisoformat(text), zone)


def _in_zone(naive: datetime, zone: str) -> int:
    """Return when a clock of *zone* shows *naive*.

    Raises:
        ValueError: Never, or twice.
    """
    tz = ZoneInfo(zone)
    first, second = (naive.replace(tzinfo=tz, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        is_skipped = first.astimezone(UTC).astimezone(tz).replace(tzinfo=None) != naive
        what = "there is no such time" if is_skipped else "there are two such times"
        raise ValueError(f"{naive} in {zone}: {what}, as clocks are changed then; write times in UTC")
    return ns_of(first)

"""`import`: candles from files into a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from wickwire.cli.door import ExitCode, loud_options, printable
from wickwire.cli.lines import echo_json
from wickwire.cli.options import SERIES, config_option, json_option, store_option
from wickwire.cli.settings import Settings, read_settings
from wickwire.clock import SystemClock
from wickwire.description import Account, OhlcvSupport
from wickwire.errors import ConfigError, UsageError, WickwireError
from wickwire.files.comma import FIELDS, TIME_UNITS, CsvFile, Layout, is_exported
from wickwire.files.importing import Examined, Imported, Supports, examine, take
from wickwire.files.rows import RowSource
from wickwire.frames.packages import brought_by
from wickwire.model import Feed, Series
from wickwire.store import REAL

__all__ = ["import_", "imported_json"]

_SHOWN = 20


@click.command("import")
@click.option(
    "--series",
    type=SERIES,
    multiple=True,
    help="Whose candles a CSV of somebody else holds; else only these.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=NAME",
    help=f"Which column is what, by name, or by number without a header: {', '.join(FIELDS)}.",
)
@click.option(
    "--time-unit",
    type=click.Choice([*TIME_UNITS]),
    default="iso",
    show_default=True,
    help="How times are written: ISO 8601, or counted since 1970.",
)
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Of times that name none.")
@click.option("--delimiter", default=",", show_default=True, help="Between two columns.")
@click.option("--no-header", is_flag=True, help="The first line is a candle.")
@click.option("--seed", type=int, metavar="N", help="The candles are those of simulated venues of that seed.")
@click.option("--skip-bad", is_flag=True, help="Leave out rows that are no candles; name and count them.")
@store_option
@config_option
@json_option
@loud_options
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILE..."
)
def import_(
    files: tuple[Path, ...],
    series: tuple[Series, ...],
    columns: tuple[str, ...],
    time_unit: str,
    timezone: str,
    delimiter: str,
    no_header: bool,
    seed: int | None,
    skip_bad: bool,
    store: str | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Bring candles from files into a store.

    Takes Parquet and CSV that `wickwire export` wrote, and CSV of others, for which --series says whose
    candles they are, and --column which column is what.

    All is looked at first. Where a row is no candle, nothing is stored, and the exit status is 1. It may be
    repeated: what is there already stays.
    """
    settings = read_settings(config_file)
    support_of = supports(settings)
    named = [_as_stored(settings, one) for one in series]

    def layout() -> Layout:
        return Layout(
            series=_the_one(named),
            columns=dict(_field_and_column(text) for text in columns),
            has_header=not no_header,
            delimiter=delimiter,
            time_unit=time_unit,
            zone=timezone,
        )

    is_told = bool(columns or no_header) or (time_unit, timezone, delimiter) != ("iso", "UTC", ",")
    sources = _sources(files, named, layout, support_of, is_told=is_told)
    world = _world_of(sources, seed)
    found = examine(sources, support_of)
    _name_refused(found, skip_bad=skip_bad)
    is_refused = found.refused > 0 and not skip_bad
    done: Sequence[Imported] = ()
    if found.rows and not is_refused:
        done = asyncio.run(_take(settings, store, sources, support_of, world))
    if as_json:
        echo_json(imported_json(done, found), indent=2)
    for one in () if as_json else done:
        click.echo(f"{one.series}: {one.rows} candles, {one.added} new, {one.revised} revised")
    if not (found.rows or found.refused):
        click.echo("nothing was stored: these files hold no candle that was asked for", err=True)
    return ExitCode.FAILED if is_refused else ExitCode.DONE


def imported_json(done: Sequence[Imported], found: Examined) -> dict[str, Any]:
    """Return what `import --json` says: a contract, see docs/cli.md."""
    return {
        "imported": [
            {"series": str(one.series), "rows": one.rows, "added": one.added, "revised": one.revised}
            for one in done
        ],
        "refused": found.refused,
        "refusals": [{"file": one.source, "line": one.number, "why": one.why} for one in found.refusals],
    }


def supports(settings: Settings) -> Supports:
    """Return a function that says what is known of a series: nothing, where its venue is not installed."""
    known: dict[Series, OhlcvSupport] = {}

    def support_of(series: Series) -> OhlcvSupport:
        if series not in known:
            try:
                adapter = settings.registry.load(series.venue)
                account = Account(feed=series.variant)
                known[series] = adapter.support_for(series.symbol, series.timeframe, account)
            except WickwireError:  # what it holds can be kept without the adapter of its venue
                known[series] = OhlcvSupport()
        return known[series]

    return support_of


async def _take(
    settings: Settings, url: str | None, sources: Sequence[RowSource], support_of: Supports, world: str
) -> Sequence[Imported]:
    store = settings.registry.open_store(settings.store_url(url))
    await store.open()
    try:
        await store.claim(world)
        return await take(store, sources, support_of)
    finally:
        await store.aclose()


def _sources(
    files: Sequence[Path],
    named: Sequence[Series],
    layout: Callable[[], Layout],
    support_of: Supports,
    *,
    is_told: bool,
) -> Sequence[RowSource]:
    """Return what is to be read: CSV is ours by its first line, unless options say how it is laid out."""
    now_ns = SystemClock().now_ns()
    sources: list[RowSource] = []
    for path in files:
        if path.is_dir() or path.suffix == ".parquet":
            sources += _parquet(path, named)
            continue
        how = layout() if is_told or not is_exported(path) else None
        sources.append(CsvFile(path, how, support_of, now_ns=now_ns, only=named))
    return sources


def _parquet(path: Path, only: Sequence[Series]) -> Sequence[RowSource]:
    with brought_by("parquet", "Parquet"):
        from wickwire.files.parquet import ParquetMonth, files_in
    found = [ParquetMonth(one) for one in files_in(path)]
    return [one for one in found if not only or one.series in only]


def _as_stored(settings: Settings, series: Series) -> Series:
    """Return *series* as stores spell it.

    Raises:
        UsageError: It has no candles.
    """
    if isinstance(series.what, Feed):
        raise UsageError(f"{series} has no candles; name a timeframe")
    try:
        symbol = settings.registry.load(series.venue).canonical(series.symbol)
    except WickwireError:  # as for `supports`
        return series
    return Series(series.venue, symbol, series.what, series.variant)


def _the_one(named: Sequence[Series]) -> Series:
    if len(named) != 1:
        raise UsageError("a CSV that wickwire did not write holds one series: name it with --series")
    return named[0]


def _field_and_column(text: str) -> tuple[str, str]:
    field, equals, column = text.partition("=")
    if not (field and equals and column):
        raise UsageError(f"--column {text!r}: write FIELD=NAME, such as open_time=Date")
    return field, column


def _world_of(sources: Sequence[RowSource], seed: int | None) -> str:
    """Return whose candles the files hold.

    Raises:
        ConfigError: They are not of one world.
    """
    from wickwire.cli.worlds import simulated_world

    told = None if seed is None else simulated_world(seed)
    worlds = dict.fromkeys(source.world or told or REAL for source in sources)
    if told is not None:
        worlds[told] = None
    if len(worlds) > 1:
        raise ConfigError(f"import: candles of {' and of '.join(worlds)} do not go together")
    return next(iter(worlds), REAL)


def _name_refused(found: Examined, *, skip_bad: bool) -> None:
    for one in found.refusals[:_SHOWN]:
        click.echo(printable(str(one)), err=True)
    if found.refused > _SHOWN:
        click.echo(f"and {found.refused - _SHOWN} more", err=True)
    if found.refused:
        good = sum(found.rows.values())
        told = "left out" if skip_bad else f"nothing was stored; --skip-bad brings in the other {good}"
        click.echo(f"{found.refused} rows are no candles: {told}", err=True)

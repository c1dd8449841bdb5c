"""`export`: stored candles as CSV or Parquet."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from wickwire.cli.lines import candle_json
from wickwire.cli.options import Moment, config_option, range_ns, range_options, series_argument, store_option
from wickwire.cli.settings import read_settings
from wickwire.cli.stored import known_until, reading, states_of
from wickwire.clock import SystemClock
from wickwire.errors import ConfigError, UsageError
from wickwire.files.comma import COLUMNS
from wickwire.files.whole import whole_file
from wickwire.frames.packages import brought_by
from wickwire.instants import FIRST_NS, LAST_NS
from wickwire.model import Series, SeriesCandle
from wickwire.pages import stored_candles
from wickwire.store import SeriesState, Store

__all__ = ["export", "write_csv"]


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
    help="Of the output.",
)
@range_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A file, written whole or not at all; for Parquet a directory, of such files.",
)
@click.option("--resume", is_flag=True, help="Parquet: keep the files that hold what is stored already.")
@click.option("--overwrite", is_flag=True, help="Parquet: write files anew that are there already.")
@store_option
@config_option
@series_argument
def export(
    series: tuple[Series, ...],
    form: str,
    since: Moment | None,
    until: Moment | None,
    output: Path | None,
    resume: bool,
    overwrite: bool,
    store: str | None,
    config_file: str | None,
) -> None:
    """Write stored candles as CSV or Parquet.

    Where no series is written: those of the config, else all that the store holds. Numbers keep the digits
    that the venue sent, times their nanoseconds.

    CSV goes to stdout without -o. Parquet is one file for each series and month, each of them whole, also
    where --since or --until lies within it.
    """
    _check_usage(form, output, resume=resume, overwrite=overwrite)
    settings = read_settings(config_file)
    now_ns = SystemClock().now_ns()

    async def write() -> None:
        async with reading(settings, store) as opened:
            states = await states_of(settings, opened, series)
            since_ns, until_ns = range_ns(since, until, now_ns, end_ns=known_until(states))
            first_ns = FIRST_NS if since_ns is None else since_ns
            end_ns = LAST_NS if until_ns is None else until_ns
            if form == "parquet":
                assert output is not None
                await _write_parquet(
                    opened, states, output, first_ns, end_ns, resume=resume, overwrite=overwrite
                )
                return
            with sink(output) as out:
                await write_csv(opened, states, first_ns, end_ns, out)

    asyncio.run(write())


def _check_usage(form: str, output: Path | None, *, resume: bool, overwrite: bool) -> None:
    if form == "csv":
        if resume or overwrite:
            raise UsageError("--resume and --overwrite are for --format parquet; a file of CSV is replaced")
        if output is not None and output.is_dir():
            raise ConfigError(f"output {str(output)!r}: it is a directory; name a file")
        return
    if output is None:
        raise UsageError("--format parquet writes a directory; name it with -o")
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output {str(output)!r}: it is a file; name a directory")
    if resume and overwrite:
        raise UsageError("--resume keeps files, and --overwrite writes them anew: choose one of them")


async def write_csv(
    store: Store, states: Sequence[SeriesState], since_ns: int, until_ns: int, out: TextIO
) -> None:
    """Write what *store* holds of some series as CSV, one after the other, a page in memory at a time."""
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for state in states:
        async for page in stored_candles(store, state.series, since_ns, until_ns):
            rows.writerows([*_cells(candle)] for candle in page)


async def _write_parquet(
    store: Store,
    states: Sequence[SeriesState],
    folder: Path,
    since_ns: int,
    until_ns: int,
    *,
    resume: bool,
    overwrite: bool,
) -> None:
    with brought_by("parquet", "Parquet"):
        from wickwire.files.parquet import files_of, write_months
    if not (resume or overwrite):
        for state in states:
            for path in files_of(folder, state.series, since_ns, until_ns):
                raise ConfigError(
                    f"output {str(path)!r}: it is there, and nothing was written; --resume keeps what "
                    "holds the same and writes the rest, --overwrite writes all of it anew"
                )
    for state in states:
        done = await write_months(store, state, folder, since_ns, until_ns, resume=resume)
        kept = f"; {done.kept} kept" if done.kept else ""
        click.echo(f"{done.series}: {done.candles} candles in {done.files} files{kept}", err=True)


def _cells(candle: SeriesCandle) -> Iterator[object]:
    for value in candle_json(candle).values():
        yield str(value).lower() if isinstance(value, bool) else value


@contextmanager
def sink(path: Path | None) -> Iterator[TextIO]:
    """Open stdout, or a file that appears under its name only once it is whole.

    Raises:
        ConfigError: It cannot be written; what was there before is untouched.
    """
    if path is None:
        yield sys.stdout
        return
    with whole_file(path) as made, made.open("w", encoding="utf-8", newline="") as out:
        yield out

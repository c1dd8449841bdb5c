"""`export`: stored candles as CSV."""

from __future__ import annotations

import asyncio
import csv
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

import click

from wickwire.cli.lines import candle_json
from wickwire.cli.options import Moment, config_option, range_ns, range_options, series_argument, store_option
from wickwire.cli.settings import read_settings
from wickwire.cli.stored import known_until, reading, states_of, stored_candles
from wickwire.clock import SystemClock
from wickwire.errors import ConfigError
from wickwire.model import Series, SeriesCandle

__all__ = ["export"]

CSV_COLUMNS: Final = (
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
"""The fields of a candle in JSON, in that order."""
_FIRST_NS: Final = -(2**63)


@click.command()
@click.option(
    "--format", "form", type=click.Choice(["csv"]), default="csv", show_default=True, help="Of the output."
)
@range_options
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file, written whole or not at all.",
)
@store_option
@config_option
@series_argument
def export(
    series: tuple[Series, ...],
    form: str,
    since: Moment | None,
    until: Moment | None,
    output: Path | None,
    store: str | None,
    config_file: str | None,
) -> None:
    """Write stored candles as CSV.

    Where no series is written: those of the config, else all that the store holds. Numbers keep the digits
    that the venue sent; times are RFC 3339 in UTC. Without -o it goes to stdout.
    """
    assert form == "csv"
    settings = read_settings(config_file)
    now_ns = SystemClock().now_ns()

    async def write() -> None:
        async with reading(settings, store) as opened:
            states = await states_of(settings, opened, series)
            since_ns, until_ns = range_ns(since, until, now_ns, end_ns=known_until(states))
            first_ns = _FIRST_NS if since_ns is None else since_ns
            with sink(output) as out:
                rows = csv.writer(out, lineterminator="\n")
                rows.writerow(CSV_COLUMNS)
                for state in states:
                    async for page in stored_candles(opened, state.series, first_ns, until_ns):
                        rows.writerows([*_cells(candle)] for candle in page)

    asyncio.run(write())


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
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"output {str(path)!r}: there is no directory {str(path.parent)!r}; create it")
    try:
        descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as exc:
        raise ConfigError(f"output {str(path)!r}: cannot be made: {exc.strerror}") from exc
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.chmod(made, 0o666 & ~_umask())  # noqa: PTH101 - mkstemp returns text; its file is for its owner alone
        os.replace(made, path)  # noqa: PTH105 - the same
    except OSError as exc:
        raise ConfigError(f"output {str(path)!r}: cannot be written: {exc.strerror}") from exc
    finally:
        Path(made).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask

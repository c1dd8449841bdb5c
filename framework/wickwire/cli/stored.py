"""`gaps` and `export`: what is in a store. Both open it for reading only, also while somebody collects."""

from __future__ import annotations

import asyncio
import csv
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import attrs
import click

from wickwire.cli.door import ExitCode
from wickwire.cli.lines import candle_json, echo_json
from wickwire.cli.options import INSTANT, Moment, config_option, json_option, series_argument, store_option
from wickwire.cli.settings import Settings, read_settings
from wickwire.cli.tables import gaps_table, show
from wickwire.clock import SystemClock
from wickwire.errors import ConfigError, UsageError, WickwireError
from wickwire.model import Hole, HoleKind, Series, SeriesCandle, iso
from wickwire.store import SeriesState, Store

__all__ = ["Gaps", "export", "gaps", "gaps_json", "gaps_of", "reading", "stored_candles"]

PAGE_ROWS: Final = 5_000
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
_MOST_NAMED: Final = 20
_FIRST_NS: Final = -(2**63)
_LAST_NS: Final = 2**63 - 1
LACKING: Final = (HoleKind.MISSING, HoleKind.UNREACHABLE, HoleKind.UNKNOWN)
"""Kinds of holes that mean that something is not there; the others are proven to hold nothing."""


@attrs.frozen(kw_only=True)
class Gaps:
    """What a range of a series lacks.

    Attributes:
        series: Which series.
        since_ns: Beginning of the range that was looked at.
        until_ns: Its end.
        candles: Closed candles in it.
        duplicates: Candles that open when another one does.
        holes: In order.
    """

    series: Series
    since_ns: int
    until_ns: int
    candles: int
    duplicates: int
    holes: Sequence[Hole]

    @property
    def lacking(self) -> bool:
        """Whether something is not there that should be, or is there twice."""
        return self.duplicates > 0 or any(hole.kind in LACKING for hole in self.holes)


since_option = click.option(
    "--since", type=INSTANT, metavar="INSTANT", help="From when on; else from the first."
)
until_option = click.option(
    "--until", type=INSTANT, metavar="INSTANT", help="Until when; else until the last."
)


@click.command()
@since_option
@until_option
@store_option
@config_option
@json_option
@series_argument
def gaps(
    series: tuple[Series, ...],
    since: Moment | None,
    until: Moment | None,
    store: str | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Say what a store lacks.

    The exit status is 4 when something is missing. Buckets that the venue proved to be empty are no holes.
    """
    settings = read_settings(config_file)
    since_ns, until_ns = _range(since, until)

    async def look() -> list[Gaps]:
        async with reading(settings, store) as opened:
            states = [await state_of(settings, opened, one) for one in settings.wanted(series)]
            return [await gaps_of(opened, state, since_ns, until_ns) for state in states]

    found = asyncio.run(look())
    if as_json:
        echo_json([gaps_json(one) for one in found], indent=2)
    else:
        show(gaps_table(found))
    return ExitCode.HOLES if any(one.lacking for one in found) else ExitCode.DONE


def gaps_json(found: Gaps) -> dict[str, Any]:
    """Return what `gaps --json` says of a series: a contract, see docs/cli.md."""
    return {
        "series": str(found.series),
        "since": iso(found.since_ns),
        "until": iso(found.until_ns),
        "candles": found.candles,
        "duplicates": found.duplicates,
        "holes": [
            {"since": iso(hole.since_ns), "until": iso(hole.until_ns), "kind": hole.kind.value}
            for hole in found.holes
        ],
    }


@click.command()
@click.option(
    "--format", "form", type=click.Choice(["csv"]), default="csv", show_default=True, help="Of the output."
)
@since_option
@until_option
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

    Numbers keep the digits that the venue sent; times are RFC 3339 in UTC. Without -o it goes to stdout.
    """
    assert form == "csv"
    settings = read_settings(config_file)
    since_ns, until_ns = _range(since, until)

    async def write() -> None:
        async with reading(settings, store) as opened:
            states = [await state_of(settings, opened, one) for one in settings.wanted(series)]
            with sink(output) as out:
                rows = csv.writer(out, lineterminator="\n")
                rows.writerow(CSV_COLUMNS)
                for state in states:
                    async for page in stored_candles(
                        opened, state.series, _FIRST_NS if since_ns is None else since_ns, until_ns
                    ):
                        rows.writerows([*_cells(candle)] for candle in page)

    asyncio.run(write())


def _range(since: Moment | None, until: Moment | None) -> tuple[int | None, int | None]:
    now_ns = SystemClock().now_ns()
    return None if since is None else since.ns(now_ns), None if until is None else until.ns(now_ns)


@asynccontextmanager
async def reading(settings: Settings, url: str | None) -> AsyncIterator[Store]:
    """Open a store in a manner that changes nothing in it.

    Raises:
        ConfigError: The URL is wrong.
        StoreError: It is not there, or cannot be read.
    """
    store = settings.registry.open_store(_readonly(settings.store_url(url)))
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def _readonly(url: str) -> str:
    """Return *url* with the option that every store takes for reading only."""
    if url.startswith("memory:") or "mode=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}mode=ro"


async def state_of(settings: Settings, store: Store, series: Series) -> SeriesState:
    """Return what *store* knows of *series*, which may be spelled as the venue does.

    Raises:
        UsageError: It holds nothing of it.
    """
    loaded = await store.load(series)
    if loaded is None:
        try:
            symbol = settings.registry.load(series.venue).canonical(series.symbol)
        except WickwireError:  # what is stored can be read without the adapter that brought it
            symbol = series.symbol
        series = attrs.evolve(series, symbol=symbol)
        loaded = await store.load(series)
    if loaded is None:
        known = [str(state.series) for state in await store.states()]
        there = ", ".join(known[:_MOST_NAMED]) + (" and more" if len(known) > _MOST_NAMED else "")
        raise UsageError(f"{series}: nothing of it is in this store; it holds {there or 'nothing at all'}")
    return loaded.state


async def stored_candles(
    store: Store, series: Series, since_ns: int, until_ns: int | None
) -> AsyncIterator[Sequence[SeriesCandle]]:
    """Yield the candles that open in `[since_ns, until_ns)` in pages, oldest first."""
    end_ns = _LAST_NS if until_ns is None else until_ns
    while page := await store.candles(series, since_ns, end_ns, limit=PAGE_ROWS):
        yield page
        since_ns = page[-1].open_ns + 1


async def gaps_of(store: Store, state: SeriesState, since_ns: int | None, until_ns: int | None) -> Gaps:
    """Return what *store* lacks of a series; what was never asked for within the range is missing too."""
    since_ns = state.origin_ns if since_ns is None else since_ns
    until_ns = state.frontier_ns if until_ns is None else until_ns
    candles, opens = 0, set[int]()
    async for page in stored_candles(store, state.series, since_ns, until_ns):
        candles += len(page)
        opens.update(candle.open_ns for candle in page)
    holes = [*_never_asked(state, since_ns, until_ns), *state.holes]
    clipped = [
        attrs.evolve(hole, since_ns=max(hole.since_ns, since_ns), until_ns=min(hole.until_ns, until_ns))
        for hole in sorted(holes)
    ]
    return Gaps(
        series=state.series,
        since_ns=since_ns,
        until_ns=until_ns,
        candles=candles,
        duplicates=candles - len(opens),
        holes=[hole for hole in clipped if hole.since_ns < hole.until_ns],
    )


def _never_asked(state: SeriesState, since_ns: int, until_ns: int) -> Iterator[Hole]:
    """Yield what lies in the range, but before or after all that is known.

    Less than one bucket is none: what is known begins where a bucket opens, and ends where one is running.
    """
    bucket_ns = state.series.timeframe.nominal_ns
    ends = ((since_ns, min(state.origin_ns, until_ns)), (max(state.frontier_ns, since_ns), until_ns))
    yield from (Hole(begin, end) for begin, end in ends if end - begin >= bucket_ns)


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

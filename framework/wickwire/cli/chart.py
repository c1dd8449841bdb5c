"""`chart`: a picture of stored candles."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from wickwire.cli.door import loud_options
from wickwire.cli.options import SERIES, Moment, config_option, range_ns, range_options, store_option
from wickwire.cli.settings import read_settings
from wickwire.cli.stored import reading, state_of
from wickwire.clock import SystemClock
from wickwire.errors import UsageError
from wickwire.files.picture import Picture, laid_out
from wickwire.files.whole import whole_file
from wickwire.frames.packages import brought_by
from wickwire.model import Feed, Series, iso

__all__ = ["chart"]

_SHOWN = 150
"""Buckets that are shown where nobody says since when."""
_MOST = 3_000


@click.command()
@range_options
@click.option(
    "-o",
    "--out",
    "--output",
    "output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to: FILE.png, FILE.svg, or FILE.html, a page that needs no other file.",
)
@store_option
@config_option
@loud_options
@click.argument("series", type=SERIES, metavar="SERIES")
def chart(
    series: Series,
    since: Moment | None,
    until: Moment | None,
    output: Path,
    store: str | None,
    config_file: str | None,
) -> None:
    """Draw stored candles, with their holes and revisions.

    Holes are marked by their kind. What lasts long without candles is drawn narrow. Without --since: the last
    150 buckets.
    """
    form = output.suffix.removeprefix(".").lower()
    with brought_by("charts", "a chart"):
        from wickwire.files.drawing import FORMS, drawn
    if form not in FORMS:
        raise UsageError(f"--out {str(output)!r}: name it .{', .'.join(FORMS)}")
    if isinstance(series.what, Feed):
        raise UsageError(f"{series} has no candles; name a timeframe")
    picture = asyncio.run(_picture(series, since, until, store, config_file))
    with whole_file(output) as made:
        made.write_bytes(drawn(picture, form))
    holes, revised = len(picture.holes), len(picture.revised)
    click.echo(f"{output}: {len(picture.bars)} candles, {holes} holes, {revised} revised", err=True)


async def _picture(
    series: Series, since: Moment | None, until: Moment | None, store: str | None, config_file: str | None
) -> Picture:
    settings = read_settings(config_file)
    async with reading(settings, store) as opened:
        state = await state_of(settings, opened, series)
        given = range_ns(since, until, SystemClock().now_ns(), end_ns=state.frontier_ns)
        until_ns = state.frontier_ns if given[1] is None else given[1]
        since_ns = until_ns - _SHOWN * series.timeframe.nominal_ns if given[0] is None else given[0]
        candles = await opened.candles(state.series, since_ns, until_ns, limit=_MOST + 1)
        if not candles:
            raise UsageError(
                f"{state.series}: no candle opens from {iso(since_ns)} to {iso(until_ns)}; "
                f"it is known from {iso(state.origin_ns)} to {iso(state.frontier_ns)}"
            )
        if len(candles) > _MOST:
            raise UsageError(
                f"{state.series}: more than {_MOST} candles are no picture; choose a shorter range"
            )
        return laid_out(state, candles, since_ns, until_ns, await opened.world())

"""`gaps`: what a store lacks."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from wickwire.cli.door import ExitCode
from wickwire.cli.lines import echo_json
from wickwire.cli.options import (
    Moment,
    config_option,
    json_option,
    range_ns,
    range_options,
    series_argument,
    store_option,
)
from wickwire.cli.settings import read_settings
from wickwire.cli.stored import Gaps, gaps_of, known_until, reading, states_of
from wickwire.cli.tables import gaps_table, show
from wickwire.clock import SystemClock
from wickwire.model import Series, iso

__all__ = ["gaps", "gaps_json"]


@click.command()
@range_options
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

    Where no series is written: of those of the config, else of all that the store holds.

    The exit status is 4 when something is missing. Buckets that the venue proved to be empty are no holes.
    """
    settings = read_settings(config_file)
    now_ns = SystemClock().now_ns()

    async def look() -> list[Gaps]:
        async with reading(settings, store) as opened:
            states = await states_of(settings, opened, series)
            since_ns, until_ns = range_ns(since, until, now_ns, end_ns=known_until(states))
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

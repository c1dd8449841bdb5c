"""`gaps`: what a store lacks."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from wickwire.cli.door import ExitCode
from wickwire.cli.importing import supports
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
from wickwire.cli.tables import gaps_table, show, verified_table
from wickwire.cli.verifying import Verified, verified, verified_json
from wickwire.clock import SystemClock
from wickwire.model import Series, iso

__all__ = ["gaps", "gaps_json"]


@click.command()
@click.option("--verify", is_flag=True, help="Also compare candles with what stored trades make of them.")
@range_options
@store_option
@config_option
@json_option
@series_argument
def gaps(
    series: tuple[Series, ...],
    verify: bool,
    since: Moment | None,
    until: Moment | None,
    store: str | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Say what a store lacks.

    Where no series is written: of those of the config, else of all that the store holds.

    The exit status is 4 when something is missing. Buckets that the venue proved to be empty are no holes.

    With --verify, candles are compared with trades where these were kept (`wickwire collect --keep-trades`)
    and nothing is missing between them; where they differ the exit status is 4, too.
    """
    settings = read_settings(config_file)
    now_ns = SystemClock().now_ns()

    async def look() -> list[tuple[Gaps, Verified | None]]:
        async with reading(settings, store) as opened:
            states = await states_of(settings, opened, series)
            since_ns, until_ns = range_ns(since, until, now_ns, end_ns=known_until(states))
            found = [await gaps_of(opened, state, since_ns, until_ns) for state in states]
            if not verify:
                return [(one, None) for one in found]
            support_of = supports(settings)
            return [
                (one, await verified(opened, one.series, support_of, one.since_ns, one.until_ns))
                for one in found
            ]

    looked = asyncio.run(look())
    found, compared = [one for one, _ in looked], [one for _, one in looked if one is not None]
    if as_json:
        more = [{"verified": verified_json(one)} if verify else {} for _, one in looked]
        echo_json([gaps_json(one) | told for one, told in zip(found, more, strict=True)], indent=2)
    else:
        show(gaps_table(found))
        if verify:
            click.echo()
            show(verified_table(compared) if compared else "No trades of these series are stored.")
    wrong = any(one.lacking for one in found) or any(one.differing for one in compared)
    return ExitCode.HOLES if wrong else ExitCode.DONE


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

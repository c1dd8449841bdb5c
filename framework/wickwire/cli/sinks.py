"""`sinks`: how far the sinks of a store are, what they will not take, what to put again, whom to forget."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs
import click

from wickwire.cli.door import ExitCode, loud_options
from wickwire.cli.lines import echo_json
from wickwire.cli.options import NAMED_SEQ, config_option, json_option, store_option
from wickwire.cli.settings import Settings, read_settings
from wickwire.cli.stored import reading
from wickwire.cli.tables import show, sinks_table
from wickwire.errors import UsageError
from wickwire.model import iso
from wickwire.sink import Cursor

__all__ = ["sinks"]


@click.command()
@click.option(
    "--rewind",
    type=NAMED_SEQ,
    metavar="NAME=SEQ",
    help="Put everything that was committed after SEQ into the sink NAME again; 0 for all there is.",
)
@click.option(
    "--forget",
    metavar="NAME",
    help="Know no more of the sink NAME, which nobody feeds any more. Who feeds it again begins anew.",
)
@store_option
@config_option
@json_option
@loud_options
def sinks(
    rewind: tuple[str, int] | None,
    forget: str | None,
    store: str | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Say how far the sinks are that a store feeds.

    A sink is fed while a collector runs that names it. What is parked was refused by the sink, and is tried
    again at the collector's next start. The exit status is 1 when something is parked.
    """
    settings = read_settings(config_file)
    if rewind is not None and forget is not None:
        raise UsageError("--rewind and --forget: write one of them")
    if rewind is not None:
        asyncio.run(_rewound(settings, store, *rewind))
    if forget is not None:
        asyncio.run(_forgotten(settings, store, forget))

    async def look() -> tuple[Mapping[str, Cursor], int]:
        async with reading(settings, store) as opened:
            return await opened.cursors(), await opened.last_seq()

    cursors, last_seq = asyncio.run(look())
    if as_json:
        echo_json([sink_json(name, cursor, last_seq) for name, cursor in cursors.items()], indent=2)
    elif cursors:
        show(sinks_table(cursors, last_seq))
    else:
        click.echo("This store feeds no sinks; name one in the config, or with `wickwire collect --sink`.")
    return ExitCode.FAILED if any(cursor.parked for cursor in cursors.values()) else ExitCode.DONE


def sink_json(name: str, cursor: Cursor, last_seq: int) -> dict[str, Any]:
    """Return what `sinks --json` says of a sink: a contract, see docs/cli.md."""
    return {
        "sink": name,
        "seq": cursor.seq,
        "lag": last_seq - cursor.seq,
        "parked": [
            {"series": str(one.series), "open_time": iso(one.open_ns), "seq": one.seq, "why": one.why}
            for one in cursor.parked
        ],
        "left_out": cursor.left_out,
    }


async def _rewound(settings: Settings, url: str | None, name: str, seq: int) -> None:
    """Set the cursor of a sink.

    Raises:
        UsageError: There is no such sink, or *seq* was never given.
    """
    known = await _known(settings, url, "--rewind", name)
    if seq > known.seq:
        raise UsageError(f"--rewind: the sink {name} is at {known.seq}; what is behind that is not skipped")
    parked = tuple(one for one in known.parked if one.seq <= seq)  # the others are put again anyway
    await _moved(settings, url, name, attrs.evolve(known, seq=seq, parked=parked))


async def _forgotten(settings: Settings, url: str | None, name: str) -> None:
    """Take a sink out of the store.

    Raises:
        UsageError: There is no such sink.
    """
    await _known(settings, url, "--forget", name)
    await _moved(settings, url, name, None)


async def _known(settings: Settings, url: str | None, option: str, name: str) -> Cursor:
    """Return how far a sink is. Nothing is made, or brought forward, for a typo.

    Raises:
        UsageError: There is no such sink.
    """
    async with reading(settings, url) as opened:
        cursors = await opened.cursors()
    if name not in cursors:
        names = ", ".join(cursors) or "none"
        raise UsageError(f"{option}: this store feeds no sink {name!r}; there is {names}")
    return cursors[name]


async def _moved(settings: Settings, url: str | None, name: str, cursor: Cursor | None) -> None:
    store = settings.registry.open_store(settings.store_url(url))
    await store.open()
    try:
        await store.move(name, cursor)
    finally:
        await store.aclose()

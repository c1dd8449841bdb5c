"""`forget`: what a store holds that is too old, and on demand takes it out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import click

from wickwire.cli.door import ExitCode
from wickwire.cli.lines import echo_json
from wickwire.cli.options import INSTANT, Moment, config_option, json_option, series_argument, store_option
from wickwire.cli.settings import Settings, read_settings
from wickwire.cli.stored import reading, state_of, tape_of
from wickwire.cli.tables import forgotten_table, show
from wickwire.clock import SystemClock
from wickwire.errors import UsageError
from wickwire.forgetting import first_kept
from wickwire.instants import FIRST_NS
from wickwire.model import Feed, Series, iso
from wickwire.pages import PAGE_ROWS, stored_candles
from wickwire.retention import present_ns
from wickwire.sink import Cursor
from wickwire.store import Store
from wickwire.trade_store import TradeStore

__all__ = ["Old", "forget", "old_json"]


@attrs.frozen(kw_only=True)
class Old:
    """What of one series is too old.

    Attributes:
        series: Which one.
        before_ns: What opens or happens from here on is kept.
        count: How many candles or trades are older.
        sinks: Which sinks have not had all of them.
    """

    series: Series
    before_ns: int
    count: int
    sinks: Sequence[str] = ()


@attrs.frozen
class _Bounds:
    """How old is too old; None where nothing is."""

    candles_ns: int | None
    trades_ns: int | None


@click.command()
@click.option("--before", type=INSTANT, metavar="INSTANT", help="Candles of before: 400d, 2025-01-01.")
@click.option("--trades-before", type=INSTANT, metavar="INSTANT", help="Stored trades of before.")
@click.option("--yes", is_flag=True, help="Do it; else it is only shown what would go.")
@store_option
@config_option
@json_option
@series_argument
def forget(
    series: tuple[Series, ...],
    before: Moment | None,
    trades_before: Moment | None,
    yes: bool,
    store: str | None,
    config_file: str | None,
    as_json: bool,
) -> ExitCode:
    """Say what a store holds that is too old, and with --yes forget it.

    How old is too old is written here, else what [retention] of the config says; ages count from the newest
    that is stored. Where no series is written, all that the store holds are meant.

    What is forgotten is not asked for again, until somebody does: `wickwire backfill --since`. It may be done
    while somebody collects, and be interrupted and repeated.
    """
    settings = read_settings(config_file)

    async def look() -> tuple[_Bounds, list[Series], list[Old]]:
        async with reading(settings, store) as opened:
            bounds = await _bounds(settings, opened, before, trades_before)
            cursors = await opened.cursors()
            named = [await _stored_name(settings, opened, one, bounds) for one in series]
            return bounds, named, await _old(opened, bounds, named, cursors)

    bounds, named, found = asyncio.run(look())
    if yes:  # also where no candle is so old: holes may be
        asyncio.run(_forgotten(settings, store, bounds, named or None))
    if as_json:
        echo_json([old_json(one, forgotten=yes) for one in found], indent=2)
    elif not found:
        click.echo("Nothing in this store is so old.")
    else:
        show(forgotten_table(found))
        click.echo("Forgotten." if yes else "Nothing was done; --yes forgets it.")
    return ExitCode.DONE


def old_json(one: Old, *, forgotten: bool) -> dict[str, Any]:
    """Return what `forget --json` says of a series: a contract, see docs/cli.md."""
    return {
        "series": str(one.series),
        "before": iso(one.before_ns),
        "count": one.count,
        "sinks": [*one.sinks],
        "forgotten": forgotten,
    }


async def _bounds(
    settings: Settings, store: Store, before: Moment | None, trades_before: Moment | None
) -> _Bounds:
    """Return how old is too old, as it was written, or as the config says.

    Raises:
        UsageError: Nobody says it, or it lies in the future.
    """
    now_ns = SystemClock().now_ns()
    newest_ns = await present_ns(store, now_ns)
    known_ns = now_ns if newest_ns is None else newest_ns
    given = [None if one is None else one.ns(known_ns) for one in (before, trades_before)]
    for option, one in zip(("--before", "--trades-before"), given, strict=True):
        if one is not None and one > now_ns:
            raise UsageError(f"{option} {iso(one)} lies in the future: everything would be forgotten")
    if before is not None or trades_before is not None:
        return _Bounds(*given)
    retention = settings.config.retention
    bounds = _Bounds(retention.candles_before(known_ns), retention.trades_before(known_ns))
    if bounds == _Bounds(None, None):
        raise UsageError(
            "how old is too old? write --before 400d, --trades-before 30d, or [retention] in the config"
        )
    return bounds


async def _stored_name(settings: Settings, store: Store, series: Series, bounds: _Bounds) -> Series:
    """Return a series as the store knows it.

    Raises:
        UsageError: The store does not know it, or nobody says how old is too old for it.
    """
    if not isinstance(series.what, Feed):
        known, bound_ns, option = (
            (await state_of(settings, store, series)).series,
            bounds.candles_ns,
            "--before",
        )
    else:
        known, bound_ns, option = await tape_of(settings, store, series), bounds.trades_ns, "--trades-before"
    if bound_ns is None:
        raise UsageError(f"{series}: how old is too old for it? write {option} 400d")
    return known


async def _old(
    store: Store, bounds: _Bounds, named: Sequence[Series], cursors: Mapping[str, Cursor]
) -> list[Old]:
    """Return what is too old of *named*, or of all."""
    found: list[Old] = []
    if bounds.candles_ns is not None:
        there = [state.series for state in await store.states()]
        found += [
            await _old_candles(store, one, first_kept(one, bounds.candles_ns), cursors)
            for one in there
            if not named or one in named
        ]
    if bounds.trades_ns is not None and isinstance(store, TradeStore):
        found += [
            await _old_trades(store, one, bounds.trades_ns)
            for one in await store.tapes()
            if not named or one in named
        ]
    return [one for one in found if one.count]


async def _old_candles(store: Store, series: Series, kept_ns: int, cursors: Mapping[str, Cursor]) -> Old:
    count, seq = 0, 0
    async for page in stored_candles(store, series, FIRST_NS, kept_ns):
        count += len(page)
        seq = max(seq, *(row.seq for row in page))
    behind = [name for name, cursor in cursors.items() if cursor.seq < seq]
    return Old(series=series, before_ns=kept_ns, count=count, sinks=behind)


async def _old_trades(store: TradeStore, series: Series, before_ns: int) -> Old:
    count = after = 0
    while page := await store.trades(series, FIRST_NS, before_ns, after=after, limit=PAGE_ROWS):
        count, after = count + len(page), page[-1].number
    return Old(series=series, before_ns=before_ns, count=count)


async def _forgotten(
    settings: Settings, url: str | None, bounds: _Bounds, only: Sequence[Series] | None
) -> None:
    """Have the store forget, of all series or of *only* some."""
    store = settings.registry.open_store(settings.store_url(url))
    await store.open()
    try:
        if await present_ns(store, SystemClock().now_ns()) is None:
            return  # nothing is stored that an age could count from
        for series in [None] if only is None else only:
            is_of_trades = series is not None and isinstance(series.what, Feed)
            if bounds.candles_ns is not None and not is_of_trades:
                await store.forget(bounds.candles_ns, series=series)
            if bounds.trades_ns is not None and (series is None or is_of_trades):
                trades = store if isinstance(store, TradeStore) else None
                if trades is not None:
                    await trades.forget_trades(bounds.trades_ns, series=series)
    finally:
        await store.aclose()

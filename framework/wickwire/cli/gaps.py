"""`gaps`: what a store lacks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import attrs
import click

from wickwire.cli.door import ExitCode
from wickwire.cli.holding import audited, range_audit_json, stored_table
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

if TYPE_CHECKING:
    from wickwire.range_audit import RangeAudit

__all__ = ["gaps", "gaps_json"]


@click.command()
@click.option("--audit", is_flag=True, help="Also say what is stored, whence, and what is wrong with it.")
@click.option("--verify", is_flag=True, help="Also compare candles with what stored trades make of them.")
@range_options
@store_option
@config_option
@json_option
@series_argument
def gaps(
    series: tuple[Series, ...],
    audit: bool,
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

    With --audit the store says more of the same range: how many candles of which evidence and route it holds,
    in which buckets nothing was traded, and which candles lie off the grid, over another one, in a hole, or
    break a law of candles. Where there is one of these the exit status is 4, too. No venue is asked;
    `wickwire audit` compares with its history.

    With --verify, candles are compared with trades where these were kept (`wickwire collect --keep-trades`)
    and nothing is missing between them; where they differ the exit status is 4, too.
    """
    settings = read_settings(config_file)
    now_ns = SystemClock().now_ns()

    async def look() -> list[_Looked]:
        async with reading(settings, store) as opened:
            states = await states_of(settings, opened, series)
            since_ns, until_ns = range_ns(since, until, now_ns, end_ns=known_until(states))
            looked = [_Looked(await gaps_of(opened, state, since_ns, until_ns)) for state in states]
            support_of = supports(settings)
            for one in looked:
                gaps = one.gaps
                if audit:
                    one.audited = await audited(opened, gaps, support_of(gaps.series))
                if verify:
                    one.verified = await verified(
                        opened, gaps.series, support_of, gaps.since_ns, gaps.until_ns
                    )
            return looked

    looked = asyncio.run(look())
    if as_json:
        echo_json([_json(one, verify=verify) for one in looked], indent=2)
    else:
        show(gaps_table([one.gaps for one in looked]))
        if audit:
            click.echo()
            show(stored_table([one.audited for one in looked if one.audited is not None]))
        if verify:
            click.echo()
            compared = [one.verified for one in looked if one.verified is not None]
            show(verified_table(compared) if compared else "No trades of these series are stored.")
    return ExitCode.HOLES if any(one.is_wrong for one in looked) else ExitCode.DONE


@attrs.define
class _Looked:
    """What was found of one series."""

    gaps: Gaps
    audited: RangeAudit | None = None
    verified: Verified | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether something is missing, or not as it should be."""
        faults = self.audited is not None and self.audited.faults
        differing = self.verified is not None and self.verified.differing
        return bool(self.gaps.lacking or faults or differing)


def _json(one: _Looked, *, verify: bool) -> dict[str, Any]:
    told = gaps_json(one.gaps)
    if one.audited is not None:
        told["audit"] = range_audit_json(one.audited)
    if verify:
        told["verified"] = verified_json(one.verified)
    return told


def gaps_json(found: Gaps) -> dict[str, Any]:
    """Return what `gaps --json` says of a series: a contract, see docs/cli.md."""
    told: dict[str, Any] = {
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
    if found.forgotten_ns is not None:
        told["forgotten_before"] = iso(found.forgotten_ns)
    return told

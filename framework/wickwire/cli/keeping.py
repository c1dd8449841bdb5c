"""Keeps what a venue says in a file, for as long as a command collects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from wickwire.cli.job import Job
from wickwire.cli.worlds import World
from wickwire.errors import UsageError

if TYPE_CHECKING:
    from wickwire.transport import Transport
    from wickwire.transport.recorder import Recorder

__all__ = ["keeping"]


@asynccontextmanager
async def keeping(job: Job, world: World) -> AsyncIterator[Transport | None]:
    """Provide the transport that records, where *job* wants a recording, and say at the end what came of it.

    Raises:
        UsageError: The series to be recorded are of several venues.
        ConfigError: The file is there already, or cannot be made.
    """
    if job.record is None:
        yield None
        return
    from wickwire.transport.net import NetTransport
    from wickwire.transport.recorder import RecordingTransport

    accounts = job.settings.accounts(job.series)
    if len(accounts) != 1:
        raise UsageError(
            f"recording {job.record}: one file holds one venue, not {', '.join(accounts)}; "
            "record each for itself"
        )
    [(venue, account)] = accounts.items()
    transport = RecordingTransport(
        NetTransport(redirects=world.redirects, confined=world.confined, clock=world.clock),
        job.record,
        clock=world.clock,
        venue=venue,
        secrets=account.secrets.values(),
        series=[str(plan.series) for plan in job.settings.plans(job.series, job.route)],
        world=job.world,
    )
    failed = True
    try:
        yield transport
        failed = False
    finally:
        await transport.aclose()
        if not transport.recorder.heard:  # of no use to anybody, and in the way of the next attempt
            job.record.unlink(missing_ok=True)
        click.echo(f"recording {job.record}: {_told(transport.recorder, failed=failed)}", err=True)


def _told(recorder: Recorder, *, failed: bool) -> str:
    if not recorder.heard:
        return "the venue said nothing, so there is no file"
    if recorder.lost:
        return f"{recorder.lines} lines; {recorder.lost} more could not be written"
    return f"{recorder.lines} lines, which show how it failed" if failed else f"{recorder.lines} lines"

"""Collects until it is told to stop, with settings from the environment: the program of a container.

| variable | holds |
|---|---|
| `WORKER_SERIES` | what is collected, with spaces between |
| `WORKER_STORE` | the address of the store |
| `WORKER_SINKS` | where candles go besides, as `name=address`, with spaces between; may be left out |
| `WORKER_REDIRECTS` | addresses of venues elsewhere, as `origin=origin`, such as a proxy's; may be left out |
| `WORKER_DRAIN_S` | how long stopping may take; 20 seconds |
| `WORKER_ALIVE` | the file that `probe.py` looks at; `alive` in the folder for temporary files |
| `WICKWIRE_ALPACA_KEY` and such | credentials, by venue and name |

It ends with status 0 when it was told to, 2 when a setting is wrong, 3 when a series cannot be collected, and
1 when it failed otherwise. Whatever the status, starting it again completes what it has.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import attrs

from wickwire import Collector, ConfigError, Health, PlanError, StoreError, UsageError, WickwireError
from wickwire.config import Config

BEAT_S = 5.0
NEEDED = {"WORKER_SERIES": "kraken:BTC/USD@1m", "WORKER_STORE": "sqlite:candles.db"}


@attrs.frozen(kw_only=True)
class Settings:
    """What the environment says."""

    series: Sequence[str]
    store: str = attrs.field(repr=False)  # an address may hold a password
    sinks: Mapping[str, str] = attrs.field(repr=False)
    redirects: Mapping[str, str]
    drain_s: int
    alive: Path

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings in *environ*; ConfigError names the variable that is wrong."""
        for name, such_as in NEEDED.items():
            if not environ.get(name, "").strip():
                raise ConfigError(f"{name} is not set; set it to something like {such_as}")
        drain = environ.get("WORKER_DRAIN_S") or "20"
        if not drain.isdecimal():
            raise ConfigError(f"WORKER_DRAIN_S: expected whole seconds, got {drain!r}")
        return cls(
            series=environ["WORKER_SERIES"].split(),
            store=environ["WORKER_STORE"],
            sinks=pairs(environ, "WORKER_SINKS"),
            redirects=pairs(environ, "WORKER_REDIRECTS"),
            drain_s=int(drain),
            alive=Path(environ.get("WORKER_ALIVE") or Path(tempfile.gettempdir(), "alive")),
        )


def pairs(environ: Mapping[str, str], variable: str) -> Mapping[str, str]:
    """Return what *variable* holds as `name=address`, by name."""
    found = {}
    for text in environ.get(variable, "").split():
        name, equals, address = text.partition("=")
        if not (name and equals and address):
            raise ConfigError(f"{variable}: expected name=address, with spaces between, got something else")
        found[name] = address
    return found


async def run(settings: Settings, collector: Collector) -> None:
    """Collect until SIGTERM or SIGINT; then store what is known, in order."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with collector:
        for series in settings.series:
            await collector.add(series)
        print("collecting", *settings.series, flush=True)
        while not stop.is_set():
            settings.alive.write_text(told(collector.health()))
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await stop.wait()
        await collector.stop(drain=settings.drain_s)
        health = collector.health()
    settings.alive.unlink(missing_ok=True)
    if health.store_trouble:
        raise StoreError(f"not everything was stored, the next start completes it: {health.store_trouble}")
    print("stopped,", health.committed, "candles committed", flush=True)


def told(health: Health) -> str:
    """Return how each series is doing, for whoever looks at the file."""
    return "".join(f"{one.series} {one.condition}\n" for one in health.series)


def status_of(error: WickwireError) -> int:
    """Return the exit status that says what to do about *error*: those of the `wickwire` commands."""
    match error:
        case UsageError():  # ConfigError is one
            return 2
        case PlanError():
            return 3
        case _:
            return 1


def main() -> int:
    """Run until told to stop, and return the exit status."""
    try:
        settings = Settings.read(os.environ)
        collector = Collector(
            settings.store,
            sinks=settings.sinks,
            redirects=settings.redirects,
            accounts=lambda venue: Config().account(venue, os.environ),
        )
        asyncio.run(run(settings, collector))
    except WickwireError as exc:
        print("error:", exc, file=sys.stderr)
        return status_of(exc)
    return 0


if __name__ == "__main__":
    sys.exit(main())

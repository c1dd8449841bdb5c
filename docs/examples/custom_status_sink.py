"""Keeps a register of what runs, as a process table or a cache would be: `python custom_status_sink.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from wickwire import Collector, Status

SERIES = ("kraken:BTC/USD@1m", "yahoo:BTC/USD@1d")


class Processes:
    """A `wickwire.StatusSink`: what was said last of each series, and how often something was said."""

    def __init__(self) -> None:
        """Start empty."""
        self.rows: dict[str, tuple[Status, str]] = {}
        self.beats: dict[str, int] = {}

    async def register(self, component: str, params: Mapping[str, str]) -> str:
        """Note a series; its handle here is its name."""
        print("begins:", component, "-", params["what"], "of", params["symbol"])
        return component

    async def update(self, handle: str, status: Status, message: str | None) -> None:
        """Note how it is doing: also once a minute where nothing changed."""
        before = self.rows.get(handle, (None, ""))[0]
        self.rows[handle] = status, message or ""
        self.beats[handle] = self.beats.get(handle, 0) + 1
        if status is not before:
            print(handle, "is", status, message or "")


async def run(collector: Collector, seconds: float = 150.0) -> None:
    """Collect for a while."""
    async with collector:
        for series in SERIES:
            await collector.add(series)
        await asyncio.sleep(seconds)


if __name__ == "__main__":
    asyncio.run(run(Collector(status=Processes())))

"""How a host's register of processes is told of series: by its own names, with its own parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import attrs

from wickwire import Feed, Series, Status, StatusSink

__all__ = ["HostProcesses"]

_TYPES: Final = {Feed.TRADES: "live_trade", Feed.QUOTES: "live_ticker"}


@attrs.frozen
class HostProcesses:
    """A `StatusSink` that speaks to the host's own, of one exchange.

    Attributes:
        sink: The host's.
        exchange: As the host spells it.
        spelled: Returns how the host spells the symbol of a series.
    """

    sink: StatusSink
    exchange: str
    spelled: Callable[[Series], str]

    async def register(self, component: str, params: Mapping[str, str]) -> str:  # noqa: ARG002 - the host's instead
        """Register `exchange:symbol`, with `exchange`, `symbol` and `type`, as collectors do."""
        series = Series.parse(component)
        symbol = self.spelled(series)
        kind = _TYPES.get(series.what, "live") if isinstance(series.what, Feed) else "live"
        said = {"exchange": self.exchange, "symbol": symbol, "type": kind}
        return await self.sink.register(f"{self.exchange}:{symbol}", said)

    async def update(self, handle: str, status: Status, message: str | None) -> None:
        """Hand it on."""
        await self.sink.update(handle, status, message)

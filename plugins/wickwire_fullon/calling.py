"""Calls a host's function: plain or async, and whatever it raises stays its own."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import attrs

__all__ = ["HostCall"]

log = logging.getLogger(__name__)


@attrs.define(eq=False)
class HostCall:
    """A function of the host, called with one item at a time.

    Attributes:
        function: Plain or async; a plain one may return anything.
        shape: Makes of what comes what the host reads; may be the host's code too.
        exchange: Of which exchange, for the log.
        symbol: Of which symbol, for the log.
        calls: How often it was called.
        errors: How often it raised.
        ended: It is not called any more.
    """

    function: Callable[[Any], Any]
    shape: Callable[[Any], Any]
    exchange: str
    symbol: str
    calls: int = 0
    errors: int = 0
    ended: bool = False
    _failing: bool = False

    async def __call__(self, item: object) -> None:
        """Call it, unless that has ended; one line in the log says when it begins to raise."""
        if self.ended:
            return
        self.calls += 1
        try:
            answer = self.function(self.shape(item))
            if inspect.isawaitable(answer):
                await answer
        except Exception:  # a host's code must not end what feeds it
            self.errors += 1
            if not self._failing:
                said = {"exchange": self.exchange, "symbol": self.symbol}
                log.exception("callback failed", extra=said)
            self._failing = True
        else:
            self._failing = False

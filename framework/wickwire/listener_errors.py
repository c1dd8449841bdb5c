"""What functions of a host raise: counted for each of them, and logged where it is news."""

from __future__ import annotations

import logging
import traceback

from wickwire.errors import UsageError
from wickwire.foreign import described

__all__ = ["ListenerErrors", "check_callable"]

log = logging.getLogger(__name__)

Fault = tuple[type[BaseException], str, int]
"""What makes two exceptions the same: their class, and the file and line that raised them."""


class ListenerErrors:
    """What one function raised.

    Attributes:
        consumer: What it is called in health and in the log.
        count: How often it raised.
        trouble: What it raised last; empty since it went well again.
    """

    def __init__(self, consumer: str) -> None:
        """Begin with nothing raised."""
        self.consumer = consumer
        self.count = 0
        self.trouble = ""
        self._told: dict[Fault, None] = {}

    def raised(self, error: Exception, item: object) -> None:
        """Take what it raised of *item*, and log it unless it was since it last went well.

        One line a change: hundreds of candles may come at once.
        """
        self.count += 1
        self.trouble = described(error)
        fault = _fault(error)
        if fault not in self._told:
            self._told[fault] = None
            told = {"series": str(getattr(item, "series", "")), "consumer": self.consumer}
            log.error("listener failed", extra=told, exc_info=error)

    def went_well(self) -> None:
        """Take that it did not raise."""
        if self.trouble:
            self.trouble = ""
            self._told.clear()


def check_callable(listener: object) -> None:
    """Raise UsageError where *listener* is no function."""
    if not callable(listener):
        raise UsageError(f"{type(listener).__name__} cannot be called; give a plain or an async function")


def _fault(error: Exception) -> Fault:
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return type(error), "", 0
    frame, line = frames[-1]
    return type(error), frame.f_code.co_filename, line

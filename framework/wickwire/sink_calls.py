"""Calls of a sink: each is over in time, and raises what the contract knows, whatever the plugin does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final

from wickwire.clock import loop_s
from wickwire.driven import Driven
from wickwire.errors import SinkError, StoreError
from wickwire.foreign import described, placed
from wickwire.model import Quote, Series, SeriesCandle
from wickwire.sink import Follower, Poisoned, QuoteSink, Sink
from wickwire.store import Store, shown_store

__all__ = ["CLOSE_S", "LEAVE_S", "SinkBug", "SinkCalls", "clean"]

log = logging.getLogger(__name__)

PUT_S: Final = 60.0
"""A sink that answers nothing for so long is taken for one that is away."""

CLOSE_S: Final = 1.0
"""So long a sink may take to close."""

BREAK_OFF_S: Final = 5.0
"""A call that was given up may take so long to clean up; then it is left where it stands."""

LEAVE_S: Final = 0.25
"""The same, where a collector ends."""

MOST_SAID: Final = 500
"""So much is kept of what it says."""


class SinkBug(Exception):
    """A sink raised what it must not; the text says what, and where."""


class SinkCalls:
    """One sink, as far as it may be called.

    Attributes:
        name: Of the sink.
        takes_quotes: Whether it is given quotes.
        follows: Whether it is one that looks into the store itself.
    """

    def __init__(self, name: str, sink: Sink | Follower) -> None:
        """Call *sink*."""
        self.name = name
        self.takes_quotes = isinstance(sink, QuoteSink)
        self.follows = isinstance(sink, Follower)
        self._sink = sink
        self._left = False

    def leave(self) -> None:
        """Let go of what does not end: what is under way ends at its next cancellation, whatever it does."""
        self._left = True

    async def open(self) -> None:
        """Open it; raises SinkError where it will not work."""
        try:
            await self._called(self._sink.open())
        except SinkBug as exc:
            raise SinkError(self.said(f"it has a bug: {exc}")) from exc

    async def close(self) -> None:
        """Close it; raises SinkError where that fails, which changes nothing."""
        try:
            await self._called(self._sink.aclose(), CLOSE_S, LEAVE_S)
        except SinkBug as exc:
            raise SinkError(self.said(f"it has a bug: {exc}")) from exc

    async def put(self, rows: Sequence[SeriesCandle]) -> None:
        """Put *rows*.

        Raises:
            SinkError: It is away, or does not answer.
            Poisoned: One of them will never be taken.
            SinkBug: It raised something else.
        """
        assert not isinstance(self._sink, Follower)
        try:
            await self._called(self._sink.put(rows))
        except Poisoned as exc:
            if all(row.seq != exc.seq for row in rows):
                raise SinkError(f"{exc} (it named the candle {exc.seq}, which was not put)") from exc
            raise

    async def follow(
        self, store: Store, rows: Sequence[SeriesCandle], *, after_seq: int, whole: bool
    ) -> None:
        """Have it take *rows*, as `Follower.follow` says.

        Raises:
            SinkError: It is away, does not answer, or has a bug: there is no candle to blame for that.
            StoreError: It asked the store, which cannot answer.
        """
        assert isinstance(self._sink, Follower)
        try:
            await self._called(self._sink.follow(store, rows, after_seq=after_seq, whole=whole))
        except SinkBug as exc:
            raise SinkError(self.said(f"it has a bug: {exc}")) from exc

    async def put_quotes(self, quotes: Mapping[Series, Quote]) -> None:
        """Put *quotes*; raises SinkError and SinkBug as `put` does."""
        assert isinstance(self._sink, QuoteSink)
        await self._called(self._sink.put_quotes(quotes))

    def said(self, why: str) -> str:
        """Return *why* as a sentence about this sink."""
        return f"sink {self.name!r}: {clean(why)}"

    async def _called(
        self, call: Awaitable[None], limit_s: float = PUT_S, break_off_s: float = BREAK_OFF_S
    ) -> None:
        limit, last = asyncio.timeout(limit_s), asyncio.timeout(None)

        def is_over() -> bool:
            if last.when() is None and limit.expired():  # from now on: the process may have been stopped
                last.reschedule(loop_s() + break_off_s)
            if not self._left and not last.expired():
                return False
            log.error("sink does not end", extra={"sink": self.name, "why": "it swallows its cancellation"})
            return True

        try:
            async with last, limit:
                await Driven(call, is_over)
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise SinkError(self.said("it cancelled itself")) from exc
        except (SinkError, StoreError):
            raise
        except OSError as exc:  # a broken connection is no bug, and no candle's fault
            why = f"no answer within {limit_s:g} s" if limit.expired() else described(exc)
            raise SinkError(self.said(why)) from exc
        except Exception as exc:
            raise SinkBug(clean(placed(exc))) from exc


def clean(why: str) -> str:
    """Return what a sink said as stores and logs take it: printable, without secrets, and not too long."""
    return shown_store(str(SinkError(why)))[:MOST_SAID]

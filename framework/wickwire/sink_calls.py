"""Calls of a sink: each is over in time, and raises what the contract knows, whatever the plugin does."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Final

from wickwire.binding import described
from wickwire.errors import SinkError, StoreError
from wickwire.model import Quote, Series, SeriesCandle
from wickwire.sink import Follower, Poisoned, QuoteSink, Sink
from wickwire.store import Store, shown_store

__all__ = ["SinkBug", "SinkCalls", "clean"]

PUT_S: Final = 60.0
"""A sink that answers nothing for so long is taken for one that is away."""

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

    async def open(self) -> None:
        """Open it; raises SinkError where it will not work."""
        try:
            await self._called(self._sink.open())
        except SinkBug as exc:
            raise SinkError(self.said(f"it has a bug: {exc}")) from exc

    async def close(self) -> None:
        """Close it; raises SinkError where that fails, which changes nothing."""
        try:
            await self._called(self._sink.aclose())
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

    async def _called(self, call: Awaitable[None]) -> None:
        limit = asyncio.timeout(PUT_S)
        try:
            async with limit:
                await call
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise SinkError(self.said("it cancelled itself")) from exc
        except (SinkError, StoreError):
            raise
        except OSError as exc:  # a broken connection is no bug, and no candle's fault
            why = f"no answer within {PUT_S:g} s" if limit.expired() else described(exc)
            raise SinkError(self.said(why)) from exc
        except Exception as exc:
            frames = traceback.extract_tb(exc.__traceback__)
            place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
            raise SinkBug(clean(f"{described(exc)}{place}")) from exc


def clean(why: str) -> str:
    """Return what a sink said as stores and logs take it: printable, without secrets, and not too long."""
    return shown_store(str(SinkError(why)))[:MOST_SAID]

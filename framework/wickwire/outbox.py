"""Says to a venue what has to be said on one connection: at the pace, and in the frames, that it takes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

from wickwire.adapter import Adapter
from wickwire.budget import Priority, Turnstile
from wickwire.description import Limits
from wickwire.endpoint import Ask, Endpoint, Send, Topic
from wickwire.errors import FaultKind
from wickwire.events import Refused
from wickwire.subscriptions import Subscriptions
from wickwire.transport import Stream

__all__ = ["Outbox"]


class Outbox:
    """What goes out on one open connection."""

    def __init__(
        self,
        adapter: Adapter,
        endpoint: Endpoint,
        memory: object,
        stream: Stream,
        book: Subscriptions,
        limits: Limits,
        *,
        paced: Callable[[Priority], Awaitable[None]] | None,
        refused: Callable[[Refused], None],
    ) -> None:
        """Send over *stream*.

        Args:
            adapter: Who knows how to say it.
            endpoint: What may be said there.
            memory: What the adapter keeps for this connection.
            stream: The connection.
            book: What is wanted, asked and confirmed.
            limits: How much may be said, and how often.
            paced: Waits until the venue's limits on all connections together allow one more frame.
            refused: Told what cannot be said in any frame that the venue takes.
        """
        self._adapter = adapter
        self._endpoint = endpoint
        self._memory = memory
        self._stream = stream
        self._book = book
        self._limits = limits
        self._turnstile = Turnstile(limits.messages)
        self._paced = paced
        self._refused = refused

    async def change(self, ready: asyncio.Event, changed: asyncio.Event) -> None:
        """Bring what is confirmed towards what is wanted, for ever, once *ready*; *changed* says when."""
        await ready.wait()
        loop = asyncio.get_running_loop()
        while True:
            changed.clear()
            asks, removed = self._book.next_batch(self._endpoint, loop.time())
            if not asks and not removed:
                due_s = self._book.next_due_s(self._endpoint, loop.time())
                try:
                    async with asyncio.timeout_at(due_s):
                        await changed.wait()
                except TimeoutError:
                    pass
                continue
            for send in self._fitting(asks, removed):
                await self.say(send.frame, secret=send.secret, priority=Priority.HEAL)

    def _fitting(self, asks: Sequence[Ask], removed: Sequence[Topic]) -> Sequence[Send]:
        """Return the frames of one change; none where they are too large, and it is asked again by halves."""
        sends = self._frames(asks, removed)
        most = min(self._limits.bytes_per_frame or sys.maxsize, self._endpoint.max_send_bytes)
        largest = max((_bytes(send.frame) for send in sends), default=0)
        if largest <= most:
            return sends
        if len(removed) > 1:  # these are answered by nobody, so all go at once
            middle = len(removed) // 2
            return [*self._fitting((), removed[:middle]), *self._fitting((), removed[middle:])]
        topics = [ask.topic for ask in asks]
        if len(topics) > 1:
            self._book.halve(topics)
        else:
            why = f"it takes a frame of {largest} bytes; {most} are allowed"
            self._refused(Refused(topics or removed, FaultKind.REQUEST, why))
        return ()

    async def say(
        self, frame: str | bytes, *, secret: bool = False, priority: Priority = Priority.LIVE
    ) -> None:
        """Send one frame, at the pace that the venue allows for everything that is sent."""
        if _bytes(frame) > self._endpoint.max_send_bytes:
            raise self._adapter.broke(
                f"it wants to send a frame of {_bytes(frame)} bytes; its endpoint says that the venue takes "
                f"{self._endpoint.max_send_bytes} at most"
            )
        await self._turnstile.send(priority)
        if self._paced is not None:
            await self._paced(priority)
        await self._stream.send(frame, secret=secret)

    def _frames(self, asks: Sequence[Ask], removed: Sequence[Topic]) -> Sequence[Send]:
        with self._adapter.calling("subscribe()"):
            sends: object = self._adapter.subscribe(asks, removed, self._memory)
        if not isinstance(sends, Sequence) or not all(isinstance(send, Send) for send in sends):
            raise self._adapter.broke(f"subscribe() returned {sends!r:.80}, expected a sequence of Send")
        return sends


def _bytes(frame: str | bytes) -> int:
    return len(frame) if isinstance(frame, bytes) or frame.isascii() else len(frame.encode())

"""Drives an adapter's conversations over HTTP: history pages, instrument lists, tokens.

An adapter's generator yields requests and receives replies; this sends them within the budget. What it
raises goes to the caller, who retries.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import attrs

from wickwire.adapter import MISFITS, Adapter
from wickwire.binding import described, kind_of, with_article
from wickwire.budget import FIRST, Budget, Call, Priority, Rank, pause_s
from wickwire.clock import Clock, Comparison
from wickwire.conversation import HttpReply, HttpRequest, OhlcvQuery, Page, StreamHistory, StreamRequest
from wickwire.description import Account
from wickwire.endpoint import Topic
from wickwire.errors import FaultKind, TransportError, VenueError, WickwireError
from wickwire.model import Candle, Finality, wrong_unit
from wickwire.retry import asked_s
from wickwire.transport import Transport
from wickwire.words import Words

__all__ = ["MAX_REQUESTS", "FetchedPage", "History"]

log = logging.getLogger(__name__)

MAX_REQUESTS = 100
"""Most requests that one conversation may send (hookspecs, fetch_ohlcv)."""

R = TypeVar("R")


@attrs.frozen
class FetchedPage:
    """A page and the time it speaks of, in nanoseconds: the venue's clock where it told it, else ours."""

    page: Page
    as_of_ns: int


class History:
    """Everything that one venue is asked over HTTP, on one account."""

    def __init__(
        self, adapter: Adapter, account: Account, transport: Transport, budget: Budget, clock: Clock
    ) -> None:
        """Ask *adapter*'s venue through *transport*, within *budget*."""
        self._adapter = adapter
        self._account = account
        self._transport = transport
        self._budget = budget
        self._clock = clock
        self.words = Words(account)
        self.over_stream: Callable[[StreamRequest], Awaitable[StreamHistory]] | None = None
        self.clocks = Comparison()
        self._refusals = 0
        self.requests = 0
        self.failures = 0

    async def page(self, query: OhlcvQuery, priority: Priority, rank: Rank = FIRST) -> FetchedPage:
        """Fetch one page; *rank* says who goes first of those that are as urgent.

        Raises:
            VenueError: The venue refused; WAIT has paused the whole budget already.
            WireError: The reply was not what the venue documents.
            TransportError: No reply came.
            PluginError: The adapter broke its contract.
        """
        asked_ns, asked_s = self._clock.now_ns(), asyncio.get_running_loop().time()
        talk = self._adapter.fetch_ohlcv(query, self._account)
        dates: list[int] = []
        page = self._judged(query, await self.converse(talk, priority, dates, rank))
        if page.as_of_ns is not None:
            return FetchedPage(page, page.as_of_ns)
        return FetchedPage(page, min(dates) if dates else self._proven_ns(page, asked_ns, asked_s))

    def _proven_ns(self, page: Page, asked_ns: int, asked_s: float) -> int:
        """Return the time that the venue's clock must have reached, where the replies did not say it.

        What it told elsewhere counts, and how long ago that was by the loop's time: our wall clock may have
        been set since. Or that its rows had opened: our clock alone proves nothing.
        """
        told_ns = self.clocks.venue_ns(asked_s)
        if told_ns is not None:
            return told_ns
        ended = (row.close_ns for row in page.candles if row.finality is Finality.CLOSED)
        return min(asked_ns, max([*ended, *(row.open_ns for row in page.candles)], default=0))

    async def converse(
        self,
        talk: Generator[Any, Any, R],
        priority: Priority,
        dates: list[int] | None = None,
        rank: Rank = FIRST,
    ) -> R:
        """Run one generator to its end and return what it returns; *dates* collects the server's clock."""
        try:
            with self._pausing():
                done, step = self._advance(talk.__next__)
            for _ in range(MAX_REQUESTS):
                if done:
                    self._refusals = 0
                    return step  # type: ignore[return-value]  # a generator returns what its type says
                done, step = await self._turn(talk, step, priority, rank, dates)
            raise self._adapter.broke(f"one conversation sent more than {MAX_REQUESTS} requests")
        except WickwireError:
            self.failures += 1
            raise
        finally:
            self._close(talk)

    def _close(self, talk: Generator[Any, Any, Any]) -> None:
        """End a conversation; nothing is raised, since it may be in place of a cancellation."""
        try:
            talk.close()
        except Exception:  # whatever a plugin's code raises  # noqa: BLE001 - it is counted
            self.failures += 1

    def _judged(self, query: OhlcvQuery, page: object) -> Page:
        """Return *page* when it is one, and about what was asked: nothing else may reach a ledger."""
        if not isinstance(page, Page):
            raise self._adapter.broke(f"fetch_ohlcv() returned {type(page).__name__}, expected a Page")
        for row in page.candles:
            misfit = _misfit(row)
            if misfit:
                raise self._adapter.broke(f"fetch_ohlcv() returned a row whose {misfit}")
            if row.timeframe is not query.timeframe or row.symbol != query.symbol:
                asked, came = Topic(query.symbol, query.timeframe), Topic(row.symbol, row.timeframe)
                raise self._adapter.broke(f"fetch_ohlcv() was asked for {asked}, got a row of {came}")
            if wrong_unit(row.open_ns, query.since_ns):
                raise self._adapter.broke(
                    f"fetch_ohlcv() returned a row that opens at {row.open_ns}, which is no time in "
                    "nanoseconds; multiply seconds by SECOND_NS"
                )
        return page

    async def _turn(
        self,
        talk: Generator[Any, Any, Any],
        request: object,
        priority: Priority,
        rank: Rank,
        dates: list[int] | None,
    ) -> tuple[bool, object]:
        """Send one request and take the step that its reply leads to; return as `_advance`.

        Only then anybody else is let through: what the reply says may be "too many requests".
        """
        async with self._way_of(request, priority, rank) as call:
            with self._pausing():
                try:
                    reply = await self._answer(request, call)
                except TransportError as exc:
                    return self._advance(partial(talk.throw, exc))
                if dates is not None and isinstance(reply, HttpReply) and reply.date_ns is not None:
                    dates.append(reply.date_ns)
                return self._advance(partial(talk.send, reply))

    def _way_of(
        self, request: object, priority: Priority, rank: Rank
    ) -> AbstractAsyncContextManager[Call | None]:
        """Return what lets a request through: the budget of REST, for what goes there."""
        if isinstance(request, HttpRequest):
            return self._budget.rest(request.cost, priority, rank)
        return nullcontext()

    async def _answer(self, request: object, call: Call | None) -> HttpReply | StreamHistory:
        if isinstance(request, HttpRequest):
            assert call is not None
            return await self._send(request, call)
        if isinstance(request, StreamRequest):
            if self.over_stream is None:
                raise self._adapter.broke("it asked for history over a stream, where there is none")
            self.requests += 1
            return await self.over_stream(request)
        raise self._adapter.broke(
            f"a conversation yielded {type(request).__name__}, not an HttpRequest or StreamRequest"
        )

    async def _send(self, request: HttpRequest, call: Call) -> HttpReply:
        self.requests += 1
        try:
            reply = await self._transport.request(request)
        except MISFITS as exc:
            why = described(exc)
            raise self._adapter.broke(f"a conversation yielded what cannot be sent: {why}") from exc
        call.told(reply.headers, self._clock.now_ns())
        if reply.date_ns is not None:
            self.told_time(reply.date_ns)
        return reply

    @property
    def clock_trouble(self) -> str:
        """What is wrong with this machine's clock, as far as the venue told since it was last set."""
        now_ns, now_s = self._clock.now_ns(), asyncio.get_running_loop().time()
        return "" if self.clocks.is_set_right(now_ns, now_s) else str(self.clocks)

    def told_time(self, venue_ns: int) -> None:
        """Compare the venue's clock with ours; a wrong one is said once."""
        if self.clocks.heard(venue_ns, self._clock.now_ns(), asyncio.get_running_loop().time()):
            why = str(self.clocks) or "this machine's clock and the venue's agree again"
            log.warning("clock differs", extra={"venue": self._adapter.name, "why": why})

    def _advance(self, step: Callable[[], object]) -> tuple[bool, object]:
        """Take one step of a conversation; return whether it ended, and the request or the result."""
        with self._adapter.calling("a conversation"):
            try:
                return False, step()
            except StopIteration as stop:
                return True, stop.value

    @contextmanager
    def _pausing(self) -> Iterator[None]:
        """Pause REST for everybody where the venue says that there were too many requests."""
        try:
            yield
        except VenueError as exc:
            if exc.kind is FaultKind.WAIT:
                self._refusals += 1
                self._budget.pause_rest(max(pause_s(self._refusals), asked_s(exc) or 0.0))
            raise


def _misfit(row: Candle) -> str:
    """Return what of a row has a type that nothing here works with; its prices are the ledger's to judge."""
    for name, kind in (("open_ns", int), ("close_ns", int), ("finality", Finality)):
        value = getattr(row, name)
        if not isinstance(value, kind):
            return f"{name} has to be {with_article(kind.__name__)}, got {kind_of(value)}"
    return ""

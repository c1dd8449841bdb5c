"""Drives an adapter's conversations over HTTP: history pages, instrument lists, tokens.

An adapter's generator yields requests and receives replies; this sends them within the budget. What it
raises goes to the caller, who retries.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import attrs

from wickwire.adapter import MISFITS, Adapter
from wickwire.binding import kind_of, with_article
from wickwire.breaker import Asker, Attempt, Breaker
from wickwire.budget import FIRST, Budget, Call, Place, Priority, Rank, pause_s
from wickwire.clock import CLOCKS_AGREE_S, Clock, Comparison, loop_s
from wickwire.conversation import (
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    Page,
    Stopped,
    StreamHistory,
    StreamRequest,
)
from wickwire.description import Account
from wickwire.endpoint import Topic
from wickwire.errors import FaultKind, RestAway, TransportError, VenueError, WickwireError
from wickwire.foreign import described
from wickwire.model import SECOND_NS, Candle, Finality, wrong_unit
from wickwire.retry import asked_s
from wickwire.transport import Transport
from wickwire.venue_time import VenueTime
from wickwire.words import Words

__all__ = ["MAX_REQUESTS", "FetchedPage", "History"]

log = logging.getLogger(__name__)

MAX_REQUESTS = 100
"""Most requests that one conversation may send (hookspecs, fetch_ohlcv)."""

_SERVER_ERROR: Final = 500

R = TypeVar("R")


@attrs.frozen
class FetchedPage:
    """A page and the time it speaks of, in nanoseconds: the venue's clock where it told it, else ours."""

    page: Page
    as_of_ns: int


@attrs.define
class _Answers:
    """Who answered a conversation: the last one is who served the rows, as logins come before them.

    Attributes:
        host: Who that was; empty where they came over a stream.
        dates: What time it was there, by each of its replies.
        streamed: The history that came over a stream; None where they came from a host.
    """

    host: str = ""
    dates: list[int] = attrs.field(factory=list)
    streamed: StreamHistory | None = None

    def came(self, request: object, reply: HttpReply | StreamHistory) -> None:
        """Note one answer."""
        if isinstance(reply, StreamHistory):
            self.host, self.dates, self.streamed = "", [], reply
            return
        assert isinstance(request, HttpRequest)
        host = _host_of(request)
        if host != self.host:
            self.host, self.dates, self.streamed = host, [], None
        if reply.date_ns is not None:
            self.dates.append(reply.date_ns)


class History:
    """Everything that one venue is asked over HTTP, on one account.

    Attributes:
        breaker: Whether pages may be asked for now.
    """

    def __init__(
        self,
        adapter: Adapter,
        account: Account,
        transport: Transport,
        budget: Budget,
        breaker: Breaker,
        clock: Clock,
    ) -> None:
        """Ask *adapter*'s venue through *transport*, within *budget* and as *breaker* lets it."""
        self._adapter = adapter
        self._account = account
        self._transport = transport
        self._budget = budget
        self.breaker = breaker
        self._clock = clock
        self.words = Words(account)
        self.over_stream: Callable[[StreamRequest], Awaitable[StreamHistory]] | None = None
        self.clocks = VenueTime()
        self._serving: dict[str, None] = {}
        self._refusals = 0
        self.requests = 0
        self.failures = 0

    async def page(
        self,
        query: OhlcvQuery,
        priority: Priority,
        asker: Asker | None = None,
        place: Place | None = None,
    ) -> FetchedPage:
        """Fetch one page; the rank of *asker* says who goes first of those that are as urgent.

        Raises:
            GaveWay: *place* ended before the first request could be sent.
            RestAway: REST is away, and nothing was sent; *asker* is called when it may ask again.
            VenueError: The venue refused; WAIT has paused the whole budget already.
            WireError: The reply was not what the venue documents.
            TransportError: No reply came.
            PluginError: The adapter broke its contract.
        """
        asked_ns, asked_s = self._clock.now_ns(), loop_s()
        talk = self._adapter.fetch_ohlcv(query, self._account)
        answers = _Answers()
        asker = asker or Asker(name=query.symbol, symbol=query.symbol)
        page = self._judged(query, await self.converse(talk, priority, answers, asker, place))
        if answers.host and answers.host not in self._serving:
            self._serving[answers.host] = None
            if answers.dates:
                self.told_time(answers.dates[-1])
        if page.stopped is Stopped.VENUE_LIMIT and self._is_cut_by_us(query, answers, asked_s):
            page = attrs.evolve(page, stopped=Stopped.UNTIL)
        return FetchedPage(page, self._as_of_ns(page, answers, asked_ns, asked_s))

    def _is_cut_by_us(self, query: OhlcvQuery, answers: _Answers, asked_s: float) -> bool:
        """Say whether a page may have been cut short by a clock of ours that is wrong, not by the venue.

        Adapters count what a venue keeps back from the query's present, and may send nothing at all.
        """
        told_ns = self.clocks.venue_ns(asked_s) if self.clocks.told else None
        if told_ns is None:
            return not answers.host and answers.streamed is None
        return abs(query.now_ns - told_ns) > CLOCKS_AGREE_S * SECOND_NS

    def _as_of_ns(self, page: Page, answers: _Answers, asked_ns: int, asked_s: float) -> int:
        """Return the venue's time for which a page holds: as it says itself, or as who served it told.

        What came over a stream holds for what the feed had shown by *asked_s* of the loop, whatever any host
        says; *asked_ns*, by our clock, counts only together with another one (`VenueTime.agreed_ns`).
        """
        if answers.streamed is not None:
            shown_ns = answers.streamed.as_of_ns if page.as_of_ns is None else page.as_of_ns
            return max(shown_ns or 0, self.clocks.agreed_ns(asked_ns, asked_s) or 0)
        if page.as_of_ns is not None:
            return page.as_of_ns
        return min(answers.dates) if answers.dates else self._proven_ns(page, asked_ns, asked_s)

    def _proven_ns(self, page: Page, asked_ns: int, asked_s: float) -> int:
        """Return the time that the venue's clock must have reached, where the replies did not say it.

        What it told before counts, and how long ago that was by the loop's time: our wall clock may have
        been set since. Or that its rows had opened: our clock alone proves nothing.
        """
        if self.clocks.told:
            return self.clocks.venue_ns(asked_s) or 0
        ended = (row.close_ns for row in page.candles if row.finality is Finality.CLOSED)
        return min(asked_ns, max([*ended, *(row.open_ns for row in page.candles)], default=0))

    async def converse(
        self,
        talk: Generator[Any, Any, R],
        priority: Priority,
        answers: _Answers | None = None,
        asker: Asker | None = None,
        place: Place | None = None,
    ) -> R:
        """Run one generator to its end and return what it returns; *answers* notes who answered.

        Without an *asker* it is what a connection needs first: those are tried by a schedule of their own.
        """
        try:
            with self._pausing():
                done, step = self._advance(talk.__next__)
            requests = 0
            while not done:
                if requests == MAX_REQUESTS:
                    raise self._adapter.broke(f"one conversation sent more than {MAX_REQUESTS} requests")
                requests += 1
                done, step = await self._turn(talk, step, priority, asker, answers, place)
                place = None  # what was begun goes on
        except RestAway:
            raise
        except WickwireError:
            self.failures += 1
            raise
        else:
            self._refusals = 0
            return step  # type: ignore[return-value]  # a generator returns what its type says
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
        asker: Asker | None,
        answers: _Answers | None,
        place: Place | None,
    ) -> tuple[bool, object]:
        """Send one request and take the step that its reply leads to; return as `_advance`.

        Only then anybody else is let through: what the reply says may be "too many requests".
        """
        rank = FIRST if asker is None else asker.rank
        with self.breaker.attempt(asker if isinstance(request, HttpRequest) else None) as attempt:
            async with self._way_of(request, priority, rank, place) as call:
                self._begin(attempt, call)
                with self._pausing():
                    try:
                        reply = await self._answer(request, call)
                    except TransportError as exc:
                        attempt.failed(exc, self.words.of(exc))
                        return self._advance(partial(talk.throw, exc))
                    if answers is not None:
                        answers.came(request, reply)
                    with self._judging(attempt, reply):
                        return self._advance(partial(talk.send, reply))

    def _begin(self, attempt: Attempt, call: Call | None) -> None:
        """Go on, unless it showed meanwhile that the venue is away: then its place in the budget is free."""
        try:
            attempt.begin()
        except RestAway:
            if call is not None:
                call.is_sent = False
            raise

    @contextmanager
    def _judging(self, attempt: Attempt, reply: HttpReply | StreamHistory) -> Iterator[None]:
        """Tell the breaker what a reply says of the venue, in the words of its adapter where it has any."""
        status = reply.status if isinstance(reply, HttpReply) else 0
        down: WickwireError | None = None
        if status >= _SERVER_ERROR:
            down = VenueError(FaultKind.OUTAGE, f"status {status}")
        try:
            yield
        except VenueError as exc:
            down = exc if exc.kind is FaultKind.OUTAGE else None
            raise
        finally:
            if down is None:
                attempt.answered()
            else:
                attempt.failed(down, self.words.of(down))

    def _way_of(
        self, request: object, priority: Priority, rank: Rank, place: Place | None
    ) -> AbstractAsyncContextManager[Call | None]:
        """Return what lets a request through: the budget of REST, for what goes there."""
        if isinstance(request, HttpRequest):
            return self._budget.rest(request.cost, priority, rank, place)
        return nullcontext()

    async def _answer(self, request: object, call: Call | None) -> HttpReply | StreamHistory:
        if isinstance(request, HttpRequest):
            assert call is not None
            return await self._send(request, call)
        if isinstance(request, StreamRequest):
            if self.over_stream is None:
                raise self._adapter.broke("it asked for history over a stream, where there is none")
            self.requests += 1
            return await self._over_stream(request, self.over_stream)
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
            host = _host_of(request)
            if host in self._serving:
                self.told_time(reply.date_ns)
            else:
                self._told_elsewhere(host, reply.date_ns)
        return reply

    async def _over_stream(
        self, request: StreamRequest, collect: Callable[[StreamRequest], Awaitable[StreamHistory]]
    ) -> StreamHistory:
        """Collect history over a stream, and say for what time of the feed's it holds."""
        asked_s = loop_s()
        told = await collect(request)
        now_s = loop_s()
        horizon_ns = self.clocks.latest_ns(self._clock.now_ns(), now_s)
        newest_ns = max((row.open_ns for row in told.candles if row.open_ns <= horizon_ns), default=0)
        self.clocks.feed.reached(newest_ns, now_s)
        as_of_ns = max(self.clocks.venue_ns(asked_s) or 0, newest_ns)
        return attrs.evolve(told, as_of_ns=as_of_ns or None)

    @property
    def clock_trouble(self) -> str:
        """What is wrong with this machine's clock, as far as the venue told since it was last set."""
        now_ns, now_s = self._clock.now_ns(), loop_s()
        return self.clocks.trouble(now_ns, now_s)

    def told_time(self, venue_ns: int) -> None:
        """Compare the clock of what serves the candles with ours; a wrong one is said once."""
        self._compare(self.clocks.served, venue_ns)

    def _told_elsewhere(self, host: str, there_ns: int) -> None:
        """Compare ours with that of a host that serves no candles: of the venue's it says nothing."""
        self.clocks.elsewhere.whose = f"that of {host}"
        self._compare(self.clocks.elsewhere, there_ns)

    def _compare(self, other: Comparison, there_ns: int) -> None:
        if other.heard(there_ns, self._clock.now_ns(), loop_s()):
            why = str(other) or f"this machine's clock and {other.whose} agree again"
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


def _host_of(request: HttpRequest) -> str:
    return urlsplit(request.url).netloc


def _misfit(row: Candle) -> str:
    """Return what of a row has a type that nothing here works with; its prices are the ledger's to judge."""
    for name, kind in (("open_ns", int), ("close_ns", int), ("finality", Finality)):
        value = getattr(row, name)
        if not isinstance(value, kind):
            return f"{name} has to be {with_article(kind.__name__)}, got {kind_of(value)}"
    return ""

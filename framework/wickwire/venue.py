"""One venue's scope: its connections, its closers, its budget. A bug in here ends this venue and no other."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from wickwire.adapter import Adapter
from wickwire.budget import Budget
from wickwire.builder import CandleMaker, TradeMaker
from wickwire.clock import Clock
from wickwire.closer import Closer, Switch
from wickwire.description import Account, Limits
from wickwire.dialing import Attempt, Dialing
from wickwire.endpoint import Topic
from wickwire.errors import WickwireError
from wickwire.fanout import FeedRoute
from wickwire.folding import FoldedHistory, Pages
from wickwire.history import History
from wickwire.history_stream import HistoryStream
from wickwire.ledger import Ledger
from wickwire.model import Feed, Quote, Rung, Series, Trade
from wickwire.planner import Plan
from wickwire.retry import Backoff, Retries
from wickwire.routes import MadeRoute, Riders
from wickwire.scope import unwrapped
from wickwire.session import Session, SessionState
from wickwire.subscriptions import Route
from wickwire.transport import Transport

__all__ = ["Access", "Link", "Venue"]

log = logging.getLogger(__name__)

TOPICS_PER_LINK: Final = 200
"""Topics on one connection where the venue names no limit."""


@attrs.define(eq=False)
class Link:
    """One connection and its successors: what rides on it, and how it fares.

    Attributes:
        number: Counts the links of a venue.
        key: What `lane` says about who may ride here.
        topics: What rides on it, with what each has to be alone against.
        session: The present connection; None between two of them.
        attempts: Connections opened or tried so far.
        trouble: Why the last one ended; empty while it lives.
    """

    number: int
    key: str
    topics: dict[Topic, object] = attrs.field(factory=dict)
    session: Session | None = None
    attempts: int = 0
    trouble: str = ""
    task: asyncio.Task[None] | None = None

    def takes(self, alone: object) -> bool:
        """Say whether a topic that must be alone against *alone* may ride here."""
        return alone is None or alone not in self.topics.values()


@attrs.frozen
class Access:
    """What all variants of a venue share on one account.

    Attributes:
        budget: What may be used.
        dialing: Who may open a connection.
    """

    budget: Budget
    dialing: Dialing


class Venue:
    """Everything that runs for one venue and account.

    Attributes:
        adapter: Whose venue.
        account: Which account.
        closers: The candle series, by series.
        feeds: The trades and quotes series, by series.
        links: The connections.
        history: What is asked over HTTP.
        budget: What may be used, by all variants of the venue together.
        failure: Why the scope ended; empty while it runs.
    """

    def __init__(
        self,
        adapter: Adapter,
        account: Account,
        limits: Limits,
        access: Access,
        transport: Transport,
        clock: Clock,
        rng: random.Random,
        *,
        backoff: Backoff,
        committer: Callable[[Closer], None],
        switched: Callable[[Switch], None],
    ) -> None:
        """Prepare a scope; `run` starts it."""
        self.adapter = adapter
        self.account = account
        self.limits = limits
        self.budget = access.budget
        self._dialing = access.dialing
        self.history = History(adapter, account, transport, self.budget, clock)
        self._streamed = HistoryStream(self._new_session)
        self.history.over_stream = self._streamed.collect
        self.closers: dict[Series, Closer] = {}
        self.feeds: dict[Series, FeedRoute[Trade] | FeedRoute[Quote]] = {}
        self.plans: dict[Series, Plan] = {}
        self.statuses: dict[str, str] = {}
        self.links: list[Link] = []
        self.failure = ""
        self._transport = transport
        self._clock = clock
        self._rng = rng
        self._backoff = backoff
        self._commit = committer
        self._switched = switched
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[Series, asyncio.Task[None]] = {}
        self._riders: dict[Topic, Riders] = {}
        self._numbers = 0
        self._end = asyncio.Event()

    # ---------------------------------------------------------------------------------------------- scope

    async def run(self) -> None:
        """Run until `stop`; whatever was added before starts now."""
        try:
            with unwrapped():
                async with asyncio.TaskGroup() as tasks:
                    self._tasks = tasks
                    streamed = tasks.create_task(self._streamed.run(), name=f"history {self.adapter.name}")
                    for closer in self.closers.values():
                        self._start(closer)
                    for link in self.links:
                        self._dial(link)
                    await self._end.wait()
                    dialled = (link.task for link in self.links if link.task)
                    for task in [*self._running.values(), *dialled, streamed]:
                        task.cancel()
        finally:
            self._tasks = None  # what is added while the scope is down starts with it

    def stop(self) -> None:
        """End the scope: connections are closed, nothing is asked any more."""
        self._end.set()
        for series in (*self.closers.values(), *self.feeds.values()):
            series.stop()

    async def ended_within(self, seconds: float) -> bool:
        """Wait for `stop`, at most *seconds*; return whether it came."""
        try:
            async with asyncio.timeout(seconds):
                await self._end.wait()
        except TimeoutError:
            return False
        return True

    # --------------------------------------------------------------------------------------------- series

    def add_candles(self, plan: Plan, ledger: Ledger, past_ns: int = 0) -> Closer:
        """Collect a candle series by *plan*, knowing *ledger*; what ended before *past_ns* can wait."""
        closer = Closer(
            plan,
            ledger,
            self._pages(plan),
            self._clock,
            random.Random(self._rng.random()),
            backoff=self._backoff,
            committer=self._commit,
            switched=self._switched,
            past_ns=past_ns,
        )
        self.closers[plan.series] = closer
        self.plans[plan.series] = plan
        self._start(closer)
        self._feed(plan, closer)
        return closer

    def replan(self, plan: Plan) -> None:
        """Collect a candle series by another *plan* from now on; what is known of it stays known."""
        closer, before = self.closers[plan.series], self.plans[plan.series]
        self.plans[plan.series] = plan
        if plan.rung is not before.rung:
            self._dismount(before)
        closer.planned(plan, self._pages(plan))
        if plan.rung is not before.rung:
            self._feed(plan, closer)

    def _pages(self, plan: Plan) -> Pages:
        """Return the history of a candle series."""
        if plan.folds is None:
            return self.history
        assert plan.support is not None
        return FoldedHistory(self.history, plan.folds, plan.support.grid)

    def _feed(self, plan: Plan, closer: Closer) -> None:
        """Let the stream of a plan that has one bring its rows to *closer*."""
        ledger = closer.ledger
        ledger.rung = plan.rung if plan.rung.streams else Rung.STREAM
        match plan.rung:
            case Rung.STREAM:
                self._ride(plan, closer, closer.since_ns)
            case Rung.RESAMPLE:
                maker = CandleMaker(plan.series.timeframe, ledger.support.grid)
                self._ride(plan, MadeRoute(closer, maker, self._clock), lambda: None)
            case Rung.BUILD:
                trades = TradeMaker(plan.series.timeframe, ledger.support.grid)
                self._ride(plan, MadeRoute(closer, trades, self._clock), lambda: None)
            case _:
                pass

    def add_feed(self, plan: Plan) -> FeedRoute[Trade] | FeedRoute[Quote]:
        """Collect a trades or quotes series by *plan*."""
        series = plan.series
        route: FeedRoute[Trade] | FeedRoute[Quote]
        route = FeedRoute[Trade](series) if series.what is Feed.TRADES else FeedRoute[Quote](series)
        self.feeds[series] = route
        self.plans[series] = plan
        self._ride(plan, route, lambda: None)
        return route

    def remove(self, series: Series) -> None:
        """Stop collecting *series*; a connection that carries nothing else is closed."""
        plan = self.plans.pop(series)
        closer = self.closers.pop(series, None)
        if closer is not None:
            closer.stop()
            task = self._running.pop(series, None)
            if task is not None:
                task.cancel()
        self.feeds.pop(series, None)
        if all(other.topic.symbol != plan.topic.symbol for other in self.plans.values()):
            self.statuses.pop(plan.topic.symbol, None)
        self._dismount(plan)

    def _dismount(self, plan: Plan) -> None:
        """Take a series off the connection that carries its topic, where there is one."""
        riders = self._riders.get(plan.topic)
        if riders is None or plan.series not in riders:
            return
        link = next(link for link in self.links if plan.topic in link.topics)
        riders.remove(plan.series, link.session)
        if not riders:
            self._leave(link, plan.topic)

    def _leave(self, link: Link, topic: Topic) -> None:
        """Unsubscribe from *topic*; a connection that carries nothing else is closed."""
        del self._riders[topic]
        del link.topics[topic]
        if link.session is not None:
            link.session.drop(topic)
        if not link.topics:
            self.links.remove(link)
            if link.task is not None:
                link.task.cancel()

    def _start(self, closer: Closer) -> None:
        if self._tasks is not None:
            task = self._tasks.create_task(closer.run(), name=f"closer {closer.series}")
            self._running[closer.series] = task

    # -------------------------------------------------------------------------------------------- links

    def _ride(self, plan: Plan, route: Route, since_ns: Callable[[], int | None]) -> None:
        """Put a series on the connection that carries its topic, or that its lane allows, or a new one."""
        lane, topic = plan.lane, plan.topic
        riders = self._riders.get(topic)
        if riders is not None:
            link = next(link for link in self.links if topic in link.topics)
            riders.add(plan.series, route, since_ns, link.session)
            return
        riders = self._riders[topic] = Riders(topic)
        riders.add(plan.series, route, since_ns, None)
        most = self.limits.topics_per_connection or TOPICS_PER_LINK
        for link in self.links:
            if link.key == lane.key and len(link.topics) < most and link.takes(lane.alone):
                link.topics[topic] = lane.alone
                if link.session is not None:
                    link.session.want(topic, riders.route, riders.since_ns)
                return
        self._numbers += 1
        link = Link(self._numbers, lane.key, {topic: lane.alone})
        self.links.append(link)
        self._dial(link)

    def _new_session(self, flowing: Callable[[], None] | None = None) -> Session:
        return Session(
            self.adapter,
            self.account,
            self._transport,
            self.history,
            self._clock,
            flowing=flowing,
            admitted=self.budget.connect,
            halted=self._note_status,
        )

    def status_of(self, series: Series) -> str:
        """Return what the venue said last of the state of a symbol that is collected, or nothing."""
        return self.statuses.get(self.plans[series].topic.symbol, "") if series in self.plans else ""

    def _note_status(self, symbol: str, said: str) -> None:
        """Keep what the venue says of a symbol that is collected, as long as it is."""
        collected = any(plan.topic.symbol == symbol for plan in self.plans.values())
        if collected and self.statuses.get(symbol) != said:
            log.info("symbol status", extra={"venue": self.adapter.name, "symbol": symbol, "state": said})
            self.statuses[symbol] = said

    def _dial(self, link: Link) -> None:
        if self._tasks is not None:
            name = f"link {self.adapter.name} {link.number}"
            link.task = self._tasks.create_task(self._keep_connected(link), name=name)

    async def _keep_connected(self, link: Link) -> None:
        """Open one connection after the other for ever: the one retry loop of streams."""
        retries = Retries(self._backoff, random.Random(self._rng.random()))
        while True:
            wait_s = 0.0
            async with self._dialing.turn() as attempt:
                session = self._session_of(link, attempt)
                try:
                    await session.run()
                except WickwireError as exc:
                    wait_s = retries.failed(exc, session.healthy_s)
                    attempt.failed(exc, session.healthy_s, wait_s, retries.attempt)
                    self._note_end(link, exc, wait_s)
                    given_up = retries.given_up(exc, link.trouble)
                    if given_up is not None:
                        raise given_up from exc
            await asyncio.sleep(wait_s)

    def _session_of(self, link: Link, attempt: Attempt) -> Session:
        """Return a new connection for what rides on *link*."""
        session = self._new_session(attempt.flows)
        attempt.ready = lambda: session.state is SessionState.READY
        for topic in link.topics:
            riders = self._riders[topic]
            session.want(topic, riders.route, riders.since_ns)
        link.session = session
        link.attempts += 1
        return session

    def _note_end(self, link: Link, error: WickwireError, wait_s: float) -> None:
        why = self.history.words.of(error)
        log.log(
            logging.INFO if why == link.trouble else logging.WARNING,
            "stream ended",
            extra={
                "venue": self.adapter.name,
                "link": link.number,
                "why": why,
                "wait_s": round(wait_s, 3),
            },
        )
        link.trouble, link.session = why, None

    @property
    def sessions(self) -> Sequence[Session]:
        """The connections that live now."""
        return [link.session for link in self.links if link.session is not None]

    @property
    def connected(self) -> int:
        """How many connections are ready."""
        return sum(session.state is SessionState.READY for session in self.sessions)

"""One venue's scope: its connections, its closers, its budget. A bug in here ends this venue and no other."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import attrs

from wickwire.adapter import Adapter
from wickwire.breaker import Asker, Breaker
from wickwire.budget import Budget
from wickwire.builder import CandleMaker, TradeMaker
from wickwire.clock import Clock
from wickwire.closer import Closer
from wickwire.description import Account, Limits
from wickwire.dialing import Connections, Dialing
from wickwire.endpoint import Topic
from wickwire.fanout import FeedRoute
from wickwire.folding import Fold, SeriesHistory
from wickwire.history import History
from wickwire.history_stream import HistoryStream
from wickwire.ledger import Ledger
from wickwire.model import Feed, Quote, Rung, Series, Trade
from wickwire.news import ConnectionLost, StatusChanged, Tell
from wickwire.planner import Plan
from wickwire.pool import Link, Pool
from wickwire.probing import Probing
from wickwire.retry import Backoff
from wickwire.room import Move
from wickwire.rotation import Rotator
from wickwire.routes import MadeRoute
from wickwire.scope import children, unwrapped
from wickwire.series import scope_of
from wickwire.session import Session
from wickwire.topic_route import Route
from wickwire.transport import Transport

__all__ = ["Access", "Venue"]

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
"""How often it is looked whether history has brought what was missed."""

HEALING_S: Final = 120.0
"""How long it is waited for what a replaced connection missed."""


@attrs.frozen
class Access:
    """What all variants of a venue share on one account.

    Attributes:
        budget: What may be used.
        dialing: Who may open a connection.
        breaker: Whether REST may be asked.
        connections: Those that are open.
    """

    budget: Budget
    dialing: Dialing
    breaker: Breaker
    connections: Connections = attrs.field(factory=Connections)


class Venue:
    """Everything that runs for one venue and account.

    Attributes:
        adapter: Whose venue.
        account: Which account.
        closers: The candle series, by series.
        feeds: The trades and quotes series, by series.
        pool: The connections.
        rotator: What replaces them.
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
        tell: Tell,
        balance: Callable[[Mapping[Topic, float]], Sequence[Move]],
        settle: Callable[[Move, int | None], None],
    ) -> None:
        """Prepare a scope; `run` starts it."""
        self.adapter = adapter
        self.account = account
        self.limits = limits
        self.budget = access.budget
        self.history = History(adapter, account, transport, self.budget, access.breaker, clock)
        self._streamed = HistoryStream(
            self._new_session, access.connections, access.dialing, clock, backoff=backoff, rng=rng
        )
        self.history.over_stream = self._streamed.collect
        self.closers: dict[Series, Closer] = {}
        self.feeds: dict[Series, FeedRoute[Trade] | FeedRoute[Quote]] = {}
        self.plans: dict[Series, Plan] = {}
        self.statuses: dict[str, str] = {}
        self.failure = ""
        self._transport = transport
        self._clock = clock
        self._rng = rng
        self._backoff = backoff
        self._commit = committer
        self._tell = tell
        self._scope = scope_of(adapter.name, account.feed)
        self._tasks: asyncio.TaskGroup | None = None
        self._running: dict[Series, asyncio.Task[None]] = {}
        self._ranks: dict[Series, int] = {}
        self._end = asyncio.Event()
        self.pool = Pool(
            self._scope,
            self.history.words,
            rng,
            backoff=backoff,
            dialing=access.dialing,
            connections=access.connections,
            open_session=partial(self._new_session, tell=tell),
            lost=self._note_loss,
        )
        self.rotator = Rotator(
            self.pool,
            limits,
            access.connections,
            clock,
            healed=self._is_healed,
            balance=balance,
            settle=settle,
            tell=tell,
        )
        self._probing = Probing(
            self._scope,
            adapter,
            account,
            self.feeds,
            self.history,
            clock,
            again=lambda series: self.pool.again(self.plans[series].topic),
            replace=self._replace,
            tell=tell,
        )

    # ---------------------------------------------------------------------------------------------- scope

    async def run(self) -> None:
        """Run until `stop`; whatever was added before starts now."""
        try:
            with unwrapped():
                async with children() as tasks:
                    self._tasks = tasks
                    streamed = tasks.create_task(self._streamed.run(), name=f"history {self.adapter.name}")
                    for closer in self.closers.values():
                        self._start(closer)
                    self.pool.start(tasks)
                    kept = [
                        streamed,
                        tasks.create_task(self.rotator.run(), name=f"rotation {self._scope}"),
                        tasks.create_task(self._probing.run(), name=f"probing {self._scope}"),
                    ]
                    await self._end.wait()
                    self.pool.stop()
                    for task in [*self._running.values(), *kept]:
                        task.cancel()
        finally:
            self._tasks = None  # what is added while the scope is down starts with it
            self.pool.stopped()

    def stop(self) -> None:
        """End the scope: connections are closed, nothing is asked any more."""
        self._end.set()
        self.rotator.stop()
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
            self._history_of(plan),
            self._clock,
            random.Random(self._rng.random()),
            backoff=self._backoff,
            committer=self._commit,
            tell=self._tell,
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
            self.pool.dismount(before.series, before.topic)
        closer.planned(plan, self._history_of(plan))
        if plan.rung is not before.rung:
            self._feed(plan, closer)

    def prioritise(self, plan: Plan) -> None:
        """Serve a series before others from now on, or not any more, as *plan* says."""
        self.plans[plan.series] = plan
        closer = self.closers.get(plan.series)
        if closer is not None:
            closer.prioritised(plan, self._history_of(plan))

    def _history_of(self, plan: Plan) -> SeriesHistory:
        """Return the history of a candle series, asked in the order of what matters and what came first."""
        place = self._ranks.setdefault(plan.series, self.budget.next_place())
        series, rank = plan.series, (0 if plan.priority else 1, place)
        again = partial(self._ask_again, series)
        asker = Asker(name=str(series), symbol=series.symbol, rank=rank, again=again)
        fold = None
        if plan.folds is not None:
            assert plan.support is not None
            fold = Fold(plan.folds, plan.support.grid)
        return SeriesHistory(self.history, asker, fold)

    def _ask_again(self, series: Series) -> bool:
        """Let a series ask for what it could not while REST was away; say whether it will."""
        closer = self.closers.get(series)
        return closer is not None and closer.ask_again()

    def _feed(self, plan: Plan, closer: Closer) -> None:
        """Let the stream of a plan that has one bring its rows to *closer*."""
        ledger = closer.ledger
        ledger.rung = plan.rung if plan.rung.streams else Rung.STREAM
        match plan.rung:
            case Rung.STREAM:
                self._ride(plan, closer.route, closer.route.since_ns)
            case Rung.RESAMPLE:
                maker = CandleMaker(plan.series.timeframe, ledger.support.grid)
                self._ride(plan, MadeRoute(closer.route, maker, self._clock), lambda: None)
            case Rung.BUILD:
                trades = TradeMaker(plan.series.timeframe, ledger.support.grid)
                self._ride(plan, MadeRoute(closer.route, trades, self._clock), lambda: None)
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
        self._ranks.pop(series, None)
        closer = self.closers.pop(series, None)
        if closer is not None:
            closer.stop()
            task = self._running.pop(series, None)
            if task is not None:
                task.cancel()
        self.feeds.pop(series, None)
        if all(other.topic.symbol != plan.topic.symbol for other in self.plans.values()):
            self.statuses.pop(plan.topic.symbol, None)
        self.pool.dismount(series, plan.topic)

    def _start(self, closer: Closer) -> None:
        if self._tasks is not None:
            task = self._tasks.create_task(closer.run(), name=f"closer {closer.series}")
            self._running[closer.series] = task

    # -------------------------------------------------------------------------------------- connections

    def _ride(self, plan: Plan, route: Route, since_ns: Callable[[], int | None]) -> None:
        """Let a series ride on the connection that it has its place on."""
        self.pool.ride(plan.series, plan.topic, plan.lane, plan.line, route, since_ns)

    def _replace(self, series: Series, why: str) -> None:
        """Have the connection replaced that carries a series."""
        number = self.pool.number_of(self.plans[series].topic)
        if number is not None:
            self.rotator.want(f"{series}: {why}", number)

    async def _is_healed(self, topics: Sequence[Topic]) -> bool:
        """Wait until nothing is missing or doubtful of what lives on *topics*; say whether that came."""
        try:
            async with asyncio.timeout(HEALING_S):
                while any(closer.is_torn for closer in self._living_on(topics)):  # noqa: ASYNC110 - see LOOK_S
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            return False
        return True

    def _living_on(self, topics: Sequence[Topic]) -> list[Closer]:
        plans = [self.plans[series] for series in self.closers]
        return [self.closers[plan.series] for plan in plans if plan.rung.streams and plan.topic in topics]

    def _new_session(self, flowing: Callable[[], None] | None = None, tell: Tell | None = None) -> Session:
        return Session(
            self.adapter,
            self.account,
            self._transport,
            self.history,
            self._clock,
            flowing=flowing,
            admitted=self.budget.connect,
            paced=self.budget.message,
            halted=self._note_status,
            tell=tell,
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
            at_ns = self._clock.now_ns()
            self._tell(StatusChanged(venue=self._scope, symbol=symbol, at_ns=at_ns, status=said))

    def _note_loss(self, link: Link, wait_s: float) -> None:
        number, at_ns = link.number, self._clock.now_ns()
        self._tell(
            ConnectionLost(venue=self._scope, number=number, at_ns=at_ns, why=link.trouble, wait_s=wait_s)
        )

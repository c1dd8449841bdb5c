"""The connections of one venue and account: which topic rides on which, opened and retried for ever.

Where a topic rides is decided by `places`, before anything connects; how one connection replaces another, and
how a topic moves between two, is in `rotation`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from wickwire.clock import loop_s
from wickwire.dialing import Attempt, Connections, Dialing
from wickwire.endpoint import Lane, Topic
from wickwire.errors import WickwireError
from wickwire.handover import Departure, Overlap
from wickwire.model import Series
from wickwire.repeats import Repeats, counted, without_numbers
from wickwire.retry import Backoff, Retries
from wickwire.routes import Riders
from wickwire.session import Session, SessionState
from wickwire.topic_route import Route
from wickwire.words import Words

__all__ = ["Link", "Pool"]

log = logging.getLogger(__name__)

ENDS_CALM_S: Final = 3_600.0
"""How long data has to flow until the end of a connection is news again, if for a reason that was told: some
venues end each every few minutes."""


@attrs.define(eq=False)
class Link:
    """One connection and its successors after losses: what rides on it, and how it fares.

    Attributes:
        number: Which of the venue's connections; one that replaces it has the same.
        variant: Of the venue.
        key: What `lane` says about who may ride here.
        topics: What rides on it, with what each has to be alone against.
        arrivals: What is to ride on it, and is on another one still.
        session: The present connection; None between two of them.
        attempts: Connections opened or tried so far.
        trouble: Why the last one ended; empty while it lives.
        error: The same as it was raised.
        spare: It is to replace another one, and does not yet.
        told: Which reasons of its ends stand in the log as warnings.
    """

    number: int
    variant: str
    key: str
    topics: dict[Topic, object] = attrs.field(factory=dict)
    arrivals: dict[Topic, Overlap] = attrs.field(factory=dict)
    session: Session | None = None
    attempts: int = 0
    trouble: str = ""
    error: WickwireError | None = None
    spare: bool = False
    task: asyncio.Task[None] | None = None
    told: Repeats = attrs.field(factory=lambda: Repeats(ENDS_CALM_S))


class Pool:
    """The connections of one venue scope.

    Attributes:
        scope: Whose they are, for people.
        links: Those that are wanted, and those that replace one of them just now.
        riders: What lives on each topic.
    """

    def __init__(
        self,
        scope: str,
        words: Words,
        rng: random.Random,
        *,
        backoff: Backoff,
        dialing: Dialing,
        connections: Connections,
        open_session: Callable[[Callable[[], None]], Session],
        lost: Callable[[Link, float], None],
    ) -> None:
        """Start without connections; none is opened before `start`.

        Args:
            scope: Whose they are, for people.
            words: What takes secrets out of what is logged.
            rng: Where jitter comes from.
            backoff: How long to wait between attempts.
            dialing: Who may open a connection.
            connections: All of this account.
            open_session: Makes a connection, which calls what it is given when data flows.
            lost: Called when a connection ended, and in how many seconds the next attempt may begin.
        """
        self.scope = scope
        self._words = words
        self._rng = rng
        self._backoff = backoff
        self._dialing = dialing
        self._connections = connections
        self._open_session = open_session
        self._lost = lost
        self._tasks: asyncio.TaskGroup | None = None
        self.riders: dict[Topic, Riders] = {}
        self.links: list[Link] = []

    # ---------------------------------------------------------------------------------------------- lifetime

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Open what is wanted, now and from now on, in *tasks*."""
        self._tasks = tasks
        for link in [link for link in self.links if link.spare]:  # what a bug left behind
            self.remove(link)
        for riders in self.riders.values():
            riders.departure = riders.arrival = None
        for link in self.links:
            link.arrivals.clear()
            self.dial(link)

    def stop(self) -> None:
        """Close all."""
        for link in self.links:
            if link.task is not None:
                link.task.cancel()

    def stopped(self) -> None:
        """Note that the tasks are over: what is added from now on starts with the next ones."""
        self._tasks = None
        for link in self.links:
            link.session = None

    # ------------------------------------------------------------------------------------- what rides where

    def ride(
        self,
        series: Series,
        topic: Topic,
        lane: Lane,
        line: int,
        route: Route,
        since: Callable[[], int | None],
    ) -> None:
        """Put a series on the connection that carries its topic, or on the one of number *line*."""
        riders = self.riders.get(topic)
        if riders is not None:
            riders.add(series, route, since, self._carrying(topic).session)
            return
        riders = self.riders[topic] = Riders(topic)
        riders.add(series, route, since, None)
        link = next((one for one in self.links if one.number == line), None)
        if link is None:
            link = Link(line, series.variant, lane.key, {topic: lane.alone})
            self.add(link)
            return
        link.topics[topic] = lane.alone
        if link.session is not None:
            link.session.want(topic, riders.route, riders.since_ns)
        for successor in self.links:
            if successor.spare and successor.number == line:
                self.depart(link, successor, [topic])

    def depart(self, old: Link, new: Link, topics: Sequence[Topic]) -> None:
        """Let *topics* be asked for on *new* too, and note what they bring on *old*, which they leave."""
        for topic in topics:
            riders, overlap = self.riders[topic], Overlap(topic)
            riders.departure = Departure(riders.route, overlap, old.session)
            if old.session is not None and old.session.phase(topic) is not None:
                old.session.reroute(topic, riders.route)
            new.arrivals[topic] = overlap
            if new.session is not None:
                new.session.want(topic, overlap, riders.since_ns)

    def dismount(self, series: Series, topic: Topic) -> None:
        """Take a series off the connection that carries its topic, where there is one."""
        riders = self.riders.get(topic)
        if riders is None or series not in riders:
            return
        link = self._carrying(topic)
        riders.remove(series, link.session)
        if not riders:
            self._leave(link, topic)

    def again(self, topic: Topic) -> None:
        """Leave *topic* and subscribe to it anew, on the connection that carries it."""
        session = self._carrying(topic).session if topic in self.riders else None
        if session is not None:
            session.again(topic)

    def number_of(self, topic: Topic) -> int | None:
        """Return the number of the connection that carries *topic*, if one does."""
        return self._carrying(topic).number if topic in self.riders else None

    def _carrying(self, topic: Topic) -> Link:
        return next(link for link in self.links if topic in link.topics)

    def _leave(self, link: Link, topic: Topic) -> None:
        """Unsubscribe from *topic*; a connection that carries nothing else is closed."""
        del self.riders[topic]
        del link.topics[topic]
        if link.session is not None:
            link.session.drop(topic)
        for other in self.links:
            if other.arrivals.pop(topic, None) is not None and other.session is not None:
                other.session.drop(topic)
        if not link.topics and not link.arrivals and not link.spare:
            self.remove(link)

    def add(self, link: Link, after: Link | None = None) -> None:
        """Keep one connection more, listed behind *after*."""
        self.links.insert(len(self.links) if after is None else self.links.index(after) + 1, link)
        self._connections.add(link, link.variant, link.key)
        self.dial(link)

    def remove(self, link: Link) -> None:
        """Close a connection that nothing rides on any more."""
        if link in self.links:
            self.links.remove(link)
        self._connections.remove(link)
        if link.task is not None:
            link.task.cancel()

    # ----------------------------------------------------------------------------------------------- opening

    def dial(self, link: Link) -> None:
        """Keep a connection open from now on."""
        if self._tasks is not None:
            name = f"link {self.scope} {link.number}"
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
                except asyncio.CancelledError:
                    attempt.closed(session.healthy_s)
                    raise
                except WickwireError as exc:
                    wait_s = retries.failed(exc, session.healthy_s)
                    attempt.failed(exc, session.healthy_s, wait_s, retries.attempt)
                    self._note_end(link, exc, wait_s, session.healthy_s)
                    given_up = retries.given_up(exc, link.trouble)
                    if given_up is not None and not link.spare:  # another one goes on
                        raise given_up from exc
            await asyncio.sleep(wait_s)

    def _session_of(self, link: Link, attempt: Attempt) -> Session:
        """Return a new connection for what rides on *link*, and what is to ride there."""
        session = self._open_session(attempt.flows)
        attempt.ready = lambda: session.state is SessionState.READY
        for topic in link.topics:
            riders = self.riders[topic]
            session.want(topic, riders.route, riders.since_ns)
        for topic, overlap in link.arrivals.items():
            session.want(topic, overlap, self.riders[topic].since_ns)
        link.session = session
        link.attempts += 1
        return session

    def _note_end(self, link: Link, error: WickwireError, wait_s: float, healthy_s: float) -> None:
        why, now_s = self._words.of(error), loop_s()
        if healthy_s > 0.0:
            link.told.works(now_s - healthy_s)
        times = link.told.failed(without_numbers(why), now_s)
        said = {"venue": self.scope, "link": link.number, "why": why, "wait_s": round(wait_s, 3)}
        log.log(
            logging.WARNING if times else logging.INFO,
            "stream ended",
            extra={**said, **counted(times)},
        )
        link.trouble, link.session, link.error = why, None, error
        self._lost(link, wait_s)

    # -------------------------------------------------------------------------------------------- for others

    @property
    def sessions(self) -> Sequence[Session]:
        """The connections that live now."""
        return [link.session for link in self.links if link.session is not None]

    @property
    def connected(self) -> int:
        """How many connections are ready."""
        return sum(session.state is SessionState.READY for session in self.sessions)

"""How one connection replaces another, and how topics move between two.

A connection is replaced in time: before a token ends, when it is as old as it may get, when somebody asks
for it. Where the venue allows one connection more, the new one is opened first, and each topic is handed over
once it is proven there (`transfer`); elsewhere the old one ends first, and history brings what was missed.
In the same way topics move from a connection that carries much to one that carries little.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import attrs

from wickwire.clock import Clock, loop_s
from wickwire.description import Limits
from wickwire.dialing import Connections
from wickwire.endpoint import Topic
from wickwire.errors import FaultKind, VenueError
from wickwire.news import Rotation, Tell
from wickwire.pool import Link, Pool
from wickwire.room import Move
from wickwire.session import Session
from wickwire.subscriptions import TopicPhase
from wickwire.transfer import CHECK_S, PROOF_S, Transfer

__all__ = ["Rotator"]

log = logging.getLogger(__name__)

OPENING_S: Final = 60.0
"""How long opening it may take; the old one goes on meanwhile."""

LEAD_S: Final = 120.0
"""How long before its end a connection is replaced; at most the last eighth of its age."""

LOOK_S: Final = 10.0
"""How often it is looked which connection is to be replaced."""

BALANCE_S: Final = 60.0
"""Over how long the rates of topics are measured before anything is moved."""

UNEVEN_S: Final = 1_800.0
"""How long nothing is moved after a move that was not possible."""

MOST_TOLD: Final = 20


class Rotator:
    """Replaces the connections of one pool, one at a time, and keeps what they carry even.

    Attributes:
        rotations: The last replacements, up to 20.
    """

    def __init__(
        self,
        pool: Pool,
        limits: Limits,
        connections: Connections,
        clock: Clock,
        *,
        healed: Callable[[Sequence[Topic]], Awaitable[bool]],
        balance: Callable[[Mapping[Topic, float]], Sequence[Move]],
        settle: Callable[[Move, int | None], None],
        tell: Tell,
    ) -> None:
        """Replace nothing before `run`.

        Args:
            pool: Whose connections.
            limits: What the venue allows.
            connections: All of the account.
            clock: What stamps.
            healed: Waits, for a while, until history brought what topics missed; says whether it did.
            balance: Says which topics should ride elsewhere, given how many events a second each brings.
            settle: Told after a move on which connection the topic rides; None where nobody wants it.
            tell: Told what came of each replacement.
        """
        self._pool = pool
        self._limits = limits
        self._connections = connections
        self._clock = clock
        self._healed = healed
        self._balance = balance
        self._settle = settle
        self._news = tell
        self._wishes: deque[tuple[Link, str, asyncio.Future[Rotation]]] = deque()
        self._wished = asyncio.Event()
        self._stopped = False
        self._sole = False
        self._tried: dict[Session, None] = {}
        self._counted: dict[Topic, int] = {}
        self._counted_s = self._even_s = 0.0
        self.rotations: list[Rotation] = []

    # --------------------------------------------------------------------------------------------- replacing

    async def rotate(self, why: str, number: int | None = None) -> Sequence[Rotation]:
        """Replace the connection of that number, or each, one after the other; return what came of it."""
        wishes = []
        for link in self._pool.links:
            if not link.spare and number in {None, link.number}:
                wishes.append(asyncio.get_running_loop().create_future())
                self._wishes.append((link, why, wishes[-1]))
        self._wished.set()
        if self._stopped:
            self.stop()
        return [await wish for wish in wishes]

    def want(self, why: str, number: int) -> None:
        """Have the connection of that number replaced soon, unless it is about to be."""
        if all(link.number != number for link, _, _ in self._wishes):
            links = [link for link in self._pool.links if link.number == number and not link.spare]
            done = asyncio.get_running_loop().create_future()
            self._wishes.extend((link, why, done) for link in links)
            self._wished.set()

    async def run(self) -> None:
        """Replace connections in time, and when somebody wants it, one at a time, for ever."""
        self._counted_s = loop_s()
        self._even_s = self._counted_s + BALANCE_S
        try:
            await self._rotate_for_ever()
        finally:
            self._dismiss()
            self._wishes.clear()

    def stop(self) -> None:
        """Replace nothing any more, also where the scope is down and `run` is not called again."""
        self._stopped = True
        self._dismiss()

    def _dismiss(self) -> None:
        """Tell those who wait that nothing comes of what they wanted."""
        for link, why, done in self._wishes:
            if not done.done():
                trouble = "the venue's scope ended"
                topics = len(link.topics)
                done.set_result(self._rotation(link, why, topics, replaced=False, trouble=trouble))

    async def _rotate_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self._wishes:
                link, why, done = self._wishes[0]
                rotation = await self._rotate(link, why)
                self._wishes.popleft()
                if not done.done():
                    done.set_result(rotation)
            for link in [one for one in self._pool.links if self._is_old(one, loop.time())]:
                if link in self._pool.links:
                    await self._rotate(link, "it is about to end for its age")
            if loop.time() >= self._even_s:
                await self._even_out(loop.time())
            self._wished.clear()
            if not self._wishes:
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self._wished.wait()
                except TimeoutError:
                    pass

    def _is_old(self, link: Link, now_s: float) -> bool:
        """Say whether a connection is to be replaced now; each is tried once."""
        session = link.session
        if session is None or session.ends_s is None or session.age_s is None or session in self._tried:
            return False
        left_s = session.ends_s - now_s
        if left_s > min(LEAD_S, (left_s + session.age_s) / 8):
            return False
        self._tried = {one.session: None for one in self._pool.links if one.session in self._tried}
        self._tried[session] = None
        return True

    async def _rotate(self, link: Link, why: str) -> Rotation:
        """Replace one connection, without a gap where that is possible."""
        topics = len(link.topics)
        trouble = "there is no connection just now" if link.session is None else ""
        if link in self._pool.links and not trouble:
            trouble = self._connections.one_more(self._limits, link.variant, link.key)
            if not trouble and self._sole:
                trouble = "the venue takes one connection only"
            if not trouble:
                rotation = await self._replace(link, why)
                if rotation is not None:
                    return self._tell(rotation)
                trouble = "the venue takes one connection only"
            return self._tell(attrs.evolve(await self._reopen(link, why), trouble=trouble))
        return self._tell(self._rotation(link, why, topics, replaced=False, trouble=trouble or "it is gone"))

    def _rotation(self, link: Link, why: str, topics: int, *, replaced: bool, trouble: str = "") -> Rotation:
        at_ns = self._clock.now_ns()
        return Rotation(
            venue=self._pool.scope,
            number=link.number,
            at_ns=at_ns,
            why=why,
            replaced=replaced,
            topics=topics,
            trouble=trouble,
        )

    def _tell(self, rotation: Rotation) -> Rotation:
        self.rotations = [*self.rotations[1 - MOST_TOLD :], rotation]
        log.log(
            logging.WARNING if rotation.broken or not rotation.replaced else logging.INFO,
            "connection rotation",
            extra={
                "venue": rotation.venue,
                "link": rotation.number,
                "replaced": rotation.replaced,
                "why": rotation.trouble or rotation.why,
                "broken": rotation.broken,
                "gap_s": round(rotation.gap_s, 3),
                "healed_s": rotation.healed_s,
            },
        )
        self._news(rotation)
        return rotation

    async def _replace(self, old: Link, why: str) -> Rotation | None:
        """Open a new connection beside the old one and hand all over; None where the venue takes but one."""
        loop, topics = asyncio.get_running_loop(), list(old.topics)
        new = Link(old.number, old.variant, old.key, attempts=old.attempts, spare=True)
        transfer = Transfer(self._pool, old, new, topics)
        self._pool.add(new, after=old)
        try:
            await transfer.carry_over(loop.time() + OPENING_S)
            proven = len(new.topics)
            if not proven and new.arrivals:
                taken = isinstance(new.error, VenueError) and new.error.kind is FaultKind.SLOT_TAKEN
                self._sole = self._sole or taken
                trouble = next((one.trouble for one in new.arrivals.values() if one.trouble), "")
                trouble = new.trouble or trouble or "nothing came of it in time"
                return (
                    None if taken else self._rotation(old, why, len(topics), replaced=False, trouble=trouble)
                )
            began_s = loop.time()
            broken = transfer.break_over()
            new.spare = False
        finally:
            if new.spare and old in self._pool.links:
                transfer.leave_the_rest()
                old.topics.update(new.topics)  # the scope ended before all were handed over
                self._pool.remove(new)
            else:
                new.spare = False
                self._pool.remove(old)
                if not new.topics:  # meanwhile nobody wants any of it
                    self._pool.remove(new)
        rotation = self._rotation(new, why, len(topics), replaced=True)
        if not broken:
            return rotation
        gap_s, healed_s = await self._wait_for_healing(new, began_s)
        trouble = f"{broken} of {len(topics)} topics were not proven in time"
        return attrs.evolve(rotation, broken=broken, gap_s=gap_s, healed_s=healed_s, trouble=trouble)

    async def _reopen(self, link: Link, why: str) -> Rotation:
        """Close a connection and open it again at once: between the two something may be missed."""
        began_s, topics = loop_s(), len(link.topics)
        if link.task is not None:
            link.task.cancel()
            link.session = None  # who rides along from now on waits for the next one
            await asyncio.wait([link.task])
            if link not in self._pool.links:
                return self._rotation(link, why, topics, replaced=False)
            self._pool.dial(link)
        gap_s, healed_s = await self._wait_for_healing(link, began_s)
        rotation = self._rotation(link, why, topics, replaced=True)
        return attrs.evolve(rotation, broken=topics, gap_s=gap_s, healed_s=healed_s)

    async def _wait_for_healing(self, link: Link, began_s: float) -> tuple[float, float | None]:
        """Return how long until all is subscribed to again, and until history brought what was missed."""
        loop = asyncio.get_running_loop()
        while loop.time() < began_s + OPENING_S + PROOF_S:
            session = link.session
            if session is not None and all(
                session.phase(topic) in {TopicPhase.CONFIRMED, TopicPhase.REFUSED} for topic in link.topics
            ):
                break
            await asyncio.sleep(CHECK_S)
        gap_s = loop.time() - began_s
        return gap_s, loop.time() - began_s if await self._healed(list(link.topics)) else None

    # --------------------------------------------------------------------------------------------- balancing

    def rates(self, now_s: float) -> Mapping[Topic, float]:
        """Return how many events a second each topic brought since the last time, and count anew."""
        passed_s = max(now_s - self._counted_s, CHECK_S)
        before, self._counted_s = self._counted, now_s
        self._counted = {topic: riders.route.received for topic, riders in self._pool.riders.items()}
        return {
            topic: max(count - before[topic], 0) / passed_s
            for topic, count in self._counted.items()
            if topic in before
        }

    async def _even_out(self, now_s: float) -> None:
        """Let some topics ride on connections that carry less."""
        self._even_s = now_s + BALANCE_S
        moves = self._balance(self.rates(now_s))
        try:
            for move in moves:
                await self._move(move)
        finally:  # also those that a bug in the scope left undone
            for move in moves:
                number = self._pool.number_of(move.topic)
                self._settle(move, number)
                if number != move.into:
                    self._even_s = now_s + UNEVEN_S

    async def _move(self, move: Move) -> None:
        """Let one topic ride on another connection, if it is still where it was."""
        old = next((one for one in self._pool.links if move.topic in one.topics), None)
        new = next((one for one in self._pool.links if one.number == move.into), None)
        if old is None or new is None or old.number != move.out_of or old.session is None:
            return
        transfer = Transfer(self._pool, old, new, [move.topic])
        try:
            await transfer.carry_over(loop_s() + PROOF_S)
        finally:
            if move.topic in new.arrivals:
                transfer.leave_the_rest()
            for link in (old, new):
                if not link.topics and link in self._pool.links:
                    self._pool.remove(link)

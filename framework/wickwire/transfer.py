"""Hands topics over from one connection to another, each as soon as it is proven there.

What is known of one topic on both connections is in `handover`; why anything is handed over is rotation's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, final

from wickwire.endpoint import Topic
from wickwire.errors import FaultKind, VenueError, WickwireError
from wickwire.handover import Overlap, Proof
from wickwire.pool import Link, Pool
from wickwire.session import SessionState
from wickwire.subscriptions import TopicPhase

__all__ = ["CHECK_S", "PROOF_S", "Transfer"]

CHECK_S: Final = 0.25
"""How often it is looked whether what is handed over is proven."""

PROOF_S: Final = 30.0
"""How long a new connection may take, once it is opened, until all of its topics are proven."""

PRESUMED_S: Final = 3.0
"""After so long what was asked for is taken as subscribed to, where the venue says so by data only."""


@final
class Transfer:
    """Topics on their way from one connection to another."""

    def __init__(self, pool: Pool, old: Link, new: Link, topics: Sequence[Topic]) -> None:
        """Let *topics* be carried by both connections from now on, and count on the old one."""
        self._pool = pool
        self._old = old
        self._new = new
        pool.depart(old, new, topics)

    async def carry_over(self, opened_by_s: float) -> None:
        """Hand over each topic once it is proven, until all are, or it takes too long, or cannot be.

        It takes too long where the new connection is not open by *opened_by_s* of the loop, or a topic is not
        proven `PROOF_S` after that.
        """
        loop, old, new = asyncio.get_running_loop(), self._old, self._new
        before, until_s = old.session, opened_by_s
        ready_s: float | None = None
        while new.arrivals and loop.time() < until_s:
            await asyncio.sleep(CHECK_S)
            session = new.session
            if old.session is not before:  # it ended by itself: then the new one is the reconnection
                for topic in list(new.arrivals):
                    self._arrive(topic, seamless=False)
            elif session is not None and session.state is SessionState.READY:
                if ready_s is None:
                    ready_s = loop.time()
                    until_s = ready_s + PROOF_S
                if loop.time() >= ready_s + PRESUMED_S:
                    for topic, overlap in new.arrivals.items():
                        if session.presume(topic):
                            overlap.presumed(loop.time())
                self._arrive_proven(loop.time())
            if (new.spare and _is_final(new.error)) or all(one.trouble for one in new.arrivals.values()):
                return

    def break_over(self) -> int:
        """Let the new connection count for what is not proven there; return how many that interrupts."""
        return sum([self._break_over(topic) for topic in list(self._new.arrivals)])

    def leave_the_rest(self) -> None:
        """Let what was not handed over stay where it is."""
        old, new = self._old, self._new
        for topic in list(new.arrivals):
            del new.arrivals[topic]
            riders = self._pool.riders[topic]
            riders.departure = None
            if new.session is not None:
                new.session.drop(topic)
            if old.session is not None and old.session.phase(topic) is not None:
                old.session.reroute(topic, riders.route)

    def _arrive_proven(self, now_s: float) -> None:
        proofs = {
            topic: overlap.proof(now_s)
            for topic, overlap in self._new.arrivals.items()
            if not overlap.trouble
        }
        for topic, proof in proofs.items():
            # silence proves nothing on a connection that does not bring what it should
            if proof is Proof.DATA or Proof.NONE not in proofs.values():
                self._arrive(topic, seamless=True)

    def _arrive(self, topic: Topic, *, seamless: bool) -> None:
        """Let the new connection count for *topic* from now on."""
        old, new = self._old, self._new
        overlap, riders, before = new.arrivals.pop(topic), self._pool.riders[topic], old.session
        lived = before is not None and before.phase(topic) is TopicPhase.CONFIRMED
        new.topics[topic] = old.topics.pop(topic)
        riders.departure = riders.arrival = None
        if before is not None:
            if new.spare:
                before.release(topic)
            else:
                before.drop(topic)
        session, route = new.session, riders.route
        if session is None or session.phase(topic) is None:
            return
        if session.phase(topic) is not TopicPhase.CONFIRMED:
            session.reroute(topic, route)
            if overlap.refusal is not None:
                route.refused(*overlap.refusal)
            return
        if seamless and lived:
            route.moved(session)
        else:
            route.subscribed(session)
        overlap.hand_over(route, partial(self._settle_down, topic, overlap))
        riders.arrival = overlap

    def _settle_down(self, topic: Topic, overlap: Overlap) -> None:
        """Let the data of a topic go to its route directly: nothing comes any more that was told before."""
        riders, session = self._pool.riders.get(topic), self._new.session
        if riders is None or riders.arrival is not overlap:
            return
        riders.arrival = None
        if session is not None and session.phase(topic) is not None:
            session.reroute(topic, riders.route)

    def _break_over(self, topic: Topic) -> bool:
        """Let the new connection count for a topic that is not proven; say whether that interrupts it."""
        before = self._old.session
        lived = before is not None and before.phase(topic) is TopicPhase.CONFIRMED
        if lived:
            route = self._pool.riders[topic].route
            route.lost("the connection was replaced before this was proven on the new one")
        self._arrive(topic, seamless=False)
        return lived


def _is_final(error: WickwireError | None) -> bool:
    """Say whether it is no use to try again to open a connection that another one has in its place."""
    return isinstance(error, VenueError) and error.kind in {
        FaultKind.SLOT_TAKEN,
        FaultKind.CREDENTIALS,
        FaultKind.ENTITLEMENT,
        FaultKind.WAIT,
    }

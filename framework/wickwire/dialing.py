"""Who may open a connection now, of all that are wanted to one venue on one account.

While data flows, a connection that fails waits for itself alone. When none flows any more it is no matter of
one connection: then one tries, for all, and the others wait for what becomes of it. So a venue that is down
meets one client that asks ever more rarely, and not as many as there are connections.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import attrs

from wickwire.clock import loop_s
from wickwire.description import Limits
from wickwire.errors import WickwireError
from wickwire.retry import Advice, Backoff, Retries, advise, asked_s, concerns_venue

__all__ = ["Attempt", "Connections", "Dialing"]

TRIAL_S: Final = 5.0
"""How long the others wait for the one that tries. One that is ready by then, and has no data, will do: the
market may be quiet."""

_SOON_S: Final = 1e-6
"""Less is no wait: it may be too short to move a loop's clock at all."""


@attrs.define(eq=False)
class Attempt:
    """One connection, from its turn to its end.

    Attributes:
        ready: Says whether it may be subscribed on.
        began_s: When its turn came, in the loop's time.
    """

    _dialing: Dialing
    ready: Callable[[], bool] = bool
    began_s: float = 0.0

    def flows(self) -> None:
        """Note that data came."""
        self._dialing.flows(self)

    def failed(self, error: WickwireError, healthy_s: float, wait_s: float, tries: int) -> None:
        """Note its end.

        Args:
            error: Why.
            healthy_s: For how many seconds data had been flowing.
            wait_s: How long its own backoff makes it wait.
            tries: How many failures its own backoff knows of.
        """
        self._dialing.failed(self, error, healthy_s, wait_s, tries)

    def closed(self, healthy_s: float) -> None:
        """Note that it was closed on this side; its health counts as if it had failed.

        Args:
            healthy_s: For how many seconds data had been flowing.
        """
        self._dialing.was_healthy(healthy_s)


class Dialing:
    """The state that the connections to one venue and account share.

    Attributes:
        flowed_s: When a connection brought its first data last, in the loop's time.
    """

    def __init__(self, backoff: Backoff, rng: random.Random) -> None:
        """Let everybody through until something fails."""
        self._retries = Retries(backoff, rng)
        self._queue: dict[Attempt, None] = {}
        self._flowing: dict[Attempt, None] = {}
        self._trying: Attempt | None = None
        self._failing = False
        self.flowed_s = self._told_until_s = self._closed_until_s = self._failed_s = float("-inf")
        self._healthy_s = 0.0
        self._moved = asyncio.Event()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Attempt]:
        """Wait until a connection may be tried, and hold its place for as long as the block runs."""
        attempt = Attempt(self)
        self._queue[attempt] = None
        try:
            await self._admitted(attempt)
        finally:
            del self._queue[attempt]
            self._stir()
        try:
            yield attempt
        finally:
            self._flowing.pop(attempt, None)
            if self._trying is attempt:
                self._trying = None
            self._stir()

    async def _admitted(self, attempt: Attempt) -> None:
        loop = asyncio.get_running_loop()
        while True:
            wait_s = self._wait_s(attempt, loop.time())
            if wait_s is not None and wait_s < _SOON_S:
                attempt.began_s = loop.time()
                if self._failing:
                    self._trying = attempt
                return
            moved = self._moved
            try:
                async with asyncio.timeout(wait_s):
                    await moved.wait()
            except TimeoutError:
                continue

    def _wait_s(self, attempt: Attempt, now_s: float) -> float | None:
        """Return how long *attempt* has to wait; None for as long as nothing moves."""
        if next(iter(self._queue)) is not attempt:
            return None
        trying = self._trying
        if trying is not None and now_s - trying.began_s >= TRIAL_S - _SOON_S:
            self._trying, self._failing = None, self._failing and not trying.ready()
        elif trying is not None:
            return trying.began_s + TRIAL_S - now_s
        return max(self._told_until_s - now_s, self._closed_until_s - now_s, 0.0)

    def _stir(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def flows(self, attempt: Attempt) -> None:
        """Note that data came on a connection: the venue is there.

        What it asked us to wait holds still. What we decided for all does not: a connection may have outlived
        that decision without data, as where its market was quiet.
        """
        self._flowing[attempt] = None
        self.flowed_s = loop_s()
        self._failing, self._trying = False, None
        self._closed_until_s = float("-inf")
        self._stir()

    def was_healthy(self, healthy_s: float) -> None:
        """Note for how many seconds data had been flowing on a connection that is over."""
        self._healthy_s = max(self._healthy_s, healthy_s)

    def failed(
        self, attempt: Attempt, error: WickwireError, healthy_s: float, wait_s: float, tries: int
    ) -> None:
        """Note that a connection ended; see `Attempt.failed`."""
        self._flowing.pop(attempt, None)
        if not concerns_venue(error):
            return
        now_s = loop_s()
        self.was_healthy(healthy_s)
        if advise(error) is Advice.WAIT or asked_s(error):  # that is said to the account, whatever else flows
            self._told_until_s = max(self._told_until_s, now_s + wait_s)
        if self._flowing or attempt.began_s < self._failed_s:  # its own trouble, or known already
            return
        ours_s = self._retries.failed(error, self._healthy_s)
        self._failing, self._failed_s, self._healthy_s = True, now_s, 0.0
        longer = self._retries.attempt > tries  # else it has waited for all of them
        self._closed_until_s = max(self._closed_until_s, now_s + (ours_s if longer else wait_s))


@attrs.define(eq=False)
class Connections:
    """All connections on one account, of all variants of a venue: only so many may be open at once."""

    _open: dict[object, tuple[str, str]] = attrs.field(factory=dict)

    def add(self, keeper: object, variant: str, key: str) -> None:
        """Count one that *keeper* keeps open, of a variant and to the endpoint that `Lane.key` stands for."""
        self._open[keeper] = variant, key

    def remove(self, keeper: object) -> None:
        """Count it no more."""
        self._open.pop(keeper, None)

    def one_more(self, limits: Limits, variant: str, key: str) -> str:
        """Return why no other may be opened to that endpoint; empty where one may."""
        alike = sum(one == (variant, key) for one in self._open.values())
        for most, there in ((limits.connections, len(self._open)), (limits.connections_per_lane, alike)):
            if most is not None and there >= most:
                return f"the venue allows {most} connection{'' if most == 1 else 's'}"
        return ""

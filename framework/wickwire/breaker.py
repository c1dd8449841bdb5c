"""Whether REST of a venue may be asked now, decided once for all series of an account.

While it answers, everybody asks. After a few failures in a row it counts as away: one request at a time is
let through, ever more rarely, and the first answer lets the others go on.

A failure may also be about one symbol, which must not hold up the others. So waits grow with every failure
for a symbol that failed already, and for the others only with the number of symbols that did. They go first,
too: where only some symbols fail, the next other one that asks finds that out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Final, final

import attrs

from wickwire.budget import FIRST, Rank
from wickwire.clock import Clock, loop_s
from wickwire.errors import GivenUp, RestAway, WickwireError
from wickwire.instants import iso
from wickwire.retry import Backoff, Retries

__all__ = ["AWAY_AFTER", "LONGEST_S", "Asker", "Attempt", "Away", "Breaker"]

AWAY_AFTER: Final = 3
"""So many failures in a row: one may be a lost reply, two an unlucky pair. To find out costs little, as the
next try comes within half a second. More would let many series fail before it shows."""

LONGEST_S: Final = 150.0
"""The ceiling of waits is no higher, whatever the backoff says: a try comes each 75 s on average, and data
soon after the venue is back. That is fewer than 60 an hour; with a ceiling of a minute it would be 120."""

TURN_S: Final = 1.0
"""So long a try is kept for whoever was called; then it is the next one's."""

_SOON_S: Final = 1e-6
"""Less is no wait: it may be too short to move a loop's clock at all."""


def _never() -> bool:
    return False


@attrs.frozen(eq=False)
class Asker:
    """Somebody who asks REST.

    Attributes:
        name: Under which it waits: the same name waits once.
        symbol: What it asks about.
        rank: How important it is beside others; lower goes first.
        again: Called when it may ask again; says whether it has something to ask still.
    """

    name: str
    symbol: str
    rank: Rank = FIRST
    again: Callable[[], bool] = _never


@attrs.frozen
class Away:
    """REST of a venue does not answer.

    Attributes:
        since_ns: When the first of the failures was, by the wall clock.
        why: The last of them, without secrets.
        next_s: In how many seconds the next try is made; None while one is under way.
    """

    since_ns: int
    why: str
    next_s: float | None

    def __str__(self) -> str:
        """Say it in one line."""
        following = "a try is under way" if self.next_s is None else f"next try in {self.next_s:.0f} s"
        return f"{self.fact}; {following}"

    @property
    def fact(self) -> str:
        """What stays true until it is back."""
        return f"REST is away since {iso(self.since_ns)} ({self.why})"


@attrs.define(eq=False)
class Attempt:
    """One request from its turn to its end. Where nobody asks, it counts for nothing."""

    _breaker: Breaker
    asker: Asker | None

    def begin(self) -> None:
        """Note that it is sent now, after it may have waited; raises RestAway where the venue is away now."""
        if self.asker is not None:
            self._breaker.begin(self, self.asker)

    def answered(self) -> None:
        """Note that the venue answered, whatever it said."""
        if self.asker is not None:
            self._breaker.answered()

    def failed(self, error: WickwireError, why: str) -> None:
        """Note that the venue did not answer, or is down; *why* is *error* in words without secrets."""
        if self.asker is not None:
            self._breaker.failed(self, self.asker, error, why)


@final
class Breaker:
    """What all series of one venue and account know of its REST interface."""

    def __init__(self, venue: str, backoff: Backoff, clock: Clock, rng: Random) -> None:
        """Let everybody through until something fails; then wait by *backoff*, up to `LONGEST_S`."""
        self._venue = venue
        self._backoff = attrs.evolve(backoff, cap_s=max(min(backoff.cap_s, LONGEST_S), backoff.first_s))
        self._retries = Retries(self._backoff, rng)
        self._clock = clock
        self._row = 0  # failures since the last answer
        self._failures = 0
        self._failed: dict[str, int] = {}  # since the last answer: which failure was the last of a symbol
        self._began_s = self._back_s = self._next_s = self._others_s = float("-inf")
        self._since_ns = 0
        self._why = ""
        self._trying: Attempt | None = None
        self._called: Asker | None = None
        self._waiting: dict[str, Asker] = {}
        self._timer: asyncio.TimerHandle | None = None

    # -------------------------------------------------------------------------------------------- one request

    @contextmanager
    def attempt(self, asker: Asker | None) -> Iterator[Attempt]:
        """Hold the place of one request for as long as the block runs; None is let through uncounted.

        Raises:
            RestAway: REST is away, and it is not this one's turn to find out whether it still is.
        """
        attempt = Attempt(self, asker)
        if asker is not None and self.is_away:
            self._admit(attempt, asker)
        try:
            yield attempt
        finally:
            if self._trying is attempt:  # it came to no end: canceled, or it could not be sent
                self._trying = None
                self._arrange()

    def _admit(self, attempt: Attempt, asker: Asker) -> None:
        """Let *attempt* find out whether the venue is back, where it is its turn."""
        now_s = loop_s()
        mine = self._called is None or self._called.name == asker.name
        if self._trying is not None or not mine or self._due_s(asker) - now_s >= _SOON_S:
            raise self._refusal(asker)
        self._trying, self._called = attempt, None
        self._waiting.pop(asker.name, None)
        self._arrange()

    def begin(self, attempt: Attempt, asker: Asker) -> None:
        """Raise RestAway where that showed while *attempt* waited for the budget."""
        if self.is_away and self._trying is not attempt:
            raise self._refusal(asker)

    def answered(self) -> None:
        """Note that the venue answered: everybody may ask, the most important first."""
        was_away = self.is_away
        self._row = 0
        self._failed.clear()
        self._trying = self._called = None
        if not was_away:
            return
        self._back_s = loop_s()
        waiting = sorted(self._waiting.values(), key=lambda asker: asker.rank)
        self._waiting.clear()
        self._arrange()
        for asker in waiting:
            asker.again()

    def failed(self, attempt: Attempt, asker: Asker, error: WickwireError, why: str) -> None:
        """Note that a request failed: one that finds out, or one of those after which the venue is away."""
        if self.is_away and self._trying is not attempt:  # sent before that was known
            self._failed.setdefault(asker.symbol, self._failures)
            self._await(asker)
            return
        now_s = loop_s()
        if not self._row:
            self._began_s, self._since_ns = now_s, self._clock.now_ns()
        self._row += 1
        self._failures += 1
        self._failed[asker.symbol] = self._failures
        self._why = why
        self._trying = None
        if self.is_away:
            self._plan(error, now_s)
            self._await(asker)
            self._arrange()

    def _plan(self, error: WickwireError, now_s: float) -> None:
        """Decide when the next try may be made: by a symbol that failed already, and by another."""
        healthy_s = self._began_s - self._back_s if self._row == AWAY_AFTER else 0.0
        wait_s = self._retries.failed(error, healthy_s)
        attempt = self._retries.attempt
        spread = min(max(len(self._failed) - AWAY_AFTER + 1, 1), attempt)
        share = self._backoff.ceiling_s(spread) / self._backoff.ceiling_s(attempt)
        self._next_s, self._others_s = now_s + wait_s, now_s + wait_s * share

    # --------------------------------------------------------------------------------------------- whose turn

    @property
    def is_away(self) -> bool:
        """Whether one at a time finds out for all whether the venue is back."""
        return self._row >= AWAY_AFTER

    def _due_s(self, asker: Asker) -> float:
        return self._next_s if asker.symbol in self._failed else self._others_s

    def _turn(self, asker: Asker) -> tuple[int, Rank]:
        """Return what orders those that wait: by when they failed last, and then by importance."""
        return self._failed.get(asker.symbol, 0), asker.rank

    def _await(self, asker: Asker) -> None:
        """Call *asker* when it may ask again."""
        if asker.again is _never:
            return
        self._waiting[asker.name] = asker
        if self._timer is None or self._due_s(asker) < self._timer.when():
            self._arrange()

    def _refusal(self, asker: Asker) -> RestAway:
        self._await(asker)
        away = self.away()
        assert away is not None
        why = f"{self._venue}: {away.fact}; one request at a time finds out for all series if it is back"
        return RestAway(why, retry_after_s=away.next_s or 0.0)

    def _arrange(self) -> None:
        """Look again when the next try is due, and somebody waits to make it."""
        if self._timer is not None and self._called is None:
            self._timer.cancel()
            self._timer = None
        if self._trying is None and self._called is None and self._waiting and self.is_away:
            due_s = min(self._due_s(asker) for asker in self._waiting.values())
            self._timer = asyncio.get_running_loop().call_at(max(due_s, loop_s()), self._call)

    def _call(self) -> None:
        """Call whose turn it is; who has nothing to ask any more waits no longer."""
        now_s, self._called = loop_s(), None
        due = [asker for asker in self._waiting.values() if self._due_s(asker) - now_s < _SOON_S]
        for asker in sorted(due, key=self._turn):
            del self._waiting[asker.name]
            if asker.again():
                self._called = asker
                self._timer = asyncio.get_running_loop().call_later(TURN_S, self._call)
                return
        self._arrange()

    # --------------------------------------------------------------------------------------------- for others

    def away(self) -> Away | None:
        """Return since when and why REST is away, and when the next try is made; None while it answers."""
        if not self.is_away:
            return None
        due_s = self._next_s if self._timer is None else self._timer.when()
        under_way = self._trying is not None or self._called is not None
        return Away(self._since_ns, self._why, None if under_way else max(due_s - loop_s(), 0.0))

    def given_up(self, error: WickwireError, why: str) -> GivenUp | None:
        """Return what to raise where *error* was the last failure that is put up with; see `Retries`."""
        return self._retries.given_up(error, why) if self.is_away else None

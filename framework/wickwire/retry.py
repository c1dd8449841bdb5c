"""What follows from a failure: how long to wait, and whether waiting can help. Nothing here waits."""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Mapping
from typing import Final, final

import attrs

from wickwire.errors import (
    FaultKind,
    GivenUp,
    PluginError,
    StreamClosed,
    TransportError,
    UsageError,
    VenueError,
    WickwireError,
)

__all__ = [
    "ADVICE",
    "LONGEST_ASKED_S",
    "PRESETS",
    "Advice",
    "Backoff",
    "Retries",
    "advise",
    "asked_s",
    "concerns_venue",
    "is_outage",
]

LONGEST_ASKED_S: Final = 3_600.0
"""How long a venue may make us wait with one word: a Retry-After of a year is a mistake, or an attack."""


SPREAD: Final = 3
"""Over how many times the cautious wait the clients of a venue that restarts come back, after that wait: what
it sends away comes from all of them in the same moment."""


@final
class Advice(enum.Enum):
    """What to do about a failure; no advice ever gives up silently."""

    RETRY = "retry"
    """It may pass soon: the ordinary schedule."""
    WAIT = "wait"
    """We are too fast, or the venue is down: the schedule from its cautious step on."""
    FIX = "fix"
    """Only a person can mend it: say so, and try again at the slowest pace."""


ADVICE: Final = {
    FaultKind.WAIT: Advice.WAIT,
    FaultKind.OUTAGE: Advice.RETRY,
    FaultKind.SYMBOL: Advice.FIX,
    FaultKind.REQUEST: Advice.FIX,
    FaultKind.CREDENTIALS: Advice.FIX,
    FaultKind.ENTITLEMENT: Advice.FIX,
    FaultKind.GAP: Advice.RETRY,
    FaultKind.SLOT_TAKEN: Advice.WAIT,
    FaultKind.CHANNEL_LOST: Advice.RETRY,
    FaultKind.RESTART: Advice.RETRY,
    FaultKind.PROTOCOL: Advice.WAIT,
}
"""The one table from what a venue said to what follows."""

# RFC 6455, 7.4.1, and the IANA registry of close codes.
_CLOSE_CODES: Final = {1008: Advice.FIX, 1012: Advice.WAIT, 1013: Advice.WAIT}


@attrs.frozen(kw_only=True)
class Backoff:
    """How long to wait between attempts, in seconds: under a growing ceiling, by lot, and for ever.

    Attributes:
        first_s: Ceiling before the first retry.
        factor: How much the ceiling grows with each attempt.
        cap_s: Ceiling of ceilings.
        healthy_s: How long data must flow before the next failure counts as the first again.
        cautious_s: Least wait where the advice is WAIT; and by lot up to `SPREAD` times as much more.
        jitter: Which part of a wait is drawn by lot: 1 anything from nothing to the ceiling, so that many
            clients do not come back together; 0 exactly the ceiling.
        attempts: After so many failures in a row, without health in between, the collector ends with
            `GivenUp`. None goes on for ever, at the slowest pace.
    """

    first_s: float = attrs.field(default=0.5, converter=float, validator=attrs.validators.gt(0))
    factor: float = attrs.field(default=2.0, converter=float, validator=attrs.validators.ge(1))
    cap_s: float = attrs.field(default=180.0, converter=float, validator=attrs.validators.gt(0))
    healthy_s: float = attrs.field(default=30.0, converter=float, validator=attrs.validators.ge(0))
    cautious_s: float = attrs.field(default=5.0, converter=float, validator=attrs.validators.ge(0))
    jitter: float = attrs.field(
        default=1.0, converter=float, validator=[attrs.validators.ge(0), attrs.validators.le(1)]
    )
    attempts: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.ge(1))
    )

    def __attrs_post_init__(self) -> None:
        """Refuse a cap below the first step, and what is no number."""
        for name in ("first_s", "factor", "cap_s", "healthy_s", "cautious_s"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"Backoff.{name} must be a finite number, got {getattr(self, name)}")
        if self.cap_s < self.first_s:
            raise ValueError(f"Backoff.cap_s must be at least first_s ({self.first_s} s), got {self.cap_s} s")

    def ceiling_s(self, attempt: int) -> float:
        """Return the longest wait before retry number *attempt*, counted from 1."""
        steps = min(attempt - 1, 64)
        return min(self.cap_s, self.first_s * self.factor**steps)

    def wait_s(self, attempt: int, rng: random.Random, advice: Advice = Advice.RETRY) -> float:
        """Return how long to wait before retry number *attempt*."""
        ceiling_s = self.ceiling_s(attempt)
        match advice:
            case Advice.RETRY:
                return self._below(ceiling_s, rng)
            case Advice.WAIT:
                return self.cautious_s + self._below(max(ceiling_s, SPREAD * self.cautious_s), rng)
            case Advice.FIX:
                return self.cap_s + self._below(self.cap_s, rng)

    def _below(self, ceiling_s: float, rng: random.Random) -> float:
        return rng.uniform((1.0 - self.jitter) * ceiling_s, ceiling_s)


PRESETS: Final[Mapping[str, Backoff]] = {
    "default": Backoff(),
    "patient": Backoff(first_s=5.0, cap_s=300.0),
    "eager": Backoff(first_s=0.1, cap_s=60.0),
}
"""Schedules by name: half a second doubling to three minutes, which are some 40 attempts an hour; 5 s
doubling to 300 s; 0.1 s doubling to 60 s."""


def advise(error: WickwireError) -> Advice:
    """Return what to do about *error*: by its kind, its close code, or an ordinary retry.

    A setting or a plugin that is wrong is no weather: it will be as wrong in a second.
    """
    if isinstance(error, VenueError):
        return ADVICE[error.kind]
    if isinstance(error, StreamClosed):
        return _CLOSE_CODES.get(error.code, Advice.RETRY)
    return Advice.FIX if isinstance(error, UsageError | PluginError) else Advice.RETRY


def asked_s(error: WickwireError) -> float | None:
    """Return how many seconds the venue asked to wait, as far as that is obeyed, or None."""
    if not isinstance(error, VenueError) or error.retry_after_s is None:
        return None
    return min(max(error.retry_after_s, 0.0), LONGEST_ASKED_S)


_COMMON: Final = frozenset(
    {
        FaultKind.WAIT,
        FaultKind.OUTAGE,
        FaultKind.RESTART,
        FaultKind.CREDENTIALS,
        FaultKind.SLOT_TAKEN,
        FaultKind.PROTOCOL,
    }
)
"""Kinds of no that are about the venue or the account; the others may be about one topic or one feed."""


def concerns_venue(error: WickwireError) -> bool:
    """Say whether *error* is about the way to a venue or the account, and not about one symbol or request."""
    return isinstance(error, TransportError) or (isinstance(error, VenueError) and error.kind in _COMMON)


def is_outage(error: WickwireError) -> bool:
    """Say whether *error* may mean that the venue is away: nothing usable came, or it says so."""
    return isinstance(error, TransportError) or (
        isinstance(error, VenueError) and error.kind is FaultKind.OUTAGE
    )


@attrs.define(eq=False)
class Retries:
    """Counts attempts of one thing that fails, and forgets them only after sustained health.

    Attributes:
        backoff: The schedule.
        rng: Where the jitter comes from.
        attempt: Failures since health was last sustained.
    """

    backoff: Backoff
    rng: random.Random
    attempt: int = 0

    def failed(self, error: WickwireError, healthy_s: float = 0.0) -> float:
        """Count a failure that came after *healthy_s* seconds of flowing data; return the seconds to wait."""
        if healthy_s >= self.backoff.healthy_s:
            self.attempt = 0
        self.attempt += 1
        wait_s = self.backoff.wait_s(self.attempt, self.rng, advise(error))
        asked = asked_s(error)
        return wait_s if asked is None else max(wait_s, asked)

    def given_up(self, error: WickwireError, why: str) -> GivenUp | None:
        """Return what to raise where *error*, which was counted, was the last that is put up with.

        Args:
            error: What failed.
            why: The same in words, without secrets.
        """
        most = self.backoff.attempts
        if most is None or self.attempt < most or not concerns_venue(error):
            return None
        times = "1 attempt" if most == 1 else f"{most} attempts in a row"
        return GivenUp(f"{why}; given up after {times}, as the setting backoff.attempts says")

    def succeeded(self) -> None:
        """Forget the failures: for requests, where one success is health."""
        self.attempt = 0

"""What a shared budget promises: it counts, for several processes, what one account may ask of a venue.

A process reports what it has under way and what has ended, and claims what it would send next. The budget
answers how many of these claims may go, by the rules of `Rate` and by its own clock. A report is the whole
truth of its process: what it does not name any more was given back.
"""

from __future__ import annotations

from typing import Final, Protocol

import attrs

from wickwire.description import Rate
from wickwire.errors import BudgetError

__all__ = ["LEASE_S", "SILENT_S", "BudgetError", "Claim", "Hint", "Report", "Ruling", "SharedBudget", "Spent"]

LEASE_S: Final = 15.0
"""A process that reports nothing for so long is dead; what it had under way counts as of then."""

SILENT_S: Final = 5.0
"""One that reports nothing for so long may be cut off, and then goes on with its part of the limits."""


@attrs.frozen
class Claim:
    """One call that wants to go, or that is under way.

    Attributes:
        number: Names it among those of its process; one that is claimed again has the same.
        cost: What it takes of the limit.
        urgent: It may use what is left free for what is urgent.
    """

    number: int
    cost: int
    urgent: bool = attrs.field(default=True, kw_only=True)


@attrs.frozen(kw_only=True)
class Spent:
    """One call that the venue must have counted by now.

    Attributes:
        number: As it was claimed.
        cost: What it took.
        age_s: How long ago it ended, in seconds; from then on it counts.
        known: The budget had it under way. One that it does not know any more then was counted before; one
            that was sent without it counts now.
    """

    number: int
    cost: int
    age_s: float
    known: bool


@attrs.frozen(kw_only=True)
class Hint:
    """What a reply of the venue says of the limit; its own call is still under way.

    Attributes:
        left: How much of it is left.
        most: How much of it there is; None where that is not said.
        cost: What the call took.
        age_s: How long ago that was sent, in seconds.
        next_s: In how many seconds the next window begins, as it says; None where it does not.
    """

    left: float
    most: float | None
    cost: int
    age_s: float
    next_s: float | None


@attrs.frozen(kw_only=True)
class Report:
    """What one process says of one limit.

    Attributes:
        venue: Whose limit.
        account: Which account there, under a name that holds no secret.
        limit: Which of its limits: "rest", "connects" or "messages".
        member: Which process; unlike any other, and new at each start.
        generation: What the last ruling said; empty before the first.
        rates: All that this process keeps to, each by itself (`Rate.parts`).
        held: What is under way, all of it.
        spent: What has ended since the last report that was answered, oldest first.
        hints: What replies said, before any of *spent*.
        pause_s: For how many seconds more the venue wants nothing, where that is news; then one call goes
            alone. None where it is not.
        claims: What would go next, in order; the first that may not go holds up the others.
        leaves: This process ends: what it holds counts, and it is no member any more.
    """

    venue: str
    account: str
    limit: str
    member: str
    generation: str
    rates: tuple[Rate, ...]
    held: tuple[Claim, ...] = ()
    spent: tuple[Spent, ...] = ()
    hints: tuple[Hint, ...] = ()
    pause_s: float | None = None
    claims: tuple[Claim, ...] = ()
    leaves: bool = False

    def is_forgotten_by(self, ruling: Ruling) -> bool:
        """Say whether *ruling* is of another generation, so that nothing of this report was taken."""
        return self.generation not in {"", ruling.generation}


@attrs.frozen(kw_only=True)
class Ruling:
    """What a shared budget says to a report.

    Attributes:
        generation: Names what the budget remembers. Where it is another than in the report, and that named
            one, it has forgotten all before, took nothing of the report, and lets nothing go.
        granted: How many of the claims go now, from the first on.
        wait_s: How long the next one waits, in seconds; infinite where only the end of what is under way can
            help.
        paused_s: For how many seconds more the venue wants nothing.
        members: How many processes reported within `LEASE_S`, this one included.
        silent: How many of them not within `SILENT_S`.
    """

    generation: str
    granted: int = 0
    wait_s: float = 0.0
    paused_s: float = 0.0
    members: int = 1
    silent: int = 0


class SharedBudget(Protocol):
    """Counts for several processes. Each method raises BudgetError, which says what to do, when it cannot."""

    async def open(self) -> None:
        """Make it ready; called before anything else, and again after `aclose`.

        One that is away now is no error here: `settle` says so, and is asked again later.

        Raises:
            BudgetError: It will not work until somebody mends what the text names.
        """
        ...

    async def aclose(self) -> None:
        """Release everything, also after an `open` that failed."""
        ...

    async def settle(self, report: Report) -> Ruling:
        """Take *report* and say what may go, in one step that no other process comes between.

        It may be cancelled, and then may have been done or not. Never called twice at once for one limit.

        Raises:
            BudgetError: It is away, or says no.
        """
        ...

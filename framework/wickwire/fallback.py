"""Whether what is streamed could be polled, all of it at once: asked before it happens. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, final

import attrs

from wickwire.description import Account, Rate
from wickwire.limits import effective_limits
from wickwire.model import HOUR_NS, SECOND_NS, Feed, Rung, Series
from wickwire.planner import Plan

if TYPE_CHECKING:
    from wickwire.adapter import Adapter

__all__ = ["FallBack", "RestRoom", "fall_back", "planned_fall_back"]

_HOUR_S: Final = HOUR_NS / SECOND_NS
_ROUNDING: Final = 1e-6


@attrs.frozen(kw_only=True)
class RestRoom:
    """What REST of one venue and account bears, and what of it is taken.

    Attributes:
        rate: What may be asked; None where the venue names no limit.
        polled_per_hour: Requests in an hour by those who are polled already.
        waiting: Requests that wait for their turn.
        paused_s: For how many seconds more the venue wants none.
    """

    rate: Rate | None = None
    polled_per_hour: float = 0.0
    waiting: int = 0
    paused_s: float = 0.0


@final
@attrs.frozen(kw_only=True)
class FallBack:
    """What would become of series if all of their streams were lost now.

    Attributes:
        fits: Those that could be polled, each bucket in its time, in order of importance.
        left_out: Those that could not, and why; these would be stale for as long as the streams are away.
        used: By venue, which part of its REST limit would go, with what is polled already: 0.5 is half of
            it. A venue that names no limit is not in there.
        first_round_s: By venue, how many seconds go by until each was asked once, with what waits before.
    """

    fits: Sequence[Series]
    left_out: Mapping[Series, str]
    used: Mapping[str, float]
    first_round_s: Mapping[str, float]

    def __str__(self) -> str:
        """Return it as one line for people."""
        streamed = len(self.fits) + len(self.left_out)
        if not streamed:
            return "nothing is streamed that could fall back to polling"
        which = f"all {streamed}" if not self.left_out else f"{len(self.fits)} of {streamed}"
        shares = ", ".join(f"{share:.0%} of the REST limit of {venue}" for venue, share in self.used.items())
        whys = "; ".join(f"not {series}: {why}" for series, why in list(self.left_out.items())[:1])
        more = f" and {len(self.left_out) - 1} more" if len(self.left_out) > 1 else ""
        line = f"{which} streamed series could be polled at once"
        return line + (f", with {shares}" if shares else "") + (f" ({whys}{more})" if whys else "")


def fall_back(plans: Iterable[Plan], rooms: Mapping[str, RestRoom]) -> FallBack:
    """Say which of *plans* could be polled now, together and beside what is polled already.

    Args:
        plans: Those with priority get the room first, then earlier ones. What is polled anyway, and counted
            in *rooms*, goes in at no cost; what is refused has no part in it.
        rooms: By venue, for each venue in *plans*.
    """
    taken = {venue: room.polled_per_hour for venue, room in rooms.items()}
    rounds = {venue: room.waiting for venue, room in rooms.items()}
    fits: list[Series] = []
    left_out: dict[Series, str] = {}
    for plan in sorted(plans, key=lambda plan: not plan.priority):
        venue = plan.series.venue
        if plan.rung is Rung.REFUSE:
            continue
        if plan.rung is not Rung.POLL:
            why = _stuck(plan) or _full(plan, rooms[venue], taken[venue])
            if why:
                left_out[plan.series] = why
                continue
            assert plan.fall_cost is not None
            taken[venue] += plan.fall_cost.rest_per_hour
            rounds[venue] += plan.fall_cost.rest_per_hour > 0
        fits.append(plan.series)
    limited = {venue: room for venue, room in rooms.items() if room.rate is not None}
    return FallBack(
        fits=tuple(fits),
        left_out=left_out,
        used={venue: taken[venue] / _per_hour(room) for venue, room in limited.items()},
        first_round_s={venue: _round_s(room, rounds[venue]) for venue, room in rooms.items()},
    )


def _stuck(plan: Plan) -> str:
    """Return why a series waits for its stream whatever room there is, or nothing."""
    if plan.falls_to is Rung.POLL and plan.fall_cost is not None:
        return ""
    if isinstance(plan.series.what, Feed):
        return f"{plan.series.what.value} come over a stream only"
    return f"pinned to {plan.rung.value}" if plan.pinned else "the venue serves no history for it"


def _full(plan: Plan, room: RestRoom, taken: float) -> str:
    assert plan.fall_cost is not None
    asks = plan.fall_cost.rest_per_hour
    if room.rate is None or not asks or taken + asks <= _per_hour(room) + _ROUNDING:
        return ""
    left = max(_per_hour(room) - taken, 0.0)
    return f"it takes {asks:,.0f} REST calls an hour, and {left:,.0f} of {_per_hour(room):,.0f} would be left"


def _per_hour(room: RestRoom) -> float:
    return float("inf") if room.rate is None else room.rate.per_hour


def _round_s(room: RestRoom, requests: int) -> float:
    """Return how long *requests* take, the burst at once and the others evenly."""
    if room.rate is None:
        return room.paused_s
    at_once = min(part.burst for part in room.rate.parts)
    return room.paused_s + max(requests - at_once, 0) * _HOUR_S / room.rate.per_hour


def planned_fall_back(
    plans: Sequence[Plan], adapters: Mapping[str, Adapter], accounts: Mapping[str, Account]
) -> FallBack:
    """Say the same of what is planned and does not run yet.

    Raises:
        ConfigError: An account's limits are higher than its venue's.
    """
    rooms: dict[str, RestRoom] = {}
    for plan in plans:
        venue = plan.series.venue
        if plan.rung is Rung.REFUSE:
            continue
        if venue not in rooms:
            account = attrs.evolve(accounts.get(venue, Account()), feed=plan.series.variant)
            allowed = adapters[venue].description_for(account).limits
            where = f"venues.{venue}.limits"
            rooms[venue] = RestRoom(rate=effective_limits(allowed, account.limits, where=where).rest)
        if plan.rung is Rung.POLL:
            polled = rooms[venue].polled_per_hour + plan.cost.rest_per_hour
            rooms[venue] = attrs.evolve(rooms[venue], polled_per_hour=polled)
    return fall_back([plan for plan in plans if plan.rung.streams], rooms)

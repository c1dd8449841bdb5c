"""What a venue allows, lowered to what the user wishes."""

from __future__ import annotations

from typing import Final

import attrs

from wickwire.description import Counting, Limits, Rate
from wickwire.errors import ConfigError

__all__ = ["both", "effective_limits"]

_ROUNDING: Final = 1e-9


def effective_limits(venue: Limits, wish: Limits | None, *, where: str = "limits") -> Limits:
    """Return what the venue allows, lowered to what the user wishes.

    Args:
        venue: From `Description.limits`.
        wish: From the config; None, also in a field, leaves the venue's.
        where: Key of the limits in the config, for messages.

    Raises:
        ConfigError: A wish is higher than what the venue allows.
    """
    if wish is None:
        return venue
    lowered: dict[str, int | Rate] = {}
    for name in (
        "connections",
        "connections_per_lane",
        "topics_per_connection",
        "topics_per_frame",
        "bytes_per_frame",
        "connects",
        "messages",
        "messages_overall",
        "rest",
    ):
        allowed, wanted = getattr(venue, name), getattr(wish, name)
        if wanted is not None:
            if allowed is not None and _higher(wanted, allowed):
                raise ConfigError(
                    f"{where}.{name}: {_shown(wanted)} is more than the {_shown(allowed)} that the venue "
                    f"allows; limits can be lowered only"
                )
            lowered[name] = both(wanted, allowed) if isinstance(wanted, Rate) else wanted
    return attrs.evolve(venue, **lowered)  # type: ignore[arg-type]  # each limit has its own type


def both(one: Rate, other: Rate | None) -> Rate:
    """Return a rate that keeps to both: *one*, with what of *other* does not follow from it."""
    if other is None:
        return one
    more = tuple(part for part in other.parts if not any(_implies(own, part) for own in one.parts))
    return attrs.evolve(one, also=(*one.also, *more)) if more else one


def _implies(one: Rate, other: Rate) -> bool:
    """Say whether who keeps to *one* keeps to *other*; both are single.

    A rule follows from one of its own kind only: what others on the account use is seen there.
    """
    evenly = one.amount * other.per_s <= other.amount * one.per_s and one.burst <= other.burst
    if one.counting is not other.counting:
        return False
    if other.counting is Counting.BUCKET:
        return evenly
    fits = one.per_s >= other.per_s and one.amount <= other.amount
    return fits and (evenly or other.burst == other.amount)


def _higher(wanted: int | Rate, allowed: int | Rate) -> bool:
    if isinstance(wanted, Rate) and isinstance(allowed, Rate):
        burst = min(part.burst for part in wanted.parts) > min(part.burst for part in allowed.parts)
        return wanted.per_hour > allowed.per_hour * (1 + _ROUNDING) or burst
    return not isinstance(wanted, Rate) and not isinstance(allowed, Rate) and wanted > allowed


def _shown(limit: int | Rate) -> str:
    return (
        f"{limit.amount} in {limit.per_s:g} s ({limit.burst} at once)"
        if isinstance(limit, Rate)
        else str(limit)
    )

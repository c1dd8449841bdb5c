"""What a venue allows, lowered to what the user wishes."""

from __future__ import annotations

import attrs

from wickwire.description import Limits, Rate
from wickwire.errors import ConfigError

__all__ = ["effective_limits", "stricter"]


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
        "rest",
    ):
        allowed, wanted = getattr(venue, name), getattr(wish, name)
        if wanted is not None:
            if allowed is not None and _higher(wanted, allowed):
                raise ConfigError(
                    f"{where}.{name}: {_shown(wanted)} is more than the {_shown(allowed)} that the venue "
                    f"allows; limits can be lowered only"
                )
            lowered[name] = wanted
    return attrs.evolve(venue, **lowered)  # type: ignore[arg-type]  # each limit has its own type


def stricter(one: Rate | None, other: Rate | None) -> Rate | None:
    """Return a rate that keeps to both."""
    if one is None or other is None:
        return one or other
    slower = one if one.amount * other.per_s <= other.amount * one.per_s else other
    return attrs.evolve(slower, burst=min(one.burst, other.burst))


def _higher(wanted: int | Rate, allowed: int | Rate) -> bool:
    if isinstance(wanted, Rate) and isinstance(allowed, Rate):
        return wanted.amount * allowed.per_s > allowed.amount * wanted.per_s or wanted.burst > allowed.burst
    return not isinstance(wanted, Rate) and not isinstance(allowed, Rate) and wanted > allowed


def _shown(limit: int | Rate) -> str:
    return (
        f"{limit.amount} in {limit.per_s:g} s ({limit.burst} at once)"
        if isinstance(limit, Rate)
        else str(limit)
    )

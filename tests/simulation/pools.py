"""What befalls a venue that is reached over several connections, and what it should bear without a word.

Troubles of a pool are about one connection among others, which live. Those of the place "calm" are none: they
are played when all is well, and nobody may notice them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.simulation.trouble import Trouble

__all__ = [
    "BACKLOG",
    "BALANCED",
    "DEAF",
    "LULL",
    "POOLED",
    "POOL_TROUBLES",
    "REPLACED",
    "SENT_AWAY",
    "narrowed",
]

POOLED: Final = ("kraken", "coinbase", "dxlink")
"""Venues that let several connections be opened to one place. Alpaca allows one, Yahoo has none, and Harbour
has one for each series anyway."""

TOPICS: Final = (1, 1, 2, 3)
"""On how many topics a connection to a narrowed venue is cut down, by lot."""

BALANCED: Final = 0.05
"""Events a second from which on a connection is worth balancing, where a run tries that. In the simulated
market little happens, and what is usual would never be reached."""

SENT_AWAY: Final = {1012: 5.0, 1013: 5.0}
"""Close codes with which a venue asks all to come back later, and how long that is at least, in seconds."""


def _pool(name: str, tag: str, details: Mapping[str, Any] | None = None, **more: Any) -> Trouble:
    given: dict[str, Any] = {"settles_min": 40.0, "most_min": 8.0, **more}
    return Trouble(place="pool", name=name, tag=tag, details=details or {}, **given)


POOL_TROUBLES: Final = (
    # one connection is cut, and none is opened in its place; the others live
    _pool("thinned", "F36"),
    # the same, and the venue says why, and how long it wants peace
    _pool("turned_away", "F38", {"status": 429}),
    _pool("turned_away", "F37", {"status": 429, "retry_after_s": 45}),
    _pool("turned_away", "F37", {"status": 503, "retry_after_s": 45}),
    # one connection is sent away, and others are wanted a moment later
    _pool("crowded", "F35", {"code": 1013}, once=True),
    _pool("crowded", "F34", {"code": 1012}, once=True),
    # series go and come back, all of a venue at once
    _pool("swapped", "F62", once=True),
)

BACKLOG: Final = Trouble(place="store", name="backlog", tag="F53", details={"wait_s": 6.0}, most_min=6.0)
"""Much of the past is wanted while the store is slow: a commit takes longer than some pages, and hardly
longer than nothing is asked for while it is behind."""

LULL: Final = _pool("lull", "F3", {"venue": "harbour"})
"""All connections of a venue end, and are opened again while nothing is traded there."""

REPLACED: Final = Trouble(place="calm", name="rotate", tag="F43", once=True, settles_min=2.0)
DEAF: Final = Trouble(place="calm", name="deaf", tag="F47", once=True, settles_min=4.0)


def narrowed(venues: Sequence[str], rng: random.Random) -> Mapping[str, int]:
    """Draw how many topics a connection carries, by venue, where that is fewer than the venue allows."""
    return {venue: rng.choice(TOPICS) for venue in POOLED if venue in venues and rng.random() < 2 / 3}

"""One thing that may befall a simulated run, and what follows from its kind for whoever judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from tests.simulation.faults import Fault

__all__ = ["Trouble"]

_STREAMS_ALONE: Final = frozenset(
    {
        "hangup",
        "mute",
        "mute_symbol",
        "no_heartbeat",
        "silent_ack",
        "refuse",
        "refuse_connections",
        "exceeded_rate",
        "message_rate",
        "junk",
        "error",
        "bad_checksum",
        "lose_trades",
        "lose_messages",
        "drop_candle",
        "drop_bar",
        "slot_taken",
        "duplicate_trades",
        "duplicate_bar",
        "double_messages",
        "interleave",
        "late_ack",
        "novelty",
        "status",
        "hush",
        "lose",
        "stale",
        "doubles",
        "moody",
    }
)


@attrs.frozen(kw_only=True)
class Trouble:
    """One thing that may befall a run.

    Attributes:
        place: A venue, or "line", "store", "clock", "machine", "process", "roster", "connections", "host",
            "pool", "calm", "guest".
        name: What happens there.
        tag: Its number in the catalogue of faults.
        details: How.
        fault: The switch of a simulated venue, where it is one.
        once: It happens, and is over.
        settles_min: How long after it everything has to be whole.
        most_min: How long it lasts at most.
    """

    place: str
    name: str
    tag: str
    details: Mapping[str, Any] = attrs.field(factory=dict)
    fault: Fault | None = None
    once: bool = False
    settles_min: float = 30.0
    most_min: float = 15.0

    def __str__(self) -> str:
        """Return its name in the log."""
        words = [f"{name}={value}" for name, value in self.details.items()]
        return " ".join([self.tag, f"{self.place}:{self.name}", *words]).replace("\n", " ")

    @property
    def leaves_history(self) -> bool:
        """It concerns streams, and history answers meanwhile.

        At DXLink history comes over a stream too, and Yahoo has nothing but history.
        """
        if self.fault is not None:
            return self.name in _STREAMS_ALONE and self.place not in {"dxlink", "yahoo"}
        besides = {"cut", "rotate", "prioritise", "raises", "lost_answer"}
        return self.place in {"pool", "calm", "guest"} or self.name in besides

    @property
    def is_quiet(self) -> bool:
        """Nobody may notice it: what is judged where all is well is judged while it is played."""
        return self.place in {"calm", "guest"}

    @property
    def misleads(self) -> bool:
        """A part may look like the whole for a while, so what is closed first may be wrong.

        A silence of less than a minute, even of everything, looks like a quiet market, and so does what a
        line swallows: sequences would show it, and most venues have none.
        """
        return self.name in {"mute", "lull", "stall", "half_open"} or (
            self.fault is not None and self.fault.misleads
        )

    @property
    def hides(self) -> bool:
        """It swallows the end of the bucket in which it begins: what is closed of that first may be a part.

        Nobody can tell it from a market that went quiet, for as long as that is usual here. Candles of later
        buckets are another matter: of those nothing came, or all.
        """
        return self.name in {"mute_symbol", "hush", "lose_trades"}

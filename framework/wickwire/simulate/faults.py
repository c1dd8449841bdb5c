"""The fault switches of a simulated venue: which there are, what they take, and which are on.

What a fault *does* stands where the venue would do it: the simulator asks `on` there.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, final

import attrs

__all__ = ["KnownFault", "Switchboard"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@attrs.frozen
class KnownFault:
    """One fault that a simulator can show.

    Attributes:
        name: What it is injected by.
        details: The details that it takes, written with spaces between. With `on` it is a switch.
        sentence: What it does, for people.
        needs_symbol: It is about one symbol, which has to be named.
    """

    name: str
    details: frozenset[str] = attrs.field(converter=_words)
    sentence: str
    needs_symbol: bool = False


@final
class Switchboard:
    """The faults of one simulated venue."""

    def __init__(self, faults: Iterable[KnownFault], symbols: Container[str]) -> None:
        """Know *faults*; all are off.

        Args:
            faults: What can be shown.
            symbols: What the detail `symbol` may be, in the venue's spelling.
        """
        self._known = {fault.name: fault for fault in faults}
        self._symbols = symbols
        self._on: dict[tuple[str, str], Mapping[str, Any]] = {}

    @property
    def sentences(self) -> Mapping[str, str]:
        """Names of the faults, each with one sentence: the `faults` of a `VenueServer`."""
        return {fault.name: fault.sentence for fault in self._known.values()}

    def check(self, name: str, details: Mapping[str, object]) -> None:
        """Refuse what cannot be injected.

        Raises:
            ValueError: No such fault, or it does not take these details; the text lists what there is.
        """
        fault = self._known.get(name)
        if fault is None:
            raise ValueError(f"no fault {name!r}; there are {', '.join(self._known)}")
        strange = sorted(details.keys() - fault.details)
        if strange:
            known = ", ".join(sorted(fault.details))
            raise ValueError(f"fault {name!r} takes {known or 'nothing'}, not {', '.join(strange)}")
        symbol = details.get("symbol")
        if (fault.needs_symbol or symbol is not None) and symbol not in self._symbols:
            raise ValueError(
                f"fault {name!r} needs a symbol that is traded here, got {symbol!r}: {fault.sentence}"
            )

    def switch(self, name: str, details: Mapping[str, Any], **noted: object) -> bool:
        """Switch a fault on, or off with the detail `on=False`; return whether it is on now.

        Args:
            name: One that `check` let pass.
            details: What it was injected with. What is on for a symbol is apart from what is on for all.
            noted: More to be found in `on`.
        """
        key = name, str(details.get("symbol", ""))
        if details.get("on", True):
            self._on[key] = {**details, **noted}
        else:
            self._on.pop(key, None)
        return key in self._on

    def on(self, name: str, symbol: str = "") -> Mapping[str, Any] | None:
        """Return the details of a fault that is on for *symbol*, or for all; None while it is off."""
        if not self._on:  # as nearly always, and it is asked for every fault in every step
            return None
        return self._on.get((name, symbol), self._on.get((name, "")))

"""What the server has acknowledged lately, to be put back where a server comes back without it.

That happens: to a standby that lagged when its primary died, to a copy that was restored, and after a crash
with `synchronous=normal`. Whoever collects goes on from what was acknowledged, so what is missing would be a
hole that nobody knows of.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from wickwire import Change, Series

__all__ = ["Acknowledged", "LostError"]

_MOST_VALUES: Final = 20_000
"""How many candles and holes are kept at most, about a kilobyte each; and the last commit, however large."""


class LostError(Exception):
    """The server has lost more of what it acknowledged than is kept here."""


class Acknowledged:
    """The last commits of this process, as far as they may have to be made again.

    Attributes:
        seq: The highest that was given.
        number: The number of the last commit.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.seq = self.number = 0
        self._last: dict[Series, int] = {}
        self._given_up: dict[Series, int] = {}
        self._commits: deque[tuple[int, Sequence[Change]]] = deque()
        self._values = 0

    def note(self, number: int, changes: Sequence[Change], seq: int) -> None:
        """Keep *changes*, which commit *number* has made; *seq* is the last that was given."""
        self.seq, self.number = max(self.seq, seq), number
        self._last.update((change.state.series, number) for change in changes)
        self._commits.append((number, changes))
        self._values += _values(changes)
        while self._values > _MOST_VALUES and len(self._commits) > 1:
            old, given_up = self._commits.popleft()
            self._values -= _values(given_up)
            self._given_up.update((change.state.series, old) for change in given_up)

    def saw(self, seq: int) -> None:
        """Note that *seq* was given, by whomever: readers may remember it, so it is not given again."""
        self.seq = max(self.seq, seq)

    def begin(self, series: Series) -> None:
        """Forget *series*: somebody begins anew with what is stored of it."""
        self._last.pop(series, None)
        self._given_up.pop(series, None)

    def lost(self, found: Mapping[Series, int]) -> Sequence[Change]:
        """Return what has to be committed again, oldest first.

        *found* is the number of the last commit of each series that the server knows, 0 where it knows none.

        Raises:
            LostError: That would not be all of it.
        """
        since = {series: number for series, number in found.items() if number < self._last.get(series, 0)}
        for series, number in since.items():
            if number < self._given_up.get(series, 0):
                raise LostError(
                    f"the server has lost much of what it acknowledged of {series}, as an old copy has; "
                    "start the collector again, which reads what is there and fetches the rest"
                )
        return [
            change
            for number, changes in self._commits
            for change in changes
            if number > since.get(change.state.series, number)
        ]


def _values(changes: Sequence[Change]) -> int:
    return sum(1 + len(change.closings) + len(change.state.holes) for change in changes)

"""What a file says, row by row, before anybody believes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import attrs

from wickwire.model import Candle, Evidence, Hole, Rung, Series

__all__ = ["BadRow", "FileRow", "Known", "RowSource"]


@attrs.frozen
class FileRow:
    """One candle of a file.

    Attributes:
        number: Where it stands: the line in CSV, the row in Parquet, counted from 1.
        series: Whose candle it is.
        candle: Its values.
        evidence: Why it counts as closed.
        route: How it was obtained.
    """

    number: int
    series: Series
    candle: Candle
    evidence: Evidence = Evidence.IMPORTED
    route: Rung = Rung.IMPORT


@attrs.frozen
class BadRow:
    """What stands where a candle should, and is none.

    Attributes:
        number: As in `FileRow`.
        why: What is wrong with it.
    """

    number: int
    why: str


@attrs.frozen(kw_only=True)
class Known:
    """What the store that wrote a file knew: what opens in `[since_ns, until_ns)` is closed or in a hole."""

    series: Series
    since_ns: int
    until_ns: int
    holes: tuple[Hole, ...]


class RowSource(Protocol):
    """A file of candles, which can be read as often as wanted."""

    @property
    def name(self) -> str:
        """What messages call it: its path."""
        ...

    @property
    def world(self) -> str | None:
        """Whose candles it holds, where it says so."""
        ...

    def rows(self) -> Iterator[FileRow | BadRow]:
        """Yield what it says, in its order, a page of it in memory at a time."""
        ...

    def known(self) -> Sequence[Known]:
        """Return what it says of the time between its rows; after `rows` was read to its end."""
        ...

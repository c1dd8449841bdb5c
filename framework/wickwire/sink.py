"""What a sink promises: where committed candles go beside the store, and the latest quotes too.

A sink is fed from the store, by a cursor that the store keeps: what was committed is put into every sink in
order of `seq`, at least once, also when sink or collector were away meanwhile. Nobody waits for a sink.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import attrs

from wickwire.errors import SinkError
from wickwire.model import Quote, Series, SeriesCandle

if TYPE_CHECKING:
    from wickwire.store import Store

__all__ = ["MOST_PARKED", "Cursor", "Follower", "Lost", "Parked", "Poisoned", "QuoteSink", "Sink"]

MOST_PARKED: Final = 100
"""So many refused candles are remembered one by one; a sink that never takes a series refuses without end."""


@attrs.frozen(kw_only=True)
class Parked:
    """A candle that a sink does not take, and is not asked to take again before the next start.

    Attributes:
        series: Which series.
        open_ns: When its bucket opens.
        seq: As it was put; a revision has another one, and is put again.
        why: What the sink said.
    """

    series: Series
    open_ns: int
    seq: int
    why: str


@attrs.frozen(kw_only=True)
class Cursor:
    """How far a sink is.

    Attributes:
        seq: Everything up to here was put, but for what is parked.
        parked: What was left out and will be tried again, in order of `seq`; `MOST_PARKED` at most.
        left_out: How many more were left out, which will not be.
    """

    seq: int
    parked: tuple[Parked, ...] = ()
    left_out: int = 0

    def park(self, one: Parked) -> Cursor:
        """Return it with one more left out; of too many only their number is kept."""
        if len(self.parked) < MOST_PARKED:
            return attrs.evolve(self, parked=(*self.parked, one))
        return attrs.evolve(self, left_out=self.left_out + 1)


class Poisoned(SinkError):
    """One candle that a sink will never take, however often it is put; it is parked, and the others go on.

    Attributes:
        seq: Its `seq`, which is one of those that were put.
    """

    def __init__(self, message: str, *, seq: int) -> None:
        """Keep *seq* beside the message."""
        super().__init__(message)
        self.seq = seq


class Lost(SinkError):
    """A sink does not hold any more what it took, as a server that was restarted without it: it is put again.

    Attributes:
        seq: Up to here it holds everything, as far as it can tell.
    """

    def __init__(self, message: str, *, seq: int) -> None:
        """Keep *seq* beside the message."""
        super().__init__(message)
        self.seq = seq


class Sink(Protocol):
    """Where committed candles go. `put` is never called twice at once.

    Every method raises SinkError, naming the sink and what to do, when it cannot do its work: then the same
    is put again later, with pauses that grow.
    """

    async def open(self) -> None:
        """Make it ready; called before anything else, and again after `aclose`.

        A sink that is away now is no error here: `put` says so, and is repeated. What is wrong for good
        (a password, a right, an option) is one.

        Raises:
            SinkError: It will not work until somebody mends what the text names.
        """
        ...

    async def aclose(self) -> None:
        """Release everything, also after an `open` that failed; what `put` acknowledged stays."""
        ...

    async def put(self, candles: Sequence[SeriesCandle]) -> None:
        """Take *candles*, in order of `seq`; when it returns they are as safe as this sink keeps anything.

        A candle may be put again, and may have been revised since it was put last: the one with the higher
        `revision` is true, and one whose `first_seq` equals its `seq` is a first close.

        Raises:
            SinkError: None of them may be counted on: the same are put again later.
            Lost: What was put before cannot be counted on either, and is put again, as far as it goes.
            Poisoned: The one named will never be taken; the others are put again, without it.
        """
        ...


@runtime_checkable
class QuoteSink(Sink, Protocol):
    """A sink that also takes the latest quote of every quote series. These are not stored anywhere."""

    async def put_quotes(self, quotes: Mapping[Series, Quote]) -> None:
        """Take the latest quote of each series of which one came since the last call.

        It is called from a task of its own, beside `put`, and never twice at once. Where it is slow or
        away, each series' newer quote takes the place of the older one.

        Raises:
            SinkError: They may not be counted on. They are put again, or newer ones in their place.
        """
        ...


@runtime_checkable
class Follower(Protocol):
    """What keeps a copy of the store's newest part, and may look there for what it lacks. Fed as sinks are.

    Nothing is parked: what it raises is said, and the same comes again. Its methods raise SinkError.
    """

    async def open(self) -> None:
        """Make it ready, as `Sink.open` does.

        Raises:
            SinkError: It will not work until somebody mends what the text names.
        """
        ...

    async def aclose(self) -> None:
        """Release everything, also after an `open` that failed."""
        ...

    async def follow(
        self, store: Store, candles: Sequence[SeriesCandle], *, after_seq: int, whole: bool
    ) -> None:
        """Take what was committed; also called with nothing, every ten seconds, where that is all there is.

        Args:
            store: From where they come.
            candles: The candles with a `seq` above *after_seq*, in that order, as they were at one moment.
            after_seq: What it took before; lower than that where the store lost commits, or after a death.
            whole: They were all there were at that moment. Else more lie behind them, and a candle that was
                revised meanwhile may be there, and not here.

        Raises:
            SinkError: It cannot take them now.
            StoreError: The store, asked for more, cannot answer.
        """
        ...

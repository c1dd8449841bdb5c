"""What a store of closed candles promises, and what all of them share.

A store is the place where a candle becomes true: a batch of changes is committed in one transaction, and
only what `commit` returns is delivered to anybody. Committing the same change twice changes nothing.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, final

import attrs

from wickwire.model import Candle, CandleState, Evidence, Grid, Hole, Rung, Series, SeriesCandle
from wickwire.sink import Cursor

if TYPE_CHECKING:
    from wickwire.range_audit import RangeAudit

__all__ = [
    "REAL",
    "TAIL",
    "Change",
    "Closing",
    "Forgotten",
    "Loaded",
    "SeriesState",
    "Store",
    "Verdict",
    "confirmed",
    "forming",
    "judge",
    "judge_values",
    "other_world",
    "settled",
    "shown_store",
]

TAIL = 1_024
"""How many of the last closes `Store.load` brings back, so that the ledger knows their evidence."""


# an unescaped "?" or "#" in a password ends nothing: what looks like "user:secret" goes up to the last "@"
_USER_INFO: Final = re.compile(r"(?<=:)//(?!/)(?:[^/?#@]*:(?![0-9]*/).*|[^?#]*)@")
_SECRET: Final = re.compile(
    r"([?&;][^=&;#]*(?:pass|pwd|secret|token|key|auth|credential)[^=&;#]*=)[^&;#]*", re.IGNORECASE
)

REAL = "the real venues"
"""The world that candles are of unless somebody says otherwise; a simulated one names its seed."""


@attrs.frozen
class Forgotten:
    """What a store has forgotten of a series, so that nobody takes it for never known.

    Attributes:
        before_ns: All that opened before this was taken out, the last time.
        times: How often that happened. Whoever commits says how often as far as he knows: what he says of
            the time before is believed only where he knows of the last.
    """

    before_ns: int
    times: int


@attrs.frozen(kw_only=True)
class SeriesState:
    """How far a series is known.

    Attributes:
        series: Which one.
        origin_ns: Nothing before this was ever asked for, or it was forgotten.
        frontier_ns: Everything in `[origin_ns, frontier_ns)` is closed or lies in a hole.
        holes: Ranges without candles, in order, not overlapping.
        forgotten: What was forgotten; None where nothing was.
    """

    series: Series
    origin_ns: int
    frontier_ns: int
    holes: tuple[Hole, ...] = ()
    forgotten: Forgotten | None = None


@attrs.frozen
class Closing:
    """One candle that the ledger found to be closed.

    Attributes:
        candle: Its values.
        evidence: Why.
        route: How it was obtained.
        healed: It fills a hole or came late.
    """

    candle: Candle
    evidence: Evidence
    route: Rung
    healed: bool = False


@attrs.frozen(kw_only=True)
class Change:
    """What is to be committed for one series: candles, and what is known afterwards."""

    state: SeriesState
    closings: Sequence[Closing] = ()


@attrs.frozen(kw_only=True)
class Loaded:
    """What a store knows of a series: its state, and its last closes, oldest first."""

    state: SeriesState
    tail: Sequence[SeriesCandle]


@final
class Verdict(enum.Enum):
    """What a closing does to what is stored."""

    INSERT = "insert"
    REVISE = "revise"
    CONFIRM = "confirm"
    """Same values, better evidence: the evidence is raised, nobody is told."""
    KEEP = "keep"


def judge_values(
    stored: Candle | SeriesCandle, stored_evidence: Evidence | None, candle: Candle, evidence: Evidence
) -> Verdict:
    """Decide what a closing does to a candle of the same open time that is known already.

    A revision needs higher evidence, or equal evidence from a source that may correct itself: history, the
    venue's own flag, and what is built anew when the venue corrects what it was built from.
    """
    better = stored_evidence is None or evidence > stored_evidence
    if candle.same_values(stored):
        return Verdict.CONFIRM if better else Verdict.KEEP
    if better or (evidence == stored_evidence and evidence >= Evidence.BUILT):
        return Verdict.REVISE
    return Verdict.KEEP


def judge(stored: SeriesCandle | None, candle: Candle, evidence: Evidence) -> Verdict:
    """Decide what a closing does to a store that holds *stored*, or nothing, at its open time.

    Every store uses this function or its exact equivalent in SQL.
    """
    if stored is None:
        return Verdict.INSERT
    return judge_values(stored, stored.evidence, candle, evidence)


class Store(Protocol):
    """Where closed candles live. All methods may be called concurrently; commits are serialised inside.

    Every method raises StoreError, naming the store, when it cannot do its work.
    """

    async def open(self) -> None:
        """Make it ready: create or migrate the schema. Called once, before anything else."""
        ...

    async def aclose(self) -> None:
        """Release everything. Called once; what was committed stays."""
        ...

    async def world(self) -> str:
        """Return whose candles these are, such as `REAL`; nothing where it knows of no series."""
        ...

    async def claim(self, world: str) -> None:
        """Commit candles of *world* from now on; `REAL` is what is committed without a claim.

        Candles of two worlds never get into one store: where it holds those of another one, `commit` raises
        StoreError, also when somebody else put them there after this claim.
        """
        ...

    async def check(self) -> Sequence[str]:
        """Look at all that it holds; return what is wrong, a sentence each, and nothing when it is sound."""
        ...

    async def load(self, series: Series) -> Loaded | None:
        """Return what is known of *series* and its last `TAIL` closes; None when it was never committed."""
        ...

    async def commit(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        """Store all of *changes* in one transaction, durably, and return what is news, in order of `seq`.

        News are inserted and revised candles; confirmations and repeats are not returned. Of a change that
        does not know what was forgotten of its series meanwhile, what lies before that is left out.
        """
        ...

    async def candles(
        self, series: Series, since_ns: int, until_ns: int, *, limit: int
    ) -> Sequence[SeriesCandle]:
        """Return at most *limit* candles that open in `[since_ns, until_ns)`, oldest first."""
        ...

    async def committed(self, after_seq: int, *, limit: int) -> Sequence[SeriesCandle]:
        """Return at most *limit* candles of all series with a `seq` above *after_seq*, in that order."""
        ...

    async def last_seq(self) -> int:
        """Return the highest `seq` given so far; 0 when there is none."""
        ...

    async def latest(self, series: Series) -> SeriesCandle | None:
        """Return the candle that opens last, or None."""
        ...

    async def states(self) -> Sequence[SeriesState]:
        """Return the state of every series, ordered by series."""
        ...

    async def audit(
        self, series: Series, since_ns: int, until_ns: int, *, grid: Grid, signed_prices: bool = False
    ) -> RangeAudit | None:
        """Say what is stored of `[since_ns, until_ns)` and what is not; None where nothing of *series* is.

        It reads page by page, and no more than some thousand candles are in memory at once.

        Args:
            series: Which one.
            since_ns: Beginning of the range.
            until_ns: Its end.
            grid: Where its buckets open, as the adapter says; `Unknown()` where nobody does.
            signed_prices: Prices may be zero or below, as the adapter says.
        """
        ...

    async def forget(self, before_ns: int, *, series: Series | None = None) -> int:
        """Take out candles that opened more than a bucket before *before_ns*; return how many were.

        With what they superseded. What is known of a series begins later from then on: first its state says
        so, and then its candles go, batch by batch, and commits have their turn in between. Where it is
        broken off, another call goes on. A sink that has not had them will not have them.

        Args:
            before_ns: How old is too old.
            series: Of this series alone; None for all.
        """
        ...

    async def cursors(self) -> Mapping[str, Cursor]:
        """Return how far every sink is that was ever fed from here, by its name."""
        ...

    async def move(self, sink: str, cursor: Cursor | None) -> None:
        """Keep how far *sink* is, durably, in place of what was kept of it; it may go back.

        With None it is known no more: who feeds it again begins as with one that was never fed.
        """
        ...


def shown_store(url: str) -> str:
    """Return the URL of a store as messages show it: without its user, and without what is secret by name."""
    return _SECRET.sub(r"\1...", _USER_INFO.sub("//...@", url))


def other_world(store: str, held: str, wanted: str) -> str:
    """Return the sentence that refuses to mix candles of two worlds."""
    return (
        f"store {shown_store(store)!r}: it holds candles of {held}, and those of {wanted} must not get among "
        "them; name another store"
    )


def settled(series: Series, closing: Closing, stored: SeriesCandle | None, seq: int) -> SeriesCandle:
    """Return the row to keep for *closing*: a first close, or the next revision of *stored*."""
    return _row(
        series,
        closing.candle,
        CandleState.CLOSED if stored is None else CandleState.REVISED,
        closing.evidence,
        revision=0 if stored is None else stored.revision + 1,
        healed=closing.healed,
        route=closing.route,
        seq=seq,
        first_seq=seq if stored is None else stored.first_seq,
    )


def forming(series: Series, candle: Candle, route: Rung) -> SeriesCandle:
    """Return the row of a running bucket, which no store keeps."""
    return _row(series, candle, CandleState.FORMING, None, route=route)


def _row(
    series: Series, candle: Candle, state: CandleState, evidence: Evidence | None, **rest: Any
) -> SeriesCandle:
    return SeriesCandle(
        series,
        candle.open_ns,
        candle.close_ns,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.trade_count,
        candle.vwap,
        state,
        evidence,
        **rest,
    )


def confirmed(stored: SeriesCandle, evidence: Evidence) -> SeriesCandle:
    """Return *stored* with better *evidence* and nothing else changed: same `seq`, same revision."""
    return SeriesCandle(
        stored.series,
        stored.open_ns,
        stored.close_ns,
        stored.open,
        stored.high,
        stored.low,
        stored.close,
        stored.volume,
        stored.trade_count,
        stored.vwap,
        stored.state,
        evidence,
        stored.revision,
        stored.healed,
        stored.route,
        stored.seq,
        stored.first_seq,
    )

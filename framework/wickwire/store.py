"""What a store of closed candles promises, and the one that lives in memory.

A store is the place where a candle becomes true: a batch of changes is committed in one transaction, and
only what `commit` returns is delivered to anybody. Committing the same change twice changes nothing.
"""

from __future__ import annotations

import bisect
import enum
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, final

import attrs

from wickwire.errors import StoreError
from wickwire.model import Candle, CandleState, Evidence, Hole, Rung, Series, SeriesCandle
from wickwire.sink import Cursor
from wickwire.trade_store import MemoryTape, StoredTrade, Stretch, TradeBatch

__all__ = [
    "REAL",
    "TAIL",
    "Change",
    "Closing",
    "Loaded",
    "MemoryStore",
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


@attrs.frozen(kw_only=True)
class SeriesState:
    """How far a series is known.

    Attributes:
        series: Which one.
        origin_ns: Nothing before this was ever asked for.
        frontier_ns: Everything in `[origin_ns, frontier_ns)` is closed or lies in a hole.
        holes: Ranges without candles, in order, not overlapping.
    """

    series: Series
    origin_ns: int
    frontier_ns: int
    holes: tuple[Hole, ...] = ()


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

        News are inserted and revised candles; confirmations and repeats are not returned.
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

    async def cursors(self) -> Mapping[str, Cursor]:
        """Return how far every sink is that was ever fed from here, by its name."""
        ...

    async def move(self, sink: str, cursor: Cursor) -> None:
        """Keep how far *sink* is, durably, in place of what was kept of it; it may go back."""
        ...


class MemoryStore:
    """A store that forgets everything when the process ends. Keeps the same promises otherwise.

    It forgets nothing before, and so has no bound: about a kilobyte a candle, which is 1.5 MB a day for a
    series of one minute. What runs for longer than a few days, or reads years of history, wants a file.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._states: dict[Series, SeriesState] = {}
        self._candles: dict[Series, dict[int, SeriesCandle]] = {}
        self._opens: dict[Series, list[int]] = {}
        self._log: dict[int, SeriesCandle] = {}
        self._seq = 0
        self._cursors: dict[str, Cursor] = {}
        self._tapes: dict[Series, MemoryTape] = {}
        self._world = REAL
        self._claimed = REAL
        self._closed = False

    async def open(self) -> None:
        """Do nothing: memory is ready."""

    async def aclose(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    async def world(self) -> str:
        """Return whose candles these are."""
        self._check_open()
        return self._world if self._states or self._tapes else ""

    async def claim(self, world: str) -> None:
        """Commit candles of *world* from now on."""
        self._claimed = world

    async def check(self) -> Sequence[str]:
        """Find nothing wrong: memory is as it was left."""
        self._check_open()
        return ()

    async def load(self, series: Series) -> Loaded | None:
        """Return state and tail of *series*, or None."""
        self._check_open()
        state = self._states.get(series)
        if state is None:
            return None
        candles = self._candles[series]
        return Loaded(state=state, tail=[candles[ns] for ns in self._opens[series][-TAIL:]])

    async def commit(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        """Apply *changes* and return what is news."""
        self._check_open()
        self._check_world()
        news: list[SeriesCandle] = []
        for change in changes:
            series = change.state.series
            candles = self._candles.setdefault(series, {})
            opens = self._opens.setdefault(series, [])
            for closing in change.closings:
                stored = candles.get(closing.candle.open_ns)
                verdict = judge(stored, closing.candle, closing.evidence)
                if verdict is Verdict.KEEP:
                    continue
                if verdict is Verdict.CONFIRM and stored is not None:
                    row = confirmed(stored, closing.evidence)
                    candles[row.open_ns] = self._log[row.seq] = row
                    continue
                self._seq += 1
                row = settled(series, closing, stored, self._seq)
                if stored is None:
                    bisect.insort(opens, row.open_ns)
                else:
                    del self._log[stored.seq]
                candles[row.open_ns] = row
                self._log[self._seq] = row
                news.append(row)
            self._states[series] = change.state
        return news

    async def candles(
        self, series: Series, since_ns: int, until_ns: int, *, limit: int
    ) -> Sequence[SeriesCandle]:
        """Return a range, oldest first."""
        self._check_open()
        opens = self._opens.get(series, [])
        first, end = bisect.bisect_left(opens, since_ns), bisect.bisect_left(opens, until_ns)
        return [self._candles[series][ns] for ns in opens[first : min(end, first + limit)]]

    async def committed(self, after_seq: int, *, limit: int) -> Sequence[SeriesCandle]:
        """Return what was committed after *after_seq*."""
        self._check_open()
        rows: list[SeriesCandle] = []
        for seq in range(after_seq + 1, self._seq + 1):
            if seq in self._log:
                rows.append(self._log[seq])
                if len(rows) == limit:
                    break
        return rows

    async def last_seq(self) -> int:
        """Return the highest `seq`."""
        self._check_open()
        return self._seq

    async def latest(self, series: Series) -> SeriesCandle | None:
        """Return the newest candle, or None."""
        self._check_open()
        opens = self._opens.get(series)
        return self._candles[series][opens[-1]] if opens else None

    async def states(self) -> Sequence[SeriesState]:
        """Return all states."""
        self._check_open()
        return [self._states[series] for series in sorted(self._states)]

    async def cursors(self) -> Mapping[str, Cursor]:
        """Return the cursors of all sinks."""
        self._check_open()
        return dict(self._cursors)

    async def move(self, sink: str, cursor: Cursor) -> None:
        """Keep how far *sink* is."""
        self._check_open()
        self._cursors[sink] = cursor

    async def put_trades(self, batches: Sequence[TradeBatch]) -> int:
        """Keep trades."""
        self._check_open()
        self._check_world()
        return sum(self._tapes.setdefault(batch.series, MemoryTape()).put(batch) for batch in batches)

    async def trades(
        self, series: Series, since_ns: int, until_ns: int, *, after: int = 0, limit: int
    ) -> Sequence[StoredTrade]:
        """Return trades of a range, in the order in which they came."""
        self._check_open()
        tape = self._tapes.get(series)
        return [] if tape is None else tape.read(since_ns, until_ns, after, limit)

    async def tapes(self) -> Mapping[Series, Sequence[Stretch]]:
        """Return where the trades of which series are whole."""
        self._check_open()
        return {series: tuple(tape.stretches) for series, tape in self._tapes.items()}

    def _check_world(self) -> None:
        if (self._states or self._tapes) and self._world != self._claimed:
            raise StoreError(other_world("memory:", self._world, self._claimed))
        self._world = self._claimed

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("store 'memory': closed, and what it held is gone; make a new collector")


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

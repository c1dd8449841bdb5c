"""One commit: what a batch of changes does to the tables, inside one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs

from wickwire import (
    Change,
    Closing,
    Forgotten,
    Hole,
    Series,
    SeriesCandle,
    SeriesState,
    Verdict,
    changed_holes,
    confirmed,
    judge,
    reconciled,
    series_key,
    settled,
)
from wickwire_postgres.acknowledged import Acknowledged
from wickwire_postgres.address import DAY_NS
from wickwire_postgres.driver import Connection
from wickwire_postgres.partitions import attach, partition_of, partitions
from wickwire_postgres.rows import COLUMNS, EVIDENCE_NAMES, candle_of, hole_of, listed, row_of
from wickwire_postgres.schema import Layout

__all__ = ["Head", "Known", "Memory", "Writer", "forgotten_of", "lock_head"]

T = TypeVar("T")

_LOCK: Final = """
SELECT last_seq, commits, (extract(epoch FROM now()) * 1000000)::bigint * 1000,
       set_config('synchronous_commit',
                  CASE WHEN $1 THEN 'off' WHEN current_setting('synchronous_commit') = 'off' THEN 'on'
                       ELSE current_setting('synchronous_commit') END, true),
       (SELECT version FROM wickwire_schema)
FROM sequence FOR UPDATE"""
_KEYS: Final = """unnest($1::text[], $2::text[], $3::text[], $4::text[])
WITH ORDINALITY k (venue, variant, symbol, what, nth)"""
_FIND_SERIES: Final = f"""
SELECT k.nth, s.id, s.newest_ns, s.changed, s.forgotten_ns, s.times_forgotten FROM {_KEYS}
JOIN series s USING (venue, variant, symbol, what)"""  # noqa: S608 - constants only
_ADD_SERIES: Final = f"""
INSERT INTO series (venue, variant, symbol, what, origin_ns, frontier_ns, changed)
SELECT venue, variant, symbol, what, 0, 0, 0 FROM {_KEYS} ORDER BY nth"""  # noqa: S608 - constants only
# OFFSET 0 keeps it a look-up by key for each row, whatever the planner believes of a table that is new
_STORED: Final = f"""
SELECT c.* FROM unnest($1::integer[], $2::bigint[]) k (series, open_ns),
LATERAL (SELECT {listed()} FROM closed t
         WHERE t.series = k.series AND t.open_ns = k.open_ns OFFSET 0) c
"""  # noqa: S608 - constants only
_REPLACED: Final = f"""
SELECT c.* FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) k (series, open_ns, seq),
LATERAL (SELECT {listed()} FROM closed t
         WHERE t.series = k.series AND t.open_ns = k.open_ns AND t.seq = k.seq
         UNION ALL SELECT {listed()} FROM superseded t
         WHERE t.series = k.series AND t.open_ns = k.open_ns AND t.seq = k.seq OFFSET 0) c
"""  # noqa: S608 - constants only
_RAISE: Final = "UPDATE closed SET evidence = $3 WHERE series = $1 AND open_ns = $2"
_TAKE_OUT: Final = "DELETE FROM closed WHERE series = $1 AND open_ns = $2"
_SET_STATES: Final = """
UPDATE series s
SET origin_ns = k.origin_ns, frontier_ns = k.frontier_ns, newest_ns = k.newest_ns,
    forgotten_ns = k.forgotten_ns, times_forgotten = k.times_forgotten, changed = $7
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::integer[])
     k (id, origin_ns, frontier_ns, newest_ns, forgotten_ns, times_forgotten)
WHERE s.id = k.id"""
_HOLES: Final = """
SELECT series, since_ns, until_ns, kind FROM holes
WHERE series = ANY($1::integer[]) ORDER BY series, since_ns"""
_CLOSE_HOLE: Final = "DELETE FROM holes WHERE series = $1 AND since_ns = $2"
_OPEN_HOLE: Final = "INSERT INTO holes (series, since_ns, until_ns, kind) VALUES ($1, $2, $3, $4)"
_BREATH: Final = 500
"""After so many rows others have their turn: streams are read by the same event loop."""
_PIECE: Final = 10_000
"""How many rows one statement brings or takes: each has to end in time, however large the commit."""
_MOVE_ON: Final = "UPDATE sequence SET last_seq = $1, commits = $2"


@attrs.frozen
class Head:
    """The row that all commits lock first: from then on this one is alone with the tables.

    Attributes:
        seq: The last that was given.
        commits: How many commits there were.
        now_ns: The server's time.
        version: The version of the schema.
    """

    seq: int
    commits: int
    now_ns: int
    version: int


async def lock_head(connection: Connection, *, power_safe: bool) -> Head | None:
    """Wait for the turn of this transaction; None where the row is missing."""
    row = await connection.fetchrow(_LOCK, not power_safe)
    return None if row is None else Head(row[0], row[1], row[2], row[4])


@attrs.define
class Known:
    """A series as this process last committed it.

    Attributes:
        id: Its row in the table `series`.
        newest_ns: No candle opens after this; nothing later has to be looked up.
        changed: The number of the commit that changed it last.
        holes: What the table `holes` holds of it.
        checked: In which commit all of this was true.
        forgotten: What was forgotten of it.
    """

    id: int
    newest_ns: int | None
    changed: int
    holes: tuple[Hole, ...]
    checked: int
    forgotten: Forgotten | None = None


def forgotten_of(before_ns: int | None, times: int) -> Forgotten | None:
    """Return what the columns say that was forgotten."""
    return None if before_ns is None else Forgotten(before_ns, times)


@attrs.define
class Memory:
    """What a process remembers from one commit to the next; forgotten whenever one fails.

    Attributes:
        series: Those met so far.
        tables: The partitions that are there.
        commits: The number of its last commit.
        strangers: Somebody else made a commit before this one, and after those before it.
    """

    series: dict[Series, Known] = attrs.field(factory=dict)
    tables: frozenset[str] = frozenset()
    commits: int = -1
    strangers: int = 0


class Writer:
    """Turns one batch into statements. Lives as long as its transaction.

    Rows are judged one by one against what is stored, and written together at the end.

    Attributes:
        seq: The last that was given.
    """

    def __init__(
        self, connection: Connection, memory: Memory, acknowledged: Acknowledged, head: Head, layout: Layout
    ) -> None:
        """Begin inside a transaction of *connection* that holds *head*; *memory* is extended."""
        self._connection = connection
        self._memory = memory
        self._acknowledged = acknowledged
        self._head = head
        self._layout = layout
        # a server that lost commits must not give their numbers again: others have seen them
        self.seq = max(head.seq, acknowledged.seq)
        self._number = max(head.commits, acknowledged.number) + 1
        self._stored: dict[tuple[int, int], SeriesCandle] = {}
        self._kept: dict[tuple[int, int], SeriesCandle] = {}
        self._superseded: list[tuple[int, SeriesCandle]] = []
        self._states: dict[int, tuple[Known, SeriesState]] = {}

    async def apply(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        """Write *changes*, and what the server has lost since; return what of *changes* is news, by `seq`.

        Raises:
            LostError: The server has lost more than is known here.
        """
        if self._memory.commits != self._head.commits:
            self._memory.strangers = self._head.commits
            if self._layout.native:
                self._memory.tables = await partitions(self._connection)
        again = self._acknowledged.lost(
            await self._meet(list(dict.fromkeys(change.state.series for change in changes)))
        )
        again, changes = self._reconciled(again), self._reconciled(changes)
        await self._look_up([*again, *changes])
        for change in again:
            await self._take(change)  # it was told when it was acknowledged
        news = [row for change in changes for row in await self._take(change)]
        await self._write_candles()
        await self._write_states()
        return news

    def _reconciled(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Return *changes* without what they say of a time that was forgotten and they do not know of it."""
        done: list[Change] = []
        for said in changes:
            known = self._memory.series[said.state.series]
            change = reconciled(said, known.forgotten)
            known.forgotten = change.state.forgotten
            done.append(change)
        return done

    async def _take(self, change: Change) -> Sequence[SeriesCandle]:
        known = self._memory.series[change.state.series]
        news: list[SeriesCandle] = []
        for number, closing in enumerate(change.closings, 1):
            self._close(known, change.state.series, closing, news)
            if not number % _BREATH:
                await asyncio.sleep(0)
        self._states[known.id] = (known, change.state)
        return news

    # ----------------------------------------------------------------------------------- what is there

    async def _meet(self, wanted: Sequence[Series]) -> Mapping[Series, int]:
        """Know all of *wanted* as they are now, and write down those that are new.

        Returns the number of the last commit of those that had to be read, 0 for the new ones.
        """
        known, since = self._memory.series, self._memory.strangers
        unsure = [series for series in wanted if series not in known or known[series].checked < since]
        if not unsure:
            return {}
        found = await self._find(unsure)
        missing = [series for series in unsure if series not in found]
        if missing:
            await self._connection.execute(_ADD_SERIES, *_columns(series_key(series) for series in missing))
            found |= await self._find(missing)
        moved = [
            series
            for series, (_, _, changed, _) in found.items()
            if series not in known or known[series].changed != changed
        ]
        holes: dict[int, list[Hole]] = {found[series][0]: [] for series in moved}
        for row in await self._connection.fetch(_HOLES, list(holes)):
            holes[row[0]].append(hole_of(row[1], row[2], row[3]))
        for series, (series_id, newest_ns, changed, forgotten) in found.items():
            held = tuple(holes[series_id]) if series_id in holes else known[series].holes
            known[series] = Known(series_id, newest_ns, changed, held, self._head.commits, forgotten)
        return {series: changed for series, (_, _, changed, _) in found.items()}

    async def _find(
        self, wanted: Sequence[Series]
    ) -> dict[Series, tuple[int, int | None, int, Forgotten | None]]:
        rows = await self._connection.fetch(_FIND_SERIES, *_columns(series_key(series) for series in wanted))
        return {wanted[row[0] - 1]: (row[1], row[2], row[3], forgotten_of(row[4], row[5])) for row in rows}

    async def _look_up(self, changes: Sequence[Change]) -> None:
        """Bring what is stored at the open times of *changes*; later than the newest there is nothing."""
        owners: dict[int, Series] = {}
        keys: dict[tuple[int, int], None] = {}
        for change in changes:
            known = self._memory.series[change.state.series]
            owners[known.id] = change.state.series
            if known.newest_ns is not None:
                for closing in change.closings:
                    if closing.candle.open_ns <= known.newest_ns:
                        keys[known.id, closing.candle.open_ns] = None
        for piece in _pieces([*keys]):
            for row in await self._connection.fetch(_STORED, *_columns(piece)):
                self._stored[row[0], row[1]] = candle_of(owners[row[0]], row)

    # ---------------------------------------------------------------------------------- what is to be

    def _close(self, known: Known, series: Series, closing: Closing, news: list[SeriesCandle]) -> None:
        key = (known.id, closing.candle.open_ns)
        stored = self._kept.get(key) or self._stored.get(key)
        verdict = judge(stored, closing.candle, closing.evidence)
        if verdict is Verdict.KEEP:
            return
        if verdict is Verdict.CONFIRM and stored is not None:
            self._kept[key] = confirmed(stored, closing.evidence)
            return
        self.seq += 1
        row = settled(series, closing, stored, self.seq)
        news.append(row)
        if stored is not None:
            self._superseded.append((known.id, stored))
        self._kept[key] = row
        if known.newest_ns is None or row.open_ns > known.newest_ns:
            known.newest_ns = row.open_ns

    async def _write_candles(self) -> None:
        raised: list[tuple[int, int, str]] = []
        replaced: list[tuple[int, int]] = []
        added: list[tuple[Any, ...]] = []
        for number, ((series_id, open_ns), row) in enumerate(self._kept.items(), 1):
            if not number % _BREATH:
                await asyncio.sleep(0)
            stored = self._stored.get((series_id, open_ns))
            if stored is not None and stored.seq == row.seq:
                assert row.evidence is not None, "only closed candles are stored"
                raised.append((series_id, open_ns, EVIDENCE_NAMES[row.evidence]))
                continue
            if stored is not None:
                replaced.append((series_id, open_ns))
            added.append(row_of(series_id, row))
        for better in _pieces(raised):
            await self._connection.executemany(_RAISE, better)
        for gone in _pieces(replaced):
            await self._connection.executemany(_TAKE_OUT, gone)
        for old in _pieces(self._superseded):
            kept = [row_of(series_id, candle) for series_id, candle in old]
            await self._connection.copy_records_to_table("superseded", records=kept, columns=COLUMNS)
        if self._layout.native:
            await self._make_room(row[1] for row in added)
        for new in _pieces(added):
            await self._connection.copy_records_to_table("closed", records=new, columns=COLUMNS)

    async def _make_room(self, times_ns: Iterable[int]) -> None:
        """Make the partitions that candles of *times_ns* go to, where they are not there."""
        days = dict.fromkeys(open_ns // DAY_NS for open_ns in times_ns)
        for day in days:
            there = self._memory.tables
            partition = partition_of(day * DAY_NS, self._head.now_ns, there)
            if partition.name not in there:
                await attach(self._connection, partition)
                self._memory.tables = there | {partition.name}

    async def _write_states(self) -> None:
        number = self._number
        gone: list[tuple[int, int]] = []
        come: list[tuple[int, int, int, str]] = []
        for known, state in self._states.values():
            old, new = changed_holes(known.holes, state.holes)
            gone += [(known.id, hole.since_ns) for hole in old]
            come += [(known.id, hole.since_ns, hole.until_ns, hole.kind.value) for hole in new]
            known.holes, known.changed, known.checked = state.holes, number, number
        if gone:
            await self._connection.executemany(_CLOSE_HOLE, gone)
        if come:
            await self._connection.executemany(_OPEN_HOLE, come)
        states = [
            (known.id, state.origin_ns, state.frontier_ns, known.newest_ns, *_past(state.forgotten))
            for known, state in self._states.values()
        ]
        if states:
            await self._connection.execute(_SET_STATES, *_columns(states), number)
        await self._connection.execute(_MOVE_ON, self.seq, number)
        self._memory.commits = number

    async def found_again(self, doubtful: Sequence[SeriesCandle]) -> Sequence[SeriesCandle]:
        """Return those of *doubtful* that are stored: news of an attempt of which no answer came."""
        by_id = {self._memory.series[one.series].id: one.series for one in doubtful}
        keys = [(self._memory.series[one.series].id, one.open_ns, one.seq) for one in doubtful]
        wanted = {(one.series, one.open_ns, one.seq): one for one in doubtful}
        found = []
        for piece in _pieces(keys):
            for row in await self._connection.fetch(_REPLACED, *_columns(piece)):
                candle = candle_of(by_id[row[0]], row)
                told = wanted[candle.series, candle.open_ns, candle.seq]
                if told.evidence is not None and confirmed(candle, told.evidence) == told:
                    found.append(candle)
        return found


def _past(forgotten: Forgotten | None) -> tuple[int | None, int]:
    return (None, 0) if forgotten is None else (forgotten.before_ns, forgotten.times)


def _pieces(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut *rows* into as many as one statement takes; none where there are none."""
    for start in range(0, len(rows), _PIECE):
        yield rows[start : start + _PIECE]


def _columns(rows: Iterable[Sequence[object]]) -> list[list[object]]:
    """Turn rows into columns, as `unnest` wants them."""
    return [list(column) for column in zip(*rows, strict=True)]

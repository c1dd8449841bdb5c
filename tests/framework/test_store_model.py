"""Every store, driven by random commits, beside a model of a few lines."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.plugins.postgres.server import fresh_url, shared_server
from wickwire import (
    Candle,
    Change,
    Closing,
    Cursor,
    Evidence,
    Forgotten,
    Hole,
    HoleKind,
    MemoryStore,
    Parked,
    Rung,
    Series,
    SeriesState,
    Store,
)
from wickwire_postgres import PostgresStore
from wickwire_postgres.address import parse_address
from wickwire_sqlite import SqliteStore

ALL = [Series.parse(text) for text in ("kraken:A@1m", "kraken.x:A@1m", "kraken:A@5m", "yahoo:B@1d")]


@attrs.define
class Kept:
    """What the model holds of one candle."""

    price: str
    rank: int
    revision: int
    seq: int
    first_seq: int


@attrs.define
class Model:
    """The promise of a store, as plainly as it can be written."""

    rows: dict[tuple[Series, int], Kept] = attrs.field(factory=dict)
    states: dict[Series, SeriesState] = attrs.field(factory=dict)
    cursors: dict[str, Cursor] = attrs.field(factory=dict)
    seq: int = 0

    def close(self, key: tuple[Series, int], price: str, rank: int) -> list[int]:
        old = self.rows.get(key)
        if old is not None and Decimal(old.price) == Decimal(price):
            old.rank = max(old.rank, rank)
            return []
        if old is not None and not (rank > old.rank or rank == old.rank >= Evidence.BUILT):
            return []
        self.seq += 1
        first_seq, revision = (self.seq, 0) if old is None else (old.first_seq, old.revision + 1)
        self.rows[key] = Kept(price, rank, revision, self.seq, first_seq)
        return [self.seq]

    @staticmethod
    def begun(said: SeriesState, kept: int) -> SeriesState:
        """A state that knows nothing before *kept*, forgotten once more."""
        times = 1 if said.forgotten is None else said.forgotten.times + 1
        return attrs.evolve(
            said,
            origin_ns=max(said.origin_ns, kept),
            frontier_ns=max(said.frontier_ns, kept),
            holes=tuple(hole for hole in said.holes if hole.since_ns >= kept),
            forgotten=Forgotten(kept, times),
        )


prices = st.sampled_from(["1", "1.0", "2", "0.30000000000000004"])
closings = st.lists(st.tuples(st.integers(0, 6), prices, st.sampled_from(Evidence)), max_size=6)
holes = st.lists(
    st.tuples(st.integers(0, 20), st.sampled_from(HoleKind)), max_size=5, unique_by=lambda x: x[0]
)
changes = st.lists(
    st.tuples(st.sampled_from(ALL), closings, holes, st.integers(20, 99), st.booleans()), max_size=4
)


class StoreBesideModel(RuleBasedStateMachine):
    """Commits, repeats, restarts and reads; whatever was returned by `commit` is true for ever."""

    make: Callable[[Path], Store]
    forgets = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.model = Model()
        self.last: list[Change] = []

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    @initialize()
    def begin(self) -> None:
        self.store = type(self).make(self.folder)
        self.run(self.store.open())

    @rule(batch=changes)
    def commit(self, batch) -> None:
        self.last, expected = [], []
        for series, rows, gaps, frontier, knows in batch:
            held = self.model.states.get(series)
            forgotten = None if held is None else held.forgotten
            is_late = forgotten is not None and not knows
            for opens, price, evidence in rows:
                if forgotten is None or knows or opens >= forgotten.before_ns:
                    expected += self.model.close((series, opens), price, evidence)
            said = SeriesState(
                series=series,
                origin_ns=0,
                frontier_ns=frontier,
                holes=tuple(
                    Hole(since, since + 1, kind) for since, kind in sorted(gaps, key=lambda gap: gap[0])
                ),
                forgotten=forgotten if knows else None,
            )
            self.model.states[series] = said
            if is_late:
                assert forgotten is not None
                late = self.model.begun(said, forgotten.before_ns)
                self.model.states[series] = attrs.evolve(late, forgotten=forgotten)
            candles = [self.closing(series, *row) for row in rows]
            self.last.append(Change(state=said, closings=candles))
        news = self.run(self.store.commit(self.last))
        assert expected == [each.seq for each in news]

    @precondition(lambda self: not self.forgets)
    @rule()
    def restart(self) -> None:
        self.run(self.store.aclose())
        self.begin()

    @rule(
        series=st.sampled_from(ALL),
        since=st.integers(-1, 8),
        until=st.integers(-1, 8),
        limit=st.integers(1, 9),
    )
    def read_a_range(self, series, since, until, limit) -> None:
        found = self.run(self.store.candles(series, since, until, limit=limit))
        keys = sorted(key for key in self.model.rows if key[0] == series and since <= key[1] < until)
        assert [self.model.rows[key] for key in keys[:limit]] == [self.kept(each) for each in found]

    @rule(after=st.integers(0, 60), limit=st.integers(1, 60))
    def follow_the_commits(self, after, limit) -> None:
        found = self.run(self.store.committed(after, limit=limit))
        rows = sorted((row for row in self.model.rows.values() if row.seq > after), key=lambda row: row.seq)
        assert rows[:limit] == [self.kept(each) for each in found]

    @rule(series=st.sampled_from(ALL), kept=st.integers(0, 9))
    def forget(self, series, kept) -> None:
        said = self.model.states.get(series)
        gone: list[tuple[Series, int]] = []
        if said is not None:
            if said.origin_ns < kept:
                self.model.states[series] = said = self.model.begun(said, kept)
            gone = [key for key in self.model.rows if key[0] == series and key[1] < min(kept, said.origin_ns)]
            for key in gone:
                del self.model.rows[key]
        age_ns = kept + series.timeframe.nominal_ns  # what opened within a bucket before is kept
        assert len(gone) == self.run(self.store.forget(age_ns, series=series))

    @rule(series=st.sampled_from(ALL))
    def load(self, series) -> None:
        loaded = self.run(self.store.load(series))
        if loaded is None:
            assert series not in self.model.states
            return
        assert loaded.state == self.model.states[series]
        tail = {each.open_ns: self.kept(each) for each in loaded.tail}
        assert sorted(tail) == list(tail)
        assert tail == {opens: row for (owner, opens), row in self.model.rows.items() if owner == series}

    @rule(sink=st.sampled_from("ab"), seq=st.integers(0, 60), bad=st.sets(st.integers(1, 60), max_size=3))
    def a_sink_moves(self, sink, seq, bad) -> None:
        given = sorted((row.seq, key) for key, row in self.model.rows.items() if row.seq in bad)
        parked = [Parked(series=key[0], open_ns=key[1], seq=number, why="no'") for number, key in given]
        self.model.cursors[sink] = Cursor(seq=seq, parked=tuple(parked))
        self.run(self.store.move(sink, self.model.cursors[sink]))

    @invariant()
    def sequence_and_states_agree(self) -> None:
        assert self.model.cursors == self.run(self.store.cursors())
        assert self.model.seq == self.run(self.store.last_seq())
        assert [self.model.states[key] for key in sorted(self.model.states)] == self.run(self.store.states())

    def teardown(self) -> None:
        self.run(self.store.aclose())
        self.loop.close()
        shutil.rmtree(self.folder)

    @staticmethod
    def closing(series: Series, opens: int, price: str, evidence: Evidence) -> Closing:
        value = Decimal(price)
        candle = Candle("A", series.timeframe, opens, opens + 1, value, value, value, value, value)
        return Closing(candle, evidence, Rung.POLL)

    @staticmethod
    def kept(candle) -> Kept:
        return Kept(str(candle.close), int(candle.evidence), candle.revision, candle.seq, candle.first_seq)


class MemoryBesideModel(StoreBesideModel):
    forgets = True

    @staticmethod
    def make(_: Path) -> Store:
        return MemoryStore()


class SqliteBesideModel(StoreBesideModel):
    @staticmethod
    def make(folder: Path) -> Store:
        return SqliteStore(folder / "store.db", inline=True, power_safe=False)


class PostgresBesideModel(StoreBesideModel):
    def __init__(self) -> None:
        self.url = fresh_url()  # first: it skips where there is no server
        super().__init__()

    @initialize()
    def begin(self) -> None:
        address = parse_address(self.url)
        assert address is not None
        self.store = PostgresStore(address)
        self.run(self.store.open())

    def teardown(self) -> None:
        super().teardown()
        shared_server().psql(f"DROP SCHEMA IF EXISTS {self.url.rpartition('=')[2]} CASCADE")


TestMemory = MemoryBesideModel.TestCase
TestMemory.settings = settings(deadline=None, max_examples=60, stateful_step_count=20)
TestSqlite = SqliteBesideModel.TestCase
TestSqlite.settings = settings(deadline=None, max_examples=60, stateful_step_count=20)
TestPostgres = PostgresBesideModel.TestCase
TestPostgres.settings = settings(deadline=None, max_examples=20, stateful_step_count=15)

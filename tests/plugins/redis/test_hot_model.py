"""Whatever Redis forgets, and whoever feeds it: a read says what the store says, or truly said before."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.plugins.redis.layers import ALL, MANY, FailingOver, Feeder, at, change, follower_at, hot_at
from tests.plugins.redis.server import base_url
from tests.plugins.redis.sinks import fresh_url, prefix_of
from wickwire import Series, SeriesCandle, SeriesReader, SinkError
from wickwire_redis.hot import RedisHot

Past = Mapping[Series, Sequence[SeriesCandle]]

series_ = st.sampled_from(ALL)
changes_ = st.lists(
    st.tuples(series_, st.lists(st.integers(0, 30), min_size=1, max_size=4)),
    min_size=1,
    max_size=3,
)
"""New candles, old ones and revisions, as commits of one series each."""
feeder_ = st.integers(0, 1)


class HotLayer(RuleBasedStateMachine):
    """Two collectors on one store, a third on another; a server that forgets, and goes back to a dump."""

    def __init__(self) -> None:
        super().__init__()
        self.url = fresh_url("window=10m&keep=10m")  # skips where there is no server, so before the loop
        self.loop = asyncio.new_event_loop()
        self.key = f"{prefix_of(self.url)}candle:hot"
        self.admin = redis.Redis.from_url(base_url(), protocol=2)
        self.store, self.other = FailingOver(), FailingOver()
        self.feeders = [Feeder(follower_at(self.url), self.store) for _ in range(2)]
        self.stranger = Feeder(follower_at(self.url), self.other)
        self.hot, self.others_hot = hot_at(self.url, self.store), hot_at(self.url, self.other)
        for one in (*self.feeders, self.stranger):
            self.run(one.follower.open())
        self.prices = itertools.count(1)
        self.past = [self.said(self.store)]
        self.others_past = [self.said(self.other)]
        self.lost: list[Past] = []  # what the store said before it failed over, as long as Redis may say so
        self.dump: dict[bytes, bytes] = {}
        self.a_replica_catches_up()

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def said(self, store: FailingOver) -> Past:
        return {one: self.run(store.candles(one, at(-99), at(99), limit=MANY)) for one in ALL}

    def keys(self) -> list[bytes]:
        return sorted(self.admin.scan_iter(f"{prefix_of(self.url)}*"))

    # ------------------------------------------------------------------------------------- candles come

    @initialize(changes=changes_)
    def begin(self, changes) -> None:
        self.commit_and_feed_all(0, changes)

    def commit(self, store: FailingOver, past: list[Past], changes: Any) -> None:
        for series, minutes in changes:
            self.run(store.commit([change(series, minutes, next(self.prices))]))
            past.append(self.said(store))

    @rule(changes=changes_)
    def commit_and_feed_nobody(self, changes) -> None:
        self.commit(self.store, self.past, changes)

    @rule(number=feeder_, changes=changes_, page=st.integers(1, 4), pages=st.integers(1, 3))
    def commit_and_feed_some(self, number, changes, page, pages) -> None:
        self.commit(self.store, self.past, changes)
        self.fed(self.feeders[number], page=page, pages=pages)

    @rule(number=feeder_, changes=changes_)
    def commit_and_feed_all(self, number, changes) -> None:
        """Then it is what the store says, and what was new to it is at hand."""
        self.commit(self.store, self.past, changes)
        feeder = self.feeders[number]
        before = max(feeder.cursor, int(self.admin.hget(self.key, "seq") or 0))
        if not self.fed(feeder):
            return
        self.lost = []
        for one in ALL:
            found = self.run(SeriesReader(one, self.store, self.hot).range(at(-99), at(99)))
            assert [*found] == [*self.past[-1][one]]
        for one in {row.series for row in self.run(self.store.committed(before, limit=MANY))}:
            assert self.run(self.hot.held(one, at(-99), at(99))) is not None

    @rule(changes=changes_)
    def another_store_is_fed(self, changes) -> None:
        self.commit(self.other, self.others_past, changes)
        self.fed(self.stranger)

    def fed(self, feeder: Feeder, **pages: int) -> bool:
        """Feed; say whether that could be done: not while somebody else feeds what is not ours."""
        try:
            self.run(feeder.feed(**pages))
        except SinkError as exc:
            if "not from this store" in str(exc) or "begun anew" in str(exc):
                return False
            raise
        return True

    # ------------------------------------------------------------------------------------ what goes wrong

    @rule(number=feeder_)
    def a_collector_dies_and_comes_back(self, number) -> None:
        """Its cursor was kept, or not quite."""
        old = self.feeders[number]
        self.run(old.follower.aclose())
        self.feeders[number] = Feeder(follower_at(self.url), self.store, max(0, old.cursor - 2))
        self.run(self.feeders[number].follower.open())

    @rule(number=st.integers(0, 4))
    def one_key_is_evicted(self, number) -> None:
        self.admin.delete(*self.keys()[number : number + 1], "")

    @rule()
    def all_is_flushed(self) -> None:
        """With all scripts; as by a restart of a server that writes nothing down."""
        self.admin.delete(*self.keys(), "")
        self.admin.script_flush()

    @rule()
    def a_dump_is_made(self) -> None:
        self.dump = {key: self.admin.dump(key) for key in self.keys()}

    @rule()
    def the_server_goes_back_to_the_dump(self) -> None:
        self.admin.delete(*self.keys(), "")
        for key, value in self.dump.items():
            self.admin.restore(key, 600_000, value)

    @rule()
    def a_replica_catches_up(self) -> None:
        self.replica, self.replicas_past = self.store.copied(), [*self.past]

    @rule()
    def the_store_fails_over(self) -> None:
        """The replica lacks the newest commits, and gives their numbers to others; who feeds sees that."""
        self.store.fail_over(self.replica)
        self.lost += self.past
        self.past = [*self.replicas_past]
        for feeder in self.feeders:
            feeder.cursor = min(feeder.cursor, self.run(self.store.last_seq()))

    @rule(minute=st.integers(0, 31))
    def the_store_forgets(self, minute) -> None:
        """No commit tells of that; who feeds it looks."""
        self.run(self.store.forget(at(minute)))
        self.past.append(self.said(self.store))

    @precondition(lambda self: self.admin.exists(self.key))
    @rule()
    def nobody_feeds_it_for_a_while(self) -> None:
        """Then it is not read any more, and whoever comes may have it."""
        self.admin.hset(self.key, "at", "1000000000000")
        assert self.run(self.hot.standing()) is None
        assert self.run(self.hot.held(ALL[0], at(-99), at(99))) is None

    # ---------------------------------------------------------------------------------------- what is read

    @rule(one=series_, since=st.integers(-1, 32), length=st.integers(0, 32))
    def read(self, one, since, length) -> None:
        self.compare(one, self.store, self.hot, [*self.past, *self.lost], at(since), at(since + length))
        self.compare(one, self.other, self.others_hot, self.others_past, at(since), at(since + length))

    def compare(
        self,
        one: Series,
        store: FailingOver,
        hot: RedisHot,
        past: Sequence[Past],
        since_ns: int,
        until_ns: int,
    ) -> None:
        held = self.run(hot.held(one, since_ns, until_ns))
        found = self.run(SeriesReader(one, store, hot).range(since_ns, until_ns))
        hot_ns = until_ns if held is None else max(since_ns, held.since_ns)
        cold = self.run(store.candles(one, since_ns, min(hot_ns, until_ns), limit=MANY))
        assert [row for row in found if row.open_ns < hot_ns] == cold
        assert [row for row in found if row.open_ns >= hot_ns] in [
            [row for row in then[one] if hot_ns <= row.open_ns < until_ns] for then in past
        ]

    @rule(one=series_)
    def read_the_latest(self, one) -> None:
        found = self.run(SeriesReader(one, self.store, self.hot).latest())
        assert found in [then[one][-1] if then[one] else None for then in (*self.past, *self.lost)]

    def teardown(self) -> None:
        for one in (*self.feeders, self.stranger):
            self.run(one.follower.aclose())
        for reader in (self.hot, self.others_hot):
            self.run(reader.aclose())
        self.admin.delete(*self.keys(), "")
        self.admin.close()
        self.loop.close()


HotLayer.TestCase.settings = settings(stateful_step_count=30)
TestHotLayer = pytest.mark.timeout(600)(HotLayer.TestCase)

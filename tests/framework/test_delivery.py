"""What goes into sinks: everything, in order, at least once, whatever befalls; and nobody waits for them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.shelves import Shelf
from tests.framework.test_collector import Kept
from wickwire import (
    DAY_NS,
    MINUTE_NS,
    Candle,
    Change,
    Closing,
    Cursor,
    Evidence,
    Lost,
    Poisoned,
    Rung,
    Series,
    SeriesCandle,
    SeriesState,
    StoreError,
    Timeframe,
)
from wickwire.delivery import KEPT_S, PAGE_ROWS, SOUGHT_ROWS, STRANGERS_S, Delivery
from wickwire.news import CandleParked, News, SinkChanged
from wickwire.simulate.loops import VirtualLoop, run_virtual, running_clock
from wickwire.sink import MOST_PARKED
from wickwire.sink_calls import BREAK_OFF_S, PUT_S, SinkCalls

PAIR = [Series("kraken", symbol, Timeframe.parse("1m")) for symbol in ("A", "B")]


def closes(minutes: Sequence[int], price: int = 1, *, series: Series = PAIR[0]) -> Change:
    value = Decimal(price)
    closings = []
    for minute in minutes:
        opens = minute * MINUTE_NS
        candle = Candle(
            series.symbol, series.timeframe, opens, opens + MINUTE_NS, value, value, value, value, value
        )
        closings.append(Closing(candle, Evidence.HISTORY, Rung.POLL))
    state = SeriesState(series=series, origin_ns=0, frontier_ns=0)
    return Change(state=state, closings=closings)


class Noted(Kept):
    """A store that notes how often a cursor is kept, and may be locked."""

    def __init__(self) -> None:
        super().__init__()
        self.moves: list[int] = []
        self.locked = self.stuck = False

    def lose(self, after_seq: int) -> None:
        """Lose what was committed last."""
        for seq in [seq for seq in self._log if seq > after_seq]:
            gone = self._log.pop(seq)
            del self._candles[gone.series][gone.open_ns]
            self._opens[gone.series].remove(gone.open_ns)
        self._seq = after_seq

    def drop(self, before_seq: int) -> None:
        """Drop what is old, as by retention."""
        for seq in [seq for seq in self._log if seq < before_seq]:
            gone = self._log.pop(seq)
            del self._candles[gone.series][gone.open_ns]
            self._opens[gone.series].remove(gone.open_ns)

    async def move(self, sink: str, cursor: Cursor | None) -> None:
        if self.stuck:
            raise StoreError("store: it takes no cursors")
        assert cursor is not None, "a delivery forgets no sink"
        self.moves.append(cursor.seq)
        await super().move(sink, cursor)

    async def committed(self, after_seq: int, *, limit: int) -> Sequence[SeriesCandle]:
        if self.locked:
            raise StoreError("store: locked")
        return await super().committed(after_seq, limit=limit)


@attrs.define(eq=False)
class Life:
    """A process with one sink; the store outlives it."""

    store: Noted
    sink: Shelf
    told: list[News] = attrs.field(factory=list)
    delivery: Delivery = attrs.field(init=False)
    task: asyncio.Task[None] = attrs.field(init=False)

    async def begin(self, tasks: asyncio.TaskGroup) -> None:
        clock, rng = running_clock(), random.Random(1)
        self.delivery = Delivery(SinkCalls("shelf", self.sink), self.store, clock, rng, self.told.append)
        await self.delivery.open(await self.store.last_seq())
        self.task = tasks.create_task(self.delivery.run())

    async def commit(self, *changes: Change) -> None:
        self.delivery.committed(await self.store.commit(changes))

    async def die(self) -> None:
        """As by SIGKILL: nothing more is kept."""
        self.task.cancel()
        await asyncio.wait([self.task])
        self.sink.opened = 0

    async def end(self) -> None:
        await self.delivery.drained()
        await self.die()
        self.sink.opened = 1
        await self.delivery.close()


def lives(test: Callable[[Life], Awaitable[None]], sink: Shelf | None = None) -> Life:
    life = Life(Noted(), sink or Shelf())

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            await life.begin(tasks)
            await test(life)
            if not life.task.done():
                await life.end()

    run_virtual(main())
    return life


def test_what_is_committed_is_put_at_once_and_in_order() -> None:
    async def test(life: Life) -> None:
        for minute in range(5):
            await life.commit(closes([minute]), closes([minute], series=PAIR[1]))
            await life.delivery.drained()
            assert life.delivery.cursor.seq == 2 * (minute + 1)
            assert (0, None) == (life.delivery.lag, life.delivery.behind_s(0.0))

    life = lives(test)
    assert [*range(1, 11)] == [one.seq for one in life.sink.got]


def test_a_sink_that_is_new_gets_what_is_committed_from_now_on_also_if_it_was_down_before_the_first() -> None:
    async def test(life: Life) -> None:
        await life.die()
        await life.store.commit([closes([7])])
        async with asyncio.TaskGroup() as tasks:
            await life.begin(tasks)
            await asyncio.sleep(1)
            await life.end()
        assert [7 * MINUTE_NS] == [one.open_ns for one in life.sink.got]

    life = Life(Noted(), Shelf())

    async def main() -> None:
        await life.store.commit([closes(range(5))])
        async with asyncio.TaskGroup() as tasks:
            await life.begin(tasks)
            await test(life)

    run_virtual(main())


def test_a_sink_away_for_a_day_catches_up_page_by_page_and_candles_flow_meanwhile() -> None:
    async def test(life: Life) -> None:
        life.sink.away = True
        for minute in range(1440):
            await life.commit(closes([minute]), closes([minute], series=PAIR[1]))
            await asyncio.sleep(60)
        assert [] == life.sink.got
        assert 2880 == life.delivery.lag
        behind_s = life.delivery.behind_s(asyncio.get_running_loop().time())
        assert behind_s is not None
        assert DAY_NS / 10**9 - 61 < behind_s
        assert "sink 'shelf': away" == life.delivery.trouble

        life.sink.away = False
        await asyncio.sleep(90)
        assert 0 == life.delivery.lag

    life = lives(test)
    assert [*range(1, 2881)] == [one.seq for one in life.sink.got]
    assert max(life.sink.puts) <= PAGE_ROWS
    assert ["sink 'shelf': away", ""] == [one.trouble for one in life.told if isinstance(one, SinkChanged)]


def test_a_sink_that_never_answers_is_given_up_after_a_minute_and_tried_again() -> None:
    async def test(life: Life) -> None:
        life.sink.mute = True
        await life.commit(closes([0]))
        await asyncio.sleep(PUT_S + 1)
        assert "sink 'shelf': no answer within 60 s" == life.delivery.trouble
        life.sink.mute = False
        await asyncio.sleep(PUT_S + 1)
        assert "" == life.delivery.trouble

    assert [1] == [one.seq for one in lives(test).sink.got]


@pytest.mark.parametrize("ends", [False, True])
def test_a_sink_that_swallows_its_cancellation_is_given_up_all_the_same(ends) -> None:
    class Stubborn(Shelf):
        async def put(self, candles: Sequence[SeriesCandle]) -> None:
            if not self.mute:
                await super().put(candles)
                return
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10**9)
            while not ends:
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(10**9)

    async def test(life: Life) -> None:
        life.sink.mute = True
        await life.commit(closes([1]))
        await asyncio.sleep(PUT_S + BREAK_OFF_S + 0.1)
        assert f"sink 'shelf': no answer within {PUT_S:g} s" == life.delivery.trouble
        life.sink.mute = False
        await asyncio.sleep(2 * PUT_S)

    life = lives(test, Stubborn())
    assert [1] == [one.seq for one in life.sink.got]


def test_a_process_that_was_stopped_while_a_sink_was_slow_calls_no_sink_stubborn(caplog) -> None:
    """Both its limits are over then, though it was never asked to end (seed 70119)."""

    async def test(life: Life) -> None:
        life.sink.mute = True
        await life.commit(closes([1]))
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.leap(10 * (PUT_S + BREAK_OFF_S))
        await asyncio.sleep(0.1)
        assert f"sink 'shelf': no answer within {PUT_S:g} s" == life.delivery.trouble
        life.sink.mute = False
        await asyncio.sleep(2 * PUT_S)

    assert [1] == [one.seq for one in lives(test).sink.got]
    assert "sink does not end" not in caplog.text


def test_what_was_put_in_vain_is_put_again() -> None:
    async def test(life: Life) -> None:
        life.sink.half = True
        await life.commit(closes(range(6)))
        await asyncio.sleep(5)

    assert [1, 2, 3, 1, 2, 3, 4, 5, 6] == [one.seq for one in lives(test).sink.got]


def test_what_a_sink_will_never_take_is_parked_and_named_and_the_others_go_on() -> None:
    async def test(life: Life) -> None:
        life.sink.poison, life.sink.bugs = {2, 5}, {4}
        await life.commit(closes(range(6)))
        await life.delivery.drained()
        assert {1, 3, 6} == {one.seq for one in life.sink.got}
        parked = life.delivery.cursor.parked
        assert {2: "no", 4: "Ze", 5: "no"} == {one.seq: one.why[:2] for one in parked}
        assert "" == life.delivery.trouble

        await life.commit(closes([9]))
        await life.delivery.drained()
        assert 7 == life.sink.got[-1].seq

    life = lives(test)
    told = [one for one in life.told if isinstance(one, CandleParked)]
    assert {MINUTE_NS, 3 * MINUTE_NS, 4 * MINUTE_NS} == {one.open_ns for one in told}
    assert {PAIR[0]} == {one.series for one in told}


def test_what_was_parked_is_tried_at_the_next_start_unless_it_was_revised() -> None:
    async def test(life: Life) -> None:
        life.sink.poison = {1, 2, 3}
        await life.commit(closes(range(3)))
        await life.delivery.drained()
        await life.commit(closes([1], price=2))
        await life.end()
        life.sink.opened = 0
        life.sink.poison, life.sink.got = {3}, []
        async with asyncio.TaskGroup() as tasks:
            await life.begin(tasks)
            await life.commit(closes([9]))
            await asyncio.sleep(1)
            assert [3] == [one.seq for one in life.delivery.cursor.parked]
            await life.end()
        assert [1, 5] == [one.seq for one in life.sink.got]
        assert [3] == [one.seq for one in (await life.store.cursors())["shelf"].parked]

    lives(test)


def test_a_sink_that_never_takes_one_series_holds_up_no_other() -> None:
    """However many there are, and also where a whole page is of that series."""

    async def test(life: Life) -> None:
        life.sink.poison = set(range(1, 2 * PAGE_ROWS + 1))
        await life.commit(closes(range(2 * PAGE_ROWS)))
        await life.commit(closes([1], series=PAIR[1]))
        await life.delivery.drained()
        assert [PAIR[1]] == [one.series for one in life.sink.got]
        cursor = life.delivery.cursor
        assert (MOST_PARKED, 2 * PAGE_ROWS - MOST_PARKED) == (len(cursor.parked), cursor.left_out)
        assert "" == life.delivery.trouble

    lives(test)


@pytest.mark.parametrize("count", [3, PAGE_ROWS + 7, PAGE_ROWS + SOUGHT_ROWS + 7])
def test_a_sink_with_a_bug_about_one_series_holds_up_no_other_however_much_there_is_of_it(count: int) -> None:
    async def test(life: Life) -> None:
        life.sink.bugs = set(range(1, count + 1))
        await life.commit(closes(range(count)))
        await life.commit(closes(range(2), series=PAIR[1]))
        await asyncio.sleep(60)
        assert "" == life.delivery.trouble
        cursor = life.delivery.cursor
        assert count == len(cursor.parked) + cursor.left_out
        assert "ZeroDivisionError: a bug (shelves.py:" in cursor.parked[0].why

    got = [one.seq for one in lives(test).sink.got]
    assert {count + 1, count + 2} == set(got)
    pages = 1 + count // PAGE_ROWS
    assert len(got) <= 2 + pages, "for each page the candle that was looked for, and the page that it is in"


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("always"), ConnectionResetError("for a second"), TimeoutError()]
)
def test_a_sink_that_fails_on_everything_is_one_that_does_not_work_and_parks_nothing(error) -> None:
    async def test(life: Life) -> None:
        life.sink.raises = error
        await life.commit(closes(range(10)), closes(range(10), series=PAIR[1]))
        await asyncio.sleep(100)
        assert type(error).__name__ in life.delivery.trouble
        assert (0, ()) == (life.delivery.cursor.seq, life.delivery.cursor.parked)
        life.sink.raises = None
        await asyncio.sleep(120)
        assert "" == life.delivery.trouble

    assert [*range(1, 21)] == [one.seq for one in lives(test).sink.got]


def test_a_sink_that_cancels_itself_is_merely_away() -> None:
    async def test(life: Life) -> None:
        life.sink.raises = asyncio.CancelledError()
        await life.commit(closes([0]))
        await asyncio.sleep(1)
        assert "sink 'shelf': it cancelled itself" == life.delivery.trouble
        life.sink.raises = None
        await asyncio.sleep(5)

    assert [1] == [one.seq for one in lives(test).sink.got]


def test_what_a_sink_says_is_kept_printable_short_and_without_secrets() -> None:
    async def test(life: Life) -> None:
        life.sink.poison = {1}
        life.sink.says = "\ud800 \0 \n redis://ada:hunter2@h/0 " + 1000 * "x"
        await life.commit(closes([0]))
        await life.delivery.drained()
        [parked] = life.delivery.cursor.parked
        assert len(parked.why) <= 500
        assert parked.why.isprintable()
        assert "hunter2" not in parked.why

    lives(test)


def test_a_cursor_that_cannot_be_kept_holds_up_nothing() -> None:
    async def test(life: Life) -> None:
        life.store.stuck = True
        for minute in range(100):
            await life.commit(closes([minute]))
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        assert 100 == life.delivery.cursor.seq
        assert 0 == (await life.store.cursors())["shelf"].seq
        life.store.stuck = False
        await asyncio.sleep(2 * KEPT_S)
        assert 100 == (await life.store.cursors())["shelf"].seq

    lives(test)


def test_where_the_store_has_lost_commits_the_sink_goes_back_with_it() -> None:
    """As after a failover to a standby that lagged: the numbers are given again, to other candles."""

    async def test(life: Life) -> None:
        await life.commit(closes(range(50)))
        await asyncio.sleep(2 * KEPT_S)
        await life.store.move("shelf", Cursor(seq=6))  # as it was when the standby heard of it last
        life.store.lose(after_seq=6)
        await asyncio.sleep(STRANGERS_S + 1)
        assert 6 == life.delivery.cursor.seq
        await life.commit(closes(range(6, 60), price=2))
        await life.delivery.drained()

    life = lives(test)
    assert {one.open_ns: str(one.close) for one in life.sink.held.values()} == {
        minute * MINUTE_NS: "1" if minute < 6 else "2" for minute in range(60)
    }


def test_lag_counts_what_others_commit_and_what_was_there_before() -> None:
    async def test(life: Life) -> None:
        life.sink.away = True
        await life.store.commit([closes(range(2_000), series=PAIR[1])])
        await asyncio.sleep(STRANGERS_S + 1)
        assert 2_000 == life.delivery.lag
        await life.die()
        await asyncio.sleep(1)
        async with asyncio.TaskGroup() as tasks:
            await life.begin(tasks)
            await asyncio.sleep(100)
            assert 2_000 == life.delivery.lag
            behind_s = life.delivery.behind_s(asyncio.get_running_loop().time())
            assert behind_s is not None
            assert 99 < behind_s
            life.sink.away = False
            await asyncio.sleep(120)
            assert (0, None) == (life.delivery.lag, life.delivery.behind_s(0.0))
            await life.end()

    lives(test)


def test_what_the_store_does_not_hold_any_more_is_not_waited_for() -> None:
    async def test(life: Life) -> None:
        life.sink.away = True
        await life.commit(closes(range(10)))
        await asyncio.sleep(1)
        life.store.drop(before_seq=11)
        life.sink.away = False
        await asyncio.sleep(120)
        assert (0, "") == (life.delivery.lag, life.delivery.trouble)

    lives(test)


class Confused(Shelf):
    """One that names what it was not given."""

    async def put(self, candles: Sequence[SeriesCandle]) -> None:
        raise Poisoned("no", seq=77)


def test_a_sink_that_names_what_was_not_put_is_merely_away() -> None:
    async def test(life: Life) -> None:
        await life.commit(closes([0]))
        await asyncio.sleep(1)
        assert "no (it named the candle 77, which was not put)" == life.delivery.trouble
        assert () == life.delivery.cursor.parked

    lives(test, Confused())


def test_what_a_sink_has_lost_is_put_again_in_order_and_its_place_goes_back() -> None:
    async def test(life: Life) -> None:
        await life.commit(closes(range(20)))
        await life.delivery.drained()
        del life.sink.got[5:]
        life.sink.raises = Lost("restarted", seq=5)
        await life.commit(closes([20]))
        await asyncio.sleep(0.0015)
        life.sink.raises = None
        await life.delivery.drained()
        assert [*range(1, 22)] == [one.seq for one in life.sink.got]
        assert "" == life.delivery.trouble

    lives(test)


def test_a_sink_that_loses_everything_is_filled_up_and_one_that_goes_on_so_is_waited_for() -> None:
    class Leaking(Shelf):
        """It notices that it has lost everything when something is put, as long as it *leaks*."""

        leaks = 0
        tries = 0

        async def put(self, candles: Sequence[SeriesCandle]) -> None:
            self.tries += 1
            if self.leaks:
                self.leaks -= 1
                self.got.clear()
                raise Lost("evicted", seq=0)
            await super().put(candles)

    sink = Leaking()

    async def test(life: Life) -> None:
        for price, leaks in enumerate((1, 1, 10**9), 1):
            sink.leaks = leaks
            await life.commit(closes(range(20), price=price))
            await asyncio.sleep(60)
            if leaks == 1:
                assert not sink.leaks
                assert [*await life.store.committed(0, limit=99)] == sink.got
                assert "" == life.delivery.trouble
        assert "evicted" == life.delivery.trouble
        sink.tries = 0
        await asyncio.sleep(3_600)
        assert sink.tries <= 120
        sink.leaks = 0
        await asyncio.sleep(60)
        assert [*await life.store.committed(0, limit=99)] == sink.got

    lives(test, sink)


def test_of_what_a_sink_has_lost_no_more_is_put_again_than_it_can_catch_up_with() -> None:
    async def test(life: Life) -> None:
        life.delivery.again_rows = 7
        await life.commit(closes(range(20)))
        await life.delivery.drained()
        life.sink.got.clear()
        life.sink.raises = Lost("flushed", seq=0)
        await life.commit(closes([20]))
        await asyncio.sleep(0.0015)
        life.sink.raises = None
        await life.delivery.drained()
        assert [*range(14, 22)] == [one.seq for one in life.sink.got]

    lives(test)


def test_what_others_commit_to_the_same_store_is_put_too() -> None:
    async def test(life: Life) -> None:
        await life.store.commit([closes([0], series=PAIR[1])])
        await asyncio.sleep(STRANGERS_S + 1)
        assert [1] == [one.seq for one in life.sink.got]
        await life.store.commit([closes([1], series=PAIR[1])])
        await life.commit(closes([1]))
        await life.delivery.drained()
        assert [1, 2, 3] == [one.seq for one in life.sink.got]

    lives(test)


def test_how_far_a_sink_is_is_kept_now_and_then_and_at_the_end() -> None:
    async def test(life: Life) -> None:
        moves = life.store.moves
        for minute in range(100):
            await life.commit(closes([minute]))
            await asyncio.sleep(KEPT_S / 20)
        assert 4 < len(moves) < 10
        await asyncio.sleep(2 * KEPT_S)
        assert 100 == moves[-1]
        await life.commit(closes([200]))
        await life.end()
        assert 101 == moves[-1]

    lives(test)


def test_a_store_that_cannot_be_read_is_waited_for() -> None:
    async def test(life: Life) -> None:
        life.store.locked = True
        await life.commit(closes([0]))
        await asyncio.sleep(5)
        assert "store: locked" == life.delivery.trouble
        life.store.locked = False
        await asyncio.sleep(5)
        assert "" == life.delivery.trouble

    assert [1] == [one.seq for one in lives(test).sink.got]


acts = st.lists(
    st.one_of(
        st.tuples(
            st.just("commit"),
            st.lists(
                st.tuples(st.integers(0, 1), st.integers(0, 8), st.integers(1, 3)), min_size=1, max_size=9
            ),
        ),
        st.tuples(st.sampled_from(["away", "back", "half", "mute", "die", "wait", "end"]), st.none()),
        st.tuples(st.just("poison"), st.integers(1, 20)),
    ),
    max_size=25,
)


@given(acts)
def test_whatever_befalls_sink_and_process_the_sink_holds_what_the_store_holds(acts) -> None:
    async def main() -> None:
        life = Life(Noted(), Shelf())
        async with asyncio.TaskGroup() as tasks:
            await life.begin(tasks)
            for act, what in acts:
                match act:
                    case "commit":
                        await life.commit(
                            *(closes([minute], price, series=PAIR[which]) for which, minute, price in what)
                        )
                    case "away" | "half" | "mute":
                        setattr(life.sink, act, True)
                    case "back":
                        life.sink.away = life.sink.mute = False
                    case "poison":
                        life.sink.poison.add(what)
                    case "die":
                        await life.die()
                        await life.begin(tasks)
                    case "end":
                        life.sink.mute = False
                        await life.end()
                        await life.begin(tasks)
                    case _:
                        await asyncio.sleep(0.4)
            life.sink.away = life.sink.mute = False
            await asyncio.sleep(3 * PUT_S)
            await life.end()
        stored = await life.store.committed(0, limit=10**6)
        parked = {one.seq for one in life.delivery.cursor.parked}
        wanted = {(one.series, one.open_ns): one for one in stored if one.seq not in parked}
        held = life.sink.held
        assert wanted == {key: held[key] for key in wanted}
        assert parked <= life.sink.poison

    run_virtual(main())

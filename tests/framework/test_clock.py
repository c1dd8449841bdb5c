"""Clocks: the machine's, and one that goes exactly as fast as an event loop."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import SECOND_NS, parse_instant
from wickwire.clock import Clock, Comparison, LoopClock, SystemClock

START_NS = parse_instant("2026-11-21T07:28:00.123456789Z")


@attrs.define
class Seconds:
    """All that a LoopClock asks of a loop."""

    now_s: float

    def time(self) -> float:
        return self.now_s


def loop_clock(now_s: float, start_ns: int = START_NS, start_s: float = 0.0) -> LoopClock:
    return LoopClock(cast("asyncio.AbstractEventLoop", Seconds(now_s)), start_ns, start_s)


def test_the_system_clock_is_the_clock_of_this_machine():
    before, now, after = time.time_ns(), SystemClock().now_ns(), time.time_ns()

    assert min(before, after) <= now <= max(before, after)


def test_a_loop_clock_starts_where_it_is_told():
    assert loop_clock(0.0).now_ns() == START_NS
    assert loop_clock(812.75, start_s=812.75).now_ns() == START_NS


@given(st.integers(0, 10 * 366 * 86_400 * 1_000_000))
def test_a_loop_clock_is_exact_to_the_microsecond_for_ten_years(elapsed_us):
    """The loop counts seconds in a float; a candle may not close a nanosecond early for it."""
    assert loop_clock(elapsed_us / 1e6).now_ns() == START_NS + elapsed_us * 1_000


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_loop_clock_never_goes_back_while_its_loop_does_not(one_s, other_s):
    earlier, later = sorted((one_s, other_s))

    assert loop_clock(earlier).now_ns() <= loop_clock(later).now_ns()


@given(st.integers(0, 10**9))
def test_whole_seconds_are_whole(seconds):
    assert loop_clock(float(seconds), start_ns=0).now_ns() == seconds * SECOND_NS


def test_a_clock_reads_a_real_loop():
    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        clock: Clock = LoopClock(loop, 0, loop.time())
        return clock.now_ns(), clock.now_ns()

    first, second = asyncio.run(main())

    assert 0 <= first <= second


def test_a_clock_that_is_wrong_by_more_than_any_delay_is_told_once() -> None:
    clocks = Comparison()

    assert not clocks.heard(1_000 * SECOND_NS, 1_010 * SECOND_NS, 0.0)
    assert not clocks.wrong
    assert clocks.heard(1_000 * SECOND_NS, 4_600 * SECOND_NS, 0.0)
    assert "3,600 s ahead of the venue's" in str(clocks)
    assert not clocks.heard(1_001 * SECOND_NS, 4_601 * SECOND_NS, 0.0), "that is no news any more"
    assert clocks.heard(1_000 * SECOND_NS, 1_000 * SECOND_NS, 0.0)
    assert "" == str(clocks)


def test_a_clock_behind_the_venues_is_told_as_such() -> None:
    clocks = Comparison()
    clocks.heard(4_600 * SECOND_NS, 1_000 * SECOND_NS, 0.0)

    assert "3,600 s behind the venue's" in str(clocks)


def test_a_clock_that_is_set_right_takes_the_venues_present_for_no_future() -> None:
    """A simulated run with seed 1036 refused every row of a venue that tells its time once a day."""
    clocks = Comparison()
    clocks.heard(1_000 * SECOND_NS, 5_000 * SECOND_NS, 0.0)

    assert clocks.latest_ns(5_060 * SECOND_NS, 60.0) == 1_240 * SECOND_NS, "wrong, as it was told"
    assert not clocks.is_set_right(5_060 * SECOND_NS, 60.0)

    assert clocks.latest_ns(1_120 * SECOND_NS, 120.0) == 1_300 * SECOND_NS, "set right"
    assert clocks.is_set_right(1_120 * SECOND_NS, 120.0)


@given(st.floats(-100, 100), st.lists(st.floats(0.0, 0.4), min_size=8, max_size=20))
def test_a_clock_that_is_a_little_ahead_is_told_what_time_it_is_for_the_venue(
    ahead_s: float, late_s: list[float]
) -> None:
    """Venues tell whole seconds, and replies take their time; where it is behind the venue's counts."""
    clocks, start_ns = Comparison(), 1_000 * SECOND_NS
    for number, way_s in enumerate(late_s):
        true_s = number * 1.13
        venue_ns = start_ns + int(true_s) * SECOND_NS
        ours_ns = start_ns + round((true_s + way_s + ahead_s) * SECOND_NS)
        clocks.heard(venue_ns, ours_ns, true_s + way_s)

    ours_ns = start_ns + round((60.0 + ahead_s) * SECOND_NS)
    wrong_s = (clocks.at_venue_ns(ours_ns, 60.0) - start_ns) / SECOND_NS - 60.0

    assert max(min(ahead_s, 0.0), -0.5) - 0.91 <= wrong_s <= 0.51 + 1e-6
    clocks.heard(start_ns + 60 * SECOND_NS, ours_ns + 7 * SECOND_NS, 60.0)
    assert clocks.at_venue_ns(ours_ns, 60.0) == max(ours_ns, start_ns + 60 * SECOND_NS), (
        "it was set meanwhile"
    )


def test_a_clock_that_is_an_hour_ahead_is_put_right_once_the_venue_told_its_time() -> None:
    """What it asks for reaches beyond what there is, and in short pages there is nothing else (seed 1069)."""
    clocks = Comparison()
    clocks.heard(1_000 * SECOND_NS, 1_000 * SECOND_NS, 0.0)
    assert clocks.at_venue_ns(4_660 * SECOND_NS, 60.0) == 4_660 * SECOND_NS, (
        "it may be that the machine slept"
    )

    clocks.heard(1_060 * SECOND_NS, 4_660 * SECOND_NS, 60.0)
    assert clocks.at_venue_ns(4_720 * SECOND_NS, 120.0) == 1_120 * SECOND_NS + SECOND_NS // 2


def test_a_clock_that_is_set_back_by_an_hour_costs_no_time() -> None:
    clocks = Comparison()
    clocks.heard(5_000 * SECOND_NS, 5_000 * SECOND_NS, 0.0)

    assert clocks.at_venue_ns(1_460 * SECOND_NS, 60.0) == 5_060 * SECOND_NS


@pytest.mark.parametrize("ahead_s", [0, 4_000])
@pytest.mark.parametrize("slept_s", [0, 9_000])
def test_no_present_of_a_venue_is_a_future_whatever_a_machine_did_since_it_told(
    ahead_s: int, slept_s: int
) -> None:
    clocks = Comparison()
    clocks.heard(1_000 * SECOND_NS, (1_000 + ahead_s) * SECOND_NS, 0.0)
    true_ns = (1_060 + slept_s) * SECOND_NS

    assert clocks.latest_ns(true_ns + ahead_s * SECOND_NS, 60.0) >= true_ns


def test_the_venues_time_goes_on_with_the_loop_whatever_becomes_of_the_wall_clock() -> None:
    clocks = Comparison()
    assert clocks.venue_ns(5.0) is None

    clocks.heard(1_000 * SECOND_NS, 1_010 * SECOND_NS, 20.0)

    assert clocks.venue_ns(80.5) == 1_060_500_000_000


def test_an_earlier_instant_is_told_by_what_the_venue_said_since() -> None:
    clocks = Comparison()
    assert clocks.told_of_ns(10.0) is None
    clocks.heard(1_000 * SECOND_NS, 5_000 * SECOND_NS, 20.0)
    assert clocks.told_of_ns(15.0) == 995 * SECOND_NS
    assert clocks.told_of_ns(25.0) is None, "the machine may have slept between"

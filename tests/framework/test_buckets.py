"""Where buckets open and end, as far as that is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import HOUR_NS, HoleKind, Timeframe, Utc
from wickwire.buckets import Buckets
from wickwire.model import MINUTE_NS, Session, Unknown

MINUTE, HALF_HOUR = Timeframe.parse("1m"), Timeframe.parse("30m")
T0 = 1_795_237_200 * 1_000_000_000  # 2026-11-21T05:00:00Z


def at(minutes: float) -> int:
    return T0 + round(minutes * MINUTE_NS)


def minutes(buckets: Buckets) -> None:
    """Tell of two sessions, of 75 and of 60 minutes."""
    buckets.told([(at(0), at(75)), (at(300), at(360))])


@given(st.integers(0, 10**6), st.sampled_from(["1s", "1m", "7m", "1h", "1d", "1w", "1mo"]))
def test_on_a_known_grid_every_instant_has_its_bucket(seconds: int, timeframe: str) -> None:
    buckets, ns = Buckets(Timeframe.parse(timeframe), Utc()), T0 + seconds * 1_000_000_000
    first_ns, end_ns = buckets.first_from(ns), buckets.next_end(ns, 0)

    assert buckets.opens(first_ns)
    assert buckets.opens(end_ns)
    assert ns <= first_ns <= end_ns == buckets.first_from(ns + 1)
    assert buckets.over_by(ns, 0) <= ns
    assert buckets.due(ns, 0) == end_ns


def test_without_a_grid_buckets_are_counted_from_the_frontier() -> None:
    buckets = Buckets(MINUTE, Unknown())
    assert buckets.opens(at(0.3))
    assert at(0.3) == buckets.first_from(at(0.3))
    assert at(5.3) == buckets.over_by(at(6.2), at(0.3))
    assert at(0.3) == buckets.over_by(at(0.9), at(0.3))
    assert HoleKind.UNKNOWN is buckets.lacking


def test_in_a_session_buckets_count_from_its_open_and_the_last_is_short() -> None:
    buckets = Buckets(HALF_HOUR, Session("New York"))
    minutes(buckets)
    ends = [buckets.next_end(at(minute), at(0)) for minute in (0, 29, 30, 60, 74)]
    assert [at(30), at(30), at(60), at(75), at(75)] == ends


def test_between_sessions_nothing_is_due_before_the_next_ones_first_bucket() -> None:
    buckets = Buckets(HALF_HOUR, Session("New York"))
    minutes(buckets)
    assert at(330) == buckets.next_end(at(80), at(75))
    assert at(360) <= buckets.due(at(75), at(340)) <= at(375)


def test_after_all_known_sessions_it_is_looked_for_the_next_every_quarter_of_an_hour() -> None:
    buckets = Buckets(MINUTE, Session("New York"))
    minutes(buckets)
    end_ns = buckets.next_end(at(400), at(360))
    assert at(400) < end_ns <= at(415)


def test_the_latest_sessions_are_kept() -> None:
    buckets = Buckets(MINUTE, Session("New York"))
    for number in range(30):
        buckets.told([(at(60 * number), at(60 * number + 30))])
    assert 10 == len(buckets.sessions)
    assert at(60 * 29) == buckets.sessions[-1][0]


# --------------------------------------------------------------------------------- what a page decides


def test_a_page_decides_whole_buckets_that_are_over_and_settled() -> None:
    buckets = Buckets(MINUTE, Utc())
    decided = buckets.decided((at(0.5), at(9.5)), at(7.9), [], None)
    assert (at(1), at(7)) == decided


def test_nothing_from_a_running_row_on_is_decided() -> None:
    buckets = Buckets(MINUTE, Utc())
    assert (at(0), at(4)) == buckets.decided((at(0), at(9)), at(9), [at(6), at(4)], None)


@pytest.mark.parametrize(
    ("running", "over_ns", "end"),
    [([], None, 58), ([], at(70), 70), ([], at(95), 58), ([at(60)], None, 60), ([at(60)], at(70), 60)],
)
def test_without_a_grid_only_what_must_be_over_is_decided(
    running: list[int], over_ns: int | None, end: int
) -> None:
    buckets = Buckets(HALF_HOUR, Unknown())
    assert (at(0), at(end)) == buckets.decided((at(0), at(200)), at(88), running, over_ns)


@pytest.mark.parametrize(
    ("settled", "end"), [(29, 0), (31, 30), (74, 60), (75, 75), (80, 75), (299, 269), (331, 330)]
)
def test_known_sessions_say_which_buckets_are_over(settled: int, end: int) -> None:
    """The last one of a session is short; long after it, what is over is over."""
    buckets = Buckets(HALF_HOUR, Session("New York"))
    minutes(buckets)
    assert end == (buckets.decided((at(0), at(900)), at(settled), [], None)[1] - T0) // MINUTE_NS


def test_the_end_of_a_session_is_asked_for_until_it_is_proven_and_then_the_next_one_is_waited_for() -> None:
    buckets = Buckets(MINUTE, Session("New York"))
    minutes(buckets)
    assert at(80) < buckets.next_end(at(80), at(73)) <= at(95)
    assert at(301) == buckets.next_end(at(80), at(75))


@given(
    since=st.integers(0, 500), length=st.integers(0, 500), settled=st.integers(0, 500), known=st.booleans()
)
def test_a_page_decides_nothing_that_it_does_not_cover_or_that_is_not_settled(
    since: int, length: int, settled: int, *, known: bool
) -> None:
    buckets = Buckets(Timeframe.parse("7m"), Utc() if known else Unknown())
    first_ns, end_ns = buckets.decided((at(since), at(since + length)), at(settled), [], None)
    assert first_ns >= at(since)
    assert end_ns <= at(settled)
    assert end_ns <= at(since + length) + HOUR_NS * known

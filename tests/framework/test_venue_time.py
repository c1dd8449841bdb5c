"""What time it is for a venue, where its hosts do not agree: nothing settles by the clock of another host."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from wickwire import SECOND_NS
from wickwire.clock import CLOCKS_AGREE_S
from wickwire.venue_time import FeedTime, VenueTime

START_NS = 1_800_000_000 * SECOND_NS

SECONDS = st.floats(0.0, 100_000.0)


def at(seconds: float) -> int:
    """Return an instant, so many seconds after the start of the loop."""
    return START_NS + round(seconds * SECOND_NS)


def with_login(ahead_s: float, *, ours_ahead_s: float = 0.0, at_s: float = 0.0) -> VenueTime:
    """Return what is known once a host that serves no candles told its time."""
    time = VenueTime()
    time.elsewhere.heard(at(at_s + ahead_s), at(at_s + ours_ahead_s), at_s)
    return time


@given(st.lists(st.tuples(SECONDS, SECONDS)), SECONDS)
def test_a_feed_never_shows_more_than_the_time(rows: list[tuple[float, float]], later_s: float) -> None:
    """Whatever comes, however old it is by then, and in whatever order."""
    feed, now_s = FeedTime(), 0.0
    for wait_s, age_s in rows:
        now_s += wait_s
        feed.reached(at(now_s - age_s), now_s)

    least_ns = feed.at_least_ns(now_s + later_s)

    if rows:
        assert least_ns is not None
        assert least_ns <= at(now_s + later_s) + SECOND_NS // 1_000
    else:
        assert least_ns is None


def test_what_came_soonest_after_its_time_tells_it_best() -> None:
    feed = FeedTime()
    for minute, late_s in ((1, 40.0), (2, 1.5), (3, 20.0)):
        feed.reached(at(minute * 60.0), minute * 60.0 + late_s)

    assert feed.at_least_ns(300.0) == at(298.5)


def test_rows_of_what_is_known_already_tell_nothing() -> None:
    feed = FeedTime()
    feed.reached(at(60.0), 61.0)
    for second in range(100):
        feed.reached(at(60.0), 62.0 + second)
        feed.reached(at(30.0), 62.0 + second)

    assert feed.at_least_ns(200.0) == at(199.0)


def test_one_wrong_time_is_forgotten() -> None:
    """It may lie ahead by no more than the clocks of two machines may differ: else its row is refused."""
    feed = FeedTime()
    feed.reached(at(CLOCKS_AGREE_S), 0.0)
    for minute in range(1, 13):
        feed.reached(at(minute * 60.0), minute * 60.0 + 1.0)

    assert feed.at_least_ns(1_000.0) == at(999.0)


@given(st.floats(-CLOCKS_AGREE_S, CLOCKS_AGREE_S), SECONDS)
def test_the_clock_of_another_host_moves_nothing_where_it_may_be_right(ahead_s: float, now_s: float) -> None:
    """Neither what is asked nor what counts as begun, nor what is over."""
    time = with_login(ahead_s * 0.999)

    assert time.at_venue_ns(at(now_s), now_s) == at(now_s)
    assert time.venue_ns(now_s) is None
    assert time.told_of_ns(-1.0) is None
    assert time.ahead_s is None
    assert not time.told
    assert not time.trouble(at(now_s), now_s)
    assert time.latest_ns(at(now_s), now_s) >= at(now_s + CLOCKS_AGREE_S)


@given(st.floats(-7_200.0, 7_200.0), st.floats(-7_200.0, 7_200.0), SECONDS)
def test_two_clocks_prove_nothing_that_is_not_over_unless_both_are_wrong_alike(
    login_s: float, ours_s: float, now_s: float
) -> None:
    """That is, unless both are more than three minutes ahead."""
    time = with_login(login_s)
    agreed_ns = time.agreed_ns(at(now_s + ours_s), now_s)

    if abs(login_s - ours_s) > CLOCKS_AGREE_S + 0.001:
        assert agreed_ns is None, "nobody knows which of them is right"
    if agreed_ns is not None and min(login_s, ours_s) <= CLOCKS_AGREE_S:
        assert agreed_ns <= at(now_s) + SECOND_NS // 1_000


@given(st.sampled_from([-4_000.0, 4_000.0]), SECONDS)
def test_another_host_is_believed_that_our_clock_is_wrong(ours_s: float, now_s: float) -> None:
    time = with_login(0.0, ours_ahead_s=ours_s)

    assert abs(time.at_venue_ns(at(now_s + ours_s), now_s) - at(now_s)) <= SECOND_NS
    assert time.ahead_s == ours_s
    assert "4,000 s" in time.trouble(at(now_s + ours_s), now_s)
    assert not time.trouble(at(now_s), now_s), "it was set right"


@given(st.floats(-100_000.0, 100_000.0), SECONDS)
def test_no_other_host_makes_a_row_of_now_one_of_the_future(ahead_s: float, now_s: float) -> None:
    assert with_login(ahead_s).latest_ns(at(now_s), now_s) >= at(now_s)


@given(st.floats(-7_200.0, 7_200.0), SECONDS, st.floats(0.0, 60.0))
def test_it_is_never_earlier_than_the_feed_shows(login_s: float, now_s: float, late_s: float) -> None:
    time = with_login(login_s)
    time.feed.reached(at(now_s - late_s), now_s)
    least_ns = at(now_s - late_s) - SECOND_NS // 1_000

    assert time.at_venue_ns(at(now_s - 4_000.0), now_s) >= least_ns
    assert (time.venue_ns(now_s) or 0) >= least_ns
    assert (time.least_of_ns(now_s) or 0) >= least_ns


def test_what_serves_the_candles_is_believed_once_it_told_its_time() -> None:
    time = with_login(90.0)
    time.feed.reached(at(-30.0), 0.0)
    time.served.heard(at(-5.0), at(0.0), 0.0)

    assert time.venue_ns(60.0) == at(55.0)
    assert time.told_of_ns(-10.0) == at(-15.0)
    assert time.ahead_s == 5.0
    assert time.agreed_ns(at(60.0), 60.0) is None
    assert time.least_of_ns(0.0) is None


def test_a_subscription_that_is_not_confirmed_began_at_no_time() -> None:
    time = VenueTime()
    time.feed.reached(at(0.0), 0.0)

    assert time.least_of_ns(math.inf) is None

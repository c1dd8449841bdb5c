"""What a meter says of several calls at once, and of a limit that several processes divide."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wickwire import Counting, Rate
from wickwire.meter import SOON_S, Meter

AMOUNTS = st.integers(1, 12)
SPANS_S = st.sampled_from([1.0, 10.0, 60.0])
WINDOWS = st.builds(Rate, AMOUNTS, SPANS_S)
RATES = st.one_of(
    WINDOWS,
    st.builds(Rate, AMOUNTS, SPANS_S, AMOUNTS, st.just(Counting.BUCKET)),
    st.builds(lambda one, other, per_s: Rate(max(one, other), per_s, one), AMOUNTS, AMOUNTS, SPANS_S),
)
CALLS = st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=15)


def used(meter: Meter, count: int, now_s: float) -> int:
    """Let as many of *count* calls through as may go now, and be answered at once; return how many."""
    for number in range(count):
        if meter.wait_s(1, now_s) >= SOON_S:
            return number
        meter.begin(1, now_s)
        meter.count(1, now_s)
    return count


@given(RATES, st.integers(0, 12), CALLS)
def test_how_many_may_go_is_what_would_go_one_after_the_other(
    rate: Rate, before: int, calls: list[tuple[int, bool]]
) -> None:
    """And to ask changes nothing."""
    meter = Meter(rate)
    used(meter, before, 0.0)

    count = meter.going(calls, 0.5)
    assert count == meter.going(calls, 0.5)

    for cost, urgent in calls[:count]:
        assert meter.wait_s(cost, 0.5, urgent=urgent) < SOON_S
        meter.begin(cost, 0.5)
    if count < len(calls):
        cost, urgent = calls[count]
        assert meter.wait_s(cost, 0.5, urgent=urgent) >= SOON_S


@given(WINDOWS, st.lists(st.integers(0, 12), min_size=2, max_size=5), st.lists(st.floats(0, 1), max_size=8))
def test_the_parts_of_a_window_are_never_more_than_the_whole(
    rate: Rate, before: list[int], moments: list[float]
) -> None:
    """However unevenly it was used when they began to divide it, and nobody told the other any more."""
    among = len(before)
    if rate.amount < among:
        return
    meters, sent = [Meter(rate) for _ in before], list[float]()
    left = rate.amount
    for meter, count in zip(meters, before, strict=True):
        went = used(meter, min(count, left), 0.0)
        left -= went
        sent += [0.0] * went
    for meter in meters:
        meter.share(among, 0.1, blind=True)
    for moment in sorted(moments):
        now_s = 0.1 + 2 * rate.per_s * moment
        for meter in meters:
            meter.share(among, now_s, blind=True)
            sent += [now_s] * used(meter, rate.amount, now_s)

    assert all(sum(begin <= at < begin + rate.per_s for at in sent) <= rate.amount for begin in sent)


@given(RATES)
def test_who_is_alone_again_has_the_whole(rate: Rate) -> None:
    shared, alone = Meter(rate), Meter(rate)
    shared.share(3, 0.0, blind=True)
    shared.share(1, 1.0, blind=False)

    assert used(alone, 20, 1.0) == used(shared, 20, 1.0)

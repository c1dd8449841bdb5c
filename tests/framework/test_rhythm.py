"""Which silence of a topic is no accident."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from wickwire.rhythm import Rhythm


def test_before_enough_was_seen_no_silence_is_surprising() -> None:
    rhythm = Rhythm()
    rhythm.saw(7, 7.0)
    assert math.isinf(rhythm.limit_s)
    rhythm.saw(1, 1.0)
    assert 7.0 == rhythm.limit_s


def test_a_second_is_never_surprising_however_much_comes() -> None:
    rhythm = Rhythm()
    rhythm.saw(6_000, 60.0)
    assert 5.0 == rhythm.limit_s


def test_it_follows_a_market_that_grows_quiet() -> None:
    rhythm = Rhythm()
    rhythm.saw(60, 60.0)
    for _ in range(40):
        rhythm.saw(10, 300.0)
    assert 29 < rhythm.gap_s < 30


@given(st.lists(st.tuples(st.integers(1, 1_000), st.floats(0.01, 1_000.0)), min_size=1, max_size=50))
def test_the_gap_lies_between_those_that_were_seen(seen: list[tuple[int, float]]) -> None:
    rhythm = Rhythm()
    for events, lasted_s in seen:
        rhythm.saw(events, lasted_s)
    gaps = [lasted_s / events for events, lasted_s in seen]
    assert math.isinf(rhythm.gap_s) or min(gaps) * 0.999 <= rhythm.gap_s <= max(gaps) * 1.001

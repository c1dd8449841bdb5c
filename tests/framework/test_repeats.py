"""When a trouble that comes again is news: once an outage for each reason, and then ever more rarely."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from wickwire.repeats import AGAIN_S, CALM_S, MOST_REASONS, Repeats, without_numbers

DAY_S = 86_400.0


def test_each_reason_is_news_once_whatever_comes_in_between() -> None:
    repeats = Repeats()
    assert [1, 1] + 98 * [0] == [repeats.failed("ab"[number % 2], 60.0 * number) for number in range(100)]


def test_a_reason_that_lasts_is_told_again_after_ever_longer_with_how_often_it_came() -> None:
    repeats = Repeats()
    told = {number: times for number in range(60 * 48) if (times := repeats.failed("no", 60.0 * number))}
    hours = AGAIN_S / 3_600

    assert {0: 1, 60 * hours: 60 * hours, 180 * hours: 120 * hours, 420 * hours: 240 * hours} == told


def test_what_comes_after_all_went_well_for_a_while_is_another_outage() -> None:
    repeats = Repeats()
    assert 1 == repeats.failed("no", 0.0)
    repeats.works(10.0)
    repeats.works(200.0)  # it goes on working: the first counts
    assert 0 == repeats.failed("no", 10.0 + CALM_S - 1)
    repeats.works(1_000.0)
    assert 1 == repeats.failed("no", 1_000.0 + CALM_S)


def test_who_never_gives_the_same_reason_twice_fills_no_log_either() -> None:
    repeats = Repeats()
    assert MOST_REASONS == sum(
        repeats.failed(f"request {number:x}", 1.0 * number) for number in range(10_000)
    )


def test_numbers_make_no_other_reason() -> None:
    first, other = "closed with 1006 after 2.5e3 s", "closed with 1012 after -7 s"
    assert without_numbers(first) == without_numbers(other)
    assert without_numbers(first) != without_numbers("refused with 1006 after 3 s")


STEPS = st.lists(st.tuples(st.sampled_from("abcd"), st.floats(1.0, 600.0)), min_size=1, max_size=300)


@given(STEPS, st.sampled_from(["lasts", "flaps"]))
def test_an_outage_tells_each_reason_and_never_more_than_its_length_allows(
    steps: list[tuple[str, float]], how: str
) -> None:
    """Also where it seems to pass again and again, never for long."""
    repeats, now_s, told = Repeats(), 0.0, list[str]()
    for reason, pause_s in steps:
        if how == "flaps":
            repeats.works(now_s)
            now_s += min(pause_s, CALM_S - 1)
        else:
            now_s += pause_s
        told += [reason] if repeats.failed(reason, now_s) else []

    assert {reason for reason, _ in steps} == {*told}
    assert len(told) <= len({*told}) * (1 + math.log2(1 + now_s / AGAIN_S))


@given(st.integers(2, 8), st.floats(1.0, 360.0))
def test_a_day_of_reasons_in_turn_is_a_handful_of_lines(kinds: int, every_s: float) -> None:
    repeats, times = Repeats(), int(DAY_S / max(every_s, 20.0))
    lines = sum(bool(repeats.failed(number % kinds, DAY_S * number / times)) for number in range(times))

    assert kinds <= lines <= 3 * kinds

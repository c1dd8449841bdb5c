"""Backoff: read the list, not the clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire.errors import FaultKind, StreamClosed, TransportError, VenueError
from wickwire.retry import ADVICE, Advice, Backoff, Retries, advise


def test_ceilings_double_up_to_the_cap() -> None:
    backoff = Backoff(first_s=0.5, cap_s=3)

    assert [0.5, 1.0, 2.0, 3.0, 3.0] == [backoff.ceiling_s(attempt) for attempt in range(1, 6)]


@given(st.integers(1, 10_000), st.integers())
def test_every_wait_lies_under_its_ceiling_and_the_ceiling_under_the_cap(attempt: int, seed: int) -> None:
    backoff = Backoff()

    wait_s = backoff.wait_s(attempt, random.Random(seed))

    assert 0 <= wait_s <= backoff.ceiling_s(attempt) <= backoff.cap_s


def test_the_first_retry_after_a_lost_connection_is_within_half_a_second() -> None:
    assert Backoff().ceiling_s(1) <= 0.5


def test_waits_are_spread_so_that_many_clients_do_not_come_back_at_once() -> None:
    waits = [Backoff(first_s=10).wait_s(1, random.Random(seed)) for seed in range(200)]

    assert max(waits) - min(waits) > 9


def test_jitter_repeats_with_its_seed() -> None:
    first, second = (Retries(Backoff(), random.Random(7)) for _ in range(2))
    error = TransportError("gone")

    assert [first.failed(error) for _ in range(9)] == [second.failed(error) for _ in range(9)]


def test_only_sustained_health_forgets_the_failures() -> None:
    """A venue that accepts and closes at once, for ever, is not healthy (F36)."""
    retries = Retries(Backoff(healthy_s=30), random.Random(1))

    for _ in range(5):
        retries.failed(TransportError("closed at once"), healthy_s=0.1)
    assert 5 == retries.attempt

    retries.failed(TransportError("cut"), healthy_s=31)
    assert 1 == retries.attempt


def test_retry_after_is_never_undercut() -> None:
    retries = Retries(Backoff(), random.Random(1))

    assert 90 <= retries.failed(VenueError(FaultKind.WAIT, "slow down", retry_after_s=90))


def test_what_only_a_person_can_mend_is_tried_at_the_slowest_pace() -> None:
    backoff = Backoff(cap_s=60)

    wait_s = backoff.wait_s(1, random.Random(1), Advice.FIX)

    assert wait_s >= 60


@pytest.mark.parametrize(("code", "advice"), [(1006, Advice.RETRY), (1008, Advice.FIX), (1013, Advice.WAIT)])
def test_close_codes_are_told_apart(code: int, advice: Advice) -> None:
    assert advise(StreamClosed("closed", code=code)) is advice


def test_try_again_later_waits_at_least_five_seconds() -> None:
    retries = Retries(Backoff(), random.Random(3))

    assert 5 <= retries.failed(StreamClosed("closed", code=1013))


def test_every_kind_of_no_has_its_advice() -> None:
    assert set(FaultKind) == set(ADVICE)


def test_a_cap_below_the_first_step_is_refused() -> None:
    with pytest.raises(ValueError, match="cap_s must be at least first_s"):
        Backoff(first_s=10, cap_s=5)

"""A budget against venues that ban for good whoever comes too fast once: never banned, and never idle."""

from __future__ import annotations

import pytest

from tests.framework.banning import drawn, played

FEW = 300
CHUNK = 2_500
MANY = 40


def judged(seed: int) -> None:
    scenario = drawn(seed)

    outcome = played(scenario)

    assert not outcome.banned, f"{scenario}: {outcome.banned}"
    if scenario.saturated:
        assert outcome.used >= 0.9, f"{scenario}: {outcome.used:.0%} of the limit in {outcome.lasted_s:g} s"


def test_no_venue_bans_us_and_nine_tenths_of_each_limit_are_used() -> None:
    for seed in range(FEW):
        judged(seed)


def test_what_a_reply_says_is_left_is_as_of_when_its_request_was_sent_and_not_when_it_was_wanted() -> None:
    judged(91_029)


@pytest.mark.nightly
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("chunk", range(MANY))
def test_nor_in_a_hundred_thousand_scenarios(chunk: int) -> None:
    """One is half a dozen to a hundred calls; `drawn` and `played` repeat whichever failed."""
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        judged(seed)

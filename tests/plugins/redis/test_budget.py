"""Several processes with one budget on a real server are never banned, and use what there is.

The server and its script are real, and so are the budgets; the time is virtual, and the server is told it.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import redis

from tests.framework.banning import Outcome, Scenario, drawn, played
from tests.plugins.redis.budgets import Stepped, processes
from tests.plugins.redis.server import base_url
from wickwire import Limits
from wickwire.budget import Budget


@functools.cache
def client() -> redis.Redis:
    return redis.Redis.from_url(base_url(), protocol=2, retry=None)


def played_by(count: int, scenario: Scenario, *, together: bool = True) -> Outcome:
    """Play a scenario by so many processes, which share the budget or do not."""

    @asynccontextmanager
    async def budgets(limits: Limits) -> AsyncIterator[Sequence[Budget]]:
        if not together:
            yield [Budget(limits) for _ in range(count)]
            return
        async with processes(Stepped(client()), count) as made:
            yield [one.budget(limits) for one in made]

    return played(scenario, budgets)


@pytest.mark.parametrize(("count", "runs"), [(1, 30), (2, 80), (5, 40)])
def test_no_venue_bans_them_and_nine_tenths_of_each_limit_are_used(count: int, runs: int) -> None:
    for scenario in map(drawn, range(runs)):
        outcome = played_by(count, scenario)
        assert not outcome.banned, f"{scenario}: {outcome.banned}"
        if scenario.saturated:
            assert outcome.used >= 0.9, f"{scenario}: {outcome.used:.0%} of the limit"


def test_without_it_they_are_banned() -> None:
    """Unless the config leaves room by chance, as it does where it lowers a limit."""
    saturated = [one for one in map(drawn, range(40)) if one.saturated and one.wish is None]

    assert saturated
    assert all(played_by(2, scenario, together=False).banned for scenario in saturated)

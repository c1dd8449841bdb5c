"""The script that counts for several processes means by a rate what the meter of one process means."""

from __future__ import annotations

import functools
import math
import random

import attrs
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plugins.redis.budgets import PULSE_S, Settled, report
from tests.plugins.redis.server import base_url
from wickwire import Claim, Counting, Hint, Rate, Ruling, Spent
from wickwire.limits import both
from wickwire.meter import SOON_S, Heard, Meter

MEMBERS = ("one", "two")
BEGIN_S = 1e6


@functools.cache
def client() -> redis.Redis:
    return redis.Redis.from_url(base_url(), protocol=2, retry=None)


@attrs.define
class Open:
    """A call that is under way."""

    number: int
    cost: int
    began_s: float


class Played:
    """The same calls of two processes, through the script and through one meter."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.meter = Meter(rate)
        self.closed_s, self.probes = -math.inf, False
        self.server = Settled(client())
        self.now_s = self.pulsed_s = BEGIN_S
        self.open: dict[str, list[Open]] = {member: [] for member in MEMBERS}
        self.number = 0

    def say(self, member: str, **more: object) -> Ruling:
        held = tuple(Claim(one.number, one.cost) for one in self.open[member])
        return self.server.settle(report(member, self.rate, {"held": held, **more}), self.now_s)

    def wait(self, seconds: float) -> None:
        """Let time pass; both processes live meanwhile."""
        until_s = self.now_s + seconds
        while until_s > self.pulsed_s + PULSE_S:
            self.now_s = self.pulsed_s = max(self.pulsed_s + PULSE_S, self.now_s)
            for member in MEMBERS:
                self.say(member)
        self.now_s = until_s

    def claim(self, member: str, cost: int, *, urgent: bool) -> None:
        """Ask both; they have to agree whether it goes now, and if not, how long it waits."""
        wait_s = max(self.meter.wait_s(cost, self.now_s, urgent=urgent), self.closed_s - self.now_s)
        if self.probes and self.meter.open_cost:
            wait_s = math.inf
        self.number += 1
        ruling = self.say(member, claims=(Claim(self.number, cost, urgent=urgent),))
        if wait_s < SOON_S:
            self.meter.begin(cost, self.now_s)
            self.open[member].append(Open(self.number, cost, self.now_s))
            assert 1 == ruling.granted
        else:
            assert 0 == ruling.granted
            assert pytest.approx(wait_s, abs=1e-5) == ruling.wait_s

    def end(self, member: str) -> None:
        if self.open[member]:
            one = self.open[member].pop(0)
            self.meter.count(one.cost, self.now_s)
            self.probes = self.probes and self.now_s < self.closed_s
            self.say(member, spent=(Spent(number=one.number, cost=one.cost, age_s=0.0, known=True),))

    def give_back(self, member: str) -> None:
        if self.open[member]:
            self.meter.forget(self.open[member].pop(0).cost)
            self.say(member)

    def pause(self, member: str, seconds: float) -> None:
        self.closed_s, self.probes = max(self.closed_s, self.now_s + seconds), True
        self.say(member, pause_s=seconds)

    def hear(self, member: str, left: int, most: int | None, next_s: float | None) -> None:
        if not self.open[member]:
            return
        one = self.open[member][0]
        heard = Heard(left=left, most=most, cost=one.cost, since_s=one.began_s, next_s=next_s)
        news = self.meter.hear(heard, self.now_s)
        if news and left < 1 and next_s is not None:
            self.closed_s, self.probes = max(self.closed_s, self.now_s + next_s), True
        age_s = self.now_s - one.began_s
        self.say(member, hints=(Hint(left=left, most=most, cost=one.cost, age_s=age_s, next_s=next_s),))


AMOUNTS = st.integers(1, 12)
SPANS_S = st.sampled_from([1.0, 3.0, 10.0, 60.0])
SINGLE = st.one_of(
    st.builds(Rate, AMOUNTS, SPANS_S),
    st.builds(Rate, AMOUNTS, SPANS_S, AMOUNTS, st.just(Counting.BUCKET)),
    st.builds(
        lambda amount, burst, per_s: Rate(amount, per_s, min(amount, burst)), AMOUNTS, AMOUNTS, SPANS_S
    ),
)
RATES = st.one_of(SINGLE, st.builds(both, SINGLE, SINGLE))
GAPS_S = (0.0, 0.0, 0.0, 0.02, 0.1, 0.4, 0.9, 1.0, 1.0, 1.005, 3.0, 5.0, 31.0)
ACTS = ("claim", "claim", "claim", "claim", "end", "end", "end", "give_back", "hear", "pause")
STEPS = 60


def act(played: Played, rng: random.Random) -> None:
    """Let a little time pass, and one thing happen to one of the two."""
    played.wait(rng.choice(GAPS_S) * rng.choice([1.0, 1.0, rng.random()]))
    member, rate = rng.choice(MEMBERS), played.rate
    match rng.choice(ACTS):
        case "claim":
            played.claim(member, rng.choice([1, 1, 1, 3]), urgent=rng.random() < 0.5)
        case "end":
            played.end(member)
        case "give_back":
            played.give_back(member)
        case "hear":
            next_s = rng.choice([None, rng.uniform(0, rate.per_s)])
            most = rng.choice([None, rate.amount, rate.burst])
            played.hear(member, rng.randint(0, rate.amount), most, next_s)
        case _ if rng.random() < 0.2:
            played.pause(member, rng.choice([0.0, 0.3, 4.0]))


@settings(max_examples=60)
@given(RATES, st.integers(0, 2**32))
def test_the_script_and_the_meter_let_the_same_calls_through(rate: Rate, seed: int) -> None:
    played, rng = Played(rate), random.Random(seed)
    for _ in range(STEPS):
        act(played, rng)

"""A venue that bans for good whoever comes too fast once, and programs that keep to a budget.

A scenario is drawn from its number: what the venue counts and how, how long calls are on their way, who else
uses the account, what is to be asked, when, and how urgently. It runs on virtual time.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import attrs

from wickwire import Counting, Limits, Rate
from wickwire.budget import PAUSE_S, Budget, Priority
from wickwire.limits import both
from wickwire.simulate.loops import run_virtual

HEADERS: Final = ("x-most", "x-left", "x-next")
EDGE: Final = 1e-6
"""Less is a rounding error."""
PATIENCE_S: Final = 5.0
"""How long the venue wants nothing after it said "too many" without saying how long."""


# --------------------------------------------------------------------------------------- what a venue counts


@attrs.define
class Sliding:
    """At most *most* in any *per_s* seconds."""

    most: int
    per_s: float
    log: deque[tuple[float, int]] = attrs.field(factory=deque)

    def used(self, now_s: float) -> int:
        while self.log and self.log[0][0] <= now_s - self.per_s:
            self.log.popleft()
        return sum(cost for _, cost in self.log)

    def add(self, cost: int, now_s: float) -> None:
        self.log.append((now_s, cost))

    def next_s(self, now_s: float) -> float:
        return self.log[0][0] + self.per_s - now_s if self.log else 0.0


@attrs.define
class Fixed:
    """At most *most* in each window of *per_s* seconds, the first of which began *ago_s* before the start."""

    most: int
    per_s: float
    ago_s: float
    window: int = -1
    count: int = 0

    def used(self, now_s: float) -> int:
        window = int((now_s + self.ago_s) // self.per_s)
        if window != self.window:
            self.window, self.count = window, 0
        return self.count

    def add(self, cost: int, now_s: float) -> None:
        self.count += cost

    def next_s(self, now_s: float) -> float:
        return self.per_s - (now_s + self.ago_s) % self.per_s


@attrs.define
class Bucket:
    """A bucket of *most* that refills by *amount* in *per_s* seconds."""

    most: int
    amount: int
    per_s: float
    level: float = 0.0
    at_s: float = -1e9

    def used(self, now_s: float) -> float:
        self.level = max(0.0, self.level - (now_s - self.at_s) * self.amount / self.per_s)
        self.at_s = now_s
        return self.level

    def add(self, cost: int, now_s: float) -> None:
        self.level += cost

    def next_s(self, now_s: float) -> float:
        return self.per_s / self.amount


Rule = Sliding | Fixed | Bucket


def enforced(rate: Rate, rng: random.Random, *, sliding: bool = False) -> list[Rule]:
    """Return what a venue may count that documents *rate*."""
    rules: list[Rule] = []
    for part in rate.parts:
        if part.counting is Counting.BUCKET:
            rules.append(Bucket(part.burst, part.amount, part.per_s))
        else:
            ways: list[Rule] = [Sliding(part.amount, part.per_s)]
            if not sliding:
                ways.append(Fixed(part.amount, part.per_s, rng.uniform(0, part.per_s)))
                ways.append(Bucket(part.amount, part.amount, part.per_s))
            rules.append(rng.choice(ways))
    return rules


# ------------------------------------------------------------------------------------------------- scenarios


@attrs.frozen(kw_only=True)
class Scenario:
    """One run.

    Attributes:
        seed: Whatever is drawn while it runs comes from it.
        venue: What the venue documents, and counts.
        wish: What the config lowers that to.
        later: What it is lowered to while it runs.
        trip_s: The longest that a call and its reply are on their way.
        calls: When each is wanted, how urgent it is, and what it costs.
        saturated: There is always work, and nothing in the way.
        refuses_s: Until when, from when on, the venue answers "too many".
        asks_for_patience: It says for how long.
        headers: Replies say what is left.
        others: Calls in each window that somebody else on the account uses: where a window begins anew at
            once, none can be seen before they come, so the config leaves room for them there.
    """

    seed: int
    venue: Rate
    wish: Rate | None
    later: Rate | None
    trip_s: float
    calls: list[tuple[float, Priority, int]]
    saturated: bool
    refuses_s: tuple[float, float] = (0.0, 0.0)
    asks_for_patience: bool = False
    headers: bool = False
    others: int = 0


def drawn(seed: int) -> Scenario:
    """Return scenario number *seed*."""
    rng = random.Random(seed)
    saturated = rng.random() < 0.5
    venue = _rate(rng)
    wish = _lower(venue, rng) if rng.random() < 0.3 else None
    later = _lower(venue, rng) if rng.random() < 0.2 else None
    kept = both(wish or venue, venue)
    refuses_s, others, headers = (0.0, 0.0), 0, rng.random() < 0.5
    if not saturated:
        if rng.random() < 0.4:
            begin_s = rng.uniform(0, venue.per_s)
            refuses_s = (begin_s, begin_s + rng.choice([0.5, 5.0, 40.0]))
        if headers and venue.per_s >= 10 and _is_window(venue) and rng.random() < 0.7:
            others = rng.randint(0, venue.amount * 3 // 10)
            wish = Rate(venue.amount - others, venue.per_s) if others and rng.random() < 0.5 else None
            kept = both(wish or venue, venue)
    return Scenario(
        seed=seed,
        venue=venue,
        wish=wish,
        later=later,
        trip_s=_trip_s(both(later, kept) if later else kept, rng, near=saturated or bool(others)),
        calls=_calls(kept, rng, saturated=saturated),
        saturated=saturated,
        refuses_s=refuses_s,
        asks_for_patience=rng.random() < 0.5,
        headers=headers,
        others=others,
    )


def _is_window(rate: Rate) -> bool:
    return rate.counting is Counting.WINDOW and not rate.also


def _rate(rng: random.Random) -> Rate:
    amount, per_s = rng.randint(1, 24), rng.choice([1.0, 2.0, 10.0, 60.0])
    if rng.random() < 0.35:
        return Rate(amount, per_s, rng.randint(1, 24), Counting.BUCKET)
    burst = rng.choice([amount, rng.randint(1, amount)])
    also = (Rate(amount * 4, per_s * 5),) if rng.random() < 0.2 else ()
    return Rate(amount, per_s, burst, also=also)


def _lower(rate: Rate, rng: random.Random) -> Rate:
    """Return what a user may lower *rate* to, by whatever rule."""
    most = min(part.burst for part in rate.parts)
    if rng.random() < 0.5:
        amount = rng.randint(max(1, rate.amount // 2), max(1, rate.amount * 3 // 4))
        return Rate(amount, rate.per_s * 5 / 4, min(most, amount), rng.choice(list(Counting)))
    return Rate(1, 3_600.0 / rate.per_hour * rng.uniform(1.0, 2.0), rng.randint(1, most), Counting.BUCKET)


def _trip_s(rate: Rate, rng: random.Random, *, near: bool) -> float:
    shortest_s = min(part.per_s for part in rate.parts)
    if not near:
        return rng.choice([0.0, 0.05, 0.5, 1.5]) * rng.random() * shortest_s
    # what a bucket may hold has to last for as long as replies take
    lasts_s = min(
        (
            (part.burst - part.burst // 4 - 0.8) * part.per_s / part.amount
            for part in rate.parts
            if part.counting is Counting.BUCKET
        ),
        default=shortest_s,
    )
    return min(0.05 * shortest_s, 0.4 * lasts_s) * rng.random()


def _calls(rate: Rate, rng: random.Random, *, saturated: bool) -> list[tuple[float, Priority, int]]:
    """Return work for some windows: all of it wanted at once, or in bursts."""
    priorities = rng.choice([list(Priority), [Priority.BACKFILL], [Priority.LIVE]])
    if saturated:
        count = round(rate.per_hour / 3_600 * rate.per_s * rng.uniform(2.5, 4)) + 8
        return [(0.0, rng.choice(priorities), 1) for _ in range(count)]
    dearest = rng.choice([1, 1, 3])
    calls = []
    for _ in range(rng.randint(1, 4)):
        at_s = rng.uniform(0, 3 * rate.per_s)
        calls += [
            (at_s, rng.choice(priorities), min(rng.randint(1, dearest), rate.amount))
            for _ in range(rng.randint(1, 12))
        ]
    return calls


# -------------------------------------------------------------------------------------------------- the run


@attrs.define
class Outcome:
    """What became of a scenario.

    Attributes:
        banned: Why the venue banned the program; empty when it never did.
        used: Which part of the limit went while there was work.
        lasted_s: How long all the work took.
    """

    banned: str = ""
    used: float = 1.0
    lasted_s: float = 0.0


class Venue:
    """Counts what comes, and bans for good."""

    def __init__(self, scenario: Scenario, rng: random.Random) -> None:
        self.scenario = scenario
        told_alone = scenario.others > 0 and scenario.wish is None
        self.rules = enforced(scenario.venue, rng, sliding=told_alone)
        self.banned = ""
        self.quiet_until_s = 0.0
        self.others = scenario.others
        self.others_s = -2 * scenario.venue.per_s

    def take(self, cost: int, sent_s: float, now_s: float) -> tuple[dict[str, str], float | None]:
        """Answer one call: with headers, and how long it wants nothing, if it says "too many"."""
        self._serve_others(now_s)
        if sent_s >= self.quiet_since_s and now_s < self.quiet_until_s - EDGE:
            self.banned = (
                self.banned or f"at {now_s:g} s it had asked for silence until {self.quiet_until_s:g}"
            )
        for rule in self.rules:
            dearest = max(rule.most, cost) if rule.used(now_s) < EDGE else rule.most
            if rule.used(now_s) + cost > dearest + EDGE:
                self.banned = self.banned or f"at {now_s:g} s {rule} was asked for {cost} more"
            rule.add(cost, now_s)
        headers = {}
        if self.scenario.headers:
            rule = self.rules[0]
            headers = {
                "x-most": str(rule.most),
                "x-left": str(max(int(rule.most - rule.used(now_s)), 0)),
                "x-next": f"{rule.next_s(now_s):.3f}",
            }
        begin_s, end_s = self.scenario.refuses_s
        return headers, (end_s - now_s if begin_s <= now_s < end_s else None)

    quiet_since_s = float("inf")

    def hush(self, answered_s: float, now_s: float, wait_s: float) -> None:
        """Want nothing that is sent from now on, when "too many" was heard, for as long as was said."""
        self.quiet_since_s = now_s
        self.quiet_until_s = max(self.quiet_until_s, answered_s + wait_s)

    def _serve_others(self, now_s: float) -> None:
        while self.others and self.others_s <= now_s:
            for rule in self.rules:
                rule.used(self.others_s)
                rule.add(1, self.others_s)
            self.others_s += self.scenario.venue.per_s / self.others


Budgets = Callable[[Limits], AbstractAsyncContextManager[Sequence[Budget]]]
"""Makes the budgets of one or several processes."""


@asynccontextmanager
async def alone(limits: Limits) -> AsyncIterator[Sequence[Budget]]:
    """Provide the budget of one process that is alone."""
    yield [Budget(limits)]


def played(scenario: Scenario, budgets: Budgets = alone) -> Outcome:
    """Run one scenario to its end; the calls go by turns through each of *budgets*."""
    return run_virtual(_main(scenario, budgets), seed=scenario.seed)


async def _main(scenario: Scenario, made: Budgets) -> Outcome:
    kept = both(scenario.wish or scenario.venue, scenario.venue)
    async with made(Limits(rest=kept, reply_headers=HEADERS if scenario.headers else ())) as budgets:
        return await _spent(scenario, kept, budgets)


async def _spent(scenario: Scenario, kept: Rate, budgets: Sequence[Budget]) -> Outcome:
    loop, rng = asyncio.get_running_loop(), random.Random(-scenario.seed - 1)
    venue = Venue(scenario, rng)
    refusals, began_s, turns = 0, 0.0, itertools.cycle(budgets)

    async def call(at_s: float, priority: Priority, cost: int) -> None:
        nonlocal refusals, began_s
        budget = next(turns)
        await asyncio.sleep(at_s)
        while True:
            async with budget.rest(cost, priority) as asked:
                began_s = loop.time()
                there_s = scenario.trip_s * rng.random()
                await asyncio.sleep(there_s)
                answered_s = loop.time()
                headers, refused_s = venue.take(cost, began_s_of(answered_s, there_s), answered_s)
                await asyncio.sleep((scenario.trip_s - there_s) * rng.random())
                asked.told(headers, 0)
                if refused_s is None:
                    refusals = 0
                    return
                refusals += 1
                said_s = refused_s if scenario.asks_for_patience else 0.0
                venue.hush(answered_s, loop.time(), said_s or PATIENCE_S)
                budget.pause_rest(max(min(PAUSE_S * 2.0 ** (refusals - 1), 900.0), said_s))

    async def lower() -> None:
        assert scenario.later is not None
        await asyncio.sleep(scenario.venue.per_s)
        for budget in budgets:
            budget.lower(Limits(rest=both(scenario.later, scenario.venue)))

    async with asyncio.TaskGroup() as tasks:
        for one in scenario.calls:
            tasks.create_task(call(*one))
        if scenario.later is not None:
            tasks.create_task(lower())
    cost = sum(cost for _, _, cost in scenario.calls)
    kept = kept if scenario.later is None else both(scenario.later, kept)
    share = cost / (kept.per_hour / 3_600 * began_s) if began_s else 1.0
    return Outcome(venue.banned, min(share, 1.0), loop.time())


def began_s_of(answered_s: float, there_s: float) -> float:
    """Return when a call was sent."""
    return answered_s - there_s

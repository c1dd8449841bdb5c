"""What holds for all processes that share a budget, and what each does while it is away: on virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import pytest

from tests.framework.banning import Sliding
from tests.plugins.redis.budgets import Process, Stepped, processes
from tests.plugins.redis.test_budget import client
from wickwire import (
    LEASE_S,
    Account,
    BudgetChanged,
    BudgetError,
    FaultKind,
    Limits,
    Rate,
    Report,
    Ruling,
    VenueError,
)
from wickwire.budget import Budget, GaveWay, Place, Priority
from wickwire.gates import REJOINED_S
from wickwire.sharing import ANSWER_S, FORGETS, PULSE_S, account_name
from wickwire.simulate.loops import run_virtual

SECONDS = Limits(rest=Rate(10, 10.0))


def together(
    test: Callable[[Stepped, Sequence[Process]], Awaitable[None]], count: int = 2, seed: int = 0
) -> None:
    async def main() -> None:
        shared = Stepped(client())
        async with processes(shared, count) as made:
            await test(shared, made)

    run_virtual(main(), seed=seed)


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def use(
    budget: Budget, count: int = 1, priority: Priority = Priority.LIVE, takes_s: float = 0.0
) -> None:
    for _ in range(count):
        async with budget.rest(1, priority):
            await asyncio.sleep(takes_s)


def test_two_processes_have_one_limit() -> None:
    async def test(_: Stepped, made: Sequence[Process]) -> None:
        one, two = (process.budget(SECONDS) for process in made)
        await use(one, 5)
        await use(two, 5)
        assert now_s() < 0.5
        await use(two)
        assert 10 < now_s() < 10.5

    together(test)


def test_accounts_and_venues_are_apart() -> None:
    async def test(_: Stepped, made: Sequence[Process]) -> None:
        keys = [Account(secrets={"key": key}) for key in ("AK1", "AK2")]
        one, two = (process.budget(SECONDS, key) for process, key in zip(made, keys, strict=True))
        await use(one, 10)
        await use(two, 10)
        assert now_s() < 0.5

    together(test)


def test_an_account_is_named_without_its_secrets() -> None:
    """What lets somebody in has no part in the name, so that nobody can find it from there."""
    one = Account(secrets={"key": "AK1", "secret": "hunter2"})
    same = Account(secrets={"key": "AK1", "secret": "hunter3"})
    demo = Account(environment="demo", secrets=one.secrets)
    names = {account_name(one, "real"), account_name(demo, "real"), account_name(one, "simulated, seed 1")}

    assert account_name(one, "real") == account_name(same, "real")
    assert 3 == len(names)
    assert all(name.isalnum() and 16 == len(name) and "AK1" not in name for name in names)


def test_a_pause_that_one_is_asked_for_holds_for_the_other_and_then_one_goes_alone() -> None:
    async def test(_: Stepped, made: Sequence[Process]) -> None:
        one, two = (process.budget(Limits()) for process in made)  # a venue that names no limit pauses too
        await use(one)
        one.pause_rest(30.0)
        await asyncio.sleep(0.1)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(use(one, takes_s=1.0))
            tasks.create_task(use(two, takes_s=1.0))
            await asyncio.sleep(PULSE_S + 1)
            assert two.rest_paused
        assert 32.0 <= now_s() < 33.0  # one after the other

    together(test)


def test_what_a_killed_process_had_under_way_is_given_back_after_its_lease() -> None:
    async def test(_: Stepped, made: Sequence[Process]) -> None:
        one, two = (process.budget(SECONDS) for process in made)
        async with asyncio.TaskGroup() as tasks:
            held = [tasks.create_task(use(one, takes_s=1e6)) for _ in range(10)]
            await asyncio.sleep(1)
            made[0].die()
            await use(two)
            for task in held:
                task.cancel()
        # it reported last after a second at the latest, and counts until its window is over
        assert LEASE_S + 10 <= now_s() < LEASE_S + 10 + PULSE_S + 1

    together(test)


def test_a_process_that_ends_in_order_gives_back_at_once() -> None:
    async def test(_: Stepped, made: Sequence[Process]) -> None:
        one, two = (process.budget(SECONDS) for process in made)
        async with asyncio.TaskGroup() as tasks:
            held = [tasks.create_task(use(one, takes_s=1e6)) for _ in range(10)]
            await asyncio.sleep(1)
            await made[0].sharing.close()
            await use(two)
            assert 11 <= now_s() < 11.5
            for task in held:
                task.cancel()

    together(test)


def test_who_is_more_urgent_goes_first_though_it_comes_while_others_wait_for_the_server() -> None:
    async def test(_: Stepped, made: Sequence[Process]) -> None:
        one, two = (process.budget(SECONDS) for process in made)
        went: list[str] = []

        async def go(name: str, priority: Priority) -> None:
            await use(two, priority=priority)
            went.append(name)

        await use(one, 10)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(go("backfill", Priority.BACKFILL))
            await asyncio.sleep(1)
            tasks.create_task(go("heal", Priority.HEAL))
            await asyncio.sleep(1)
            tasks.create_task(go("live", Priority.LIVE))
        assert ["live", "heal", "backfill"] == went

    together(test)


@pytest.mark.parametrize("how", ["gives way", "is cancelled", "is not sent"])
def test_who_does_not_go_after_all_leaves_its_place_to_the_other(how: str) -> None:
    async def test(_: Stepped, made: Sequence[Process]) -> None:
        one, two = (process.budget(SECONDS) for process in made)
        await use(one, 9)
        if how == "is not sent":
            async with one.rest(1, Priority.LIVE) as call:
                call.is_sent = False
        else:
            async with one.rest(1, Priority.LIVE) as call, asyncio.TaskGroup() as tasks:
                waits = tasks.create_task(giving_way(one, 2.0 if how == "gives way" else None))
                await asyncio.sleep(1)
                if how == "is cancelled":
                    waits.cancel()
                await asyncio.sleep(2)
                call.is_sent = False
        await asyncio.sleep(0.5)
        began_s = now_s()
        await use(two)
        assert now_s() - began_s < 0.5

    together(test)


async def giving_way(budget: Budget, until_s: float | None) -> None:
    with suppress(GaveWay):
        async with budget.rest(1, Priority.LIVE, place=Place(until_s)):
            raise AssertionError("there is no room")


def test_where_no_limit_is_known_frames_ask_nobody() -> None:
    async def test(shared: Stepped, made: Sequence[Process]) -> None:
        budget = made[0].budget(Limits())
        for _ in range(100):
            await budget.message(Priority.LIVE)
        assert 0 == shared.asked

    together(test)


def test_several_that_want_to_go_at_once_are_asked_for_together() -> None:
    async def test(shared: Stepped, made: Sequence[Process]) -> None:
        budget = made[0].budget(Limits(rest=Rate(100, 10.0)))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(40):
                tasks.create_task(use(budget, takes_s=0.01))
            await asyncio.sleep(0.005)
            assert shared.asked <= 6

    together(test, 1)


def test_away_it_goes_on_at_once_with_its_part_and_says_so_once() -> None:
    async def test(shared: Stepped, made: Sequence[Process]) -> None:
        one, two = (process.budget(SECONDS) for process in made)
        await use(one)
        await use(two)
        await asyncio.sleep(20)
        shared.away = True
        await asyncio.sleep(15)  # what the other may have used has left the window
        began_s = now_s()
        await use(one, 5)
        assert now_s() == began_s
        await use(one)
        assert began_s + 10 < now_s() < began_s + 10.5
        [away] = made[0].told
        assert isinstance(away, BudgetChanged)
        assert "nobody listens there" in away.trouble == made[0].sharing.trouble
        shared.away = False
        await asyncio.sleep(REJOINED_S + 10)
        told = [one.trouble for one in made[0].told if isinstance(one, BudgetChanged)]
        assert ["nobody listens there", ""] == told
        began_s = now_s()
        await use(one, 10)
        assert now_s() - began_s < 0.5

    together(test)


def test_one_that_does_not_answer_or_has_a_bug_is_away_too() -> None:
    """Whoever asked first waits for half a second, and nobody after that."""

    async def test(shared: Stepped, made: Sequence[Process]) -> None:
        one, two = (process.budget(SECONDS) for process in made)
        shared.slow_s = 60.0
        await use(one, 5)
        assert now_s() == ANSWER_S
        assert "no answer within 0.5 s" == made[0].sharing.trouble
        shared.slow_s, shared.bug = 0.0, ValueError("no number")
        await use(two, 5)
        assert made[1].sharing.trouble.startswith("it has a bug: ValueError: no number (budgets.py:")

    together(test)


@pytest.mark.parametrize("bug", [TimeoutError(), BudgetError()])
def test_one_that_fails_without_a_word_is_away_too(bug: Exception) -> None:
    async def test(shared: Stepped, made: Sequence[Process]) -> None:
        shared.bug = bug
        await use(made[0].budget(SECONDS), 5)
        assert now_s() == 0
        assert made[0].sharing.trouble
        assert [made[0].sharing.trouble] == [
            one.trouble for one in made[0].told if isinstance(one, BudgetChanged)
        ]

    together(test)


def test_what_a_budget_says_of_itself_is_told_as_it_said_it() -> None:
    async def test(shared: Stepped, made: Sequence[Process]) -> None:
        said = "budget 'redis://127.0.0.1:6379': cannot share the limits: @user_script: 34: -OOM; raise it"
        shared.bug = BudgetError(said)
        await use(made[0].budget(SECONDS))
        assert made[0].sharing.trouble == said
        shared.bug = ValueError("redis://ada:hunter2@127.0.0.1")
        await use(made[1].budget(SECONDS))
        assert "hunter2" not in made[1].sharing.trouble

    together(test)


class Forgetful(Stepped):
    """Remembers nothing, as two servers do that take turns behind one address."""

    forgets = False

    async def settle(self, report: Report) -> Ruling:
        await asyncio.sleep(0.001)
        if self.forgets:
            self.flush()
        return await super().settle(report)


def test_one_that_forgets_at_once_what_it_is_told_is_away() -> None:
    async def main() -> None:
        shared = Forgetful(client())
        async with processes(shared, 1) as [process]:
            budget = process.budget(SECONDS)
            await use(budget)
            shared.forgets = True
            for _ in range(20):
                await use(budget)
                await asyncio.sleep(1)
            assert now_s() < 22
            assert [FORGETS] == [one.trouble for one in process.told if isinstance(one, BudgetChanged)]
            shared.forgets = False
            await asyncio.sleep(10)
            assert not process.sharing.trouble

    run_virtual(main(), seed=1)


def test_frames_share_the_limit_of_all_connections_where_there_is_one() -> None:
    async def test(_: Stepped, made: Sequence[Process]) -> None:
        one, two = (process.budget(Limits(messages_overall=Rate(5, 10.0))) for process in made)
        for _number in range(3):
            await one.message(Priority.LIVE)
            await two.message(Priority.LIVE)
        assert 10 < now_s() < 11

    together(test)


def test_new_connections_share_theirs_and_a_refusal_holds_for_all() -> None:
    async def test(_: Stepped, made: Sequence[Process]) -> None:
        one, two = (process.budget(Limits(connects=Rate(4, 10.0))) for process in made)
        with suppress(VenueError):
            async with one.connect():
                raise VenueError(FaultKind.WAIT, "too many", retry_after_s=40.0)
        await asyncio.sleep(0.1)
        async with two.connect():
            assert 40 <= now_s() < 41

    together(test)


def test_away_alone_it_keeps_the_whole_limit() -> None:
    async def test(shared: Stepped, made: Sequence[Process]) -> None:
        budget = made[0].budget(SECONDS)
        await use(budget)
        await asyncio.sleep(20)
        shared.away = True
        await use(budget, 10)
        assert now_s() < 20.5

    together(test, 1)


RATES = (Rate(20, 1.0), Rate(30, 5.0), Rate(12, 1.0, burst=4), Rate(200, 60.0))


@pytest.mark.parametrize("then", ["it knows all", "it has forgotten all"])
@pytest.mark.parametrize("seed", range(8))
def test_no_venue_bans_while_the_budget_dies_comes_back_and_may_have_forgotten(seed: int, then: str) -> None:
    """Three processes want all there is, or come in bursts; replies take a while."""
    rng = random.Random(seed)
    rate = rng.choice(RATES)
    rule, over = Sliding(rate.amount, rate.per_s), list[str]()

    async def work(budget: Budget, until_s: float, *, lazy: bool) -> None:
        while now_s() < until_s:
            async with budget.rest(1, rng.choice(list(Priority))):
                await asyncio.sleep(rng.uniform(0, 0.05))
                if rule.used(now_s()) >= rule.most:
                    over.append(f"at {now_s():g} s")
                rule.add(1, now_s())
                await asyncio.sleep(rng.uniform(0, 0.05))
            if lazy:
                await asyncio.sleep(rng.expovariate(1.0))

    async def test(shared: Stepped, made: Sequence[Process]) -> None:
        until_s = 3 * rate.per_s + 30
        async with asyncio.TaskGroup() as tasks:
            for number, process in enumerate(made):
                budget = process.budget(Limits(rest=rate))
                for _ in range(rng.choice([1, rate.amount])):
                    tasks.create_task(work(budget, until_s, lazy=number == 2))
            await asyncio.sleep(rate.per_s * rng.uniform(0.5, 2))
            shared.away = True
            await asyncio.sleep(rng.choice([0.3, 2.0, rate.per_s]))
            if then == "it has forgotten all":
                shared.flush()
            shared.away = False
            await asyncio.sleep(rng.uniform(0.1, 15))
            if then == "it has forgotten all":
                shared.flush()  # unseen: nobody was away

    together(test, 3, seed)

    assert [] == over

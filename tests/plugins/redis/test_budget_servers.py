"""The shared budget as it is used: which servers it takes, and what it does when one is in trouble."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.framework.banning import Sliding
from tests.framework.scripted import Scripted
from tests.framework.test_collector import World
from tests.plugins.processes import die_with_parent, free_port
from tests.plugins.redis.budgets import HELD, Process, Stepped, processes, report
from tests.plugins.redis.server import base_url, fresh_prefix
from tests.plugins.redis.sinks import refusal_of
from tests.plugins.redis.test_budget import client
from tests.plugins.redis.test_opening import make_user, running
from wickwire import (
    LEASE_S,
    MINUTE_NS,
    BudgetChanged,
    BudgetError,
    Claim,
    ConfigError,
    HttpReply,
    HttpRequest,
    Limits,
    Rate,
    Registry,
    TransportError,
)
from wickwire.budget import Budget, Priority
from wickwire.simulate.loops import run_virtual, running_clock
from wickwire_redis import RedisBudget
from wickwire_redis.budget import budget_address

RIGHTS = (
    "resetchannels", "~budget:*", "+hello", "+select", "+multi", "+exec", "+discard",
    "+script|load", "+evalsha", "+time", "+get", "+set",
)  # fmt: skip
"""What docs/redis.md says that the user of a budget needs."""

SECONDS = Rate(20, 1.0)


def budget_at(url: str) -> RedisBudget:
    address = budget_address(url)
    assert address is not None
    return RedisBudget(address)


def fresh_url() -> str:
    base = base_url()
    return f"{base}{'&' if '?' in base else '?'}prefix={fresh_prefix()}"


def refusal(url: str) -> str:
    return refusal_of(budget_at(url), BudgetError)


def settles(url: str) -> None:
    async def main() -> None:
        budget = budget_at(url)
        await budget.open()
        try:
            for number in (1, 2):
                ruling = await budget.settle(
                    report("one", Rate(1, 60.0), {"claims": (Claim(number, 1),), "held": (Claim(1, 1),)})
                )
                assert (number == 1) == bool(ruling.granted)
        finally:
            await budget.aclose()

    asyncio.run(main())


# ------------------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize("option", ["primary=kraken", "stream=off", "ttl=5m", "window=1h", "timeout=5s"])
def test_options_that_make_no_sense_here_are_refused_by_name(option: str) -> None:
    name = option.partition("=")[0]
    with pytest.raises(ConfigError, match=f"^budget 'redis://127.0.0.1.*: {name} is an option of a sink"):
        Registry().open_budget(f"redis://127.0.0.1?prefix=a:&{option}")


def test_what_is_wrong_with_an_address_is_said_of_a_budget_and_shows_no_password() -> None:
    with pytest.raises(ConfigError, match=r"^budget ") as caught:
        Registry().open_budget("redis://:hunter2@127.0.0.1?nothing=1")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"^budget 'nothing:' *: no plugin takes"):
        Registry().open_budget("nothing:")


def test_keys_stay_under_the_prefix_and_go_by_themselves() -> None:
    url = fresh_url()
    settles(url)
    address = budget_address(url)
    assert address is not None
    keys = list(client().scan_iter(f"{address.prefix}*"))

    assert [f"{address.prefix}budget:kraken:0123:rest".encode()] == keys
    assert 0 < client().ttl(keys[0]) <= 60 + 2 * 61


# -------------------------------------------------------------------------------------------------- servers


def test_a_wrong_password_is_said_at_open_and_not_shown() -> None:
    with running(requirepass="right") as server:
        said = refusal(f"redis://:hunter2@127.0.0.1:{server.port}")
        settles(f"redis://:right@127.0.0.1:{server.port}")

    assert said.startswith("budget 'redis://")
    assert "look at user and password in the address" in said
    assert "hunter2" not in said


def test_the_rights_that_the_manual_names_are_enough_and_each_is_needed() -> None:
    with running() as server:
        settles(make_user(server, *RIGHTS))
        for missing in ("+script|load", "+evalsha", "+time", "+get", "+set", "~budget:*"):
            said = refusal(make_user(server, *(rule for rule in RIGHTS if rule != missing)))
            assert "docs/redis.md lists the commands" in said


def test_a_cluster_and_a_server_without_scripts_are_refused_by_name() -> None:
    with running(cluster_enabled="yes") as server:
        assert "it runs as cluster" in refusal(server.url)
    with running(rename_command='EVALSHA ""') as server:
        assert "it is older than Redis 6.2" in refusal(server.url)


def test_a_server_that_is_away_full_or_a_replica_is_no_error_at_open() -> None:
    async def main(url: str) -> str:
        budget = budget_at(url)
        await budget.open()
        try:
            with pytest.raises(BudgetError) as caught:
                await budget.settle(report("one", SECONDS))
        finally:
            await budget.aclose()
        return str(caught.value)

    assert "see that the server runs" in asyncio.run(main(f"redis://127.0.0.1:{free_port()}"))
    with running(maxmemory="1") as server:
        assert "its memory is full" in asyncio.run(main(server.url))
    with running(replicaof=f"127.0.0.1 {free_port()}") as server:
        assert "replica" in asyncio.run(main(server.url))


async def busy(budget: Budget, rule: Sliding, over: list[float], enough: asyncio.Event) -> int:
    """Ask for all there is until it is *enough*; return how many went."""
    loop, count = asyncio.get_running_loop(), 0
    while not enough.is_set():
        async with budget.rest(1, Priority.HEAL):
            await asyncio.sleep(0.005)
            if rule.used(loop.time()) >= rule.most:
                over.append(loop.time())
            rule.add(1, loop.time())
        count += 1
    return count


def troubles(process: Process) -> list[str]:
    return [one.trouble for one in process.told if isinstance(one, BudgetChanged)]


async def all_told(made: Sequence[Process], count: int) -> None:
    """Wait until each process has told so often that its budget is away, or back."""
    while any(len(troubles(process)) < count for process in made):  # noqa: ASYNC110 - a real server's time
        await asyncio.sleep(0.02)


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_lets_nobody_be_banned() -> None:
    """It keeps nothing on disk. Collection goes on meanwhile."""
    told: list[Sequence[str]] = []
    over: list[float] = []

    async def main() -> None:
        rule, loop = Sliding(SECONDS.amount, SECONDS.per_s), asyncio.get_running_loop()
        enough = asyncio.Event()

        async def windows(count: int) -> None:
            await asyncio.sleep(count * SECONDS.per_s)

        async with processes(budget_at(server.url), 2) as made, asyncio.TaskGroup() as tasks:
            began_s = loop.time()
            budgets = [process.budget(Limits(rest=SECONDS)) for process in made]
            asking = [tasks.create_task(busy(budgets[n % 2], rule, over, enough)) for n in range(10)]
            await windows(2)
            server.kill()
            await all_told(made, 1)
            gone_s = loop.time()
            await windows(2)
            assert any(at_s > gone_s for at_s, _ in rule.log)
            server.start(wait=False)
            await all_told(made, 2)
            await windows(3)
            enough.set()
            await asyncio.wait(asking)
            told.extend(map(troubles, made))
            took_s = loop.time() - began_s
        assert sum(task.result() for task in asking) > took_s * SECONDS.amount / 2

    with running() as server:
        asyncio.run(main())

    assert [] == over
    assert all(["", False] == [words[-1], words[0] == ""] and len(words) == 2 for words in told)


@pytest.mark.slow
def test_what_a_process_held_that_was_killed_is_free_after_its_lease() -> None:
    url = fresh_url()

    async def main(process: Process) -> float:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with process.budget(HELD).rest(1, Priority.LIVE):
            return loop.time() - began_s

    async def waited() -> float:
        async with processes(budget_at(url), 1) as [process]:
            return await main(process)

    holder = subprocess.Popen(
        [sys.executable, "-m", "tests.plugins.redis.holder", url, "5"],
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - it does no more than a system call
    )
    assert holder.stdout is not None
    for _ in range(5):
        assert b"held\n" == holder.stdout.readline()
    holder.kill()
    holder.wait()
    holder.stdout.close()

    assert LEASE_S - 5 < asyncio.run(waited())


# ----------------------------------------------------------------------------------------------- collectors


def banned_requests(*, together: bool) -> int:
    """Let two collectors bring history from one venue at once; return how often it saw too much."""
    rate, over = Rate(10, 5.0), list[float]()
    rule = Sliding(rate.amount, rate.per_s)

    async def main() -> None:
        loop, shared = asyncio.get_running_loop(), Stepped(client())
        worlds = [
            World(plugin=Scripted(limits=Limits(rest=rate), support={"page_rows": 5})) for _ in range(2)
        ]

        def counted(request: HttpRequest) -> HttpReply | TransportError:
            if rule.used(loop.time()) >= rule.most:
                over.append(loop.time())
            rule.add(1, loop.time())
            since = int(request.params["since"]) // MINUTE_NS
            body = [{"minute": minute, "close": 1} for minute in range(since, since + 5)]
            return HttpReply(status=200, body=json.dumps(body).encode())

        async with asyncio.TaskGroup() as tasks:
            for world in worlds:
                world.transport.answer = counted
                world.transport.takes_s = 0.05
                tasks.create_task(bring(world, shared if together else None))

    async def bring(world: World, shared: Stepped | None) -> None:
        async with world.collector(budget=shared) as collector:
            await collector.add("scripted:BTC/USD@1m", since=running_clock().now_ns() - 120 * MINUTE_NS)
            await asyncio.sleep(60)
            assert "" == collector.health().budget_trouble
            assert len(world.transport.requests) > 20

    run_virtual(main())
    return len(over)


def test_two_collectors_with_one_budget_are_never_banned_and_without_it_they_are() -> None:
    assert 0 == banned_requests(together=True)
    assert 0 < banned_requests(together=False)

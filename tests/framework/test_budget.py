"""Who may speak to a venue, and when: on virtual time, and with what its replies say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.scripted import Scripted
from tests.framework.test_collector import World, play
from wickwire import DAY_NS, SECOND_NS, HttpReply, HttpRequest, Limits, Rate
from wickwire.budget import Budget, Meter, Priority
from wickwire.collector import Collector
from wickwire.limits import stricter
from wickwire.retry import LONGEST_ASKED_S
from wickwire.simulate.loops import run_virtual

HEADERS = ("x-most", "x-left", "x-next")
RATES = st.builds(Rate, st.integers(1, 100), st.integers(1, 100).map(float), st.integers(1, 100))


def spending(test: Callable[[Budget], Awaitable[None]], **limits: object) -> None:
    async def main() -> None:
        await test(Budget(Limits(**{"rest": Rate(10, 10.0), **limits})))  # type: ignore[arg-type]  # by name

    run_virtual(main())


def now_s() -> float:
    return asyncio.get_running_loop().time()


@given(RATES, st.lists(st.floats(0, 30), max_size=60))
def test_no_window_ever_holds_more_than_the_rate_and_its_burst(rate: Rate, gaps: list[float]) -> None:
    meter, at_s, sent = Meter(rate), 0.0, []
    for gap_s in gaps:
        at_s += gap_s
        at_s += meter.wait_s(1, at_s)
        meter.spend(1, at_s)
        sent.append(at_s)
    for place, begin_s in enumerate(sent):
        for count, end_s in enumerate(sent[place:], 1):
            assert count <= rate.burst + (end_s - begin_s) * rate.amount / rate.per_s + 1e-6


@given(RATES, RATES)
def test_the_stricter_of_two_rates_keeps_to_both(one: Rate, other: Rate) -> None:
    both = stricter(one, other)

    assert both is not None
    for rate in (one, other):
        assert both.burst <= rate.burst
        assert both.amount / both.per_s <= rate.amount / rate.per_s * (1 + 1e-12)


def test_what_is_not_limited_is_limited_by_the_other() -> None:
    assert Rate(1) == stricter(None, Rate(1)) == stricter(Rate(1), None)
    assert stricter(None, None) is None


def test_the_most_urgent_goes_first_and_equals_in_order_of_arrival() -> None:
    async def test(budget: Budget) -> None:
        await budget.rest(10, Priority.LIVE)
        went: list[str] = []

        async def go(name: str, priority: Priority) -> None:
            await budget.rest(1, priority)
            went.append(name)

        async with asyncio.TaskGroup() as tasks:
            for name, priority in (
                ("past", Priority.BACKFILL),
                ("hole", Priority.HEAL),
                ("close", Priority.LIVE),
                ("next close", Priority.LIVE),
            ):
                tasks.create_task(go(name, priority))
            await asyncio.sleep(0)
            assert 4 == budget.rest_waiting
        assert ["close", "next close", "hole", "past"] == went

    spending(test)


def test_what_a_reply_says_is_left_is_all_that_goes() -> None:
    """Somebody else used the account; ours had used 1 of 10."""

    async def test(budget: Budget) -> None:
        await budget.rest(1, Priority.LIVE)
        budget.told({"x-most": "10", "x-left": "2", "x-next": "9"}, 0)
        for _ in range(2):
            await budget.rest(1, Priority.LIVE)
        assert 0.0 == now_s()
        await budget.rest(1, Priority.LIVE)
        assert pytest.approx(1.0) == now_s(), "then at the documented rate"

    spending(test, reply_headers=HEADERS)


def test_a_reply_never_raises_what_is_left() -> None:
    async def test(budget: Budget) -> None:
        await budget.rest(10, Priority.LIVE)
        budget.told({"x-left": "1000"}, 0)
        await budget.rest(1, Priority.LIVE)
        assert pytest.approx(1.0) == now_s()

    spending(test, reply_headers=HEADERS)


@pytest.mark.parametrize("following", ["25", "1795185145", " 25.0 "])
@pytest.mark.parametrize("rest", [Rate(10, 10.0), None])
def test_when_nothing_is_left_nothing_goes_before_the_next_window(following: str, rest: Rate | None) -> None:
    """Said in Unix seconds, or in seconds from now; also where no rate is documented."""

    async def test(budget: Budget) -> None:
        budget.told({"x-left": "0", "x-next": following}, 1_795_185_120 * SECOND_NS)
        await budget.rest(1, Priority.LIVE)
        assert pytest.approx(25.0) == now_s()

    spending(test, reply_headers=HEADERS, rest=rest)


def test_a_window_that_begins_in_years_is_believed_for_an_hour() -> None:
    async def test(budget: Budget) -> None:
        budget.told({"x-left": "0", "x-next": str(5 * DAY_NS // SECOND_NS)}, 0)
        await budget.rest(1, Priority.LIVE)
        assert LONGEST_ASKED_S == now_s()

    spending(test, reply_headers=HEADERS, rest=None)


@given(st.dictionaries(st.sampled_from(HEADERS), st.text(max_size=30)))
def test_whatever_a_header_says_is_survived(headers: dict[str, str]) -> None:
    async def test(budget: Budget) -> None:
        budget.told(headers, 0)
        await budget.rest(1, Priority.LIVE)
        assert now_s() <= LONGEST_ASKED_S + 10

    spending(test, reply_headers=HEADERS)


def test_the_headers_of_every_reply_are_read() -> None:
    world = World(plugin=Scripted(stream=False, limits=Limits(rest=Rate(60, 60.0), reply_headers=HEADERS)))
    asked_s: list[float] = []

    def answer(request: HttpRequest) -> HttpReply:
        asked_s.append(now_s())
        return HttpReply(status=200, body=b"[]", headers={"x-left": "0", "x-next": "40"})

    world.transport.answer = answer

    async def test(world: World, collector: Collector) -> None:
        for symbol in ("BTC/USD", "ETH/USD"):
            await collector.add(f"scripted:{symbol}@1m")
        await asyncio.sleep(210)
        assert [pytest.approx(40.0)] * 4 == [after - before for before, after in pairwise(asked_s)][:4]

    play(test, world)


def test_past_history_waits_for_what_just_ended() -> None:
    """One request in 5 s, eight series that want years: each minute's close comes all the same."""
    limits = Limits(rest=Rate(12, 60.0, burst=1))
    world = World(plugin=Scripted(stream=False, support={"page_rows": 10, "settle_s": 1.0}, limits=limits))

    def answer(request: HttpRequest) -> HttpReply:
        since, until = (int(request.params[name]) // (60 * SECOND_NS) for name in ("since", "until"))
        symbol = request.params["symbol"]
        rows = [{"minute": minute, "close": 100, "symbol": symbol} for minute in range(since, until)]
        return HttpReply(status=200, body=json.dumps(rows).encode())

    world.transport.answer = answer

    async def test(world: World, collector: Collector) -> None:
        since_ns = (world.first_minute - 100_000) * 60 * SECOND_NS
        await collector.add("scripted:BTC/USD@1m")
        for number in range(8):
            await collector.add(f"scripted:S{number}/USD@1m", since=since_ns)
        late = []
        for _ in range(10):
            await world.next_minute(16)
            late.append(next(one.lag_s for one in collector.health().series if "BTC" in str(one.series)))

        assert all(lag_s is not None and lag_s < 16 for lag_s in late)
        assert collector.health().venues[0].waiting, "the past still waits"

    play(test, world)

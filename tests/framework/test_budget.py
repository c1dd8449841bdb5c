"""Who may speak to a venue, and when: on virtual time, and with what its replies say."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.scripted import ACCOUNT, Scripted, ScriptedTransport, adapter, rows
from tests.framework.test_collector import World, play
from wickwire import DAY_NS, SECOND_NS, Counting, FaultKind, HttpReply, HttpRequest, Limits, Rate, VenueError
from wickwire.breaker import Breaker
from wickwire.budget import Budget, GaveWay, Place, Priority, Turnstile
from wickwire.collector import Collector
from wickwire.history import History
from wickwire.limits import both
from wickwire.meter import Meter
from wickwire.retry import LONGEST_ASKED_S, Backoff
from wickwire.simulate.loops import run_virtual, running_clock

HEADERS = ("x-most", "x-left", "x-next")
BUCKET = Rate(10, 10.0, counting=Counting.BUCKET)


def spending(test: Callable[[Budget], Awaitable[None]], **limits: object) -> None:
    async def main() -> None:
        await test(Budget(Limits(**{"rest": BUCKET, **limits})))  # type: ignore[arg-type]  # by name

    run_virtual(main())


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def use(
    budget: Budget,
    cost: int,
    priority: Priority = Priority.LIVE,
    *,
    headers: Mapping[str, str] | None = None,
    takes_s: float = 0.0,
) -> None:
    async with budget.rest(cost, priority) as call:
        if takes_s:
            await asyncio.sleep(takes_s)
        call.told(headers or {}, 0)


def sent_by(meter: Meter, gaps: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return when each call went, once the meter let it after a pause, and when it was answered."""
    now_s, calls = 0.0, list[tuple[float, float]]()
    under_way: list[float] = []
    for gap_s, takes_s in gaps:
        now_s += gap_s
        while True:
            for answered_s in sorted(one for one in under_way if one <= now_s):
                meter.count(1, answered_s)
                under_way.remove(answered_s)
            wait_s = meter.wait_s(1, now_s)
            if wait_s < 1e-9:
                break
            now_s = min(now_s + wait_s, *under_way) if under_way else now_s + wait_s
        meter.begin(1, now_s)
        under_way.append(now_s + takes_s)
        calls.append((now_s, now_s + takes_s))
    return calls


def keeps(counted: list[float], rate: Rate) -> bool:
    """Say whether a venue that documents *rate* would have taken calls that it counted then."""
    if rate.counting is Counting.WINDOW:
        return all(
            sum(at_s < begin_s + rate.per_s for at_s in counted[place:]) <= rate.amount
            for place, begin_s in enumerate(counted)
        )
    return all(
        count <= rate.burst + (end_s - begin_s) * rate.amount / rate.per_s + 1e-6
        for place, begin_s in enumerate(counted)
        for count, end_s in enumerate(counted[place:], 1)
    )


AMOUNTS = st.integers(1, 12)
SPANS_S = st.integers(1, 100).map(float)
RATES = st.one_of(
    st.builds(Rate, AMOUNTS, SPANS_S),
    st.builds(Rate, AMOUNTS, SPANS_S, AMOUNTS, st.just(Counting.BUCKET)),
    st.builds(lambda amount, per_s: Rate(amount, per_s, burst=1), AMOUNTS, SPANS_S),
)
WAYS = st.lists(st.tuples(st.floats(0, 30), st.floats(0, 40)), max_size=30)


@given(RATES, RATES, WAYS, st.data())
def test_no_venue_ever_sees_more_than_its_rates_however_long_calls_take(
    one: Rate, other: Rate, gaps: list[tuple[float, float]], data: st.DataObject
) -> None:
    """It counts each call at any moment between its being sent and its being answered."""
    calls = sent_by(Meter(both(one, other)), gaps)

    counted = sorted(data.draw(st.floats(began_s, ended_s)) for began_s, ended_s in calls)
    assert keeps(counted, one)
    assert keeps(counted, other)


def test_a_rate_may_have_parts_and_the_slowest_counts_in_the_long_run() -> None:
    rate = Rate(10, 1.0, also=(Rate(3_600, 3_600.0),))

    assert 3_600.0 == rate.per_hour
    assert (Rate(10, 1.0), Rate(3_600, 3_600.0)) == rate.parts
    assert 36_000.0 == Rate(10).per_hour


def test_a_burst_above_the_amount_is_a_bucket() -> None:
    assert Counting.WINDOW is Rate(10, 60.0, burst=10).counting
    assert Counting.BUCKET is Rate(1, 2.0, burst=5).counting
    with pytest.raises(ValueError, match="more than the 1 that any 2 s may hold"):
        Rate(1, 2.0, 5, Counting.WINDOW)


def test_what_is_lowered_while_it_runs_counts_what_went_before() -> None:
    async def test(budget: Budget) -> None:
        for _ in range(6):
            await use(budget, 1)
        budget.lower(Limits(rest=Rate(8, 10.0)))
        for _ in range(3):
            await use(budget, 1)
        assert pytest.approx(10.0, abs=0.01) == now_s(), "two more, and then a window later"

    spending(test, rest=Rate(10, 10.0))


def test_requests_that_are_under_way_keep_their_place() -> None:
    """Nobody knows yet when the venue counted them."""

    async def test(budget: Budget) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(use(budget, 1, takes_s=7.0))
        assert pytest.approx(7.0 + 10.0 + 7.0, abs=0.01) == now_s()

    spending(test, rest=Rate(2, 10.0))


def test_what_can_wait_goes_evenly_so_that_a_close_never_waits_for_a_window() -> None:
    """Sixty a minute are wanted for the past; each close gets one of the next places, once a second."""
    waited_s: list[float] = []

    async def past(budget: Budget) -> None:
        for _ in range(300):
            await use(budget, 1, Priority.BACKFILL)

    async def test(budget: Budget) -> None:
        async with asyncio.TaskGroup() as tasks:
            past_tasks = [tasks.create_task(past(budget)) for _ in range(2)]
            for _ in range(10):
                await asyncio.sleep(13.7)
                asked_s = now_s()
                await use(budget, 1)
                waited_s.append(now_s() - asked_s)
            for task in past_tasks:
                task.cancel()

    spending(test, rest=Rate(60, 60.0))
    assert max(waited_s) <= 3.0


@pytest.mark.parametrize(("asked_s", "waits_s"), [(None, [10.0, 20.0, 40.0]), (90.0, [90.0, 90.0, 90.0])])
def test_a_connection_that_is_refused_as_one_too_many_holds_back_those_that_were_let_through(
    asked_s: float | None, waits_s: list[float]
) -> None:
    """They wait for the venue's pace, not for each other, and would go on one after the other."""

    async def test(budget: Budget) -> None:
        tried: list[float] = []

        async def one() -> None:
            while True:
                try:
                    async with budget.connect():
                        tried.append(now_s())
                        await asyncio.sleep(0.1)
                        raise VenueError(FaultKind.WAIT, "429", retry_after_s=asked_s)
                except VenueError:
                    continue

        with suppress(TimeoutError):
            async with asyncio.timeout(sum(waits_s) + 5.0), asyncio.TaskGroup() as tasks:
                for _ in range(12):
                    tasks.create_task(one())
        first, *later = [at_s for number, at_s in enumerate(tried) if number >= 2]  # three went at once
        assert len(later) == len(waits_s)
        gaps = [after_s - before_s for before_s, after_s in pairwise([first, *later])]
        assert gaps == pytest.approx(waits_s, abs=0.5)

    spending(test, connects=Rate(3, 5.0))


def test_a_venue_that_is_down_and_says_for_how_long_is_left_alone_by_those_that_were_let_through() -> None:
    async def test(budget: Budget) -> None:
        tried: list[float] = []

        async def one() -> None:
            with suppress(VenueError):
                async with budget.connect():
                    tried.append(now_s())
                    raise VenueError(FaultKind.OUTAGE, "503", retry_after_s=45.0)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(one())
        assert [0.0, 45.0, 90.0] == pytest.approx([at_s - tried[0] for at_s in tried], abs=0.5)

    spending(test, connects=Rate(1, 1.0))


def test_what_lies_behind_gets_a_turn_in_ten_however_much_is_live() -> None:
    went: list[tuple[Priority, float]] = []

    async def go(budget: Budget, priority: Priority) -> None:
        await use(budget, 1, priority)
        went.append((priority, round(now_s())))

    async def test(budget: Budget) -> None:
        async with asyncio.TaskGroup() as tasks:
            for second in range(40):
                tasks.create_task(go(budget, Priority.LIVE))
                if second == 1:
                    tasks.create_task(go(budget, Priority.BACKFILL))
                    tasks.create_task(go(budget, Priority.HEAL))
                await asyncio.sleep(0.5)

    spending(test, rest=Rate(1, 1.0, counting=Counting.BUCKET))
    behind = [one for one in went if one[0] is not Priority.LIVE]
    assert [Priority.BACKFILL, Priority.HEAL] == [priority for priority, _ in behind], "who waited longest"
    assert all(at_s <= 10 * place + 2 for place, (_, at_s) in enumerate(behind, 1))


def test_who_gives_way_takes_nothing_and_keeps_its_place() -> None:
    """Put off each minute it would stand behind all that came meanwhile."""
    turns: list[str] = []

    async def test(budget: Budget) -> None:
        place = Place()

        async def ask(who: str, place: Place | None = None) -> None:
            async with budget.rest(1, Priority.HEAL, place=place):
                turns.append(f"{who} {now_s():.0f}")

        await ask("first")
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                place.until_s = now_s() + 2.0
                with pytest.raises(GaveWay):
                    await ask("put off", place)
                tasks.create_task(ask("later"))
            place.until_s = now_s() + 60.0
            await ask("put off", place)
        assert place.number is None, "the next question begins anew"

    spending(test, rest=Rate(1, 10.0, burst=1))
    assert ["first 0", "put off 10", "later 20", "later 30", "later 40"] == turns


def test_what_is_under_way_does_not_give_way() -> None:
    async def test(budget: Budget) -> None:
        async with budget.rest(1, Priority.HEAL, place=Place(until_s=now_s() + 1.0)):
            await asyncio.sleep(5)

    spending(test)


def test_a_conversation_gives_way_before_its_first_request_alone() -> None:
    """What the venue was asked for already would be asked for again."""

    def talk() -> Generator[HttpRequest, HttpReply, float]:
        for _ in range(2):
            yield HttpRequest(url="https://rest.scripted.example/candles")
        return now_s()

    async def test(budget: Budget) -> None:
        clock, transport = running_clock(), ScriptedTransport(answer=lambda _: rows(), takes_s=2.0)
        breaker = Breaker("scripted", Backoff(), clock, random.Random(1))
        history = History(adapter(), ACCOUNT, transport, budget, breaker, clock)
        assert await history.converse(talk(), Priority.HEAL, place=Place(now_s() + 1.0)) > 10.0
        with pytest.raises(GaveWay):
            await history.converse(talk(), Priority.HEAL, place=Place(now_s() + 1.0))
        assert 2 == len(transport.requests)
        assert 0 == history.failures

    spending(test, rest=Rate(1, 10.0, burst=1))


def test_of_those_that_are_as_urgent_the_most_important_goes_first() -> None:
    went: list[int] = []

    async def go(budget: Budget, place: int) -> None:
        async with budget.rest(1, Priority.LIVE, (1, place)):
            went.append(place)

    async def test(budget: Budget) -> None:
        await use(budget, 1)
        async with asyncio.TaskGroup() as tasks:
            for place in (3, 1, 2, 0):
                tasks.create_task(go(budget, place))

    spending(test, rest=Rate(1, 1.0))
    assert [0, 1, 2, 3] == went


def test_what_can_wait_leaves_a_quarter_of_a_bucket() -> None:
    async def test(budget: Budget) -> None:
        for _ in range(6):
            await use(budget, 1, Priority.BACKFILL)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(use(budget, 1, Priority.BACKFILL))
            await asyncio.sleep(0)
            for _ in range(2):
                await use(budget, 1)
            assert 0.0 == now_s()

    spending(test, rest=Rate(8, 80.0, counting=Counting.BUCKET))


def test_what_others_used_is_left_to_them_in_the_next_window_too() -> None:
    """Four of ten, and a quarter more and one, since it is heard of late: four are ours."""

    async def test(budget: Budget) -> None:
        await use(budget, 1, headers={"x-most": "10", "x-left": "5"})
        await asyncio.sleep(9.0)
        await use(budget, 1)
        await asyncio.sleep(1.5)
        for _ in range(3):
            await use(budget, 1)
        assert 10.5 == now_s()
        await use(budget, 1)
        assert pytest.approx(9.0 + 10.0, abs=0.01) == now_s()

    spending(test, rest=Rate(10, 10.0), reply_headers=HEADERS)


def test_a_rule_holds_beside_one_of_another_kind() -> None:
    window, slow = Rate(10, 1.0), Rate(1, 2.0, 1, Counting.BUCKET)

    assert (slow, window) == both(slow, window).parts
    assert (slow,) == both(slow, Rate(2, 2.0, 2, Counting.BUCKET)).parts
    assert (Rate(5, 2.0),) == both(Rate(5, 2.0), window).parts
    assert (Rate(60, 60.0), window) == both(Rate(60, 60.0), window).parts
    assert slow == both(slow, None)


def test_who_stops_waiting_in_the_moment_of_the_turn_takes_nothing() -> None:
    async def main() -> None:
        gate = Turnstile(None)
        gate.pause(0.0)
        await gate.enter(1, Priority.LIVE)
        second = asyncio.get_running_loop().create_task(gate.enter(1, Priority.LIVE))
        await asyncio.sleep(0)
        assert 1 == gate.waiting
        gate.leave(1)
        second.cancel()
        await asyncio.wait([second])
        gate.pause(0.0)
        await gate.enter(1, Priority.LIVE)  # alone: nothing else is under way

    run_virtual(main())


def test_the_connections_of_a_venue_share_what_it_allows_of_frames() -> None:
    """One in ten seconds, of all connections together."""

    async def test(world: World, collector: Collector) -> None:
        for symbol in ("BTC/USD", "ETH/USD", "SOL/USD"):
            await collector.add(f"scripted:{symbol}@trades")
        await asyncio.sleep(15)
        assert 3 == len(world.transport.streams)
        assert 2 == sum(len(stream.sent) for stream in world.transport.streams)

    limits = Limits(topics_per_connection=1, messages_overall=Rate(1, 10.0))
    play(test, World(plugin=Scripted(limits=limits)))


def test_who_stops_waiting_takes_nothing() -> None:
    async def test(budget: Budget) -> None:
        await use(budget, 10)
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(use(budget, 10))
            tasks.create_task(use(budget, 1))
            await asyncio.sleep(0.5)
            first.cancel()
        assert pytest.approx(1.0) == now_s()
        assert 0 == budget.rest_waiting

    spending(test)


def test_after_too_many_one_request_goes_alone() -> None:
    """The others follow when it was answered: what the venue wants is known then."""
    began_s: list[float] = []

    async def go(budget: Budget) -> None:
        async with budget.rest(1, Priority.LIVE):
            began_s.append(now_s())
            await asyncio.sleep(2.0)

    async def test(budget: Budget) -> None:
        budget.pause_rest(30.0)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(go(budget))

    spending(test)
    assert [30.0, 32.0, 32.0] == began_s


def test_who_is_canceled_before_the_answer_leaves_the_others_to_go_alone_too() -> None:
    """It found out nothing: a connection that was opened for a handover, and not in time."""
    began_s: list[float] = []

    async def go(budget: Budget, *, connects: bool) -> None:
        async with budget.connect() if connects else budget.rest(1, Priority.LIVE):
            began_s.append(now_s())
            await asyncio.sleep(2.0)

    async def test(budget: Budget) -> None:
        for connects in (True, False):
            began_s.clear()
            with suppress(VenueError):
                async with budget.connect():
                    raise VenueError(FaultKind.OUTAGE, "503", retry_after_s=30.0)
            budget.pause_rest(30.0)
            start_s = now_s()
            async with asyncio.TaskGroup() as tasks:
                first = tasks.create_task(go(budget, connects=connects))
                await asyncio.sleep(0.1)
                for _ in range(3):
                    tasks.create_task(go(budget, connects=connects))
                await asyncio.sleep(30.9)
                first.cancel()
            assert [30.0, 31.0, 33.0, 33.0] == pytest.approx([at_s - start_s for at_s in began_s])

    spending(test)


def test_frames_of_all_streams_share_one_limit_and_what_is_owed_goes_first() -> None:
    said: list[tuple[str, float]] = []

    async def say(budget: Budget, what: str, priority: Priority) -> None:
        await budget.message(priority)
        said.append((what, round(now_s())))

    async def test(budget: Budget) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(say(budget, "subscribe", Priority.HEAL))
            tasks.create_task(say(budget, "pong", Priority.LIVE))

    spending(test, messages_overall=Rate(1, 10.0))
    assert [("subscribe", 0), ("pong", 10), ("subscribe", 20), ("subscribe", 30)] == said


def test_the_most_urgent_goes_first_and_equals_in_order_of_arrival() -> None:
    async def test(budget: Budget) -> None:
        await use(budget, 10)
        went: list[str] = []

        async def go(name: str, priority: Priority) -> None:
            await use(budget, 1, priority)
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
        await use(budget, 1, headers={"x-most": "10", "x-left": "2", "x-next": "9"})
        for _ in range(2):
            await use(budget, 1)
        assert 0.0 == now_s()
        await use(budget, 1)
        assert pytest.approx(1.0) == now_s(), "then at the documented rate"

    spending(test, reply_headers=HEADERS)


def test_a_reply_never_raises_what_is_left() -> None:
    async def test(budget: Budget) -> None:
        await use(budget, 10, headers={"x-left": "1000"})
        await use(budget, 1)
        assert pytest.approx(1.0) == now_s()

    spending(test, reply_headers=HEADERS)


@pytest.mark.parametrize("following", ["25", "1795185145", " 25.0 "])
@pytest.mark.parametrize("rest", [BUCKET, Rate(10, 10.0), None])
def test_when_nothing_is_left_nothing_goes_before_the_next_window(following: str, rest: Rate | None) -> None:
    """Said in Unix seconds, or in seconds from now; also where no rate is documented."""

    async def test(budget: Budget) -> None:
        async with budget.rest(1, Priority.LIVE) as call:
            call.told({"x-left": "0", "x-next": following}, 1_795_185_120 * SECOND_NS)
        await use(budget, 1)
        assert pytest.approx(25.0) == now_s()

    spending(test, reply_headers=HEADERS, rest=rest)


def test_a_window_that_begins_in_years_is_believed_for_an_hour() -> None:
    async def test(budget: Budget) -> None:
        await use(budget, 1, headers={"x-left": "0", "x-next": str(5 * DAY_NS // SECOND_NS)})
        await use(budget, 1)
        assert LONGEST_ASKED_S == now_s()

    spending(test, reply_headers=HEADERS, rest=None)


@given(st.dictionaries(st.sampled_from(HEADERS), st.text(max_size=30)))
def test_whatever_a_header_says_is_survived(headers: dict[str, str]) -> None:
    async def test(budget: Budget) -> None:
        await use(budget, 1, headers=headers)
        await use(budget, 1)
        assert now_s() <= LONGEST_ASKED_S + 10

    spending(test, reply_headers=HEADERS)


def test_the_headers_of_every_reply_are_read() -> None:
    rest = Rate(60, 60.0, counting=Counting.BUCKET)
    world = World(plugin=Scripted(stream=False, limits=Limits(rest=rest, reply_headers=HEADERS)))
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
    """One request in 5 s, eight series that want years: each minute's close comes, theirs too."""
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
        await asyncio.sleep(5 * 60)
        for _ in range(10):
            await world.next_minute(58)
            [first, *others] = collector.health().series
            assert first.lag_s is not None
            assert first.lag_s < 16
            closes = [one.last_close and one.last_close.close_ns for one in (first, *others)]
            assert 9 * [world.minute * 60 * SECOND_NS] == closes
        assert collector.health().venues[0].waiting, "the past still waits"

    play(test, world)


def test_who_was_cancelled_and_has_not_noticed_yet_is_passed_over() -> None:
    """The place becomes free in the very turn of the loop in which somebody who waits for it is cancelled."""

    async def test() -> None:
        gate, went = Turnstile(None), []
        gate.pause(1.0)  # after which one goes alone

        async def wait(name: str) -> None:
            await gate.enter(1, Priority.LIVE)
            went.append(name)

        async with asyncio.TaskGroup() as tasks:
            _, second, _ = [tasks.create_task(wait(name)) for name in ("first", "second", "third")]
            await asyncio.sleep(2.0)
            assert ["first"] == went
            second.cancel()
            gate.leave(1)
        assert ["first", "third"] == went
        assert not gate.waiting

    run_virtual(test())

"""Which topics should move between connections, and who gets a connection of its own: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.framework.scripted import adapter
from wickwire import Account, Limits, Rung, Series, Topic
from wickwire.places import Places
from wickwire.planner import Plan
from wickwire.room import LEAST_MOVED, MOST_MOVES, MOST_UNEVEN, Move


def placed(places: Places, count: int, limits: Limits, **knobs: Any) -> list[Plan]:
    """Give so many series a place on a venue of these limits."""
    venue = adapter(limits=limits, **knobs)
    return [
        places.place(Series.parse(f"scripted:S{number:03}/USD@1m"), venue, Account())
        for number in range(count)
    ]


def riding(plans: Sequence[Plan], moves: Sequence[Move] = ()) -> dict[Topic, int]:
    """Return on which connection each topic rides, after *moves*, each of which has to begin where it is."""
    lines = {plan.topic: plan.line for plan in plans}
    for move in moves:
        assert move.out_of == lines[move.topic] != move.into
        lines[move.topic] = move.into
    return lines


def loads(lines: Mapping[Topic, int], rates: Mapping[Topic, float]) -> Counter[int]:
    carried: Counter[int] = Counter()
    for topic, line in lines.items():
        carried[line] += rates[topic]  # type: ignore[assignment]  # events a second need not be whole
    return carried


def test_connections_are_filled_one_by_one_and_not_more_than_are_needed() -> None:
    plans = placed(Places(), 25, Limits(topics_per_connection=10))
    assert {1: 10, 2: 10, 3: 5} == Counter(plan.line for plan in plans)
    assert [1, 2, 3] == list(dict.fromkeys(plan.line for plan in plans))


def test_the_41st_of_40_connections_is_refused_and_the_limit_is_named() -> None:
    plans = placed(Places(), 41, Limits(connections=40, topics_per_connection=1), rest=False)
    assert {Rung.STREAM: 40, Rung.REFUSE: 1} == Counter(plan.rung for plan in plans)
    assert "no place is left on the 40 connections allowed" in plans[-1].why


def test_where_a_venue_names_no_limit_of_topics_the_last_connection_takes_the_rest() -> None:
    plans = placed(Places(), 500, Limits(connections=2))
    assert {Rung.STREAM} == {plan.rung for plan in plans}
    assert {1: 250, 2: 250} == Counter(plan.line for plan in plans)


def test_a_new_series_rides_where_the_least_comes() -> None:
    places, limits = Places(), Limits(topics_per_connection=3)
    plans = placed(places, 4, limits)
    for plan in (plans[0], plans[1]):
        places.leave(plan.series)  # one is left on each connection
    places.balance("scripted", "", {plans[2].topic: 40.0, plans[3].topic: 2.0})
    [*_, plan] = placed(places, 1, limits)
    assert plans[3].line == plan.line


rates_of_30 = st.lists(st.floats(0, 1_000), min_size=30, max_size=30)


@given(rates_of_30)
def test_few_topics_move_and_only_from_those_that_carry_the_most(numbers: list[float]) -> None:
    places = Places()
    plans = placed(places, 30, Limits(topics_per_connection=12))
    rates = {plan.topic: rate for plan, rate in zip(plans, numbers, strict=True)}
    before = riding(plans)
    moves = places.balance("scripted", "", rates)
    after = riding(plans, moves)
    assert len(moves) <= MOST_MOVES
    assert max(Counter(after.values()).values()) <= 12
    assert set(after.values()) == set(before.values()), "no connection is opened or closed for it"
    assert max(loads(after, rates).values()) <= max(loads(before, rates).values())
    heaviest = max(loads(before, rates).values())
    if heaviest <= max(sum(numbers) / 3 * MOST_UNEVEN, LEAST_MOVED):
        assert [] == moves


@given(rates_of_30)
def test_it_comes_to_rest(numbers: list[float]) -> None:
    places = Places()
    plans = placed(places, 30, Limits(topics_per_connection=12))
    rates = {plan.topic: rate for plan, rate in zip(plans, numbers, strict=True)}
    assert any(not places.balance("scripted", "", rates) for _ in range(30))


def test_what_carries_little_is_left_alone() -> None:
    places = Places()
    plans = placed(places, 4, Limits(topics_per_connection=2))
    rates = dict.fromkeys((plan.topic for plan in plans), 0.0) | {plans[0].topic: LEAST_MOVED}
    assert [] == places.balance("scripted", "", rates)


def test_topics_that_exclude_each_other_are_not_brought_together() -> None:
    places = Places()
    venue = adapter(limits=Limits(topics_per_connection=10), alone=True)
    texts = ["A/USD@1m", "A/USD@trades", "B/USD@1m", "C/USD@1m"]
    plans = [places.place(Series.parse(f"scripted:{text}"), venue, Account()) for text in texts]
    assert plans[0].line != plans[1].line
    rates = {plan.topic: 1.0 for plan in plans} | {plans[0].topic: 300.0, plans[1].topic: 200.0}
    for _ in range(5):
        lines = riding(plans, places.balance("scripted", "", rates))
        assert lines[plans[0].topic] != lines[plans[1].topic]


def test_a_move_that_was_not_possible_is_taken_back() -> None:
    places, limits = Places(), Limits(topics_per_connection=2)
    plans = placed(places, 3, limits)
    rates = dict(zip((plan.topic for plan in plans), (110.0, 90.0, 1.0), strict=True))
    [move] = places.balance("scripted", "", rates)
    places.settle("scripted", move, move.out_of)
    [again] = places.balance("scripted", "", rates)
    assert move == again


def test_what_left_in_the_meantime_is_not_taken_back() -> None:
    places = Places()
    plans = placed(places, 3, Limits(topics_per_connection=2))
    rates = dict(zip((plan.topic for plan in plans), (110.0, 90.0, 1.0), strict=True))
    [move] = places.balance("scripted", "", rates)
    for plan in plans:
        places.leave(plan.series)
    places.settle("scripted", move, move.out_of)
    places.settle("nobody", move, move.out_of)
    assert () == tuple(places.balance("scripted", "", rates))


def test_a_place_is_free_when_the_topic_has_left_and_not_before() -> None:
    """Until then the connection carries it: the venue counts it there too."""
    places, limits = Places(), Limits(topics_per_connection=2)
    plans = placed(places, 3, limits)
    rates = dict(zip((plan.topic for plan in plans), (110.0, 90.0, 1.0), strict=True))
    [move] = places.balance("scripted", "", rates)
    [*_, fourth] = placed(places, 4, limits)
    assert fourth.line not in {move.out_of, move.into}
    places.settle("scripted", move, move.into)
    [*_, fifth] = placed(places, 5, limits)
    places.leave(fourth.series)
    [*_, sixth] = placed(places, 6, limits)
    assert move.out_of in {fifth.line, sixth.line}


def test_a_connection_is_not_numbered_anew_before_it_is_empty() -> None:
    places, limits = Places(), Limits(topics_per_connection=2)
    plans = placed(places, 3, limits)
    rates = dict(zip((plan.topic for plan in plans), (110.0, 90.0, 1.0), strict=True))
    [move] = places.balance("scripted", "", rates)
    [stayed] = [plan for plan in plans if plan.line == move.out_of and plan.topic != move.topic]
    places.leave(stayed.series)
    [other] = [
        places.place(Series.parse("scripted:X/USD@1m"), adapter(limits=limits), Account(), priority=True)
    ]
    assert other.line not in {move.out_of, move.into}
    places.settle("scripted", move, move.out_of)
    places.leave(next(plan.series for plan in plans if plan.topic == move.topic))
    assert 2 == len(places._rooms["scripted"].lines)


def test_what_came_again_meanwhile_stays_where_it_came() -> None:
    places, limits = Places(), Limits(topics_per_connection=2)
    plans = placed(places, 3, limits)
    rates = dict(zip((plan.topic for plan in plans), (110.0, 90.0, 1.0), strict=True))
    [move] = places.balance("scripted", "", rates)
    [moved] = [plan for plan in plans if plan.topic == move.topic]
    places.leave(moved.series)
    again = places.place(moved.series, adapter(limits=limits), Account())
    places.settle("scripted", move, again.line)
    lines = {line.number: line for line in places._rooms["scripted"].lines}
    assert [again.line] == [number for number, line in lines.items() if move.topic in line.topics]
    assert not any(line.leaving for line in lines.values())

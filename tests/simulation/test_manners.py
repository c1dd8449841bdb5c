"""The judge objects to bad manners towards a venue that is reached over several connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulation import checker, manners
from tests.simulation.test_checker import NAME, OPENS, whole

HOST = "ws.kraken.com in life 1"

Spoil = Callable[[dict[str, Any]], None]


def _knocks_though_told_when_to_come_back(run: dict[str, Any]) -> None:
    run["turned_away"], run["knocks"] = {HOST: [[100.0, 45.0]]}, {HOST: [99.9, 143.0]}


def _knocks_though_there_were_too_many(run: dict[str, Any]) -> None:
    run["turned_away"], run["knocks"] = {HOST: [[100.0, 0.0]]}, {HOST: [99.9, 108.0]}


def _comes_back_too_soon_to_who_sent_all_away(run: dict[str, Any]) -> None:
    run["sent_away"], run["knocks"] = {HOST: [[100.0, 5.0]]}, {HOST: [20.0, 103.2]}


def _all_knock_after_a_pause(run: dict[str, Any]) -> None:
    run["turned_away"] = {HOST: [[100.0, 0.0], [100.1, 0.0], [111.0, 0.0], [111.2, 0.0]]}


def _all_knock_after_a_later_pause(run: dict[str, Any]) -> None:
    run["turned_away"] = {HOST: [[100.0, 0.0], [500.0, 0.0], [500.1, 0.0], [511.0, 0.0], [511.2, 0.0]]}
    run["let_in"] = {HOST: [20.0, 120.0]}


def _tries_for_ever_at_one_pace(run: dict[str, Any]) -> None:
    run["own_failures"] = {"link kraken 2 in life 1": [[], [10.0 * number for number in range(24)]]}


def _carries_too_much(run: dict[str, Any]) -> None:
    run["carried"] = {"kraken": [3, 2]}


def _reads_a_part(run: dict[str, Any]) -> None:
    run["reads"] = [
        {"series": NAME, "at_ns": OPENS[-1], "truth": OPENS, "opens": OPENS[3:], "forgotten_ns": OPENS[2]}
    ]


def _is_not_replaced(run: dict[str, Any]) -> None:
    run["rotated"] = [[OPENS[-1], "kraken", False, 0, "nothing came of it in time"]]


def _is_interrupted(run: dict[str, Any]) -> None:
    run["rotated"] = [[OPENS[-1], "kraken", True, 1, "1 of 3 topics were not proven in time"]]


@pytest.mark.parametrize(
    ("number", "spoil"),
    [
        ("I10", _knocks_though_told_when_to_come_back),
        ("I10", _knocks_though_there_were_too_many),
        ("I10", _comes_back_too_soon_to_who_sent_all_away),
        ("I10", _all_knock_after_a_pause),
        ("I10", _all_knock_after_a_later_pause),
        ("I10", _tries_for_ever_at_one_pace),
        ("I10", _carries_too_much),
        ("I1", _reads_a_part),
        ("I6", _is_not_replaced),
        ("I6", _is_interrupted),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_what_is_broken_is_named_by_its_number(number: str, spoil: Spoil) -> None:
    run = whole()
    spoil(run)

    assert [number] == [line.split()[0] for line in checker.judge(run)]


def _comes_back_when_told(run: dict[str, Any]) -> None:
    run["turned_away"], run["knocks"] = {HOST: [[100.0, 45.0]]}, {HOST: [99.9, 145.0]}


def _was_under_way(run: dict[str, Any]) -> None:
    run["turned_away"], run["knocks"] = {HOST: [[100.0, 45.0], [100.3, 45.0]]}, {HOST: [99.9, 100.2]}


def _had_been_let_through_before_all_were_sent_away(run: dict[str, Any]) -> None:
    run["sent_away"], run["knocks"] = {HOST: [[100.0, 5.0]]}, {HOST: [102.5, 106.0]}


def _one_alone_finds_out(run: dict[str, Any]) -> None:
    run["turned_away"] = {HOST: [[100.0, 0.0], [100.1, 0.0], [111.0, 0.0], [133.0, 0.0]]}


def _two_were_under_way_when_it_was_content_no_more(run: dict[str, Any]) -> None:
    run["turned_away"] = {HOST: [[100.0, 45.0], [145.1, 45.0], [500.0, 0.0], [500.1, 0.0], [511.0, 0.0]]}
    run["let_in"] = {HOST: [20.0, 191.0]}


def _tries_ever_more_rarely(run: dict[str, Any]) -> None:
    run["own_failures"] = {"link kraken 2 in life 1": [[2.0**number for number in range(8)], [300.0] * 9]}


def _reads_what_was_not_forgotten_meanwhile(run: dict[str, Any]) -> None:
    run["reads"] = [
        {"series": NAME, "at_ns": OPENS[-1], "truth": OPENS, "opens": OPENS[3:], "forgotten_ns": OPENS[3]}
    ]


@pytest.mark.parametrize(
    "behave",
    [
        _reads_what_was_not_forgotten_meanwhile,
        _comes_back_when_told,
        _was_under_way,
        _had_been_let_through_before_all_were_sent_away,
        _one_alone_finds_out,
        _two_were_under_way_when_it_was_content_no_more,
        _tries_ever_more_rarely,
    ],
)
def test_good_manners_are_no_offence(behave: Spoil) -> None:
    run = whole()
    behave(run)

    assert [] == checker.judge(run)


@pytest.mark.parametrize(("feeds", "most"), [(0, 40), (1, 48), (2, 72), (5, 126)])
def test_the_more_connections_there_may_be_the_more_may_be_tried_and_a_guest_has_one(
    feeds: int, most: int
) -> None:
    """Where one lives each of the others tries by a schedule of its own (seed 2334, in an hour)."""
    run = whole()
    run["trades"] = {f"kraken:S{number}/USD@trades": {} for number in range(feeds)}
    run["connects"] = {"kraken in life 1": [4.0 * number for number in range(most)]}
    assert [] == manners.impolite(run)
    run["connects"]["kraken in life 1"].append(1.0)
    assert [f"I10 kraken in life 1: {most + 1} connects in ten minutes, {most} are sensible"] == (
        manners.impolite(run)
    )

"""The arithmetic of ranges without candles."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from wickwire import HoleKind
from wickwire.holes import add, bound, cut, difference, joined, within, without
from wickwire.model import Hole

KINDS = st.sampled_from([HoleKind.MISSING, HoleKind.UNREACHABLE])


def some() -> st.SearchStrategy[list[Hole]]:
    return st.lists(
        st.builds(
            lambda since, length, kind: Hole(since, since + length, kind),
            st.integers(0, 50),
            st.integers(1, 20),
            KINDS,
        ),
        max_size=6,
    )


def moments(holes: list[Hole]) -> set[tuple[int, HoleKind]]:
    return {(ns, hole.kind) for hole in holes for ns in range(hole.since_ns, hole.until_ns)}


@given(some(), st.integers(0, 60), st.integers(1, 30))
def test_what_is_cut_out_is_what_lies_within(before: list[Hole], since: int, length: int) -> None:
    rest, cut_out = cut(before, since, since + length), within(before, since, since + length)

    assert moments(before) == moments(rest) | moments(cut_out)
    assert all(since <= ns < since + length for ns, _ in moments(cut_out))
    assert not any(since <= ns < since + length for ns, _ in moments(rest))


@given(some())
def test_joined_holes_are_in_order_and_as_few_as_can_be(before: list[Hole]) -> None:
    after = joined(before)

    assert moments(before) == moments(after)
    assert after == sorted(after)
    assert not any(
        one.kind is other.kind and one.until_ns >= other.since_ns for one, other in itertools.pairwise(after)
    )


@given(some(), some())
def test_what_lies_in_others_is_taken_out(before: list[Hole], others: list[Hole]) -> None:
    plain = [Hole(hole.since_ns, hole.until_ns) for hole in before]
    taken = joined([Hole(hole.since_ns, hole.until_ns) for hole in others])
    left = without(joined(plain), taken)

    assert moments(plain) - moments(taken) == moments(left)
    assert left == joined(left)


@given(some(), st.lists(st.builds(Hole, st.integers(0, 60), st.integers(61, 80), KINDS), max_size=1))
def test_adding_one_is_joining_it(holes, ones):
    into = joined(apart(holes))
    before = list(into)
    for one in ones:
        for mine in cut([one], 0, max((hole.until_ns for hole in into), default=0)):
            add(into, mine)
            assert joined([*before, mine]) == into


@given(some(), st.integers(1, 4))
def test_beyond_a_bound_the_oldest_become_one_and_nothing_is_forgotten(holes, most):
    into = joined(apart(holes))
    before = list(into)
    bound(into, most)

    assert len(into) <= most or into == before
    assert sorted(into) == into
    lost = {ns for ns, _ in moments(before)} - {ns for ns, _ in moments(into)}
    assert set() == lost
    assert before[len(before) - most + 1 :] == into[1:] or into == before


def test_what_becomes_one_with_work_is_work():
    into = [Hole(0, 1, HoleKind.UNREACHABLE), Hole(5, 6, HoleKind.MISSING), Hole(9, 10, HoleKind.MISSING)]
    bound(into, 2)

    assert [Hole(0, 6, HoleKind.MISSING), Hole(9, 10, HoleKind.MISSING)] == into


def apart(holes: list[Hole]) -> list[Hole]:
    """Return *holes* as a ledger has them: none overlaps another."""
    done: list[Hole] = []
    for hole in sorted(holes):
        done += [hole] if not done or hole.since_ns >= done[-1].until_ns else []
    return done


def in_kinds() -> st.SearchStrategy[list[Hole]]:
    """Holes as a ledger has them: in order, each moment in one at most."""
    moments = st.dictionaries(st.integers(0, 30), KINDS, max_size=20)
    return moments.map(lambda kinds: joined([Hole(ns, ns + 1, kind) for ns, kind in kinds.items()]))


@given(in_kinds(), in_kinds())
def test_a_hole_is_new_also_where_it_is_of_another_kind_now_and_healed_where_there_is_none(
    before: list[Hole], now: list[Hole]
) -> None:
    found, healed = difference(before, now)

    assert moments(found) == moments(now) - moments(before)
    assert found == sorted(found)
    still = {ns for ns, _ in moments(now)}
    assert moments(healed) == {(ns, kind) for ns, kind in moments(before) if ns not in still}

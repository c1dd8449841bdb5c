"""The arithmetic of ranges without candles."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from wickwire import HoleKind
from wickwire.holes import cut, joined, within, without
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

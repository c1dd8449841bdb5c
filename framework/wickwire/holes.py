"""The arithmetic of ranges without candles. Pure; all but `add` and `bound` return new lists."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from wickwire.model import Hole, HoleKind

__all__ = ["WORK", "add", "bound", "cut", "difference", "joined", "within", "without"]

WORK: Final = (HoleKind.MISSING, HoleKind.UNKNOWN)
"""Only holes of these kinds are asked for."""


def cut(holes: Iterable[Hole], since_ns: int, until_ns: int) -> list[Hole]:
    """Return *holes* without what lies in `[since_ns, until_ns)`."""
    left: list[Hole] = []
    for hole in holes:
        if hole.until_ns <= since_ns or until_ns <= hole.since_ns:
            left.append(hole)
            continue
        if hole.since_ns < since_ns:
            left.append(attrs.evolve(hole, until_ns=since_ns))
        if until_ns < hole.until_ns:
            left.append(attrs.evolve(hole, since_ns=until_ns))
    return left


def without(holes: Iterable[Hole], others: Sequence[Hole]) -> list[Hole]:
    """Return *holes* without what lies in one of *others*; both are in order and do not overlap."""
    left: list[Hole] = []
    first = 0
    for hole in holes:
        since_ns = hole.since_ns
        while first < len(others) and others[first].until_ns <= since_ns:
            first += 1
        for other in itertools.islice(others, first, None):
            if other.since_ns >= hole.until_ns:
                break
            if since_ns < other.since_ns:
                left.append(attrs.evolve(hole, since_ns=since_ns, until_ns=other.since_ns))
            since_ns = max(since_ns, other.until_ns)
        if since_ns < hole.until_ns:
            left.append(attrs.evolve(hole, since_ns=since_ns))
    return left


def difference(before: Sequence[Hole], now: Sequence[Hole]) -> tuple[list[Hole], list[Hole]]:
    """Return what of *now* is no hole of the same kind in *before*, and what of *before* is none any more."""
    found: list[Hole] = []
    for kind in HoleKind:
        found += without(
            (hole for hole in now if hole.kind is kind), [hole for hole in before if hole.kind is kind]
        )
    return sorted(found), without(before, now)


def within(holes: Iterable[Hole], since_ns: int, until_ns: int) -> list[Hole]:
    """Return what of *holes* lies in `[since_ns, until_ns)`."""
    return [
        attrs.evolve(hole, since_ns=max(hole.since_ns, since_ns), until_ns=min(hole.until_ns, until_ns))
        for hole in holes
        if hole.since_ns < until_ns and since_ns < hole.until_ns
    ]


def add(holes: list[Hole], one: Hole) -> None:
    """Put *one* into *holes*, which are in order; what it touches of its own kind becomes one with it."""
    place = bisect.bisect(holes, one)
    while place and holes[place - 1].kind is one.kind and holes[place - 1].until_ns >= one.since_ns:
        place -= 1
        before = holes.pop(place)
        one = attrs.evolve(one, since_ns=before.since_ns, until_ns=max(one.until_ns, before.until_ns))
    while place < len(holes) and holes[place].kind is one.kind and holes[place].since_ns <= one.until_ns:
        one = attrs.evolve(one, until_ns=max(one.until_ns, holes.pop(place).until_ns))
    holes.insert(place, one)


def bound(holes: list[Hole], most: int) -> None:
    """Make one of the oldest *holes* and what lies between them, until there are *most*."""
    if len(holes) > most:
        oldest = holes[: len(holes) - most + 1]
        kind = next((hole.kind for hole in oldest if hole.kind in WORK), oldest[0].kind)
        until_ns = max(hole.until_ns for hole in oldest)
        holes[: len(oldest)] = [attrs.evolve(oldest[0], until_ns=until_ns, kind=kind)]


def joined(holes: Iterable[Hole]) -> list[Hole]:
    """Return *holes* in order, neighbours of one kind made one."""
    done: list[Hole] = []
    for hole in sorted(holes):
        if done and done[-1].kind is hole.kind and done[-1].until_ns >= hole.since_ns:
            done[-1] = attrs.evolve(done[-1], until_ns=max(done[-1].until_ns, hole.until_ns))
        else:
            done.append(hole)
    return done

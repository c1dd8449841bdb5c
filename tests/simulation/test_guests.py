"""Series that come for a while find a place, leave nothing behind, and disturb nobody."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import attrs
import pytest

from tests.simulation.guests import DEPTHS, KINDS, guests
from tests.simulation.run import played
from tests.simulation.script import Act, Script
from wickwire.simulate.loops import VIRTUAL_START_NS

SERIES = ("kraken:BTC/USD@1m", "coinbase:BTC/USD@5m")


def coming(*kinds: str) -> Script:
    """Return a run of twenty minutes in which one guest of each of *kinds* comes, all at the same time."""
    known = {trouble.name: trouble for trouble in KINDS}
    acts = [
        Act(number=number, since_s=200.0, until_s=200.0, trouble=known[kind], lot=number)
        for number, kind in enumerate(kinds)
    ]
    return Script(seed=1, hours=1 / 3, starts_ns=VIRTUAL_START_NS, series=SERIES, acts=acts)


def broken(script: Script) -> Sequence[str]:
    return played(script).broken


@pytest.mark.parametrize("kind", [trouble.name for trouble in KINDS])
def test_whoever_comes_disturbs_nobody(kind: str) -> None:
    script = attrs.evolve(coming(kind), narrow={"kraken": 1}, berths={"kraken": 3})
    assert [] == broken(script)


def test_all_may_come_at_once() -> None:
    assert [] == broken(coming(*(trouble.name for trouble in KINDS)))


def test_who_finds_no_place_is_named() -> None:
    script = attrs.evolve(coming("visit"), narrow={"kraken": 1}, berths={"kraken": 1})
    [line] = broken(script)
    assert line.startswith("I7 kraken:")
    assert "no place" in line


def test_who_visits_does_so_alone_and_each_kind_comes() -> None:
    drawn = guests(180.0, 2_400.0, random.Random(1))
    visits = [at_s for at_s, trouble, _ in drawn if trouble.name == "visit"]
    assert {trouble.name for trouble in KINDS} == {DEPTHS.name, *(trouble.name for _, trouble, _ in drawn)}
    assert min(later - one for one, later in pairwise(visits)) > 240.0
    assert [] == guests(180.0, 100.0, random.Random(1))

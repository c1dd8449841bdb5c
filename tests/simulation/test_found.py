"""What drawn runs have found: each is played again, as short as it can be, so that it stays mended."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.simulation.catalogue import CATALOGUE
from tests.simulation.run import played
from tests.simulation.script import Act, Script
from wickwire.simulate.loops import VIRTUAL_START_NS

OFF = 5
"""A seed whose machine's clock is four seconds ahead."""


def play(
    minutes: float,
    *acts: tuple[float, float, str],
    series: Sequence[str],
    seed: int = 1,
    habits: Sequence[str] = (),
) -> Sequence[str]:
    """Play troubles, each from one minute to another and by its name; return the broken invariants."""
    known = {str(trouble).split(" ", 1)[1]: trouble for trouble in CATALOGUE}
    script = Script(
        seed=seed,
        hours=minutes / 60,
        starts_ns=VIRTUAL_START_NS + 7 * 10**9,
        series=series,
        habits=frozenset(habits),
        acts=[
            Act(number=number, since_s=since * 60, until_s=until * 60, trouble=known[name], lot=0)
            for number, (since, until, name) in enumerate(acts)
        ],
    )
    return played(script).broken


def test_a_clock_that_is_set_an_hour_ahead_closes_nothing_before_its_end() -> None:
    """The venue told its time before the clock was set, and answers over a socket without telling it."""
    assert [] == play(60, (5, 15, "clock:jumps by_s=4000.0"), series=["dxlink:BTC/USD@1m"])


def test_what_came_before_the_machine_slept_is_not_live_when_it_wakes() -> None:
    """The loop's time stands still meanwhile; a venue that tells only what is over has no running row."""
    assert [] == play(40, (9.2, 9.2, "machine:asleep for_s=400.0"), series=["alpaca:BTC/USD@1m"])


def test_what_is_polled_in_vain_does_not_look_fresh_because_the_clock_was_set_back() -> None:
    acts = (5, 20, "dxlink:reject_token"), (9, 18, "clock:jumps by_s=-4000.0")
    assert [] == play(60, *acts, series=["dxlink:BTC/USD@1m"])


def test_a_clock_that_is_set_right_again_does_not_make_the_present_a_future() -> None:
    """The venue told its time while the clock was ahead, and tells it again tomorrow."""
    acts = (5.3, 5.3, "process:killed away_s=3.0"), (6.1, 6.7, "clock:jumps by_s=4000.0")
    assert [] == play(40, *acts, series=["dxlink:BTC/USD@1m", "dxlink:SOL/USD@5m"])


def test_a_clock_that_is_seconds_ahead_does_not_keep_a_series_polled() -> None:
    """History was always asked before what it was to be compared with had settled."""
    for venue in ("harbour", "kraken"):
        acts = ((5, 8, f"{venue}:refuse_connections"),)
        assert [] == play(40, *acts, series=[f"{venue}:BTC/USD@1m", f"{venue}:SOL/USD@1m"], seed=OFF)


def test_a_stream_that_brings_nothing_is_noticed_though_the_clock_was_ahead_when_it_was_subscribed() -> None:
    """Everything was before its subscription by that clock, so nothing seemed to lack (seed 2071)."""
    acts = (
        (4, 20, "clock:jumps by_s=4000.0"),
        (4.5, 7, "kraken:refuse_connections status=429"),
        (4.6, 7.8, "kraken:silent_ack"),
    )
    assert [] == play(40, *acts, series=["kraken:BTC/USD@1m", "kraken:SOL/USD@1m"])


@pytest.mark.parametrize("before_s", [7.5, 7.25, 7.0])
def test_connections_that_end_with_their_buckets_close_none_with_what_it_was_in_the_middle(
    before_s: float,
) -> None:
    """The new one begins with an old row of a bucket that is just over, by whatever clock (seed 1013)."""
    instants = [minute - before_s / 60 for minute in range(5, 30)]
    acts = [(instant, instant, "line:cut code=1006") for instant in instants]
    assert [] == play(32, *acts, series=["harbour:BTC/USD@1m", "harbour:XRP/USD@1m"], habits=["recalls"])


@pytest.mark.parametrize("how", ["hides", "doubles"])
def test_a_stream_that_lies_about_every_second_bucket_does_not_come_back(how: str) -> None:
    """Two candles that agree are no proof where what came between them did not."""
    acts = ((5, 17, f"harbour:moody how={how}"),)
    assert [] == play(45, *acts, series=["harbour:BTC/USD@1m", "harbour:ETH/USD@1m"])


@pytest.mark.parametrize("status", [429, 503])
def test_nobody_opens_a_connection_while_the_venue_wants_peace(status: int) -> None:
    """It told one of them when to come back, and the others still had data."""
    acts = (5, 9, f"pool:turned_away status={status} retry_after_s=45"), (5.2, 5.2, "pool:swapped")
    assert [] == play(50, *acts, series=["harbour:BTC/USD@1m", "harbour:ETH/USD@1m", "harbour:SOL/USD@1m"])


def test_the_latest_of_a_series_is_not_what_ran_before_the_clock_was_set_back() -> None:
    """By such a clock a bucket that was closed since still runs (seed 2, in 1.2 hours)."""
    series = ["yahoo:BTC/USD@1m", "yahoo:SOL/USD@1m"]
    assert [] == play(50, (5, 20, "clock:jumps by_s=-4000.0"), series=series)


def test_trades_that_are_wanted_again_after_a_death_are_read_again() -> None:
    """The next life began without them, and nobody read what it collected later (seed 2031, in an hour)."""
    acts = (5, 9, "roster:remove"), (6, 6, "process:killed away_s=3.0")
    assert [] == play(30, *acts, series=["kraken:BTC/USD@trades", "kraken:BTC/USD@1m"])


def test_what_is_wanted_again_while_a_life_begins_is_collected() -> None:
    """Another series kept it waiting for the store, and it knew already what it would add."""
    acts = (
        (5, 7.5, "roster:remove"),
        (5.5, 9, "store:load_fails"),
        (6, 6, "process:killed away_s=3.0"),
    )
    assert [] == play(40, *acts, series=["kraken:BTC/USD@trades", "kraken:BTC/USD@1m"])

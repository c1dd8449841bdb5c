"""Level 6: whole runs find what is wrong with an adapter, and with what was collected."""

import attrs
import pytest

from tests.framework.testing.test_checks_bite import broken, failed, outcomes
from tests.framework.testing.variants import edited
from wickwire import Rate
from wickwire.testing.running import CHECKS, State
from wickwire.testing.wholeness import exceeded

SYSTEM = [one for one in CHECKS if one.id.startswith("W")]


def found_in(adapter, ids):
    return outcomes(adapter, checks=[one for one in SYSTEM if one.id in ids.split()])


@pytest.mark.parametrize(
    ("ids", "name"),
    [
        ("W01 W06", "history that leaves a bucket out"),
        ("W02 W03 W04 W07", "history that never settles"),
        ("W05", "a Retry-After that nobody reads"),
        ("W08", "a topic that is asked for once and never again"),
    ],
)
def test_what_is_wrong_with_an_adapter_shows_in_whole_runs(ids, name):
    found = found_in(broken(name)[1], ids)

    assert ids == failed(found), found
    assert all(one.shown and one.command for one in found.values())


@pytest.mark.parametrize(
    "venue",
    [
        (
            "        for candle in market.candles(LAMPS[self.native]",
            "        for candle in [][0] or market.candles(LAMPS[self.native]",
        ),
        ("        return _Wire(self, now_ns)\n", '        return Answer(status=403, body=b"not you")\n'),
    ],
    ids=["its simulated venue has a bug", "no stream is ever opened"],
)
def test_a_stream_that_never_works_is_no_whole_run_though_polls_make_up_for_it(venue):
    found = found_in(edited(simulator=(venue,)), "W01 W02 W06")

    assert "W01 W02 W06" == failed(found), found
    assert "planned by stream" in found["W01"].shown


@pytest.mark.parametrize(
    ("refused", "state"),
    [
        ('"on" in details', State.PASSED),
        ('details.get("symbol") != "GLOW/USD"', State.PASSED),
        ("True", State.SKIPPED),
    ],
)
def test_a_fault_that_happens_once_is_not_switched_off_and_one_that_needs_more_is_left_out(refused, state):
    loses = 'case "lose_trades":\n'
    simulator = (
        ("        return FAULTS\n", '        return {"lose_trades": FAULTS["lose_trades"]}\n'),
        (loses, f'{loses}                if {refused}:\n                    raise ValueError("not so")\n'),
    )
    found = found_in(edited(simulator=simulator), "W08")

    assert state is found["W08"].state, found


def test_what_nobody_can_heal_is_a_hole_and_no_fault_of_the_adapter():
    """It has no history to ask for."""
    found = found_in(edited(("        rest=True,", "        rest=False,")), "W01 W02 W03 W04 W06")

    assert "" == failed(found), found


def test_what_is_not_streamed_has_no_connections_to_lose():
    found = found_in(edited(("stream=timeframe in STREAMED", "stream=False")), "W02 W03 W04 W05")

    assert "" == failed(found), found
    assert {State.SKIPPED} == {found[name].state for name in ("W02", "W03", "W04")}
    assert State.PASSED is found["W05"].state


def test_a_run_is_the_same_each_time():
    first, again = (found_in(broken("history that leaves a bucket out")[1], "W02") for _ in range(2))

    assert attrs.evolve(first["W02"], took_s=0.0) == attrs.evolve(again["W02"], took_s=0.0)


def test_more_than_a_rate_allows_is_said():
    rate = Rate(2, per_s=1.0)

    assert "" == exceeded(rate, [0.0, 0.0, 0.5, 1.0, 1.5])
    assert "3 in 0.1 s" == exceeded(rate, [0.0, 0.05, 0.1])

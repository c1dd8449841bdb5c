"""Which route a candle series is trusted to: when it falls from its stream, and when it climbs back."""

from __future__ import annotations

import asyncio
import itertools
import logging

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from tests.framework.scripted import SERIES, TOPIC
from tests.framework.series_stage import SeriesStage
from tests.framework.virtual import VirtualMachine, virtual
from wickwire import OhlcvSupport, Rung, Switch, Utc
from wickwire.clock import loop_s
from wickwire.ledger import PageOutcome
from wickwire.planner import Plan
from wickwire.simulate.loops import run_virtual, running_clock
from wickwire.trust import AGREEMENTS, LOOK_S, OPENING_S, PATIENCE_S

SUPPORT = OhlcvSupport(stream=True, rest=True, grid=Utc())
PLAN = Plan(
    series=SERIES, topic=TOPIC, rung=Rung.STREAM, why="it streams", falls_to=Rung.POLL, support=SUPPORT
)
PINNED = attrs.evolve(PLAN, falls_to=None, pinned=True)


@attrs.define
class Stage(SeriesStage):
    """The trust of one series, beside a ledger that knows only whether a stream is there."""

    plan: Plan = PLAN

    async def falls(self) -> None:
        """Be subscribed, lost, and away for too long."""
        self.subscribed()
        self.lost()
        await asyncio.sleep(PATIENCE_S)
        self.trust.fall()
        assert self.rung() is Rung.POLL

    def rung(self) -> Rung:
        return self.trust.rung

    def judge(self, *, agreed: int = 0, missed: int = 0) -> bool:
        """Let history agree with so many candles, or hold so many that the stream did not bring."""
        newest_ns = self.ledger.frontier_ns
        lacking = [newest_ns - number * self.ledger.buckets.size_ns for number in range(missed)]
        return self.trust.judge(PageOutcome(agreed=agreed, missed=sorted(lacking)))


# ------------------------------------------------------------------------------------------------- falling


@virtual
async def test_it_begins_on_the_planned_route_for_the_planned_reason() -> None:
    stage = Stage()
    assert (Rung.STREAM, "it streams", []) == (stage.rung(), stage.trust.why, stage.trust.switches)


@virtual
async def test_a_stream_that_is_back_soon_changes_no_route() -> None:
    stage = Stage()
    for _ in range(10):
        stage.subscribed()
        stage.lost()
        await asyncio.sleep(PATIENCE_S - 0.1)
        stage.trust.fall()
    assert Rung.STREAM is stage.rung()
    assert [] == stage.told


@virtual
async def test_a_stream_that_stays_away_is_polled_with_the_reason_of_its_end() -> None:
    stage = Stage()
    await stage.falls()
    [switch] = stage.told
    assert isinstance(switch, Switch)
    assert (SERIES, Rung.POLL, running_clock().now_ns()) == (switch.series, switch.rung, switch.at_ns)
    assert "the stream is not there: closed with 1006" == switch.why == stage.trust.why
    assert [switch] == stage.trust.switches
    assert stage.asking.polled


@virtual
async def test_the_first_connection_may_take_long_while_none_has_failed() -> None:
    """Where a venue lets one be opened each second, the last of many has to wait for its turn."""
    stage = Stage()
    await asyncio.sleep(OPENING_S - 1)
    stage.trust.fall()
    assert Rung.STREAM is stage.rung()
    assert 1.0 == stage.trust.falls_in_s(loop_s())
    await asyncio.sleep(1)
    stage.trust.fall()
    assert Rung.POLL is stage.rung()


@virtual
async def test_a_first_connection_that_fails_is_away_since_the_start() -> None:
    """That it fails again gives another reason, and no more time."""
    stage = Stage()
    await asyncio.sleep(PATIENCE_S)
    stage.trust.lost("has no address")
    stage.trust.lost("refused the connection")
    stage.trust.fall()
    assert (Rung.POLL, "the stream is not there: refused the connection") == (stage.rung(), stage.trust.why)


@virtual
async def test_what_the_venue_refuses_is_polled_at_once() -> None:
    stage = Stage()
    stage.trust.refusal = "symbol: delisted"
    stage.trust.fall()
    assert Rung.POLL is stage.rung()
    stage.subscribed()
    assert "" == stage.trust.refusal, "it was taken after all"


@virtual
async def test_a_pinned_series_never_falls() -> None:
    stage = Stage(plan=PINNED)
    stage.subscribed()
    stage.lost()
    await asyncio.sleep(3_600)
    stage.trust.fall()
    assert stage.trust.falls_in_s(loop_s()) is None
    assert Rung.STREAM is stage.rung()
    stage.subscribed()
    assert stage.judge(missed=1), "that it lacks something is still a reason to subscribe anew"
    assert Rung.STREAM is stage.rung()


@virtual
async def test_it_falls_also_while_an_answer_is_waited_for() -> None:
    """The answer may have to come by the very stream that is away."""
    stage = Stage()
    stage.subscribed()
    stage.lost()
    with stage.trust.falling():
        await asyncio.sleep(PATIENCE_S + LOOK_S)
        assert Rung.POLL is stage.rung()
    other = Stage()
    with other.trust.falling():
        pass
    await asyncio.sleep(2 * OPENING_S)
    assert Rung.STREAM is other.rung(), "nobody looks any more"


@virtual
async def test_another_plan_is_another_route_and_no_change_that_is_told() -> None:
    stage = Stage()
    await asyncio.sleep(3_600)
    stage.trust.planned(attrs.evolve(PLAN, why="it streams, and is wanted"))
    stage.trust.fall()
    assert (Rung.STREAM, "it streams, and is wanted", []) == (stage.rung(), stage.trust.why, stage.told)


@given(st.floats(0.0, 200.0), st.sampled_from(["tried", "never tried"]))
def test_it_falls_when_it_said_that_it_would(away_s: float, how: str) -> None:
    async def play() -> None:
        stage = Stage()
        if how == "tried":
            stage.subscribed()
            assert stage.trust.falls_in_s(loop_s()) is None, "it is there"
            stage.lost()
        patience_s = stage.trust.falls_in_s(loop_s())
        assert patience_s == (PATIENCE_S if how == "tried" else OPENING_S)
        await asyncio.sleep(away_s)
        left_s = stage.trust.falls_in_s(loop_s())
        assert left_s is not None
        assert left_s == pytest.approx(max(patience_s - away_s, 0.1))
        stage.trust.fall()
        assert (stage.rung() is Rung.POLL) == (stage.trust.falls_in_s(loop_s()) is None)
        if stage.rung() is Rung.STREAM:
            assert away_s < patience_s
            await asyncio.sleep(left_s)
            stage.trust.fall()
        assert Rung.POLL is stage.rung()

    run_virtual(play())


# ------------------------------------------------------------------------------------------------ on trial


@virtual
async def test_two_candles_on_which_history_agrees_bring_the_stream_back() -> None:
    stage = Stage()
    await stage.falls()
    stage.subscribed()
    assert Rung.POLL is stage.rung(), "that it is there again proves nothing yet"
    assert not stage.judge(agreed=1)
    assert Rung.POLL is stage.rung()
    assert not stage.judge(agreed=1)
    assert (Rung.STREAM, "stream and history agree on 2 candles") == (stage.rung(), stage.trust.why)
    assert not stage.asking.polled


@virtual
async def test_what_history_holds_and_the_stream_did_not_bring_ends_the_trust_in_it() -> None:
    stage = Stage()
    stage.subscribed()
    assert stage.judge(missed=2), "it is to be subscribed to anew"
    assert Rung.POLL is stage.rung()
    assert stage.trust.why.startswith("history holds 2")
    assert stage.trust.why.endswith("Z, which the stream did not bring")
    stage.judge(agreed=1)
    stage.judge(missed=1)
    stage.judge(agreed=1)
    assert Rung.POLL is stage.rung(), "a candle that it lacks begins the trial anew"


@virtual
async def test_a_trial_goes_on_over_a_quick_reconnect_and_begins_anew_after_a_long_one() -> None:
    quick, long = Stage(), Stage()
    for stage, away_s in ((quick, PATIENCE_S - 1), (long, PATIENCE_S)):
        await stage.falls()
        stage.subscribed()
        stage.judge(agreed=1)
        stage.lost()
        await asyncio.sleep(away_s)
        stage.subscribed()
        stage.judge(agreed=1)
    assert (Rung.STREAM, Rung.POLL) == (quick.rung(), long.rung())


@virtual
async def test_history_says_nothing_of_a_stream_that_is_not_there_or_is_none() -> None:
    away, polled = Stage(), Stage(plan=attrs.evolve(PLAN, rung=Rung.POLL, falls_to=None))
    polled.subscribed()
    for stage in (away, polled):
        before = stage.rung()
        assert not stage.judge(missed=1)
        assert not stage.judge(agreed=5)
        assert before is stage.rung()


def test_each_change_is_told_and_logged_and_the_last_hundred_are_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play() -> Stage:
        stage = Stage()
        stage.subscribed()
        for _ in range(60):
            stage.judge(missed=1)
            stage.judge(agreed=AGREEMENTS)
        return stage

    with caplog.at_level(logging.INFO, logger="wickwire"):
        stage = run_virtual(play())
    lines = [vars(record) for record in caplog.records if record.getMessage() == "route changed"]
    assert 120 == len(stage.told) == len(lines)
    assert stage.told[-100:] == stage.trust.switches
    assert [Rung.POLL, Rung.STREAM] == [one.rung for one in stage.trust.switches[-2:]]
    last = lines[-1]
    assert (str(SERIES), "stream", stage.trust.why) == (last["series"], last["route"], last["why"])


class Routes(VirtualMachine):
    """Beside a model: it is streamed unless it fell, and from then on until two candles agree in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = self.do(Stage)
        self.agreed, self.fallen, self.away_s = 0, False, 0.0

    @property
    def there(self) -> bool:
        return bool(self.stage.ledger.epoch)

    @rule(seconds=st.sampled_from([1.0, 4.0, 6.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.sleep(seconds)
        self.do(self.stage.trust.fall)
        self.away_s = 0.0 if self.there else self.away_s + seconds
        patience_s = PATIENCE_S if self.stage.trust.tried else OPENING_S
        self.fallen = self.fallen or self.away_s >= patience_s

    @precondition(lambda self: not self.there)
    @rule()
    def it_is_subscribed(self) -> None:
        patience_s = PATIENCE_S if self.stage.trust.tried else OPENING_S
        self.agreed = 0 if self.away_s >= patience_s else self.agreed
        self.do(self.stage.subscribed)
        self.away_s = 0.0

    @precondition(lambda self: self.there)
    @rule()
    def it_is_lost(self) -> None:
        self.do(self.stage.lost)

    @precondition(lambda self: self.there)
    @rule(count=st.integers(0, 3))
    def history_agrees(self, count: int) -> None:
        self.do(lambda: self.stage.judge(agreed=count))
        self.agreed += count
        self.fallen = self.fallen and self.agreed < AGREEMENTS

    @precondition(lambda self: self.there)
    @rule()
    def history_holds_more(self) -> None:
        self.do(lambda: self.stage.judge(missed=1))
        self.agreed, self.fallen = 0, True

    @invariant()
    def it_is_on_the_route_of_the_model(self) -> None:
        assert (Rung.POLL if self.fallen else Rung.STREAM) is self.stage.rung()
        assert self.stage.asking.polled == self.fallen

    @invariant()
    def each_change_of_route_is_one(self) -> None:
        rungs = [Rung.STREAM, *(one.rung for one in self.stage.trust.switches)]
        assert all(before is not after for before, after in itertools.pairwise(rungs))


TestRoutes = Routes.TestCase
TestRoutes.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)

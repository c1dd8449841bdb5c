"""In which condition a candle series is, by what is known of it: the words mean what docs/cli.md says."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from tests.framework.scripted import MINUTE, MINUTE_NS, SERIES, TOPIC
from tests.framework.series_stage import SeriesStage
from tests.framework.virtual import VirtualMachine, virtual
from wickwire import SECOND_NS, Candle, Condition, Finality, OhlcvSupport, Page, Rung, Utc
from wickwire.candle_route import CandleRoute
from wickwire.clock import CLOCKS_AGREE_S, Moment, loop_s
from wickwire.condition import LIVE_S, Standing, present_ns, shown, unfit
from wickwire.correspondent import Correspondent
from wickwire.ledger import Want
from wickwire.planner import Plan
from wickwire.simulate.loops import running_clock
from wickwire.venue_time import VenueTime

ROOT = Path(__file__).resolve().parents[2]
GRACE_S = 2.0
SUPPORT = OhlcvSupport(stream=True, rest=True, grid=Utc(), settle_s=2.0, grace_s=GRACE_S)
STREAMED = Plan(
    series=SERIES, topic=TOPIC, rung=Rung.STREAM, why="it streams", falls_to=Rung.POLL, support=SUPPORT
)
POLLED = attrs.evolve(STREAMED, rung=Rung.POLL, why="it is polled", falls_to=None)


@attrs.define
class Stage(SeriesStage):
    """One series with a stream and history, which do what a test says."""

    plan: Plan = STREAMED
    hopeless: bool = False
    row_s: float = -math.inf
    started_ns: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.started_ns = running_clock().now_ns()

    def says(self) -> Condition:
        now_ns = running_clock().now_ns()
        return Standing(
            ledger=self.ledger,
            asking=self.asking,
            trust=self.trust,
            verified=bool(self.asking.asked_ns or self.ledger.epoch_count),
            hopeless=self.hopeless,
            row_s=self.row_s,
            started_ns=self.started_ns,
            now_ns=now_ns,
            wall_ns=now_ns,
            now_s=loop_s(),
        ).condition

    async def stays(self, condition: Condition, seconds: float, *, then: Condition) -> None:
        """Let *seconds* pass, in which it says *condition* until a second before their end; and *then*."""
        assert condition is self.says()
        await asyncio.sleep(seconds - 1)
        assert condition is self.says()
        await asyncio.sleep(1)
        assert then is self.says()

    def row(self, *, ago: int = 0, low: int = 100, **changes: Any) -> None:
        """Let a row come of the running bucket, or of one so many buckets ago."""
        self.row_s = loop_s()
        self.ledger.row(candle(ago=ago, low=low, **changes))

    def sibling_moves_on(self) -> None:
        """Let another topic of the connection show the present, which closes what is over."""
        now_ns = running_clock().now_ns()
        self.ledger.sibling(now_ns, now_ns, round(GRACE_S * SECOND_NS))

    def history(self, *rows: Candle) -> None:
        """Let history answer with *rows*, and prove all other buckets that are over empty."""
        now_ns = running_clock().now_ns()
        want = Want(self.ledger.frontier_ns, now_ns, "a test")
        before = self.ledger.progress
        page = Page(candles=rows, covered=(want.since_ns, want.until_ns))
        self.ledger.page(page, want, now_ns, route=self.trust.rung)
        forward = self.ledger.progress != before
        self.asking.answered(want, now_ns, Moment(now_ns, loop_s()), forward=forward)


def candle(*, ago: int = 0, low: int = 100, **changes: Any) -> Candle:
    open_ns = (running_clock().now_ns() // MINUTE_NS - ago) * MINUTE_NS
    price = Decimal(100)
    made = Candle(
        "BTC/USD", MINUTE, open_ns, open_ns + MINUTE_NS, price, price, Decimal(low), price, Decimal(1)
    )
    return attrs.evolve(made, **changes)  # type: ignore[misc]  # an event


async def until_second(second: float) -> None:
    """Sleep to that second of a minute, the next time that it comes."""
    into_s = running_clock().now_ns() % MINUTE_NS / SECOND_NS
    await asyncio.sleep((second - into_s) % 60.0 or 60.0)


# ----------------------------------------------------------------------------------------------- starting


@virtual
async def test_what_nobody_answered_for_is_starting_for_a_minute_and_then_stale() -> None:
    stage = Stage()
    await stage.stays(Condition.STARTING, LIVE_S, then=Condition.STALE)


@virtual
async def test_what_the_venue_will_not_have_is_refused() -> None:
    by_its_stream, by_its_history = Stage(), Stage(hopeless=True)
    by_its_stream.trust.refusal = "no such symbol"

    assert [Condition.REFUSED] * 2 == [by_its_stream.says(), by_its_history.says()]


@virtual
async def test_a_stream_that_was_never_there_is_starting_though_history_answered() -> None:
    stage = Stage()
    stage.history()
    await stage.stays(Condition.STARTING, LIVE_S, then=Condition.STALE)


# ------------------------------------------------------------------------------------------- live and quiet


@virtual
async def test_a_subscription_alone_is_quiet_and_a_row_makes_it_live_for_a_minute() -> None:
    stage = Stage()
    stage.subscribed()
    assert Condition.QUIET is stage.says()
    stage.row()
    await stage.stays(Condition.LIVE, LIVE_S, then=Condition.QUIET)


@virtual
async def test_a_bucket_that_a_sibling_closes_leaves_a_lively_series_live() -> None:
    """A row each 20 s, of which none comes at the turn of a minute: siblings close, and nothing is quiet."""
    stage = Stage()
    stage.subscribed()
    seen: dict[Condition, None] = {}
    await until_second(15)
    for second in range(1_800):
        if second % 20 == 0:
            stage.row()
        stage.sibling_moves_on()
        seen[stage.says()] = None
        await asyncio.sleep(1)

    assert [Condition.LIVE] == [*seen]
    assert stage.ledger.closed_count >= 29


@virtual
async def test_a_bucket_that_is_over_and_closed_by_nothing_yet_is_live_as_long_as_its_row_is_young() -> None:
    """The only series of its connection: until its own next row, or history, nothing says that it is over."""
    stage = Stage()
    stage.subscribed()
    await until_second(55)
    stage.row()
    for _ in range(59):
        assert Condition.LIVE is stage.says()
        await asyncio.sleep(1)


@virtual
async def test_rows_of_the_past_are_not_live_though_they_come_now() -> None:
    """As a snapshot has them, or a stream that is minutes behind."""
    stage = Stage()
    stage.subscribed()
    for ago in (5, 4, 3):
        stage.row(ago=ago, snapshot=True)
        assert Condition.LIVE is not stage.says()


@virtual
async def test_a_venue_that_streams_closed_candles_alone_is_live_from_one_to_the_next() -> None:
    stage = Stage()
    stage.subscribed()
    await asyncio.sleep(60)
    await until_second(1)
    stage.row(ago=1, finality=Finality.CLOSED)
    await stage.stays(Condition.LIVE, 60 + LIVE_S, then=Condition.QUIET)


@virtual
async def test_a_row_of_unknown_age_is_not_live() -> None:
    """What came before the machine slept; see `CandleRoute.aged_row_s`."""
    stage = Stage()
    stage.subscribed()
    stage.row()
    stage.row_s = -math.inf
    assert Condition.QUIET is stage.says()


@virtual
async def test_what_came_before_the_machine_slept_is_of_unknown_age_and_the_next_row_is_not() -> None:
    """The loop's time stood still meanwhile; a correction of a clock by less than a second is no sleep."""
    stage, clock = Stage(), running_clock()
    correspondent = Correspondent(stage.ledger, clock, lambda _: None)
    route = CandleRoute(
        stage.ledger,
        stage.trust,
        correspondent,
        stage.asking,
        clock,
        VenueTime(),
        notice=lambda: None,
        wake=lambda: None,
    )
    await asyncio.sleep(5)
    route.row_s = row_s = loop_s()
    await asyncio.sleep(5)
    slept_ns = 40 * SECOND_NS
    assert row_s == route.aged_row_s(clock.now_ns() + SECOND_NS // 2, loop_s())
    assert -math.inf == route.aged_row_s(clock.now_ns() + slept_ns, loop_s())
    await asyncio.sleep(5)
    assert -math.inf == route.aged_row_s(clock.now_ns() + slept_ns, loop_s())
    route.row_s = loop_s()
    assert loop_s() == route.aged_row_s(clock.now_ns() + slept_ns, loop_s())


@virtual
async def test_silence_is_quiet_until_the_next_bucket_should_be_known_and_then_stale() -> None:
    """Empty buckets that history proves keep it quiet, and let it be silent for longer the next time."""
    stage = Stage()
    stage.subscribed()
    stage.row()
    await asyncio.sleep(LIVE_S)
    for _ in range(10):
        assert Condition.QUIET is stage.says()
        await asyncio.sleep(60)
        stage.history()
    await asyncio.sleep(120)
    assert Condition.QUIET is stage.says()
    await asyncio.sleep(600)
    assert Condition.STALE is stage.says()


@virtual
async def test_rows_of_which_no_candle_can_be_made_are_stale_however_many_come() -> None:
    stage = Stage()
    stage.subscribed()
    stage.row(low=101)
    assert Condition.STALE is stage.says()
    stage.row()
    assert Condition.LIVE is stage.says()


# ---------------------------------------------------------------------------------------- the stream ends


@virtual
async def test_a_stream_that_was_there_and_is_lost_is_reconnecting_and_never_starting() -> None:
    stage = Stage()
    stage.subscribed()
    await until_second(50)
    stage.row()
    await until_second(3)
    stage.sibling_moves_on()
    stage.lost()
    assert Condition.RECONNECTING is stage.says()
    stage.subscribed()
    assert Condition.LIVE is stage.says(), "its last row is young enough"
    stage.lost()
    await stage.stays(Condition.RECONNECTING, LIVE_S, then=Condition.STALE)


@virtual
async def test_a_stream_that_is_lost_again_and_again_is_stale_once_nothing_new_is_known() -> None:
    stage = Stage()
    stage.subscribed()
    stage.row()
    for _ in range(60):
        stage.lost()
        await asyncio.sleep(1)
        stage.subscribed()
        await asyncio.sleep(9)
    assert Condition.STALE is stage.says()
    stage.lost()
    assert Condition.STALE is stage.says()


@virtual
async def test_a_stream_that_the_venue_refuses_after_all_is_refused() -> None:
    stage = Stage()
    stage.subscribed()
    stage.lost()
    stage.trust.refusal = "symbol: delisted"
    assert Condition.REFUSED is stage.says()


# ------------------------------------------------------------------------------------------------- polled


@virtual
async def test_a_polled_series_is_polled_while_its_buckets_have_candles_and_else_quiet() -> None:
    stage = Stage(plan=POLLED)
    assert Condition.STARTING is stage.says()
    stage.history()
    for _ in range(3):
        await until_second(5)
        stage.history(candle(ago=1))
        assert Condition.POLLED is stage.says()
    for _ in range(3):
        await until_second(5)
        stage.history()
    assert Condition.QUIET is stage.says()


@virtual
async def test_a_polled_series_whose_history_stays_away_is_stale_or_refused() -> None:
    stage = Stage(plan=POLLED)
    await until_second(5)
    stage.history(candle(ago=1))
    await asyncio.sleep(300)
    assert Condition.STALE is stage.says()
    stage.trust.refusal = "symbol: delisted"
    assert Condition.REFUSED is stage.says()


# --------------------------------------------------------------------------------------- whatever happens


class Lives(VirtualMachine):
    """Rows of now and of before, closings, losses and silences, in any order and at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = self.do(Stage)

    @rule(seconds=st.sampled_from([0.5, 5.0, 20.0, 59.0, 61.0, 150.0]))
    def time_passes(self, seconds: float) -> None:
        self.sleep(seconds)

    @precondition(lambda self: self.stage.ledger.epoch)
    @rule(ago=st.sampled_from([0, 0, 1, 3]))
    def a_row_comes(self, ago: int) -> None:
        self.do(lambda: self.stage.row(ago=ago))

    @precondition(lambda self: self.stage.ledger.epoch)
    @rule()
    def a_row_is_no_candle(self) -> None:
        self.do(lambda: self.stage.row(low=101))

    @precondition(lambda self: not self.stage.ledger.epoch)
    @rule()
    def it_is_subscribed(self) -> None:
        self.do(self.stage.subscribed)

    @precondition(lambda self: self.stage.ledger.epoch)
    @rule()
    def it_is_lost(self) -> None:
        self.do(self.stage.lost)

    @rule()
    def a_sibling_moves_on(self) -> None:
        before = self.do(self.stage.says)
        self.do(self.stage.sibling_moves_on)
        assert before is self.do(self.stage.says), "that a bucket is closed makes no row older"

    @rule()
    def something_may_have_been_lost(self) -> None:
        self.do(self.stage.ledger.doubt)

    @rule()
    def history_answers(self) -> None:
        self.do(self.stage.history)

    @invariant()
    def it_never_says_live_when_its_newest_row_is_older_than_the_limit(self) -> None:
        condition, age_s = self.do(lambda: (self.stage.says(), loop_s() - self.stage.row_s))
        assert condition is not Condition.LIVE or age_s < LIVE_S
        assert condition is not Condition.LIVE or not unfit(self.stage.ledger)

    @invariant()
    def it_says_live_only_while_its_stream_is_there_and_reconnecting_only_while_not(self) -> None:
        condition = self.do(self.stage.says)
        there = bool(self.stage.ledger.epoch)
        assert condition not in ({Condition.RECONNECTING} if there else {Condition.LIVE, Condition.QUIET})

    @invariant()
    def it_never_says_starting_once_its_stream_was_there(self) -> None:
        condition = self.do(self.stage.says)
        assert condition is not Condition.STARTING or self.stage.ledger.epoch_count == 0


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


# ------------------------------------------------------------------------------------- what it follows from

SECONDS = st.integers(-(10**5), 10**5)


@given(SECONDS, SECONDS, st.integers(0, 10**5))
def test_the_present_is_never_earlier_than_either_clock_says(ahead_s: int, set_s: int, later_s: int) -> None:
    """A clock that was set back would make old data look new, and so would one that stood still."""
    clocks, venue_ns, now_s = VenueTime(), 1_800_000_000 * SECOND_NS, 1_000.0
    told_ns = venue_ns + ahead_s * SECOND_NS
    clocks.served.heard(venue_ns, told_ns, now_s)
    wall_ns = told_ns + (later_s + set_s) * SECOND_NS

    present = present_ns(clocks, wall_ns, now_s + later_s)

    assert present >= max(wall_ns, venue_ns + later_s * SECOND_NS)
    if set_s == 0 and ahead_s >= 0:
        assert present == wall_ns
    if set_s == -ahead_s and abs(ahead_s) > CLOCKS_AGREE_S:
        assert present == wall_ns, "it was wrong, and was set right"


@virtual
async def test_the_running_row_is_the_streams_or_as_history_showed_it_last() -> None:
    stage = Stage()
    now_ns = running_clock().now_ns()
    assert shown(stage.ledger, now_ns) is None
    stage.ledger.running = running = candle()
    assert running is shown(stage.ledger, now_ns)
    assert shown(stage.ledger, running.close_ns) is None, "it is over"
    stage.subscribed()
    stage.row(volume=Decimal(2))
    assert stage.ledger.forming is shown(stage.ledger, now_ns)
    stage.row(low=101)
    assert "no candle can be made of the running row" in unfit(stage.ledger)
    assert running is shown(stage.ledger, now_ns)


@virtual
async def test_a_row_whose_bucket_was_closed_by_history_runs_no_more() -> None:
    """A stream on trial may be behind the history that closes meanwhile (seed 1111)."""
    stage = Stage()
    stage.subscribed()
    stage.row()
    forming = stage.ledger.forming
    assert forming is not None
    stage.ledger.frontier_ns = forming.close_ns

    assert shown(stage.ledger, running_clock().now_ns()) is None


@pytest.mark.parametrize("word", [*Condition])
def test_the_manual_has_each_word(word: Condition) -> None:
    assert f"\n| `{word.value}` |" in (ROOT / "docs" / "cli.md").read_text()

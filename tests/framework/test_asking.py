"""What history is asked and when, without a loop and without a venue."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wickwire import Candle, HoleKind, Page, RestAway, Rung, Series, Timeframe, TransportError, Utc
from wickwire.asking import CALLED_S, EARLY_ASKS, HOLD_S, MARGIN_S, Asking
from wickwire.audit_schedule import AUDIT_BUCKETS, AUDIT_POLLED_S, AUDIT_S, LATE_S, UNREADABLE_AUDITS
from wickwire.clock import Moment
from wickwire.description import OhlcvSupport
from wickwire.ledger import Ledger, Want
from wickwire.model import DAY_NS, MINUTE_NS, SECOND_NS, Hole, Session
from wickwire.retry import Backoff
from wickwire.store import TAIL
from wickwire.wants import first_look

MINUTE = Timeframe.parse("1m")
SERIES = Series.parse("scripted:BTC/USD@1m")
SUPPORT = OhlcvSupport(stream=True, rest=True, grid=Utc(), settle_s=5.0, grace_s=3.0, page_rows=60)
T0 = 1_795_237_200 * SECOND_NS  # 2026-11-21T05:00:00Z
WAIT_S = SUPPORT.settle_s + MARGIN_S


def now(seconds: float) -> Moment:
    """So many seconds after the start; the loop's clock began elsewhere."""
    return Moment(T0 + round(seconds * SECOND_NS), 1_000.0 + seconds)


def ahead(seconds: float, by_s: float) -> Moment:
    """The same moment by a clock that is so much ahead."""
    return Moment(now(seconds + by_s).ns, now(seconds).s)


def row(minute: int) -> Candle:
    price = Decimal(100)
    open_ns = T0 + minute * MINUTE_NS
    return Candle("BTC/USD", MINUTE, open_ns, open_ns + MINUTE_NS, price, price, price, price, Decimal(1))


@attrs.define(eq=False)
class Case:
    """An `Asking` beside its ledger, and a venue whose history can be late, broken or away.

    Attributes:
        broken: Minutes that it serves against the laws of candles, so that they stay lacking.
        known_until: It knows nothing of later minutes.
        asked: When what was asked, in seconds and minutes.
    """

    asking: Asking
    ledger: Ledger
    broken: set[int] = attrs.field(factory=set)
    known_until: int = 2**40
    away: bool = False
    ahead_s: float = 0.0
    asked: list[tuple[float, int, int]] = attrs.field(factory=list)

    def ask(self, seconds: float, most: int = 500) -> None:
        """Ask until there is nothing to ask now."""
        for _ in range(most):
            want = self.asking.next(now(seconds))
            if want is None:
                return
            self.answer(want, seconds)
        raise AssertionError("history is asked for ever")

    def answer(self, want: Want, seconds: float) -> None:
        since = (self.asking.since_ns(want) - T0) // MINUTE_NS
        until = (want.until_ns - T0) // MINUTE_NS
        self.asked.append((seconds, since, until))
        if self.away:
            self.asking.failed(want, TransportError("away"), now(seconds))
            return
        known = min(until, self.known_until)
        rows = [row(minute) for minute in range(since, known)]
        rows = [
            attrs.evolve(one, high=Decimal(0)) if since + number in self.broken else one  # type: ignore[misc]  # an event
            for number, one in enumerate(rows)
        ]
        page = Page(candles=rows, covered=(T0 + since * MINUTE_NS, T0 + max(since, known) * MINUTE_NS))
        before = self.ledger.progress
        as_of_ns = now(seconds - self.ahead_s).ns
        refused = self.ledger.page(page, want, as_of_ns, route=Rung.POLL).refused
        self.ledger.take()
        forward = self.ledger.progress != before
        self.asking.answered(want, as_of_ns, now(seconds), forward=forward, refused=refused)

    def run(self, since_s: float, until_s: float) -> None:
        """Sleep and ask in turn, as the closer does."""
        at_s = since_s
        while at_s <= until_s:
            self.ask(at_s)
            wake_s = (self.asking.wake_ns(now(at_s)) - T0) / SECOND_NS
            assert at_s < wake_s <= at_s + 60 + WAIT_S + 2, "it sleeps, and not past the next bucket"
            at_s = wake_s

    def asked_within(self, since_s: float, until_s: float) -> int:
        return len([1 for at_s, _, _ in self.asked if since_s <= at_s <= until_s])


def case(
    *, polled: bool = True, seed: int = 1, origin: int = 0, timeframe: str = "1m", **changes: Any
) -> Case:
    support = attrs.evolve(SUPPORT, **changes)
    series = Series.parse(f"scripted:BTC/USD@{timeframe}")
    ledger = Ledger.start(series, support, None, T0 + origin * MINUTE_NS)
    ledger.take()
    rng = random.Random(seed)
    return Case(Asking(ledger, now(0), rng, backoff=Backoff(), streamed=not polled), ledger)


# ------------------------------------------------------------------------------------------------- when


def test_a_polled_series_begins_with_a_look_at_the_running_bucket() -> None:
    made = case(origin=-10)
    made.ledger.frontier_ns = T0  # it was collected before
    made.run(20, 59)
    assert [(20, -2, 1)] == made.asked


def test_the_first_look_costs_nothing_where_something_is_asked_anyway() -> None:
    made = case(origin=-10)
    made.run(20, 59)
    assert [(20, -10, 0)] == made.asked


def test_a_first_look_that_fails_is_repeated_by_the_backoff_until_something_is_answered() -> None:
    made = case(polled=True)
    made.away = True
    made.run(0, 3_600)
    assert 40 < made.asked_within(0, 3_600) <= 3_600 / 20, "not twice, when a bucket is due as well"
    made.away = False
    made.run(3_600, 3_600 + 3 * 60)
    assert [asked for asked in made.asked if asked[0] > 3_600][1:] == made.asked[-2:], "then once a bucket"


def test_a_first_look_that_is_answered_without_the_venue_is_repeated_once_a_bucket() -> None:
    """Where all of it is too new to be asked for, an adapter sends nothing, and no time is told."""
    made = case(origin=-10)
    made.ledger.frontier_ns = T0
    want = made.asking.next(now(20))
    assert want is not None
    made.asking.answered(want, 0, now(20), forward=False)

    assert made.asking.next(now(20)) is None
    assert made.asking.next(now(59)) is None
    assert made.asking.next(now(81)) is not None


def test_nobody_waits_for_a_first_look_that_fails() -> None:
    made = case()
    made.away = True
    made.ask(0)
    assert made.asked
    assert not made.asking.retrying, "nothing lacks"


def test_a_streamed_series_takes_no_look_unless_it_falls_to_polling() -> None:
    made = case(polled=False)
    made.run(0, 50)
    assert [] == made.asked
    made.asking.polled = True
    made.run(50, 59)
    assert [(50, -2, 1)] == made.asked


def test_between_sessions_the_first_look_is_at_the_last_and_not_at_the_next() -> None:
    made = case(polled=False, grid=Session("New York"))
    made.ledger.buckets.told([(T0 - 600 * MINUTE_NS, T0), (T0 + 4_000 * MINUTE_NS, T0 + 4_400 * MINUTE_NS)])
    want = first_look(made.ledger, T0 + 5 * MINUTE_NS)
    assert want.since_ns < T0 + 5 * MINUTE_NS < want.until_ns <= T0 + 6 * MINUTE_NS


def test_nothing_is_asked_before_a_bucket_ended_and_settled() -> None:
    made = case()
    made.ask(0)
    made.ask(60 + WAIT_S - 0.1)
    assert [(0, -2, 1)] == made.asked, "the first look"
    made.ask(60 + WAIT_S)
    assert (60 + WAIT_S, 0, 1) == made.asked[-1]


def test_polls_are_spread_by_two_seconds_and_streams_are_not() -> None:
    polled = set()
    for seed in range(200):
        made = case(seed=seed)
        made.ask(10)
        polled.add(made.asking.wake_ns(now(10)))
    assert min(polled) >= T0 + round((60 + WAIT_S) * SECOND_NS)
    assert SECOND_NS < max(polled) - min(polled) <= 2 * SECOND_NS

    streamed = {case(polled=False, seed=seed).asking.wake_ns(now(10)) for seed in range(9)}
    assert {T0 + round((60 + WAIT_S) * SECOND_NS)} == streamed


def test_nothing_is_asked_where_there_is_no_history() -> None:
    made = case(rest=False)
    made.run(0, 3_600)
    assert [] == made.asked


def streamed(made: Case, minutes: range, *, run: bool = True) -> None:
    """Let a stream bring and close so many minutes; with *run* the asking goes on meanwhile."""
    for minute in minutes:
        made.ledger.row(row(minute))
        made.ledger.row(row(minute + 1))
        made.ledger.take()
        if run:
            made.run(60.0 * (minute + 1), 60.0 * (minute + 1) + 59)


def test_a_living_stream_is_trusted_and_audited() -> None:
    made = case(polled=False)
    made.ledger.subscribed(1, T0)
    streamed(made, range(60))
    assert 2 <= len(made.asked) <= 2 * 3_600 / AUDIT_S
    assert all(until - since <= AUDIT_BUCKETS for _, since, until in made.asked)


@pytest.mark.parametrize("seed", range(5))
def test_what_an_earlier_process_closed_last_is_compared_soon(seed: int) -> None:
    """It may have died before its own comparison, and so may the next one (seed 357)."""
    before = case(polled=False, origin=-60)
    before.ledger.frontier_ns = T0
    made = Case(
        Asking(before.ledger, now(0), random.Random(seed), backoff=Backoff(), streamed=True), before.ledger
    )
    made.ledger.subscribed(1, T0)
    streamed(made, range(9))
    assert made.asked[0][1] <= -round(1.5 * AUDIT_S / 60)


@pytest.mark.parametrize(("page_rows", "back"), [(720, 300), (120, 120)])
def test_the_first_audit_of_a_process_reads_a_whole_page_again(page_rows: int, back: int) -> None:
    """Processes that die young, or a machine that slept, leave hours that nobody compared."""
    before = case(polled=False, origin=-1_000, page_rows=page_rows)
    before.ledger.frontier_ns = T0
    made = Case(
        Asking(before.ledger, now(0), random.Random(1), backoff=Backoff(), streamed=True), before.ledger
    )
    made.ledger.subscribed(1, T0)
    streamed(made, range(9))
    [(_, since, until), *_] = made.asked
    assert since <= -back <= since + 2
    assert until - since <= page_rows
    assert compared(made) >= set(range(-back, 0))


def test_the_first_audit_reads_what_was_known_also_by_a_clock_that_is_an_hour_ahead() -> None:
    """By that clock all of it was long ago; what the venue corrected since would stay wrong (seed 2395)."""
    before = case(polled=False, origin=-1_000, page_rows=10)
    before.ledger.frontier_ns = T0
    asking = Asking(before.ledger, ahead(0, 4_000), random.Random(1), backoff=Backoff(), streamed=True)
    made = Case(asking, before.ledger)
    made.ledger.subscribed(1, T0)
    streamed(made, range(16))
    assert compared(made) >= set(range(-10, 0))


@pytest.mark.parametrize("off_s", [0, 8_000_000])
def test_the_first_audit_reads_what_was_known_however_long_nobody_ran(off_s: int) -> None:
    """What was closed last, before the process ended, may never have been compared (seed 2128)."""
    before = case(polled=False, origin=-10_000, page_rows=10)
    before.ledger.frontier_ns = T0 - 3_000 * MINUTE_NS
    asking = Asking(before.ledger, ahead(0, off_s), random.Random(1), backoff=Backoff(), streamed=True)
    made = Case(asking, before.ledger)
    made.run(0, 1)
    healed, made.asked[:] = len(made.asked), []
    assert healed >= 300
    made.ledger.subscribed(1, T0)
    streamed(made, range(30))
    assert compared(made) >= {*range(-3_020, -3_000), *range(-20, 10)}
    assert len(made.asked) < 20, "what came from history a moment ago is not read again"


def test_an_audit_by_a_clock_that_is_an_hour_ahead_leaves_nothing_to_no_audit() -> None:
    made = case(polled=False, page_rows=10)
    made.ledger.subscribed(1, T0)
    streamed(made, range(30))
    moment = ahead(30 * 60.0, 7_200.0)
    audit = made.asking._audit
    audit.due_s = moment.s
    while audit.due_s <= moment.s:
        audit.next(moment.ns, moment)
    made.asked.clear()
    streamed(made, range(30, 75))
    assert compared(made) >= set(range(25, 45)), "what was closed just before, and what came then"


def compared(made: Case) -> set[int]:
    return {minute for _, since, until in made.asked for minute in range(since, until)}


@pytest.mark.parametrize("lives", [False, True])
def test_a_series_that_is_polled_as_its_stream_is_not_trusted_is_audited(*, lives: bool) -> None:
    """Its connections may never live for a whole bucket, so that it is never trusted again (seed 2225)."""
    made = case(polled=False)
    made.asking.polled = True
    if lives:
        made.ledger.subscribed(1, T0)
    made.run(60.0 + WAIT_S, 3_600.0)
    for minute in range(30):
        asked = [at_s for at_s, since, until in made.asked if since <= minute < until]
        assert any(60.0 * (minute + 3) < at_s <= 60.0 * (minute + 3) + 1.5 * AUDIT_S for at_s in asked)
    assert 60 <= len(made.asked) <= 60 + 2 * 3_600 / AUDIT_S, "and little more is asked than by polls alone"


def test_an_audit_takes_as_many_pages_as_it_needs() -> None:
    """Nothing is compared while nobody asks, and a venue may change many pages meanwhile (seed 11)."""
    made = case(polled=False, page_rows=10)
    made.ledger.subscribed(1, T0)
    made.asking.polled = True
    streamed(made, range(100), run=False)
    made.asking.polled = False
    streamed(made, range(100, 125))
    assert compared(made) >= set(range(100))
    assert all(until - since <= 10 for _, since, until in made.asked)


def test_an_audit_that_fails_is_made_good() -> None:
    made = case(polled=False, page_rows=10)
    made.ledger.subscribed(1, T0)
    streamed(made, range(30))
    made.asked.clear()
    made.away = True
    streamed(made, range(30, 60))
    assert made.asked
    assert len(made.asked) < 60, "and meanwhile it is asked for ever more rarely"
    made.asked.clear()
    made.away = False
    streamed(made, range(60, 70))
    assert compared(made) >= set(range(30, 60))


def test_an_audit_that_gave_way_is_asked_for_again_at_once_and_leaves_nothing_out() -> None:
    made = case(polled=False, page_rows=10)
    made.ledger.subscribed(1, T0)
    for minute in range(60):
        streamed(made, range(minute, minute + 1), run=False)
        at_s = 60.0 * (minute + 1)
        want = made.asking.next(now(at_s))
        if want is not None:
            made.asking.gave_way(want, now(at_s))
            assert want == made.asking.next(now(at_s)), "nothing else was due"
            made.answer(want, at_s)
        made.ask(at_s)
    assert len(made.asked) > 6
    assert compared(made) >= set(range(45))


def test_what_can_wait_waits_until_the_next_bucket_has_ended_and_settled() -> None:
    made = case()
    made.ask(60 + WAIT_S)
    assert now(120 + WAIT_S).s == pytest.approx(made.asking.urgent_s(now(70)))


def test_what_can_wait_waits_until_what_was_asked_for_too_soon_may_be_asked_for_again() -> None:
    made = case()
    made.known_until = 0
    made.ask(60 + WAIT_S)
    again_s = made.asking.urgent_s(now(60 + WAIT_S)) - now(0).s
    assert 60 + WAIT_S < again_s < 60 + WAIT_S + 10
    made.known_until = 2**40
    made.ask(again_s - 0.1)
    assert made.ledger.frontier_ns == T0
    made.ask(again_s)
    assert made.ledger.frontier_ns == T0 + MINUTE_NS


def test_a_row_that_an_audit_could_not_read_is_where_the_next_one_begins() -> None:
    """A venue changed the bucket meanwhile, and pages are shorter than two audits apart (seed 17)."""
    made = case(polled=False, page_rows=10)
    made.ledger.subscribed(1, T0)
    made.broken = {12, 39}
    streamed(made, range(45))
    assert {12, 39} <= compared(made)
    audited = made.asked[-1][0]
    made.asked.clear()
    made.broken = set()
    streamed(made, range(45, 75))
    assert {12, 39} <= compared(made)
    assert made.asked[0][0] - audited <= 1.5 * AUDIT_S + 60, "no sooner than it is due: it is one row"


def test_a_page_of_bad_rows_is_not_asked_for_bucket_by_bucket() -> None:
    """Every other row of eight hours breaks the laws: that is one page, not 240 (seed 2493)."""
    made = case(origin=-480, page_rows=720)
    made.broken = set(range(-479, 0, 2))
    made.run(60 + WAIT_S, 120)
    assert made.asked_within(0, 120) <= 12
    made.broken = set()
    made.run(120, 6 * 3_600)
    assert not made.ledger.holes, "each is healed, by and by"


def test_a_row_that_can_never_be_read_is_left_alone_in_the_end() -> None:
    made = case(polled=False, page_rows=10)
    made.ledger.subscribed(1, T0)
    made.broken = {12}
    streamed(made, range(300))
    tries = [at_s for at_s, since, until in made.asked if since <= 12 < until]
    assert 3 <= len(tries) <= 2 * UNREADABLE_AUDITS + 1
    assert tries[-1] <= (UNREADABLE_AUDITS + 1) * AUDIT_S + 13 * 60
    assert compared(made) >= set(range(270))


def test_what_time_alone_proves_empty_second_by_second_is_not_asked_for_each_second() -> None:
    """Nobody knows where buckets open before the first session; what is young proves nothing (seed 2134)."""
    made = case(grid=Session())
    made.ledger.frontier_ns = T0
    made.ledger.reach_back(T0 - 30 * MINUTE_NS)
    asked: list[float] = []
    at_s = 60.0
    while at_s < 660.0:
        want = made.asking.next(now(at_s))
        if want is not None and not want.live and not want.first:
            asked.append(at_s)
        if want is not None:
            proven_ns = min(now(at_s).ns - 20 * MINUTE_NS, want.until_ns)
            page = Page(candles=[], covered=(want.since_ns, max(proven_ns, want.since_ns)))
            before = made.ledger.progress
            made.ledger.page(page, want, now(at_s).ns, route=Rung.POLL)
            forward = made.ledger.progress != before
            made.asking.answered(want, now(at_s).ns, now(at_s), forward=forward)
        at_s = max(at_s + 0.5, (made.asking.wake_ns(now(at_s)) - T0) / SECOND_NS)
    assert 10 <= len(asked) <= 70, "some tries for each minute that is proven"


@pytest.mark.parametrize("timeframe", ["1h", "1d"])
def test_the_bucket_that_runs_when_the_past_of_a_young_series_is_wanted_is_asked_for_once_it_is_over(
    timeframe: str,
) -> None:
    """The series begins with the next bucket, so that one lies behind its frontier (seed 4179)."""
    made = case(origin=27, timeframe=timeframe)
    ledger = made.ledger
    size_ns = ledger.buckets.size_ns
    opens_ns = ledger.frontier_ns - size_ns
    ledger.reach_back(opens_ns - size_ns)
    asked: list[tuple[int, int]] = []
    at_s = 27 * 60.0
    while now(at_s).ns < ledger.frontier_ns + 60 * SECOND_NS:
        want = made.asking.next(now(at_s))
        if want is not None and not want.first and not want.known:
            asked.append(((want.since_ns - opens_ns) // size_ns, (want.until_ns - opens_ns) // size_ns))
        if want is not None:
            over_ns = min(want.until_ns, ledger.buckets.over_at(now(at_s).ns))
            page = Page(candles=[], covered=(want.since_ns, max(want.since_ns, over_ns)))
            before = ledger.progress
            ledger.page(page, want, now(at_s).ns, route=Rung.POLL)
            forward = ledger.progress != before
            made.asking.answered(want, now(at_s).ns, now(at_s), forward=forward)
        at_s = max(at_s + 0.5, (made.asking.wake_ns(now(at_s)) - T0) / SECOND_NS)

    assert [(-1, 0), (0, 1)] == asked
    assert not ledger.holes


@attrs.frozen
class TwoSessions:
    """Ten minutes from T0 on, and again a day later."""

    name: str = "two sessions"

    def sessions(self, since_ns: int, until_ns: int) -> list[tuple[int, int]]:
        known = [(ns, ns + 10 * MINUTE_NS) for ns in (T0, T0 + DAY_NS)]
        return [(opens, ends) for opens, ends in known if opens < until_ns and ends > since_ns]


@pytest.mark.parametrize("away_s", [0.0, 4_000.0])
def test_what_history_left_out_at_the_end_of_a_session_is_compared_within_the_rest(away_s: float) -> None:
    """Its venue may be late for half an hour, and no other candle closes before the next session."""
    made = case()
    made.ledger.buckets.calendar = TwoSessions()
    at_s = 600.0 + WAIT_S
    want = made.asking.next(now(at_s))
    assert want is not None
    made.ledger.page(Page(candles=[], covered=(T0, T0 + 10 * MINUTE_NS)), want, now(at_s).ns, route=Rung.POLL)
    made.asking.answered(want, now(at_s).ns, now(at_s), forward=True)
    while at_s < 6 * 3_600.0:  # then it looks whether the calendar is right
        made.away = at_s < away_s
        made.ask(at_s)
        at_s = (made.asking.wake_ns(now(at_s)) - T0) / SECOND_NS
    audits = [asked for asked in made.asked if asked[0] >= away_s]
    assert {(0, 10)} == {asked[1:] for asked in audits}
    assert len(audits) <= 2, "once when that is over, and once before it where an audit is due then"
    assert 600 + LATE_S <= audits[-1][0] <= 600 + LATE_S + 1.5 * AUDIT_POLLED_S + WAIT_S
    assert made.ledger.closes.at(T0) is not None


def test_each_candle_of_a_stream_on_trial_is_compared_once() -> None:
    made = case(polled=False)
    made.asking.polled = True
    made.ledger.subscribed(1, T0)
    for minute in range(3):
        made.ledger.row(row(minute))
        made.ledger.row(row(minute + 1))
        made.ledger.take()
        made.ask(60.0 * (minute + 1) + WAIT_S)
        made.ask(60.0 * (minute + 1) + WAIT_S + 10)
    assert [(0, 1), (1, 2), (2, 3)] == [asked[1:] for asked in made.asked]


def test_what_could_not_be_asked_of_a_stream_on_trial_is_compared_with_the_next_candle() -> None:
    made = case(polled=False)
    made.asking.polled = True
    made.ledger.subscribed(1, T0)
    for minute in range(4):
        made.away = minute == 1
        made.ledger.row(row(minute))
        made.ledger.row(row(minute + 1))
        made.ledger.take()
        made.ask(60.0 * (minute + 1) + WAIT_S)
    assert [(0, 1), (1, 2), (1, 3), (3, 4)] == [asked[1:] for asked in made.asked]


def test_what_was_compared_before_it_had_settled_is_compared_with_the_next_candle() -> None:
    """Our clock is a little ahead: the rows were no more than the venue's first word (seed 1084)."""
    made = case(polled=False)
    made.asking.polled = True
    made.ledger.subscribed(1, T0)
    for minute in range(4):
        made.ahead_s = 4.0 if minute == 1 else 0.0
        made.ledger.row(row(minute))
        made.ledger.row(row(minute + 1))
        made.ledger.take()
        made.ask(60.0 * (minute + 1) + WAIT_S)
        made.ask(60.0 * (minute + 1) + WAIT_S + 10)
    assert [(0, 1), (1, 2), (1, 3), (3, 4)] == [asked[1:] for asked in made.asked]


def test_a_stream_is_on_trial_also_after_our_clock_was_ahead() -> None:
    """What was asked by that clock reaches far beyond what there is, and nothing of it was compared."""
    made = case(polled=False)
    made.asking.polled, made.known_until = True, 3
    made.ask(1_800.0 + 3 * 60 + WAIT_S)
    assert made.ledger.frontier_ns == T0 + 3 * MINUTE_NS
    made.known_until = 2**40
    made.ledger.subscribed(1, T0 + 3 * MINUTE_NS)
    for minute in range(3, 6):
        made.ledger.row(row(minute))
        made.ledger.row(row(minute + 1))
        made.ledger.take()
        made.asking.anew()  # the clock is right again, and so are the waits
        made.ask(60.0 * (minute + 1) + WAIT_S)
    assert [(3, 4), (4, 5), (5, 6)] == [asked[1:] for asked in made.asked][-3:]


# --------------------------------------------------------------------------------------- what came of it


def test_what_the_venue_does_not_have_yet_is_asked_for_soon_and_then_once_a_bucket() -> None:
    made = case()
    made.known_until = 0
    made.run(0, 1_800)
    first = 60 + WAIT_S
    assert EARLY_ASKS <= made.asked_within(first, first + 20) <= EARLY_ASKS + 2
    assert made.asked_within(600, 1_200) <= 11


def test_what_was_asked_a_moment_too_early_is_asked_again_in_a_moment_each_time() -> None:
    """The venue's time as it is known may lag by some milliseconds for hours, and the venue is not late."""
    made = case(polled=False)
    lag_s = 0.05
    for minute in range(2 * EARLY_ASKS):
        made.ledger.subscribed(minute + 1, T0)
        made.ledger.row(row(minute))
        at_s = 60.0 * (minute + 1) + WAIT_S
        want = made.asking.next(now(at_s))
        assert want is not None
        made.asking.answered(want, now(at_s - MARGIN_S - lag_s).ns, now(at_s), forward=False)
        assert made.asking.next(now(at_s)) is None
        wake_s = (made.asking.wake_ns(now(at_s)) - T0) / SECOND_NS
        assert 0 < wake_s - at_s < 3 * lag_s
        assert made.asking.next(now(wake_s)) == want
        made.ledger.row(row(minute + 1))  # the stream is quicker
        made.ledger.take()


@pytest.mark.parametrize("early_s", [1.5, 4.0, 8.0])
def test_what_was_asked_too_early_is_asked_again_when_it_can_have_settled(early_s: float) -> None:
    """And not before, in vain."""
    made = case()
    at_s = 60.0 + WAIT_S
    want = made.asking.next(now(at_s))
    assert want is not None
    made.asking.answered(want, now(at_s - MARGIN_S - early_s).ns, now(at_s), forward=False)
    wake_s = (made.asking.wake_ns(now(at_s)) - T0) / SECOND_NS
    assert wake_s - at_s == pytest.approx(early_s)
    assert made.asking.next(now(wake_s)) == want


@pytest.mark.parametrize(
    ("over_stream", "timeframe", "most_s"), [(True, "5m", 12.0), (True, "1m", 12.0), (False, "1m", 0.0)]
)
def test_history_over_a_stream_is_looked_at_sooner_by_lot(
    over_stream: bool,  # noqa: FBT001 - a table
    timeframe: str,
    most_s: float,
) -> None:
    """It shows what time it is by rows of a new bucket: always at the same place, that tells little."""
    made = case(timeframe=timeframe)
    made.ledger.support = attrs.evolve(SUPPORT, over_stream=over_stream)
    size_s, after_s = made.ledger.buckets.size_ns / SECOND_NS, []
    for number in range(1, 40):
        at_s = number * size_s
        sooner_s = made.asking.wait_ns() / SECOND_NS
        after_s.append(sooner_s)
        want = made.asking.next(now(at_s + WAIT_S))
        assert want is not None
        page = Page(candles=(), covered=(want.since_ns, want.until_ns))
        made.ledger.page(page, want, now(at_s + WAIT_S).ns, route=Rung.POLL)
        made.asking.answered(want, now(at_s + WAIT_S).ns, now(at_s + WAIT_S), forward=True)

    assert WAIT_S - most_s <= min(after_s) <= max(after_s) <= WAIT_S
    assert max(after_s) - min(after_s) >= most_s / 2


def test_what_was_asked_by_a_clock_that_is_ahead_is_asked_again_when_it_ends_by_the_venues() -> None:
    """Also where the clock is set right meanwhile: a wait until its next end would be far too long."""
    made = case(timeframe="1h")
    ahead_s = 4_000.0

    def later(venue_s: float) -> Moment:
        return Moment(now(venue_s + ahead_s).ns, now(venue_s).s)

    asked = [3_000.0]
    while asked[-1] < 3_700.0:
        moment = later(asked[-1])
        want = made.asking.next(moment)
        assert want is not None
        nothing = Page(candles=(), covered=(want.since_ns, want.until_ns))
        made.ledger.page(nothing, want, now(asked[-1]).ns, route=Rung.POLL)
        made.asking.answered(want, now(asked[-1]).ns, moment, forward=made.ledger.frontier_ns > T0)
        if made.ledger.frontier_ns > T0:
            break
        asked.append((made.asking.wake_ns(moment) - T0) / SECOND_NS - ahead_s)

    assert 3_600 + WAIT_S <= asked[-1] <= 3_600 + WAIT_S + 2, "as soon as it is over by the venue's clock"
    assert len(asked) <= EARLY_ASKS + 4


def test_a_new_hole_is_asked_for_at_once_and_an_old_one_ever_more_rarely() -> None:
    made = case()
    made.broken = {5}
    made.run(0, 4 * 3_600)
    tries = [at_s for at_s, since, until in made.asked if since <= 5 < until <= 9]
    assert len(tries) > 5
    assert 60 <= made.asked_within(3 * 3_600, 4 * 3_600) <= 66

    made.ledger.holes = [*made.ledger.holes, Hole(T0 + 230 * MINUTE_NS, T0 + 232 * MINUTE_NS)]
    made.ask(4 * 3_600 + 30)
    assert (230, 232) == made.asked[-1][1:]


def test_what_is_older_is_healed_although_what_is_newer_never_can_be() -> None:
    made = case(origin=-300)
    made.broken = {-10, -100}
    made.run(0, 600)
    left = [
        ((hole.since_ns - T0) // MINUTE_NS, (hole.until_ns - T0) // MINUTE_NS)
        for hole in made.ledger.holes
        if hole.kind is HoleKind.MISSING
    ]
    assert [(-100, -99), (-10, -9)] == left


def test_the_schedule_begins_anew_when_somebody_wants_it_now() -> None:
    made = case()
    made.broken = {0}
    made.run(0, 3 * 3_600)
    made.ask(3 * 3_600 + 20)
    before = len(made.asked)
    made.ask(3 * 3_600 + 20)
    assert before == len(made.asked)
    made.asking.anew()
    made.ask(3 * 3_600 + 20)
    assert before < len(made.asked)


def test_a_venue_that_is_away_is_asked_by_the_backoff_and_found_again() -> None:
    made = case()
    made.away = True
    made.run(0, 3_600)
    assert (made.asking.retrying, []) == (True, made.ledger.holes)
    assert made.asked_within(1_800, 3_600) <= 2 * 1_800 / 30, "jitter under a ceiling of 60 s"
    made.away = False
    made.run(3_600, 3_800)
    assert (made.asking.retrying, []) == (False, made.ledger.holes)
    assert made.ledger.frontier_ns == T0 + 63 * MINUTE_NS


def test_history_is_left_alone_while_the_store_takes_nothing() -> None:
    made = case(origin=-2_000)
    for minute in range(-2_000, -2_000 + TAIL + 1):
        made.ledger.page(
            Page(candles=[row(minute)], covered=(T0 + minute * MINUTE_NS, T0 + (minute + 1) * MINUTE_NS)),
            Want(T0 + minute * MINUTE_NS, T0 + (minute + 1) * MINUTE_NS, "test"),
            T0,
            route=Rung.POLL,
        )
    assert made.asking.next(now(0)) is None
    assert T0 + round(HOLD_S * SECOND_NS) <= made.asking.wake_ns(now(0))
    made.ledger.take()
    assert made.asking.next(now(HOLD_S)) is not None


def test_history_on_another_scale_is_read_again_by_pages_and_after_a_failure_later() -> None:
    made = case()
    made.run(0, 6_000)
    scale = made.ledger.rescaling
    scale.since_ns, scale.until_ns = T0, made.ledger.frontier_ns
    made.away = True
    made.ask(6_000)
    assert made.asked_within(6_000, 6_001) == 1
    assert made.asking.wake_ns(now(6_000)) <= now(6_070).ns
    made.away = False
    made.run(6_000, 6_200)
    assert not scale.pending
    assert {(0, 39), (39, 99)} <= {(since, until) for _, since, until in made.asked}


# ------------------------------------------------------------------------------------------- in any case


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    broken=st.sets(st.integers(-400, 60), max_size=6),
    spells=st.lists(st.sampled_from(["good", "late", "away"]), min_size=1, max_size=6),
    polled=st.booleans(),
)
def test_whatever_the_venue_does_it_is_not_hammered_and_all_that_can_be_had_is(
    *, seed: int, broken: set[int], spells: list[str], polled: bool
) -> None:
    made = case(polled=polled, seed=seed, origin=-400)
    made.broken = broken
    for number, spell in enumerate([*spells, "good", "good"]):
        made.away = spell == "away"
        made.known_until = 10 * number - 3 if spell == "late" else 2**40
        made.run(600.0 * number, 600.0 * (number + 1) - 1)
    over = len(spells) + 2
    lost = {minute for minute in broken if minute < 10 * over}
    holes = made.ledger.holes
    assert lost >= {
        minute
        for hole in holes
        for minute in range((hole.since_ns - T0) // MINUTE_NS, (hole.until_ns - T0) // MINUTE_NS)
    }
    assert made.ledger.frontier_ns >= T0 + (10 * over - 2) * MINUTE_NS
    minutes = 10 * over
    pages = 400 / SUPPORT.page_rows + 1
    assert len(made.asked) <= 5 * minutes + 2 * pages + 20 * len(broken)


@pytest.mark.parametrize("rows", [10, 5_000])
def test_no_question_is_longer_than_a_page(rows: int) -> None:
    made = case(origin=-3_000, page_rows=rows)
    made.run(0, 600)
    assert made.asked
    assert all(until - since <= rows for _, since, until in made.asked)


@pytest.mark.parametrize("polled", [True, False])
def test_while_rest_is_away_a_series_waits_until_it_is_called(*, polled: bool) -> None:
    """Nothing was asked, so nothing failed: its own schedule begins where it was."""
    asked = case(polled=polled)
    away = RestAway("scripted: REST is away", retry_after_s=5.0)
    want = asked.asking.next(now(60 + WAIT_S))
    assert want is not None
    assert 0 == asked.asking.failed(want, away, now(60 + WAIT_S)).attempt
    assert asked.asking.retrying, "whoever waits for the series to be whole waits on"
    assert asked.asking.next(now(60 + WAIT_S + CALLED_S - 1)) is None
    assert asked.asking.again()
    assert want == asked.asking.next(now(60 + WAIT_S + CALLED_S - 1))
    assert not asked.asking.again(), "once"


def test_what_lies_behind_waits_for_the_venue_too() -> None:
    made = case()
    made.ledger.reach_back(T0 - 5 * MINUTE_NS)
    want = made.asking.next(now(1))
    assert want is not None
    assert not want.live
    made.asking.failed(want, RestAway("scripted: REST is away", retry_after_s=5.0), now(1))
    assert made.asking.next(now(2)) is None, "however often it is asked what to do"
    assert made.asking.again()
    assert made.asking.next(now(2)) is not None


@given(st.sets(st.integers(0, 90), min_size=2, max_size=6))
@settings(deadline=None)
def test_of_several_holes_the_newest_page_is_healed_first(opens: set[int]) -> None:
    """A page costs a request however many of them it heals."""
    made = case()
    made.ask(300 * 60.0)
    left = [3 * number for number in sorted(opens)]
    made.ledger.holes = [Hole(T0 + minute * MINUTE_NS, T0 + (minute + 1) * MINUTE_NS) for minute in left]
    made.asked.clear()
    made.ask(300 * 60.0 + 1.0)
    for _, since, until in made.asked:
        assert until == left[-1] + 1
        page = [minute for minute in left if minute >= until - SUPPORT.page_rows]
        assert since == page[0]
        left = left[: -len(page)]
    assert not left
    assert not made.ledger.holes

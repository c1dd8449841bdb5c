"""The ledger: what closes a candle, what is missing, and what history is asked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from wickwire.conversation import BadRow, Page, Stopped
from wickwire.description import OhlcvSupport
from wickwire.laws import broken_law
from wickwire.ledger import Ledger, Want
from wickwire.model import (
    MINUTE_NS,
    SECOND_NS,
    Candle,
    Evidence,
    Finality,
    Hole,
    HoleKind,
    Rung,
    Series,
    Timeframe,
    Unknown,
    Utc,
)
from wickwire.model import Session as GridSession
from wickwire.store import TAIL, Closing, Loaded, SeriesState, Verdict, judge, settled
from wickwire.wants import known_from, lacking, overdue

MINUTE = Timeframe.parse("1m")
SERIES = Series.parse("kraken:BTC/USD@1m")
SUPPORT = OhlcvSupport(stream=True, rest=True, grid=Utc(), settle_s=5.0, grace_s=5.0, page_rows=720)
T0 = 1_795_237_200 * SECOND_NS  # 2026-11-21T05:00:00Z


def at(minute: int) -> int:
    return T0 + minute * MINUTE_NS


def row(minute: int, close: int = 100, **changes: Any) -> Candle:
    price = Decimal(close)
    values: dict[str, Any] = {
        "symbol": "BTC/USD",
        "timeframe": MINUTE,
        "open_ns": at(minute),
        "close_ns": at(minute + 1),
        "open": price,
        "high": price,
        "low": price,
        "close": price,
        "volume": Decimal(1),
    }
    return Candle(**(values | changes))


def changed(candle: Any, **changes: Any) -> Candle:
    """Return *candle* with other values; mypy does not know that events are attrs classes."""
    new: Candle = attrs.evolve(candle, **changes)
    return new


def ledger(origin: int = 0, *, subscribed: bool = True, **changes: Any) -> Ledger:
    support = attrs.evolve(SUPPORT, **changes)
    made = Ledger.start(SERIES, support, None, at(origin))
    if subscribed:
        made.subscribed(1, at(origin))
    made.take()
    return made


def closed(made: Ledger) -> list[tuple[int, Evidence]]:
    """What is to be committed: minute and evidence."""
    return [
        ((closing.candle.open_ns - T0) // MINUTE_NS, closing.evidence) for closing in made.take().closings
    ]


def history(made: Ledger, *rows: Candle, since: int, until: int, as_of_s: float, **changes: Any) -> Any:
    page = Page(candles=rows, covered=(at(since), at(until)), **changes)
    want = Want(at(since), at(until), "test")
    return made.page(page, want, T0 + round(as_of_s * SECOND_NS), route=Rung.POLL)


def holes(made: Ledger) -> list[tuple[int, int, HoleKind]]:
    return [
        ((hole.since_ns - T0) // MINUTE_NS, (hole.until_ns - T0) // MINUTE_NS, hole.kind)
        for hole in made.holes
    ]


# ------------------------------------------------------------------------------------------- the stream


def test_a_running_row_closes_nothing() -> None:
    made = ledger()

    assert not made.row(row(0))
    assert not made.row(row(0, 101))
    assert [] == closed(made)


def test_a_row_of_a_later_bucket_closes_the_one_before_with_its_last_values() -> None:
    made = ledger()
    made.row(row(0, 100))
    made.row(row(0, 105))

    assert made.row(row(1))

    [closing] = made.take().closings
    assert (Decimal(105), Evidence.SUCCESSOR) == (closing.candle.close, closing.evidence)


def test_a_doubt_keeps_a_later_row_from_closing_the_one_before() -> None:
    """What came before the doubt may not have been the last word."""
    made = ledger()
    made.row(row(0))
    made.doubt()

    made.row(row(1))

    assert [] == closed(made)
    assert at(0) == made.frontier_ns


def test_a_bucket_that_shrank_is_left_to_history() -> None:
    """An older row came late, or the venue took a trade back: the stream does not say which (F19, F21)."""
    for later in (True, False):
        made = ledger()
        made.row(row(0, 105, volume=Decimal(8)))
        made.row(row(0, 100, volume=Decimal(7)))
        if later:
            made.row(row(1))
        else:
            assert not made.sibling(at(1), at(1) + 5 * SECOND_NS, 5 * SECOND_NS)

        assert [] == closed(made)
        assert {at(0)} == made.doubtful.keys()
        history(made, row(0, 105, volume=Decimal(8)), since=0, until=1, as_of_s=70)
        assert [(0, Evidence.HISTORY)] == closed(made)


def test_a_bucket_that_shrank_is_not_held_against_the_stream() -> None:
    """It brought the row that history holds, though an older one came after it (seed 49)."""
    made = ledger()
    made.subscribed(1, at(0))
    made.row(row(0, 105, volume=Decimal(8)))
    made.row(row(0, 100, volume=Decimal(7)))
    assert [] == history(made, row(0, 105, volume=Decimal(8)), since=0, until=1, as_of_s=70).missed


@pytest.mark.parametrize("later", [False, True])
def test_a_bucket_that_shrank_and_differs_from_history_is_a_contradiction(*, later: bool) -> None:
    """Whether the next one came already says nothing about it: a stream that lies was trusted (seed 2266)."""
    made = ledger()
    made.subscribed(1, at(0))
    for volume in (6, 8, 7, 12):
        made.row(row(0, volume=Decimal(volume)))
    if later:
        made.row(row(1))

    outcome = history(made, row(0, volume=Decimal(6)), since=0, until=1, as_of_s=70)

    assert (at(0), 0, []) == (outcome.contradicted, outcome.agreed, outcome.missed)


@pytest.mark.parametrize("between", [0, 1])
def test_a_bucket_of_which_an_earlier_subscription_brought_more_is_left_to_history(between: int) -> None:
    """The new one begins with an older row of it, which nothing followed before it was over (seed 2010)."""
    made = ledger()
    made.row(row(0, 105, volume=Decimal(8)))
    for epoch in range(2, 3 + between):
        made.lost()
        made.subscribed(epoch, at(0) + epoch * SECOND_NS)
        made.row(row(0, 100, volume=Decimal(4)))
    made.row(row(1))

    assert [] == closed(made)
    assert {at(0)} == made.doubtful.keys()


def test_a_bucket_that_a_new_subscription_brings_as_far_as_the_one_before_is_closed() -> None:
    """What it begins with may be behind what the old one told last; it need not end there."""
    made = ledger()
    made.row(row(0, 105, volume=Decimal(8)))
    made.lost()
    made.subscribed(2, at(0) + 20 * SECOND_NS)
    made.row(row(0, 100, volume=Decimal(4)))
    made.row(row(0, 105, volume=Decimal(8)))
    made.row(row(1))

    assert [(0, Evidence.SUCCESSOR)] == closed(made)


def test_a_row_of_what_a_sibling_closed_is_a_question_to_history_and_forms_nothing() -> None:
    """It may be an older one that came late: the next bucket would close it over the right one (seed 21)."""
    made = ledger()
    made.row(row(0, 105, volume=Decimal(8)))
    made.sibling(at(1), at(1) + 5 * SECOND_NS, 5 * SECOND_NS)

    made.row(row(0, 100, volume=Decimal(4)))
    made.row(row(1))
    made.row(row(2))

    assert [(0, Evidence.SIBLING), (1, Evidence.SUCCESSOR)] == closed(made)
    assert {at(0)} == made.doubtful.keys()


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_row_of_a_bucket_that_was_over_before_the_subscription_is_a_question(*, snapshot: bool) -> None:
    """It is an older one that came late; a snapshot is another matter: it shows all of it (F20, seed 373)."""
    made = ledger(subscribed=False)
    made.subscribed(1, at(1) + SECOND_NS)

    made.row(row(0, 99, snapshot=snapshot))
    made.row(row(1))

    assert closed(made) == ([(0, Evidence.SUCCESSOR)] if snapshot else [])
    assert made.doubtful.keys() == (set() if snapshot else {at(0)})


def test_a_row_of_a_bucket_that_was_over_is_a_question_also_when_it_comes_twice() -> None:
    """Some venues repeat it with each confirmation (seed 1045); another one would go on."""
    made = ledger(subscribed=False)
    made.subscribed(1, at(1) + SECOND_NS)
    made.row(row(0, 99))
    made.row(row(0, 99))
    made.row(row(1))
    assert [] == closed(made)
    assert made.doubtful.keys() == {at(0)}


@pytest.mark.parametrize("before", [False, True], ids=["nothing formed", "an older one formed"])
@pytest.mark.parametrize("snapshot", [True, False])
def test_what_a_connection_recalls_that_it_goes_on_over_is_a_question(
    *, before: bool, snapshot: bool
) -> None:
    """Some venues begin with the bar before, as it was in its middle (seed 2173)."""
    made = ledger()
    if before:
        made.row(row(0, 98))
    made.moved(at(2) + SECOND_NS)

    made.row(row(1, 99, snapshot=snapshot))
    made.row(row(2))

    first = [(0, Evidence.SNAPSHOT if snapshot else Evidence.SUCCESSOR)] if before else []
    assert closed(made) == first + ([(1, Evidence.SUCCESSOR)] if snapshot else [])
    assert made.doubtful.keys() == (set() if snapshot else {at(1)})


def test_what_a_connection_recalls_is_no_question_once_it_is_subscribed_anew() -> None:
    made = ledger()
    made.moved(at(9))
    made.subscribed(2, at(0))

    made.row(row(0, 99))
    made.row(row(1))

    assert [(0, Evidence.SUCCESSOR)] == closed(made)


def test_a_flood_of_what_was_over_before_the_subscription_is_closed() -> None:
    """All of it is late, and goes on where it began: history may not reach so far back."""
    made = ledger(subscribed=False)
    made.subscribed(1, at(9))

    for minute in range(3):
        made.row(row(minute, 99))
        made.row(row(minute, 100))

    assert [(0, Evidence.SUCCESSOR), (1, Evidence.SUCCESSOR)] == closed(made)


def test_rows_of_what_history_does_not_reach_close_it_all_the_same() -> None:
    """A stream that tells the past brings what nobody else does: a flood of recorded frames, for example."""
    made = ledger()
    made.out_of_reach(at(5))

    for minute in range(4):
        made.row(row(minute))

    assert [0, 1, 2] == [minute for minute, _ in closed(made)]


def test_a_row_that_comes_when_its_bucket_is_over_settles_no_doubt() -> None:
    """After a reconnect: it may have been sent before rows that were lost (seed 234)."""
    made = ledger()
    made.row(row(0, 105, volume=Decimal(8)))
    made.doubt()

    assert made.late(row(0, 100, volume=Decimal(4)))

    assert made.forming is None
    assert {at(0)} == made.doubtful.keys()
    assert not made.late(row(0, finality=Finality.CLOSED)), "that says itself that it is the last"
    assert not made.late(row(0, snapshot=True))
    assert not ledger(rest=False).late(row(0))


def test_where_there_is_no_history_the_last_row_counts_though_its_bucket_shrank() -> None:
    made = ledger(rest=False)
    made.row(row(0, 105, volume=Decimal(8)))
    made.row(row(0, 100, volume=Decimal(7)))

    made.row(row(1))

    assert [(0, Evidence.SUCCESSOR)] == closed(made)


def test_rows_after_the_doubt_are_trusted_again() -> None:
    made = ledger()
    made.row(row(0))
    made.doubt()
    made.row(row(0, 101))

    made.row(row(1))

    assert [(0, Evidence.SUCCESSOR)] == closed(made)


def test_a_new_subscription_does_not_close_what_the_old_one_left_running() -> None:
    made = ledger()
    made.row(row(0))
    made.lost()
    made.subscribed(2, at(1))

    made.row(row(1))

    assert [] == closed(made)


def test_a_snapshot_closes_all_but_its_newest_row() -> None:
    made = ledger()

    for minute in (0, 1, 2):
        made.row(row(minute, snapshot=True))

    assert [(0, Evidence.SNAPSHOT), (1, Evidence.SNAPSHOT)] == closed(made)


def test_a_snapshot_that_comes_newest_first_means_the_same() -> None:
    made = ledger()

    for minute in (2, 1, 0):
        made.row(row(minute, snapshot=True))

    assert {(0, Evidence.SNAPSHOT), (1, Evidence.SNAPSHOT)} == set(closed(made))
    assert [] == holes(made)


def test_the_venues_own_flag_closes_at_once() -> None:
    made = ledger()

    made.row(row(0, finality=Finality.CLOSED))

    assert [(0, Evidence.VENUE)] == closed(made)


def test_buckets_that_a_stream_skips_are_a_hole_committed_with_the_close() -> None:
    made = ledger()
    made.row(row(0))
    made.row(row(3))
    made.row(row(4))

    change = made.take()

    assert [0, 3] == [(closing.candle.open_ns - T0) // MINUTE_NS for closing in change.closings]
    assert (Hole(at(1), at(3), HoleKind.MISSING),) == change.state.holes
    assert at(4) == change.state.frontier_ns


def test_on_an_unknown_grid_a_skip_is_unknown_not_missing() -> None:
    made = ledger(grid=Unknown())
    made.row(row(0))
    made.row(row(3))
    made.row(row(4))

    assert [(1, 3, HoleKind.UNKNOWN)] == holes(made)


def test_a_sibling_closes_a_row_whose_own_topic_is_quiet() -> None:
    made = ledger()
    made.row(row(0))

    assert not made.sibling(at(1), at(1), 5 * SECOND_NS), "grace is not over"
    assert not made.sibling(at(1) - 1, at(1) + 6 * SECOND_NS, 5 * SECOND_NS), "nobody moved past the end"
    assert made.sibling(at(1), at(1) + 5 * SECOND_NS, 5 * SECOND_NS)
    assert [(0, Evidence.SIBLING)] == closed(made)


def test_what_a_sibling_closed_before_a_missed_bucket_is_asked_for_again() -> None:
    """The stream was silent already then, it may be: nobody knows since when (F3)."""
    made = ledger()
    for minute in range(3):
        made.row(row(minute))
        made.sibling(at(minute + 1), at(minute + 1) + 5 * SECOND_NS, 5 * SECOND_NS)

    outcome = history(made, row(3), since=3, until=4, as_of_s=250)
    assert [at(3)] == outcome.missed
    made.doubt_siblings(at(3))

    assert {at(1), at(2)} == made.doubtful.keys(), "as many as may be empty by accident, and one"
    history(made, row(1), row(2, 101), since=1, until=3, as_of_s=260)
    assert not made.doubtful
    assert Decimal(101) == made.take().closings[-1].candle.close


@pytest.mark.parametrize("ends", ["lost", "doubt"])
def test_what_a_sibling_closed_is_asked_for_again_when_nothing_came_until_the_stream_ended(ends: str) -> None:
    """Was it quiet, or silent? The next subscription is no witness of this one (seed 205)."""
    made = ledger()
    made.row(row(0))
    made.sibling(at(1), at(1) + 5 * SECOND_NS, 5 * SECOND_NS)

    getattr(made, ends)()

    assert {at(0)} == made.doubtful.keys()


@pytest.mark.parametrize("evidence", list(Evidence))
def test_what_a_sibling_closed_last_before_the_end_of_a_process_is_asked_for_again(
    evidence: Evidence,
) -> None:
    state = SeriesState(series=SERIES, origin_ns=at(0), frontier_ns=at(1), holes=())
    tail = [settled(SERIES, Closing(row(0), evidence, Rung.STREAM), None, 1)]

    made = Ledger.start(SERIES, SUPPORT, Loaded(state=state, tail=tail), at(0))

    assert made.doubtful.keys() == ({at(0)} if evidence is Evidence.SIBLING else set())


@pytest.mark.parametrize("law", [True, False])
def test_a_row_that_cannot_be_read_settles_no_doubt(*, law: bool) -> None:
    made = ledger()
    made.row(row(0))
    made.sibling(at(1), at(1) + 5 * SECOND_NS, 5 * SECOND_NS)
    made.doubt_siblings(at(1))

    if law:
        history(made, row(0, high=Decimal(1)), since=0, until=1, as_of_s=70)
    else:
        history(made, since=0, until=1, as_of_s=70, bad_rows=[BadRow(at(0), at(1), "no number")])

    assert made.doubtful.keys() == {at(0)}
    assert not made.holes


def test_a_row_that_breaks_a_law_is_counted_and_never_closed() -> None:
    made = ledger()
    made.row(row(0, high=Decimal(1)))
    made.row(row(1))

    assert [] == closed(made)
    assert 1 == made.refused
    assert "outside low" in made.last_refusal


def test_a_row_of_a_bucket_that_is_over_is_a_question_to_history() -> None:
    """Kraken never re-sends a closed bucket; if one comes all the same, history decides."""
    made = ledger()
    made.row(row(0))
    made.row(row(1))
    closed(made)

    made.row(row(0, 99))

    assert [] == closed(made)
    want = lacking(made, at(2))
    assert want is not None
    assert (at(0), at(1)) == (want.since_ns, want.until_ns)


def test_rows_from_before_the_origin_are_not_collected() -> None:
    made = ledger(origin=5)

    for minute in (2, 3, 4, 5, 6):
        made.row(row(minute, snapshot=True))

    assert [(5, Evidence.SNAPSHOT)] == closed(made)
    assert [] == holes(made)


# ------------------------------------------------------------------------------------------- history


def test_history_closes_what_ended_before_the_settling_time_and_nothing_else() -> None:
    made = ledger()

    history(made, row(0), row(1), row(2), since=0, until=3, as_of_s=2 * 60 + 5)

    assert [(0, Evidence.HISTORY), (1, Evidence.HISTORY)] == closed(made)
    assert at(2) == made.frontier_ns


def test_a_forming_row_of_history_is_never_closed_however_late_it_is() -> None:
    made = ledger()

    history(made, row(0, finality=Finality.FORMING), since=0, until=1, as_of_s=3_600)

    assert [] == closed(made)
    assert at(0) == made.frontier_ns


def test_a_bucket_that_history_covers_without_a_candle_is_proven_empty() -> None:
    made = ledger()
    made.row(row(0))
    made.row(row(3))
    made.row(row(4))
    assert [(1, 3, HoleKind.MISSING)] == holes(made)

    history(made, since=1, until=3, as_of_s=600)

    assert [] == holes(made)


def test_a_candle_that_comes_after_its_bucket_was_proven_empty_is_a_first_close() -> None:
    made = ledger()
    history(made, since=0, until=3, as_of_s=600)

    history(made, row(1), since=0, until=3, as_of_s=900)

    [closing] = made.take().closings
    assert closing.healed


def test_history_beyond_the_frontier_leaves_a_hole_before_it() -> None:
    made = ledger()

    history(made, row(5), since=5, until=6, as_of_s=600)

    assert [(0, 5, HoleKind.MISSING)] == holes(made)
    assert at(6) == made.frontier_ns


def test_what_the_venue_no_longer_has_is_unreachable_and_not_asked_again() -> None:
    made = ledger()

    page = Page(candles=[row(5)], covered=(at(5), at(6)), stopped=Stopped.VENUE_LIMIT)
    made.page(page, Want(at(0), at(6), "test"), at(10), route=Rung.POLL)

    assert [(0, 5, HoleKind.UNREACHABLE)] == holes(made)
    assert lacking(made, at(10)) is None


def test_before_the_start_of_the_venues_history_there_is_no_hole() -> None:
    made = ledger()

    page = Page(candles=[row(5)], covered=(at(5), at(6)), stopped=Stopped.VENUE_START)
    made.page(page, Want(at(0), at(6), "test"), at(10), route=Rung.POLL)

    assert [] == holes(made)


def test_a_page_is_whole_however_long_it_is() -> None:
    """Only the last closes are kept in memory; older rows of the same page are closed all the same."""
    made = ledger(subscribed=False, page_rows=10_000)
    until = 5 * TAIL
    want = Want(at(0), at(until), "to close")
    rows = [row(minute) for minute in range(until)]

    outcome = made.page(Page(candles=rows, covered=(at(0), at(until))), want, at(until + 1), route=Rung.POLL)

    assert until == outcome.closed
    assert (at(until), []) == (made.frontier_ns, made.holes)
    assert [row.open_ns for row in rows] == [closing.candle.open_ns for closing in made.take().closings]


def test_a_row_that_history_serves_against_the_laws_does_not_make_its_bucket_empty() -> None:
    made = ledger()

    history(made, row(0), row(1, high=Decimal(1)), row(2), since=0, until=3, as_of_s=600)

    assert [(0, Evidence.HISTORY), (2, Evidence.HISTORY)] == closed(made)
    assert [(1, 2, HoleKind.MISSING)] == holes(made)
    assert 1 == made.refused


def test_a_row_that_history_serves_and_nobody_can_read_does_not_make_its_bucket_empty() -> None:
    made = ledger()
    bad = [BadRow(at(1), at(2), "no number"), BadRow(at(2), at(3), "no number")]

    history(made, row(0), row(2), since=0, until=4, as_of_s=600, bad_rows=bad)

    assert [(0, Evidence.HISTORY), (2, Evidence.HISTORY)] == closed(made)
    assert [(1, 2, HoleKind.MISSING)] == holes(made), "and a good row of the same bucket counts"
    assert (2, "no number" in made.last_refusal) == (made.refused, True)

    history(made, row(1), since=1, until=2, as_of_s=700)
    assert [] == holes(made)


def test_a_bad_row_of_the_running_bucket_opens_no_hole() -> None:
    made = ledger()

    history(made, row(0), since=0, until=1, as_of_s=70, bad_rows=[BadRow(at(1), at(2), "no number")])

    assert (at(1), []) == (made.frontier_ns, holes(made))


def test_history_that_agrees_with_the_stream_says_so() -> None:
    made = ledger()
    made.row(row(0))
    made.row(row(1))

    outcome = history(made, row(0), since=0, until=1, as_of_s=600)

    assert (1, []) == (outcome.agreed, list(outcome.missed))


def test_history_that_holds_what_the_stream_did_not_bring_says_so() -> None:
    made = ledger()

    outcome = history(made, row(0), row(1), since=0, until=2, as_of_s=600)

    assert [at(0), at(1)] == outcome.missed


def test_a_bucket_that_began_before_the_subscription_is_no_reproach_to_the_stream() -> None:
    made = ledger(subscribed=False)
    made.subscribed(1, at(0) + 30 * SECOND_NS)

    outcome = history(made, row(0), since=0, until=1, as_of_s=600)

    assert [] == outcome.missed


def test_a_forming_row_that_stopped_short_of_history_is_a_reproach() -> None:
    """The stream stalled in the middle of the bucket: its last row is not what became of it."""
    made = ledger()
    made.row(row(0, 100))

    outcome = history(made, row(0, 105), since=0, until=1, as_of_s=600)

    assert [at(0)] == outcome.missed
    [closing] = made.take().closings
    assert Decimal(105) == closing.candle.close


# ------------------------------------------------------------------------------------------- revisions


@pytest.mark.parametrize("stored", list(Evidence))
@pytest.mark.parametrize("later", list(Evidence))
def test_only_better_evidence_revises_or_equal_from_a_source_that_may_correct_itself(
    stored: Evidence, later: Evidence
) -> None:
    old = settled(SERIES, Closing(row(0, 100), stored, Rung.STREAM), None, 1)
    revises = later > stored or (later == stored and later >= Evidence.BUILT)

    assert (judge(old, row(0, 101), later) is Verdict.REVISE) is revises
    assert judge(old, row(0, 100), later) is (Verdict.CONFIRM if later > stored else Verdict.KEEP)


def test_a_revision_is_counted_and_committed() -> None:
    made = ledger()
    made.row(row(0, 100))
    made.row(row(1))
    closed(made)

    history(made, row(0, 101), since=0, until=1, as_of_s=600)

    assert 1 == made.revisions
    assert [(0, Evidence.HISTORY)] == closed(made)


# ------------------------------------------------------------------------------------------- wants


def test_a_living_stream_is_asked_nothing_while_it_closes_by_itself() -> None:
    made = ledger()
    for minute in range(5):
        made.row(row(minute))

    assert overdue(made, at(4) + 30 * SECOND_NS, polled=False) is None


def test_a_bucket_that_ended_without_a_successor_is_asked_for() -> None:
    made = ledger()
    made.row(row(0))

    want = overdue(made, at(1) + SECOND_NS, polled=False)

    assert want is not None
    assert (at(0), at(1)) == (want.since_ns, want.until_ns)


def test_a_poll_asks_from_the_last_closed_candle_on_so_a_missed_cycle_heals_itself() -> None:
    made = ledger(subscribed=False)

    want = overdue(made, at(7) + SECOND_NS, polled=True)

    assert want is not None
    assert (at(0), at(7)) == (want.since_ns, want.until_ns)


def test_a_series_known_to_be_quiet_may_be_silent_longer() -> None:
    made = ledger()
    assert 1 == made.patience.buckets

    history(made, since=0, until=64, as_of_s=64 * 60 + 5)

    assert 10 == made.patience.buckets
    assert overdue(made, at(70), polled=False) is None
    assert overdue(made, at(75), polled=False) is not None


def test_a_long_absence_is_asked_for_newest_first_a_page_at_a_time() -> None:
    made = ledger(page_rows=100, subscribed=False)

    want = overdue(made, at(250), polled=True)

    assert want is not None
    assert (at(150), at(250)) == (want.since_ns, want.until_ns)
    history(made, *(row(minute) for minute in range(150, 250)), since=150, until=250, as_of_s=251 * 60)
    older = lacking(made, at(250))
    assert older is not None
    assert (at(50), at(150), False) == (older.since_ns, older.until_ns, older.live)


def test_reaching_back_opens_a_hole_to_be_healed() -> None:
    made = ledger(origin=10)
    made.reach_back(at(4))

    want = lacking(made, at(20))

    assert want is not None
    assert (at(4), at(10)) == (want.since_ns, want.until_ns)


def test_a_ledger_starts_where_the_store_ended() -> None:
    state = SeriesState(
        series=SERIES, origin_ns=at(0), frontier_ns=at(3), holes=(Hole(at(1), at(2), HoleKind.MISSING),)
    )

    made = Ledger.start(SERIES, SUPPORT, Loaded(state=state, tail=[]), at(0))

    assert at(3) == made.frontier_ns
    assert [(1, 2, HoleKind.MISSING)] == holes(made)


# ------------------------------------------------------------------------------------------- the whole


class VenueBesideLedger(RuleBasedStateMachine):
    """A venue that trades, mutes, cuts, restarts us and serves history; in the end the store holds the truth.

    A muted stream may never bring a bucket's last trades: its next row closes the bucket wrongly, and only
    history can put that right. So what is committed first is the truth unless the stream was mute inside that
    bucket; and in the end everything is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger.start(SERIES, SUPPORT, None, at(0))
        self.ledger.subscribed(1, at(0))
        self.truth: dict[int, Candle] = {}
        self.stored: dict[int, tuple[Candle, Evidence]] = {}
        self.firsts: list[int] = []
        self.minute = 0
        self.live = True
        self.mute_for = 0
        self.mute_in: set[int] = set()

    def commit(self) -> None:
        for closing in self.ledger.take().closings:
            open_ns = closing.candle.open_ns
            assert open_ns < at(self.minute), "closed before its end"
            if open_ns not in self.stored:
                self.firsts.append(open_ns)
                if open_ns not in self.mute_in:
                    assert closing.candle.same_values(self.truth[open_ns])
            self.stored[open_ns] = (closing.candle, closing.evidence)

    def ask(self, want: Want) -> None:
        rows = [candle for ns, candle in sorted(self.truth.items()) if want.since_ns <= ns < want.until_ns]
        page = Page(candles=rows, covered=(want.since_ns, want.until_ns))
        self.ledger.page(page, want, at(self.minute) + 5 * SECOND_NS, route=Rung.POLL)
        self.commit()

    @rule(price=st.integers(101, 109))
    def trade(self, price: int) -> None:
        now, known = at(self.minute), self.truth.get(at(self.minute))
        new = row(self.minute, price)
        if known is not None:
            new = changed(
                new,
                open=known.open,
                high=max(known.high, new.close),
                low=min(known.low, new.close),
                volume=known.volume + 1,
            )
        self.truth[now] = new
        if self.live and self.mute_for:
            self.mute_in.add(now)
            self.mute_for -= 1
        elif self.live:
            self.ledger.row(new)
            self.commit()

    @rule(count=st.integers(1, 3))
    def minutes_pass(self, count: int) -> None:
        self.minute += count

    @rule(count=st.integers(1, 3))
    def go_mute(self, count: int) -> None:
        self.mute_for = count

    @rule()
    def doubt(self) -> None:
        self.ledger.doubt()

    @precondition(lambda self: self.live)
    @rule()
    def cut(self) -> None:
        self.live = False
        self.ledger.lost()

    @precondition(lambda self: not self.live)
    @rule()
    def come_back_with_a_snapshot(self) -> None:
        self.live, self.mute_for = True, 0
        self.ledger.subscribed(self.ledger.epoch_count + 1, at(self.minute))
        for open_ns in sorted(self.truth)[-12:]:
            self.ledger.row(changed(self.truth[open_ns], snapshot=True))
        self.commit()

    @rule()
    def restart(self) -> None:
        self.commit()
        tail = [
            settled(SERIES, Closing(candle, evidence, Rung.STREAM), None, 1)
            for _, (candle, evidence) in sorted(self.stored.items())
        ]
        state = self.ledger.take().state
        self.ledger = Ledger.start(SERIES, SUPPORT, Loaded(state=state, tail=tail), at(0))
        self.live = False

    @rule()
    def poll(self) -> None:
        due = at(self.minute)
        for _ in range(50):
            want = overdue(self.ledger, due, polled=True) or lacking(self.ledger, due)
            if want is None:
                return
            self.ask(want)
        raise AssertionError("history is asked for ever")

    def teardown(self) -> None:
        self.minute += 1
        self.poll()
        audit = known_from(self.ledger, at(self.minute), self.ledger.origin_ns)
        if audit is not None:
            self.ask(audit)

        over = {open_ns for open_ns in self.truth if open_ns < at(self.minute)}
        assert over == set(self.stored)
        assert all(self.stored[open_ns][0].same_values(self.truth[open_ns]) for open_ns in over)
        assert len(self.firsts) == len(set(self.firsts)), "a first close came twice"
        assert [] == self.ledger.holes


VenueBesideLedger.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestWhateverHappensTheStoreHoldsTheTruth = VenueBesideLedger.TestCase


# ------------------------------------------------------------------------------- rows that cannot be true


@pytest.mark.parametrize("ends_s", [59.999, 120.0, 30.0])
def test_a_row_that_does_not_end_where_its_bucket_does_is_refused(ends_s: float) -> None:
    """An inclusive end would leave a hole of a millisecond after each candle; a long one hides buckets."""
    made = ledger()

    history(made, row(0, close_ns=at(0) + round(ends_s * SECOND_NS)), row(1), since=0, until=2, as_of_s=300)

    assert [(1, Evidence.HISTORY)] == closed(made)
    assert [(0, 1, HoleKind.MISSING)] == holes(made)
    assert "not when the next one opens" in made.last_refusal


def test_where_sessions_cut_buckets_short_a_row_may_end_early_and_not_late() -> None:
    made = ledger(grid=GridSession("XNYS"), subscribed=False)
    short, long = row(0, close_ns=at(0) + 30 * SECOND_NS), row(1, close_ns=at(3))

    history(made, short, long, since=0, until=3, as_of_s=1_000)

    assert [(0, Evidence.HISTORY)] == closed(made)


def test_a_refused_row_out_of_reach_makes_no_second_hole() -> None:
    """A store keeps one hole at one place."""
    made = ledger(subscribed=False)

    bad = row(0, low=Decimal(200))
    history(made, bad, row(1), row(2), since=1, until=3, as_of_s=600, stopped=Stopped.VENUE_LIMIT)
    want = Want(at(0), at(3), "test")
    page = Page(candles=[bad], covered=(at(1), at(3)), stopped=Stopped.VENUE_LIMIT)
    made.page(page, want, at(10), route=Rung.POLL)

    assert [(0, 1, HoleKind.UNREACHABLE)] == holes(made)


@pytest.mark.parametrize(
    "change", [{"trade_count": Decimal(5)}, {"trade_count": 5.5}, {"open_ns": float(T0)}, {"close_ns": None}]
)
def test_counts_and_times_are_whole_numbers(change: dict[str, Any]) -> None:
    """A store could not keep anything else, and would hold up everybody's."""
    law = broken_law(row(0, **change))

    assert law is not None
    assert "not an int" in law

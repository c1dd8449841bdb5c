"""The ledger: what closes a candle, what is missing, and what history is asked."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wickwire.ledger import Ledger, Want, cut
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
from wickwire.store import Loaded, SeriesState, Verdict, judge, settled
from wickwire.wire import OhlcvSupport, Page, Stopped

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


def ledger(origin: int = 0, *, subscribed: bool = True, **changes: Any) -> Ledger:
    support = OhlcvSupport(
        **(
            {"stream": True, "rest": True, "grid": Utc(), "settle_s": 5.0, "grace_s": 5.0, "page_rows": 720}
            | changes
        )
    )
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
    want = made.wants_heal(at(2))
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
    assert made.wants_heal(at(10)) is None


def test_before_the_start_of_the_venues_history_there_is_no_hole() -> None:
    made = ledger()

    page = Page(candles=[row(5)], covered=(at(5), at(6)), stopped=Stopped.VENUE_START)
    made.page(page, Want(at(0), at(6), "test"), at(10), route=Rung.POLL)

    assert [] == holes(made)


def test_a_row_that_history_serves_against_the_laws_does_not_make_its_bucket_empty() -> None:
    made = ledger()

    history(made, row(0), row(1, high=Decimal(1)), row(2), since=0, until=3, as_of_s=600)

    assert [(0, Evidence.HISTORY), (2, Evidence.HISTORY)] == closed(made)
    assert [(1, 2, HoleKind.MISSING)] == holes(made)
    assert 1 == made.refused


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
    from wickwire.store import Closing

    old = settled(SERIES, Closing(row(0, 100), stored, Rung.STREAM), None, 1)
    revises = later > stored or (later == stored and later in (Evidence.HISTORY, Evidence.VENUE))

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

    assert made.wants_live(at(4) + 30 * SECOND_NS, polled=False) is None


def test_a_bucket_that_ended_without_a_successor_is_asked_for() -> None:
    made = ledger()
    made.row(row(0))

    want = made.wants_live(at(1) + SECOND_NS, polled=False)

    assert want is not None
    assert (at(0), at(1)) == (want.since_ns, want.until_ns)


def test_a_poll_asks_from_the_last_closed_candle_on_so_a_missed_cycle_heals_itself() -> None:
    made = ledger(subscribed=False)

    want = made.wants_live(at(7) + SECOND_NS, polled=True)

    assert want is not None
    assert (at(0), at(7)) == (want.since_ns, want.until_ns)


def test_a_series_known_to_be_quiet_may_be_silent_longer() -> None:
    made = ledger()
    assert 1 == made.patience()

    history(made, since=0, until=64, as_of_s=64 * 60 + 5)

    assert 10 == made.patience()
    assert made.wants_live(at(70), polled=False) is None
    assert made.wants_live(at(75), polled=False) is not None


def test_a_long_absence_is_asked_for_newest_first_a_page_at_a_time() -> None:
    made = ledger(page_rows=100, subscribed=False)

    want = made.wants_live(at(250), polled=True)

    assert want is not None
    assert (at(150), at(250)) == (want.since_ns, want.until_ns)
    history(made, *(row(minute) for minute in range(150, 250)), since=150, until=250, as_of_s=251 * 60)
    older = made.wants_heal(at(250))
    assert older is not None
    assert (at(50), at(150), False) == (older.since_ns, older.until_ns, older.live)


def test_reaching_back_opens_a_hole_to_be_healed() -> None:
    made = ledger(origin=10)
    made.reach_back(at(4))

    want = made.wants_heal(at(20))

    assert want is not None
    assert (at(4), at(10)) == (want.since_ns, want.until_ns)


def test_a_ledger_starts_where_the_store_ended() -> None:
    state = SeriesState(
        series=SERIES, origin_ns=at(0), frontier_ns=at(3), holes=(Hole(at(1), at(2), HoleKind.MISSING),)
    )

    made = Ledger.start(SERIES, SUPPORT, Loaded(state=state, tail=[]), at(0))

    assert at(3) == made.frontier_ns
    assert [(1, 2, HoleKind.MISSING)] == holes(made)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=6),
    st.integers(0, 20),
    st.integers(1, 8),
)
def test_cutting_holes_removes_exactly_the_range(
    ranges: Sequence[tuple[int, int]], since: int, length: int
) -> None:
    before = [Hole(start, start + size) for start, size in ranges]

    after = cut(before, since, since + length)

    for hole in before:
        for moment in range(hole.since_ns, hole.until_ns):
            kept = any(left.since_ns <= moment < left.until_ns for left in after)
            inside = since <= moment < since + length
            assert kept == (not inside or any(o.since_ns <= moment < o.until_ns for o in after if not inside))


# ------------------------------------------------------------------------------------------- the whole


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.integers(1, 9)),
        st.tuples(st.just("minute"), st.integers(1, 3)),
        st.tuples(st.just("mute"), st.integers(1, 3)),
        st.tuples(st.just("cut"), st.just(0)),
        st.tuples(st.just("back"), st.just(0)),
        st.tuples(st.just("doubt"), st.just(0)),
        st.tuples(st.just("poll"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_whatever_happens_every_candle_is_committed_once_with_the_true_values(
    steps: Sequence[tuple[str, int]],
) -> None:
    """A venue of the test trades, mutes, cuts and serves history; in the end the store holds the truth.

    A muted stream may bring a bucket's last trades never: only history may close it then, or its own later
    row, never a guess. That is checked at each commit: what is committed as a first close is the truth,
    unless the stream was muted inside that bucket, and then history has put it right by the end.
    """
    made = Ledger.start(SERIES, SUPPORT, None, at(0))
    made.subscribed(1, at(0))
    truth: dict[int, Candle] = {}
    stored: dict[int, tuple[Candle, Evidence]] = {}
    firsts: list[int] = []
    minute, epoch, muted, muted_in = 0, 1, 0, set[int]()
    live = True

    def commit() -> None:
        change = made.take()
        for closing in change.closings:
            open_ns = closing.candle.open_ns
            assert (open_ns - T0) // MINUTE_NS < minute, "closed before its end"
            if open_ns not in stored:
                firsts.append(open_ns)
                if (open_ns - T0) // MINUTE_NS not in muted_in:
                    assert closing.candle.same_values(truth[open_ns])
            stored[open_ns] = (closing.candle, closing.evidence)

    def poll(*, everything: bool = False) -> None:
        due = at(minute)
        for _ in range(50):
            want = made.wants_live(due, polled=True) or made.wants_heal(due)
            if want is None and everything:
                want = made.recent(due, 1_000)
            if want is None:
                return
            rows = [candle for ns, candle in sorted(truth.items()) if want.since_ns <= ns < want.until_ns]
            covered = (want.since_ns, want.until_ns)
            made.page(Page(candles=rows, covered=covered), want, due + 5 * SECOND_NS, route=Rung.POLL)
            commit()
            if want.known:
                return
        raise AssertionError(f"history is asked for ever: {want}")

    for name, count in steps:
        if name == "trade":
            known = truth.get(at(minute))
            price = Decimal(100 + count)
            truth[at(minute)] = (
                row(minute, int(price))
                if known is None
                else row(
                    minute,
                    open=known.open,
                    close=price,
                    high=max(known.high, price),
                    low=min(known.low, price),
                    volume=known.volume + 1,
                )
            )
            if live and not muted:
                made.row(truth[at(minute)])
            elif live:
                muted_in.add(minute)
                muted -= 1
        elif name == "minute":
            minute += count
        elif name == "mute":
            muted = count
        elif name == "cut" and live:
            live = False
            made.lost()
        elif name == "back" and not live:
            live, epoch, muted = True, epoch + 1, 0
            made.subscribed(epoch, at(minute))
            for ns in sorted(truth)[-12:]:
                made.row(row(0) if ns not in truth else attrs_snapshot(truth[ns]))
        elif name == "doubt" and live:
            made.doubt()
        elif name == "poll":
            poll()
        elif name == "restart":
            change = made.take()
            for closing in change.closings:
                stored.setdefault(closing.candle.open_ns, (closing.candle, closing.evidence))
            tail = [
                settled(SERIES, _closing(candle, evidence), None, 1)
                for _, (candle, evidence) in sorted(stored.items())
            ]
            made = Ledger.start(SERIES, SUPPORT, Loaded(state=change.state, tail=tail), at(0))
            live = False
        commit()
    minute += 1
    poll(everything=True)

    over = {ns for ns in truth if ns < at(minute)}
    assert over == set(stored)
    assert all(stored[ns][0].same_values(truth[ns]) for ns in over)
    assert len(firsts) == len(set(firsts))
    assert [] == [hole for hole in made.holes if hole.kind is HoleKind.MISSING]


def attrs_snapshot(candle: Candle) -> Candle:
    return row(
        (candle.open_ns - T0) // MINUTE_NS,
        open=candle.open,
        high=candle.high,
        low=candle.low,
        close=candle.close,
        volume=candle.volume,
        snapshot=True,
    )


def _closing(candle: Candle, evidence: Evidence) -> Any:
    from wickwire.store import Closing

    return Closing(candle, evidence, Rung.STREAM)

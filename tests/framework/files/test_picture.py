"""Where candles stand in a picture, and what is said between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.files.stocked import (
    BTC,
    START_NS,
    all_of,
    all_series,
    candle,
    changes,
    known,
    run,
    stocked,
)
from wickwire import DAY_NS, HOUR_NS, MINUTE_NS, REAL, SECOND_NS, Change, Hole, HoleKind, SeriesState
from wickwire.files.picture import Picture, laid_out, lasting


def pictured(change: Change, *, since_ns: int = -(2**63), until_ns: int = 2**63 - 1) -> Picture:
    rows = run(kept(change))
    shown = [row for row in rows if since_ns <= row.open_ns < until_ns]
    return laid_out(change.state, shown, since_ns, until_ns, REAL)


async def kept(change):
    return await all_of(await stocked(change), change.state.series)


def at(minute: int) -> int:
    return START_NS + minute * MINUTE_NS


def state(until: int, *holes: Hole, since: int = 0) -> SeriesState:
    return SeriesState(series=BTC, origin_ns=at(since), frontier_ns=at(until), holes=holes)


def test_a_candle_has_a_place_and_a_hole_is_as_wide_as_it_lasts():
    picture = pictured(known([candle(0), candle(3)]))

    assert [0.5, 3.5] == [bar.place for bar in picture.bars]
    [hole] = picture.holes
    assert (1, 3, at(1), at(3), HoleKind.MISSING, False) == (
        *(hole.first, hole.last, hole.since_ns, hole.until_ns),
        *(hole.kind, hole.is_cut),
    )
    assert 4 == picture.width


def test_a_hole_of_a_month_leaves_room_for_candles():
    picture = pictured(known([candle(0), candle(40_000)]))

    [hole] = picture.holes
    assert (6, True) == (hole.last - hole.first, hole.is_cut)
    assert at(40_000) - at(1) == hole.until_ns - hole.since_ns


def test_what_is_known_to_be_empty_is_no_hole():
    """It is a gap all the same, and a night of shares is a narrow one."""
    change = known([candle(0), candle(600)])
    picture = pictured(Change(state=state(601), closings=change.closings))

    assert [] == picture.holes
    [gap] = picture.gaps
    assert (HoleKind.EMPTY, 4, True) == (gap.kind, gap.last - gap.first, gap.is_cut)


def test_a_gap_has_parts_of_many_kinds_and_holes_reach_to_the_ends_of_what_is_known():
    holes = (
        Hole(at(-3), at(0)),
        Hole(at(2), at(4), HoleKind.UNREACHABLE),
        Hole(at(4), at(5)),
        Hole(at(6), at(9)),
    )
    change = known([candle(0), candle(5)])

    picture = pictured(Change(state=state(9, *holes, since=-3), closings=change.closings), until_ns=at(8))

    kinds = [
        (gap.kind.value, (gap.since_ns - START_NS) // MINUTE_NS, gap.last - gap.first) for gap in picture.gaps
    ]
    assert [
        *[("missing", -3, 3), ("empty", 1, 1), ("unreachable", 2, 2), ("missing", 4, 1)],
        ("missing", 6, 2),
    ] == kinds


@given(st.data())
def test_places_are_in_order_and_nothing_covers_anything(data):
    series = data.draw(all_series)
    picture = pictured(data.draw(changes(series)))

    taken = [(bar.place - 0.5, bar.place + 0.5) for bar in picture.bars]
    taken += [(gap.first, gap.last) for gap in picture.gaps]
    ends = [end for pair in sorted(taken) for end in pair]
    assert [0.0, picture.width] == [ends[0], ends[-1]]
    assert ends[1:-1:2] == ends[2::2]


@pytest.mark.parametrize(
    ("length_ns", "words"),
    [
        (7 * MINUTE_NS, "7 min"),
        (3 * HOUR_NS + 20 * MINUTE_NS, "3 h 20 min"),
        (DAY_NS + 5 * HOUR_NS + 20 * MINUTE_NS, "1 d 5 h"),
        (DAY_NS + MINUTE_NS, "1 d"),
        (90 * SECOND_NS, "1 min 30 s"),
        (1, "no time"),
    ],
)
def test_how_long_that_is(length_ns, words):
    assert words == lasting(length_ns)

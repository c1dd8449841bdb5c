"""History on another scale: how it is noticed, and what is read again because of it."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import MINUTE_NS, SECOND_NS, Candle, Page, Rung, Series, Split, Timeframe, Utc
from wickwire.description import OhlcvSupport
from wickwire.ledger import Ledger, Want
from wickwire.rescaling import factor_between

MINUTE = Timeframe.parse("1m")
SERIES = Series.parse("scripted:AAPL@1m")
SUPPORT = OhlcvSupport(rest=True, grid=Utc(), settle_s=5.0, page_rows=60)
T0 = 1_795_237_200 * SECOND_NS  # 2026-11-21T05:00:00Z
QUARTER = Decimal("0.25")


def at(minute: int) -> int:
    return T0 + minute * MINUTE_NS


def row(minute: int, scale: Decimal = Decimal(1), **changes: Any) -> Candle:
    prices = {"open": 100, "high": 104, "low": 99, "close": 103} | changes
    first, high, low, last = (Decimal(price) * scale for price in prices.values())
    return Candle("AAPL", MINUTE, at(minute), at(minute + 1), first, high, low, last, Decimal(1) / scale)


def prices_of(candle: Candle) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    return candle.open, candle.high, candle.low, candle.close


def rows(since: int, until: int, scale: Decimal = Decimal(1)) -> list[Candle]:
    return [row(minute, scale) for minute in range(since, until)]


def ledger(until: int) -> Ledger:
    """A polled series from minute 0 on, whole up to *until*."""
    made = Ledger.start(SERIES, SUPPORT, None, T0)
    told(made, rows(0, until), 0, until)
    made.take()
    return made


def told(made: Ledger, page: list[Candle], since: int, until: int, **changes: Any) -> None:
    known = until <= (made.frontier_ns - T0) // MINUTE_NS
    want = Want(at(since), at(until), "test", live=not known, known=known)
    answer = Page(candles=page, covered=(at(since), at(until)), **changes)
    made.page(answer, want, at(until) + 60 * SECOND_NS, route=Rung.POLL)


def pending(made: Ledger) -> tuple[int, int] | None:
    scale = made.rescaling
    if not scale.pending:
        return None
    return (scale.since_ns - T0) // MINUTE_NS, (scale.until_ns - T0) // MINUTE_NS


# ------------------------------------------------------------------------------------------------ noticing


@given(
    st.lists(st.decimals("0.5", "100000", places=4), min_size=4, max_size=4, unique=True),
    st.sampled_from(["0.25", "0.5", "0.05", "0.6666666667", "3", "10", "0.9523809524"]),
)
def test_any_factor_is_found_through_the_rounding_to_single_precision(
    prices: list[Decimal], text: str
) -> None:
    low, first, last, high = sorted(prices)
    before = Candle("AAPL", MINUTE, at(0), at(1), first, high, low, last, Decimal(1))
    told = (
        struct.unpack("f", struct.pack("f", float(price * Decimal(text))))[0] for price in prices_of(before)
    )
    one, two, three, four = (Decimal(repr(price)) for price in told)
    after = Candle("AAPL", MINUTE, at(0), at(1), one, two, three, four, Decimal(1))

    found = factor_between([(before, after)])

    assert found is not None
    assert abs(found / Decimal(text) - 1) < Decimal("0.0001")


@pytest.mark.parametrize(
    "after",
    [
        row(0),
        row(0, Decimal("0.995")),  # an ordinary correction may be as large
        row(0, QUARTER, close=101),  # one price is another
        row(0, high=110),
        row(0, Decimal(-1)),
    ],
)
def test_what_is_no_other_scale(after: Candle) -> None:
    assert factor_between([(row(0), after)]) is None


def test_one_price_alone_proves_no_scale() -> None:
    flat, told = (row(0, scale, open=9, high=9, low=9, close=9) for scale in (Decimal(1), QUARTER))

    assert factor_between([(flat, told)]) is None
    assert factor_between([]) is None


# -------------------------------------------------------------------------------------------- reading again


def test_known_buckets_on_another_scale_have_everything_before_them_read_again() -> None:
    made = ledger(100)

    told(made, rows(98, 101, QUARTER), 98, 101)

    assert (0, 98) == pending(made)
    assert made.rescaling.why == (
        "prices are told at 0.25 times what they were; "
        "candles from before 2026-11-21T06:40:00Z are read again"
    )


def test_it_is_read_page_by_page_the_newest_first_and_counted_once() -> None:
    made = ledger(100)
    told(made, rows(98, 101, QUARTER), 98, 101)

    told(made, rows(38, 98, QUARTER), 38, 98)
    assert (0, 38) == pending(made)
    told(made, rows(0, 38, QUARTER), 0, 38)

    assert pending(made) is None
    assert (1, 101, 100) == (made.rescaling.count, made.closed_count, made.revisions)
    assert {row(0, QUARTER).close} == {closing.candle.close for closing in made.take().closings}
    told(made, rows(40, 101, QUARTER), 40, 101)
    assert pending(made) is None, "and the comparison to come finds nothing new"


def test_a_split_that_nobody_had_asked_about_is_enough() -> None:
    """A thin share may have no trade in the buckets that each poll reads again."""
    made = ledger(100)

    told(made, [row(105, QUARTER)], 98, 106, splits=[Split(at(104), Decimal(4), Decimal(1))])

    assert (0, 98) == pending(made)
    assert made.rescaling.why.startswith("the venue tells of a split of 4:1 at 2026-11-21T06:44:00Z;")


def test_a_split_of_long_ago_is_no_news() -> None:
    made = ledger(100)

    told(made, rows(98, 101), 98, 101, splits=[Split(at(99), Decimal(4), Decimal(1))])
    assert pending(made) is None

    fresh = Ledger.start(SERIES, SUPPORT, None, T0)
    told(fresh, rows(0, 9), 0, 9, splits=[Split(at(4), Decimal(4), Decimal(1))])
    assert pending(fresh) is None, "nothing was known before"


def test_what_history_no_longer_reaches_keeps_its_scale() -> None:
    made = ledger(100)
    told(made, rows(98, 101, QUARTER), 98, 101)

    made.out_of_reach(at(60))

    assert (60, 98) == pending(made)

"""The check of the demo finds what it is there to find."""

import struct
from decimal import Decimal

import attrs
import pytest

from wickwire.cli.truth import compare
from wickwire.model import (
    HOUR_NS,
    MINUTE_NS,
    CandleState,
    Evidence,
    Rung,
    Series,
    SeriesCandle,
    Utc,
    parse_instant,
)
from wickwire.simulate import SeededMarket

SERIES = Series.parse("kraken:BTC/USD@1m")
START_NS = parse_instant("2026-11-20T15:00:00Z")
END_NS = START_NS + HOUR_NS
MARKET = SeededMarket(1, START_NS - HOUR_NS)


def rows():
    true = MARKET.candles(SERIES.symbol, SERIES.timeframe, START_NS, END_NS, grid=Utc())
    return [
        SeriesCandle(
            SERIES,
            one.open_ns,
            one.close_ns,
            one.open,
            one.high,
            one.low,
            one.close,
            one.volume,
            one.trade_count,
            one.vwap,
            CandleState.CLOSED,
            Evidence.HISTORY,
            route=Rung.POLL,
        )
        for one in true
    ]


def check(stored, *, exact=True):
    return compare(
        MARKET, SERIES, stored, since_ns=START_NS, until_ns=END_NS, end_ns=END_NS, grid=Utc(), exact=exact
    )


def test_the_truth_is_sound():
    verdict = check(rows())

    assert verdict.sound
    assert verdict.exact
    assert {Rung.POLL: verdict.true} == verdict.routes
    assert verdict.true > 50


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda stored: stored[1:], "missing"),
        (lambda stored: [*stored, stored[5]], "doubled"),
        (lambda stored: [*stored, attrs.evolve(stored[0], open_ns=START_NS - MINUTE_NS)], "invented"),
        (lambda stored: [attrs.evolve(stored[0], high=stored[0].high + 1), *stored[1:]], "wrong"),
        (lambda stored: [attrs.evolve(stored[0], volume=stored[0].volume * 2), *stored[1:]], "wrong"),
        (lambda stored: [attrs.evolve(stored[0], trade_count=99_999), *stored[1:]], "wrong"),
    ],
)
def test_what_is_amiss_is_counted(spoil, field):
    verdict = check(spoil(rows()))

    assert not verdict.sound
    assert getattr(verdict, field) == 1


def test_a_candle_that_is_not_over_is_invented():
    """Whatever the values: at the end of the check nobody could know it to be closed."""
    early = attrs.evolve(rows()[-1], open_ns=END_NS)

    assert check([*rows(), early]).invented == 1


def test_prices_of_a_venue_that_rounds_to_32_bits_are_compared_so():
    """280.20 comes as 280.20001220703125: right there, wrong where every digit is sent."""

    def widened(number):
        return Decimal(struct.unpack("<f", struct.pack("<f", number))[0])

    stored = [
        attrs.evolve(one, close=widened(one.close), high=max(one.high, widened(one.close))) for one in rows()
    ]

    assert not check(stored).sound
    assert check(stored, exact=False).sound
    assert not check(stored, exact=False).exact

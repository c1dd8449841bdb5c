"""Candles made of trades and of smaller candles: exact, whole or not at all, corrected with the venue."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire.builder import CandleMaker, Late, Restated, TradeMaker, divides, fold
from wickwire.conversation import BadRow, OhlcvQuery, Page, Stopped
from wickwire.folding import fold_page
from wickwire.laws import broken_law
from wickwire.model import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Candle,
    Finality,
    Session,
    Timeframe,
    Trade,
    TradeAction,
    Unknown,
    Utc,
    Zone,
    parse_instant,
)

M1, M5, H1, D1 = (Timeframe.parse(text) for text in ("1m", "5m", "1h", "1d"))
START = parse_instant("2026-11-20T12:00:00Z")
NEW_YORK = Zone("America/New_York")
PRICES = st.decimals(min_value=1, max_value=100_000, places=5)
SIZES = st.decimals(min_value="0.00000001", max_value=1_000, places=8)


def trade(second, price="10", size="1", *, name="", action=TradeAction.NEW, replaces=None, snapshot=False):
    """A trade *second* seconds after the start; its id is its time unless given."""
    time_ns = START + round(second * SECOND_NS)
    name = name or str(time_ns)
    return Trade("BTC/USD", name, Decimal(price), Decimal(size), None, time_ns, action, replaces, snapshot)


def candle(minute, *, timeframe=M1, prices=("10", "12", "9", "11"), volume="1", count=2, **rest):
    """A candle that opens *minute* minutes after the start."""
    open_ns = START + minute * MINUTE_NS
    close_ns = timeframe.close_of(open_ns, Utc())
    first, high, low, last = map(Decimal, prices)
    return Candle(
        "BTC/USD", timeframe, open_ns, close_ns, first, high, low, last, Decimal(volume), count, **rest
    )


# ------------------------------------------------------------------------------------------- from trades


def made(maker, events):
    """The rows of running buckets that *maker* makes of *events*, one after the other."""
    rows = [maker.take(event) for event in events]
    assert all(row is None or isinstance(row, Candle) for row in rows)
    return [cast("Candle", row) for row in rows]


def row_of(answer):
    """The row in what a maker answers."""
    row = answer.candle if isinstance(answer, Restated) else answer
    assert isinstance(row, Candle)
    return row


@given(st.lists(st.tuples(st.floats(0, 600, allow_nan=False), PRICES, SIZES), min_size=2, max_size=60))
def test_whole_buckets_are_what_their_trades_are(drawn):
    """First and last by time, extremes, exact sums; and no row of the bucket in which it all began."""
    trades = [
        trade(second, price, size, name=str(number))
        for number, (second, price, size) in enumerate(sorted(drawn, key=lambda item: item[0]))
    ]
    last = {row.open_ns: row for row in made(TradeMaker(M1, Utc()), trades) if row is not None}

    first_ns = M1.open_at(trades[0].time_ns, Utc())
    opens = {M1.open_at(one.time_ns, Utc()) for one in trades} - {first_ns}
    assert opens == set(last)
    for open_ns, row in last.items():
        inside = [one for one in trades if open_ns <= one.time_ns < row.close_ns]
        prices = [one.price for one in inside]
        assert (inside[0].price, max(prices), min(prices), inside[-1].price) == (
            row.open,
            row.high,
            row.low,
            row.close,
        )
        assert sum((one.size for one in inside), Decimal()) == row.volume
        assert len(inside) == row.trade_count
        assert broken_law(row) is None


@given(st.permutations(range(8)), st.integers(0, 7))
def test_a_trade_counts_once_and_in_its_place(order, twice):
    """Whatever order they come in within their minute, and however often."""
    trades = [trade(60 + number, str(10 + number % 5), name=str(number)) for number in range(8)]
    maker = TradeMaker(M1, Utc())
    maker.take(trade(30))

    rows = [row for row in made(maker, [*(trades[number] for number in order), trades[twice]]) if row]

    expected = fold_of(trades)
    assert expected == (
        rows[-1].open,
        rows[-1].high,
        rows[-1].low,
        rows[-1].close,
        rows[-1].volume,
        rows[-1].trade_count,
    )


def fold_of(trades):
    """Open, high, low, close, volume and count of trades in order of time."""
    prices = [one.price for one in trades]
    volume = sum((one.size for one in trades), Decimal())
    return prices[0], max(prices), min(prices), prices[-1], volume, len(trades)


def test_after_a_restart_only_later_buckets_are_whole():
    maker = TradeMaker(M1, Utc())
    made(maker, [trade(30), trade(70)])

    maker.restart()

    assert [None, None] == made(maker, [trade(80), trade(119)])
    assert row_of(maker.take(trade(125))).open_ns == START + 2 * MINUTE_NS == maker.whole_ns


def test_a_late_trade_restates_its_bucket():
    """One that comes after the minute has turned changes what was made of it."""
    maker = TradeMaker(M1, Utc())
    made(maker, [trade(30), trade(70, "10"), trade(130, "20")])

    restated = maker.take(trade(119, "15", "2", name="late"))

    assert isinstance(restated, Restated)
    row = restated.candle
    assert (START + MINUTE_NS, Decimal(15), Decimal(3), 2) == (
        row.open_ns,
        row.close,
        row.volume,
        row.trade_count,
    )


@pytest.mark.parametrize("running", [True, False])
def test_corrections_and_cancellations_change_what_was_made(running):
    """The corrected trade keeps the time of the one that it replaces; both kinds work behind the turn too."""
    maker = TradeMaker(M1, Utc())
    made(maker, [trade(30), trade(70, "10", name="a"), trade(75, "50", name="b"), trade(80, "11", name="c")])
    if not running:
        maker.take(trade(130, "12", name="d"))

    corrected = maker.take(trade(200, "12", name="b2", action=TradeAction.CORRECTED, replaces="b"))
    canceled = maker.take(trade(210, "11", name="c", action=TradeAction.CANCELED, replaces="c"))

    assert {not running} == {isinstance(answer, Restated) for answer in (corrected, canceled)}
    rows = [row_of(corrected), row_of(canceled)]
    assert [(Decimal(12), Decimal(11), 3), (Decimal(12), Decimal(12), 2)] == [
        (row.high, row.close, row.trade_count) for row in rows
    ]


def test_what_is_not_remembered_is_left_to_history():
    """A correction of a trade that nobody knows, and a cancellation of the only trade."""
    maker = TradeMaker(M1, Utc())
    made(maker, [trade(30), trade(70, name="a"), trade(130)])

    assert maker.take(trade(75, name="x", action=TradeAction.CANCELED, replaces="x")) == Late(
        START + MINUTE_NS
    )
    assert maker.take(trade(75, name="a", action=TradeAction.CANCELED, replaces="a")) == Late(
        START + MINUTE_NS
    )


def test_one_id_of_two_exchanges_is_two_trades():
    """Where a feed brings together several, ids are unique on each of them only."""
    maker = TradeMaker(M1, Utc())

    rows = made(maker, [trade(30), trade(70, name="7"), trade(71, name="7"), trade(71, name="7")])

    assert rows[-2].trade_count == 2
    assert rows[-1] is None


def test_trades_without_ids_are_all_counted():
    maker = TradeMaker(M1, Utc())
    made(maker, [trade(30)])
    nameless = [attrs_free(trade(70 + number)) for number in range(3)]

    assert made(maker, nameless)[-1].trade_count == 3


def attrs_free(one):
    """The same trade of a venue that gives no ids."""
    return Trade(one.symbol, "", one.price, one.size, one.side, one.time_ns)


def test_a_busy_bucket_is_summed_up_though_not_all_trades_are_kept():
    maker = TradeMaker(M1, Utc())
    count = 20_000
    maker.take(trade(30))

    rows = made(maker, [trade(60 + number * 0.002, name=str(number)) for number in range(count)])

    assert (count, Decimal(count)) == (rows[-1].trade_count, rows[-1].volume)
    assert maker.take(trade(130, name="19999", action=TradeAction.CANCELED, replaces="19999")) == Late(
        START + MINUTE_NS
    )


# -------------------------------------------------------------------------------- from smaller candles


@given(st.lists(st.tuples(st.integers(0, 59), PRICES, PRICES, SIZES), min_size=1, max_size=40))
def test_larger_candles_are_runs_of_smaller_ones(drawn):
    """Fed piece by piece, with updates of the newest, it comes out as if folded at once."""
    pieces = []
    for minute, first, last, volume in sorted(drawn, key=lambda item: item[0]):
        prices = (str(first), str(max(first, last)), str(min(first, last)), str(last))
        pieces.append(candle(minute, prices=prices, volume=str(volume)))
    maker = CandleMaker(M5, Utc())

    last = {row.open_ns: row for row in made(maker, pieces) if row is not None}

    newest = {piece.open_ns: piece for piece in pieces}
    whole_ns = -(-pieces[0].open_ns // (5 * MINUTE_NS)) * 5 * MINUTE_NS
    assert maker.whole_ns == whole_ns
    for open_ns in {M5.open_at(ns, Utc()) for ns in newest}:
        parts = [piece for ns, piece in newest.items() if open_ns <= ns < open_ns + 5 * MINUTE_NS]
        expected = fold(parts, M5, open_ns, open_ns + 5 * MINUTE_NS) if open_ns >= whole_ns else None
        assert expected == last.get(open_ns)


def test_a_piece_restated_in_the_running_bucket_counts_as_it_is_now():
    maker = CandleMaker(M5, Utc())
    made(maker, [candle(0), candle(1), candle(2)])

    row = row_of(maker.take(candle(1, prices=("10", "99", "9", "11"), volume="7")))

    assert (Decimal(99), Decimal(9)) == (row.high, row.volume)


def test_a_piece_restated_behind_the_turn_restates_its_bucket():
    """As Alpaca does up to half a minute later; the same values again are no news."""
    maker = CandleMaker(M5, Utc())
    made(maker, [candle(0), candle(4), candle(5)])

    assert maker.take(candle(4)) is None
    restated = maker.take(candle(4, volume="3"))

    assert isinstance(restated, Restated)
    assert (START, Decimal(4)) == (restated.candle.open_ns, restated.candle.volume)


def test_a_piece_that_ends_the_bucket_and_is_closed_closes_it():
    maker = CandleMaker(M5, Utc())
    closed = [candle(minute, finality=Finality.CLOSED) for minute in range(5)]

    assert [Finality.UNSAID] * 4 + [Finality.CLOSED] == [row.finality for row in made(maker, closed)]


def test_the_bucket_in_which_the_pieces_begin_is_not_whole():
    maker = CandleMaker(M5, Utc())

    assert [None, None] == made(maker, [candle(3), candle(4)])
    assert row_of(maker.take(candle(5))).open_ns == START + 5 * MINUTE_NS


# ------------------------------------------------------------------------------------------------- grids


FIXED = ["30s", "1m", "3m", "5m", "15m", "1h", "2h", "4h", "6h", "12h"]
CALENDAR = ["1d", "2d", "1w", "2w", "1mo", "3mo"]


@given(
    st.sampled_from(FIXED + CALENDAR),
    st.sampled_from(FIXED + CALENDAR),
    st.sampled_from([Utc(), NEW_YORK]),
    st.integers(0, 3_000),
)
def test_what_divides_never_lies_across_a_border(piece, whole, grid, day):
    """Each larger bucket begins and ends where a piece does, on days of 23 and 25 hours too."""
    small, large = Timeframe.parse(piece), Timeframe.parse(whole)
    if not divides(small, large, grid, grid):
        return
    open_ns = large.open_at(START - day * DAY_NS, grid)
    close_ns = large.close_of(open_ns, grid)
    assert [open_ns, close_ns] == [small.open_at(open_ns, grid), small.open_at(close_ns, grid)]


@pytest.mark.parametrize(
    ("piece", "whole", "grid", "divided"),
    [
        ("1m", "5m", Utc(), True),
        ("5m", "12h", Utc(), True),
        ("1d", "1mo", Utc(), True),
        ("1h", "1d", NEW_YORK, True),
        ("2h", "1d", NEW_YORK, False),
        ("1m", "7m", Utc(), False),
        ("2m", "5m", Utc(), False),
        ("1w", "1mo", Utc(), False),
        ("5m", "5m", Utc(), False),
        ("1m", "5m", Unknown(), False),
        ("1m", "5m", Session("XNYS"), False),
    ],
)
def test_which_candles_are_runs_of_which(piece, whole, grid, divided):
    assert divided is divides(Timeframe.parse(piece), Timeframe.parse(whole), grid, grid)


def test_pieces_on_another_grid_are_no_pieces():
    assert not divides(H1, D1, Utc(), NEW_YORK)


# ----------------------------------------------------------------------------------------------- history


def query(since_minute, until_minute, *, now_minute=10_000):
    """A question for 5m candles."""
    since_ns, until_ns = START + since_minute * MINUTE_NS, START + until_minute * MINUTE_NS
    return OhlcvQuery(
        symbol="BTC/USD",
        timeframe=M5,
        since_ns=since_ns,
        until_ns=until_ns,
        now_ns=START + now_minute * MINUTE_NS,
    )


@given(st.sets(st.integers(0, 59)), st.integers(0, 59), st.integers(0, 60))
def test_a_folded_page_says_only_what_its_pieces_prove(minutes, since, length):
    """Whole buckets of what was covered, no others; a bucket without pieces in there is proven empty."""
    until = since + length
    inside = sorted(minute for minute in minutes if since <= minute < until)
    covered = (START + since * MINUTE_NS, START + until * MINUTE_NS)
    page = Page(candles=[candle(minute) for minute in reversed(inside)], covered=covered)

    told = fold_page(page, query(0, 60), Utc())

    first, last = -(-since // 5) * 5, until // 5 * 5
    if first < last:
        assert (START + first * MINUTE_NS, START + last * MINUTE_NS) == told.covered
    else:
        assert told.covered[0] >= told.covered[1]
    opens = [START + minute // 5 * 5 * MINUTE_NS for minute in inside if first <= minute < last]
    assert sorted(set(opens)) == [row.open_ns for row in told.candles]


def test_where_history_begins_a_cut_bucket_is_all_there_is():
    covered = (START + 3 * MINUTE_NS, START + 10 * MINUTE_NS)
    page = Page(candles=[candle(3), candle(6)], covered=covered, stopped=Stopped.VENUE_START)

    told = fold_page(page, query(0, 10), Utc())

    assert (START, START + 10 * MINUTE_NS) == told.covered
    assert [START, START + 5 * MINUTE_NS] == [row.open_ns for row in told.candles]


def test_the_running_bucket_of_a_folded_page_is_forming():
    covered = (START, START + 7 * MINUTE_NS)
    pieces = [candle(minute) for minute in range(6)]
    page = Page(candles=[*pieces, candle(6, finality=Finality.FORMING)], covered=covered)

    told = fold_page(page, query(0, 10, now_minute=6), Utc())

    assert [Finality.UNSAID, Finality.FORMING] == [row.finality for row in told.candles]
    assert (START, START + 5 * MINUTE_NS) == told.covered


def test_a_bucket_with_a_bad_piece_is_a_bad_row_and_never_folded_from_the_others():
    covered = (START, START + 15 * MINUTE_NS)
    pieces = [candle(minute) for minute in range(14) if minute != 3]
    pieces.append(attrs.evolve(candle(14), high=Decimal("NaN")))
    bad = BadRow(START + 3 * MINUTE_NS, START + 4 * MINUTE_NS, "no price")
    page = Page(candles=pieces, covered=covered, bad_rows=[bad])

    told = fold_page(page, query(0, 15), Utc())

    assert [START + 5 * MINUTE_NS] == [row.open_ns for row in told.candles]
    assert [(START, "no price"), (START + 10 * MINUTE_NS, "a price, t")] == [
        (row.open_ns, row.why[:10]) for row in told.bad_rows
    ]
    assert {5 * MINUTE_NS} == {row.close_ns - row.open_ns for row in told.bad_rows}


def test_hours_add_up_to_a_day_of_23_hours():
    """On the night when clocks go forward, a day in New York is made of 23 hours."""
    open_ns = D1.open_at(parse_instant("2026-03-08T12:00:00Z"), NEW_YORK)
    close_ns = D1.close_of(open_ns, NEW_YORK)
    maker = CandleMaker(D1, NEW_YORK)
    hours = range(open_ns, close_ns + HOUR_NS, HOUR_NS)
    one = Decimal(1)
    spans = pairwise([*hours, close_ns + 2 * HOUR_NS])
    rows = made(
        maker,
        [
            Candle("AAPL", H1, opens, closes, one, one, one, one, one, 1, finality=Finality.CLOSED)
            for opens, closes in spans
        ],
    )

    assert (23, Finality.CLOSED) == (rows[22].trade_count, rows[22].finality)
    assert rows[23].open_ns == close_ns

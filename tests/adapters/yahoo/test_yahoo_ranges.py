"""Pieces of a range equal the whole, against a chart endpoint of forty lines that tells the truth."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.yahoo.talk import NEW_YORK, Bar, at, body, days, page, query, request
from wickwire import SECOND_NS, Candle, Finality, OhlcvQuery, Page

SPRING = date(2026, 3, 2)
"""A Monday; New York changes its clocks on the Sunday after."""
SESSIONS = [
    (at(f"{day} 09:30"), at(f"{day} 16:00"))
    for day in (SPRING + timedelta(days=number) for number in range(14))
    if day.isoweekday() <= 5
]
NOW = SESSIONS[8][0] + 10_000
"""Thursday of the second week, in the middle of the session."""


def truth(timeframe: str, missing: frozenset[int]) -> list[Bar]:
    """Return every row there is up to now, but for every bar whose number is in *missing*."""
    if timeframe == "1d":
        stamps = [since for since, _ in SESSIONS if since <= NOW]
    else:
        step = {"5m": 300, "1h": 3_600, "90m": 5_400}[timeframe]
        stamps = [stamp for since, until in SESSIONS for stamp in range(since, until, step) if stamp <= NOW]
    return [
        (stamp, 100 + number, 103 + number, 99 + number, 101 + number, 7)
        for number, stamp in enumerate(stamps)
        if number not in missing
    ]


def served(asked: OhlcvQuery, timeframe: str, rows: list[Bar]) -> Page:
    """Answer as Yahoo does: rows in [period1, period2), and the live row whatever was asked."""
    params = request(asked).params
    since, until = int(params["period1"]), int(params["period2"])
    inside = [row for row in rows if since <= row[0] < until]
    live: list[Bar] = [] if timeframe == "1d" else [(NOW, 555, 555, 555, 555, 0)]
    current = next(session for session in SESSIONS if session[1] > NOW)
    meta = {
        "regularMarketTime": NOW,
        "tradingPeriods": days(*(s for s in SESSIONS if s[1] > since and s[0] < until)),
        "currentTradingPeriod": {"regular": {"start": current[0], "end": current[1]}},
    }
    return page(asked, body([*inside, *live], **meta), date=NOW)


def closed(*pages: Page) -> list[Candle]:
    return [candle for found in pages for candle in found.candles if candle.finality is Finality.CLOSED]


START, STOP = at("2026-03-02 00:00"), NOW + 300
timeframes = st.sampled_from(["5m", "1h", "90m", "1d"])
cuts = st.lists(st.integers(START // 300, STOP // 300).map(lambda n: n * 300), max_size=6)


@given(timeframes, cuts, st.frozensets(st.integers(0, 700), max_size=40))
def test_pieces_of_a_range_equal_the_whole(timeframe: str, inner: list[int], missing: frozenset[int]):
    rows = truth(timeframe, missing)

    def fetch(since: int, until: int) -> Page:
        return served(query(since, until, timeframe=timeframe, now=NOW), timeframe, rows)

    edges = sorted({START, STOP, *inner})
    whole = fetch(START, STOP)
    pieces = [fetch(since, until) for since, until in pairwise(edges)]

    assert closed(*pieces) == closed(whole)


@given(timeframes, st.frozensets(st.integers(0, 700), max_size=40))
def test_what_is_closed_is_the_truth_and_all_of_it(timeframe: str, missing: frozenset[int]):
    rows = truth(timeframe, missing)
    whole = served(query(START, STOP, timeframe=timeframe, now=NOW), timeframe, rows)

    assert [candle.open for candle in closed(whole)] == [row[1] for row in rows][: len(closed(whole))]
    assert len(rows) - len(closed(whole)) in (0, 1)  # the running bar


@given(timeframes, cuts, st.frozensets(st.integers(0, 700), max_size=40))
def test_nothing_that_exists_is_ever_proven_empty(timeframe: str, inner: list[int], missing: frozenset[int]):
    """Every bucket in `covered` that the truth has is among the rows; it never reaches beyond now."""
    rows = truth(timeframe, missing)
    edges = sorted({START, STOP, *inner})
    zone = ZoneInfo(NEW_YORK)
    for since, until in pairwise(edges):
        found = served(query(since, until, timeframe=timeframe, now=NOW), timeframe, rows)
        have = {candle.open_ns for candle in found.candles}
        for row in rows:
            opened = row[0]
            if timeframe == "1d":
                opened = at(f"{datetime.fromtimestamp(opened, zone).date()} 00:00")
            if found.covered[0] <= opened * SECOND_NS < found.covered[1]:
                assert opened * SECOND_NS in have
        assert found.covered[1] <= max(NOW, since) * SECOND_NS

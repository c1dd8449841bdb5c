"""Whatever Yahoo answers, a page comes of it, or an error that says so; never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.adapters.junk import changed, damaged, values
from tests.adapters.yahoo.talk import query, wire
from wickwire import SECOND_NS, Finality, HttpReply, OhlcvQuery, Page, VenueError, WireError
from wickwire_yahoo import fetch_ohlcv

QUERIES = {
    "intraday_open": query(1_795_185_000, 1_795_190_000),
    "daily": query(1_794_805_200, 1_795_237_200, timeframe="1d"),
    "weekly_split": query(1_725_854_400, 1_727_064_000, timeframe="1w"),
    "nothing": query(1_795_237_200, 1_795_323_600, timeframe="1d"),
    "error_no_data": query(1_795_185_000, 1_795_190_000, timeframe="1h"),
}
STATUSES = st.sampled_from([200, 200, 200, 204, 302, 400, 401, 404, 422, 429, 500, 503, 999])
DATES = st.none() | st.just(0) | st.integers(-(2**62), 2**62)

numbers = (
    st.integers() | st.floats() | st.sampled_from([0, -1, 10**30, 253_402_300_800, 1e300, 1_795_186_200])
)
documents = values(["UTC", "1d", "1wk"], numbers)


def judge(asked: OhlcvQuery, reply: HttpReply) -> None:
    talk = fetch_ohlcv(asked)
    next(talk)
    with pytest.raises((VenueError, WireError, StopIteration)) as ended:
        talk.send(reply)
    if isinstance(ended.value, StopIteration):
        lawful(asked, ended.value.value)


def lawful(asked: OhlcvQuery, found: Page) -> None:
    """Check what every page promises, whatever it was made of."""
    stamps = [candle.open_ns for candle in found.candles]
    assert stamps == sorted(set(stamps))
    assert all(asked.since_ns <= stamp < asked.until_ns for stamp in stamps)
    assert asked.since_ns <= found.covered[0] <= found.covered[1] <= asked.until_ns
    assert found.as_of_ns is not None
    for candle in found.candles:
        assert candle.open_ns < candle.close_ns
        assert all(n.is_finite() for n in (candle.open, candle.high, candle.low, candle.close, candle.volume))
        if candle.finality is Finality.CLOSED:
            assert candle.close_ns <= found.as_of_ns
        else:
            assert found.covered[1] <= max(candle.open_ns, found.covered[0])


@st.composite
def mutants(draw: st.DrawFn) -> tuple[OhlcvQuery, bytes]:
    """A real body with one part changed, or taken away, or repeated, or some of its bytes changed."""
    name = draw(st.sampled_from(sorted(QUERIES)))
    body = wire(name)
    if draw(st.integers(0, 4)) == 0:
        return QUERIES[name], draw(damaged([body]))
    document = draw(changed([json.loads(body)], documents))
    return QUERIES[name], json.dumps(document).encode("utf-8", "replace")


@given(st.binary(max_size=300), STATUSES, DATES)
@example(b"{" * 50_000, 200, None)
def test_any_bytes(content: bytes, status: int, date_ns: int | None):
    judge(QUERIES["daily"], HttpReply(status=status, body=content, date_ns=date_ns))


@given(documents, STATUSES, st.booleans())
def test_any_document(document: Any, status: int, wrapped: bool):  # noqa: FBT001 - drawn by Hypothesis
    content = {"chart": {"result": [document]}} if wrapped else document
    judge(
        QUERIES["intraday_open"],
        HttpReply(status=status, body=json.dumps(content).encode("utf-8", "replace")),
    )


@settings(max_examples=1_000, suppress_health_check=[HealthCheck.too_slow])
@given(mutants(), STATUSES, DATES)
def test_any_single_change_of_a_real_body(mutant: tuple[OhlcvQuery, bytes], status: int, date_ns: int | None):
    asked, content = mutant
    judge(asked, HttpReply(status=status, body=content, date_ns=date_ns))


@given(st.lists(st.tuples(st.integers(0, 90_000), st.booleans()), max_size=25), st.integers(0, 90_000))
def test_any_rows_at_any_stamps(stamped: list[tuple[int, bool]], last: int):
    """Also unordered, repeated, off the grid, flat, before and after the session."""
    start = 1_795_150_800
    rows = [(start + stamp, 5, 5 if flat else 6, 5, 5, 0 if flat else 1) for stamp, flat in stamped]
    columns = {
        name: [row[n] for row in rows] for n, name in enumerate(("open", "high", "low", "close", "volume"), 1)
    }
    regular = {"start": start + 34_200, "end": start + 57_600}
    meta: dict[str, Any] = {"tradingPeriods": [[regular]], "currentTradingPeriod": {"regular": regular}}
    meta |= {"regularMarketTime": start + last, "exchangeTimezoneName": "America/New_York"}
    result = {"meta": meta, "timestamp": [row[0] for row in rows], "indicators": {"quote": [columns]}}
    content = json.dumps({"chart": {"result": [result]}}).encode()
    for timeframe in ("1m", "1h", "4h", "1d", "1w"):
        asked = query(start, start + 90_000, timeframe=timeframe)
        judge(asked, HttpReply(status=200, body=content, date_ns=(start + 90_000) * SECOND_NS))

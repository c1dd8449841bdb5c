"""The values: series and their grammar, candles and their laws, evidence, holes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import (
    MINUTE_NS,
    Candle,
    CandleState,
    Evidence,
    Feed,
    Hole,
    HoleKind,
    Rung,
    Series,
    SeriesCandle,
    Side,
    Timeframe,
    UsageError,
    broken_law,
    when,
)

# --------------------------------------------------------------------------------------------------- series

names = st.from_regex(r"\A[a-z][a-z0-9_]{0,31}\Z")
symbols = st.text("ABCXYZabc0189^./$:=&+@_#-", min_size=1, max_size=64).filter(
    lambda text: ".." not in text and "//" not in text and text != "."
)


@given(
    names,
    st.just("") | names,
    symbols,
    st.sampled_from(["1s", "90s", "5m", "4h", "1d", "1w", "1mo"]).map(Timeframe.parse)
    | st.sampled_from(Feed),
)
def test_a_series_survives_being_written_and_read(venue, variant, symbol, what):
    """Also with `:` and `@` in the symbol: the first colon and the last at-sign split."""
    series = Series(venue, symbol, what, variant)

    assert series == Series.parse(str(series))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("kraken:BTC/USD@1m", ("kraken", "", "BTC/USD", Timeframe.parse("1m"))),
        ("alpaca.sip:AAPL@1d", ("alpaca", "sip", "AAPL", Timeframe.parse("1d"))),
        ("dxlink:/ESZ25:XCME@60m", ("dxlink", "", "/ESZ25:XCME", Timeframe.parse("1h"))),
        ("dxlink:./E3AH24P4775:XCME@5m", ("dxlink", "", "./E3AH24P4775:XCME", Timeframe.parse("5m"))),
        ("yahoo:^GSPC@1mo", ("yahoo", "", "^GSPC", Timeframe.parse("1mo"))),
        (" kraken:BTC/USD@trades\n", ("kraken", "", "BTC/USD", Feed.TRADES)),
        ("kraken:A@B@quotes", ("kraken", "", "A@B", Feed.QUOTES)),
    ],
)
def test_series_as_people_write_them(text, parts):
    series = Series.parse(text)

    assert parts == (series.venue, series.variant, series.symbol, series.what)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kraken",
        "kraken:BTC/USD",
        "BTC/USD@1m",
        ":BTC/USD@1m",
        "kraken:@1m",
        "kraken:BTC/USD@",
        "kraken:X@5x",
        "Kraken:X@1m",
        "kra ken:X@1m",
        "kraken.:X@1m",
        ".sip:X@1m",
        "a.b.c:X@1m",
        "kraken\n:X@1m",
        "krak\u00e9n:X@1m",
    ],
)
def test_a_malformed_series_is_refused_and_named(text):
    with pytest.raises(UsageError) as refusal:
        Series.parse(text)

    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize(
    "symbol",
    [
        "../../etc/passwd",
        "BTC/../USD",
        "//evil.example/x",
        "BTC//USD",
        "http://evil.example",
        ".",
        "BTC?x=1",
        "BTC%2fUSD",
        "BTC\r\nX: y",
        "BTC/USD\n",
        "BTC\0USD",
        "BTC USD",
        "'; drop table candles; --",
        '"',
        "\\",
        "<b>",
        "{x}",
        "*",
        "`id`",
        "X" * 65,
        "X" * 10_000,
        "\u202eDSU/CTB",
        "\u0412\u0422\u0421/USD",  # Cyrillic letters that look like BTC
        "\uff22\uff34\uff23/USD",  # full-width ones
        "BTC\u200b/USD",
        "\x1b[31m",
        "\ud800",
    ],
)
def test_a_hostile_symbol_is_refused_and_shown_without_its_control_characters(symbol):
    with pytest.raises(UsageError) as refusal:
        Series.parse(f"kraken:{symbol}@1m")

    assert str(refusal.value).isprintable()


@given(st.text(max_size=80))
def test_any_text_is_a_series_that_reads_back_or_a_usage_error(text):
    try:
        series = Series.parse(text)
    except UsageError:
        return
    assert series == Series.parse(str(series))


def test_series_sort_and_a_feed_has_no_timeframe():
    texts = ["kraken:A@trades", "kraken:A@5m", "alpaca.sip:A@1m", "alpaca.iex:A@1m"]

    assert ["alpaca.iex:A@1m", "alpaca.sip:A@1m", "kraken:A@5m", "kraken:A@trades"] == [
        str(series) for series in sorted(map(Series.parse, texts))
    ]
    assert Series.parse("alpaca.sip:A@1m").scope == "alpaca.sip"
    with pytest.raises(TypeError, match="kraken:A@trades"):
        _ = Series.parse("kraken:A@trades").timeframe


# -------------------------------------------------------------------------------------------------- candles

ROW = Candle(
    "BTC/USD",
    Timeframe.parse("1m"),
    0,
    MINUTE_NS,
    Decimal(10),
    Decimal(12),
    Decimal(9),
    Decimal(11),
    Decimal(5),
)


def changed(value: Any, **changes: object) -> Any:
    """Return a copy; the type checker does not see that events are attrs classes."""
    return attrs.evolve(value, **changes)


@pytest.mark.parametrize(
    ("change", "law"),
    [
        ({}, None),
        ({"volume": Decimal(0)}, None),
        ({"trade_count": 0, "vwap": Decimal("10.5")}, None),
        ({"high": Decimal("10.5")}, "outside low 9 and high 10.5"),
        ({"low": Decimal("10.5")}, "outside low 10.5 and high 12"),
        ({"high": Decimal(8), "low": Decimal(9)}, "outside"),
        ({"low": Decimal(0)}, "not above zero"),
        ({"low": Decimal("-1.5")}, "not above zero"),
        ({"close": Decimal("NaN")}, "not a finite"),
        ({"high": Decimal("sNaN")}, "not a finite"),
        ({"high": Decimal("Infinity")}, "not a finite"),
        ({"volume": Decimal("NaN")}, "not a finite"),
        ({"vwap": Decimal("NaN")}, "not a finite"),
        ({"volume": Decimal("-0.1")}, "volume -0.1 is negative"),
        ({"trade_count": -1}, "trade count -1 is negative"),
        ({"trade_count": 2**63}, "64 bits"),
        ({"close_ns": 2**63}, "64 bits"),
        ({"close_ns": 0}, "ends before it opens"),
    ],
)
def test_the_laws_of_candles(change, law):
    found = broken_law(changed(ROW, **change))

    assert found is None if law is None else law in str(found)


def test_prices_at_and_below_zero_are_legal_where_the_adapter_says_so():
    assert broken_law(changed(ROW, low=Decimal(-37)), signed_prices=True) is None


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"close": Decimal("11.00")}, True),
        ({"trade_count": 7}, True),
        ({"close": Decimal("11.01")}, False),
        ({"open": Decimal("10.1")}, False),
        ({"high": Decimal(13)}, False),
        ({"low": Decimal(8)}, False),
        ({"volume": Decimal(6)}, False),
        ({"vwap": Decimal("10.6")}, False),
        ({"vwap": Decimal("10.5499")}, True),
        ({"vwap": Decimal("10.5501")}, False),
    ],
)
def test_values_are_the_same_when_numbers_are_and_silence_contradicts_nothing(change, same):
    row = changed(ROW, vwap=Decimal("10.5"))

    assert same is row.same_values(changed(row, **change))
    assert row.same_values(ROW)


def test_a_stored_candle_knows_its_series_and_whether_it_is_over():
    series = Series.parse("kraken.x:BTC/USD@1m")
    candle = SeriesCandle(
        series,
        0,
        MINUTE_NS,
        *(Decimal(1),) * 5,
        None,
        None,
        state=CandleState.REVISED,
        evidence=Evidence.VENUE,
    )

    assert ("kraken", "BTC/USD", Timeframe.parse("1m")) == (candle.venue, candle.symbol, candle.timeframe)
    assert (
        (when(0), when(MINUTE_NS)) == (candle.open_time, candle.close_time) == (ROW.open_time, ROW.close_time)
    )
    assert candle.closed
    assert not changed(candle, state=CandleState.FORMING).closed


def test_evidence_is_ranked():
    ranked = sorted(Evidence)

    assert ["IMPORTED", "SIBLING", "SUCCESSOR", "SNAPSHOT", "BUILT", "HISTORY", "VENUE"] == [
        each.name for each in ranked
    ]


def test_holes_sort_by_time():
    holes = [Hole(5, 6), Hole(0, 5, HoleKind.UNKNOWN), Hole(0, 5, HoleKind.EMPTY)]

    assert [Hole(0, 5, HoleKind.EMPTY), Hole(0, 5, HoleKind.UNKNOWN), Hole(5, 6)] == sorted(holes)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (Evidence.SUCCESSOR, "successor"),
        (Rung.STREAM, "stream"),
        (CandleState.REVISED, "revised"),
        (HoleKind.SESSION_CLOSED, "session_closed"),
        (Feed.TRADES, "trades"),
        (Side.BUY, "buy"),
    ],
)
def test_a_word_is_shown_as_it_is_written_in_stores_and_json(word, text):
    assert (text, text) == (str(word), f"{word}")
    assert f"{word:>20}" == text.rjust(20)

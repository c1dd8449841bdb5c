"""Names of DXLink: instruments, candle symbols however they are spelled, variants."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wickwire_dxlink
from wickwire import Timeframe, Unknown, Utc
from wickwire_dxlink.symbols import (
    TIMEFRAMES,
    VARIANTS,
    Variant,
    candle_symbol,
    from_venue,
    grid_of,
    read_candle_symbol,
    to_venue,
    why_not,
)

NATIVE = {
    "AAPL": "AAPL",
    "SPX": "SPX",
    "BRK.B": "BRK/B",
    "IBM&Q": "IBM&Q",
    ".SPY251219C600": ".SPY251219C600",
    ".F250620C2.02": ".F250620C2.02",
    "/ESZ25:XCME": "/ESZ25:XCME",
    "/6AM23:XCME": "/6AM23:XCME",
    "/ES:XCME": "/ES:XCME",
    "./ESU25P900:XCME": "./ESU25P900:XCME",
    "./OGX25P2040:XCEC": "./OGX25P2040:XCEC",
    "BTC/USD": "BTC/USD:CXTALP",
    "EUR/USD": "EUR/USD",
    "BTC/USD:GDAX": "BTC/USD:GDAX",
}


@pytest.mark.parametrize(("canonical", "native"), NATIVE.items())
def test_a_symbol_of_every_kind_goes_there_and_back(canonical, native):
    assert (native, canonical) == (to_venue(canonical), from_venue(native))
    assert why_not(canonical) == ""


@given(
    st.sampled_from(list(NATIVE)) | st.from_regex(r"[A-Z]{1,5}(/[A-Z]{3,5})?|[A-Z]{2}\.[A-Z]", fullmatch=True)
)
def test_names_are_inverse_on_canonical_symbols(text):
    symbol = from_venue(text)

    assert symbol == from_venue(to_venue(symbol))


@pytest.mark.parametrize(
    ("typed", "symbol"),
    [
        ("SPY   251219C00600000", ".SPY251219C600"),
        ("F     250620C00002020", ".F250620C2.02"),
        ("SPY251219P00600500", ".SPY251219P600.5"),
        ("BTC/USD:CXTALP", "BTC/USD"),
        (" aapl ", "AAPL"),
        ("/esz25:xcme", "/ESZ25:XCME"),
    ],
)
def test_what_people_and_tastytrade_write_is_understood(typed, symbol):
    assert symbol == from_venue(typed)


@pytest.mark.parametrize("symbol", ["/ESZ5", "/ESZ5:XCME", "./ESU5 ESU5  250919P900"])
def test_a_future_with_one_digit_of_the_year_is_refused_with_the_form_that_is_right(symbol):
    assert "/ESZ25:XCME" in why_not(symbol)


@pytest.mark.parametrize("symbol", ["BAC-L", "BAC-PRL", "BAC.PRL", "BAC/PRL", "AMC/WS", "AMC.WS", "ABC/RT"])
def test_preferred_shares_warrants_units_and_rights_go_as_they_are_written(symbol):
    """No rule for them is published, and none of them is a coin."""
    assert ("", symbol, symbol) == (why_not(symbol), to_venue(symbol), from_venue(symbol))


@pytest.mark.parametrize("symbol", ["BTC/USDT", "ETH/BTC", "DOGE/EUR", "SOL/USDC"])
def test_a_coin_is_priced_in_money_or_in_another_coin(symbol):
    assert ("", f"{symbol}:CXTALP") == (why_not(symbol), to_venue(symbol))


@pytest.mark.parametrize(
    "symbol", ["BTC-USD", "", "^GSPC", "ES=F", "a b", "AAPL{=m}", "../X", "7203.T", "/ESZ\uff12\uff15:XCME"]
)
def test_other_forms_are_refused_with_examples(symbol):
    assert ".SPY251219C600" in why_not(symbol)


# ------------------------------------------------------------------------------------------- candle symbols


@pytest.mark.parametrize(
    ("asked", "came"),
    [
        ("AAPL{=1m}", "AAPL{=m}"),
        ("AAPL{=1d,tho=true}", "AAPL{=d,tho=true}"),
        ("AAPL{tho=true,=1m}", "AAPL{=m,tho=true}"),
        ("AAPL{tho=true,=5m}", "AAPL{=5m,tho=true}"),
        ("SPY{=5m,tho=true,a=m}", "SPY{=5m,tho=true}"),
        ("SPY{=1h,a=s,tho=true}", "SPY{=h,a=s,tho=true}"),
        ("IBM{=15m,price=last}", "IBM{=15m}"),
        ("IBM{=1.0m}", "IBM{=m}"),
        ("IBM{=1M}", "IBM{=m}"),
        ("IBM{=1Min}", "IBM{=m}"),
        ("IBM{=2Days}", "IBM{=2d}"),
        ("IBM{=1mo}", "IBM{=mo}"),
        ("IBM{=1t}", "IBM"),
        ("IBM&Q{=1m}", "IBM&Q{=m}"),
        ("/ESZ25:XCME{=1h}", "/ESZ25:XCME{=h}"),
        ("EUR/USD{=m,price=BID}", "EUR/USD{=m,price=bid}"),
        ("AAPL{=m,tho=TRUE}", "AAPL{=m,tho=true}"),
    ],
)
def test_two_spellings_of_a_candle_symbol_say_the_same(asked, came):
    """The server rewrites what it was asked: `{=1m}` comes back as `{=m}`."""
    assert read_candle_symbol(asked) == read_candle_symbol(came)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AAPL{=m}", "AAPL{=mo}"),
        ("AAPL{=m}", "AAPL{=m,tho=true}"),
        ("AAPL{=h}", "AAPL{=60m}"),  # units are never converted
        ("AAPL{=h}", "AAPL{=h,a=s}"),
        ("EUR/USD{=m}", "EUR/USD{=m,price=bid}"),
        ("IBM{=m}", "IBM&Q{=m}"),
        ("IBM{=m}", "IBM{=m,dt=rth}"),
    ],
)
def test_different_series_stay_different(one, other):
    assert read_candle_symbol(one) != read_candle_symbol(other)


@pytest.mark.parametrize(
    "symbol", ["IBM{=x}", "IBM{a=midnight}", "IBM{price=settlement}", "IBM{", "", "IBM{=m}x"]
)
def test_what_is_no_candle_symbol_is_refused(symbol):
    with pytest.raises(ValueError, match=r"no |expected"):
        read_candle_symbol(symbol)


@pytest.mark.parametrize("unit", ["t", "s", "m", "h", "d", "w", "mo", "o", "y", "v", "p", "pm", "pr"])
def test_every_period_is_read(unit):
    told = read_candle_symbol(f"SPY{{=3{unit}}}")

    assert (Decimal(3), unit) == (told.count, told.unit)
    assert (told.timeframe is not None) == (unit in ("s", "m", "h", "d", "w", "mo"))


@pytest.mark.parametrize("period", ["60m", "60s", "0m", "1.5m", "99999h", "999999999d"])
def test_a_period_that_we_would_write_otherwise_is_none_of_ours(period):
    assert read_candle_symbol(f"SPY{{={period}}}").timeframe is None


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=list(map(str, VARIANTS)))
@pytest.mark.parametrize("timeframe", TIMEFRAMES, ids=str)
def test_what_we_ask_for_is_what_comes_back(timeframe, variant):
    told = read_candle_symbol(candle_symbol("BTC/USD", timeframe, variant))

    assert ("BTC/USD:CXTALP", timeframe, variant) == (told.instrument, told.timeframe, told.variant)


def test_a_candle_symbol_is_canonical():
    """No count of 1, no defaults, attributes in order: every server echoes it unchanged."""
    minute, hour = Timeframe.parse("1m"), Timeframe.parse("1h")

    assert "AAPL{=m}" == candle_symbol("AAPL", minute, Variant())
    assert "AAPL{=h,a=s,price=bid,tho=true}" == candle_symbol("AAPL", hour, VARIANTS["rth_aligned_bid"])
    assert "AAPL{=mo}" == candle_symbol("AAPL", Timeframe.parse("1mo"), Variant())


def test_the_grid_is_said_as_far_as_it_is_documented():
    grids = {str(one): grid_of(one, Variant()) for one in TIMEFRAMES}

    assert {text for text, grid in grids.items() if grid == Unknown()} == {"2h", "4h", "1w", "1mo"}
    assert grid_of(Timeframe.parse("1h"), VARIANTS["rth_aligned"]) == Unknown()  # sessions open at half past
    assert grid_of(Timeframe.parse("30m"), VARIANTS["rth_aligned"]) == Utc()


def test_hooks_are_those_of_the_package():
    assert wickwire_dxlink.to_venue("BTC/USD") == "BTC/USD:CXTALP"
    assert wickwire_dxlink.from_venue("BTC/USD:CXTALP") == "BTC/USD"

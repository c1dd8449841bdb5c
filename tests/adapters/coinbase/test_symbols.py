"""Coinbase's names and ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wickwire_coinbase
from wickwire import Series, Timeframe, Topic
from wickwire_coinbase.symbols import GRANULARITIES, book_of, has_product_form

assets = st.from_regex(r"[A-Z0-9]{1,10}", fullmatch=True)
pairs = st.builds("{}/{}".format, assets, assets)
natives = st.lists(assets, min_size=3, max_size=4).map("-".join)


@given(pairs | natives)
def test_names_go_there_and_back(symbol):
    assert has_product_form(symbol)
    assert wickwire_coinbase.from_venue(wickwire_coinbase.to_venue(symbol)) == symbol
    assert wickwire_coinbase.from_venue(symbol) == symbol


@given(st.text(max_size=20))
def test_any_text_has_a_canonical_form_that_stays(text):
    once = wickwire_coinbase.from_venue(text)

    assert wickwire_coinbase.from_venue(once) == once


@pytest.mark.parametrize(
    ("typed", "symbol"),
    [
        ("BTC-USD", "BTC/USD"),
        ("btc-usd", "BTC/USD"),
        ("btc/usdc", "BTC/USDC"),
        (" 1INCH-EUR ", "1INCH/EUR"),
        ("00-USD", "00/USD"),
        ("BTC-PERP-INTX", "BTC-PERP-INTX"),
        ("bit-27nov26-cde", "BIT-27NOV26-CDE"),
        ("BTCUSD", "BTCUSD"),
    ],
)
def test_what_people_type_is_understood(typed, symbol):
    assert wickwire_coinbase.from_venue(typed) == symbol


@pytest.mark.parametrize("symbol", ["BTC/USD", "BTC-PERP-INTX", "BIT-27NOV26-CDE", "ETH/BTC"])
def test_every_kind_of_product_fits_into_a_series(symbol):
    series = Series.parse(f"coinbase:{symbol}@5m")

    assert (symbol, True) == (series.symbol, has_product_form(series.symbol))
    assert str(Topic(symbol, series.what)) == f"{symbol}@5m"


@pytest.mark.parametrize("symbol", ["BTCUSD", "BTC", "", "BTC/", "/USD", "A/B/C", "BTC/USD-X", "BTC USD"])
def test_what_is_no_product_is_told_apart(symbol):
    assert not has_product_form(symbol)


def test_the_book_of_usdc_is_that_of_dollars_with_two_exceptions():
    assert ["BTC-USD", "USDT-USDC", "EURC-USDC", "BTC-USD", "BTC-PERP-USDC"] == [
        book_of(name) for name in ("BTC-USDC", "USDT-USDC", "EURC-USDC", "BTC-USD", "BTC-PERP-USDC")
    ]


def test_nine_granularities_are_served():
    assert ["1m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "1d"] == [
        str(timeframe) for timeframe in GRANULARITIES
    ]
    assert GRANULARITIES[Timeframe.parse("1d")] == "ONE_DAY"

"""Kraken's names of pairs, and ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wickwire_kraken
from wickwire_kraken.symbols import has_pair_form

ASSETS = [
    "BTC",
    "ETH",
    "DOGE",
    "XRP",
    "XTZ",
    "ZEC",
    "SOL",
    "1INCH",
    "AAPLx",
    "BRK.Bx",
    "USD",
    "EUR",
    "USDT",
    "USDC",
    "DAI",
]

pairs = st.tuples(st.sampled_from(ASSETS), st.sampled_from(ASSETS)).map("/".join)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("BTC/USD", "BTC/USD"),  # canonical, and what WebSocket v2 says
        ("XBT/USD", "BTC/USD"),  # wsname
        ("XBTUSD", "BTC/USD"),  # altname
        ("XXBTZUSD", "BTC/USD"),  # key of AssetPairs
        ("XXBT/ZUSD", "BTC/USD"),
        ("XDG/USD", "DOGE/USD"),
        ("XDGUSD", "DOGE/USD"),
        ("XXDGXXBT", "DOGE/BTC"),
        ("XETHXXBT", "ETH/BTC"),
        ("ETHXBT", "ETH/BTC"),
        ("XBTUSDT", "BTC/USDT"),
        ("USDTZUSD", "USDT/USD"),
        ("USDCUSD", "USDC/USD"),
        ("ZEURZUSD", "EUR/USD"),
        ("XTZUSD", "XTZ/USD"),  # Tezos: not XT against ZUSD
        ("XTZXBT", "XTZ/BTC"),
        ("AAPLx/USD", "AAPLx/USD"),
        ("AAPLxUSD", "AAPLx/USD"),
        ("BRK.Bx/USD", "BRK.Bx/USD"),
        ("1INCHEUR", "1INCH/EUR"),
        ("ETH2.S/ETH", "ETH2.S/ETH"),
        ("btc/usd", "BTC/USD"),
        ("xbtusd", "BTC/USD"),
        ("xxbtzusd", "BTC/USD"),
        (" BTC/USD ", "BTC/USD"),
    ],
)
def test_every_spelling_of_the_venue_is_understood(text, symbol):
    assert wickwire_kraken.from_venue(text) == symbol


@pytest.mark.parametrize("text", ["FOO", "USD", "XUSD", "XBTUSD.d", "BTC-USD", "", "stra\u00dfe"])
def test_what_is_no_pair_comes_back_for_the_framework_to_refuse(text):
    assert wickwire_kraken.from_venue(text) == text


@pytest.mark.parametrize(
    "symbol", ["BTC/USD", "1INCH/USD", "AAPLx/USD", "BRK.Bx/USD", "ETH2.S/ETH", "EUR/USD"]
)
def test_every_kind_of_pair_may_be_asked_for(symbol):
    """Whether there is such a pair the venue says."""
    assert has_pair_form(symbol)


@pytest.mark.parametrize(
    "text", ["ETH.S", "BTC-USD", "/USD", "BTC/", ".B/USD", "A/B/C", "BTC/USD ", "XBTUSD.d"]
)
def test_what_no_pair_is_written_like_is_told_apart(text):
    assert not has_pair_form(text)


@given(pairs)
def test_names_go_there_and_back(symbol):
    assert wickwire_kraken.from_venue(wickwire_kraken.to_venue(symbol)) == symbol


@given(pairs.filter(lambda symbol: "x" not in symbol))
def test_small_letters_are_as_good_as_capitals(symbol):
    assert wickwire_kraken.from_venue(symbol.lower()) == symbol


@given(st.text(max_size=20) | st.text("XZBTCDGUSE/.x", max_size=10))
def test_a_name_that_was_understood_once_stays_as_it_is(text):
    once = wickwire_kraken.from_venue(text)

    assert wickwire_kraken.from_venue(once) == once

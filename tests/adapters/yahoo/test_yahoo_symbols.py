"""What Yahoo calls things: one canonical name a thing, and no way out of the path."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wickwire_yahoo
from tests.adapters.yahoo.talk import query, request
from wickwire import FaultKind, Session, Timeframe, Utc, VenueError, Zone

PAIRS = {
    "AAPL": "AAPL",
    "BRK.B": "BRK-B",
    "7203.T": "7203.T",
    "VOD.L": "VOD.L",
    "0700.HK": "0700.HK",
    "M&M.NS": "M&M.NS",
    "BAC-PL": "BAC-PL",
    "^GSPC": "^GSPC",
    "EUR/USD": "EURUSD=X",
    "USD/CAD": "CAD=X",
    "ES=F": "ES=F",
    "ESH27.CME": "ESH27.CME",
    "DX-Y.NYB": "DX-Y.NYB",
    "AAPL270319C00270000": "AAPL270319C00270000",
    "SAP.DE": "SAP.DE",
    "1INCH/USD": "1INCH-USD",
    "BTC/USD": "BTC-USD",
    "ETH/BTC": "ETH-BTC",
    "SOS-USD": "SOS-USD",
}
DAY = Timeframe.parse("1d")


@pytest.mark.parametrize(("canonical", "native"), PAIRS.items())
def test_each_form_has_one_canonical_name(canonical: str, native: str):
    assert wickwire_yahoo.to_venue(canonical) == native
    assert wickwire_yahoo.from_venue(native) == canonical
    assert wickwire_yahoo.from_venue(canonical) == canonical


def test_a_dollar_pair_may_be_written_in_full():
    assert wickwire_yahoo.from_venue("USDCAD=X") == "USD/CAD"


def test_lower_case_is_understood_but_no_look_alike_is():
    """The capital of a dotless i is an ASCII I: such a name is refused, not taken for a share."""
    assert wickwire_yahoo.from_venue("btc-usd") == "BTC/USD"
    assert wickwire_yahoo.from_venue("\u0131bm") == "\u0131bm"
    assert wickwire_yahoo.supports_ohlcv("\u0131bm", DAY).why_not


def test_a_coin_named_like_a_currency_is_not_that_currency():
    """SOS/USD are Somali shillings; the coin keeps Yahoo's spelling, and its days are those of UTC."""
    assert wickwire_yahoo.to_venue("SOS/USD") == "SOSUSD=X"
    assert wickwire_yahoo.supports_ohlcv("SOS-USD", DAY).grid == Utc()


native_letters = st.text("ABDLTUSCEX019^.-=/&F", max_size=14)


@given(native_letters | st.sampled_from(sorted(PAIRS) + sorted(PAIRS.values())) | st.text(max_size=12))
def test_names_survive_the_way_there_and_back(text: str):
    canonical = wickwire_yahoo.from_venue(text)

    assert wickwire_yahoo.from_venue(canonical) == canonical
    assert wickwire_yahoo.from_venue(wickwire_yahoo.to_venue(canonical)) == canonical


currencies = st.sampled_from(["EUR", "USD", "GBP", "JPY", "CAD", "CHF", "INR", "CNH"])


@given(currencies, currencies)
def test_two_currencies_are_foreign_exchange(base: str, quote: str):
    pair = f"{base}/{quote}"

    if base != quote:
        assert wickwire_yahoo.to_venue(pair).endswith("=X")
        assert wickwire_yahoo.supports_ohlcv(pair, DAY).grid == Zone("Europe/London")


@pytest.mark.parametrize(
    ("symbol", "grid"),
    [
        ("AAPL", Session("XNYS", "America/New_York")),
        ("BRK.B", Session("XNYS", "America/New_York")),
        ("7203.T", Session("XTKS", "Asia/Tokyo")),
        ("^VIX", Session(tz="America/Chicago")),
        ("^AXJO", Session()),
        ("ES=F", Session(tz="America/New_York")),
        ("GCZ26.CMX", Session(tz="America/New_York")),
        ("BTC/USD", Utc()),
    ],
)
def test_the_grid_follows_from_the_name(symbol: str, grid: object):
    assert wickwire_yahoo.supports_ohlcv(symbol, DAY).grid == grid


ATTACKS = [
    "../../v7/finance/quote",
    "..",
    ".",
    "A/../B",
    "//evil.test",
    "AAPL?crumb=1",
    "AAPL#x",
    "user@evil",
    "AA%2fB",
    "AAPL\r\nX: y",
    "AAPL\n",
    "AAPL\0",
    "A" * 10_000,
    "\u202eLPAA",
    "\uff21APL",
    " AAPL",
    "AAPL ",
    "",
    "/",
    "A//B",
    "A/B/C",
    "\\",
    "AAPL;",
    "AAPL:80",
    "BTC/USD/../x",
    "=X",
    "^",
    "A..B",
    "{x}",
    "BTC/FOO",
    "-A",
    "A=Z",
    "AAPL=X=X",
]


@given(st.sampled_from(ATTACKS) | st.text(max_size=40) | native_letters)
def test_no_symbol_leaves_its_place_in_the_path(text: str):
    """Either the name is refused, with a reason, or it is one segment after the chart's path."""
    support = wickwire_yahoo.supports_ohlcv(text, DAY)
    if support.why_not:
        assert not support.rest
        with pytest.raises(VenueError) as caught:
            request(query(0, 86_400, symbol=text, timeframe="1d"))
        assert caught.value.kind is FaultKind.SYMBOL
        return
    url = urlsplit(request(query(0, 86_400, symbol=text, timeframe="1d")).url)
    assert (url.scheme, url.netloc, url.query, url.fragment) == ("https", "query1.finance.yahoo.com", "", "")
    head, segment = url.path.rsplit("/", 1)
    assert head == "/v8/finance/chart"
    assert segment not in ("", ".", "..")


@pytest.mark.parametrize("text", ATTACKS)
def test_attacks_are_refused_by_name(text: str):
    assert "no symbol that Yahoo could have" in wickwire_yahoo.supports_ohlcv(text, DAY).why_not


def test_special_characters_are_encoded():
    def url(symbol: str) -> str:
        return request(query(0, 86_400, symbol=symbol, timeframe="1d")).url.rsplit("/", 1)[1]

    assert [url("^GSPC"), url("ES=F"), url("M&M.NS")] == ["%5EGSPC", "ES%3DF", "M%26M.NS"]

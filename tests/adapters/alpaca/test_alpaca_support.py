"""What can be had at Alpaca, for whom, and how symbols are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wickwire_alpaca
from tests.adapters.alpaca.talk import (
    CRYPTO,
    D1,
    DELAYED,
    H1,
    H4,
    IEX,
    M1,
    M5,
    NOBODY,
    PLUS,
    SECRETS,
    SIP,
    TEST,
    W1,
)
from wickwire import Account, Feed, Hours, Lane, Rate, Rung, Series, Timeframe, Topic, Unknown, Zone
from wickwire.adapter import bind
from wickwire.planner import explain, plan

NEW_YORK, CHICAGO = Zone("America/New_York"), Zone("America/Chicago")
ADAPTER = bind("alpaca", wickwire_alpaca)


def support(symbol, timeframe, account):
    return ADAPTER.support_for(
        symbol, timeframe if isinstance(timeframe, Timeframe) else Timeframe.parse(timeframe), account
    )


def planned(text, account):
    return plan(Series.parse(text), ADAPTER, account)


# -------------------------------------------------------------------------------------------------- symbols


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("aapl", "AAPL"),
        ("BRK.B", "BRK.B"),
        ("brk-b", "BRK.B"),
        ("BTC/USD", "BTC/USD"),
        ("btc/usd", "BTC/USD"),
        ("BTC-USD", "BTC/USD"),
        ("ETH-USDT", "ETH/USDT"),
        ("BTCUSD", "BTCUSD"),
        (" SPY ", "SPY"),
        ("ÄÖ", "ÄÖ"),
    ],
)
def test_any_spelling_becomes_the_canonical_one(text, symbol):
    assert ADAPTER.canonical(text) == symbol


@given(st.text(max_size=20))
def test_canonical_symbols_survive_the_way_there_and_back(text):
    symbol = wickwire_alpaca.from_venue(text)

    assert wickwire_alpaca.from_venue(wickwire_alpaca.to_venue(symbol)) == symbol


@given(st.text(max_size=30), st.sampled_from([IEX, CRYPTO, TEST, SIP]))
def test_any_text_as_symbol_is_answered(text, account):
    told = support(text, M1, account)

    assert bool(told.why_not) is not (told.stream or told.rest)


@pytest.mark.parametrize(
    ("symbol", "account", "why"),
    [
        ("AAPL", CRYPTO, "write alpaca.iex:AAPL"),
        ("BTC/USD", IEX, "write alpaca:BTC/USD"),
        ("BTC/", CRYPTO, "no crypto pair"),
        ("BRK/B", CRYPTO, "write alpaca.iex:BRK.B"),
        ("BRK/B", SIP, "write alpaca.sip:BRK.B"),
        ("A B", IEX, "no symbol that Alpaca could have"),
        ("*", IEX, "no symbol that Alpaca could have"),
        ("AAPL", TEST, "write alpaca.test:FAKEPACA"),
    ],
)
def test_a_symbol_in_the_wrong_place_is_told_the_right_one(symbol, account, why):
    assert why in support(symbol, M1, account).why_not


@pytest.mark.parametrize("symbol", ["AAPL", "BRK.B", "ZVZZT", "FAKEPACA", "AAM.WS", "ABR.PRD", "GTX.WS.A"])
def test_stocks_of_every_form_are_known(symbol):
    assert support(symbol, M1, IEX).stream


@pytest.mark.parametrize("what", ["1m", "1d", "trades", "quotes"])
@pytest.mark.parametrize("account", [Account(), Account(secrets=SECRETS)], ids=["without keys", "with keys"])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("alpaca:AAPL", "write alpaca.iex:AAPL (one exchange, free) or alpaca.sip:AAPL (all of them)"),
        ("alpaca:brk-b", "write alpaca.iex:BRK.B"),
        ("alpaca.iex:BTC/USD", "a crypto pair has no feed; write alpaca:BTC/USD"),
        ("alpaca:BTCUSD", "written with a slash: alpaca:BTC/USD"),
        ("alpaca.iex:ethusdt", "written with a slash: alpaca:ETH/USDT"),
        (
            "alpaca:EUR/USD",
            "is a pair of currencies, which Alpaca does not stream",
        ),
        ("alpaca.iex:AAPL261218C00200000", "is an option, which is not collected; write one like AAPL"),
        ("alpaca.sip:SPXW261218P05000000", "is an option"),
        ("alpaca.iex:^GSPC", "no symbol that Alpaca could have"),
        ("alpaca.iex:/ESZ26", "no crypto pair"),
        ("alpaca.test:AAPL", "write alpaca.test:FAKEPACA"),
        ("alpaca.otc:AAPL", "Alpaca has no variant 'otc'; it has iex, sip, delayed_sip, test"),
    ],
)
def test_what_alpaca_has_not_is_refused_before_anything_connects(text, why, account, what):
    """With and without keys alike; a stock on the stream of crypto would take the place of the pairs."""
    made = planned(f"{text}@{what}", account)

    assert made.rung is Rung.REFUSE
    assert why in made.why


# --------------------------------------------------------------------------------------------------- rungs


def test_minutes_and_the_running_day_are_streamed_the_rest_is_served():
    streamed = {
        str(one) for one in wickwire_alpaca.describe(IEX).timeframes if support("AAPL", one, IEX).stream
    }
    served = [one for one in wickwire_alpaca.describe(IEX).timeframes if support("AAPL", one, IEX).rest]

    assert streamed == {"1m", "1d"}
    assert len(served) == 59 + 23 + 2 + 6


@pytest.mark.parametrize("timeframe", ["90s", "61m", "24h", "2d", "2w", "5mo", "2160h"])
def test_what_does_not_exist_is_refused_with_what_does(timeframe):
    assert "it has 1m to 59m, 1h to 23h" in support("AAPL", timeframe, IEX).why_not


@pytest.mark.parametrize(
    ("symbol", "account", "zone"), [("AAPL", IEX, NEW_YORK), ("BTC/USD", CRYPTO, CHICAGO)]
)
def test_days_begin_at_midnight_where_the_market_lives(symbol, account, zone):
    assert {zone} == {support(symbol, timeframe, account).grid for timeframe in (M1, M5, H1, D1)}


def test_where_nobody_says_when_bars_open_nothing_is_computed():
    unknown = [support("AAPL", one, IEX) for one in (H4, "7m", "3mo")] + [support("BTC/USD", W1, CRYPTO)]

    assert {Unknown()} == {told.grid for told in unknown}
    assert all(any("is not documented" in note for note in told.notes) for told in unknown)
    assert support("AAPL", W1, IEX).grid == NEW_YORK


def test_a_bar_settles_after_the_mark_at_which_late_trades_change_it():
    told = support("AAPL", M1, IEX)

    assert (told.settle_s, told.grace_s, told.marks_closed) == (35.0, 35.0, True)
    assert not support("AAPL", H1, IEX).marks_closed


def test_less_than_a_minute_is_built_from_trades_where_their_ids_tell_them_apart():
    told = support("AAPL", "30s", IEX)

    assert (told.trades, told.stream, told.rest, told.grid) == (True, False, False, NEW_YORK)
    assert support("BTC/USD", "10s", CRYPTO).trades
    assert "nor trades here to build them from" in support("AAPL", "30s", PLUS).why_not
    assert "needs the secrets" in support("BTC/USD", "30s", NOBODY).why_not


@pytest.mark.parametrize("timeframe", [M1, M5, H1, D1])
def test_what_alpaca_has_bars_of_is_never_built_from_trades(timeframe):
    """Its bars leave out trades of stocks and hold quotes of crypto: a build would silently disagree."""
    assert not support("AAPL", timeframe, IEX).trades
    assert not support("BTC/USD", timeframe, CRYPTO).trades


def test_crypto_says_that_a_minute_without_trades_is_one_of_quotes():
    [note] = support("BTC/USD", M1, CRYPTO).notes

    assert "trade count 0" in note


# ---------------------------------------------------------------------------------------- plans and keys


def test_the_free_plan_has_sip_a_quarter_of_an_hour_late_and_says_so():
    free, paid = support("AAPL", M1, SIP), support("AAPL", M1, PLUS)

    assert (free.stream, free.rest, free.settle_s) == (False, True, 935.0)
    assert any("free plan has SIP data only from 15 minutes ago on" in note for note in free.notes)
    assert (paid.stream, paid.settle_s) == (True, 35.0)


def test_the_plan_explains_the_quarter_of_an_hour():
    free, paid = planned("alpaca.sip:AAPL@1m", SIP), planned("alpaca.sip:AAPL@1m", PLUS)

    assert (free.rung, paid.rung) == (Rung.POLL, Rung.STREAM)
    assert free.why == (
        "Alpaca SIP on the free plan (15 minutes late) does not stream 1m candles; "
        "polled over REST 935 s after each close"
    )
    assert "SIP data only from 15 minutes ago on; alpaca.iex is at once" in explain(free)
    assert "15 minutes late" in planned("alpaca.sip:AAPL@1m", NOBODY).why
    assert planned("alpaca.sip:AAPL@trades", SIP).rung is Rung.REFUSE


def test_the_plan_says_what_keys_would_change():
    crypto, stock = planned("alpaca:BTC/USD@1m", NOBODY), planned("alpaca.iex:AAPL@1m", NOBODY)

    assert crypto.why.startswith("Alpaca streams nothing without key and secret")
    assert (crypto.rung, stock.rung) == (Rung.POLL, Rung.REFUSE)
    assert stock.why == (
        "Alpaca needs key and secret: set WICKWIRE_ALPACA_KEY and WICKWIRE_ALPACA_SECRET, or name other "
        "environment variables under [venues.alpaca.secrets] in the config, "
        "or give the Collector of a program accounts; without them crypto candles, "
        "such as alpaca:BTC/USD@1m, still come by REST"
    )


def test_hours_are_made_of_streamed_minutes_where_the_grid_is_known():
    rungs = [
        planned(f"alpaca.iex:AAPL@{text}", IEX).rung for text in ("30s", "1m", "5m", "1h", "4h", "1d", "1w")
    ]

    assert rungs == [
        Rung.BUILD,
        Rung.STREAM,
        Rung.RESAMPLE,
        Rung.RESAMPLE,
        Rung.POLL,
        Rung.STREAM,
        Rung.RESAMPLE,
    ]


def test_the_delayed_feed_is_streamed_to_everybody_a_quarter_of_an_hour_late():
    told = support("AAPL", M1, DELAYED)

    assert (told.stream, told.grace_s, told.settle_s) == (True, 935.0, 935.0)
    assert "told 15 minutes late" in told.notes


def test_the_test_feed_streams_minutes_and_has_no_history():
    assert support("FAKEPACA", M1, TEST).stream
    assert not support("FAKEPACA", M1, TEST).rest
    assert support("FAKEPACA", D1, TEST).why_not


def test_without_keys_crypto_is_polled_and_stocks_are_not_had():
    crypto, stock = support("BTC/USD", M1, NOBODY), support("AAPL", M1, Account(feed="iex"))

    assert (crypto.stream, crypto.rest) == (False, True)
    assert "secrets key and secret" in stock.why_not
    assert "crypto candles, such as" in stock.why_not


@pytest.mark.parametrize("secrets", [{"key": "K"}, {"secret": "S"}, {"key": "K", "secret": ""}])
def test_half_a_pair_of_keys_is_none(secrets):
    assert support("AAPL", M1, Account(feed="iex", secrets=secrets)).why_not


def test_a_plan_that_does_not_exist_is_refused_by_name():
    account = Account(feed="iex", plan="gold", secrets=SECRETS)

    assert "no plan 'gold'; there are basic and plus" in support("AAPL", M1, account).why_not
    assert wickwire_alpaca.describe(account).limits == wickwire_alpaca.describe(IEX).limits


def test_the_description_tells_limits_by_plan_and_keys_by_feed():
    free, paid, crypto = map(wickwire_alpaca.describe, (SIP, PLUS, NOBODY))

    assert (free.limits.connections_per_lane, free.limits.topics_per_connection) == (1, 30)
    assert (paid.limits.connections_per_lane, paid.limits.topics_per_connection) == (1, None)
    assert free.credentials == ("key", "secret")
    assert (crypto.credentials, crypto.stream_credentials) == ((), ("key", "secret"))
    assert free.variants == ("iex", "sip", "delayed_sip", "test")
    assert (free.feeds, paid.feeds) == ((), (Feed.TRADES, Feed.QUOTES))


@pytest.mark.parametrize("account", [IEX, DELAYED, TEST, CRYPTO])
def test_every_feed_but_sip_is_streamed_on_the_free_plan(account):
    told = wickwire_alpaca.describe(account)

    assert ("Alpaca", (Feed.TRADES, Feed.QUOTES)) == (told.title, told.feeds)


def test_it_takes_what_the_page_of_the_venue_says():
    """docs/venues/alpaca.md, "Limits": what is not published is a choice there."""
    free, paid = (wickwire_alpaca.describe(account).limits for account in (SIP, PLUS))

    assert (Rate(192, 60.0, 20), Rate(10_000, 60.0, 200)) == (free.rest, paid.rest)
    assert Rate(10, 60.0, 3) == free.connects == paid.connects
    assert 10_000 == support("AAPL", M1, IEX).page_rows


def test_stocks_are_traded_from_four_to_eight_in_new_york_and_crypto_always():
    """The session is from 09:30 to 16:00."""
    assert Hours("XNYS", before_s=5.5 * 3600.0, after_s=4 * 3600.0) == support("AAPL", M1, IEX).hours
    assert {None} == {support("BTC/USD", M1, CRYPTO).hours, support("FAKEPACA", M1, TEST).hours}


def test_stocks_and_crypto_ride_on_two_connections():
    assert wickwire_alpaca.lane(Topic("BTC/USD", M1)) == Lane("crypto")
    assert wickwire_alpaca.lane(Topic("AAPL", Feed.TRADES)) == Lane("stocks")

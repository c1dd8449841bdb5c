"""What DXLink says that it has: timeframes, variants, environments, limits, and why something is not."""

import pytest

import wickwire_dxlink
from wickwire import Account, Feed, Hours, Limits, Rate, Timeframe, Unknown, Utc
from wickwire.adapter import bind


def support(symbol="AAPL", text="1m", **account):
    return wickwire_dxlink.supports_ohlcv(symbol, Timeframe.parse(text), Account(**account))


def test_it_binds_as_an_adapter_that_streams_and_serves_history():
    adapter = bind("dxlink", wickwire_dxlink)

    assert (True, True, "DXLink") == (adapter.streams, adapter.serves_history, adapter.description.title)


@pytest.mark.parametrize("text", ["1s", "5s", "1m", "2m", "15m", "1h", "4h", "1d", "1w", "1mo"])
def test_what_is_streamed_has_a_history(text):
    told = support(text=text)

    assert (True, True, False, "") == (told.stream, told.rest, told.trades, told.why_not)


@pytest.mark.parametrize("text", ["7m", "45m", "13h", "3d", "2mo"])
def test_a_refused_timeframe_lists_what_is_valid(text):
    told = support(text=text)

    assert not told.stream
    assert "1s 5s 15s 30s 1m 2m 3m 5m 10m 15m 30m 1h 2h 4h 1d 1w 1mo" in told.why_not


def test_a_symbol_of_another_form_is_refused_with_examples():
    assert "/ESZ25:XCME" in support("/ESZ5").why_not
    assert ".SPY251219C600" in support("^GSPC").why_not


def test_an_unknown_variant_is_refused_with_those_there_are():
    assert "rth" in support(feed="nights").why_not


def test_only_futures_may_have_prices_below_zero():
    assert [True, False] == [support(symbol).signed_prices for symbol in ("/CLM20:XNYM", "AAPL")]


def test_a_day_settles_when_the_after_hours_are_over():
    assert [5.0, 7_200.0] == [support(text=text).settle_s for text in ("1m", "1d")]


@pytest.mark.parametrize("environment", ["sandbox", "demo"])
def test_what_is_delayed_settles_later_and_says_so(environment):
    told = support(environment=environment)

    assert 905.0 == told.settle_s
    assert any("15 min late" in note for note in told.notes)


def test_the_grid_depends_on_timeframe_and_alignment():
    assert (Utc(), Unknown()) == (support(text="1h").grid, support(text="1h", feed="rth_aligned").grid)


def test_trades_outside_of_the_session_are_told_of():
    assert any("dxlink.rth" in note for note in support().notes)
    assert not any("dxlink.rth" in note for note in support(feed="rth").notes)
    assert not any("dxlink.rth" in note for note in support("/ESZ25:XCME").notes)


@pytest.mark.parametrize(
    ("feed", "feeds"),
    [("", (Feed.TRADES, Feed.QUOTES)), ("rth", (Feed.TRADES,)), ("bid", ()), ("aligned", ()), ("nights", ())],
)
def test_trades_and_quotes_belong_to_the_plain_variants(feed, feeds):
    """A quote does not say its session, and a series of bids has no trades."""
    assert feeds == wickwire_dxlink.describe(Account(feed=feed)).feeds


def test_it_takes_what_the_page_of_the_venue_says():
    """docs/venues/dxlink.md, "Limits", "How a candle closes": nothing is published, so these are choices."""
    limits = Limits(
        topics_per_connection=5_000,
        connects=Rate(10, 60.0, 3),
        messages=Rate(10, 1.0, 10),
        rest=Rate(2, 1.0, 4),
    )

    assert limits == wickwire_dxlink.describe(Account()).limits
    assert (5.0, 2.1) == (support().settle_s, support().grace_s)
    assert (7_200.0, 7_200.0) == (support(text="1w").settle_s, support(text="1mo").grace_s)


def test_shares_are_traded_from_four_to_eight_in_new_york_and_in_the_regular_session_of_rth():
    """The session is from 09:30 to 16:00; of futures, coins and shares of one exchange nothing is known."""
    assert Hours("XNYS", before_s=5.5 * 3600.0, after_s=4 * 3600.0) == support("AAPL").hours
    assert Hours("XNYS") == support("AAPL", feed="rth").hours
    assert {None} == {support(symbol).hours for symbol in ("/ESZ25:XCME", "BTC/USD", ".SPY251219C600")}


def test_the_demo_needs_no_secrets():
    told = {
        name: wickwire_dxlink.describe(Account(environment=name)).credentials
        for name in ("production", "demo")
    }

    assert {"production": ("client_secret", "refresh_token"), "demo": ()} == told


def test_the_description_names_what_can_be_chosen():
    told = wickwire_dxlink.describe(Account())

    assert ("production", "sandbox", "demo") == told.environments
    assert {"rth", "aligned", "bid", "ask", "mark", "settlement", "rth_aligned_mark"} <= {*told.variants}
    assert 5_000 == told.limits.topics_per_connection

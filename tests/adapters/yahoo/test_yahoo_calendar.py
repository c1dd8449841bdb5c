"""Days, weeks, months and quarters: on which date they lie, and when they are over."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.yahoo.talk import at, bars, body, opens, page, query, tick, wire
from wickwire import SECOND_NS, Finality, Timeframe, WireError, Zone

MONDAY, FRIDAY = at("2026-11-16 00:00"), at("2026-11-20 00:00")
NEXT = FRIDAY + 86_400


def test_days_open_at_local_midnight_whatever_their_stamp_says():
    found = page(query(MONDAY, NEXT, timeframe="1d", now=1_795_186_707), wire("daily"))

    assert opens(found) == [MONDAY + day * 86_400 for day in range(5)]
    assert found.candles[0].close_ns == (MONDAY + 86_400) * SECOND_NS


def test_prices_are_not_adjusted_for_dividends():
    found = page(query(MONDAY, NEXT, timeframe="1d", now=1_795_186_707), wire("daily"))

    assert str(found.candles[0].close) == "267.44000244140625"


@pytest.mark.parametrize(
    ("time", "finality"),
    [
        ("2026-11-20 09:58", Finality.FORMING),
        ("2026-11-20 16:00", Finality.FORMING),
        ("2026-11-20 23:59", Finality.FORMING),
        ("2026-11-21 00:04", Finality.FORMING),
        ("2026-11-21 00:05", Finality.CLOSED),
    ],
)
def test_a_day_is_over_at_midnight_and_a_settling_time(time: str, finality: Finality):
    """Auctions and late reports move it long after the bell."""
    found = page(query(MONDAY, NEXT, timeframe="1d", now=at(time)), wire("daily"))

    assert found.candles[-1].finality is finality
    assert all(candle.finality is Finality.CLOSED for candle in found.candles[:-1])


def test_a_running_day_proves_nothing_about_itself():
    found = page(query(MONDAY, NEXT, timeframe="1d", now=at("2026-11-20 12:00")), wire("daily"))

    assert found.covered == (MONDAY * SECOND_NS, FRIDAY * SECOND_NS)


def test_a_running_day_that_alone_was_asked_for_proves_nothing():
    found = page(query(FRIDAY, NEXT, timeframe="1d", now=at("2026-11-20 12:00")), wire("daily"))

    assert found.covered == (FRIDAY * SECOND_NS,) * 2
    assert [candle.finality for candle in found.candles] == [Finality.FORMING]


def test_of_two_rows_of_one_day_the_last_counts():
    """Its volume is the fuller one."""
    rows = [*bars(FRIDAY + 34_200, volume=10), *bars(FRIDAY + 57_601, price=105.0, volume=99)]
    content = body(rows, regularMarketTime=FRIDAY + 57_601)
    found = page(query(FRIDAY, NEXT, timeframe="1d", now=NEXT), content)

    assert [(candle.open, candle.volume) for candle in found.candles] == [(Decimal("105.0"), Decimal(99))]


def test_a_tick_does_not_replace_its_day():
    """Of a running day it is the newest price; a day that is over stays as it stands."""
    rows = [*bars(FRIDAY + 34_200), tick(FRIDAY + 40_000, price=999.0)]
    content = body(rows, regularMarketTime=FRIDAY + 40_000)

    [running] = page(query(FRIDAY, NEXT, timeframe="1d", now=FRIDAY + 40_000), content).candles
    [over] = page(query(FRIDAY, NEXT, timeframe="1d", now=NEXT + 600), content).candles
    assert (running.high, running.close, running.volume) == (Decimal("999.0"), Decimal("999.0"), Decimal(10))
    assert (over.high, over.finality) == (Decimal("102.0"), Finality.CLOSED)


def test_a_tick_does_not_replace_a_day_without_volume_either():
    """Foreign exchange has no volume at all."""
    london = at("2026-11-20 00:00", "Europe/London")
    rows = [*bars(london, volume=0), tick(london + 40_000)]
    meta = {
        "symbol": "EURUSD=X",
        "exchangeTimezoneName": "Europe/London",
        "regularMarketTime": london + 40_000,
    }
    asked = query(london, london + 86_400, symbol="EUR/USD", timeframe="1d", now=london + 40_005)

    assert page(asked, body(rows, **meta)).candles[0].open == Decimal("100.0")


def test_a_tick_follows_a_day_that_is_one_price_as_any_row_does():
    """A day on which one price was paid looks like a tick itself, so the later of both counts."""
    rows = [tick(FRIDAY + 34_200, price=100.0), tick(FRIDAY + 40_000, price=101.0)]
    content = body(rows, regularMarketTime=FRIDAY + 40_000)
    [running] = page(query(FRIDAY, NEXT, timeframe="1d", now=FRIDAY + 40_000), content).candles

    assert (running.open, running.close) == (Decimal("101.0"), Decimal("101.0"))


def test_a_day_stamped_in_the_evening_is_the_next_day():
    """Around clock changes some zones show days at 22:00 or 23:00 of the day before."""
    for hours in (1, 2):
        found = page(query(FRIDAY, NEXT, timeframe="1d", now=NEXT), body(bars(FRIDAY - hours * 3_600)))
        assert opens(found) == [FRIDAY]


def test_a_live_row_in_the_evening_is_of_its_own_day():
    """Crypto asked at 22:00:00 sharp: the running day, not tomorrow."""
    midnight = at("2026-11-20 00:00", "UTC")
    ten = midnight + 22 * 3_600
    meta = {"symbol": "BTC-USD", "exchangeTimezoneName": "UTC", "regularMarketTime": ten}
    asked = query(midnight, midnight + 2 * 86_400, symbol="BTC/USD", timeframe="1d", now=ten)

    assert opens(page(asked, body(bars(ten), **meta))) == [midnight]


# --------------------------------------------------------------------------------- weeks, months, quarters


def test_the_split_week_is_one_running_candle():
    monday = at("2024-09-16 00:00")
    asked = query(at("2024-09-09 00:00"), monday + 7 * 86_400, timeframe="1w", now=1_726_689_700)
    before, running = page(asked, wire("weekly_split")).candles

    assert (running.open_ns, running.close_ns) == (monday * SECOND_NS, (monday + 7 * 86_400) * SECOND_NS)
    assert (running.open, running.high, running.low, running.close) == tuple(
        map(Decimal, ("216.54", "222.71", "213.92", "220.69"))
    )
    assert running.volume == 104776000 + 59894900
    assert (before.finality, running.finality) == (Finality.CLOSED, Finality.FORMING)


def test_a_week_that_is_still_split_is_never_closed():
    """How the two volumes add up is not established, so it waits until Yahoo has joined the rows."""
    monday = at("2024-09-16 00:00")
    asked = query(monday, monday + 7 * 86_400, timeframe="1w", now=monday + 9 * 86_400)
    found = page(asked, wire("weekly_split"))

    assert (len(found.candles), found.candles[0].finality) == (1, Finality.FORMING)
    assert found.covered[1] == monday * SECOND_NS


def test_half_a_week_alone_is_never_closed():
    monday = at("2024-09-16 00:00")
    content = body(bars(1_726_689_602), regularMarketTime=1_726_689_602)
    asked = query(monday, monday + 7 * 86_400, timeframe="1w", now=monday + 9 * 86_400)

    assert page(asked, content).candles[0].finality is Finality.FORMING


@pytest.mark.parametrize(
    ("timeframe", "stamps"),
    [
        ("1w", ["2026-11-11", "2026-11-18"]),
        ("1mo", ["2026-09-15", "2026-10-15"]),
        ("3mo", ["2026-02-01", "2026-05-01"]),
    ],
)
def test_periods_that_begin_elsewhere_are_refused(timeframe: str, stamps: list[str]):
    rows = bars(*(at(f"{stamp} 00:00") for stamp in stamps))

    with pytest.raises(WireError, match="begins at"):
        page(query(rows[0][0], NEXT, timeframe=timeframe), body(rows))


def test_the_month_of_the_listing_may_be_stamped_on_its_day():
    listed = at("2026-05-18 09:30")
    rows = bars(listed, at("2026-06-01 00:00"), at("2026-07-01 00:00"))
    found = page(query(at("2026-05-01 00:00"), NEXT, timeframe="1mo"), body(rows, firstTradeDate=listed))

    assert opens(found)[0] == at("2026-05-01 00:00")


def test_two_rows_of_one_month_in_the_middle_are_refused():
    rows = bars(
        at("2026-08-01 00:00"), at("2026-09-01 00:00"), at("2026-09-01 00:00"), at("2026-10-01 00:00")
    )

    with pytest.raises(WireError, match="two 1mo rows"):
        page(query(rows[0][0], NEXT, timeframe="1mo"), body(rows))


# -------------------------------------------------------------------------------------------- clock changes

PLACES = {
    "AAPL": ("AAPL", "America/New_York", 9.5),
    "VOD.L": ("VOD.L", "Europe/London", 8.0),
    "7203.T": ("7203.T", "Asia/Tokyo", 9.0),
    "FPH.NZ": ("FPH.NZ", "Pacific/Auckland", 10.0),
    "FALABELLA.SN": ("FALABELLA.SN", "America/Santiago", 9.5),
    "COMI.CA": ("COMI.CA", "Africa/Cairo", 10.0),
    "ES=F": ("ES=F", "America/New_York", 0.0),
    "EUR/USD": ("EURUSD=X", "Europe/London", 0.0),
    "BTC/USD": ("BTC-USD", "UTC", 0.0),
}


def local(day: date, hours: float, tz: str) -> int:
    """Return the Unix seconds of a local time of day, by the clock on the wall."""
    moment = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(tz)) + timedelta(hours=hours)
    return int(moment.timestamp())


@pytest.mark.parametrize("symbol", PLACES)
def test_ten_years_of_days_are_on_their_dates_each_once(symbol: str):
    native, tz, hours = PLACES[symbol]
    every = [date(2016, 1, 1) + timedelta(days=number) for number in range(3_653)]
    rows = bars(*(local(day, hours, tz) for day in every))
    asked = query(
        rows[0][0] - 86_400, rows[-1][0] + 86_400, symbol=symbol, timeframe="1d", now=rows[-1][0] + 200_000
    )
    found = page(asked, body(rows, symbol=native, exchangeTimezoneName=tz))

    dates = [candle.open_time.astimezone(ZoneInfo(tz)).date() for candle in found.candles]
    assert dates == every
    assert all(
        one.close_ns == two.open_ns for one, two in zip(found.candles, found.candles[1:], strict=False)
    )


@given(
    st.sampled_from(sorted(PLACES)),
    st.dates(date(2016, 1, 1), date(2026, 1, 1)),
    st.integers(-2, 9),
    st.sampled_from(["1d", "1w", "1mo", "3mo"]),
)
def test_a_stamp_means_its_date_in_every_zone(symbol: str, day: date, shift: int, timeframe: str):
    """Also when it is stamped at 22:00 or 23:00 of the day before, as around clock changes."""
    native, tz, _ = PLACES[symbol]
    grid, unit = Zone(tz), Timeframe.parse(timeframe)
    open_ns = unit.open_at(local(day, 12, tz) * SECOND_NS, grid)
    first = datetime.fromtimestamp(open_ns / SECOND_NS, ZoneInfo(tz)).date()
    stamp = local(first, shift, tz)
    asked = query(
        stamp - 86_400, stamp + 86_400, symbol=symbol, timeframe=timeframe, now=stamp + 200 * 86_400
    )
    [candle] = page(asked, body(bars(stamp), symbol=native, exchangeTimezoneName=tz)).candles

    assert (candle.open_ns, candle.close_ns) == (open_ns, unit.close_of(open_ns, grid))

"""Minutes and hours: which row is a candle, when it is over, and what a page proves."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.adapters.yahoo.talk import NEW_YORK, Bar, at, bars, body, days, opens, page, query, tick, wire
from wickwire import SECOND_NS, Candle, FaultKind, Finality, Page, Stopped, VenueError

OPEN, END = at("2026-11-20 09:30"), at("2026-11-20 16:00")
REGULAR = {"start": OPEN, "end": END}
TODAY = {"tradingPeriods": days((OPEN, END)), "currentTradingPeriod": {"regular": REGULAR}}
ASKED_AT = 1_795_186_707
"""09:58:27, when the frame `intraday_open` was asked for."""


def finalities(found: Page) -> str:
    """Return one letter a candle: C closed, F forming."""
    return "".join("C" if candle.finality is Finality.CLOSED else "F" for candle in found.candles)


def ends(found: Page) -> list[int]:
    return [candle.close_ns // SECOND_NS for candle in found.candles]


def open_market() -> Page:
    return page(query(OPEN, ASKED_AT), wire("intraday_open"))


# ------------------------------------------------------------------------------------ the documented frame


def test_the_frame_of_an_open_market_has_four_closed_bars_and_one_running():
    found = open_market()

    assert [stamp - OPEN for stamp in opens(found)] == [0, 300, 900, 1200, 1500]
    assert finalities(found) == "CCCCF"


def test_closed_prices_keep_the_digits_received():
    """float32 noise is Yahoo's; rounding it would be ours (docs/decisions, 20)."""
    first = open_market().candles[0]

    assert str(first.open) == "270.7950134277344"
    assert (first.volume, first.trade_count, first.vwap) == (Decimal(1_810_280), None, None)


def test_the_live_row_is_folded_into_the_running_bar():
    """Its price is newer; its volume is in the running bar already."""
    running = open_market().candles[-1]

    assert (running.close, running.high, running.volume) == (
        Decimal("271.4230041503906"),
        Decimal("271.6000061035156"),
        Decimal(205_140),
    )


def test_a_hole_is_no_candle_and_proven_empty():
    found = open_market()

    assert OPEN + 600 not in opens(found)
    assert found.covered == (OPEN * SECOND_NS, (OPEN + 1500) * SECOND_NS)


def test_the_page_tells_its_session_and_its_time():
    found = open_market()

    assert found.sessions == [(OPEN * SECOND_NS, END * SECOND_NS)]
    assert found.as_of_ns == ASKED_AT * SECOND_NS
    assert found.stopped is Stopped.UNTIL


def test_a_reply_needs_no_valid_ranges():
    frame = wire("intraday_open")
    start = frame.index(b',"validRanges"')

    assert page(query(OPEN, ASKED_AT), frame[:start] + frame[frame.index(b"]", start) + 1 :]) == open_market()


# --------------------------------------------------------------------------------------- when a bar is over


def one_bar(
    *, date: int | None, now: int = OPEN + 900, last: int | None = None, symbol: str = "AAPL"
) -> Candle:
    meta = {} if last is None else {"regularMarketTime": last}
    content = body(bars(OPEN), symbol=symbol, exchangeTimezoneName=NEW_YORK, **meta)
    return page(query(OPEN, now, symbol=symbol), content, date=date).candles[0]


def test_a_bar_is_over_when_the_servers_clock_has_passed_its_end_and_settling_time():
    assert one_bar(date=OPEN + 309).finality is Finality.FORMING
    assert one_bar(date=OPEN + 310).finality is Finality.CLOSED


def test_a_bar_is_over_when_the_last_price_is_younger():
    assert one_bar(date=OPEN + 301, last=OPEN + 300).finality is Finality.CLOSED


def test_the_local_clock_alone_closes_nothing():
    assert one_bar(date=None).finality is Finality.FORMING
    assert one_bar(date=None, last=OPEN + 300).finality is Finality.CLOSED


def test_a_last_price_from_the_future_closes_nothing():
    assert one_bar(date=OPEN + 100, last=OPEN + 10_000).finality is Finality.FORMING


def test_a_delayed_exchange_is_over_twenty_minutes_later():
    tokyo = at("2026-11-20 10:00", "Asia/Tokyo")

    def bar(date: int) -> Finality:
        content = body(bars(tokyo), symbol="7203.T", exchangeTimezoneName="Asia/Tokyo")
        asked = query(tokyo, tokyo + 300, symbol="7203.T", now=date)
        return page(asked, content).candles[0].finality

    assert (bar(tokyo + 1_509), bar(tokyo + 1_510)) == (Finality.FORMING, Finality.CLOSED)


def test_the_live_row_never_makes_a_closed_candle():
    """Where its bucket has no row yet, it is the running bar, of one price."""
    rows = [*bars(OPEN), tick(OPEN + 427)]
    found = page(query(OPEN, OPEN + 3_000), body(rows, regularMarketTime=OPEN + 427, **TODAY))

    assert (opens(found), finalities(found)) == ([OPEN, OPEN + 300], "CF")
    assert found.covered[1] == (OPEN + 300) * SECOND_NS


@pytest.mark.parametrize(
    "again",
    [(OPEN, 101.0, 101.0, 101.0, 101.0, 7), *bars(OPEN, price=101.0, volume=0)],
    ids=["flat", "empty"],
)
def test_a_bar_of_one_price_or_without_volume_is_no_live_row(again: Bar):
    """In thin markets all of a bar may be one price, in currencies none has a volume: the last row counts."""
    found = page(query(OPEN, OPEN + 400), body([*bars(OPEN), again], regularMarketTime=OPEN + 399, **TODAY))

    assert [Decimal("101.0")] == [candle.open for candle in found.candles]


def test_a_row_at_the_last_price_waits_while_yahoo_lags():
    """It lies on the grid and has volume, but it may hold no more than its first trade."""

    def finality(date: int) -> Finality:
        content = body(bars(OPEN), regularMarketTime=OPEN, **TODAY)
        return page(query(OPEN, OPEN + 300, now=date), content).candles[0].finality

    assert (finality(OPEN + 1_499), finality(OPEN + 1_500)) == (Finality.FORMING, Finality.CLOSED)


def test_the_live_row_leaves_a_bar_alone_that_is_over():
    rows = [*bars(OPEN), tick(OPEN + 287, price=900.0)]
    found = page(query(OPEN, OPEN + 400), body(rows, regularMarketTime=OPEN + 287, **TODAY))

    assert (found.candles[0].high, finalities(found)) == (Decimal("102.0"), "C")


def test_a_live_row_outside_the_window_brings_nothing():
    """Yahoo appends it even if it lies outside of what was asked."""
    saturday = at("2026-11-21 00:00")
    found = page(query(saturday, saturday + 86_400), body([tick(END)], regularMarketTime=END, **TODAY))

    assert found.candles == []


# ------------------------------------------------------------------------------------------ sessions


def test_the_live_row_at_the_end_of_the_session_is_no_candle():
    """It is dangerous because it lies on the grid: 16:00:00 exactly."""
    rows = [*bars(END - 300), tick(END)]
    found = page(query(END - 300, END + 7_200), body(rows, regularMarketTime=END, **TODAY))

    assert (opens(found), finalities(found)) == ([END - 300], "C")
    assert found.candles[0].close == Decimal("101.0")


@pytest.mark.parametrize(
    "periods",
    [
        days((OPEN, END)),
        {"pre": days((OPEN - 9_000, OPEN)), "regular": days((OPEN, END)), "post": days((END, END + 3_600))},
    ],
    ids=["list", "object"],
)
def test_rows_outside_the_session_are_no_candles(periods: object):
    """Both forms of tradingPeriods; pre and post market come even when not asked for."""
    content = body(bars(OPEN - 300, OPEN, END - 300, END, END + 300), tradingPeriods=periods)

    assert opens(page(query(OPEN - 3_600, END + 3_600), content)) == [OPEN, END - 300]


def test_a_half_day_ends_early():
    half = at("2026-11-27 09:30"), at("2026-11-27 13:00")
    rows = bars(half[0], half[1] - 1_800, half[1])
    found = page(query(half[0], half[1] + 9_000, timeframe="1h"), body(rows, tradingPeriods=days(half)))

    assert (opens(found), ends(found)) == ([half[0], half[1] - 1_800], [half[0] + 3_600, half[1]])


@pytest.mark.parametrize(
    ("timeframe", "last"), [("1h", "15:30"), ("90m", "15:30"), ("4h", "13:30"), ("30m", "15:30")]
)
def test_the_last_bar_of_a_session_ends_with_it(timeframe: str, last: str):
    stamp = at(f"2026-11-20 {last}")
    found = page(query(stamp, END + 600, timeframe=timeframe), body(bars(stamp), **TODAY))

    assert ends(found) == [END]


def test_a_lunch_break_makes_no_session_of_its_own():
    """Tokyo's hour of 12:00 trades from 12:30 on, also where the periods show the break."""
    morning, noon, evening = (at(f"2026-11-20 {hour}", "Asia/Tokyo") for hour in ("09:00", "11:30", "15:30"))
    periods = [[{"start": morning, "end": noon}, {"start": noon + 3_600, "end": evening}]]
    rows = bars(*range(morning, evening, 3_600))
    asked = query(morning, evening, symbol="7203.T", timeframe="1h", now=evening + 9_000)
    content = body(rows, symbol="7203.T", exchangeTimezoneName="Asia/Tokyo", tradingPeriods=periods)
    found = page(asked, content)

    assert (opens(found), ends(found)[-1]) == ([row[0] for row in rows], evening)


def test_hours_may_start_anew_after_lunch():
    """Hong Kong opens at 9:30 and again at 13:00, which is off the hourly grid of the morning."""
    morning, reopened, evening = (
        at(f"2026-11-20 {h}", "Asia/Hong_Kong") for h in ("09:30", "13:00", "16:00")
    )
    rows = bars(morning, morning + 3_600, reopened, reopened + 3_600)
    asked = query(morning, evening, symbol="0700.HK", timeframe="1h", now=evening + 9_000)
    periods = days((morning, evening))
    content = body(rows, symbol="0700.HK", exchangeTimezoneName="Asia/Hong_Kong", tradingPeriods=periods)

    assert opens(page(asked, content)) == [row[0] for row in rows]


def test_hours_may_start_anew_after_lunch_also_where_the_morning_was_not_asked_for():
    morning, reopened, evening = (
        at(f"2026-11-20 {h}", "Asia/Hong_Kong") for h in ("09:30", "13:00", "16:00")
    )
    rows = bars(reopened, reopened + 3_600)
    asked = query(reopened, evening, symbol="0700.HK", timeframe="1h", now=evening + 9_000)
    periods = days((morning, evening))
    content = body(rows, symbol="0700.HK", exchangeTimezoneName="Asia/Hong_Kong", tradingPeriods=periods)

    assert opens(page(asked, content)) == [row[0] for row in rows]


def test_a_session_that_ends_at_midnight_is_of_its_day():
    """What lies before it on that day is outside of it."""
    midnight = at("2026-11-21 00:00")
    content = body(bars(OPEN - 3_600, OPEN), tradingPeriods=days((OPEN, midnight)))

    assert opens(page(query(OPEN - 7_200, midnight, timeframe="1h"), content)) == [OPEN]


def test_round_the_clock_is_no_session():
    """Crypto says 00:00 to 23:59:00, and its last minute trades too."""
    midnight = at("2026-11-20 00:00", "UTC")
    day = {"start": midnight, "end": midnight + 86_340}
    meta = {"tradingPeriods": [[day]], "currentTradingPeriod": {"regular": day}}
    content = body(bars(midnight + 86_340), symbol="BTC-USD", exchangeTimezoneName="UTC", **meta)
    asked = query(
        midnight + 86_340, midnight + 86_400, symbol="BTC/USD", timeframe="1m", now=midnight + 90_000
    )
    found = page(asked, content)

    assert (opens(found), found.sessions) == ([midnight + 86_340], [])


# ----------------------------------------------------------------------------------------- off the grid


def test_a_row_off_the_grid_is_no_candle_and_nothing_after_it_is_proven():
    """What it is, is not known: a hole that stays visible is better than a wrong proof."""
    rows = bars(OPEN, OPEN + 137, OPEN + 300, OPEN + 900)
    found = page(query(OPEN, OPEN + 7_200), body(rows, **TODAY))

    assert opens(found) == [OPEN, OPEN + 300, OPEN + 900]
    assert found.covered[1] == (OPEN + 137) * SECOND_NS


def test_an_hour_off_the_grid_is_no_candle_either():
    rows = bars(OPEN, OPEN + 3_600 + 137, OPEN + 7_200)
    found = page(query(OPEN, END, timeframe="1h"), body(rows, **TODAY))

    assert opens(found) == [OPEN, OPEN + 7_200]
    assert found.covered[1] == (OPEN + 3_600 + 137) * SECOND_NS


def test_a_live_row_without_a_bar_begins_the_running_one():
    """Its bucket is counted from the open of the session, which is no multiple of an hour long."""
    rows = [tick(OPEN + 4_500)]
    asked = query(OPEN, END, timeframe="1h", now=OPEN + 4_505)
    found = page(asked, body(rows, regularMarketTime=OPEN + 4_500, **TODAY))

    assert (opens(found), ends(found), finalities(found)) == ([OPEN + 3_600], [OPEN + 7_200], "F")


def test_crypto_off_the_grid_is_dropped():
    midnight = at("2026-11-20 00:00", "UTC")
    rows = [*bars(midnight, midnight + 60), *bars(midnight + 167)]
    asked = query(midnight, midnight + 180, symbol="BTC/USD", timeframe="1m", now=midnight + 175)
    found = page(
        asked, body(rows, symbol="BTC-USD", exchangeTimezoneName="UTC", regularMarketTime=midnight + 167)
    )

    assert (opens(found), finalities(found)) == ([midnight, midnight + 60, midnight + 120], "CCF")


def test_a_repeated_row_counts_once_and_the_later_one_wins():
    rows = [*bars(OPEN), *bars(OPEN, price=50.0)]
    found = page(query(OPEN, OPEN + 7_200), body(rows, **TODAY))

    assert [candle.open for candle in found.candles] == [Decimal("50.0")]


def test_a_missing_volume_is_zero_and_a_missing_price_is_a_hole():
    rows = [*bars(OPEN, volume=None), (OPEN + 300, 1, None, 1, 1, 1)]
    found = page(query(OPEN, OPEN + 7_200), body(rows, **TODAY))

    assert [(candle.open_ns // SECOND_NS, candle.volume) for candle in found.candles] == [(OPEN, Decimal(0))]


# ----------------------------------------------------------------------------------------- what is proven


def test_a_thin_share_is_empty_up_to_its_last_price_and_no_further():
    """A missing minute means that nobody traded; the newest ones may just not be there yet."""
    rows = bars(OPEN, OPEN + 240)
    asked = query(OPEN, OPEN + 900, timeframe="1m", now=OPEN + 930)
    found = page(asked, body(rows, regularMarketTime=OPEN + 250, **TODAY))

    assert found.covered == (OPEN * SECOND_NS, (OPEN + 300) * SECOND_NS)


def test_after_twenty_minutes_silence_is_proof():
    asked = query(OPEN, OPEN + 3_600, timeframe="1m", now=OPEN + 3_600)
    found = page(asked, body(bars(OPEN), regularMarketTime=OPEN, **TODAY))

    assert found.covered[1] == (OPEN + 2_400) * SECOND_NS


def test_after_the_session_the_night_is_empty():
    night = END + 10_000
    asked = query(END, night, timeframe="1m", now=night)
    found = page(asked, body([tick(END)], regularMarketTime=END, **TODAY))

    assert (found.candles, found.covered) == ([], (END * SECOND_NS, night * SECOND_NS))


@pytest.mark.parametrize(("after_s", "proven_s"), [(9, END - 240), (10, END + 10)])
def test_the_night_begins_with_the_settling_time_behind_the_session(after_s: int, proven_s: int):
    """Until then the last minutes may just not be there yet."""
    asked = query(END - 300, END + 300, timeframe="1m", now=END + after_s)
    found = page(asked, body(bars(END - 300), regularMarketTime=END - 200, **TODAY))

    assert found.covered == (asked.since_ns, proven_s * SECOND_NS)


@pytest.mark.parametrize("length_s", [0, -60])
def test_a_session_that_ends_when_it_begins_is_none(length_s: int):
    """Its rows are told as where no session is known."""
    span = {"start": OPEN, "end": OPEN + length_s}
    content = body(bars(OPEN), tradingPeriods=[[span]], currentTradingPeriod={"regular": span})
    found = page(query(OPEN, OPEN + 300, now=END), content)

    assert (opens(found), found.sessions) == ([OPEN], [])


def test_a_live_row_before_the_window_does_not_spoil_the_proof():
    """On Saturday Yahoo tells of Monday's session, and still sends Friday's last price."""
    saturday, monday = at("2026-11-21 09:00"), at("2026-11-23 09:30")
    asked = query(saturday, saturday + 3_600, timeframe="1m")
    current = {"regular": {"start": monday, "end": monday + 23_400}}
    found = page(asked, body([tick(END)], regularMarketTime=END, currentTradingPeriod=current))

    assert (found.candles, found.covered) == ([], (asked.since_ns, asked.until_ns))


@pytest.mark.parametrize("frame", ["nothing", "nothing_arrays"])
def test_an_empty_reply_in_both_forms_is_an_empty_page(frame: str):
    timeframe = "1d" if frame == "nothing" else "5m"
    saturday = at("2026-11-21 00:00")
    asked = query(saturday, saturday + 86_400, timeframe=timeframe, now=saturday + 3 * 86_400)
    found = page(asked, wire(frame))

    assert (found.candles, found.covered) == ([], (asked.since_ns, asked.until_ns))


def test_an_empty_reply_that_contradicts_itself_proves_nothing():
    """The last price lies in the window, so there has to be a row: an upstream fault, not an empty market."""
    asked = query(OPEN, END + 300, now=END + 86_400)

    assert page(asked, wire("nothing_arrays")).covered == (asked.since_ns, asked.since_ns)


def test_a_share_that_was_listed_long_ago_has_all_of_its_history_behind_the_window():
    found = page(query(OPEN, OPEN + 7_200), body(bars(OPEN + 3_600), firstTradeDate=OPEN - 86_400, **TODAY))

    assert (found.stopped, found.covered[0]) == (Stopped.UNTIL, OPEN * SECOND_NS)


def test_an_empty_reply_without_a_last_price_in_the_window_proves_what_is_a_day_old():
    """With the last price comes a row, so no row at all may be trouble at Yahoo's."""
    now = END + 3 * 86_400
    found = page(query(END, now, now=now), body([], regularMarketTime=END - 1, **TODAY))

    assert found.covered == (END * SECOND_NS, (now - 86_400) * SECOND_NS)


def test_history_begins_with_the_listing():
    found = page(query(OPEN, OPEN + 7_200), body(bars(OPEN + 3_600), firstTradeDate=OPEN + 3_600, **TODAY))

    assert (found.stopped, found.covered[0]) == (Stopped.VENUE_START, (OPEN + 3_600) * SECOND_NS)


# --------------------------------------------------------------------------------------- another interval


def test_hours_served_for_half_hours_are_refused():
    """30m requests were answered with 60m rows: storing them would be worse than having none."""
    with pytest.raises(VenueError, match="was asked for 30m rows and served '1h'") as caught:
        page(query(OPEN, END, timeframe="30m"), body(bars(OPEN, OPEN + 3_600), dataGranularity="1h"))
    assert caught.value.kind is FaultKind.OUTAGE


@pytest.mark.parametrize("timeframe", ["30m", "15m", "5m"])
@pytest.mark.parametrize("missing", [(), (3, 9, 17)])
def test_hours_that_call_themselves_something_shorter_are_refused(timeframe: str, missing: tuple[int, ...]):
    """Also where nobody traded for an hour or two."""
    hours = [at(f"2026-11-{day} 09:30") + hour * 3_600 for day in (17, 18, 19, 20) for hour in range(7)]
    stamps = [stamp for number, stamp in enumerate(hours) if number not in missing]
    with pytest.raises(VenueError, match="served wider ones"):
        page(query(stamps[0], END, timeframe=timeframe), body(bars(*stamps), dataGranularity=timeframe))


def test_a_thin_share_is_not_taken_for_another_interval():
    stamps = [OPEN + 60 * minute for minute in (0, 2, 5, 11, 13, 20, 24, 31, 40, 42, 55, 59, 66, 90, 95)]

    assert len(page(query(OPEN, END, timeframe="1m"), body(bars(*stamps))).candles) == len(stamps)


def test_sixty_minutes_are_an_hour():
    found = page(query(OPEN, END, timeframe="1h"), body(bars(OPEN), dataGranularity="60m"))

    assert len(found.candles) == 1

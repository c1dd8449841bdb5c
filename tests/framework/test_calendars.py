"""When exchanges trade, and what that changes about asking."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framework.scripted import SERIES, Scripted
from tests.framework.test_collector import play
from tests.framework.test_runtime_history import Venue
from wickwire import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Hours,
    OhlcvSupport,
    Session,
    Timeframe,
    Utc,
    Zone,
    when,
)
from wickwire.buckets import LOOK_NS, Buckets
from wickwire.calendars import BUILT_IN, Calendars, Exchange, Extended
from wickwire.collector import Collector
from wickwire.simulate.listings import NEW_YORK
from wickwire.simulate.loops import run_virtual, running_clock

IN_NEW_YORK = ZoneInfo("America/New_York")
MINUTE, HOUR, DAY = (Timeframe.parse(text) for text in ("1m", "1h", "1d"))


def at(text: str) -> int:
    """Return an instant in New York."""
    moment = datetime.fromisoformat(text).replace(tzinfo=IN_NEW_YORK)
    return round(moment.timestamp()) * SECOND_NS


@attrs.frozen
class Listed:
    """A calendar whose sessions are written down."""

    written: Sequence[tuple[int, int]]
    name: str = "XABC"

    def sessions(self, since_ns: int, until_ns: int) -> Sequence[tuple[int, int]]:
        return [one for one in self.written if one[0] < until_ns and since_ns < one[1]]


FRIDAY = (at("2027-02-05T09:30"), at("2027-02-05T16:00"))
MONDAY = (at("2027-02-08T09:30"), at("2027-02-08T16:00"))
WEEK = Listed([FRIDAY, MONDAY])


def resting(timeframe: Timeframe = MINUTE, grid: Utc | Zone | Session | None = None) -> Buckets:
    return Buckets(timeframe, grid or Zone("America/New_York"), calendar=WEEK)


# ------------------------------------------------------------------------------------ between two sessions


def test_between_two_sessions_nothing_is_over_but_every_six_hours() -> None:
    buckets, saturday = resting(), at("2027-02-06T12:00")
    assert FRIDAY[1] == buckets.over_by(FRIDAY[1] + LOOK_NS - 1, FRIDAY[0])
    assert FRIDAY[1] + 3 * LOOK_NS == buckets.over_by(saturday, FRIDAY[1])
    assert FRIDAY[1] + 4 * LOOK_NS == buckets.next_end(saturday, FRIDAY[1])


@pytest.mark.parametrize("grid", [Zone("America/New_York"), Session("XNYS", "America/New_York")])
def test_the_next_session_is_looked_at_when_its_first_bucket_ends(grid: Zone | Session) -> None:
    buckets = resting(HOUR, grid)
    first_ns = MONDAY[0] + (HOUR_NS if isinstance(grid, Session) else HOUR_NS // 2)
    assert first_ns == buckets.next_end(MONDAY[0] - HOUR_NS, FRIDAY[1])
    assert MONDAY[0] == buckets.opens_next(MONDAY[0] - HOUR_NS)
    assert buckets.opens_next(MONDAY[0]) is None
    assert buckets.due(FRIDAY[1] + HOUR_NS, FRIDAY[1] + HOUR_NS) >= first_ns


def test_a_day_is_over_at_its_midnight_and_not_when_its_session_ends() -> None:
    buckets, midnight = resting(DAY), at("2027-02-06T00:00")
    assert midnight == buckets.next_end(FRIDAY[1] + HOUR_NS, 0)
    assert midnight == buckets.over_by(midnight + HOUR_NS, 0)


def test_what_a_page_tells_of_a_session_wins_over_the_calendar() -> None:
    """A half day that nobody expected."""
    buckets = resting()
    early = (FRIDAY[0], at("2027-02-05T13:00"))
    assert buckets.rest(at("2027-02-05T14:00")) is None
    buckets.told([early])
    assert (early[1], MONDAY[0]) == buckets.rest(at("2027-02-05T14:00"))


def test_nobody_looks_where_the_venue_told_when_the_next_session_opens() -> None:
    buckets = resting()
    buckets.told([MONDAY])
    assert MONDAY[0] + MINUTE_NS == buckets.next_end(FRIDAY[1], FRIDAY[1])
    assert FRIDAY[1] == buckets.over_by(MONDAY[0] - 1, FRIDAY[1])


def test_what_is_traded_outside_of_a_session_makes_the_calendar_count_for_nothing() -> None:
    buckets, saturday = resting(), at("2027-02-06T12:00")
    buckets.saw(saturday)
    assert saturday + MINUTE_NS == buckets.over_by(saturday + MINUTE_NS, FRIDAY[1])
    assert saturday + 2 * MINUTE_NS == buckets.next_end(saturday + MINUTE_NS, FRIDAY[1])
    assert buckets.rest(saturday + HOUR_NS) is not None
    buckets.saw(saturday + HOUR_NS // 2)
    assert buckets.rest(saturday + HOUR_NS) is None, "it goes on"


def test_beyond_what_a_calendar_knows_all_goes_on_as_without_it() -> None:
    late_ns = MONDAY[1] + 30 * DAY_NS
    assert resting().rest(late_ns) is None
    assert late_ns + MINUTE_NS == resting().next_end(late_ns, late_ns)


@given(st.integers(0, 6 * 24 * 60), st.sampled_from(["1m", "5m", "1h", "1d", "1w"]))
def test_the_next_look_lies_ahead_and_finds_something_over(minutes: int, timeframe: str) -> None:
    """Nobody looks for nothing: what is over then was not over before."""
    buckets, ns = resting(Timeframe.parse(timeframe)), FRIDAY[0] - DAY_NS + minutes * MINUTE_NS
    over_ns, next_ns = buckets.over_by(ns, 0), buckets.next_end(ns, 0)
    assert over_ns <= ns < next_ns
    assert buckets.opens(over_ns)
    assert over_ns <= buckets.over_by(next_ns, over_ns) <= next_ns


# ------------------------------------------------------------------------------------------ built in


def test_currencies_rest_from_friday_to_sunday_in_new_york() -> None:
    [week] = BUILT_IN
    sessions = week.sessions(at("2027-03-10T00:00"), at("2027-03-16T00:00"))  # the clocks change between
    assert [
        (at("2027-03-07T16:00"), at("2027-03-12T20:00")),
        (at("2027-03-14T16:00"), at("2027-03-19T20:00")),
    ] == list(sessions)


def calendar_of(support: OhlcvSupport) -> object:
    async def main() -> object:
        return await Calendars(running_clock()).of(support)

    return run_virtual(main())


def test_a_series_that_names_no_calendar_has_none() -> None:
    assert calendar_of(OhlcvSupport(rest=True, grid=Utc())) is None
    assert calendar_of(OhlcvSupport(rest=True, grid=Session())) is None


def test_without_the_extra_nothing_is_known_of_an_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    assert calendar_of(OhlcvSupport(rest=True, grid=Session("XNYS"))) is None
    assert calendar_of(OhlcvSupport(rest=True, hours=Hours("FX"))) is BUILT_IN[0]


# --------------------------------------------------------------------------------- with the extra `sessions`


@pytest.fixture(scope="module")
def new_york() -> Exchange:
    """Ten years of the New York Stock Exchange."""
    pytest.importorskip("exchange_calendars", reason="the extra `sessions` is not installed")
    exchange = Exchange("XNYS")
    exchange.load(2017, 2026)
    return exchange


def test_ten_years_of_new_york_follow_its_clocks_but_for_holidays_and_half_days(new_york: Exchange) -> None:
    """The sessions that simulated pages bring know neither; the calendar agrees with them on every open."""
    since_ns, until_ns = at("2017-01-01T00:00"), at("2027-01-01T00:00")
    sessions = new_york.sessions(since_ns, until_ns)
    told = dict(NEW_YORK.sessions(since_ns, until_ns))
    ends = [when(end_ns).astimezone(IN_NEW_YORK).time() for _, end_ns in sessions]

    assert not [open_ns for open_ns, _ in sessions if open_ns not in told]
    assert {time(16), time(13)} == set(ends)
    assert [one for one in sessions if told[one[0]] != one[1]] == [
        one for one, end in zip(sessions, ends, strict=True) if end == time(13)
    ]
    assert 9 * 10 <= len(told) - len(sessions) <= 11 * 10  # holidays
    assert 10 <= ends.count(time(13)) <= 30
    assert when(sessions[0][0]) == datetime(2017, 1, 3, 14, 30, tzinfo=UTC)


def test_every_rest_of_ten_years_lies_between_two_sessions(new_york: Exchange) -> None:
    buckets = Buckets(MINUTE, Zone("America/New_York"), calendar=new_york)
    sessions = new_york.sessions(at("2017-02-01T00:00"), at("2026-11-20T00:00"))
    for (open_ns, end_ns), (next_ns, _) in itertools.pairwise(sessions):
        assert buckets.rest(open_ns) is None
        assert buckets.rest(end_ns - 1) is None
        assert (end_ns, next_ns) == buckets.rest(end_ns) == buckets.rest(next_ns - 1)


def test_early_and_late_trading_of_half_days_too(new_york: Exchange) -> None:
    """The day after Thanksgiving."""
    longer = Extended(new_york, Hours("XNYS", before_s=5.5 * 3600, after_s=4 * 3600))
    [friday] = longer.sessions(at("2026-11-27T00:00"), at("2026-11-28T00:00"))
    assert (at("2026-11-27T04:00"), at("2026-11-27T17:00")) == friday
    assert not longer.sessions(at("2026-11-26T00:00"), at("2026-11-27T00:00"))


def test_the_next_year_is_learnt_when_it_comes(new_york: Exchange) -> None:
    exchange = Exchange("XNYS")
    exchange.load(2025, 2025)
    assert exchange.sessions(at("2026-01-05T00:00"), at("2026-01-06T00:00"))
    assert not exchange.sessions(at("2024-01-05T00:00"), at("2024-01-06T00:00"))
    del new_york


def test_of_a_name_that_nobody_knows_nothing_is_known(new_york: Exchange) -> None:
    del new_york
    assert not Exchange("NOPE").load(2026, 2027)


def test_on_a_real_loop_a_thread_reads_the_calendar(new_york: Exchange) -> None:
    del new_york

    async def main() -> object:
        return await Calendars(running_clock()).of(OhlcvSupport(rest=True, hours=Hours("XNYS", after_s=60.0)))

    found = asyncio.run(main())
    assert isinstance(found, Extended)
    assert "XNYS" == found.name


def test_a_holiday_is_no_day_of_polls_and_a_session_that_nobody_expected_is_seen_within_hours(
    new_york: Exchange,
) -> None:
    """Martin Luther King Day of 2027: the weekend lasts until Tuesday, unless the venue knows better."""
    del new_york

    async def test(world: Venue, collector: Collector) -> None:
        await collector.add(SERIES)
        await asyncio.sleep(16 * 3_600)  # from Friday, 03:00 in New York, to Saturday
        assert 391 <= len(world.asked) <= 420, "one a minute of the session"
        before = len(world.asked)
        await asyncio.sleep(50 * 3_600)  # to Monday, 21:00
        assert len(world.asked) - before <= 50 / 6 + 1
        [health] = collector.health().series
        assert health.opens_ns == at("2027-01-19T09:30")
        for _ in range(8 * 60):  # somebody trades on Monday night
            world.trade(100, streamed=False)
            await world.next_minute()
        stored = {candle.open_ns // MINUTE_NS for candle in await world.stored()}
        assert set(list(world.truth)[:-1]) <= stored, "since the first look each minute counts"

    hours = {"hours": Hours("XNYS")}
    play(test, Venue(plugin=Scripted(stream=False, support=hours)))

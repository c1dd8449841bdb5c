"""The values: instants, and timeframes on their grids."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from wickwire import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Session,
    Timeframe,
    Unit,
    Unknown,
    UsageError,
    Utc,
    Zone,
    iso,
    parse_instant,
    when,
)

ZONES = (
    "America/New_York",
    "America/Chicago",
    "America/Asuncion",  # clocks changed at midnight: days that begin at 01:00
    "America/St_Johns",  # clocks changed at 00:01: one date shown twice
    "America/Toronto",  # in 1919 they changed at 23:30: a day that begins at 00:30
    "Europe/London",
    "Australia/Lord_Howe",  # half an hour of summer time
    "Asia/Kathmandu",  # 5:45 ahead
    "Pacific/Apia",  # there was no 30 December 2011
    "Africa/Monrovia",  # an offset with seconds until 1972
)
CALENDAR = [
    Timeframe.parse(text) for text in ("1d", "2d", "3d", "15d", "1w", "2w", "1mo", "2mo", "3mo", "12mo")
]
WITHIN_A_DAY = [Timeframe.parse(text) for text in ("1s", "7s", "90s", "1m", "7m", "30m", "1h", "4h", "24h")]

instants = st.integers(-(2**63), 2**63 - 1)
recent = st.integers(parse_instant("1900-01-01"), parse_instant("2100-01-01"))
grids = st.one_of(st.just(Utc()), st.sampled_from(ZONES).map(Zone))
timeframes = st.sampled_from(CALENDAR + WITHIN_A_DAY)


def ns(text: str) -> int:
    return parse_instant(text)


def local(instant_ns: int, tz: str) -> datetime:
    return when(instant_ns).astimezone(ZoneInfo(tz))


# ------------------------------------------------------------------------------------------------ instants


@given(instants)
def test_an_instant_survives_being_written_and_read_with_all_nine_digits(instant):
    assert instant == parse_instant(iso(instant))


@given(instants)
def test_an_instant_is_written_with_as_few_digits_as_it_needs(instant):
    fraction = iso(instant).removesuffix("Z").partition(".")[2]

    assert len(fraction) in {0, 3, 6, 9}
    assert not fraction.endswith("000")


@given(instants)
def test_an_aware_datetime_is_cut_never_rounded(instant):
    """A datetime in the next second, or the next day, would be another bucket."""
    moment = when(instant)

    assert moment.tzinfo is UTC
    assert (
        0
        <= instant - (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000
        < 1_000
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0),
        ("2026-11-21", ns("2026-11-21T00:00:00Z")),
        ("2026-11-21T14:30", ns("2026-11-21T14:30:00Z")),
        ("2026-11-21 14:30:00", ns("2026-11-21T14:30:00Z")),
        ("2026-11-21T14:30:00.5+01:00", ns("2026-11-21T13:30:00Z") + SECOND_NS // 2),
        ("2026-11-21T00:00:00-05:45", ns("2026-11-21T05:45:00Z")),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2028-02-29T12:00:00Z", ns("2028-02-28T12:00:00Z") + DAY_NS),
        ("1677-09-21T00:12:43.145224192Z", -(2**63)),
        ("2262-04-11T23:47:16.854775807Z", 2**63 - 1),
        (" 2026-11-21\n", ns("2026-11-21")),
    ],
)
def test_rfc_3339_and_plain_dates_are_read(text, expected):
    assert expected == parse_instant(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1700000000",
        "2026-11",
        "2026-13-01",
        "2027-02-29",
        "2026-11-21T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "2026-11-21T14:30:00.0000000001Z",
        "2026-11-21T14:30:00.Z",
        "2026-11-21T14:30:00+25:00",
        "2026-11-21T14:30:00 Europe/London",
        "2026-11-21\n2026-11-22",
        "\uff12\uff10\uff12\uff16-11-21",
        "2026-11-21T1\u0664:30:00Z",
        "1677-09-21T00:12:43Z",
        "2262-04-12",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+12:00",
    ],
)
def test_what_is_no_instant_or_out_of_range_is_refused_by_name(text):
    with pytest.raises(UsageError) as refusal:
        parse_instant(text)

    assert repr(text) in str(refusal.value)


@given(st.text(max_size=40))
def test_any_text_is_an_instant_that_reads_back_or_a_usage_error(text):
    try:
        instant = parse_instant(text)
    except UsageError:
        return
    assert instant == parse_instant(iso(instant))


def test_nothing_can_be_written_beyond_the_years_1_to_9999():
    for impossible in (10**30, -(10**30)):
        with pytest.raises(ValueError, match="years 1 and 9999"):
            iso(impossible)
    assert iso(-30_641_760_000 * SECOND_NS) == "0999-01-01T00:00:00Z"


# ----------------------------------------------------------------------------------------------- timeframes


@given(st.integers(1, 3_660), st.sampled_from(Unit))
def test_a_timeframe_survives_being_written_read_copied_and_pickled_as_the_same_object(n, unit):
    assume(n * {"w": 7, "mo": 31}.get(unit.value, 1) <= 3_660)
    timeframe = Timeframe(n, unit)

    assert timeframe is Timeframe.parse(str(timeframe))
    assert timeframe is Timeframe(n, unit)
    assert timeframe is copy.deepcopy(timeframe)
    assert timeframe is pickle.loads(pickle.dumps(timeframe))


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("60s", "1m"),
        ("90s", "90s"),
        ("3600s", "1h"),
        ("60m", "1h"),
        ("90m", "90m"),
        ("24h", "24h"),
        ("7d", "7d"),
    ],
)
def test_seconds_become_minutes_and_minutes_hours_but_hours_never_days(written, canonical):
    """A day can have 23 or 25 hours, and a week starts on a Monday, which seven days need not."""
    assert canonical == str(Timeframe.parse(written))


def test_minutes_as_venues_count_them_become_days_and_weeks():
    texts = [str(Timeframe.of_minutes(minutes)) for minutes in (1, 60, 240, 1_440, 10_080, 21_600)]

    assert ["1m", "1h", "4h", "1d", "1w", "15d"] == texts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m",
        "0m",
        "-1m",
        "1",
        "1M",
        "1 m",
        "1.5h",
        "1m\n",
        "01m",
        "1\u0663m",
        "1mon",
        "100000s",
        "121mo",
        "11000d",
    ],
)
def test_what_is_no_timeframe_is_refused(text):
    with pytest.raises(UsageError, match="timeframe"):
        Timeframe.parse(text)


@given(instants | recent, timeframes, grids)
@example(ns("1919-03-31T04:45:00Z"), Timeframe.parse("1d"), Zone("America/Toronto"))
@example(ns("2010-11-07T02:45:00Z"), Timeframe.parse("1d"), Zone("America/St_Johns"))
@example(ns("2011-12-30T10:00:00Z"), Timeframe.parse("1d"), Zone("Pacific/Apia"))
@example(ns("2023-10-01T04:00:00Z"), Timeframe.parse("1h"), Zone("America/Asuncion"))
def test_buckets_tile_time_without_gap_or_overlap(instant, timeframe, grid):
    opens = timeframe.open_at(instant, grid)
    closes = timeframe.close_of(opens, grid)

    assert opens <= instant < closes
    assert opens == timeframe.open_at(opens, grid) == timeframe.open_at(closes - 1, grid)
    assert closes == timeframe.open_at(closes, grid)


@given(recent, st.sampled_from(WITHIN_A_DAY), st.sampled_from(ZONES))
def test_a_bucket_of_a_zone_lies_within_one_day_and_only_the_last_one_is_short(instant, timeframe, tz):
    day, grid = Timeframe.parse("1d"), Zone(tz)
    opens = timeframe.open_at(instant, grid)
    closes = timeframe.close_of(opens, grid)
    tomorrow = day.close_of(day.open_at(instant, grid), grid)

    assert (opens - day.open_at(instant, grid)) % timeframe.nominal_ns == 0
    assert closes == min(opens + timeframe.nominal_ns, tomorrow)


@pytest.mark.parametrize(
    ("tz", "day", "hours"),
    [
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("America/New_York", "2026-11-02", 24),
        ("America/Chicago", "2026-03-08", 23),
        ("Europe/London", "2026-03-29", 23),
        ("Europe/London", "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("America/Asuncion", "2023-10-01", 23),
        ("America/Asuncion", "2023-03-25", 25),
        ("Asia/Kathmandu", "2026-06-01", 24),
        ("America/Toronto", "1919-03-31", 23.5),
    ],
)
def test_a_day_lasts_as_long_as_its_zone_says(tz, day, hours):
    grid, one_day = Zone(tz), Timeframe.parse("1d")
    noon = datetime.combine(date.fromisoformat(day), datetime.min.time(), ZoneInfo(tz)) + timedelta(hours=12)
    opens = one_day.open_at(ns(noon.astimezone(UTC).isoformat()), grid)

    assert day == local(opens, tz).date().isoformat()
    assert hours * HOUR_NS == one_day.close_of(opens, grid) - opens


@given(recent, st.sampled_from(ZONES))
def test_a_day_opens_at_local_midnight_or_where_the_clock_jumped_over_it(instant, tz):
    opens = Timeframe.parse("1d").open_at(instant, Zone(tz))
    before, after = local(opens - SECOND_NS, tz), local(opens, tz)

    assert before.date() < after.date()
    assert after.replace(tzinfo=None).time() == datetime.min.time() or before.utcoffset() != after.utcoffset()


@given(recent, st.sampled_from((Utc(), Zone("America/New_York"), Zone("Europe/London"))))
def test_weeks_start_on_mondays_and_months_on_the_first(instant, grid):
    tz = grid.tz if isinstance(grid, Zone) else "UTC"
    weeks, months, quarters, years = (Timeframe.parse(text) for text in ("1w", "1mo", "3mo", "12mo"))
    moment = local(instant, tz)

    assert local(weeks.open_at(instant, grid), tz).weekday() == 0
    assert local(months.open_at(instant, grid), tz).date() == moment.date().replace(day=1)
    assert local(quarters.open_at(instant, grid), tz).month in {1, 4, 7, 10}
    assert local(years.open_at(instant, grid), tz).date() == date(moment.year, 1, 1)
    assert local(years.close_of(years.open_at(instant, grid), grid), tz).date() == date(moment.year + 1, 1, 1)


@pytest.mark.parametrize(
    ("timeframe", "opens", "closes"),
    [
        ("1mo", "2028-02-01", "2028-03-01"),
        ("1mo", "2026-02-01", "2026-03-01"),
        ("1mo", "2026-12-01", "2027-01-01"),
        ("1mo", "1969-12-01", "1970-01-01"),
        ("3mo", "2026-10-01", "2027-01-01"),
        ("1w", "2026-12-28", "2027-01-04"),
        ("1w", "1969-12-29", "1970-01-05"),
        ("2w", "1969-12-29", "1970-01-12"),
        ("1d", "2028-02-29", "2028-03-01"),
        ("15d", "1970-01-01", "1970-01-16"),
    ],
)
def test_months_years_and_leap_days_end_where_the_calendar_says(timeframe, opens, closes):
    frame = Timeframe.parse(timeframe)

    assert ns(closes) == frame.close_of(ns(opens), Utc())
    assert ns(opens) == frame.open_at(ns(closes) - 1, Utc())
    assert ns(closes) - ns(opens) <= frame.nominal_ns


def test_a_grid_that_does_not_say_computes_no_open_but_a_nominal_end():
    minute, day = Timeframe.parse("1m"), Timeframe.parse("1d")
    for grid in (Unknown(), Session(), Session(tz="America/New_York")):
        with pytest.raises(ValueError, match="cannot be computed"):
            minute.open_at(0, grid)
        assert minute.close_of(0, grid) == MINUTE_NS
    assert day.close_of(0, Unknown()) == day.close_of(0, Session()) == DAY_NS
    nine_thirty, midnight = ns("2026-11-20T14:30:00Z"), ns("2026-11-21T05:00:00Z")
    assert day.close_of(nine_thirty, Session("XNYS", "America/New_York")) == midnight


def test_a_grid_that_cannot_be_is_a_value_error():
    day = Timeframe.parse("1d")
    for tz in ("Mars/Olympus", "../../../etc/passwd", "", "America"):
        with pytest.raises(ValueError, match=r"time zone|cannot be computed|ZoneInfo"):
            day.open_at(0, Zone(tz))
    with pytest.raises(ValueError, match="cannot be computed"):
        Timeframe.parse("36h").open_at(0, Zone("Europe/London"))
    for year in (50, 9_950):
        with pytest.raises(ValueError, match=f"the year {year}"):
            day.open_at((2 * year - 3939) * 15_778_476 * SECOND_NS, Utc())  # at mid-year
    with pytest.raises(ValueError, match="years 1 and 9999"):
        day.open_at(10**30, Utc())

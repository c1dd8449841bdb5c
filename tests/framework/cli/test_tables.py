"""What a person sees, at the width that terminals have by default."""

import io
from decimal import Decimal

import pytest
from rich.console import Console

from wickwire.cli.tables import health_table, plan_table
from wickwire.closer import Condition, Switch
from wickwire.fallback import planned_fall_back
from wickwire.health import Health, SeriesHealth, VenueHealth
from wickwire.model import HOUR_NS, Candle, Hole, Rung, Series, Timeframe, parse_instant
from wickwire.places import plan_all
from wickwire.registry import Registry

NOW_NS = parse_instant("2026-11-20T15:00:00Z")
MINUTE = Timeframe.parse("1m")


def candle(close):
    price = Decimal(close)
    return Candle("X", MINUTE, NOW_NS - 60, NOW_NS, price, price, price, price, Decimal(1))


def series(text, rung=Rung.STREAM, **changes):
    told = {
        "condition": Condition.LIVE,
        "why": f"why {rung.value}",
        "last_close": candle("97283.3"),
        "lag_s": 1.25,
    }
    return SeriesHealth(series=Series.parse(text), rung=rung, **(told | changes))


def venue(trouble=""):
    return VenueHealth(
        venue="kraken",
        connections=1,
        wanted_connections=1,
        attempts=1,
        frames=9,
        junk=0,
        requests=3,
        failures=0,
        status="online",
        trouble=trouble,
    )


def shown(health, switches=(), width=80):
    written = io.StringIO()
    out = Console(file=written, width=width, color_system=None, highlight=False, markup=False)
    out.print(health_table(health, switches, title="a note"))
    return written.getvalue()


def health(*rows, trouble="", store_trouble=""):
    return Health(
        at_ns=NOW_NS, series=rows, venues=[venue(trouble)], committed=1, store_trouble=store_trouble
    )


def test_every_fact_of_a_series_is_in_its_row():
    hole = Hole(NOW_NS - 10, NOW_NS)
    told = shown(health(series("kraken:BTC/USD@1m", closed=12_345, revisions=7, holes=[hole])))

    [row] = [line for line in told.splitlines() if line.startswith("kraken:BTC/USD@1m ")]
    for fact in ("stream", "live", "14:59", "97283.3", "1.2 s", "12345", "7", "1"):
        assert fact in row
    assert "stream: why stream: kraken:BTC/USD@1m" in told
    assert told.startswith("a note")


@pytest.mark.parametrize("close", ["0.00001052", "12.09000015258789", "100000000.123456", "1E+30"])
def test_a_row_is_one_line_of_80_columns(close):
    told = shown(health(series("yahoo:BTC/USD@15m", Rung.POLL, last_close=candle(close), closed=999_999)))

    assert [line for line in told.splitlines() if line.startswith("yahoo:BTC/USD@15m ")]
    assert all(len(line) <= 80 for line in told.splitlines())


def test_one_reason_for_many_series_is_said_once():
    told = shown(health(*(series(f"kraken:S{number}/USD@1m") for number in range(30))))

    assert told.count("why stream") == 1
    assert "and 26 more" in " ".join(told.split())


def test_changes_of_route_and_troubles_stand_below():
    switch = Switch(Series.parse("kraken:BTC/USD@1m"), NOW_NS, Rung.POLL, "the stream is not there")
    told = shown(health(series("kraken:BTC/USD@1m"), trouble="cut", store_trouble="disk full"), [switch])

    assert "11-20 15:00:00 kraken:BTC/USD@1m is now polled: the stream is not there" in " ".join(told.split())
    assert "kraken: cut" in told
    assert "store: disk full" in told


def test_who_rests_is_said_with_the_open_of_the_next_session():
    resting = [series(f"yahoo:{name}@1d", Rung.POLL, opens_ns=NOW_NS) for name in ("A", "B")]

    assert "closed until 11-20 15:00: yahoo:A@1d, yahoo:B@1d" in shown(
        health(*resting, series("kraken:X@1m"))
    )


def test_a_venues_words_are_neither_markup_nor_control():
    told = shown(health(series("kraken:BTC/USD@1m", why="[bold]\x1b[2J[/bold]")))

    assert "[bold]\\x1b[2J[/bold]" in told


def test_trades_show_how_many_came():
    told = shown(health(series("kraken:BTC/USD@trades", last_close=None, lag_s=None, received=4711)))

    assert "4711" in told


def test_in_a_narrow_terminal_names_are_folded_and_no_number_is_cut():
    long = series("coinbase:SOMETHING/USDC@trades", condition=Condition.STOPPED, lag_s=11.25)

    told = shown(health(long), width=60)

    assert "…" not in told
    assert "11.2 s" in told
    assert "holes" in told


@pytest.mark.parametrize(("ago_h", "opened"), [(0, "15:00"), (22, "17:00"), (30, "11-19 09:00")])
def test_the_last_candle_has_a_day_where_its_time_alone_would_not_say_which(ago_h, opened):
    price = Decimal(1)
    open_ns = NOW_NS - ago_h * HOUR_NS
    last = Candle("X", MINUTE, open_ns, open_ns + 60, price, price, price, price, price)

    [row] = [
        line
        for line in shown(health(series("kraken:BTC/USD@1m", last_close=last))).splitlines()
        if "@1m" in line
    ][:1]

    assert f" {opened} " in row
    assert ("11-19" in row) == (ago_h > 23)


def planned(*names, width=80):
    registry = Registry()
    adapters = {venue: registry.load(venue) for venue in ("coinbase", "yahoo")}
    written = io.StringIO()
    out = Console(file=written, width=width, color_system=None, highlight=False, markup=False)
    plans = plan_all([Series.parse(name) for name in names], adapters)
    out.print(plan_table(plans, planned_fall_back(plans, adapters, {})))
    return [line.rstrip() for line in written.getvalue().splitlines()]


def test_hundreds_of_plans_fit_the_width_and_are_summed_up():
    streamed = [f"coinbase:P{number}/USD@{text}" for number in range(150) for text in ("1m", "5m")]
    polled = [f"yahoo:{name}@1m" for name in ("AAPL", "MSFT", "SPY")]
    lines = planned(*streamed, *polled, "coinbase:BTC@1m")

    assert max(map(len, lines)) <= 80
    for name in (*streamed, *polled):
        assert any(line.startswith(f"{name} ") for line in lines), name
    assert "304 series: 150 stream, 150 build, 3 poll, 1 refuse; 3 connections; 2 venues" == lines[-3]
    fall = "all 300 streamed series could be polled at once, with 30% of the REST limit of coinbase"
    assert fall in " ".join(lines[-2:])


def test_a_few_plans_need_no_sum():
    assert not any(" series: " in line for line in planned("coinbase:BTC/USD@5m"))


def test_what_a_venue_remarks_is_said_once_for_all_series_below_their_plans():
    names = [f"coinbase:P{number}/USD@5m" for number in range(6)]

    assert planned(*names)[7:] == [
        "note: buckets without trades do not exist (coinbase:P0/USD@5m,",
        "coinbase:P1/USD@5m, coinbase:P2/USD@5m, coinbase:P3/USD@5m and 2 more)",
    ]

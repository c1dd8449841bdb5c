"""When the simulated Yahoo says no, and every fault that it can show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulation.yahoo_client import MARKET, NOW, asked, body, period, result, rows, widened
from wickwire import DAY_NS, MINUTE_NS, SECOND_NS, parse_instant
from wickwire.simulate.server import Answer, Incoming
from wickwire_yahoo.simulator import YahooServer

# ----------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "query", "status", "text"),
    [
        ("VIX", {"interval": "1d", "range": "5d"}, 404, "No data found, symbol may be delisted"),
        ("aapl", {"interval": "1d", "range": "5d"}, 404, "No data found, symbol may be delisted"),
        (
            "AAPL",
            {"interval": "7m", "range": "1d"},
            400,
            (
                "Invalid input - interval=7m is not supported. Valid intervals: "
                "[1m, 2m, 5m, 15m, 30m, 60m, 90m, 1h, 4h, 1d, 5d, 1wk, 1mo, 3mo]"
            ),
        ),
        (
            "AAPL",
            {"interval": "1d", "period1": "946684800", "period2": "1296000000"},
            400,
            "Data doesn't exist for startDate = 946684800, endDate = 1296000000",
        ),
        (
            "AAPL",
            {"interval": "1m", "period1": "1793505600", "period2": "1795186708"},
            422,
            (
                "1m data not available for startTime=1793505600 and endTime=1795186708. "
                "Only 8 days worth of 1m granularity data are allowed to be fetched per request."
            ),
        ),
        (
            "AAPL",
            {"interval": "1m", "period1": "1791000000", "period2": "1791003600"},
            422,
            (
                "1m data not available for startTime=1791000000 and endTime=1791003600. "
                "The requested range must be within the last 30 days."
            ),
        ),
        (
            "AAPL",
            {"interval": "5m", "period1": "1728136756", "period2": "1791208756"},
            422,
            (
                "5m data not available for startTime=1728136756 and endTime=1791208756. "
                "The requested range must be within the last 60 days."
            ),
        ),
        (
            "AAPL",
            {"interval": "60m", "period1": "1700000000", "period2": "1795186708"},
            422,
            (
                "60m data not available for startTime=1700000000 and endTime=1795186708. "
                "The requested range must be within the last 730 days."
            ),
        ),
    ],
)
def test_refusals_have_their_status_and_text(
    server: YahooServer, name: str, query: dict[str, Any], status: int, text: str
) -> None:
    answer = asked(server, f"/v8/finance/chart/{name}", **query)

    chart = json.loads(answer.body)["chart"]
    assert (answer.status, chart["error"]["description"], chart["result"]) == (status, text, None)


def test_a_window_that_partly_reaches_too_far_gets_nothing(server: YahooServer) -> None:
    depth_ns = 60 * DAY_NS
    inside = str((NOW - depth_ns) // SECOND_NS + 1)
    outside = str((NOW - depth_ns) // SECOND_NS - 1)

    assert result(server, "AAPL", interval="5m", period1=inside, period2="1795186708")["timestamp"]
    assert body(server, "AAPL", interval="5m", period1=outside, period2="1795186708")["result"] is None


def test_a_sunday_has_no_data_and_an_idle_session_no_timestamp(server: YahooServer) -> None:
    sunday = asked(server, "/v8/finance/chart/AAPL", interval="5m", **period("2026-11-15", "2026-11-16"))
    idle = result(server, "DUSK", interval="1m", **_idle_minutes())

    assert sunday.status == 400
    assert "timestamp" not in idle
    assert idle["indicators"] == {"quote": [{}]}


def _idle_minutes() -> dict[str, Any]:
    """Return a window inside a session in which nothing was traded, and no row of nulls is due."""
    open_ns = parse_instant("2026-11-17T14:30:00Z")
    for number in range(390):
        since_ns = open_ns + number * MINUTE_NS
        if since_ns // MINUTE_NS % 2 and not MARKET.trades("DUSK", since_ns, since_ns + MINUTE_NS):
            return {"period1": str(since_ns // SECOND_NS), "period2": str(since_ns // SECOND_NS + 60)}
    raise AssertionError("this market is never idle")


@pytest.mark.parametrize("agent", ["", "curl/8.5.0", "python-requests/2.34.2", "Python/3.11 aiohttp/3"])
def test_the_edge_refuses_by_the_clients_look(server: YahooServer, agent: str) -> None:
    answer = asked(server, "/v8/finance/chart/AAPL", headers={"user-agent": agent})

    assert (answer.status, answer.body) == (429, b"Edge: Too Many Requests")


def test_too_many_calls_are_refused_as_text_until_time_passes(server: YahooServer) -> None:
    server.inject("rate", calls=3, per_s=10)
    answers = [asked(server, "/v8/finance/chart/AAPL", interval="1d") for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].body == b"Too Many Requests\r\n"
    assert asked(server, "/v8/finance/chart/AAPL", NOW + 11 * SECOND_NS, interval="1d").status == 200


# ------------------------------------------------------------------------------------- cookie and crumb


def test_a_crumb_needs_the_cookie_and_a_quote_needs_both(server: YahooServer) -> None:
    cookie = asked(server, "/").headers["Set-Cookie"]
    with_it = {"cookie": cookie.partition(";")[0]}
    crumb = asked(server, "/v1/test/getcrumb", headers=with_it).body.decode()

    assert asked(server, "/v1/test/getcrumb").status == 401
    assert "." in crumb
    assert "/" in crumb
    assert asked(server, "/v7/finance/quote", headers=with_it, symbols="AAPL").status == 401
    assert asked(server, "/v7/finance/quote", headers=with_it, symbols="AAPL", crumb="old").status == 401
    quotes = json.loads(asked(server, "/v7/finance/quote", headers=with_it, symbols="AAPL", crumb=crumb).body)
    assert quotes["quoteResponse"]["result"][0]["ask"] == widened(MARKET.quote("AAPL", NOW).ask)


def test_a_summary_is_not_found(server: YahooServer) -> None:
    answer = asked(server, "/v10/finance/quoteSummary/FOO")

    assert answer.status == 404
    assert json.loads(answer.body)["quoteSummary"]["result"] is None


def test_there_is_no_stream(server: YahooServer) -> None:
    opening = Incoming(method="GET", path="/", query={}, headers={})

    refusal = server.accept(opening, NOW)

    assert isinstance(refusal, Answer)
    assert refusal.status == 404


# ------------------------------------------------------------------------------------------------- faults


def test_a_muted_server_stands_still(server: YahooServer) -> None:
    before = rows(result(server, "BTC-USD", interval="1m", range="1d"))
    server.inject("mute")
    after = rows(result(server, "BTC-USD", NOW + 600 * SECOND_NS, interval="1m", range="1d"))

    assert after == before


def test_delayed_data_says_nothing_of_it(server: YahooServer) -> None:
    server.inject("delayed", delay_s=900)

    late = result(server, "BTC-USD", interval="1m", range="1d")

    assert late["meta"]["regularMarketTime"] <= (NOW // SECOND_NS) - 900
    assert late["timestamp"][-1] == late["meta"]["regularMarketTime"]


def test_late_volume_is_corrected_by_and_by(server: YahooServer) -> None:
    server.inject("late_volume", lag_s=60)
    at_ns = NOW - NOW % MINUTE_NS
    stamp = at_ns // SECOND_NS - 60

    def volume(now_ns: int) -> int:
        found = rows(result(server, "AAPL", now_ns, interval="1m", range="1d"))
        return next(int(row[5]) for row in found if row[0] == stamp)

    assert volume(at_ns + 5 * SECOND_NS) < volume(at_ns + 65 * SECOND_NS)


def test_a_split_rescales_all_history_and_is_reported(server: YahooServer) -> None:
    before = rows(result(server, "AAPL", interval="1d", range="5d"))
    server.inject("split", symbol="AAPL", ratio=4)
    found = result(server, "AAPL", interval="1d", range="5d", events="div,split")

    after = rows(found)
    assert [row[4] for row in after] == [pytest.approx(row[4] / 4, rel=1e-6) for row in before]
    assert [row[5] for row in after] == [row[5] * 4 for row in before]
    assert [split["splitRatio"] for split in found["events"]["splits"].values()] == ["4:1"]


def test_faults_of_the_body_do_what_they_say(server: YahooServer) -> None:
    server.inject("duplicate_day")
    assert len(rows(result(server, "AAPL", interval="1d", range="5d"))) == 6
    server.inject("live_row", on=False)
    assert rows(result(server, "AAPL", interval="5m", range="1d"))[-1][0] % 300 == 0
    server.inject("no_valid_ranges")
    assert "validRanges" not in result(server, "AAPL", interval="1d", range="5d")["meta"]
    server.inject("currency", symbol="AAPL")
    assert result(server, "AAPL", interval="1d", range="5d")["meta"]["currency"] == "GBp"
    server.inject("coarse")
    assert result(server, "AAPL", interval="30m", range="1d")["meta"]["dataGranularity"] == "1h"
    server.inject("empty")
    assert "timestamp" not in result(server, "AAPL", interval="1d", range="5d")
    server.inject("empty", arrays=True)
    assert rows(result(server, "AAPL", interval="1d", range="5d")) == []
    server.inject("no_result")
    assert body(server, "AAPL", interval="1d") == {"result": None, "error": None}
    server.inject("no_result", whole=True)
    assert body(server, "AAPL", interval="1d") is None
    server.inject("delisted", symbol="AAPL")
    assert asked(server, "/v8/finance/chart/AAPL", interval="1d").status == 404


def test_faults_of_the_edge_do_what_they_say(server: YahooServer) -> None:
    server.inject("throttle", retry_after_s=30)
    answer = asked(server, "/v8/finance/chart/AAPL")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "30")
    server.inject("server_error", status=502)
    assert asked(server, "/v8/finance/chart/AAPL").status == 502
    server.inject("outage")
    page = asked(server, "/v8/finance/chart/AAPL")
    assert (page.status, page.content_type) == (200, "text/html")
    assert b"Will be right back" in page.body


def test_every_fault_has_a_sentence_and_wrong_ones_are_named(server: YahooServer) -> None:
    assert all(sentence.endswith(".") for sentence in server.faults.values())
    with pytest.raises(ValueError, match=r"no fault 'x'; there are throttle, "):
        server.inject("x")
    with pytest.raises(ValueError, match="takes on, not symbol"):
        server.inject("mute", symbol="AAPL")
    with pytest.raises(ValueError, match="needs a symbol that is traded here, got 'BTC/USD'"):
        server.inject("delisted", symbol="BTC/USD")


def test_bad_rows_lack_their_high(server: YahooServer) -> None:
    server.inject("bad_rows")
    found = rows(result(server, "AAPL", interval="5m", range="1d"))

    assert {row[2] is None for row in found[1::2]} == {True}
    assert any(row[2] is not None and row[1] is not None for row in found[::2])

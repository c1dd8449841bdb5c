"""Alpaca's history: what is asked, what a page means, and every way in which paging may go wrong."""

import json
from decimal import Decimal

import pytest

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
    NOW,
    PLUS,
    SIP,
    TEST,
    answered,
    frame,
    ns,
    query,
)
from wickwire import (
    MINUTE_NS,
    SECOND_NS,
    Account,
    Candle,
    FaultKind,
    Finality,
    HttpReply,
    Stopped,
    Timeframe,
    TransportError,
    VenueError,
    WireError,
)

FOUR = query("AAPL", M1, "2026-11-20T14:30:00Z", "2026-11-20T14:34:00Z")
PAGE1, PAGE2 = frame("rest_bars_page1"), frame("rest_bars_page2")


def fetch(*bodies, asked=FOUR, account=IEX):
    return answered(wickwire_alpaca.fetch_ohlcv(asked, account), *bodies)


def bars(*opens, symbol="AAPL", token=None, **more):
    row = {"o": 1, "h": 2, "l": 1, "c": 2, "v": 3, "n": 4, "vw": 1.5}
    rows = [{**row, "t": when, **more} for when in opens]
    return json.dumps({"bars": {symbol: rows}, "next_page_token": token}).encode()


# -------------------------------------------------------------------------------------------- what is asked


def test_a_request_names_feed_range_and_keys():
    _, [request] = fetch(PAGE2)

    assert request.url == "https://data.alpaca.markets/v2/stocks/bars"
    assert request.params == {
        "symbols": "AAPL",
        "timeframe": "1Min",
        "adjustment": "raw",
        "start": "2026-11-20T14:30:00Z",
        "end": "2026-11-20T14:33:59.999999999Z",
        "limit": "10000",
        "sort": "asc",
        "feed": "iex",
    }
    assert request.headers == {"APCA-API-KEY-ID": "PKTEST", "APCA-API-SECRET-KEY": "hush"}
    assert "hush" not in repr(request)


def test_crypto_is_asked_without_feed_and_without_keys_where_there_are_none():
    asked = query("BTC/USD", M1, "2026-11-20T14:30:00Z", "2026-11-20T14:34:00Z")
    _, [request] = fetch(frame("rest_bars_empty"), asked=asked, account=NOBODY)

    assert request.url == "https://data.alpaca.markets/v1beta3/crypto/us/bars"
    assert request.params["symbols"] == "BTC/USD"
    assert not {"feed", "adjustment"} & request.params.keys()
    assert request.headers == {}


def test_a_token_of_oauth_goes_as_a_bearer():
    account = Account(feed="iex", secrets={"key": "oauth", "secret": "tok"}, environment="sandbox")
    _, [request] = fetch(PAGE2, account=account)

    assert request.headers == {"Authorization": "Bearer tok"}
    assert request.url.startswith("https://data.sandbox.alpaca.markets/")


@pytest.mark.parametrize(
    ("timeframe", "name"),
    [
        ("1m", "1Min"),
        ("59m", "59Min"),
        ("1h", "1Hour"),
        ("23h", "23Hour"),
        ("1d", "1Day"),
        ("1w", "1Week"),
        ("1mo", "1Month"),
        ("12mo", "12Month"),
    ],
)
def test_timeframes_have_the_names_of_the_venue(timeframe, name):
    asked = query("AAPL", Timeframe.parse(timeframe), "2026-01-05T05:00:00Z", "2026-01-12T05:00:00Z")
    _, [request] = fetch(frame("rest_bars_empty"), asked=asked)

    assert request.params["timeframe"] == name


@pytest.mark.parametrize(
    ("asked", "account", "kind"),
    [
        (query("AAPL", Timeframe.parse("90s"), "2026-01-05", "2026-01-06"), IEX, FaultKind.REQUEST),
        (query("AAPL", M1, "2026-01-05", "2026-01-06"), Account(feed="iex"), FaultKind.CREDENTIALS),
        (query("AAPL", M1, "2026-01-05", "2026-01-06"), CRYPTO, FaultKind.SYMBOL),
        (query("FAKEPACA", M1, "2026-01-05", "2026-01-06"), TEST, FaultKind.REQUEST),
        (query("BTC/USD", M1, "2026-01-05", "2026-01-06"), Account(plan="gold"), FaultKind.REQUEST),
        (query("BTC/USD", M1, "2026-01-05", "2026-01-06"), Account(environment="moon"), FaultKind.REQUEST),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_sent(asked, account, kind):
    with pytest.raises(VenueError) as caught:
        fetch(asked=asked, account=account)

    assert caught.value.kind is kind


# ------------------------------------------------------------------------------------------------- a page


def test_pages_are_joined_and_the_minute_without_trades_is_proven_empty():
    page, requests = fetch(PAGE1, PAGE2)

    assert [candle.open_ns for candle in page.candles] == [
        ns(f"2026-11-20T14:{minute}:00Z") for minute in (30, 31, 33)
    ]
    assert (page.covered, page.stopped) == ((FOUR.since_ns, FOUR.until_ns), Stopped.UNTIL)
    assert "page_token" not in requests[0].params
    assert requests[1].params["page_token"] == json.loads(PAGE1)["next_page_token"]


def test_a_row_is_a_candle_with_the_digits_received():
    page, _ = fetch(PAGE1, PAGE2)

    assert page.candles[1] == Candle(
        "AAPL",
        M1,
        ns("2026-11-20T14:31:00Z"),
        ns("2026-11-20T14:32:00Z"),
        Decimal("227.1"),
        Decimal("227.4"),
        Decimal("227.05"),
        Decimal("227.32"),
        Decimal(1234),
        17,
        Decimal("227.214583"),
        Finality.CLOSED,
    )


def test_the_form_for_one_symbol_is_read_too():
    page, _ = fetch(frame("rest_bars_single"))

    assert [candle.trade_count for candle in page.candles] == [10]


@pytest.mark.parametrize("name", ["rest_bars_null", "rest_bars_empty", "rest_bars_absent"])
def test_no_bars_come_in_several_forms_and_prove_the_range_empty(name):
    page, _ = fetch(frame(name))

    assert (list(page.candles), page.covered) == ([], (FOUR.since_ns, FOUR.until_ns))


@pytest.mark.parametrize("rows", ["[]", '{"AAPL":null}', '{"AAPL":[]}'])
def test_and_in_more(rows):
    page, _ = fetch(f'{{"bars":{rows},"next_page_token":null}}'.encode())

    assert list(page.candles) == []


def test_a_minute_of_quotes_has_no_average_of_trades():
    asked = query("BTC/USD", M1, "2026-11-20T14:30:00Z", "2026-11-20T14:31:00Z")
    body = bars("2026-11-20T14:30:00Z", symbol="BTC/USD", n=0, v=0, vw=0)
    page, _ = fetch(body, asked=asked, account=CRYPTO)

    assert [(row.trade_count, row.volume, row.vwap) for row in page.candles] == [(0, 0, None)]


def test_a_row_says_by_the_clock_of_the_venue_whether_it_is_over():
    """Only a minute that is settled is called closed; without a Date nothing is."""
    now = ns("2026-11-20T14:33:10Z")
    opens = [f"2026-11-20T14:{minute}:00Z" for minute in (31, 32, 33)]

    told, _ = fetch(HttpReply(status=200, body=bars(*opens), date_ns=now))
    untold, _ = fetch(HttpReply(status=200, body=bars(*opens)), asked=told_at(now))
    hour, _ = fetch(
        HttpReply(status=200, body=bars("2026-11-20T12:00:00Z"), date_ns=now),
        asked=query("AAPL", H1, "2026-11-20T12:00:00Z", "2026-11-20T13:00:00Z"),
    )

    assert [row.finality for row in told.candles] == [Finality.CLOSED, Finality.UNSAID, Finality.FORMING]
    assert [row.finality for row in untold.candles][2] is Finality.FORMING
    assert [row.finality for row in hour.candles] == [Finality.UNSAID]


def told_at(now_ns):
    return query("AAPL", M1, "2026-11-20T14:30:00Z", "2026-11-20T14:34:00Z", now=now_ns)


def test_days_open_at_midnight_in_new_york_and_last_25_hours_once_a_year():
    asked = query("AAPL", D1, "2026-10-30T04:00:00Z", "2026-11-03T05:00:00Z")
    page, _ = fetch(bars("2026-10-30T04:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"), asked=asked)

    assert [(row.close_ns - row.open_ns) // (60 * MINUTE_NS) for row in page.candles] == [24, 25, 24]


def test_days_of_crypto_open_at_midnight_in_chicago():
    asked = query("BTC/USD", D1, "2026-11-19T06:00:00Z", "2026-11-20T06:00:00Z")

    page, _ = fetch(bars("2026-11-19T06:00:00Z", symbol="BTC/USD"), asked=asked, account=NOBODY)
    assert len(page.candles) == 1
    with pytest.raises(WireError, match="no 1d bar opens"):
        fetch(bars("2026-11-19T05:00:00Z", symbol="BTC/USD"), asked=asked, account=NOBODY)


@pytest.mark.parametrize(
    ("timeframe", "since", "until"),
    [
        ("1mo", "2026-02-01T05:00:00Z", "2026-03-01T05:00:00Z"),
        ("3mo", "2026-01-01T05:00:00Z", "2026-04-01T04:00:00Z"),
        ("12mo", "2026-01-01T05:00:00Z", "2027-01-01T05:00:00Z"),
        ("1w", "2026-11-16T05:00:00Z", "2026-11-23T05:00:00Z"),
        ("4h", "2026-11-20T12:00:00Z", "2026-11-20T16:00:00Z"),
    ],
)
def test_long_bars_end_by_the_calendar(timeframe, since, until):
    page, _ = fetch(bars(since), asked=query("AAPL", Timeframe.parse(timeframe), since, until))

    assert [row.close_ns for row in page.candles] == [ns(until)]


def test_rows_out_of_the_range_are_left_out():
    page, _ = fetch(bars("2026-11-20T14:29:00Z", "2026-11-20T14:30:00Z", "2026-11-20T14:34:00Z"))

    assert [row.open_ns for row in page.candles] == [FOUR.since_ns]


# ---------------------------------------------------------------------------------------- paging misbehaves


def test_a_token_that_comes_twice_is_a_circle():
    with pytest.raises(WireError, match="a page token came twice"):
        fetch(
            bars("2026-11-20T14:30:00Z", token="A"), bars("2026-11-20T14:31:00Z", token="B"), bars(token="A")
        )


def test_pages_that_repeat_rows_under_new_tokens_are_a_circle_too():
    with pytest.raises(WireError, match="round in a circle"):
        fetch(bars("2026-11-20T14:30:00Z", token="A"), bars("2026-11-20T14:30:00Z"))


def test_pages_without_end_are_left_after_a_while_and_prove_what_they_held():
    asked = query("AAPL", M1, "2026-11-20T14:00:00Z", "2026-11-20T16:00:00Z")
    opens = [ns("2026-11-20T14:00:00Z") + number * MINUTE_NS for number in range(50)]
    replies = [
        bars(f"2026-11-20T14:{(at_ns - opens[0]) // MINUTE_NS:02}:00Z", token=str(at_ns)) for at_ns in opens
    ]
    page, requests = fetch(*replies, asked=asked)

    assert len(requests) == 50
    assert (page.covered, page.stopped) == (
        (asked.since_ns, opens[-1] + MINUTE_NS),
        Stopped.VENUE_LIMIT,
    )


def test_empty_pages_without_end_prove_nothing():
    page, _ = fetch(*(bars(token=str(number)) for number in range(50)))

    assert page.covered == (FOUR.since_ns, FOUR.since_ns)


def test_an_empty_page_may_have_a_next_one():
    page, _ = fetch(bars(token="A"), PAGE2)

    assert len(page.candles) == 1


def test_a_page_may_begin_with_another_form_of_nothing():
    page, _ = fetch(b'{"bars":null,"next_page_token":"A"}', PAGE2)

    assert len(page.candles) == 1


def test_a_transport_error_in_the_middle_is_not_swallowed():
    talk = wickwire_alpaca.fetch_ohlcv(FOUR, IEX)
    next(talk)

    with pytest.raises(TransportError):
        talk.throw(TransportError("cut"))


@pytest.mark.parametrize("wrong", [{"c": "NaN"}, {"o": None}, {"n": 1.5}, {"v": {}}])
def test_a_row_that_cannot_be_read_costs_no_other_row_and_its_bucket_is_named(wrong):
    page = json.loads(PAGE2)
    bad = {**page["bars"]["AAPL"][0], "t": "2026-11-20T14:31:00Z", **wrong}
    page["bars"]["AAPL"].insert(0, bad)
    found, _ = fetch(json.dumps(page).encode())

    assert [row.open_ns for row in found.candles] == [ns("2026-11-20T14:33:00Z")]
    assert [(row.open_ns, row.close_ns) for row in found.bad_rows] == [
        (ns("2026-11-20T14:31:00Z"), ns("2026-11-20T14:32:00Z"))
    ]


# ------------------------------------------------------------------------------- replies about something else


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (bars("2026-11-20T14:30:00Z", symbol="MSFT"), "asked for AAPL, got 'MSFT'"),
        (b'{"bars":[],"symbol":"MSFT","next_page_token":null}', "asked for AAPL, got 'MSFT'"),
        (b'{"trades":{},"x":1}', "expected bars and next_page_token"),
        (b'{"AAPL":[{"t":1544129220,"o":1,"h":1,"l":1,"c":1,"v":1}]}', "expected bars and next_page_token"),
        (bars("2026-11-20T14:30:30Z"), "no 1m bar opens"),
        (bars("2026-11-20T14:30:00Z", o="NaN"), "finite"),
        (bars("2026-11-20T14:30:00Z", vw="Infinity"), "finite"),
        (bars("yesterday"), "expected 2026"),
        (bars("2026-11-20T14:31:00Z", "2026-11-20T14:30:00Z"), "out of order"),
        (b'{"bars":{"AAPL":[{"t":"2026-11-20T14:30:00Z"}]},"next_page_token":null}', "missing required"),
        (b'{"bars":7,"next_page_token":null}', "Expected"),
        (b'{"x":' + b"[" * 100_000, "nested too deeply"),
        (b"[]", "Expected `object`"),
        (b'{"bars":{},"next_page_token":null,"x":"\xff"}', "utf-8"),
        (b"", "truncated"),
    ],
)
def test_what_is_no_page_of_bars_is_a_wire_error(body, why):
    with pytest.raises(WireError, match=why):
        fetch(body)


def test_bars_of_another_length_are_not_taken_for_those_asked_for():
    minutes = [f"2026-11-20T14:0{minute}:00Z" for minute in range(3)]
    hours = [f"2026-11-20T1{hour}:00:00Z" for hour in range(5)]

    with pytest.raises(WireError, match="no 1h bar opens"):
        fetch(bars(*minutes), asked=query("AAPL", H1, "2026-11-20T14:00:00Z", "2026-11-20T15:00:00Z"))
    with pytest.raises(WireError, match="got others, 60 min apart"):
        fetch(bars(*hours), asked=query("AAPL", M1, "2026-11-20T10:00:00Z", "2026-11-20T15:00:00Z"))
    with pytest.raises(WireError, match="no 5m bar opens"):
        fetch(bars(*minutes), asked=query("AAPL", M5, "2026-11-20T14:00:00Z", "2026-11-20T15:00:00Z"))


@pytest.mark.parametrize("text", ["1m", "5m", "15m", "20m", "30m"])
def test_the_few_bars_of_a_thin_stock_may_all_open_at_full_hours(text):
    opens = [f"2026-11-20T{hour}:00:00Z" for hour in (10, 12, 13, 15)]
    page, _ = fetch(
        bars(*opens), asked=query("AAPL", Timeframe.parse(text), opens[0], "2026-11-20T16:00:00Z")
    )

    assert [row.open_ns for row in page.candles] == [ns(each) for each in opens]


def test_a_stock_that_trades_at_the_close_alone_has_a_minute_a_day():
    opens = [f"2026-11-{day:02}T21:00:00Z" for day in (9, 10, 11, 12, 13, 16, 17, 18)]
    page, _ = fetch(bars(*opens), asked=query("AAPL", M1, opens[0], "2026-11-19T00:00:00Z"))

    assert len(page.candles) == 8


@pytest.mark.parametrize("text", ["1m", "30m"])
def test_many_bars_in_step_with_hours_or_days_are_bars_of_these(text):
    hours = [f"2026-11-19T{hour:02}:00:00Z" for hour in range(20)]
    days = [f"2026-06-{day:02}T04:00:00Z" for day in range(1, 21)]
    asked = query("AAPL", Timeframe.parse(text), "2026-06-01T04:00:00Z", "2026-11-21T00:00:00Z")

    with pytest.raises(WireError, match="got others, 60 min apart"):
        fetch(bars(*hours), asked=asked)
    with pytest.raises(WireError, match="got others, 1440 min apart"):
        fetch(bars(*days), asked=asked)


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ("45m", ["2026-11-20T14:00:00Z", "2026-11-20T14:45:00Z", "2026-11-20T15:00:00Z"]),
        ("7m", ["2026-11-20T14:49:00Z", "2026-11-20T14:56:00Z", "2026-11-20T15:00:00Z"]),
    ],
)
def test_runs_that_do_not_divide_an_hour_may_begin_anew_at_a_full_one(text, opens):
    asked = query("AAPL", Timeframe.parse(text), opens[0], "2026-11-20T16:00:00Z")
    page, _ = fetch(bars(*opens), asked=asked)

    assert [row.open_ns for row in page.candles] == [ns(each) for each in opens]
    assert page.candles[1].close_ns == page.candles[2].open_ns
    with pytest.raises(WireError, match="got others"):
        fetch(bars(opens[0], opens[1], "2026-11-20T14:58:00Z"), asked=asked)


def test_bars_of_several_hours_may_open_at_any_hour_but_not_within_one():
    asked = query("AAPL", H4, "2026-11-20T05:00:00Z", "2026-11-20T17:00:00Z")

    assert len(fetch(bars("2026-11-20T05:00:00Z", "2026-11-20T09:00:00Z"), asked=asked)[0].candles) == 2
    with pytest.raises(WireError, match="got others"):
        fetch(bars("2026-11-20T05:00:00Z", "2026-11-20T05:15:00Z"), asked=asked)


# ------------------------------------------------------------------------------------- the quarter of an hour


@pytest.mark.parametrize("account", [SIP, DELAYED])
def test_the_free_plan_is_not_asked_for_the_latest_sip_data(account):
    asked = query("AAPL", M1, "2026-11-20T15:30:00Z", "2026-11-20T16:00:00Z", now=NOW)
    page, [request] = fetch(frame("rest_bars_empty"), asked=asked, account=account)

    assert request.params["end"] == "2026-11-20T15:44:49.999999999Z"
    assert request.params["feed"] == "sip"
    assert page.covered == (asked.since_ns, NOW - (15 * 60 + 10) * SECOND_NS)
    assert page.stopped is Stopped.VENUE_LIMIT


def test_nothing_is_sent_where_all_of_it_is_too_new():
    asked = query("AAPL", M1, "2026-11-20T15:50:00Z", "2026-11-20T16:00:00Z", now=NOW)
    page, requests = fetch(asked=asked, account=SIP)

    assert (requests, page.covered) == ([], (asked.since_ns, asked.since_ns))


def test_whoever_pays_is_asked_for_all_of_it():
    asked = query("AAPL", M1, "2026-11-20T15:50:00Z", "2026-11-20T16:00:00Z", now=NOW)
    page, [request] = fetch(frame("rest_bars_empty"), asked=asked, account=PLUS)

    assert request.params["end"] == "2026-11-20T15:59:59.999999999Z"
    assert page.stopped is Stopped.UNTIL


def test_the_history_of_stocks_begins_in_2016():
    first = ns("2016-01-01T05:00:00Z")
    across, [request] = fetch(
        frame("rest_bars_empty"), asked=query("AAPL", D1, "2015-12-01T05:00:00Z", "2016-02-01T05:00:00Z")
    )
    before, none = fetch(asked=query("AAPL", D1, "2015-11-01T04:00:00Z", "2015-12-01T05:00:00Z"))

    assert request.params["start"] == "2016-01-01T05:00:00Z"
    assert (across.covered[0], across.stopped) == (first, Stopped.VENUE_LIMIT)
    assert (none, before.covered, before.stopped) == (
        [],
        (ns("2015-12-01T05:00:00Z"),) * 2,
        Stopped.VENUE_LIMIT,
    )

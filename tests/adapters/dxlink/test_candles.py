"""Candles: snapshots by their flags, live rows, rows that are none, and pages of history."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wickwire_dxlink
from tests.adapters.dxlink.talk import CANDLE, MINUTE, NOW_NS, candles, done, frame, hear, opened, row, series
from wickwire import (
    MINUTE_NS,
    Account,
    Ask,
    Candle,
    Fault,
    FaultKind,
    Finality,
    Heartbeat,
    OhlcvQuery,
    Page,
    Removed,
    SnapshotDone,
    Stopped,
    StreamHistory,
    StreamRequest,
    Timeframe,
    Topic,
    VenueError,
    WireError,
    parse_instant,
)
from wickwire_dxlink.candles import integer

AAPL = Topic("AAPL", MINUTE)
OPEN_NS = 1_762_525_800 * 10**9


def flagged(text):
    """Return rows for `3:4, 2:0, 0:10`; one that removes is a dummy."""
    pairs = [pair.split(":") for pair in text.replace(" ", "").split(",")]
    return [row(int(index), int(flags), dummy=bool(int(flags) & 2)) for index, flags in pairs]


def play(*texts, memory=None):
    """Return the series after each of *texts*, one frame a text."""
    memory = memory or opened(AAPL)
    hear(memory, *candles()[:1])
    states: list[list[int]] = []
    known: dict[int, Candle] = {}
    for text in texts:
        known = series(hear(memory, *candles(*flagged(text))[1:]), known)
        states.append(list(known))
    return states


# ----------------------------------------------------------------------------------------------- snapshots


def test_a_snapshot_is_told_when_it_is_complete_oldest_first():
    """The row that ends it holds NaN and is no candle; nothing is told before it came."""
    memory = opened(AAPL)
    assert [] == hear(memory, *candles(*flagged("3:4, 2:0")))
    heard = hear(memory, *candles(*flagged("1:0, 0:10"))[1:])

    assert [1, 2, 3] == [(event.open_ns - OPEN_NS) // MINUTE_NS for event in heard[:-1]]
    assert all(event.snapshot for event in heard[:-1])
    assert SnapshotDone(AAPL) == heard[-1]


def test_the_vectors_of_the_documents():
    assert [[1, 2, 3], [1, 2, 3], [1, 2, 3, 4], [1, 3, 4]] == play("3:4, 2:0, 1:0, 0:10", "3:0", "4:0", "2:2")
    assert [[], [4, 5]] == play("5:1", "4:0")
    assert [[]] == play("0:14")


def test_a_new_snapshot_replaces_the_series():
    assert [[1, 2, 3], [4]] == play("3:4, 2:0, 1:0, 0:10", "4:4, 0:10")


def test_a_new_snapshot_says_nothing_of_what_lies_before_it():
    assert [[1, 2, 3], [1, 3]] == play("3:4, 2:0, 1:0, 0:10", "3:4, 2:10")


def test_a_snapshot_that_is_broken_off_by_another_is_forgotten():
    assert [[], [7]] == play("9:4, 8:0", "7:4, 6:10")


def test_a_real_candle_may_end_the_snapshot():
    assert [[1, 2]] == play("2:4, 1:8")
    assert [[1]] == play("1:12")


def test_an_empty_snapshot_is_done_and_holds_nothing():
    assert [SnapshotDone(AAPL)] == hear(opened(AAPL), *candles(*flagged("0:14")))


@pytest.mark.parametrize("text", ["3:4, 2:0, 1:16", "3:20"])
def test_a_snapshot_that_the_server_cut_says_so(text):
    assert [True] == done(hear(opened(AAPL), *candles(*flagged(text))))


def test_a_transaction_is_told_as_one():
    """Rows that announce more are held until the last of them."""
    memory = opened(AAPL)
    assert [] == hear(memory, *candles(*flagged("5:1")))
    heard = hear(memory, *candles(*flagged("4:0"))[1:])

    assert [4, 5] == list(series(heard))
    assert not any(event.snapshot for event in heard)


def test_a_row_without_prices_within_a_transaction_withdraws_nothing():
    memory = opened(AAPL)
    hear(memory, *candles(*flagged("3:4, 2:0, 1:0, 0:10")))
    heard = hear(memory, *candles(row(2, 1, dummy=True), row(4))[1:])

    assert [4] == [(event.open_ns - OPEN_NS) // MINUTE_NS for event in heard]
    assert [Candle] == [type(event) for event in heard]


def test_a_transaction_may_go_on_behind_the_end_of_a_snapshot():
    memory = opened(AAPL)
    assert [] == hear(memory, *candles(*flagged("3:4, 2:0, 1:9")))
    heard = hear(memory, *candles(*flagged("4:0"))[1:])

    assert ([1, 2, 3, 4], [False]) == (list(series(heard)), done(heard))


def test_a_later_row_of_a_snapshot_takes_the_place_of_an_earlier_one():
    rows = [row(2, 4, price="1"), row(1), row(2, price="9"), row(0, 10, dummy=True)]
    told = series(hear(opened(AAPL), *candles(*rows)))

    assert Decimal(9) == told[2].close


def test_a_row_removed_within_a_snapshot_is_not_in_it():
    assert [[2]] == play("2:4, 1:0, 1:2, 0:10")


def test_a_removed_live_row_is_withdrawn_by_its_time():
    memory = opened(AAPL)
    hear(memory, *candles(*flagged("3:4, 2:0, 1:0, 0:10")))

    assert [Removed(AAPL, OPEN_NS + 2 * MINUTE_NS)] == hear(memory, *candles(*flagged("2:2"))[1:])


def test_a_removed_row_is_withdrawn_also_where_it_was_never_shown():
    """Somebody may have stored it before."""
    assert [Removed(AAPL, OPEN_NS + 2 * MINUTE_NS)] == hear(opened(AAPL), *candles(*flagged("2:2")))


def test_snapshots_of_several_symbols_may_interleave():
    memory = opened(AAPL, Topic("SPY", MINUTE))
    one, other = ([row(2, 4, symbol=name), row(1, 0, symbol=name)] for name in ("AAPL{=m}", "SPY{=m}"))
    ends = [row(0, 10, symbol=name, dummy=True) for name in ("SPY{=m}", "AAPL{=m}")]
    heard = hear(memory, *candles(one[0], other[0], one[1], other[1], *ends))

    assert ["SPY"] * 3 + ["AAPL"] * 3 == [
        event.topic.symbol if isinstance(event, SnapshotDone) else event.symbol for event in heard
    ]


def test_rows_without_a_beginning_are_live():
    [candle] = hear(opened(AAPL), *candles(row(3)))

    assert not candle.snapshot


@pytest.mark.parametrize("flags", [8, 10, 16])
def test_an_end_without_a_beginning_is_no_snapshot(flags):
    assert [] == hear(opened(AAPL), *candles(row(3, flags, dummy=True)))


def test_the_old_rows_of_a_subscription_are_no_part_of_the_next():
    """After leaving and asking again nothing counts before the new snapshot begins."""
    memory = opened(AAPL)
    hear(memory, *candles(*flagged("3:4, 2:0")))
    wickwire_dxlink.subscribe((), [AAPL], memory)
    wickwire_dxlink.subscribe([Ask(AAPL, OPEN_NS)], (), memory)

    assert [] == hear(memory, *candles(*flagged("1:0, 0:10, 4:0"))[1:])
    assert [5] == list(series(hear(memory, *candles(*flagged("5:4, 4:10"))[1:])))


def test_the_symbol_comes_back_rewritten():
    """Asked as `{=1m,tho=true}` or `{tho=true,=m}`: what it says counts, and both are one series."""
    memory = opened(AAPL, feed="rth")
    names = ("AAPL{=m,tho=true}", "AAPL{tho=true,=1m}", "AAPL{=1m,tho=TRUE,a=m}")
    heard = hear(memory, *candles(*(row(place, symbol=name) for place, name in enumerate(names))))

    assert [0, 1, 2] == list(series(heard))
    assert 1 == len({id(route) for route in memory.routes.values()})


@pytest.mark.parametrize(
    "symbol",
    ["AAPL{=m,tho=true}", "AAPL{=60s}", "AAPL{=m,price=bid}", "AAPL", "AAPL{=100v}", "AAPL{=m,dt=rth}"],
)
def test_other_series_of_the_same_instrument_are_not_ours(symbol):
    assert [] == hear(opened(AAPL), *candles(row(1, symbol=symbol)))


@given(st.data())
def test_whatever_the_frames_a_snapshot_is_cut_into_it_means_the_same(data):
    rows = flagged("9:4, 8:0, 7:0, 5:0, 4:0, 2:0, 1:10")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1))))
    parts = [rows[start:end] for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    memory = opened(AAPL)
    heard = hear(memory, *candles()[:1], *(candles(*part)[1] for part in parts))

    assert hear(opened(AAPL), *candles(*rows)) == heard


def test_the_last_thousand_candles_are_remembered():
    """The newest of them is the one that forms."""
    memory = opened(AAPL)
    hear(memory, *candles(*(row(place) for place in range(2_500))))
    [route] = memory.routes.values()

    assert 1_000 <= len(route.shown) <= 2_000
    assert OPEN_NS + 2_499 * MINUTE_NS == route.shown[max(route.shown)].open_ns


# ---------------------------------------------------------------------------------------- rows that are none


@pytest.mark.parametrize("price", ["NaN", None, 0, "0.0"])
def test_a_row_without_prices_is_no_candle(price):
    values = row(1)
    values[5:9] = [price] * 4

    assert [] == hear(opened(AAPL), *candles(values))


def test_one_price_that_is_missing_is_enough():
    values = row(1)
    values[7] = "NaN"

    assert [] == hear(opened(AAPL), *candles(values))


def test_an_index_has_no_volume():
    values = row(1)
    values[9] = "NaN"
    [candle] = hear(opened(AAPL), *candles(values))

    assert Decimal(0) == candle.volume


def test_a_price_below_zero_is_passed_on():
    """The oil of April 2020; whether a symbol may have it is said by supports_ohlcv."""
    [candle] = hear(opened(AAPL), *candles(row(1, price="-37.63")))

    assert Decimal("-37.63") == candle.close


@pytest.mark.parametrize("time_ms", [-1, 0, 10**11, 2**62])
def test_a_time_that_no_market_had_is_refused(time_ms):
    values = row(1)
    values[3] = time_ms
    with pytest.raises(WireError, match="no candle opens at"):
        hear(opened(AAPL), *candles(values))


def test_a_row_of_the_year_2038_is_the_frameworks_to_judge():
    """Such rows were seen with prices of zero, which are no candles."""
    values = row(1, price=0)
    values[3] = 2_147_483_648_000

    assert [] == hear(opened(AAPL), *candles(values))


def test_a_snapshot_with_a_row_that_cannot_be_read_does_not_count_as_complete():
    """It would prove a bucket empty that is not."""
    broken = row(2)
    broken[5] = True
    heard = hear(opened(AAPL), *candles(row(3, 4), broken, row(1), row(0, 10, dummy=True)))

    assert ([FaultKind.PROTOCOL] * 2, [True]) == (
        [one.kind for one in heard if isinstance(one, Fault)],
        done(heard),
    )
    assert isinstance(heard[0], Fault)
    assert [1, 3] == list(series(heard))


@pytest.mark.parametrize("lost", [b"{", b'{"type":"FEED_DATA","channel":1,"data":["Candle",[1]]}'])
def test_a_frame_lost_within_a_snapshot_spoils_it_too(lost):
    memory = opened(AAPL)
    hear(memory, *candles(row(3, 4)))
    with pytest.raises(WireError):
        hear(memory, lost)
    heard = hear(memory, *candles(row(0, 10, dummy=True)))

    assert [True] == done(heard)
    assert FaultKind.PROTOCOL is heard[0].kind


def test_the_flags_of_a_row_count_even_if_its_prices_do_not():
    broken = row(1, 8)
    broken[5] = "much"
    memory = opened(AAPL)
    hear(memory, *candles(row(3, 4)))
    heard = hear(memory, *candles(row(2), broken)[1:])

    assert [True] == done(heard)


def test_a_bad_value_in_the_row_that_ends_it_loses_no_snapshot():
    """That row alone in its frame, as where it is what was left over."""
    memory = opened(AAPL)
    hear(memory, *candles(row(3, 4), row(2)))
    heard = hear(memory, *candles(row(1, 8, price="much"))[1:])

    assert FaultKind.PROTOCOL is heard[0].kind
    assert ([2, 3], [True]) == (list(series(heard)), done(heard))


def test_what_cannot_be_read_behind_the_end_loses_no_snapshot():
    memory = opened(AAPL)
    hear(memory, *candles(row(3, 4), row(2)))
    heard = hear(memory, frame("FEED_DATA", 1, data=["Candle", row(1, 8), "Quote", ["x", 1]]))

    assert ([1, 2, 3], [False]) == (list(series(heard)), done(heard))


@pytest.mark.parametrize("lost", [["Candle", [1]], ["Candle", ["AAPL{=m}", 0, 1, None, *[1] * 6]]])
def test_what_is_lost_and_the_end_in_one_frame_spoil_the_snapshot(lost):
    heard = hear(
        opened(AAPL),
        candles()[0],
        frame("FEED_DATA", 1, data=["Candle", row(3, 4), *lost, "Candle", row(1, 8)]),
    )

    assert [True] == done(heard)


def test_a_long_snapshot_says_that_it_comes():
    """Nothing of it is told before its end, for which history would otherwise give up waiting."""
    memory = opened(AAPL)
    rows = [row(500, 4), *(row(number) for number in range(499, 250, -1))]
    heard = hear(memory, *candles(*rows))

    assert [Heartbeat(topic=AAPL)] * 2 == heard
    assert 250 == len(series(hear(memory, *candles(row(0, 10, dummy=True))[1:])))


def test_an_endless_snapshot_is_given_up(monkeypatch):
    monkeypatch.setattr("wickwire_dxlink.candles.PENDING_ROWS", 5)
    memory = opened(AAPL)
    [fault] = hear(memory, *candles(row(9, 4), *(row(place) for place in range(6))))

    assert "wait for their end" in fault.text
    assert [] == hear(memory, *candles(row(0, 10, dummy=True)))


# ------------------------------------------------------------------------------------------------- the index


@pytest.mark.parametrize(
    ("time_ms", "sequence", "index"),
    [
        (1762525800000, 0, 7569990669356236800),
        (1762525800123, 7, 7569990669872136199),
        (1736988742332, 0, 7460309841802690560),
        (1684559855338, 0, 7235129486797176832),
    ],
)
def test_an_index_keeps_every_bit(time_ms, sequence, index):
    """64-bit integers, in which the sequence would be lost in a float."""
    read = integer(json.loads(str(index)), "index")

    assert (time_ms, sequence) == ((read >> 32) * 1000 + ((read >> 22) & 0x3FF), read & 0x3FFFFF)
    assert integer(str(index), "index") == read


def test_rows_without_an_index_are_ordered_by_their_time():
    fields = tuple(name for name in CANDLE if name != "index")
    rows = [row(99, 4), *(row(number) for number in range(98, 0, -1)), row(0, 10, dummy=True)]
    heard = hear(opened(AAPL), *candles(*([*one[:2], *one[3:]] for one in rows), fields=fields))

    assert [*range(1, 100)] == [
        (event.open_ns - OPEN_NS) // MINUTE_NS for event in heard if isinstance(event, Candle)
    ]


@pytest.mark.parametrize(
    ("period", "opens", "ends"),
    [
        ("d", "2025-06-16", "2025-06-17"),
        ("w", "2025-06-16", "2025-06-23"),
        ("w", "2025-06-14", "2025-06-21"),  # with which day a week is stamped is not documented
        ("mo", "2025-06-01", "2025-07-01"),
        ("5m", "2025-06-16T13:30:00Z", "2025-06-16T13:35:00Z"),
    ],
)
def test_a_bucket_ends_by_the_calendar(period, opens, ends):
    """A daily candle is stamped with midnight UTC of its trading date."""
    values = row(1, symbol=f"AAPL{{={period}}}")
    values[3] = parse_instant(opens) // 1_000_000
    [candle] = hear(opened(AAPL), *candles(values))

    assert (parse_instant(opens), parse_instant(ends)) == (candle.open_ns, candle.close_ns)


# --------------------------------------------------------------------------------------------------- history


def fetched(
    *rows, complete=True, since=0, until=10, environment="production", symbol="AAPL", text="1m", as_of=None
):
    """Return the page that history made of candles, numbered as in `row`, comes to, as of a minute."""
    as_of_ns = None if as_of is None else OPEN_NS + as_of * MINUTE_NS
    query = OhlcvQuery(
        symbol=symbol,
        timeframe=Timeframe.parse(text),
        since_ns=OPEN_NS + since * MINUTE_NS,
        until_ns=OPEN_NS + until * MINUTE_NS,
        now_ns=OPEN_NS + 8 * MINUTE_NS,
    )
    talk = wickwire_dxlink.fetch_ohlcv(query, Account(environment=environment))
    request = next(talk)
    page: Any = None
    try:
        talk.send(StreamHistory(candles=rows, complete=complete, as_of_ns=as_of_ns))
    except StopIteration as stop:
        page = stop.value
    assert isinstance(page, Page)
    assert (
        StreamRequest(topic=Topic(symbol, query.timeframe), since_ns=query.since_ns, timeout_s=60.0)
        == request
    )
    return page, [(one.open_ns - OPEN_NS) // MINUTE_NS for one in page.candles]


def told(text):
    """Return the candles that a snapshot of these rows brings."""
    return [one for one in hear(opened(AAPL), *candles(*flagged(text))) if isinstance(one, Candle)]


def test_a_page_is_what_a_snapshot_holds_of_the_range():
    """There is no end to ask for: what lies behind it is left out."""
    page, numbers = fetched(*told("7:4, 5:0, 3:0, 2:0, 0:10"), since=3, until=6)

    assert [3, 5] == numbers
    assert (OPEN_NS + 3 * MINUTE_NS, OPEN_NS + 6 * MINUTE_NS) == page.covered
    assert Stopped.UNTIL is page.stopped


@pytest.mark.parametrize("as_of", [None, 9])
def test_no_clock_says_which_bucket_runs(as_of):
    """No row says it: what the feed shows of its time decides, and that is the framework's to know."""
    page, numbers = fetched(*told("8:4, 7:0, 0:10"), as_of=as_of)

    assert [7, 8] == numbers
    assert {Finality.UNSAID} == {one.finality for one in page.candles}
    assert page.as_of_ns == (None if as_of is None else OPEN_NS + as_of * MINUTE_NS)


def test_an_empty_history_proves_its_range_empty():
    page, numbers = fetched()

    assert ([], (OPEN_NS, OPEN_NS + 10 * MINUTE_NS)) == (numbers, page.covered)


def test_a_history_that_was_cut_reaches_back_to_its_oldest_row():
    page, numbers = fetched(*told("8:4, 7:0, 5:16"), complete=False)

    assert [5, 7, 8] == numbers
    assert (OPEN_NS + 5 * MINUTE_NS, Stopped.VENUE_LIMIT) == (page.covered[0], page.stopped)


def test_a_history_that_was_cut_behind_the_range_covers_nothing_of_it():
    page, numbers = fetched(*told("8:4, 7:0, 5:16"), complete=False, until=3)

    assert ([], Stopped.VENUE_LIMIT) == (numbers, page.stopped)
    assert page.covered == (OPEN_NS + 3 * MINUTE_NS,) * 2


def test_silence_is_an_outage_that_says_what_it_may_mean():
    with pytest.raises(VenueError, match="does not know") as refused:
        fetched(complete=False)

    assert FaultKind.OUTAGE is refused.value.kind


def test_live_rows_alone_are_no_history():
    with pytest.raises(VenueError, match="no snapshot"):
        fetched(*hear(opened(AAPL), *candles(row(4))), complete=False)


def test_the_last_word_on_a_bucket_counts():
    early, late = (hear(opened(AAPL), *candles(row(4, price=price)))[0] for price in ("1", "2"))
    page, _ = fetched(early, *told("7:4, 0:10"), late)

    assert Decimal(2) == page.candles[0].close


@pytest.mark.parametrize("environment", ["sandbox", "demo"])
def test_what_a_delayed_feed_shows_holds_for_15_minutes_later(environment):
    """Its settling time counts these minutes, so they count where what is over is told too."""
    page, _ = fetched(*told("7:4, 0:10"), environment=environment, as_of=8)

    assert page.as_of_ns == OPEN_NS + 23 * MINUTE_NS


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({"symbol": "/ESZ5"}, FaultKind.SYMBOL), ({"text": "45m"}, FaultKind.REQUEST)],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_sent(changes, kind):
    with pytest.raises(VenueError) as refused:
        fetched(**changes)

    assert kind is refused.value.kind


def test_the_time_of_a_subscription_is_told_in_milliseconds():
    memory = opened(AAPL)
    [send] = wickwire_dxlink.subscribe([Ask(Topic("SPY", MINUTE), NOW_NS)], (), memory)
    [entry] = json.loads(send.frame)["add"]

    assert 13 == len(str(entry["fromTime"]))
    assert frame("KEEPALIVE") == b'{"type": "KEEPALIVE", "channel": 0}'

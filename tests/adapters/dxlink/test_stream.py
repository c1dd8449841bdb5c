"""What frames with data mean: formats, fields as the server confirmed them, quotes and trades."""

import json
from decimal import Decimal

import pytest

from tests.adapters.dxlink.talk import MINUTE, candles, frame, hear, lines, opened, row, sent, series
from wickwire import (
    Candle,
    Fault,
    FaultKind,
    Feed,
    Quote,
    Removed,
    Side,
    SnapshotDone,
    Topic,
    Trade,
    TradeAction,
    WireError,
)
from wickwire_dxlink.dialogue import Session
from wickwire_dxlink.symbols import VARIANTS

AAPL = Topic("AAPL", MINUTE)
SALE_FIELDS = [
    "eventSymbol",
    "index",
    "time",
    "timeNanoPart",
    "price",
    "size",
    "aggressorSide",
    "type",
    "validTick",
]
SALE_FIELDS += ["extendedTradingHours"]


def quotes(*values, fields=("eventSymbol", "bidPrice", "askPrice"), channel=3):
    return [
        frame("FEED_CONFIG", channel, dataFormat="COMPACT", eventFields={"Quote": list(fields)}),
        frame("FEED_DATA", channel, data=["Quote", list(values)]),
    ]


def sale(**changes):
    told = {
        "eventSymbol": "AAPL",
        "index": 7569990669872136199,
        "time": 1762525800123,
        "timeNanoPart": 456_789,
        "price": 228.12,
        "size": 100.0,
        "aggressorSide": "BUY",
        "type": "NEW",
        "validTick": True,
        "extendedTradingHours": False,
    } | changes
    return frame("FEED_DATA", 5, data=["TimeAndSale", [told[name] for name in SALE_FIELDS]])


def sold(*frames, feed=""):
    config = frame("FEED_CONFIG", 5, eventFields={"TimeAndSale": SALE_FIELDS})
    return hear(opened(Topic("AAPL", Feed.TRADES), feed=feed), config, *frames)


# ------------------------------------------------------------------------------------- a transcribed session


def test_the_data_of_a_transcribed_session():
    heard = hear(Session("sim-token", VARIANTS["rth"]), *lines("lifecycle.txt", "S"))
    told = [event for event in heard if isinstance(event, Quote | Trade | SnapshotDone)]

    assert [
        Quote("AAPL", Decimal("228.11"), Decimal("300.0"), Decimal("228.13"), Decimal("100.0")),
        Quote("SPX", Decimal("6720.11"), None, Decimal("6722.94"), None),
        SnapshotDone(AAPL),
        Trade(
            "AAPL",
            "7569990669872136199",
            Decimal("228.12"),
            Decimal("100.0"),
            Side.BUY,
            1_762_525_800_123_000_000,
        ),
    ] == told
    assert [] == [event for event in heard if isinstance(event, Fault | Removed)]


def test_the_candles_of_a_transcribed_session():
    """The snapshot comes oldest first and without the row that ends it, then an update, then a new bucket."""
    heard = hear(Session("sim-token", VARIANTS["rth"]), *lines("lifecycle.txt", "S"))
    rows = [event for event in heard if isinstance(event, Candle)]

    assert [(0, True), (1, True), (2, True), (2, False), (3, False)] == [
        ((one.open_ns // 10**9 - 1_762_525_800) // 60, one.snapshot) for one in rows
    ]
    assert (
        Candle(
            "AAPL",
            MINUTE,
            1_762_525_800 * 10**9,
            1_762_525_860 * 10**9,
            Decimal("227.5"),
            Decimal("227.9"),
            Decimal("227.4"),
            Decimal("227.8"),
            Decimal("1.204331E+6"),
            9941,
            Decimal("227.66"),
            snapshot=True,
        )
        == rows[0]
    )
    assert (Decimal("228.3"), 1034) == (rows[3].close, rows[3].trade_count)


def test_a_session_without_the_regular_hours_only_is_another_series():
    """The same rows, heard by someone who asked for all hours: not one of them is meant."""
    heard = hear(Session("sim-token"), *lines("lifecycle.txt", "S"))

    assert [] == [event for event in heard if isinstance(event, Candle | SnapshotDone)]


def test_the_full_format_and_both_shapes_of_errors():
    heard = hear(opened(AAPL), *lines("full.txt", "S"))

    assert [
        Quote("AAPL", Decimal("228.11"), Decimal("300.0"), Decimal("228.13"), None),
        FaultKind.PROTOCOL,
        FaultKind.RESTART,
    ] == [event.kind if isinstance(event, Fault) else event for event in heard]


# ------------------------------------------------------------------------------------- formats and fields


def test_a_flat_array_holds_several_events():
    heard = hear(opened(AAPL), *quotes("A", 1.0, "NaN", "B", 2.0, 2.1))

    assert [
        Quote("A", Decimal("1.0"), None, None, None),
        Quote("B", Decimal("2.0"), None, Decimal("2.1"), None),
    ] == heard


def test_a_length_that_does_not_fit_the_fields_drops_the_frame():
    memory = opened(AAPL)
    fields = ("eventSymbol", "bidPrice", "askPrice", "bidSize")
    with pytest.raises(WireError, match="no rows of 4 Quote values"):
        hear(memory, *quotes("A", 1.0, "NaN", "B", 2.0, 2.1, fields=fields))

    assert 1 == len(hear(memory, frame("FEED_DATA", 3, data=["Quote", ["A", 1.0, 2.0, 3.0]])))


def test_fields_are_taken_by_name_where_the_server_reorders_or_trims_them():
    memory = opened(AAPL)
    [first] = hear(memory, *quotes("A", 1.0, 2.0))
    [second] = hear(memory, *quotes("A", 2.0, 1.0, fields=("eventSymbol", "askPrice", "bidPrice")))
    [third] = hear(memory, *quotes(9, "A", 2.0, fields=("new", "eventSymbol", "askPrice")))

    assert first == second
    assert (None, Decimal("2.0")) == (third.bid, third.ask)


def test_a_configuration_counts_for_what_comes_after_it():
    memory = opened(AAPL)
    config = json.loads(quotes(fields=("eventSymbol", "askPrice", "bidPrice"))[0])
    [before] = hear(memory, *quotes("A", 1.0, 2.0), json.dumps(config).encode())
    [after] = hear(memory, frame("FEED_DATA", 3, data=["Quote", ["A", 2.0, 1.0]]))

    assert before == after


def test_a_configuration_changes_only_what_it_names():
    memory = opened(AAPL)
    hear(
        memory,
        frame(
            "FEED_CONFIG",
            3,
            dataFormat="COMPACT",
            eventFields={"Quote": ["eventSymbol", "bidPrice", "askPrice"]},
        ),
    )
    hear(memory, frame("FEED_CONFIG", 3, eventFields={"Trade": ["eventSymbol", "price"]}))
    hear(memory, frame("FEED_CONFIG", 3, aggregationPeriod=0.1))
    channel = memory.channels[3]

    assert {"Quote": 3, "Trade": 2} == {event: schema.width for event, schema in channel.schemas.items()}


def test_each_channel_has_fields_of_its_own():
    memory = opened(AAPL)
    hear(
        memory,
        *quotes(),
        frame("FEED_CONFIG", 5, eventFields={"Quote": ["eventSymbol", "askPrice", "bidPrice"]}),
    )
    [one] = hear(memory, frame("FEED_DATA", 3, data=["Quote", ["A", 1.0, 2.0]]))
    [other] = hear(memory, frame("FEED_DATA", 5, data=["Quote", ["A", 2.0, 1.0]]))

    assert one == other


def test_without_a_confirmation_the_fields_are_those_that_were_asked_for():
    memory = opened(Topic("AAPL", Feed.QUOTES))
    values = ["Quote", "AAPL", 1.0, 2.0, 3.0, 4.0, 1762525800123, 1762525800124]
    [quote] = hear(memory, frame("FEED_DATA", 3, data=["Quote", values]))

    assert Quote("AAPL", Decimal(1), Decimal(3), Decimal(2), Decimal(4), 1_762_525_800_124_000_000) == quote


def test_the_format_may_change_from_frame_to_frame():
    """Objects on a channel that announced arrays, and arrays again."""
    memory = opened(AAPL)
    compact = quotes("A", 1.0, 2.0)
    full = frame(
        "FEED_DATA", 3, data=[{"eventType": "Quote", "eventSymbol": "A", "bidPrice": 1.0, "askPrice": 2.0}]
    )

    first, second, third = hear(memory, *compact, full, compact[1])

    assert first == second == third


def test_two_types_in_one_frame():
    memory = opened(AAPL)
    hear(memory, *quotes(), *candles(channel=3)[:1])
    heard = hear(memory, frame("FEED_DATA", 3, data=["Quote", ["A", 1.0, 2.0], "Candle", row(1)]))

    assert [Quote, Candle] == [type(event) for event in heard]


def test_a_conflated_last_price_is_read_and_never_a_trade():
    fields = {"Trade": ["eventSymbol", "price", "size", "dayVolume"]}
    memory = opened(AAPL)
    good = frame(
        "FEED_DATA", 3, data=["Trade", ["SPY", 559.36, 100.0, 1.3743299e7, "BTC/USD:CXTALP", 1, "NaN", "NaN"]]
    )

    assert [] == hear(memory, frame("FEED_CONFIG", 3, eventFields=fields), good)
    with pytest.raises(WireError, match="expected a number in price"):
        hear(memory, frame("FEED_DATA", 3, data=["Trade", ["SPY", True, 1, 1]]))


@pytest.mark.parametrize("event", ["Summary", "Greeks", "Profile", "Order"])
def test_types_that_nobody_asked_for_mean_nothing(event):
    assert [] == hear(opened(AAPL), frame("FEED_DATA", 3, data=[event, [1, 2, 3]]))
    assert [] == hear(opened(AAPL), frame("FEED_DATA", 3, data=[{"eventType": event, "eventSymbol": "A"}]))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"not json", "dxlink: JSON"),
        (b"5", "dxlink: Expected `object`"),
        (b'{"type":"SETUP"}', "channel"),
        (b'{"channel":0}', "type"),
        (b'{"type":"FEED_DATA","channel":"1"}', "int"),
        (b"\xff\xfe", "dxlink"),
        (b'{"type":"SETUP","channel":0,"x":"\xff"}', "utf-8"),
        (b"[" * 100_000, "CometD"),
        (b'{"type":"FEED_DATA","channel":1,"data":' + b"[" * 100_000, "nested too deeply"),
        (b'[{"channel":"/meta/handshake","successful":true}]', "CometD"),
        (frame("FEED_DATA", 1), "without data"),
        (frame("FEED_DATA", 1, data=["Nonsense", [1]]), "no type of event"),
        (frame("FEED_DATA", 1, data=["Quote"]), "no rows of"),
        (frame("FEED_DATA", 1, data=[1, 2]), "no type of event"),
        (frame("FEED_DATA", 1, data=[{"eventType": "Quote"}, 5]), "expected a symbol"),
        (frame("FEED_DATA", 1, data=[{"eventSymbol": "A"}]), "no type of event"),
        (frame("FEED_CONFIG", 1, dataFormat="MSGPACK"), "no data format"),
        (frame("FEED_CONFIG", 1, eventFields={"Quote": []}), "without fields"),
        (frame("FEED_CONFIG", 1, eventFields={"Quote": [1]}), "str"),
        (frame("AUTH_STATE", state="MAYBE"), "no message of a server"),
        (frame("AUTH_STATE", state="SETUP"), "no message of a server"),
        (frame("UNAUTHORIZED"), "no message of a server"),
        (frame("AUTH_STATE", -1, state="AUTHORIZED"), "AUTHORIZED on channel -1"),
    ],
)
def test_what_is_no_message_is_refused_by_name(said, why):
    with pytest.raises(WireError, match=why):
        hear(Session("t"), said)


def test_unknown_keys_and_any_order_of_keys_are_taken():
    assert [] == hear(Session(), b'{"new":[1,{"a":null}],"version":"9","channel":0,"type":"SETUP"}')


def test_a_bad_row_among_good_ones_is_named_and_left_out():
    fault, good = hear(opened(AAPL), *quotes("A", "much", 1.0, "B", 1.0, 2.0))

    assert (FaultKind.PROTOCOL, True) == (
        fault.kind,
        "1 of 2 rows" in fault.text and "bidPrice" in fault.text,
    )
    assert "B" == good.symbol


@pytest.mark.parametrize(
    "bad",
    [["Quote", ["x", 1]], ["MarketMaker", ["x", 1]], ["Quote", None], ["Quote"], [7, []]],
    ids=["length", "type", "no array", "nothing", "no text"],
)
@pytest.mark.parametrize("pairs", [1, 200])
def test_a_pair_that_cannot_be_read_costs_itself(bad, pairs):
    memory = opened(AAPL)
    hear(memory, *quotes())
    fault, *good = hear(memory, frame("FEED_DATA", 3, data=["Quote", ["A", 1.0, 2.0]] * pairs + bad))

    assert (FaultKind.PROTOCOL, ["A"] * pairs) == (fault.kind, [quote.symbol for quote in good])


def test_an_object_of_a_type_that_nobody_knows_costs_itself():
    row = {"eventType": "Quote", "eventSymbol": "A", "bidPrice": 1.0, "askPrice": 2.0}
    said = frame("FEED_DATA", 3, data=[{"eventType": "MarketMaker", "eventSymbol": "A"}, row])
    fault, good = hear(opened(AAPL), said)

    assert (True, "A") == ("MarketMaker" in fault.text, good.symbol)


def test_a_type_that_we_never_use_may_be_confirmed_without_fields():
    memory = opened(AAPL)
    fields = {"Greeks": [], "Quote": ["eventSymbol", "askPrice"]}
    [quote] = hear(
        memory,
        frame("FEED_CONFIG", 3, eventFields=fields),
        frame("FEED_DATA", 3, data=["Quote", ["A", 2.0]]),
    )

    assert (None, Decimal("2.0")) == (quote.bid, quote.ask)


# ------------------------------------------------------------------------------------------------- quotes


def test_an_empty_side_has_neither_price_nor_size():
    fields = ("eventSymbol", "bidPrice", "askPrice", "bidSize", "askSize")
    [quote] = hear(opened(AAPL), *quotes("A", "NaN", 1.5, 0.0, 300, fields=fields))

    assert (None, None, Decimal("1.5"), Decimal(300)) == (
        quote.bid,
        quote.bid_size,
        quote.ask,
        quote.ask_size,
    )


@pytest.mark.parametrize("time_ms", [0, -1])
def test_a_quote_of_tastytrade_has_no_time(time_ms):
    fields = ("eventSymbol", "bidPrice", "askPrice", "bidTime", "askTime")
    [quote] = hear(opened(AAPL), *quotes("A", 1.0, 1.5, time_ms, time_ms, fields=fields))

    assert None is quote.time_ns


def test_a_coin_is_told_under_its_canonical_name():
    [quote] = hear(opened(AAPL), *quotes("BTC/USD:CXTALP", 1.0, 1.5))

    assert "BTC/USD" == quote.symbol


# ------------------------------------------------------------------------------------------------- trades


def test_a_sale_is_a_trade_with_all_digits():
    """An index beyond 2**53 keeps its sequence, and nanoseconds are added to milliseconds."""
    [trade] = sold(sale())

    assert (
        Trade(
            "AAPL",
            "7569990669872136199",
            Decimal("228.12"),
            Decimal("100.0"),
            Side.BUY,
            1_762_525_800_123_456_789,
        )
        == trade
    )


@pytest.mark.parametrize(
    ("said", "side"), [("BUY", Side.BUY), ("SELL", Side.SELL), ("UNDEFINED", None), (None, None), (5, None)]
)
def test_the_aggressor_is_the_taker(said, side):
    assert [side] == [trade.side for trade in sold(sale(aggressorSide=said))]


def test_corrections_and_cancels_name_what_they_replace():
    corrected, canceled = sold(
        sale(type="CORRECTION", price=228.0), sale(type="CANCEL", price="NaN", validTick=False)
    )

    assert (TradeAction.CORRECTED, corrected.id, Decimal("228.0")) == (
        corrected.action,
        corrected.replaces,
        corrected.price,
    )
    assert (TradeAction.CANCELED, canceled.id) == (canceled.action, canceled.replaces)
    assert Decimal(0) == canceled.price  # it tells none


@pytest.mark.parametrize("changes", [{"validTick": False}, {"price": "NaN"}, {"size": "NaN"}])
def test_a_sale_that_makes_no_price_is_left_out(changes):
    assert [] == sold(sale(**changes))


def test_extended_hours_belong_to_all_hours_only():
    assert 1 == len(sold(sale(extendedTradingHours=True)))
    assert [] == sold(sale(extendedTradingHours=True), feed="rth")


@pytest.mark.parametrize("kind", ["CORRECTION", "CANCEL"])
def test_what_becomes_of_a_sale_that_was_not_told_is_not_told_either(kind):
    assert [] == sold(sale(type=kind, extendedTradingHours=True), feed="rth")


@pytest.mark.parametrize("changes", [{"validTick": False}, {"price": "NaN"}, {"size": "NaN"}])
def test_a_correction_that_makes_no_price_takes_the_sale_back(changes):
    [told] = sold(sale(type="CORRECTION", **changes))

    assert (TradeAction.CANCELED, told.id) == (told.action, told.replaces)


def sold_with(flags, price=228.12):
    """Return the trades of a sale with flags, as a recording of a series of sales may have it."""
    said = {"eventType": "TimeAndSale", "eventSymbol": "AAPL", "index": 7, "time": 1762525800123}
    said |= {"price": price, "size": 1.0, "type": "NEW", "eventFlags": flags}
    return hear(opened(Topic("AAPL", Feed.TRADES)), frame("FEED_DATA", 5, data=[said]))


@pytest.mark.parametrize("price", [228.12, "NaN"])
@pytest.mark.parametrize("flags", [2, 3, 6])
def test_a_sale_that_is_removed_is_canceled(price, flags):
    """Wherever in a transaction or a snapshot it is: TX_PENDING is 1, REMOVE 2, SNAPSHOT_BEGIN 4."""
    [told] = sold_with(flags, price)

    assert (TradeAction.CANCELED, "7") == (told.action, told.replaces)


@pytest.mark.parametrize("flags", [0, 1, 4, 8, 9, 16, 64])
def test_other_flags_make_a_sale_no_other(flags):
    """SNAPSHOT_END is 8, SNAPSHOT_SNIP 16, SNAPSHOT_MODE 64."""
    assert [TradeAction.NEW] == [trade.action for trade in sold_with(flags)]


@pytest.mark.parametrize("flags", [10, 18])
def test_the_dummy_that_ends_a_snapshot_of_sales_is_none(flags):
    assert [] == sold_with(flags, "NaN")


def test_an_unknown_type_of_sale_is_not_guessed():
    with pytest.raises(WireError, match="no type of a sale"):
        sold(sale(type="MAYBE"))


def test_numbers_that_are_texts_are_numbers():
    [trade] = sold(sale(price="228.120", index="7569990669872136199", time="1762525800123", size="1E2"))

    assert ("228.120", "7569990669872136199", Decimal(100)) == (str(trade.price), trade.id, trade.size)


@pytest.mark.parametrize("value", [True, [], {}, "1e999999", "0x10", 10**60, "Inf"])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(WireError, match="price"):
        sold(sale(price=value))


def test_nothing_is_sent_because_of_data():
    assert [] == sent(hear(opened(AAPL), *quotes("A", 1.0, 2.0), *candles(row(1))))
    assert [1] == list(series(hear(opened(AAPL), *candles(row(1)))))

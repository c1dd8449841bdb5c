"""Coinbase's trades of the past: where a reply may have been cut, and what is asked for then."""

import pytest

import wickwire_coinbase
from tests.adapters.coinbase.test_rest import LAST_MINUTE, NOON, reply, talk, trade, trade_page
from wickwire import SECOND_NS, Stopped, TradeQuery


@pytest.mark.parametrize(("rows", "asked_more"), [(99, False), (100, True)])
def test_a_reply_of_a_hundred_trades_may_have_been_cut(rows, asked_more):
    """How many a reply holds at most is said nowhere; fewer are taken for all there are."""
    newest = [trade(1_000 + number, 30 + number / 10) for number in range(rows, 0, -1)]
    told, asked = trade_page(LAST_MINUTE, newest, newest[-1:])

    assert asked_more == (len(asked) == 2)
    assert len(told.trades) == rows
    assert (told.covered, told.stopped) == ((LAST_MINUTE.since_ns, NOON), Stopped.UNTIL)


def test_a_bad_trade_whose_time_nobody_can_read_lies_between_its_neighbours_or_the_ends_of_the_range():
    """The newest reaches up to the end of what was asked for, and no further."""
    rows = [{**trade(3, 3), "time": "now"}, trade(2, 2), {**trade(1, 1), "time": "now"}]
    told, _ = trade_page(LAST_MINUTE, rows)

    second_ns = NOON - 58 * SECOND_NS
    assert [(bad.open_ns, bad.close_ns) for bad in told.bad_rows] == [
        (LAST_MINUTE.since_ns, second_ns + 1),
        (second_ns, NOON),
    ]


def test_where_the_last_second_alone_fills_a_reply_nothing_is_covered_and_nobody_asks_again():
    burst = [trade(number, 59 + number / 1_000) for number in range(200, 0, -1)]
    told, asked = trade_page(LAST_MINUTE, burst)

    assert (len(asked), told.covered, told.stopped) == (1, (NOON, NOON), Stopped.VENUE_LIMIT)


def test_trades_up_to_now_prove_no_more_than_the_venues_clock_says():
    behind_ns = NOON - 5 * SECOND_NS
    body = {"trades": [trade(1, 1)]}
    told, _ = talk(wickwire_coinbase.fetch_trades(LAST_MINUTE), reply(body, date_ns=behind_ns))

    assert told.covered == (LAST_MINUTE.since_ns, behind_ns)


def test_what_lies_in_the_seconds_at_the_ends_and_was_not_asked_for_is_left_out():
    """A range is asked for in whole seconds."""
    asked = TradeQuery(
        symbol="BTC/USD",
        since_ns=NOON - 57_500_000_000,
        until_ns=NOON - 55_500_000_000,
        now_ns=NOON,
    )
    seconds = (4.75, 4.5, 4.25, 2.75, 2.5, 2.25)
    told, [request] = trade_page(asked, [trade(9 - at, second) for at, second in enumerate(seconds)])

    assert (request.params["start"], request.params["end"]) == (
        str(NOON // SECOND_NS - 58),
        str(NOON // SECOND_NS - 55),
    )
    assert ["5", "6", "7"] == [each.id for each in told.trades]
    assert told.covered == (asked.since_ns, asked.until_ns)

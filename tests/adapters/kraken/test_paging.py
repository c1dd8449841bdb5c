"""Kraken's history in pieces: whatever is asked, and however, the pieces are the whole.

The server of these tests is a few lines that tell the truth of an invented market in Kraken's manner.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

import wickwire_kraken
from wickwire import MINUTE_NS, SECOND_NS, Finality, HttpReply, OhlcvQuery, Stopped, Timeframe, TradeQuery

DEPTH = 720
MINUTE = Timeframe.parse("1m")
START_S = 1_795_200_000


def run(conversation, answer):
    request = next(conversation)
    while True:
        try:
            request = conversation.send(HttpReply(status=200, body=answer(request.params)))
        except StopIteration as stop:
            return stop.value


class Candles:
    """A pair that began trading at `START_S`; *traded* says in which of its minutes, the last one runs."""

    def __init__(self, traded: Sequence[bool]) -> None:
        self.traded = traded

    def answer(self, params):
        rows: list[list[Any]] = []
        for number, traded in enumerate(self.traded):
            open_s = START_S + 60 * number
            price = str(100 + number)
            volume, count = ("1.50", 3) if traded else ("0.00000000", 0)
            rows.append([open_s, price, price, price, price, price if traded else "0.0", volume, count])
        reached = rows[-(DEPTH + 1) :]
        given = [row for row in reached[:-1] if row[0] > int(params["since"])] + reached[-1:]
        return msgspec.json.encode({"error": [], "result": {"XXBTZUSD": given, "last": rows[-1][0] - 60}})

    def page(self, first, end):
        """Ask for the minutes `[first, end)`, counted from the beginning of trade."""
        query = OhlcvQuery(
            symbol="BTC/USD",
            timeframe=MINUTE,
            since_ns=START_S * SECOND_NS + first * MINUTE_NS,
            until_ns=START_S * SECOND_NS + end * MINUTE_NS,
            now_ns=START_S * SECOND_NS + len(self.traded) * MINUTE_NS,
        )
        page = run(wickwire_kraken.fetch_ohlcv(query), self.answer)
        minutes = [(row.open_ns - START_S * SECOND_NS) // MINUTE_NS for row in page.candles]
        covered = tuple((ns - START_S * SECOND_NS) // MINUTE_NS for ns in page.covered)
        return page, minutes, covered


markets = st.builds(
    lambda count, traded: Candles([traded[number % len(traded)] for number in range(count)]),
    st.integers(1, 1_600),
    st.lists(st.booleans(), min_size=1, max_size=40),
)
spans = st.tuples(st.integers(-50, 1_650), st.integers(1, 720)).map(lambda span: (span[0], span[0] + span[1]))


@given(markets, spans)
def test_what_is_covered_holds_every_minute_with_trades_and_no_other(market, span):
    first, end = span
    page, minutes, (since, until) = market.page(first, end)
    running = len(market.traded) - 1

    assert first <= since <= until <= end
    assert [number for number in range(max(since, 0), until) if market.traded[number]] == [
        number for number in minutes if since <= number < until
    ]
    assert [number for number in minutes if number == running] == [
        (row.open_ns // SECOND_NS - START_S) // 60 for row in page.candles if row.finality is Finality.FORMING
    ]


@given(markets, spans)
def test_all_that_is_within_reach_and_over_is_covered(market, span):
    first, end = span
    page, _, (since, until) = market.page(first, end)
    running = len(market.traded) - 1
    oldest = max(0, running - DEPTH)

    if first < running:
        assert until == min(end, running) or end <= oldest
    assert since == (first if first >= oldest else min(oldest, end))
    expected = Stopped.UNTIL
    if first < oldest or first < 0:
        expected = Stopped.VENUE_LIMIT if running >= DEPTH - 1 else Stopped.VENUE_START
    assert page.stopped is expected


@given(markets, spans, st.data())
def test_pieces_are_the_whole(market, span, data):
    first, end = span
    cuts = data.draw(st.lists(st.integers(first, end), max_size=4).map(sorted))
    whole, _, _ = market.page(first, end)

    pieces = [market.page(since, until)[0] for since, until in pairwise([first, *cuts, end]) if since < until]

    assert [row for piece in pieces for row in piece.candles] == whole.candles


class Trades:
    """Trades at *times* (nanoseconds after `START_S`); cursors are distinct and never behind the time."""

    def __init__(self, times: Sequence[int]) -> None:
        self.times = [START_S * SECOND_NS + time_ns for time_ns in times]
        self.cursors: list[int] = []
        for time_ns in self.times:
            self.cursors.append(max(time_ns, self.cursors[-1] + 1 if self.cursors else 0))

    def answer(self, params):
        after = int(params["since"])
        chosen = [number for number, cursor in enumerate(self.cursors) if cursor > after][
            : int(params["count"])
        ]
        rows = ",".join(
            f'["100.0","1.0",{ns // SECOND_NS}.{ns % SECOND_NS:09},"b","l","",{number}]'
            for number, ns in ((number, self.times[number]) for number in chosen)
        )
        last = self.cursors[chosen[-1]] if chosen else after
        return f'{{"error":[],"result":{{"XXBTZUSD":[{rows}],"last":"{last}"}}}}'.encode()


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 2_300)), min_size=1, max_size=4))
def test_trades_are_read_to_the_end_by_asking_from_where_the_last_page_ended(crowds):
    """Each crowd of trades happens at one instant; some are larger than a page."""
    market = Trades(sorted(time_ns for time_ns, size in crowds for _ in range(size)))
    since_ns, until_ns = START_S * SECOND_NS, START_S * SECOND_NS + 15
    now_ns = until_ns + SECOND_NS
    read: dict[str, int] = {}
    covered_ns = since_ns

    for _ in range(20):
        query = TradeQuery(symbol="BTC/USD", since_ns=since_ns, until_ns=until_ns, now_ns=now_ns)
        page = run(wickwire_kraken.fetch_trades(query), market.answer)
        read |= {trade.id: trade.time_ns for trade in page.trades}
        covered_ns = page.covered[1]
        if page.stopped is Stopped.UNTIL:
            break
        assert covered_ns > since_ns
        since_ns = covered_ns

    assert covered_ns == until_ns
    assert read == {str(number): ns for number, ns in enumerate(market.times) if ns < until_ns}

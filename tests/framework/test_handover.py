"""One topic on two connections: whatever the lines do, the two together tell everything once, in order."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.framework.scripted import MINUTE, MINUTE_NS
from wickwire import SECOND_NS, Candle, FaultKind, Feed, Finality, Quote, Side, Topic, Trade
from wickwire.handover import LAG_S, MOST_WAITING, QUIET_S, SETTLE_S, Departure, Overlap, Proof

TOPIC = Topic("BTC/USD", Feed.TRADES)
CHECK_S = 0.25


@attrs.define(eq=False)
class Line:
    """A connection, of which only the time of its last frame counts here."""

    frame_s: float = 0.0


@attrs.define(eq=False)
class Notes:
    """A route that keeps what it is told."""

    told: list[Any] = attrs.field(factory=list)
    marks: list[str] = attrs.field(factory=list)
    received: int = 0

    def receive(self, data: Any, /) -> None:
        self.received += 1
        self.told.append(data)

    def subscribed(self, session: Any) -> None:
        self.marks.append("subscribed")

    def moved(self, session: Any) -> None:
        self.marks.append("moved")

    def caught_up(self, *, truncated: bool) -> None:
        self.marks.append(f"caught up {truncated}")

    def gathering(self) -> None:
        self.marks.append("gathering")

    def doubted(self, why: str) -> None:
        self.marks.append(f"doubted: {why}")

    def withdrawn(self, open_ns: int) -> None:
        self.marks.append(f"withdrawn {open_ns}")

    def lost(self, why: str) -> None:
        self.marks.append(f"lost: {why}")

    def refused(self, kind: FaultKind, why: str) -> None:
        self.marks.append(f"refused: {kind.value} {why}")


@attrs.define(eq=False)
class Both:
    """A topic that is about to leave one connection for another."""

    old: Line = attrs.field(factory=Line)
    new: Line = attrs.field(factory=Line)
    notes: Notes = attrs.field(factory=Notes)
    overlap: Overlap = attrs.field(factory=lambda: Overlap(TOPIC))
    settlings: int = 0
    departure: Departure = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.departure = Departure(self.notes, self.overlap, self.old)  # type: ignore[arg-type]  # it has the time

    def settled(self) -> None:
        self.settlings += 1

    def brings_old(self, at_s: float, data: Any) -> None:
        self.old.frame_s = at_s
        self.departure.receive(data)

    def brings_new(self, at_s: float, data: Any) -> None:
        self.new.frame_s = at_s
        self.overlap.receive(data)

    def confirms(self, at_s: float) -> None:
        self.new.frame_s = at_s
        self.overlap.subscribed(self.new)  # type: ignore[arg-type]  # it has the time


def trade(number: int, *, named: bool = True, price: int = 100, snapshot: bool = False) -> Trade:
    name = str(number) if named else ""
    return Trade("BTC/USD", name, Decimal(price), Decimal(1), Side.BUY, number * SECOND_NS, snapshot=snapshot)


def row(minute: int, volume: int, *, closed: bool = False, snapshot: bool = False) -> Candle:
    price, open_ns = Decimal(100 + volume), minute * MINUTE_NS
    finality = Finality.CLOSED if closed else Finality.UNSAID
    return Candle(
        "BTC/USD",
        MINUTE,
        open_ns,
        open_ns + MINUTE_NS,
        *(price,) * 4,
        Decimal(volume),
        snapshot=snapshot,
        finality=finality,
    )


def arrivals(times: Sequence[float], lags: Sequence[float]) -> list[float]:
    """Return when events that happened at *times* come over a line, which keeps their order."""
    came, latest = [], 0.0
    for at_s, lag_s in zip(times, lags, strict=True):
        latest = max(latest, at_s + lag_s)
        came.append(latest)
    return came


lines = st.integers(1, 60).flatmap(
    lambda count: st.tuples(
        st.lists(st.floats(0, 20), min_size=count, max_size=count).map(sorted),
        st.lists(st.floats(0, 0.9 * LAG_S), min_size=count, max_size=count),
        st.lists(st.floats(0, 0.9 * LAG_S), min_size=count, max_size=count),
    )
)


def play(
    events: Sequence[Any], drawn: tuple[list[float], list[float], list[float]], asked_s: float
) -> Notes | None:
    """Let two lines bring *events*, the new one from *asked_s* on, until one takes over from the other."""
    times, old_lags, new_lags = drawn
    both, confirmed = Both(), False
    stream = [(at_s, 0, n) for n, at_s in enumerate(arrivals(times, old_lags))]
    seen = [n for n, at_s in enumerate(times) if at_s > asked_s]
    came = arrivals([times[n] for n in seen], [new_lags[n] for n in seen])
    stream += [(at_s, 1, n) for at_s, n in zip(came, seen, strict=True)]
    stream += [(asked_s, 2, 0), *((number * CHECK_S, 3, 0) for number in range(240))]
    taken = False
    for at_s, what, number in sorted(stream):
        if what == 0 and not taken:
            both.brings_old(at_s, events[number])
        elif what == 1:
            both.brings_new(at_s, events[number])
        elif what == 2:
            both.confirms(at_s)
            confirmed = True
        elif what == 3 and confirmed and not taken and both.overlap.proof(at_s) is not Proof.NONE:
            taken = True
            both.overlap.hand_over(both.notes, both.settled)
    return both.notes if taken else None


def test_what_was_told_before_a_subscription_was_presumed_need_not_come_there() -> None:
    """Its last frame is long ago, where a venue confirms by data alone (seed 1051)."""
    both = Both()
    both.confirms(0.0)
    both.overlap.presumed(3.0)
    both.brings_old(3.2, trade(2))
    assert Proof.SILENCE is both.overlap.proof(3.0 + QUIET_S)
    both.brings_old(3.0 + QUIET_S + 0.1, trade(20))
    assert Proof.NONE is both.overlap.proof(3.0 + QUIET_S + 2 * LAG_S), "that it has to bring"


@settings(max_examples=300)
@given(drawn=lines, asked_s=st.floats(0, 15), named=st.booleans(), alike=st.booleans())
def test_trades_come_once_and_in_order(
    *, drawn: tuple[list[float], list[float], list[float]], asked_s: float, named: bool, alike: bool
) -> None:
    """Also where trades have no ids, and even where two at a time are alike in everything."""
    times, old_lags, new_lags = drawn
    if alike and not named:
        times = [times[number // 2 * 2] for number in range(len(times))]
    events = [
        trade(number // 2 if alike and not named else number, named=named) for number in range(len(times))
    ]
    drawn = times, old_lags, new_lags
    notes = play(events, drawn, asked_s)
    assert notes is not None, "it is proven in the end"
    assert events == notes.told


@settings(max_examples=300)
@given(drawn=lines, asked_s=st.floats(0, 15), step=st.integers(1, 9))
def test_of_running_candles_the_newest_of_each_bucket_is_told(
    drawn: tuple[list[float], list[float], list[float]], asked_s: float, step: int
) -> None:
    events = [row(number // step, number % step + 1) for number in range(len(drawn[0]))]
    notes = play(events, drawn, asked_s)
    assert notes is not None
    last = {each.open_ns: each for each in notes.told}
    assert {each.open_ns: each for each in events} == last
    newest = -1
    for each in notes.told:  # what a later bucket closed is not said again with other values
        if each.open_ns < newest:
            assert each == last[each.open_ns]
        newest = max(newest, each.open_ns)


@settings(max_examples=200)
@given(drawn=lines, asked_s=st.floats(0, 15))
def test_candles_that_the_venue_calls_closed_come_once(
    drawn: tuple[list[float], list[float], list[float]], asked_s: float
) -> None:
    events = [row(number, 1, closed=True) for number in range(len(drawn[0]))]
    notes = play(events, drawn, asked_s)
    assert notes is not None
    assert events == notes.told


def test_it_is_not_proven_before_both_were_listened_to_for_a_while() -> None:
    both = Both()
    assert Proof.NONE is both.overlap.proof(100.0), "the venue has not confirmed it"
    both.confirms(100.0)
    assert Proof.NONE is both.overlap.proof(100.0 + LAG_S)
    assert Proof.NONE is both.overlap.proof(100.0 + 2 * LAG_S)
    assert Proof.SILENCE is both.overlap.proof(100.0 + QUIET_S), "nothing came on either"
    both.brings_new(101.0, trade(1, snapshot=True))
    assert Proof.DATA is both.overlap.proof(100.0 + 2 * LAG_S)


@pytest.mark.parametrize(
    "data",
    [trade(7), row(3, 5), row(3, 5, closed=True), Quote("BTC/USD", Decimal(1), None, Decimal(2), None)],
)
def test_what_the_old_one_brings_and_the_new_one_does_not_is_no_proof(data: Any) -> None:
    both = Both()
    both.confirms(0.0)
    both.brings_old(1.5, data)
    assert Proof.NONE is both.overlap.proof(60.0)
    both.brings_new(61.0, data)
    assert Proof.DATA is both.overlap.proof(61.0)


def test_a_running_candle_that_is_behind_is_no_proof() -> None:
    both = Both()
    both.confirms(0.0)
    both.brings_new(0.1, row(3, 4, snapshot=True))
    both.brings_old(1.5, row(3, 5))
    assert Proof.NONE is both.overlap.proof(60.0)


def test_what_comes_in_a_snapshot_was_told_before() -> None:
    both = Both()
    both.brings_old(0.0, trade(2))
    both.confirms(1.0)
    for number in (1, 2):
        both.brings_new(1.0, trade(number, snapshot=True))
    both.brings_new(2.0, trade(3))
    both.overlap.hand_over(both.notes, both.settled)
    assert [trade(2), trade(3)] == both.notes.told


def test_the_newest_quote_is_told() -> None:
    both = Both()
    both.confirms(0.0)
    quotes = [Quote("BTC/USD", Decimal(bid), None, None, None) for bid in (1, 2)]
    for quote in quotes:
        both.brings_new(1.0, quote)
    both.overlap.hand_over(both.notes, both.settled)
    assert [quotes[1]] == both.notes.told


def test_a_quote_that_is_older_than_what_was_told_is_not_told() -> None:
    both = Both()
    both.confirms(0.0)
    early, late = (Quote("BTC/USD", Decimal(bid), None, None, None, bid) for bid in (1, 2))
    both.brings_new(1.0, early)
    for quote in (early, late):
        both.brings_old(1.0, quote)
    both.overlap.hand_over(both.notes, both.settled)
    both.brings_new(1.5, early)
    both.brings_new(1.6, late)
    assert [early, late, late] == both.notes.told


@pytest.mark.parametrize("told", [True, False])
def test_a_running_candle_does_not_come_after_its_close(*, told: bool) -> None:
    both = Both()
    both.confirms(0.0)
    for data in (row(3, 5), row(3, 5, closed=True)):
        both.brings_new(1.0, data)
        if told:
            both.brings_old(1.5, data)
    both.overlap.hand_over(both.notes, both.settled)
    if told:
        both.brings_new(3.0, row(3, 5))  # a line that repeats itself
    assert row(3, 5, closed=True) == both.notes.told[-1]
    assert 1 == both.notes.told.count(row(3, 5, closed=True))


def test_a_correction_of_the_bucket_before_is_told() -> None:
    both = Both()
    both.confirms(0.0)
    for data in (row(3, 5), row(4, 1)):
        both.brings_new(1.5, data)
        both.brings_old(1.5, data)
    both.overlap.hand_over(both.notes, both.settled)
    both.brings_new(3.0, row(3, 6))
    both.brings_new(3.5, row(2, 9))
    assert [row(3, 6), row(2, 9)] == both.notes.told[-2:]


def test_what_came_a_moment_ago_on_the_old_one_may_be_on_its_way_on_the_new_one() -> None:
    both = Both()
    both.confirms(0.0)
    both.brings_new(1.0, trade(6))
    both.brings_old(5.0, trade(7))
    assert Proof.DATA is both.overlap.proof(5.0 + LAG_S / 2), "it is not late yet"
    assert Proof.NONE is both.overlap.proof(5.0 + LAG_S)


def test_what_was_told_is_left_out_so_many_times_and_for_a_while_only() -> None:
    both = Both()
    both.confirms(0.0)
    both.brings_old(1.5, trade(1, named=False))
    both.overlap.hand_over(both.notes, both.settled)
    for at_s in (2.5, 3.0):
        both.brings_new(at_s, trade(1, named=False))
    assert [trade(1, named=False)] * 2 == both.notes.told, "the second one happened too"
    assert 0 == both.settlings, "more of it may come"
    both.brings_new(SETTLE_S + 0.1, trade(2))
    assert 1 == both.settlings


@pytest.mark.parametrize("ends", [True, False])
def test_a_connection_that_ends_or_begins_anew_has_nothing_more_to_leave_out(*, ends: bool) -> None:
    both = Both()
    both.confirms(0.0)
    both.overlap.hand_over(both.notes, both.settled)
    if ends:
        both.overlap.lost("cut")
    else:
        both.confirms(1.0)
    assert 1 == both.settlings
    assert ["lost: cut" if ends else "subscribed"] == both.notes.marks


def test_what_was_refused_on_a_connection_that_ended_may_be_granted_on_the_next() -> None:
    both = Both()
    both.overlap.refused(FaultKind.SYMBOL, "no such pair")
    both.overlap.lost("cut")
    both.confirms(10.0)
    both.brings_new(11.0, trade(1))
    assert Proof.DATA is both.overlap.proof(12.0)
    assert both.overlap.refusal is None


def test_what_the_old_connection_brought_a_moment_ago_is_no_silence() -> None:
    both = Both()
    both.confirms(0.0)
    both.brings_old(QUIET_S - LAG_S / 2, trade(1))
    assert Proof.NONE is both.overlap.proof(QUIET_S)
    assert Proof.NONE is both.overlap.proof(QUIET_S + LAG_S)
    both.brings_new(QUIET_S + LAG_S, trade(1))
    assert Proof.DATA is both.overlap.proof(QUIET_S + LAG_S)


@pytest.mark.parametrize("first", ["the picture", "the old one"])
def test_what_the_old_one_tells_late_is_not_missed_where_the_picture_has_it(first: str) -> None:
    """The old connection is behind by more than a second, and then nobody trades for long (seed 12)."""
    both = Both()
    both.confirms(10.0)
    if first == "the picture":
        both.brings_new(10.1, trade(7, snapshot=True))
    both.brings_old(11.5, trade(7))
    if first == "the old one":
        both.brings_new(11.7, trade(7, snapshot=True))

    assert Proof.NONE is both.overlap.proof(11.5 + 2 * LAG_S - 0.1), "more may be on its way on the old one"
    assert Proof.DATA is both.overlap.proof(11.5 + 2 * LAG_S)


def test_who_is_behind_once_has_to_show_the_next_event_all_the_same() -> None:
    both = Both()
    both.confirms(10.0)
    both.brings_new(10.1, trade(7, snapshot=True))
    both.brings_old(11.5, trade(7))
    both.brings_old(14.0, trade(8))

    assert Proof.NONE is both.overlap.proof(14.0 + 2 * LAG_S)
    both.brings_new(16.5, trade(8))
    assert Proof.DATA is both.overlap.proof(16.5)


def test_a_new_connection_that_is_lost_begins_anew() -> None:
    both = Both()
    both.confirms(0.0)
    both.brings_new(0.5, trade(1))
    both.overlap.lost("cut")
    assert Proof.NONE is both.overlap.proof(60.0)
    both.confirms(70.0)
    assert Proof.SILENCE is both.overlap.proof(70.0 + QUIET_S)
    both.overlap.hand_over(both.notes, both.settled)
    assert [] == both.notes.told


def test_doubts_and_withdrawn_candles_are_told_with_the_rest() -> None:
    both = Both()
    both.confirms(0.0)
    both.brings_new(0.5, row(1, 1))
    both.overlap.doubted("a number is missing")
    both.overlap.withdrawn(MINUTE_NS)
    both.overlap.hand_over(both.notes, both.settled)
    assert [] == both.notes.told
    assert [f"withdrawn {MINUTE_NS}", "doubted: a number is missing"] == both.notes.marks


def test_a_refusal_is_no_proof_and_is_told_to_nobody() -> None:
    both = Both()
    both.confirms(0.0)
    both.overlap.refused(FaultKind.SYMBOL, "no such pair")
    assert Proof.NONE is both.overlap.proof(60.0)
    assert "symbol: no such pair" == both.overlap.trouble
    assert [] == both.notes.marks


def test_what_waits_is_bounded() -> None:
    both = Both()
    both.confirms(0.0)
    for number in range(MOST_WAITING + 1):
        both.brings_new(0.5, trade(number))
    assert "more than 20,000 events" in both.overlap.trouble
    assert Proof.NONE is both.overlap.proof(60.0)


def test_whatever_happens_on_the_old_one_meanwhile_is_passed_on() -> None:
    both, line = Both(), Line()
    both.departure.subscribed(line)  # type: ignore[arg-type]  # it has the time
    both.departure.caught_up(truncated=False)
    both.departure.gathering()
    both.departure.doubted("why")
    both.departure.withdrawn(5)
    both.departure.refused(FaultKind.WAIT, "later")
    both.departure.lost("cut")
    both.departure.moved(line)  # type: ignore[arg-type]  # it has the time
    said = [
        "subscribed",
        "caught up False",
        "gathering",
        "doubted: why",
        "withdrawn 5",
        "refused: wait later",
    ]
    assert [*said, "lost: cut", "moved"] == both.notes.marks

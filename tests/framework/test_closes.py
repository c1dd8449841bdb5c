"""What is closed, on what evidence, and what waits for the store."""

from __future__ import annotations

from decimal import Decimal

from wickwire import Candle, Closing, Evidence, Rung, Series, Timeframe, settled
from wickwire.closes import MOST_WAITING, Closes
from wickwire.model import MINUTE_NS
from wickwire.store import TAIL, Verdict


def row(minute: int, close: int = 100) -> Candle:
    price, open_ns = Decimal(close), minute * MINUTE_NS
    return Candle(
        "BTC/USD",
        Timeframe.parse("1m"),
        open_ns,
        open_ns + MINUTE_NS,
        price,
        price,
        price,
        price,
        Decimal(1),
    )


def filled(count: int) -> Closes:
    closes = Closes()
    for minute in range(count):
        closes.add(row(minute), Evidence.SUCCESSOR, Rung.STREAM, healed=False)
    return closes


def test_better_evidence_revises_and_as_good_confirms_nothing() -> None:
    closes = filled(1)
    assert Verdict.INSERT is closes.judge(row(1), Evidence.SUCCESSOR)
    assert Verdict.KEEP is closes.judge(row(0, 101), Evidence.SUCCESSOR)
    assert Verdict.REVISE is closes.judge(row(0, 101), Evidence.HISTORY)
    assert Verdict.CONFIRM is closes.judge(row(0), Evidence.HISTORY)


def test_what_was_handed_over_is_remembered_but_waits_no_longer() -> None:
    closes = filled(3)
    assert [0, 1, 2] == [closing.candle.open_ns // MINUTE_NS for closing in closes.take()]
    assert 0 == closes.waiting
    assert row(2).same_values(closes.newest)  # type: ignore[arg-type]  # it is there
    assert closes.at(MINUTE_NS) is not None


def test_as_many_are_remembered_as_a_store_brings_back() -> None:
    closes = filled(5 * TAIL)
    known = [minute for minute in range(5 * TAIL) if closes.at(minute * MINUTE_NS) is not None]
    assert TAIL <= len(known) <= 2 * TAIL
    assert known == list(range(5 * TAIL - len(known), 5 * TAIL))


def test_when_the_store_takes_none_the_older_half_is_given_back() -> None:
    closes = filled(MOST_WAITING - 1)
    assert [] == list(closes.give_back())
    closes.add(row(MOST_WAITING - 1), Evidence.SUCCESSOR, Rung.STREAM, healed=False)
    given_back = closes.give_back()
    assert MOST_WAITING // 2 == len(given_back) == closes.forgone == closes.waiting
    assert 0 == given_back[0].open_ns
    assert all(closes.at(candle.open_ns) is None for candle in given_back)


def test_what_a_file_said_stays_the_weakest_after_a_restart() -> None:
    """Its rank is 0, which must not be taken for none at all."""
    series = Series.parse("kraken:BTC/USD@1m")
    stored = settled(series, Closing(row(0), Evidence.IMPORTED, Rung.IMPORT), None, 1)

    assert Verdict.REVISE is Closes.of([stored]).judge(row(0, 101), Evidence.SIBLING)

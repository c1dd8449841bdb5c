"""Level 3, the truth: whether what is streamed is what the simulated venue's market really did."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import attrs

from wickwire.endpoint import Topic
from wickwire.errors import FaultKind
from wickwire.events import Fault
from wickwire.model import SECOND_NS, Candle, Feed, Finality, Grid, Quote, Timeframe, Trade, TradeAction, iso
from wickwire.simulate.server import Market, MarketTrade, TradeTruth, Truth
from wickwire.testing.checks import Broken, Checks, Level, Need, Skipped, require
from wickwire.testing.material import Material
from wickwire.testing.playing import LASTS_NS, grid_of
from wickwire.testing.stages import Dialogue
from wickwire.testing.values import unlawful

__all__ = ["TRUTHS", "Known", "known", "recognised"]

TRUTHS: Final = Checks(Level.DIALOGUE)

UNITS_NS: Final = (1, 1_000, 1_000_000, SECOND_NS)
"""What the time of a trade may be cut to: it is exact to one of these, the same one for all."""
FORMS: Final = (
    *("interleave", "double_messages", "empty_rows", "novelty", "late_last"),
    *("trim", "reorder", "no_fields", "force_full", "two_pairs", "pending"),
)
"""Faults, by the names that a simulated venue may have them under, which change how things are said only."""
LONGEST_NS: Final = 600 * SECOND_NS
AHEAD_NS: Final = SECOND_NS
"""So much later than it came a quote may be, by clocks that go wrong."""
DELAY_NS: Final = 70 * SECOND_NS
"""So old may a row be at most when it comes: some venues tell the running day once a minute."""


@attrs.frozen
class Known:
    """What is known of the market behind one simulated venue.

    Attributes:
        candles: Who knows the candles; None where nobody does.
        trades: Who knows the trades; None where nobody does.
        market: Who knows the quotes; None where the venue trades things under names of its own.
    """

    candles: Truth | None
    trades: TradeTruth | None
    market: Market | None


def known(material: Material, symbol: str) -> Known:
    """Return what is known of *symbol*."""
    market = material.playing.market
    server: object = material.playing.server
    listed = market if market.instrument(symbol) is not None else None
    return Known(
        server if isinstance(server, Truth) else listed,
        server if isinstance(server, TradeTruth) else listed,
        listed,
    )


@TRUTHS(
    "D08",
    "A trade or quote is the market's own: price, size, side, time and id, and none is left out.",
    Need.STREAM,
    Need.DIALOGUES,
)
def true_trades(material: Material) -> None:
    looked = sum(_check_feeds(material, dialogue) for dialogue in _plain(material))
    material.count_or_skip(looked, "no trade or quote came of which the truth is known")


def _check_feeds(material: Material, dialogue: Dialogue) -> int:
    """Compare trades and quotes with the true ones; return how many there were."""
    looked = 0
    for topic in dialogue.topics:
        truth = known(material, topic.symbol)
        if topic.what is Feed.TRADES and truth.trades is not None:
            looked += _check_trades(material, dialogue, topic, truth.trades)
        elif topic.what is Feed.QUOTES and truth.market is not None and truth.trades is not None:
            looked += _check_quotes(dialogue, topic, truth.market)
    return looked


@TRUTHS(
    "D09",
    "Every candle row is what the market's trades add up to, and the last of a bucket is the whole of it.",
    Need.STREAM,
    Need.DIALOGUES,
)
def true_rows(material: Material) -> None:
    looked = 0
    for dialogue in _plain(material):
        for step, row in dialogue.rows:
            truth = known(material, row.symbol).candles
            if truth is None or unlawful(material, row, dialogue.account):
                continue  # that is for another check to say
            looked += 1
            grid = _grid(material, dialogue, row.symbol, row.timeframe)
            wrong = _untrue(truth, known(material, row.symbol).trades, row, step.at_ns, grid)
            require(not wrong, wrong, shown=repr(step.frame))
        _check_last(material, dialogue)
    material.count_or_skip(looked, "no candle came of which the truth is known")


@TRUTHS(
    "D14",
    "However the venue says it, what it says means the same.",
    Need.STREAM,
    Need.DIALOGUES,
)
def true_in_every_form(material: Material) -> None:
    there = material.playing.another_server().faults
    faults = [one for one in FORMS if one in there]
    if not faults:
        raise Skipped(f"its simulated venue has none of the faults {', '.join(FORMS)}")
    for dialogue in _plain(material):
        for fault in faults:
            for topics, lasts_ns in _halves(dialogue):
                server = material.playing.another_server()
                server.inject(fault)
                said = material.playing.said_to(server, dialogue, topics, lasts_ns)
                require(said is not None, f"with {fault} the stream is not opened")
                assert said is not None
                require(said.error is None, f"with {fault}: {said.error}")
                silent = ", ".join(map(str, said.unanswered))
                require(not silent, f"with {fault} nothing comes of {silent}")
                gap = next(
                    (one for _, one in said.events if isinstance(one, Fault) and one.kind is FaultKind.GAP),
                    None,
                )
                require(gap is None, f"with {fault} nothing is lost, and it told {gap!r:.200}")
                told = (event for _, event in said.events if isinstance(event, Candle | Trade | Quote))
                strange = next(
                    (one for one in told if one.symbol not in {each.symbol for each in topics}), None
                )
                require(strange is None, f"with {fault} comes what nobody asked for: {strange!r:.200}")
                material.count(_check_feeds(material, said) + _check_last(material, said))


def _halves(dialogue: Dialogue) -> Iterator[tuple[Sequence[Topic], int]]:
    """Yield the feeds of a dialogue; and its candles, for so long that some bucket ends."""
    feeds = [one for one in dialogue.topics if isinstance(one.what, Feed)]
    candles = [one for one in dialogue.topics if isinstance(one.what, Timeframe)]
    if feeds:
        yield feeds, LASTS_NS
    if candles:
        shortest_ns = min(one.what.nominal_ns for one in candles if isinstance(one.what, Timeframe))
        yield candles, LASTS_NS + min(shortest_ns, LONGEST_NS)


def _check_last(material: Material, dialogue: Dialogue) -> int:
    """Compare the last row of each bucket that is over with the whole of it; return how many there were."""
    last = {(row.symbol, row.timeframe, row.open_ns): (row, step.frame) for step, row in dialogue.rows}
    looked = 0
    for row, frame in last.values():
        truth = known(material, row.symbol).candles
        support = material.adapter.support_for(row.symbol, row.timeframe, dialogue.account)
        over = row.close_ns + round(support.grace_s * SECOND_NS) < dialogue.ended_ns - SECOND_NS
        if truth is None or not over or unlawful(material, row, dialogue.account):
            continue
        looked += 1
        whole = _whole(truth, row, _grid(material, dialogue, row.symbol, row.timeframe))
        fits = whole is not None and row.same_values(whole)
        why = f"the last row of its bucket is {row!r:.300}, the whole is {whole!r:.300}"
        require(fits, why, shown=repr(frame))
    return looked


def _plain(material: Material) -> Iterator[Dialogue]:
    """Yield what was said on the default variant: of others the market does not know what they leave out."""
    for dialogue in material.dialogues:
        if not dialogue.account.feed and dialogue.error is None:
            yield dialogue


# --------------------------------------------------------------------------------------------------- trades


def _check_trades(material: Material, dialogue: Dialogue, topic: Topic, truth: TradeTruth) -> int:
    """Compare all trades of one topic with the true ones; return how many there were."""
    told: dict[tuple[str, int, Decimal, Decimal], tuple[Trade, bytes]] = {}
    for step, event in dialogue.events:
        if isinstance(event, Trade) and event.symbol == topic.symbol and event.action is TradeAction.NEW:
            told.setdefault((event.id, event.time_ns, event.price, event.size), (event, step.frame))
    if not told:
        return 0
    times = [one.time_ns for one, _ in told.values()]
    true = truth.trades(topic.symbol, min(times) - SECOND_NS, max(times) + SECOND_NS + 1)
    numbers = recognised([*told.values()], true)
    missing = [one for one in true if min(numbers) < one.number < max(numbers) and one.number not in numbers]
    require(not missing, f"of {topic} was left out: {missing[:1]}")
    ids = [one for one in numbers.values() if one]
    require(len(ids) == len({*ids}), f"two trades of {topic} have one id")
    numbered = any(
        material.adapter.support_for(topic.symbol, one, dialogue.account).numbered
        for one in material.described(dialogue.account).timeframes[:1]
    )
    if numbered:
        offsets = {int(name) - number for number, name in numbers.items()}
        require(len(offsets) == 1, f"ids of {topic} do not count its trades one by one")
    return len(told)


def recognised(told: Sequence[tuple[Trade, bytes]], true: Sequence[MarketTrade]) -> Mapping[int, str]:
    """Return the ids of trades by the numbers that the market has for them.

    Args:
        told: Each with the frame or reply that told it.
        true: All that may be among them.

    Raises:
        Broken: One of them never happened, or is there twice.
    """
    alike: dict[tuple[Decimal, Decimal], list[MarketTrade]] = {}
    for one in true:
        alike.setdefault((one.price, one.size), []).append(one)
    unit_ns = min(UNITS_NS, key=lambda unit: sum(_found(trade, alike, unit) is None for trade, _ in told))
    numbers: dict[int, str] = {}
    for trade, source in told:
        match = _found(trade, alike, unit_ns, known=numbers.keys())
        if match is None:
            nearest = min(true, key=lambda one: abs(one.time_ns - trade.time_ns), default=None)
            raise Broken(f"{trade!r:.300} never happened; nearest is {nearest}", shown=repr(source))
        numbers[match.number] = trade.id
    return numbers


def _found(
    trade: Trade,
    alike: Mapping[tuple[Decimal, Decimal], Sequence[MarketTrade]],
    unit_ns: int,
    known: Collection[int] = (),
) -> MarketTrade | None:
    """Return the true trade that *trade* tells, its time cut to *unit_ns*; one that is not *known* yet.

    Args:
        trade: What was told.
        alike: The true ones by price and size: an hour has thousands, of which few are the same.
        unit_ns: What times are whole numbers of.
        known: Numbers that are told already.
    """
    for one in alike.get((trade.price, trade.size), ()):
        same = trade.side in (None, one.side) and one.time_ns // unit_ns * unit_ns == trade.time_ns
        if same and one.number not in known:
            return one
    return None


def _check_quotes(dialogue: Dialogue, topic: Topic, market: Market) -> int:
    """Compare each quote with those of the minute before it came."""
    looked = 0
    for step, event in dialogue.events:
        if not isinstance(event, Quote) or event.symbol != topic.symbol:
            continue
        looked += 1
        ahead = event.time_ns is not None and event.time_ns > step.at_ns + AHEAD_NS
        require(
            not ahead, f"{event!r:.300} is of after {iso(step.at_ns)}, when it came", shown=repr(step.frame)
        )
        trades = market.trades(topic.symbol, step.at_ns - DELAY_NS, step.at_ns + 1)
        true = [market.quote(topic.symbol, at_ns) for at_ns in (step.at_ns, *(one.time_ns for one in trades))]
        fits = any(
            event.bid in (None, one.bid)
            and event.bid_size in (None, one.bid_size)
            and event.ask in (None, one.ask)
            and event.ask_size in (None, one.ask_size)
            for one in true
        )
        require(fits, f"{event!r:.300} was never so; at that time it was {true[0]}", shown=repr(step.frame))
    return looked


# -------------------------------------------------------------------------------------------------- candles


def _untrue(truth: Truth, trades: TradeTruth | None, row: Candle, at_ns: int, grid: Grid) -> str:
    """Return what is wrong with a row that came at *at_ns*, or nothing."""
    whole = _whole(truth, row, grid) if row.close_ns <= at_ns else None
    if whole is not None and row.same_values(whole):
        return ""
    if row.finality is Finality.CLOSED:
        return f"{row!r:.300} is marked closed; the whole bucket is {whole!r:.300}"
    cuts = [*(one.time_ns + 1 for one in _recent(trades, row, at_ns)), at_ns + 1]
    for cut_ns in reversed(cuts):
        for one in truth.candles(row.symbol, row.timeframe, row.open_ns, cut_ns, grid=grid)[:1]:
            if one.open_ns == row.open_ns and row.same_values(one):
                return ""
    return f"{row!r:.300} is nothing that trades before {iso(at_ns)} add up to"


def _recent(trades: TradeTruth | None, row: Candle, at_ns: int) -> Sequence[MarketTrade]:
    if trades is None:
        return ()
    return trades.trades(row.symbol, max(row.open_ns, min(at_ns, row.close_ns) - DELAY_NS), at_ns + 1)


def _whole(truth: Truth, row: Candle, grid: Grid) -> Candle | None:
    """Return what the bucket of *row* holds once it is over."""
    found = truth.candles(row.symbol, row.timeframe, row.open_ns, row.close_ns, grid=grid)
    return next((one for one in found if one.open_ns == row.open_ns), None)


def _grid(material: Material, dialogue: Dialogue, symbol: str, timeframe: Timeframe) -> Grid:
    return grid_of(material.adapter.support_for(symbol, timeframe, dialogue.account))

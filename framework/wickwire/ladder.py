"""What each rung of the ladder offers for one series, or why it offers nothing. Pure.

Stream, resample, build, poll: the planner takes the first that is offered and that the limits carry.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import attrs

from wickwire.builder import divides
from wickwire.credentials import how_to_set
from wickwire.description import Account, Description, OhlcvSupport
from wickwire.endpoint import Topic
from wickwire.model import DAY_NS, HOUR_NS, Feed, Rung, Series, Timeframe, Unknown

if TYPE_CHECKING:
    from wickwire.adapter import Adapter

__all__ = ["LADDER", "Case", "Cost", "Offer"]


@attrs.frozen(kw_only=True)
class Cost:
    """What collecting a series takes from the venue's limits, where nothing goes wrong.

    Attributes:
        connections: Connections opened for it; of several series on one connection, the first bears it.
        rest_per_hour: REST requests in an hour while the market is open.
    """

    connections: int = 0
    rest_per_hour: float = 0.0

    def __str__(self) -> str:
        parts = []
        if self.connections:
            parts.append("1 connection" if self.connections == 1 else f"{self.connections} connections")
        if self.rest_per_hour:
            exact = f"{self.rest_per_hour:,.0f}" if self.rest_per_hour >= 1 else f"{self.rest_per_hour:.2g}"
            parts.append(f"{exact} REST call{'' if exact == '1' else 's'} an hour")
        return " and ".join(parts) or "nothing more"


@attrs.frozen(kw_only=True)
class Offer:
    """A rung that the venue offers.

    Attributes:
        text: What it is, in a sentence.
        cost: What it takes.
        topic: What is subscribed to, or, where nothing is, what is asked for.
        support: What holds for the series that way; None for trades and quotes.
        folds: The smaller timeframe that its history is folded from; None where the venue serves its own.
    """

    text: str
    cost: Cost
    topic: Topic
    support: OhlcvSupport | None = None
    folds: Timeframe | None = None


@attrs.frozen(kw_only=True, slots=False)
class Case:
    """What the rungs are judged by: one series at one venue.

    Attributes:
        series: With its canonical symbol.
        adapter: Of its venue.
        account: Whose account.
        venue: What the venue is for that account.
        support: What the adapter says of the series itself; None for trades and quotes.
    """

    series: Series
    adapter: Adapter
    account: Account
    venue: Description
    support: OhlcvSupport | None

    @property
    def what(self) -> str:
        """What is wanted, for a sentence: `1m candles`, `trades`."""
        what = self.series.what
        return what.value if isinstance(what, Feed) else f"{what} candles"

    @property
    def topic(self) -> Topic:
        """The series itself, as a topic."""
        return Topic(self.series.symbol, self.series.what)

    @functools.cached_property
    def pieces(self) -> Mapping[Timeframe, OhlcvSupport]:
        """The venue's timeframes that the wanted candles are runs of, the largest first."""
        whole = self.series.timeframe
        assert self.support is not None
        told = self.support.stream or self.support.rest
        found = {}
        for piece in sorted(self.venue.timeframes, key=lambda one: -one.nominal_ns):
            if piece.nominal_ns < whole.nominal_ns:
                support = self.adapter.support_for(self.series.symbol, piece, self.account)
                if divides(piece, whole, support.grid, self.support.grid if told else support.grid):
                    found[piece] = support
        return found

    @functools.cached_property
    def history(self) -> tuple[OhlcvSupport, Timeframe | None] | None:
        """Where its history comes from: what holds for it, and the smaller timeframe to fold if any."""
        assert self.support is not None
        if not self.adapter.serves_history:
            return None
        if self.support.rest:
            return self.support, None
        for piece, support in self.pieces.items():
            size = math.ceil(self.series.timeframe.nominal_ns / piece.nominal_ns)
            if support.rest and size <= support.page_rows:
                rows = None if support.depth_rows is None else support.depth_rows // size
                reach = "" if rows is None else f", {rows} buckets deep"
                whole = attrs.evolve(
                    support,
                    stream=False,
                    page_rows=support.page_rows // size,
                    depth_rows=rows,
                    marks_closed=False,
                    notes=(*self.support.notes, f"history is folded from {piece} candles{reach}"),
                )
                return whole, piece
        return None


def _stream(case: Case) -> Offer | str:
    """Offer the stream, or say why there is none."""
    title = case.venue.title
    if not case.adapter.streams:
        return f"{title} has no stream"
    missing = [name for name in case.venue.stream_credentials if not case.account.secrets.get(name)]
    if missing:
        return f"{title} streams nothing without {how_to_set(case.series.venue, missing)}"
    feeds = case.venue.feeds
    streamed = case.support.stream if case.support else feeds is None or case.series.what in feeds
    if not streamed:
        return f"{title} does not stream {case.what}"
    return Offer(
        text=f"{title} streams {case.what}",
        cost=Cost(connections=1),
        topic=case.topic,
        support=case.support,
    )


def _resample(case: Case) -> Offer | str:
    """Offer to make them of smaller candles that are streamed, on the same grid."""
    title = case.venue.title
    if case.support is None or not case.adapter.streams:
        return f"{case.what} are not made of anything smaller"
    for piece, support in case.pieces.items():
        if support.stream:
            return Offer(
                text=f"resampled from streamed {piece} candles",
                cost=Cost(connections=1),
                topic=Topic(case.series.symbol, piece),
                support=_live(case, support),
                folds=case.history[1] if case.history else None,
            )
    return f"{title} streams no smaller candles that {case.what} are runs of"


def _build(case: Case) -> Offer | str:
    """Offer to build them from streamed trades."""
    title = case.venue.title
    if case.support is None or not case.adapter.streams:
        return f"{case.what} are not made of anything smaller"
    size_ns = case.series.timeframe.fixed_ns
    if size_ns is not None and DAY_NS % size_ns:
        return f"{case.what} do not divide a day"
    told = [case.support, *case.pieces.values()]
    for support in told:
        if support.trades and not isinstance(support.grid, Unknown):
            return Offer(
                text="built from streamed trades",
                cost=Cost(connections=1),
                topic=Topic(case.series.symbol, Feed.TRADES),
                support=_live(case, support),
                folds=case.history[1] if case.history else None,
            )
    return f"{title} streams no trades that {case.what} could be built from"


def _live(case: Case, made_of: OhlcvSupport) -> OhlcvSupport:
    """Return what holds for candles that are made of something smaller, which *made_of* speaks of."""
    if case.history is not None:
        return attrs.evolve(case.history[0], stream=False, grace_s=made_of.grace_s)
    notes = ("no history is served for them: what is missed stays missing",)
    return attrs.evolve(made_of, stream=False, rest=False, marks_closed=False, notes=notes)


def _poll(case: Case) -> Offer | str:
    """Offer polling, or say why it cannot be."""
    title = case.venue.title
    if case.support is None:
        return f"{case.what} come over a stream only"
    if not case.adapter.serves_history:
        return f"{title} serves no history"
    if case.history is None:
        return f"{title} does not serve {case.what}{'' if case.support.over_stream else ' over REST'}"
    support, folds = case.history
    way = "over a connection of its own" if support.over_stream else "over REST"
    folded = "" if folds is None else f" as {folds} candles"
    per_hour = HOUR_NS / case.series.timeframe.nominal_ns
    return Offer(
        text=f"polled {way}{folded} {support.settle_s:g} s after each close",
        cost=Cost(connections=1) if support.over_stream else Cost(rest_per_hour=per_hour),
        topic=case.topic,
        support=support,
        folds=folds,
    )


LADDER: Final[Mapping[Rung, Callable[[Case], Offer | str]]] = {
    Rung.STREAM: _stream,
    Rung.RESAMPLE: _resample,
    Rung.BUILD: _build,
    Rung.POLL: _poll,
}
"""From the top: the first that is offered is taken. A rung that is not here is never chosen."""

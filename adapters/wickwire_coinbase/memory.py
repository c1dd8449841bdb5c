"""What one connection remembers: its count of messages, what was asked, under which symbols to answer.

Reference: Coinbase Advanced Trade WebSocket, "WebSocket Overview" (sequence numbers, subscriptions) and
"Market Data Channels", read 2026-11.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import attrs

from wickwire import Fault, FaultKind, Feed, Timeframe, Topic
from wickwire_coinbase.symbols import STREAMED, book_of, from_venue, to_venue

__all__ = ["CHANNELS", "HEARTBEATS", "Memory", "Request", "Routes", "unanswered"]

What = Timeframe | Feed

CHANNELS: Final[dict[What, str]] = {STREAMED: "candles", Feed.TRADES: "market_trades", Feed.QUOTES: "ticker"}
"""`ticker` speaks at every match, `ticker_batch` every five seconds."""

HEARTBEATS: Final = "heartbeats"

STALE_IN_A_ROW: Final = 100
"""After so many messages that are older than what came before, the venue must have begun to count anew."""

BUCKETS_KEPT: Final = 4
PRODUCTS_KEPT: Final = 10_000

Routes = dict[str, tuple[str, ...]]
"""Product id, as rows carry it, to the canonical symbols that were asked for and are meant by it."""


@attrs.frozen
class Request:
    """One frame that we sent and the venue has not answered."""

    subscribes: bool
    channel: str
    topics: tuple[Topic, ...]


def unanswered() -> deque[Request]:
    """Return the first request of every connection: the heartbeats of its greeting."""
    return deque([Request(subscribes=True, channel=HEARTBEATS, topics=())])


@attrs.define
class Memory:
    """The state of one connection.

    Attributes:
        expected: Number of the next message; -1 before the first.
        stale: How many messages in a row were older, and what was expected when the row began.
        pending: Requests in the order sent. Replies carry no id, and come in that order.
        asked: What is wanted; True where the venue confirmed it.
        sent: Product ids that we subscribed to, by channel.
        routes: By channel.
        own_books: Products quoted in USDC that turned out to be answered under their own name.
        volumes: The largest volume that was told of the newest buckets, by product and open time.
        doubtful: By product, its running bucket, where a row of it was older than one before.
        seconds: Whole seconds and minutes in nanoseconds, by their texts `2026-11-21T05:00:10.` and
            `2026-11-21T05:00:`: only to be quick.
        opens: The same for the open times of candles.
    """

    expected: int = -1
    stale: tuple[int, int] = (0, -1)
    pending: deque[Request] = attrs.Factory(unanswered)
    asked: dict[Topic, bool] = attrs.Factory(dict)
    sent: dict[str, dict[str, None]] = attrs.Factory(lambda: {channel: {} for channel in CHANNELS.values()})
    routes: dict[str, Routes] = attrs.Factory(lambda: {channel: {} for channel in CHANNELS.values()})
    own_books: dict[str, None] = attrs.Factory(dict)
    volumes: dict[str, dict[int, Decimal]] = attrs.Factory(dict)
    doubtful: dict[str, int] = attrs.Factory(dict)
    seconds: dict[str, int] = attrs.Factory(dict)
    opens: dict[str, int] = attrs.Factory(dict)

    # ------------------------------------------------------------------------------------ message numbers

    def gap(self, number: int) -> Fault | None:
        """Return what follows from a message *number* beyond the expected one.

        Nothing, for the first one: before it there was nothing that could be doubted.
        """
        if self.expected < 0:
            return None
        self.pending.clear()  # an answer may be among what was lost, so their order says nothing any more
        lost = f"message {self.expected}" if number == self.expected + 1 else f"{self.expected}..{number - 1}"
        return Fault(FaultKind.GAP, f"coinbase: lost {lost} of this connection, of whatever channel")

    def older(self) -> tuple[Fault, ...]:
        """Drop a message whose number is below the expected one: a duplicate, or out of order."""
        count, since = self.stale
        self.stale = (count + 1 if since == self.expected else 1), self.expected
        if self.stale[0] < STALE_IN_A_ROW:
            return ()
        return (Fault(FaultKind.RESTART, "coinbase: the count of messages began anew on an open connection"),)

    # ---------------------------------------------------------------------------------------------- names

    def book(self, product: str) -> str:
        """Return the product id under which the venue answers for *product*, by what we know so far."""
        return product if product in self.own_books else book_of(product)

    def book_of(self, topic: Topic) -> tuple[str, str]:
        """Return what *topic* rides on: the channel, and the product id under which the venue answers."""
        return CHANNELS[topic.what], self.book(to_venue(topic.symbol))

    def rewire(self) -> None:
        """Work out anew which symbols each product id means."""
        for channel in self.routes:
            routes: Routes = {}
            for topic in self.asked:
                # not under its own id, where that is an alias: `symbols` is to see when that comes
                on, book = self.book_of(topic)
                if on == channel:
                    routes[book] = (*routes.get(book, ()), topic.symbol)
            self.routes[channel] = routes

    def symbols(self, channel: str, product: str) -> tuple[str, ...]:
        """Return the symbols for a product id that `routes` does not know.

        An alias that is answered under its own name is none: from now on its twin's rows are not its own.
        """
        symbol = from_venue(product)
        if product != self.book(product) and any(topic.symbol == symbol for topic in self.asked):
            self.own_books[product] = None
            self.rewire()
            return self.routes[channel].get(product, (symbol,))
        return (symbol,)

    # ------------------------------------------------------------------------------------------- requests

    def awaited(self, topics: Iterable[Topic]) -> list[Topic]:
        """Return those of *topics* that are wanted and not confirmed."""
        return [topic for topic in topics if self.asked.get(topic) is False]

    def leaving(self, topic: Topic) -> bool:
        """Say whether an unsubscription of *topic* is unanswered."""
        return any(not request.subscribes and topic in request.topics for request in self.pending)

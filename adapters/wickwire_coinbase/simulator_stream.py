"""One connection to the simulated stream: requests in; snapshots, answers, updates and heartbeats out.

What is not established is chosen here: an answer lists products by the name of their book; an unknown product
is a failure of its whole request; a client that does not subscribe in time is left with close code 1000.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Final

from wickwire import SECOND_NS
from wickwire.simulate.server import Hangup, Outgoing
from wickwire_coinbase.simulator_frames import envelope, error, heartbeat, status_row
from wickwire_coinbase.simulator_news import Subscription, news, snapshot
from wickwire_coinbase.simulator_products import Product
from wickwire_coinbase.simulator_requests import Malformed, Request, UnknownChannel, read
from wickwire_coinbase.simulator_venue import MESSAGES_PER_S, Venue

__all__ = ["CoinbaseConnection"]

TO_SUBSCRIBE_NS: Final = 5 * SECOND_NS
"""How long a client may say nothing."""
IDLE_NS: Final = 90 * SECOND_NS
"""How long a connection without heartbeats may bring nothing; the documents say 60 to 90 seconds."""


class CoinbaseConnection:
    """A `Connection` of the simulated Coinbase."""

    def __init__(self, venue: Venue, now_ns: int) -> None:
        self._venue = venue
        self._heard = len(venue.announcements)
        self._lost = venue.lost_messages
        self._subscriptions: dict[tuple[str, str], Subscription] = {}
        self._status = False
        self._sequence = 0
        self._opened_ns = self._spoke_ns = self._told_ns = now_ns
        self._began = False
        self._heartbeat_ns: int | None = None
        self._answers: list[int] = []
        self._queue: list[tuple[int, int, Subscription]] = []
        self._queued = 0

    @property
    def subscribed(self) -> Sequence[tuple[str, str]]:
        """What is subscribed to: the kind of data, and the symbol as the market calls it."""
        return [(one.channel, one.product.symbol) for one in self._subscriptions.values()]

    # ------------------------------------------------------------------------------- the four questions

    def opened(self, now_ns: int) -> Sequence[Outgoing]:
        """Say nothing: the client has to begin."""
        self._venue.tell(now_ns)
        return []

    def received(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        """Answer one message, after all that was due before it."""
        out = list(self.due(now_ns))
        if out and isinstance(out[-1], Hangup):
            return out
        over = self._venue.messages.count(now_ns) > MESSAGES_PER_S
        if over or self._venue.fault("limited") is not None:
            return [*out, error("rate limit exceeded")]  # in which words is not established
        match read(frame):
            case Malformed():
                return [*out, error("failure to subscribe")]
            case UnknownChannel():
                return [*out, error("authentication failure")]
            case Request() as request:
                return [*out, *self._answered(request, now_ns)]

    def due(self, now_ns: int) -> Sequence[Outgoing]:
        """Return announcements, late answers, what happened up to now, and a heartbeat each second."""
        self._venue.tell(now_ns)
        out = self._announced()
        if out and isinstance(out[-1], Hangup):
            return out
        if not self._began and now_ns >= self._opened_ns + TO_SUBSCRIBE_NS:
            return [*out, Hangup(1000)]
        while self._answers and self._answers[0] <= now_ns:
            del self._answers[0]
            out += self._answer(now_ns)
        self._told_ns = max(self._told_ns, now_ns - self._delay_ns())
        while self._queue and self._queue[0][0] <= self._told_ns:
            sub = heapq.heappop(self._queue)[2]
            if self._subscriptions.get((sub.channel, sub.name)) is sub:  # else it ended, or was made anew
                out += self._news(sub, now_ns)
        if self._heartbeat_ns is not None and self._heartbeat_ns <= now_ns:
            self._heartbeat_ns += SECOND_NS * (1 + (now_ns - self._heartbeat_ns) // SECOND_NS)
            if self._venue.fault("no_heartbeat") is None:
                out += self._said("heartbeats", [heartbeat(now_ns, self._venue.market.start_ns)], now_ns)
        if out:
            self._spoke_ns = now_ns
        elif self._began and self._heartbeat_ns is None and now_ns >= self._spoke_ns + IDLE_NS:
            return [Hangup(1000)]
        return out

    def next_ns(self, now_ns: int) -> int:
        """Return when something may be due, never more than a second away."""
        delay_ns = self._delay_ns()
        instants = [now_ns + SECOND_NS, *self._answers[:1]]
        instants += [due_ns + delay_ns for due_ns, _, _ in self._queue[:1]]
        if self._heartbeat_ns is not None:
            instants.append(self._heartbeat_ns)
        if not self._began:
            instants.append(self._opened_ns + TO_SUBSCRIBE_NS)
        return max(now_ns + 1, min(instants))

    # ------------------------------------------------------------------------------------------ requests

    def _answered(self, request: Request, now_ns: int) -> Sequence[Outgoing]:
        """Return what follows a request: snapshots first, then the list of all subscriptions."""
        out: list[Outgoing] = []
        if request.channel == "heartbeats":
            self._heartbeat_ns = now_ns + SECOND_NS if request.subscribes else None
        elif request.channel == "status":
            self._status = request.subscribes
            rows = [status_row(product) for product in self._venue.products.values()]
            if request.subscribes:
                out += self._said("status", [{"type": "snapshot", "products": rows}], now_ns)
        elif request.subscribes:
            refusal = self._refusal(request)
            if refusal:
                return [error(refusal)]
            for product in filter(None, map(self._venue.product, request.products)):
                out += self._subscribe(request.channel, product, now_ns)
        else:
            self._unsubscribe(request)
        self._began = True
        late = self._venue.fault("late_ack")
        if any(self._unanswered(name) for name in request.products):
            return out
        if late is not None:
            self._answers.append(now_ns + round(float(late.get("delay_s", 3)) * SECOND_NS))
            return out
        return [*out, *self._answer(now_ns)]

    def _refusal(self, request: Request) -> str:
        products = self._venue.products
        for name in request.products:
            refused = self._venue.fault("refuse", products[name].symbol if name in products else "")
            if refused is not None:
                return str(refused.get("text", "failure to subscribe"))
        unknown = [name for name in request.products if self._venue.product(name) is None]
        if not request.products or (unknown and self._venue.fault("leave_out") is None):
            return "failure to subscribe"
        return ""

    def _unanswered(self, name: str) -> bool:
        product = self._venue.products.get(name)
        silence = None if product is None else self._venue.fault("silent_ack", product.symbol)
        return silence is not None and not silence.get("acked", True)

    def _subscribe(self, channel: str, product: Product, now_ns: int) -> Sequence[Outgoing]:
        name = product.book if self._venue.fault("own_names") is None else product.id
        sub = Subscription(channel, product, name)
        self._expect(sub, self._told_ns)
        sub.silent = self._venue.fault("silent_ack", product.symbol) is not None
        self._subscriptions[channel, name] = sub
        if sub.silent or self._venue.silent(product.symbol):
            return []
        return self._said(channel, [snapshot(self._venue, sub)], now_ns)

    def _unsubscribe(self, request: Request) -> None:
        names = {self._venue.products[name].book for name in request.products if name in self._venue.products}
        names |= {*request.products}
        for channel, name in list(self._subscriptions):
            if channel == request.channel and (not request.products or name in names):
                del self._subscriptions[channel, name]

    def _answer(self, now_ns: int) -> Sequence[Outgoing]:
        state: dict[str, list[str]] = {}
        for channel, name in self._subscriptions:
            state.setdefault(channel, []).append(name)
        if self._heartbeat_ns is not None:
            state["heartbeats"] = ["heartbeats"]  # what stands there is not established
        if self._status:
            state["status"] = ["status"]
        return self._said("subscriptions", [{"subscriptions": dict(sorted(state.items()))}], now_ns)

    def _news(self, sub: Subscription, now_ns: int) -> list[Outgoing]:
        """Return what happened since a subscription was told last, up to the turn of its channel."""
        since_ns = sub.told_ns
        self._expect(sub, self._told_ns - self._told_ns % sub.period_ns)
        if sub.silent or self._venue.silent(sub.product.symbol):
            return []
        out: list[Outgoing] = []
        for event in news(self._venue, sub, since_ns):
            out += self._said(sub.channel, [event], now_ns)
        return out

    # --------------------------------------------------------------------------------------------- inside

    def _announced(self) -> list[Outgoing]:
        out: list[Outgoing] = []
        for item in self._venue.announcements[self._heard :]:
            self._heard += 1
            out.append(item)
            if isinstance(item, Hangup):
                break
        return out

    def _said(self, channel: str, events: Sequence[Mapping[str, object]], now_ns: int) -> list[Outgoing]:
        """Return one message under the next number, unless a fault loses or doubles it."""
        is_data = channel not in ("subscriptions", "heartbeats")
        number, self._sequence = self._sequence, self._sequence + 1
        if is_data and self._lost < self._venue.lost_messages:
            self._lost += 1
            return []
        frame = envelope("l2_data" if channel == "level2" else channel, number, events, now_ns)
        doubled = is_data and self._venue.fault("double_messages") is not None
        return [frame, frame] if doubled else [frame]

    def _expect(self, sub: Subscription, told_ns: int) -> None:
        """Note up to when a subscription was told, and when it is to be told more."""
        sub.told_ns = told_ns
        next_ns = self._venue.market.next_trade_ns(sub.product.symbol, told_ns)
        due_ns = -(-next_ns // sub.period_ns) * sub.period_ns
        self._queued += 1
        heapq.heappush(self._queue, (due_ns, self._queued, sub))

    def _delay_ns(self) -> int:
        slow = self._venue.fault("slow")
        return 0 if slow is None else round(float(slow.get("delay_s", 5)) * SECOND_NS)

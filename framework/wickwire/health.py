"""What a collector says about itself: values only, taken at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from wickwire.closer import Closer
from wickwire.condition import LIVE_S
from wickwire.deliveries import QuoteDelivery
from wickwire.delivery import Delivery
from wickwire.endpoint import Topic
from wickwire.fanout import AnyFeedRoute, Reader
from wickwire.model import Candle, Feed, Hole, Rung, Series
from wickwire.news import Condition, Rotation, Switch
from wickwire.pool import Link
from wickwire.queues import Policy
from wickwire.sink import Parked
from wickwire.venue import Venue
from wickwire.watchdog import Hold

__all__ = [
    "ConnectionHealth",
    "ConsumerHealth",
    "Health",
    "Links",
    "SeriesHealth",
    "SinkHealth",
    "SubscriptionHealth",
    "VenueHealth",
    "condition_of",
    "links_of",
    "of_closer",
    "of_consumer",
    "of_feed",
    "of_sink",
    "of_venue",
]

Links = Mapping[int, tuple[str, int]]
"""The connections of a venue by their numbers: state, and how often each was opened or tried."""


@attrs.frozen(kw_only=True)
class SeriesHealth:
    """How one series is doing.

    Attributes:
        series: Which one.
        condition: Starting, live, quiet, polled, reconnecting, stale, refused or stopped.
        rung: How it is collected now.
        why: Why so.
        last_close: The newest closed candle, where it carries candles.
        verified: The venue answered for it since the start.
        forming: The running bucket: the stream's, or as history showed it last.
        lag_s: How long after its end the newest candle was closed here.
        closed: Candles closed since the start.
        revisions: Closed candles whose values changed later.
        refused_rows: Rows refused by the laws of candles, or not readable.
        forgone: Closes that became holes again, because the store took nothing for too long.
        holes: What is missing, and why.
        switches: Changes of route, the last 100.
        received: Trades or quotes received, where it carries these.
        age_s: How long ago the newest trade or quote came, or, before the first, the subscription was
            confirmed; None while there is no subscription.
        dropped: Trades or quotes for which a reader that was too slow lost an older one.
        rescaled: Why its history is or was read again, as after a split of shares; empty when it was not.
        status: What the venue said last of the state of its symbol, such as that it is halted.
        opens_ns: When its next session opens, where that is known and none runs: nothing is due before.
        shared: Another program was seen to store its candles in the same store: what it stores first is not
            handed on here.
        doubts: How often trades or quotes may have been lost on the way here.
        trouble: What went wrong last; empty when nothing did, and for trades and quotes that live again, when
            that was more than a minute ago.
    """

    series: Series
    condition: Condition
    rung: Rung
    why: str
    verified: bool = True
    last_close: Candle | None = None
    forming: Candle | None = None
    lag_s: float | None = None
    closed: int = 0
    revisions: int = 0
    refused_rows: int = 0
    forgone: int = 0
    holes: Sequence[Hole] = ()
    switches: Sequence[Switch] = ()
    received: int = 0
    age_s: float | None = None
    dropped: int = 0
    doubts: int = 0
    rescaled: str = ""
    status: str = ""
    opens_ns: int | None = None
    shared: bool = False
    trouble: str = ""


@attrs.frozen
class SubscriptionHealth:
    """How far one topic is on one connection.

    Attributes:
        topic: What is subscribed to.
        phase: Wanted, asked, confirmed or refused.
        asked: How often it was asked for on this connection.
        received: Events of it since the start, also on connections before this one.
    """

    topic: Topic
    phase: str
    asked: int
    received: int


@attrs.frozen(kw_only=True)
class ConnectionHealth:
    """How one connection is doing.

    Attributes:
        number: Counts the connections of a venue; the successor of a lost one keeps its number.
        state: Where the present one is between connecting and closed; "waiting" between two of them.
        attempts: How often it was opened, or tried, since the start.
        age_s: How long ago it was opened; None while there is none.
        silent_s: How long ago its last frame came, or it was opened; None while there is none.
        frames: Frames received on it.
        junk: Frames among them that were not what the venue documents.
        faults: How often the venue reported trouble on it.
        subscriptions: What rides on it; empty between two connections.
        channels: Their events by kind of channel: "candles", "trades" and "quotes", where these ride on it.
    """

    number: int
    state: str
    attempts: int
    age_s: float | None = None
    silent_s: float | None = None
    frames: int = 0
    junk: int = 0
    faults: int = 0
    subscriptions: Sequence[SubscriptionHealth] = ()
    channels: Mapping[str, int] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class VenueHealth:
    """How one venue is doing: whether it can be reached, and what came of asking.

    No field says that a venue is dead, as there are two ways to it. Its streams are away while *connections*
    is less than *wanted_connections*, which is so for a moment in each reconnection, too; its REST while
    *away_since_ns* is set, which shows only when something is asked for. Where both are, or the one that a
    venue has, nothing comes. What that means for a series is in its `SeriesHealth`: it stays live, polled or
    quiet until something of it is late, and of hourly candles that may take more than an hour.

    Attributes:
        venue: Its name, with the variant.
        connections: Connections that are ready for subscriptions, of those wanted; where nothing is streamed
            none is.
        wanted_connections: How many there would be if all went well, but for one that is opened beside an old
            one to replace it.
        attempts: Connections opened or tried since the start; where it grows, connections do not last.
        frames: Frames received on the present connections; a new one begins at 0.
        junk: Frames among them that were not what the venue documents: many are a new protocol.
        unrouted: Data among them of topics that nobody asked for.
        requests: REST requests sent.
        waiting: REST requests that wait for their turn under the venue's limits.
        paused: The venue said that it wants no requests for now.
        failures: Conversations over REST that failed.
        away_since_ns: When REST began to fail, where it counts as away: one request at a time finds out for
            all series if it is back. None while it answers.
        next_try_s: In how many seconds the next of these is sent; None while one is under way, or none is
            needed.
        status: The venue's last word on its own state.
        clock_ahead_s: How far our clock is ahead of that of what serves the venue's candles, as it last told;
            None before, and where that tells none. Another host's counts where it differs by minutes.
        links: Each of its connections.
        rotations: How connections were replaced as planned, the last 20.
        trouble: What is wrong now: a hook that holds the event loop, a bug that ended the venue until it is
            started anew, REST that is away, or why a connection is. Empty when nothing is.
    """

    venue: str
    connections: int
    wanted_connections: int
    attempts: int
    frames: int
    junk: int
    unrouted: int = 0
    requests: int
    waiting: int = 0
    paused: bool = False
    failures: int
    away_since_ns: int | None = None
    next_try_s: float | None = None
    status: str
    clock_ahead_s: float | None = None
    links: Sequence[ConnectionHealth] = ()
    rotations: Sequence[Rotation] = ()
    trouble: str = ""


@attrs.frozen(kw_only=True)
class ConsumerHealth:
    """How one consumer is doing: an iterator, or a function that is called.

    Attributes:
        name: The one it was given, or what it consumes and a number.
        policy: What happens when it is too slow.
        bound: How many items wait for it in memory at most.
        waiting: How many wait for it, in memory and in the store.
        unread: How many of them it has to read back from the store, at most: a candle that was revised
            meanwhile is counted for each time. What was there before it began to listen is not counted.
        behind_s: For how many seconds something has waited for it without a pause; None where nothing does,
            and for trades, quotes and events.
        dropped: How many it lost.
        conflated: How many were replaced by a newer one of their series.
        spilled: How often it fell behind and went on from the store.
        errors: How often the function raised that is called with what comes.
        trouble: What it raised last; empty since it went well again.
    """

    name: str
    policy: Policy
    bound: int
    waiting: int
    unread: int = 0
    behind_s: float | None = None
    dropped: int = 0
    conflated: int = 0
    spilled: int = 0
    errors: int = 0
    trouble: str = ""


@attrs.frozen(kw_only=True)
class SinkHealth:
    """How one sink is doing.

    Attributes:
        name: Of the sink.
        seq: Everything up to here was put into it, but for what is parked.
        lag: How many candles were committed since, at most: a revision counts for itself.
        behind_s: For how many seconds something has waited for it without a pause; None where nothing does.
        delivered: How many candles it took since the start.
        parked: What it will not take, as far as it is remembered.
        left_out: How many more it did not take.
        trouble: Its last error, while it takes nothing; empty when it works.
        quotes_trouble: The same of quotes, where it takes them.
    """

    name: str
    seq: int
    lag: int
    behind_s: float | None
    delivered: int
    parked: Sequence[Parked]
    left_out: int = 0
    trouble: str
    quotes_trouble: str = ""


@attrs.frozen(kw_only=True)
class Health:
    """How a collector is doing.

    Attributes:
        at_ns: When this was so.
        series: Every series.
        venues: Every venue.
        committed: Candles that the store took as news since the start.
        batches: Transactions in which it did.
        store_trouble: The store's last error; empty when it works.
        budget_trouble: Why the shared budget is away; empty when it answers, or there is none.
        alarm: Which plugin's hook holds the event loop, or did in the last minute; empty when none does.
        holds: The last 20 calls that held it for too long, of plugins and others.
        consumers: Every iterator that somebody holds, and every function that is called, but for `on_switch`;
            the quotes of a sink too.
        stored_trades: Trades that the store took as new since the start.
        sinks: Every sink.
        events: What happened since the start: how often, by the name of the event.
    """

    at_ns: int
    series: Sequence[SeriesHealth]
    venues: Sequence[VenueHealth]
    committed: int
    batches: int = 0
    store_trouble: str
    budget_trouble: str = ""
    alarm: str = ""
    holds: Sequence[Hold] = ()
    consumers: Sequence[ConsumerHealth] = ()
    stored_trades: int = 0
    sinks: Sequence[SinkHealth] = ()
    events: Mapping[str, int] = attrs.field(factory=dict)


def of_closer(closer: Closer, venue: Venue, at_ns: int) -> SeriesHealth:
    """Return how a candle series is doing at *at_ns*."""
    ledger = closer.ledger
    return SeriesHealth(
        series=closer.series,
        condition=closer.state(),
        rung=closer.rung,
        why=closer.why,
        verified=closer.verified,
        last_close=ledger.last_close,
        forming=closer.forming,
        lag_s=closer.lag_s,
        closed=ledger.closed_count,
        revisions=ledger.revisions,
        refused_rows=ledger.refused,
        forgone=ledger.forgone,
        holes=tuple(ledger.holes),
        switches=tuple(closer.switches),
        rescaled=ledger.rescaling.why,
        status=venue.status_of(closer.series),
        opens_ns=ledger.buckets.opens_next(at_ns),
        shared=closer.shared,
        trouble=closer.trouble or closer.refusal or closer.away or ledger.last_refusal or closer.unfit,
    )


def of_feed(route: AnyFeedRoute, venue: Venue, now_s: float) -> SeriesHealth:
    """Return how a trades or quotes series is doing at *now_s*, in the loop's time.

    A subscription that lives and is mute is quiet after `LIVE_S`, until `probing` finds out that it is deaf.
    """
    age_s = max(now_s - route.heard_s, 0.0) if route.live else None
    is_over = route.stopped or (route.live and now_s - route.doubt_s > LIVE_S)
    return SeriesHealth(
        series=route.series,
        condition=condition_of(route, now_s),
        rung=Rung.STREAM,
        why=venue.plans[route.series].why,
        verified=route.live or route.received > 0,
        received=route.received,
        age_s=age_s,
        dropped=route.dropped,
        status=venue.status_of(route.series),
        doubts=route.doubts,
        trouble=route.refusal or (route.deafness if route.is_deaf else "" if is_over else route.why),
    )


def condition_of(route: AnyFeedRoute, now_s: float) -> Condition:
    """Return how a trades or quotes series is doing at *now_s*, and nothing else: it is asked often."""
    if route.stopped:
        return Condition.STOPPED
    if route.live:
        if route.is_deaf:
            return Condition.STALE
        return Condition.LIVE if now_s - route.heard_s < LIVE_S else Condition.QUIET
    if route.refusal:
        return Condition.REFUSED
    if route.lost_s is None:
        return Condition.STARTING
    return Condition.RECONNECTING if now_s - route.lost_s < LIVE_S else Condition.STALE


def of_consumer(reader: Reader[Any], now_s: float) -> ConsumerHealth:
    """Return how a consumer is doing at *now_s*, in the loop's time."""
    return ConsumerHealth(
        name=reader.name,
        policy=reader.policy,
        bound=reader.bound,
        waiting=reader.waiting + reader.unread,
        unread=reader.unread,
        behind_s=reader.behind_s(now_s),
        dropped=reader.dropped,
        conflated=reader.conflated,
        spilled=reader.spilled,
        errors=0 if reader.errors is None else reader.errors.count,
        trouble="" if reader.errors is None else reader.errors.trouble,
    )


def of_sink(delivery: Delivery, quotes: QuoteDelivery | None, now_s: float) -> SinkHealth:
    """Return how a sink is doing at *now_s*, in the loop's time."""
    return SinkHealth(
        name=delivery.name,
        seq=delivery.cursor.seq,
        lag=delivery.lag,
        behind_s=delivery.behind_s(now_s),
        delivered=delivery.delivered,
        parked=delivery.cursor.parked,
        left_out=delivery.cursor.left_out,
        trouble=delivery.trouble,
        quotes_trouble="" if quotes is None else quotes.trouble,
    )


def of_venue(scope: str, venue: Venue, alarm: Hold | None = None) -> VenueHealth:
    """Return how a venue is doing, while *alarm* is what a plugin does."""
    away = venue.history.breaker.away()
    troubles = [
        str(alarm) if alarm is not None and alarm.plugin == venue.adapter.name else "",
        venue.failure,
        venue.history.clock_trouble,
        "" if away is None else str(away),
        *(link.trouble for link in venue.pool.links if link.session is None),
        *(f"data of {one.stray} comes, which nobody asked for" for one in venue.pool.sessions if one.stray),
    ]
    return VenueHealth(
        venue=scope,
        connections=venue.pool.connected,
        wanted_connections=sum(not link.spare for link in venue.pool.links),
        attempts=sum(link.attempts for link in venue.pool.links),
        frames=sum(session.frames for session in venue.pool.sessions),
        junk=sum(session.junk for session in venue.pool.sessions),
        unrouted=sum(session.unrouted for session in venue.pool.sessions),
        requests=venue.history.requests,
        waiting=venue.budget.rest_waiting,
        paused=venue.budget.rest_paused,
        failures=venue.history.failures,
        away_since_ns=None if away is None else away.since_ns,
        next_try_s=None if away is None else away.next_s,
        status=next((session.status for session in venue.pool.sessions if session.status), ""),
        clock_ahead_s=venue.history.clocks.ahead_s,
        links=[_of_link(link) for link in venue.pool.links],
        rotations=venue.rotator.rotations,
        trouble=next((text for text in troubles if text), ""),
    )


def links_of(venue: Venue) -> Links:
    """Return how far the connections of a venue are, and nothing else: it is asked often."""
    links = [link for link in venue.pool.links if not link.spare]
    return {link.number: (_state_of(link), link.attempts) for link in links}


def _state_of(link: Link) -> str:
    return "waiting" if link.session is None else link.session.state.value


def _of_link(link: Link) -> ConnectionHealth:
    session = link.session
    if session is None:
        return ConnectionHealth(number=link.number, state=_state_of(link), attempts=link.attempts)
    subscriptions = [SubscriptionHealth(*told) for told in session.subscriptions]
    channels: Counter[str] = Counter()
    for one in subscriptions:
        what = one.topic.what
        channels[what.value if isinstance(what, Feed) else "candles"] += one.received
    return ConnectionHealth(
        number=link.number,
        state=_state_of(link),
        attempts=link.attempts,
        age_s=session.age_s,
        silent_s=session.silent_s,
        frames=session.frames,
        junk=session.junk,
        faults=session.faults,
        subscriptions=subscriptions,
        channels=dict(channels),
    )

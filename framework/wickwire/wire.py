"""What crosses the border between the framework and an adapter: descriptions in, events and requests out.

Nothing here does I/O. An adapter describes a connection (`Endpoint`), says what a frame means (events),
and asks for history by yielding `HttpRequest`s and receiving `HttpReply`s.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Final, final

import attrs

from wickwire import shapes
from wickwire.errors import FaultKind
from wickwire.model import SECOND_NS, Candle, Feed, Grid, Quote, Timeframe, Trade, Unknown, What, event, iso

__all__ = [
    "Accepted",
    "Account",
    "Ask",
    "BadRow",
    "Conversation",
    "Description",
    "Endpoint",
    "Event",
    "Fault",
    "Heartbeat",
    "HttpReply",
    "HttpRequest",
    "Keepalive",
    "Lane",
    "Limits",
    "OhlcvQuery",
    "OhlcvSupport",
    "Page",
    "Rate",
    "Readiness",
    "Ready",
    "Refused",
    "Released",
    "Removed",
    "Send",
    "SnapshotDone",
    "Split",
    "Stopped",
    "StreamHistory",
    "StreamRequest",
    "Topic",
    "TradePage",
    "TradeQuery",
    "VenueStatus",
    "retry_after_s",
]

MEBIBYTE: Final = 1024 * 1024


def _without_query(url: str) -> str:
    """Return how a URL is shown: what stands behind the `?` may be a token."""
    shown, mark, _ = url.partition("?")
    return repr(f"{shown}?..." if mark else shown)


_FOR_EVER_S: Final = 1e9
_SHOWN: Final = 80
_ABOVE_ZERO: Final = [shapes.number, attrs.validators.gt(0)]
_COUNT: Final = [shapes.whole, attrs.validators.gt(0)]
_OPTIONAL: Final = attrs.validators.optional


# ----------------------------------------------------------------------------------- accounts and limits


@attrs.frozen(kw_only=True)
class Account:
    """Whose account, on which environment of the venue; `Account()` is public data in production.

    Attributes:
        environment: One of `Description.environments`, such as "production" or "demo".
        plan: The subscription plan, where it changes limits.
        feed: The variant of a series (`alpaca.sip` gives "sip"); empty for the default.
        secrets: Name to value, such as {"key": ..., "secret": ...}; never shown.
        variables: Name of a secret to the environment variable it was read from; told when it is refused.
        limits: Limits from the config, lower than the venue's; None leaves the venue's.
    """

    environment: str = "production"
    plan: str = ""
    feed: str = ""
    secrets: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    limits: Limits | None = None
    variables: Mapping[str, str] = attrs.field(factory=dict, eq=False)


@attrs.frozen
class Rate:
    """At most *amount* in *per_s* seconds, of which *burst* at once (all of them by default)."""

    amount: int = attrs.field(validator=_COUNT)
    per_s: float = attrs.field(default=1.0, validator=_ABOVE_ZERO)
    burst: int = attrs.field(validator=_COUNT)

    @burst.default
    def _burst(self) -> int:
        return self.amount


@attrs.frozen(kw_only=True)
class Limits:
    """What a venue allows; None where it says nothing.

    Attributes:
        connections: Streams open at once.
        connections_per_lane: Streams open at once of one variant and `Lane.key`: of one endpoint.
        topics_per_connection: Subscriptions on one stream.
        connects: Rate of opening streams.
        messages: Rate of frames sent, per stream.
        rest: Rate of REST requests; a request counts its `HttpRequest.cost`.
        reply_headers: Names of three reply headers, in lower case: how many requests the window of *rest*
            allows, how many are left in it, and when the next one begins, in Unix seconds or in seconds from
            now. `()` where there are none. What they say lowers the budget, and never raises it.
    """

    connections: int | None = attrs.field(default=None, validator=_OPTIONAL(_COUNT))
    connections_per_lane: int | None = attrs.field(default=None, validator=_OPTIONAL(_COUNT))
    topics_per_connection: int | None = attrs.field(default=None, validator=_OPTIONAL(_COUNT))
    connects: Rate | None = None
    messages: Rate | None = None
    rest: Rate | None = None
    reply_headers: tuple[str, str, str] | tuple[()] = ()


@attrs.frozen(kw_only=True)
class Description:
    """What a venue is, told before anything connects.

    Attributes:
        title: Its name for people.
        documents: Titles (and dates) of the venue's documents that the adapter follows.
        channels: Names of the stream channels used; empty when REST-only.
        timeframes: Every timeframe it knows, stream or REST.
        credentials: Names of the secrets it needs; empty for public data.
        stream_credentials: Names of the secrets without which nothing is streamed, though history is served.
        without_credentials: What still works without any of them, to be read after "without them".
        environments: Names that `Account.environment` may take, the default first.
        limits: What it allows.
        variants: Names that the part after the dot of `venue.variant` may take; empty when it has none.
        feeds: What the stream carries beside candles; None where the adapter does not say, which is planned
            as if it carried both.
    """

    title: str
    documents: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    timeframes: tuple[Timeframe, ...] = ()
    credentials: tuple[str, ...] = ()
    stream_credentials: tuple[str, ...] = ()
    without_credentials: str = ""
    environments: tuple[str, ...] = ("production",)
    limits: Limits = attrs.field(factory=Limits)
    variants: tuple[str, ...] = ()
    feeds: tuple[Feed, ...] | None = None


@attrs.frozen(kw_only=True)
class OhlcvSupport:
    """What can be had for one candle series, and how.

    Attributes:
        stream: The venue streams these candles.
        trades: The venue streams all trades, each with an id, from which they could be built.
        numbered: These ids count the trades of a symbol one by one, so a jump means that some are missing.
        rest: History is served for them, so they can be polled.
        over_stream: That history comes over a stream: `fetch_ohlcv` asks by `StreamRequest`.
        page_rows: Most rows that one call of `fetch_ohlcv` is to ask for; the framework cuts queries to it.
        depth_rows: History reaches back this many buckets; None where unlimited or said by *depth_s*.
        depth_s: History reaches back this many seconds; None where unlimited or said by *depth_rows*.
        marks_closed: Rows carry the venue's own closed flag (`Finality.CLOSED`).
        settle_s: How long after its end a bucket may still change in history.
        grace_s: How long after its end a stream may still bring its last row.
        proof_s: How long after its end history may take to prove that a bucket without a candle is empty.
        grid: Where buckets open.
        signed_prices: Prices may be zero or negative there (spreads, yields).
        why_not: When nothing can be had: the reason and what could be asked instead.
        notes: Short remarks for people that the plan shows.
    """

    stream: bool = False
    trades: bool = False
    numbered: bool = False
    rest: bool = False
    over_stream: bool = False
    page_rows: int = attrs.field(default=500, validator=_COUNT)
    depth_rows: int | None = None
    depth_s: float | None = None
    marks_closed: bool = False
    settle_s: float = attrs.field(default=5.0, validator=[shapes.number, attrs.validators.ge(0)])
    grace_s: float = attrs.field(default=5.0, validator=[shapes.number, attrs.validators.ge(0)])
    proof_s: float = attrs.field(default=0.0, validator=[shapes.number, attrs.validators.ge(0)])
    grid: Grid = attrs.field(factory=Unknown)
    signed_prices: bool = False
    why_not: str = ""
    notes: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------ streams


@attrs.frozen(cache_hash=True)
class Topic:
    """One thing that can be subscribed to: a canonical symbol and what of it."""

    symbol: str
    what: What

    def __str__(self) -> str:
        """Return `BTC/USD@1m`."""
        return f"{self.symbol}@{self.what.value if isinstance(self.what, Feed) else self.what}"


@attrs.frozen
class Ask:
    """A topic that is wanted, and from when on where the venue can replay.

    Attributes:
        topic: What to subscribe to.
        since_ns: Open time from which data is wanted; None for live only.
    """

    topic: Topic
    since_ns: int | None = None


@attrs.frozen
class Lane:
    """Which connection a topic may ride.

    Attributes:
        key: Topics with different keys never share a connection.
        alone: Two topics with the same non-None value never share a connection (Kraken: one ohlc
            interval per symbol and connection gives `alone=("ohlc", symbol)`).
    """

    key: str = ""
    alone: object = None


@event
class Send:
    """A frame to be sent: `str` goes out as text, `bytes` as binary.

    Attributes:
        frame: The message.
        secret: It holds a secret: recorders and logs show only its length.
    """

    frame: str | bytes = attrs.field(validator=shapes.frame)
    secret: bool = False

    def __repr__(self) -> str:
        """Show the beginning of the frame, and of a secret one its length alone."""
        if self.secret:
            return f"Send(<secret, {len(self.frame)} long>)"
        shown = repr(self.frame)
        return f"Send({shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'})"


@final
class Readiness(enum.Enum):
    """When a connection may be subscribed on."""

    ON_OPEN = "on_open"
    """At once; also where the server speaks only after a subscription."""
    ON_EVENT = "on_event"
    """When `parse` returns `Ready`."""


@attrs.frozen
class Keepalive:
    """Something the client has to say regularly.

    Attributes:
        every_s: Seconds between two of them.
        frame: The message; None sends a WebSocket ping.
    """

    every_s: float = attrs.field(validator=_ABOVE_ZERO)
    frame: str | bytes | None = attrs.field(default=None, validator=_OPTIONAL(shapes.frame))


@attrs.frozen(kw_only=True)
class Endpoint:
    """How to open and keep one stream.

    Attributes:
        url: `wss://host/path`; plain `ws://` is allowed to loopback only.
        headers: Of the opening request; values of secret ones are never shown.
        hello: Sent right after the opening.
        ready: When subscribing may begin.
        keepalive: What the client has to say regularly.
        silence_limit_s: Longest time without any frame before the connection counts as dead.
        max_age_s: The venue, or a token, ends the connection after this time.
        max_frame_bytes: Larger frames close the connection.
        topics_per_frame: Most asks in one call of `subscribe`.
        max_send_bytes: Largest frame that the venue takes. Where `subscribe` returns a larger one, it is
            asked again with half of the topics; whatever else is larger is a fault of the adapter.
        changes_in_flight: Calls of `subscribe` that may await answers at once; 1 where replies carry no id.
        acknowledges: False where the first datum is the only confirmation.
        memory: Makes the adapter's state for one connection.
    """

    url: str = attrs.field(repr=_without_query, validator=shapes.text)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False, validator=shapes.text_to_text)
    hello: tuple[Send, ...] = attrs.field(default=(), validator=shapes.each(Send, tuple))
    ready: Readiness = attrs.field(default=Readiness.ON_OPEN, validator=shapes.a(Readiness))
    keepalive: Keepalive | None = attrs.field(default=None, validator=_OPTIONAL(shapes.a(Keepalive)))
    silence_limit_s: float = attrs.field(default=30.0, validator=_ABOVE_ZERO)
    max_age_s: float | None = attrs.field(default=None, validator=_OPTIONAL(_ABOVE_ZERO))
    max_frame_bytes: int = attrs.field(default=16 * MEBIBYTE, validator=_COUNT)
    topics_per_frame: int = attrs.field(default=50, validator=_COUNT)
    max_send_bytes: int = attrs.field(default=MEBIBYTE, validator=_COUNT)
    changes_in_flight: int = attrs.field(default=8, validator=_COUNT)
    acknowledges: bool = True
    memory: Callable[[], object] = dict


# ------------------------------------------------------------------------------------------------- events


@event
class Ready:
    """The venue is ready for subscriptions on this connection."""


@event
class Accepted:
    """The venue confirmed these topics."""

    topics: Sequence[Topic] = attrs.field(validator=shapes.each(Topic))


@event
class Released:
    """The venue confirmed that these topics ended."""

    topics: Sequence[Topic] = attrs.field(validator=shapes.each(Topic))


@event
class Refused:
    """The venue refused these topics; the connection stays.

    Attributes:
        topics: Which ones. Empty when the venue did not say: the framework then tries them in halves.
        kind: SYMBOL, REQUEST, ENTITLEMENT, CREDENTIALS, SLOT_TAKEN (its lane is occupied) or WAIT.
        text: The venue's words.
    """

    topics: Sequence[Topic] = attrs.field(validator=shapes.each(Topic))
    kind: FaultKind = attrs.field(validator=shapes.a(FaultKind))
    text: str = attrs.field(validator=shapes.text)


@event
class SnapshotDone:
    """The snapshot of a topic is complete; *truncated* when the venue cut it."""

    topic: Topic = attrs.field(validator=shapes.a(Topic))
    truncated: bool = False


@event
class Heartbeat:
    """The venue is alive and has nothing to say; *time_ns* is its clock where it says it."""

    time_ns: int | None = attrs.field(default=None, validator=_OPTIONAL(shapes.instant))


@event
class Fault:
    """The venue reports trouble that is not about one topic."""

    kind: FaultKind = attrs.field(validator=shapes.a(FaultKind))
    text: str = attrs.field(validator=shapes.text)


@event
class VenueStatus:
    """The venue tells its state, or the state of one symbol.

    Attributes:
        symbol: Canonical symbol; None for the whole venue.
        state: The venue's word: "online", "maintenance", ...
        text: More words, possibly empty.
    """

    symbol: str | None = attrs.field(validator=_OPTIONAL(shapes.text))
    state: str = attrs.field(validator=shapes.text)
    text: str = attrs.field(default="", validator=shapes.text)


@event
class Removed:
    """History has to say of one bucket: the venue withdrew its candle, or contradicts itself about it.

    Attributes:
        topic: What brought the candle; or the trades of a symbol, where some of them are missing.
        open_ns: When the bucket opens; of trades any instant within it, whatever its length.
    """

    topic: Topic = attrs.field(validator=shapes.a(Topic))
    open_ns: int = attrs.field(validator=shapes.instant)


Event = (
    Candle
    | Trade
    | Quote
    | Removed
    | VenueStatus
    | Ready
    | Accepted
    | Released
    | Refused
    | SnapshotDone
    | Heartbeat
    | Fault
    | Send
)


# ------------------------------------------------------------------------------------------------ history


@attrs.frozen(kw_only=True)
class HttpRequest:
    """One REST request.

    Attributes:
        url: `https://host/path`, already percent-encoded; without query.
        params: The query, in order; values are encoded by the transport.
        method: GET or POST.
        headers: More headers; values of secret ones are never shown.
        body: For POST.
        cost: How much of `Limits.rest` it uses.
        timeout_s: Whole-reply deadline.
    """

    url: str = attrs.field(repr=_without_query, validator=shapes.text)
    params: Mapping[str, str] = attrs.field(factory=dict, repr=False, validator=shapes.text_to_text)
    method: str = attrs.field(default="GET", validator=shapes.method)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False, validator=shapes.text_to_text)
    body: bytes | None = attrs.field(default=None, repr=False, validator=_OPTIONAL(shapes.a(bytes)))
    cost: int = attrs.field(default=1, validator=[shapes.whole, attrs.validators.ge(0)])
    timeout_s: float = attrs.field(default=15.0, validator=_ABOVE_ZERO)


@attrs.frozen(kw_only=True)
class HttpReply:
    """What came back, whatever its status.

    Attributes:
        status: HTTP status code.
        body: The whole body, decompressed.
        headers: By lower-case name.
        date_ns: The server's clock (its Date header), in whole seconds; None where it did not say.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict)
    date_ns: int | None = None


@attrs.frozen(kw_only=True)
class StreamRequest:
    """History over a stream: subscribe, collect until `SnapshotDone`, leave.

    Attributes:
        topic: What to subscribe to.
        since_ns: From when on.
        timeout_s: How long to wait for the first row, and for each further one.
    """

    topic: Topic = attrs.field(validator=shapes.a(Topic))
    since_ns: int = attrs.field(validator=shapes.instant)
    timeout_s: float = attrs.field(default=30.0, validator=_ABOVE_ZERO)


@attrs.frozen(kw_only=True)
class StreamHistory:
    """What a `StreamRequest` brought.

    Attributes:
        candles: In the order received.
        complete: `SnapshotDone` came; False when the deadline ended it or the venue cut it.
    """

    candles: Sequence[Candle]
    complete: bool


@attrs.frozen(kw_only=True)
class OhlcvQuery:
    """What one call of `fetch_ohlcv` is to bring: candles that open in `[since_ns, until_ns)`.

    Never longer than `OhlcvSupport.page_rows` buckets.

    Attributes:
        symbol: Canonical symbol.
        timeframe: Length of a candle.
        since_ns: Open time of the first candle wanted.
        until_ns: Open times before this are wanted. It may lie ahead, by a bucket at most: then the running
            bucket is wanted too.
        now_ns: The present, since hooks read no clock. Prefer `HttpReply.date_ns` where it is there.
    """

    symbol: str
    timeframe: Timeframe
    since_ns: int
    until_ns: int
    now_ns: int


@attrs.frozen(kw_only=True)
class TradeQuery:
    """What one call of `fetch_trades` is to bring: trades in `[since_ns, until_ns)`."""

    symbol: str
    since_ns: int
    until_ns: int
    now_ns: int


@final
class Stopped(enum.Enum):
    """Why a page ends where it ends."""

    UNTIL = "until"
    """All that was asked for is in it."""
    VENUE_START = "venue_start"
    """There is nothing older: the instrument's history begins here."""
    VENUE_LIMIT = "venue_limit"
    """The venue's history does not reach back to `since`, or one reply does not reach up to `until`."""


@attrs.frozen
class BadRow:
    """A row of history that could not be read, and the bucket that it is about.

    Attributes:
        open_ns: Where the bucket opens.
        close_ns: Where it ends.
        why: What is wrong with the row, for people.
    """

    open_ns: int = attrs.field(validator=shapes.instant)
    close_ns: int = attrs.field(validator=shapes.instant)
    why: str = attrs.field(validator=shapes.text)


@attrs.frozen
class Split:
    """A split of shares, or a merger of them: what history holds of before is told on a new scale.

    Attributes:
        at_ns: When it took effect.
        shares: How many shares there are now, such as 4.
        before: For how many of before, such as 1.
    """

    at_ns: int = attrs.field(validator=shapes.instant)
    shares: Decimal = attrs.field(validator=shapes.a(Decimal))
    before: Decimal = attrs.field(validator=shapes.a(Decimal))

    def __str__(self) -> str:
        """Return `4:1 at 2020-08-31T13:30:00Z`."""
        return f"{self.shares.normalize():f}:{self.before.normalize():f} at {iso(self.at_ns)}"


@attrs.frozen(kw_only=True)
class Page:
    """One page of history.

    Attributes:
        candles: In any order; forming rows are included and marked `Finality.FORMING`.
        covered: `(since_ns, until_ns)`: a bucket that opens inside and is over by the time of the reply, but
            among neither *candles* nor *bad_rows*, is proven empty. Say less rather than more.
        stopped: Why it ends where it ends. With VENUE_LIMIT, what was asked for before `covered[0]` can never
            be had and is not asked for again; with VENUE_START, there is nothing before it. What lies after
            `covered[1]` is simply asked for again. A page that proves nothing covers `(since_ns, since_ns)`.
        bad_rows: Rows that were left out, so that one does not cost all the others. Their buckets are holes.
        sessions: Trading sessions `(open_ns, end_ns)` that the reply told of, oldest first.
        splits: Splits that the reply told of: what is stored of before is read again, once.
        as_of_ns: The venue's time for which the rows hold, where the reply says it better than its Date
            header does.
    """

    candles: Sequence[Candle] = attrs.field(validator=shapes.each(Candle))
    covered: tuple[int, int] = attrs.field(validator=shapes.pair)
    stopped: Stopped = attrs.field(default=Stopped.UNTIL, validator=shapes.a(Stopped))
    bad_rows: Sequence[BadRow] = attrs.field(default=(), validator=shapes.each(BadRow))
    sessions: Sequence[tuple[int, int]] = attrs.field(default=(), validator=shapes.pairs)
    splits: Sequence[Split] = attrs.field(default=(), validator=shapes.each(Split))
    as_of_ns: int | None = attrs.field(default=None, validator=_OPTIONAL(shapes.instant))


@attrs.frozen(kw_only=True)
class TradePage:
    """One page of trades, oldest first, and the range that it proves."""

    trades: Sequence[Trade]
    covered: tuple[int, int]
    stopped: Stopped = Stopped.UNTIL


Conversation = Generator[HttpRequest | StreamRequest, HttpReply | StreamHistory, Page]
"""What `fetch_ohlcv` is: requests out, replies in, a page at the end."""


def retry_after_s(headers: Mapping[str, str], now_ns: int) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or a date), or None.

    Never negative and always finite; how long to wait at most is up to the caller.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _FOR_EVER_S)
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" says UTC without a zone (RFC 5322, 3.3) and comes back naive
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now_ns / SECOND_NS)
    except (TypeError, ValueError, OverflowError):
        return None

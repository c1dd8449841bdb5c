"""How an adapter asks for history: it yields requests, receives replies, and makes a page of them.

Nothing here does I/O: the framework sends what is yielded.
"""

from __future__ import annotations

import enum
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from typing import Final, final

import attrs
from attrs.validators import optional

from wickwire import shapes
from wickwire.endpoint import Topic
from wickwire.model import SECOND_NS, Candle, Timeframe, Trade, iso

__all__ = [
    "BadRow",
    "Conversation",
    "HttpReply",
    "HttpRequest",
    "OhlcvQuery",
    "Page",
    "Split",
    "Stopped",
    "StreamHistory",
    "StreamRequest",
    "TradePage",
    "TradeQuery",
    "retry_after_s",
]

_FOR_EVER_S: Final = 1e9


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

    url: str = attrs.field(repr=shapes.without_query, validator=shapes.text)
    params: Mapping[str, str] = attrs.field(factory=dict, repr=False, validator=shapes.text_to_text)
    method: str = attrs.field(default="GET", validator=shapes.method)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False, validator=shapes.text_to_text)
    body: bytes | None = attrs.field(default=None, repr=False, validator=optional(shapes.a(bytes)))
    cost: int = attrs.field(default=1, validator=[shapes.whole, attrs.validators.ge(0)])
    timeout_s: float = attrs.field(default=15.0, validator=shapes.ABOVE_ZERO)


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
        timeout_s: How long to wait for the first row, and for each further one; a `Heartbeat` about the topic
            counts as one.
    """

    topic: Topic = attrs.field(validator=shapes.a(Topic))
    since_ns: int = attrs.field(validator=shapes.instant)
    timeout_s: float = attrs.field(default=30.0, validator=shapes.ABOVE_ZERO)


@attrs.frozen(kw_only=True)
class StreamHistory:
    """What a `StreamRequest` brought.

    Attributes:
        candles: In the order received.
        complete: `SnapshotDone` came; False when the deadline ended it or the venue cut it.
        as_of_ns: The time that the feed's clock had reached for certain when it was asked: what it tells
            itself, else the latest time in its data, and how long ago that came. None where it showed none.
    """

    candles: Sequence[Candle]
    complete: bool
    as_of_ns: int | None = None


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
        candles: In any order; forming rows are included, marked `Finality.FORMING` where the venue says so.
        covered: `(since_ns, until_ns)`: a bucket that opens inside and is over by the time of the reply, but
            among neither *candles* nor *bad_rows*, is proven empty. Say less rather than more.
        stopped: Why it ends where it ends. With VENUE_LIMIT, what was asked for before `covered[0]` can never
            be had and is not asked for again; with VENUE_START, there is nothing before it. What lies after
            `covered[1]` is simply asked for again. A page that proves nothing covers `(since_ns, since_ns)`.
        bad_rows: Rows that were left out, so that one does not cost all the others. Their buckets are holes.
        sessions: Trading sessions `(open_ns, end_ns)` that the reply told of, oldest first.
        splits: Splits that the reply told of: what is stored of before is read again, once.
        as_of_ns: The venue's time for which the rows hold, where the reply says it better than its Date
            header does, or than `StreamHistory.as_of_ns`.
    """

    candles: Sequence[Candle] = attrs.field(validator=shapes.each(Candle))
    covered: tuple[int, int] = attrs.field(validator=shapes.pair)
    stopped: Stopped = attrs.field(default=Stopped.UNTIL, validator=shapes.a(Stopped))
    bad_rows: Sequence[BadRow] = attrs.field(default=(), validator=shapes.each(BadRow))
    sessions: Sequence[tuple[int, int]] = attrs.field(default=(), validator=shapes.pairs)
    splits: Sequence[Split] = attrs.field(default=(), validator=shapes.each(Split))
    as_of_ns: int | None = attrs.field(default=None, validator=optional(shapes.instant))


@attrs.frozen(kw_only=True)
class TradePage:
    """One page of trades, oldest first, and the range that it proves.

    Attributes:
        trades: What happened.
        covered: `[since, until)`, of which the venue told everything. Say less rather than more.
        stopped: Why it ends there.
        bad_rows: Rows that were left out, so that one does not cost all the others. Within the span of each
            a trade is lacking: an instant, or from one readable trade to the next.
    """

    trades: Sequence[Trade]
    covered: tuple[int, int]
    stopped: Stopped = Stopped.UNTIL
    bad_rows: Sequence[BadRow] = attrs.field(default=(), validator=shapes.each(BadRow))


Conversation = Generator[HttpRequest | StreamRequest, HttpReply | StreamHistory, Page]
"""What `fetch_ohlcv` is: requests out, replies in, a page at the end."""


def retry_after_s(headers: Mapping[str, str], now_ns: int) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or a date), or None.

    Never negative and always finite; how long to wait at most is up to the caller.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _FOR_EVER_S)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - costs an eighth of all imports, and is rare

    try:
        moment = parsedate_to_datetime(text)
        # "-0000" says UTC without a zone (RFC 5322, 3.3) and comes back naive
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now_ns / SECOND_NS)
    except (TypeError, ValueError, OverflowError):
        return None

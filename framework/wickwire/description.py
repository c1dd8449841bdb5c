"""What an adapter tells before anything connects: its venue, the limits, what can be had for an account."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final, final

import attrs
from attrs.validators import deep_iterable, instance_of, optional

from wickwire import shapes
from wickwire.model import HOUR_NS, SECOND_NS, Feed, Grid, Timeframe, Unknown

__all__ = [
    "Account",
    "Counting",
    "Description",
    "Hours",
    "Limits",
    "OhlcvSupport",
    "Rate",
]

_HOUR_S: Final = HOUR_NS / SECOND_NS


def _is_rate(_owner: object, _attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Rate):
        raise TypeError(f"Rate.also has to be a tuple of Rate, got a {type(value).__name__} in it")


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


@final
class Counting(enum.Enum):
    """How a venue counts what comes to it."""

    WINDOW = "window"
    """No *per_s* seconds may hold more than *amount*, wherever they begin. It fits a venue that counts by the
    clock's seconds or minutes too, and one of which nobody knows how it counts."""
    BUCKET = "bucket"
    """A bucket holds *burst* and refills by *amount* in *per_s* seconds. What it holds may go beside what
    comes in, so one window may see more than *amount*."""


def _whole_amount(rate: Rate) -> int:
    return rate.amount


def _usual_counting(rate: Rate) -> Counting:
    return Counting.BUCKET if rate.burst > rate.amount else Counting.WINDOW


@attrs.frozen
class Rate:
    """At most *amount* in *per_s* seconds, of which *burst* at once (all of them by default).

    Attributes:
        amount: How many.
        per_s: In how many seconds.
        burst: How many at once; the others come evenly.
        counting: What the venue counts: a window, unless *burst* is more than one could hold.
        also: Other rates that hold at the same time, such as one an hour beside one a second.
    """

    amount: int = attrs.field(validator=shapes.COUNT)
    per_s: float = attrs.field(default=1.0, validator=shapes.ABOVE_ZERO)
    # pyright knows a default that is named here, and none that is added by a decorator
    burst: int = attrs.field(default=attrs.Factory(_whole_amount, takes_self=True), validator=shapes.COUNT)
    counting: Counting = attrs.field(
        default=attrs.Factory(_usual_counting, takes_self=True), validator=instance_of(Counting)
    )
    also: tuple[Rate, ...] = attrs.field(default=(), validator=deep_iterable(_is_rate, instance_of(tuple)))

    def __attrs_post_init__(self) -> None:
        """Refuse a burst that no window could hold."""
        if self.counting is Counting.WINDOW and self.burst > self.amount:
            raise ValueError(
                f"Rate.burst: {self.burst} at once are more than the {self.amount} that any {self.per_s:g} s "
                f'may hold; where the venue fills a bucket, say so by counting="bucket"'
            )

    @property
    def parts(self) -> tuple[Rate, ...]:
        """Each of the rates that hold at the same time, by itself."""
        own = attrs.evolve(self, also=()) if self.also else self
        return (own, *(part for other in self.also for part in other.parts))

    @property
    def per_hour(self) -> float:
        """How many may go in an hour, hour after hour."""
        return min(part.amount / part.per_s for part in self.parts) * _HOUR_S


@attrs.frozen(kw_only=True)
class Limits:
    """What a venue allows; None where it says nothing.

    Attributes:
        connections: Streams open at once.
        connections_per_lane: Streams open at once of one variant and `Lane.key`: of one endpoint.
        topics_per_connection: Subscriptions on one stream.
        topics_per_frame: Subscriptions asked for at once; an `Endpoint` may say less.
        bytes_per_frame: Size of what asks for them, encoded; an `Endpoint` may say less.
        connects: Rate of opening streams.
        messages: Rate of frames sent, per stream.
        messages_overall: Rate of frames sent on all streams together, where the venue counts those of an
            account or an address.
        rest: Rate of REST requests; a request counts its `HttpRequest.cost`.
        reply_headers: Names of three reply headers, in lower case: how many requests the window of *rest*
            allows, how many are left in it, and when the next one begins, in Unix seconds or in seconds from
            now. `()` where there are none. What they say lowers the budget, and never raises it.
    """

    connections: int | None = attrs.field(default=None, validator=optional(shapes.COUNT))
    connections_per_lane: int | None = attrs.field(default=None, validator=optional(shapes.COUNT))
    topics_per_connection: int | None = attrs.field(default=None, validator=optional(shapes.COUNT))
    topics_per_frame: int | None = attrs.field(default=None, validator=optional(shapes.COUNT))
    bytes_per_frame: int | None = attrs.field(default=None, validator=optional(shapes.COUNT))
    connects: Rate | None = None
    messages: Rate | None = None
    messages_overall: Rate | None = None
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


FOREIGN_EXCHANGE: Final = "FX"
"""The calendar of currencies for `Hours`: Sunday to Friday, in New York. It is built in."""


@attrs.frozen
class Hours:
    """When a symbol is traded, told by an exchange's calendar.

    Attributes:
        calendar: Name of the exchange calendar (ISO 10383 MIC), or "FX" for currencies.
        before_s: How long before a session there is early trading.
        after_s: How long after it there is late trading; on half days it begins earlier and lasts as long.
    """

    calendar: str = attrs.field(validator=shapes.text)
    before_s: float = attrs.field(default=0.0, validator=[shapes.number, attrs.validators.ge(0)])
    after_s: float = attrs.field(default=0.0, validator=[shapes.number, attrs.validators.ge(0)])


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
        hours: When it is traded, where *grid* does not name the calendar; history is not polled at
            other times. Rather too long than too short; None where that is not known, or always.
        signed_prices: Prices may be zero or negative there (spreads, yields).
        why_not: When nothing can be had: the reason and what could be asked instead.
        notes: Short remarks for people that the plan shows.
    """

    stream: bool = False
    trades: bool = False
    numbered: bool = False
    rest: bool = False
    over_stream: bool = False
    page_rows: int = attrs.field(default=500, validator=shapes.COUNT)
    depth_rows: int | None = None
    depth_s: float | None = None
    marks_closed: bool = False
    settle_s: float = attrs.field(default=5.0, validator=[shapes.number, attrs.validators.ge(0)])
    grace_s: float = attrs.field(default=5.0, validator=[shapes.number, attrs.validators.ge(0)])
    proof_s: float = attrs.field(default=0.0, validator=[shapes.number, attrs.validators.ge(0)])
    grid: Grid = attrs.field(factory=Unknown)
    hours: Hours | None = attrs.field(default=None, validator=optional(shapes.a(Hours)))
    signed_prices: bool = False
    why_not: str = ""
    notes: tuple[str, ...] = ()

"""What an adapter tells before anything connects: its venue, the limits, what can be had for an account."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from attrs.validators import optional

from wickwire import shapes
from wickwire.model import Feed, Grid, Timeframe, Unknown

__all__ = [
    "Account",
    "Description",
    "Limits",
    "OhlcvSupport",
    "Rate",
]


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

    amount: int = attrs.field(validator=shapes.COUNT)
    per_s: float = attrs.field(default=1.0, validator=shapes.ABOVE_ZERO)
    burst: int = attrs.field(validator=shapes.COUNT)

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
        topics_per_frame: Subscriptions asked for at once; an `Endpoint` may say less.
        bytes_per_frame: Size of what asks for them, encoded; an `Endpoint` may say less.
        connects: Rate of opening streams.
        messages: Rate of frames sent, per stream.
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
    page_rows: int = attrs.field(default=500, validator=shapes.COUNT)
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

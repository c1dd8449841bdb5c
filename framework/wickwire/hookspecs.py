"""The hooks: what an adapter implements, and what a plugin that is not an adapter implements.

Every adapter hook is a plain pure function: no I/O, no clock, no environment, no logging, no module state;
the same arguments give the same result. An implementation may leave out arguments it does not need, and
takes the others by their names. `wickwire.adapter.bind` checks all this when the adapter is loaded.

Required are `describe`, `supports_ohlcv`, and the stream trio (`connect`, `subscribe`, `parse`), or
`fetch_ohlcv`, or both: an adapter without the trio is polled, one without `fetch_ohlcv` can only stream.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from wickwire.cache import Cache
    from wickwire.conversation import Conversation, HttpReply, HttpRequest, OhlcvQuery, TradePage, TradeQuery
    from wickwire.description import Account, Description, OhlcvSupport
    from wickwire.endpoint import Ask, Endpoint, Lane, Send, Topic
    from wickwire.events import Event
    from wickwire.model import Timeframe
    from wickwire.shared import SharedBudget
    from wickwire.simulate.server import Market, VenueServer
    from wickwire.sink import Sink
    from wickwire.store import Store

__all__ = [
    "ADAPTER_HOOKS",
    "API_LEVEL",
    "OLDEST_API_LEVEL",
    "PLUGIN_HOOKS",
    "PROJECT",
    "REQUIRED_HOOKS",
    "STREAM_HOOKS",
    "hookimpl",
    "hookspec",
]

PROJECT = "wickwire"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as the implementation of the hook of its name: `@hookimpl`."""

API_LEVEL = 1
"""The API level of these hooks. A plugin writes the one that it was written for as `API_LEVEL = 1` beside its
hooks; without it, it counts as of the first. It grows by one where a plugin may rely on something new."""
OLDEST_API_LEVEL = 1
"""The oldest API level that is still served."""


# ---------------------------------------------------------------------------------- adapters: what there is


@hookspec(firstresult=True)
def describe(account: Account) -> Description:
    """Say what the venue is: title, documents, timeframes, credentials, environments, limits. Required.

    Called when the adapter is loaded, with `Account()`, and for each account before it is used.

    Args:
        account: Whose limits are asked for.

    Raises:
        VenueError: CREDENTIALS when the account lacks a secret without which nothing at all works.

    Pure. Never None.
    """


@hookspec(firstresult=True)
def supports_ohlcv(symbol: str, timeframe: Timeframe, account: Account) -> OhlcvSupport:
    """Say what can be had for one candle series, and how. Required.

    Called by the planner before anything connects, and again whenever a series is added.

    Args:
        symbol: Canonical symbol, after `from_venue(to_venue(symbol))` where the adapter has both.
        timeframe: Any timeframe, also one that the venue does not know.
        account: Whose plan and environment count.

    Returns:
        What is possible. For an unknown timeframe or a symbol of the wrong form: `OhlcvSupport(why_not=...)`
        that names what would be possible, or `OhlcvSupport(trades=True, grid=...)` where such candles may be
        built from streamed trades. A well-formed symbol that may not exist is answered as if it did;
        the venue will refuse it. Promising `stream` without the three stream hooks, or `rest` without
        `fetch_ohlcv`, is a `PluginError`.

    Pure. Never None, never raises.
    """


@hookspec(firstresult=True)
def to_venue(symbol: str) -> str:
    """Return the venue's spelling of the canonical *symbol*. Optional; without it both are the same.

    Inverse of `from_venue` on canonical symbols: `from_venue(to_venue(s)) == s`.

    Pure. Never None.
    """


@hookspec(firstresult=True)
def from_venue(text: str) -> str:
    """Return the canonical symbol for *text*, any spelling of the venue. Optional, together with `to_venue`.

    Also called with what people type, so it accepts canonical symbols and returns them as they are.

    Pure. Never None.
    """


@hookspec(firstresult=True)
def lane(topic: Topic) -> Lane:
    """Say which topics may share a connection. Optional; without it all may.

    Those with one `key` may, unless they have the same `alone`, which has to be hashable.

    Args:
        topic: Canonical symbol and timeframe or feed.

    Pure. Never None.
    """


# ------------------------------------------------------------------------------------- adapters: streaming


@hookspec(firstresult=True)
def connect(account: Account, topics: Sequence[Topic], now_ns: int) -> Endpoint:
    """Say how to open one stream.

    Called before every connection, also every reconnection, so that URL and token are new each time.

    Args:
        account: Whose connection it is.
        topics: What is meant to ride on it first; more may follow.
        now_ns: The present, for tokens that expire.

    Returns:
        The endpoint, or a generator that first converses over HTTP (it yields `HttpRequest`s, receives
        `HttpReply`s) and returns the endpoint.

    Raises:
        VenueError: It cannot be opened now, and why; from inside the generator too.

    Pure. Never None.
    """


@hookspec(firstresult=True)
def subscribe(asks: Sequence[Ask], removed: Sequence[Topic], memory: Any) -> Sequence[Send]:
    """Return the frames that bring about one batch of changes.

    Called when the connection is ready and whenever what is wanted changes. *asks* never holds more than
    `Endpoint.topics_per_frame` topics. Where a frame is larger than `Endpoint.max_send_bytes` none of them is
    sent, and it is called again with half of the topics.

    Args:
        asks: Topics to subscribe to.
        removed: Topics to unsubscribe from.
        memory: What `Endpoint.memory()` made for this connection. Yours to change: keep there which
            request asked for what, so that `parse` can route the answers.

    Returns:
        Frames in the order to send. `()` where there is nothing to say.

    Pure but for *memory*. Never None.
    """


@hookspec(firstresult=True)
def parse(frame: bytes, memory: Any) -> Sequence[Event]:
    """Say what one frame means.

    Called once per frame, in arrival order, never concurrently for one connection. This is the hot path: no
    plugin machinery stands in between.

    Args:
        frame: One whole message as received; text comes as UTF-8 bytes that nobody has checked yet.
        memory: What `Endpoint.memory()` made for this connection. Yours to change.

    Returns:
        Events in wire order: data under canonical symbols, `Accepted`, `Refused` and so on for answers, and a
        `Send` wherever the venue expects an answer. `()` when the frame means nothing to us.

    Raises:
        WireError: The frame is not what the venue documents. It is counted; the connection survives.

    Pure but for *memory*. Never None.
    """


# -------------------------------------------------------------------------------------- adapters: history


@hookspec(firstresult=True)
def fetch_ohlcv(query: OhlcvQuery, account: Account) -> Conversation:
    """Bring one page of candles: a generator that yields requests and returns a page.

    Called for polling, healing and backfill alike. The framework sends the requests, obeys the budget,
    retries what may be retried, and throws `TransportError` into the generator where no reply came at all.

    Args:
        query: Symbol, timeframe and range; never more than `OhlcvSupport.page_rows` buckets.
        account: Whose keys and environment to use.

    Yields:
        `HttpRequest`, answered by an `HttpReply`, whatever its status. At most 100 of them. `StreamRequest`,
        where history comes over a stream: its topic is subscribed to, with its `since_ns`, on a connection
        apart from the live ones, until `parse` returns `SnapshotDone`; answered by a `StreamHistory`. Who
        answered last served the rows: by its time they settle, and by nobody else's.

    Returns:
        The page: rows with their finality, and the range that it proves.

    Raises:
        VenueError: The venue said no; the kind decides what happens next.
        WireError: The reply is not what the venue documents.

    Optional where there is a stream, and then what the stream misses stays missing; else required.

    Pure. Never None.
    """


@hookspec(firstresult=True)
def fetch_trades(query: TradeQuery, account: Account) -> Generator[HttpRequest, HttpReply, TradePage]:
    """Bring one page of trades, as `fetch_ohlcv` does. Optional; `Collector.walk_trades` reads them.

    Args:
        query: Symbol and range.
        account: Whose keys and environment to use.

    Yields:
        `HttpRequest`, answered by an `HttpReply`, whatever its status. At most 100 of them.

    Returns:
        The trades, oldest first, and the range that they prove.

    Raises:
        VenueError: The venue said no.
        WireError: The reply is not what the venue documents.

    Pure. Never None.
    """


@hookspec(firstresult=True)
def list_instruments(query: str, account: Account) -> Generator[HttpRequest, HttpReply, Sequence[str]]:
    """Bring the canonical symbols of a venue. Optional; for programs that load the adapter.

    Args:
        query: A part of the name; empty for all.
        account: Whose keys and environment to use.

    Yields:
        `HttpRequest`, answered by an `HttpReply`, whatever its status. At most 100 of them.

    Returns:
        Canonical symbols.

    Raises:
        VenueError: The venue said no.
        WireError: The reply is not what the venue documents.

    Pure. Never None.
    """


# ------------------------------------------------------------------------------------ adapters: simulation


@hookspec(firstresult=True)
def simulate(market: Market) -> VenueServer:
    """Make this venue's simulated server over *market*. Optional.

    It is a `VenueServer` of `wickwire.simulate.server`, and pure, as all adapters are: it is told what came
    in and what time it is, and answers with what goes out.

    Pure. Never None.
    """


# ---------------------------------------------------------------- plugins that are not adapters: one manager


@hookspec(firstresult=True)
def open_store(url: str) -> Store | None:
    """Make the store that *url* names, or return None when its scheme is not yours.

    Called when a collector starts. Opening files and connections happens in `Store.open`, not here.

    Raises:
        ConfigError: The scheme is yours and the rest of *url* is wrong.
    """


@hookspec(firstresult=True)
def open_sink(url: str) -> Sink | None:
    """Make the sink that *url* names, or return None when its scheme is not yours.

    Called when a collector starts. Opening files and connections happens in `Sink.open`, not here. One that
    has `put_quotes` too, as `QuoteSink` says, is given the latest quotes beside the candles.

    Raises:
        ConfigError: The scheme is yours and the rest of *url* is wrong.
    """


@hookspec(firstresult=True)
def open_cache(url: str) -> Cache | None:
    """Make the hot layer that *url* names, or return None when its scheme is not yours.

    Called when a collector starts, and by whoever reads in another process. Connecting happens when what it
    returns is used, not here.

    Raises:
        ConfigError: The scheme is yours and the rest of *url* is wrong.
    """


@hookspec(firstresult=True)
def open_budget(url: str) -> SharedBudget | None:
    """Make the shared budget that *url* names, or return None when its scheme is not yours.

    Called when a collector starts. Opening connections happens in `SharedBudget.open`, not here. What it has
    to do stands in `wickwire.SharedBudget`, and in the values that go in and out.

    Raises:
        ConfigError: The scheme is yours and the rest of *url* is wrong.
    """


@hookspec
def add_commands(cli: click.Group) -> None:
    """Add commands to *cli*, a `click.Group`.

    Called when somebody writes a command that the command line does not know.
    """


STREAM_HOOKS = ("connect", "subscribe", "parse")
REQUIRED_HOOKS = ("describe", "supports_ohlcv")
ADAPTER_HOOKS = (
    *REQUIRED_HOOKS,
    *STREAM_HOOKS,
    "fetch_ohlcv",
    "fetch_trades",
    "from_venue",
    "lane",
    "list_instruments",
    "simulate",
    "to_venue",
)
PLUGIN_HOOKS = ("add_commands", "open_budget", "open_cache", "open_sink", "open_store")

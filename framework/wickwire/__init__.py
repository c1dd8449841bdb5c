"""wickwire: market data where every exchange is a plugin and no closed candle is missing or doubled.

This is the face: what is neither here nor in `wickwire.simulate` may change without notice. Who embeds the
framework begins at `Collector`, which takes and gives the rest; who writes an adapter, at `hookimpl` and
docs/hooks.md. A store of one's own needs `Store`, `Change`, `Closing`, `Loaded`, `SeriesState`, `Verdict`,
`TAIL`, `REAL`, `judge`, `settled`, `confirmed`, `other_world` and `shown_store`, and nobody else
does: docs/stores.md. `Session` is a kind of grid, as `Utc`, `Zone` and `Unknown` are.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wickwire.conversation import (
    BadRow,
    Conversation,
    HttpReply,
    HttpRequest,
    OhlcvQuery,
    Page,
    Split,
    Stopped,
    StreamHistory,
    StreamRequest,
    TradePage,
    TradeQuery,
    retry_after_s,
)
from wickwire.description import Account, Description, Limits, OhlcvSupport, Rate
from wickwire.endpoint import Ask, Endpoint, Keepalive, Lane, Readiness, Send, Topic
from wickwire.errors import (
    ConfigError,
    FaultKind,
    GivenUp,
    PlanError,
    PluginError,
    StoreError,
    StreamClosed,
    TransportError,
    UsageError,
    VenueError,
    WickwireError,
    WireError,
)
from wickwire.events import (
    Accepted,
    Event,
    Fault,
    Heartbeat,
    Ready,
    Refused,
    Released,
    Removed,
    SnapshotDone,
    VenueStatus,
)
from wickwire.hookspecs import hookimpl
from wickwire.laws import broken_law
from wickwire.model import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Candle,
    CandleState,
    Evidence,
    Feed,
    Finality,
    Grid,
    Hole,
    HoleKind,
    Quote,
    Rung,
    Series,
    SeriesCandle,
    Session,
    Side,
    Timeframe,
    Trade,
    TradeAction,
    Unit,
    Unknown,
    Utc,
    Zone,
    iso,
    parse_instant,
    when,
)
from wickwire.store import (
    REAL,
    TAIL,
    Change,
    Closing,
    Loaded,
    MemoryStore,
    SeriesState,
    Store,
    Verdict,
    confirmed,
    judge,
    other_world,
    settled,
    shown_store,
)

if TYPE_CHECKING:
    from wickwire.adapter import Adapter
    from wickwire.audience import Listener
    from wickwire.clock import Clock, SystemClock
    from wickwire.closer import Condition, Switch
    from wickwire.collector import Collector
    from wickwire.fanout import CandleReader, FeedReader
    from wickwire.health import ConnectionHealth, Health, SeriesHealth, SubscriptionHealth, VenueHealth
    from wickwire.ladder import Cost
    from wickwire.planner import Plan
    from wickwire.registry import Registry, load_adapter
    from wickwire.retry import Backoff
    from wickwire.rotation import Rotation
    from wickwire.transport import Stream, Transport
    from wickwire.watchdog import Hold, HungHook, Watchdog

__all__ = [
    "DAY_NS",
    "HOUR_NS",
    "MINUTE_NS",
    "REAL",
    "SECOND_NS",
    "TAIL",
    "Accepted",
    "Account",
    "Adapter",
    "Ask",
    "Backoff",
    "BadRow",
    "Candle",
    "CandleReader",
    "CandleState",
    "Change",
    "Clock",
    "Closing",
    "Collector",
    "Condition",
    "ConfigError",
    "ConnectionHealth",
    "Conversation",
    "Cost",
    "Description",
    "Endpoint",
    "Event",
    "Evidence",
    "Fault",
    "FaultKind",
    "Feed",
    "FeedReader",
    "Finality",
    "GivenUp",
    "Grid",
    "Health",
    "Heartbeat",
    "Hold",
    "Hole",
    "HoleKind",
    "HttpReply",
    "HttpRequest",
    "HungHook",
    "Keepalive",
    "Lane",
    "Limits",
    "Listener",
    "Loaded",
    "MemoryStore",
    "OhlcvQuery",
    "OhlcvSupport",
    "Page",
    "Plan",
    "PlanError",
    "PluginError",
    "Quote",
    "Rate",
    "Readiness",
    "Ready",
    "Refused",
    "Registry",
    "Released",
    "Removed",
    "Rotation",
    "Rung",
    "Send",
    "Series",
    "SeriesCandle",
    "SeriesHealth",
    "SeriesState",
    "Session",
    "Side",
    "SnapshotDone",
    "Split",
    "Stopped",
    "Store",
    "StoreError",
    "Stream",
    "StreamClosed",
    "StreamHistory",
    "StreamRequest",
    "SubscriptionHealth",
    "Switch",
    "SystemClock",
    "Timeframe",
    "Topic",
    "Trade",
    "TradeAction",
    "TradePage",
    "TradeQuery",
    "Transport",
    "TransportError",
    "Unit",
    "Unknown",
    "UsageError",
    "Utc",
    "VenueError",
    "VenueHealth",
    "VenueStatus",
    "Verdict",
    "Watchdog",
    "WickwireError",
    "WireError",
    "Zone",
    "broken_law",
    "confirmed",
    "hookimpl",
    "iso",
    "judge",
    "load_adapter",
    "other_world",
    "parse_instant",
    "retry_after_s",
    "settled",
    "shown_store",
    "when",
]

_LATE = {
    "SubscriptionHealth": "wickwire.health",
    "ConnectionHealth": "wickwire.health",
    "Adapter": "wickwire.adapter",
    "Listener": "wickwire.audience",
    "Clock": "wickwire.clock",
    "SystemClock": "wickwire.clock",
    "Condition": "wickwire.closer",
    "Switch": "wickwire.closer",
    "Collector": "wickwire.collector",
    "CandleReader": "wickwire.fanout",
    "FeedReader": "wickwire.fanout",
    "Health": "wickwire.health",
    "SeriesHealth": "wickwire.health",
    "VenueHealth": "wickwire.health",
    "Cost": "wickwire.ladder",
    "Plan": "wickwire.planner",
    "Rotation": "wickwire.rotation",
    "Registry": "wickwire.registry",
    "load_adapter": "wickwire.registry",
    "Backoff": "wickwire.retry",
    "Stream": "wickwire.transport",
    "Transport": "wickwire.transport",
    "Hold": "wickwire.watchdog",
    "HungHook": "wickwire.watchdog",
    "Watchdog": "wickwire.watchdog",
}
"""What needs the runtime, and where it is."""

if not TYPE_CHECKING:  # type checkers read the imports above, and find a name that is not there

    def __getattr__(name: str) -> Any:
        """Load what needs the runtime only when it is asked for: adapters alone stay light."""
        if name in _LATE:
            return getattr(import_module(_LATE[name]), name)
        raise AttributeError(f"module 'wickwire' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Show the face, loaded or not."""
    return [*globals(), *_LATE]

"""Which names are the public face, and who needs them."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import attrs

from wickwire import hookspecs

__all__ = ["GROUPS", "INSIDE", "Group", "Name", "names"]

INSIDE: Final = {
    name: {"__init__", "put", "deliver", "leave", "behind_s", "errors"}
    for name in ("CandleReader", "FeedReader", "EventReader", "HistoryReader")
} | {
    "Collector": {"later_candles", "later_trades", "later_quotes"},
    "SeriesTrade": {"of"},
    "SeriesQuote": {"of"},
    "BlockingHistoryReader": {"__init__"},
}
"""What only a collector calls of what it hands out."""


@attrs.frozen
class Group:
    """Names that the same people need.

    Attributes:
        whom: These people.
        title: Who, or what for.
        about: One or two sentences, as Markdown.
        module: Where they are imported from.
        names: The names, in order; all of the module's where there are none.
    """

    whom: str
    title: str
    about: str
    module: str
    names: Sequence[str] = ()


@attrs.frozen
class Name:
    """One name of the face.

    Attributes:
        module: From where it is imported.
        name: The name.
    """

    module: str
    name: str

    def __str__(self) -> str:
        """Return module and name; hooks are not imported by anybody, and have no module."""
        return f"hooks.{self.name}" if self.module == hookspecs.__name__ else f"{self.module}.{self.name}"

    @property
    def value(self) -> Any:
        """What it stands for."""
        return getattr(import_module(self.module), self.name)

    @property
    def source(self) -> str:
        """How a constant or a type is written where it is made."""
        return self._written[0]

    @property
    def sentence(self) -> str:
        """The first sentence that is said of it."""
        value = self.value
        text = (
            inspect.getdoc(value) if inspect.isroutine(value) or isinstance(value, type) else self._written[1]
        )
        first = (text or "").partition("\n\n")[0].replace("\n", " ")
        end = first.find(". ")
        return first if end < 0 else first[: end + 1]

    @property
    def _written(self) -> tuple[str, str]:
        module, name = _home(self.module, self.name)
        return _assignments(module).get(name, ("", ""))


def _home(module: str, name: str) -> tuple[str, str]:
    """Return where a name is made that *module* may only pass on."""
    tree = _tree(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("wickwire"):
            for one in node.names:
                if (one.asname or one.name) == name:
                    return _home(node.module, one.name)
    return module, name


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(import_module(module)))


@functools.cache
def _assignments(module: str) -> Mapping[str, tuple[str, str]]:
    """Return of each name that is assigned in a module what it is, and the text below it."""
    found = {}
    body = _tree(module).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                text = ""
                if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                    text = inspect.cleandoc(str(after.value.value))
                found[name] = ast.unparse(value), text
            case _:
                pass
    return found


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GROUPS: Final = (
    Group(
        "programs",
        "The collector",
        "What a program of its own makes, gives to it, and gets from it. [How](python.md)",
        "wickwire",
        _words("""
            Collector Policy CandleReader FeedReader EventReader HistoryReader Listener EventListener
            Plan Cost FallBack Rotation Audited PastCandles PastTrades
            Account AccountResolver Backoff Retention Status StatusSink
            Registry load_adapter Adapter Clock SystemClock Transport Stream Watchdog HungHook Hold
            LogFormatter
        """),
    ),
    Group(
        "programs",
        "Without an event loop",
        "A collector in a thread of its own, and what it gives. [How](python.md#without-an-event-loop)",
        "wickwire",
        _words("""
            BlockingCollector BlockingReader BlockingPages BlockingHistoryReader BlockingSeriesReader
        """),
    ),
    Group(
        "programs",
        "How it is doing",
        "What `health()` tells.",
        "wickwire",
        _words("""
            Health SeriesHealth VenueHealth ConnectionHealth SubscriptionHealth ConsumerHealth SinkHealth
            Condition Switch
        """),
    ),
    Group(
        "programs",
        "What happens",
        "What `events()` and `on_event` tell. Others may come: a `match` needs a case for the rest.",
        "wickwire",
        _words("""
            News ConditionChanged HoleFound HoleHealed SubscriptionRefused HistoryFailed RowRefused Rescaled
            FrameRefused Doubted StatusChanged ConnectionLost ConnectionChanged PauseChanged RestChanged
            VenueFailed StoreChanged SeriesShared ConsumerLoses BudgetChanged SinkChanged CandleParked
        """),
    ),
    Group(
        "programs",
        "Values",
        "Series, candles, trades, quotes, and the time they live in.",
        "wickwire",
        _words("""
            Series Timeframe Unit Feed SeriesCandle Candle CandleState Evidence Finality Rung Hole HoleKind
            SeriesTrade Trade TradeAction Side SeriesQuote Quote Grid Utc Zone Session Unknown
            SECOND_NS MINUTE_NS HOUR_NS DAY_NS parse_instant iso when broken_law
        """),
    ),
    Group(
        "programs",
        "Errors",
        "All are `WickwireError`, cut by what the one who catches them does next.",
        "wickwire",
        _words("""
            WickwireError UsageError ConfigError PlanError PluginError WireError VenueError FaultKind RestAway
            TransportError StreamClosed GivenUp StoreError SinkError BudgetError
        """),
    ),
    Group(
        "programs",
        "Reading what is stored",
        "Also in a process that collects nothing. [How](python.md#reading-what-is-stored)",
        "wickwire",
        _words("""
            SeriesReader Hot HotMemory Bound Held MemoryStore audit_range RangeAudit CandleFault FaultyCandle
            rebuilt
        """),
    ),
    Group(
        "programs",
        "As Arrow and pandas",
        "`wickwire.frames`. [How](stores.md#arrow-and-pandas)",
        "wickwire.frames",
    ),
    Group(
        "programs",
        "The config",
        "`wickwire.config`, for a program with the same file or variables as the command line.",
        "wickwire.config",
    ),
    Group(
        "adapters",
        "Adapters: the hooks",
        "What an adapter implements. [Their contracts](hooks.md)",
        hookspecs.__name__,
        hookspecs.ADAPTER_HOOKS,
    ),
    Group(
        "adapters",
        "Adapters: what crosses the border",
        "What hooks take and return. [How](adapters.md)",
        "wickwire",
        _words("""
            hookimpl Description Limits Rate Counting Hours OhlcvSupport Lane Topic Ask Endpoint Readiness
            Keepalive Send Event Ready Accepted Released Refused Removed SnapshotDone VenueStatus Heartbeat
            Fault Conversation HttpRequest HttpReply StreamRequest StreamHistory OhlcvQuery Page BadRow
            Split Stopped TradeQuery TradePage retry_after_s
        """),
    ),
    Group(
        "adapters",
        "Adapters: the conformance kit",
        "`wickwire.testing`. [How](conformance.md)",
        "wickwire.testing",
    ),
    Group(
        "plugins",
        "Plugins: the hooks",
        "What stores, sinks, caches, budgets and others implement. [Their contracts](hooks.md)",
        hookspecs.__name__,
        hookspecs.PLUGIN_HOOKS,
    ),
    Group(
        "plugins",
        "Stores",
        "For whoever writes one. [How](stores.md#another-store)",
        "wickwire",
        _words("""
            Store Change Closing SeriesState Loaded Verdict Cursor Parked TAIL REAL judge settled confirmed
            changed_holes series_key series_of_key other_world shown_store
            Forgotten FORGET_ROWS first_kept once_forgotten reconciled
            TradeStore TradeBatch Stretch StoredTrade joined_stretches remembered_stretches
            LineStore LINE line_of
        """),
    ),
    Group(
        "plugins",
        "Sinks",
        "For whoever writes one. [How](sinks.md)",
        "wickwire",
        _words("Sink QuoteSink Follower Poisoned Lost"),
    ),
    Group(
        "plugins",
        "Caches",
        "For whoever keeps the newest candles where other processes read them. [How](hooks.md)",
        "wickwire",
        _words("Cache CacheReader Standing"),
    ),
    Group(
        "plugins",
        "Budgets",
        "For whoever counts limits over several processes. [How](hooks.md)",
        "wickwire",
        _words("SharedBudget Report Ruling Claim Spent Hint LEASE_S SILENT_S"),
    ),
    Group(
        "simulation", "Simulated markets", "`wickwire.simulate`. [How](simulation.md)", "wickwire.simulate"
    ),
    Group("simulation", "Simulated time", "`wickwire.simulate.loops`.", "wickwire.simulate.loops"),
    Group(
        "simulation", "Simulated venues in memory", "`wickwire.simulate.memory`.", "wickwire.simulate.memory"
    ),
    Group(
        "simulation",
        "Simulated venues on loopback",
        "`wickwire.simulate.loopback`.",
        "wickwire.simulate.loopback",
    ),
    Group(
        "adapters",
        "Writing a simulator",
        "`wickwire.simulate.server`, beside the above. [How](simulation.md#writing-a-simulator)",
        "wickwire.simulate.server",
        ("Truth", "TradeTruth"),
    ),
    Group(
        "adapters",
        "Faults of a simulator",
        "`wickwire.simulate.faults`: what is switched on by name.",
        "wickwire.simulate.faults",
    ),
)


def names() -> list[Name]:
    """Return all names of the face, group by group; one that two groups have comes once."""
    found = {
        Name(group.module, name): None
        for group in GROUPS
        for name in group.names or import_module(group.module).__all__
    }
    return list(found)

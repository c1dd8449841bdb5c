"""The face: whoever embeds the framework can name what a collector takes and gives, from one place."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, assert_type

import attrs
import pytest

import wickwire

FACE = Path(wickwire.__file__)
STORES = (Path(__file__).resolve().parents[2] / "docs" / "stores.md").read_text()


def named(text: str) -> list[str]:
    return text.split()


HOST = named("""
    AccountResolver Cache CacheReader Standing
    Adapter Audited Backoff Bound CandleReader Clock Collector Condition ConnectionHealth ConsumerHealth Cost
    EventListener EventReader FallBack FeedReader Health Held Hold Hot HotMemory HungHook Listener News
    PastCandles PastTrades Plan Policy Registry Rotation SeriesHealth SeriesReader SinkHealth Status
    StatusSink Stream SubscriptionHealth Switch
    SystemClock Transport VenueHealth Watchdog load_adapter rebuilt MemoryStore Retention RangeAudit
    CandleFault FaultyCandle audit_range
""")
EVENTS = named("""
    BudgetChanged CandleParked ConditionChanged ConnectionChanged ConnectionLost ConsumerLoses Doubted
    FrameRefused HistoryFailed HoleFound HoleHealed PauseChanged Rescaled RestChanged RowRefused SinkChanged
    StatusChanged StoreChanged SubscriptionRefused VenueFailed
""")
VALUES = named("""
    Candle CandleState DAY_NS Evidence Feed Finality Grid HOUR_NS Hole HoleKind MINUTE_NS
    Quote Rung SECOND_NS Series SeriesCandle Session Side Timeframe Trade TradeAction Unit Unknown Utc
    Zone broken_law iso parse_instant when
""")
ERRORS = named("""
    BudgetError ConfigError FaultKind GivenUp PlanError PluginError RestAway SinkError StoreError StreamClosed
    TransportError UsageError VenueError WickwireError WireError
""")
BORDER = named("""
    Accepted Account Ask BadRow Conversation Counting Description Endpoint Event Fault Heartbeat HttpReply
    Hours HttpRequest Keepalive Lane Limits OhlcvQuery OhlcvSupport Page Rate Readiness Ready Refused Released
    Removed Send SnapshotDone Split Stopped StreamHistory StreamRequest Topic TradePage TradeQuery
    VenueStatus hookimpl retry_after_s
""")
STORE_AUTHORS = named("""
    Change Closing Cursor FORGET_ROWS Forgotten Loaded Parked REAL SeriesState Store StoredTrade Stretch
    TAIL TradeBatch TradeStore Verdict changed_holes confirmed first_kept joined_stretches judge
    once_forgotten other_world reconciled remembered_stretches series_key series_of_key settled shown_store
""")

LINE_WRITERS = named("LINE LineStore line_of")
SINK_AUTHORS = named("Follower Lost Poisoned QuoteSink Sink")
BUDGET_AUTHORS = named("Claim Hint LEASE_S Report Ruling SILENT_S SharedBudget Spent")


def test_the_face_is_this():
    """A name more or less is a change that others see."""
    authors = [*STORE_AUTHORS, *LINE_WRITERS, *SINK_AUTHORS, *BUDGET_AUTHORS]
    assert sorted([*HOST, *EVENTS, *VALUES, *ERRORS, *BORDER, *authors]) == sorted(wickwire.__all__)


def test_what_store_authors_need_is_on_their_page():
    page = STORES[STORES.index("## Another store") :]

    assert {*STORE_AUTHORS, *LINE_WRITERS} == set(re.findall(r"`(\w+)`", page)) & set(wickwire.__all__)


def test_type_checkers_see_what_is_loaded_late():
    """What they read is another list than what is loaded: both say the same."""
    [block] = [
        node
        for node in ast.parse(FACE.read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {
        one.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for one in node.names
    }

    assert seen == wickwire._LATE
    assert sorted(seen) == sorted([*HOST, *EVENTS, *LINE_WRITERS, *BUDGET_AUTHORS])
    for name, module in wickwire._LATE.items():
        assert getattr(wickwire, name) is getattr(import_module(module), name)


def test_the_face_can_be_listed_and_knows_no_other_name():
    assert set(wickwire.__all__) <= set(dir(wickwire))
    with pytest.raises(AttributeError, match="has no attribute 'Colector'"):
        getattr(wickwire, "Colector")  # noqa: B009 - mypy would find it, which is the point of the face


def spelled(annotation: object, space: dict[str, object]) -> Iterator[type]:
    """Every class of ours that an annotation spells."""
    if isinstance(annotation, str):
        annotation = eval(annotation, space)
    if isinstance(annotation, type) and annotation.__module__.partition(".")[0] == "wickwire":
        yield annotation
    for inner in typing.get_args(annotation):
        yield from spelled(inner, space)


def signed(member: object) -> Iterator[type]:
    """Every class of ours that the signature of a method or property names."""
    function: Any = member.fget if isinstance(member, property) else member
    for annotation in inspect.get_annotations(function).values():
        yield from spelled(annotation, dict(function.__globals__))


def test_what_a_collector_takes_and_gives_is_on_the_face():
    """Found by reading its annotations, and those of the values that it gives."""
    members = vars(wickwire.Collector)
    public = [members[name] for name in members if name == "__init__" or not name.startswith("_")]
    waiting = [one for member in public for one in signed(member)]
    found: dict[type, None] = {}
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = None
            space = vars(import_module(one.__module__))
            waiting += [
                kind
                for field in (attrs.fields(one) if attrs.has(one) else ())
                if not field.name.startswith("_")
                for kind in spelled(field.type, dict(space))
            ]

    hidden = {kind.__name__ for kind in found} - set(wickwire.__all__)

    assert hidden == {"Closer"}, "that one is for progress and diagnosis"
    assert {"Backoff", "Clock", "Condition", "Hold", "Plan", "Registry", "Switch", "Transport"} <= {
        kind.__name__ for kind in found
    }


async def consumer(collector: wickwire.Collector) -> None:
    """Never called: the type checker runs it, strictly, as it would a host's code."""
    assert_type(await collector.add("lantern:BTC/USD@1m"), wickwire.Series)
    assert_type(collector.plan(), Sequence[wickwire.Plan])
    assert_type(collector.health(), wickwire.Health)
    assert_type(collector.candles(), wickwire.CandleReader)
    assert_type(collector.trades(), wickwire.FeedReader[wickwire.Trade])
    assert_type(collector.quotes(policy=wickwire.Policy.CONFLATE), wickwire.FeedReader[wickwire.Quote])
    async for event in collector.events():
        match event:
            case wickwire.HoleFound():
                assert_type(event.hole, wickwire.Hole)
            case wickwire.ConditionChanged():
                assert_type(event.before, wickwire.Condition | None)
            case _:
                pass
    assert_type(collector.health().series[0].condition, wickwire.Condition)
    assert_type(collector.health().series[0].switches, Sequence[wickwire.Switch])
    wickwire.Collector(
        registry=wickwire.Registry(), backoff=wickwire.Backoff(), clock=wickwire.SystemClock(), transport=None
    )

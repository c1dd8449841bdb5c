"""What somebody else's program shows of a collector: health, events, errors, values."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import assert_type

from wickwire import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    BudgetChanged,
    BudgetError,
    Candle,
    CandleParked,
    CandleState,
    Condition,
    ConditionChanged,
    ConfigError,
    ConnectionChanged,
    ConnectionHealth,
    ConnectionLost,
    ConsumerHealth,
    ConsumerLoses,
    Doubted,
    Evidence,
    FaultKind,
    Feed,
    Finality,
    FrameRefused,
    GivenUp,
    Grid,
    Health,
    HistoryFailed,
    Hole,
    HoleFound,
    HoleHealed,
    HoleKind,
    News,
    PauseChanged,
    PlanError,
    PluginError,
    Quote,
    Rescaled,
    RestAway,
    RestChanged,
    Rotation,
    RowRefused,
    Rung,
    Series,
    SeriesCandle,
    SeriesHealth,
    SeriesShared,
    Session,
    Side,
    SinkChanged,
    SinkError,
    SinkHealth,
    StatusChanged,
    StoreChanged,
    StoreError,
    StreamClosed,
    SubscriptionHealth,
    SubscriptionRefused,
    Switch,
    Timeframe,
    Trade,
    TradeAction,
    TransportError,
    Unit,
    Unknown,
    UsageError,
    Utc,
    VenueError,
    VenueFailed,
    VenueHealth,
    WickwireError,
    WireError,
    Zone,
    broken_law,
    iso,
    parse_instant,
    when,
)


def news(one: News) -> str:
    """Return an event in a few words."""
    match one:
        case ConditionChanged(series=series, condition=Condition.STALE, trouble=trouble):
            return f"{series} is stale: {trouble}"
        case ConditionChanged() | Switch() | Rescaled() | Doubted() | StatusChanged():
            return f"{type(one).__name__} at {iso(one.at_ns)}"
        case HoleFound(series=series, hole=hole) | HoleHealed(series=series, hole=hole):
            return f"{series}: {assert_type(hole, Hole).kind}"
        case SubscriptionRefused() | HistoryFailed() | RowRefused() | FrameRefused():
            return f"{type(one).__name__}: {one.why}"
        case (
            ConnectionLost()
            | ConnectionChanged()
            | PauseChanged()
            | RestChanged()
            | VenueFailed()
            | Rotation()
        ):
            return f"{one.venue}: {type(one).__name__}"
        case SeriesShared(series=series):
            return f"{series} is collected twice"
        case StoreChanged() | BudgetChanged() | SinkChanged() | CandleParked() | ConsumerLoses():
            return type(one).__name__
    return "something else"  # others may come


def report(health: Health) -> Iterator[str]:
    """Yield how everything is, line by line."""
    for series in assert_type([*health.series], list[SeriesHealth]):
        last: Candle | None = series.last_close
        yield f"{series.series} {series.condition} {series.rung} {last and last.close} {len(series.holes)}"
    for venue in assert_type([*health.venues], list[VenueHealth]):
        for link in assert_type([*venue.links], list[ConnectionHealth]):
            topics = assert_type([*link.subscriptions], list[SubscriptionHealth])
            yield f"{venue.venue} {link.number} {link.state} {[str(one.topic) for one in topics]}"
    for consumer in assert_type([*health.consumers], list[ConsumerHealth]):
        yield f"{consumer.name} {consumer.policy} {consumer.waiting} {consumer.behind_s}"
    for sink in assert_type([*health.sinks], list[SinkHealth]):
        yield f"{sink.name} {sink.lag} {sink.trouble}"


def advice(error: WickwireError) -> str:
    """Return what to do about an error."""
    match error:
        case ConfigError() | UsageError() | PlanError():
            return "write it otherwise"
        case PluginError(plugin=plugin):
            return f"mend {plugin}"
        case RestAway(retry_after_s=wait_s):
            return f"wait {wait_s} s"
        case VenueError(kind=FaultKind.CREDENTIALS | FaultKind.ENTITLEMENT):
            return "look at the keys"
        case VenueError(kind=kind):
            return f"the venue says {kind.value}"
        case StreamClosed(code=code):
            return f"closed with {code}"
        case TransportError() | WireError():
            return "nothing; it is tried again"
        case StoreError() | SinkError() | BudgetError():
            return "look at the database"
        case GivenUp():
            return "look at the venue"
        case _:
            return str(error)


def bucket(series: Series, at: str) -> tuple[datetime, datetime]:
    """Return from when to when the candle of an instant lasts, in UTC."""
    timeframe = series.what
    if isinstance(timeframe, Feed):
        raise UsageError(f"{series} has no candles")
    grids: dict[Unit, Grid] = {
        Unit.MINUTE: Utc(),
        Unit.HOUR: Zone("Europe/London"),
        Unit.DAY: Session("XNYS"),
    }
    grid = grids.get(timeframe.unit, Unknown())
    if isinstance(grid, Unknown | Session):
        grid = Utc()
    open_ns = timeframe.open_at(parse_instant(at), grid)
    return when(open_ns), when(timeframe.close_of(open_ns, grid))


def lasts_s(timeframe: Timeframe) -> float:
    """Return for how many seconds a candle lasts, about."""
    assert DAY_NS == 24 * HOUR_NS == 24 * 60 * MINUTE_NS
    return timeframe.nominal_ns / SECOND_NS


def is_sound(candle: SeriesCandle) -> bool:
    """Say whether a candle is what it should be."""
    known = (
        candle.state in {CandleState.CLOSED, CandleState.REVISED} and candle.evidence is not Evidence.IMPORTED
    )
    return known and candle.route is not Rung.REFUSE and broken_law(candle) is None


def ours(symbol: str, open_ns: int, price: Decimal) -> tuple[Candle, Trade, Quote, Hole]:
    """Return values of each kind, made by hand as tests of a host do."""
    minute = Timeframe.parse("1m")
    return (
        Candle(
            symbol,
            minute,
            open_ns,
            open_ns + MINUTE_NS,
            price,
            price,
            price,
            price,
            price,
            finality=Finality.CLOSED,
        ),
        Trade(symbol, "1", price, Decimal(2), Side.BUY, open_ns, action=TradeAction.NEW),
        Quote(symbol, price, Decimal(1), None, None),
        Hole(open_ns, open_ns + MINUTE_NS, HoleKind.MISSING),
    )

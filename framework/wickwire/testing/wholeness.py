"""What a whole collection is: the candles of a run beside those that the venue has in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from wickwire.conversation import OhlcvQuery, Page
from wickwire.description import OhlcvSupport, Rate
from wickwire.health import SeriesHealth
from wickwire.model import MINUTE_NS, SECOND_NS, Candle, HoleKind, Rung, Series, SeriesCandle
from wickwire.news import Condition
from wickwire.store import SeriesState
from wickwire.testing.checks import Broken
from wickwire.testing.pages import page_of
from wickwire.testing.playing import grid_of
from wickwire.testing.truth import known
from wickwire.testing.world import World

__all__ = ["exceeded", "left_behind", "not_whole", "require_whole"]

BEHIND_S: Final = 90.0
"""How long after a bucket ended and settled its candle may be told at the latest."""
MOST_TRIES: Final = 5
ROUNDING_S: Final = 0.001
"""Two instants of the loop's clock that are so near are one: it counts in floats."""
WELL: Final = (Condition.LIVE, Condition.QUIET, Condition.POLLED)


async def not_whole(world: World, *, first_closes: bool = True) -> list[str]:
    """Return every promise that is or was broken, after all troubles and while the collector still runs.

    Args:
        world: What happened.
        first_closes: Also what was handed out first has to be right. Not so where the venue said for a while
            what it took back later.
    """
    lines: list[str] = []
    states = {str(state.series): state for state in await world.store.states()}
    for health in world.health():
        name = str(health.series)
        support = world.series.get(name)
        if support is None:
            continue
        lines += _unwell(world, health)
        state = states.get(name)
        if state is None:
            lines.append(f"{name}: nothing of it was stored")
            continue
        stored = await world.store.candles(health.series, 0, 2**62, limit=10**6)
        lines += _series(world, state, support, stored, first_closes=first_closes)
    lines += [
        f"the trade {trade} of {symbol} was told {count} times"
        for (_, symbol, trade), count in world.trades.items()
        if count > 1
    ]
    lines += _limits(world)
    hasty = sum(line.hasty for line in world.lines)
    if hasty:
        lines.append(f"{hasty} requests were sent while the venue wanted none")
    return [*world.broken, *lines, *(f"logged as an error: {line}" for line in world.errors)]


def left_behind(world: World) -> list[str]:
    """Return which series were not told for too long, of those whose history needs no stream."""
    newest: dict[str, int] = {}
    for _, candle in world.told:
        newest[str(candle.series)] = max(newest.get(str(candle.series), 0), candle.close_ns)
    lines = []
    for name, support in world.series.items():
        size_ns = Series.parse(name).timeframe.nominal_ns
        late_s = (world.clock.now_ns() - newest.get(name, 0)) / SECOND_NS
        allowed_s = 2 * size_ns / SECOND_NS + support.settle_s + BEHIND_S
        if support.rest and not support.over_stream and name in newest and late_s > allowed_s:
            lines.append(f"{name}: no candle was told for {late_s:.0f} s")
    return lines


def _unwell(world: World, health: SeriesHealth) -> Iterator[str]:
    if health.condition not in WELL:
        yield f"{health.series} is {health.condition} in the end: {health.trouble or health.why}"
    planned = world.planned.get(str(health.series), health.rung)
    if planned is not health.rung and planned is not Rung.POLL:
        yield f"{health.series} is planned by {planned}, and by {health.rung} in the end: {health.why}"


def _series(
    world: World,
    state: SeriesState,
    support: OhlcvSupport,
    stored: Sequence[SeriesCandle],
    *,
    first_closes: bool,
) -> Iterator[str]:
    name, now_ns = state.series, world.clock.now_ns()
    true = {one.open_ns: one for one in _truth(world, state, support)}
    rows = {one.open_ns: one for one in stored}
    holes = [hole for hole in state.holes if hole.kind is not HoleKind.UNREACHABLE]
    if support.rest:  # else nobody can heal them
        yield from (f"{name}: {hole}" for hole in holes)
        holes = []
    for open_ns in sorted(true.keys() | rows.keys()):
        has, kept = true.get(open_ns), rows.get(open_ns)
        if kept is None and any(hole.since_ns <= open_ns < hole.until_ns for hole in holes):
            continue
        if has is None or kept is None or not has.same_values(kept):
            yield f"{name}: stored is {_shown(kept)}, the venue has {_shown(has)}"
    behind_s = (now_ns - state.frontier_ns - name.timeframe.nominal_ns) / SECOND_NS
    if behind_s > support.settle_s + BEHIND_S:
        yield f"{name}: it is {behind_s:.0f} s behind"
    yield from _told(world, name, true if first_closes else {})


def _told(world: World, name: Series, true: Mapping[int, Candle]) -> Iterator[str]:
    """Yield what is wrong with what was handed out first, also where it is not what is *true*."""
    seen: set[int] = set()
    for at_ns, one in world.told:
        if one.series != name or one.revision:
            continue
        if one.open_ns in seen:
            yield f"{name}: the candle of {one.open_time} was told twice"
        seen.add(one.open_ns)
        if at_ns < one.close_ns:
            yield f"{name}: the candle of {one.open_time} was told before its end"
        elif one.open_ns in true and not true[one.open_ns].same_values(one):
            yield f"{name}: told first was {_shown(one)}, the venue has {_shown(true[one.open_ns])}"


def _shown(one: Candle | SeriesCandle | None) -> str:
    if one is None:
        return "nothing"
    return f"{one.open_time} O {one.open} H {one.high} L {one.low} C {one.close} V {one.volume}"


def _truth(world: World, state: SeriesState, support: OhlcvSupport) -> Sequence[Candle]:
    """Return what the venue has in the end: its history where that can be asked, else its market."""
    material, series = world.material, state.series
    since_ns, until_ns = state.origin_ns, state.frontier_ns
    if not support.rest:
        truth = known(material, series.symbol).candles
        if truth is None:
            return ()
        return truth.candles(series.symbol, series.timeframe, since_ns, until_ns, grid=grid_of(support))
    found: dict[int, Candle] = {}
    step_ns = support.page_rows * series.timeframe.nominal_ns
    for first_ns in range(since_ns, until_ns, step_ns):
        end_ns = min(first_ns + step_ns, until_ns)
        page = _page(world, series, first_ns, end_ns)
        found |= {one.open_ns: one for one in page.candles if first_ns <= one.open_ns < end_ns}
    return [found[open_ns] for open_ns in sorted(found)]


def _page(world: World, series: Series, since_ns: int, until_ns: int) -> Page:
    """Ask the venue itself, with patience: it may have had enough of the collector for now."""
    material, fetched = world.material, None
    for tries in range(MOST_TRIES):
        query = OhlcvQuery(
            symbol=series.symbol,
            timeframe=series.timeframe,
            since_ns=since_ns,
            until_ns=until_ns,
            now_ns=world.clock.now_ns() + tries * MINUTE_NS,
        )
        fetched = material.playing.fetch(query, world.account, world.server)
        if fetched.page is not None:
            break
    assert fetched is not None
    return page_of(material, fetched, series)


def _limits(world: World) -> Iterator[str]:
    limits = world.material.described(world.account).limits
    for line in world.lines:
        for what, rate, times in (
            ("requests", limits.rest, line.requests),
            ("connections", limits.connects, line.connects),
        ):
            found = exceeded(rate, times) if rate is not None else ""
            if found:
                yield f"too many {what} for what describe() says: {found}"


def exceeded(rate: Rate, times: Sequence[float]) -> str:
    """Return where *times*, in seconds, leave a rate, counted from each of them; nothing where none does."""
    for first, since_s in enumerate(times):
        for count, at_s in enumerate(times[first:], 1):
            if count > max(rate.burst, 1) + (at_s - since_s + ROUNDING_S) * rate.amount / rate.per_s:
                return f"{count} in {at_s - since_s:.1f} s"
    return ""


def require_whole(lines: Sequence[str], what: str) -> None:
    """Raise `Broken` for the first of *lines*, which broken promises are."""
    if lines:
        more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
        raise Broken(f"{what}: {lines[0]}{more}", shown="\n".join(lines[:12]))

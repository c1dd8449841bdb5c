"""What was seen of a simulated run, as plain data for the checker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tests.simulation.excuses import (
    DETOUR_S,
    FEED_BEGINS_S,
    around,
    breaks_feed,
    excused,
    hidden,
    is_compared,
    lies,
    lost_in_time,
    misleads,
    misled,
    overtaken,
    quarantined_ns,
    replacements,
    troubled,
)
from tests.simulation.life import SECRETS
from tests.simulation.script import AUDITED_S
from tests.simulation.stage import Stage
from tests.simulation.ways import Way
from wickwire import DAY_NS, SECOND_NS, Account, Candle, Rate, Series, SeriesCandle, Timeframe
from wickwire.description import OhlcvSupport
from wickwire_sqlite.store import SqliteStore

__all__ = ["evidence"]

LIVE_S: Final = 60.0
PROOF_S: Final = 3.0
"""What a new connection brings waits for a proof when it takes over, and counts from when it is told."""
AUDITED_POLLED_S: Final = 6_000.0
"""What a venue changes without a word is found by the next comparison with history: within 23 minutes while
the process is awake where a stream is planned, there or not, and within an hour and a half elsewhere."""
FEED_ENDS_S: Final = 30.0
"""How long after its start, and before its end, a feed may lack trades."""
UNEASE_S: Final = 36.0
"""How much later than it has settled a candle may be told while all is well: calls may wait for others."""
UNPROVEN_S: Final = 30.0
READ_S: Final = 300.0
"""What ended so shortly before it was read may be on its way, and troubles that were so near may matter."""
FOREVER_NS: Final = 2**62

STORE_LINES: Final = (
    "error: store failed",
    "error: store refuses a series",
    "error: stopped before everything",
)
LISTENER_LINES: Final = ("error: listener failed",)

BOUNDS: Final = {"tasks": 400, "streams": 24, "unread frames": 1_024}
"""Twenty series on five venues, a reader, a listener, and the life before that is still being buried."""


def _proven_by_s(support: OhlcvSupport, length_s: float) -> float:
    """Return how much later than usual a newer row may come, where nothing else proves that a bucket is over.

    Where history comes over a stream the venue's time is known by rows alone, and while nothing is traded the
    first row of the next minute is what tells it; then the next question finds that.
    """
    if support.proof_s:
        return length_s
    return UNPROVEN_S if support.over_stream else 0.0


async def evidence(stage: Stage) -> dict[str, Any]:
    """Return all that the checker wants of a run that has been played."""
    store = SqliteStore(stage.file, inline=True, readonly=True)
    await store.open()
    try:
        states = {str(state.series): state for state in await store.states()}
        stored = {
            name: await store.candles(Series.parse(name), 0, FOREVER_NS, limit=10**7) for name in states
        }
    finally:
        await store.aclose()
    assert stage.sampler.last is not None
    health = {str(one.series): one for one in stage.sampler.last.series}
    ended_ns = stage.sampler.last.at_ns
    series: dict[str, Any] = {}
    lost = lost_in_time(stage)
    prompted = any(act.trouble.name == "prioritise" for act in stage.script.acts)
    for name in stage.script.series:
        one = Series.parse(name)
        if not isinstance(one.what, Timeframe):
            continue
        state, told, support = states[name], health[name], stage.supports[name]
        truth = stage.venues.truth(name, state.origin_ns, state.frontier_ns)
        length_s = one.timeframe.nominal_ns / SECOND_NS
        waits_s = max(support.settle_s, support.grace_s) + 2.0
        audited_s = AUDITED_POLLED_S if stage.planned[name] == "poll" else AUDITED_S
        series[name] = {
            "venue": one.venue,
            "truth": [_row(candle) for candle in truth],
            "stored": [_row(candle) for candle in stored[name]],
            "sunk": [_row(candle) for (held, _), candle in stage.basin.held.items() if held == one],
            "called_empty": stage.claims.empty.get(one, []),
            "denied": stage.claims.denied.get(one, []),
            "forgotten_ns": max((before_ns for _, before_ns in stage.forgotten), default=0),
            "origin_ns": state.origin_ns,
            "frontier_ns": state.frontier_ns,
            "holes": [[hole.since_ns, hole.until_ns, hole.kind.value] for hole in state.holes],
            "live_limit_s": LIVE_S + PROOF_S + (60.0 if one.venue == "alpaca" else 0.0),
            "polled_limit_s": 2 * length_s + 2 * waits_s + LIVE_S + support.proof_s,
            "late_s": length_s + waits_s + 60.0,
            "wait_s": waits_s + length_s,
            "quarantined_ns": quarantined_ns(stage, one),
            "usual_s": waits_s + UNEASE_S + _proven_by_s(support, length_s),
            "slow": _is_thin(stage, one, state.frontier_ns),
            "shut": not any(
                candle.close_ns + waits_s * SECOND_NS < ended_ns
                for candle in stage.venues.truth(name, state.frontier_ns, ended_ns)
            ),
            "restless": one.venue == "harbour",
            "brief": one.venue == "harbour" and "short lives" in stage.script.habits,
            "belated": one.venue == "harbour" and "late bars" in stage.script.habits,
            "evasive": one.venue == "harbour" and "busy" in stage.script.habits,
            # a bucket over whose end no stream lives is history's
            "by_request": (stage.planned[name] == "poll" and one.venue != "dxlink") or one.venue == "harbour",
            "condition": told.condition.value,
            "trouble": told.trouble,
            "rung": told.rung.value,
            "planned": stage.planned[name],
            "detours": _detours(stage, name, ended_ns),
            "wrong": [
                troubled(act, *stage.spans[act.number])
                for act in stage.script.acts
                if act.number in stage.spans
                and act.trouble.place in {one.venue, "line", "clock", "machine", "process", "roster", "pool"}
                and stage.acting.venue_of(act) in {one.venue, ""}
                and act.trouble.name != "late_trade"
            ]
            + replacements(stage, one.venue),
            "prompt": prompted or stage.script.ways.get(name, Way()).priority,
            "misled": [
                misled(act, *stage.spans[act.number])
                for act in stage.script.acts
                if misleads(stage, act, one) and act.number in stage.spans
            ]
            + [
                hidden(stage.spans[act.number][0])
                for act in stage.script.acts
                if act.trouble.hides and act.trouble.place == one.venue and act.number in stage.spans
            ]
            + [
                overtaken(stage.spans[act.number][0])
                for act in stage.script.acts
                if act.trouble.name == "lose" and one.venue == "harbour" and act.number in stage.spans
                if "late bars" in stage.script.habits
            ]
            + lost,
            "unaudited": [
                misled(act, *stage.spans[act.number])
                for act in stage.script.acts
                if act.trouble.name == "late_trade"
                and act.trouble.place == one.venue
                and (
                    stage.script.hours * 3_600.0 < act.until_s + audited_s
                    or not is_compared(stage, act, name)
                )
            ],
            "excused": [
                excused(act, one.venue, *stage.spans[act.number])
                for act in stage.script.acts
                if act.number in stage.spans
                and stage.acting.venue_of(act) in {one.venue, ""}
                and act.trouble.place != "guest"
            ]
            + [[0, stage.script.starts_ns, None]]
            + [[0, FOREVER_NS, DETOUR_S]] * (one.venue == "harbour"),  # its connections end all the time
        }
    return {
        "seed": stage.script.seed,
        "series": series,
        "feed_limits": {
            name: LIVE_S + PROOF_S
            for name in stage.script.series
            if not isinstance(Series.parse(name).what, Timeframe)
        },
        "delivered": [
            [at_ns, 0, str(candle.series), _row(candle), candle.revision, candle.seq]
            for at_ns, candle in stage.heard.candles
        ],
        "fell_back": stage.basin.fell_back,
        "pushed": [
            [life, str(candle.series), candle.open_ns, candle.revision] for life, candle in stage.heard.pushed
        ],
        "trades": _trades(stage),
        "samples": [
            one
            for one in stage.sampler.samples
            if not any(since_ns <= one[0] <= until_ns for since_ns, until_ns in lost)
        ],
        "unwanted": stage.roll.unwanted,
        "doubled": stage.roll.doubled,
        "apart": stage.roll.apart,
        "slandered": stage.roll.slandered,
        "turned_down": stage.acting.guests.turned_down,
        "bare": [one for one in stage.sampler.bare if one[1] in series],  # feeds have no other route
        "switches": stage.heard.switches,
        "lies": lies(stage),
        "ends": _by_venue(stage, stage.books.ends),
        "failed": {
            f"{host} in life {life}": [*zip(times, stage.books.failing[host, life], strict=True)]
            for (host, life), times in stage.books.failed.items()
        },
        "forlorn": {f"{host} in life {life}": times for (host, life), times in stage.books.forlorn.items()},
        "in_vain": {f"{host} in life {life}": times for (host, life), times in stage.books.in_vain.items()},
        "refusals": {f"{host} in life {life}": told for (host, life), told in stage.books.refusals.items()},
        "let_in": {f"{host} in life {life}": times for (host, life), times in stage.books.let_in.items()},
        "turned_away": {
            f"{host} in life {life}": told for (host, life), told in stage.books.turned_away.items()
        },
        "sent_away": {  # who logs in at DXLink on the way was let through long before
            f"{host} in life {life}": told
            for (host, life), told in stage.books.sent_away.items()
            if stage.books.venue_of[host] != "dxlink"
        },
        "own_failures": {
            f"{who} in life {life}": times for (who, life), times in stage.books.own_failures.items()
        },
        "knocks": {f"{host} in life {life}": times for (host, life), times in stage.books.connects.items()},
        "reads": _reads(stage),
        "dawdled": stage.dawdled,
        "rotated": stage.rotated,
        "waiting": stage.waiting,
        "latest": stage.sampler.latest,
        "carried": {
            venue: [most, stage.script.narrow[venue]]
            for venue, most in stage.sampler.carried.items()
            if venue in stage.script.narrow
        },
        "asked": {f"{host} in life {life}": times for (host, life), times in stage.books.requests.items()},
        "connects": _by_venue(stage, stage.books.connects),
        "requests": {
            who: times
            for who, times in _by_venue(stage, stage.books.requests).items()
            if not _is_backdated(stage, who.split()[0])
        },
        "left": stage.left,
        "open_at_last": stage.open_at_last,
        "tries": stage.books.tries,
        "first_ns": stage.books.first_ns,
        "healed_ns": stage.healed_ns,
        "ended_ns": ended_ns,
        "peaks": stage.sampler.peaks,
        "bounds": BOUNDS,
        "stops": stage.stops,
        "orphans": [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()],
        "limits": _limits(stage),
        "secrets": SECRETS,
        "outputs": {
            "the log": "\n".join(line for _, _, line in stage.heard.lines),
            "health": "\n".join(stage.sampler.text),
            "the store": stage.file.read_bytes().decode("latin-1"),
        },
        "frames": stage.sampler.frames,
        "committed": stage.sampler.committed,
        "log": stage.heard.lines,
        "expected": _expected(stage),
    }


def _row(candle: Candle | SeriesCandle) -> list[Any]:
    prices = [str(value) for value in (candle.open, candle.high, candle.low, candle.close, candle.volume)]
    vwap = None if candle.vwap is None else str(candle.vwap)
    return [candle.open_ns, candle.close_ns, *prices, candle.trade_count, vwap]


def _detours(stage: Stage, name: str, ended_ns: int) -> list[list[int]]:
    """Return from when until when a series was polled that has a stream; who comes back starts anew."""
    if stage.planned[name] == "poll":
        return []
    deaths = [
        (stage.spans[act.number][0], "")
        for act in stage.script.acts
        if act.trouble.place == "process" and act.number in stage.spans
    ]
    deaths += [(at_ns, "") for gone, at_ns in stage.gone if gone == name]
    turns = [(at_ns, route) for at_ns, series, route in stage.heard.switches if series == name]
    found: list[list[int]] = []
    since_ns: int | None = None
    for at_ns, route in sorted([*turns, *deaths, (ended_ns, "")]):
        if route == "poll":
            since_ns = at_ns if since_ns is None else since_ns
        elif since_ns is not None:
            found.append([since_ns, at_ns])
            since_ns = None
    return found


def _is_thin(stage: Stage, one: Series, until_ns: int) -> bool:
    """Say whether buckets of a series are often empty: those are waited for, as many as usual."""
    since_ns = until_ns - 20 * one.timeframe.nominal_ns
    return len(stage.venues.truth(str(one), since_ns, until_ns)) < 20


def _reads(stage: Stage) -> list[dict[str, Any]]:
    """Return what was read of history, and what the venue had, where nothing but the store was in trouble."""
    found: list[dict[str, Any]] = []
    for name, since_ns, called_ns, ended_ns, opens in stage.reads:
        one = Series.parse(name)
        disturbed = any(
            begun_ns - READ_S * SECOND_NS < ended_ns and called_ns < healed_ns + READ_S * SECOND_NS
            for act in stage.script.acts
            if act.number in stage.spans
            and not act.trouble.leaves_history
            and (act.trouble.place not in {"store", "host"} or act.trouble.name == "load_fails")
            and stage.acting.venue_of(act) in {one.venue, ""}
            for begun_ns, healed_ns in [stage.spans[act.number]]
        )
        if not disturbed:
            until_ns = called_ns - round(READ_S * SECOND_NS)
            truth = [candle.open_ns for candle in stage.venues.truth(name, since_ns, until_ns)]
            meanwhile = [before_ns for at_ns, before_ns in stage.forgotten if called_ns < at_ns <= ended_ns]
            reading = {"series": name, "at_ns": ended_ns, "truth": truth, "opens": list(opens)}
            found.append({**reading, "forgotten_ns": max(meanwhile, default=0)})
    return found


def _is_backdated(stage: Stage, venue: str) -> bool:
    """Say whether months of the past may be wanted, by a clock so far behind, of who tells no time."""
    set_back = (
        act for act in stage.script.acts if act.trouble.place == "clock" and act.number in stage.spans
    )
    return venue == "harbour" and any(act.trouble.details["by_s"] * SECOND_NS < -DAY_NS for act in set_back)


def _by_venue(stage: Stage, times: Mapping[tuple[str, int], list[float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for (host, life), asked in times.items():
        found.setdefault(f"{stage.books.venue_of[host]} in life {life}", []).extend(asked)
    return found


def _trades(stage: Stage) -> dict[str, Any]:
    assert stage.sampler.last is not None
    begin_ns, end_ns = stage.script.starts_ns, stage.sampler.last.at_ns
    found: dict[str, Any] = {}
    for name, told in stage.heard.trades.items():
        one = Series.parse(name)
        true = stage.venues.market.trades(one.symbol, begin_ns, stage.true.now_ns())
        acts = [act for act in stage.script.acts if act.trouble.name == "late_trade"]
        late = {  # some venues tell those too
            (Decimal(act.trouble.details["price"]), Decimal(act.trouble.details["size"])) for act in acts
        }
        found[name] = {
            "told": [
                [each.time_ns, str(each.price), str(each.size)]
                for each in told
                if (each.price, each.size) not in late
            ],
            "true": [[each.time_ns, str(each.price), str(each.size)] for each in true],
            "excused": [
                [0, begin_ns + round(FEED_BEGINS_S * SECOND_NS)],
                [end_ns - round(FEED_ENDS_S * SECOND_NS), FOREVER_NS],
                *(
                    around(stage, act, *stage.spans[act.number])
                    for act in stage.script.acts
                    if act.number in stage.spans and breaks_feed(stage, act, one)
                ),
            ],
        }
    return found


def _limits(stage: Stage) -> list[dict[str, Any]]:
    """Return what was asked of each venue beside what its documents allow, as its adapter declares it.

    Each process counts for itself: what was asked before it was killed is not remembered.
    """
    found: list[dict[str, Any]] = []
    books = stage.books
    for venue in stage.venues.servers:
        limits = stage.registry.load(venue).description_for(Account()).limits
        asked = [
            (f"{venue} messages of a stream", limits.messages, times)
            for host, times in books.sent
            if books.venue_of[host] == venue
        ]
        for life in range(1, stage.lives + 1):
            asked.append((f"{venue} requests", limits.rest, _of(stage, venue, life, books.requests)))
            asked.append((f"{venue} connects", limits.connects, _of(stage, venue, life, books.connects)))
        found += [_limit(what, rate, times) for what, rate, times in asked if rate is not None]
    return found


def _limit(what: str, rate: Rate, times: Sequence[float]) -> dict[str, Any]:
    return {
        "what": what,
        "amount": rate.amount,
        "per_s": rate.per_s,
        "burst": rate.burst,
        "times": list(times),
    }


def _of(stage: Stage, venue: str, life: int, times: dict[tuple[str, int], list[float]]) -> list[float]:
    venue_of = stage.books.venue_of
    here = [asked for (host, of), asked in times.items() if venue_of[host] == venue and of == life]
    return sorted(at_s for asked in here for at_s in asked)


def _expected(stage: Stage) -> list[str]:
    places = {(act.trouble.place, act.trouble.name) for act in stage.script.acts}
    lines: list[str] = []
    if any(place == "store" for place, _ in places):
        lines += STORE_LINES
    if ("host", "raises") in places:
        lines += LISTENER_LINES
    return lines

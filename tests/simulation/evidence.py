"""What was seen of a simulated run, as plain data for the checker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tests.simulation.life import SECRETS
from tests.simulation.script import AUDITED_S, Act, Way
from tests.simulation.stage import Stage
from wickwire import SECOND_NS, Account, Candle, Rate, Series, SeriesCandle, Timeframe
from wickwire_sqlite.store import SqliteStore

__all__ = ["evidence"]

LIVE_S: Final = 60.0
PROOF_S: Final = 3.0
"""What a new connection brings waits for a proof when it takes over, and counts from when it is told."""
MISLED_BEFORE_S: Final = 120.0
MISLED_AFTER_S: Final = 240.0
WAKING_S: Final = 120.0
"""How long a machine that slept may take until a venue tells it what time it is."""
HIDDEN_S: Final = 30.0
"""So long after a silence began a bucket may begin of which a first row still came."""
BACK_S: Final = 480.0
"""How long after a trouble that stops everything an attempt may still be waited for."""
AUDITED_POLLED_S: Final = 6_000.0
"""What a venue changes without a word is found by the next comparison with history: within 23 minutes while
the process is awake and the stream is there, and within an hour and a half where there is none."""
RETURN_S: Final = 180.0
"""So long after a trouble a stream is there again, and its trial begins."""
QUARANTINE_S: Final = 600.0
"""How long a symbol that the venue does not know is left alone."""
FEED_BEGINS_S: Final = 60.0
FEED_ENDS_S: Final = 30.0
"""How long after its start, and before its end, a feed may lack trades."""
YOUNG_S: Final = 1_200.0
DROPPED_S: Final = 600.0
"""A candle that a stream drops is the next that begins: so long after it is over, for five minutes."""
UNEASE_S: Final = 36.0
"""How much later than it has settled a candle may be told while all is well: calls may wait for others."""
DETOUR_S: Final = 60.0
"""How much later a candle may be told that comes by history because its stream is in trouble."""
READ_S: Final = 300.0
"""What ended so shortly before it was read may still be on its way, and troubles that were so near may matter."""
FOREVER_NS: Final = 2**62

STORE_LINES: Final = (
    "error: store failed",
    "error: store refuses a series",
    "error: stopped before everything",
)
LISTENER_LINES: Final = ("error: listener failed",)

BOUNDS: Final = {"tasks": 400, "streams": 24, "unread frames": 1_024}
"""Twenty series on five venues, a reader, a listener, and the life before that is still being buried."""


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
    lost = _lost_in_time(stage)
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
            "called_empty": stage.claims.empty.get(one, []),
            "denied": stage.claims.denied.get(one, []),
            "origin_ns": state.origin_ns,
            "frontier_ns": state.frontier_ns,
            "holes": [[hole.since_ns, hole.until_ns, hole.kind.value] for hole in state.holes],
            "live_limit_s": LIVE_S + PROOF_S + (60.0 if one.venue == "alpaca" else 0.0),
            "polled_limit_s": 2 * length_s + 2 * waits_s + LIVE_S + support.proof_s,
            "late_s": length_s + waits_s + 60.0,
            "wait_s": waits_s + length_s,
            # where only a newer row proves that a bucket is over, that may be a bucket later
            "usual_s": waits_s + UNEASE_S + (length_s if support.proof_s else 0.0),
            "slow": _is_thin(stage, one, state.frontier_ns),
            "shut": not any(
                candle.close_ns + waits_s * SECOND_NS < ended_ns
                for candle in stage.venues.truth(name, state.frontier_ns, ended_ns)
            ),
            "restless": one.venue == "harbour",
            "brief": one.venue == "harbour" and "short lives" in stage.script.habits,
            # a bucket over whose end no stream lives is history's
            "by_request": (stage.planned[name] == "poll" and one.venue != "dxlink") or one.venue == "harbour",
            "condition": told.condition.value,
            "trouble": told.trouble,
            "rung": told.rung.value,
            "planned": stage.planned[name],
            "detours": _detours(stage, name, ended_ns),
            "wrong": [
                _troubled(act, *stage.spans[act.number])
                for act in stage.script.acts
                if act.number in stage.spans
                and act.trouble.place in {one.venue, "line", "clock", "machine", "process", "roster", "pool"}
                and stage.acting.venue_of(act) in {one.venue, ""}
                and act.trouble.name != "late_trade"
            ],
            "prompt": prompted or stage.script.ways.get(name, Way()).priority,
            "misled": [
                _misled(act, *stage.spans[act.number])
                for act in stage.script.acts
                if _misleads(stage, act, one) and act.number in stage.spans
            ]
            + [
                _hidden(stage.spans[act.number][0])
                for act in stage.script.acts
                if act.trouble.hides and act.trouble.place == one.venue and act.number in stage.spans
            ]
            + lost,
            "unaudited": [
                _misled(act, *stage.spans[act.number])
                for act in stage.script.acts
                if act.trouble.name == "late_trade"
                and act.trouble.place == one.venue
                and (
                    stage.script.hours * 3_600.0 < act.until_s + audited_s
                    or not _is_compared(stage, act, name)
                )
            ],
            "excused": [
                _excused(act, one.venue, *stage.spans[act.number])
                for act in stage.script.acts
                if act.number in stage.spans and stage.acting.venue_of(act) in {one.venue, ""}
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
        "pushed": [
            [life, str(candle.series), candle.open_ns, candle.revision] for life, candle in stage.heard.pushed
        ],
        "trades": _trades(stage),
        "samples": [
            one
            for one in stage.sampler.samples
            if not any(since_ns <= one[0] <= until_ns for since_ns, until_ns in lost)
        ],
        "bare": [one for one in stage.sampler.bare if one[1] in series],  # feeds have no other route
        "switches": stage.heard.switches,
        "lies": _lies(stage),
        "ends": _by_venue(stage, stage.books.ends),
        "failed": {f"{host} in life {life}": times for (host, life), times in stage.books.failed.items()},
        "forlorn": {f"{host} in life {life}": times for (host, life), times in stage.books.forlorn.items()},
        "refusals": {f"{host} in life {life}": told for (host, life), told in stage.books.refusals.items()},
        "turned_away": {
            f"{host} in life {life}": told for (host, life), told in stage.books.turned_away.items()
        },
        "sent_away": {f"{host} in life {life}": told for (host, life), told in stage.books.sent_away.items()},
        "own_failures": {
            f"{who} in life {life}": times for (who, life), times in stage.books.own_failures.items()
        },
        "knocks": {f"{host} in life {life}": times for (host, life), times in stage.books.connects.items()},
        "reads": _reads(stage),
        "asked": {f"{host} in life {life}": times for (host, life), times in stage.books.requests.items()},
        "connects": _by_venue(stage, stage.books.connects),
        "requests": _by_venue(stage, stage.books.requests),
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
    """Return from when until when a series was polled that has a stream; a new process starts anew."""
    if stage.planned[name] == "poll":
        return []
    deaths = [
        (stage.spans[act.number][0], "")
        for act in stage.script.acts
        if act.trouble.place == "process" and act.number in stage.spans
    ]
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


def _troubled(act: Act, since_ns: int, until_ns: int) -> list[int]:
    """Return for how long a trouble keeps a series from its planned route: what is refused is left alone."""
    longer_s = QUARANTINE_S if act.trouble.name == "refuse" and act.trouble.place != "line" else 0.0
    return [since_ns, until_ns + round((RETURN_S + longer_s) * SECOND_NS)]


def _is_thin(stage: Stage, one: Series, until_ns: int) -> bool:
    """Say whether buckets of a series are often empty: those are waited for, as many as usual."""
    since_ns = until_ns - 20 * one.timeframe.nominal_ns
    return len(stage.venues.truth(str(one), since_ns, until_ns)) < 20


def _misleads(stage: Stage, act: Act, one: Series) -> bool:
    """Say whether a trouble shows a part of a series as the whole.

    What a stream leaves out is noticed by what it usually brings, which a young process has not learnt yet.
    """
    begun_s = [0.0, *(each.since_s for each in stage.script.acts if each.trouble.place == "process")]
    young = any(-DROPPED_S <= act.since_s - at_s < YOUNG_S for at_s in begun_s)
    left_out = young and act.trouble.name == "drop_candle"
    return (act.trouble.misleads or left_out) and stage.acting.venue_of(act) in {one.venue, ""}


def _misled(act: Act, since_ns: int, until_ns: int) -> list[int]:
    if act.trouble.name == "drop_candle":
        until_ns += round(DROPPED_S * SECOND_NS)
    return [since_ns - round(MISLED_BEFORE_S * SECOND_NS), until_ns + round(MISLED_AFTER_S * SECOND_NS)]


def _hidden(since_ns: int) -> list[int]:
    return [since_ns, since_ns + round(HIDDEN_S * SECOND_NS)]


def _excused(act: Act, venue: str, since_ns: int, until_ns: int) -> list[int | float | None]:
    """Return between which ends of buckets these may be told later because of an act, and by how much.

    What ends every connection takes the history of DXLink with it, which comes over one.
    """
    until_ns += round(BACK_S * SECOND_NS)
    leaves_history = act.trouble.leaves_history and (venue != "dxlink" or act.trouble.fault is not None)
    detour = leaves_history or act.trouble.place == "clock"
    return [since_ns, until_ns, DETOUR_S if detour else None]


def _is_compared(stage: Stage, act: Act, name: str) -> bool:
    """Say whether any process lived long enough to compare with history what an act changed of a series."""
    every_s = 3_600.0 if stage.planned[name] == "poll" else 900.0
    ago_s = float(act.trouble.details["ago_s"])
    length_s = Series.parse(name).timeframe.nominal_ns / SECOND_NS
    reach_s = max(1.4 * every_s, min(300, stage.supports[name].page_rows) * length_s - WAKING_S)
    deaths = [each for each in stage.script.acts if each.trouble.place == "process"]
    starts_s = [0.0, *(each.since_s + each.trouble.details["away_s"] for each in deaths)]
    ends_s = [*(each.since_s for each in deaths), stage.script.hours * 3_600.0]
    slept_s = {
        start_s: sum(
            each.trouble.details["for_s"]
            for each in stage.script.acts
            if each.trouble.name == "asleep" and act.since_s <= each.since_s <= start_s
        )
        for start_s in starts_s
    }
    return any(
        end_s - start_s > 0.5 * every_s + WAKING_S
        and start_s + slept_s[start_s] - (act.since_s - ago_s) < reach_s
        if start_s > act.since_s
        else end_s - act.since_s > 1.5 * every_s + WAKING_S
        for start_s, end_s in zip(starts_s, ends_s, strict=True)
    )


def _lies(stage: Stage) -> list[list[int | str]]:
    """Return where and between when streams contradict history; the first that is healed heals the others."""
    spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for act in stage.script.acts:
        if act.trouble.name in {"doubles", "moody"} and act.number in stage.spans:
            where = act.trouble.place, act.trouble.name
            spans.setdefault(where, []).append(stage.spans[act.number])
    return [
        [place, since_ns, min(until_ns for _, until_ns in lies if until_ns > since_ns)]
        for (place, _), lies in spans.items()
        for since_ns, _ in lies
    ]


def _lost_in_time(stage: Stage) -> list[list[int]]:
    """Return when the machine had just woken while its clock was set back: nobody knows how long it slept.

    Where both are as long no time seems to be gone at all.
    """
    set_by = [act for act in stage.script.acts if act.trouble.place == "clock" and act.number in stage.spans]
    found: list[list[int]] = []
    for act in stage.script.acts:
        if act.trouble.name != "asleep" or act.number not in stage.spans:
            continue
        fell_ns = stage.spans[act.number][0]
        woke_ns = fell_ns + round(act.trouble.details["for_s"] * SECOND_NS)
        off_s = sum(
            each.trouble.details["by_s"]
            for each in set_by
            if stage.spans[each.number][0] <= fell_ns <= stage.spans[each.number][1]
        )
        if off_s < 0:
            found.append([fell_ns, woke_ns + round(WAKING_S * SECOND_NS)])
    return found


def _reads(stage: Stage) -> list[dict[str, Any]]:
    """Return what was read of history, and what the venue had, where nothing but the store was in trouble."""
    found: list[dict[str, Any]] = []
    for name, since_ns, called_ns, ended_ns, opens in stage.reads:
        one = Series.parse(name)
        disturbed = any(
            begun_ns - READ_S * SECOND_NS < ended_ns and called_ns < healed_ns + READ_S * SECOND_NS
            for act in stage.script.acts
            if act.number in stage.spans
            and (act.trouble.place not in {"store", "host", "calm"} or act.trouble.name == "load_fails")
            and stage.acting.venue_of(act) in {one.venue, ""}
            for begun_ns, healed_ns in [stage.spans[act.number]]
        )
        if not disturbed:
            until_ns = called_ns - round(READ_S * SECOND_NS)
            truth = [candle.open_ns for candle in stage.venues.truth(name, since_ns, until_ns)]
            found.append({"series": name, "at_ns": ended_ns, "truth": truth, "opens": list(opens)})
    return found


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
                    _around(stage, act, *stage.spans[act.number])
                    for act in stage.script.acts
                    if act.number in stage.spans and _breaks_feed(stage, act, one)
                ),
            ],
        }
    return found


def _breaks_feed(stage: Stage, act: Act, one: Series) -> bool:
    """Say whether trades of a feed may be lost or come twice because of an act.

    Nobody stores them. A connection is replaced without a loss where the venue allows another beside it.
    """
    if act.trouble.is_quiet:
        return False
    if act.trouble.name == "rotate":
        return one.venue == "alpaca"
    breaks = act.trouble.fault is not None or act.trouble.place in {
        "line",
        "machine",
        "process",
        "roster",
        "pool",
    }
    return breaks and stage.acting.venue_of(act) in {one.venue, ""}


def _around(stage: Stage, act: Act, since_ns: int, until_ns: int) -> list[int]:
    """Return between when trades may be lost, or come twice, because of an act."""
    if act.trouble.place == "process":  # whoever begins asks the store first what it knows
        loading = [each for each in stage.script.acts if each.trouble.name == "load_fails"]
        spans = [stage.spans[each.number] for each in loading if each.number in stage.spans]
        healed = [healed_ns for begun_ns, healed_ns in spans if begun_ns <= until_ns + BACK_S * SECOND_NS]
        until_ns = max([until_ns, *healed])
    if act.trouble.name == "duplicate_trades":  # it repeats what was long before
        since_ns = 0
    if act.trouble.name == "refuse" and act.trouble.place != "line":
        until_ns += round(QUARANTINE_S * SECOND_NS)
    return [since_ns - round(FEED_BEGINS_S * SECOND_NS), until_ns + round(BACK_S * SECOND_NS)]


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

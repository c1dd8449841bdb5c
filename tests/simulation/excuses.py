"""What a trouble excuses: when what is told of which series may be wrong, late or lost because of it."""

from __future__ import annotations

from typing import Final

from tests.simulation.script import Act
from tests.simulation.stage import Stage
from wickwire import SECOND_NS, Series, Utc

__all__ = [
    "DETOUR_S",
    "FEED_BEGINS_S",
    "around",
    "breaks_feed",
    "excused",
    "hidden",
    "is_compared",
    "lies",
    "lost_in_time",
    "misleads",
    "misled",
    "overtaken",
    "quarantined_ns",
    "replacements",
    "troubled",
]

MISLED_BEFORE_S: Final = 120.0
MISLED_AFTER_S: Final = 240.0
WAKING_S: Final = 120.0
"""How long a machine that slept may take until a venue tells it what time it is."""
NOTICED_S: Final = 2.0
"""A clock that is set so soon after waking hides the sleep: nobody has looked at it meanwhile."""
HIDDEN_S: Final = 30.0
"""So long after a silence began a bucket may begin of which a first row still came."""
OVERTAKEN_S: Final = 30.0
"""So long after bars began to be lost an older one may come late, and look like what was lost."""
BACK_S: Final = 480.0
"""How long after a trouble that stops everything an attempt may still be waited for."""
RETURN_S: Final = 180.0
"""So long after a trouble a stream is there again, and its trial begins."""
SOLE: Final = frozenset({"alpaca"})
"""Who allows one connection."""
REOPENED_S: Final = 60.0
"""So long after its connection was closed on purpose a stream is there again, by the venue's patience."""
QUARANTINE_S: Final = 600.0
"""How long a symbol that the venue does not know is left alone."""
YOUNG_BUCKETS: Final = 3
YOUNG_S: Final = 1_200.0
DROPPED_S: Final = 600.0
"""A candle that a stream drops is the next that begins: so long after it is over, for five minutes. Rows that
it loses are the next that it has for anybody, which may be after the process has come back."""
FEED_BEGINS_S: Final = 60.0
DETOUR_S: Final = 60.0
"""How much later a candle may be told that comes by history because its stream is in trouble."""


def troubled(act: Act, since_ns: int, until_ns: int) -> list[int]:
    """Return for how long a trouble keeps a series from its planned route: what is refused is left alone."""
    longer_s = QUARANTINE_S if act.trouble.name == "refuse" and act.trouble.place != "line" else 0.0
    return [since_ns, until_ns + round((RETURN_S + longer_s) * SECOND_NS)]


def quarantined_ns(stage: Stage, one: Series) -> int:
    """Return until when a symbol may be left alone that its venue did not know; 0 where it always did."""
    denied = [
        stage.spans[act.number][1]
        for act in stage.script.acts
        if act.trouble.name == "delisted"
        and act.number in stage.spans
        and act.trouble.place == one.venue
        and act.trouble.details["symbol"].replace("-", "/") == one.symbol
    ]
    return max((until_ns + round(QUARANTINE_S * SECOND_NS) for until_ns in denied), default=0)


def replacements(stage: Stage, venue: str) -> list[list[int]]:
    """Return for how long replacing connections breaks a stream, however often somebody wants it.

    That is where one is closed before the next is opened; elsewhere the next one is there before.
    """
    if venue not in SOLE:
        return []
    longest_ns = round(REOPENED_S * SECOND_NS)
    return [[at_ns, at_ns + longest_ns] for at_ns, where in stage.replacing if where == venue]


def misleads(stage: Stage, act: Act, one: Series) -> bool:
    """Say whether a trouble shows a part of a series as the whole.

    What a stream leaves out is noticed by what it usually brings, which a young process has not learnt yet.
    """
    begun_s = [0.0, *(each.since_s for each in stage.script.acts if each.trouble.place == "process")]
    young = any(-DROPPED_S <= act.since_s - at_s < YOUNG_S for at_s in begun_s)
    left_out = young and act.trouble.name == "drop_candle"
    return (act.trouble.misleads or left_out) and stage.acting.venue_of(act) in {one.venue, ""}


def misled(act: Act, since_ns: int, until_ns: int) -> list[int]:
    if act.trouble.name in {"drop_candle", "lose_rows"}:
        until_ns += round(DROPPED_S * SECOND_NS)
    return [since_ns - round(MISLED_BEFORE_S * SECOND_NS), until_ns + round(MISLED_AFTER_S * SECOND_NS)]


def hidden(since_ns: int) -> list[int]:
    return [since_ns, since_ns + round(HIDDEN_S * SECOND_NS)]


def overtaken(since_ns: int) -> list[int]:
    return [since_ns, since_ns + round(OVERTAKEN_S * SECOND_NS)]


def excused(act: Act, venue: str, since_ns: int, until_ns: int) -> list[int | float | None]:
    """Return between which ends of buckets these may be told later because of an act, and by how much.

    What ends every connection takes the history of DXLink with it, which comes over one.
    """
    until_ns += round(BACK_S * SECOND_NS)
    leaves_history = act.trouble.leaves_history and (venue != "dxlink" or act.trouble.fault is not None)
    detour = leaves_history or act.trouble.place == "clock"
    return [since_ns, until_ns, DETOUR_S if detour else None]


def is_compared(stage: Stage, act: Act, name: str) -> bool:
    """Say whether any process lived long enough to compare with history what an act changed of a series.

    What cannot be read then waits for the next audit, of the same process.
    """
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
    unread = [
        each
        for each in stage.script.acts
        if each.trouble.name == "bad_rows" and each.trouble.place == act.trouble.place
    ]
    return any(
        end_s - start_s > 0.5 * every_s + WAKING_S
        and start_s + slept_s[start_s] - (act.since_s - ago_s) < reach_s
        and all(end_s - one.until_s > 1.5 * every_s + WAKING_S for one in unread if one.until_s > start_s)
        if start_s > act.since_s
        else all(
            end_s - since_s > 1.5 * every_s + WAKING_S
            for since_s in (act.since_s, *(one.until_s for one in unread if one.until_s > act.since_s))
        )
        for start_s, end_s in zip(starts_s, ends_s, strict=True)
    )


def lies(stage: Stage) -> list[list[int | str]]:
    """Return where and between when streams contradict history; the first that is healed heals the others."""
    spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for act in stage.script.acts:
        if act.trouble.name in {"doubles", "moody"} and act.number in stage.spans:
            where = act.trouble.place, act.trouble.name
            spans.setdefault(where, []).append(stage.spans[act.number])
    told = [
        (place, name, since_ns, min(until_ns for _, until_ns in others if until_ns > since_ns))
        for (place, name), others in spans.items()
        for since_ns, _ in others
    ]
    found: list[list[int | str]] = [[place, *span] for place, name, *span in told if name != "moody"]
    for place, _, since_ns, until_ns in [one for one in told if one[1] == "moody"]:
        found += [
            [name, *span]
            for name in stage.script.series
            if Series.parse(name).venue == place and _is_lied_about(stage, name, since_ns, until_ns)
            for span in _settled(stage, name, since_ns, until_ns)
        ]
    return found


def _settled(stage: Stage, name: str, since_ns: int, until_ns: int) -> list[list[int]]:
    """Return the parts of a span in which no connection is young: its first bucket proves nothing."""
    one = Series.parse(name)
    young_ns = YOUNG_BUCKETS * one.timeframe.nominal_ns
    opened = [at_ns for at_ns, well, stream in stage.books.tries.get(one.venue, ()) if well and stream]
    within = [at_ns for at_ns in opened if since_ns <= at_ns < until_ns]
    begins = [since_ns, *(at_ns + young_ns for at_ns in within)]
    return [
        [begin_ns, end_ns]
        for begin_ns, end_ns in zip(begins, [*within, until_ns], strict=True)
        if begin_ns < end_ns
    ]


def _is_lied_about(stage: Stage, name: str, since_ns: int, until_ns: int) -> bool:
    """Say whether something was traded in every second bucket: of others there is nothing to lie about.

    What was told only later does not count: history knew nothing of it either.
    """
    one = Series.parse(name)
    size_ns = one.timeframe.nominal_ns
    rows = stage.venues.market.candles(one.symbol, one.timeframe, since_ns, until_ns, grid=Utc())
    opens = {row.open_ns for row in rows}
    first_ns = -(-since_ns // size_ns) * size_ns
    seconds = [ns for ns in range(first_ns, until_ns - size_ns, size_ns) if ns // size_ns % 2]
    return opens.issuperset(seconds)


def lost_in_time(stage: Stage) -> list[list[int]]:
    """Return when the machine had just woken while its clock was set back: nobody knows how long it slept.

    Where both are as long no time seems to be gone at all. It may also be set back in the moment of waking,
    before anybody noticed.
    """
    set_by = [
        moment
        for act in stage.script.acts
        if act.trouble.place == "clock" and act.number in stage.spans
        for moment in zip(stage.spans[act.number], (act.trouble.details["by_s"], 0.0), strict=True)
    ]
    found: list[list[int]] = []
    for act in stage.script.acts:
        if act.trouble.name != "asleep" or act.number not in stage.spans:
            continue
        fell_ns = stage.spans[act.number][0]
        woke_ns = fell_ns + round(act.trouble.details["for_s"] * SECOND_NS)
        noticed_ns = woke_ns + round(NOTICED_S * SECOND_NS)
        before = max([(0, 0.0), *(one for one in set_by if one[0] <= fell_ns)])  # it is set, not moved
        meanwhile = [one for one in set_by if fell_ns < one[0] <= noticed_ns]
        if any(by_s < 0 for _, by_s in [before, *meanwhile]):
            found.append([fell_ns, woke_ns + round(WAKING_S * SECOND_NS)])
    return found


def breaks_feed(stage: Stage, act: Act, one: Series) -> bool:
    """Say whether trades of a feed may be lost or come twice because of an act.

    Nobody stores them. A connection is replaced without a loss where the venue allows another beside it.
    """
    if act.trouble.is_quiet:
        return False
    if act.trouble.name == "rotate":
        return one.venue in SOLE
    breaks = act.trouble.fault is not None or act.trouble.place in {
        "line",
        "machine",
        "process",
        "roster",
        "pool",
    }
    return breaks and stage.acting.venue_of(act) in {one.venue, ""}


def around(stage: Stage, act: Act, since_ns: int, until_ns: int) -> list[int]:
    """Return between when trades may be lost, or come twice, because of an act."""
    lost_ns = since_ns
    if act.trouble.place == "process":  # whoever begins asks the store first what it knows
        loading = [each for each in stage.script.acts if each.trouble.name == "load_fails"]
        spans = [stage.spans[each.number] for each in loading if each.number in stage.spans]
        healed = [healed_ns for begun_ns, healed_ns in spans if begun_ns <= until_ns + BACK_S * SECOND_NS]
        until_ns = max([until_ns, *healed])
    if act.trouble.name == "duplicate_trades":  # it repeats what was long before
        since_ns = 0
    if act.trouble.name == "lose_trades":  # the next so many, however long they take
        for _ in range(act.trouble.details["count"]):
            lost_ns = stage.venues.market.next_trade_ns(act.trouble.details["symbol"], lost_ns)
        until_ns = max(until_ns, lost_ns)
    if act.trouble.name == "refuse" and act.trouble.place != "line":
        until_ns += round(QUARANTINE_S * SECOND_NS)
    return [since_ns - round(FEED_BEGINS_S * SECOND_NS), until_ns + round(BACK_S * SECOND_NS)]

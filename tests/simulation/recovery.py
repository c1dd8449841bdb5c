"""I6: whether a run recovered, in time and for good. By plain data, as `checker` describes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from tests.simulation.judging import MOST_NAMED, Row, Run, S, few

__all__ = ["calm", "recovered", "resumed", "returned", "timely"]

RECOVERY_S: Final = 30.0
"""R of I6: so long after the first attempt that the schedule allows, data flows."""
LONGEST_WAIT_S: Final = 420.0
"""The longest that the schedule lets an attempt wait: twice the cap of three minutes where only a person can
help, and a minute for what the venue asked itself."""
BUCKETS_ON_TRIAL: Final = 6
"""I6: a series is back on its planned route after so many candles: two have to agree."""
BUCKETS_POLLED: Final = 5
BUCKETS_HARD: Final = 10
BUCKETS_HARDEST: Final = 16
"""I6: so many candles with nothing wrong, in one go, are polled at most where a stream is planned; the second
where connections end before most buckets do, or many questions are refused, each with its comparison, and the
third where both is so (seed 1114)."""
BUCKETS_BELATED: Final = 2
"""So many more where a bar may come after the next one: such a bucket proves nothing."""
FOREVER_S: Final = 1e9
CALM_S: Final = 900.0
"""So long after the last trouble no series changes its route any more, except back to the planned one."""
TRIAL_S: Final = 90.0
"""What a stream brought before it began to lie may still speak for it so long."""
HEARD_S: Final = 200.0
"""A connection is replaced in a minute and a half at most, and some venues have several."""
WELL: Final = frozenset({"live", "quiet", "polled"})


def recovered(name: str, series: Run, run: Run) -> list[str]:
    """I6: at the end everything is well again, collected as planned, and nothing lags behind."""
    lines: list[str] = []
    behind_s = (run["ended_ns"] - series["frontier_ns"]) / S
    if behind_s > series["late_s"] and not series["shut"]:
        lines.append(f"I6 {name}: {behind_s:.0f} s behind at the end; {series['late_s']:.0f} are allowed")
    holes = [hole for hole in series["holes"] if hole[2] != "unreachable"]
    lines += few(holes, lambda hole: f"I6 {name}: a hole is left that history could heal: {hole}")
    well = (
        WELL | ({"stale"} if series["shut"] else set()) | ({"reconnecting"} if series["restless"] else set())
    )
    if series["condition"] not in well:
        lines.append(f"I6 {name}: {series['condition']} at the end: {series['trouble']}")
    since = [row for row in series["truth"] if row[0] >= run["healed_ns"]]
    if series["rung"] != series["planned"] and len(since) >= BUCKETS_ON_TRIAL and not series["brief"]:
        lines.append(f"I6 {name}: by {series['rung']} at the end, planned is {series['planned']}")
    return lines


def returned(name: str, series: Run) -> list[str]:
    """I6: a fallback ends soon after what caused it, however often connections end meanwhile."""
    calm = [
        (row[0], row[1])
        for row in series["truth"]
        if not any(since_ns < row[1] and row[0] < until_ns for since_ns, until_ns in series["wrong"])
    ]
    polled = [
        (since_ns, sum(since_ns <= open_ns and close_ns <= until_ns for open_ns, close_ns in calm))
        for since_ns, until_ns in series["detours"]
    ]
    hard = bool(series["brief"]) + bool(series["evasive"])
    most = (BUCKETS_POLLED, BUCKETS_HARD, BUCKETS_HARDEST)[hard] + BUCKETS_BELATED * bool(series["belated"])
    return few(
        [one for one in polled if one[1] > most],
        lambda one: f"I6 {name}: polled since {one[0]}, for {one[1]} candles with nothing wrong",
    )


def timely(name: str, series: Run, delivered: Sequence[Row]) -> list[str]:
    """I6: a candle is told soon after its end, where no trouble excuses that it is not."""
    if series["slow"]:
        return []
    late: list[tuple[int, float, float]] = []
    usual_s = series["usual_s"]
    for at_ns, _, _, row, revision, _ in delivered:
        most_s = usual_s + max(_excuses(series, row[1], usual_s), default=0.0)
        excused = math.isinf(max(_excuses(series, row[1], most_s), default=0.0))
        if revision == 0 and row[0] >= series["origin_ns"] and at_ns > row[1] + most_s * S and not excused:
            late.append((row[0], (at_ns - row[1]) / S, most_s))
    return few(
        late, lambda one: f"I6 {name}: {one[0]} was told {one[1]:.0f} s after its end, not {one[2]:.0f}"
    )


def _excuses(series: Run, ended_ns: int, within_s: float) -> list[float]:
    """Return by how much later a bucket may be told for troubles from its end until *within_s* after it."""
    until_ns = ended_ns + min(within_s, FOREVER_S) * S
    return [
        math.inf if by_s is None else by_s
        for since_ns, last_ns, by_s in series["excused"]
        if since_ns <= until_ns and ended_ns <= last_ns
    ]


def calm(run: Run) -> list[str]:
    """I6: where nothing is wrong nothing changes."""
    left = [
        (at_ns, name, route)
        for at_ns, name, route in run["switches"]
        if at_ns > run["healed_ns"] + CALM_S * S
        and route != run["series"].get(name, {}).get("planned", route)
        and not run["series"][name]["brief"]
    ]
    # what ends by itself may take longer to be there again than is waited for: the lots say so, but not often
    ended = [one for one in left if run["series"][one[1]]["restless"]][:1]
    lines = [
        f"I6 {name}: went to {route} at {at_ns}, and nothing was wrong"
        for at_ns, name, route in left
        if (at_ns, name, route) not in ended
    ]
    lines += [
        f"I6 {name}: says at {at_ns} that it comes by a stream, and for long there was none"
        for at_ns, name in run["bare"]
    ]
    lines += [
        f"I6 {venue}: {there} of {wanted} connections are there at {at_ns}, and the others are not even tried"
        for at_ns, venue, there, wanted in run["apart"]
    ]
    lines += [
        f"I6 {venue}: at {at_ns} a connection was not replaced without a gap in all the calm: {trouble}"
        for at_ns, venue, replaced, broken, trouble in run["rotated"]
        if not replaced or broken
    ]
    lines += [
        f"I6 {venue}: who wanted connections replaced at {at_ns} has not heard of it"
        for at_ns, venue in run["waiting"]
        if run["ended_ns"] - at_ns > HEARD_S * S
    ]
    lines += [
        f"I6 {name}: went back to {route} at {at_ns}, which lies"
        for at_ns, name, route in run["switches"]
        for venue, since_ns, until_ns in run["lies"]
        if route != "poll"
        and name.startswith(f"{venue}:" if ":" not in venue else venue)
        and since_ns + TRIAL_S * S < at_ns < until_ns
    ]
    return lines[:MOST_NAMED]


def resumed(run: Run) -> list[str]:
    """I6: after the last trouble attempts come as the schedule allows, and with one that succeeds data flow.

    Counted from the first attempt after the end of the troubles that went well. While a connection lived
    through them none is needed, so it counts from their end where candles flow without one.
    """
    lines: list[str] = []
    for venue, tries in run["tries"].items():
        well = [(at_ns, stream) for at_ns, well, stream in tries if well and at_ns >= run["healed_ns"]]
        after = [at_ns for at_ns, _ in well]
        names = [name for name in run["series"] if run["series"][name]["venue"] == venue]
        flowed = [one[0] for one in run["delivered"] if one[2] in names and one[0] >= run["healed_ns"]]
        flowed += [run["first_ns"][venue]] if venue in run["first_ns"] else []
        waited_s = (min(after + flowed, default=run["ended_ns"]) - run["healed_ns"]) / S
        if names and not all(run["series"][name]["shut"] for name in names) and waited_s > LONGEST_WAIT_S:
            lines.append(f"I6 {venue}: nothing was tried or told for {waited_s:.0f} s after the last trouble")
        for name in names:
            series = run["series"][name]
            ways = [at_ns for at_ns, stream in well if not (stream and series["by_request"])]
            closes = [row for row in series["truth"] if ways and row[0] >= ways[0]]
            if not closes or series["slow"]:
                continue
            asked_ns = max(closes[0][1], series["quarantined_ns"])
            due_ns = asked_ns + round((series["wait_s"] + RECOVERY_S) * S)
            told = [one[0] for one in run["delivered"] if one[2] == name and one[3][0] == closes[0][0]]
            if due_ns < run["ended_ns"] and (not told or told[0] > due_ns):
                late = "never" if not told else f"{(told[0] - closes[0][1]) / S:.0f} s after its end"
                lines.append(f"I6 {name}: {closes[0][0]}, the first after the troubles, was told {late}")
    return lines

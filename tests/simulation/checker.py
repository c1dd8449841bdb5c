"""Judges a simulated run by plain data: which of the invariants I1 to I12 are broken, and how.

Nothing here knows wickwire, and nothing of wickwire is imported: what is handed in could be read from JSON.
All times are integer nanoseconds of the venues' own time unless a name says otherwise; values are texts.

A *row* is `[open_ns, close_ns, open, high, low, close, volume, trades, vwap]`; the last two may be None.

What is compared:

* `series`: by name `{venue, truth, stored, origin_ns, frontier_ns, holes, live_limit_s, polled_limit_s,
  late_s, wait_s, slow, shut, restless, condition, trouble, rung, planned, misled, prompt, called_empty,
  denied}`;
  *called_empty* are `[at_ns, open_ns]` of buckets that a commit left out and called no hole, *denied* those
  of buckets that one brought and called a hole, *truth* and *stored* are rows, and `holes`
  `[since_ns, until_ns, kind]`; *late_s* is how far the frontier may be behind at the end, *wait_s*
  how long after its end a bucket is told at most while all is well, *slow* says that many are empty, *shut*
  that nothing was traded beyond the frontier in a bucket that could be known by now, *restless* that
  connections end all the time, also at the end of the run, *brief* that few live for a bucket, *by_request*
  that candles need REST, *detours* are `[since_ns, until_ns]` in which it was polled though a stream is
  planned, *wrong* those in which something keeps it from its stream, and *misled* are `[since_ns,
  until_ns]` in which the venue says what it takes back later, *unaudited* those in which it did so too
  lately for an audit to have come by, and *excused* `[since_ns, until_ns, by_s]` in which buckets that end
  may be told later than *usual_s* after it, by so much (None: by any time).
* `delivered`: `[at_ns, life, series, row, revision, seq]` in the order of delivery, by a reader whose cursor
  outlives the process; `pushed`: `[life, series, open_ns, revision]`, what listeners got.
* `trades`: by series `{told, true, excused}`, the first two of `[time_ns, price, size]`; *excused* are
  `[since_ns, until_ns]` in which some may be lost, or told twice.
* `samples`: `[at_ns, series, condition, route, seen_ns]`: what was said, and when data came last.
* `bare`: `[at_ns, series]` of what was said to come by a stream while the venue had none for 99 s.
* `tries`: by venue `[[at_ns, well, stream], ...]`; `healed_ns`, `ended_ns`; `first_ns`: by venue, when data
  came first since *healed_ns*.
* `peaks` and `bounds`: by name, what there was at most, and what is allowed.
* `switches`: `[at_ns, series, route]`; `connects` and `requests`: by venue and life, when in seconds; `ends`:
  the same of streams that the other side ended, or nobody.
* `lies`: `[venue, since_ns, until_ns]` in which its streams say what history contradicts, once they are back.
* `asked`: by host and life, when a request was sent in seconds, `failed` when a stream was not opened, and
  `forlorn` where for long there had been none; `refusals`: by the same `[at_s, asked_s]` of answers that
  there were too many, and for how long the venue wanted peace.
* `left`: `[series, since_ns, seen_ns]` of what is not wanted since then, and when data of it came last;
  `open_at_last`: streams that are open though nothing is wanted any more.
* `stops`: seconds that each orderly stop took; `orphans`: what was left running after the last.
* `limits`: `{what, amount, per_s, burst, times}` with *times* in seconds.
* `secrets`, `outputs`: texts.
* `frames`: `[handed, told]`; `committed`: `[told, news, unanswered]`, where nobody
  knows of the last that they were stored unless he looks; `log`: `[at_ns, level, text]`, and `expected`,
  beginnings of the lines that the troubles explain.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

__all__ = ["differing", "judge"]

S: Final = 1_000_000_000

RECOVERY_S: Final = 30.0
"""R of I6: so long after the first attempt that the schedule allows, data flows."""
LONGEST_WAIT_S: Final = 420.0
"""The longest that the schedule lets an attempt wait: twice the cap of three minutes where only a person can
help, and a minute for what the venue asked itself."""
STOP_S: Final = 10.0
BUCKETS_ON_TRIAL: Final = 6
"""I6: a series is back on its planned route after so many candles: two have to agree."""
BUCKETS_POLLED: Final = 5
BUCKETS_BRIEF: Final = 10
"""I6: so many candles with nothing wrong, in one go, are polled at most where a stream is planned; the latter
where connections end before most buckets do."""
SLACK_S: Final = 1.0
"""I5: an alert comes at most so much later."""
LEAVING_S: Final = 10.0
"""Data of what is not wanted any more ends after so long."""
FOREVER_S: Final = 1e9
CALM_S: Final = 900.0
"""So long after the last trouble no series changes its route any more, except back to the planned one."""
TRIAL_S: Final = 90.0
"""What a stream brought before it began to lie may still speak for it so long."""
MOST_CONNECTS: Final = 40
LINK_CONNECTS: Final = 18
MOST_REQUESTS: Final = 60
"""Of one venue in ten minutes, by one process: connections, more where there are more series, and requests
for each of them, two at least; one that goes before others is asked for its running bucket too, and counts
twice."""
PEACE_S: Final = 10.0
"""So long nothing is asked after an answer that there were too many requests, whatever the venue says."""
UNDER_WAY_S: Final = 0.5
"""What is sent so soon after an answer may have been under way."""
MOST_FAILED: Final = 26
"""All connections to a venue that is down share one schedule, which doubles its waits; while one of them
still lives, others try by schedules of their own."""
MOST_FORLORN: Final = 16
"""Where none lives it is one schedule, whose waits are long by then."""
AT_ONCE_S: Final = 0.1
MANY_ENDS: Final = 12
"""Waits are drawn by lot from nothing to half a second or more: of so many streams that ended hardly half are
opened again at once."""
MOST_NAMED: Final = 3
WELL: Final = frozenset({"live", "quiet", "polled"})
LOG_LINES_A_MINUTE: Final = 120
TOLERANCE: Final = 1e-3
"""Instants of a loop that counts in floats are one when so near, in seconds."""

Row = Sequence[Any]
Run = Mapping[str, Any]


def judge(run: Run) -> list[str]:
    """Return what is broken, each line beginning with the number of an invariant."""
    lines: list[str] = []
    for name, series in run["series"].items():
        delivered = [one for one in run["delivered"] if one[2] == name]
        lines += _complete(name, series)
        lines += _once(name, series, delivered)
        lines += _exact(name, series, delivered)
        lines += _monotone(name, series, delivered)
        lines += _recovered(name, series, run)
        lines += _returned(name, series)
        lines += _timely(name, series, delivered)
    lines += _trades(run)
    lines += _honest(run)
    lines += _resumed(run)
    lines += _bounded(run)
    lines += _left(run)
    lines += _calm(run)
    lines += _stopped(run)
    lines += _polite(run)
    lines += _secret_free(run)
    lines += _accounted(run)
    return lines


def differing(schedule: Sequence[str], other: Sequence[str]) -> list[str]:
    """I8: return what only one of two schedules of a venue holds, with the times in it.

    One was seen while another venue was in trouble, the other while it was not.
    """
    one, two = Counter(schedule), Counter(other)
    return sorted([*(one - two).elements(), *(two - one).elements()])


# ------------------------------------------------------------------------------------------------ the data


def _complete(name: str, series: Run) -> list[str]:
    """I1: what the venue closed is stored, or lies in a hole that is on record."""
    stored = {row[0] for row in series["stored"]}
    lost = [row[0] for row in series["truth"] if row[0] not in stored and not _is_in(row[0], series["holes"])]
    told = [row[0] for row in series["truth"]]
    strange = sorted(stored - set(told))
    lines = _few(lost, lambda ns: f"I1 {name}: {ns} is neither stored nor in a hole")
    lines += _few(strange, lambda ns: f"I1 {name}: {ns} is stored, and the venue knows nothing of it")
    ends = {row[0]: row[1] for row in series["truth"]}
    false = [
        (at_ns, open_ns)
        for at_ns, open_ns in series["called_empty"]
        if open_ns in ends
        and not any(
            since_ns < ends[open_ns] and open_ns < until_ns for since_ns, until_ns in series["misled"]
        )
    ]
    lines += _few(
        series["denied"], lambda one: f"I1 {name}: {one[1]} was stored at {one[0]}, and called a hole"
    )
    return lines + _few(
        false, lambda one: f"I1 {name}: {one[1]} was called empty at {one[0]}, and the venue had a candle"
    )


def _once(name: str, series: Run, delivered: Sequence[Row]) -> list[str]:
    """I2: one candle a bucket in the store, and one first close a bucket for whoever reads with a cursor."""
    lines = _few(
        _doubles([row[0] for row in series["stored"]]), lambda ns: f"I2 {name}: {ns} is stored twice"
    )
    firsts = [(one[3][0], one[4]) for one in delivered]
    lines += _few(
        _doubles(firsts), lambda key: f"I2 {name}: {key[0]}, revision {key[1]}, was delivered twice"
    )
    handed = {one[3][0] for one in delivered}
    missed = [row[0] for row in series["stored"] if row[0] not in handed]
    return lines + _few(missed, lambda ns: f"I1 {name}: {ns} is stored and was never delivered")


def _exact(name: str, series: Run, delivered: Sequence[Row]) -> list[str]:
    """I3: what is stored is the venue's, digit for digit; so is each first close, unless it was misled."""
    truth = {row[0]: row for row in series["truth"]}
    wrong = [
        row
        for row in series["stored"]
        if row[0] in truth and not _same(row, truth[row[0]]) and not _overlaps(row, series["unaudited"])
    ]
    lines = _few(wrong, lambda row: f"I3 {name}: stored {row}, the venue says {truth[row[0]]}")
    misled = series["misled"]
    false = [
        one[3]
        for one in delivered
        if one[4] == 0
        and one[3][0] in truth
        and not _same(one[3], truth[one[3][0]])
        and not _overlaps(one[3], misled)
    ]
    lines += _few(false, lambda row: f"I3 {name}: first closed {row}, the venue says {truth[row[0]]}")
    early = [one for one in delivered if one[0] < one[3][1]]
    return lines + _few(early, lambda one: f"I3 {name}: {one[3][0]} was closed at {one[0]}, before its end")


def _monotone(name: str, series: Run, delivered: Sequence[Row]) -> list[str]:
    """I4: what is newer never gives way to what is older."""
    lines: list[str] = []
    newest: dict[int, Row] = {}
    for one in delivered:
        before = newest.get(one[3][0])
        if before is not None and (one[4] <= before[4] or one[5] <= before[5]):
            lines.append(f"I4 {name}: revision {one[4]} of {one[3][0]} came after revision {before[4]}")
        newest[one[3][0]] = one
    for row in series["stored"]:
        last = newest.get(row[0])
        if last is not None and not _same(last[3], row):
            lines.append(f"I4 {name}: {row[0]} was delivered last as {last[3]}, stored is {row}")
    return lines[:MOST_NAMED]


def _trades(run: Run) -> list[str]:
    """I1, I2, I3: no trade is told that never was, and while all is well each is told once."""
    lines: list[str] = []
    for name, trades in run["trades"].items():
        true, told = _counted(trades["true"]), _counted(trades["told"])
        false = [one for one in told if one not in true]
        lines += _few(false, lambda one, name=name: f"I3 {name}: the trade {one} never was")
        calm = [
            one
            for one in true
            if not any(since_ns <= one[0] < until_ns for since_ns, until_ns in trades["excused"])
        ]
        lost = [one for one in calm if told[one] < true[one]]
        lines += _few(lost, lambda one, name=name: f"I1 {name}: the trade {one} was not told")
        doubled = [one for one in calm if told[one] > true[one]]
        lines += _few(doubled, lambda one, name=name: f"I2 {name}: the trade {one} was told more than once")
    return lines


def _counted(trades: Sequence[Row]) -> Counter[tuple[int, Decimal, Decimal]]:
    return Counter((at_ns, Decimal(price), Decimal(size)) for at_ns, price, size in trades)


# ------------------------------------------------------------------------------------ what is said, and when


def _honest(run: Run) -> list[str]:
    """I5: who says live has had data within the limit, and who says polled an answer."""
    limits = {name: series["live_limit_s"] for name, series in run["series"].items()} | run["feed_limits"]
    polled = {name: series["polled_limit_s"] for name, series in run["series"].items()}
    lines: dict[tuple[str, str], str] = {}
    for at_ns, name, condition, route, seen_ns in run["samples"]:
        limit_s = (
            limits.get(name)
            if condition == "live"
            else polled.get(name)
            if (condition, route) == ("polled", "poll")
            else None
        )
        if limit_s is None:
            continue
        age_s = None if seen_ns is None else (at_ns - seen_ns) / S
        if age_s is None or age_s > limit_s + SLACK_S:
            aged = "nothing ever came" if age_s is None else f"the newest is {age_s:.0f} s old"
            lines.setdefault((name, condition), f"I5 {name}: says {condition} at {at_ns}, and {aged}")
    return list(lines.values())


def _recovered(name: str, series: Run, run: Run) -> list[str]:
    """I6: at the end everything is well again, collected as planned, and nothing lags behind."""
    lines: list[str] = []
    behind_s = (run["ended_ns"] - series["frontier_ns"]) / S
    if behind_s > series["late_s"] and not series["shut"]:
        lines.append(f"I6 {name}: {behind_s:.0f} s behind at the end; {series['late_s']:.0f} are allowed")
    holes = [hole for hole in series["holes"] if hole[2] != "unreachable"]
    lines += _few(holes, lambda hole: f"I6 {name}: a hole is left that history could heal: {hole}")
    well = (
        WELL | ({"stale"} if series["shut"] else set()) | ({"reconnecting"} if series["restless"] else set())
    )
    if series["condition"] not in well:
        lines.append(f"I6 {name}: {series['condition']} at the end: {series['trouble']}")
    since = [row for row in series["truth"] if row[0] >= run["healed_ns"]]
    if series["rung"] != series["planned"] and len(since) >= BUCKETS_ON_TRIAL and not series["brief"]:
        lines.append(f"I6 {name}: by {series['rung']} at the end, planned is {series['planned']}")
    return lines


def _returned(name: str, series: Run) -> list[str]:
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
    return _few(
        [one for one in polled if one[1] > (BUCKETS_BRIEF if series["brief"] else BUCKETS_POLLED)],
        lambda one: f"I6 {name}: polled since {one[0]}, for {one[1]} candles with nothing wrong",
    )


def _timely(name: str, series: Run, delivered: Sequence[Row]) -> list[str]:
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
    return _few(
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


def _calm(run: Run) -> list[str]:
    """I6: where nothing is wrong nothing changes."""
    lines = [
        f"I6 {name}: went to {route} at {at_ns}, and nothing was wrong"
        for at_ns, name, route in run["switches"]
        if at_ns > run["healed_ns"] + CALM_S * S
        and route != run["series"].get(name, {}).get("planned", route)
        and not run["series"][name]["brief"]
    ]
    lines += [
        f"I6 {name}: says at {at_ns} that it comes by a stream, and for long there was none"
        for at_ns, name in run["bare"]
    ]
    lines += [
        f"I6 {name}: went back to {route} at {at_ns}, which lies"
        for at_ns, name, route in run["switches"]
        for venue, since_ns, until_ns in run["lies"]
        if route != "poll" and name.startswith(f"{venue}:") and since_ns + TRIAL_S * S < at_ns < until_ns
    ]
    return lines[:MOST_NAMED]


def _left(run: Run) -> list[str]:
    """I7: what is not wanted any more is not asked for any more."""
    lines = [
        f"I7 {name}: its data still come {(seen_ns - since_ns) / S:.0f} s after it was left"
        for name, since_ns, seen_ns in run["left"]
        if seen_ns > since_ns + LEAVING_S * S
    ]
    return lines + [f"I7 {host} is connected, and nothing is wanted of it" for host in run["open_at_last"]]


def _resumed(run: Run) -> list[str]:
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
            due_ns = closes[0][1] + round((series["wait_s"] + RECOVERY_S) * S)
            told = [one[0] for one in run["delivered"] if one[2] == name and one[3][0] == closes[0][0]]
            if due_ns < run["ended_ns"] and (not told or told[0] > due_ns):
                late = "never" if not told else f"{(told[0] - closes[0][1]) / S:.0f} s after its end"
                lines.append(f"I6 {name}: {closes[0][0]}, the first after the troubles, was told {late}")
    return lines


def _bounded(run: Run) -> list[str]:
    """I7: nothing grows beyond its bound, the log included."""
    lines = [
        f"I7 {what}: {run['peaks'][what]} at once, {most} are allowed"
        for what, most in run["bounds"].items()
        if run["peaks"].get(what, 0) > most
    ]
    minutes: dict[int, int] = {}
    for at_ns, _, _ in run["log"]:
        minutes[at_ns // (60 * S)] = minutes.get(at_ns // (60 * S), 0) + 1
    worst = max(minutes.values(), default=0)
    if worst > LOG_LINES_A_MINUTE:
        lines.append(f"I7 log: {worst} lines in a minute, {LOG_LINES_A_MINUTE} are allowed")
    return lines


def _stopped(run: Run) -> list[str]:
    """I9: each orderly stop is over in ten seconds, and nothing is left running."""
    lines = [f"I9 a stop took {took_s:.1f} s" for took_s in run["stops"] if took_s > STOP_S]
    if run["orphans"]:
        lines.append(f"I9 left running: {run['orphans']}")
    return lines


def _polite(run: Run) -> list[str]:
    """I10: never more than a venue allows, in any window; and never a storm that it would allow."""
    lines: list[str] = []
    venues: Counter[str] = Counter()
    for series in run["series"].values():
        venues[series["venue"]] += 2 if series["prompt"] else 1
    for what in ("connects", "requests"):
        for who, times in run[what].items():
            count = venues[who.split()[0]]
            most = max(MOST_CONNECTS, LINK_CONNECTS * count)
            if what == "requests":
                most = MOST_REQUESTS * max(count, 2)
            worst = _most_at_once(times, 600.0)
            if worst > most:
                lines.append(f"I10 {who}: {worst} {what} in ten minutes, {most} are sensible")
    lines += _hasty(run)
    for limit in run["limits"]:
        rate, room = limit["amount"] / limit["per_s"], float(max(limit["burst"], 1))
        left, last_s = room, None
        for at_s in sorted(limit["times"]):
            if last_s is not None:
                left = min(room, left + (at_s - last_s) * rate)
            last_s, left = at_s, left - 1.0
            if left < -rate * TOLERANCE - 1e-6:
                lines.append(f"I10 {limit['what']}: too many at {at_s:.3f} s")
                break
    return lines


def _hasty(run: Run) -> list[str]:
    """I10: who is told that there were too many requests waits, and who was cut off comes back later."""
    lines: list[str] = []
    for who, told in run["refusals"].items():
        for at_s, asked_s in told:
            until_s = at_s + max(asked_s, PEACE_S) - SLACK_S
            hasty = [sent_s for sent_s in run["asked"][who] if at_s + UNDER_WAY_S < sent_s < until_s]
            lines += [f"I10 {who}: asked {hasty[0] - at_s:.1f} s after too many requests"] if hasty else []
    for what, most in (("failed", MOST_FAILED), ("forlorn", MOST_FORLORN)):
        for who, times in run[what].items():
            worst = _most_at_once(times, 60.0)
            if worst > most:
                lines.append(f"I10 {who}: {worst} attempts {what} within a minute, {most} are sensible")
    for who, ends in run["ends"].items():
        tried = run["connects"].get(who, [])
        at_once = [one for one in tried if any(0.0 <= one - at_s < AT_ONCE_S for at_s in ends)]
        if len(ends) >= MANY_ENDS and 4 * len(at_once) > 3 * len(ends):
            lines.append(f"I10 {who}: {len(at_once)} of {len(ends)} streams that ended were opened at once")
    return lines


def _secret_free(run: Run) -> list[str]:
    """I11: no secret is ever shown."""
    return [
        f"I11 a secret of {len(secret)} characters is shown in {place}"
        for secret in run["secrets"]
        for place, text in run["outputs"].items()
        if secret in text
    ]


def _accounted(run: Run) -> list[str]:
    """I12: all that came in and went out is counted, and nothing failed that no trouble explains."""
    lines: list[str] = []
    handed, told = run["frames"]
    if Counter(told) - Counter(handed):  # a connection kept for history alone is not told of
        lines.append(f"I12 frames: {handed} were handed over on the open streams, {told} are counted")
    counted, news, unanswered = run["committed"]
    if not news <= counted <= news + unanswered:
        lines.append(f"I12 candles: {counted} are counted, {news} were news, {unanswered} unheard")
    expected = tuple(run["expected"])
    errors = [
        text
        for _, level, text in run["log"]
        if level in {"ERROR", "CRITICAL"} and not text.startswith(expected)
    ]
    return lines + _few(errors, lambda text: f"I12 an error that no trouble explains: {text}")


def _most_at_once(times: Sequence[float], window_s: float) -> int:
    """Return how many of *times* lie in any window of a length, at most."""
    ordered, most, first = sorted(times), 0, 0
    for last, at_s in enumerate(ordered):
        while ordered[first] <= at_s - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


# --------------------------------------------------------------------------------------------------- values


def _same(row: Row, other: Row) -> bool:
    """Say whether two rows hold the same values, as far as both say them."""
    if any(Decimal(row[place]) != Decimal(other[place]) for place in range(2, 7)):
        return False
    if None not in {row[7], other[7]} and int(row[7]) != int(other[7]):
        return False
    return row[8] is None or other[8] is None or _agree(Decimal(row[8]), Decimal(other[8]))


def _agree(one: Decimal, other: Decimal) -> bool:
    """Say whether one average is the other, rounded or cut somewhere."""
    coarser = max(int(one.as_tuple().exponent), int(other.as_tuple().exponent))
    return abs(one - other) <= Decimal(1).scaleb(coarser)


def _overlaps(row: Row, ranges: Sequence[Row]) -> bool:
    return any(since_ns < row[1] and row[0] < until_ns for since_ns, until_ns in ranges)


def _is_in(ns: int, holes: Sequence[Row]) -> bool:
    return any(since_ns <= ns < until_ns for since_ns, until_ns, _ in holes)


def _doubles(keys: Sequence[Any]) -> list[Any]:
    seen: set[Any] = set()
    return [key for key in keys if key in seen or seen.add(key)]  # type: ignore[func-returns-value]  # add() says None


def _few(found: Sequence[Any], line: Any) -> list[str]:
    """Name the first few, and say how many more there are."""
    lines = [line(one) for one in found[:MOST_NAMED]]
    if len(found) > MOST_NAMED:
        lines.append(f"{lines[0].split(':')[0]}: and {len(found) - MOST_NAMED} more like this")
    return lines

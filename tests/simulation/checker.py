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
  how long after its end a bucket is told at most while all is well, *quarantined_ns* until when its symbol
  may be left alone that the venue did not know, *slow* says that many are empty, *shut*
  that nothing was traded beyond the frontier in a bucket that could be known by now, *restless* that
  connections end all the time, also at the end of the run, *brief* that few live for a bucket, *belated*
  that a bar may come after the next one, *evasive* that
  many questions are refused, *by_request* that candles need REST, *detours* are `[since_ns, until_ns]` in
  which it was polled though a stream is planned, *wrong* those in which something keeps
  it from its stream, and *misled* are `[since_ns,
  until_ns]` in which the venue says what it takes back later, *unaudited* those in which it did so too
  lately for an audit to have come by, and *excused* `[since_ns, until_ns, by_s]` in which buckets that end
  may be told later than *usual_s* after it, by so much (None: by any time).
  *sunk* are rows as they are found in a sink at the end. What opens before *forgotten_ns* may have been
  forgotten on purpose, and asked for again.
* `fell_back`: what was put into that sink in one life out of order.
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
* `lies`: `[venue or series, since_ns, until_ns]` in which streams say what history contradicts, once they are
  back.
* `asked`: by host and life, when a request was sent in seconds, `in_vain` those that failed after several
  in a row had, `failed` `[at_s, who]` of streams that were not opened, and who wanted to keep them, `forlorn`
  when that was where for long there had been none; `refusals`: by the same `[at_s, asked_s]` of answers that
  there were too many, and for how long the venue wanted peace.
* `knocks`: by host and life, when a stream was asked for in seconds, `let_in` when one was opened;
  `turned_away`: `[at_s, asked_s]` of refusals with the wish for so much peace, `sent_away` of streams that
  ended with it; `own_failures`: by who keeps a connection, when its attempts failed, each series of them
  until one went well.
* `reads`: `{series, at_ns, truth, opens, forgotten_ns}`, what a venue has of a range that was read by then,
  what came, and what was forgotten meanwhile: what opened before.
* `rotated`: `[at_ns, venue, replaced, broken, trouble]` of connections that were replaced while all was well.
* `dawdled`: trades that there were for one who reads a feed too slowly, and those that it took, has yet to
  take, or is said to have lost; None where nobody read one.
* `slandered`: `[at_ns, venue]` of REST that was called away, though it had answered minutes before.
* `waiting`: `[at_ns, venue]` of whoever wanted connections replaced then, and has not heard of it at the end.
* `latest`: `[at_ns, series, open_ns]`, what was said to be known last.
* `unwanted`: `[at_ns, venue, symbol]` of what a venue was still subscribed to long after it was left;
  `doubled`: `[at_ns, venue, topic]` of what was on several connections for long; `apart`: `[at_ns, venue,
  there, wanted]` of connections that were not even tried while one lived; `turned_down`: `[at_ns, series,
  why]` of those for whom there was said to be no place, though there was.
* `carried`: by venue `[most, allowed]`, topics on one connection.
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

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from tests.simulation.judging import MOST_NAMED, SLACK_S, Row, Run, S, few
from tests.simulation.manners import impolite
from tests.simulation.recovery import calm, recovered, resumed, returned, timely
from tests.simulation.sunk import fallen_back, sunk

__all__ = ["differing", "judge"]

STOP_S: Final = 10.0
LEAVING_S: Final = 10.0
"""Data of what is not wanted any more ends after so long."""
LOG_LINES_A_MINUTE: Final = 120


def judge(run: Run) -> list[str]:
    """Return what is broken, each line beginning with the number of an invariant."""
    lines: list[str] = []
    for name, series in run["series"].items():
        told = [one for one in run["delivered"] if one[2] == name]
        delivered = _told_once(series, told)
        lines += _complete(name, series)
        lines += _once(name, series, delivered)
        lines += _exact(name, series, delivered)
        lines += _monotone(name, series, delivered, told)
        lines += sunk(name, series)
        lines += _newest(name, [one for one in run["latest"] if one[1] == name], delivered)
        lines += recovered(name, series, run)
        lines += returned(name, series)
        lines += timely(name, series, delivered)
    lines += _trades(run)
    lines += _read(run)
    lines += _honest(run)
    lines += resumed(run)
    lines += _bounded(run)
    lines += _left(run)
    lines += _carried(run)
    lines += calm(run)
    lines += _stopped(run)
    lines += impolite(run)
    lines += _secret_free(run)
    lines += _accounted(run)
    lines += fallen_back(run)
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
    lines = few(lost, lambda ns: f"I1 {name}: {ns} is neither stored nor in a hole")
    lines += few(strange, lambda ns: f"I1 {name}: {ns} is stored, and the venue knows nothing of it")
    ends = {row[0]: row[1] for row in series["truth"]}
    false = [
        (at_ns, open_ns)
        for at_ns, open_ns in series["called_empty"]
        if open_ns in ends
        and not any(
            since_ns < ends[open_ns] and open_ns < until_ns for since_ns, until_ns in series["misled"]
        )
    ]
    lines += few(
        series["denied"], lambda one: f"I1 {name}: {one[1]} was stored at {one[0]}, and called a hole"
    )
    return lines + few(
        false, lambda one: f"I1 {name}: {one[1]} was called empty at {one[0]}, and the venue had a candle"
    )


def _told_once(series: Run, delivered: Sequence[Row]) -> list[Row]:
    """Leave out what was told again because it was forgotten, and then asked for once more."""
    told: dict[int, int] = {}
    kept = []
    for one in delivered:
        open_ns, revision = one[3][0], one[4]
        if open_ns >= series["forgotten_ns"] or revision > told.get(open_ns, -1):
            kept.append(one)
        told[open_ns] = max(told.get(open_ns, -1), revision)
    return kept


def _once(name: str, series: Run, delivered: Sequence[Row]) -> list[str]:
    """I2: one candle a bucket in the store, and one first close a bucket for whoever reads with a cursor."""
    lines = few(_doubles([row[0] for row in series["stored"]]), lambda ns: f"I2 {name}: {ns} is stored twice")
    firsts = [(one[3][0], one[4]) for one in delivered]
    lines += few(_doubles(firsts), lambda key: f"I2 {name}: {key[0]}, revision {key[1]}, was delivered twice")
    handed = {one[3][0] for one in delivered}
    missed = [row[0] for row in series["stored"] if row[0] not in handed]
    return lines + few(missed, lambda ns: f"I1 {name}: {ns} is stored and was never delivered")


def _exact(name: str, series: Run, delivered: Sequence[Row]) -> list[str]:
    """I3: what is stored is the venue's, digit for digit; so is each first close, unless it was misled."""
    truth = {row[0]: row for row in series["truth"]}
    wrong = [
        row
        for row in series["stored"]
        if row[0] in truth and not _same(row, truth[row[0]]) and not _overlaps(row, series["unaudited"])
    ]
    lines = few(wrong, lambda row: f"I3 {name}: stored {row}, the venue says {truth[row[0]]}")
    misled = series["misled"]
    false = [
        one[3]
        for one in delivered
        if one[4] == 0
        and one[3][0] in truth
        and not _same(one[3], truth[one[3][0]])
        and not _overlaps(one[3], misled)
    ]
    lines += few(false, lambda row: f"I3 {name}: first closed {row}, the venue says {truth[row[0]]}")
    early = [one for one in delivered if one[0] < one[3][1]]
    return lines + few(early, lambda one: f"I3 {name}: {one[3][0]} was closed at {one[0]}, before its end")


def _monotone(name: str, series: Run, delivered: Sequence[Row], told: Sequence[Row]) -> list[str]:
    """I4: what is newer never gives way to what is older; the last that was *told* is what is stored."""
    lines: list[str] = []
    newest: dict[int, Row] = {}
    for one in delivered:
        before = newest.get(one[3][0])
        if before is not None and (one[4] <= before[4] or one[5] <= before[5]):
            lines.append(f"I4 {name}: revision {one[4]} of {one[3][0]} came after revision {before[4]}")
        newest[one[3][0]] = one
    lasts = {one[3][0]: one[3] for one in told}
    for row in series["stored"]:
        last = lasts.get(row[0])
        if last is not None and not _same(last, row):
            lines.append(f"I4 {name}: {row[0]} was delivered last as {last}, stored is {row}")
    return lines[:MOST_NAMED]


def _newest(name: str, latest: Sequence[Row], delivered: Sequence[Row]) -> list[str]:
    """I4: what is said to be known last is never older than what was told before."""
    lines: list[str] = []
    newest, place = 0, 0
    for at_ns, _, open_ns in latest:
        while place < len(delivered) and delivered[place][0] < at_ns:
            newest, place = max(newest, delivered[place][3][0]), place + 1
        if open_ns < newest:
            lines.append(f"I4 {name}: {open_ns} is the latest at {at_ns}, and {newest} was told before")
    return lines[:MOST_NAMED]


def _trades(run: Run) -> list[str]:
    """I1, I2, I3: no trade is told that never was, and while all is well each is told once."""
    lines: list[str] = []
    for name, trades in run["trades"].items():
        true, told = _counted(trades["true"]), _counted(trades["told"])
        false = [one for one in told if one not in true]
        lines += few(false, lambda one, name=name: f"I3 {name}: the trade {one} never was")
        calm = [
            one
            for one in true
            if not any(since_ns <= one[0] < until_ns for since_ns, until_ns in trades["excused"])
        ]
        lost = [one for one in calm if told[one] < true[one]]
        lines += few(lost, lambda one, name=name: f"I1 {name}: the trade {one} was not told")
        doubled = [one for one in calm if told[one] > true[one]]
        lines += few(doubled, lambda one, name=name: f"I2 {name}: the trade {one} was told more than once")
    return lines


def _read(run: Run) -> list[str]:
    """I1: who asks for history gets all of it, however slow the store is."""
    lines: list[str] = []
    for reading in run["reads"]:
        came = set(reading["opens"])
        kept = [open_ns for open_ns in reading["truth"] if open_ns >= reading["forgotten_ns"]]
        lost = [open_ns for open_ns in kept if open_ns not in came]
        if lost:
            name, at_ns = reading["series"], reading["at_ns"]
            lines.append(
                f"I1 {name}: history was read by {at_ns} without {len(lost)} candles that there were"
            )
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
    return [
        *lines.values(),
        *(
            f"I5 {venue}: REST is called away at {at_ns}, and answers"
            for at_ns, venue in run["slandered"][:MOST_NAMED]
        ),
    ]


def _left(run: Run) -> list[str]:
    """I7: what is not wanted any more is not asked for any more."""
    lines = [
        f"I7 {name}: its data still come {(seen_ns - since_ns) / S:.0f} s after it was left"
        for name, since_ns, seen_ns in run["left"]
        if seen_ns > since_ns + LEAVING_S * S
    ]
    return lines + [f"I7 {host} is connected, and nothing is wanted of it" for host in run["open_at_last"]]


def _carried(run: Run) -> list[str]:
    """I7: each topic rides on one connection, for as long as somebody wants it, and leaves its place then."""
    lines = [
        f"I7 {venue}: {symbol} is still subscribed to at {at_ns}, and nobody wants it"
        for at_ns, venue, symbol in run["unwanted"]
    ]
    lines += [
        f"I7 {venue}: {topic} is subscribed to on several connections, and still is at {at_ns}"
        for at_ns, venue, topic in run["doubled"]
    ]
    lines += [
        f"I7 {name}: there was no place for it at {at_ns}, and those who had one are gone: {why}"
        for at_ns, name, why in run["turned_down"]
    ]
    return lines[:MOST_NAMED]


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
    if run["dawdled"] is not None and run["dawdled"][0] != run["dawdled"][1]:
        there, told = run["dawdled"]
        lines.append(f"I12 trades: there were {there} for a slow reader, and {told} are accounted for")
    expected = tuple(run["expected"])
    errors = [
        text
        for _, level, text in run["log"]
        if level in {"ERROR", "CRITICAL"} and not text.startswith(expected)
    ]
    return lines + few(errors, lambda text: f"I12 an error that no trouble explains: {text}")


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

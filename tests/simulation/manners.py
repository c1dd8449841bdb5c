"""I10: whether a run was polite to its venues. By plain data, as `checker` describes it, in seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Final

from tests.simulation.judging import MOST_NAMED, SLACK_S, Run

__all__ = ["impolite"]

MOST_CONNECTS: Final = 40
LINK_CONNECTS: Final = 18
FEW_CONNECTS: Final = 24
"""Of one venue in ten minutes, by one process. Each series and feed may have a connection of its own, and a
guest one more; while one of them lives the others try by schedules of their own, some 15 times when all of it
is in vain. Where there are few a guest counts for less."""
MOST_REQUESTS: Final = 60
"""The same of requests for each series, two at least, and once more for guests, who ask for depths; one that
goes before others is asked for its running bucket too, and counts twice, also above."""
PEACE_S: Final = 10.0
"""So long nothing is asked after an answer that there were too many requests, whatever the venue says."""
UNDER_WAY_S: Final = 0.5
"""What is sent so soon after an answer may have been under way."""
MOST_FAILED: Final = 26
"""All connections to a venue that is down share one schedule, which doubles its waits; while one of them
still lives, others try by schedules of their own."""
KEEPER_FAILED: Final = 10
"""Of many such others that fail in the same minute each may add so many: its waits double from half a second,
which leaves some eight attempts for its first minute, and two more where lots are low; three began together
in seed 4330, and made nine each."""
MOST_FORLORN: Final = 16
"""Where none lives it is one schedule, whose waits are long by then."""
MOST_IN_VAIN: Final = 16
"""Requests that fail while REST is down share one schedule too, however many series there are."""
AT_ONCE_S: Final = 0.1
MANY_ENDS: Final = 12
"""Waits are drawn by lot from nothing to half a second or more: of so many streams that ended hardly half are
opened again at once."""
LET_THROUGH_S: Final = 3.0
"""Who was let through before a stream was sent away may still wait for the venue's pace."""
STUBBORN_S: Final = 240.0
MOST_STUBBORN: Final = 20
"""Waits that double from half a second, by lot, leave room for some ten attempts in four minutes, and for
twice as many where lots are low, or another connection found the venue to be back in between."""
TOLERANCE: Final = 1e-3
"""Instants of a loop that counts in floats are one when so near, in seconds."""


def impolite(run: Run) -> list[str]:
    """Return where it was not: more than a venue allows, in any window; or a storm that it would allow."""
    lines: list[str] = []
    venues: Counter[str] = Counter()
    for series in run["series"].values():
        venues[series["venue"]] += 2 if series["prompt"] else 1
    feeds = Counter(name.partition(":")[0].partition(".")[0] for name in run["trades"])
    for what in ("connects", "requests"):
        for who, times in run[what].items():
            venue = who.split()[0]
            links = venues[venue] + feeds[venue]
            most = max(MOST_CONNECTS, min(LINK_CONNECTS * (links + 1), FEW_CONNECTS * links))
            if what == "requests":
                most = MOST_REQUESTS * (max(venues[venue], 2) + 1)
            worst = _most_at_once(times, 600.0)
            if worst > most:
                lines.append(f"I10 {who}: {worst} {what} in ten minutes, {most} are sensible")
    lines += _hasty(run)
    lines += _deaf_to_refusals(run)
    lines += _stubborn(run)
    lines += _overladen(run)
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
    """Who is told that there were too many requests waits, and who was cut off comes back later."""
    lines: list[str] = []
    for who, told in run["refusals"].items():
        for at_s, asked_s in told:
            until_s = at_s + max(asked_s, PEACE_S) - SLACK_S
            hasty = [sent_s for sent_s in run["asked"][who] if at_s + UNDER_WAY_S < sent_s < until_s]
            lines += [f"I10 {who}: asked {hasty[0] - at_s:.1f} s after too many requests"] if hasty else []
    for what, most in (("forlorn", MOST_FORLORN), ("in vain", MOST_IN_VAIN)):
        for who, times in run[what.replace(" ", "_")].items():
            worst = _most_at_once(times, 60.0)
            if worst > most:
                lines.append(f"I10 {who}: {worst} attempts {what} within a minute, {most} are sensible")
    lines += _failing_together(run)
    for who, ends in run["ends"].items():
        tried = run["connects"].get(who, [])
        at_once = [one for one in tried if any(0.0 <= one - at_s < AT_ONCE_S for at_s in ends)]
        if len(ends) >= MANY_ENDS and 4 * len(at_once) > 3 * len(ends):
            lines.append(f"I10 {who}: {len(at_once)} of {len(ends)} streams that ended were opened at once")
    return lines


def _failing_together(run: Run) -> list[str]:
    """The more of those who keep a connection fail within a minute, the more attempts may be made in it."""
    lines: list[str] = []
    for who, failed in run["failed"].items():
        for at_s, _ in failed:
            keepers = [keeper for other_s, keeper in failed if at_s <= other_s < at_s + 60.0]
            most = max(MOST_FAILED, KEEPER_FAILED * len({*keepers}))
            if len(keepers) > most:
                lines.append(
                    f"I10 {who}: {len(keepers)} attempts failed within a minute, {most} are sensible"
                )
                break
    return lines


def _deaf_to_refusals(run: Run) -> list[str]:
    """Nobody opens a stream while the venue wants peace, whoever was told so, whatever else still flows."""
    lines: list[str] = []
    for what, under_way_s in (("turned_away", UNDER_WAY_S), ("sent_away", LET_THROUGH_S)):
        for who, told in run[what].items():
            for at_s, asked_s in told:
                peace_s = max(asked_s, PEACE_S) if what == "turned_away" else asked_s
                until_s = at_s + peace_s - SLACK_S
                hasty = [one for one in run["knocks"].get(who, []) if at_s + under_way_s < one < until_s]
                if hasty:
                    after_s = hasty[0] - at_s
                    lines.append(f"I10 {who}: a stream was asked for {after_s:.1f} s after it was {what}")
    for who, told in run["turned_away"].items():
        lines += _all_at_once(who, [at_s for at_s, _ in told], run["let_in"].get(who, []))
    return lines[:MOST_NAMED]


def _all_at_once(who: str, refused: Sequence[float], let_in: Sequence[float]) -> list[str]:
    """When the time is over for which a venue wanted peace, one alone finds out whether it is content.

    Once a stream was let in it was; what is refused later is news to all who are under way by then.
    """
    lines: list[str] = []
    for _, spell in groupby(refused, key=lambda at_s: sum(one < at_s for one in let_in)):
        first, *others = spell
        waited = [one for one in others if one > first + PEACE_S - SLACK_S]
        pairs = [later - one for one, later in pairwise(waited) if later - one < UNDER_WAY_S]
        if pairs:
            lines.append(f"I10 {who}: {len(pairs) + 1} streams were asked for at once after a pause")
    return lines


def _overladen(run: Run) -> list[str]:
    """No connection carries more than is allowed."""
    return [
        f"I10 {venue}: {most} topics on one connection, {allowed} are allowed"
        for venue, (most, allowed) in run["carried"].items()
        if most > allowed
    ]


def _stubborn(run: Run) -> list[str]:
    """Whoever keeps one connection tries ever more rarely to open it, also while others live."""
    return [
        f"I10 {who}: {worst} attempts in {STUBBORN_S:.0f} s without a stream, {MOST_STUBBORN} are sensible"
        for who, series in run["own_failures"].items()
        for worst in [max((_most_at_once(times, STUBBORN_S) for times in series), default=0)]
        if worst > MOST_STUBBORN
    ][:MOST_NAMED]


def _most_at_once(times: Sequence[float], window_s: float) -> int:
    """Return how many of *times* lie in any window of a length, at most."""
    ordered, most, first = sorted(times), 0, 0
    for last, at_s in enumerate(ordered):
        while ordered[first] <= at_s - window_s:
            first += 1
        most = max(most, last - first + 1)
    return most

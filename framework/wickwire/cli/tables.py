"""Tables for people. What stands in them may be a venue's words, so nothing of it is read as markup."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Final, cast

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from wickwire.cli.door import printable
from wickwire.cli.lines import digits, echo
from wickwire.health import Health, SeriesHealth
from wickwire.model import DAY_NS, HOUR_NS, MINUTE_NS, Candle, Feed, Hole, HoleKind, Rung, iso, when
from wickwire.news import Condition, Switch

if TYPE_CHECKING:
    from wickwire.audit import Audited
    from wickwire.cli.doctor import Finding
    from wickwire.cli.forget import Old
    from wickwire.cli.outlet import OutletFile
    from wickwire.cli.stored import Gaps
    from wickwire.cli.truth import Verdict
    from wickwire.cli.verifying import Verified
    from wickwire.fallback import FallBack
    from wickwire.planner import Plan
    from wickwire.registry import Listed
    from wickwire.sink import Cursor
    from wickwire.testing.running import Outcome

__all__ = [
    "audit_table",
    "check_table",
    "console",
    "findings_table",
    "forgotten_table",
    "gaps_table",
    "health_table",
    "instant",
    "listing_table",
    "on_terminal",
    "plan_table",
    "show",
    "sinks_table",
    "table",
    "text",
    "troubles",
    "verdict_table",
    "verified_table",
]

_PLAIN_WIDTH: Final = 200
"""Where there is no terminal nothing is wrapped for one."""
_MOST_NAMED: Final = 4
_ON_A_SCREEN: Final = 20
_WIDEST_PRICE: Final = 11

_COLORS: Final = {
    Condition.STARTING: "yellow",
    Condition.LIVE: "green",
    Condition.QUIET: "cyan",
    Condition.POLLED: "cyan",
    Condition.RECONNECTING: "yellow",
    Condition.STALE: "bold red",
    Condition.REFUSED: "bold red",
    Condition.STOPPED: "dim",
}
_STATE_COLORS: Final = {"ok": "green", "broken": "bold red", "disabled": "dim", "missing-extra": "yellow"}
_PAST: Final = {
    Rung.STREAM: "streamed",
    Rung.RESAMPLE: "resampled",
    Rung.BUILD: "built from trades",
    Rung.POLL: "polled",
}
_MARKS: Final = {"ok": ("ok", "green"), "note": ("note", "yellow"), "bad": ("bad", "bold red")}
_CHECK_COLORS: Final = {"passed": "green", "failed": "bold red", "skipped": "dim", "excused": "yellow"}
_RUNG_COLORS: Final = {
    Rung.STREAM: "green",
    Rung.RESAMPLE: "green",
    Rung.BUILD: "green",
    Rung.POLL: "cyan",
    Rung.REFUSE: "bold red",
}


def console(file: OutletFile | None = None) -> Console:
    """Return what prints tables on *file*, which stands for stdout."""
    width = None if on_terminal() else _PLAIN_WIDTH
    return Console(file=cast("IO[str] | None", file), highlight=False, markup=False, emoji=False, width=width)


def show(renderable: RenderableType) -> None:
    """Print a table on stdout; where there is no terminal, without the blanks that fill up its lines."""
    out = console()
    if on_terminal():
        out.print(renderable)
        return
    with out.capture() as captured:
        out.print(renderable)
    for line in captured.get().splitlines():
        echo(line.rstrip())


def on_terminal() -> bool:
    """Say whether a person looks at stdout."""
    return sys.stdout.isatty()


def table(*columns: str, wide: str = "", padding: int = 2) -> Table:
    """Return an empty table in the house's form; the column called *wide* takes what is left of the line.

    Where there is none and the terminal is too narrow, the names of series are folded: no number is cut.
    """
    folded = wide or "series"
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, padding, 0, 0))
    for name in columns:
        right = name in _NUMBERS
        made.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=name != folded,
            overflow="fold" if name == folded else "ellipsis",
            ratio=1 if name == wide else None,
        )
    return made


_NUMBERS: Final = frozenset(
    {
        "inputs",
        "s",
        "branches",
        "taken",
        "%",
        "finds",
        "lag",
        "close",
        "closed",
        "rev",
        "holes",
        "candles",
        "twice",
        "streamed",
        "polled",
        "missing",
        "doubled",
        "wrong",
        "healed",
        "empty",
        "trades",
    }
)


def text(value: object, style: str = "") -> Text:
    """Return *value* as it stands."""
    return Text(printable(str(value)), style=style)


def listing_table(listed: Sequence[Listed]) -> RenderableType:
    """Return the plugins, one a row."""
    rows = table("name", "state", "distribution", "version", "reason", wide="reason")
    for one in listed:
        state = text(one.state.value, _STATE_COLORS[one.state.value])
        rows.add_row(text(one.name), state, text(one.distribution), text(one.version), text(one.reason))
    return rows if listed else text("no adapter is installed")


def plan_table(plans: Sequence[Plan], fall: FallBack | None = None) -> RenderableType:
    """Return the plans, one a row, and below them what the venues remark, each remark once.

    Where nobody counts them any more they are summed up, with what would become of them without streams.
    """
    rows = table("series", "route", "falls to", "takes", "why", wide="why")
    notes: dict[str, list[str]] = {}
    for one in plans:
        refused = one.rung is Rung.REFUSE
        rows.add_row(
            text(one.series),
            text(one.rung.value, _RUNG_COLORS.get(one.rung, "")),
            text("" if one.falls_to is None else one.falls_to.value),
            text("" if refused else one.cost),
            text(one.why),
        )
        for note in one.support.notes if one.support is not None and not refused else ():
            notes.setdefault(note, []).append(str(one.series))
    below = [text(f"note: {note} ({_names(series)})") for note, series in notes.items()]
    if len(plans) > _ON_A_SCREEN:
        below += [text(""), text(_summed(plans))]
        below += [] if fall is None else [text(fall)]
    return Group(rows, *below)


def _summed(plans: Sequence[Plan]) -> str:
    """Return what so many plans that nobody counts them come to."""
    routes = Counter(one.rung for one in plans)
    venues = {one.series.venue for one in plans}
    connections = sum(one.cost.connections for one in plans)
    told = [
        f"{len(plans)} series: {', '.join(f'{routes[rung]} {rung.value}' for rung in Rung if routes[rung])}"
    ]
    if connections:
        told.append(f"{connections} connection{'s' if connections > 1 else ''}")
    if len(venues) > 1:
        told.append(f"{len(venues)} venues")
    return "; ".join(told)


def gaps_table(found: Sequence[Gaps]) -> RenderableType:
    """Return what a store lacks, one series a row, its holes below it."""
    rows = table("series", "since", "until", "candles", "twice", "holes", padding=1 if on_terminal() else 2)
    for one in found:
        rows.add_row(
            text(one.series),
            text(instant(one.since_ns)),
            text(instant(one.until_ns)),
            text(one.candles),
            text(one.duplicates, "bold red" if one.duplicates else ""),
            text(len(one.holes), "bold red" if one.lacking else "") if one.holes else text("whole", "green"),
        )
        if one.forgotten_ns is not None:
            rows.add_row(text("  forgotten", "dim"), text(""), text(instant(one.forgotten_ns)))
        for hole in one.holes:
            since, until = text(instant(hole.since_ns)), text(instant(hole.until_ns))
            rows.add_row(text(f"  {hole.kind.value}"), since, until)
    return rows


def verified_table(found: Sequence[Verified]) -> RenderableType:
    """Return what comparing with trades found, one series a row, with what differs below it."""
    rows = table("series", "buckets", "differ", "how", wide="how")
    for one in found:
        count = text(len(one.differing), "bold red" if one.differing else "green")
        rows.add_row(text(one.series), text(one.buckets), count, text(""))
        for each in one.differing:
            rows.add_row(text(f"  {instant(each.made.open_ns)}"), text(""), text(""), text(each.what))
    return rows


def audit_table(found: Sequence[Audited]) -> RenderableType:
    """Return what audits found, one series a row, with what was not read below it."""
    wrong = ("lost", "revised", "disputed", "unproven", "off")
    rows = table("series", "since", "until", "candles", *wrong, padding=1 if on_terminal() else 2)
    for one in found:
        lists = (one.lost, one.revised, one.disputed, one.unconfirmed, one.misplaced)
        counts = [text(len(each), "bold red" if each else "green") for each in lists]
        since, until = text(instant(one.since_ns)), text(instant(one.until_ns))
        rows.add_row(text(one.series), since, until, text(one.candles), *counts)
        for since_ns, until_ns in one.left:
            rows.add_row(text("  not read", "yellow"), text(instant(since_ns)), text(instant(until_ns)))
    reasons = [text(f"{one.series}: {one.why}", "yellow") for one in found if one.why]
    return Group(rows, *reasons)


def instant(ns: int) -> str:
    """Return an instant; on a terminal without the seconds that it does not have, to be narrower."""
    if on_terminal() and ns % MINUTE_NS == 0:
        return f"{when(ns):%Y-%m-%dT%H:%MZ}"
    return iso(ns)


def check_table(outcomes: Sequence[Outcome]) -> RenderableType:
    """One row for each check: what became of it, at how many inputs, and why."""
    made = table("check", "state", "inputs", "s", "promise", "why", wide="why")
    for one in outcomes:
        made.add_row(
            text(one.check.id),
            text(one.state.value, _CHECK_COLORS[one.state.value]),
            text(one.examples),
            text(f"{one.took_s:.1f}"),
            text(one.check.promise),
            text(one.why),
        )
    return made


def level_table(outcomes: Sequence[Outcome]) -> RenderableType:
    """One row for each level that was looked at: how many checks ended how, at how many inputs."""
    made = table("level", *_CHECK_COLORS, "inputs", "s", wide="level")
    for level in sorted({one.check.level for one in outcomes}):
        here = [one for one in outcomes if one.check.level is level]
        counts = {state: sum(one.state.value == state for one in here) for state in _CHECK_COLORS}
        made.add_row(
            text(f"{level.value} {level.word}"),
            *(text(count or "-", _CHECK_COLORS[state] if count else "") for state, count in counts.items()),
            text(sum(one.examples for one in here)),
            text(f"{sum(one.took_s for one in here):.1f}"),
        )
    return made


def findings_table(findings: Sequence[Finding]) -> RenderableType:
    """Return what the doctor found, one a row."""
    rows = table("", "what", "found", wide="found")
    for one in findings:
        mark, style = _MARKS[one.state]
        rows.add_row(text(mark, style), text(one.what), text(one.text))
    return rows


def sinks_table(cursors: Mapping[str, Cursor], last_seq: int) -> RenderableType:
    """Return how far sinks are, and what each will not take, one a row."""
    rows = table("sink", "seq", "lag", "parked", "why", wide="why")
    for name, cursor in cursors.items():
        lag = last_seq - cursor.seq
        rows.add_row(text(name), text(cursor.seq), text(lag), text(""), text(""))
        for one in cursor.parked:
            parked = f"{one.series} {iso(one.open_ns)}"
            rows.add_row(text(""), text(""), text(""), text(parked, "bold red"), text(one.why))
        if cursor.left_out:
            more = text(f"and {cursor.left_out} more", "bold red")
            rows.add_row(text(""), text(""), text(""), more, text(""))
    return rows


def forgotten_table(found: Sequence[Old]) -> RenderableType:
    """Return what is too old, one series a row, and which sinks will never have it."""
    rows = table("series", "before", "candles", "trades", "not in sinks", wide="not in sinks")
    for one in found:
        counts = ("", one.count) if isinstance(one.series.what, Feed) else (one.count, "")
        missed = text(", ".join(one.sinks), "yellow")
        rows.add_row(text(one.series), text(instant(one.before_ns)), *map(text, counts), missed)
    return rows


def verdict_table(verdicts: Sequence[Verdict]) -> RenderableType:
    """Return what a check against the truth found, one series a row."""
    rows = table("series", "candles", "streamed", "polled", "missing", "doubled", "wrong", "digits")
    for one in verdicts:
        wrong = one.wrong + one.invented
        bad = [text(count, "bold red" if count else "green") for count in (one.missing, one.doubled, wrong)]
        streamed = sum(count for rung, count in one.routes.items() if rung.streams)
        polled = one.routes.get(Rung.POLL, 0)
        rows.add_row(
            text(one.series),
            text(one.closed),
            text(streamed),
            text(polled),
            *bad,
            text("all agree" if one.exact else "32 bit"),
        )
    return rows


# ------------------------------------------------------------------------------------------ while it runs


def health_table(health: Health, switches: Sequence[Switch] = (), *, title: str = "") -> RenderableType:
    """Return how a collector is doing: its series, why each is collected so, what changed, what is wrong.

    It fits into 80 columns: what takes a sentence stands below the rows.
    """
    rows = table("series", "route", "state", "last", "close", "lag", "closed", "rev", "holes", padding=1)
    reasons: dict[tuple[Rung, str], list[str]] = {}
    for one in health.series:
        rows.add_row(*_series_row(one, health.at_ns))
        reasons.setdefault((one.rung, one.why), []).append(str(one.series))
    parts: list[RenderableType] = [text(title, "bold")] if title else []
    parts.append(rows)
    for (rung, why), series in reasons.items():
        parts.append(
            Text.assemble(
                text(rung.value, _RUNG_COLORS.get(rung, "")),
                ": ",
                text(f"{why}: ", "dim"),
                text(_names(series), "dim"),
            )
        )
    parts += [
        text(f"{when(one.at_ns):%m-%d %H:%M:%S}  {one.series} is now {_PAST[one.rung]}: {one.why}", "magenta")
        for one in switches
    ]
    statuses = {
        f"{one.series.venue}:{one.series.symbol}: {one.status}": None for one in health.series if one.status
    }
    parts += [text(one, "yellow") for one in statuses]
    parts += [text(one, "dim") for one in _resting(health)]
    parts += [text(f"{where}: {what}", "yellow") for where, what in troubles(health)]
    return Group(*parts)


def _resting(health: Health) -> list[str]:
    """Return which series are outside of their sessions, and until when."""
    resting: dict[int, list[str]] = {}
    for one in health.series:
        if one.opens_ns is not None:
            resting.setdefault(one.opens_ns, []).append(str(one.series))
    return [f"closed until {when(ns):%m-%d %H:%M}: {_names(names)}" for ns, names in sorted(resting.items())]


def _names(series: Sequence[str]) -> str:
    more = f" and {len(series) - _MOST_NAMED} more" if len(series) > _MOST_NAMED else ""
    return ", ".join(series[:_MOST_NAMED]) + more


def troubles(health: Health) -> list[tuple[str, str]]:
    """Return who has trouble, and which, each said once."""
    said = {one.trouble: one.venue for one in health.venues if one.trouble}
    for series in health.series:
        if series.trouble and series.trouble not in said:
            said[series.trouble] = str(series.series)
    if health.store_trouble:
        said[health.store_trouble] = "store"
    if health.budget_trouble:
        said[health.budget_trouble] = "budget"
    for sink in health.sinks:
        if sink.trouble:
            said[sink.trouble] = f"sink {sink.name}"
        if sink.quotes_trouble:
            said[sink.quotes_trouble] = f"quotes of sink {sink.name}"
        if sink.parked:
            count = len(sink.parked) + sink.left_out
            said[f"does not take {count} candles: {sink.parked[-1].why}"] = f"sink {sink.name}"
    return [(where, what) for what, where in said.items()]


def _series_row(one: SeriesHealth, now_ns: int) -> tuple[Text, ...]:
    last = one.last_close
    missing = _missing(one.holes)
    return (
        text(one.series),
        text(one.rung.value, _RUNG_COLORS.get(one.rung, "")),
        text(one.condition.value, _COLORS[one.condition]),
        text("" if last is None else _opened(last, now_ns)),
        text("" if last is None else _short(last.close)),
        text("" if one.lag_s is None else f"{one.lag_s:.1f} s"),
        text(one.received if isinstance(one.series.what, Feed) else one.closed),
        text(one.revisions or ""),
        text(missing or "", "bold red"),
    )


def _opened(candle: Candle, now_ns: int) -> str:
    """Return when a candle opened, with the day where that is not clear."""
    lately = now_ns - candle.open_ns < DAY_NS - HOUR_NS
    return f"{candle.open_time:%H:%M}" if lately else f"{candle.open_time:%m-%d %H:%M}"


def _short(price: Decimal) -> str:
    """Return a price in as many digits as fit; the store, and every line for programs, keeps them all."""
    whole = digits(price) or ""
    return whole if len(whole) <= _WIDEST_PRICE else f"{price:.8g}"


def _missing(holes: Sequence[Hole]) -> int:
    return sum(hole.kind in (HoleKind.MISSING, HoleKind.UNKNOWN) for hole in holes)

"""What people type: series, instants, durations, redirects, and the options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs
import click

from wickwire.cli.door import loud_options
from wickwire.errors import UsageError
from wickwire.instants import duration_ns, is_duration, iso_second
from wickwire.model import SECOND_NS, Rung, Series, iso, parse_instant
from wickwire.planner import PINS
from wickwire.store import shown_store

__all__ = [
    "DEFAULT_SEED",
    "DURATION",
    "FASTEST",
    "INSTANT",
    "NAMED_SEQ",
    "REDIRECT",
    "SERIES",
    "SINK",
    "Moment",
    "at_option",
    "budget_option",
    "config_option",
    "for_option",
    "hot_option",
    "json_option",
    "named_once",
    "range_ns",
    "range_options",
    "redirect_option",
    "route_option",
    "series_argument",
    "simulation_options",
    "since_option",
    "sink_option",
    "store_option",
    "until_option",
]

DEFAULT_SEED: Final = 1
FASTEST: Final = 1_000
"""Times the speed of the wall's clock; a loop that goes faster does not keep up anyway."""

F = TypeVar("F", bound=Callable[..., Any])

_NAMED_SINK: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*)=([a-z][a-z0-9+.-]*:.*)")


@attrs.frozen
class Moment:
    """An instant, or a time before now.

    Attributes:
        at_ns: The instant, where one was written.
        ago_ns: How long before now, where a duration was written.
    """

    at_ns: int | None = None
    ago_ns: int = 0

    def ns(self, now_ns: int) -> int:
        """Return the instant that is meant at *now_ns*; so long ago counts from the last whole second."""
        return now_ns - now_ns % SECOND_NS - self.ago_ns if self.at_ns is None else self.at_ns


def range_ns(
    since: Moment | None, until: Moment | None, now_ns: int, *, end_ns: int | None = None
) -> tuple[int | None, int | None]:
    """Return both ends of a range as they are meant at *now_ns*; None where there is none.

    Args:
        since: The first instant.
        until: The end, exclusive.
        now_ns: What "3d ago" counts from.
        end_ns: Nothing can be after this; *now_ns* where it is None.

    Raises:
        UsageError: Nothing can lie in that range.
    """
    since_ns = None if since is None else since.ns(now_ns)
    until_ns = None if until is None else until.ns(now_ns)
    if since_ns is not None and until_ns is not None and until_ns <= since_ns:
        raise UsageError(
            f"--until {iso(until_ns)} is not after --since {iso(since_ns)}: there is nothing between them"
        )
    last_ns = now_ns if end_ns is None else max(now_ns, end_ns)
    if since_ns is not None and since_ns > last_ns:
        raise UsageError(f"--since {iso(since_ns)} lies in the future: it is {iso_second(now_ns)} now")
    return since_ns, until_ns


class _Type(click.ParamType[object]):
    """A parameter that `read` makes from its text."""

    def __init__(self, name: str, read: Callable[[str], object]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what *value* means; a UsageError is the command line's own."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except UsageError as exc:
            self.fail(str(exc), param, ctx)


def _seconds(text: str) -> float:
    seconds = duration_ns(text) / SECOND_NS
    if seconds <= 0:
        raise UsageError(f"not a duration: {text!r}; it has to be longer than nothing")
    return seconds


def _moment(text: str) -> Moment:
    if is_duration(text):
        return Moment(ago_ns=duration_ns(text))
    try:
        return Moment(parse_instant(text))
    except UsageError as exc:
        raise UsageError(f"{exc}, or how long ago: 90m, 12h, 3d") from exc


def _redirect(text: str) -> tuple[str, str]:
    source, equals, target = text.partition("=")
    if not (equals and source and target):
        raise UsageError(
            f"not a redirect: {text!r}; write ORIGIN=ORIGIN, such as wss://ws.kraken.com=ws://127.0.0.1:9000"
        )
    return source, target


def _sink(text: str) -> tuple[str, str]:
    """Return the name of a sink and its URL; where none is written, it goes by its scheme."""
    named = _NAMED_SINK.fullmatch(text)
    if named is not None:
        return named[1], named[2]
    scheme, colon, _ = text.partition(":")
    if not (scheme and colon):
        raise UsageError(f"not a sink: {shown_store(text)!r}; write a URL such as redis://127.0.0.1")
    if "@" in text and "://" not in text:  # a typo, and what is in it may be a password
        raise UsageError(f"not a sink: '{scheme}:...'; write {scheme}://user:password@host")
    return scheme, text


def named_once(sinks: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Return *sinks* by their names.

    Raises:
        UsageError: Two have the same: the store would take them for one.
    """
    names = [name for name, _ in sinks]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise UsageError(f"--sink: two are called {twice[0]!r}; name them: --sink NAME=URL")
    return dict(sinks)


def _named_seq(text: str) -> tuple[str, int]:
    name, equals, seq = text.rpartition("=")
    if not (name and equals and seq.isascii() and seq.isdigit()):
        raise UsageError(f"not a place: {text!r}; write NAME=SEQ, such as redis=0")
    return name, int(seq)


class Number(click.FloatRange):
    """A number within bounds, called so where it is none."""

    name = "number"


SERIES: Final = _Type("series", Series.parse)
DURATION: Final = _Type("duration", _seconds)
INSTANT: Final = _Type("instant", _moment)
REDIRECT: Final = _Type("origin=origin", _redirect)
SINK: Final = _Type("sink", _sink)
NAMED_SEQ: Final = _Type("name=seq", _named_seq)


def series_argument(command: F) -> F:
    """Take series; where none is written, the config names them."""
    command = click.argument("series", nargs=-1, type=SERIES, metavar="SERIES...")(command)
    return loud_options(command)


def store_option(command: F) -> F:
    """Take the URL of a store."""
    return click.option(
        "--store",
        metavar="URL",
        help="Where candles are kept.  [default: the config's, else sqlite:wickwire.db]",
    )(command)


def sink_option(command: F) -> F:
    """Take the URLs of sinks."""
    return click.option(
        "--sink",
        "sinks",
        multiple=True,
        type=SINK,
        metavar="[NAME=]URL",
        help="Put what is stored there too, beside the sinks of the config; NAME is its scheme by default.",
    )(command)


def hot_option(command: F) -> F:
    """Take the URL of a hot layer."""
    return click.option(
        "--hot",
        metavar="URL",
        help="Keep the last hour of each series at hand there, too; by default where the config says.",
    )(command)


def budget_option(command: F) -> F:
    """Take the URL of a shared budget."""
    return click.option(
        "--budget",
        metavar="URL",
        help="Share the venues' limits with other processes there.  [default: the config's, else alone]",
    )(command)


def for_option(command: F) -> F:
    """Take how long to run, by the clock on the wall."""
    return click.option(
        "--for", "for_s", type=DURATION, metavar="30s", help="End after so long, by the clock on the wall."
    )(command)


def until_option(command: F) -> F:
    """Take until when to collect, by the clock of what is collected."""
    return click.option(
        "--until",
        type=INSTANT,
        metavar="INSTANT",
        help="End once all that closed by then is stored, at the latest a minute after.",
    )(command)


def route_option(command: F) -> F:
    """Take the one route by which to collect."""
    routes = [rung.value for rung in PINS if rung is not Rung.REFUSE]
    return click.option("--route", type=click.Choice(routes), help="Collect so, or not at all.")(command)


def at_option(command: F) -> F:
    """Take when the clock starts."""
    return click.option(
        "--at", type=INSTANT, metavar="INSTANT", help="Let the clock start here: with venues that live then."
    )(command)


def json_option(command: F) -> F:
    """Take the wish for machine-readable output."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")(command)


def config_option(command: F) -> F:
    """Take the path of the settings."""
    return click.option(
        "--config",
        "config_file",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Settings, a TOML file.",
    )(command)


def since_option(command: F) -> F:
    """Take from when on to collect."""
    return click.option(
        "--since",
        type=INSTANT,
        metavar="INSTANT",
        help="Also everything from here on: 2026-11-01, 2026-11-01T12:00Z, 12h.",
    )(command)


def range_options(command: F) -> F:
    """Take the ends of a range."""
    since = click.option(
        "--since", type=INSTANT, metavar="INSTANT", help="From when on; from the first by default."
    )
    until = click.option(
        "--until", type=INSTANT, metavar="INSTANT", help="Until when; until the last by default."
    )
    return since(until(command))


def redirect_option(command: F) -> F:
    """Take origins that stand in for others."""
    return click.option(
        "--redirect",
        "redirects",
        multiple=True,
        type=REDIRECT,
        metavar="ORIGIN=ORIGIN",
        help="Send what is meant for one origin to another one, such as a replay's.",
    )(command)


def simulation_options(command: F) -> F:
    """Take what makes venues simulated."""
    for option in (
        click.option(
            "--seed",
            type=int,
            metavar="N",
            help="Which simulated market; same seed, same trades. With --redirect: that of the venue there.",
        ),
        click.option(
            "--speed",
            type=Number(min=0, min_open=True, max=FASTEST),
            metavar="N",
            help="Let time pass N times as fast; never with real venues.",
        ),
        click.option("--simulate", is_flag=True, help="Use simulated venues, in this process, on loopback."),
    ):
        command = option(command)
    return command

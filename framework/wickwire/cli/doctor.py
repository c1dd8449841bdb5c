"""`doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
import click

from wickwire.cli.door import ExitCode, loud_options
from wickwire.cli.lines import echo_json
from wickwire.cli.options import config_option, json_option, store_option
from wickwire.cli.settings import Settings, read_settings
from wickwire.cli.tables import findings_table, show
from wickwire.clock import SystemClock
from wickwire.conversation import HttpRequest
from wickwire.credentials import how_to_set
from wickwire.discovery import Kind
from wickwire.errors import ConfigError, WickwireError
from wickwire.instants import iso_second
from wickwire.model import SECOND_NS, iso
from wickwire.registry import State
from wickwire.shared import SharedBudget
from wickwire.sink import Follower, Sink
from wickwire.store import Store, shown_store
from wickwire.transport import Transport

__all__ = ["Finding", "doctor"]

OLDEST_PYTHON: Final = (3, 11)
BUILT_NS: Final = 1_700_000_000 * SECOND_NS
"""2023-11-14: whatever clock says less than that was never set."""
MOST_APART_S: Final = 2.0
_DAMAGED: Final = (
    "is damaged: restore a copy, or move it away, collect into a new one, and `wickwire backfill` what the "
    "venues still have"
)


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: What it is.
        state: "ok"; "note" where something could be better; "bad" where something that is needed is broken.
        text: What was found, and what to do.
    """

    what: str
    state: str
    text: str


@click.command()
@click.option(
    "--online",
    is_flag=True,
    help="Also compare this machine's clock with the venues', and open sinks and budget.",
)
@store_option
@config_option
@json_option
@loud_options
def doctor(online: bool, store: str | None, config_file: str | None, as_json: bool) -> ExitCode:
    """Look for what is wrong with this installation.

    The exit status is 1 when something that is needed is broken. Nothing connects without --online.
    """
    settings = read_settings(config_file)
    findings = [
        *_python(),
        *_packages(),
        *_plugins(settings),
        *_names(settings),
        *_venues(settings),
        *_secrets(settings),
        *_store(settings, store),
        *_sinks(settings, online=online),
        *_budget(settings, online=online),
        _clock(),
    ]
    if online:
        findings += asyncio.run(_venue_clocks(settings))
    if as_json:
        echo_json([attrs.asdict(finding) for finding in findings], indent=2)
    else:
        show(findings_table(findings))
    return ExitCode.FAILED if any(finding.state == "bad" for finding in findings) else ExitCode.DONE


def _python() -> Iterator[Finding]:
    old = sys.version_info[:2] < OLDEST_PYTHON
    text = f"{platform.python_version()} in {sys.prefix}"
    yield Finding(
        what="python", state="bad" if old else "ok", text=f"{text}; 3.11 or newer is needed" if old else text
    )


def _packages() -> Iterator[Finding]:
    """Look for what wickwire's own metadata asks for; extras may be missing."""
    try:
        told = importlib.metadata.distribution("wickwire")
    except importlib.metadata.PackageNotFoundError:
        yield Finding(
            what="wickwire", state="bad", text="is not installed, only lies there; pip install wickwire"
        )
        return
    yield Finding(what="wickwire", state="ok", text=told.version)
    seen = {"wickwire"}
    for requirement in told.requires or ():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", requirement)
        if name in seen:
            continue
        seen.add(name)
        try:
            yield Finding(what=name, state="ok", text=importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            if extra is None:
                yield Finding(what=name, state="bad", text=f"is not installed; pip install '{requirement}'")
            else:
                yield Finding(
                    what=name,
                    state="note",
                    text=f"is not installed; pip install 'wickwire[{extra[1]}]' brings it",
                )


def _plugins(settings: Settings) -> Iterator[Finding]:
    for one in settings.registry.listing():
        whence = f"{one.distribution} {one.version}".strip()
        state = {"ok": "ok", "broken": "bad"}.get(one.state.value, "note")
        reason = f": {one.state.value}: {one.reason}" if one.reason else ""
        yield Finding(what=f"{one.kind.value} {one.name}", state=state, text=f"{whence}{reason}")


def _names(settings: Settings) -> Iterator[Finding]:
    """Look for plugins that are allowed or denied, and not there."""
    there = {one.name for one in settings.registry.discover()}
    plugins = settings.config.plugins
    for key, names in (("allow", plugins.allow or ()), ("deny", plugins.deny)):
        for name in names:
            if name not in there:
                text = f"plugins.{key} names it, but no plugin of that name is installed"
                yield Finding(what=f"plugin {name}", state="note", text=text)


def _venues(settings: Settings) -> Iterator[Finding]:
    """Look for what the config says of venues, and their adapters do not know."""
    for name in settings.config.venues:
        try:
            settings.check_venue(name)
        except WickwireError as exc:
            yield Finding(what=f"config of {name}", state="bad", text=str(exc))


def _secrets(settings: Settings) -> Iterator[Finding]:
    """Look for secrets that venues could use, and that no variable holds."""
    for one in settings.registry.listing(Kind.ADAPTER):
        if one.state is not State.OK:
            continue
        what = f"secrets of {one.name}"
        try:
            account = settings.config.account(one.name, os.environ)
            told = settings.registry.load(one.name).description_for(account)
        except ConfigError as exc:
            yield Finding(what=what, state="bad", text=str(exc))
            continue
        except WickwireError as exc:
            yield Finding(what=what, state="note", text=str(exc))
            continue
        wanted = dict.fromkeys((*told.credentials, *told.stream_credentials))
        missing = [name for name in wanted if not account.secrets.get(name)]
        if missing:
            text = f"not there: {how_to_set(one.name, missing)}"
            if told.without_credentials:
                text += f"; without them {told.without_credentials}"
            yield Finding(what=what, state="note", text=text)


def _store(settings: Settings, given: str | None) -> Iterator[Finding]:
    """Open the store for writing, and read all of it; a file that was not there before is taken away."""
    url = settings.store_url(given)
    new, shown = None, shown_store(url)
    try:
        store = settings.registry.open_store(url)
        path = getattr(store, "path", None)  # a store in a file knows best which one its URL means
        new = path if isinstance(path, Path) and not path.exists() else None
        wrongs, holds = asyncio.run(_looked_into(store))
    except WickwireError as exc:
        yield Finding(what="store", state="bad", text=str(exc))
        return
    finally:
        if new is not None:
            new.unlink(missing_ok=True)
    for wrong in wrongs:
        yield Finding(what="store", state="bad", text=f"{shown}: {wrong}")
    if wrongs:
        yield Finding(what="store", state="bad", text=f"{shown} {_DAMAGED}")
    else:
        yield Finding(what="store", state="ok", text=f"{shown} can be written; {holds}")


def _sinks(settings: Settings, *, online: bool) -> Iterator[Finding]:
    """Look at the sinks and the hot layer of the config; only *online* are they opened."""
    registry, hot = settings.registry, settings.config.hot
    named: list[tuple[str, str, Callable[[str], Sink | Follower]]] = [
        (f"sink {name}", url, registry.open_sink) for name, url in settings.config.sinks.items()
    ]
    if hot is not None:
        named.append(("hot layer", hot, lambda url: registry.open_cache(url).follower()))
    for what, url, make in named:
        shown = shown_store(url)
        try:
            sink = make(url)
            if online:
                asyncio.run(_opened(sink))
        except WickwireError as exc:
            yield Finding(what=what, state="bad", text=str(exc))
        else:
            yield Finding(what=what, state="ok", text=f"{shown}; --online opens it" if not online else shown)


def _budget(settings: Settings, *, online: bool) -> Iterator[Finding]:
    """Look at the shared budget of the config; only *online* is it opened."""
    url = settings.config.budget
    if url is None:
        return
    shown = shown_store(url)
    try:
        budget = settings.registry.open_budget(url)
        if online:
            asyncio.run(_opened(budget))
    except WickwireError as exc:
        yield Finding(what="budget", state="bad", text=str(exc))
    else:
        yield Finding(what="budget", state="ok", text=f"{shown}; --online opens it" if not online else shown)


async def _opened(one: Sink | Follower | SharedBudget) -> None:
    try:
        await one.open()
    finally:
        await one.aclose()


async def _looked_into(store: Store) -> tuple[Sequence[str], str]:
    """Return what is wrong with a store, and what it holds."""
    await store.open()
    try:
        wrongs = await store.check()
        if wrongs:
            return wrongs, ""
        world, count = await store.world(), len(await store.states())
    finally:
        await store.aclose()
    return (), f"it holds {count} series of {world}, all sound" if world else "it holds nothing yet"


def _clock() -> Finding:
    now_ns = SystemClock().now_ns()
    wall, steady = now_ns, time.monotonic_ns()
    time.sleep(0.05)
    drift_s = abs((SystemClock().now_ns() - wall) - (time.monotonic_ns() - steady)) / SECOND_NS
    if now_ns < BUILT_NS:
        return Finding(
            what="clock",
            state="bad",
            text=f"says {iso(now_ns)}, which is long over; set it, and keep it by NTP",
        )
    if drift_s > MOST_APART_S / 100:
        return Finding(
            what="clock", state="note", text=f"was set while we looked, by {drift_s:.3f} s; keep it by NTP"
        )
    return Finding(what="clock", state="ok", text=f"{iso_second(now_ns)}; goes steadily")


async def _venue_clocks(settings: Settings) -> list[Finding]:
    """Ask each venue's REST origin for anything: whatever it answers, it says what time it is."""
    from wickwire.simulate import SeededMarket
    from wickwire.transport.net import NetTransport

    transport = NetTransport(clock=SystemClock(), redirects=settings.config.redirects)
    findings = []
    try:
        for one in settings.registry.listing(Kind.ADAPTER):
            if one.state is State.OK:
                adapter = settings.registry.load(one.name)
                origins = adapter.simulate(SeededMarket(0, 0)).rest_origins if adapter.simulate else ()
                findings.append(await _venue_clock(one.name, origins, transport))
    finally:
        await transport.aclose()
    return findings


async def _venue_clock(name: str, origins: Sequence[str], transport: Transport) -> Finding:
    what = f"clock of {name}"
    if not origins:
        return Finding(what=what, state="note", text="not asked: its adapter does not say where")
    try:
        reply = await transport.request(HttpRequest(method="GET", url=f"{origins[0]}/"))
    except WickwireError as exc:
        return Finding(what=what, state="bad", text=str(exc))
    if reply.date_ns is None:
        return Finding(what=what, state="note", text="its reply does not say what time it is")
    apart_s = (SystemClock().now_ns() - reply.date_ns) / SECOND_NS
    ahead = f"this machine is {abs(apart_s):.0f} s {'ahead' if apart_s > 0 else 'behind'}"
    if abs(apart_s) > MOST_APART_S:
        return Finding(what=what, state="bad", text=f"{ahead}; keep its clock by NTP")
    return Finding(what=what, state="ok", text="agrees to within two seconds")

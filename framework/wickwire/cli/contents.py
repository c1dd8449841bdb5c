"""What recordings hold: which series, and from when to when. Told by the adapter whose venue they are of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from wickwire.clock import SystemClock
from wickwire.conversation import HttpReply, HttpRequest, OhlcvQuery, Page
from wickwire.description import Account
from wickwire.errors import ConfigError, UsageError, WickwireError, WireError
from wickwire.events import Event
from wickwire.foreign import described
from wickwire.model import DAY_NS, SECOND_NS, Candle, Feed, Finality, Quote, Series, Trade
from wickwire.store import REAL

if TYPE_CHECKING:
    from wickwire.adapter import Adapter
    from wickwire.registry import Registry
    from wickwire.simulate.recordings import Recording

__all__ = ["Contents", "contents_of", "with_rows"]

_OLDEST_NS: Final = 20 * 365 * DAY_NS
"""How long ago the rows of a captured reply may be; nobody captured what a venue said before."""
_MOST_REQUESTS: Final = 100


@attrs.frozen(kw_only=True)
class Contents:
    """What was recorded.

    Attributes:
        series: What the recordings say, and what the streams carried, candles first; replies do not say it.
        venues: Whose recordings these are.
        world: Whose words they hold.
        started_ns: When the first recording began; None for plain captures.
        ended_ns: When the last recording ended; None for plain captures.
        first_ns: When the first candle or trade was; None where there is none.
        last_ns: When the last candle opened, or the last trade was.
        bodies: Replies of plain captures, by venue: what rows they hold depends on which series is asked for.
        rows: Where the last of those rows opened, and an instant at which they hold; None where not known.
    """

    series: Sequence[Series]
    venues: Sequence[str] = ()
    world: str = REAL
    started_ns: int | None = None
    ended_ns: int | None = None
    first_ns: int | None = None
    last_ns: int | None = None
    bodies: Sequence[tuple[str, bytes]] = attrs.field(default=(), repr=False)
    rows: tuple[int, int] | None = None

    @property
    def clock_ns(self) -> int | None:
        """When the clock of whoever collects from it should start; None where nothing says so."""
        if self.started_ns is not None:
            return self.started_ns
        known = [self.last_ns, self.rows[1] if self.rows else None]
        return max((one for one in known if one is not None), default=None)

    @property
    def until_ns(self) -> int | None:
        """Until when whoever collects from it can hope for more; None where nothing says so."""
        if self.ended_ns is not None:
            return self.ended_ns
        known = [self.last_ns, self.rows[0] if self.rows else None]
        last_ns = max((one for one in known if one is not None), default=None)
        return None if last_ns is None else last_ns + SECOND_NS


def contents_of(registry: Registry, files: Sequence[Path], venue: str | None = None) -> Contents:
    """Read *files*, or the files in folders, and say what is in them.

    Raises:
        ConfigError: One of them is no recording, the venues say nothing, or they are not of one world.
        UsageError: The adapter of its venue is not installed.
    """
    from wickwire.simulate.recordings import find_recordings, read_recording

    found = [(path, read_recording(path, venue=venue)) for path in find_recordings(files)]
    if all(recording.silent for _, recording in found):
        path, first = found[0]
        why = f"; nothing usable came from {first.failure}" if first.failure else ""
        raise ConfigError(f"replay {path}: the venue says nothing in it{why}; record it again")
    recordings = [recording for _, recording in found]
    worlds = list(dict.fromkeys(recording.world for recording in recordings))
    if len(worlds) > 1:
        raise ConfigError(f"replay: recordings of {worlds[0]} and of {worlds[1]} do not go together")
    series: dict[Series, None] = {}
    times: list[int] = []
    for path, recording in found:
        series |= dict.fromkeys(recording.series)
        for event in _events(_adapter(registry, path, recording), recording):
            match event:
                case Candle():
                    series[Series(recording.venue, event.symbol, event.timeframe)] = None
                    times.append(event.open_ns)
                case Trade():
                    series[Series(recording.venue, event.symbol, Feed.TRADES)] = None
                    times.append(event.time_ns)
                case Quote():
                    series[Series(recording.venue, event.symbol, Feed.QUOTES)] = None
                case _:
                    pass
    return Contents(
        series=sorted(series, key=lambda one: isinstance(one.what, Feed)),
        venues=[*dict.fromkeys(one.venue for one in recordings)],
        world=worlds[0],
        ended_ns=max((one.ended_ns for one in recordings if one.ended_ns is not None), default=None),
        started_ns=min((one.started_ns for one in recordings if one.started_ns is not None), default=None),
        first_ns=min(times, default=None),
        last_ns=max(times, default=None),
        bodies=[(one.venue, reply.body) for one in recordings for reply in one.replies if not reply.method],
    )


def with_rows(
    inside: Contents, registry: Registry, series: Sequence[Series], accounts: Mapping[str, Account]
) -> Contents:
    """Return *inside* with what its plain replies hold of *series*: they do not say whose rows these are.

    Raises:
        PluginError: An adapter broke its contract over one of them.
    """
    rows = [
        row
        for one in series
        if not isinstance(one.what, Feed)
        for venue, body in inside.bodies
        if venue == one.venue
        for row in _rows(registry.load(venue), one, attrs.evolve(accounts[venue], feed=one.variant), body)
    ]
    if not rows:
        return inside
    last = max(rows, key=lambda row: row.open_ns)
    settled_ns = last.close_ns + DAY_NS
    # Only the venue's own word proves the last row whole. Of any other it may have been the running one.
    clock_ns = settled_ns if last.finality is Finality.CLOSED else (last.open_ns + last.close_ns) // 2
    known = [one for one in (inside.first_ns, min(row.open_ns for row in rows)) if one is not None]
    return attrs.evolve(inside, first_ns=min(known), rows=(last.open_ns, clock_ns))


def _rows(adapter: Adapter, series: Series, account: Account, body: bytes) -> Sequence[Candle]:
    """Return the rows that *adapter* reads in *body*, whenever they are: page by page, back from now on."""
    symbol, now_ns = adapter.canonical(series.symbol), SystemClock().now_ns()
    page_ns = series.timeframe.nominal_ns * adapter.support_for(symbol, series.timeframe, account).page_rows
    found: list[Candle] = []
    for until_ns in range(now_ns, max(0, now_ns - _OLDEST_NS), -page_ns):
        query = OhlcvQuery(
            symbol=symbol,
            timeframe=series.timeframe,
            since_ns=max(0, until_ns - page_ns),
            until_ns=until_ns,
            now_ns=until_ns,
        )
        page = _page(adapter, query, account, HttpReply(status=200, body=body, date_ns=now_ns))
        if page is None or (found and not page.candles):
            break
        found += page.candles
    return found


def _page(adapter: Adapter, query: OhlcvQuery, account: Account, reply: HttpReply) -> Page | None:
    """Return the page that *adapter* makes where *reply* answers all that it asks; None where it is none."""
    try:
        talk = adapter.fetch_ohlcv(query, account)
        request = next(talk)
        for _ in range(_MOST_REQUESTS):
            if not isinstance(request, HttpRequest):
                break
            request = talk.send(reply)
    except StopIteration as stop:
        return stop.value if isinstance(stop.value, Page) else None
    except WickwireError:  # it is about something else
        return None
    except Exception as exc:  # whatever a plugin's code raises
        raise adapter.broke(f"fetch_ohlcv() raised {described(exc)}") from exc
    return None


def _adapter(registry: Registry, path: Path, recording: Recording) -> Adapter:
    """Return the adapter of the venue of *recording*.

    Raises:
        UsageError: There is none; the text says how its name came about.
    """
    try:
        return registry.load(recording.venue)
    except UsageError as exc:
        if recording.started_ns is not None:
            raise
        raise UsageError(
            f"replay {path}: it is no recording of `wickwire record`, so it is taken for a capture of "
            f"{recording.venue!r}: {exc}; put it into a folder named like its venue"
        ) from exc


def _events(adapter: Adapter, recording: Recording) -> Iterator[Event]:
    """Yield what the frames of the streams mean; what is no frame of the venue's is passed over."""
    for stream in recording.streams:
        endpoint = adapter.endpoint_told()
        if endpoint is None:
            return  # what it says cannot be read without what a connection remembers
        memory = endpoint.memory()
        for said in (*stream.greeting, *(outgoing for _, outgoing in stream.script)):
            if isinstance(said, str | bytes):
                try:
                    yield from adapter.parse(said.encode() if isinstance(said, str) else said, memory)
                except WireError:
                    continue

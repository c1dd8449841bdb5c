"""What recordings hold: which series, and from when to when. Told by the adapter whose venue they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from wickwire.errors import ConfigError, WireError
from wickwire.events import Event
from wickwire.model import SECOND_NS, Candle, Feed, Quote, Series, Trade
from wickwire.store import REAL

if TYPE_CHECKING:
    from wickwire.adapter import Adapter
    from wickwire.registry import Registry
    from wickwire.simulate.recordings import Recording

__all__ = ["Contents", "contents_of"]


@attrs.frozen(kw_only=True)
class Contents:
    """What was recorded.

    Attributes:
        series: What the recordings say, and what the streams carried, candles first; replies do not say it.
        world: Whose words they hold.
        started_ns: When the first recording began; None for plain captures.
        ended_ns: When the last recording ended; None for plain captures.
        first_ns: When the first candle or trade was; None where there is none.
        last_ns: When the last candle opened, or the last trade was.
    """

    series: Sequence[Series]
    world: str = REAL
    started_ns: int | None = None
    ended_ns: int | None = None
    first_ns: int | None = None
    last_ns: int | None = None

    @property
    def clock_ns(self) -> int | None:
        """When the clock of whoever collects from it should start; None where nothing says so."""
        return self.last_ns if self.started_ns is None else self.started_ns

    @property
    def until_ns(self) -> int | None:
        """Until when whoever collects from it can hope for more; None where nothing says so."""
        if self.ended_ns is not None or self.last_ns is None:
            return self.ended_ns
        return self.last_ns + SECOND_NS


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
    for recording in recordings:
        series |= dict.fromkeys(recording.series)
        for event in _events(registry.load(recording.venue), recording):
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
        world=worlds[0],
        ended_ns=max((one.ended_ns for one in recordings if one.ended_ns is not None), default=None),
        started_ns=min((one.started_ns for one in recordings if one.started_ns is not None), default=None),
        first_ns=min(times, default=None),
        last_ns=max(times, default=None),
    )


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

"""A hot layer outside of the process: one collector keeps it, and any process reads it beside the store."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

import attrs

from wickwire.hot import Hot
from wickwire.sink import Follower
from wickwire.store import Store

__all__ = ["Cache", "CacheReader", "Standing"]


@attrs.frozen(kw_only=True)
class Standing:
    """How far a cache is, as it says itself.

    Attributes:
        seq: All that was committed up to here is in it, of every series that it holds.
        age_s: For how many seconds nobody has said that this was all there was.
    """

    seq: int
    age_s: float


class CacheReader(Hot, Protocol):
    """Reads a cache beside one store; connects when it is first asked, and never raises where it is away."""

    async def standing(self) -> Standing | None:
        """Return how far the cache is; None where it is away, is not fed, or is that of another store."""
        ...

    async def aclose(self) -> None:
        """Release everything. Safe to repeat; whoever reads afterwards is told nothing."""
        ...

    async def __aenter__(self) -> Self:
        """Get ready."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Do what `aclose` does."""
        ...


class Cache(Protocol):
    """One place for the newest closed candles, as an address names it. Nothing connects before it is used."""

    def follower(self) -> Follower:
        """Return what keeps it: a collector feeds it from its store, as it feeds sinks."""
        ...

    def reader(self, store: Store) -> CacheReader:
        """Return what reads it beside *store*, of which it has to be: beside another it tells nothing."""
        ...

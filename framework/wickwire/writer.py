"""Commits what the ledgers found, one transaction per wake, and hands on what the store says is news."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from wickwire.clock import loop_s
from wickwire.closer import Closer
from wickwire.errors import StoreError
from wickwire.model import Series, SeriesCandle
from wickwire.retry import Backoff, Retries
from wickwire.store import Change, Store

__all__ = ["Writer"]

log = logging.getLogger(__name__)


PAGE_ROWS: Final = 500
PATIENCE: Final = 3
"""After so many failures in a row it is tried series by series: one of them may be why."""


class Writer:
    """The only one who writes to the store.

    Attributes:
        committed: Candles that were news.
        batches: Transactions.
        stuck: What the store does not take of some series, though it takes others; tried again for ever.
    """

    def __init__(
        self,
        store: Store,
        deliver: Callable[[Sequence[SeriesCandle]], None],
        rng: random.Random,
        troubled: Callable[[str], None],
        shared: Callable[[Series], None],
    ) -> None:
        """Write to *store*.

        Args:
            store: Where to.
            deliver: Called with what is news, in order of commit.
            rng: Where jitter comes from.
            troubled: Called with each new `trouble`, also with none.
            shared: Called once with a series that somebody else stores too.
        """
        self._store = store
        self._deliver = deliver
        self._retries = Retries(Backoff(first_s=0.1, cap_s=10.0), rng)
        self._stuck_retries = Retries(Backoff(first_s=1.0, cap_s=60.0), rng)
        self._stuck_s = math.inf
        self._dirty: dict[Closer, None] = {}
        self._committing: dict[Closer, Change] = {}
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._failing = self._refusing = self._told = ""
        self._troubled = troubled
        self._told_seq = 0
        self._unheard = False  # something may be stored that nobody was told of
        self._ours: dict[Series, int | None] = {}
        """When the newest candle opens that was committed here; None before the first commit."""
        self._shared = shared
        self.committed = 0
        self.batches = 0
        self.stuck: dict[Closer, Change] = {}

    @property
    def trouble(self) -> str:
        """What the store said last, while it fails or does not take a series; empty when it works."""
        return self._failing or self._refusing

    def _tell(self) -> None:
        """Tell what the store says now, where that is something else than before."""
        if self.trouble != self._told:
            self._told = self.trouble
            self._troubled(self._told)

    def notice(self, closer: Closer) -> None:
        """Note that *closer* has something to commit."""
        self._dirty[closer] = None
        self._ours.setdefault(closer.series)
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Commit for ever. What was taken from a ledger is committed before anything else of it is."""
        with contextlib.suppress(StoreError):  # then it fails at the first commit too, which is told
            self._told_seq = await self._store.last_seq()
        while True:
            await self._work()
            taken = {closer: closer.ledger.take() for closer in self._dirty if closer not in self.stuck}
            for closer in taken:
                del self._dirty[closer]
            self._committing = taken
            if taken:
                await self._commit(taken)
            self._committing = {}
            if loop_s() >= self._stuck_s:
                await self._try_again()
            if not self._dirty and not self.stuck:
                self._idle.set()
            self._moved.set()

    def holds(self, closer: Closer) -> bool:
        """Say whether something of *closer* is still to be committed."""
        return closer in self._dirty or closer in self._committing or closer in self.stuck

    async def landed(self, closer: Closer) -> None:
        """Return when nothing of *closer* is to be committed any more."""
        while self.holds(closer):
            self._moved.clear()
            await self._moved.wait()

    async def drain(self) -> None:
        """Return when everything noticed so far is committed and delivered."""
        await self._idle.wait()

    async def _work(self) -> None:
        """Wait until there is something to do."""
        try:
            async with asyncio.timeout_at(self._stuck_s if self.stuck else None):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _commit(self, taken: dict[Closer, Change]) -> None:
        """Commit in one transaction, for as long as that takes."""
        failures = 0
        while True:
            try:
                await self._offer(taken)
            except StoreError as exc:
                failures += 1
                self._unheard = True
                if not self._failing:
                    log.error("store failed", extra={"why": str(exc)})  # noqa: TRY400 - the text says it all
                self._failing = str(exc)
                self._tell()
                await asyncio.sleep(self._retries.failed(exc))
            else:
                return
            if failures % PATIENCE == 0 and await self._one_by_one(taken):
                return

    async def _offer(self, taken: Mapping[Closer, Change]) -> None:
        """Commit in one transaction, once, and hand on what is news.

        Raises:
            StoreError: It may be committed nevertheless; nothing was handed on.
        """
        news = await self._store.commit([*taken.values()])
        missing = {} if self._unheard else self._missing(taken, news)
        await self._works(news)
        for closer, change in taken.items():
            if change.closings:
                newest_ns = max(one.candle.open_ns for one in change.closings)
                self._ours[closer.series] = max(self._ours[closer.series] or newest_ns, newest_ns)
        for closer, open_ns in missing.items():
            await self._look_for(closer, open_ns)

    def _missing(self, taken: Mapping[Closer, Change], news: Sequence[SeriesCandle]) -> dict[Closer, int]:
        """Return where a candle newer than all that was committed here was no news to the store."""
        told = {(candle.series, candle.open_ns) for candle in news}
        missing = {}
        for closer, change in taken.items():
            newest_ns = self._ours[closer.series]
            if newest_ns is None or closer.shared:
                continue
            for one in change.closings:
                if one.candle.open_ns > newest_ns and (closer.series, one.candle.open_ns) not in told:
                    missing[closer] = one.candle.open_ns
        return missing

    async def _look_for(self, closer: Closer, open_ns: int) -> None:
        """Tell that somebody else stores a series, where its candle is there: what is forgotten is not."""
        with contextlib.suppress(StoreError):  # then it fails at the next commit, which is told
            if await self._store.candles(closer.series, open_ns, open_ns + 1, limit=1):
                closer.shared = True
                self._shared(closer.series)

    async def _works(self, news: Sequence[SeriesCandle]) -> None:
        """Hand on what is news, now that the store takes what it is given.

        An attempt that failed may have been done, and only its answer was lost: then it is no news to the
        store when it is committed again, but nobody has been told of it. So after a failure everything is
        read back that was stored since, in its order, as readers take no candle before one they have seen.

        Raises:
            StoreError: It cannot be read back; nothing was handed on.
        """
        if self._unheard:
            stored = await self._stored()
            kept = {candle.seq for candle in stored}  # a close that was revised at once is stored as revised
            news = sorted([*stored, *(one for one in news if one.seq not in kept)], key=lambda one: one.seq)
            self._unheard = False
        if self._failing:
            log.info("store works again")
        self._failing = ""
        self._tell()
        self._retries.succeeded()
        self.batches += 1
        self.committed += len(news)
        self._told_seq = max([self._told_seq, *(candle.seq for candle in news)])
        self._deliver(news)

    async def _stored(self) -> Sequence[SeriesCandle]:
        """Return what was stored of our series since the last candle that was handed on."""
        found: list[SeriesCandle] = []
        page = await self._store.committed(self._told_seq, limit=PAGE_ROWS)
        while page:
            found += [candle for candle in page if candle.series in self._ours]
            page = await self._store.committed(page[-1].seq, limit=PAGE_ROWS)
        return found

    async def _one_by_one(self, taken: dict[Closer, Change]) -> bool:
        """Commit series by series; False when the store takes none: then it is the store that fails."""
        for closer in [one for one in self._dirty if one not in taken and one not in self.stuck]:
            taken[closer] = closer.ledger.take()  # a sole series tells nothing about the store
            del self._dirty[closer]
        refused = await self._refused_of(taken)
        if len(refused) == len(taken):
            return False
        if refused:  # the store may have come back in between, and would not say so of the first ones
            refused = await self._refused_of({closer: taken[closer] for closer in refused})
        for closer, error in refused.items():
            log.error("store refuses a series", extra={"series": str(closer.series), "why": str(error)})
            self.stuck[closer] = taken[closer]
            self._refusing = f"{closer.series} is not taken: {error}"
        if refused:
            self._postpone(*refused.values())
            self._tell()
        return True

    async def _refused_of(self, taken: Mapping[Closer, Change]) -> dict[Closer, StoreError]:
        """Commit series by series; return those that the store did not take, and why."""
        refused: dict[Closer, StoreError] = {}
        for closer, change in taken.items():
            try:
                await self._offer({closer: change})
            except StoreError as exc:
                self._unheard = True
                refused[closer] = exc
        return refused

    async def _try_again(self) -> None:
        """Offer to the store again what it did not take."""
        for closer, change in list(self.stuck.items()):
            try:
                await self._offer({closer: change})
            except StoreError as exc:
                self._unheard = True
                self._refusing = f"{closer.series} is not taken: {exc}"
                self.stuck[closer] = self.stuck.pop(closer)  # next time the others are offered before
                self._tell()
                self._postpone(exc)
                return
            del self.stuck[closer]
            self._wake.set()
        self._stuck_s, self._refusing = math.inf, ""
        self._tell()
        self._stuck_retries.succeeded()

    def _postpone(self, *errors: StoreError) -> None:
        self._stuck_s = loop_s() + self._stuck_retries.failed(errors[0])

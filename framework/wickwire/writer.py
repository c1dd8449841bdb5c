"""Commits what the ledgers found, one transaction per wake, and hands on what the store says is news."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from wickwire.closer import Closer
from wickwire.errors import StoreError
from wickwire.model import SeriesCandle
from wickwire.retry import Backoff, Retries
from wickwire.store import Change, Store

__all__ = ["Writer"]

log = logging.getLogger(__name__)


class Writer:
    """The only one who writes to the store.

    Attributes:
        trouble: The store's last error; empty when it works.
        committed: Candles that were news.
        batches: Transactions.
    """

    def __init__(
        self, store: Store, deliver: Callable[[Sequence[SeriesCandle]], None], rng: random.Random
    ) -> None:
        """Write to *store*; *deliver* gets what is news, in order of commit."""
        self._store = store
        self._deliver = deliver
        self._retries = Retries(Backoff(first_s=0.1, cap_s=10.0), rng)
        self._dirty: dict[Closer, None] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.trouble = ""
        self.committed = 0
        self.batches = 0

    def notice(self, closer: Closer) -> None:
        """Note that *closer* has something to commit."""
        self._dirty[closer] = None
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Commit for ever. What was taken from a ledger is committed before anything else is."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            changes = [closer.ledger.take() for closer in self._dirty]
            self._dirty.clear()
            if changes:
                self._deliver(await self._commit(changes))
            if not self._dirty:
                self._idle.set()

    async def drain(self) -> None:
        """Return when everything noticed so far is committed and delivered."""
        await self._idle.wait()

    async def _commit(self, changes: Sequence[Change]) -> Sequence[SeriesCandle]:
        while True:
            try:
                news = await self._store.commit(changes)
            except StoreError as exc:
                if not self.trouble:
                    log.error("store failed", extra={"why": str(exc)})  # noqa: TRY400 - the text says it all
                self.trouble = str(exc)
                await asyncio.sleep(self._retries.failed(exc))
            else:
                if self.trouble:
                    log.info("store works again")
                self.trouble = ""
                self._retries.succeeded()
                self.batches += 1
                self.committed += len(news)
                return news

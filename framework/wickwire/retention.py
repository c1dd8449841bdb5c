"""How long what is stored is kept: what is older is forgotten, once a day, by a task of the collector.

Another process may forget too, of the same store. Whoever collects learns of it here, at most an hour later;
until then the store sees to it that nothing is claimed that is gone (`wickwire.forgetting`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from wickwire.clock import Clock
from wickwire.errors import StoreError, UsageError
from wickwire.forgetting import first_kept
from wickwire.instants import DAY_NS, FIRST_NS, duration_ns
from wickwire.model import Series
from wickwire.pages import stored_candles
from wickwire.store import Store
from wickwire.trade_store import TradeStore

if TYPE_CHECKING:
    from wickwire.closer import Closer

__all__ = ["EVERY_S", "Forgetter", "Retention", "present_ns"]

log = logging.getLogger(__name__)

EVERY_S: Final = 3_600.0
"""How often is looked whether something is too old, and what others have forgotten."""


@attrs.frozen(kw_only=True)
class Retention:
    """How long what is stored is kept, counted back from midnight in UTC; whole days at least.

    Attributes:
        candles: Such as "400d"; None keeps them for ever.
        trades: The same of stored trades.
    """

    candles: str | None = None
    trades: str | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what is no duration, or less than a day: nothing could be compared with history then."""
        for name, text in (("candles", self.candles), ("trades", self.trades)):
            try:
                age_ns = DAY_NS if text is None else duration_ns(text)
            except UsageError as exc:
                raise ValueError(f"{name}: {exc}") from None
            if age_ns < DAY_NS:
                raise ValueError(f"{name}: expected a day at least, got {text!r}")

    def candles_before(self, now_ns: int) -> int | None:
        """Return what candles have to be younger than at *now_ns*; None where all are kept."""
        return _midnight_before(now_ns, self.candles)

    def trades_before(self, now_ns: int) -> int | None:
        """Return what trades have to be younger than at *now_ns*; None where all are kept."""
        return _midnight_before(now_ns, self.trades)


def _midnight_before(now_ns: int, age: str | None) -> int | None:
    if age is None:
        return None
    before_ns = now_ns - duration_ns(age)
    return before_ns - before_ns % DAY_NS


async def present_ns(store: Store, now_ns: int) -> int | None:
    """Return what ages count from: *now_ns*, or the newest that *store* holds; None where it is empty.

    A clock that was set years ahead makes nothing old. Only candles and trades are believed: the frontier of
    a series that was added by such a clock lies as far ahead, though no venue said anything of that time.

    Raises:
        StoreError: It cannot be read.
    """
    known: list[int] = []
    for state in sorted(await store.states(), key=lambda one: one.frontier_ns, reverse=True):
        if known and state.frontier_ns <= max(known):
            break  # its candles ended by then
        newest = await store.latest(state.series)
        known += [] if newest is None else [newest.close_ns]
    if isinstance(store, TradeStore):
        known += [one.until_ns for stretches in (await store.tapes()).values() for one in stretches]
    return min(now_ns, max(known)) if known else None


class Forgetter:
    """Sees to it that what is too old goes, and that who collects knows what is gone."""

    def __init__(
        self,
        store: Store,
        retention: Retention,
        clock: Clock,
        *,
        closer_of: Callable[[Series], Closer | None],
        learned: Callable[[Series], None],
    ) -> None:
        """Look after *store*; `run` does it.

        Args:
            store: What forgets.
            retention: How long what is kept.
            clock: What says how old something is.
            closer_of: What keeps a series, where one is collected.
            learned: Told which series knows less now.
        """
        self._store = store
        self._retention = retention
        self._clock = clock
        self._closer_of = closer_of
        self._learned = learned
        self._trouble = ""

    async def run(self) -> None:
        """Forget and learn for ever; what fails has another hour."""
        while True:
            try:
                await self.forget()
                await self.learn()
            except StoreError as exc:
                if self._trouble != str(exc):
                    log.warning("retention failed", extra={"why": str(exc)})
                self._trouble = str(exc)
            else:
                self._trouble = ""
            await asyncio.sleep(EVERY_S)

    async def forget(self) -> None:
        """Have the store forget what is too old now.

        Raises:
            StoreError: It does not; what it began goes on with the next call.
        """
        if self._retention == Retention():
            return
        now_ns = await present_ns(self._store, self._clock.now_ns())
        if now_ns is None:
            return
        before_ns = self._retention.candles_before(now_ns)
        if before_ns is not None:
            await self._warn(before_ns)
            self._told("candles", await self._store.forget(before_ns))
        before_ns = self._retention.trades_before(now_ns)
        if before_ns is not None and isinstance(self._store, TradeStore):
            self._told("trades", await self._store.forget_trades(before_ns))

    async def learn(self) -> None:
        """Have everybody who collects know what was forgotten, by whomever.

        Raises:
            StoreError: The store cannot be read.
        """
        for state in await self._store.states():
            closer = self._closer_of(state.series)
            if closer is not None and state.forgotten is not None and closer.forget(state.forgotten):
                self._learned(state.series)

    async def _warn(self, before_ns: int) -> None:
        """Say which sinks will not have what goes now: they were away for longer than it is kept."""
        cursors = await self._store.cursors()
        if not cursors:
            return
        last_seq = 0  # what is old may have come late, behind what is young
        for state in await self._store.states():
            kept_ns = first_kept(state.series, before_ns)
            async for page in stored_candles(self._store, state.series, FIRST_NS, kept_ns):
                last_seq = max(last_seq, *(row.seq for row in page))
        for name, cursor in cursors.items():
            if cursor.seq < last_seq:
                log.warning("sink misses what is forgotten", extra={"sink": name, "seq": str(cursor.seq)})

    def _told(self, what: str, count: int) -> None:
        if count:
            log.info("forgotten", extra={"what": what, "count": str(count)})

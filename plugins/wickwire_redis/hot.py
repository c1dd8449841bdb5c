"""The hot layer in Redis: what reads it beside a store. Where it is away, the store answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

import attrs

from wickwire import Held, Series, SeriesCandle, Standing, Store, StoreError
from wickwire_redis.address import Address
from wickwire_redis.blocks import Head, State, candle_of_member, time_text
from wickwire_redis.driver import ERRORS, Client, close, code_of, connect, explained
from wickwire_redis.follower import OUT_OF_DATE_S, STATE_FIELDS, RedisFollower, proven
from wickwire_redis.keys import Keys
from wickwire_redis.rows import DamagedError

__all__ = ["PAUSE_S", "PROVEN_S", "READ_S", "RedisCache", "RedisHot"]

log = logging.getLogger(__name__)

READ_S: Final = 0.5
"""So long the server may take for one read, connecting included; then the store answers."""

PAUSE_S: Final = 5.0
"""For so long a server that failed is not asked again, by anybody who reads with the same object."""

PROVEN_S: Final = 10.0
"""How often is looked whether a layer is still that of our store: two that began alike may part."""

MOST_AT_ONCE: Final = 8
"""So many reads, and so connections, are on their way at once; the others wait their turn."""

_HEAD: Final = ("[!", '("')


class RedisHot:
    """Reads the hot layer beside *store*. Never raises because of Redis: where it is away, it cannot tell.

    Lives in the event loop in which it is first asked.
    """

    def __init__(self, address: Address, store: Store, timer: Callable[[], float] | None = None) -> None:
        """Remember where; it connects when something is read.

        Args:
            address: Of what feeds the layer; the prefix and the server count.
            store: Whose candles these have to be.
            timer: Seconds that only grow; by default the event loop's.
        """
        self._address = address
        self._store = store
        self._timer = timer or (lambda: asyncio.get_running_loop().time())
        self._keys = Keys(address.prefix)
        self._client: Client | None = None
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._asked_again_s = 0.0
        self._trouble = ""
        self._damaged = False
        self._origin = b""
        self._ours = False
        self._proves_s = 0.0
        self._closed = False

    def __repr__(self) -> str:
        """Show the address without its secrets."""
        return f"RedisHot({self._address.shown!r})"

    async def __aenter__(self) -> Self:
        """Get ready."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self.aclose()

    async def aclose(self) -> None:
        """Disconnect. Safe to repeat; who reads afterwards is told nothing."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await close(client)

    async def held(self, series: Series, since_ns: int, until_ns: int) -> Held | None:
        """Return what it holds of *series* in `[since_ns, until_ns)`; None where it cannot tell."""
        ends = f"[{time_text(since_ns)}", f"({time_text(until_ns)}"
        found = await self._read(series, ("ZRANGEBYLEX", *ends))
        return None if found is None else Held(since_ns=found[0], candles=found[1])

    async def latest(self, series: Series) -> SeriesCandle | None:
        """Return the candle of *series* that opens last; None where it cannot tell, or there is none."""
        found = await self._read(series, ("ZREVRANGEBYLEX", "+", "[0", "LIMIT", "0", "1"))
        return found[1][0] if found is not None and found[1] else None

    async def standing(self) -> Standing | None:
        """Return how far it is; None where it is away, is not fed any more, or is that of another store."""
        replies = await self._asked()
        state = None if replies is None or isinstance(replies[0], Exception) else State.of(*replies[:2])
        if state is None or not await self._believed(state):
            return None
        return Standing(seq=state.seq, age_s=state.age_s)

    async def _read(
        self, series: Series, command: Sequence[str]
    ) -> tuple[int, Sequence[SeriesCandle]] | None:
        """Return from when on the block of *series* holds everything, and what *command* finds in it."""
        try:
            key = self._keys.block(series)
        except UnicodeEncodeError:  # half a surrogate pair is no name of a key
            return None
        replies = await self._asked(("ZRANGEBYLEX", key, *_HEAD), (command[0], key, *command[1:]))
        if replies is None or not replies[2] or any(isinstance(one, Exception) for one in replies):
            return None  # nothing there, or a key of somebody else
        fields, time, [first], members = replies
        state = State.of(fields, time)
        try:
            head = Head.of(first)
            candles = [candle_of_member(series, member) for member in members]
        except DamagedError as exc:
            if not self._damaged:
                log.warning("hot layer damaged, the store answers", extra={"why": str(exc)})
            self._damaged = True
            return None
        if state is None or head.origin != state.origin or not await self._believed(state):
            return None
        return head.since_ns, candles

    async def _believed(self, state: State) -> bool:
        """Say whether a layer is fed, and from our store.

        What was ours stays so where that cannot be seen: its newest commit may have been revised since.
        """
        if state.age_s > OUT_OF_DATE_S:
            return False
        is_known, now_s = state.origin == self._origin, self._timer()
        if not is_known or now_s >= self._proves_s:
            self._proves_s = now_s + PROVEN_S  # one looks for all
            try:
                ours = await proven(self._store, state)
            except StoreError:
                ours = None
            if ours is None and not is_known:
                return False
            if ours is False and (self._ours or not is_known):
                log.warning("hot layer of another store", extra={"hot": self._address.shown})
            self._origin, self._ours = state.origin, self._ours if ours is None else ours
        return self._ours

    # -------------------------------------------------------------------------------------------- the server

    async def _asked(self, *commands: Sequence[str]) -> list[Any] | None:
        """Return how far the layer is, the time, and what *commands* say, all at one moment; None if not."""
        now_s = self._timer()
        if self._closed or now_s < self._asked_again_s:
            return None
        if self._trouble:  # one tries for all
            self._asked_again_s = now_s + PAUSE_S
        try:
            async with asyncio.timeout(READ_S), self._turns:
                if self._client is None:
                    self._client = connect(attrs.evolve(self._address, timeout_s=1))
                pipeline = self._client.pipeline(transaction=True)
                pipeline.execute_command("HMGET", self._keys.standing, *STATE_FIELDS)
                pipeline.execute_command("TIME")
                for command in commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, Exception) and code_of(reply) != "WRONGTYPE":
                    raise reply
        except ERRORS as exc:
            self._asked_again_s = self._timer() + PAUSE_S
            self._say(exc)
            return None
        self._asked_again_s = 0.0
        self._say(None)
        return replies

    def _say(self, exc: BaseException | None) -> None:
        """Log what is wrong, or that nothing is any more, where that is news."""
        trouble = "" if exc is None else str(explained(self._address.shown, "read it", exc, what="hot layer"))
        if bool(trouble) == bool(self._trouble):
            return
        self._trouble = trouble
        if trouble:
            log.warning("hot layer away, the store answers", extra={"why": trouble})
        else:
            log.info("hot layer is there again", extra={"hot": self._address.shown})


@attrs.frozen
class RedisCache:
    """The hot layer of one address."""

    _address: Address

    def follower(self) -> RedisFollower:
        """Return what a collector feeds."""
        return RedisFollower(self._address)

    def reader(self, store: Store) -> RedisHot:
        """Return what reads it beside *store*."""
        return RedisHot(self._address, store)

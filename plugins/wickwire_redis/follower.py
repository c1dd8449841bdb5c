"""Keeps the hot layer in Redis: takes in what is committed, writes anew what is not there.

Whatever the server lost, what it still says is true: see decision 125.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from redis.exceptions import NoScriptError

from wickwire import Series, SeriesCandle, SinkError, Store
from wickwire_redis.address import Address
from wickwire_redis.block_script import FILL, FORGET, MOVE_ON
from wickwire_redis.blocks import FORM, Head, State, mark_of, member_of, time_text
from wickwire_redis.driver import ERRORS, Client, close, connect, explained, first_look, within
from wickwire_redis.keys import Keys
from wickwire_redis.opening import NOBODY, Command, look_at

__all__ = ["FORGOTTEN_S", "MOST_HELD", "OUT_OF_DATE_S", "STATE_FIELDS", "RedisFollower", "proven"]

log = logging.getLogger(__name__)

Argument = str | bytes | int

OUT_OF_DATE_S: Final = 60.0
"""A layer of which nobody said for so long that it was up to date is not read, and may be taken over."""

FORGOTTEN_S: Final = 30.0
"""How often is looked what the store has forgotten, at most: no commit tells of that."""

MOST_HELD: Final = 10_000
"""So many candles a block holds at most, however long its window is."""

_FILLS: Final = 100
"""So many blocks are written anew at a time: the others wait until the next candles, or ten seconds."""

_CUTS: Final = 100
"""So many blocks are looked at by one script: others are served in between."""

_MOST_READ: Final = MOST_HELD + 1_000
_LAST_NS: Final = 2**63 - 1

STATE_FIELDS: Final = ("form", "origin", "seq", "mark", "writer", "at")


async def proven(store: Store, state: State) -> bool | None:
    """Say whether *state* is that of a layer fed from *store*; None where that cannot be seen now.

    Raises:
        StoreError: The store cannot be read.
    """
    rows = await store.committed(state.seq - 1, limit=1)
    if not state.mark or not rows or rows[0].seq != state.seq:
        return None  # fed from another store, or that candle has been revised since
    return mark_of(await store.world(), rows[0]).encode() == state.mark


def _wanted(state: str, block: str) -> Sequence[Command]:
    """Return what keeping the layer does, once each."""
    return [
        ("HMGET", state, "form"),
        ("TIME",),
        ("HSET", state, "form", ""),
        ("DEL", state, block),
        ("PEXPIRE", state, 1),
        ("SCRIPT", "LOAD", "return 0"),
        ("EVALSHA", "0" * 40, 2, state, block),
        ("ZRANGEBYLEX", block, "[!", "(!"),
        ("ZADD", block, 0, ""),
        ("ZREM", block, ""),
        ("ZREMRANGEBYLEX", block, "[0", "(0"),
        ("PEXPIRE", block, 1),
    ]


class RedisFollower:
    """What a collector feeds: the newest candles of each series that it commits, in blocks that are whole.

    Lives in the event loop that opened it.
    """

    def __init__(self, address: Address, timer: Callable[[], float] | None = None) -> None:
        """Remember where; nothing is connected yet.

        Args:
            address: Where the layer is.
            timer: Seconds that only grow; by default the event loop's.
        """
        self._address = address
        self._timer = timer or (lambda: asyncio.get_running_loop().time())
        self._keys = Keys(address.prefix)
        self._client: Client | None = None
        self._looked = False
        self._scripts: dict[str, str] = {}
        self._writer = secrets.token_hex(8)
        self._origin = ""
        self._seq = self._taken = 0
        self._missing: dict[Series, None] = {}
        self._foreign: dict[Series, None] = {}
        self._forgets_s = -math.inf

    def __repr__(self) -> str:
        """Show the address without its secrets."""
        return f"RedisFollower({self._address.shown!r})"

    async def open(self) -> None:
        """Look at the server, where it is there: whether it is one for us, and lets us in.

        Raises:
            SinkError: It refuses user or password, lacks a right, is a cluster or too old, or a file for TLS
                cannot be read.
        """
        await self.aclose()
        try:
            self._client = connect(self._address)
            await first_look(partial(self._look, self._client), self.aclose)
        except ERRORS as exc:
            raise self._explained("open it", exc) from exc

    async def aclose(self) -> None:
        """Disconnect; what is there stays. Safe to repeat."""
        client, self._client = self._client, None
        self._looked, self._origin, self._taken, self._forgets_s = False, "", 0, -math.inf
        self._scripts.clear()
        self._missing.clear()
        if client is not None:
            await close(client)

    async def follow(
        self, store: Store, candles: Sequence[SeriesCandle], *, after_seq: int, whole: bool
    ) -> None:
        """Take *candles* into the blocks, and write what lacks a block anew.

        Raises:
            SinkError: The server is away, or the layer there is fed from another store.
            StoreError: The store cannot be read.
        """
        client = self._client
        if client is None:
            raise SinkError(f"hot layer {self._address.shown!r}: cannot be fed: it is not open")
        try:
            if not self._looked:
                await self._look(client)
            await self._take(client, store, candles, after_seq, whole=whole)
            await self._forget(client, store)
            if whole:
                await self._fill(client, store)
        except ERRORS as exc:
            raise self._explained("feed it", exc) from exc

    # ----------------------------------------------------------------------------------------- what is new

    async def _take(
        self, client: Client, store: Store, candles: Sequence[SeriesCandle], after_seq: int, *, whole: bool
    ) -> None:
        if after_seq < self._taken and self._origin:
            # the store lost commits, and may give their numbers to the same candles in another order
            self._origin = await self._begin(client, after_seq)
        series = list(dict.fromkeys(one.series for one in candles if self._has_key(one.series)))
        keys = [self._keys.standing, *map(self._keys.block, series)]
        arguments = self._news(candles, series, await store.world() if candles else "")
        last_seq = candles[-1].seq if candles else after_seq
        for _ in range(2):
            if not self._origin:
                self._origin = await self._found(client, store, after_seq)
                if not self._origin and not candles:
                    return
                self._origin = self._origin or await self._begin(client, after_seq)
            fixed = (self._origin, self._writer, after_seq, last_seq, arguments[0], self._keep_ms, int(whole))
            answer = await self._call(client, MOVE_ON, keys, (*fixed, *arguments[1:]))
            if answer[0] != b"ok":
                self._origin = ""
                continue
            there = int(answer[1])
            if there > last_seq and there > await store.last_seq():
                # the store lost commits that are in there, as a server does that fails over
                self._origin = await self._begin(client, after_seq)
                continue
            self._seq, self._taken = there, last_seq
            self._missing |= dict.fromkeys(series[number - 1] for number in answer[2:])
            return
        raise SinkError(
            f"hot layer {self._address.shown!r}: it was begun anew while it was fed; this is tried again"
        )

    def _news(
        self, candles: Sequence[SeriesCandle], series: Sequence[Series], world: str
    ) -> Sequence[Argument]:
        """Return the mark of the last of *candles*, and what the script takes of each *series* and candle."""
        newest_ns: dict[Series, int] = {}
        for one in candles:
            newest_ns[one.series] = max(one.open_ns, newest_ns.get(one.series, one.open_ns))
        numbers = {one: number for number, one in enumerate(series, 1)}
        floors = [time_text(newest_ns[one] - self._window_ns(one)) for one in series]
        marks = [mark_of(world, one) for one in candles]
        arguments: list[Argument] = [marks[-1] if marks else "", *floors]
        for one, mark in zip(candles, marks, strict=True):
            if one.series in numbers:
                arguments += (numbers[one.series], time_text(one.open_ns), one.seq, mark, member_of(one))
        return arguments

    def _has_key(self, series: Series) -> bool:
        """Say whether *series* can be written as the name of a key: half a surrogate pair cannot."""
        try:
            self._keys.block(series)
        except UnicodeEncodeError:
            return False
        return True

    def _window_ns(self, series: Series) -> int:
        """Return how much of *series* a block holds."""
        return min(self._address.window_s * 1_000_000_000, (MOST_HELD - 1) * series.timeframe.nominal_ns)

    @property
    def _keep_ms(self) -> int:
        return self._address.keep_s * 1_000

    # -------------------------------------------------------------------------------------- where it begins

    async def _found(self, client: Client, store: Store, after_seq: int) -> str:
        """Return the origin of the layer that is there, where it can be fed on; nothing where it cannot.

        Raises:
            SinkError: Somebody else feeds it, and not from this store as far as can be seen.
        """
        pipeline = client.pipeline(transaction=True)
        pipeline.execute_command("HMGET", self._keys.standing, *STATE_FIELDS)
        pipeline.execute_command("TIME")
        fields, time = await within(self._address, pipeline.execute)
        state = State.of(fields, time)
        if state is None:
            return ""
        if await proven(store, state):
            return state.origin.decode() if after_seq <= state.seq else ""  # else it is an older copy
        if state.writer.decode() != self._writer and state.age_s < OUT_OF_DATE_S:
            raise SinkError(
                f"hot layer {self._address.shown!r}: it was fed {state.age_s:.0f} s ago, and not from this "
                "store as it seems; give one of them a ?prefix= of its own, or end the other collector"
            )
        return ""

    async def _begin(self, client: Client, seq: int) -> str:
        """Begin a layer without blocks, in place of what is there; return its origin."""
        origin, key = secrets.token_hex(8), self._keys.standing
        said = {"form": FORM, "origin": origin, "seq": seq, "mark": "", "writer": self._writer, "at": 0}
        pipeline = client.pipeline(transaction=True)
        pipeline.execute_command("DEL", key)
        pipeline.execute_command("HSET", key, *(part for pair in said.items() for part in pair))
        pipeline.execute_command("PEXPIRE", key, self._keep_ms)
        await within(self._address, pipeline.execute)
        return origin

    # --------------------------------------------------------------------------- what is forgotten, or lacks

    async def _forget(self, client: Client, store: Store) -> None:
        """Let no block begin before what the store has forgotten.

        All of them each time: a server that went back to a dump may hold again what was cut off.
        """
        now_s = self._timer()
        if now_s < self._forgets_s or not self._origin:
            return
        floors = [
            (self._keys.block(state.series), time_text(state.forgotten.before_ns))
            for state in await store.states()
            if state.forgotten is not None and self._has_key(state.series)
        ]
        for first in range(0, len(floors), _CUTS):
            some = floors[first : first + _CUTS]
            await self._call(
                client, FORGET, [key for key, _ in some], [self._origin, *(floor for _, floor in some)]
            )
        self._forgets_s = now_s + FORGOTTEN_S

    async def _fill(self, client: Client, store: Store) -> None:
        """Write some of the blocks that are not there; the candles come from the store.

        What has been committed since stays out: a block is never ahead of the others. Then it is written with
        the next candles, which are there already.
        """
        for series in list(self._missing)[:_FILLS]:
            latest = await store.latest(series)
            since_ns = 0 if latest is None else latest.open_ns - self._window_ns(series)
            candles = await store.candles(series, since_ns, _LAST_NS, limit=_MOST_READ)
            if any(one.seq > self._seq for one in candles):
                continue
            if latest is not None and len(candles) < _MOST_READ:
                keys = [self._keys.standing, self._keys.block(series)]
                head = Head.member(self._origin, since_ns)
                said: list[Argument] = [self._origin, self._seq, self._keep_ms, head]
                answer = await self._call(client, FILL, keys, [*said, *map(member_of, candles)])
                if answer == b"lost":
                    self._origin = ""
                    return
                if answer == b"foreign":
                    self._leave_out(series)
                else:
                    self._foreign.pop(series, None)
                if answer == b"late":  # another one was faster, and what it took is still to come here
                    continue
            self._missing.pop(series, None)

    def _leave_out(self, series: Series) -> None:
        """Say once that a key of somebody else is where the block of *series* belongs: the store answers."""
        if series not in self._foreign:
            self._foreign[series] = None
            why = f"the key {self._keys.block(series)!r} is somebody else's: rename it, or choose a ?prefix="
            said = {"hot": self._address.shown, "series": str(series), "why": why}
            log.warning("series not in the hot layer", extra=said)

    # ------------------------------------------------------------------------------------------- the server

    async def _look(self, client: Client) -> None:
        key, block = self._keys.standing, self._keys.block(NOBODY)
        await look_at(client, self._address, _wanted(key, block))
        for text in (MOVE_ON, FILL, FORGET):
            await self._load(client, text)
        self._looked = True

    async def _load(self, client: Client, text: str) -> None:
        loaded = await within(self._address, lambda: client.execute_command("SCRIPT", "LOAD", text))
        self._scripts[text] = loaded.decode()

    async def _call(
        self, client: Client, text: str, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> Any:
        """Call a script by the hash that it has."""

        async def call() -> Any:
            return await client.execute_command("EVALSHA", self._scripts[text], len(keys), *keys, *arguments)

        try:
            return await within(self._address, call)
        except NoScriptError:  # the server has started anew, or somebody flushed it
            await self._load(client, text)
            return await within(self._address, call)

    def _explained(self, doing: str, exc: BaseException) -> SinkError:
        return explained(self._address.shown, doing, exc, what="hot layer")

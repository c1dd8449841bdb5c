"""The sink itself: candles and quotes in bounded pipelines, and what is done when one of them fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import attrs
from redis.exceptions import NoScriptError

from wickwire import Clock, Lost, Poisoned, Quote, Series, SeriesCandle, SinkError, SystemClock
from wickwire_redis.address import Address
from wickwire_redis.driver import (
    ERRORS,
    Client,
    close,
    code_of,
    connect,
    explained,
    first_look,
    reason,
    within,
)
from wickwire_redis.keys import Keys, score
from wickwire_redis.opening import look
from wickwire_redis.rows import CandleRow, QuoteRow, Rows, candle_row, quote_row
from wickwire_redis.script import TAKE_CANDLES, TAKE_QUOTES

__all__ = ["MOST_CANDLES", "MOST_COMMANDS", "RedisSink"]

T = TypeVar("T")

log = logging.getLogger(__name__)

MOST_COMMANDS: Final = 200
"""How many commands a pipeline holds at most."""
MOST_QUOTES: Final = 100
"""How many keys one call of the script sets at most: nobody else is served meanwhile."""
MOST_CANDLES: Final = 100
"""How many candles one call of the script takes at most: nobody else is served meanwhile either."""
_MOST_CANDLES_A_PIPELINE: Final = 1_000
_MOST_NAMED: Final = 3

Argument = str | bytes | int
Command = tuple[Argument, ...]


@attrs.frozen
class _Share:
    """The candles of one series that one call of the script takes."""

    candles: Sequence[SeriesCandle]
    arguments: list[Argument]

    @property
    def series(self) -> Series:
        """Whose they are."""
        return self.candles[0].series


class _ForeignKeyError(Exception):
    """A key of one series is somebody else's; the text says which. *number* is that of the command."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(why)
        self.number = number


class RedisSink:
    """Latest quotes, recent candles and a stream of candles per series, in one database of a Redis server.

    What is put twice is there once. Lives in the event loop that opened it.
    """

    def __init__(self, address: Address, clock: Clock | None = None) -> None:
        """Remember where; nothing is connected yet. *clock* says when a quote came."""
        self._address = address
        self._clock = SystemClock() if clock is None else clock
        self._keys = Keys(address.prefix)
        self._quotes = Rows(QuoteRow, address.serialisation)
        self._candles = Rows(CandleRow, address.serialisation)
        self._client: Client | None = None
        self._looked = False
        self._candle_script = self._quote_script = ""
        self._received: dict[Series, tuple[Quote, int]] = {}
        self._left_out: set[Series] = set()
        self._taken: dict[Series, int] = {}

    def __repr__(self) -> str:
        """Show the address without its secrets."""
        return f"RedisSink({self._address.shown!r})"

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
            raise explained(self._address.shown, "open it", exc) from exc

    async def aclose(self) -> None:
        """Disconnect; what was put stays. Safe to repeat."""
        client, self._client = self._client, None
        self._looked = False
        if client is not None:
            await close(client)

    async def put(self, candles: Sequence[SeriesCandle]) -> None:
        """Take *candles*, in order of `seq`.

        Raises:
            SinkError: Some of them may not be there.
            Lost: The server does not hold any more what it took; nothing was added to what it lost.
            Poisoned: One of them has no place in Redis, or a key of its series is somebody else's.
        """
        shares = self._shares(candles)
        try:
            client = await self._ready("put candles")
            for batch in _batches(shares):
                try:
                    replies = await self._with_scripts(client, partial(self._calls, batch))
                except _ForeignKeyError as exc:
                    raise self._poisoned(batch[exc.number - 1].candles[0], str(exc)) from exc
                self._note(batch, replies)
        except ERRORS as exc:
            raise explained(self._address.shown, "put candles", exc) from exc

    async def put_quotes(self, quotes: Mapping[Series, Quote]) -> None:
        """Take the latest quote of each series, and tell all who listen.

        Raises:
            SinkError: Some of them may not be there.
        """
        received = self._stamped(quotes)
        told = [
            one for series, (quote, at_ns) in received.items() for one in self._told(series, quote, at_ns)
        ]
        try:
            client = await self._ready("put quotes")
            for part in _parts(told, MOST_QUOTES):
                await self._with_scripts(client, partial(self._quote_calls, part))
        except ERRORS as exc:
            raise explained(self._address.shown, "put quotes", exc) from exc
        self._received = {}

    # --------------------------------------------------------------------------------------------- candles

    def _note(self, batch: Sequence[_Share], replies: Sequence[Any]) -> None:
        """Remember what the server took of *batch*.

        Raises:
            Lost: It does not hold any more what it took before.
        """
        added, *taken = replies
        held = [int(reply.split()[1]) for reply in taken if reply.startswith(b"LOST ")]
        if self._address.trim is None and added and all(one.series in self._taken for one in batch):
            held.append(0)  # without streams there is nothing to see it by but the list of all series
        if held:
            self._taken.clear()
            raise Lost(
                f"sink {self._address.shown!r}: the server has lost candles that it took: it was restarted "
                "without them, flushed, or went back to an older copy; see its `save` and `appendonly`",
                seq=min(held),
            )
        for share in batch:
            last_seq = max(one.seq for one in share.candles)
            self._taken[share.series] = max(last_seq, self._taken.get(share.series, 0))

    def _shares(self, candles: Sequence[SeriesCandle]) -> list[_Share]:
        """Return what the script is to be called with, in order for each series."""
        by_series: dict[Series, list[SeriesCandle]] = {}
        for candle in candles:
            by_series.setdefault(candle.series, []).append(candle)
        shares = []
        for its in by_series.values():
            recent_ns = max(one.open_ns for one in its) - self._address.window_s * 1_000_000_000
            for part in _parts(its, MOST_CANDLES):
                arguments = [argument for one in part for argument in self._arguments(one, recent_ns)]
                shares.append(_Share(part, arguments))
        return shares

    def _arguments(self, candle: SeriesCandle, recent_ns: int) -> Command:
        if candle.seq < 1:
            raise self._poisoned(candle, f"its seq is {candle.seq}, and those of a store begin with 1")
        try:
            row = self._candles.encode(candle_row(candle))
            self._keys.stream(candle.series)
        except (ValueError, UnicodeError) as exc:
            raise self._poisoned(candle, str(exc)) from exc
        hot = int(candle.open_ns > recent_ns)
        return candle.seq, candle.open_ns, candle.revision, score(candle.open_ns), hot, row

    def _poisoned(self, candle: SeriesCandle, why: str) -> Poisoned:
        series = str(candle.series).encode(errors="backslashreplace").decode()
        return Poisoned(
            f"sink {self._address.shown!r}: cannot put the candle {candle.seq} of {series}: {why}",
            seq=candle.seq,
        )

    def _calls(self, batch: Sequence[_Share]) -> list[Command]:
        """Return the commands for *batch*; the script is called by the hash that it has now."""
        names = sorted({str(share.series) for share in batch})
        return [("SADD", self._keys.series, *names), *map(self._call, batch)]

    def _call(self, share: _Share) -> Command:
        keys, trim = self._keys, self._address.trim
        return (
            *("EVALSHA", self._candle_script, 3),
            *(keys.recent(share.series), keys.latest(share.series), keys.stream(share.series)),
            *(self._address.window_s * 1_000, self._address.keep_s * 1_000),
            *(("", 0) if trim is None else (trim.by.value, trim.bound)),
            self._taken.get(share.series, 0),
            *share.arguments,
        )

    # ---------------------------------------------------------------------------------------------- quotes

    def _stamped(self, quotes: Mapping[Series, Quote]) -> Mapping[Series, tuple[Quote, int]]:
        """Return each quote with when it came: one that is put again has been here for a while."""
        now_ns = self._clock.now_ns()
        known, self._received = self._received, {}
        for series, quote in quotes.items():
            before = known.get(series)
            self._received[series] = before if before is not None and before[0] == quote else (quote, now_ns)
        return self._received

    def _told(self, series: Series, quote: Quote, received_ns: int) -> Iterator[tuple[str, str, bytes]]:
        """Yield where *quote* is to stand, where that is told, and its row."""
        try:
            row = self._quotes.encode(quote_row(series, quote, received_ns))
            places = [
                (
                    self._keys.price(series.scope, series.symbol),
                    self._keys.price_channel(series.scope, series.symbol),
                )
            ]
        except UnicodeError as exc:
            self._leave_out(series, exc)
            return
        if series.scope == self._address.primary:
            places.append(
                (self._keys.primary_price(series.symbol), self._keys.primary_price_channel(series.symbol))
            )
        for key, channel in places:
            yield key, channel, row

    def _leave_out(self, series: Series, exc: UnicodeError) -> None:
        """Say once that the quotes of *series* have no place in Redis."""
        if series not in self._left_out:
            self._left_out.add(series)
            shown = str(series).encode(errors="backslashreplace").decode()
            log.error(
                "quotes left out", extra={"sink": self._address.shown, "series": shown, "why": str(exc)}
            )

    def _quote_calls(self, told: Sequence[tuple[str, str, bytes]]) -> list[Command]:
        """Return the command for some of what is told; the script is called by the hash that it has now."""
        keys = [key for key, _, _ in told]
        values = [value for _, channel, row in told for value in (channel, row)]
        return [("EVALSHA", self._quote_script, len(keys), *keys, self._address.ttl_s, *values)]

    # ------------------------------------------------------------------------------------------ the server

    async def _ready(self, doing: str) -> Client:
        """Return the client, of a server that has been looked at."""
        client = self._client
        if client is None:
            raise SinkError(f"sink {self._address.shown!r}: cannot {doing}: it is not open")
        if not self._looked:
            await self._look(client)
        return client

    async def _look(self, client: Client) -> None:
        await look(client, self._address, self._keys)
        await self._load(client)
        self._looked = True

    async def _load(self, client: Client) -> None:
        self._candle_script = await self._loaded(client, TAKE_CANDLES)
        self._quote_script = await self._loaded(client, TAKE_QUOTES)

    async def _loaded(self, client: Client, script: str) -> str:
        """Return the hash by which the server knows *script* now."""
        loaded = await within(self._address, lambda: client.execute_command("SCRIPT", "LOAD", script))
        return loaded.decode() if isinstance(loaded, bytes) else str(loaded)

    async def _with_scripts(self, client: Client, commands: Callable[[], Sequence[Command]]) -> Sequence[Any]:
        """Do *commands*, again where the server lost the scripts: they may be. Return the replies."""
        try:
            return await self._run(client, commands())
        except NoScriptError:
            await self._load(client)
            return await self._run(client, commands())

    async def _run(self, client: Client, commands: Sequence[Command]) -> Sequence[Any]:
        """Do *commands* in one pipeline and return the replies; raise the first error.

        Raises:
            _ForeignKeyError: There is no other, and it concerns one series.
        """
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = await within(self._address, lambda: pipeline.execute(raise_on_error=False))
        foreign: _ForeignKeyError | None = None
        for number, (command, reply) in enumerate(zip(commands, replies, strict=True)):
            if isinstance(reply, Exception):
                if "(at " not in str(reply):  # a script may have said it
                    reply.add_note(f"(at {_keys_of(command)})")
                if not number or code_of(reply) != "WRONGTYPE":
                    raise reply
                foreign = foreign or _ForeignKeyError(number, reason(reply))
        if foreign is not None:
            raise foreign
        return replies


def _keys_of(command: Command) -> str:
    """Return where *command* writes."""
    keys = command[1:2] if command[0] != "EVALSHA" else command[3 : 3 + int(command[2])]
    first, *others = map(str, keys)
    return f"{first} and {len(others)} more" if len(others) > _MOST_NAMED else " or ".join((first, *others))


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _batches(shares: Sequence[_Share]) -> Iterator[list[_Share]]:
    """Return *shares* in pipelines of a bounded number of commands and candles."""
    batch: list[_Share] = []
    for share in shares:
        full = sum(len(one.candles) for one in batch) + len(share.candles) > _MOST_CANDLES_A_PIPELINE
        if full or len(batch) == MOST_COMMANDS - 1:
            yield batch
            batch = []
        batch.append(share)
    if batch:
        yield batch

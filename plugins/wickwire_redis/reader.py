"""Reading back what a sink keeps at hand: recent candles and latest quotes, by name, never by searching."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

import attrs

from wickwire import (
    ConfigError,
    Quote,
    Series,
    SeriesCandle,
    SinkError,
    UsageError,
    parse_instant,
    shown_store,
)
from wickwire_redis.address import Address, parse_address
from wickwire_redis.driver import ERRORS, Client, close, connect, explained, within
from wickwire_redis.keys import Keys, score
from wickwire_redis.rows import CandleRow, DamagedError, QuoteRow, Rows, candle_of

__all__ = ["HotCandles", "HotQuote"]

T = TypeVar("T")


@attrs.frozen
class HotQuote:
    """A quote as it was read back, and how old it is.

    Attributes:
        quote: The quote; its `time_ns` is None where the venue said none.
        received_ns: When the collector got it, by its clock.
    """

    quote: Quote
    received_ns: int


class HotCandles:
    """Reads recent candles and latest quotes from where a sink of the same address puts them.

    What it returns is true; what it does not return may be in the store. A server may have forgotten some,
    or all, and the past beyond the window is not there at all.

        async with HotCandles("redis://127.0.0.1") as hot:
            last = await hot.latest(Series.parse("kraken:BTC/USD@1m"))

    It reads what was written with either serialisation.
    """

    def __init__(self, url: str) -> None:
        """Remember where; nothing is connected yet.

        Raises:
            ConfigError: *url* is no address of a Redis sink.
        """
        address = parse_address(url)
        if address is None:
            raise ConfigError(f"{shown_store(url)!r} is no address of Redis; write redis://host:6379")
        self._address: Address = address
        self._keys = Keys(address.prefix)
        self._quotes = Rows(QuoteRow, address.serialisation)
        self._candles = Rows(CandleRow, address.serialisation)
        self._client: Client | None = None

    def __repr__(self) -> str:
        """Show the address without its secrets."""
        return f"HotCandles({self._address.shown!r})"

    async def open(self) -> None:
        """Get ready; it connects when something is read.

        Raises:
            SinkError: A file that the address names cannot be read.
        """
        await self.aclose()
        try:
            self._client = connect(self._address)
        except OSError as exc:
            raise explained(self._address.shown, "open it", exc) from exc

    async def aclose(self) -> None:
        """Disconnect. Safe to repeat."""
        client, self._client = self._client, None
        if client is not None:
            await close(client)

    async def __aenter__(self) -> Self:
        """Get ready."""
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self.aclose()

    async def range(self, series: Series, since_ns: int, until_ns: int) -> Sequence[SeriesCandle]:
        """Return the recent candles that open in `[since_ns, until_ns)`, oldest first.

        Raises:
            SinkError: It cannot be read.
        """

        async def read(client: Client) -> Sequence[SeriesCandle]:
            # a score is a double, which knows no single nanosecond: both ends are asked for, and looked at
            rows = await client.execute_command(
                "ZRANGEBYSCORE", self._keys.recent(series), score(since_ns), score(until_ns)
            )
            candles = [candle_of(series, self._candles.decode(row)) for row in rows]
            return [one for one in candles if since_ns <= one.open_ns < until_ns]

        return await self._read(f"read {series}", read)

    async def latest(self, series: Series) -> SeriesCandle | None:
        """Return the closed candle that opened last, or None.

        Raises:
            SinkError: It cannot be read.
        """

        async def read(client: Client) -> SeriesCandle | None:
            row = await client.execute_command("GET", self._keys.latest(series))
            return None if row is None else candle_of(series, self._candles.decode(row))

        return await self._read(f"read {series}", read)

    async def latest_quote(self, venue: str, symbol: str) -> HotQuote | None:
        """Return the latest quote of *symbol* at *venue* or `venue.variant`; None where none is kept.

        Raises:
            SinkError: It cannot be read.
        """

        async def read(client: Client) -> HotQuote | None:
            value = await client.execute_command("GET", self._keys.price(venue, symbol))
            return None if value is None else _quote_of(self._quotes.decode(value))

        return await self._read(f"read the quote of {symbol} at {venue}", read)

    async def _read(self, doing: str, job: Callable[[Client], Awaitable[T]]) -> T:
        client = self._client
        if client is None:
            raise SinkError(f"sink {self._address.shown!r}: cannot {doing}: it is not open")
        try:
            return await within(self._address, lambda: job(client))
        except ERRORS as exc:
            raise explained(self._address.shown, doing, exc) from exc


def _quote_of(row: QuoteRow) -> HotQuote:
    try:
        time_ns = parse_instant(row.timestamp) if row.timed_by == "venue" else None
        received_ns = parse_instant(row.received)
    except UsageError as exc:
        raise DamagedError(str(exc)) from exc
    return HotQuote(Quote(row.symbol, row.bid, row.bid_size, row.ask, row.ask_size, time_ns), received_ns)

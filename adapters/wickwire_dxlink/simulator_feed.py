"""What happens on the market as the channels of one connection tell it: snapshots, then changes."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wickwire import DAY_NS, SECOND_NS, Candle
from wickwire_dxlink.simulator_channel import FeedChannel, Subscription
from wickwire_dxlink.simulator_events import (
    Event,
    candle_event,
    dummy_event,
    latest_event,
    sale_events,
    stamp_ms,
)
from wickwire_dxlink.simulator_exchange import Exchange
from wickwire_dxlink.simulator_reference import REFERENCE, past_sales, reference_event
from wickwire_dxlink.simulator_symbols import Bars, Listed

__all__ = ["LiveFeed"]

_MS = 1_000_000
PENDING, REMOVE, BEGIN, END, SNIP = 1, 2, 4, 8, 16


class LiveFeed:
    """The data of one connection's channels; the connection tells it what time it is."""

    def __init__(self, exchange: Exchange, delay_ns: int, now_ns: int) -> None:
        """Start at *now_ns*; everything is told *delay_ns* late."""
        self.channels: dict[int, FeedChannel] = {}
        self._exchange = exchange
        self._market = exchange.market
        self._delay_ns = delay_ns
        self._seen_ns = now_ns - delay_ns
        self._next: dict[str, int] = {}
        self._queue: list[tuple[int, str]] = []

    # ------------------------------------------------------------------------------------------ subscribing

    def begin(self, channel: FeedChannel, fresh: Sequence[Subscription]) -> list[str]:
        """Return the first data of new subscriptions; snapshots of several symbols interleave."""
        runs: list[list[str]] = []
        for one in fresh:
            if one.listed is None and not self._is_empty_unknown(one):
                continue
            if one.listed is not None:
                self._expect(one.listed.symbol)
                if self._is_silent(one):
                    continue
            runs.append(channel.frames(one.kind, self._first(one)))
        return [frame for frames in itertools.zip_longest(*runs) for frame in frames if frame is not None]

    def _is_empty_unknown(self, one: Subscription) -> bool:
        return one.kind == "Candle" and self._exchange.fault("empty_unknown") is not None

    def _first(self, one: Subscription) -> list[Event]:
        if one.kind == "Candle":
            return self._snapshot(one)
        if one.listed is None:
            return []
        if one.kind == "TimeAndSale":
            since_ms = one.since_ms
            return (
                [] if since_ms is None else [*past_sales(self._market, one.listed, since_ms, self._seen_ns)]
            )
        return self._latest(one.listed, one.kind)

    def _latest(self, listed: Listed, kind: str) -> list[Event]:
        if kind in REFERENCE:
            told = reference_event(self._market, listed, kind, self._seen_ns)
            return [] if told is None else [told]
        return [latest_event(self._market, listed, kind, self._seen_ns)]

    def _snapshot(self, one: Subscription) -> list[Event]:
        """Return all candles from the time asked for, newest first, and the row that ends them."""
        since_ms = self._seen_ns // _MS if one.since_ms is None else one.since_ms
        bars = one.bars
        if bars is None:
            return [dummy_event(one.symbol, since_ms, BEGIN | END | REMOVE)]
        early_ns = 0 if bars.timeframe.fixed_ns is not None else 2 * DAY_NS  # long ones are stamped otherwise
        candles = [
            candle
            for candle in self._candles(bars, since_ms * _MS - early_ns)
            if stamp_ms(bars, candle) >= since_ms
        ]
        snip = self._exchange.fault("snip")
        most = len(candles) if snip is None else int(snip.get("rows", 100))
        events = [self._candle(one, candle) for candle in reversed(candles[-most:] if most else [])]
        if not events:
            return [dummy_event(one.symbol, since_ms, BEGIN | END | REMOVE)]
        events[0] = {**events[0], "eventFlags": str(BEGIN)}
        if most < len(candles) or stamp_ms(bars, candles[0]) == since_ms:
            last = SNIP if most < len(candles) else END
            flags = last | (BEGIN if len(events) == 1 else 0)
            return [*events[:-1], {**events[-1], "eventFlags": str(flags)}]
        return [*events, dummy_event(one.symbol, since_ms, END | REMOVE)]

    def _candles(self, bars: Bars, since_ns: int) -> Sequence[Candle]:
        symbol, start_ns = bars.listed.symbol, self._market.start_ns
        since_ns = max(since_ns, start_ns - bars.timeframe.nominal_ns)
        return self._market.candles(symbol, bars.timeframe, since_ns, self._seen_ns + 1, grid=bars.grid)

    def _candle(self, one: Subscription, candle: Candle, flags: int = 0) -> Event:
        assert one.bars is not None
        return candle_event(self._market, one.bars, candle, flags)

    # --------------------------------------------------------------------------------------------- changes

    def due(self, now_ns: int) -> list[str]:
        """Return all data up to *now_ns*."""
        self._seen_ns = max(self._seen_ns, now_ns - self._late_ns)
        out: list[str] = []
        while self._queue and self._queue[0][0] <= self._seen_ns:
            at_ns, symbol = heapq.heappop(self._queue)
            out += self._traded(symbol, at_ns)
            self._next[symbol] = self._market.next_trade_ns(symbol, at_ns)
            heapq.heappush(self._queue, (self._next[symbol], symbol))
        for channel in self.channels.values():
            if channel.changed and channel.flush_ns <= self._seen_ns:
                out += self._changes(channel)
        return out

    def next_ns(self) -> int | None:
        """Return when something may be due; None for never."""
        instants = [self._queue[0][0]] if self._queue else []
        instants += [
            channel.flush_ns
            for channel in self.channels.values()
            if channel.changed and any(one.changed_ns is not None for one in channel.subscriptions.values())
        ]
        return min(instants) + self._late_ns if instants else None

    def _traded(self, symbol: str, at_ns: int) -> list[str]:
        out: list[str] = []
        for channel in self.channels.values():
            for one in self._of(channel, symbol):
                if one.kind != "TimeAndSale":
                    one.changed_ns = at_ns if one.changed_ns is None else one.changed_ns
                    channel.changed = True
                elif one.listed is not None:
                    trades = self._market.trades(symbol, at_ns, at_ns + 1)
                    events = [
                        sale for trade in trades for sale in sale_events(self._market, one.listed, trade)
                    ]
                    out += channel.frames(one.kind, events)
        return out

    def _of(self, channel: FeedChannel, symbol: str) -> Iterator[Subscription]:
        for one in channel.subscriptions.values():
            if one.listed is not None and one.listed.symbol == symbol and not self._is_silent(one):
                yield one

    def _changes(self, channel: FeedChannel) -> list[str]:
        """Return what changed, once for each symbol and bucket; then nothing for as long as was agreed."""
        events: dict[str, list[Event]] = {}
        channel.changed = False
        for one in channel.subscriptions.values():
            if one.changed_ns is not None and one.listed is not None and not self._is_silent(one):
                events.setdefault(one.kind, []).extend(self._changed(one, one.changed_ns))
            one.changed_ns = None
        if events:
            channel.flush_ns = self._seen_ns + round(channel.period_s * SECOND_NS)
        return [frame for kind, told in events.items() for frame in channel.frames(kind, told)]

    def _changed(self, one: Subscription, since_ns: int) -> list[Event]:
        assert one.listed is not None
        if one.bars is None:
            return [] if one.kind == "Candle" else self._latest(one.listed, one.kind)
        rows = self._candles(one.bars, since_ns - 2 * one.bars.timeframe.nominal_ns)
        told = [candle for candle in rows if candle.close_ns > since_ns]
        lost = self._exchange.lost.get(one.listed.symbol, 0)
        if lost:
            self._exchange.lost[one.listed.symbol] = max(0, lost - len(told))
            told = told[lost:]
        if self._exchange.fault("pending") is not None:
            return [self._candle(one, candle, flags) for candle in told for flags in (PENDING, 0)]
        return [self._candle(one, candle) for candle in told]

    # ------------------------------------------------------------------------------------------ on demand

    def again(self, name: str, details: Mapping[str, Any]) -> list[str]:
        """Return what a fault tells of candles that were told before."""
        out: list[str] = []
        for channel in self.channels.values():
            for one in list(channel.subscriptions.values()):
                if one.bars is None or one.kind != "Candle" or self._is_silent(one):
                    continue
                if name == "resnapshot":
                    out += channel.frames("Candle", self._snapshot(one))
                elif one.bars.listed.symbol == details.get("symbol"):
                    out += channel.frames(
                        "Candle", self._last_closed(one, one.bars, removed=name == "withdraw")
                    )
        return out

    def _last_closed(self, one: Subscription, bars: Bars, *, removed: bool) -> list[Event]:
        rows = self._candles(bars, self._seen_ns - 10 * bars.timeframe.nominal_ns)
        closed = [candle for candle in rows if candle.close_ns <= self._seen_ns][-1:]
        if removed:
            return [dummy_event(one.symbol, stamp_ms(bars, candle), REMOVE) for candle in closed]
        return [self._candle(one, candle) for candle in closed]

    # --------------------------------------------------------------------------------------------- inside

    @property
    def _late_ns(self) -> int:
        return self._delay_ns + self._exchange.delay_ns()

    def _is_silent(self, one: Subscription) -> bool:
        symbol = "" if one.listed is None else one.listed.symbol
        return self._exchange.fault("mute") is not None or ("mute_symbol", symbol) in self._exchange.switched

    def _expect(self, symbol: str) -> None:
        if symbol not in self._next:
            self._next[symbol] = self._market.next_trade_ns(symbol, self._seen_ns)
            heapq.heappush(self._queue, (self._next[symbol], symbol))

"""One feed channel of the simulated DXLink: what was agreed on it, what is subscribed, and its frames."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from wickwire_dxlink.simulator_events import FIELDS, Event
from wickwire_dxlink.simulator_exchange import Exchange
from wickwire_dxlink.simulator_symbols import Bars, Listed, bars_of, canonical

__all__ = ["CONTRACTS", "FeedChannel", "Refused", "Subscription", "message"]

CONTRACTS: Final = ("AUTO", "HISTORY", "STREAM", "TICKER")
MOST_BYTES: Final = 60_000
"""dxFeed's own Java client takes frames of 65,536 bytes at most."""
DEFAULT_PERIOD_S: Final = 0.1


def message(kind: str, channel: int, **rest: Any) -> str:
    """Return a message; type and channel stand first, since dxFeed's Java client reads only such ones."""
    return json.dumps({"type": kind, "channel": channel, **rest}, separators=(",", ":"))


@attrs.define(eq=False)
class Subscription:
    """One type of event of one symbol.

    Attributes:
        kind: The type.
        symbol: As it is echoed.
        listed: The instrument; None for one that is not traded here.
        bars: What candles are meant; None for other types, and for candles that this server does not make.
        since_ms: From when on; None for live only.
        changed_ns: When the first thing happened that was not told yet.
    """

    kind: str
    symbol: str
    listed: Listed | None
    bars: Bars | None = None
    since_ms: int | None = None
    changed_ns: int | None = None


class Refused(Exception):
    """Carries the words of a BAD_ACTION."""


@attrs.define(eq=False)
class FeedChannel:
    """One channel.

    Attributes:
        exchange: Faults and listings.
        number: As the client chose it.
        contract: One of `CONTRACTS`.
        data_format: Agreed; FULL until the client asks for COMPACT.
        period_s: How often changes are told.
        asked: Fields asked for, by type.
        told: Fields as they were confirmed last, by type.
        subscriptions: By type and symbol.
        flush_ns: When changes may be told again.
        changed: Something happened to a subscription since they were told last.
    """

    exchange: Exchange
    number: int
    contract: str
    data_format: str = "FULL"
    period_s: float = DEFAULT_PERIOD_S
    asked: dict[str, list[str]] = attrs.field(factory=dict)
    told: dict[str, list[str]] = attrs.field(factory=dict)
    subscriptions: dict[tuple[str, str], Subscription] = attrs.field(factory=dict)
    flush_ns: int = 0
    changed: bool = False

    # ------------------------------------------------------------------------------------------ agreements

    def setup(self, wish: Mapping[str, Any]) -> str:
        """Take a FEED_SETUP and answer without fields: those come with the first data of a type."""
        period, data_format = wish.get("acceptAggregationPeriod"), wish.get("acceptDataFormat")
        if period == "NaN":
            self.period_s = DEFAULT_PERIOD_S
        elif isinstance(period, int | float) and period >= 0:
            self.period_s = period
        if data_format in ("FULL", "COMPACT"):
            self.data_format = data_format
        fields = wish.get("acceptEventFields")
        for kind, names in fields.items() if isinstance(fields, dict) else ():
            if kind in FIELDS and isinstance(names, list):
                self.asked[kind] = names
        return message(
            "FEED_CONFIG", self.number, dataFormat=self.data_format, aggregationPeriod=self.period_s
        )

    def fields(self, kind: str) -> list[str]:
        """Return the fields of a type as they are sent: of those asked for, the ones that there are."""
        trim = self.exchange.fault("trim") or {}
        left_out = str(trim.get("fields", "")).split()
        fields = [name for name in self.asked.get(kind, FIELDS[kind]) if name in FIELDS[kind]]
        fields = [name for name in fields if name not in left_out]
        return fields[::-1] if self.exchange.fault("reorder") is not None else fields

    # --------------------------------------------------------------------------------------- subscriptions

    def subscribe(self, wish: Mapping[str, Any]) -> Sequence[Subscription]:
        """Take a FEED_SUBSCRIPTION: reset, then remove, then add; return what is new.

        Raises:
            Refused: It is against the protocol; nothing of it was done.
        """
        lists = {key: wish[key] for key in ("add", "remove") if key in wish}
        for key, entries in lists.items():
            if not isinstance(entries, list) or not entries:
                raise Refused(f"The list '{key}' is empty.")
            for entry in entries:
                self._check(entry)
        if wish.get("reset") is True:
            self.subscriptions.clear()
        for entry in lists.get("remove", ()):
            self.subscriptions.pop((entry["type"], _echo(entry)), None)
        fresh = [made for entry in lists.get("add", ()) for made in self._made(entry)]
        for one in fresh:
            self.subscriptions.pop((one.kind, one.symbol), None)
            self.subscriptions[one.kind, one.symbol] = one
        return fresh

    def _check(self, entry: object) -> None:
        if not isinstance(entry, dict) or not all(
            isinstance(entry.get(key), str) for key in ("type", "symbol")
        ):
            raise Refused("A subscription has a type and a symbol.")
        if self.contract == "TICKER" and "fromTime" in entry:
            raise Refused("The contract TICKER has no time series.")
        if entry["symbol"] == "*" and self.contract in ("HISTORY", "TICKER"):
            raise Refused(f"The contract {self.contract} has no wildcard.")

    def _made(self, entry: Mapping[str, Any]) -> Iterable[Subscription]:
        kind, symbol, since = entry["type"], _echo(entry), entry.get("fromTime")
        since_ms = int(since) if isinstance(since, int | float) and not isinstance(since, bool) else None
        listings = self.exchange.listings
        if symbol == "*":
            names = [name for name in listings.names if kind in FIELDS and kind != "Candle"]
            return [Subscription(kind, name, listings[name]) for name in names]
        if kind == "Candle":
            bars = bars_of(symbol, listings)
            return [Subscription(kind, symbol, bars.listed if bars else None, bars, since_ms)]
        return [Subscription(kind, symbol, listings[symbol] if kind in FIELDS else None, None, since_ms)]

    # ---------------------------------------------------------------------------------------------- frames

    def frames(self, kind: str, events: Sequence[Event]) -> list[str]:
        """Return events of one type in frames of bounded size, after their fields where those are news."""
        if not events:
            return []
        fields, frames = self.fields(kind), list[str]()
        if self.told.get(kind) != fields:
            self.told[kind] = fields
            if self.exchange.fault("no_fields") is None:
                agreed = {"dataFormat": self.data_format, "aggregationPeriod": self.period_s}
                frames.append(message("FEED_CONFIG", self.number, **agreed, eventFields={kind: fields}))
        compact = self.data_format == "COMPACT" and self.exchange.fault("force_full") is None
        rows = [_row(event, fields) if compact else _object(event, fields) for event in events]
        start = size = 0
        for place, row in enumerate(rows):
            if size + len(row) > MOST_BYTES and place > start:
                frames.append(self._frame(kind, rows[start:place], compact=compact))
                start, size = place, 0
            size += len(row) + 1
        return [*frames, self._frame(kind, rows[start:], compact=compact)]

    def _frame(self, kind: str, rows: Sequence[str], *, compact: bool) -> str:
        data = ",".join(rows)
        if compact and len(rows) > 1 and self.exchange.fault("two_pairs") is not None:
            data = f'"{kind}",[{rows[0]}],"{kind}",[{",".join(rows[1:])}]'
        elif compact:
            data = f'"{kind}",[{data}]'
        return f'{{"type":"FEED_DATA","channel":{self.number},"data":[{data}]}}'


def _echo(entry: Mapping[str, Any]) -> str:
    """Return the symbol of a subscription as it is echoed."""
    symbol = str(entry["symbol"])
    if entry["type"] != "Candle":
        return symbol
    try:
        return canonical(symbol)
    except ValueError:
        return symbol


def _row(event: Event, fields: Sequence[str]) -> str:
    return ",".join(event[name] for name in fields)


def _object(event: Event, fields: Sequence[str]) -> str:
    """Return an object with eventType in front; what is empty is left out."""
    names = [
        "eventType",
        "eventSymbol",
        *(name for name in fields if name not in ("eventType", "eventSymbol")),
    ]
    told = [f'"{name}":{event[name]}' for name in names if event[name] not in ('"NaN"', "null", '""')]
    return f"{{{','.join(told)}}}"

"""What the simulated DXLink tells beside prices: of options, companies and sessions; and sales of the past.

Field lists and forms are those of dxFeed's classes (devexperts QD 3.352); the figures are plausible, no more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from wickwire.simulate.server import Market
from wickwire_dxlink.simulator_events import FIELDS, NAN, NULL, Event, double, index_of, sale_events
from wickwire_dxlink.simulator_symbols import Listed

__all__ = ["REFERENCE", "past_sales", "reference_event"]

_MS: Final = 1_000_000
_REMOVE, _BEGIN, _END = 2, 4, 8
VOLATILITY: Final = Decimal("0.2427")


def reference_event(market: Market, listed: Listed, kind: str, at_ns: int) -> Event | None:
    """Return the latest event of one of the types in `REFERENCE`; None where an instrument has none."""
    quote, time_ms = market.quote(listed.symbol, at_ns), at_ns // _MS
    told = REFERENCE[kind](listed, (quote.bid + quote.ask) / 2)
    if told is None:
        return None
    head = {"eventType": f'"{kind}"', "eventSymbol": json.dumps(listed.name), "eventTime": "0"}
    place = {"eventFlags": "0", "index": str(index_of(time_ms)), "time": str(time_ms), "sequence": "0"}
    return {**told, **head, **place}


def _greeks(listed: Listed, price: Decimal) -> Event | None:
    if listed.kind != "option":
        return None
    delta = Decimal("-0.45" if _is_put(listed) else "0.55")
    others = {"gamma": "0.0311", "theta": "-0.0842", "rho": "0.0573", "vega": "0.1291"}
    return {
        "price": double(price),
        "volatility": double(VOLATILITY),
        "delta": double(delta),
        **{name: double(Decimal(value)) for name, value in others.items()},
    }


def _theoretical(listed: Listed, price: Decimal) -> Event | None:
    if listed.kind != "option":
        return None
    delta = Decimal("-0.45" if _is_put(listed) else "0.55")
    told = {"price": price, "underlyingPrice": price * 10, "delta": delta, "gamma": Decimal("0.0311")}
    return {name: double(value) for name, value in told.items()} | {"dividend": "0.0", "interest": "0.0421"}


def _underlying(listed: Listed, _price: Decimal) -> Event | None:
    if listed.kind not in ("share", "index"):
        return None
    names = ("volatility", "frontVolatility", "backVolatility")
    counts = {"callVolume": "1200.0", "putVolume": "900.0", "putCallRatio": "0.75"}
    return dict.fromkeys(names, double(VOLATILITY)) | counts


def _profile(listed: Listed, price: Decimal) -> Event | None:
    return {
        **dict.fromkeys(FIELDS["Profile"], NAN),
        "description": json.dumps(f"Simulated {listed.kind} {listed.name}"),
        "shortSaleRestriction": '"INACTIVE"',
        "tradingStatus": '"ACTIVE"',
        "statusReason": NULL,
        "haltStartTime": "0",
        "haltEndTime": "0",
        "high52WeekPrice": double(price * 2),
        "low52WeekPrice": double(price / 2),
        "exDividendDayId": "0",
        "shares": "1000000.0",
    }


def _is_put(listed: Listed) -> bool:
    return re.search(r"\dP\d", listed.name) is not None


REFERENCE: Final[Mapping[str, Callable[[Listed, Decimal], Event | None]]] = {
    "Greeks": _greeks,
    "TheoPrice": _theoretical,
    "Underlying": _underlying,
    "Profile": _profile,
}


def past_sales(market: Market, listed: Listed, since_ms: int, until_ns: int) -> Sequence[Event]:
    """Return a snapshot of sales, newest first, with the row that ends it."""
    trades = market.trades(listed.symbol, max(since_ms * _MS, market.start_ns), until_ns + 1)
    sales = [sale for trade in trades for sale in sale_events(market, listed, trade)]
    events = sorted(sales, key=lambda sale: int(sale["index"]), reverse=True)
    nothing = dict.fromkeys(FIELDS["TimeAndSale"], NULL) | dict.fromkeys(
        ("price", "size", "bidPrice", "askPrice"), NAN
    )
    end: Event = nothing | {
        "eventType": '"TimeAndSale"',
        "eventSymbol": json.dumps(listed.name),
        "eventTime": "0",
        "index": str(index_of(since_ms)),
        "time": str(since_ms),
        "sequence": "0",
        "timeNanoPart": "0",
        "eventFlags": str(_REMOVE | _END | (0 if events else _BEGIN)),
    }
    return [{**one, "eventFlags": str(0 if place else _BEGIN)} for place, one in enumerate(events)] + [end]

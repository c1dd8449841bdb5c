"""The simulated Coinbase: WebSocket and public REST over a seeded market, as a pure state machine.

Written from Coinbase's documents and from frames that public projects captured, not from this adapter; what
is not established is chosen, and noted where it stands. Requests are read in `simulator_requests`, answered
in `simulator_stream` and `simulator_rest`; what both share, the faults too, is in `simulator_venue`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wickwire.simulate.server import Answer, Connection, Incoming, Market
from wickwire_coinbase.simulator_rest import answer
from wickwire_coinbase.simulator_stream import CoinbaseConnection
from wickwire_coinbase.simulator_venue import FAULTS, Venue

__all__ = ["CoinbaseServer"]

NEEDS_SYMBOL: Final = frozenset({"mute_symbol", "delist", "late_trade", "lose_trades", "drop_candle"})


class CoinbaseServer:
    """A `VenueServer` that speaks Coinbase Advanced Trade.

    Attributes:
        stream_origins: Origins of the market data stream; the path is `/`.
        rest_origins: Origins of REST; paths begin with `/api/v3/brokerage/`.
    """

    stream_origins = ("wss://advanced-trade-ws.coinbase.com",)
    rest_origins = ("https://api.coinbase.com",)

    def __init__(self, market: Market) -> None:
        """Serve everything on *market* that trades round the clock."""
        self._venue = Venue(market)

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        """Open a stream; other paths are not served, and too many in one second neither."""
        refusal = self._venue.refusal_of(incoming, now_ns)
        if refusal is not None:
            status, reason = refusal
            return Answer(status=status, body=reason.encode(), content_type="text/plain")
        return CoinbaseConnection(self._venue, now_ns)

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        """Answer one REST request."""
        return answer(self._venue, incoming, now_ns)

    def inject(self, fault: str, **details: object) -> None:
        """Switch a fault on, or off with `on=False`; some happen once.

        Raises:
            ValueError: No such fault, or it does not take these details; the text lists what there is.
        """
        if fault not in FAULTS:
            raise ValueError(f"no fault {fault!r}; there are {', '.join(FAULTS)}")
        sentence, known = FAULTS[fault]
        strange = sorted(details.keys() - known)
        if strange:
            raise ValueError(f"fault {fault!r} takes {', '.join(sorted(known))}, not {', '.join(strange)}")
        symbol = details.get("symbol")
        traded = {product.symbol for product in self._venue.products.values()}
        if (fault in NEEDS_SYMBOL or symbol is not None) and symbol not in traded:
            raise ValueError(
                f"fault {fault!r} needs a symbol that is traded here, got {symbol!r}: {sentence}"
            )
        self._venue.switch(fault, details)

    @property
    def faults(self) -> Mapping[str, str]:
        """Names of the faults, each with one sentence."""
        return {name: sentence for name, (sentence, _) in FAULTS.items()}

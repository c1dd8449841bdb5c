"""The simulated Kraken: WebSocket v2 and v1, and public REST, over a seeded market, as a pure state machine.

Written from Kraken's documents and from frames that public projects captured, not from this adapter; what is
not established, such as the words for a wrong depth, is noted where it stands. Requests are read in
`simulator_requests`, answered in `simulator_stream` and `simulator_rest`; what both share, the faults too,
is in `simulator_exchange`.
"""

from __future__ import annotations

from collections.abc import Mapping

from wickwire.simulate.server import Answer, Connection, Incoming, Market
from wickwire_kraken.simulator_exchange import Exchange
from wickwire_kraken.simulator_rest import answer
from wickwire_kraken.simulator_stream import KrakenConnection
from wickwire_kraken.simulator_v1 import KrakenV1Connection

__all__ = ["KrakenServer"]


class KrakenServer:
    """A `VenueServer` that speaks Kraken spot.

    Attributes:
        stream_origins: Origins of WebSocket, production and beta; the path is `/v2`, of v1 there is none.
        rest_origins: Origins of REST; paths begin with `/0/public/`.
    """

    stream_origins = ("wss://ws.kraken.com", "wss://beta-ws.kraken.com")
    rest_origins = ("https://api.kraken.com",)

    def __init__(self, market: Market) -> None:
        """Serve every pair of *market* that trades round the clock."""
        self._exchange = Exchange(market)
        self._accepted = 0

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        """Open a stream, v1 where there is no path; too many end in a ban, other paths are not served."""
        refusal = self._exchange.refusal_of(incoming, now_ns)
        if refusal is not None:
            status, reason = refusal
            page = f"<html><head><title>{reason}</title></head></html>".encode()
            return Answer(status=status, body=page, content_type="text/html")
        self._accepted += 1
        if not incoming.path.strip("/"):
            return KrakenV1Connection(self._exchange, self._accepted, now_ns)
        return KrakenConnection(self._exchange, self._accepted, now_ns)

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        """Answer one REST request; errors come with HTTP 200."""
        return answer(self._exchange, incoming, now_ns)

    def inject(self, fault: str, **details: object) -> None:
        """Switch a fault on, or off with `on=False`; some happen once.

        Raises:
            ValueError: No such fault, or it does not take these details; the text lists what there is.
        """
        self._exchange.inject(fault, details)

    @property
    def faults(self) -> Mapping[str, str]:
        """Names of the faults, each with one sentence."""
        return self._exchange.faults.sentences

"""The simulated Alpaca: the market data stream and REST over a seeded market, as a pure state machine.

Written from Alpaca's documents and from what public projects captured, not from this adapter; what is not
established is chosen, and noted where it stands. State is in `simulator_venue`, its faults in
`simulator_faults`, bars in `simulator_bars`, their printing in `simulator_rows`; `simulator_stream`, which
learns from `simulator_news` what is new, and `simulator_rest`, which learns from `simulator_latest` what is
there now, speak to clients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wickwire import Candle, Timeframe
from wickwire.simulate.server import Answer, Connection, Incoming, Market
from wickwire_alpaca.simulator_bars import Bars
from wickwire_alpaca.simulator_rest import Rest
from wickwire_alpaca.simulator_stream import AlpacaConnection
from wickwire_alpaca.simulator_venue import ENDPOINTS, Venue

__all__ = ["AlpacaServer"]


class AlpacaServer:
    """A `VenueServer` that speaks Alpaca's market data.

    Any pair of keys is taken, but those whose key begins with BAD.

    Attributes:
        stream_origins: Origins of the stream; each path is an endpoint.
        rest_origins: Origins of REST.
    """

    stream_origins = ("wss://stream.data.alpaca.markets", "wss://stream.data.sandbox.alpaca.markets")
    rest_origins = ("https://data.alpaca.markets", "https://data.sandbox.alpaca.markets")

    def __init__(self, market: Market) -> None:
        """Serve the stocks of New York on *market*, and the pairs that trade round the clock."""
        self._venue = Venue(market)
        self._bars = Bars(self._venue)
        self._rest = Rest(self._venue, self._bars)

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        """Open a stream on one of the endpoints; other paths are not served."""
        self._venue.tell(now_ns)
        refused = self._venue.fault("refuse_connections")
        if refused is not None:
            return Answer(status=int(refused.get("status", 503)), body=b"", content_type="text/plain")
        endpoint = ENDPOINTS.get(incoming.path.rstrip("/"))
        if endpoint is None:
            return Answer(status=404, body=b"404 page not found", content_type="text/plain")
        path = incoming.path.rstrip("/")
        return AlpacaConnection(self._venue, self._bars, path, endpoint, incoming.headers, now_ns)

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        """Answer one REST request."""
        return self._rest.answer(incoming, now_ns)

    def candles(
        self, symbol: str, timeframe: Timeframe, since_ns: int, until_ns: int, *, grid: object
    ) -> Sequence[Candle]:
        """Return what the venue says of candles: minutes of quotes too, and trades as they are now."""
        del grid  # the venue has its own
        return self._bars.of(symbol, timeframe, since_ns, until_ns, max(self._venue.now_ns, until_ns))

    def inject(self, fault: str, **details: object) -> None:
        """Switch a fault on, or off with `on=False`; some happen once.

        Raises:
            ValueError: No such fault, or it does not take these details; the text lists what there is.
        """
        self._venue.inject(fault, details)

    @property
    def faults(self) -> Mapping[str, str]:
        """Names of the faults, each with one sentence."""
        return self._venue.board.sentences

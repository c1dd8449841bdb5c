"""Serves one simulated venue and the truth behind it on loopback, until its input ends.

    python tests/vendors/serve.py kraken|yahoo|coinbase|alpaca|dxlink [--stepped | --speed=N]

Runs in the project's environment and prints one line of JSON: the addresses. Every run plays the same hours
of the same market, so that the checks hold on any day and at any time of day. With `--stepped` time stands
still there until a check lets it pass: for programs that poll and sleep, and are given that to sleep with.
With `--speed` it passes so many times as fast: for programs that only listen.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from decimal import Decimal

from wickwire import SECOND_NS, Session, Timeframe, Utc, parse_instant
from wickwire.clock import Clock, LoopClock
from wickwire.simulate.listings import Listing
from wickwire.simulate.loopback import serve
from wickwire.simulate.loops import run_scaled
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.server import Answer, Connection, Incoming, VenueServer
from wickwire.simulate.server import Truth as TrueCandles
from wickwire_alpaca.simulator import AlpacaServer
from wickwire_coinbase.simulator import CoinbaseServer
from wickwire_dxlink.simulator import DXLinkServer
from wickwire_kraken.simulator import KrakenServer
from wickwire_yahoo.simulator import YahooServer

SEED = 11
OPENS = {
    "kraken": "2026-11-21T12:00:20Z",
    "coinbase": "2026-11-21T12:04:00Z",
    "yahoo": "2026-11-20T14:58:27Z",
    "alpaca": "2026-11-20T15:04:20Z",
    "dxlink": "2026-11-20T15:34:40Z",
}
"""When the clock starts: shortly before a minute, or five of them, end; a Friday morning in New York."""
MARKET_STARTS = {
    "kraken": "2026-11-19T00:00:00Z",
    "coinbase": "2026-11-19T00:00:00Z",
    "yahoo": "2026-09-01T00:00:00Z",
    "alpaca": "2026-11-18T00:00:00Z",
    "dxlink": "2026-11-18T00:00:00Z",
}
SERVERS = {
    "alpaca": AlpacaServer,
    "kraken": KrakenServer,
    "coinbase": CoinbaseServer,
    "yahoo": YahooServer,
    "dxlink": DXLinkServer,
}
RATES = {"kraken": {"burst": 1000, "per_s": 100}, "coinbase": {"per_s": 100}}
"""REST limits that an SDK may not know of and must not meet by chance."""
LIVELY = (
    Listing(
        symbol="BTC/USD",
        price_decimals=1,
        size_decimals=8,
        level=Decimal(95000),
        size=Decimal("0.05"),
        trades_per_session=518_400,
    ),
    Listing(
        symbol="ETH/USD",
        price_decimals=2,
        size_decimals=8,
        level=Decimal(3500),
        size=Decimal("0.8"),
        trades_per_session=259_200,
    ),
    Listing(
        symbol="OXT/USD",
        price_decimals=4,
        size_decimals=8,
        level=Decimal("0.06"),
        size=Decimal(900),
        trades_per_session=4,
    ),
)
"""Some six and three trades a second: a check need not wait for news. And one that rests for hours."""


class SteppedClock:
    """A `Clock` that says the same until time is let pass."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Return the present."""
        return self._now_ns

    def step(self, ns: int) -> None:
        """Let time pass."""
        self._now_ns += ns


class Truth:
    """Answers for the market: `/now`, `/candles`, `/trades`, `/quotes`.

    `/inject` goes to the venue, `/step` to its clock.
    """

    stream_origins = ("ws://truth",)
    rest_origins = ("http://truth",)
    faults: Mapping[str, str] = {}

    def __init__(self, market: SeededMarket, venue: VenueServer, clock: Clock) -> None:
        self._market = market
        self._venue = venue
        self._clock = clock

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        """Refuse."""
        del incoming, now_ns
        return Answer(status=404)

    def inject(self, fault: str, **details: object) -> None:
        """Refuse: the truth has no faults."""
        raise ValueError(f"no fault {fault!r} {details}")

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        """Answer one question."""
        return Answer(
            body=json.dumps(self._said(incoming.path, incoming.query, now_ns), default=str).encode()
        )

    def _said(self, path: str, query: Mapping[str, str], now_ns: int) -> object:
        if path == "/now":
            return now_ns
        if path == "/inject":
            self._venue.inject(query["fault"], **json.loads(query["details"]))
            return True
        if path == "/step" and isinstance(self._clock, SteppedClock):
            self._clock.step(int(query["ns"]))
            return self._clock.now_ns()
        symbol, since_ns, until_ns = query["symbol"], int(query["since_ns"]), int(query["until_ns"])
        if path == "/candles":
            timeframe = Timeframe.parse(query["timeframe"])
            grid = Session() if query["grid"] == "session" else Utc()
            knows = self._venue if isinstance(self._venue, TrueCandles) else self._market
            rows = knows.candles(symbol, timeframe, since_ns, until_ns, grid=grid)
            names = ("open_ns", "open", "high", "low", "close", "volume", "trade_count", "vwap")
            return [{name: getattr(row, name) for name in names} for row in rows]
        trades = self._market.trades(symbol, since_ns, until_ns)
        if path == "/trades":
            return [
                {
                    "id": trade.number,
                    "time_ns": trade.time_ns,
                    "price": trade.price,
                    "size": trade.size,
                    "side": trade.side.value,
                }
                for trade in trades
            ]
        quotes = [self._market.quote(symbol, ns) for ns in (since_ns, *(trade.time_ns for trade in trades))]
        return [[quote.bid, quote.bid_size, quote.ask, quote.ask_size] for quote in quotes]


async def main(venue: str, *, stepped: bool) -> None:
    """Serve until standard input is closed, which also happens when whoever started this dies."""
    market = SeededMarket(SEED, parse_instant(MARKET_STARTS[venue]), LIVELY)
    server: VenueServer = SERVERS[venue](market)
    if venue in RATES:
        server.inject("rest_rate", **RATES[venue])
    loop = asyncio.get_running_loop()
    opens_ns = parse_instant(OPENS[venue]) // SECOND_NS * SECOND_NS
    clock = SteppedClock(opens_ns) if stepped else LoopClock(loop, opens_ns, loop.time())
    async with serve([server, Truth(market, server, clock)], clock) as loopback:
        places = {
            "truth": loopback.redirects["http://truth"],
            "rest": loopback.redirects[server.rest_origins[0]],
            "stream": loopback.redirects[server.stream_origins[0]] if server.stream_origins else "",
        }
        print(json.dumps(places), flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    how = sys.argv[2] if len(sys.argv) > 2 else ""
    started = main(sys.argv[1], stepped=how == "--stepped")
    run_scaled(started, float(how.partition("=")[2])) if how.startswith("--speed") else asyncio.run(started)

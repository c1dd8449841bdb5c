"""A symbol of every kind that each venue knows: typed as people and venues write it, collected, compared."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from tests.adapters.alpaca.talk import SECRETS
from tests.simulation.world import World, simulate
from wickwire import Account, Rung, Series, parse_instant
from wickwire.closer import Condition
from wickwire.simulate import Listing
from wickwire.simulate.hours import TradingHours

NEW_YORK = TradingHours("America/New_York", 9 * 60 + 30, 390)
CHICAGO = TradingHours("America/Chicago", 17 * 60, 1_380, (0, 1, 2, 3, 6))
HONG_KONG = TradingHours("Asia/Hong_Kong", 9 * 60 + 30, 390)
BERLIN = TradingHours("Europe/Berlin", 9 * 60, 510)
LONDON_WEEK = TradingHours("Europe/London", 0, 1_440)

WHILE_NEW_YORK_TRADES = parse_instant("2027-01-15T15:00:00Z")  # a Friday
WHILE_HONG_KONG_TRADES = parse_instant("2027-01-15T02:00:00Z")


@attrs.frozen
class Kind:
    """How a symbol is typed, what it is called here and there, and where it trades; None: round the clock."""

    typed: str
    canonical: str
    native: str
    hours: TradingHours | None = None

    def __str__(self) -> str:
        return self.typed

    @property
    def is_delayed(self) -> bool:
        """Yahoo shows most exchanges a quarter of an hour late."""
        return self.typed.startswith("yahoo:")


KINDS = [
    # coins against money, coins, and stable coins; under the venue's old names
    Kind("kraken:BTC/USD", "BTC/USD", "BTC/USD"),
    Kind("kraken:XXBTZUSD", "BTC/USD", "BTC/USD"),
    Kind("kraken:XBT/USD", "BTC/USD", "BTC/USD"),
    Kind("kraken:XDG/USD", "DOGE/USD", "DOGE/USD"),
    Kind("kraken:XETHXXBT", "ETH/BTC", "ETH/BTC"),
    Kind("kraken:USDTZUSD", "USDT/USD", "USDT/USD"),
    Kind("kraken:USDC/EUR", "USDC/EUR", "USDC/EUR"),
    Kind("kraken:1INCHUSD", "1INCH/USD", "1INCH/USD"),
    Kind("kraken:T/USD", "T/USD", "T/USD"),
    Kind("kraken:ZEURZUSD", "EUR/USD", "EUR/USD"),  # money against money
    Kind("kraken:AAPLx/USD", "AAPLx/USD", "AAPLx/USD"),  # tokenized stocks
    Kind("kraken:BRK.Bx/USD", "BRK.Bx/USD", "BRK.Bx/USD"),
    Kind("kraken:ETH2.S/ETH", "ETH2.S/ETH", "ETH2.S/ETH"),  # staked
    Kind("yahoo:^GSPC", "^GSPC", "^GSPC", NEW_YORK),
    Kind("yahoo:AAPL", "AAPL", "AAPL", NEW_YORK),
    Kind("yahoo:BRK-B", "BRK.B", "BRK-B", NEW_YORK),
    Kind("yahoo:BAC-PL", "BAC-PL", "BAC-PL", NEW_YORK),  # preferred
    Kind("yahoo:SPY", "SPY", "SPY", NEW_YORK),
    Kind("yahoo:AAPL270319C00270000", "AAPL270319C00270000", "AAPL270319C00270000", NEW_YORK),  # an option
    Kind("yahoo:SAP.DE", "SAP.DE", "SAP.DE", BERLIN),
    Kind("yahoo:0700.HK", "0700.HK", "0700.HK", HONG_KONG),
    Kind("yahoo:EURUSD=X", "EUR/USD", "EURUSD=X", LONDON_WEEK),
    Kind("yahoo:USDJPY=X", "USD/JPY", "JPY=X", LONDON_WEEK),
    Kind("yahoo:CL=F", "CL=F", "CL=F", CHICAGO),  # the front month, and one month
    Kind("yahoo:ESH27.CME", "ESH27.CME", "ESH27.CME", CHICAGO),
    Kind("yahoo:BTC-USD", "BTC/USD", "BTC-USD"),
    Kind("yahoo:1inch-usd", "1INCH/USD", "1INCH-USD"),
    Kind("coinbase:BTC-USD", "BTC/USD", "BTC-USD"),
    Kind("coinbase:eth-btc", "ETH/BTC", "ETH-BTC"),
    Kind("coinbase:BTC-USDC", "BTC/USDC", "BTC-USDC"),  # heard as BTC-USD
    Kind("coinbase:USDT-USDC", "USDT/USDC", "USDT-USDC"),  # heard as itself
    Kind("coinbase:00-USD", "00/USD", "00-USD"),
    Kind("coinbase:1INCH-EUR", "1INCH/EUR", "1INCH-EUR"),
    Kind("coinbase:BTC-PERP-INTX", "BTC-PERP-INTX", "BTC-PERP-INTX"),  # perpetuals
    Kind("coinbase:1000SHIB-PERP-INTX", "1000SHIB-PERP-INTX", "1000SHIB-PERP-INTX"),
    Kind("coinbase:BIT-26FEB27-CDE", "BIT-26FEB27-CDE", "BIT-26FEB27-CDE"),  # a future
    Kind("alpaca.iex:aapl", "AAPL", "AAPL", NEW_YORK),
    Kind("alpaca.iex:BRK.B", "BRK.B", "BRK.B", NEW_YORK),
    Kind("alpaca:BTC/USD", "BTC/USD", "BTC/USD"),
    Kind("alpaca:ETH/BTC", "ETH/BTC", "ETH/BTC"),
    Kind("alpaca:SHIB/USDC", "SHIB/USDC", "SHIB/USDC"),
]


def traded(kind: Kind, symbol: str) -> Listing:
    return Listing(
        symbol=symbol,
        price_decimals=2,
        size_decimals=0 if kind.hours else 4,
        level=Decimal(200),
        size=Decimal(5),
        trades_per_session=4_000,
        session=kind.hours,
    )


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_is_collected_under_one_name_and_is_the_truth(kind: Kind) -> None:
    aliased = kind.typed == "coinbase:BTC-USDC"

    async def play(world: World) -> None:
        [health] = world.collector.health().series
        await world.minutes(27)
        lines = world.over_budget() if aliased else await world.broken()
        late = [line for line in lines if line.endswith("s behind")]
        assert [] == [line for line in lines if line not in late or not kind.is_delayed]
        assert kind.canonical == health.series.symbol
        told = [each for each in world.delivered if each.series == health.series]
        assert len(told) >= (1 if kind.is_delayed else 4)
        [health] = world.collector.health().series
        assert health.condition in {Condition.LIVE, Condition.QUIET, Condition.POLLED}

        adapter = world.collector._registry.load(health.series.venue)
        assert kind.native == adapter.to_venue(kind.canonical)
        assert kind.canonical == adapter.from_venue(kind.native) == adapter.from_venue(kind.canonical)

    starts_ns = WHILE_HONG_KONG_TRADES if kind.hours is HONG_KONG else WHILE_NEW_YORK_TRADES
    instruments = [] if aliased else [traded(kind, kind.canonical)]
    accounts = {"alpaca": Account(secrets=SECRETS)}
    simulate(play, f"{kind.typed}@5m", instruments=instruments, start_ns=starts_ns, accounts=accounts)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("kraken:BTC-USD", "such as BTC/USD"),
        ("kraken:XBTUSD.d", "such as BTC/USD"),  # the dark pool
        ("kraken:PF_XBTUSD", "such as BTC/USD"),  # its futures are another venue
        ("kraken:ETH.S", "such as BTC/USD"),  # an asset and no pair
        ("coinbase:BTCUSD", "such as BTC/USD"),
        ("coinbase:BTC", "such as BTC/USD"),
        ("yahoo:EUR/XYZ/USD", "Yahoo"),
        ("alpaca:AAPL", "alpaca.iex:AAPL"),
        ("alpaca.iex:BTC/USD", "alpaca:BTC/USD"),
        ("alpaca.iex:AAPL270319C00270000", "one like AAPL"),  # options have a feed of their own
    ],
)
def test_what_a_venue_has_not_is_refused_with_what_to_write_instead(typed: str, words: str) -> None:
    async def play(world: World) -> None:
        [plan] = world.collector.plan(f"{typed}@5m")
        assert Rung.REFUSE is plan.rung
        assert words in plan.why

    accounts = {"alpaca": Account(secrets=SECRETS)}
    simulate(play, f"{Series.parse(typed + '@5m').venue}:BTC/USD@5m", accounts=accounts)

"""What is traded on the simulated market, and how lively it is. All levels and rates are invented."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import attrs

from wickwire.simulate.hours import TradingHours
from wickwire.simulate.server import Instrument

__all__ = ["DEFAULT_LISTINGS", "Listing", "synthetic"]

NEW_YORK: Final = TradingHours("America/New_York", 9 * 60 + 30, 390)
"""Shares and share indices of the United States: 09:30 to 16:00."""
TOKYO: Final = TradingHours("Asia/Tokyo", 9 * 60, 390)
"""Shares in Tokyo: 09:00 to 15:30; the midday break is left out."""
LONDON: Final = TradingHours("Europe/London", 8 * 60, 510)
"""Shares in London: 08:00 to 16:30."""
LONDON_WEEK: Final = TradingHours("Europe/London", 0, 1_440)
"""Currencies: Monday to Friday round the clock, in the zone that Yahoo reports for them."""
GLOBEX: Final = TradingHours("America/New_York", 18 * 60, 1_380, (0, 1, 2, 3, 6))
"""Futures: from 18:00, Sunday to Thursday, until 17:00 of the next day."""


@attrs.frozen(kw_only=True)
class Listing(Instrument):
    """An instrument and the character of its trading.

    Attributes:
        level: The price around which it moves.
        size: Mean size of a trade.
        trades_per_session: Trades in each session (in each UTC day when it trades round the clock).
        spread_ticks: From best bid to best ask, in units of the last price decimal.
        volatility: How far the price wanders within a day, as a share of the level.
    """

    level: Decimal = attrs.field(validator=attrs.validators.gt(Decimal(0)))
    size: Decimal = attrs.field(validator=attrs.validators.gt(Decimal(0)))
    trades_per_session: int = attrs.field(default=1_440, validator=attrs.validators.gt(0))
    spread_ticks: int = attrs.field(default=1, validator=attrs.validators.gt(0))
    volatility: float = attrs.field(
        default=0.02, validator=[attrs.validators.ge(0), attrs.validators.le(0.2)]
    )


def _pair(
    symbol: str, level: str, decimals: int, size: str, trades: int, session: TradingHours | None = None
) -> Listing:
    return Listing(
        symbol=symbol,
        price_decimals=decimals,
        size_decimals=8,
        level=Decimal(level),
        size=Decimal(size),
        trades_per_session=trades,
        volatility=0.02 if session is None else 0.004,
        session=session,
    )


def _share(symbol: str, level: str, size: int, trades: int, session: TradingHours = NEW_YORK) -> Listing:
    return Listing(
        symbol=symbol,
        price_decimals=2,
        size_decimals=0,
        level=Decimal(level),
        size=Decimal(size),
        trades_per_session=trades,
        volatility=0.012,
        session=session,
    )


DEFAULT_LISTINGS: Final[Sequence[Listing]] = (
    # round the clock, from lively to quiet
    _pair("BTC/USD", "95000", 1, "0.05", 8_640),
    _pair("ETH/USD", "3500", 2, "0.8", 7_200),
    _pair("SOL/USD", "180", 2, "12", 5_760),
    _pair("XRP/USD", "2.4", 5, "900", 4_320),
    _pair("DOGE/USD", "0.38", 7, "5000", 2_880),
    _pair("BTC/EUR", "88000", 1, "0.04", 2_880),
    _pair("ETH/EUR", "3250", 2, "0.5", 1_440),
    _pair("ADA/USD", "0.75", 6, "1500", 1_440),
    _pair("LTC/USD", "95", 2, "4", 720),
    _pair("ETH/BTC", "0.0368", 5, "0.6", 720),
    _pair("XMR/USD", "210", 2, "3", 240),
    _pair("PAXG/USD", "2650", 2, "0.2", 96),
    _pair("XTZ/BTC", "0.00001052", 8, "400", 24),
    # in sessions
    _pair("EUR/USD", "1.08", 5, "20000", 7_200, LONDON_WEEK),
    _pair("GBP/USD", "1.27", 5, "15000", 5_760, LONDON_WEEK),
    _pair("USD/JPY", "152", 3, "20000", 5_760, LONDON_WEEK),
    _share("AAPL", "270", 120, 3_900),
    _share("MSFT", "480", 90, 3_900),
    _share("NVDA", "190", 200, 5_850),
    _share("SPY", "680", 150, 5_850),
    _share("^GSPC", "6800", 1_000, 2_340),
    _share("VOD.L", "72", 2_500, 2_880, LONDON),
    _share("7203.T", "2900", 300, 2_340, TOKYO),
    _share("ES=F", "6820", 3, 8_280, GLOBEX),
    # hardly ever traded
    _share("DUSK", "12", 40, 30),
)
"""What is traded on a simulated market where nobody says otherwise."""


def synthetic(count: int) -> Sequence[Listing]:
    """Return *count* invented pairs for tests of scale: `SYNTH000/USD`, `SYNTH001/USD`, ..."""
    return tuple(
        _pair(f"SYNTH{number:03}/USD", str(10 + 7 * (number % 100)), 3, "5", 1_440) for number in range(count)
    )

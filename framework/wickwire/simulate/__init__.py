"""Simulated venues: a seeded market that knows the truth, servers over it, and the clocks to run them by."""

from __future__ import annotations

from wickwire.simulate.hours import TradingHours
from wickwire.simulate.listings import DEFAULT_LISTINGS, Listing
from wickwire.simulate.market import SeededMarket
from wickwire.simulate.server import (
    Answer,
    Connection,
    Hangup,
    Incoming,
    Instrument,
    Market,
    MarketQuote,
    MarketTrade,
    Outgoing,
    VenueServer,
)

__all__ = [
    "DEFAULT_LISTINGS",
    "Answer",
    "Connection",
    "Hangup",
    "Incoming",
    "Instrument",
    "Listing",
    "Market",
    "MarketQuote",
    "MarketTrade",
    "Outgoing",
    "SeededMarket",
    "TradingHours",
    "VenueServer",
]

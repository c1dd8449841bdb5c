"""A simulated Yahoo."""

from __future__ import annotations

import pytest

from tests.simulation.yahoo_client import MARKET
from wickwire_yahoo.simulator import YahooServer


@pytest.fixture
def server() -> YahooServer:
    return YahooServer(MARKET)

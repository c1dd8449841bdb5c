"""A simulated Kraken and one client of it."""

from __future__ import annotations

import pytest

from tests.simulation.kraken_client import MARKET, Client
from wickwire_kraken.simulator import KrakenServer


@pytest.fixture
def server() -> KrakenServer:
    return KrakenServer(MARKET)


@pytest.fixture
def client(server: KrakenServer) -> Client:
    return Client(server)

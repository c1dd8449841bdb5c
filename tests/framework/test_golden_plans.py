"""What `plan` says of a mixed list over all venues, word by word: tests/framework/golden/.

A changed explanation is a change that people read. Look at the difference, then write the files anew:
`WICKWIRE_GOLDEN=write pytest tests/framework/test_golden_plans.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wickwire import Account, Series
from wickwire.places import plan_all
from wickwire.planner import explain
from wickwire.registry import Registry

GOLDEN = Path(__file__).parent / "golden"

SERIES = [
    "coinbase:BTC/USD@5m",
    "coinbase:BTC/USD@1m",
    "coinbase:BTC/USD@15m",
    "coinbase:BTC/USD@1h",
    "coinbase:BTC/USD@12h",
    "coinbase:BTC/USD@1w",
    "coinbase:BTC/USD@7m",
    "coinbase:BTC/USD@trades",
    "coinbase:BTC/USD@quotes",
    "alpaca.iex:AAPL@1m",
    "alpaca.iex:AAPL@1h",
    "alpaca.iex:AAPL@1d",
    "alpaca.sip:AAPL@5m",
    "alpaca.iex:AAPL@trades",
    "alpaca:BTC/USD@1m",
    "alpaca:BTC/USD@1d",
    "alpaca.iex:AAPL@30s",
    "dxlink:SPY@1m",
    "dxlink.rth:SPY@2m",
    "dxlink:/ESZ26:XCME@1m",
    "dxlink:SPY@7m",
    "dxlink:SPY@quotes",
    "kraken:BTC/USD@1m",
    "kraken:BTC/USD@3m",
    "kraken:BTC/USD@1w",
    "kraken:BTC/USD@1mo",
    "kraken:BTC/USD@7m",
    "kraken:BTC/USD@trades",
    "yahoo:AAPL@1m",
    "yahoo:^GSPC@1d",
    "yahoo:AAPL@3m",
    "yahoo:AAPL@trades",
]


@pytest.mark.parametrize("secrets", ["with", "without"])
def test_every_rung_is_explained(secrets: str) -> None:
    registry = Registry()
    series = [Series.parse(text) for text in SERIES]
    adapters = {name: registry.load(name) for name in {one.venue: None for one in series}}
    needed = {
        one.venue: adapters[one.venue].description_for(Account(feed=one.variant)).credentials
        for one in sorted(series, key=lambda one: one.variant)
    }
    accounts = {name: Account(secrets=dict.fromkeys(names, "a secret")) for name, names in needed.items()}

    plans = plan_all(series, adapters, accounts if secrets == "with" else None)

    told = "".join(f"{explain(one)}\n" for one in plans)
    assert "a secret" not in told
    golden = GOLDEN / f"plans_{secrets}_secrets.txt"
    if os.environ.get("WICKWIRE_GOLDEN") == "write":
        golden.write_text(told, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == told

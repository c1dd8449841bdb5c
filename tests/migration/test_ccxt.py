"""What takes the place of a polling loop; tests/vendors/check_migration_ccxt*.py run the loop itself."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise

import pytest

from tests.migration.worlds import Scene, Trouble, collected, loaded
from wickwire import HOUR_NS, Collector
from wickwire.simulate.listings import DEFAULT_LISTINGS, Listing
from wickwire.simulate.loops import VirtualLoop
from wickwire_coinbase.simulator import CoinbaseServer
from wickwire_kraken.simulator import KrakenServer

BITCOIN = DEFAULT_LISTINGS[:1]
QUIET = Listing(
    symbol="BAL/USD",
    price_decimals=4,
    size_decimals=8,
    level=Decimal("0.06"),
    size=Decimal(900),
    trades_per_session=4,
)


def test_where_nothing_goes_wrong_it_has_what_happened() -> None:
    scene = Scene([KrakenServer], listings=BITCOIN, lasts_s=600)

    assert collected(scene, loaded("ccxt_after").run) == {"kraken:BTC/USD@1m": scene.truth("BTC/USD")}


def test_when_rest_and_stream_are_away_for_five_minutes_nothing_is_missing() -> None:
    away = [
        *(Trouble(70, fault) for fault in ("html_520", "refuse_connections", "hangup")),
        *(Trouble(370, fault, {"on": False}) for fault in ("html_520", "refuse_connections")),
    ]
    scene = Scene([KrakenServer], away, listings=BITCOIN, lasts_s=900)

    assert collected(scene, loaded("ccxt_after").run) == {"kraken:BTC/USD@1m": scene.truth("BTC/USD")}


def test_a_trade_that_is_reported_after_its_minute_is_a_revision(capsys: pytest.CaptureFixture[str]) -> None:
    late = Trouble(150, "late_trade", {"symbol": "BTC/USD", "ago_s": 90, "price": "99999.9", "size": "1"})
    scene = Scene([KrakenServer], [late], listings=BITCOIN, lasts_s=3_600)
    true = scene.truth("BTC/USD")

    [found] = collected(scene, loaded("ccxt_after").run).values()

    differing = [opened for opened in true if found[opened] != true[opened]]
    assert ["99999.9"] == [found[opened][1] for opened in differing]
    assert found.keys() == true.keys()
    assert len([line for line in capsys.readouterr().out.splitlines() if line.endswith(" 1")]) == 1


def test_after_thirteen_hours_away_what_the_venue_has_no_longer_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Kraken serves the newest 720 minutes."""
    scene = Scene([KrakenServer], listings=BITCOIN, lasts_s=14 * 3_600)

    async def program(collector: Collector) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.call_later(600, loop.leap, 13 * 3_600)
        await loaded("ccxt_after").run(collector)

    [found] = collected(scene, program).values()

    true = scene.truth("BTC/USD")
    missing = sorted(true.keys() - found.keys())
    assert found == {opened: row for opened, row in true.items() if opened not in missing}
    assert 55 <= len(missing) <= 65
    told = [line for line in capsys.readouterr().out.splitlines() if "unreachable" in line.lower()]
    assert told


def test_a_symbol_that_rests_for_hours_is_collected_on() -> None:
    scene = Scene([CoinbaseServer], listings=[QUIET], lasts_s=9 * 3_600, history_ns=HOUR_NS)

    async def program(collector: Collector) -> None:
        await loaded("ccxt_after").run(collector, "coinbase:BAL/USD@1m")

    true = scene.truth("BAL/USD")
    opens = sorted(true)
    assert any(other - one > 300 * 60 for one, other in pairwise(opens))
    assert collected(scene, program) == {"coinbase:BAL/USD@1m": true}

"""What takes the place of cryptofeed's callbacks; tests/vendors/check_migration_cryptofeed*.py run these."""

from __future__ import annotations

import re

import pytest

from tests.migration.worlds import Scene, Trouble, collected, loaded
from wickwire_coinbase.simulator import CoinbaseServer
from wickwire_kraken.simulator import KrakenServer

SERIES = ("kraken:BTC/USD@1m", "coinbase:BTC/USD@1m")
AWAY = (
    Trouble(60, "refuse_connections"),
    Trouble(60, "hangup"),
    Trouble(150, "refuse_connections", {"on": False}),
)


@pytest.mark.parametrize("troubles", [(), AWAY], ids=["calm", "away"])
def test_each_minute_of_both_venues_is_told(
    troubles: tuple[Trouble, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene([KrakenServer, CoinbaseServer], troubles, lasts_s=370)

    assert collected(scene, loaded("cryptofeed_after").run) == {
        name: scene.truth("BTC/USD") for name in SERIES
    }

    told = capsys.readouterr().out
    for name in SERIES:
        opens = re.findall(rf"^{name} (\S+ \S+) \S+ \S+ 0$", told, re.MULTILINE)
        assert len(opens) == len({*opens}) >= len(scene.truth("BTC/USD"))
    assert len(re.findall(r"^kraken:BTC/USD@trades \d{19} \w+ \d+\.\d \d+\.\d+$", told, re.MULTILINE)) > 500
    assert re.search(r"^kraken:BTC/USD@quotes \d+\.\d \d+\.\d$", told, re.MULTILINE)

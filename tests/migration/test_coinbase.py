"""Connections to Coinbase kept by hand, and what takes their place, against one simulated venue."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

import pytest

from tests.migration.worlds import Row, Scene, Trouble, collected, lived_by_hand, loaded, plain, query_of
from wickwire.simulate.loopback import Loopback
from wickwire_coinbase.simulator import CoinbaseServer

SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD")
Tables = dict[str, dict[int, Row]]


def by_hand(scene: Scene) -> Tables:
    before = loaded("coinbase_before")
    database = sqlite3.connect(":memory:")

    async def program(loopback: Loopback) -> None:
        url = loopback.redirects["wss://advanced-trade-ws.coinbase.com"]
        products = [symbol.replace("/", "-") for symbol in SYMBOLS]
        await before.Connections(products, before.Candles(database), url).run()

    lived_by_hand(scene, program)
    found: Tables = {symbol: {} for symbol in SYMBOLS}
    for product, open_s, *numbers in database.execute("select * from candles order by open_s"):
        found[product.replace("-", "/")][open_s] = plain(*numbers)
    told = database.execute(query_of("coinbase.md")).fetchall()
    assert found["BTC/USD"] == {open_s: plain(*numbers) for open_s, *numbers in told}
    database.close()
    return found


def with_wickwire(scene: Scene) -> Tables:
    found = collected(scene, loaded("coinbase_after").run)
    return {symbol: found[f"coinbase:{symbol}@1m"] for symbol in SYMBOLS}


def truth(scene: Scene) -> Tables:
    return {symbol: scene.truth(symbol) for symbol in SYMBOLS}


def volume(row: Row) -> Decimal:
    return Decimal(row[4])


def test_where_nothing_goes_wrong_both_have_what_happened() -> None:
    scene = Scene([CoinbaseServer])

    assert by_hand(scene) == with_wickwire(scene) == truth(scene)


def test_a_message_that_is_lost_costs_neither_anything() -> None:
    """The gap in the numbers ends the connection, and the snapshot of the next one has the trades."""
    scene = Scene([CoinbaseServer], [Trouble(60, "lose_messages", {"count": 3})])

    assert by_hand(scene) == with_wickwire(scene) == truth(scene)


def test_when_the_connection_is_away_for_two_minutes_ends_a_minute_is_missing_and_two_are_wrong() -> None:
    """It ends at the fortieth second of a minute, and the venue refuses others for ninety seconds."""
    away = [
        Trouble(60, "refuse_connections"),
        Trouble(60, "hangup"),
        Trouble(150, "refuse_connections", {"on": False}),
    ]
    scene = Scene([CoinbaseServer], away, lasts_s=370)
    true, told = truth(scene), by_hand(scene)

    assert with_wickwire(scene) == true
    for symbol in SYMBOLS:
        first, missing, last, *after = sorted(true[symbol])
        assert missing not in told[symbol]
        assert volume(told[symbol][first]) < volume(true[symbol][first])
        assert volume(told[symbol][last]) < volume(true[symbol][last])
        assert [told[symbol][open_s] for open_s in after] == [true[symbol][open_s] for open_s in after]


def test_what_a_silent_channel_did_not_bring_is_missing_by_hand(caplog: pytest.LogCaptureFixture) -> None:
    """Heartbeats go on, and the numbers of the messages too, so that nothing looks wrong."""
    scene = Scene([CoinbaseServer], [Trouble(60, "mute"), Trouble(200, "mute", {"on": False})], lasts_s=370)
    true, told = truth(scene), by_hand(scene)

    assert not [line for line in caplog.messages if "again in" in line]
    assert with_wickwire(scene) == true
    for symbol in SYMBOLS:
        first, *others = sorted(true[symbol])
        assert others[:2] == sorted(true[symbol].keys() - told[symbol].keys())
        assert volume(told[symbol][first]) < volume(true[symbol][first])

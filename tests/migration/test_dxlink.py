"""A DXLink connection kept by hand, and what takes its place, against one simulated venue."""

from __future__ import annotations

import asyncio
import sqlite3
from decimal import Decimal

import httpx
import pytest

from tests.migration.worlds import Row, Scene, Trouble, collected, lived_by_hand, loaded, plain, query_of
from wickwire import Account
from wickwire.simulate.loopback import Loopback
from wickwire.simulate.loops import running_clock
from wickwire_dxlink.simulator import DXLinkServer

SECRETS = {"client_secret": "secret", "refresh_token": "refresh"}


def by_hand(scene: Scene) -> dict[int, Row]:
    before = loaded("dxlink_before")
    database = sqlite3.connect(":memory:")

    async def program(loopback: Loopback) -> None:
        there = loopback.redirects["https://api.tastyworks.com"]
        clock = running_clock()
        async with httpx.AsyncClient(
            base_url=there, headers={"User-Agent": "by-hand/1.0"}, trust_env=False
        ) as http:
            tokens = before.Tokens(http, *SECRETS.values())
            candles = before.Candles(database)
            connection = before.Connection(tokens, candles, before.SYMBOLS, lambda: clock.now_ns() / 1e9)
            await asyncio.gather(connection.run(), connection.close_candles())

    lived_by_hand(scene, program)
    rows = database.execute(query_of("dxlink.md")).fetchall()
    database.close()
    since_ns, until_ns = scene.whole_minutes()
    return {
        open_ms // 1000: plain(*numbers)
        for open_ms, *numbers in rows
        if since_ns <= open_ms * 10**6 < until_ns
    }


def with_wickwire(scene: Scene) -> dict[int, Row]:
    found = collected(scene, loaded("dxlink_after").run, accounts={"dxlink": Account(secrets=SECRETS)})
    return found["dxlink:BTC/USD@1m"]


def test_where_nothing_goes_wrong_both_have_what_happened() -> None:
    scene = Scene([DXLinkServer])

    assert by_hand(scene) == with_wickwire(scene) == scene.truth("BTC/USD")


def test_when_the_connection_is_away_over_a_minutes_end_that_minute_is_stored_as_it_was() -> None:
    """What came later is asked for again, but a candle that was closed by the clock stays as it is."""
    away = [
        Trouble(60, "refuse_connections"),
        Trouble(60, "hangup"),
        Trouble(150, "refuse_connections", {"on": False}),
    ]
    scene = Scene([DXLinkServer], away, lasts_s=370)
    true, told = scene.truth("BTC/USD"), by_hand(scene)

    assert with_wickwire(scene) == true
    forming, *others = sorted(true)
    assert Decimal(told[forming][4]) < Decimal(true[forming][4])
    assert [told[open_s] for open_s in others] == [true[open_s] for open_s in others]


def test_what_a_silent_channel_did_not_bring_is_missing_by_hand(caplog: pytest.LogCaptureFixture) -> None:
    """Life signs go on, so that nothing looks wrong."""
    scene = Scene([DXLinkServer], [Trouble(60, "mute"), Trouble(190, "mute", {"on": False})], lasts_s=370)
    true, told = scene.truth("BTC/USD"), by_hand(scene)

    assert not caplog.messages
    assert with_wickwire(scene) == true
    forming, missing, *others = sorted(true)
    assert missing not in told
    assert Decimal(told[forming][4]) < Decimal(true[forming][4])
    assert [told[open_s] for open_s in others] == [true[open_s] for open_s in others]


def test_a_token_that_ends_sooner_costs_an_attempt_by_hand(caplog: pytest.LogCaptureFixture) -> None:
    """Failed logins are said to lock an address out for hours."""
    scene = Scene([DXLinkServer], [Trouble(0, "short_tokens", {"seconds": 60}), Trouble(75, "hangup")])
    told, true = by_hand(scene), scene.truth("BTC/USD")

    assert len([line for line in caplog.messages if line.startswith("the token was refused")]) == 1
    troubled, *_ = sorted(true)  # on a busy machine the clock may close it before the line is back
    assert told | {troubled: true[troubled]} == true
    caplog.clear()
    assert with_wickwire(scene) == true
    assert not [record for record in caplog.records if "refused the token" in getattr(record, "why", "")]

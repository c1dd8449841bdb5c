"""Every fault of the venues that know secrets, one after the other: the secrets come out nowhere (S1)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from tests.adapters.alpaca import test_alpaca_collected, test_alpaca_secrets
from tests.adapters.dxlink import test_dxlink_secrets
from tests.simulation import test_dxlink
from tests.simulation.world import World, simulate
from wickwire import Account

MOST_ROWS = 10**6
Faults = Iterable[tuple[str, Mapping[str, Any], Mapping[str, Any] | None]]
"""Name, how it begins, and how it ends; None where it happens once."""


def faults_of_dxlink() -> Faults:
    for name, details in test_dxlink.SWITCHES.items():
        yield name, details, {**details, "on": False}
    for name, details in test_dxlink.ONCE.items():
        yield name, details, None
    told = f"not {test_dxlink_secrets.REFRESH} of {test_dxlink_secrets.CLIENT}"
    yield "oauth_error", {"code": "invalid_grant", "text": told}, {"on": False}
    yield "error", {"error": "UNAUTHORIZED", "text": told}, None


def faults_of_alpaca() -> Faults:
    for name, details, _ in test_alpaca_collected.FAULTS:
        symbol = {key: value for key, value in details.items() if key == "symbol"}
        yield name, details, {**symbol, "on": False}
    told = f"auth failed for {test_alpaca_secrets.KEY} with {test_alpaca_secrets.SECRET}"
    yield "error", {"code": 402, "msg": told}, None
    yield "rest_error", {"status": 403, "message": told}, {"on": False}
    yield "auth_failed", {}, {"on": False}


@pytest.mark.parametrize(
    ("name", "account", "faults", "shown"),
    [
        ("dxlink:BTC/USD@1m", test_dxlink_secrets.ACCOUNT, faults_of_dxlink, test_dxlink_secrets.shown),
        ("alpaca.iex:AAPL@1m", test_alpaca_secrets.ACCOUNT, faults_of_alpaca, test_alpaca_secrets.shown),
    ],
    ids=["dxlink", "alpaca"],
)
def test_a_run_with_every_fault_shows_no_secret(
    caplog: pytest.LogCaptureFixture,
    name: str,
    account: Account,
    faults: Callable[[], Faults],
    shown: Callable[[str], list[str]],
) -> None:
    """In what is logged, with tracebacks; in health, plan and news; in what is stored."""
    caplog.set_level(logging.DEBUG)
    venue, told = name.partition(":")[0].partition(".")[0], list[str]()

    async def play(world: World) -> None:
        server = world.servers[venue]
        await world.minutes(3)
        for fault, begins, ends in faults():
            server.inject(fault, **begins)
            if ends is not None:
                server.inject("hangup", code=1006)
            await world.minutes(3)
            if ends is not None:
                server.inject(fault, **ends)
            health = world.collector.health()
            told.extend([str(health), repr(health), repr(world.collector.plan())])
        await world.minutes(5)
        for state in await world.store.states():
            told.append(repr(state))
            told.extend(map(repr, await world.store.candles(state.series, 0, 2**62, limit=MOST_ROWS)))
        told.extend(map(repr, (world.collector, world.collector.health(), *world.switches)))

    simulate(play, name, accounts={venue: account}, start_ns=test_alpaca_collected.OPENS)

    told.append(caplog.text)
    told += [repr(vars(record)) for record in caplog.records]
    assert len(caplog.records) > 20
    assert [] == shown("\n".join(told))

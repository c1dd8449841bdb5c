"""Planted secrets, and the tokens that they buy, never come out again: of commands, logs, files, errors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import quote

import pytest

from tests.framework.cli.conftest import FAST, FIVE_MINUTES, Shell
from tests.simulation.world import World, simulate
from wickwire import Account
from wickwire_dxlink.simulator_exchange import Exchange

CLIENT, REFRESH = "canary-client-0001", "canary/refresh+0002=="
NAMES = ("client_secret", "refresh_token")
VARIABLES = ("WICKWIRE_DXLINK_CLIENT_SECRET", "WICKWIRE_DXLINK_REFRESH_TOKEN")
ACCOUNT = Account(
    secrets=dict(zip(NAMES, (CLIENT, REFRESH), strict=True)),
    variables=dict(zip(NAMES, VARIABLES, strict=True)),
)


def shown(text: str) -> list[str]:
    """Return which of the secrets and tokens *text* holds, in any spelling."""
    tokens = ("simulated-access", "dGFzdHksc2ltdWxhdGVkL")  # how those of the simulated venue begin
    return [one for each in (CLIENT, REFRESH, *tokens) for one in {each, quote(each, safe="")} if one in text]


@pytest.fixture
def shell(tmp_path):
    made = Shell(tmp_path)
    made.environment |= dict(zip(VARIABLES, (CLIENT, REFRESH), strict=True))
    return made


def test_a_whole_run_shows_them_nowhere(shell):
    """All that is logged, printed, recorded and stored, of both connections and of the logins."""
    run = ("--simulate", "--speed", FAST, *FIVE_MINUTES, "-vv", "--debug", "--record", "r.jsonl")
    done = shell.run("collect", "dxlink:AAPL@1m", "dxlink.rth:SPY@2m", *run)
    plan = shell.run("plan", "dxlink:AAPL@1m", "-vv")
    files = {path.name: path.read_bytes().decode("latin-1") for path in shell.folder.iterdir()}

    assert {"wickwire.db", "r.jsonl"} <= files.keys()
    assert "AAPL{=m}" in files["r.jsonl"]
    assert "AAPL" in done.stdout
    assert [] == shown(plan.stdout + plan.stderr + done.stdout + done.stderr + "".join(files.values()))


@pytest.mark.parametrize("missing", VARIABLES)
def test_a_secret_that_is_not_set_is_named_with_what_works_without_it(shell, missing):
    del shell.environment[missing]
    [told] = shell.json("plan", "dxlink:AAPL@1m", status=3)

    assert "refuse" == told["rung"]
    assert missing in told["why"]
    assert 'environment = "demo"' in told["why"]
    assert [] == shown(str(told))


@pytest.mark.parametrize(
    ("fault", "details"),
    [
        ("oauth_error", {"code": "invalid_grant", "text": f"not {REFRESH} of {CLIENT}"}),
        ("rest_error", {"status": 401, "code": "unauthorized", "text": f"not {CLIENT}"}),
        ("reject_token", {}),
    ],
)
def test_refused_secrets_are_told_by_the_names_of_their_variables(caplog, fault, details):
    """Also where the venue repeats them."""
    caplog.set_level(logging.DEBUG)

    async def play(world: World) -> None:
        world.servers["dxlink"].inject(fault, **details)
        world.servers["dxlink"].inject("hangup", code=1006)
        await world.minutes(8)
        [series] = world.collector.health().series
        told = f"{series.why} {series.trouble} {world.collector.health()}"
        assert all(variable in told for variable in VARIABLES), told
        assert [] == shown(told)

    simulate(play, "dxlink:BTC/USD@1m", accounts={"dxlink": ACCOUNT})

    logged = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert [] == shown(logged)


def test_a_token_that_the_server_repeats_is_cut_out(caplog, monkeypatch):
    """In an error, and in a frame that is junk."""
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    new_token = Exchange.new_token

    def kept(exchange: Exchange, now_ns: int) -> Mapping[str, str]:
        granted = new_token(exchange, now_ns)
        told.append(granted["token"])
        return granted

    monkeypatch.setattr(Exchange, "new_token", kept)

    async def play(world: World) -> None:
        await world.minutes(3)
        [token] = told
        world.servers["dxlink"].inject("junk", frame=f'{{"type":"NEWS","channel":0,"of":"{token}"}}')
        world.servers["dxlink"].inject("error", error="UNKNOWN", text=f"no {token}")
        await world.minutes(5)
        assert [] == shown(str(world.collector.health()))

    simulate(play, "dxlink:BTC/USD@trades", accounts={"dxlink": ACCOUNT})

    logged = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert "NEWS" in logged
    assert [] == shown(logged)

"""Planted keys never come out again: of commands, logs, errors, recordings, stores and addresses."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from typing import Any
from urllib.parse import quote

import pytest

import wickwire_alpaca
from tests.framework.cli.conftest import FAST, FIVE_MINUTES, Shell
from tests.simulation.world import World, simulate
from wickwire import Account, HttpReply, OhlcvQuery, Send, Timeframe, VenueError, WireError, parse_instant

KEY, SECRET = "canary-key-0001", "canary/secret+0002=="
ACCOUNT = Account(
    feed="iex",
    secrets={"key": KEY, "secret": SECRET},
    variables={"key": "MY_ALPACA_KEY", "secret": "MY_ALPACA_SECRET"},
)
OPENS = parse_instant("2027-01-15T14:27:00Z")
CONFIG = """
[venues.alpaca.secrets]
key = "env:MY_ALPACA_KEY"
secret = "env:MY_ALPACA_SECRET"
"""


def shown(text: str) -> list[str]:
    """Return which of the keys *text* holds, in any spelling."""
    return [
        spelling
        for one in (KEY, SECRET)
        for spelling in (one, quote(one, safe=""), base64.b64encode(one.encode()).decode())
        if spelling in text
    ]


@pytest.fixture
def shell(tmp_path):
    made = Shell(tmp_path)
    (made.folder / "c.toml").write_text(CONFIG)
    return made


def test_a_whole_run_shows_them_nowhere(shell):
    """All that is logged, printed, recorded and stored, of stocks over msgpack and of REST."""
    shell.environment |= {"MY_ALPACA_KEY": KEY, "MY_ALPACA_SECRET": SECRET}
    series = ("alpaca.iex:AAPL@1m", "alpaca:BTC/USD@1m")
    plan = shell.run("plan", *series, "--config", "c.toml", "-vv")
    run = ("--simulate", "--speed", FAST, *FIVE_MINUTES, "--config", "c.toml", "-vv", "--debug")
    done = shell.run("collect", *series, *run, "--record", "r.jsonl")
    files = {path.name: path.read_bytes().decode("latin-1") for path in shell.folder.iterdir()}

    assert {"wickwire.db", "r.jsonl"} <= files.keys()
    assert "stream.data.alpaca.markets" in files["r.jsonl"]
    assert "AAPL" in done.stdout
    assert shown(plan.stdout + plan.stderr + done.stdout + done.stderr + "".join(files.values())) == []


@pytest.mark.parametrize(("environment", "variable"), [({}, "KEY"), ({"MY_ALPACA_KEY": KEY}, "SECRET")])
def test_a_variable_that_is_not_set_is_named_with_its_venue(shell, environment, variable):
    shell.environment |= environment
    done = shell.run("plan", "alpaca.iex:AAPL@1m", "--config", "c.toml", status=2)

    assert f"the environment variable MY_ALPACA_{variable} is not set; venue 'alpaca' needs it" in done.stderr
    assert shown(done.stderr) == []


def test_refused_keys_are_told_without_them(caplog):
    """A venue that repeats the keys in its refusal is masked too; pairs keep coming over REST only."""
    caplog.set_level(logging.DEBUG)

    async def play(world: World) -> None:
        await world.minutes(3)
        world.servers["alpaca"].inject("error", code=402, msg=f"auth failed for {KEY} with {SECRET}")
        await world.minutes(1)
        world.servers["alpaca"].inject("auth_failed")
        world.servers["alpaca"].inject("hangup", code=1006)
        await world.minutes(10)
        health = world.collector.health()
        [series] = health.series
        told = f"{series.why} {series.trouble} {health}"
        assert "the keys were refused" in told
        assert "crypto candles, such as" in told
        assert "(from MY_ALPACA_KEY and MY_ALPACA_SECRET)" in told
        assert shown(told) == []

    simulate(play, "alpaca.iex:AAPL@1m", accounts={"alpaca": ACCOUNT}, start_ns=OPENS)

    logged = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert "auth failed for *** with ***" in logged
    assert shown(logged) == []


def test_values_and_errors_of_the_adapter_do_not_show_them():
    opened = wickwire_alpaca.connect(ACCOUNT)
    memory: Any = opened.memory()
    [auth] = wickwire_alpaca.parse(b'[{"T":"success","msg":"connected"}]', memory)
    query = OhlcvQuery(
        symbol="AAPL",
        timeframe=Timeframe.parse("1m"),
        since_ns=OPENS,
        until_ns=OPENS + 10**12,
        now_ns=OPENS + 10**13,
    )
    talk = wickwire_alpaca.fetch_ohlcv(query, ACCOUNT)
    request = next(talk)
    told = [repr(one) for one in (ACCOUNT, opened, memory, auth, talk, request)]
    told += [opened.url, request.url, json.dumps(dict(request.params)), str(opened.headers)]
    for status, body in ((200, b"junk"), (403, b'{"message":"forbidden."}'), (500, b"<html>")):
        talk = wickwire_alpaca.fetch_ohlcv(query, ACCOUNT)
        next(talk)
        with pytest.raises((VenueError, WireError)) as caught:
            talk.send(HttpReply(status=status, body=body))
        told.append("".join(traceback.format_exception(caught.value)) + repr(vars(caught.value)))

    assert isinstance(auth, Send)
    assert auth.secret
    assert shown("".join(told)) == []

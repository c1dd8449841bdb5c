"""Secrets are named by the variable that holds them, where they are missing or refused, and never shown."""

from __future__ import annotations

import asyncio

from tests.framework.scripted import SERIES
from tests.framework.test_collector import World, play
from wickwire import Account, FaultKind, VenueError
from wickwire.collector import Collector
from wickwire.credentials import found_in, secret_variable
from wickwire.words import Words

KEYED = Account(secrets={"key": "hunter2-hunter2"}, variables={"key": "SOME_KEY"})


def test_the_usual_variable_of_a_secret_is_found_again():
    variable = secret_variable("alpaca", "refresh_token")

    assert variable == "WICKWIRE_ALPACA_REFRESH_TOKEN"
    assert {"refresh_token": variable} == found_in(
        "alpaca", {variable: "x", f"{variable}_": "", "OTHER": "y"}
    )


def test_an_error_about_secrets_names_their_variables():
    words = Words(KEYED)

    assert words.of(VenueError(FaultKind.CREDENTIALS, "no: hunter2-hunter2")) == "no: *** (from SOME_KEY)"
    assert words.of(VenueError(FaultKind.SYMBOL, "no")) == "no"
    assert Words(Account()).of(VenueError(FaultKind.CREDENTIALS, "no")) == "no"


def test_a_refused_subscription_names_the_variables_where_people_look() -> None:
    async def test(world: World, collector: Collector) -> None:
        await collector.add(SERIES)
        await asyncio.sleep(1)
        world.stream.say({"refused": ["BTC/USD@1m"], "kind": "credentials", "why": "who are you?"})
        await asyncio.sleep(0.1)
        [series] = collector.health().series
        assert "who are you? (from SOME_KEY)" in series.trouble

    world = World()
    play(test, world, accounts={"scripted": KEYED})

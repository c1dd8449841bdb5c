"""What a host gives that could not work: each is refused at once, by an error that says what would."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.framework.blocking_stage import PATIENCE_S, away, quick
from tests.framework.test_bad_input import simulated
from tests.framework.test_cancelling import MINUTES
from tests.framework.virtual import virtual
from wickwire import (
    Account,
    BlockingCollector,
    Collector,
    ConfigError,
    MemoryStore,
    SeriesCandle,
    SystemClock,
    UsageError,
)

SECRET = "hunter2"


class Unclosed:
    """A sink that somebody forgot to finish."""

    async def open(self) -> None: ...

    async def put(self, candles: Sequence[SeriesCandle]) -> None: ...


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"store": Path("candles.db")}, r"store: a \w+Path is none; write a URL such as \"sqlite:candles.db\""),
    ({"store": MemoryStore}, "store: MemoryStore is a class; give an object of it"),
    ({"store": 7}, "store: an int is none"),
    ({"sinks": {"mine": Unclosed()}}, "sink 'mine': an Unclosed has no aclose; write a URL"),
    ({"sinks": {"mine": None}}, "sink 'mine': None is no sink"),
    ({"hot": 100_000}, r"hot: an int has no follower and reader; give HotMemory\(\)"),
    ({"budget": object()}, "budget: an object has no open, aclose and settle; write a URL"),
    ({"status": print}, "status: .* has no register and update; give an object"),
    ({"transport": "wss://ws.kraken.com"}, "transport: a str has no open"),
    ({"retention": "400d"}, r"retention: a str is none; give wickwire.Retention\(\)"),
    ({"accounts": Account(secrets={"key": SECRET})}, "accounts: got Account; give a mapping such as"),
    ({"accounts": Account}, "accounts: got Account; give a mapping such as"),
    ({"accounts": {"alpaca": {"key": SECRET}}}, "accounts: 'alpaca' has to have an Account, got dict"),
    ({"accounts": [SECRET]}, "accounts: got list; give a mapping such as"),
]


@pytest.mark.parametrize(("given", "match"), WRONG)
def test_a_collector_is_not_made_of_what_could_not_work(given: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match) as refused:
        Collector(**given)
    assert SECRET not in "".join(traceback.format_exception(refused.value)[-1:])


@virtual
async def test_what_is_no_series_or_no_function_is_named() -> None:
    async with simulated() as collector:
        nothing: Any = None
        await collector.add(MINUTES)
        asked: list[Callable[[], Any]] = [
            lambda: collector.add(nothing),
            lambda: collector.remove(nothing),
            lambda: collector.latest(Path("x")),  # type: ignore[arg-type]  # the mistake
            lambda: collector.plan(nothing),
            lambda: collector.candles(nothing),
            lambda: collector.history(nothing, "1h"),
            lambda: collector.settled(nothing),
            lambda: collector.prioritise(nothing),
        ]
        for ask in asked:
            with pytest.raises(
                UsageError, match=r"not a series: (None|a \w+Path); write it as text, such as"
            ):
                await _awaited(ask())
        for listen in (collector.on_candle, collector.on_trade, collector.on_quote, collector.on_event):
            with pytest.raises(UsageError, match="NoneType cannot be called; give a plain or an async func"):
                listen(nothing)
        with pytest.raises(UsageError, match="NoneType cannot be called"):
            collector.on_switch(nothing)
        assert [] == list(collector.health().consumers)


async def _awaited(answer: Any) -> None:
    if isinstance(answer, Awaitable):
        await answer


def test_a_thread_is_told_so_too() -> None:
    nothing: Any = None
    with BlockingCollector(away(), loop_factory=quick, timeout=PATIENCE_S) as collector:
        with pytest.raises(UsageError, match="not a series: None"):
            collector.add(nothing)
        with pytest.raises(UsageError, match="NoneType cannot be called"):
            collector.on_candle(nothing)


# ----------------------------------------------------------------------------------------- accounts by name


@virtual
async def test_an_account_of_a_venue_that_there_is_not_is_no_account() -> None:
    collector = Collector(accounts={"alpcaa": Account(secrets={"key": SECRET})}, clock=SystemClock())
    said = r"accounts: there is no adapter 'alpcaa' \(did you mean 'alpaca'\?\); installed: alpaca, "
    with pytest.raises(ConfigError, match=said):
        async with collector:
            pytest.fail("it began")


@pytest.mark.parametrize("resolved", [False, True])
def test_a_secret_by_another_name_than_the_venues_is_named_when_the_venue_is_needed(
    *, resolved: bool
) -> None:
    account = Account(secrets={"key": "k", "secrte": SECRET})

    @virtual
    async def test() -> None:
        accounts: Any = (lambda _: account) if resolved else {"alpaca": account, "yahoo": Account()}
        async with Collector(accounts=accounts, clock=SystemClock()) as collector:
            for _ in range(2):
                with pytest.raises(ConfigError) as refused:
                    await collector.add("alpaca:BTC/USD@1m")
                assert (
                    "alpaca: the account given in accounts has no secret 'secret', and has 'secrte', which "
                    "alpaca does not know (did you mean 'secret'?); it needs 'key' and 'secret'"
                ) == str(refused.value)
            await collector.add("yahoo:AAPL@1d")

    test()


@virtual
async def test_secrets_beside_those_that_a_venue_needs_harm_nobody() -> None:
    """A host may keep more in one place than a venue asks for, and an environment holds more than secrets."""
    more = Account(secrets={"key": "k", "secret": "s", "note": "mine"})
    lacking = Account(secrets={"key": "k", "paper": "yes"}, variables={"paper": "WICKWIRE_ALPACA_PAPER"})
    for account in (more, lacking):
        async with Collector(accounts={"alpaca": account}, clock=SystemClock()) as collector:
            await collector.add("alpaca:BTC/USD@1m")

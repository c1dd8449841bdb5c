"""The polling loop of docs/migration/ccxt.md against the simulated Kraken: what it stores, what it misses."""

import sqlite3
from collections.abc import Callable

import ccxt
from ccxt_checks import true_rows
from checks import Truth, check, main, same
from migration_checks import MINUTE_MS, Enough, loaded, minute_of, read_as

before = loaded("ccxt_before")


def polled(
    truth: Truth, minutes: int, befall: Callable[[int], None] = lambda number: None
) -> dict[int, list[float]]:
    """Run the loop for so many polls from ten minutes ago on; *befall* is told the number of each."""
    exchange = ccxt.kraken({"enableRateLimit": False})
    exchange.urls["api"]["public"] = truth.rest
    database = sqlite3.connect(":memory:")
    polls = 0

    def wait(seconds: float) -> None:
        nonlocal polls
        polls += 1
        befall(polls)
        if polls == minutes:
            raise Enough
        truth.step(seconds)

    since_ms = minute_of(truth) - 10 * MINUTE_MS
    try:
        before.collect(exchange, database, "BTC/USD", since_ms, lambda: truth.now_ns() / 10**9, wait)
    except Enough:
        return read_as("index", database)


def truly(truth: Truth, told: dict[int, list[float]]) -> dict[int, list[float]]:
    """Return the market's candles from the first that was told to the last that is over."""
    return true_rows(truth, "BTC/USD", "1m", min(told), minute_of(truth))


@check("Nothing goes wrong: every minute once, as it was, the running one never")
def calm(truth: Truth) -> None:
    told = polled(truth, 6)

    same(told, truly(truth, told), "candles")
    same(len(told), 15, "minutes")


@check("REST is away for five minutes: what was missed is there afterwards")
def away(truth: Truth) -> None:
    def befall(poll: int) -> None:
        if poll in (2, 32):
            truth.inject("html_520", on=poll == 2)

    told = polled(truth, 36, befall)

    same(told, truly(truth, told), "candles")


@check("A trade that is reported after its minute: the loop keeps what it stored, the venue says otherwise")
def late(truth: Truth) -> None:
    def befall(poll: int) -> None:
        if poll == 3:
            truth.inject("late_trade", symbol="BTC/USD", ago_s=90, price="99999.9", size="1")

    told = polled(truth, 6, befall)
    exchange = ccxt.kraken({"enableRateLimit": False})
    exchange.urls["api"]["public"] = truth.rest
    says = {row[0]: row[1:] for row in exchange.fetch_ohlcv("BTC/USD", "1m", since=min(told))}

    differing = [opened for opened in told if told[opened] != says[opened]]
    same(len(differing), 1, "minutes that differ")
    same((says[differing[0]][1], told[differing[0]][1] < 99999.9), (99999.9, True), "the high")


@check("Thirteen hours without the program: an hour is missing, and nothing says so")
def restarted(truth: Truth) -> None:
    def befall(poll: int) -> None:
        if poll == 3:
            truth.step(13 * 3600)

    told = polled(truth, 5, befall)

    missing = sorted(truly(truth, told).keys() - told.keys())
    assert 60 <= len(missing) <= 62, len(missing)
    same(missing[-1] - missing[0], (len(missing) - 1) * MINUTE_MS, "one hole")


if __name__ == "__main__":
    main()

"""The polling loop of docs/migration/ccxt.md against the simulated Coinbase: a symbol rests for hours."""

import sqlite3
from itertools import pairwise

import ccxt
from ccxt_checks import true_rows
from checks import Truth, check, main, same
from migration_checks import MINUTE_MS, Enough, loaded, minute_of

before = loaded("ccxt_before")
QUIET = "OXT/USD"
WINDOW_MS = 300 * MINUTE_MS


def polled(truth: Truth, symbol: str, polls: int, since_ms: int) -> dict[int, list[float]]:
    """Run the loop for so many polls."""
    exchange = ccxt.coinbase({"enableRateLimit": False})
    exchange.urls["api"]["rest"] = truth.rest
    database = sqlite3.connect(":memory:")
    left = polls

    def wait(seconds: float) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Enough
        truth.step(seconds)

    try:
        before.collect(exchange, database, symbol, since_ms, lambda: truth.now_ns() / 10**9, wait)
    except Enough:
        rows = database.execute("select open_ms, open, high, low, close, volume from candles")
        return {opened: numbers for opened, *numbers in rows}


@check("Nothing goes wrong: every minute once, as it was")
def calm(truth: Truth) -> None:
    told = polled(truth, "BTC/USD", 6, minute_of(truth) - 10 * MINUTE_MS)

    same(told, true_rows(truth, "BTC/USD", "1m", min(told), minute_of(truth)), "candles")


@check("A symbol that rests for longer than 300 minutes: the loop asks for the same empty window for ever")
def quiet(truth: Truth) -> None:
    now_ms = minute_of(truth)
    opens = sorted(true_rows(truth, QUIET, "1m", now_ms - 48 * 60 * MINUTE_MS, now_ms))
    last = next(one for one, other in pairwise(opens) if other - one > WINDOW_MS + MINUTE_MS)

    told = polled(truth, QUIET, 8, last + MINUTE_MS)

    same(told, {}, "what is stored")
    assert opens[-1] > last, "and the venue has more"


if __name__ == "__main__":
    main()

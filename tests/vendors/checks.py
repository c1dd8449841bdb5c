"""What the check scripts share: a list of checks, and the truth over HTTP. Standard library only.

The scripts run in the environments of the SDKs, where wickwire is not installed.
"""

import asyncio
import base64
import hashlib
import importlib.metadata
import inspect
import json
import sys
import time
import traceback
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

CHECKS: list[tuple[str, Callable[["Truth"], Awaitable[None] | None]]] = []


def check(promise: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add a function to the checks of this script; *promise* says what it shows."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        CHECKS.append((promise, function))
        return function

    return add


class Truth:
    """Asks the market behind the simulated venue."""

    def __init__(self, places: dict[str, str]) -> None:
        self.rest = places["rest"]
        self.stream = places["stream"]
        self._address = places["truth"]

    def now_ns(self) -> int:
        """Return the simulated present."""
        return int(self._asked("/now"))

    def step(self, seconds: float) -> None:
        """Let time pass where it stands still, as by sleeping."""
        self._asked("/step", ns=round(seconds * 10**9))

    def inject(self, fault: str, **details: object) -> None:
        """Switch a fault of the venue on or off."""
        self._asked("/inject", fault=fault, details=json.dumps(details))

    def candles(
        self, symbol: str, timeframe: str, since_ns: int, until_ns: int, *, grid: str = "utc"
    ) -> dict[int, dict[str, Any]]:
        """Return candles by open time in seconds, numbers as Decimals."""
        rows = self._asked(
            "/candles", symbol=symbol, timeframe=timeframe, since_ns=since_ns, until_ns=until_ns, grid=grid
        )
        numbers = ("open", "high", "low", "close", "volume", "vwap")
        return {row["open_ns"] // 10**9: row | {name: Decimal(row[name]) for name in numbers} for row in rows}

    def trades(self, symbol: str, since_ns: int, until_ns: int) -> list[dict[str, Any]]:
        """Return trades, oldest first, numbers as Decimals."""
        rows = self._asked("/trades", symbol=symbol, since_ns=since_ns, until_ns=until_ns)
        return [row | {"price": Decimal(row["price"]), "size": Decimal(row["size"])} for row in rows]

    def quotes(self, symbol: str, since_ns: int, until_ns: int) -> list[tuple[Decimal, ...]]:
        """Return every `(bid, bid size, ask, ask size)` that held at some instant of the range."""
        rows = self._asked("/quotes", symbol=symbol, since_ns=since_ns, until_ns=until_ns)
        return [tuple(Decimal(number) for number in row) for row in rows]

    def _asked(self, path: str, **query: object) -> Any:
        address = f"{self._address}{path}?{urllib.parse.urlencode(query)}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=30) as reply:
            return json.load(reply)


async def until(done: Callable[[], Any], limit_s: float, what: str) -> None:
    """Wait until *done* says yes, or fail and name *what* did not happen."""
    deadline = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        await asyncio.sleep(0.05)


def same(told: object, true: object, what: str) -> None:
    """Fail and show both where *told* is not *true*."""
    assert told == true, f"{what}\n    told: {told!r}\n    true: {true!r}"


def untouched(distribution: str) -> None:
    """Compare every file of an installed package with the hash that it was published with."""
    files = importlib.metadata.files(distribution) or []
    hashed = [file for file in files if file.hash is not None]
    assert hashed, f"{distribution} says nothing of its files"
    for file in hashed:
        digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
        found = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        same(found, file.hash.value, f"hash of {file}")


def main() -> None:
    """Run every check of the script and print one line of JSON for each.

    The command line holds the addresses as JSON and the name of the SDK's distribution.
    """
    truth, distribution = Truth(json.loads(sys.argv[1])), sys.argv[2]
    last = (f"The files of {distribution} are as it was published", lambda _: untouched(distribution))
    for promise, function in (*CHECKS, last):
        started = time.monotonic()
        trouble = ""
        try:
            outcome = function(truth)
            if inspect.isawaitable(outcome):
                asyncio.run(_awaited(outcome))
        except Exception:  # noqa: BLE001 - whatever an SDK raises is the result of its check
            trouble = traceback.format_exc()
        took_s = round(time.monotonic() - started, 1)
        print(json.dumps({"promise": promise, "took_s": took_s, "trouble": trouble}), flush=True)


async def _awaited(outcome: Awaitable[None]) -> None:
    await outcome

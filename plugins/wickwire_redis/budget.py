"""The shared budget: one key for each limit of an account, and the script that settles reports on it."""

from __future__ import annotations

import json
import math
from typing import Final
from urllib.parse import parse_qsl

from redis.exceptions import NoScriptError

from wickwire import LEASE_S, SILENT_S, BudgetError, ConfigError, Counting, Report, Ruling, SinkError
from wickwire_redis.address import Address, parse_address
from wickwire_redis.driver import ERRORS, Client, ServerError, close, connect, explained, first_look, within
from wickwire_redis.keys import plain
from wickwire_redis.metering import SETTLE
from wickwire_redis.opening import Command, look_at

__all__ = ["RedisBudget", "budget_address"]

_OF_SINKS: Final = ("primary", "serialisation", "ttl", "window", "keep", "stream", "timeout")


def budget_address(url: str) -> Address | None:
    """Return what *url* means, or None when it is not an address of Redis.

    Raises:
        ConfigError: It is ours, and something in it is wrong. Its text shows no password.
    """
    try:
        address = parse_address(url)
    except ConfigError as exc:
        raise ConfigError(_renamed(exc)) from exc
    if address is None:
        return None
    _, _, query = url.partition("?")
    named = dict(parse_qsl(query, keep_blank_values=True))
    for option in _OF_SINKS:
        if option in named:
            raise ConfigError(
                f"budget {address.shown!r}: {option} is an option of a sink, and means nothing here"
            )
    return address


class RedisBudget:
    """Counts for several processes, in one database of a Redis server. Lives in the loop that opened it."""

    def __init__(self, address: Address) -> None:
        """Remember where; nothing is connected yet."""
        self._address = address
        self._client: Client | None = None
        self._looked = False
        self._script = ""

    def __repr__(self) -> str:
        """Show the address without its secrets."""
        return f"RedisBudget({self._address.shown!r})"

    async def open(self) -> None:
        """Look at the server, where it is there: whether it is one for us, and lets us in.

        Raises:
            BudgetError: It refuses user or password, lacks a right, is a cluster or too old, or a file for
                TLS cannot be read.
        """
        await self.aclose()
        try:
            self._client = connect(self._address)
            await first_look(lambda: self._look(self._ready()), self.aclose)
        except ERRORS as exc:
            raise self._error("open it", exc) from exc

    async def aclose(self) -> None:
        """Disconnect; what is remembered there expires. Safe to repeat."""
        client, self._client = self._client, None
        self._looked, self._script = False, ""
        if client is not None:
            await close(client)

    async def settle(self, report: Report) -> Ruling:
        """Take *report* and say what may go.

        Raises:
            BudgetError: The server is away, or says no.
        """
        try:
            client = self._ready()
            if not self._looked:
                await self._look(client)
            key, said = _key(self._address.prefix, report), written(report)
            try:
                reply = await client.execute_command("EVALSHA", self._script, 1, key, said)
            except NoScriptError:  # the server has started anew, or somebody flushed its scripts
                await self._load(client)
                reply = await client.execute_command("EVALSHA", self._script, 1, key, said)
            return read(reply)
        except ERRORS as exc:
            raise self._error("share the limits", exc) from exc

    def _ready(self) -> Client:
        if self._client is None:
            raise ServerError("it is not open")
        return self._client

    async def _look(self, client: Client) -> None:
        key = f"{self._address.prefix}budget:wickwire:nobody:rest"
        wanted: list[Command] = [
            ("SCRIPT", "LOAD", "return 0"),
            ("EVALSHA", "0" * 40, 1, key),
            ("TIME",),
            ("GET", key),
            ("SET", key, "", "PX", 1),
        ]
        await look_at(client, self._address, wanted)
        await within(self._address, lambda: self._load(client))
        self._looked = True

    async def _load(self, client: Client) -> None:
        loaded = await client.execute_command("SCRIPT", "LOAD", SETTLE)
        self._script = loaded.decode() if isinstance(loaded, bytes) else str(loaded)

    def _error(self, doing: str, exc: BaseException) -> BudgetError:
        return BudgetError(_renamed(explained(self._address.shown, doing, exc)))


def _renamed(exc: ConfigError | SinkError) -> str:
    """Return the text of an error about an address, which is that of a budget here."""
    return f"budget {str(exc).removeprefix('sink ')}"


def _key(prefix: str, report: Report) -> str:
    """Return where a limit is remembered: whatever a name holds, it stays in its place."""
    venue, account, limit = map(plain, (report.venue, report.account, report.limit))
    return f"{prefix}budget:{venue}:{account}:{limit}"


def written(report: Report, now_s: float | None = None) -> str:
    """Return *report* as the script reads it.

    Args:
        report: What to write.
        now_s: The present, in place of what the server's clock says.
    """
    said = {
        "now": now_s,
        "member": report.member,
        "generation": report.generation,
        "lease": LEASE_S,
        "silent": SILENT_S,
        "rates": [
            (rate.amount, rate.per_s, rate.burst, rate.counting is Counting.BUCKET) for rate in report.rates
        ],
        "held": [(one.number, one.cost) for one in report.held],
        "spent": [(one.number, one.cost, one.age_s, one.known) for one in report.spent],
        "hints": [(one.left, one.most, one.cost, one.age_s, one.next_s) for one in report.hints],
        "pause": report.pause_s,
        "claims": [(one.number, one.cost, one.urgent) for one in report.claims],
        "leaves": report.leaves,
    }
    return json.dumps(said, separators=(",", ":"), allow_nan=False)


def read(reply: object) -> Ruling:
    """Return the ruling that the script wrote.

    Raises:
        ServerError: It is none.
    """
    try:
        generation, granted, wait_s, paused_s, members, silent = json.loads(reply)  # type: ignore[arg-type]  # looked at here
        return Ruling(
            generation=str(generation),
            granted=int(granted),
            wait_s=math.inf if wait_s < 0 else float(wait_s),
            paused_s=float(paused_s),
            members=int(members),
            silent=int(silent),
        )
    except (TypeError, ValueError) as exc:
        raise ServerError(f"it answers what our script never says: {reply!r:.80}") from exc

"""Whether a server is one that we can work with, and whether we may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redis import exceptions

from wickwire import Series, Timeframe
from wickwire_redis.address import Address
from wickwire_redis.driver import Client, ServerError, lasts, refuse_other_speech, within
from wickwire_redis.keys import Keys

__all__ = ["NOBODY", "OLDEST_SERVER", "look", "look_at"]

_UNANSWERED: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.InvalidResponse,
    TimeoutError,
)

Command = tuple[str | int, ...]

OLDEST_SERVER: Final = (6, 2)
NOBODY: Final = Series("wickwire", "nobody", Timeframe.parse("1m"))


async def look(client: Client, address: Address, keys: Keys) -> None:
    """See that the server is a Redis of our time, alone, and that our user may do what a sink does.

    Nothing is written: what is queued between MULTI and DISCARD is judged by the ACL, and not done.

    Raises:
        ServerError: It is no server for us.
        redis.exceptions.RedisError: It is away, or says no.
    """
    await look_at(client, address, _of_a_sink(address, keys))


async def look_at(client: Client, address: Address, wanted: Sequence[Command]) -> None:
    """See the same, of a user that does what is *wanted*; raises as `look` does.

    It takes as long as the address allows, and a moment more where there is no answer.
    """
    try:
        await within(address, lambda: _looked_at(client, wanted))
    except _UNANSWERED as exc:
        if not lasts(exc):
            await refuse_other_speech(address)
        raise


async def _looked_at(client: Client, wanted: Sequence[Command]) -> None:
    hello = await client.execute_command("HELLO")
    facts = {_text(name): _text(value) for name, value in hello.items()}
    if facts.get("mode", "standalone") != "standalone":
        raise ServerError(
            f"it runs as {facts['mode']}; Redis Cluster and Sentinel are not supported yet: name a server "
            "that is alone, or the master itself"
        )
    version = tuple(int(part) for part in facts.get("version", "0").split(".")[:2])
    if facts.get("server") == "redis" and version < OLDEST_SERVER:
        raise ServerError(
            f"it is Redis {facts['version']}, and {'.'.join(map(str, OLDEST_SERVER))} is the oldest that is "
            "supported: upgrade it, or name another one"
        )
    # where MULTI itself is refused, all that follows would be done
    await _ask(client, [("MULTI",), ("EXEC",), ("MULTI",), ("DISCARD",)])
    await _ask(client, [("MULTI",), *wanted, ("DISCARD",)])


def _of_a_sink(address: Address, keys: Keys) -> Sequence[Command]:
    """Return what a sink does, once each."""
    recent, latest, stream = keys.recent(NOBODY), keys.latest(NOBODY), keys.stream(NOBODY)
    wanted: list[Command] = [
        ("SET", keys.price("wickwire", "nobody"), "", "PX", 1),
        ("PUBLISH", keys.price_channel("wickwire", "nobody"), ""),
        ("SADD", keys.series, ""),
        ("SCRIPT", "LOAD", "return 0"),
        ("EVALSHA", "0" * 40, 3, recent, latest, stream),
        ("ZRANGEBYSCORE", recent, 0, 0),
        ("ZREM", recent, ""),
        ("ZADD", recent, 0, ""),
        ("ZRANGE", recent, 0, 0),
        ("ZREMRANGEBYSCORE", recent, 0, 0),
        ("PEXPIRE", recent, 1),
        ("SET", latest, "", "PX", 1),
    ]
    if address.primary is not None:
        wanted.append(("SET", keys.primary_price("nobody"), "", "PX", 1))
        wanted.append(("PUBLISH", keys.primary_price_channel("nobody"), ""))
    if address.trim is not None:
        wanted.append(("XADD", stream, "*", "", ""))
        wanted.append(("XRANGE", stream, "-", "+"))
        wanted.append(("XINFO", "STREAM", stream))
    return wanted


async def _ask(client: Client, commands: Sequence[Command]) -> None:
    """Send *commands* at once, and raise what will be said against one of them for ever."""
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    for command, reply in zip(commands, await pipeline.execute(raise_on_error=False), strict=True):
        if isinstance(reply, Exception) and lasts(reply):
            reply.add_note(f"(when asked whether {' '.join(map(str, command[:2]))} may be used)")
            raise reply


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

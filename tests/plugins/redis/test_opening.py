"""Which servers a sink takes at `open`, and what it says of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.plugins.processes import free_port
from tests.plugins.redis.server import Server, new_server
from tests.plugins.redis.sinks import BTC, BTC_QUOTES, candle, opened, quote, refusal_of, sink_at, stranger
from wickwire import SinkError
from wickwire_redis import HotCandles

COMMANDS = (
    "+hello", "+select", "+multi", "+discard", "+exec", "+script|load", "+evalsha",
    "+set", "+publish", "+sadd", "+zadd", "+zrem", "+zrange", "+zrangebyscore", "+zremrangebyscore",
    "+pexpire", "+xadd", "+xrange", "+xinfo|stream",
)  # fmt: skip
"""What docs/redis.md says that the user of a sink needs."""
SELECTORS = ("resetchannels", "~price:*", "~candle:*", "&price.updated.*")


@contextmanager
def running(**settings: str) -> Iterator[Server]:
    server = new_server(**settings)
    try:
        yield server
    finally:
        server.stop()


def refusal(url: str) -> str:
    return refusal_of(sink_at(url))


def put_both(url: str) -> None:
    async def main() -> None:
        async with opened(url) as sink, HotCandles(url) as hot:
            await sink.put([candle(0, 1)])
            await sink.put_quotes({BTC_QUOTES: quote()})
            assert await hot.latest(BTC) == candle(0, 1)

    asyncio.run(main())


def test_a_server_that_is_away_is_no_error_until_something_is_put():
    url = f"redis://127.0.0.1:{free_port()}"

    async def main() -> str:
        async with opened(url) as sink:
            with pytest.raises(SinkError) as caught:
                await sink.put([candle(0, 1)])
            return str(caught.value)

    said = asyncio.run(main())

    assert said.startswith(f"sink '{url}': cannot put candles: ")
    assert "see that the server runs and can be reached at the host and port of the address" in said


def test_it_is_opened_again_after_it_was_closed():
    with running() as server:

        async def main() -> None:
            sink = sink_at(server.url)
            for number in range(3):
                await sink.open()
                await sink.put([candle(number, number + 1)])
                await sink.aclose()
                await sink.aclose()
            with pytest.raises(SinkError, match="cannot put candles: it is not open"):
                await sink.put([candle(0, 1)])
            with pytest.raises(SinkError, match="cannot put quotes: it is not open"):
                await sink.put_quotes({BTC_QUOTES: quote()})

        asyncio.run(main())


def test_a_socket_will_do():
    with running() as server:
        put_both(f"redis://?socket={server.socket}")


def test_databases_are_apart():
    with running() as server:
        put_both(f"{server.url}/3")

        async def main() -> tuple[int, int]:
            async with stranger(f"{server.url}/3") as third, stranger(server.url) as first:
                return await third.dbsize(), await first.dbsize()

        assert asyncio.run(main()) == (5, 0)


def test_a_database_that_is_not_there_is_said_at_open():
    with running() as server:
        said = refusal(f"{server.url}/99")

    assert "name a database that it has" in said


def test_a_wrong_password_is_said_at_open_and_not_shown():
    with running(requirepass="right") as server:
        said = refusal(f"redis://:hunter2@127.0.0.1:{server.port}")
        put_both(f"redis://:right@127.0.0.1:{server.port}")

    assert "look at user and password in the address, or at REDISCLI_AUTH" in said
    assert "hunter2" not in said


def test_a_missing_password_is_said_at_open_and_may_come_from_the_environment(monkeypatch):
    with running(requirepass="right") as server:
        said = refusal(server.url)
        monkeypatch.setenv("REDISCLI_AUTH", "right")
        put_both(server.url)

    assert "the server wants a password: put it into the address, or into REDISCLI_AUTH" in said


def make_user(server: Server, *rules: str) -> str:
    """Make the user `ada`, and return her address."""
    with server.admin() as admin:
        admin.execute_command("ACL", "SETUSER", "ada", "reset", "on", ">s3cret", *rules)
    return f"redis://ada:s3cret@127.0.0.1:{server.port}"


def test_the_rights_that_the_manual_names_are_enough():
    with running() as server:
        put_both(make_user(server, *COMMANDS, *SELECTORS, "+get"))


@pytest.mark.parametrize("missing", [*COMMANDS[2:], *SELECTORS[1:]])
def test_each_missing_right_is_named_at_open(missing):
    """Nothing is written to find out."""
    with running() as server:
        rules = [rule for rule in (*COMMANDS, *SELECTORS) if rule != missing]
        said = refusal(f"{make_user(server, *rules)}?primary=kraken")
        with server.admin() as admin:
            assert admin.dbsize() == 0

    assert "docs/redis.md lists the commands, keys and channels that its user needs" in said
    assert "s3cret" not in said
    if missing.startswith("+"):
        assert missing[1:].split("|")[0] in said.lower()


def test_rights_that_are_taken_away_later_are_named_when_something_is_put():
    with running() as server:
        url = make_user(server, *COMMANDS, *SELECTORS)

        async def main() -> None:
            async with opened(url) as sink:
                await sink.put([candle(0, 1)])
                with server.admin() as admin:
                    admin.execute_command("ACL", "SETUSER", "ada", "-xadd", "-publish")
                with pytest.raises(SinkError, match="ACL SETUSER"):
                    await sink.put([candle(1, 2)])
                with pytest.raises(SinkError, match="ACL SETUSER"):
                    await sink.put_quotes({BTC_QUOTES: quote()})

        asyncio.run(main())


@pytest.mark.parametrize("command", ["HELLO", "XADD", "EVALSHA"])
def test_a_command_that_the_server_does_not_know_is_named_at_open(command):
    """Older servers know no HELLO, and some that are rented out have no scripts."""
    with running(rename_command=f'{command} ""') as server:
        said = refusal(server.url)

    assert command in said.upper()
    assert "it is older than Redis 6.2, or that command has been renamed or taken away" in said


def test_a_node_of_a_cluster_is_refused_by_name():
    with running(cluster_enabled="yes") as server:
        said = refusal(server.url)

    assert "it runs as cluster; Redis Cluster and Sentinel are not supported yet" in said


def test_nobody_hears_of_the_look_at_open():
    with running() as server:

        async def main() -> object:
            async with stranger(server.url) as redis, redis.pubsub() as ear:
                await ear.psubscribe("*")
                await ear.get_message(timeout=5)
                async with opened(f"{server.url}?primary=kraken"):
                    await redis.publish("mine", "end")
                    return await ear.get_message(ignore_subscribe_messages=True, timeout=5)

        message = asyncio.run(main())

    assert isinstance(message, dict)
    assert message["channel"] == "mine"


def test_a_file_for_tls_that_is_not_there_is_said_at_open(tmp_path):
    said = refusal(f"rediss://127.0.0.1:1?cafile={tmp_path}/none.pem")

    assert "No such file" in said
    assert "look at the files that the address names" in said

"""Quotes as strangers read them: a key, a message, how old they are, and the primary venue."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.plugins.redis.server import new_server
from tests.plugins.redis.sinks import (
    BTC_QUOTES,
    START_NS,
    Watch,
    fresh_url,
    opened,
    prefix_of,
    quote,
    stranger,
)
from wickwire import SECOND_NS, Feed, Quote, QuoteSink, Series, SinkError
from wickwire_redis import HotCandles, HotQuote
from wickwire_redis.sink import MOST_QUOTES

COINBASE = Series("coinbase", "BTC/USD", Feed.QUOTES)


def test_a_quote_is_json_with_exact_numbers_and_goes_after_five_minutes():
    url = fresh_url()

    async def main() -> tuple[str | None, int]:
        async with opened(url, Watch(START_NS + SECOND_NS)) as sink, stranger(url) as redis:
            assert isinstance(sink, QuoteSink)
            await sink.put_quotes({BTC_QUOTES: quote()})
            key = f"{prefix_of(url)}price:kraken:BTC/USD"
            return await redis.get(key), await redis.ttl(key)

    text, ttl = asyncio.run(main())

    assert text == (
        '{"symbol":"BTC/USD","bid":64000.10,"ask":64000.20,"mid":64000.15,"bid_size":1.50,"ask_size":2,'
        '"timestamp":"2025-11-23T00:00:00Z","venue":"kraken","exchange":null,"timed_by":"venue",'
        '"received":"2025-11-23T00:00:01Z"}'
    )
    assert 290 < ttl <= 300


def test_without_a_prefix_the_keys_are_as_the_manual_says():
    server = new_server()

    async def main() -> Any:
        url = f"{server.url}?primary=kraken"
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put_quotes({BTC_QUOTES: quote(), COINBASE: quote()})
            return sorted(await redis.keys("*"))

    try:
        assert asyncio.run(main()) == ["price:BTC/USD", "price:coinbase:BTC/USD", "price:kraken:BTC/USD"]
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("bid", "ask", "mid"),
    [
        ("1", "2", "1.5"),
        ("0.00000001", "1E+20", "50000000000000000000.000000005"),
        ("64000.10", "64000.10", "64000.10"),
        ("-37.63", "-37.61", "-37.62"),
        (None, "2", None),
        ("1", None, None),
        (None, None, None),
        ("1E-9999", "1E+9999", None),
    ],
)
def test_the_middle_is_exact_or_not_there(bid, ask, mid):
    url = fresh_url()

    async def main() -> Any:
        async with opened(url) as sink, stranger(url) as redis:
            await sink.put_quotes({BTC_QUOTES: quote(bid, ask)})
            return await redis.get(f"{prefix_of(url)}price:kraken:BTC/USD")

    text = asyncio.run(main())

    assert text is not None
    assert json.loads(text, parse_float=str, parse_int=str)["mid"] == mid


def test_who_listens_hears_each_quote_and_those_of_the_primary_venue_by_symbol_alone():
    url = fresh_url("primary=kraken")

    async def main() -> Any:
        heard, told = [], ""
        async with opened(url) as sink, stranger(url) as redis, redis.pubsub() as ear:
            await ear.psubscribe(f"{prefix_of(url)}price.updated.*")
            await ear.get_message(timeout=5)
            await sink.put_quotes({BTC_QUOTES: quote(), COINBASE: quote("1", "3")})
            for _ in range(3):
                message = await ear.get_message(ignore_subscribe_messages=True, timeout=5)
                assert message is not None
                told = message["data"]
                row = json.loads(told)
                heard.append((message["channel"].removeprefix(prefix_of(url)), row["venue"], row["mid"]))
            # what was told is what can be read
            assert await redis.get(f"{prefix_of(url)}price:coinbase:BTC/USD") == told
        return heard

    assert asyncio.run(main()) == [
        ("price.updated.kraken.BTC/USD", "kraken", 64000.15),
        ("price.updated.BTC/USD", "kraken", 64000.15),
        ("price.updated.coinbase.BTC/USD", "coinbase", 2),
    ]


def test_where_the_venue_says_no_time_the_quote_carries_when_it_came():
    url = fresh_url()

    async def main() -> tuple[str | None, HotQuote | None]:
        async with opened(url, Watch()) as sink, stranger(url) as redis, HotCandles(url) as hot:
            await sink.put_quotes({BTC_QUOTES: quote(time_ns=None)})
            text = await redis.get(f"{prefix_of(url)}price:kraken:BTC/USD")
            return text, await hot.latest_quote("kraken", "BTC/USD")

    text, read = asyncio.run(main())

    assert text is not None
    row = json.loads(text)
    assert (row["timestamp"], row["timed_by"]) == ("2025-11-23T00:00:00Z", "collector")
    assert read == HotQuote(quote(time_ns=None), START_NS)


def test_a_time_that_is_none_stops_no_other_quote():
    url = fresh_url()

    async def main() -> list[HotQuote | None]:
        async with opened(url, Watch()) as sink, HotCandles(url) as hot:
            await sink.put_quotes({BTC_QUOTES: quote(time_ns=10**21), COINBASE: quote()})
            return [await hot.latest_quote(venue, "BTC/USD") for venue in ("kraken", "coinbase")]

    assert asyncio.run(main()) == [HotQuote(quote(time_ns=None), START_NS), HotQuote(quote(), START_NS)]


def test_a_symbol_that_is_no_text_stops_no_other_quote_and_is_named_once(caplog):
    url, half = fresh_url(), Series("kraken", "\ud800", Feed.QUOTES)

    async def main() -> None:
        async with opened(url) as sink, HotCandles(url) as hot:
            for _ in range(2):
                await sink.put_quotes(
                    {half: Quote("\ud800", None, None, None, None, None), BTC_QUOTES: quote()}
                )
            assert await hot.latest_quote("kraken", "BTC/USD") is not None

    asyncio.run(main())
    assert ["quotes left out"] == [one.message for one in caplog.records]


def test_a_quote_that_is_put_again_later_says_when_it_came_first():
    """While Redis was away it did not grow younger."""
    server = new_server()
    watch = Watch()
    newer = quote(bid="63999")

    async def main() -> tuple[HotQuote | None, HotQuote | None]:
        async with opened(server.url, watch) as sink, HotCandles(server.url) as hot:
            server.kill()
            with pytest.raises(SinkError):
                await sink.put_quotes({BTC_QUOTES: quote(), COINBASE: quote()})
            server.start()
            watch.ns += 60 * SECOND_NS
            await sink.put_quotes({BTC_QUOTES: quote(), COINBASE: newer})
            return await hot.latest_quote("kraken", "BTC/USD"), await hot.latest_quote("coinbase", "BTC/USD")

    try:
        old, new = asyncio.run(main())
    finally:
        server.stop()

    assert old == HotQuote(quote(), START_NS)
    assert new == HotQuote(newer, START_NS + 60 * SECOND_NS)


@pytest.mark.parametrize("option", ["serialisation=json", "serialisation=msgpack"])
def test_what_comes_back_is_what_was_put(option):
    url = fresh_url(option)
    put = Quote("BTC/USD", Decimal("0E-8"), Decimal("1E+3"), None, None, START_NS + 123_456_789)

    async def main() -> tuple[HotQuote | None, HotQuote | None]:
        async with opened(url, Watch()) as sink, HotCandles(url) as hot:
            await sink.put_quotes({BTC_QUOTES: put})
            return await hot.latest_quote("kraken", "BTC/USD"), await hot.latest_quote("kraken", "ETH/USD")

    read, nothing = asyncio.run(main())

    assert (read, nothing) == (HotQuote(put, START_NS), None)
    assert read is not None
    assert (str(read.quote.bid), str(read.quote.bid_size)) == ("0E-8", "1E+3")


def test_thousands_of_quotes_go_in_scripts_of_a_bounded_size():
    server = new_server()
    quotes = {Series("kraken", f"S{number}", Feed.QUOTES): quote() for number in range(1_000)}

    async def main() -> Any:
        async with opened(f"{server.url}?primary=kraken") as sink, stranger(server.url) as redis:
            await redis.config_resetstat()
            await sink.put_quotes(quotes)
            assert await redis.dbsize() == 2 * len(quotes)
            return int((await redis.info("commandstats"))["cmdstat_evalsha"]["calls"])

    try:
        assert asyncio.run(main()) == 2 * len(quotes) // MOST_QUOTES
    finally:
        server.stop()


def test_a_server_that_forgot_its_scripts_is_given_them_again():
    server = new_server()

    async def main() -> bytes | None:
        async with opened(server.url) as sink, stranger(server.url) as redis:
            await sink.put_quotes({BTC_QUOTES: quote()})
            await redis.flushall()
            await redis.script_flush()
            await sink.put_quotes({BTC_QUOTES: quote()})
            found: bytes | None = await redis.get("price:kraken:BTC/USD")
            return found

    try:
        assert asyncio.run(main()) is not None
    finally:
        server.stop()


def test_a_quote_that_is_refused_is_named_and_not_told():
    """A right that was taken away while it runs: who listens hears of nothing that cannot be read."""
    server = new_server()

    async def main() -> tuple[str, list[str]]:
        url = f"redis://sink:word@127.0.0.1:{server.port}"
        async with stranger(server.url) as redis:
            await redis.execute_command("ACL", "SETUSER", "sink", "on", ">word", "~*", "&*", "+@all")
            async with opened(url) as sink, redis.pubsub() as heard:
                await heard.psubscribe("price.updated.*")
                assert (await heard.get_message(timeout=5.0))["type"] == "psubscribe"
                await sink.put_quotes({BTC_QUOTES: quote()})
                await redis.execute_command("ACL", "SETUSER", "sink", "resetkeys", "~price:kraken:ETH/USD")
                with pytest.raises(SinkError) as refused:
                    await sink.put_quotes({BTC_QUOTES: quote()})
                first = await heard.get_message(timeout=5.0)
                assert await heard.get_message(timeout=0.2) is None
                return str(refused.value), [first["channel"]]

    try:
        said, channels = asyncio.run(main())
    finally:
        server.stop()
    assert "price:kraken:BTC/USD" in said
    assert channels == ["price.updated.kraken.BTC/USD"]

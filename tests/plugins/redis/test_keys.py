"""The names of keys: whatever a symbol holds, it stays below its prefix, and no two share a key."""

from __future__ import annotations

import asyncio
import fnmatch
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.redis.server import new_server
from tests.plugins.redis.sinks import candle, opened, quote, stranger
from wickwire import Feed, Series, Timeframe
from wickwire_redis import HotCandles
from wickwire_redis.keys import Keys, plain

HOSTILE = [
    *("BTC/USD", "*", "?", "[a-z]", "a b", "a\r\nDEL price:x\r\n", "{x}", "}{", '"', "'", "\\", "%", "%2A"),
    *(
        ":",
        "::latest",
        "kraken:BTC/USD",
        "@1m",
        "BTC/USD@1m}:latest",
        "\x00",
        "é",
        "e\u0301",
        "🚀",
        "",
        "BRK.B",
    ),
    *("kraken.B", "series", "^GSPC", "EURUSD=X", "$1", "\u2028", "../x"),
]
SYMBOLS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12), st.text("ab%2A5:.@{}*", max_size=6))
SCOPES = st.from_regex(r"[a-z][a-z0-9_]{0,4}(\.[a-z][a-z0-9_]{0,4})?", fullmatch=True)
TIMEFRAMES = st.sampled_from(["1m", "5m", "1mo", "1d"])
PLAIN = re.compile(r"[A-Za-z0-9_./=^$+&:@{}%-]+")


def series(scope: str, symbol: str, timeframe: str = "1m") -> Series:
    venue, _, variant = scope.partition(".")
    return Series(venue, symbol, Timeframe.parse(timeframe), variant)


def names(keys: Keys, scope: str, symbol: str, timeframe: str) -> list[str]:
    """Every key and channel that has to do with them."""
    one = series(scope, symbol, timeframe)
    return [
        *(keys.price(scope, symbol), keys.primary_price(symbol)),
        *(keys.price_channel(scope, symbol), keys.primary_price_channel(symbol)),
        *(keys.recent(one), keys.latest(one), keys.stream(one)),
    ]


@given(SCOPES, SYMBOLS, TIMEFRAMES)
def test_a_name_is_plain_and_below_its_prefix(scope, symbol, timeframe):
    for name in names(Keys("p:"), scope, symbol, timeframe):
        assert PLAIN.fullmatch(name)
        assert name.startswith(("p:price:", "p:price.updated.", "p:candle:{"))
        assert name.isprintable()
        # a pattern made of the name finds the name alone
        assert fnmatch.fnmatchcase(name, name)
        assert not set("*?[]\\") & set(name)


@given(SCOPES, SYMBOLS, TIMEFRAMES, SCOPES, SYMBOLS, TIMEFRAMES)
def test_no_two_share_a_name(scope, symbol, timeframe, other_scope, other_symbol, other_timeframe):
    ours = names(Keys(""), scope, symbol, timeframe)
    theirs = names(Keys(""), other_scope, other_symbol, other_timeframe)

    assert len({*ours, Keys("").series}) == len(ours) + 1
    same_symbol, same_quote = symbol == other_symbol, (scope, symbol) == (other_scope, other_symbol)
    same_series = same_quote and timeframe == other_timeframe
    expected = [same_quote, same_symbol, same_quote, same_symbol, *[same_series] * 3]
    assert [mine in theirs for mine in ours] == expected


@given(SCOPES, SYMBOLS, TIMEFRAMES)
def test_the_keys_of_a_series_share_one_hash_tag_which_no_symbol_can_change(scope, symbol, timeframe):
    """Redis Cluster looks between the first { and the first } after it."""
    tags = {
        name[name.index("{") + 1 : name.index("}")] for name in names(Keys(""), scope, symbol, timeframe)[4:]
    }

    assert tags == {f"{scope}:{plain(symbol)}@{timeframe}"}


def test_what_people_type_stays_as_it_is():
    for symbol in ("BTC/USD", "BRK.B", "^GSPC", "EURUSD=X", "BTC-USD", "/ESZ25"):
        assert plain(symbol) == symbol
    assert (plain("/ESZ25:XCME"), plain("a@b"), plain("*")) == ("/ESZ25%3AXCME", "a%40b", "%2A")


def test_on_a_server_no_key_is_outside_the_prefix_and_all_can_be_read_back():
    server = new_server()
    quotes = {Series("kraken", symbol, Feed.QUOTES): quote() for symbol in HOSTILE}
    candles = [candle(0, seq, series=series("kraken", symbol)) for seq, symbol in enumerate(HOSTILE, 1)]

    async def main() -> Any:
        url = f"{server.url}?prefix=ours:&primary=kraken"
        async with opened(url) as sink, stranger(url) as redis, HotCandles(url) as hot, redis.pubsub() as ear:
            await redis.set("price:x", "somebody's")
            await ear.psubscribe("*")
            await ear.get_message(timeout=5)
            await sink.put(candles)
            await sink.put_quotes(quotes)
            for put in candles:
                assert await hot.latest(put.series) == put
                assert await hot.latest_quote("kraken", put.symbol) is not None
            assert await redis.smembers("ours:candle:series") == {str(put.series) for put in candles}
            channels = set()
            for _ in range(2 * len(HOSTILE)):
                message = await ear.get_message(ignore_subscribe_messages=True, timeout=5)
                assert message is not None
                channels.add(message["channel"])
            assert len(channels) == 2 * len(HOSTILE)
            assert all(channel.startswith("ours:price.updated.") for channel in channels)
            return await redis.keys("*")

    try:
        found = asyncio.run(main())
    finally:
        server.stop()

    assert [key for key in found if not key.startswith("ours:")] == ["price:x"]
    assert len(found) == 1 + 1 + 5 * len(HOSTILE)


def test_in_a_channel_a_dot_parts_names_and_stands_nowhere_else():
    keys = Keys("")

    assert keys.price_channel("alpaca.sip", "BRK.B") == "price.updated.alpaca.sip.BRK%2EB"
    assert keys.price_channel("kraken", "B") != keys.primary_price_channel("kraken.B")
    assert keys.price_channel("alpaca", "sip.B") != keys.price_channel("alpaca.sip", "B")


def test_half_a_character_is_no_text():
    with pytest.raises(UnicodeEncodeError):
        plain("\ud800")

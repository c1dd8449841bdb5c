"""What an address of a Redis sink means, and what it must not give away."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import ConfigError
from wickwire_redis import HotCandles, RedisSink, open_sink
from wickwire_redis.address import Address, Serialisation, Trim, TrimBy, parse_address


def parsed(url: str) -> Address:
    address = parse_address(url)
    assert address is not None
    return address


def test_all_may_be_missing_but_the_scheme():
    address = parsed("redis://")

    assert (address.host, address.port, address.database, address.user, address.password) == (
        *("localhost", 6379, 0),
        *(None, None),
    )
    assert (address.tls, address.socket, address.prefix, address.primary) == (False, None, "", None)
    assert (address.ttl_s, address.window_s, address.keep_s, address.timeout_s) == (300, 3600, 604_800, 5)
    assert (address.serialisation, address.trim) == (Serialisation.JSON, Trim(TrimBy.LENGTH, 10_000))


def test_every_part_is_where_people_write_it():
    address = parsed(
        "rediss://ada:s%40fe@[::1]:7000/3?prefix=prod:&primary=alpaca.sip&serialisation=msgpack&ttl=90s"
        "&window=2h&keep=1d&stream=minid:5000&timeout=2s&cafile=/ca.pem&certfile=/me.pem&keyfile=/me.key"
    )

    assert (address.host, address.port, address.database) == ("::1", 7000, 3)
    assert (address.user, address.password) == ("ada", "s@fe")
    assert (address.tls, address.cafile, address.certfile, address.keyfile) == (
        *(True, "/ca.pem"),
        *("/me.pem", "/me.key"),
    )
    assert (address.prefix, address.primary, address.serialisation) == (
        *("prod:", "alpaca.sip"),
        Serialisation.MSGPACK,
    )
    assert (address.ttl_s, address.window_s, address.keep_s, address.timeout_s) == (90, 7_200, 86_400, 2)
    assert address.trim == Trim(TrimBy.COMMITS, 5_000)


def test_a_password_may_stand_without_a_user_and_both_as_options():
    assert parsed("redis://:secret@h").password == "secret"
    assert parsed("redis://:secret@h").user is None
    assert (parsed("redis://h?user=ada&password=p+w").user, parsed("redis://h?password=p+w").password) == (
        *("ada", "p+w"),
    )


def test_a_socket_is_an_option():
    assert parsed("redis://?socket=/run/redis/redis.sock").socket == "/run/redis/redis.sock"
    assert parsed("redis:///2?socket=/run/redis.sock").database == 2


def test_there_need_be_no_streams():
    assert parsed("redis://h?stream=off").trim is None


@pytest.mark.parametrize(
    "url", ["memory:", "sqlite:w.db", "postgresql://h", "redis", "", "x/redis:", "unix:///r"]
)
def test_addresses_of_others_are_left_to_them(url):
    assert parse_address(url) is None
    assert open_sink(url) is None
    with pytest.raises(ConfigError, match="no address of Redis; write redis://host:6379"):
        HotCandles(url)


def test_ours_make_a_sink_and_nothing_is_connected():
    assert isinstance(open_sink("redis://nowhere.invalid"), RedisSink)
    assert isinstance(open_sink("rediss://nowhere.invalid"), RedisSink)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis:h", "write redis://host:6379"),
        ("redis://h:x", "no host:port"),
        ("redis://h:0", "no host:port"),
        ("redis://h:70000", "no host:port"),
        ("redis://h h", "no host:port"),
        ("redis://a,b", "Cluster and Sentinel are not supported yet"),
        ("redis://h/market", "'market' is no number of a database"),
        ("redis://h/0/1", "is no number of a database"),
        ("redis://h#x", "no host:port|'#' is written %23"),
        ("redis://h/1#x", "'#' is written %23"),
        ("redis://h?colour=red", "no option 'colour'; there are prefix"),
        ("redis://h?ttl=5", "ttl is a time such as 90s, 5m, 1h or 7d, not '5'"),
        ("redis://h?ttl=0s", "ttl is a time"),
        ("redis://h?keep=999999d", "keep is a time"),
        ("redis://h?window=-1h", "window is a time"),
        ("redis://h?serialisation=xml", "serialisation is json or msgpack, not 'xml'"),
        ("redis://h?stream=10", "stream is maxlen:10000, minid:1000000 or off"),
        ("redis://h?stream=maxlen:0", "stream is maxlen:10000"),
        ("redis://h?prefix=a%20b", "prefix is up to 64 of letters"),
        ("redis://h?prefix=%7Ba%7D", "prefix is up to 64 of letters"),
        ("redis://h?primary=Kraken", "primary is a venue such as kraken or alpaca.sip"),
        ("redis://h?primary=", "primary is a venue"),
        ("redis://h?socket=/s", "without host or TLS"),
        ("rediss://?socket=/s", "without host or TLS"),
        ("redis://?socket=s", "socket is an absolute path"),
        ("redis://h?cafile=/ca.pem", "cafile is for TLS; write rediss://"),
        ("rediss://h?keyfile=/k.pem", "keyfile goes with a certfile"),
        ("redis://h?user=a%0Ab", "control characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(url, why):
    with pytest.raises(ConfigError, match=why):
        parse_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://ada:hunter2@h:6379/0?colour=red",
        "redis://ada:hunter2@h:6379/x",
        "redis://ada:hunter2@h/0?password=hunter2&ttl=1",
        "redis://:hunter2@h?prefix=*",
        "redis://ada:hun?hunter2@h",
        "redis://ada:hun?ttl=hunter2@h",
        "redis://ada:hun#hunter2@h/#",
        "redis://ada:hunter2",
        "redis://h?pass=hunter2&password=hunter2",
    ],
)
def test_a_refusal_shows_no_password(url):
    with pytest.raises(ConfigError) as caught:
        parse_address(url)

    assert "hunter2" not in str(caught.value)


@given(st.text(st.characters(categories=("L", "N", "P", "S")), min_size=8, max_size=20))
def test_nothing_that_we_show_holds_the_password(password):
    address = parsed(f"redis://ada:{quote(password, safe='')}@h")

    assert address.password == password
    shown = [
        repr(address),
        repr(RedisSink(address)),
        repr(HotCandles(f"redis://ada:{quote(password, safe='')}@h")),
    ]
    assert not [text for text in shown if password in text or quote(password, safe="") in text]

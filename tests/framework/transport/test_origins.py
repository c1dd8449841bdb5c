"""Where we go: encrypted anywhere, in the clear to literal loopback only (S3); no secret is shown (S1)."""

from __future__ import annotations

import asyncio
import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import ConfigError, Endpoint, HttpRequest, PluginError
from wickwire.transport.origins import (
    HTTP_SCHEMES,
    STREAM_SCHEMES,
    Address,
    Origin,
    environment_proxy,
    redirect_table,
    shown,
)

HOSTILE = [
    # names that resolve to loopback, today
    "localhost/",
    "LOCALHOST/",
    "localhost./",
    "localtest.me/",
    "127.0.0.1.nip.io/",
    # private, link-local, metadata, everything and almost loopback
    "10.0.0.1/",
    "192.168.0.1/",
    "169.254.169.254/latest/meta-data",
    "0.0.0.0/",
    "128.0.0.1/",
    # loopback for some resolvers: decimal, hexadecimal, octal, short, dotted
    "0/",
    "2130706433/",
    "0x7f000001/",
    "0x7f.0.0.1/",
    "0177.0.0.1/",
    "127.1/",
    "127.0.1/",
    "127.0.0.01/",
    "127.0.0.1./",
    "127.0.0.0x1/",
    # IPv4 in IPv6, scopes, and the unspecified address
    "[::ffff:127.0.0.1]/",
    "[::ffff:7f00:1]/",
    "[::127.0.0.1]/",
    "[0:0:0:0:0:0:0:1]/",
    "[::1%25lo]/",
    "[::]/",
    # user, password and other tricks with the authority
    "127.0.0.1@evil.example/",
    "127.0.0.1:80@evil.example/",
    "user:pass@127.0.0.1/",
    "evil.example#@127.0.0.1/",
    "evil.example\\@127.0.0.1/",
    "127.0.0.1\\.evil.example/",
    "127.0.0.1%2eevil.example/",
    "127。0。0。1/",
    "①27.0.0.1/",
    "127.0.0.1:0/",
    "127.0.0.1:99999/",
    "127.0.0.1:+80/",
    "127.0.0.1 /",
    "127.0.0.1/a b",
    "127.0.0.1/\r\nHost: evil.example",
    "127.0.0.1/a\x00",
    "127.0.0.1/%zz",
    "127.0.0.1/a#b",
    "",
]


@pytest.mark.parametrize("rest", HOSTILE, ids=ascii)
def test_plain_text_goes_to_literal_loopback_only(rest, net):
    """Neither library is asked: the refusal is a fault of the adapter, and is not retried."""

    async def main():
        transport = net()
        with pytest.raises(PluginError, match="not allowed"):
            await transport.open(Endpoint(url=f"ws://{rest}"))
        with pytest.raises(PluginError, match="not allowed"):
            await transport.request(HttpRequest(url=f"http://{rest}"))

    asyncio.run(main())


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1",
        "//127.0.0.1/",
        "ws:127.0.0.1",
        "ws:/127.0.0.1/",
        "ws:///127.0.0.1/",
        " wss://ws.example.com/",
        "wss://ws.example.com/ ",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "ws+unix://127.0.0.1/",
        "https://ws.example.com/",
        "wss://user:pass@ws.example.com/",
        "wss://token@ws.example.com/",
        "wss://ws.example.com./",
        "wss://-ws.example.com/",
        "wss://ws..example.com/",
        "wss://0x7f.1/",
        "wss://2130706433/",
        "wss://[::1/",
        "wss://[zz]/",
        "wss://ws.example.com:/",
    ],
)
def test_what_is_not_clearly_a_stream_address_is_refused(url):
    with pytest.raises(ValueError, match="ws"):
        Address.parse(url, STREAM_SCHEMES)


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("wss://ws.kraken.com/v2", "wss://ws.kraken.com", "/v2"),
        ("WSS://WS.Kraken.com:443", "wss://ws.kraken.com", "/"),
        ("wss://ws.example.com:8443?x=1", "wss://ws.example.com:8443", "/?x=1"),
        ("ws://127.0.0.1:4321/v2", "ws://127.0.0.1:4321", "/v2"),
        ("ws://127.9.8.7/", "ws://127.9.8.7", "/"),
        ("ws://[::1]:80/", "ws://[::1]", "/"),
        ("wss://203.0.113.9/", "wss://203.0.113.9", "/"),
        ("wss://[2001:db8::1]/", "wss://[2001:db8::1]", "/"),
    ],
)
def test_an_address_keeps_path_and_query_as_written(url, origin, target):
    address = Address.parse(url, STREAM_SCHEMES)

    assert (str(address.origin), address.target) == (origin, target)
    assert address.url == origin + target


@given(
    st.sampled_from(["ws", "http", "wss", "https"]),
    st.one_of(
        st.text(alphabet="0127.:[]@fx%a\\/#?", min_size=1, max_size=20),
        st.builds(str, st.ip_addresses(v=4)),
        st.builds("[{}]".format, st.ip_addresses(v=6)),
    ),
)
def test_another_parser_never_sees_another_host(scheme, rest):
    """What we accept means one place to everybody, and in the clear that place is this machine."""
    url = f"{scheme}://{rest}"
    try:
        address = Address.parse(url, (scheme,))
    except ValueError:
        return
    theirs = urlsplit(url)
    assert theirs.hostname == address.origin.host.strip("[]")
    assert theirs.username is None
    if not address.origin.secure:
        assert ipaddress.ip_address(theirs.hostname or "").is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "wss://ws.example.com/canary",
        "wss://ws.example.com?token=canary",
        "wss://ws.example.com#canary",
        "ws.example.com/canary",
        "ws.example.com?canary",
    ],
)
def test_what_is_shown_of_a_url_is_its_place_alone(url):
    assert "canary" not in shown(url)
    assert "example.com" in shown(url)


@pytest.mark.parametrize(
    "url",
    [
        "wss://canary@ws.example.com/",
        "wss://user:p@canary@ws.example.com/",
        "wss://canary/p@ws.example.com/",
        "wss://user:p/q@canary",
        "canary:p@ws.example.com",
        "canary://@",
    ],
)
def test_where_a_url_has_a_user_nothing_but_its_scheme_is_shown(url):
    """Nobody can tell where a password ends that holds slashes and more."""
    assert shown(url).removeprefix("'canary://") in {"'wss://***'", "'***'", "***'"}


def test_what_is_shown_of_a_url_cannot_break_a_log_line():
    assert shown("wss://a\r\nb\x1b[2J/") == r"'wss://a\r\nb\x1b[2J'"


def test_a_redirect_moves_the_origin_and_nothing_else():
    table = redirect_table(
        {"wss://ws.example.com": "ws://127.0.0.1:4321", "https://api.example.com/": "http://[::1]:99"}
    )

    assert table == {
        Origin("wss", "ws.example.com", 443): Origin("ws", "127.0.0.1", 4321),
        Origin("https", "api.example.com", 443): Origin("http", "[::1]", 99),
    }


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("wss://ws.example.com", "ws://localhost:1", "literal"),
        ("wss://ws.example.com", "http://127.0.0.1:1", "expected wss or ws"),
        ("https://api.example.com", "http://127.0.0.1:1/v2", "origin alone"),
        ("https://api.example.com/v1", "http://127.0.0.1:1", "origin alone"),
        ("api.example.com", "http://127.0.0.1:1", "of the form"),
    ],
)
def test_a_wrong_redirect_is_refused_when_the_transport_is_made(source, target, why, net):
    with pytest.raises(ConfigError, match=why):
        net(redirects={source: target})


def test_loopback_never_takes_a_proxy(monkeypatch):
    """Whatever the environment says: a proxy could not reach it, and is not to see it."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    for url in ("http://127.0.0.1:1/", "https://127.0.0.1/", "http://[::1]/"):
        assert environment_proxy(Address.parse(url, HTTP_SCHEMES).origin) is None
    assert environment_proxy(Origin("https", "api.example.com", 443)) == "http://127.0.0.1:9"


def test_no_proxy_is_obeyed(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.com")

    assert environment_proxy(Origin("wss", "ws.example.com", 443)) is None
    assert environment_proxy(Origin("wss", "ws.example.org", 443)) == "http://127.0.0.1:9"

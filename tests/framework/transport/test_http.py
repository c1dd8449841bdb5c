"""Requests over real sockets: one whole reply or one error, within one deadline and one size."""

from __future__ import annotations

import asyncio
import gzip
import socket
import traceback

import pytest

from wickwire import Endpoint, HttpRequest, TransportError
from wickwire.errors import ConfigError
from wickwire.transport.failures import date_ns

SAID_NS = 1_795_255_200_000_000_000  # 2026-11-21T10:00:00Z


def url(port, path="/0/public/OHLC"):
    return f"http://127.0.0.1:{port}{path}"


def answering(*answers, heads=None):
    """A venue that answers requests of one connection in order, and keeps what it was asked in *heads*."""

    async def speak(reader, writer):
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            if heads is not None:
                heads.append(head.decode())
            writer.write(answer)
            await writer.drain()
        await reader.read()

    return speak


def reply(body=b"{}", *, status="200 OK", headers=""):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def asked(raw_venue, net, speak, request=None, **options):
    """Return what *request* brings from a venue that speaks so."""

    async def main():
        async with raw_venue(speak) as port:
            transport = net(**options)
            try:
                return await transport.request(request(port) if request else HttpRequest(url=url(port)))
            finally:
                await transport.aclose()

    return asyncio.run(main())


# --------------------------------------------------------------------------------------------- replies


def test_a_reply_has_lower_case_headers_and_the_servers_time(raw_venue, net):
    head = "Date: Sat, 21 Nov 2026 10:00:00 GMT\r\nX-RateLimit-Remaining: 3\r\n"
    got = asked(raw_venue, net, answering(reply(b'{"a":1}', headers=head)))

    assert (got.status, got.body, got.date_ns) == (200, b'{"a":1}', SAID_NS)
    assert got.headers["x-ratelimit-remaining"] == "3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sat, 21 Nov 2026 10:00:00 GMT", SAID_NS),
        ("Sat, 21 Nov 2026 10:00:00 -0000", SAID_NS),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_date_that_says_nothing_is_no_date(text, expected):
    assert date_ns({"date": text}) == expected


@pytest.mark.parametrize("status", ["404 Not Found", "429 Too Many Requests", "503 Busy", "204 No Content"])
def test_a_status_is_an_answer_and_no_error(raw_venue, net, status):
    body = b"" if status.startswith("204") else b"<html>"
    assert asked(raw_venue, net, answering(reply(body, status=status))).status == int(status[:3])


def test_a_redirect_is_returned_and_not_followed(raw_venue, net):
    """F42: and what the client says next time does not depend on what the server set."""
    heads: list[str] = []
    moved = reply(status="302 Found", headers="Location: http://127.0.0.1:1/x\r\nSet-Cookie: a=b\r\n")

    async def main():
        async with raw_venue(answering(moved, reply(), heads=heads)) as port:
            transport = net()
            first = await transport.request(HttpRequest(url=url(port)))
            second = await transport.request(HttpRequest(url=url(port)))
            await transport.aclose()
            return first.status, second.status

    assert asyncio.run(main()) == (302, 200)
    assert not any("cookie" in head.lower() for head in heads)


def test_gzip_is_inflated(raw_venue, net):
    packed = gzip.compress(b'{"error":[]}')
    got = asked(raw_venue, net, answering(reply(packed, headers="Content-Encoding: gzip\r\n")))

    assert got.body == b'{"error":[]}'


def test_a_gzip_bomb_is_refused_while_inflating(raw_venue, net):
    """F8."""
    packed = gzip.compress(bytes(64 * 1024 * 1024))
    with pytest.raises(TransportError, match="larger than 1048576 bytes"):
        asked(
            raw_venue,
            net,
            answering(reply(packed, headers="Content-Encoding: gzip\r\n")),
            max_reply_bytes=1024 * 1024,
        )


def test_an_endless_reply_is_refused_at_the_limit(raw_venue, net):
    async def speak(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    with pytest.raises(TransportError, match="larger than 1000000 bytes"):
        asked(raw_venue, net, speak, max_reply_bytes=1_000_000)


# -------------------------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    "path",
    ["/v8/finance/chart/%5EGSPC", "/a/../b/./c", "/EURUSD=X", "/a%2Fb%2fc", "//x", "/%e2%82%ac", "/a|b^c"],
)
def test_a_path_goes_out_as_it_was_written(raw_venue, net, path):
    """Neither encoded twice nor normalised: a venue's paths are the venue's business."""
    heads: list[str] = []
    asked(raw_venue, net, answering(reply(), heads=heads), lambda port: HttpRequest(url=url(port, path)))

    assert heads[0].split("\r\n")[0] == f"GET {path} HTTP/1.1"


def test_parameters_are_encoded_in_order(raw_venue, net):
    heads: list[str] = []
    params = {"pair": "BTC/USD", "since": "0", "q": "a b&c=é"}
    asked(
        raw_venue,
        net,
        answering(reply(), heads=heads),
        lambda port: HttpRequest(url=url(port), params=params),
    )

    line = heads[0].split("\r\n")[0]
    assert line == "GET /0/public/OHLC?pair=BTC%2FUSD&since=0&q=a+b%26c%3D%C3%A9 HTTP/1.1"


def test_headers_and_body_go_out_and_the_host_is_the_real_one(raw_venue, net):
    bodies = []

    async def speak(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        bodies.extend([head.decode().lower(), await reader.readexactly(7)])
        writer.write(reply())
        await writer.drain()

    async def main():
        async with raw_venue(speak) as port:
            transport = net(
                redirects={"https://api.example.com": f"http://127.0.0.1:{port}"}, user_agent="w/1"
            )
            request = HttpRequest(
                url="https://api.example.com/login", method="POST", body=b'{"a":1}', headers={"X-Key": "k"}
            )
            await transport.request(request)
            await transport.aclose()
            return port

    port = asyncio.run(main())
    lines = bodies[0].split("\r\n")
    assert lines[0] == "post /login http/1.1"
    assert {f"host: 127.0.0.1:{port}", "x-key: k", "user-agent: w/1", "accept-encoding: gzip"} < set(lines)
    assert bodies[1] == b'{"a":1}'


def test_one_connection_serves_many_requests(raw_venue, net):
    async def main():
        async with raw_venue(answering(reply(b"1"), reply(b"2"), reply(b"3"))) as port:
            transport = net()
            bodies = [(await transport.request(HttpRequest(url=url(port)))).body for _ in range(3)]
            await transport.aclose()
            return bodies

    assert asyncio.run(main()) == [b"1", b"2", b"3"]


def test_proxies_of_the_environment_do_not_see_loopback(raw_venue, net, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert asked(raw_venue, net, answering(reply(b"direct"))).body == b"direct"


def test_a_real_host_goes_through_the_proxy(raw_venue, net, monkeypatch):
    """Streams and requests alike; and where it refuses, the settings are named and its password is not."""
    heads: list[str] = []

    async def speak(reader, writer):
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[0])
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def main():
        async with raw_venue(speak) as port:
            for name in ("https_proxy", "HTTPS_PROXY"):
                monkeypatch.setenv(name, f"http://user:canary@127.0.0.1:{port}")
            transport = net()
            for use, asks in (
                (transport.request, HttpRequest(url="https://api.example.com/x")),
                (transport.open, Endpoint(url="wss://api.example.com/x")),
            ):
                with pytest.raises(TransportError, match="HTTPS_PROXY") as caught:
                    await use(asks)
                assert "canary" not in str(caught.value)
            await transport.aclose()

    asyncio.run(main())
    assert heads == ["CONNECT api.example.com:443 HTTP/1.1"] * 2


@pytest.mark.parametrize(
    "proxy", ["canary://user:canary@x:1", "http://user:canary@[x:1", "//canary", "http://canary:x"]
)
def test_a_wrong_proxy_is_named_without_its_password(net, monkeypatch, proxy):
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)

    async def main():
        transport = net()
        for use, asks in (
            (transport.request, HttpRequest(url="https://api.example.com/x")),
            (transport.open, Endpoint(url="wss://api.example.com/x")),
        ):
            with pytest.raises(ConfigError, match="proxy") as caught:
                await use(asks)
            assert "canary" not in str(caught.value)
            assert "canary" not in "".join(traceback.format_exception(caught.value))

    asyncio.run(main())


# -------------------------------------------------------------------------------------------- failures


def test_a_trickle_meets_the_deadline_of_the_whole_reply(raw_venue, net):
    """F4: a byte now and then does not push the deadline on."""

    async def speak(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    with pytest.raises(TransportError, match=r"no whole reply within 0.2 s"):
        asked(raw_venue, net, speak, lambda port: HttpRequest(url=url(port), timeout_s=0.2))


@pytest.mark.parametrize(
    "answer",
    [b"", b"junk\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"HTTP/1.1 200 OK\r\nA"],
)
def test_half_a_reply_is_no_reply(raw_venue, net, answer):
    async def speak(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    with pytest.raises(TransportError, match="not with whole HTTP replies"):
        asked(raw_venue, net, speak)


def test_a_closed_port_is_named(net):
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]

    with pytest.raises(TransportError, match=f"http://127.0.0.1:{port} refused the connection"):
        asyncio.run(net().request(HttpRequest(url=url(port))))


def test_a_name_that_does_not_exist_is_named(net):
    with pytest.raises(TransportError, match=r"no.such.host.invalid: its name cannot be resolved"):
        asyncio.run(net().request(HttpRequest(url="https://no.such.host.invalid/x")))


@pytest.mark.parametrize("value", ["canary\r\nHost: evil", "canary\n", " canary", "canäry"])
def test_a_header_that_cannot_be_sent_is_refused_without_showing_it(net, value):
    with pytest.raises(ConfigError, match="header 'Authorization'") as caught:
        asyncio.run(net().request(HttpRequest(url=url(9), headers={"Authorization": value})))

    assert "can" not in str(caught.value).replace("cannot", "")


def test_after_closing_nothing_is_sent(net):
    async def main():
        transport = net()
        await transport.aclose()
        with pytest.raises(TransportError, match="closed"):
            await transport.request(HttpRequest(url=url(9)))

    asyncio.run(main())


def test_a_mute_venue_does_not_take_the_places_of_the_others(raw_venue, net):
    """However many requests wait for it, another one is asked at once."""
    waiting = asyncio.Event()

    async def mute(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        waiting.set()
        await reader.read()

    async def main():
        async with raw_venue(mute) as mute_port, raw_venue(answering(reply())) as port:
            transport = net()
            async with asyncio.TaskGroup() as tasks:
                many = [
                    tasks.create_task(transport.request(HttpRequest(url=url(mute_port)))) for _ in range(40)
                ]
                await waiting.wait()
                answer = await transport.request(HttpRequest(url=url(port)))
                for task in many:
                    task.cancel()
            await transport.aclose()
            return answer

    assert asyncio.run(main()).status == 200

"""Streams over real sockets: what reaches us, how it ends, and in which words."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import socket
import ssl
import warnings

import pytest
import trustme
from websockets.frames import Frame, Opcode

from wickwire import Endpoint, FaultKind, HttpRequest, StreamClosed, TransportError, VenueError
from wickwire.errors import ConfigError
from wickwire.transport import Stream
from wickwire.transport.net import trusted_tls

ACCEPT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def url(port, scheme="ws"):
    return f"{scheme}://127.0.0.1:{port}/v2"


async def upgraded(reader, writer):
    """Do the server's half of an opening handshake by hand, for what no library would send after it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    [key] = [
        line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key")
    ]
    accept = base64.b64encode(hashlib.sha1((key + ACCEPT).encode()).digest()).decode()
    writer.write(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
    )
    return head


def text(payload, *, fin=True, op=Opcode.TEXT):
    return Frame(op, payload, fin).serialize(mask=False)


async def heard(reader):
    """Return opcode and payload of the client's next frame, a short one."""
    head = await reader.readexactly(2)
    mask = await reader.readexactly(4)
    masked = await reader.readexactly(head[1] & 0x7F)
    return head[0] & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked))


async def leave(reader, writer):
    """Wait for the client's close frame and answer it."""
    payload = None
    while payload is None:
        opcode, payload = await heard(reader)
        payload = payload if opcode == Opcode.CLOSE else None
    writer.write(text(payload, op=Opcode.CLOSE))
    await writer.drain()


def refusal(raw_venue, net, answer):
    """Return the error that an opening gives when the server answers with *answer* and hangs up."""

    async def speak(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async def main():
        async with raw_venue(speak) as port:
            with pytest.raises((TransportError, VenueError)) as caught:
                await net().open(Endpoint(url=url(port)))
            return caught.value

    return asyncio.run(main())


# -------------------------------------------------------------------------------------------- messages


def test_messages_go_both_ways_with_their_kind_kept(ws_venue, net):
    """Text goes out as text, bytes as binary; both come back as bytes."""

    async def converse(connection):
        async for message in connection:
            await connection.send(f"{type(message).__name__} {message!r}")

    async def main():
        async with ws_venue(converse) as port:
            stream: Stream = await net().open(Endpoint(url=url(port)))
            await stream.send("häll\u00f6")
            await stream.send(b"\x00\xff")
            assert [await stream.receive(), await stream.receive()] == [
                "str 'häll\u00f6'".encode(),
                b"bytes b'\\x00\\xff'",
            ]
            await stream.aclose()

    asyncio.run(main())


def test_a_stream_stands_in_for_a_redirected_origin(ws_venue, net):
    """Path and query are kept; the Host header says who is really spoken to."""

    async def converse(connection):
        await connection.send(f"{connection.request.path} {connection.request.headers['Host']}")

    async def main():
        async with ws_venue(converse) as port:
            transport = net(redirects={"wss://ws.kraken.com": f"ws://127.0.0.1:{port}"})
            stream = await transport.open(Endpoint(url="wss://ws.kraken.com/v2?a=%2Fb"))
            assert await stream.receive() == f"/v2?a=%2Fb 127.0.0.1:{port}".encode()
            await transport.aclose()

    asyncio.run(main())


def test_headers_of_the_endpoint_are_sent_once(ws_venue, net):
    async def converse(connection):
        headers = connection.request.headers
        await connection.send("|".join([*headers.get_all("User-Agent"), *headers.get_all("X-Key")]))

    async def main():
        async with ws_venue(converse) as port:
            transport = net(user_agent="wickwire/test")
            for headers, expected in (
                ({"X-Key": "k"}, b"wickwire/test|k"),
                ({"user-agent": "Browser/1"}, b"Browser/1"),
            ):
                stream = await transport.open(Endpoint(url=url(port), headers=headers))
                assert await stream.receive() == expected
                await stream.aclose()

    asyncio.run(main())


def test_a_header_with_a_line_break_is_refused_without_showing_it(net):
    """A key read from a file ends in a newline more often than not."""
    with pytest.raises(ConfigError, match="header 'X-Key'") as caught:
        asyncio.run(net().open(Endpoint(url="ws://127.0.0.1:9/", headers={"X-Key": "canary\n"})))

    assert "canary" not in str(caught.value)


def test_broken_utf8_is_the_parsers_trouble_and_not_the_end(raw_venue, net):
    """F9: the frame arrives as it was sent, and so does the next."""

    async def speak(reader, writer):
        await upgraded(reader, writer)
        writer.write(text(b'{"a":"\xff\xfe"}') + text(b"{}"))
        await leave(reader, writer)

    async def main():
        async with raw_venue(speak) as port:
            stream = await net().open(Endpoint(url=url(port)))
            assert [await stream.receive(), await stream.receive()] == [b'{"a":"\xff\xfe"}', b"{}"]
            await stream.aclose()

    asyncio.run(main())


def test_fragments_arrive_as_one_message(raw_venue, net):
    """F5: also when a character is cut in two, and pings come in between."""
    message = '{"symbol":"Ω/€"}'.encode()

    async def speak(reader, writer):
        await upgraded(reader, writer)
        for index in range(len(message)):
            last = index == len(message) - 1
            writer.write(text(message[index : index + 1], fin=last, op=Opcode.CONT if index else Opcode.TEXT))
            writer.write(text(b"", op=Opcode.PING))
            await writer.drain()
        await leave(reader, writer)

    async def main():
        async with raw_venue(speak) as port:
            stream = await net().open(Endpoint(url=url(port)))
            assert await stream.receive() == message
            await stream.aclose()

    asyncio.run(main())


def test_cancelling_a_receive_loses_nothing(ws_venue, net):
    async def converse(connection):
        await connection.recv()
        await connection.send("late")
        await connection.wait_closed()

    async def main():
        async with ws_venue(converse) as port:
            stream = await net().open(Endpoint(url=url(port)))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await stream.receive()
            await stream.send("go")
            assert await stream.receive() == b"late"
            await stream.aclose()

    asyncio.run(main())


def test_a_ping_waits_for_its_pong(raw_venue, net):
    async def speak(reader, writer):
        await upgraded(reader, writer)
        opcode, payload = await heard(reader)
        assert opcode == Opcode.PING
        writer.write(text(b"before") + text(payload, op=Opcode.PONG))
        await leave(reader, writer)

    async def main():
        async with raw_venue(speak) as port:
            stream = await net().open(Endpoint(url=url(port)))
            await stream.ping()
            assert await stream.receive() == b"before"
            await stream.aclose()

    asyncio.run(main())


# ---------------------------------------------------------------------------------------------- its end


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "bye"), (1008, "policy"), (1012, ""), (4001, "x")]
)
def test_a_close_keeps_code_and_reason(ws_venue, net, code, reason):
    async def converse(connection):
        await connection.send("last")
        await connection.close(code, reason)

    async def main():
        async with ws_venue(converse) as port:
            stream = await net().open(Endpoint(url=url(port)))
            assert await stream.receive() == b"last"
            for use in (stream.receive, stream.ping, lambda: stream.send("x")):
                with pytest.raises(StreamClosed, match=f"127.0.0.1.* closed .* code {code}") as caught:
                    await use()
                assert (caught.value.code, caught.value.reason) == (code, reason)
            await stream.aclose()

    asyncio.run(main())


def test_a_cut_in_the_middle_of_a_frame_gives_nothing_of_it(raw_venue, net):
    """F6, F31: the frames before it, then an end without a close frame."""

    async def speak(reader, writer):
        await upgraded(reader, writer)
        writer.write(text(b"whole") + text(b'{"half":"........"}')[:9])
        await writer.drain()

    async def main():
        async with raw_venue(speak) as port:
            stream = await net().open(Endpoint(url=url(port)))
            assert await stream.receive() == b"whole"
            with pytest.raises(StreamClosed, match="without a close frame") as caught:
                await stream.receive()
            assert caught.value.code == 1006
            await stream.aclose()

    asyncio.run(main())


def test_an_oversized_frame_is_refused_by_its_header(raw_venue, net):
    """F7: with 1009, before its payload is sent, let alone kept."""

    async def main():
        seen = asyncio.Event()
        frames = []

        async def speak(reader, writer):
            await upgraded(reader, writer)
            writer.write(b"\x81\x7f" + (64 * 1024 * 1024).to_bytes(8, "big"))
            frames.append(await reader.readexactly(2))
            seen.set()

        async with raw_venue(speak) as port:
            stream = await net().open(Endpoint(url=url(port), max_frame_bytes=1024))
            with pytest.raises(StreamClosed, match="we closed") as caught:
                await stream.receive()
            assert caught.value.code == 1009
            await seen.wait()
            assert frames[0][0] == 0x88
            await stream.aclose()

    asyncio.run(main())


def test_closing_is_polite_quick_and_repeatable(ws_venue, net):
    codes = []

    async def converse(connection):
        await connection.wait_closed()
        codes.append(connection.close_code)

    async def main():
        async with ws_venue(converse) as port:
            stream = await net().open(Endpoint(url=url(port)))
            await stream.aclose(1001)
            await stream.aclose()
            with pytest.raises(StreamClosed, match="we closed the stream with code 1001"):
                await stream.receive()
        assert codes == [1001]

    asyncio.run(main())


def test_a_peer_that_reads_nothing_does_not_hold_a_close_up(raw_venue, net):
    """Its window and our buffer are full, so not even the close frame goes out: cut within two seconds."""

    async def speak(reader, writer):
        await upgraded(reader, writer)
        writer.transport.pause_reading()
        await asyncio.sleep(60)

    async def main():
        async with raw_venue(speak) as port:
            stream = await net().open(Endpoint(url=url(port)))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await stream.send(bytes(64 * 1024 * 1024))
            async with asyncio.timeout(5):
                await stream.aclose()

    asyncio.run(main())


def test_closing_the_transport_closes_its_streams(ws_venue, net):
    async def main():
        over = asyncio.Event()

        async def converse(connection):
            await connection.wait_closed()
            over.set()

        async with ws_venue(converse) as port:
            transport = net()
            stream = await transport.open(Endpoint(url=url(port)))
            await transport.aclose()
            await over.wait()
            with pytest.raises(StreamClosed):
                await stream.receive()
            with pytest.raises(TransportError, match="closed"):
                await transport.open(Endpoint(url=url(port)))

    asyncio.run(main())


# ---------------------------------------------------------------------------------- what cannot be opened


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, FaultKind.CREDENTIALS),
        (403, FaultKind.CREDENTIALS),
        (402, FaultKind.ENTITLEMENT),
        (404, FaultKind.REQUEST),
        (429, FaultKind.WAIT),
        (500, FaultKind.OUTAGE),
        (503, FaultKind.OUTAGE),
        (530, FaultKind.OUTAGE),
    ],
)
def test_a_refusal_is_told_by_its_status(raw_venue, net, status, kind):
    answer = f"HTTP/1.1 {status} No\r\nRetry-After: 7\r\nContent-Length: 6\r\n\r\n<html>".encode()
    error = refusal(raw_venue, net, answer)

    assert isinstance(error, VenueError)
    assert (error.kind, error.retry_after_s) == (kind, 7.0)
    assert f"HTTP status {status}" in str(error)


def test_a_redirect_of_a_stream_is_not_followed(raw_venue, ws_venue, net):
    """F42: what was meant for one origin is not shown to another, nor sent in the clear."""
    visits = []

    async def converse(connection):
        visits.append(connection.request.headers)

    async def main():
        async with ws_venue(converse) as other:

            async def speak(reader, writer):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(
                    f"HTTP/1.1 302 Found\r\nLocation: {url(other)}\r\nContent-Length: 0\r\n\r\n".encode()
                )

            async with raw_venue(speak) as port:
                with pytest.raises(VenueError, match="redirects are not followed") as caught:
                    await net().open(Endpoint(url=url(port), headers={"X-Key": "k"}))
                assert caught.value.kind is FaultKind.REQUEST

    asyncio.run(main())
    assert visits == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ],
)
def test_what_is_no_websocket_server_is_named(raw_venue, net, answer):
    error = refusal(raw_venue, net, answer)

    assert isinstance(error, TransportError)
    assert "does not answer as a WebSocket server" in str(error)


def test_a_closed_port_is_named(net):
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]

    with pytest.raises(TransportError, match=rf"ws://127.0.0.1:{port} refused the connection"):
        asyncio.run(net().open(Endpoint(url=url(port))))


def test_a_name_that_does_not_exist_is_named(net):
    """RFC 6761 promises that .invalid never resolves."""
    with pytest.raises(TransportError, match=r"wss://no.such.host.invalid: its name cannot be resolved"):
        asyncio.run(net().open(Endpoint(url="wss://no.such.host.invalid/v2")))


def test_a_server_that_never_answers_meets_the_deadline(raw_venue, net):
    async def speak(reader, writer):
        await reader.read()

    async def main():
        async with raw_venue(speak) as port:
            with pytest.raises(TransportError, match="did not answer in time"):
                await net(open_timeout_s=0.1).open(Endpoint(url=url(port)))

    asyncio.run(main())


# -------------------------------------------------------------------------------------------------- TLS


def test_a_good_certificate_is_accepted(ws_venue, net, server_tls, trusting):
    async def converse(connection):
        await connection.send("hello")

    async def main():
        async with ws_venue(converse, server_tls("127.0.0.1")) as port:
            stream = await net(tls=trusting).open(Endpoint(url=url(port, "wss")))
            assert await stream.receive() == b"hello"
            await stream.aclose()

    asyncio.run(main())


def bad_certificates(server_tls):
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    day = dt.timedelta(days=1)
    return {
        "has expired": server_tls("127.0.0.1", not_before=past, not_after=past + day),
        "is for another": server_tls("ws.example.com"),
        "does not trust": server_tls("127.0.0.1", signed_by=trustme.CA()),
    }


@pytest.mark.parametrize("words", ["has expired", "is for another", "does not trust"])
def test_a_bad_certificate_is_refused_in_words(ws_venue, net, server_tls, trusting, words):
    """F65: for streams and requests alike, and without a second try in the clear."""

    async def converse(connection):
        raise AssertionError(connection)

    async def main():
        async with ws_venue(converse, bad_certificates(server_tls)[words]) as port:
            transport = net(tls=trusting)
            with pytest.raises(TransportError, match=f"wss://127.0.0.1:{port}: its certificate .*{words}"):
                await transport.open(Endpoint(url=url(port, "wss")))
            with pytest.raises(TransportError, match=f"https://127.0.0.1:{port}: its certificate .*{words}"):
                await transport.request(HttpRequest(url=url(port, "https")))
            await transport.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_a_server_that_speaks_no_tls_is_refused(raw_venue, net, trusting, answer):
    async def speak(reader, writer):
        await reader.read(1)
        writer.write(answer)
        await writer.drain()

    async def main():
        async with raw_venue(speak) as port:
            transport = net(tls=trusting)
            for use, asks in (
                (transport.open, Endpoint(url=url(port, "wss"))),
                (transport.request, HttpRequest(url=url(port, "https"))),
            ):
                with pytest.raises(TransportError, match=r"TLS.*; there is no fallback"):
                    await use(asks)
            await transport.aclose()

    asyncio.run(main())


def test_old_tls_is_refused(ws_venue, net, server_tls):
    """By the context that is used when none is given."""
    old = server_tls("127.0.0.1")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1

    async def converse(connection):
        raise AssertionError(connection)

    async def main():
        async with ws_venue(converse, old) as port:
            with pytest.raises(TransportError, match="TLS"):
                await net().open(Endpoint(url=url(port, "wss")))

    asyncio.run(main())


def test_verification_cannot_be_switched_off(net):
    """S2."""
    careless = ssl.create_default_context()
    careless.check_hostname = False
    with pytest.raises(ConfigError, match="does not verify"):
        net(tls=careless)


def test_session_keys_are_not_written_for_the_environment(monkeypatch, tmp_path, net):
    """S2: SSLKEYLOGFILE would let anybody who reads that file read the streams."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    assert trusted_tls().keylog_filename is None
    assert not (tmp_path / "keys").exists()

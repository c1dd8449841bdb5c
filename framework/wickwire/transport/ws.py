"""Streams through `websockets`: open one, receive bytes, ping, close. Liveness is the session's business.

The only module that imports websockets; its exceptions end here. Compression is off, since frames are small
and inflating costs more than receiving. Text is handed on as bytes that nobody decoded, so a broken character
is the parser's trouble and not the end of the connection.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any, Final, final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    ProxyError,
    WebSocketException,
)

from wickwire.clock import Clock
from wickwire.endpoint import Endpoint
from wickwire.errors import ConfigError, StreamClosed, TransportError
from wickwire.transport.failures import checked_headers, refused_stream, unreachable
from wickwire.transport.origins import Address, Origin

__all__ = ["SocketStream", "open_stream"]

QUEUED_FRAMES: Final = 16
"""Frames that wait unread before the socket is no longer read: the venue then feels that we are slow."""
CLOSE_S: Final = 2.0
"""Longest that a polite close may take, as `Stream.aclose` promises; then the connection is cut."""
ADDRESS_DELAY_S: Final = 0.25
"""When the first address of a name is silent, the next is tried after this (RFC 8305, 5)."""
READ_BYTES: Final = 65_536
"""asyncio allocates this for every wake of a plain socket; its own 256 KiB cost more than all the rest."""

NORMAL_CLOSURE: Final = 1000
ABNORMAL_CLOSURE: Final = 1006

# The library logs headers and frames at DEBUG, which hold secrets: this logger has to be turned on by name.
_log: Final = logging.getLogger("wickwire.transport.websockets")
_log.setLevel(logging.ERROR)


class _Connect(connect):
    """Opens a connection and follows no redirect: the headers were meant for one origin."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Return the refusal as it came."""
        return exc


@final
class SocketStream:
    """One open WebSocket; a `wickwire.transport.Stream`."""

    def __init__(self, connection: ClientConnection, origin: Origin) -> None:
        self._connection = connection
        self._origin = origin

    async def receive(self) -> bytes:
        """Return the next whole message. Cancelling it loses nothing.

        Raises:
            StreamClosed: The stream ended, by whomever.
        """
        try:
            return await self._connection.recv(decode=False)
        except ConnectionClosed as exc:
            raise _closed(self._origin, exc) from exc

    async def send(self, frame: str | bytes, *, secret: bool = False) -> None:  # noqa: ARG002 - for recorders
        """Send `str` as text, `bytes` as binary.

        Raises:
            StreamClosed: The stream ended.
        """
        try:
            await self._connection.send(frame)
        except ConnectionClosed as exc:
            raise _closed(self._origin, exc) from exc

    async def ping(self) -> None:
        """Send a WebSocket ping and return when its pong came.

        Raises:
            StreamClosed: The stream ended.
        """
        try:
            pong = await self._connection.ping()
            await pong
        except ConnectionClosed as exc:
            raise _closed(self._origin, exc) from exc

    async def aclose(self, code: int = NORMAL_CLOSURE) -> None:
        """Close it, politely and within `CLOSE_S`. Safe to repeat."""
        try:
            # The library's own limit does not count the time it waits for a peer that reads nothing.
            async with asyncio.timeout(CLOSE_S):
                await self._connection.close(code)
        except TimeoutError:
            pass
        finally:
            self._connection.transport.abort()
        await self._connection.wait_closed()


async def open_stream(
    address: Address,
    endpoint: Endpoint,
    *,
    tls: ssl.SSLContext | None,
    proxy: str | None,
    user_agent: str,
    timeout_s: float,
    clock: Clock,
) -> SocketStream:
    """Open the stream of *endpoint* at *address*, which need not be where its URL leads.

    Args:
        address: Where to connect.
        endpoint: Headers and limits.
        tls: For a secure address; None for one in the clear.
        proxy: Address of the proxy to go through.
        user_agent: Sent where the endpoint names none.
        timeout_s: Deadline for all of it: name, connection, TLS, handshake.
        clock: For a Retry-After that is a date.

    Raises:
        ConfigError: A header cannot be sent, or the proxy's address is wrong.
        TransportError: It could not be opened.
        VenueError: The opening request was answered with a refusing HTTP status.
    """
    headers = checked_headers(address.origin, endpoint.headers)
    agent = next((value for name, value in headers.items() if name.lower() == "user-agent"), user_agent)
    options: dict[str, Any] = {"ssl": tls} if address.origin.secure else {}
    # uvloop does it unasked and does not know the argument.
    if proxy is None and isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        options["happy_eyeballs_delay"] = ADDRESS_DELAY_S
    try:
        connection = await _Connect(
            address.url,
            additional_headers={
                name: value for name, value in headers.items() if name.lower() != "user-agent"
            },
            user_agent_header=agent,
            compression=None,
            proxy=proxy,
            open_timeout=timeout_s,
            ping_interval=None,
            close_timeout=CLOSE_S,
            max_size=endpoint.max_frame_bytes,
            max_queue=QUEUED_FRAMES,
            logger=_log,
            **options,
        )
    except InvalidStatus as exc:
        told = dict(exc.response.headers.raw_items())
        raise refused_stream(address.origin, exc.response.status_code, told, clock.now_ns()) from exc
    except ProxyError as exc:
        raise TransportError(
            f"{address.origin}: the proxy refused to connect; look at HTTPS_PROXY and NO_PROXY"
        ) from exc
    except InvalidProxy:
        # Its text holds the proxy's address with user and password, so it must not be seen as a cause either.
        raise ConfigError("the proxy's address in HTTPS_PROXY or ALL_PROXY is not valid") from None
    except ImportError as exc:
        raise TransportError(
            f"{address.origin}: a SOCKS proxy needs the package python-socks; install it"
        ) from exc
    except InvalidHandshake as exc:
        raise TransportError(f"{address.origin} does not answer as a WebSocket server does") from exc
    except (OSError, WebSocketException) as exc:
        raise unreachable(address.origin, exc, proxied=proxy is not None) from exc
    if hasattr(connection.transport, "max_size"):  # asyncio's plain-socket transport; an internal of it
        connection.transport.max_size = READ_BYTES
    return SocketStream(connection, address.origin)


def _closed(origin: Origin, exc: ConnectionClosed) -> StreamClosed:
    """Return who closed and why: the close frame that went first, whichever side it came from."""
    ours = exc.sent is not None and not exc.rcvd_then_sent  # None where only one side said anything
    frame = exc.sent if ours else exc.rcvd
    if frame is None:
        return StreamClosed(f"{origin} cut the stream without a close frame", code=ABNORMAL_CLOSURE)
    who = "we closed the stream" if ours else f"{origin} closed the stream"
    reason = f" {frame.reason!r}" if frame.reason else ""
    return StreamClosed(
        f"{who} with code {int(frame.code)}{reason}", code=int(frame.code), reason=frame.reason
    )

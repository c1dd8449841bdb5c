"""The border to the network: what session and poller ask for, and nothing of how it is done.

`ws` and `http` do it with websockets and httpx, `wickwire.simulate.memory` without any socket.
"""

from __future__ import annotations

from typing import Protocol

from wickwire.conversation import HttpReply, HttpRequest
from wickwire.endpoint import Endpoint

__all__ = ["Stream", "Transport"]


class Stream(Protocol):
    """One open socket."""

    async def receive(self) -> bytes:
        """Return the next whole message; text as UTF-8 bytes that nobody has checked.

        Raises:
            StreamClosed: The stream ended, by whomever.
        """
        ...

    async def send(self, frame: str | bytes, *, secret: bool = False) -> None:
        """Send `str` as text, `bytes` as binary; of a *secret* one nobody keeps more than its length.

        Raises:
            StreamClosed: The stream ended.
        """
        ...

    async def ping(self) -> None:
        """Send a WebSocket ping and return when its pong came.

        Raises:
            StreamClosed: The stream ended.
        """
        ...

    async def aclose(self, code: int = 1000) -> None:
        """Close it, politely and within two seconds. Safe to repeat."""
        ...


class Transport(Protocol):
    """Opens streams and sends requests."""

    async def open(self, endpoint: Endpoint) -> Stream:
        """Open the stream that *endpoint* describes, without sending anything on it.

        Raises:
            TransportError: It could not be opened: name, address, TLS, refusal or deadline.
            VenueError: The opening request was answered with a refusing HTTP status.
        """
        ...

    async def request(self, request: HttpRequest) -> HttpReply:
        """Send one request and return the reply, whatever its status. Redirects are not followed.

        Raises:
            TransportError: No reply came: name, address, TLS, deadline or size.
        """
        ...

    async def aclose(self) -> None:
        """Close everything that is still open."""
        ...

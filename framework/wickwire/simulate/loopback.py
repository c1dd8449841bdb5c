"""Simulated venues on loopback ports, for real sockets and for other people's clients.

Nothing but `redirects` tells wickwire that these are not the real ones. Needs the extra `simulate`, and a
loop that waits: asyncio's own or a `ScaledLoop`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, final

from wickwire.clock import Clock
from wickwire.errors import ConfigError
from wickwire.simulate.server import Hangup, VenueServer

if TYPE_CHECKING:
    from wickwire.simulate.loopback_venue import LoopbackVenue

__all__ = ["Loopback", "serve"]


@final
class Loopback:
    """Simulated venues that are being served.

    Attributes:
        redirects: Origin to origin, as the transport takes them: `wss://ws.example.com` to
            `ws://127.0.0.1:4321`.
    """

    def __init__(self, venues: Mapping[str, LoopbackVenue]) -> None:
        """Stand for *venues*, by host and port."""
        self._venues = dict(venues)
        self.redirects: dict[str, str] = {}
        for authority, venue in self._venues.items():
            for origin in venue.server.stream_origins:
                self.redirects.setdefault(origin, f"ws://{authority}")
            for origin in venue.server.rest_origins:
                self.redirects.setdefault(origin, f"http://{authority}")

    @property
    def streams(self) -> int:
        """How many streams are open, over all venues."""
        return sum(venue.streams for venue in self._venues.values())

    def cut(self, origin: str | None = None, *, code: int = 1006, reason: str = "") -> int:
        """End every open stream, or those of the venue with *origin*, and return how many.

        Without a close frame where *code* is 1006. Reopening works at once.
        """
        return sum(
            venue.hang_up(Hangup(code, reason))
            for venue in self._venues.values()
            if origin is None or origin in venue.server.stream_origins
        )


@asynccontextmanager
async def serve(
    servers: Sequence[VenueServer],
    clock: Clock,
    *,
    host: str = "127.0.0.1",
    ports: int = 0,
    compress: bool = False,
) -> AsyncGenerator[Loopback]:
    """Serve every one of *servers* on a port of its own for as long as the block runs.

    Args:
        servers: Simulated venues.
        clock: The clock that they live by, best that of the running loop.
        host: A loopback address; a simulated venue answers nobody else.
        ports: The first server's port, the next one's being one more; 0 takes free ones.
        compress: Agree to compression where a client asks for it.

    Raises:
        ConfigError: aiohttp is not installed, *host* is not a loopback address, or a port is taken.
        PluginError: A simulator had a bug meanwhile; raised at the end of the block.
    """
    venue_class = _venue_class()
    name = _loopback(host)
    async with AsyncExitStack() as stack:
        venues: dict[str, LoopbackVenue] = {}
        for number, server in enumerate(servers):
            venue = venue_class(server, clock, compress=compress)
            stack.push_async_callback(venue.stop)
            port = ports + number if ports else 0
            try:
                port = await venue.start(host, port)
            except OSError as exc:
                raise ConfigError(
                    f"simulated venues: cannot listen on {name}:{port} ({exc.strerror}); "
                    f"choose another port, or 0 for a free one"
                ) from exc
            venues[f"{name}:{port}"] = venue
        yield Loopback(venues)
    for venue in venues.values():
        if venue.bug is not None:
            raise venue.bug


def _venue_class() -> type[LoopbackVenue]:
    try:
        from wickwire.simulate.loopback_venue import LoopbackVenue  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as exc:
        if exc.name != "aiohttp":
            raise
        raise ConfigError(
            "simulated venues on loopback need the package 'aiohttp', which is not installed; "
            "pip install 'wickwire[simulate]'"
        ) from exc
    return LoopbackVenue


def _loopback(host: str) -> str:
    """Return *host* as a URL spells it, or refuse it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise ConfigError(
            f"simulated venues: {host!r} is not a loopback address; write 127.0.0.1, since nobody else is to "
            f"reach them"
        )
    return host if address.version == 4 else f"[{host}]"  # noqa: PLR2004 - IPv4

"""The transport to real venues, and to those on loopback: routes addresses, owns TLS, opens and closes."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, final
from weakref import WeakSet

from wickwire.clock import Clock
from wickwire.conversation import HttpReply, HttpRequest
from wickwire.endpoint import MEBIBYTE, Endpoint
from wickwire.errors import ConfigError, PluginError, TransportError
from wickwire.scope import children
from wickwire.transport.failures import unreachable
from wickwire.transport.origins import (
    HTTP_SCHEMES,
    STREAM_SCHEMES,
    Address,
    Origin,
    environment_proxy,
    redirect_table,
)

if TYPE_CHECKING:
    from wickwire.transport.http import HttpClient
    from wickwire.transport.ws import SocketStream

__all__ = ["MAX_REPLY_BYTES", "NetTransport", "trusted_tls"]

log = logging.getLogger(__name__)

MAX_REPLY_BYTES: Final = 64 * MEBIBYTE
OPEN_TIMEOUT_S: Final = 10.0


@final
class NetTransport:
    """Opens streams with websockets and sends requests with httpx; a `wickwire.transport.Transport`.

    Both libraries load when first needed. Certificates are always verified, redirects never followed, plain
    ws:// and http:// go to literal loopback addresses only, and nothing that goes to loopback takes a proxy.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        redirects: Mapping[str, str] = MappingProxyType({}),
        confined: str = "",
        user_agent: str = "wickwire",
        tls: ssl.SSLContext | None = None,
        open_timeout_s: float = OPEN_TIMEOUT_S,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        """Check what was given; connect nothing.

        Args:
            clock: The present, for a Retry-After that is a date.
            redirects: Origin to origin, such as `wss://ws.kraken.com` to `ws://127.0.0.1:4321`: what stands
                in for what. Path and query are kept; adapters do not notice.
            confined: Why no venue itself may be asked, such as "these are simulated venues,": then nothing
                goes anywhere but where a redirect leads, and to loopback. Empty where venues may be asked.
            user_agent: Sent where an endpoint or request names none.
            tls: Certificates to trust; `trusted_tls()` by default.
            open_timeout_s: Deadline for opening a stream.
            max_reply_bytes: Largest reply taken, after inflating.

        Raises:
            ConfigError: A redirect is wrong, or *tls* does not verify.
        """
        if tls is not None and not (tls.verify_mode is ssl.CERT_REQUIRED and tls.check_hostname):
            raise ConfigError(
                "tls: this context does not verify certificates and host names; add a CA to it instead"
            )
        self._clock = clock
        self._redirects = redirect_table(redirects)
        self._confined = confined
        self._unused = dict.fromkeys(self._redirects)
        self._asked: dict[Origin, None] = {}
        self._user_agent = user_agent
        self._given_tls = tls
        self._open_timeout_s = open_timeout_s
        self._max_reply_bytes = max_reply_bytes
        self._streams: WeakSet[SocketStream] = WeakSet()
        self._closed = False

    async def open(self, endpoint: Endpoint) -> SocketStream:
        """Open the stream that *endpoint* describes, without sending anything on it.

        Raises:
            ConfigError: A header cannot be sent, the environment's proxy is wrong, or this transport is
                confined and no redirect leads away from where the URL does.
            PluginError: The URL leads where we do not go.
            TransportError: It could not be opened: name, address, TLS, refusal or deadline.
            VenueError: The opening request was answered with a refusing HTTP status.
        """
        address = self._routed(endpoint.url, STREAM_SCHEMES)
        with _loading(address.origin):
            from wickwire.transport.ws import open_stream  # noqa: PLC0415 - websockets loads when first used

            tls = self._tls if address.origin.secure else None
        stream = await open_stream(
            address,
            endpoint,
            tls=tls,
            proxy=environment_proxy(address.origin),
            user_agent=self._user_agent,
            timeout_s=self._open_timeout_s,
            clock=self._clock,
        )
        self._streams.add(stream)
        return stream

    async def request(self, request: HttpRequest) -> HttpReply:
        """Send one request and return the reply, whatever its status. Redirects are not followed.

        Raises:
            ConfigError: A header cannot be sent, the environment's proxy is wrong, or this transport is
                confined and no redirect leads away from where the URL does.
            PluginError: The URL leads where we do not go.
            TransportError: No reply came: name, address, TLS, deadline or size.
        """
        address = self._routed(request.url, HTTP_SCHEMES)
        with _loading(address.origin):
            http = self._http
        return await http.send(address, request, proxy=environment_proxy(address.origin))

    async def aclose(self) -> None:
        """Close everything that is still open, and open nothing more.

        A redirect that was never used is told where a venue was asked itself: it may be a typo.
        """
        if not self._closed:
            self._tell_unused()
        self._closed = True
        async with children() as tasks:
            for stream in list(self._streams):
                tasks.create_task(stream.aclose())
            if "_http" in self.__dict__:
                tasks.create_task(self._http.aclose())

    def _routed(self, url: str, schemes: tuple[str, ...]) -> Address:
        if self._closed:
            raise TransportError("this transport is closed; make a new one")
        try:
            address = Address.parse(url, schemes)
        except ValueError as exc:
            raise PluginError(f"an adapter asks for an address that is not allowed: {exc}") from exc
        target = self._redirects.get(address.origin)
        if target is None:
            if self._confined and not address.origin.loopback:
                raise ConfigError(
                    f"{address.origin}: nothing was sent there, as {self._confined} and no redirect says "
                    "what stands in for it; add one, or let the simulate() of its adapter name it"
                )
            if self._unused and not address.origin.loopback:
                self._asked[address.origin] = None
            return address
        self._unused.pop(address.origin, None)
        return Address(target, address.target)

    def _tell_unused(self) -> None:
        for unused in self._unused:
            kind = STREAM_SCHEMES if unused.scheme in STREAM_SCHEMES else HTTP_SCHEMES
            asked = [str(origin) for origin in self._asked if origin.scheme in kind]
            if asked:
                why = f"nothing went there; {', '.join(asked)} was asked itself"
                log.warning("redirect not used", extra={"redirect": str(unused), "why": why})

    @cached_property
    def _http(self) -> HttpClient:
        from wickwire.transport.http import HttpClient  # noqa: PLC0415 - httpx loads when first used

        return HttpClient(tls=self._tls, user_agent=self._user_agent, max_reply_bytes=self._max_reply_bytes)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or trusted_tls()


@contextmanager
def _loading(origin: Origin) -> Iterator[None]:
    """Turn what keeps a library or the authorities from being read, when first used, into a way that is shut.

    A process that has no descriptor left has none for these files either.
    """
    try:
        yield
    except OSError as exc:
        raise unreachable(origin, exc) from exc


def trusted_tls() -> ssl.SSLContext:
    """Return a context that verifies against this machine's authorities, else against certifi's.

    `ssl.create_default_context` is not used: it writes session keys to the file that SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(
        ssl.PROTOCOL_TLS_CLIENT
    )  # verifies certificate and name, speaks TLS 1.2 or newer
    if any(_system_authorities()):
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        import certifi  # noqa: PLC0415 - comes with httpx; not every machine needs it

        context.load_verify_locations(certifi.where())
    return context


def _system_authorities() -> Iterator[Path]:
    paths = ssl.get_default_verify_paths()
    if paths.cafile is not None:
        Path(paths.cafile).open("rb").close()  # OpenSSL would leave out what it cannot read, without a word
        yield Path(paths.cafile)
    if paths.capath is not None:
        yield from Path(paths.capath).iterdir()

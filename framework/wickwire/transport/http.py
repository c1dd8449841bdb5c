"""REST requests through `httpx`: one reply or one error, within one deadline and one size.

The only module that imports httpx; its exceptions end here. Its transport is used without its client, which
would keep cookies, follow redirects, re-spell URLs and log them whole.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, final

import httpx

from wickwire.conversation import HttpReply, HttpRequest
from wickwire.errors import ConfigError, TransportError
from wickwire.transport.body import ENCODINGS, Body, BodyError
from wickwire.transport.failures import checked_headers, date_ns, unreachable
from wickwire.transport.origins import Address, Origin

__all__ = ["HttpClient"]

_LIMITS: Final = httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=30.0)


@final
class _AsWritten(httpx.URL):
    """A URL that goes out as it was written; httpx would drop `..` and judge escapes anew.

    The request extension "target" does the same, but httpcore then sends it to a proxy too, instead of the
    host.
    It shows itself as the bare origin, so no message of the library can hold a secret of the query.
    """

    def __init__(self, origin: Origin, target: str) -> None:
        super().__init__(str(origin))
        self._target = target.encode("ascii")

    @property
    def raw_path(self) -> bytes:
        return self._target


@final
class HttpClient:
    """Sends requests, keeps connections for the next one, remembers nothing else."""

    def __init__(self, *, tls: ssl.SSLContext, user_agent: str, max_reply_bytes: int) -> None:
        """Open nothing yet.

        Args:
            tls: What certificates are checked against.
            user_agent: Sent where a request names none.
            max_reply_bytes: Largest body taken, after inflating.
        """
        self._tls = tls
        self._user_agent = user_agent
        self._max_reply_bytes = max_reply_bytes
        # A pool for each origin: one that never answers must not take the places of the others.
        self._transports: dict[tuple[Origin, str | None], httpx.AsyncHTTPTransport] = {}

    async def send(self, address: Address, request: HttpRequest, *, proxy: str | None) -> HttpReply:
        """Send *request* to *address*, which need not be where its URL leads, and return the reply.

        Raises:
            ConfigError: A header cannot be sent, or the proxy's address is wrong.
            TransportError: No whole reply came in time.
        """
        origin = address.origin
        outgoing = self._prepared(address, request)
        transport = self._transport(origin, proxy)
        try:
            async with asyncio.timeout(request.timeout_s):
                return await self._exchange(transport, outgoing)
        except BodyError as exc:
            raise TransportError(f"{origin}: {exc}") from exc
        except httpx.ProxyError as exc:
            raise TransportError(
                f"{origin}: the proxy refused to connect; look at HTTPS_PROXY and NO_PROXY"
            ) from exc
        except httpx.LocalProtocolError:
            # Its text shows the header or path that cannot be sent.
            raise TransportError(f"{origin}: the request cannot be sent as HTTP") from None
        except httpx.RemoteProtocolError as exc:
            raise TransportError(f"{origin} answers, but not with whole HTTP replies") from exc
        except TimeoutError as exc:
            raise TransportError(f"{origin}: no whole reply within {request.timeout_s:g} s") from exc
        except (httpx.HTTPError, OSError) as exc:
            raise unreachable(origin, exc, proxied=proxy is not None) from exc

    async def aclose(self) -> None:
        """Close all connections."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()

    def _prepared(self, address: Address, request: HttpRequest) -> httpx.Request:
        headers = {
            "accept": "*/*",
            "accept-encoding": ENCODINGS,
            "user-agent": self._user_agent,
            **{
                name.lower(): value
                for name, value in checked_headers(address.origin, request.headers).items()
            },
        }
        target = address.target
        if request.params:
            target += f"{'&' if '?' in target else '?'}{httpx.QueryParams(dict(request.params))}"
        prepared = httpx.Request(request.method, str(address.origin), headers=headers, content=request.body)
        prepared.url = _AsWritten(address.origin, target)
        return prepared

    def _transport(self, origin: Origin, proxy: str | None) -> httpx.AsyncHTTPTransport:
        place = (origin, proxy)
        if place not in self._transports:
            try:
                self._transports[place] = httpx.AsyncHTTPTransport(
                    verify=self._tls, trust_env=False, limits=_LIMITS, proxy=proxy
                )
            except ImportError as exc:
                raise TransportError(
                    f"{origin}: a SOCKS proxy needs the package socksio; install it"
                ) from exc
            except (ValueError, httpx.InvalidURL):
                # The text may hold the proxy's address with user and password.
                raise ConfigError("the proxy's address in HTTPS_PROXY or ALL_PROXY is not valid") from None
        return self._transports[place]

    async def _exchange(self, transport: httpx.AsyncHTTPTransport, outgoing: httpx.Request) -> HttpReply:
        response = await transport.handle_async_request(outgoing)
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            body = Body(headers.get("content-encoding", ""), self._max_reply_bytes)
            async for piece in response.aiter_raw():
                body.feed(piece)
            return HttpReply(
                status=response.status_code, body=body.finish(), headers=headers, date_ns=date_ns(headers)
            )
        finally:
            await response.aclose()

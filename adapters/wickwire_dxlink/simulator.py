"""The simulated tastytrade: its token endpoints and a DXLink server over a seeded market, as a state machine.

Written from dxFeed's dxLink specification, tastytrade's pages and what public clients expect, not from this
adapter; what is not established, such as the words of most refusals, is noted where it stands. A connection
is a `simulator_session`, its data `simulator_feed`; what all share, the faults too, `simulator_exchange`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from wickwire.simulate.driver import http_date
from wickwire.simulate.server import Answer, Connection, Incoming, Market
from wickwire_dxlink.simulator_exchange import ACCESS_NS, FAULTS, PATHS, Exchange
from wickwire_dxlink.simulator_session import DXLinkConnection

__all__ = ["DXLinkServer"]

NEEDS_SYMBOL: Final = frozenset({"mute_symbol", "withdraw", "correct", "lose_rows"})
PRODUCT: Final = re.compile(r"[^\s/]+/[^\s/]+.*")
NGINX: Final = (
    b"<html>\r\n<head><title>401 Authorization Required</title></head>\r\n<body>\r\n"
    b"<center><h1>401 Authorization Required</h1></center>\r\n<hr><center>nginx</center>\r\n"
    b"</body>\r\n</html>\r\n"
)


class DXLinkServer:
    """A `VenueServer` that speaks DXLink, and as much of tastytrade's REST as leads to it.

    Attributes:
        stream_origins: Origins of the real-time, the delayed and the demo stream.
        rest_origins: Production and sandbox.
    """

    stream_origins = (
        "wss://tasty-openapi-ws.dxfeed.com",
        "wss://tasty-demo-ws.dxfeed.com",
        "wss://demo.dxfeed.com",
    )
    rest_origins = ("https://api.tastyworks.com", "https://api.cert.tastyworks.com")

    def __init__(self, market: Market) -> None:
        """Serve everything of *market* that has a streamer symbol."""
        self._exchange = Exchange(market)
        self._accepted = 0

    @property
    def received(self) -> tuple[int, int]:
        """Frames and bytes that clients sent so far."""
        frames, size = self._exchange.received
        return frames, size

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        """Open a stream on one of the paths; no sub-protocol and no Authorization header is asked for."""
        refused = self._exchange.fault("refuse_connections")
        if refused is not None:
            return _page(int(refused.get("status", 502)), b"<html><body>Bad Gateway</body></html>")
        feed = PATHS.get(incoming.path.rstrip("/"))
        if feed is None:
            return _page(404, b"<html><body>Not Found</body></html>")
        self._accepted += 1
        return DXLinkConnection(self._exchange, feed, self._accepted, now_ns)

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        """Answer one REST request."""
        if not PRODUCT.fullmatch(incoming.headers.get("user-agent", "")):
            return _page(401, NGINX)
        answer = self._trouble(incoming) or self._said(incoming, now_ns)
        login_ns = self._exchange.login_ns(now_ns)
        if login_ns == now_ns:
            return answer
        return attrs.evolve(answer, headers={"Date": http_date(login_ns), **answer.headers})

    def inject(self, fault: str, **details: object) -> None:
        """Switch a fault on, or off with `on=False`; some happen once.

        Raises:
            ValueError: No such fault, or it does not take these details; the text lists what there is.
        """
        if fault not in FAULTS:
            raise ValueError(f"no fault {fault!r}; there are {', '.join(FAULTS)}")
        sentence, known = FAULTS[fault]
        strange = sorted(details.keys() - known)
        if strange:
            raise ValueError(f"fault {fault!r} takes {', '.join(sorted(known))}, not {', '.join(strange)}")
        symbol = details.get("symbol")
        if fault in NEEDS_SYMBOL and self._exchange.listings.by_market(str(symbol)) is None:
            raise ValueError(
                f"fault {fault!r} needs a symbol that is traded here, got {symbol!r}: {sentence}"
            )
        self._exchange.switch(fault, details)

    @property
    def faults(self) -> Mapping[str, str]:
        """Names of the faults, each with one sentence."""
        return {name: sentence for name, (sentence, _) in FAULTS.items()}

    # ---------------------------------------------------------------------------------------------- REST

    def _trouble(self, incoming: Incoming) -> Answer | None:
        """Return what a fault says instead of an answer."""
        fault = self._exchange.fault
        throttle, page, error = (fault(name) for name in ("throttle", "rest_html", "rest_error"))
        if throttle is not None:
            wait = throttle.get("retry_after_s")
            return Answer(status=429, headers={} if wait is None else {"Retry-After": str(wait)})
        if page is not None:
            return _page(int(page.get("status", 502)), b"<html><body>Bad Gateway</body></html>")
        if error is not None:
            return _error(
                int(error.get("status", 500)), error.get("code", "internal"), error.get("text", "?")
            )
        version = incoming.headers.get("accept-version")
        if version is not None and not re.fullmatch(r"\d{8}", version):
            return _error(406, 406, "The requested version is not supported.")
        return None

    def _said(self, incoming: Incoming, now_ns: int) -> Answer:
        match incoming.method, incoming.path:
            case "POST", "/oauth/token":
                return self._login(incoming, now_ns)
            case "GET", "/api-quote-tokens":
                return self._quote_token(incoming, now_ns)
            case "POST", "/sessions/validate":
                if not self._is_known(incoming, now_ns):
                    return _unauthorized()
                user = {
                    "email": "simulated@example.invalid",
                    "username": "simulated",
                    "external-id": "U0000000001",
                }
                return _json({"data": user, "context": "/sessions/validate"}, status=201)
            case _:  # /sessions too: logins with a password were decommissioned
                return _error(404, "not_found", f"There is no {incoming.path}")

    def _login(self, incoming: Incoming, now_ns: int) -> Answer:
        fault = self._exchange.fault("oauth_error")
        body = _object(incoming.body)
        refresh, client = body.get("refresh_token"), body.get("client_secret")
        code, text = "invalid_grant", "Invalid JWT"
        if fault is not None:
            code, text = fault.get("code", code), fault.get("text", text)
        elif body.get("grant_type") != "refresh_token":
            code, text = "unsupported_grant_type", "The grant type is not supported"
        elif all(
            isinstance(secret, str) and secret and "wrong" not in secret for secret in (refresh, client)
        ):
            access = self._exchange.new_access(now_ns)
            expires_s = ACCESS_NS // 10**9
            return _json({"access_token": access, "token_type": "Bearer", "expires_in": expires_s})
        # flat, unlike all other errors; its HTTP status was not recorded
        return _json({"error_code": code, "error_description": text}, status=400)

    def _quote_token(self, incoming: Incoming, now_ns: int) -> Answer:
        if not self._is_known(incoming, now_ns):
            return _unauthorized()
        url, level = self._exchange.address(incoming)
        granted = {**self._exchange.new_token(now_ns), "dxlink-url": url, "level": level}
        return _json({"data": granted, "context": "/api-quote-tokens"})

    def _is_known(self, incoming: Incoming, now_ns: int) -> bool:
        kind, _, access = incoming.headers.get("authorization", "").partition(" ")
        return kind == "Bearer" and self._exchange.access.get(access, 0) > now_ns


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _json(whole: Mapping[str, object], status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(whole, separators=(",", ":")).encode())


def _error(status: int, code: object, message: object) -> Answer:
    return _json({"error": {"code": code, "message": message}}, status=status)


def _unauthorized() -> Answer:
    return _error(401, "unauthorized", "The access token is missing, wrong or expired")


def _page(status: int, body: bytes) -> Answer:
    return Answer(status=status, body=body, content_type="text/html")

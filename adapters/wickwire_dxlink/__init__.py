"""DXLink, the market data of tastytrade and of dxFeed: candles, quotes and trades over one WebSocket.

Reference: tastytrade developer documentation, "OAuth2", "Streaming Market Data", "API Conventions"; dxFeed,
dxLink specification (AsyncAPI 1.0.2); read 2026-11. docs/venues/dxlink.md tells what is special.

Rooms: `symbols` (names of instruments, candles, channels), `dialogue` (the session as tables, subscriptions),
`stream` (what a frame means), `candles` (rows, snapshots, history). Here: what there is, and the way in.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wickwire import (
    SECOND_NS,
    Account,
    Description,
    Endpoint,
    FaultKind,
    Feed,
    Hours,
    HttpReply,
    HttpRequest,
    Keepalive,
    Limits,
    OhlcvSupport,
    Rate,
    Readiness,
    Send,
    Timeframe,
    Topic,
    Unit,
    UsageError,
    VenueError,
    WireError,
    hookimpl,
    parse_instant,
    retry_after_s,
)
from wickwire_dxlink.candles import PAGE_ROWS, delay_s, fetch_ohlcv
from wickwire_dxlink.dialogue import MOST_BYTES, Session, subscribe
from wickwire_dxlink.stream import parse
from wickwire_dxlink.symbols import (
    CANDLES,
    TIMEFRAMES,
    VARIANTS,
    from_venue,
    grid_of,
    service_of,
    to_venue,
    why_not,
)

if TYPE_CHECKING:
    from wickwire.simulate.server import Market, VenueServer

__all__ = ["connect", "describe", "fetch_ohlcv", "from_venue", "parse", "simulate"]
__all__ += ["subscribe", "supports_ohlcv", "to_venue"]

API_LEVEL: Final = 1

DOCUMENTS: Final = (
    "tastytrade developer documentation: OAuth2, Streaming Market Data, API Conventions, Sandbox (2026-11)",
    "dxFeed: dxLink specification, AsyncAPI 1.0.2; Knowledge Base, How to Request Candles (2026-11)",
)
REST: Final = {"production": "https://api.tastyworks.com", "sandbox": "https://api.cert.tastyworks.com"}
DEMO_URL: Final = "wss://demo.dxfeed.com/dxlink-ws"  # of the dxLink specification; it demands no token
SECRETS: Final = ("client_secret", "refresh_token")

LIMITS: Final = Limits(
    # None is published. Third parties speak of 500 to 100,000 subscriptions; dxFeed's JavaScript client sends
    # frames 100 ms apart; failed logins are said to block an address for hours.
    topics_per_connection=5_000,
    connects=Rate(10, 60.0, 3),
    messages=Rate(10, 1.0, 10),
    rest=Rate(2, 1.0, 4),
)
TOPICS_PER_FRAME: Final = 100  # public clients send 45 to 75 symbols in a frame; MOST_BYTES bounds it too

SILENCE_S: Final = 60.0  # what both sides announce in SETUP; sockets are known to stall without closing
KEEPALIVE: Final = Keepalive(30.0, '{"type":"KEEPALIVE","channel":0}')
# Everybody sends protocol 0.1; the server's own version is another and is not compared.
_TIMEOUTS: Final = '"keepaliveTimeout":60,"acceptKeepaliveTimeout":60'
SETUP: Final = f'{{"type":"SETUP","channel":0,{_TIMEOUTS},"version":"0.1-wickwire/0.1.0"}}'
TOKEN_NS: Final = 86_400 * SECOND_NS  # "valid for 24 hours" (Streaming Market Data)
RENEWAL_NS: Final = 600 * SECOND_NS  # so long before its end a connection with a new token takes over

GRACE_S: Final = 2.1  # the aggregation that is asked for, and two seconds
SETTLE_S: Final = 5.0  # a choice: nothing is published
DAY_SETTLE_S: Final = 7_200.0  # after-hours trades, until 20:00 in New York, still count into a day's volume

HEADERS: Final = {
    "User-Agent": "wickwire/0.1.0",  # without product/version the answer is a page of HTML, HTTP 401
    "Accept": "application/json",
    "Content-Type": "application/json",
}


# --------------------------------------------------------------------------------------- what there is


@hookimpl
def describe(account: Account) -> Description:
    """Say what DXLink is: the demo needs no secrets; quotes and trades belong to no price but the last."""
    variant, feeds = VARIANTS.get(account.feed), tuple[Feed, ...]()
    if variant is not None and variant.price == "last" and not variant.aligned:
        feeds = (Feed.TRADES,) if variant.regular else (Feed.TRADES, Feed.QUOTES)
    return Description(
        title="DXLink",
        documents=DOCUMENTS,
        channels=("Candle", "Quote", "TimeAndSale"),
        timeframes=TIMEFRAMES,
        credentials=() if account.environment == "demo" else SECRETS,
        without_credentials='environment = "demo" still streams delayed data',
        environments=(*REST, "demo"),
        limits=LIMITS,
        variants=tuple(filter(None, VARIANTS)),
        feeds=feeds,
    )


@hookimpl
def supports_ohlcv(symbol: str, timeframe: Timeframe, account: Account) -> OhlcvSupport:
    """Say that whatever is streamed has a history too, over a socket as well."""
    if reason := why_not(symbol):
        return OhlcvSupport(why_not=reason)
    variant = VARIANTS.get(account.feed)
    if variant is None:
        return OhlcvSupport(why_not=f"there is no variant {account.feed!r}; there are {', '.join(VARIANTS)}")
    if timeframe not in TIMEFRAMES:
        why = f"{timeframe} candles are not asked for; valid are {' '.join(map(str, TIMEFRAMES))}"
        return OhlcvSupport(why_not=why)
    long = timeframe.unit in (Unit.DAY, Unit.WEEK, Unit.MONTH)
    late_s = delay_s(account)
    return OhlcvSupport(
        stream=True,
        trades=False,  # their ids are unique but not consecutive: a lost one could not be noticed
        rest=True,
        over_stream=True,
        page_rows=PAGE_ROWS,
        settle_s=(DAY_SETTLE_S if long else SETTLE_S) + late_s,
        grace_s=(DAY_SETTLE_S if long else GRACE_S) + late_s,
        grid=grid_of(timeframe, variant),
        hours=_hours(symbol, regular=variant.regular),
        signed_prices=symbol.startswith("/"),  # oil in April 2020
        notes=_notes(symbol, account, late_s),
    )


def _hours(symbol: str, *, regular: bool) -> Hours | None:
    """Return when shares are traded; of others nobody told."""
    if not _is_share(symbol):
        return None
    return Hours("XNYS") if regular else Hours("XNYS", before_s=5.5 * 3600, after_s=4 * 3600.0)


def _is_share(symbol: str) -> bool:
    return symbol[0].isalpha() and "/" not in symbol and ":" not in symbol


def _notes(symbol: str, account: Account, late_s: float) -> tuple[str, ...]:
    notes = ["history comes over a socket too"]
    if late_s:
        notes.append(f"the data of {account.environment} is {late_s / 60:.0f} min late")
    if _is_share(symbol) and not VARIANTS[account.feed].regular:
        notes.append("with trades before and after the session; dxlink.rth has none of them")
    return tuple(notes)


@hookimpl
def simulate(market: Market) -> VenueServer:
    """Make the simulated tastytrade: its token endpoints and a DXLink server."""
    from wickwire_dxlink.simulator import DXLinkServer  # noqa: PLC0415 - only simulations pay for it

    return DXLinkServer(market)


# ------------------------------------------------------------------------------------------ the way in


@hookimpl
def connect(
    account: Account, topics: Sequence[Topic], now_ns: int
) -> Endpoint | Generator[HttpRequest, HttpReply, Endpoint]:
    """Fetch a quote token and the address that belongs to it, anew for each connection; the demo has both."""
    variant = VARIANTS.get(account.feed)
    if variant is None or account.environment not in (*REST, "demo"):
        what = f"variant {account.feed!r}" if variant is None else f"environment {account.environment!r}"
        raise VenueError(FaultKind.REQUEST, f"DXLink: there is no {what}")
    first = tuple({service_of(topic.what): None for topic in topics}) or (CANDLES,)

    def memory(token: str | None = None) -> Session:  # a closure, since whatever holds it may be shown
        return Session(token, variant, now_ns, first)

    if account.environment == "demo":
        return _endpoint(DEMO_URL, memory)
    missing = [name for name in SECRETS if not account.secrets.get(name)]
    if missing:
        what = f"the secret {' and '.join(missing)} of tastytrade is not set; without it nothing works"
        raise VenueError(FaultKind.CREDENTIALS, f'DXLink: {what} but the environment "demo" of dxFeed')
    return _with_token(account, memory, now_ns)


def _endpoint(url: str, memory: Callable[[], Session], life_ns: int | None = None) -> Endpoint:
    return Endpoint(
        url=url,
        hello=(Send(SETUP),),
        ready=Readiness.ON_EVENT,
        keepalive=KEEPALIVE,
        silence_limit_s=SILENCE_S,
        max_age_s=None if life_ns is None else life_ns / SECOND_NS,
        topics_per_frame=TOPICS_PER_FRAME,
        max_send_bytes=MOST_BYTES,
        acknowledges=False,
        memory=memory,
    )


def _with_token(
    account: Account, memory: Callable[[str], Session], now_ns: int
) -> Generator[HttpRequest, HttpReply, Endpoint]:
    base = REST[account.environment]
    wish = {"grant_type": "refresh_token"} | {name: account.secrets[name] for name in SECRETS}
    body = msgspec.json.encode(wish)
    reply = yield HttpRequest(url=f"{base}/oauth/token", method="POST", headers=HEADERS, body=body)
    access = _read(_Access, reply, "/oauth/token", now_ns)
    headers = HEADERS | {"Authorization": f"Bearer {access.access_token}"}
    reply = yield HttpRequest(url=f"{base}/api-quote-tokens", headers=headers)
    granted = _read(_Quote, reply, "/api-quote-tokens", now_ns).data
    if not granted.url.startswith(("wss://", "ws://")):
        raise WireError(f"dxlink: no address of a WebSocket: {granted.url[:80]!r}", at="$.data.dxlink-url")
    if account.environment == "production" and (granted.level == "demo" or "delayed" in granted.url):
        raise VenueError(FaultKind.ENTITLEMENT, "DXLink: only delayed data is granted to this account")
    life_ns = min(TOKEN_NS, _instant_ns(granted.expires_at) - (reply.date_ns or now_ns))
    age_ns = max(life_ns - RENEWAL_NS, 60 * SECOND_NS)
    return _endpoint(granted.url, lambda: memory(granted.token), age_ns)


def _instant_ns(told: str | float | None) -> int:
    """Return when a grant ends; a form that nobody documents is no end: then the page counts."""
    if isinstance(told, float) and 1e9 < told < 1e14:  # noqa: PLR2004 - seconds, or milliseconds, of this age
        return round(told * (1e9 if told < 1e11 else 1e6))  # noqa: PLR2004 - of this age in seconds
    with suppress(UsageError):
        return parse_instant(told) if isinstance(told, str) else sys.maxsize
    return sys.maxsize


class _Access(msgspec.Struct):
    access_token: str


class _Granted(msgspec.Struct):
    token: str
    url: str = msgspec.field(name="dxlink-url")
    level: str | None = None
    expires_at: str | float | None = msgspec.field(default=None, name="expires-at")


class _Quote(msgspec.Struct):
    data: _Granted


class _Error(msgspec.Struct):
    code: str | int | None = None
    message: str | None = None


class _Refusal(_Error):
    error: _Error | str | None = None  # a text in RFC 6749
    error_code: str | int | None = None
    error_description: str | None = None


_KINDS: Final[Mapping[str, FaultKind]] = {
    **dict.fromkeys(("invalid_grant", "invalid_client", "invalid_credentials"), FaultKind.CREDENTIALS),
    "unauthorized": FaultKind.CREDENTIALS,
    "invalid_request": FaultKind.WAIT,  # seen on the sandbox around the opening of markets, for minutes
    "not_permitted": FaultKind.ENTITLEMENT,
    "quote_streamer.customer_not_found_error": FaultKind.ENTITLEMENT,
}
_STATUSES: Final = {401: FaultKind.CREDENTIALS, 403: FaultKind.ENTITLEMENT, 429: FaultKind.WAIT}


def _read(shape: Any, reply: HttpReply, path: str, now_ns: int) -> Any:
    """Return what a reply holds.

    Raises:
        VenueError: It refuses, in one of tastytrade's shapes, or as a page of HTML.
        WireError: It says yes, and something else than is documented.
    """
    if reply.status in (200, 201):
        try:
            return msgspec.json.decode(reply.body, type=shape)
        except (ValueError, RecursionError) as exc:
            raise WireError(f"dxlink: {path} answered something else than a token") from exc
    try:
        told = msgspec.json.decode(reply.body, type=_Refusal)
    except (ValueError, RecursionError):
        told = _Refusal()
    error = _Error(told.error) if isinstance(told.error, str) else told.error or _Error()
    code = str(told.error_code or error.code or told.code or "")
    said = told.error_description or error.message or told.message or ""
    other = FaultKind.OUTAGE if reply.status >= 500 else FaultKind.REQUEST  # noqa: PLR2004 - HTTP
    kind = _KINDS.get(code) or _STATUSES.get(reply.status, other)
    if reply.status == 401 and reply.body.lstrip()[:1] == b"<":  # noqa: PLR2004 - HTTP
        kind, said = FaultKind.REQUEST, "a page instead of JSON, as where the User-Agent is not accepted"
    named = f": set {' and '.join(SECRETS)} anew" if kind is FaultKind.CREDENTIALS else ""
    wait_s = retry_after_s(reply.headers, now_ns) or (60.0 if code == "invalid_request" else None)
    text = " ".join(filter(None, (code[:80], said[:200])))
    raise VenueError(kind, f"DXLink: {path}: HTTP {reply.status} {text}{named}", retry_after_s=wait_s)

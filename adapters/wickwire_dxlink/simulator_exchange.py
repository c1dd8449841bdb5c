"""What all connections and REST of the simulated DXLink share: market, tokens, faults, what is announced."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from wickwire import DAY_NS, MINUTE_NS, SECOND_NS, iso
from wickwire.simulate.server import Hangup, Incoming, Market, Outgoing
from wickwire_dxlink.simulator_symbols import Listings

__all__ = ["FAULTS", "PATHS", "Exchange", "Feed"]

ACCESS_NS: Final = 15 * MINUTE_NS
QUOTE_TOKEN_NS: Final = DAY_NS
DELAY_NS: Final = 15 * MINUTE_NS
_LOOPBACK: Final = re.compile(r"(127\.[\d.]+|localhost|\[::1\])(:\d+)?", re.IGNORECASE)


@attrs.frozen
class Feed:
    """What a path of the server serves: is a token needed, and how late is the data?"""

    token: bool = True
    delay_ns: int = 0


PATHS: Final = {
    "/realtime": Feed(),
    "/delayed": Feed(delay_ns=DELAY_NS),
    "/dxlink-ws": Feed(token=False),
    "/market-data/dxlink-ws": Feed(token=False),
}
"""The last two are those of dxFeed's demo, under its old and its new address."""

FAULTS: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    name: (sentence, frozenset(details.split()))
    for name, details, sentence in (
        ("mute", "on", "Data stops on every channel; keepalives go on."),
        ("mute_symbol", "symbol on", "Data of one instrument stops."),
        ("stall", "on", "Nothing is said any more, not even keepalives, and no socket is closed."),
        ("hangup", "code reason half_frame", "Every open stream ends once: close code 1006 is a cut."),
        ("refuse_connections", "status on", "New streams are answered with an HTTP status, 502 by default."),
        ("reject_token", "on", "Every AUTH is answered with UNAUTHORIZED, and the stream is closed."),
        ("no_auth", "on", "New streams are let in without a token."),
        ("short_tokens", "seconds on", "New quote tokens last so long, an hour by default, and say so."),
        ("expire", "", "Every open stream is told UNAUTHORIZED once."),
        ("lenient", "on", "What is sent before it may be is kept until it may, instead of refused."),
        ("error", "error text channel", "Every open stream is told an ERROR once; UNKNOWN by default."),
        ("close_channel", "channel", "The server closes a channel of every stream, all by default."),
        ("trim", "fields on", "Fields that are asked for are not confirmed and not sent."),
        ("reorder", "on", "Confirmed fields come in another order than asked for."),
        ("no_fields", "on", "FEED_CONFIG never names the fields."),
        ("force_full", "on", "Data comes as objects, also where arrays were asked for and announced."),
        ("two_pairs", "on", "Frames hold two pairs of a type and its values where they can."),
        ("resnapshot", "", "Every candle subscription gets a new snapshot, unasked."),
        ("snip", "rows on", "Snapshots are cut after so many rows, 100 by default."),
        (
            "empty_unknown",
            "on",
            "Unknown candle symbols are answered with an empty snapshot, else not at all.",
        ),
        ("withdraw", "symbol", "The candle before the running one is removed on every stream that has it."),
        ("correct", "symbol", "The candle before the running one is sent again, as it is."),
        ("lose_rows", "symbol count", "The next candle rows of an instrument are missing."),
        ("pending", "on", "Live rows come in pairs, the first of which says that more follows."),
        ("slow", "delay_s on", "Data comes late, 5 s by default."),
        ("junk", "frame", "Every open stream gets this frame once."),
        ("largest_frame", "bytes", "Longer frames of a client end the stream with 1009; 65536 by default."),
        ("keepalive", "seconds", "What new streams announce as their keepalive timeout; 60 by default."),
        ("delayed", "on", "Tokens are for the delayed feed, as those of the sandbox always are."),
        ("login_clock", "ahead_s on", "REST tells a time so far ahead of the feed's, 90 s by default."),
        ("throttle", "retry_after_s on", "REST answers 429."),
        ("rest_html", "status on", "REST answers with a page of HTML, HTTP 502 by default."),
        ("rest_error", "status code text on", "REST answers with an error inside an object."),
        ("oauth_error", "code text on", "The login answers with its flat shape, invalid_grant by default."),
    )
}
"""Name to what it does and which details it takes."""


@attrs.define
class Exchange:
    """The state behind all connections.

    Attributes:
        market: The truth.
        listings: What is traded.
        switched: Faults that are on, by name and symbol ("" for all), with their details.
        announcements: What every open connection is to do; each remembers how much it has done.
        access: When access tokens end.
        tokens: When quote tokens end.
        lost: How many candle rows are left out still, by market symbol.
        largest_frame: Bytes that a client may send at once.
        keepalive_s: What is announced.
        issued: Tokens made so far.
        received: Frames and bytes that clients sent.
    """

    market: Market
    listings: Listings = attrs.field()
    switched: dict[tuple[str, str], dict[str, Any]] = attrs.field(factory=dict)
    announcements: list[Outgoing | tuple[str, Mapping[str, Any]]] = attrs.field(factory=list)
    access: dict[str, int] = attrs.field(factory=dict)
    tokens: dict[str, int] = attrs.field(factory=dict)
    lost: dict[str, int] = attrs.field(factory=dict)
    largest_frame: int = 65_536
    keepalive_s: float = 60
    issued: int = 0
    received: list[int] = attrs.field(factory=lambda: [0, 0])

    @listings.default
    def _listings(self) -> Listings:
        return Listings(self.market)

    def fault(self, name: str, symbol: str = "") -> Mapping[str, Any] | None:
        """Return the details of a fault that is on for *symbol* or for all, else None."""
        if not self.switched:  # as nearly always, and it is asked for every fault in every step
            return None
        return self.switched.get((name, symbol), self.switched.get((name, "")))

    # ------------------------------------------------------------------------------------------- tokens

    def new_access(self, now_ns: int) -> str:
        """Return a new access token."""
        self.issued += 1
        token = f"eyJhbGciOiJFUzI1NiJ9.simulated-access-{self.issued}"
        self.access[token] = now_ns + ACCESS_NS
        return token

    def login_ns(self, now_ns: int) -> int:
        """Return what time it is for REST, which is another machine than the feed's, at *now_ns* of that."""
        clock = self.fault("login_clock")
        return now_ns if clock is None else now_ns + round(float(clock.get("ahead_s", 90)) * SECOND_NS)

    def new_token(self, now_ns: int) -> Mapping[str, str]:
        """Return a new quote token, and when it ends where it says so, by the clock of REST."""
        self.issued += 1
        token = base64.b64encode(f"tasty,simulated,{self.issued}".encode()).decode()
        short = self.fault("short_tokens")
        life_ns = QUOTE_TOKEN_NS if short is None else round(float(short.get("seconds", 3_600)) * SECOND_NS)
        self.tokens[token] = now_ns + life_ns
        return {
            "token": token,
            **({} if short is None else {"expires-at": iso(self.login_ns(now_ns + life_ns))}),
        }

    def address(self, incoming: Incoming) -> tuple[str, str]:
        """Return `dxlink-url` and `level` for who asks: where it came to, if that is this machine."""
        host = incoming.headers.get("host", "")
        late = "cert" in host or self.fault("delayed") is not None
        path, level = ("/delayed", "demo") if late else ("/realtime", "api")
        if _LOOPBACK.fullmatch(host):
            return f"ws://{host}{path}", level
        return f"wss://tasty-{'demo' if late else 'openapi'}-ws.dxfeed.com{path}", level

    # ------------------------------------------------------------------------------------------- faults

    def switch(self, name: str, details: Mapping[str, Any]) -> None:
        """Switch a fault on or off, or do it once. `DXLinkServer.inject` has checked the names."""
        given = dict(details)
        on, symbol = bool(given.pop("on", True)), str(given.get("symbol", ""))
        match name:
            case "hangup":
                if given.get("half_frame"):
                    self.announcements.append('{"type":"FEED_DATA","chan')
                self.announcements.append(Hangup(int(given.get("code", 1006)), str(given.get("reason", ""))))
            case "junk":
                self.announcements.append(given.get("frame", "\x00 no JSON"))
            case "expire" | "error" | "close_channel" | "resnapshot" | "withdraw" | "correct":
                self.announcements.append((name, given))
            case "lose_rows":
                self.lost[symbol] = int(given.get("count", 3))
            case "largest_frame":
                self.largest_frame = int(given.get("bytes", 65_536))
            case "keepalive":
                self.keepalive_s = float(given.get("seconds", 60))
            case _ if on:
                self.switched[name, symbol] = given
            case _:
                self.switched.pop((name, symbol), None)

    def delay_ns(self) -> int:
        """Return how much later than usual data comes."""
        slow = self.fault("slow")
        return 0 if slow is None else round(float(slow.get("delay_s", 5)) * SECOND_NS)

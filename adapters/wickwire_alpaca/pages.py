"""One conversation about one symbol over REST: from the first request to the page without a token.

Reference: Alpaca Docs, "Historical bars", "Historical trades", "Historical crypto bars", read 2026-11.

A request names the range, both ends included, and is answered in pages: each names the next by a token that
means nothing to us, until the token is null. A page may be short, or empty, and still have a next one.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Final

import attrs
import msgspec

from wickwire import (
    SECOND_NS,
    Account,
    FaultKind,
    HttpReply,
    HttpRequest,
    VenueError,
    WireError,
    iso,
    parse_instant,
)
from wickwire_alpaca.refusals import refused_reply, wire_error
from wickwire_alpaca.symbols import CRYPTO, ENVIRONMENTS, NO_KEYS, PLANS, Place, has_keys, is_late, place_of

__all__ = ["FREE_DELAY_S", "PAGE_ROWS", "BarsReply", "Rows", "Talk", "TradesReply"]

PAGE_ROWS: Final = 10_000
"""Most points on a page ("Historical bars", limit)."""

FREE_DELAY_S: Final = 15 * 60.0
"""The free plan has no SIP data of the latest quarter of an hour ("Market Data FAQ")."""

FIRST_NS: Final = parse_instant("2016-01-01T05:00:00Z")
"""Where the history of stocks begins ("About Market Data API"): since 2016."""

_MARGIN_NS: Final = 10 * SECOND_NS  # our clock may be ahead of theirs
_MOST_PAGES: Final = 50


Rows = list[msgspec.Raw]
"""Rows are read one by one, since one that is wrong need not cost the others."""


class BarsReply(msgspec.Struct):
    """A page of bars: by symbol, or of the one symbol; null or empty where there are none."""

    bars: dict[str, Rows | None] | Rows | msgspec.UnsetType | None = msgspec.UNSET
    next_page_token: str | msgspec.UnsetType | None = msgspec.UNSET
    symbol: str | None = None


class TradesReply(msgspec.Struct):
    """A page of trades; as bars."""

    trades: dict[str, Rows | None] | Rows | msgspec.UnsetType | None = msgspec.UNSET
    next_page_token: str | msgspec.UnsetType | None = msgspec.UNSET
    symbol: str | None = None


@attrs.frozen
class Talk:
    """One conversation about one symbol."""

    symbol: str
    place: Place
    account: Account = attrs.field(repr=False)
    now_ns: int

    @classmethod
    def about(cls, symbol: str, account: Account, now_ns: int) -> Talk:
        """Return it, or refuse before anything is sent.

        Raises:
            VenueError: The symbol is served nowhere, or not to this account.
        """
        place = place_of(symbol, account)
        if not isinstance(place, Place):
            raise VenueError(FaultKind.SYMBOL, f"alpaca: {place}")
        if not place.rest:
            raise VenueError(FaultKind.REQUEST, "alpaca: the test feed has no history")
        if account.plan not in PLANS or account.environment not in ENVIRONMENTS:
            raise VenueError(
                FaultKind.REQUEST, f"alpaca: no plan {account.plan!r} on {account.environment!r}"
            )
        if place is not CRYPTO and not has_keys(account):
            raise VenueError(FaultKind.CREDENTIALS, f"alpaca: the history of stocks {NO_KEYS}")
        return cls(symbol, place, account, now_ns)

    def within(self, since_ns: int, until_ns: int) -> tuple[int, int]:
        """Return what of a range may be asked for."""
        if self.place is not CRYPTO:
            since_ns = max(since_ns, min(FIRST_NS, until_ns))
        if is_late(self.place, self.account):
            until_ns = min(until_ns, self.now_ns - round(FREE_DELAY_S) * SECOND_NS - _MARGIN_NS)
        return since_ns, until_ns

    def pages(
        self, what: str, reply_type: type[Any], params: Mapping[str, str], since_ns: int, until_ns: int
    ) -> Generator[HttpRequest, HttpReply, tuple[Rows, int, bool]]:
        """Return all rows as they came, the venue's time at the first page, and whether there were no more.

        Raises:
            VenueError: The venue said no.
            WireError: A page is not what is documented, or a token came twice.
        """
        query = {
            "symbols": self.symbol,
            **params,
            "start": iso(since_ns),
            "end": iso(until_ns - 1),  # which is included
            "limit": str(PAGE_ROWS),
            "sort": "asc",
            **({"feed": self.place.feed} if self.place.feed else {}),
        }
        url = f"{ENVIRONMENTS[self.account.environment][1]}{self.place.rest}/{what}"
        rows: Rows = []
        tokens: set[str] = set()
        as_of_ns = self.now_ns
        for number in range(_MOST_PAGES):
            reply = yield HttpRequest(url=url, params=query, headers=_headers(self.account))
            if number == 0 and reply.date_ns is not None:
                as_of_ns = reply.date_ns
            found, token = self._read(reply, what, reply_type)
            rows += found
            if not token:
                return rows, as_of_ns, True
            if token in tokens:
                raise WireError("alpaca: a page token came twice", frame=reply.body, at="$.next_page_token")
            tokens.add(token)
            query = {**query, "page_token": token}
        return rows, as_of_ns, False

    def _read(self, reply: HttpReply, what: str, reply_type: type[Any]) -> tuple[Rows, str]:
        refused = refused_reply(reply, f"{what} of {self.symbol}", self.now_ns)
        if refused is not None:
            raise refused
        try:
            reply.body.decode()  # the decoder does not look into strings that it skips
            page = msgspec.json.decode(reply.body, type=reply_type)
        except (ValueError, RecursionError) as exc:
            raise wire_error(exc, reply.body) from exc
        rows, token = getattr(page, what), page.next_page_token
        if rows is msgspec.UNSET and token is msgspec.UNSET:
            raise WireError(f"alpaca: expected {what} and next_page_token", frame=reply.body)
        others = [name for name in (rows if isinstance(rows, dict) else ()) if name != self.symbol]
        if page.symbol not in (None, self.symbol):
            others.append(page.symbol)
        if others:
            raise WireError(f"alpaca: asked for {self.symbol}, got {others[0][:40]!r}", frame=reply.body)
        if isinstance(rows, dict):
            rows = rows.get(self.symbol)
        return rows or [], token or ""


def _headers(account: Account) -> Mapping[str, str]:
    """Return the headers that carry the keys; a token of OAuth goes by the key `oauth`, as on the stream."""
    if not has_keys(account):
        return {}
    key, secret = account.secrets["key"], account.secrets["secret"]
    if key == "oauth":
        return {"Authorization": f"Bearer {secret}"}
    return {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}

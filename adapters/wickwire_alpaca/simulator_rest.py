"""REST of the simulated Alpaca: bars, trades and latest values of stocks (v2) and crypto (v1beta3)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from wickwire import SECOND_NS, Timeframe, Unit, UsageError, iso, parse_instant
from wickwire.simulate.server import Answer, Incoming
from wickwire_alpaca.simulator_bars import Bars
from wickwire_alpaca.simulator_latest import Latest
from wickwire_alpaca.simulator_rows import bar_row, quote_row, text_of, trade_row
from wickwire_alpaca.simulator_venue import PAIR_FORM, STOCK_FORM, Venue

__all__ = ["Rest"]

MOST_ROWS: Final = 10_000
USUAL_ROWS: Final = 1_000
RECENT_NS: Final = 900 * SECOND_NS
FEEDS: Final = ("sip", "iex", "boats", "otc")
LATEST_FEEDS: Final = (*FEEDS, "delayed_sip", "overnight")
OUTAGE_PAGE: Final = b"<html><head><title>502 Bad Gateway</title></head><body></body></html>"

_TIMEFRAME: Final = re.compile(r"(\d{1,2})(min|t|hour|h|day|d|week|w|month|m)", re.ASCII | re.IGNORECASE)
_UNITS: Final = {
    "min": (Unit.MINUTE, range(1, 60)),
    "t": (Unit.MINUTE, range(1, 60)),
    "hour": (Unit.HOUR, range(1, 24)),
    "h": (Unit.HOUR, range(1, 24)),
    "day": (Unit.DAY, (1,)),
    "d": (Unit.DAY, (1,)),
    "week": (Unit.WEEK, (1,)),
    "w": (Unit.WEEK, (1,)),
    "month": (Unit.MONTH, (1, 2, 3, 4, 6, 12)),
    "m": (Unit.MONTH, (1, 2, 3, 4, 6, 12)),
}
_STOCKS: Final = re.compile(r"/v2/stocks/(?:([A-Za-z0-9.%/-]+)/)?(bars|trades|quotes|snapshots?)(/latest)?")
_CRYPTO: Final = re.compile(r"/v1beta3/crypto/([^/]+)/(latest/)?(bars|trades|quotes|snapshots|orderbooks)")


class _Refusal(Exception):
    """Carries a status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@attrs.frozen
class _Range:
    """What a request of history asks for; both ends included. Symbols ascend, whichever way times go."""

    start_ns: int
    end_ns: int
    limit: int
    descending: bool


class Rest:
    """Answers requests."""

    def __init__(self, venue: Venue, bars: Bars) -> None:
        self._venue = venue
        self._bars = bars
        self._latest = Latest(venue, bars)

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        """Answer one request."""
        venue = self._venue
        venue.tell(now_ns)
        page = venue.fault("html_502")
        if page is not None:
            return Answer(status=int(page.get("status", 502)), body=OUTAGE_PAGE, content_type="text/html")
        headers = {"X-Request-ID": f"{now_ns:032x}"}
        try:
            trouble = venue.fault("rest_error")
            if trouble is not None:
                raise _Refusal(
                    int(trouble.get("status", 500)), trouble.get("message", "internal server error")
                )
            if venue.fault("throttle") is not None or not venue.takes_request(now_ns):
                return _said(429, {"message": "too many requests."}, headers)  # seen without any header
            left = max(0, int(venue.rest_burst - venue.rest_used))
            reset_s = now_ns // SECOND_NS + round(venue.rest_used / venue.rest_per_s)
            headers |= {
                "X-RateLimit-Limit": str(int(venue.rest_burst)),
                "X-RateLimit-Remaining": str(left),
                "X-RateLimit-Reset": str(reset_s),
            }
            return _said(200, self._result(incoming, now_ns), headers)
        except _Refusal as refusal:
            return _said(refusal.status, {"message": str(refusal)}, headers)

    def _result(self, incoming: Incoming, now_ns: int) -> object:
        path, query = incoming.path.rstrip("/"), incoming.query
        if path == "/v2/assets":
            return self._latest.assets(query.get("asset_class", "us_equity"))
        stocks, crypto = _STOCKS.fullmatch(path), _CRYPTO.fullmatch(path)
        if not stocks and not crypto:
            raise _Refusal(404, "endpoint not found.")
        self._check_keys(incoming, needed=bool(stocks))
        return self._crypto(crypto, query, now_ns) if crypto else self._stocks(stocks, query, now_ns)

    def _crypto(self, path: re.Match[str], query: Mapping[str, str], now_ns: int) -> object:
        location, latest, what = path.groups()
        if location not in ("us", "us-1", "eu-1"):
            raise _Refusal(400, f"Invalid location: {location}")
        symbols = _symbols(query, PAIR_FORM)
        if what == "snapshots":
            return {what: self._latest.snapshots(symbols, now_ns)}
        if latest:
            return self._latest.of(what, symbols, now_ns, None)
        if what == "orderbooks":
            raise _Refusal(404, "endpoint not found.")
        return self._history(what, symbols, query, now_ns, None)

    def _stocks(self, path: re.Match[str] | None, query: Mapping[str, str], now_ns: int) -> object:
        assert path is not None
        single, what, latest = path.groups()
        shot = what.startswith("snapshot")
        symbols = _symbols({"symbols": single} if single else query, STOCK_FORM)
        now = bool(latest) or shot
        feed = query.get("feed") or ("sip" if not now or self._venue.plan == "plus" else "iex")
        if feed not in (LATEST_FEEDS if now else FEEDS):
            raise _Refusal(400, f"invalid feed: {feed}")
        if shot:  # by symbol, and of one symbol with its name beside
            found = self._latest.snapshots(symbols, now_ns)
            return {"symbol": single, **found.get(single, {})} if single else found
        if latest:
            return self._latest.of(what, symbols, now_ns, single)
        return self._history(what, symbols, {**query, "feed": feed}, now_ns, single)

    def _check_keys(self, incoming: Incoming, *, needed: bool) -> None:
        key = incoming.headers.get("apca-api-key-id", "")
        secret = incoming.headers.get("apca-api-secret-key", "")
        bearer = incoming.headers.get("authorization", "")
        given = bool((key and secret) or bearer)
        wrong = key.startswith("BAD") or self._venue.fault("auth_failed") is not None
        if (needed and not given) or (given and wrong):
            raise _Refusal(403, "forbidden.")

    # -------------------------------------------------------------------------------------------- history

    def _history(
        self, what: str, symbols: Sequence[str], query: Mapping[str, str], now_ns: int, single: str | None
    ) -> object:
        asked = self._range(query, now_ns)
        timeframe = _timeframe(query) if what == "bars" else None
        after = _position(query.get("page_token", ""))
        rows: list[tuple[str, int, dict[str, object]]] = []
        for symbol in sorted(set(symbols)):
            if not self._venue.lists(symbol) or (after and symbol < after[0]):
                continue
            first_ns, last_ns = asked.start_ns, asked.end_ns
            if after and symbol == after[0]:
                first_ns, last_ns = (first_ns, after[1] - 1) if asked.descending else (after[1] + 1, last_ns)
            found = self._told(what, symbol, timeframe, first_ns, last_ns, now_ns)
            rows += reversed(found) if asked.descending else found
            if len(rows) > asked.limit:
                break
        return self._page(what, rows, asked, query, single)

    def _told(
        self, what: str, symbol: str, timeframe: Timeframe | None, since_ns: int, end_ns: int, now_ns: int
    ) -> list[tuple[str, int, dict[str, object]]]:
        until_ns = min(end_ns, now_ns) + 1
        if timeframe is not None:
            candles = self._bars.of(symbol, timeframe, since_ns, until_ns, now_ns)
            return [(symbol, one.open_ns, bar_row(one)) for one in candles]
        if what == "quotes":
            times = (trade.time_ns for trade, _ in self._bars.trades(symbol, since_ns, until_ns))
            return [(symbol, at_ns, quote_row(self._venue, symbol, at_ns)) for at_ns in times]
        return [
            (symbol, trade.time_ns, {**trade_row(symbol, trade), **({"u": state} if state else {})})
            for trade, state in self._bars.trades(symbol, since_ns, until_ns)
        ]

    def _page(
        self,
        what: str,
        rows: Sequence[tuple[str, int, dict[str, object]]],
        asked: _Range,
        query: Mapping[str, str],
        single: str | None,
    ) -> object:
        short = self._venue.fault("short_pages")
        size = asked.limit if short is None else min(asked.limit, int(short.get("rows", 7)))
        page, token = rows[:size], None
        if len(rows) > size:
            symbol, at_ns, _ = page[-1]
            circle = self._venue.fault("token_circle") is not None
            token = query.get("page_token") if circle else None
            token = token or base64.b64encode(f"{symbol}|M|{iso(at_ns)}".encode()).decode()
        found: dict[str, list[dict[str, object]]] = {}
        for symbol, _, row in page:
            found.setdefault(symbol, []).append(row)
        if single is not None:
            return {what: found.get(single), "symbol": single, "next_page_token": token}
        nothing = not found and self._venue.fault("null_bars") is not None
        return {what: None if nothing else found, "next_page_token": token}

    def _range(self, query: Mapping[str, str], now_ns: int) -> _Range:
        recent = self._venue.plan == "basic" and query.get("feed") == "sip"
        usual_ns = now_ns - (RECENT_NS if recent else 0)
        try:
            end_ns = parse_instant(query["end"]) if "end" in query else usual_ns
            day_ns = 86_400 * SECOND_NS
            start_ns = parse_instant(query["start"]) if "start" in query else usual_ns - usual_ns % day_ns
            limit = int(query.get("limit") or USUAL_ROWS)
        except (UsageError, ValueError) as exc:
            raise _Refusal(400, f"invalid parameter: {exc}") from exc
        if not 1 <= limit <= MOST_ROWS:
            raise _Refusal(400, f"invalid limit: {limit}")
        if start_ns > end_ns:
            raise _Refusal(400, "end should not be before start")
        if recent and end_ns > usual_ns:
            raise _Refusal(403, "subscription does not permit querying recent SIP data")
        return _Range(start_ns, end_ns, limit, query.get("sort") == "desc")


def _symbols(query: Mapping[str, str], form: re.Pattern[str]) -> Sequence[str]:
    symbols = [symbol for symbol in query.get("symbols", "").split(",") if symbol]
    if not symbols:
        raise _Refusal(400, "symbols is required")
    for symbol in symbols:
        if not form.fullmatch(symbol):
            raise _Refusal(400, f"invalid symbol: {symbol}")
    return symbols


def _timeframe(query: Mapping[str, str]) -> Timeframe:
    text = query.get("timeframe", "")
    match = _TIMEFRAME.fullmatch(text)
    if match is not None:
        unit, counts = _UNITS[match[2].lower()]
        if int(match[1]) in counts:
            return Timeframe(int(match[1]), unit)
    raise _Refusal(400, f"invalid timeframe: {text}")


def _position(token: str) -> tuple[str, int] | None:
    """Return symbol and time of the row that ended the page before; None for the first page."""
    if not token:
        return None
    try:
        symbol, _, when = base64.b64decode(token, validate=True).decode().split("|")
        return symbol, parse_instant(when)
    except (ValueError, UsageError) as exc:
        raise _Refusal(400, "invalid page_token") from exc


def _said(status: int, whole: object, headers: Mapping[str, str]) -> Answer:
    return Answer(status=status, body=text_of(whole).encode(), headers=headers)

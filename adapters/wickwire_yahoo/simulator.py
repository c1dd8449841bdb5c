"""The simulated Yahoo Finance: the v8 chart endpoint over a seeded market, as a pure state machine.

Yahoo documents none of this: it follows replies that public projects captured and what public clients expect,
not this adapter. The window a request means is found
in `simulator_windows`, its rows in `simulator_rows`, its body in `simulator_chart`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from wickwire import SECOND_NS
from wickwire.simulate.faults import KnownFault, Switchboard
from wickwire.simulate.server import Answer, Connection, Incoming, Market
from wickwire_yahoo.simulator_chart import chart, told
from wickwire_yahoo.simulator_quotes import Quoted, quoted_of, seconds
from wickwire_yahoo.simulator_rows import Oddities
from wickwire_yahoo.simulator_windows import Refused, window_of

__all__ = ["YahooServer"]

CHART: Final = "/v8/finance/chart/"
SUMMARY: Final = "/v10/finance/quoteSummary/"
CRUMB: Final = "ab.Cd/EfGhi"
COOKIE: Final = "A3=d=AQABBsimulated; Domain=.yahoo.com; Path=/; Max-Age=31557600; Secure; HttpOnly"
JSON: Final = "application/json;charset=utf-8"
BANNED_AGENTS: Final = ("curl/", "go-http-client", "java/", "python", "wget/")
"""Beginnings of User-Agents that the edge refuses, in lower case."""
OUTAGE_PAGE: Final = b"<!DOCTYPE html><html><body><h1>Will be right back...</h1></body></html>"
NOT_FOUND: Final = "No data found, symbol may be delisted"

FAULTS: Final = (
    KnownFault("throttle", "retry_after_s on", "Every request is answered with 429 as text."),
    KnownFault(
        "rate", "calls per_s", "More calls than this in a time are answered with 429: 100 in 60 s by default."
    ),
    KnownFault("outage", "status on", "Every request is answered with an HTML page, HTTP 200 by default."),
    KnownFault(
        "server_error", "status on", "Every request is answered with an error without JSON, 503 by default."
    ),
    KnownFault(
        "no_result", "whole on", "result is null without an error; with whole=True chart itself is null."
    ),
    KnownFault("empty", "arrays on", "The timestamp key is missing; with arrays=True all arrays are empty."),
    KnownFault("no_valid_ranges", "on", "meta lacks validRanges."),
    KnownFault("bad_rows", "on", "Every other row lacks its high."),
    KnownFault("delisted", "symbol on", "A symbol is answered with 404.", needs_symbol=True),
    KnownFault("mute", "on", "Prices stand still: rows end at the moment of the fault."),
    KnownFault("delayed", "delay_s on", "Data is late, 15 minutes by default, and nothing says so."),
    KnownFault("live_row", "on", "On from the start; off: the last price comes without a row of its own."),
    KnownFault("split_period", "on", "On from the start; off: a running week or month is one row."),
    KnownFault(
        "null_rows", "on", "On from the start; off: buckets without a trade are left out, never null."
    ),
    KnownFault("early_rows", "on", "On from the start; off: shares in London have no row before a session."),
    KnownFault(
        "evening_stamps",
        "on",
        "On from the start; off: days and weeks are stamped at midnight after clocks went back too.",
    ),
    KnownFault("duplicate_day", "on", "Daily charts have two rows for today."),
    KnownFault(
        "late_volume", "lag_s on", "A bar's volume is short for a while after its end, 60 s by default."
    ),
    KnownFault("coarse", "on", "A request for 30m is answered with bars of an hour."),
    KnownFault(
        "split",
        "symbol ratio",
        "All history of a symbol is rescaled and a split is reported.",
        needs_symbol=True,
    ),
    KnownFault(
        "currency",
        "symbol currency on",
        "A symbol's currency is told as another, GBp by default.",
        needs_symbol=True,
    ),
)
"""What each of them does, and which details it takes."""
HABITS: Final = ("live_row", "split_period", "null_rows", "early_rows", "evening_stamps")
"""What is on from the start."""


class YahooServer:
    """A `VenueServer` that answers as Yahoo Finance does; it has no stream.

    Attributes:
        stream_origins: None.
        rest_origins: The chart hosts and the one that gives the cookie.
    """

    stream_origins = ()
    rest_origins = (
        "https://query1.finance.yahoo.com",
        "https://query2.finance.yahoo.com",
        "https://fc.yahoo.com",
    )

    def __init__(self, market: Market) -> None:
        """Serve everything that *market* trades."""
        self._market = market
        self._quoted = quoted_of(market)
        self._faults = Switchboard(FAULTS, self._quoted)
        for habit in HABITS:
            self._faults.switch(habit, {})
        self._calls: list[int] = []
        self._calls_allowed, self._calls_per_ns = 100, 60 * SECOND_NS
        self._scales: dict[str, tuple[Decimal, int]] = {}
        self._now_ns = market.start_ns

    def accept(self, incoming: Incoming, now_ns: int) -> Connection | Answer:
        """Refuse: there is no stream here."""
        del incoming, now_ns
        return _plain(404, "Not Found")

    def answer(self, incoming: Incoming, now_ns: int) -> Answer:
        """Answer one request: chart, cookie, crumb, quote or summary."""
        self._now_ns = max(self._now_ns, now_ns)
        return self._edge(incoming, now_ns) or self._inside(incoming, now_ns)

    def inject(self, fault: str, **details: object) -> None:
        """Switch a fault on, or off with `on=False`.

        Raises:
            ValueError: No such fault, or it does not take these details; the text lists what there is.
        """
        self._faults.check(fault, details)
        given: Mapping[str, Any] = details
        if fault == "rate":
            self._calls_allowed = int(given.get("calls", 100))
            self._calls_per_ns = round(float(given.get("per_s", 60)) * SECOND_NS)
        elif fault == "split":
            self._scales[given["symbol"]] = (Decimal(str(given.get("ratio", 4))), self._now_ns)
        else:
            self._faults.switch(fault, given, since_ns=self._now_ns)

    @property
    def faults(self) -> Mapping[str, str]:
        """Names of the faults, each with one sentence."""
        return self._faults.sentences

    # ------------------------------------------------------------------------------------------ the edge

    def _edge(self, incoming: Incoming, now_ns: int) -> Answer | None:
        """Refuse before anything is looked up: by the client's look, by rate, or because all is down."""
        outage, error, throttle = (self._faults.on(name) for name in ("outage", "server_error", "throttle"))
        if outage is not None:
            return Answer(status=int(outage.get("status", 200)), body=OUTAGE_PAGE, content_type="text/html")
        if error is not None:
            return _plain(int(error.get("status", 503)), "Service Unavailable")
        agent = incoming.headers.get("user-agent", "").lower()
        if not agent or agent.startswith(BANNED_AGENTS):
            return Answer(status=429, body=b"Edge: Too Many Requests", content_type="text/html")
        self._calls = [ns for ns in self._calls if ns > now_ns - self._calls_per_ns]
        self._calls.append(now_ns)
        if throttle is not None or len(self._calls) > self._calls_allowed:
            wait = (throttle or {}).get("retry_after_s")
            headers = {} if wait is None else {"Retry-After": str(wait)}
            return attrs.evolve(_plain(429, "Too Many Requests\r\n"), headers=headers)
        return None

    def _inside(self, incoming: Incoming, now_ns: int) -> Answer:
        path = incoming.path
        if path.startswith(CHART):
            return self._chart(path.removeprefix(CHART), incoming, now_ns)
        if path.startswith(SUMMARY):
            text = f"Quote not found for symbol: {path.removeprefix(SUMMARY)}"
            return _json(404, {"quoteSummary": {"result": None, "error": _error("Not Found", text)}})
        if path == "/v1/test/getcrumb":
            return _plain(200, CRUMB) if "A3=" in _cookie(incoming) else _unauthorized("Invalid Cookie")
        if path == "/v7/finance/quote":
            return self._quote(incoming, now_ns)
        # the page behind the cookie's host is an error, and clients only want its cookie
        return Answer(status=404, body=b"", content_type="text/html", headers={"Set-Cookie": COOKIE})

    # ----------------------------------------------------------------------------------------- the chart

    def _chart(self, name: str, incoming: Incoming, now_ns: int) -> Answer:
        quoted = self._quoted.get(name)
        if quoted is None or self._faults.on("delisted", name) is not None:
            return _json(404, {"chart": {"result": None, "error": _error("Not Found", NOT_FOUND)}})
        no_result = self._faults.on("no_result")
        if no_result is not None:
            nothing = None if no_result.get("whole") else {"result": None, "error": None}
            return _json(200, {"chart": nothing})
        try:
            result = self._result(quoted, incoming.query, now_ns)
        except Refused as refused:
            error = _error(refused.code, str(refused))
            return _json(refused.status, {"chart": {"result": None, "error": error}})
        return _json(200, {"chart": {"result": [result], "error": None}})

    def _result(self, quoted: Quoted, query: Mapping[str, str], now_ns: int) -> dict[str, Any]:
        window = window_of(query, quoted, self._market.start_ns, now_ns)
        if self._faults.on("coarse") is not None and window.interval == "30m":
            window = attrs.evolve(window, interval="60m")
        currency = self._faults.on("currency", quoted.name)
        if currency is not None:
            quoted = attrs.evolve(quoted, currency=str(currency.get("currency", "GBp")))
        ratio, split_ns = self._scales.get(quoted.name, (Decimal(1), 0))
        result = chart(
            self._market,
            quoted,
            window,
            self._seen_ns(now_ns),
            oddities=self._oddities(),
            scale=1 / ratio,
            prepost=query.get("includePrePost", "").lower() == "true",
        )
        if self._faults.on("no_valid_ranges") is not None:
            del result["meta"]["validRanges"]
        wanted = query.get("events", "").replace("|", ",").split(",")
        is_within = window.since_s <= seconds(split_ns) < window.until_s
        if is_within and {"split", "splits"} & {*wanted}:
            result["events"] = _split(ratio, seconds(split_ns))
        if self._faults.on("bad_rows") is not None and "timestamp" in result:
            high = result["indicators"]["quote"][0]["high"]
            high[:] = [None if at % 2 else price for at, price in enumerate(high)]
        empty = self._faults.on("empty")
        if empty is not None:
            _strip(result, arrays=bool(empty.get("arrays")))
        return result

    def _seen_ns(self, now_ns: int) -> int:
        """Return up to when prices are known to this server."""
        delayed, mute = self._faults.on("delayed"), self._faults.on("mute")
        if mute is not None:
            now_ns = min(now_ns, int(mute["since_ns"]))
        late_ns = 0 if delayed is None else round(float(delayed.get("delay_s", 900)) * SECOND_NS)
        return max(now_ns - late_ns, self._market.start_ns)

    def _oddities(self) -> Oddities:
        late = self._faults.on("late_volume")
        return Oddities(
            live_row=self._faults.on("live_row") is not None,
            split_period=self._faults.on("split_period") is not None,
            null_rows=self._faults.on("null_rows") is not None,
            early_rows=self._faults.on("early_rows") is not None,
            evening_stamps=self._faults.on("evening_stamps") is not None,
            duplicate_day=self._faults.on("duplicate_day") is not None,
            volume_lag_s=0.0 if late is None else float(late.get("lag_s", 60)),
        )

    def _quote(self, incoming: Incoming, now_ns: int) -> Answer:
        """Answer for bid and ask, which needs cookie and crumb."""
        crumb = incoming.query.get("crumb")
        if not crumb or "A3=" not in _cookie(incoming):
            return _unauthorized(
                "User is unable to access this feature - https://bit.ly/yahoo-finance-api-feedback"
            )
        if crumb != CRUMB:
            return _unauthorized("Invalid Crumb")
        rows = []
        for name in incoming.query.get("symbols", "").split(","):
            quoted = self._quoted.get(name)
            if quoted is not None:
                quote = self._market.quote(quoted.symbol, self._seen_ns(now_ns))
                rows.append({"symbol": name, "bid": told(quote.bid), "ask": told(quote.ask)})
        return _json(200, {"quoteResponse": {"result": rows, "error": None}})


def _split(ratio: Decimal, at_s: int) -> Mapping[str, object]:
    numbers = {"date": at_s, "numerator": float(ratio), "denominator": 1.0, "splitRatio": f"{ratio}:1"}
    return {"splits": {str(at_s): numbers}}


def _strip(result: dict[str, Any], *, arrays: bool) -> None:
    """Take all rows out, in the newer or the older form of an empty chart."""
    result.pop("timestamp", None)
    names = ("open", "high", "low", "close", "volume") if arrays else ()
    result["indicators"] = {"quote": [{name: [] for name in names}]}
    if arrays:
        result["timestamp"] = []


def _error(code: str, description: str) -> Mapping[str, str]:
    return {"code": code, "description": description}


def _unauthorized(description: str) -> Answer:
    return _json(401, {"finance": {"result": None, "error": _error("Unauthorized", description)}})


def _cookie(incoming: Incoming) -> str:
    return incoming.headers.get("cookie", "")


def _plain(status: int, text: str) -> Answer:
    return Answer(status=status, body=text.encode(), content_type="text/plain;charset=utf-8")


def _json(status: int, whole: Mapping[str, object]) -> Answer:
    return Answer(status=status, body=json.dumps(whole, separators=(",", ":")).encode(), content_type=JSON)

"""One reply of the chart endpoint: what it holds, or which no it is.

What its rows mean is told in `rows` and `calendar`.
"""

from __future__ import annotations

import json
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

import msgspec

from wickwire import FaultKind, HttpReply, VenueError, WireError, retry_after_s

__all__ = ["Events", "Meta", "Period", "Quotes", "Result", "SplitEvent", "read"]

THROTTLED_S: Final = 60.0
"""Yahoo names no time to wait; the field's advice is 60 s at first: blocks can last for days."""

_LONGEST_TEXT: Final = 200
_AUTHORITY: Final = (401, 403)


class Period(msgspec.Struct, frozen=True):
    """One trading session, in Unix seconds."""

    start: int
    end: int


class PeriodsByKind(msgspec.Struct, frozen=True):
    """The form that `tradingPeriods` has with extended hours."""

    regular: list[list[Period]] = []


class CurrentPeriods(msgspec.Struct, frozen=True):
    """The current or the next session."""

    regular: Period | None = None


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """What `meta` says and we use; times in Unix seconds."""

    symbol: str | None = None
    exchange_timezone_name: str | None = None
    data_granularity: str | None = None
    regular_market_time: int | None = None
    first_trade_date: int | None = None
    current_trading_period: CurrentPeriods | None = None
    trading_periods: list[list[Period]] | PeriodsByKind | None = None


class Quotes(msgspec.Struct, frozen=True):
    """Columns as long as `timestamp`; null where nothing is known."""

    open: list[Decimal | None] = []
    high: list[Decimal | None] = []
    low: list[Decimal | None] = []
    close: list[Decimal | None] = []
    volume: list[Decimal | None] = []


class Indicators(msgspec.Struct, frozen=True):
    """Where the columns are; `adjclose` is left alone."""

    quote: list[Quotes] = []


class SplitEvent(msgspec.Struct, frozen=True):
    """A split of shares, at the open of its session."""

    date: int
    numerator: Decimal
    denominator: Decimal


class Events(msgspec.Struct, frozen=True):
    """What happened within the window, by the text of its time."""

    splits: dict[str, SplitEvent] | None = None


class Result(msgspec.Struct, frozen=True):
    """The one result of a reply; without `timestamp` no rows; `events` is read apart, as `Events`."""

    meta: Meta
    indicators: Indicators = Indicators()
    timestamp: list[int] | None = None
    events: Any = None


class _Error(msgspec.Struct, frozen=True):
    code: str | None = None
    description: str | None = None


class _Part(msgspec.Struct, frozen=True):
    result: list[Result] | None = None
    error: _Error | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: _Error | None = None


class _Document(msgspec.Struct, frozen=True):
    chart: _Part | None = None
    finance: _Refusal | None = None


_DECODER: Final = msgspec.json.Decoder(_Document)

# The venue's words matter more than the status. None: it is no error, there is just nothing there.
_TEXTS: Final = (
    ("data doesn't exist", None),
    ("no data found", FaultKind.SYMBOL),
    ("invalid input", FaultKind.REQUEST),
    ("not available for", FaultKind.REQUEST),
    ("within the last", FaultKind.REQUEST),
    ("allowed to be fetched", FaultKind.REQUEST),
)
_CODES: Final = {
    "not found": FaultKind.SYMBOL,
    "bad request": FaultKind.REQUEST,
    "unprocessable entity": FaultKind.REQUEST,
    "unauthorized": FaultKind.CREDENTIALS,
}


def read(reply: HttpReply, now_ns: int) -> Result | None:
    """Return what *reply* holds, or None where Yahoo says that the window holds nothing.

    Args:
        reply: Any reply.
        now_ns: The present, for a Retry-After that is a date.

    Raises:
        VenueError: It is a no: WAIT, OUTAGE, SYMBOL, REQUEST or CREDENTIALS.
        WireError: It is none of the replies that Yahoo is known to give.
    """
    body, asked_s = reply.body.lstrip(), retry_after_s(reply.headers, now_ns)
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS or body.startswith(
        (b"Too Many Requests", b"Edge: Too Many Requests")
    ):
        raise VenueError(
            FaultKind.WAIT,
            f"Yahoo refuses for now (HTTP {reply.status}): {_words(body.decode('utf-8', 'replace'))}",
            retry_after_s=THROTTLED_S if asked_s is None else asked_s,
        )
    if body.startswith(b"<"):
        status = reply.status if reply.status in _AUTHORITY else 503
        raise _by_status(status, f"a web page came instead of data, HTTP {reply.status}", asked_s)
    document = _document(reply, asked_s)
    chart = document.chart
    error = (chart.error if chart else None) or (document.finance.error if document.finance else None)
    if error is not None:
        _refuse(reply.status, error, asked_s)
        return None
    if reply.status != HTTPStatus.OK:
        raise _by_status(reply.status, "no reason given", asked_s)
    if chart is None or not chart.result:
        raise VenueError(
            FaultKind.OUTAGE, "Yahoo answered with neither a result nor an error", retry_after_s=asked_s
        )
    return chart.result[0]


def _document(reply: HttpReply, asked_s: float | None) -> _Document:
    """Decode the body; where it cannot be, an unhappy status says enough."""
    try:
        return _decoded(reply.body)
    except WireError:
        if reply.status == HTTPStatus.OK:
            raise
        raise _by_status(reply.status, "no reason that can be read", asked_s) from None


def _decoded(body: bytes) -> _Document:
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as exc:
        raise WireError(f"yahoo: {exc}", frame=body) from exc
    except RecursionError as exc:
        raise WireError("yahoo: nested too deeply", frame=body) from exc
    except UnicodeDecodeError as exc:  # msgspec checks the text of the fields that it keeps
        raise WireError("yahoo: not UTF-8", frame=body) from exc
    except msgspec.DecodeError as exc:
        # Infinity and NaN stand bare in some adjclose columns, as yfinance met them, which is not JSON. They
        # are no numbers, so each counts as null.
        if b"Infinity" not in body and b"NaN" not in body:
            raise WireError(f"yahoo: {exc}", frame=body) from exc
    try:
        lenient = json.loads(body.decode(), parse_float=Decimal, parse_constant=lambda _: None)
        return msgspec.convert(lenient, _Document)
    except (ArithmeticError, RecursionError, ValueError) as exc:
        raise WireError(f"yahoo: {_words(str(exc))}", frame=body) from exc


def _refuse(status: int, error: _Error, asked_s: float | None) -> None:
    """Raise what *error* means, or return where it means that nothing is there."""
    code, description = error.code or "", error.description or ""
    said = description.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    text = f"Yahoo says {_words(code)!r}: {_words(description)}"
    for phrase, kind in _TEXTS:
        if phrase in said:
            if kind is None:
                return
            raise VenueError(kind, text)
    known = _CODES.get(code.casefold())
    if known is not None:
        raise VenueError(known, text)
    raise _by_status(status, text, asked_s)


def _by_status(status: int, text: str, asked_s: float | None) -> VenueError:
    """Return what is known from the status alone; an outage lasts as long as a Retry-After says."""
    match status:
        case _ if status in _AUTHORITY:
            kind = FaultKind.CREDENTIALS
        case 400 | 422:
            kind = FaultKind.REQUEST
        case (
            _
        ):  # also 404: Yahoo names an unknown symbol in words; and redirects, which lead to a consent page
            kind = FaultKind.OUTAGE
    waits = kind is FaultKind.OUTAGE
    return VenueError(kind, f"{text} (HTTP {status})", retry_after_s=asked_s if waits else None)


def _words(text: str) -> str:
    """Return *text* fit for a message: no control characters, not too long."""
    return "".join(char if char.isprintable() else " " for char in text[:_LONGEST_TEXT]).strip()

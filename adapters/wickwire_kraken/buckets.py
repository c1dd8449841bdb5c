"""The rows of a reply to OHLC: which are right, where the wrong ones stand, and what range they prove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final

import msgspec

from wickwire import MINUTE_NS, SECOND_NS, Candle, Finality, HttpReply, OhlcvQuery, Stopped, WireError
from wickwire_kraken.refusals import wire_error
from wickwire_kraken.replies import decoded

__all__ = ["DEPTH_ROWS", "candle", "covered_by", "is_wanted", "opens_of", "rows_of"]

DEPTH_ROWS: Final = 720
"""How many closed buckets OHLC reaches back. A reply holds at most these and the running one."""


class OhlcRow(msgspec.Struct, array_like=True, gc=False):
    """One bucket; those without trades are there too, flat at the previous close."""

    open_s: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    vwap: Decimal
    volume: Decimal
    count: int


_ohlc_rows: Final = msgspec.json.Decoder(list[OhlcRow]).decode
_raw_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_ohlc_row: Final = msgspec.json.Decoder(OhlcRow).decode
_open_s: Final = msgspec.json.Decoder(int).decode


def is_wanted(query: OhlcvQuery, row: OhlcRow) -> bool:
    """Say whether *row* was asked for and holds a trade; the stream leaves out those that hold none."""
    asked = query.since_ns <= row.open_s * SECOND_NS < query.until_ns
    return asked and bool(row.count or row.volume)


def candle(query: OhlcvQuery, row: OhlcRow, length_ns: int, running_ns: int) -> Candle:
    """Return *row* as a candle; the bucket that opens at *running_ns* is not over."""
    open_ns = row.open_s * SECOND_NS
    return Candle(
        query.symbol,
        query.timeframe,
        open_ns,
        open_ns + length_ns,
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        row.count,
        row.vwap,
        Finality.FORMING if open_ns >= running_ns else Finality.UNSAID,
    )


def rows_of(raw: msgspec.Raw, length_ns: int, at: str) -> tuple[list[OhlcRow], dict[int, str]]:
    """Return the rows that are right, and what is wrong with each of the others, by its open time.

    Raises:
        WireError: No row is right, or nobody can say which bucket a wrong one is about.
    """
    try:
        rows = _ohlc_rows(raw)
        if all(map(_is_finite, rows)):
            return rows, {}
    except (ValueError, RecursionError):
        pass  # the good rows are still wanted
    pieces = decoded(_raw_list, raw, at)
    judged = [_judged(piece, f"{at}[{place}]") for place, piece in enumerate(pieces)]
    rows = [row for row in judged if isinstance(row, OhlcRow)]
    wrong = {place: row for place, row in enumerate(judged) if isinstance(row, WireError)}
    if not rows:
        raise wrong[0]
    return rows, {_place_ns(place, judged, pieces, length_ns): str(why) for place, why in wrong.items()}


def _judged(piece: msgspec.Raw, at: str) -> OhlcRow | WireError:
    try:
        row = _ohlc_row(piece)
    except (ValueError, RecursionError) as exc:
        return wire_error(exc, bytes(piece), at)
    if _is_finite(row):
        return row
    return WireError("kraken: expected finite numbers", frame=bytes(piece), at=at)


def _is_finite(row: OhlcRow) -> bool:
    numbers = (row.open, row.high, row.low, row.close, row.vwap, row.volume)
    return all(number.is_finite() for number in numbers)


def _place_ns(
    place: int, judged: Sequence[OhlcRow | WireError], pieces: Sequence[msgspec.Raw], length_ns: int
) -> int:
    """Return when the bucket of a wrong row opens: as it says itself, or as its neighbours say.

    Raises:
        WireError: What it says does not fit between its neighbours.
    """
    good = [(at, row.open_s * SECOND_NS) for at, row in enumerate(judged) if isinstance(row, OhlcRow)]
    before = next(((at, ns) for at, ns in reversed(good) if at < place), None)
    after = next(((at, ns) for at, ns in good if at > place), None)
    near_at, near_ns = before or after or good[0]
    try:
        open_ns = _open_s(_raw_list(pieces[place])[0]) * SECOND_NS
    except (ValueError, RecursionError, IndexError):
        open_ns = near_ns + (place - near_at) * length_ns  # every bucket has a row
    wrong = judged[place]
    assert isinstance(wrong, WireError)
    if (before is not None and open_ns <= before[1]) or (after is not None and open_ns >= after[1]):
        raise wrong
    return open_ns


def opens_of(opens: Iterable[int], length_ns: int, reply: HttpReply) -> list[int]:
    """Return when the rows open, in order.

    Raises:
        WireError: They are apart by something else than the interval asked for; since a bucket without
            trades has a row too, neighbours are apart by exactly that.
    """
    opens = sorted(set(opens))
    apart_ns = min((later - open_ns for open_ns, later in pairwise(opens)), default=length_ns)
    if apart_ns != length_ns:
        apart, asked = (f"{ns // MINUTE_NS} min" for ns in (apart_ns, length_ns))
        raise WireError(f"kraken: the rows are {apart} apart, asked for were {asked}", frame=reply.body)
    return opens


def covered_by(query: OhlcvQuery, opens: Sequence[int], length_ns: int) -> tuple[tuple[int, int], Stopped]:
    """Return the range that a reply with rows at *opens* proves, and why it begins there.

    A bucket without trades has a row too, so a missing row proves nothing: the newest run of rows counts.
    """
    if not opens:
        return (query.since_ns, query.since_ns), Stopped.VENUE_LIMIT
    start_ns = end_ns = opens[0]
    for open_ns in opens:
        if open_ns >= query.until_ns:
            break
        if open_ns > end_ns:
            start_ns = open_ns
        end_ns = open_ns + length_ns
    if start_ns < query.since_ns + length_ns:
        start_ns = query.since_ns  # no bucket opens in between
    start_ns = min(start_ns, query.until_ns)
    end_ns = max(start_ns, min(end_ns, query.until_ns, opens[-1]))
    if start_ns == query.since_ns:
        return (start_ns, end_ns), Stopped.UNTIL
    youngest = len(opens) < DEPTH_ROWS and start_ns <= opens[0]
    return (start_ns, end_ns), Stopped.VENUE_START if youngest else Stopped.VENUE_LIMIT

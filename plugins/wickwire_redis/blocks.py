"""What the hot layer holds in Redis: of each series a block, which is one key, and one key that says how far.

A block is a sorted set whose members all have the score 0, so that they are ordered by their bytes:

    !ORIGIN:FROM                        its head: it holds every candle that opens at FROM or later
    OPENS SEQ [close_ns, open, ...]     a candle each, by when it opens

Times are 20 digits, nanoseconds above the smallest of 64 bits; a seq is 16 digits. So what a range holds is
found to the nanosecond, and a script compares times and numbers as text. Why so: decision 125.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Final

import attrs
import msgspec

from wickwire import CandleState, Evidence, Rung, Series, SeriesCandle
from wickwire_redis.rows import DamagedError

__all__ = ["FORM", "Head", "State", "candle_of_member", "mark_of", "member_of", "time_text"]

FORM: Final = b"1"
"""How blocks are written; a layer of another form is not read, and is begun anew."""

_OFFSET: Final = 2**63
_TIME: Final = 20
_SEQ: Final = 16
_EVIDENCE: Final = {str(one): one for one in Evidence}


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """What is in a member behind open time and seq; numbers are text, with the digits received."""

    close_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trade_count: int | None
    vwap: Decimal | None
    state: str
    evidence: str | None
    revision: int
    healed: bool
    route: str
    first_seq: int


_ENCODE: Final = msgspec.json.Encoder(decimal_format="string").encode
_DECODE: Final = msgspec.json.Decoder(_Row).decode


@attrs.frozen(kw_only=True)
class State:
    """How far the layer is, as its key says.

    Attributes:
        origin: From which beginning on it was fed without a break; blocks of another one do not count.
        seq: Every block of this origin holds what was committed up to here, and nothing that came later.
        mark: Of the commit *seq*, by which its store is known; empty before the first.
        writer: Who fed it last.
        age_s: How long ago the last writer saw that this was all there was, by the server's clock.
    """

    origin: bytes
    seq: int
    mark: bytes
    writer: bytes
    age_s: float

    @classmethod
    def of(cls, fields: list[bytes | None], time: list[bytes]) -> State | None:
        """Read it from HMGET form, origin, seq, mark, writer, at, and TIME; None where it is none."""
        form, origin, seq, mark, writer, at_ms = fields
        if form != FORM or origin is None or seq is None or mark is None or writer is None or at_ms is None:
            return None
        try:
            now_ms = int(time[0]) * 1_000 + int(time[1]) // 1_000
            age_s = (now_ms - int(at_ms)) / 1_000
            return cls(origin=origin, seq=int(seq), mark=mark, writer=writer, age_s=age_s)
        except ValueError:
            return None


@attrs.frozen
class Head:
    """The first member of a block: to which origin it belongs, and from when on it holds everything."""

    origin: bytes
    since_ns: int

    @classmethod
    def of(cls, member: bytes) -> Head:
        """Read it; raises DamagedError where it is none."""
        try:
            origin, since = member.removeprefix(b"!").split(b":")
            return cls(origin, int(since) - _OFFSET)
        except ValueError as exc:
            raise DamagedError(f"{exc} in the block that begins with {member[:80]!r}") from exc

    @staticmethod
    def member(origin: str, since_ns: int) -> str:
        """Write it."""
        return f"!{origin}:{time_text(since_ns)}"


def time_text(ns: int) -> str:
    """Return *ns*, of 64 bits, as text that is ordered as the times are."""
    return f"{max(ns + _OFFSET, 0):0{_TIME}d}"


def member_of(candle: SeriesCandle) -> bytes:
    """Return the member of a block that *candle* is."""
    row = _Row(
        candle.close_ns,
        candle.open,
        candle.high,
        candle.low,
        candle.close,
        candle.volume,
        candle.trade_count,
        candle.vwap,
        str(candle.state),
        None if candle.evidence is None else str(candle.evidence),
        candle.revision,
        candle.healed,
        str(candle.route),
        candle.first_seq,
    )
    return f"{time_text(candle.open_ns)}{candle.seq:0{_SEQ}d}".encode() + _ENCODE(row)


def candle_of_member(series: Series, member: bytes) -> SeriesCandle:
    """Return the candle of *series* that a member of its block is.

    Raises:
        DamagedError: It is none.
    """
    try:
        row = _DECODE(member[_TIME + _SEQ :])
        return SeriesCandle(
            series,
            int(member[:_TIME]) - _OFFSET,
            row.close_ns,
            row.open,
            row.high,
            row.low,
            row.close,
            row.volume,
            row.trade_count,
            row.vwap,
            CandleState(row.state),
            None if row.evidence is None else _EVIDENCE[row.evidence],
            revision=row.revision,
            healed=row.healed,
            route=Rung(row.route),
            seq=int(member[_TIME : _TIME + _SEQ]),
            first_seq=row.first_seq,
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, KeyError) as exc:
        raise DamagedError(f"{exc} in a block of {series}") from exc


def mark_of(world: str, candle: SeriesCandle) -> str:
    """Return by what a commit is known again: the same in one store, and in no other.

    The evidence is left out, which a store raises without a commit.
    """
    said = (
        *(world, str(candle.series), candle.open_ns, candle.close_ns, candle.seq, candle.first_seq),
        *(candle.revision, str(candle.route), candle.healed, candle.trade_count, candle.vwap),
        *(candle.open, candle.high, candle.low, candle.close, candle.volume),
    )
    text = "\0".join(str(one) for one in said).encode(errors="backslashreplace")
    return hashlib.blake2b(text, digest_size=8).hexdigest()

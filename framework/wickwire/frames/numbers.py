"""Columns of decimals from their text: all at once where a column is plain, else number by number.

Arrow reads a decimal from its text in a tenth of the time that Python takes, but says nothing where more
digits stand before the point than the column has room for, and forgets the sign of minus zero. So a column
is looked at as a whole first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

import attrs
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["PRECISION", "NumberColumn", "all_decimals", "column_of"]

PRECISION: Final = 38
_NONE: Final = 63
"""Stands for no number among the decimals of a column, which has at most `PRECISION`."""
_STEP: Final = 64


@attrs.frozen
class NumberColumn:
    """What a column holds of some numbers.

    Attributes:
        numbers: The decimals; null where there is no number, or the column cannot hold it.
        decimals: How many decimals were written of each; an array of integers from a plain column, else the
            words that say so.
        beyond: The text of what the column cannot hold, by its row.
    """

    numbers: pa.Array
    decimals: pa.Array | Sequence[str]
    beyond: Mapping[int, str] = {}


def column_of(written: pa.Array, kind: pa.Decimal128Type) -> NumberColumn:
    """Return the numbers of which the text is *written*, in a column of *kind*.

    Raises:
        ValueError: A text is no number.
    """
    point = pc.find_substring(written, ".")
    length = pc.cast(pc.binary_length(written), pa.int32())
    whole = pc.if_else(pc.less(point, 0), length, point)
    decimals = pc.if_else(pc.less(point, 0), 0, pc.subtract(pc.subtract(length, point), 1))
    has_room = _most(whole) <= PRECISION - kind.scale and _most(decimals) <= kind.scale
    if has_room and not pc.any(pc.match_substring_regex(written, "[^0-9.]")).as_py():
        try:
            numbers = written.cast(kind)
        except pa.ArrowInvalid:  # it is no number at all
            pass
        else:
            return NumberColumn(numbers, pc.cast(pc.fill_null(decimals, _NONE), pa.int64()))
    return _one_by_one(written.to_pylist(), kind)


def all_decimals(columns: Sequence[pa.Array | Sequence[str]]) -> pa.Array:
    """Return the decimals of several columns, a text a row, such as `"1 1 1 1 8 -"`."""
    plain = [column for column in columns if isinstance(column, pa.Array)]
    if len(plain) < len(columns):
        words = [_words(column) for column in columns]
        return pa.array(map(" ".join, zip(*words, strict=True)), pa.string())
    code = plain[0]
    for column in plain[1:]:  # one number for all columns: few of them are different
        code = pc.add(pc.multiply(code, _STEP), column)
    found = code.dictionary_encode()
    names = []
    for number in found.dictionary.to_pylist():
        shares = [number // _STEP**place % _STEP for place in reversed(range(len(columns)))]
        names.append(" ".join(_words(shares)))
    return pa.array(names, pa.string()).take(found.indices)


def _most(lengths: pa.Array) -> int:
    return pc.max(lengths).as_py() or 0


def _one_by_one(texts: Sequence[str | None], kind: pa.Decimal128Type) -> NumberColumn:
    held: list[Decimal | None] = []
    words: list[str] = []
    beyond: dict[int, str] = {}
    for row, text in enumerate(texts):
        try:
            number = None if text is None else Decimal(text)
        except InvalidOperation as exc:
            raise ValueError(f"not a number: {text!r}") from exc
        exponent = None if number is None else number.as_tuple().exponent
        words.append(str(-exponent) if isinstance(exponent, int) else "-")
        if number is not None and not _fits(number, kind.scale):
            beyond[row] = str(number)
            number = None
        held.append(number)
    return NumberColumn(pa.array(held, kind), words, beyond)


def _fits(number: Decimal, scale: int) -> bool:
    """Say whether a column with *scale* decimals holds all of *number*; none knows minus zero."""
    if not number.is_finite() or (not number and number.is_signed()):
        return False
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -scale and number.adjusted() < PRECISION - scale


def _words(decimals: pa.Array | Sequence[int] | Sequence[str]) -> Sequence[str]:
    """Return how many decimals there are as `decimals` says it; `-` where there is no number."""
    counts = decimals.to_pylist() if isinstance(decimals, pa.Array) else decimals
    return ["-" if one == _NONE else str(one) for one in counts]

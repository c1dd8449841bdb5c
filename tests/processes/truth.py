"""The verdict: what a store holds, asked of wickwire's own commands, beside what the market knows."""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tests.processes.programs import said
from wickwire import HOUR_NS, Series, Timeframe, Utc, iso, parse_instant
from wickwire.simulate import SeededMarket

__all__ = ["differences", "holes", "stored"]

_NUMBERS: Final = ("open", "high", "low", "close", "volume")
_NS: Final = 10**9


def stored(series: str, cwd: Path, store: str = "sqlite:wickwire.db") -> list[dict[str, str]]:
    """Return the rows that `export` writes of *series*, in order."""
    export = said("export", series, "--store", store, cwd=cwd)
    assert export.returncode == 0, export.stderr
    return list(csv.DictReader(io.StringIO(export.stdout)))


def holes(
    series: Sequence[str], cwd: Path, store: str = "sqlite:wickwire.db"
) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit status of `gaps`, and what it says."""
    gaps = said("gaps", *series, "--store", store, "--json", cwd=cwd)
    return gaps.returncode, json.loads(gaps.stdout)


def differences(
    series: str,
    cwd: Path,
    seed: int,
    acknowledged: Iterable[Mapping[str, Any]],
    *,
    store: str = "sqlite:wickwire.db",
) -> list[str]:
    """Return what is wrong with what *store* holds of *series*; empty when nothing is.

    Wrong is: a candle twice, one that the market never had, another value, one that is missing without a
    hole that says so, a hole, and a candle that was acknowledged and is not there as it was.
    """
    status, [gap] = holes([series], cwd, store)
    rows = stored(series, cwd, store)
    known = {row["open_time"]: row for row in rows}
    true = _true(Series.parse(series), seed, gap["since"], gap["until"])
    wrong = [f"hole {hole}" for hole in gap["holes"]]
    if (status, gap["duplicates"]) != (4 if wrong else 0, 0):
        wrong.append(f"gaps ended with {status} and counts {gap['duplicates']} duplicates")
    if len(known) != len(rows) or len(rows) != gap["candles"]:
        wrong.append(f"{len(rows)} rows, {len(known)} open times, {gap['candles']} by gaps")
    wrong += [f"missing {time}" for time in true if time not in known]
    wrong += [f"invented {time}" for time in known if time not in true]
    exact = series.startswith("kraken")
    wrong += [
        f"{time}: stored {known[time]}, true {candle}"
        for time, candle in true.items()
        if time in known and not _same(known[time], candle, exact=exact)
    ]
    wrong += [
        f"acknowledged {candle}, stored {known.get(candle['open_time'])}"
        for candle in acknowledged
        if candle["series"] == series and not _kept(candle, known.get(candle["open_time"]))
    ]
    return wrong


def _true(series: Series, seed: int, since: str, until: str) -> dict[str, dict[str, str]]:
    since_ns, until_ns = parse_instant(since), parse_instant(until)
    market = SeededMarket(seed, since_ns // _NS * _NS - HOUR_NS)
    assert isinstance(series.what, Timeframe)
    return {
        iso(candle.open_ns): {name: f"{getattr(candle, name):f}" for name in _NUMBERS}
        for candle in market.candles(series.symbol, series.what, since_ns, until_ns, grid=Utc())
        if candle.close_ns <= until_ns
    }


def _same(row: Mapping[str, str], true: Mapping[str, str], *, exact: bool) -> bool:
    """Say whether all numbers agree, for Yahoo as far as the 32-bit floats go that it sends."""
    if exact:
        return all(Decimal(row[name]) == Decimal(true[name]) for name in _NUMBERS)
    return Decimal(row["volume"]) == Decimal(true["volume"]) and all(
        struct.pack("<f", float(row[name])) == struct.pack("<f", float(true[name])) for name in _NUMBERS[:4]
    )


def _kept(candle: Mapping[str, Any], row: Mapping[str, str] | None) -> bool:
    if row is None or int(row["revision"]) < candle["revision"]:
        return False
    return int(row["revision"]) > candle["revision"] or all(row[name] == candle[name] for name in _NUMBERS)

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


def stored(series: str | Sequence[str], cwd: Path) -> list[dict[str, str]]:
    """Return the rows that `export` writes of *series*, in order."""
    names = [series] if isinstance(series, str) else series
    export = said("export", *names, cwd=cwd)
    assert export.returncode == 0, export.stderr
    return list(csv.DictReader(io.StringIO(export.stdout)))


def holes(series: Sequence[str], cwd: Path) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit status of `gaps`, and what it says."""
    gaps = said("gaps", *series, "--json", cwd=cwd)
    assert gaps.stdout, gaps.stderr
    return gaps.returncode, json.loads(gaps.stdout)


def differences(
    series: Sequence[str], cwd: Path, seed: int, acknowledged: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Return what is wrong with what the store in *cwd* holds of *series*; empty when nothing is.

    Wrong is: a candle twice, one that the market never had, another value, one that is missing without a
    hole that says so, a hole, and a candle that was acknowledged and is not there as it was.
    """
    status, gaps = holes(series, cwd)
    rows: dict[str, list[dict[str, str]]] = {name: [] for name in series}
    for row in stored(series, cwd):
        rows[row["series"]].append(row)
    told: dict[str, list[Mapping[str, Any]]] = {name: [] for name in series}
    for candle in acknowledged:
        told[candle["series"]].append(candle)
    wrong = [line for gap in gaps for line in _wrong(gap, rows[gap["series"]], seed)]
    if [gap["series"] for gap in gaps] != list(series) or (status == 4) != any(gap["holes"] for gap in gaps):
        wrong.append(f"gaps ended with {status} and told {gaps}")
    for name in series:
        known = {row["open_time"]: row for row in rows[name]}
        wrong += [
            f"told {one}, not kept" for one in told[name] if not _kept(one, known.get(one["open_time"]))
        ]
    return wrong


def _wrong(gap: Mapping[str, Any], rows: Sequence[Mapping[str, str]], seed: int) -> list[str]:
    """Return what is wrong with the rows of one series, of which `gaps` said *gap*."""
    name = gap["series"]
    known = {row["open_time"]: row for row in rows}
    true = _true(Series.parse(name), seed, gap["since"], gap["until"])
    wrong = [f"{name}: hole {hole}" for hole in gap["holes"]]
    if gap["duplicates"] or len(known) != len(rows) or len(rows) != gap["candles"]:
        wrong.append(f"{name}: {len(rows)} rows, {len(known)} open times, {gap}")
    wrong += [f"{name}: missing {time}" for time in true if time not in known]
    wrong += [f"{name}: invented {time}" for time in known if time not in true]
    return wrong + [
        f"{name}: stored {known[time]}, true {candle}"
        for time, candle in true.items()
        if time in known and not _same(known[time], candle, exact=name.startswith("kraken"))
    ]


def _true(series: Series, seed: int, since: str, until: str) -> dict[str, dict[str, str]]:
    """Return the candles that the market has in the range, by open time."""
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

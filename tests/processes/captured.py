"""What a capture of real frames proves, read by the standard library alone: an independent opinion."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

__all__ = ["Rows", "kraken_rest", "kraken_stream", "loaded", "yahoo_chart"]

Rows = dict[str, tuple[Decimal, ...]]
"""Open time to open, high, low, close and volume."""

_YAHOO_SECONDS: Final = {"1m": 60, "2m": 120, "5m": 300, "15m": 900, "30m": 1_800, "60m": 3_600, "1h": 3_600}


def loaded(text: str) -> Any:
    """Return what JSON says, each digit of it."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def kraken_stream(path: Path) -> dict[str, Rows]:
    """Return the candles that are closed in a capture of ohlc frames, by series.

    The last frame of a candle counts, and it is closed when a later one of its series was sent.
    """
    rows: dict[str, Rows] = {}
    for line in path.read_text().splitlines():
        frame = loaded(line)
        if frame.get("channel") == "ohlc":
            for row in frame["data"]:
                series = f"kraken:{row['symbol']}@{_timeframe(int(row['interval']))}"
                begin = f"{row['interval_begin'][:19]}Z"
                rows.setdefault(series, {})[begin] = tuple(
                    row[name] for name in ("open", "high", "low", "close", "volume")
                )
    return {
        series: {time: row for time, row in found.items() if time < max(found)}
        for series, found in rows.items()
    }


def _timeframe(minutes: int) -> str:
    for size, unit in ((1_440, "d"), (60, "h")):
        if minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"


def kraken_rest(path: Path) -> Iterator[tuple[str, Rows, str]]:
    """Yield the series of a reply to OHLC, its closed candles, and a time when the last row is forming."""
    result = loaded(path.read_text())["result"]
    for symbol, table in result.items():
        if not isinstance(table, list) or not isinstance(table[0][0], Decimal):
            continue
        times = [int(row[0]) for row in table]
        step = min(later - earlier for earlier, later in pairwise(times))
        rows = {
            _time(int(row[0])): tuple(Decimal(row[place]) for place in (1, 2, 3, 4, 6)) for row in table[:-1]
        }
        yield f"kraken:{symbol}@{_timeframe(step // 60)}", rows, _time(times[-1] + step // 2)


def yahoo_chart(path: Path, expected: Mapping[str, Any]) -> tuple[str, Rows, str]:
    """Return the series of a chart, its candles on the grid, and when it was recorded."""
    [result] = loaded(path.read_text())["chart"]["result"]
    meta, [quote] = result["meta"], result["indicators"]["quote"]
    off = {int(one) for one in expected["off_grid"]}
    rows = {
        _time(int(time)): tuple(quote[name][place] for name in ("open", "high", "low", "close", "volume"))
        for place, time in enumerate(result["timestamp"])
        if int(time) not in off
    }
    assert meta["dataGranularity"] in _YAHOO_SECONDS
    return f"yahoo:{meta['symbol']}@{meta['dataGranularity']}", rows, _time(int(expected["recorded_at"]))

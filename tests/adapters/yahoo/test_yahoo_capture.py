"""A recorded reply against what was expected of it by somebody else."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.yahoo.talk import opens, page, query
from wickwire import Finality

CAPTURES = os.environ.get("WICKWIRE_CAPTURES")
NAME = "rest.yfinance_7974T_1h"

pytestmark = pytest.mark.skipif(not CAPTURES, reason="WICKWIRE_CAPTURES names no folder of recorded replies")


@pytest.fixture
def recorded() -> tuple[bytes, dict[str, Any]]:
    folder = Path(CAPTURES or "") / "yahoo"
    expected: dict[str, Any] = json.loads((folder / f"{NAME}.expect.json").read_text())
    return (folder / f"{NAME}.json").read_bytes(), expected


def test_exactly_the_rows_on_the_grid_are_candles_with_their_digits(recorded: tuple[bytes, dict[str, Any]]):
    content, expected = recorded
    result = json.loads(content, parse_float=Decimal, parse_int=Decimal)["chart"]["result"][0]
    quote = result["indicators"]["quote"][0]
    names = ("open", "high", "low", "close", "volume")
    kept: list[tuple[Any, ...]] = [
        (int(stamp), *map(str, values))
        for stamp, *values in zip(result["timestamp"], *(quote[name] for name in names), strict=True)
        if stamp not in expected["off_grid"]
    ]
    asked = query(
        int(kept[0][0]), expected["recorded_at"], symbol="7974.T", timeframe="1h", now=expected["recorded_at"]
    )

    found = page(asked, content)

    assert len(found.candles) == expected["on_grid_rows"]
    assert [
        (stamp, *(str(getattr(candle, name)) for name in names))
        for stamp, candle in zip(opens(found), found.candles, strict=True)
    ] == kept
    assert {candle.finality for candle in found.candles} == {Finality.CLOSED}

"""DXLink as others recorded it, against what an independent client read in the same frames.

The recordings are third-party data and stay outside the repository; WICKWIRE_CAPTURES names their folder.
"""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import wickwire_dxlink
from wickwire import Ask, Candle, Fault, Ready, Send, SnapshotDone, Timeframe, Topic
from wickwire_dxlink import stream
from wickwire_dxlink.dialogue import Session

CAPTURES = Path(os.environ.get("WICKWIRE_CAPTURES", "/nonexistent"), "dxlink")

pytestmark = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason="WICKWIRE_CAPTURES is not set, or has no folder dxlink: no captures here"
)


def recorded(name):
    frames = (CAPTURES / f"{name}.jsonl").read_bytes().splitlines()
    return frames, json.loads((CAPTURES / f"{name}.expect.json").read_text())


@pytest.mark.parametrize("asked", [False, True])
def test_the_candles_of_an_index(asked):
    """Asked as `{=1h}`, answered as `{=h}`, numbers as texts; the row that marks the end is no candle."""
    frames, expected = recorded("ws.native_hour")
    memory = Session()
    symbol, hour = expected["requested_symbol"].partition("{")[0], Timeframe.parse("1h")
    if asked:
        wickwire_dxlink.subscribe([Ask(Topic(symbol, hour))], (), memory)
    heard = [event for frame in frames for event in wickwire_dxlink.parse(frame, memory)]

    rows = [event for event in heard if isinstance(event, Candle)]
    names = ("open", "high", "low", "close", "volume")
    assert [
        (row["time_ms"] * 1_000_000, *(Decimal(row[name]) for name in names)) for row in expected["candles"]
    ] == [(row.open_ns, *(getattr(row, name) for name in names)) for row in rows]
    assert ({symbol}, {hour}) == ({row.symbol for row in rows}, {row.timeframe for row in rows})
    assert expected["snapshot_complete"] == (SnapshotDone(Topic(symbol, hour)) in heard)
    assert len(heard) == len(rows) + 1


def test_the_session_that_tastytrade_documents(monkeypatch):
    """Its FEED_CONFIG names no fields, so those count that were asked for; a last price is read, no trade."""
    frames, expected = recorded("ws.tastytrade_docs")
    read: list[Any] = []

    def reading(row: Any, _: Session) -> Any:
        read.append(row)
        return (), None

    monkeypatch.setitem(stream._EVENTS, "Trade", reading)
    memory = Session("sim-token")
    heard = [event for frame in frames for event in wickwire_dxlink.parse(frame, memory)]

    assert [] == [event for event in heard if not isinstance(event, Send | Ready)]
    assert [(one["eventSymbol"], one["price"], one["size"]) for one in expected["events"]] == [
        (row[0], str(row[1]), None if row[2] == "NaN" else str(int(row[2]))) for row in read
    ]


def test_no_recorded_frame_is_a_fault():
    for path in CAPTURES.glob("ws.*.jsonl"):
        if ".sent." in path.name:
            continue
        memory = Session("sim-token")
        heard = [
            event
            for frame in path.read_bytes().splitlines()
            for event in wickwire_dxlink.parse(frame, memory)
        ]
        assert [] == [event for event in heard if isinstance(event, Fault)]

"""One store, several processes: collectors that share it, and readers that look into it meanwhile."""

from __future__ import annotations

import json

import pytest

from tests.processes.programs import said
from tests.processes.scene import BITCOIN, ETHER, scene

pytestmark = pytest.mark.slow

SOLANA = "kraken:SOL/USD@1m"


def test_two_collectors_of_the_same_series_leave_it_whole(tmp_path):
    """Each tells what it stored first; together they tell every candle, and one dies on the way."""
    with scene(tmp_path, 41) as there, there.collector(BITCOIN, ETHER) as one:
        with there.collector(BITCOIN, SOLANA) as other:
            one.wait_for_candles(3)
            other.wait_for_candles(4)
            other.process.kill()
            other.ended()
        there.finish(one, BITCOIN, ETHER)
        with there.collector(SOLANA) as last:
            there.finish(last, SOLANA)
        told = [*one.candles, *other.candles, *last.candles]
        assert [] == there.differences(told, BITCOIN, ETHER, SOLANA)
        firsts = [(one["series"], one["open_time"]) for one in told if not one["revision"]]
        assert len(firsts) == len(set(firsts))


def test_readers_see_whole_candles_while_a_collector_writes(tmp_path):
    """`gaps` and `export` succeed, agree with what was acknowledged, and hold nobody up."""
    with scene(tmp_path, 42) as there, there.collector(BITCOIN, ETHER) as collector:
        collector.wait_for_candles(2)
        seen = 0
        for _ in range(4):
            acknowledged = [one["open_time"] for one in collector.candles if one["series"] == BITCOIN]
            gaps = said("gaps", BITCOIN, "--json", cwd=tmp_path)
            export = said("export", BITCOIN, cwd=tmp_path)
            assert (gaps.returncode, gaps.stderr, export.returncode, export.stderr) == (0, "", 0, "")
            [gap] = json.loads(gaps.stdout)
            rows = [line.split(",")[1] for line in export.stdout.splitlines()[1:]]
            assert set(acknowledged) <= set(rows)
            assert seen <= gap["candles"] <= len(rows) == len(set(rows))
            seen = gap["candles"]
        there.finish(collector, BITCOIN, ETHER)
        assert [] == there.differences(collector.candles, BITCOIN, ETHER)

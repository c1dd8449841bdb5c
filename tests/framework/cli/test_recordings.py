"""`record`, `replay`, `collect --replay`: what was recorded is collected again, candle for candle."""

import json
import os
from operator import itemgetter
from pathlib import Path

import pytest

from tests.framework.cli.conftest import Shell, interrupt

SPEED = ("--speed", 100)


def values(lines):
    """What a candle is, without how it was learnt."""
    names = ("series", "open_time", "close_time", "open", "high", "low", "close", "volume")
    return {tuple(line[name] for name in names) for line in lines}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A recording of Kraken's stream and REST, and the candles that were collected meanwhile."""
    there = Shell(tmp_path_factory.mktemp("recorded"))
    there.told = there.lines("record", "kraken:BTC/USD@1m", "k.jsonl", "--simulate", *SPEED, "--for", "4s")
    return there


def test_a_recording_is_one_file_for_its_owner_alone(recorded):
    assert recorded.files() == ["k.jsonl"]
    assert (recorded.folder / "k.jsonl").stat().st_mode & 0o777 == 0o600
    assert len(recorded.told) >= 3


def test_a_recording_never_overwrites(recorded):
    done = recorded.run("record", "kraken:BTC/USD@1m", "k.jsonl", "--simulate", "--for", "1s", status=2)

    assert "the file exists" in done.stderr


def test_what_was_recorded_is_collected_exactly(recorded, shell):
    """The series are told by the recording, the clock is set to its time."""
    lines = shell.lines(
        "collect", "--replay", recorded.folder / "k.jsonl", *SPEED, "--for", "4s", "--store", "memory:"
    )

    told, again = values(recorded.told), values(lines)
    assert again <= told, "nothing was invented"
    # The first minute is collected whole only by who was there when it began; at this speed that is luck.
    assert told - again <= {min(told, key=itemgetter(1))}
    assert len(again) >= 2


def test_a_replay_prints_the_command_that_collects_from_it(recorded, shell):
    process = shell.start("replay", recorded.folder / "k.jsonl", "--speed", 100, "--json")
    try:
        served = json.loads(process.stdout.readline())
        command = served["command"]
        assert command[:3] == ["wickwire", "collect", "kraken:BTC/USD@1m"]
        lines = shell.lines(*command[1:], "--for", "3s", "--store", "memory:")
    finally:
        status, _, _ = interrupt(process)

    assert status == 130
    assert values(lines) <= values(recorded.told)
    assert lines


def test_a_polled_venue_is_recorded_and_replayed(shell):
    shell.run("record", "yahoo:BTC/USD@1m", "y.jsonl", "--simulate", *SPEED, "--for", "4s", "--since", "30m")

    run = ("collect", "yahoo:BTC/USD@1m", "--replay", "y.jsonl", "--since", "30m", *SPEED, "--for", "4s")
    lines = shell.lines(*run, "--store", "memory:")

    assert len(values(lines)) >= 25


def test_a_folder_and_a_venue_can_be_named(recorded, shell):
    process = shell.start("replay", recorded.folder, "--json")
    try:
        assert json.loads(process.stdout.readline())["venues"] == ["kraken"]
    finally:
        interrupt(process)


@pytest.mark.parametrize("name", ["ws.ccxt.ohlc.jsonl", "ws.capture_20261006.jsonl"])
def test_a_real_capture_is_collected(shell, name):
    """Frames of the real venue, without times: the clock is set to the last of them."""
    captures = os.environ.get("WICKWIRE_CAPTURES")
    if not captures:
        pytest.skip("WICKWIRE_CAPTURES names no folder of captures")
    capture = Path(captures) / "kraken" / name

    lines = shell.lines("collect", "--replay", capture, "--for", "2s", "--store", "memory:")

    held = {
        (row["symbol"], row["interval_begin"][:19], row["close"])
        for text in capture.read_text().splitlines()
        if (frame := json.loads(text, parse_float=str, parse_int=str)).get("channel") == "ohlc"
        for row in frame["data"]
    }
    assert lines
    assert {("BTC/USD", line["open_time"][:19], line["close"]) for line in lines} <= held

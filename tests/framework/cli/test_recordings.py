"""`record`, `replay`, `collect --replay`: what was recorded is collected again, candle for candle."""

import json
import os
from operator import itemgetter
from pathlib import Path

import pytest

from tests.framework.cli.conftest import FAST, FIVE_MINUTES, Shell, interrupt

SPEED = ("--speed", FAST)
SLOWLY = ("--speed", FAST // 4)


def values(lines):
    """What a candle is, without how it was learnt."""
    names = ("series", "open_time", "close_time", "open", "high", "low", "close", "volume")
    return {tuple(line[name] for name in names) for line in lines}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A recording of Kraken's stream and REST, and the candles that were collected meanwhile."""
    there = Shell(tmp_path_factory.mktemp("recorded"))
    there.told = there.lines("record", "kraken:BTC/USD@1m", "k.jsonl", "--simulate", *SPEED, *FIVE_MINUTES)
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
    lines = shell.lines("collect", "--replay", recorded.folder / "k.jsonl", *SLOWLY, "--store", "memory:")

    told, again = values(recorded.told), values(lines)
    assert again <= told, "nothing was invented"
    # A minute is collected whole only by who was there when it began; a busy machine may be late.
    first = min(again, key=itemgetter(1))
    assert all(one[1] < first[1] for one in told - again), "from the first candle on nothing is missing"
    assert len(again) >= 2


def test_a_replay_prints_the_command_that_collects_from_it(recorded, shell):
    process = shell.start("replay", recorded.folder / "k.jsonl", "--speed", FAST, "--json")
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
    shell.run(
        *("record", "yahoo:BTC/USD@1m", "y.jsonl", "--since", "2026-11-20T14:30:00Z", "--simulate"),
        *(*SPEED, *FIVE_MINUTES),
    )

    run = ("collect", "yahoo:BTC/USD@1m", "--replay", "y.jsonl", "--since", "2026-11-20T14:30:00Z", *SPEED)
    lines = shell.lines(*run, "--store", "memory:")

    assert len(values(lines)) >= 25


def test_collecting_from_a_recording_ends_with_it(recorded, shell):
    """No --for: what was recorded is all there is, and its candles are simulated here as they were there."""
    shell.run("collect", "--replay", recorded.folder / "k.jsonl", *SPEED)

    [row] = shell.json("gaps")
    assert row["candles"] >= 2
    assert "simulated venues, seed 1" in shell.run("doctor").stdout
    shell.run("collect", "kraken:BTC/USD@1m", "--simulate", "--seed", 2, "--for", "1s", status=2)


def test_a_polled_recording_says_its_series_and_ends(shell):
    shell.run("record", "yahoo:BTC/USD@1m", "y.jsonl", "--simulate", *SPEED, *FIVE_MINUTES)

    shell.run("collect", "--replay", "y.jsonl", *SPEED)

    [row] = shell.json("gaps")
    assert ("yahoo:BTC/USD@1m", []) == (row["series"], row["holes"])
    assert row["candles"] >= 2


@pytest.mark.parametrize("series", ["kraken:BTC/USD@1m", "yahoo:BTC/USD@1m"])
def test_a_replay_and_the_command_that_it_prints_both_end(shell, series):
    shell.run("record", series, "r.jsonl", "--simulate", *SPEED, *FIVE_MINUTES)
    with shell.start("replay", "r.jsonl", *SPEED, "--once", "--json") as process:
        try:
            command = json.loads(process.stdout.readline())["command"]
            assert series in command
            shell.run(*command[1:])
            _, told = process.communicate(timeout=30)
        except BaseException:
            process.kill()
            raise

    assert process.returncode == 0
    assert told.startswith(("everything recorded has been served", "the recorded time is over; nobody asked"))
    assert told.endswith("ends when everybody has left\n")
    assert shell.json("gaps")[0]["candles"] >= 3


def test_a_replay_says_when_everything_has_been_served_and_serves_on(recorded, shell):
    process = shell.start("replay", recorded.folder / "k.jsonl", "--speed", FAST, "--json")
    try:
        command = json.loads(process.stdout.readline())["command"]
        shell.run(*command[1:], "--store", "memory:")
        assert process.stderr.readline().endswith("; still serving; Ctrl-C ends it\n")
        shell.run(*command[1:], "--store", "memory:")
    finally:
        status, _, _ = interrupt(process)

    assert status == 130


NOWHERE = (
    *("--redirect", "wss://ws.kraken.com=ws://127.0.0.1:1"),
    *("--redirect", "https://api.kraken.com=http://127.0.0.1:1"),
)


def test_where_the_venue_says_nothing_there_is_no_recording(shell):
    done = shell.run("record", "kraken:BTC/USD@1m", "r.jsonl", *NOWHERE, "--for", "2s", status=1)

    assert "recording r.jsonl: the venue said nothing, so there is no file" in done.stderr
    assert shell.files() == []


def test_how_a_venue_refused_is_recorded_and_said(shell):
    done = shell.run("record", "kraken:FOO/BAR@1m", "r.jsonl", "--simulate", "--for", "20s", status=1)

    assert "lines, which show how it failed" in done.stderr
    assert "not supported" in (shell.folder / "r.jsonl").read_text()


@pytest.mark.parametrize("command", [["replay"], ["collect", "--replay"]])
def test_a_recording_in_which_nothing_is_said_is_refused(recorded, shell, command):
    header = (recorded.folder / "k.jsonl").read_text().partition("\n")[0]
    (shell.folder / "r.jsonl").write_text(f"{header}\n")

    done = shell.run(*command, "r.jsonl", status=2)

    assert done.stderr == "error: replay r.jsonl: the venue says nothing in it; record it again\n"


@pytest.mark.parametrize("command", [["replay"], ["collect", "--replay"]])
@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ('{"wickwire":"recording","version":1,"ven', "a recording whose first line is broken"),
        ('{"wickwire":"recording"}', "a recording whose first line is broken"),
        ("what is this", "taken for a capture of 'rp': there is no adapter 'rp'"),
    ],
)
def test_a_broken_recording_is_named_as_one(shell, command, line, phrase):
    (shell.folder / "rp").mkdir()
    (shell.folder / "rp" / "r.jsonl").write_text(line)

    done = shell.run(*command, "rp/r.jsonl", status=2)

    assert done.stderr.startswith("error: replay rp/r.jsonl: ")
    assert phrase in done.stderr


def test_a_polled_recording_can_be_made_of_a_venue_that_streams(shell):
    shell.run(
        *("record", "kraken:BTC/USD@1m", "r.jsonl", "--route", "poll", "--simulate"),
        *("--at", "2026-11-20T15:00:00Z", "--until", "2026-11-20T15:02:00Z", *SPEED),
    )

    lines = [json.loads(line) for line in (shell.folder / "r.jsonl").read_text().splitlines()]
    assert {"http"} == {line["what"] for line in lines[1:]}
    assert lines[0]["started"].startswith("2026-11-20T15:00:")


@pytest.mark.parametrize(
    ("recorded_by", "collected_by", "missing", "phrase", "status"),
    [
        ("stream", "poll", "https://api.kraken.com", "HTTP 404", 1),
        ("poll", "stream", "wss://ws.kraken.com", "refused the stream with HTTP status 404", 0),
    ],
)
def test_what_was_not_recorded_is_not_asked_of_the_real_venue(
    shell, recorded_by, collected_by, missing, phrase, status
):
    """A recording names only the origins that were asked; its venue has more."""
    shell.environment["HTTPS_PROXY"] = "http://127.0.0.1:1"  # nothing leaves this machine
    shell.run(
        *("record", "kraken:BTC/USD@1m", "r.jsonl", "--route", recorded_by, "--simulate"),
        *("--at", "2026-11-20T15:00:00Z", "--until", "2026-11-20T15:02:00Z", *SPEED),
    )
    header, *lines = (shell.folder / "r.jsonl").read_text().splitlines(keepends=True)
    lines = [line for line in lines if ('"what":"http"' in line) == (recorded_by == "poll")]
    (shell.folder / "r.jsonl").write_text(header + "".join(lines))

    run = ("--replay", "r.jsonl", "--route", collected_by, "--store", "memory:", *SPEED, "--for", "4s")
    done = shell.run("collect", *run, status=status)
    process = shell.start("replay", "r.jsonl", "--json")
    try:
        served = json.loads(process.stdout.readline())
    finally:
        interrupt(process)

    assert phrase in done.stderr
    assert f"{missing}={served['redirects'][missing]}" in served["command"]


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

    lines = shell.lines("collect", "--replay", capture, "--store", "memory:")

    held = {
        (row["symbol"], row["interval_begin"][:19], row["close"])
        for text in capture.read_text().splitlines()
        if (frame := json.loads(text, parse_float=str, parse_int=str)).get("channel") == "ohlc"
        for row in frame["data"]
    }
    assert lines
    assert {("BTC/USD", line["open_time"][:19], line["close"]) for line in lines} <= held


def captured(shell, name, *frames):
    """A plain capture of Kraken's, made of what its adapter is tested on."""
    wire = Path(__file__).parents[2] / "adapters" / "kraken" / "wire"
    path = shell.folder / "kraken" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(json.loads((wire / frame).read_text())) + "\n" for frame in frames))
    return path


def test_a_capture_of_quotes_tells_each_once_and_ends(shell):
    capture = captured(shell, "ws.jsonl", "accepted_ticker.json", "ticker_snapshot.json")

    told = shell.lines("collect", "--replay", capture, "--store", "memory:")

    assert [("kraken:BTC/USD@quotes", "95025.4", "95025.5")] == [
        (one["series"], one["bid"], one["ask"]) for one in told
    ]


def test_a_captured_reply_is_collected_whole_and_ends(shell):
    """Nobody has to say when that was; its last row was forming."""
    capture = captured(shell, "rest.json", "rest_ohlc.json")
    rows = json.loads(capture.read_text())["result"]["XXBTZUSD"]

    told = shell.lines("collect", "kraken:BTC/USD@1m", "--replay", capture, "--store", "memory:")

    assert [row[4] for row in rows[:-1] if row[7]] == [one["close"] for one in told]
    assert told


def test_what_is_not_in_the_recording_is_not_asked_of_the_real_venue(shell):
    capture = captured(shell, "rest.json", "rest_ohlc.json")

    done = shell.run("collect", "yahoo:AAPL@1m", "--replay", capture, status=2)

    assert "nothing of 'yahoo' is recorded" in done.stderr
    assert shell.files() == ["kraken"]

"""Sinks on the command line, with the one whose code stands in docs/sinks.md."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.framework.cli.conftest import FAST, FIVE_MINUTES, Shell

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sinks.md"
SERIES = ("kraken:BTC/USD@1m", "kraken:ETH/USD@1m")
SIMULATED = ("collect", *SERIES, "--simulate", "--speed", FAST, *FIVE_MINUTES)


@pytest.fixture
def lines(shell: Shell) -> Shell:
    """A shell where the page's plugin is installed."""
    [code] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (shell.folder / "my_lines.py").write_text(code)
    facts = shell.folder / "my_lines-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my_lines\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[wickwire.plugins]\nlines = my_lines\n")
    paths = (str(shell.folder), shell.environment.get("PYTHONPATH", ""))
    shell.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return shell


def written(shell: Shell, name: str = "closed.jsonl") -> dict[tuple[str, str], str]:
    rows = [json.loads(line) for line in (shell.folder / name).read_text().splitlines()]
    return {(row["series"], row["open_time"]): row["close"] for row in rows}


def test_what_is_stored_goes_into_the_sink_of_the_page_and_into_one_that_is_named_later(lines):
    told = lines.lines(*SIMULATED, "--sink", "lines:closed.jsonl")

    assert {(row["series"], row["open_time"]): row["close"] for row in told} == written(lines)
    [row] = lines.json("sinks")
    assert ("lines", len(told), 0, []) == (row["sink"], row["seq"], row["lag"], row["parked"])
    table = lines.run("sinks").stdout.splitlines()
    assert ["sink", "seq", "lag", "parked", "why"] == table[0].split()
    assert ["lines", str(len(told)), "0"] == table[1].split()

    lines.run("sinks", "--rewind", "lines=4")
    assert len(told) - 4 == lines.json("sinks")[0]["lag"]
    before = len((lines.folder / "closed.jsonl").read_text().splitlines())
    later = ("--at", "2026-11-20T15:05:00Z", "--until", "2026-11-20T15:07:00Z")
    more = lines.lines(
        *SIMULATED[:6], *later, "--sink", "lines:closed.jsonl", "--sink", "new=lines:new.jsonl"
    )
    after = len((lines.folder / "closed.jsonl").read_text().splitlines())
    assert after - before == len(told) - 4 + len(more)
    assert {(row["series"], row["open_time"]): row["close"] for row in more} == written(lines, "new.jsonl")
    assert ["lines", "new"] == [row["sink"] for row in lines.json("sinks")]


def test_invented_candles_do_not_get_into_the_sinks_of_the_config(lines):
    (lines.folder / "wickwire.toml").write_text('[sinks]\narchive = "lines:archive.jsonl"\n')

    lines.lines(*SIMULATED, "--config", "wickwire.toml", "--sink", "lines:closed.jsonl")

    assert "archive.jsonl" not in lines.files()
    assert written(lines)


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (("--sink", "lines"), 2, "not a sink: 'lines'; write a URL such as redis://127.0.0.1"),
        (("--sink", "nowhere:x"), 2, "--sink: 'nowhere:x': no plugin takes 'nowhere'"),
        (("--sink", "lines:no/where.jsonl"), 1, "there is no directory for it; create it"),
        (("--sink", "redis://ada:hunter2@127.0.0.1:1/x?token=hunter2&y"), 2, "sink"),
        (("--hot", "lines"), 2, "--hot: 'lines' has no scheme; write redis://127.0.0.1"),
        (("--hot", "nowhere:x"), 2, "--hot: 'nowhere:x': no plugin takes 'nowhere'"),
        (("--hot", "redis://ada:hunter2@127.0.0.1:1/x?token=hunter2&y"), 2, "--hot"),
    ],
)
def test_what_is_wrong_with_a_sink_is_said_before_anything_is_collected(lines, options, status, text):
    done = lines.run(*SIMULATED, *options, status=status)

    assert text in done.stderr
    assert "hunter2" not in done.stderr
    assert "kraken:" not in done.stdout


def test_an_address_in_the_config_is_named_by_its_key(lines):
    (lines.folder / "wickwire.toml").write_text('[sinks]\narchive = "nowhere:x"\n')

    done = lines.run("collect", *SERIES, "--config", "wickwire.toml", status=2)

    assert "wickwire.toml: sinks.archive: 'nowhere:x': no plugin takes 'nowhere'" in done.stderr


def test_the_hot_layer_of_the_config_is_for_real_venues_alone(lines):
    (lines.folder / "wickwire.toml").write_text('hot = "nowhere:x"\n')

    done = lines.run("collect", *SERIES, "--config", "wickwire.toml", status=2)

    assert "wickwire.toml: hot: 'nowhere:x': no plugin takes 'nowhere'" in done.stderr
    lines.lines(*SIMULATED, "--config", "wickwire.toml")


def test_the_doctor_looks_at_the_sinks_of_the_config_and_opens_them_online_only(lines):
    (lines.folder / "wickwire.toml").write_text(
        'hot = "nowhere:x"\n[sinks]\narchive = "lines:no/where.jsonl"\nfar = "nowhere:x"\n'
        '[plugins]\nallow = ["lines", "sqlite"]\n'  # no venue is asked
    )

    def found(*options: str) -> dict[str, str]:
        rows = lines.json("doctor", "--config", "wickwire.toml", *options, status=1)
        return {row["what"]: row["state"] for row in rows if row["what"].startswith(("sink ", "hot"))}

    assert {"sink archive": "ok", "sink far": "bad", "hot layer": "bad"} == found()
    assert {"sink archive": "bad", "sink far": "bad", "hot layer": "bad"} == found("--online")


def test_a_store_without_sinks_says_how_to_name_one(collected):
    assert "feeds no sinks" in collected.run("sinks").stdout
    assert [] == collected.json("sinks")


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("redis=0", "feeds no sink 'redis'; there is none"),
        ("redis", "not a place: 'redis'; write NAME=SEQ"),
        ("redis=-1", "not a place: 'redis=-1'"),
    ],
)
def test_a_rewind_that_cannot_be_is_refused(collected, tmp_path, place, text):
    copy = Shell(tmp_path)
    shutil.copy(collected.folder / "wickwire.db", tmp_path)

    assert text in copy.run("sinks", "--rewind", place, status=2).stderr


def test_a_rewind_to_what_is_yet_to_come_is_refused(lines):
    lines.lines(*SIMULATED, "--sink", "lines:closed.jsonl")

    assert "is not skipped" in lines.run("sinks", "--rewind", "lines=9999", status=2).stderr


def test_a_sink_that_nobody_feeds_any_more_can_be_forgotten(lines):
    lines.lines(*SIMULATED, "--sink", "lines:closed.jsonl", "--sink", "old=lines:old.jsonl")

    told = lines.run("sinks", "--forget", "old")

    assert ["lines"] == [row["sink"] for row in lines.json("sinks")]
    assert "old" not in told.stdout
    refused = lines.run("sinks", "--forget", "old", status=2)
    assert "--forget: this store feeds no sink 'old'; there is lines" in refused.stderr
    both = lines.run("sinks", "--forget", "lines", "--rewind", "lines=0", status=2)
    assert "--rewind and --forget: write one of them" in both.stderr

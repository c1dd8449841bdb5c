"""A store that cannot be written: nothing is acknowledged that is not there, and it goes on when it can."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes.programs import PATIENCE_S, said
from tests.processes.scene import BITCOIN, ETHER, SHARE, scene, scene_with_a_machine
from tests.processes.truth import stored

SOME_MINUTES_BYTES = 12_000
UNLIMITED = -1


@pytest.mark.slow
def test_a_full_disk_is_said_and_survived(tmp_path):
    """While nothing can be written nothing is acknowledged; when there is room again all of it is, once."""
    with scene(tmp_path, 31) as there, there.collector(BITCOIN, ETHER, SHARE) as collector:
        collector.wait_for_candles(4)
        collector.limit_files((tmp_path / "wickwire.db-wal").stat().st_size)
        collector.wait_for_error("store failed")
        before = list(collector.candles)
        assert there.relay.wait_passed(SOME_MINUTES_BYTES, PATIENCE_S)
        assert before == collector.candles
        for candle in before:
            assert candle["open_time"] in {row["open_time"] for row in stored(candle["series"], tmp_path)}

        collector.limit_files(UNLIMITED)
        there.finish(collector, BITCOIN, ETHER, SHARE)
        assert 1 == sum("store failed" in line for line in collector.errors)
        assert [] == there.differences(collector.candles, BITCOIN, ETHER, SHARE)


@pytest.mark.slow
def test_a_disk_that_does_not_keep_what_it_was_given_is_said_and_survived(tmp_path):
    """F55: every fsync fails for some minutes; nothing is acknowledged then, all of it afterwards, once."""
    with scene_with_a_machine(tmp_path, 33) as (there, machine), there.collector(BITCOIN, SHARE) as collector:
        collector.wait_for_candles(2)
        machine.disk_syncs(well=False)
        collector.wait_for_error("store failed")
        before = list(collector.candles)
        there.venue.wait_minutes(2)
        assert before == collector.candles
        machine.disk_syncs(well=True)
        there.finish(collector, BITCOIN, SHARE)
        assert [] == there.differences(collector.candles, BITCOIN, SHARE)


@pytest.mark.nightly
def test_a_kill_while_the_disk_is_full_loses_nothing_acknowledged(tmp_path):
    with scene(tmp_path, 32) as there:
        with there.collector(BITCOIN) as collector:
            collector.wait_for_candles(2)
            collector.limit_files((tmp_path / "wickwire.db-wal").stat().st_size)
            collector.wait_for_error("store failed")
            collector.process.kill()
            collector.ended()
            first = collector.candles
        with there.collector(BITCOIN) as collector:
            there.finish(collector, BITCOIN)
            assert [] == there.differences([*first, *collector.candles], BITCOIN)


def simulated(folder: Path, store: str, *prefix: str) -> subprocess.CompletedProcess[str]:
    """Collect two wall seconds into *store*."""
    return said("collect", BITCOIN, "--simulate", "--for", "2s", "--store", store, cwd=folder, prefix=prefix)


def refused(run: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that *run* was refused in one line that holds *words*."""
    [line] = run.stderr.splitlines()
    assert line.startswith("error: ")
    assert [word for word in words if word not in line] == []
    assert run.returncode in {1, 2}
    assert run.stdout == ""


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("sqlite:missing/folder/w.db", ("missing/folder",)),
        ("sqlite:.", ("names no file",)),
        ("sqlite:text.db", ("text.db", "not a database")),
        ("sqlite:foreign.db", ("foreign.db",)),
        ("sqlite:/dev/full", ("/dev/full",)),
        ("postgres://127.0.0.1/x", ("postgres",)),
    ],
)
def test_a_store_that_cannot_be_one_is_refused_in_one_line_and_left_alone(tmp_path, store, words):
    (tmp_path / "text.db").write_text("price,volume\n" * 1_000)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as connection, connection:
        connection.execute("CREATE TABLE prices (price)")
    connection.close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    refused(simulated(tmp_path, store), *words)

    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_a_store_on_a_read_only_file_system_is_refused_and_can_be_read(tmp_path):
    """Mounting one needs root and unshare; skipped elsewhere."""
    if (
        os.geteuid() != 0
        or subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("mounting a read-only file system needs root and unshare")
    frozen = tmp_path / "frozen"
    frozen.mkdir()
    begin = said(
        "collect",
        SHARE,
        "--simulate",
        "--speed",
        60,
        "--for",
        "3s",
        "--json",
        "--store",
        "sqlite:frozen/w.db",
        cwd=tmp_path,
    )
    assert begin.returncode == 0
    assert begin.stdout.count("\n")
    script = f'mount --bind {frozen} {frozen} && mount -o remount,ro,bind {frozen} && exec "$@"'
    prefix = ("unshare", "-m", "sh", "-c", script, "sh")
    before = {path.name: path.read_bytes() for path in frozen.iterdir()}

    refused(simulated(tmp_path, "sqlite:frozen/w.db", *prefix), "frozen/w.db", "cannot be written")

    export = said("export", SHARE, "--store", "sqlite:frozen/w.db", cwd=tmp_path, prefix=prefix)
    assert export.returncode == 0
    assert export.stdout.count("\n") == begin.stdout.count("\n") + 1
    assert before == {path.name: path.read_bytes() for path in frozen.iterdir()}

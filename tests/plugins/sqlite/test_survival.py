"""What is acknowledged stays: SIGKILL at any instant, other processes, no room, no rights."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
from contextlib import closing as closed_after
from pathlib import Path

import pytest

from tests.plugins.batches import NEWS_OF_FIRST, NEWS_OF_OTHERS, WIDTH, batch, both, command, running
from wickwire import MINUTE_NS, StoreError
from wickwire_sqlite import SqliteStore

WRITER = "tests.plugins.sqlite.writer"


def batches_in(path: Path, venue: str = "kraken") -> int:
    """How many batches the file holds, after checking that it holds nothing else and no half ones."""

    async def main() -> int:
        store = SqliteStore(path, inline=True)
        await store.open()
        states = {state.series: state for state in await store.states()}
        count = 0
        for series in both(venue):
            candles = await store.candles(series, -(10**18), 10**18, limit=10**6)
            count = len(candles) // WIDTH
            assert [minute * MINUTE_NS for minute in range(count * WIDTH)] == [
                candle.open_ns for candle in candles
            ]
            for minute, candle in enumerate(candles):
                revised = minute % WIDTH == WIDTH - 1 and minute // WIDTH < count - 1
                assert candle.revision == revised
                assert candle.close == minute // WIDTH + revised + candle.close % 1
            if count:
                assert states[series] == batch(venue, count - 1)[both(venue).index(series)].state
        assert len(states) == 2 * bool(count)
        assert await store.last_seq() == (NEWS_OF_FIRST + (count - 1) * NEWS_OF_OTHERS if count else 0)
        assert not count or list(await store.commit(batch(venue, count - 1))) == []
        await store.aclose()
        return count

    count = asyncio.run(main())
    with closed_after(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return count


@pytest.mark.parametrize("seed", range(12))
def test_a_process_that_dies_at_any_step_of_sqlite_loses_nothing_acknowledged(tmp_path, seed):
    """The process kills itself after a random number of SQLite's own instructions, mostly inside a commit."""
    steps = random.Random(seed).choice((30, 300, 3_000, 30_000)) + random.Random(seed).randrange(500)
    with running(WRITER, "die", tmp_path / "w.db", "kraken", steps) as process:
        assert process.stdout is not None
        acknowledged = process.stdout.read().splitlines()

    assert process.returncode == -9
    assert batches_in(tmp_path / "w.db") - len(acknowledged) in {0, 1}


@pytest.mark.parametrize("seed", range(8))
def test_a_process_that_is_killed_from_outside_loses_nothing_acknowledged(tmp_path, seed):
    """The signal comes whenever it comes: in a system call, between two, before the answer is printed."""
    with running(WRITER, "write", tmp_path / "w.db", "kraken", 0) as process:
        assert process.stdout is not None
        heard = [process.stdout.readline() for _ in range(random.Random(seed).randrange(1, 60))]
        process.kill()
        heard += process.stdout.read().splitlines()

    assert batches_in(tmp_path / "w.db") - len(heard) in {0, 1}


def test_another_process_reads_whole_batches_while_one_is_writing(tmp_path):
    async def main(process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        process.stdout.readline()
        reader = SqliteStore(tmp_path / "w.db", inline=True, readonly=True)
        await reader.open()
        seen: set[int] = set()
        while len(seen) < 20:
            assert (await reader.last_seq() - NEWS_OF_FIRST) % NEWS_OF_OTHERS == 0
            one, other = await reader.states()
            number = one.frontier_ns // MINUTE_NS // WIDTH - 1
            assert [one, other] == [change.state for change in batch("kraken", number)]
            for series in both("kraken"):
                assert (
                    len(await reader.candles(series, 0, one.frontier_ns, limit=10**6)) == (number + 1) * WIDTH
                )
            seen.add(number)
        await reader.aclose()

    with running(WRITER, "write", tmp_path / "w.db", "kraken", 0) as process:
        asyncio.run(main(process))


def test_two_collectors_may_share_a_file_from_its_creation_on(tmp_path):
    """Their transactions take turns: every candle of both is there, and no seq was given twice."""
    path = tmp_path / "w.db"
    with (
        running(WRITER, "write", path, "kraken", 50) as one,
        running(WRITER, "write", path, "yahoo", 50) as other,
    ):
        assert [50, 50] == [len(process.communicate()[0].splitlines()) for process in (one, other)]
        assert (0, 0) == (one.returncode, other.returncode)

    async def main():
        store = SqliteStore(path)
        await store.open()
        rows = await store.committed(0, limit=10_000)
        assert len(rows) == 2 * 2 * 50 * WIDTH
        assert await store.last_seq() == 2 * (NEWS_OF_FIRST + 49 * NEWS_OF_OTHERS)
        assert len({row.seq for row in rows}) == len(rows)
        await store.aclose()

    asyncio.run(main())


def test_two_stores_on_one_series_see_each_others_candles(tmp_path):
    """What a process remembers of a series is dropped when another one has committed."""

    async def main():
        one, other = (SqliteStore(tmp_path / "w.db", inline=True) for _ in range(2))
        await one.open()
        await other.open()
        for number in range(6):
            first, second = (one, other) if number % 2 else (other, one)
            assert len(await first.commit(batch("kraken", number))) > 0
            assert list(await second.commit(batch("kraken", number))) == []
        await one.aclose()
        await other.aclose()

    asyncio.run(main())
    assert batches_in(tmp_path / "w.db") == 6


def test_a_write_lock_that_is_not_given_up_is_an_error_and_nothing_is_lost(tmp_path):
    async def main():
        store = SqliteStore(tmp_path / "w.db", lock_wait_s=0)
        await store.open()
        with closed_after(sqlite3.connect(tmp_path / "w.db", isolation_level=None)) as greedy:
            greedy.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="another process holds its write lock"):
                await store.commit(batch("kraken", 0))
            assert list(await store.states()) == []
        assert len(await store.commit(batch("kraken", 0))) == NEWS_OF_FIRST
        await store.aclose()

    asyncio.run(main())


def test_a_value_too_large_for_the_file_fails_its_whole_batch_and_nothing_else(tmp_path):
    async def main():
        store = SqliteStore(tmp_path / "w.db")
        await store.open()
        await store.commit(batch("kraken", 0))
        before = await store.states()
        spoiled = batch("kraken", 1)
        spoiled[1].closings[-1].candle.trade_count = 2**64  # type: ignore[misc]  # broken on purpose
        with pytest.raises(StoreError, match="too large"):
            await store.commit(spoiled)
        assert (await store.last_seq(), list(await store.states())) == (NEWS_OF_FIRST, list(before))
        assert len(await store.commit(batch("kraken", 1))) == NEWS_OF_OTHERS
        await store.aclose()

    asyncio.run(main())
    assert batches_in(tmp_path / "w.db") == 2


# ------------------------------------------------------------------------------------- no room, no rights


def told(arguments: list[str]) -> list[str]:
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.splitlines()


def check_starvation(lines: list[str]) -> None:
    refused, again, *found = lines
    assert refused.startswith("refused ")
    assert "; the disk" in refused
    assert again == "again"
    assert all(line.split()[1] == line.split()[2] for line in found)
    assert len(found) == 2


def test_files_that_may_not_grow_fail_the_commit_and_recover_when_they_may(tmp_path):
    """A limit of the operating system (RLIMIT_FSIZE): the write fails as it does on a full disk."""
    check_starvation(told(command(WRITER, "limit", tmp_path / "w.db", "kraken", 300_000)))


def private_mount(folder: Path, *arguments: object, ballast: Path | None = None) -> list[str]:
    """Run the writer on a file system of 512 KiB that only it sees, or skip where that is not allowed."""
    fill = f"head -c 262144 /dev/zero > {ballast} && " if ballast else ""
    script = f'mount -t tmpfs -o size=512k none {folder} && {fill} exec "$@"'
    if (
        os.geteuid() != 0
        or subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("mounting a small file system needs root and unshare")
    return ["unshare", "-m", "sh", "-c", script, "sh", *command(WRITER, *arguments)]


def test_a_full_disk_fails_the_commit_and_recovers_when_there_is_room(tmp_path):
    ballast = tmp_path / "ballast"

    check_starvation(
        told(private_mount(tmp_path, "starve", tmp_path / "w.db", "kraken", ballast, ballast=ballast))
    )


def test_a_read_only_file_system_can_be_read_and_nothing_else(tmp_path):
    lines = told(private_mount(tmp_path, "frozen", tmp_path / "w.db", "kraken", tmp_path))

    assert ["refused", "refused", "found"] == [line.split()[0] for line in lines]
    assert "cannot be written" in lines[0]
    assert "Read-only file system" in lines[1]
    assert lines[2] == f"found {NEWS_OF_FIRST}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_without_the_right_to_write_nothing_is_opened(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)

    with pytest.raises(StoreError, match="Permission denied"):
        asyncio.run(SqliteStore(tmp_path / "closed" / "w.db").open())

"""The worker of docs/examples as its container runs it: settings, signals, statuses, and the probe."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import attrs
import pytest

from tests.examples.loading import FOLDER, loaded
from tests.plugins.postgres.server import fresh_url
from tests.processes.machine import Machine
from tests.processes.programs import PATIENCE_S, SPEED, Program, Venue, said
from tests.processes.truth import differences, holes

HERE = FOLDER / "worker"
ROOT = FOLDER.parents[1]
DOCKERFILE = (HERE / "Dockerfile").read_text()
SERIES = ("kraken:BTC/USD@1m", "yahoo:AAPL@1m")
START = "2026-11-20T15:00:00Z"
SEED = 23


def said_in_dockerfile(instruction: str) -> list[str]:
    """Return what follows *instruction*, once for each time that it is there; lines that go on are one."""
    whole = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{instruction}\s+(.+)$", whole, re.MULTILINE)


def in_words(command: str) -> list[str]:
    """Return a command in exec form as the words that run here."""
    words: list[str] = json.loads(command[command.index("[") :])
    assert "python" == words[0]
    return [sys.executable, *words[1:]]


[ENTRY] = map(in_words, said_in_dockerfile("ENTRYPOINT"))
[PROBE] = map(in_words, said_in_dockerfile("HEALTHCHECK"))


def run(command: Sequence[str], **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WORKER_")}
    return subprocess.run(
        command,
        cwd=HERE,
        env={**clean, **settings},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class Worker(Program):
    """The entry command of the image."""

    command: Sequence[str] = ENTRY

    def __init__(self, *, prefix: Sequence[str], **settings: str) -> None:
        told = [f"{name}={value}" for name, value in settings.items()]
        super().__init__(cwd=HERE, prefix=["env", *told, *prefix], anew=True)


@attrs.frozen
class Ship:
    """Venues, a machine for workers, and what they are told."""

    folder: Path
    machine: Machine
    venue: Venue

    def worker(self, store: str) -> Worker:
        redirects = " ".join(f"{origin}={target}" for origin, target in self.venue.redirects.items())
        return Worker(
            prefix=self.machine.prefix,
            PYTHONUNBUFFERED="1",
            WORKER_ALIVE=str(self.alive),
            WORKER_SERIES=" ".join(SERIES),
            WORKER_STORE=store,
            WORKER_REDIRECTS=redirects,
            WORKER_DRAIN_S="600",  # ten seconds here, however busy it is
        )

    @property
    def alive(self) -> Path:
        return self.folder / "alive"

    def probe(self) -> subprocess.CompletedProcess[str]:
        return run(PROBE, WORKER_ALIVE=str(self.alive))

    def wait_for_a_beat(self) -> None:
        """Wait until the worker has said once more that it is alive."""
        if self.alive.exists():
            os.utime(self.alive, (0, 0))
        for _ in range(round(PATIENCE_S * 20)):
            if self.alive.exists() and self.alive.stat().st_mtime:
                return
            threading.Event().wait(0.05)
        raise AssertionError("no sign of life")


@contextmanager
def ship(folder: Path) -> Iterator[Ship]:
    with (
        Machine(folder, "machine", at=START, speed=SPEED) as machine,
        Venue("kraken", "yahoo", seed=SEED, cwd=folder, prefix=machine.prefix) as venue,
    ):
        yield Ship(folder, machine, venue)


def wait_for_candles(store: Path, count: int) -> None:
    """Wait until *count* candles more are committed."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        first, seq = None, 0
        for _ in range(round(PATIENCE_S * 20)):
            [(seq,)] = connection.execute("select coalesce(max(seq), 0) from closed").fetchall()
            first = seq if first is None else first
            if seq >= first + count:
                return
            threading.Event().wait(0.05)
    raise AssertionError(f"{seq} candles in all, expected {count} more")


# ------------------------------------------------------------------------------------------------ its life


@pytest.mark.slow
def test_killed_it_loses_nothing_and_told_to_stop_it_ends_in_order(tmp_path: Path) -> None:
    store = tmp_path / "wickwire.db"
    with ship(tmp_path) as there:
        with there.worker(f"sqlite:{store}") as worker:
            worker.first_line()
            wait_for_candles(store, 3)
            worker.send(signal.SIGKILL)
            assert -signal.SIGKILL == worker.ended()
        there.venue.wait_minutes(3)
        with there.worker(f"sqlite:{store}") as worker:
            worker.first_line()
            wait_for_candles(store, 6)  # those that were missed, too
            looks = (holes(SERIES, tmp_path)[0] for _ in range(40))
            assert 0 in looks, "what was missed heals within minutes"
            worker.send(signal.SIGTERM)
            assert 0 == worker.ended()
            assert re.fullmatch(r"stopped, \d+ candles committed", worker.lines[-1])
        assert not there.alive.exists()

    assert [] == differences(SERIES, tmp_path, SEED, [])


@pytest.mark.slow
def test_the_probe_says_whether_it_lives(tmp_path: Path) -> None:
    assert 1 == run(PROBE, WORKER_ALIVE=str(tmp_path / "alive")).returncode
    with ship(tmp_path) as there, there.worker(f"sqlite:{tmp_path / 'candles.db'}") as worker:
        worker.first_line()
        there.wait_for_a_beat()
        alive = there.probe()
        assert (0, {*SERIES}) == (alive.returncode, {line.split()[0] for line in alive.stdout.splitlines()})

        worker.send(signal.SIGSTOP)
        long_ago = there.alive.stat().st_mtime - 60.0
        os.utime(there.alive, (long_ago, long_ago))
        stuck = there.probe()
        assert (1, True) == (
            stuck.returncode,
            bool(re.search(r"^nothing for \d+ s$", stuck.stdout, re.MULTILINE)),
        )

        worker.send(signal.SIGCONT)
        there.wait_for_a_beat()
        assert 0 == there.probe().returncode
        worker.send(signal.SIGTERM)
        assert 0 == worker.ended()
        assert 1 == there.probe().returncode


@pytest.mark.slow
def test_it_stores_where_the_compose_file_says(tmp_path: Path) -> None:
    url = fresh_url()
    with ship(tmp_path) as there:
        with there.worker(url) as worker:
            worker.first_line()
            there.venue.wait_minutes(3)
            worker.send(signal.SIGTERM)
            assert 0 == worker.ended()
            committed = int(worker.lines[-1].split()[1])
        [kraken, _] = json.loads(said("gaps", *SERIES, "--store", url, "--json", cwd=tmp_path).stdout)

    assert committed > 0
    assert kraken["candles"] > 0


# ------------------------------------------------------------------------------------- what is wrong with it


@pytest.mark.parametrize(
    ("variable", "value", "status", "why"),
    [
        ("WORKER_SERIES", "", 2, "WORKER_SERIES is not set; set it to something like kraken:BTC/USD@1m"),
        ("WORKER_STORE", " ", 2, "WORKER_STORE is not set"),
        ("WORKER_DRAIN_S", "soon", 2, "WORKER_DRAIN_S: expected whole seconds, got 'soon'"),
        ("WORKER_SINKS", "redis://:hunter2@cache", 2, "WORKER_SINKS: expected name=address"),
        ("WORKER_STORE", "sqlite::memory:", 2, "memory:"),
        ("WORKER_SERIES", "krakem:BTC/USD@1m", 2, "there is no adapter 'krakem'"),
        ("WORKER_SERIES", "kraken:BTC/USD@7m", 3, "kraken:BTC/USD@7m"),
        ("WORKER_STORE", "sqlite:nowhere/candles.db", 1, "nowhere"),
    ],
)
def test_what_is_wrong_is_said_and_so_is_what_to_do_about_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    status: int,
    why: str,
) -> None:
    """In this process, as it ends before anything connects."""
    settings = {
        "WORKER_SERIES": SERIES[0],
        "WORKER_STORE": "sqlite:candles.db",
        "WORKER_ALIVE": str(tmp_path / "alive"),
        "WORKER_SINKS": "",
        "WORKER_REDIRECTS": "wss://ws.kraken.com=ws://127.0.0.1:1 https://api.kraken.com=http://127.0.0.1:1",
    }
    for name, one in {**settings, variable: value}.items():
        monkeypatch.setenv(name, one)
    monkeypatch.chdir(tmp_path)

    assert status == loaded("worker/worker").main()

    printed = capsys.readouterr().err
    assert why in printed
    assert "hunter2" not in printed


# ------------------------------------------------------------------------------------------------ its image


def test_the_image_holds_what_it_runs_and_is_nobodys_root() -> None:
    copied = " ".join(said_in_dockerfile("COPY")).split()
    inside = [Path(one).name for one in copied if one.endswith(".py")]

    assert {"worker.py", "probe.py"} == {*inside} == {ENTRY[1], PROBE[1]}
    assert all((ROOT / one).is_file() for one in copied if one.endswith(".py"))
    [user] = said_in_dockerfile("USER")
    assert all(part.isdecimal() and int(part) > 0 for part in user.split(":")), "a number can be looked at"
    assert ["SIGTERM"] == said_in_dockerfile("STOPSIGNAL")


def test_the_image_installs_the_wheel_with_extras_that_there_are() -> None:
    [install] = [line for line in said_in_dockerfile("RUN") if "pip install" in line]
    extras = re.findall(r"whl\)\[([\w,]+)\]", install)[0].split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert {"postgres", "redis"} <= {*extras} <= {*project["optional-dependencies"]}
    versions = [tuple(map(int, one.split("."))) for one in re.findall(r"python:(\d+\.\d+)-slim", DOCKERFILE)]
    assert len({*versions}) == 1
    oldest = tuple(map(int, project["requires-python"].removeprefix(">=").split(".")))
    assert versions[0] >= oldest


def test_the_compose_file_gives_it_longer_to_stop_than_it_takes() -> None:
    compose = (HERE / "compose.yaml").read_text()
    settings = dict(re.findall(r"^ +(\w+): (.+)$", compose, re.MULTILINE))
    known = {*re.findall(r"`(WORKER_\w+)`", (HERE / "worker.py").read_text())}

    assert (HERE / settings["context"]).resolve() == ROOT
    assert (ROOT / settings["dockerfile"]).read_text() == DOCKERFILE
    assert (
        {"WORKER_SERIES", "WORKER_STORE"}
        <= {name for name in settings if name.startswith("WORKER_")}
        <= known
    )
    drain_s = int(settings["WORKER_DRAIN_S"].strip('"'))
    assert int(settings["stop_grace_period"].removesuffix("s")) > drain_s
    assert settings["WORKER_STORE"].startswith("postgresql://")

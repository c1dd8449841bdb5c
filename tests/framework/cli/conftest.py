"""Runs `wickwire` as a person would: another process, a directory of its own, no terminal."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.framework.cli import forked

FIVE_MINUTES = ("--at", "2026-11-20T15:00:00Z", "--until", "2026-11-20T15:05:00Z")
"""Of simulated time, in which shares are traded; however long they take on the wall."""

FAST = 200
"""How fast time passes where nobody looks at the wall: about as fast as a loop can follow."""

PROGRAM = (sys.executable, "-c", "from wickwire.cli import main; main()")


class Shell:
    """A directory, and commands that are run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[dict[str, Any]] = []
        self.environment = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
        self.environment |= {"NO_COLOR": "1", "COLUMNS": "200"}
        self.environment.pop("WICKWIRE_CONFIG", None)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*PROGRAM, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run to the end and check the exit status; a traceback is never right."""
        done = self._done(list(map(str, arguments)))
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert status == done.returncode, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done

    def _done(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        if forked.is_possible(self.environment):
            with TemporaryDirectory() as scratch:
                return forked.run(
                    arguments, folder=self.folder, environment=self.environment, scratch=Path(scratch)
                )
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=forked.PATIENCE_S)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def json(self, *arguments: object, status: int = 0):
        return json.loads(self.run(*arguments, "--json", status=status).stdout)

    def lines(self, *arguments: object, status: int = 0):
        return [
            json.loads(line) for line in self.run(*arguments, "--json", status=status).stdout.splitlines()
        ]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


@pytest.fixture(scope="session")
def collected(tmp_path_factory):
    """A store with minutes of simulated candles, streamed and polled, and the lines that told of them.

    It serves all tests: who changes it takes a copy.
    """
    there = Shell(tmp_path_factory.mktemp("collected"))
    series = ("kraken:BTC/USD@1m", "yahoo:AAPL@1m")
    there.told = there.lines("collect", *series, "--simulate", "--speed", FAST, *FIVE_MINUTES)
    return there


def interrupt(process, number=signal.SIGINT):
    """Send a signal; return exit status and what was left to read."""
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=15)
    except BaseException:
        process.kill()
        raise
    assert "Traceback" not in out + err, err
    return process.returncode, out, err

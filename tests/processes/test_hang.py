"""A plugin whose hook does not return: the process says which, and ends with a status of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import websockets.sync.server as ws
from websockets.exceptions import ConnectionClosed

from tests.processes.programs import said

PLUGIN = '''
import threading
from wickwire import Ask, Description, Endpoint, HttpRequest, Limits, OhlcvSupport, Send, Utc, hookimpl

HANGS = "{hook}"

def hang(hook):
    """Never return: computing in parse(), asleep elsewhere."""
    while hook == HANGS == "parse":
        pass
    if hook == HANGS:
        threading.Event().wait()

@hookimpl
def describe():
    hang("describe")
    return Description(title="Molasses")

@hookimpl
def supports_ohlcv():
    hang("supports_ohlcv")
    return OhlcvSupport(stream=HANGS == "parse", rest=True, grid=Utc())

@hookimpl
def connect():
    return Endpoint(url="ws://127.0.0.1:{port}/")

@hookimpl
def subscribe():
    return (Send("hello"),)

@hookimpl
def parse():
    hang("parse")
    return ()

@hookimpl
def fetch_ohlcv():
    hang("fetch_ohlcv")
    yield
'''
CONFIG = """
series = ["molasses:BTC/USD@1m"]
[collector]
hung_hook_s = 0.5
[plugins.local]
molasses = "molasses.py"
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a venue that says one word."""

    def talk(connection: ws.ServerConnection) -> None:
        connection.send("word")
        with suppress(ConnectionClosed):
            connection.recv()
            connection.recv()

    with ws.serve(talk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def plugin(tmp_path, port):
    """Writes the plugin that hangs in one hook, and a config."""

    def write(hook: str) -> None:
        (tmp_path / "molasses.py").write_text(PLUGIN.format(hook=hook, port=port))
        (tmp_path / "config.toml").write_text(CONFIG)

    return write


@pytest.mark.parametrize("hook", ["supports_ohlcv", "parse", "fetch_ohlcv"])
def test_a_hook_that_does_not_return_ends_the_process_by_name(tmp_path, plugin, hook):
    """Before anything runs, in a stream, and in a conversation; so it is without being asked for."""
    plugin(hook)

    ended = said("collect", "--config", "config.toml", "--since", "1h", cwd=tmp_path)

    assert ended.returncode == 5
    warning, last = (line for line in ended.stderr.splitlines() if f"hook={hook} " in line)
    assert warning.startswith("warning: event loop held by=adapter 'molasses' (molasses.py)")
    assert "where=molasses.py:" in warning
    assert f"in {hook} < " in warning
    assert last.startswith("critical: a hook does not return: the process ends")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "command", [["plan"], ["plan", "--simulate"], ["simulate", "molasses", "--for", "1s"]]
)
def test_so_it_is_in_commands_that_collect_nothing(tmp_path, plugin, command):
    plugin("supports_ohlcv" if command[0] == "plan" else "describe")

    ended = said(*command, "--config", "config.toml", cwd=tmp_path)

    assert ended.returncode == 5
    assert "critical: a hook does not return: the process ends by=adapter 'molasses'" in ended.stderr

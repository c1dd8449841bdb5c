"""docs/fullon.md says what is so: its snippets run, and its tables name what there is."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wickwire_fullon import FullonHandler, FullonQueue

PAGE = (Path(__file__).parents[3] / "docs" / "fullon.md").read_text()
OWN_MODULE, INJECTED, WHOLE, PROGRAM = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

CREDENTIALS = """
def fullon_credentials(exchange):
    return "secret", "key"
"""
CACHE = """
from enum import Enum

class ProcessType(str, Enum):
    TICK, OHLCV = "tick", "ohlcv"

class ProcessStatus(str, Enum):
    STARTING, RUNNING, ERROR, STOPPED = "starting", "running", "error", "stopped"
    PROCESSING, IDLE = "processing", "idle"

class ProcessCache:
    async def register_process(self, process_type, component, params=None):
        print("register", process_type.value, component, params["type"])
        return f"{process_type.value}:{component}"

    async def update_process(self, process_id, status=None, message=None):
        print("update", process_id, status.value)
"""


def run(folder: Path, **files: str) -> str:
    """Run `main.py` beside other files, and return what it prints."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "error", "main.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


COLLECTOR = "from fullon_exchange.queue import ExchangeQueue\nprint(type(ExchangeQueue).__name__)\n"


@pytest.mark.parametrize("way", ["a module", "injected"])
def test_a_collector_finds_the_facade(way: str, tmp_path: Path) -> None:
    if way == "a module":
        printed = run(tmp_path, fullon_exchange__queue=OWN_MODULE, main=COLLECTOR)
    else:
        printed = run(tmp_path, collector=COLLECTOR, main=INJECTED + "\nimport collector\n")

    assert printed == "FullonQueue\n"


def test_credentials_and_processes_of_the_host_are_used(tmp_path: Path) -> None:
    """The snippet as it stands, beside stand-ins of the packages that it imports; one series is tried."""
    program = WHOLE + (
        "\nimport asyncio\n\n"
        "async def main():\n"
        "    processes = ExchangeQueue._status\n"
        "    handle = await processes.register('kraken:BTC/USD', {'type': 'live'})\n"
        "    from wickwire import Status\n"
        "    for status in Status:\n"
        "        await processes.update(handle, status, None)\n"
        "    print(ExchangeQueue._credentials(None))\n"
        "\nasyncio.run(main())\n"
    )
    printed = run(
        tmp_path, fullon_credentials=CREDENTIALS, fullon_cache__process_cache=CACHE, main=program
    ).splitlines()

    assert "register ohlcv kraken:BTC/USD live" == printed[0]
    assert len(printed) == 8
    assert "('key', 'secret')" == printed[-1]


def test_the_program_collects_from_both_venues(tmp_path: Path) -> None:
    printed = run(tmp_path, main=PROGRAM)

    for venue in ("kraken", "yahoo"):
        assert re.search(rf"^{venue} 1[5-6]\d rows of history", printed, re.MULTILINE)
        assert len(re.findall(rf"^{venue} 1800000\d+ \d+\.\d+ \d+\.\d+$", printed, re.MULTILINE)) == 3


def test_what_the_page_names_is_there() -> None:
    table = PAGE[PAGE.index("| what a collector calls |") : PAGE.index("* **Stamps**")]
    cells = [row.split("|")[1] for row in table.splitlines() if row]
    called = {name for cell in cells for name in re.findall(r"`(\w+)\(", cell)}
    queue = {"get_rest_handler", "get_websocket_handler"}
    assert queue < called
    assert all(hasattr(FullonQueue, name) for name in queue)
    elsewhere = {
        *("open", "close", "connect", "disconnect", "connected", "get_trades", "get_supported_timeframes"),
        *("supports_ohlcv", "supports_1m_ohlcv", "health"),
    }
    public = {name for name in vars(FullonHandler) if not name.startswith("_")}
    assert public == called - queue | elsewhere
    keywords = set(re.findall(r"FullonQueue\((\w+)=", PAGE))
    assert {"streaming", "credentials", "needs_trades"} < keywords
    assert keywords < set(inspect.signature(FullonQueue).parameters)

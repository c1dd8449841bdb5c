"""docs/redis.md says what is so: its values, its commands, its programs, its options and its rights."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from tests.plugins.redis.server import Server, new_server
from tests.plugins.redis.sinks import BTC_QUOTES, START_NS, Watch, candle, opened, quote
from tests.plugins.redis.test_budget_servers import RIGHTS
from tests.plugins.redis.test_hot import COMMANDS as FEEDS
from tests.plugins.redis.test_hot import READS
from tests.plugins.redis.test_opening import COMMANDS, SELECTORS
from wickwire import SECOND_NS, ConfigError
from wickwire_redis.address import parse_address

PAGE = (Path(__file__).parents[3] / "docs" / "redis.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def filled() -> Iterator[Server]:
    """A server with what the page shows."""
    server = new_server()
    first = attrs.evolve(candle(0, 1), low=Decimal("63999.90"))  # type: ignore[misc]  # an event

    async def fill() -> None:
        async with opened(f"{server.url}?primary=kraken", Watch(START_NS + SECOND_NS)) as sink:
            await sink.put([first])
            await sink.put_quotes({BTC_QUOTES: quote()})

    try:
        asyncio.run(fill())
        yield server
    finally:
        server.stop()


def test_the_values_are_as_shown(filled):
    with filled.admin() as redis:
        assert [text.strip().encode() for text in blocks("json")] == [
            redis.get("price:kraken:BTC/USD"),
            redis.get("candle:{kraken:BTC/USD@1m}:latest"),
        ]


def test_the_commands_answer(filled):
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("redis-cli ")]
    with filled.admin() as redis:
        answers = [redis.execute_command(*shlex.split(line)[1:]) for line in lines]

    assert len(answers) == 5
    assert all(answers)


def test_the_programs_run_as_they_stand(filled, tmp_path):
    said = []
    for number, code in enumerate(blocks("python")):
        (tmp_path / f"program{number}.py").write_text(code)
        done = subprocess.run(
            [sys.executable, "-W", "error", f"program{number}.py"],
            cwd=tmp_path,
            env={**os.environ, "REDIS_URL": filled.url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        said.append(done.stdout.splitlines())

    assert said == [
        ["1-0 2025-11-23T00:00:00Z 64001.10 0"],
        ["2025-11-23 00:00:00+00:00 64001.10", f"64000.10 64000.20 {START_NS + SECOND_NS}"],
        ["0 None"],
    ]


def test_every_option_is_in_the_table():
    [table] = re.findall(r"^\| option \|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    named = {
        name for row in table.splitlines() for name in re.findall(r"`\??(\w+)(?:=[^`]*)?`", row.split("|")[1])
    }
    with pytest.raises(ConfigError, match="there are") as caught:
        parse_address("redis://h?nothing=")

    assert named == set(str(caught.value).rpartition("there are ")[2].split(", "))


def test_the_rights_are_those_that_were_tried():
    sink, budget = (block for block in blocks("text") if block.startswith("ACL SETUSER"))

    assert set(sink.split()[5:]) == {*COMMANDS, *SELECTORS}
    assert set(budget.split()[5:]) == {*RIGHTS}


def test_the_rights_for_the_hot_layer_are_those_that_were_tried():
    rights = re.findall(r"`(\+hello [^`]*)`", PAGE)

    assert [{*FEEDS}, {*READS}] == [set(one.split()) for one in rights]

"""What README and docs tell people to run, is run: Python as it stands, and the commands of page one."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from tests.framework.cli.conftest import Shell, interrupt
from tests.plugins.postgres.server import fresh_url, shared_server
from wickwire import News

ROOT = Path(__file__).parent.parent
PAGES = (
    *("README.md", "docs/python.md", "docs/simulation.md", "docs/hooks.md", "docs/adapters.md"),
    *("docs/first-adapter.md", "docs/conformance.md", "docs/sinks.md", "docs/redis.md", "docs/stores.md"),
    "docs/fullon.md",
    *(f"docs/migration/{name}.md" for name in ("ccxt", "cryptofeed", "dxlink", "coinbase")),
)
ELSEWHERE = {
    "docs/hooks.md": "tests/framework/test_hookspecs.py",
    "docs/adapters.md": "tests/framework/test_adapters_page.py",
    "docs/first-adapter.md": "tests/third_party/test_first_adapter.py",
    "docs/conformance.md": "tests/framework/testing/test_kit.py",
    "docs/sinks.md": "tests/framework/cli/test_sinks.py",
    "docs/redis.md": "tests/plugins/redis/test_page.py",
    "docs/fullon.md": "tests/plugins/fullon/test_page.py",
    **{
        f"docs/migration/{name}.md": "tests/migration/test_pages.py"
        for name in ("ccxt", "cryptofeed", "dxlink", "coinbase")
    },
}
"""Pages whose Python is taken apart by a test of its own."""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def python(code: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run *code* as a person does: as a file."""
    (folder / "snippet.py").write_text(code)
    return subprocess.run(
        [sys.executable, "-W", "error", "snippet.py"],
        cwd=folder,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_python_block_is_run_by_a_test():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    with_python = {str(page.relative_to(ROOT)) for page in pages if "```python\n" in page.read_text()}

    assert set(PAGES) == with_python
    for page, test in ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text()


@pytest.mark.parametrize("code", blocks("docs/simulation.md", "python"), ids=["memory", "loopback"])
def test_the_snippets_about_simulation_run_as_they_stand(code, tmp_path):
    done = python(code, tmp_path)

    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    assert re.findall(r"\+00:00 \d+\.\d+ (?:successor|snapshot|history)$", done.stdout, re.MULTILINE)


def test_the_program_of_the_python_page_runs_as_it_stands(tmp_path):
    [code, _, _] = blocks("docs/python.md", "python")

    done = python(code, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    closed = r"^(?:coinbase|yahoo):BTC/USD@1m \S+ \S+ \d+\.\d+ (?:built|history) 0$"
    assert len(re.findall(closed, done.stdout, re.MULTILINE)) == 4
    assert re.search(r"^forming \d+\.\d+$", done.stdout, re.MULTILINE)
    assert sum(map(int, re.findall(r"^(\d+) candles from ", done.stdout, re.MULTILINE))) > 100
    assert "coinbase:BTC/USD@1m live build 0 holes" in done.stdout


def test_the_program_without_a_loop_runs_as_it_stands(tmp_path):
    [_, code, _] = blocks("docs/python.md", "python")

    done = python(code, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r"^2027-01-15 08:0[01]:00\+00:00 \d+\.\d+ \w+$", done.stdout, re.MULTILINE)) == 2
    assert re.search(r"^\d+\.\d+ is what the function was called with first$", done.stdout, re.MULTILINE)
    assert re.search(r"^\d{2,3} candles of the past$", done.stdout, re.MULTILINE)
    assert re.search(r"^(?:forming|closed) \w+$", done.stdout, re.MULTILINE)


def test_the_program_that_reads_a_store_as_arrow_runs_as_it_stands(tmp_path):
    [code] = blocks("docs/stores.md", "python")

    done = python(code, tmp_path)

    assert done.returncode == 0, done.stderr
    batch, table = done.stdout.splitlines()
    assert "1 decimal128(38, 24)" == batch
    assert table.startswith("1 64001.10")
    assert table.endswith("2026-11-20 15:00:00+00:00")


def test_the_program_that_listens_to_events_runs_as_it_stands(tmp_path):
    [_, _, code] = blocks("docs/python.md", "python")

    done = python(code, tmp_path)

    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert "kraken:BTC/USD@1m is live " in lines
    assert any(line.startswith("kraken is lost: ") for line in lines)
    assert any(line.startswith("kraken:BTC/USD@1m goes on by poll since the stream is not") for line in lines)
    assert any(line.startswith("kraken:BTC/USD@1m goes on by stream since stream and") for line in lines)
    assert len(re.findall(r"^kraken:BTC/USD@quotes \d+\.\d+ \d+\.\d+$", done.stdout, re.MULTILINE)) == 3
    assert re.search(r"^screen conflate [01] wait, 0 dropped, \d{2,} conflated$", done.stdout, re.MULTILINE)
    assert "'Switch': 2" in lines[-1]


def test_the_events_of_the_python_page_are_all_there_are():
    page = (ROOT / "docs/python.md").read_text()
    table = page[page.index("| event | when |") : page.index("* What happens is told")]

    named = {
        name
        for cell in re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", cell)
    }
    assert named == {kind.__name__ for kind in get_args(News)}


def test_the_cut_in_the_snippet_loses_nothing(tmp_path):
    memory, _ = blocks("docs/simulation.md", "python")

    minutes = re.findall(r"^\S+ (\d\d:\d\d):00\+00:00 ", python(memory, tmp_path).stdout, re.MULTILINE)

    assert len(minutes) == 3
    assert len({*minutes}) == 3


def test_the_snippet_of_page_one_prints_candles(tmp_path):
    """As it stands but for where the venue is: a simulated one, which lives 60 times as fast."""
    [code] = blocks("README.md", "python")
    shell = Shell(tmp_path)
    venue = shell.start("simulate", "kraken", "--at", "2026-11-20T15:00:00Z", "--speed", 60, "--json")
    try:
        assert venue.stdout is not None
        redirects = json.loads(venue.stdout.readline())["redirects"]
        there = (
            f'"sqlite:candles.db", redirects={redirects!r}, clock=loop_clock(1795186800 * 10**9), '
            'world="simulated venues, seed 1")'
        )
        code = (
            "from wickwire.cli.worlds import loop_clock\nfrom wickwire.simulate.loops import run_scaled\n"
        ) + code.replace('"sqlite:candles.db")', there).replace(
            "asyncio.run(main())", "run_scaled(main(), 60)"
        )
        (tmp_path / "snippet.py").write_text(code)
        with subprocess.Popen(
            [sys.executable, "-u", "snippet.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                line = process.stdout.readline()
            finally:
                process.kill()
    finally:
        interrupt(venue)

    assert re.fullmatch(r"2026-11-20 15:\d\d:00\+00:00 \d+\.\d (successor|snapshot|history)\n", line)


def test_where_no_venue_is_the_snippet_of_page_one_says_why(tmp_path):
    """One line with venue and reason, in a program that has set up no logging."""
    [code] = blocks("README.md", "python")
    nowhere = {
        "wss://ws.kraken.com": "ws://127.0.0.1:1",
        "https://api.kraken.com": "http://127.0.0.1:1",
    }
    code = code.replace('"sqlite:candles.db")', f'"sqlite:candles.db", redirects={nowhere})')
    code = code.replace(
        "asyncio.run(main())",
        "try:\n    asyncio.run(asyncio.wait_for(main(), 1))\nexcept TimeoutError:\n    pass",
    )

    done = python(code, tmp_path)

    assert (done.returncode, done.stdout) == (0, "")
    first = done.stderr.splitlines()[0]
    assert re.match(
        r"warning: stream ended venue=kraken .*why=ws://127.0.0.1:1 refused the connection", first
    )


def test_the_commands_of_page_one_run_without_a_network(tmp_path):
    """As it says itself: with --simulate where that can be said."""
    [_, block] = blocks("README.md", "console")
    shell = Shell(tmp_path)
    commands = [line.partition("#")[0].split()[1:] for line in block.splitlines()]
    assert ["plan", "collect", "backfill", "gaps", "export", "chart"] == [words[0] for words in commands]
    for words in commands:
        more = {"collect": ("--simulate", "--speed", 200, "--for", "4s"), "backfill": ("--simulate",)}.get(
            words[0], ()
        )
        shell.run(*words, *more)

    assert (tmp_path / "btc.csv").read_text().count("\n") > 400
    assert (tmp_path / "btc.png").read_bytes().startswith(b"\x89PNG")


def test_the_documented_query_reads_a_store(tmp_path):
    shell = Shell(tmp_path)
    shell.run("backfill", "kraken:BTC/USD@1m", "--simulate", "--since", "1h")
    [query, _] = blocks("docs/stores.md", "sql")

    with closing(sqlite3.connect(tmp_path / "wickwire.db")) as database, database:
        assert len(database.execute(query).fetchall()) > 50


def test_the_documented_query_reads_a_store_in_postgresql(tmp_path):
    [_, query] = blocks("docs/stores.md", "sql")
    url, shell = fresh_url(), Shell(tmp_path)
    where = ["--at", "2026-11-20T12:00Z", "--since", "2026-11-20T11:00Z"]
    shell.run("backfill", "kraken:BTC/USD@1m", "--simulate", *where, "--store", url)

    rows = (
        shared_server().psql(query.replace("= wickwire;", f"= {url.rpartition('=')[2]};"), "-q").splitlines()
    )

    assert len(rows) > 50
    assert all(row.startswith("2026-11-20 11:") for row in rows)


def test_the_documented_tables_are_what_plan_says():
    page = (ROOT / "docs" / "cli.md").read_text()
    [shown] = re.findall(r"^\$ wickwire plan (.*)\n((?:.+\n)+?)```", page, re.MULTILINE)
    shell = Shell(ROOT)

    assert shown[1].splitlines() == shell.run("plan", *shown[0].split()).stdout.splitlines()

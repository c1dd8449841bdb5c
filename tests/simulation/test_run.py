"""Whole runs drawn by a seed: nothing breaks, a seed is one run, and venues leave each other alone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.catalogue import CATALOGUE, NOT_DRAWN
from tests.simulation.checker import differing
from tests.simulation.run import main, played, run
from tests.simulation.script import SERIES, Script, drawn
from wickwire import load_adapter
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("seed", range(1, 21))
def test_nothing_breaks_whatever_happens(seed: int) -> None:
    assert () == tuple(run(seed, 1.2, each=3).broken)


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("hundred", range(10, 40))
def test_nothing_breaks_whatever_happens_in_thousands_of_runs(hundred: int) -> None:
    broken = {seed: run(seed, 3.0).broken for seed in range(hundred * 100, hundred * 100 + 100)}
    assert {} == {seed: lines for seed, lines in broken.items() if lines}


# --------------------------------------------------------------------------------------- the same again

SHORT = ("--seed", "3", "--hours", "0.9", "--each", "2")


def _line(tmp_path: Path, hash_seed: str) -> tuple[str, bytes]:
    log = tmp_path / f"log-{hash_seed}"
    command = [sys.executable, "-m", "tests.simulation.run", *SHORT, "--log", str(log)]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True, text=True)
    return told.stdout, log.read_bytes()


def test_a_seed_is_one_run_byte_for_byte_in_every_process(tmp_path: Path) -> None:
    first, *others = [_line(tmp_path, hash_seed) for hash_seed in ("1", "77")]

    assert [first] == others
    line, log = first
    words = line.split()
    assert ["seed", "hours", "candles", "faults", "verdict", "hash"] == words[::2]
    assert log.count(b" fault ") == int(words[7])
    assert log.count(b" candle ") == int(words[5])
    assert {b"life", b"connect", b"request", b"commit"} <= {row.split()[1] for row in log.splitlines()}


def test_another_seed_is_another_run() -> None:
    one, other = (run(seed, 0.7, each=1).hash for seed in (5, 6))
    assert one != other


@pytest.mark.nightly
@pytest.mark.timeout(1_200)
def test_a_seed_is_one_run_a_hundred_times() -> None:
    assert 1 == len({run(11, 0.9).hash for _ in range(100)})


def test_the_command_says_one_line_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--seed", "5", "--hours", "0.6", "--each", "1"])
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("seed 5 hours 0.6 candles ")


# ----------------------------------------------------------------------------------------- alone and together


def _schedule(script: Script, venue: str) -> list[str]:
    """Return when a venue was asked for what, and when its series changed their route."""
    log = io.StringIO()
    played(script, log, shuffle=False, lots=False)
    hosts = {"kraken": "kraken.com", "dxlink": "dxfeed.com"}
    found = []
    for line in log.getvalue().splitlines():
        _, kind, subject, *_ = [*line.split(), ""]
        about = hosts[venue] in subject if kind in {"connect", "request"} else subject.startswith(venue)
        if kind in {"connect", "request", "switch"} and about:
            found.append(line)
    return found


@pytest.mark.parametrize(("watched", "troubled"), [("kraken", "dxlink"), ("dxlink", "kraken")])
def test_what_befalls_one_venue_changes_nothing_for_another(watched: str, troubled: str) -> None:
    """I8: not one event of the other's schedule differs."""
    for seed in (1, 2):
        script = drawn(seed, 1.2, each=3, venues=("kraken", "dxlink"))
        acts = [act for act in script.acts if act.trouble.place == troubled]
        with_troubles, without = (
            Script(seed=seed, hours=1.2, starts_ns=script.starts_ns, series=script.series, acts=some)
            for some in (acts, [])
        )
        assert len(_schedule(with_troubles, troubled)) != len(_schedule(without, troubled)) or not acts
        schedule = _schedule(with_troubles, watched)
        assert schedule
        assert [] == differing(schedule, _schedule(without, watched))


# -------------------------------------------------------------------------------------------- the catalogue


@pytest.mark.parametrize("venue", SERIES)
def test_every_switch_of_every_venue_is_drawn_or_said_not_to_be(venue: str) -> None:
    make = load_adapter(venue).simulate
    assert make is not None
    drawn_here = {trouble.name for trouble in CATALOGUE if trouble.place == venue}

    assert make(SeededMarket(1, VIRTUAL_START_NS)).faults.keys() == drawn_here | NOT_DRAWN[venue].keys()
    assert not drawn_here & NOT_DRAWN[venue].keys()


def test_seeds_draw_all_that_there_is() -> None:
    met = {str(act.trouble) for seed in range(300) for act in drawn(seed, 6.0).acts}

    assert {str(trouble) for trouble in CATALOGUE} == met


def test_faults_overlap() -> None:
    acts = drawn(2, 3.0).acts

    assert any(one.since_s < other.since_s < one.until_s for one in acts for other in acts)

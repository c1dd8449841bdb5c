"""Whole runs drawn by a seed: nothing breaks, a seed is one run, and venues leave each other alone."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from tests.simulation import harbour
from tests.simulation.catalogue import CATALOGUE, NOT_DRAWN
from tests.simulation.checker import differing
from tests.simulation.forgetting import FORGETTING
from tests.simulation.guests import KINDS
from tests.simulation.pools import DEAF, LULL, REPLACED
from tests.simulation.run import main, played, run
from tests.simulation.script import SERIES, Script, drawn
from wickwire.registry import Registry
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import VIRTUAL_START_NS

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 21))
def test_nothing_breaks_whatever_happens(seed: int) -> None:
    assert () == tuple(run(seed, 0.5, each=2).broken)


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("hundred", range(20, 40))
def test_nothing_breaks_whatever_happens_in_thousands_of_runs(hundred: int) -> None:
    seeds = range(hundred * 100, hundred * 100 + 100)
    broken = {seed: run(seed, 1.0, each=2 + (seed % 10 == 0)).broken for seed in seeds}
    assert {} == {seed: lines for seed, lines in broken.items() if lines}


# --------------------------------------------------------------------------------------- the same again

SHORT = ("--seed", "3", "--hours", "0.3", "--each", "2")


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
    one, other = (run(seed, 0.3, each=1).hash for seed in (5, 6))
    assert one != other


@pytest.mark.nightly
@pytest.mark.timeout(1_200)
def test_a_seed_is_one_run_a_hundred_times() -> None:
    assert 1 == len({run(11, 0.6, each=2).hash for _ in range(100)})


def test_the_command_says_one_line_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["--seed", "5", "--hours", "0.1", "--each", "1"])
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("seed 5 hours 0.1 candles ")


# ----------------------------------------------------------------------------------------- alone and together


def _schedules(script: Script) -> tuple[list[str], list[str]]:
    """Return, for Kraken and for DXLink, when what was asked there, and when a series changed its route."""
    log = io.StringIO()
    played(script, log, shuffle=False, lots=False)
    found: tuple[list[str], list[str]] = ([], [])
    for line in log.getvalue().splitlines():
        _, kind, subject, *_ = [*line.split(), ""]
        if kind in {"connect", "request", "switch"}:
            found["kraken" not in subject].append(line)
    return found


@pytest.mark.parametrize(("troubled", "first"), [("kraken", 1), ("dxlink", 7)])
def test_what_befalls_one_venue_changes_nothing_for_another(troubled: str, first: int) -> None:
    """I8: not one event of the other's schedule differs, whatever differs of its own."""
    there, elsewhere = (0, 1) if troubled == "kraken" else (1, 0)
    for seed in itertools.count(first):  # not all troubles change what is asked
        script = drawn(seed, 1.0, each=2, venues=("kraken", "dxlink"))
        acts = [act for act in script.acts if act.trouble.place == troubled]
        if not acts:
            continue
        with_troubles = _schedules(attrs.evolve(script, acts=acts))
        without = _schedules(attrs.evolve(script, acts=[]))
        assert with_troubles[elsewhere]
        assert [] == differing(with_troubles[elsewhere], without[elsewhere])
        if differing(with_troubles[there], without[there]):
            return


# -------------------------------------------------------------------------------------------- the catalogue


@pytest.mark.parametrize("venue", SERIES)
def test_every_switch_of_every_venue_is_drawn_or_said_not_to_be(venue: str) -> None:
    make = Registry(adapters={"harbour": harbour}).load(venue).simulate
    assert make is not None
    drawn_here = {trouble.name for trouble in CATALOGUE if trouble.place == venue}

    assert make(SeededMarket(1, VIRTUAL_START_NS)).faults.keys() == drawn_here | NOT_DRAWN[venue].keys()
    assert not drawn_here & NOT_DRAWN[venue].keys()


def test_seeds_draw_all_that_there_is() -> None:
    met = {str(act.trouble) for seed in range(100) for act in drawn(seed, 9.0).acts}

    assert {str(trouble) for trouble in (*CATALOGUE, REPLACED, DEAF, LULL, FORGETTING, *KINDS)} == met


def test_faults_overlap() -> None:
    acts = drawn(2, 3.0).acts

    assert any(one.since_s < other.since_s < one.until_s for one in acts for other in acts)

"""That old candles are forgotten while others are collected is drawn in many runs, and played."""

from __future__ import annotations

import random
from pathlib import Path

from tests.simulation.forgetting import FORGETTING, moments_s
from tests.simulation.run import main
from tests.simulation.script import drawn


def test_half_of_the_runs_forget_and_leave_time_to_settle() -> None:
    drawings = [moments_s(240.0, 2_400.0, random.Random(seed)) for seed in range(100)]

    assert 30 <= sum(bool(drawing) for drawing in drawings) <= 70
    assert all(240.0 <= at_s <= 2_400.0 for drawing in drawings for at_s in drawing)
    assert [] == moments_s(300.0, 240.0, random.Random(1))


def test_a_run_in_which_somebody_forgets_is_whole(tmp_path: Path) -> None:
    seed, log = next(seed for seed in range(100) if _forgets(seed)), tmp_path / "log"

    assert 0 == main([*f"--seed {seed} --hours 0.4 --each 2 --log".split(), str(log)])
    forgot = [line.split() for line in log.read_text().splitlines() if " forgot " in line]
    assert forgot
    assert any(int(gone) for *_, gone in forgot), "there was nothing to forget"


def _forgets(seed: int) -> bool:
    script = drawn(seed, 0.4, each=2)
    return any(act.trouble is FORGETTING for act in script.acts)

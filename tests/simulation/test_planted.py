"""The corpus of planted bugs still fits the code."""

from __future__ import annotations

import pytest

from tests.simulation.planted import ROOMS, Bug, planted


@pytest.mark.parametrize("bug", planted(), ids=str)
def test_there_is_one_place_for_each_bug(bug: Bug) -> None:
    text = (ROOMS / bug.file).read_text()
    assert bug.fits(text)
    compile(bug.planted(text), bug.file, "exec")
    assert bug.planted(text) != text

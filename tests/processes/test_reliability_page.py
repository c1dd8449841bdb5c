"""The page about reliability names what exists, and leaves no fault out."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
ROWS = re.findall(
    r"^\| ([FS]\d+) \| [^|]+ \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE
)
"""Name, what is required, what was measured, state, and what shows it."""


def test_every_test_that_the_page_names_exists():
    named = re.findall(r"(test_\w+\.py)::(test_\w+)", PAGE)
    files = {path.name: "" for path in ROOT.glob("tests/**/test_*.py")}
    for path in ROOT.glob("tests/**/test_*.py"):
        files[path.name] += path.read_text()  # two venues may both have a test_simulator.py
    assert named
    assert [] == [f"{file}::{test}" for file, test in named if f"def {test}(" not in files.get(file, "")]


def test_every_fault_and_control_has_a_row_with_a_state():
    """What is held or partly held is shown by a test; what is left open says why."""
    rows = [(name, state, shown) for name, _, _, state, shown in ROWS]
    assert [f"F{number}" for number in range(1, 68)] + [f"S{number}" for number in range(1, 16)] == [
        name for name, *_ in rows
    ]
    assert {state for _, state, _ in rows} <= {"held", "partly", "not yet", "later"}
    assert [] == [name for name, state, shown in rows if state == "held" and "::" not in shown]
    assert [] == [name for name, state, shown in rows if state == "partly" and not said(shown)]
    assert [] == [name for name, state, shown in rows if state in {"later", "not yet"} and "::" in shown]


def test_every_row_says_what_is_required_and_what_was_measured():
    """What is held has a number; what has none says why."""
    assert [] == [name for name, required, _, _, _ in ROWS if not required.strip(" —")]
    assert [] == [name for name, _, measured, state, _ in ROWS if state == "held" and measured == "—"]


def said(shown: str) -> list[str]:
    """What a row says in words, beside the tests that it names."""
    return [part for part in shown.split("<br>") if "::" not in part]


def test_what_is_left_for_later_is_not_here_yet():
    """A row that waits for a venue's first token, number or book is out of date once a venue has one."""
    waiting = {name: why for name, _, _, state, why in ROWS if state == "later"}
    plugins = {path.name for path in ROOT.glob("plugins/wickwire_*")}

    assert [] == [name for name, why in waiting.items() if "venue" in why]
    assert not {"wickwire_dashboard"} & plugins

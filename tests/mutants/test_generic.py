"""Changes that nobody thought of: how what became of them is counted; `make generic-mutants` draws them."""

from __future__ import annotations

import pytest

from tests.mutants.corpus import ADAPTERS
from tests.mutants.generic import Fate, fate, finders, report, sampled, shortcomings, suites
from wickwire.testing.score import Change

FILE = ADAPTERS / "wickwire_kraken" / "rows.py"
TEXT = FILE.read_text()


def change(before: str = "1_000", after: str = "1_001") -> Change:
    assert TEXT.count(before) >= 1
    text = TEXT.replace(before, after, 1)
    return Change(file=FILE, line=1, operator="Number", before=before, after=after, text=text)


def kraken(by: str) -> Fate:
    return Fate("kraken", change(), by)


def test_the_table_counts_who_found_what_and_shows_what_nobody_did() -> None:
    fates = [kraken("D08"), kraken("tests"), kraken("")]

    table = list(report(fates))

    assert ["kraken", "3", "1", "1", "66.7", "%"] == table[1].split()
    assert table[-1].split() == ["MISSED", "0.0", "s", "kraken/rows.py:1:", "1_000", "=>", "1_001"]


def test_a_run_fails_where_too_many_survive_in_one_adapter() -> None:
    found, missed = kraken("D08"), kraken("")

    assert [] == list(shortcomings([found] * 17 + [missed] * 3))
    assert ["kraken: 16 of 20 are fewer than 85 in 100"] == list(shortcomings([found] * 16 + [missed] * 4))


def test_a_run_is_told_by_another_what_it_found() -> None:
    """What survived, or was not tried, is found by nobody yet."""
    found, missed = kraken("D08"), Fate("kraken", change("Final", "Any"), "")
    lines = [str(found), str(missed), "", *report([found, missed])]

    assert ["D08", ""] == list(finders(lines).values())
    assert {} == finders(["", "kraken             200   172"])


def test_of_two_changes_that_read_alike_both_have_to_be_found() -> None:
    one, other = str(kraken("D08")), str(kraken(""))

    assert [""] == list(finders([one, other]).values()) == list(finders([other, one]).values())


def test_tests_that_collect_for_a_while_look_last() -> None:
    quick, long = suites("dxlink")

    assert {"test_candles", "test_dialogue", "test_stream"} <= {file.stem for file in quick}
    assert {"test_simulator", "test_dxlink_secrets"} == {file.stem for file in long}


@pytest.mark.slow
def test_a_change_is_looked_for_with_quick_tests_first() -> None:
    """What a venue counts in thousandths is wrong by a thousandth."""
    assert fate("kraken", change()).by == "tests"


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
def test_a_sample_is_drawn_by_its_seed() -> None:
    pytest.importorskip("cosmic_ray", reason="needs cosmic-ray: the extra mutation brings it")
    one, same, other = sampled("kraken", 20, 1), sampled("kraken", 20, 1), sampled("kraken", 20, 2)

    assert one == same
    assert len(one) == 20
    assert {drawn.text for drawn in one} != {drawn.text for drawn in other}
    assert not any(drawn.file.name.startswith("simulator") for drawn in one)
    for drawn in one:
        assert drawn.text != drawn.file.read_text()
        compile(drawn.text, drawn.file.name, "exec")

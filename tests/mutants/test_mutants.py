"""The corpus of seeded bugs fits the adapters, and the kit finds some; `make mutants` looks at all."""

from __future__ import annotations

import attrs
import pytest

from tests.mutants.corpus import Mutant, corpus
from tests.mutants.run import Found, control, found, main, report, shortcomings
from wickwire.testing.running import CHECKS

BUGS = {one.id: one for one in corpus()}
SAMPLE = BUGS["kraken-swapped-quote"]
IDS = {one.id for one in CHECKS}

# what only a check finds that was sharpened for it
SHARPENED = (
    "alpaca-day-of-24-hours",
    "alpaca-first-of-batch",
    "coinbase-decimals-of-time",
    "kraken-refuses-all",
    "kraken-snapshot-unsaid",
    "yahoo-last-bar-whole",
)


@pytest.mark.parametrize("bug", corpus(), ids=lambda bug: bug.id)
def test_each_bug_still_applies(bug: Mutant) -> None:
    assert "" == bug.misfit()


@pytest.mark.parametrize("bug", corpus(), ids=lambda bug: bug.id)
def test_each_bug_says_what_it_is_and_who_should_find_it(bug: Mutant) -> None:
    assert bug.id.startswith(bug.adapter)
    assert f"({bug.adapter}.md, " in bug.trap
    assert bool(bug.check) is not bool(bug.survives)
    assert not bug.check or bug.check in IDS


def test_the_corpus_is_large_enough_for_every_adapter() -> None:
    adapters = [one.adapter for one in corpus()]

    assert len(adapters) >= 80
    assert all(adapters.count(one) >= 16 for one in ("alpaca", "coinbase", "dxlink", "kraken", "yahoo"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kraken-swapped-quote", "yahoo-429", *SHARPENED])
def test_a_bug_is_found_by_the_check_that_should(name: str) -> None:
    bug = BUGS[name]

    assert bug.check == found(bug, only=[bug.check]).check


@pytest.mark.slow
def test_a_bug_that_is_not_there_is_not_found() -> None:
    without = attrs.evolve(SAMPLE, bug=attrs.evolve(SAMPLE.bug, after=SAMPLE.bug.before))

    told = found(without, only=[SAMPLE.check])

    assert ("", "") == (told.check, told.why)


def test_what_does_not_apply_any_more_says_so() -> None:
    def misfit(**changes: str) -> str:
        return attrs.evolve(SAMPLE, bug=attrs.evolve(SAMPLE.bug, **changes)).misfit()

    assert "its old text is 0 times in rows.py, not once" == misfit(before="nothing of the kind")
    assert "it changes nothing" == misfit(after=SAMPLE.bug.before)
    assert misfit(after="Quote(").startswith("what it makes is no Python")


def test_the_table_counts_by_level_and_by_adapter() -> None:
    explained = attrs.evolve(SAMPLE, id="kraken-explained", survives="nobody can see it")
    results = [Found(SAMPLE, "D08", 3), Found(SAMPLE, "S03", 1), Found(explained)]

    table = [line.split() for line in report(results)]

    assert ["1", "static", "3", "1"] in table
    assert ["3", "dialogue", "2", "1"] in table
    assert ["4", "history", "1", "0"] in table
    assert ["kraken", "3", "2"] in table
    assert ["all", "3", "2", "66.7", "%"] in table
    assert ["kraken-explained:", "nobody", "can", "see", "it"] in table


def test_a_run_fails_where_too_much_or_something_unexplained_survives() -> None:
    explained = attrs.evolve(SAMPLE, survives="nobody can see it")
    caught = [Found(SAMPLE, "D08", 3)] * 19

    assert [] == list(shortcomings([*caught, Found(explained)]))
    assert ["kraken-swapped-quote: it survives, and nothing says why"] == list(
        shortcomings([*caught, Found(SAMPLE)])
    )
    assert ["18 of 19 are fewer than 95 in 100"] == list(shortcomings([*caught[:18], Found(explained)]))
    assert ["kraken-swapped-quote: D08 finds it by now: take its explanation away"] == list(
        shortcomings([Found(explained, "D08", 3)])
    )


def test_a_word_that_no_bug_has_is_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == main(["--only", "no such bug"])
    assert "no bug has 'no such bug' in it" in capsys.readouterr().out


@pytest.mark.nightly
@pytest.mark.timeout(7_200)
def test_the_kit_finds_nearly_all() -> None:
    assert 0 == main([])


@pytest.mark.nightly
def test_the_kit_finds_nothing_in_an_adapter_without_a_bug() -> None:
    told = control(SAMPLE)

    assert ("", "") == (told.check, told.why)

"""The mutation score: changes of an adapter's code, in copies, and who finds them."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import attrs
import pytest

from wickwire.cli.survivors import score_part
from wickwire.cli.tables import show
from wickwire.registry import Registry
from wickwire.testing.checks import Check
from wickwire.testing.copies import Looked, Original, UncopiedError, copied, looked_at
from wickwire.testing.material import Material
from wickwire.testing.mutants import _looking, _Trial, drawn, quickest, score
from wickwire.testing.report import report_json, score_line
from wickwire.testing.running import Outcome, Report, State, chosen, material_of
from wickwire.testing.score import UNASKED, Change, Fate, Score

BEACON = dedent("""\
    from wickwire import Description, HttpRequest, OhlcvSupport, Page, Timeframe, hookimpl

    UNREAD = 7

    @hookimpl
    def describe():
        return Description(title="Beacon", documents=("invented",), timeframes=(Timeframe.parse("1m"),))

    @hookimpl
    def supports_ohlcv(symbol):
        return OhlcvSupport(why_not="it is not asked yet")

    @hookimpl
    def fetch_ohlcv(query):
        yield HttpRequest(url="https://api.beacon.example")
        return Page(candles=(), covered=(query.since_ns, query.until_ns))
    """)
NOBODY_READS = BEACON.splitlines().index("UNREAD = 7") + 1
TITLE = 'title="Beacon"'
RUNNING = "import sys; {}from wickwire.cli import main; main()"
CHECKS = chosen(["S01", "S02", "S10"])
S01, S02, S10 = CHECKS


@pytest.fixture
def beacon(tmp_path: Path) -> Material:
    """A private adapter in one file, of which one line means nothing."""
    (tmp_path / "beacon.py").write_text(BEACON)
    (tmp_path / "w.toml").write_text('[plugins.local]\nbeacon = "beacon.py"\n')
    registry = Registry(local={"beacon": tmp_path / "beacon.py"}, installed=False)
    return material_of("beacon", registry, symbols=["BTC/USD"])


def looked(material: Material, text: str, bound_s: float = 60.0) -> Looked:
    original = Original.of(material)
    [file] = original.files
    return looked_at(original, {file: text}, CHECKS, effort=1, bounds_s=dict.fromkeys(CHECKS, bound_s))


def command(folder: Path, *words: object, before: str = "") -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", RUNNING.format(before), "check", "beacon", "--config", "w.toml"]
    return subprocess.run(
        [*line, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False, timeout=110
    )


# ------------------------------------------------------------------------------------- one look at a copy


@pytest.mark.parametrize(
    ("old", "new", "found", "why"),
    [
        ("UNREAD = 7", "UNREAD = 8", None, ""),
        ('documents=("invented",), ', "", S02, "documents is empty"),
        ("UNREAD = 7", "UNREAD = 7 / 0", S01, "ZeroDivisionError"),
        (TITLE, 'title=__import__("os")._exit(3)', S01, r"ended the process \(status 3\)"),
        (TITLE, 'title=print("{}" * 9)', S02, "title is None"),  # what it prints is taken for no report
    ],
)
def test_a_check_finds_what_it_can_see(
    beacon: Material, old: str, new: str, found: Check | None, why: str
) -> None:
    told = looked(beacon, BEACON.replace(old, new))

    assert found == told.failed
    assert re.search(why, told.why)
    assert BEACON == Path(beacon.module).read_text()


def test_what_never_ends_is_ended_and_counts_as_found_by_the_check_that_met_it(beacon: Material) -> None:
    """Whatever keeps the interpreter busy: the system ends it."""
    text = BEACON.replace('why_not="it', 'why_not=sum(iter(int, 1)) or "it')

    told = looked(beacon, text, bound_s=2.0)

    assert (S01, "it came to no end within 2 s", False) == (told.failed, told.why, told.is_told)


def test_the_checks_that_find_are_those_that_passed_with_the_code_as_it_is_quickest_first() -> None:
    states = {S01: State.PASSED, S02: State.FAILED, S10: State.PASSED}

    assert [S10, S01] == quickest(Looked(states=states, seconds={S01: 0.3, S02: 0.1, S10: 0.2}))


def test_what_the_least_effort_does_not_find_is_looked_at_with_the_effort_of_the_run(
    beacon: Material,
) -> None:
    asked = []

    def look(_: object, checks: Sequence[Check], *, effort: int, bounds_s: object) -> Looked:
        asked.append(effort)
        return Looked(states={}, seconds={}, failed=S02 if effort == 50 else None, why="a rare input")

    trial = _Trial(original=Original.of(beacon), look=look, checks=CHECKS, bounds_s={1: {}, 50: {}})
    change = Change(file=Path(beacon.module), line=1, operator="Number", before="1", after="2", text="")

    assert (S02, "a rare input") == ((told := trial.fate(change)).check, told.why)
    assert [1, 50] == asked


def test_several_changes_are_looked_at_at_once_and_told_in_order() -> None:
    """Each look waits until another has begun: one after the other they would wait in vain."""
    meeting = threading.Barrier(2, timeout=60.0)

    def look(change: Change) -> Fate:
        meeting.wait()
        return Fate(change=change, place="beacon/b.py")

    drawn_ones = [
        Change(file=Path("b.py"), line=line, operator="Number", before="1", after="2", text="")
        for line in (3, 1, 2, 4)
    ]
    with _looking(2) as looking:
        told = [*looking(look, drawn_ones)]

    assert drawn_ones == [one.change for one in told]


# --------------------------------------------------------------------------------------------- what is copied


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution whose adapter is a module of a package, in a namespace, with a simulated venue."""
    package = tmp_path / "site" / "acme" / "venues"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "beacon.py").write_text(BEACON.replace("UNREAD = 7", "from acme.venues.rows import UNREAD"))
    (package / "rows.py").write_text("UNREAD = 7\n")
    told = tmp_path / "site" / "acme_beacon-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-beacon\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[wickwire.adapters]\nbeacon = acme.venues.beacon\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.chdir(tmp_path / "site")  # where the original would be found first
    return package


def test_a_package_is_copied_whole_and_the_copy_is_what_is_imported(installed: Path) -> None:
    original = Original.of(material_of("beacon", Registry()))
    bounds_s = dict.fromkeys(CHECKS, 60.0)

    assert (installed, Path("acme/venues")) == (original.root, original.place)
    assert ["venues/beacon.py"] == [original.name(file) for file in original.files]
    told = looked_at(original, {installed / "rows.py": "UNREAD = 1 / 0"}, CHECKS, effort=1, bounds_s=bounds_s)
    assert "ZeroDivisionError" in told.why
    elsewhere = attrs.evolve(original, place=Path("elsewhere"))
    with pytest.raises(UncopiedError, match=r"what is imported is .*beacon\.py, and not a copy"):
        looked_at(elsewhere, {}, CHECKS, effort=1, bounds_s=bounds_s)


def test_simulated_venues_are_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "wickwire_glow"
    (package / "simulator").mkdir(parents=True)
    for name in ("rows.py", "simulator.py", "simulator_rows.py", "simulator/feed.py"):
        (package / name).write_text("ROWS = 7\n")
    (package / "__init__.py").write_text(BEACON)
    monkeypatch.syspath_prepend(tmp_path)
    import wickwire_glow  # type: ignore[import-not-found]  # noqa: PLC0415 - it is made here

    registry = Registry(adapters={"glow": wickwire_glow}, installed=False)
    material = material_of("glow", registry)
    material.module = "wickwire_glow"

    original = Original.of(material)

    assert ["wickwire_glow/__init__.py", "wickwire_glow/rows.py"] == [*map(original.name, original.files)]


def test_what_is_not_made_of_files_is_not_copied(beacon: Material) -> None:
    beacon.module = ""

    with pytest.raises(UncopiedError, match="not made of files"):
        Original.of(beacon)


def test_a_copy_is_gone_afterwards(beacon: Material) -> None:
    original = Original.of(beacon)

    with copied(original, {original.files[0]: "changed"}) as copy:
        assert ("changed", BEACON) == (copy.root.read_text(), original.root.read_text())
        assert copy.environment["PYTHONPATH"].startswith(str(copy.folder))
    assert not copy.folder.exists()


# ---------------------------------------------------------------------------------------------- what is drawn

SOURCE = dedent("""\
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        TYPES = 1
    READ: "1 + 1" = 1

    def simulate(market):
        return 1 + 1

    class Server:
        def accept(self): return 1
        def answer(self): return 1

    class Line:
        def received(self): return 1
        def due(self): return 1

    class Rows:
        MOST = 2
    """)


DOTTED = """import json

def read(text, *, most="1"): pass

try:
    MOST = json.loads("2")
except json.JSONDecodeError:
    MOST = "3"
except (json.JSONDecodeError, OSError):
    MOST = 1
except KeyError:
    MOST = "4"
"""


def test_a_change_that_cannot_be_made_is_no_change(tmp_path: Path) -> None:
    """Of an exception with a dot in its name cosmic-ray makes nonsense, and not each star is a product."""
    pytest.importorskip("cosmic_ray", reason="needs cosmic-ray: the extra mutation brings it")
    file = tmp_path / "rows.py"
    file.write_text(DOTTED)

    possible, every = drawn([file], 50, 1)

    assert possible > len(every) > 1
    tried = {change.before for change in every}
    assert {"MOST = 1", "except KeyError:", "except (json.JSONDecodeError, OSError):"} == tried


def test_changes_are_drawn_by_a_seed_of_what_runs_and_is_not_simulated(tmp_path: Path) -> None:
    pytest.importorskip("cosmic_ray", reason="needs cosmic-ray: the extra mutation brings it")
    file = tmp_path / "rows.py"
    file.write_text(SOURCE)

    possible, every = drawn([file], 50, 1)
    _, one = drawn([file], 1, 1)

    assert possible == len(every)
    assert {'READ: "1 + 1" = 1', "MOST = 2"} == {change.before for change in every}
    assert {4, 18} == {change.line for change in every}
    assert all(change.text == SOURCE.replace(change.before, change.after) for change in every)
    assert one == every[:1]


def test_a_file_that_cannot_be_changed_is_named_in_place_of_a_score(tmp_path: Path) -> None:
    """The rest of the report is there by then, and stays."""
    pytest.importorskip("cosmic_ray", reason="needs cosmic-ray: the extra mutation brings it")
    file = tmp_path / "beacon.py"
    file.write_bytes(b"# coding: latin-1\n" + BEACON.replace("invented", "erfund\xe9n").encode("latin-1"))
    registry = Registry(local={"beacon": file}, installed=False)
    material = material_of("beacon", registry, effort=1)

    told = score(material, [Outcome(check=S01, state=State.PASSED)], 3)

    assert (None, 0) == (told.share, told.possible)
    assert "no changes could be drawn: UnicodeDecodeError" in told.why_not


def test_where_no_check_passed_none_can_find_anything(beacon: Material) -> None:
    pytest.importorskip("cosmic_ray", reason="needs cosmic-ray: the extra mutation brings it")

    told = score(beacon, [Outcome(check=S01, state=State.FAILED)], 3)

    assert "no check passed, so none could find anything" == told.why_not


# --------------------------------------------------------------------------------------------- what is told


def fate(line: int, check: Check | None) -> Fate:
    change = Change(file=Path("b.py"), line=line, operator="Number", before="a = 1", after="a = 2", text="")
    return Fate(change=change, place="beacon/b.py", check=check)


SCORE = Score(
    asked=4,
    possible=40,
    checks=CHECKS,
    effort=8,
    fates=[fate(9, None), fate(3, S01), fate(2, None), fate(4, chosen(["P01"])[0])],
)


def test_programs_are_told_the_score_what_each_level_found_and_what_survived() -> None:
    told = report_json(
        Report(adapter="beacon", score=attrs.evolve(SCORE, checks=[*CHECKS, *chosen(["P01"])]))
    )

    survived = {"file": "beacon/b.py", "operator": "Number", "before": "a = 1", "after": "a = 2"}
    assert {
        "why_not": "",
        "asked": 4,
        "possible": 40,
        "tried": 4,
        "found": 2,
        "score": 0.5,
        "effort": 8,
        "checks": ["S01", "S02", "S10", "P01"],
        "levels": [{"level": 1, "found": 1}, {"level": 2, "found": 1}],
        "survivors": [survived | {"line": 2}, survived | {"line": 9}],
    } == told["mutation"]


def test_people_are_shown_what_survived_as_it_was_and_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    show(score_part(SCORE))

    lines = capsys.readouterr().out.splitlines()
    assert (
        "Mutation score: 50 %. Of 4 changes of its code, drawn from 40, 2 were found by 3 checks." == lines[0]
    )
    assert ["  beacon/b.py:2", "    - a = 1", "    + a = 2", "  beacon/b.py:9"] == lines[-6:-2]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (UNASKED, "Mutation score: not taken: --mutants 50 changes the adapter's code in 50 ways"),
        (Score(why_not="no check passed"), "Mutation score: no check passed."),
    ],
)
def test_where_no_score_was_taken_the_reason_is_told_and_no_number(told: Score, said: str) -> None:
    mutation = report_json(Report(adapter="beacon", score=told))["mutation"]

    assert score_line(told).startswith(said)
    assert (told.why_not, None, 0, []) == tuple(
        mutation[key] for key in ("why_not", "score", "tried", "survivors")
    )


# ------------------------------------------------------------------------------------------------ the command


@pytest.mark.slow
def test_the_command_takes_the_score_of_an_adapter_and_shows_what_survives(
    beacon: Material, tmp_path: Path
) -> None:
    """Five changes there can be: two of a number that nobody reads, and three of decorators."""
    pytest.importorskip("cosmic_ray", reason="needs cosmic-ray: the extra mutation brings it")
    page = tmp_path / "card.html"
    only = [word for check in CHECKS for word in ("--only", check.id)]

    done = command(
        tmp_path, *only, "--symbol", "BTC/USD", "--mutants", 50, "--jobs", 2, "--json", "--html", page
    )

    assert 0 == done.returncode, done.stderr
    told = json.loads(done.stdout)["mutation"]
    assert ("", 50, 5, 5) == (told["why_not"], told["asked"], told["possible"], told["tried"])
    unread = {("beacon.py", NOBODY_READS, "UNREAD = 7")}
    assert unread == {(one["file"], one["line"], one["before"]) for one in told["survivors"]}
    assert (3, 0.6, [{"level": 1, "found": 3}]) == (told["found"], told["score"], told["levels"])
    text = html.unescape(re.sub(r"<[^>]*>", "", page.read_text()))
    assert "Mutation score: 60 %. Of 5 changes of its code" in text
    assert {"+ UNREAD = 6", "+ UNREAD = 8"} == set(re.findall(r"\+ UNREAD = \d", text))
    assert BEACON == (tmp_path / "beacon.py").read_text()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_without_being_asked_the_command_says_that_no_score_was_taken_and_how(
    beacon: Material, tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = command(tmp_path, "--only", "S01", *options)

    assert (0, "") == (done.returncode, done.stderr)
    assert "not taken: --mutants 50" in done.stdout


def test_without_cosmic_ray_the_command_names_the_extra_before_it_does_anything(
    beacon: Material, tmp_path: Path
) -> None:
    done = command(tmp_path, "--mutants", 5, before="sys.modules['cosmic_ray'] = None; ")

    assert (2, "") == (done.returncode, done.stdout)
    assert "'cosmic-ray', which is not installed; pip install 'wickwire[mutation]'" in done.stderr

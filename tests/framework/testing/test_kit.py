"""The kit itself: what it says of an adapter, of a file, of deviations, and how it is run."""

import html
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import pytest

from tests.framework.cli import forked
from tests.framework.testing.variants import ROOT, edited, lantern
from wickwire import ConfigError
from wickwire.adapter import bind
from wickwire.registry import Registry
from wickwire.testing import conformance
from wickwire.testing.checks import Level
from wickwire.testing.deviations import read_deviations
from wickwire.testing.material import Material
from wickwire.testing.report import failure_text, reached
from wickwire.testing.running import CHECKS, Outcome, Report, State, chosen, excused, material_of, run_one
from wickwire.testing.seal import sealed

CLOCK = time.time_ns
TODAY = date(2026, 11, 22)
PAGE = (ROOT / "docs" / "adapters.md").read_text()
BEACON = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]
BARS = {"pair": "BTC/USD", "bar": "1min", "bars": [[1795237080000, "95.1", "95.4", "95.0", "95.2", "3.25"]]}
BY_ID = {one.id: one for one in CHECKS}

# a bound adapter, and not all levels; test_checks_bite.py sees that it keeps them all
test_lantern_conforms = conformance(bind("lantern", lantern()), symbols=["GLOW/USD"], level=2, effort=10)


def beacon(source=BEACON):
    module = ModuleType("beacon")
    exec(compile(source, "beacon.py", "exec"), vars(module))
    return bind("beacon", module)


@pytest.fixture
def wire(tmp_path):
    """A folder of samples as a stranger would make it."""
    folder = tmp_path / "wire"
    folder.mkdir()
    (folder / "bars.json").write_text(json.dumps(BARS))
    (folder / "snapshot.json").write_text(json.dumps({**BARS, "snapshot": True}))
    (folder / "rest_bars.json").write_text(json.dumps(BARS))
    (folder / "accepted.txt").write_text('{"id":1,"ok":true}\n{"id":2,"ok":false,"error":"no such pair"}\n')
    return folder


def outcome(check, adapter, **options):
    return run_one(Material(adapter, effort=20, **options), BY_ID[check])


# -------------------------------------------------------------------------------- what is found in samples


def test_the_adapter_of_the_page_keeps_every_promise_that_its_samples_can_show(wire):
    material = Material(beacon(), samples=wire, effort=20)
    found = {check.id: run_one(material, check) for check in CHECKS}

    failed = [failure_text(one) for one in found.values() if one.state is State.FAILED]
    skipped = " ".join(name for name, one in found.items() if one.state is State.SKIPPED)
    simulated = " ".join(check.id for check in CHECKS if check.level > Level.PARSE)
    assert ([], f"S09 S11 P09 P10 P13 P22 P24 P25 {simulated}") == (failed, skipped)


def test_members_that_are_read_by_their_place_are_found(wire):
    source = BEACON.replace(
        'case {"pair": str(pair), "bar": str(code), "bars": [*rows], **rest}:',
        'case {"pair": str(pair), "bar": str(code), "bars": [*rows], **rest} as all:\n'
        "                pair = next(iter(all.values()))",
    )

    assert "in another" in outcome("P05", beacon(source), samples=wire).why
    assert outcome("P05", beacon(), samples=wire).state is State.PASSED


def test_a_float_is_found_in_samples(wire):
    source = BEACON.replace("[Decimal(text) for text", "[Decimal(repr(float(text))) for text")

    found = outcome("P06", beacon(source), samples=wire)

    assert "was sent and became" in found.why
    assert "wickwire check beacon --only P06 --seed 1" == found.command


def test_a_failure_shows_the_smallest_input_and_the_line(wire):
    source = BEACON.replace("JUNK = (ValueError, KeyError,", "JUNK = (ValueError,")

    found = outcome("P01", beacon(source), samples=wire)

    assert "raised KeyError" in found.why
    assert "at beacon.py, line" in found.why
    assert "frame b'" in found.shown


def test_what_lacks_is_skipped_with_the_reason():
    found = outcome("P01", beacon())

    assert (State.SKIPPED, "needs frames; give --samples DIR, or implement simulate()") == (
        found.state,
        found.why,
    )


def test_what_a_hook_raises_in_the_midst_of_a_dialogue_is_found():
    """Over a frame that the venue really sent, and not only over a damaged one."""
    line = "            word, topic = memory.pop(number)\n            return (Accepted"
    adapter = edited((line, f'            raise LookupError("who asked?")\n{line}'))

    found = outcome("P02", adapter, symbols=["GLOW/USD"])

    assert (State.FAILED, "b'OK|1'") == (found.state, found.shown)
    assert "raised LookupError: who asked?" in found.why


# ----------------------------------------------------------------------------------- what importing it does


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("open('left_behind', 'w').close()", "for writing"),
        ("import socket; socket.socket().close()", "socket.__new__"),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', ''])", "subprocess.Popen"),
        ("open('/etc/hostname').close()", "open '/etc/hostname' for reading"),
        ("import os; os.environ.get('WICKWIRE_BEACON_KEY')", "reads the variable WICKWIRE_BEACON_KEY"),
    ],
)
def test_an_import_that_does_more_is_found(tmp_path, monkeypatch, line, why):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "beacon.py"
    file.write_text(f"{BEACON}\n{line}\n")
    material = material_of("beacon", Registry(local={"beacon": file}), effort=5)

    assert why in run_one(material, BY_ID["S09"]).why


def test_an_import_may_read_its_own_tables_and_time_zones(tmp_path, monkeypatch):
    package = tmp_path / "beaconed"
    package.mkdir()
    (package / "table.csv").write_text("BTC,XBT")
    (package / "__init__.py").write_text(
        "import zoneinfo\nfrom pathlib import Path\n"
        "TABLE = Path(__file__).with_name('table.csv').read_text()\n"
        "ZONE = zoneinfo.ZoneInfo.no_cache('America/New_York')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-B", "-m", "wickwire.testing.importing", "beaconed"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "[]" == done.stdout.splitlines()[-1]


def test_what_is_no_adapter_fails_the_first_check_and_skips_the_others(tmp_path):
    file = tmp_path / "beacon.py"
    file.write_text(BEACON.replace("@hookimpl\ndef parse", "def parse"))
    material = material_of("beacon", Registry(local={"beacon": file}))

    first, *others = [run_one(material, check) for check in CHECKS]

    assert "parse() lacks the marker" in first.why
    assert {State.SKIPPED} == {one.state for one in others}


# ------------------------------------------------------------------------------------------------ the seal


@pytest.mark.parametrize(
    "deed", ["open", "print", "sleep", "log", "socket", "thread", "time", "monotonic", "now", "today"]
)
def test_the_seal_sees(deed):
    deeds = {
        "open": lambda: Path(__file__).read_bytes(),
        "print": lambda: sys.stdout.write("x"),
        "sleep": lambda: time.sleep(0),
        "log": lambda: logging.getLogger("lamp").warning("dim"),
        "socket": lambda: socket.socket().close(),
        "thread": lambda: threading.Thread(target=int).start(),
        "time": CLOCK,
        "monotonic": time.monotonic,
        "now": lambda: datetime.now(UTC),  # noqa: TID251 - this is the deed
        "today": date.today,
    }
    with sealed() as seal:
        deeds[deed]()
    with sealed() as other:
        pass

    assert (True, []) == (bool(seal.all), other.all)


def test_a_line_of_the_log_is_no_second_deed_for_its_stamp():
    with sealed() as seal:
        logging.getLogger("lamp").warning("dim")

    assert ["logged 'dim'"] == seal.all


def test_times_that_are_computed_are_no_clock():
    with sealed() as seal:
        time.gmtime(0)
        datetime.fromtimestamp(0, UTC).isoformat()

    assert [] == seal.all


# ---------------------------------------------------------------------------------------------- deviations


def deviations(tmp_path, text):
    file = tmp_path / "conformance.toml"
    file.write_text(text)
    return read_deviations(file, BY_ID)


EXCUSE = '[[deviation]]\ncheck = "S08"\nreason = "the venue tells no limit"\nexpires = {}\n'


@pytest.mark.parametrize(
    ("expires", "breaks", "state", "why"),
    [
        ("2026-12-31", True, State.EXCUSED, "the venue tells no limit"),
        ("2026-11-22", True, State.EXCUSED, "until 2026-11-22"),
        ("2026-11-21", True, State.FAILED, "its deviation expired on 2026-11-21"),
        ("2026-12-31", False, State.FAILED, "it is kept by now"),
    ],
)
def test_a_deviation_excuses_until_it_expires_or_is_not_needed(tmp_path, expires, breaks, state, why):
    told = deviations(tmp_path, EXCUSE.format(expires))
    adapter = edited((", rest=Rate(5)", "")) if breaks else edited()

    found = excused(outcome("S08", adapter, symbols=["GLOW/USD"]), told["S08"], TODAY)

    assert state is found.state
    assert why in found.why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (EXCUSE.format("2027-01-01").replace("S08", "S99"), "there is no check 'S99'"),
        (EXCUSE.format('"soon"'), "expires has to be a date"),
        (EXCUSE.format("2027-01-01") * 2, "excused twice"),
        ("[[deviations]]\n", "expected [[deviation]]"),
        ('[[deviation]]\ncheck = "S08"\n', "expected check, reason and expires"),
    ],
)
def test_a_wrong_file_of_deviations_says_what_is_wrong(tmp_path, text, why):
    with pytest.raises(ConfigError, match=re.escape(why)):
        deviations(tmp_path, text)


# ------------------------------------------------------------------------------------------- how it is run


@pytest.fixture
def beacon_config(tmp_path):
    (tmp_path / "beacon.py").write_text(BEACON)
    (tmp_path / "w.toml").write_text('[plugins.local]\nbeacon = "beacon.py"\n')
    return tmp_path


def command(folder, *words):
    with TemporaryDirectory() as scratch:
        line = ["check", *map(str, words)]
        return forked.run(line, folder=folder, environment=os.environ, scratch=Path(scratch))


def test_the_command_reports_as_json(wire, beacon_config):
    done = command(beacon_config, "beacon", "--config", "w.toml", "--samples", wire, "--effort", 5, "--json")

    told = json.loads(done.stdout)
    assert (0, "") == (done.returncode, done.stderr)
    assert ("beacon", "2026.11", 0) == (told["adapter"], told["profile"], told["failed"])
    assert [one.id for one in CHECKS] == [one["id"] for one in told["checks"]]
    [branches] = told["branches"]
    assert branches["branches"] == branches["taken"] + len(branches["missed"]) > branches["taken"] > 0


def test_the_command_fails_and_says_how_to_see_it_again(wire, beacon_config):
    source = BEACON.replace("JUNK = (ValueError, KeyError,", "JUNK = (ValueError,")
    (beacon_config / "beacon.py").write_text(source)

    options = ("--config", "w.toml", "--samples", wire, "--seed", 7)
    first = command(beacon_config, "beacon", "--only", "P01", *options)
    line = next(line for line in first.stdout.splitlines() if "again:" in line)
    again = command(beacon_config, *line.split("wickwire check ")[1].split())

    assert (1, 1) == (first.returncode, again.returncode)
    assert "raised KeyError" in first.stdout
    assert first.stdout.partition("\n\n")[2] == again.stdout.partition("\n\n")[2]


def test_what_passed_can_be_left_out(beacon_config):
    words = ("beacon", "--config", "w.toml", "--only", "S01", "--only", "P01")

    done = command(beacon_config, *words, "--hide-passed")

    assert [True, False] == [name in done.stdout for name in ("P01 ", "S01 ")]
    assert "1 passed, 1 skipped" in done.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nope"], "there is no adapter 'nope'"),
        (["beacon", "--only", "P99"], "there is no check 'P99'"),
        (["beacon", "--samples", "nowhere"], "nowhere"),
    ],
)
def test_wrong_usage_is_one_line_and_status_two(beacon_config, words, why):
    done = command(beacon_config, *words, "--config", "w.toml")

    assert 2 == done.returncode
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_pytest_collects_the_checks_of_a_named_adapter(wire, beacon_config):
    words = ("--wickwire-adapter", "beacon", "--wickwire-samples", str(wire), "--wickwire-effort", "3")
    more = (
        "--wickwire-config",
        "w.toml",
        "-p",
        "no:cacheprovider",
        "-q",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *more],
        cwd=beacon_config,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stdout
    simulated = sum(check.level > Level.PARSE for check in CHECKS)
    assert f"{len(CHECKS) - 7 - simulated} passed, {7 + simulated} skipped" in done.stdout


def test_a_run_is_a_page_of_its_own_too(beacon_config, wire, tmp_path):
    page = tmp_path / "card.html"
    options = ("--config", "w.toml", "--samples", wire, "--level", 2, "--effort", 5)
    done = command(beacon_config, "beacon", *options, "--html", page)

    assert 0 == done.returncode, done.stderr
    text = html.unescape(re.sub(r"<[^>]*>", "", page.read_text()))
    assert "Conformance of beacon" in text
    assert "kept up to level 2, parse." in text
    assert all(one.id in text for one in chosen(level=2))
    assert re.search(r"Its samples take \d+ of the \d+ branches", text)
    assert not re.search(r"(src|href|url\()", page.read_text()), "it needs nothing beside it"


@pytest.mark.parametrize(
    ("states", "deepest"),
    [
        ("PPPPPP", Level.SYSTEM),
        ("PPSPSP", Level.SYSTEM),
        ("PPSSSS", Level.PARSE),
        ("PPFPPP", Level.PARSE),
        ("PPSFPP", Level.PARSE),
        ("FPPPPP", None),
        ("SSSSSS", None),
    ],
)
def test_the_level_that_is_reached_is_the_deepest_up_to_which_nothing_failed(states, deepest):
    of_level = {check.level: check for check in CHECKS}
    meant = {"P": State.PASSED, "F": State.FAILED, "S": State.SKIPPED}
    outcomes = [
        Outcome(check=of_level[level], state=meant[state]) for level, state in zip(Level, states, strict=True)
    ]
    assert deepest is reached(Report(adapter="any", outcomes=outcomes))


def test_a_page_that_cannot_be_written_is_said(beacon_config, wire, tmp_path):
    page = tmp_path / "nowhere" / "card.html"
    done = command(
        beacon_config, "beacon", "--config", "w.toml", "--samples", wire, "--only", "S01", "--html", page
    )

    assert 2 == done.returncode
    assert f"{page} cannot be written" in done.stderr


def test_the_plugin_of_pytest_loads_nothing_of_ours_unless_it_is_asked():
    code = "import sys, wickwire_pytest; print([name for name in sys.modules if name.startswith('wickwire')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "['wickwire_pytest']\n" == done.stdout


def test_the_page_lists_every_check_with_its_promise():
    page = (ROOT / "docs" / "conformance.md").read_text()

    rows = re.findall(r"^\| ([SPDHCW]\d\d) \| (.*) \|$", page, re.MULTILINE)
    assert [(one.id, one.promise) for one in CHECKS] == rows


def test_levels_and_ids_choose_checks():
    assert {1} == {one.level for one in chosen(level=1)}
    assert ["P03"] == [one.id for one in chosen(["p03"])]


def test_a_number_that_another_one_happens_to_continue_is_not_followed(wire):
    """What stands under `last` is no price of the bar, but would be its high with a 1 behind it."""
    bars = {**BARS, "bars": [[1795237080000, "95", "95.1", "95", "95", "3.25"]], "last": "95"}
    (wire / "bars.json").write_text(json.dumps(bars))

    assert outcome("P06", beacon(), samples=wire).state is State.PASSED

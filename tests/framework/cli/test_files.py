"""`export --format parquet` and `import`, as people type them."""

import csv
import io
import json
import shutil
import subprocess
import sys

import pytest

KRAKEN, YAHOO = "kraken:BTC/USD@1m", "yahoo:AAPL@1m"
HEAD = "open_time,open,high,low,close,volume\n"


@pytest.fixture
def stocked(collected, shell):
    """A copy of what was collected."""
    shutil.copytree(collected.folder, shell.folder, dirs_exist_ok=True)
    return shell


def csv_of(shell, *arguments, how=True):
    """What is exported, but for what an import makes of it: all of it came later than live."""
    rows = csv.DictReader(io.StringIO(shell.run("export", *arguments).stdout))
    left_out = {"healed", *(() if how else ("evidence", "route"))}
    return [{name: said for name, said in row.items() if name not in left_out} for row in rows]


def test_a_store_goes_to_parquet_and_comes_back(stocked):
    stocked.run("export", "--format", "parquet", "-o", "there")
    done = stocked.run("import", "there", "--store", "sqlite:other.db")

    assert csv_of(stocked) == csv_of(stocked, "--store", "sqlite:other.db")
    assert f"{KRAKEN}: 5 candles, 5 new, 0 revised" in done.stdout
    assert stocked.json("gaps") == stocked.json("gaps", "--store", "sqlite:other.db")


def test_its_world_goes_with_it(stocked):
    """Simulated candles do not get among real ones by way of a file."""
    stocked.run("export", KRAKEN, "--format", "parquet", "-o", "there")
    (stocked.folder / "own.csv").write_text(f"{HEAD}2026-11-02T00:00Z,1,1,1,1,1\n")
    stocked.run("import", "own.csv", "--series", KRAKEN, "--store", "sqlite:real.db")

    done = stocked.run("import", "there", "--store", "sqlite:real.db", status=1)

    assert "candles of the real venues" in done.stderr
    assert "simulated venues, seed 1" in done.stderr


def test_files_that_are_there_are_neither_lost_nor_mixed_up(stocked):
    command = ("export", KRAKEN, "--format", "parquet", "-o", "there")
    assert "5 candles in 1 files" in stocked.run(*command).stderr

    assert "nothing was written; --resume" in stocked.run(*command, status=2).stderr
    assert "0 candles in 0 files; 1 kept" in stocked.run(*command, "--resume").stderr
    assert "5 candles in 1 files" in stocked.run(*command, "--overwrite").stderr


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("--format", "parquet"), "name it with -o"),
        (("--format", "parquet", "-o", "wickwire.db"), "it is a file; name a directory"),
        (("--format", "parquet", "-o", "x", "--resume", "--overwrite"), "choose one"),
        (("--resume",), "are for --format parquet"),
        (("-o", "."), "it is a directory; name a file"),
    ],
)
def test_a_wrong_export_says_what_is_wrong(stocked, arguments, phrase):
    assert phrase in stocked.run("export", *arguments, status=2).stderr


def test_csv_of_ours_comes_back(stocked):
    stocked.run("export", "-o", "all.csv")
    told = stocked.json("import", "all.csv", "--seed", 1, "--store", "sqlite:other.db")

    assert [KRAKEN, YAHOO] == [one["series"] for one in told["imported"]]
    assert csv_of(stocked, how=False) == csv_of(stocked, "--store", "sqlite:other.db", how=False)
    assert {"series", "rows", "added", "revised"} == {*told["imported"][0]}


def test_csv_of_somebody_else_is_told_by_its_columns(shell):
    (shell.folder / "old.csv").write_text("t;o;h;l;c;v\n1793491200;10;12;9;11;5\n")
    columns = [f"--column={field}={field[0]}" for field in ("open", "high", "low", "close", "volume")]

    done = shell.run(
        *("import", "old.csv", "--series", "kraken:XBT/USD@1m", *columns, "--column", "open_time=t"),
        *("--time-unit", "s", "--delimiter", ";"),
    )

    assert f"{KRAKEN}: 1 candles, 1 new, 0 revised" in done.stdout
    assert "2026-11-01T00:00:00Z" in shell.run("export", KRAKEN).stdout


def test_nothing_is_half_imported_unless_somebody_says_so(shell):
    (shell.folder / "old.csv").write_text(
        f"{HEAD}2026-11-02T00:00Z,10,12,9,11,5\n2026-11-02T00:01Z,NaN,12,9,11,5\n"
    )
    command = ("import", "old.csv", "--series", KRAKEN)

    refused = shell.run(*command, status=1)
    assert "old.csv:3: open 'NaN' is not a number" in refused.stderr
    assert "1 rows are no candles: nothing was stored; --skip-bad brings in the other 1" in refused.stderr
    assert ["old.csv"] == shell.files()

    skipped = shell.json(*command, "--skip-bad")
    assert 1 == skipped["imported"][0]["added"] == skipped["refused"]
    assert [{"file": "old.csv", "line": 3, "why": "open 'NaN' is not a number"}] == skipped["refusals"]


def test_json_tells_what_was_refused_too(shell):
    (shell.folder / "old.csv").write_text(f"{HEAD}x,1,1,1,1,1\n")

    done = shell.run("import", "old.csv", "--series", KRAKEN, "--json", status=1)

    assert {"imported": [], "refused": 1} == {
        k: v for k, v in json.loads(done.stdout).items() if k != "refusals"
    }


def test_of_files_of_ours_only_what_is_asked_for_is_taken(stocked):
    stocked.run("export", "--format", "parquet", "-o", "there")
    other = ("--store", "sqlite:other.db")

    one = stocked.json("import", "there", "--series", "kraken:XBT/USD@1m", *other)
    none = stocked.run("import", "there", "--series", "kraken:ETH/USD@1m", *other)

    assert [KRAKEN] == [each["series"] for each in one["imported"]]
    assert "hold no candle that was asked for" in none.stderr


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (("old.csv",), "name it with --series"),
        (("old.csv", "--series", "kraken:BTC/USD@trades"), "has no candles"),
        (("old.csv", "--series", KRAKEN, "--column", "open"), "write FIELD=NAME"),
        (("missing.csv",), "does not exist"),
    ],
)
def test_a_wrong_import_says_what_is_wrong(shell, arguments, phrase):
    (shell.folder / "old.csv").write_text(HEAD)

    assert phrase in shell.run("import", *arguments, status=2).stderr


def test_the_grid_of_the_venue_is_what_counts(shell):
    (shell.folder / "old.csv").write_text(f"{HEAD}2026-11-02T00:00:30Z,10,12,9,11,5\n")

    assert "off the grid" in shell.run("import", "old.csv", "--series", KRAKEN, status=1).stderr


def test_a_venue_that_nobody_has_is_kept_too(shell):
    (shell.folder / "old.csv").write_text(f"{HEAD}2026-11-02T00:00Z,10,12,9,11,5\n")

    shell.run("import", "old.csv", "--series", "elsewhere:X@1m")

    assert "elsewhere:X@1m" in shell.run("export").stdout


@pytest.mark.parametrize(
    ("package", "arguments", "phrase"),
    [
        ("pyarrow", ("export", "--format", "parquet", "-o", "x"), "Parquet needs the package 'pyarrow'"),
        ("pyarrow", ("import", "a.parquet"), "pip install 'wickwire[parquet]'"),
        ("matplotlib", ("chart", KRAKEN, "--out", "a.png"), "pip install 'wickwire[charts]'"),
    ],
)
def test_a_package_that_is_not_installed_is_missed_with_the_extra_that_brings_it(
    stocked, package, arguments, phrase
):
    (stocked.folder / "a.parquet").touch()
    program = f"import sys; sys.modules[{package!r}] = None; from wickwire.cli import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=stocked.folder,
        env=stocked.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert phrase in done.stderr
    assert "Traceback" not in done.stderr


def test_csv_needs_no_package(stocked):
    """Nothing of it is loaded where nobody asks for Parquet."""
    program = (
        "import sys; sys.modules.update(pyarrow=None, pandas=None, matplotlib=None, numpy=None); "
        "from wickwire.cli import main; main()"
    )
    command = [sys.executable, "-c", program]
    where = {"cwd": stocked.folder, "env": stocked.environment}

    subprocess.run([*command, "export", "-o", "all.csv"], check=True, **where)
    subprocess.run([*command, "import", "all.csv", "--seed", "1"], check=True, **where)


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.html", "a.PNG"])
def test_a_chart_is_drawn_by_the_name_of_its_file(collected, tmp_path, name):
    done = collected.run("chart", KRAKEN, "--out", tmp_path / name)

    assert f"{name}: 5 candles, 0 holes, 0 revised" in done.stderr
    assert (tmp_path / name).stat().st_size > 1_000


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        ((KRAKEN, "--out", "a.pdf"), "name it .png, .svg, .html"),
        ((KRAKEN, "--out", "missing/a.png"), "there is no directory"),
        ((KRAKEN,), "--out"),
        (("kraken:ETH/USD@1m", "--out", "a.png"), "nothing of it is in this store"),
        (("kraken:BTC/USD@trades", "--out", "a.png"), "has no candles"),
        ((KRAKEN, "--until", "2026-01-01", "--out", "a.png"), "no candle opens from"),
    ],
)
def test_a_wrong_chart_says_what_is_wrong(collected, arguments, phrase):
    assert phrase in collected.run("chart", *arguments, status=2).stderr
    assert ["wickwire.db"] == collected.files()

"""What a new adapter begins with: files that install, are typed, and ask only what nobody here can know."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wickwire import UsageError
from wickwire.config import parse_config
from wickwire.registry import Registry, State
from wickwire.scaffold import CONFIG, distribution, distribution_name, one_file, write

ROOT = Path(__file__).parents[2]
MYPY = ("mypy", "--follow-imports=silent", "--cache-dir", os.devnull)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / distribution_name("harbour_bay")
    write(distribution("harbour_bay"), folder)
    return folder


def run(*words, folder):
    environment = {**os.environ, "MYPYPATH": str(ROOT / "framework")}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


# ---------------------------------------------------------------------------------------- what is rendered


def test_the_package_has_its_entry_point(project):
    told = tomllib.loads((project / "pyproject.toml").read_text())

    assert "wickwire-harbour-bay" == told["project"]["name"]
    assert {"wickwire.adapters": {"harbour_bay": "wickwire_harbour_bay"}} == told["project"]["entry-points"]


def test_the_code_is_clean_and_typed(project):
    """By its own settings: whoever fills it in begins with nothing to mend."""
    pytest.importorskip("ruff")
    pytest.importorskip("mypy")
    for words in (("ruff", "check", "."), ("ruff", "format", "--check", "."), MYPY):
        done = run(*words, folder=project)
        assert 0 == done.returncode, done.stdout


def test_the_single_file_is_clean_too(tmp_path):
    pytest.importorskip("ruff")
    write(one_file("harbour"), tmp_path)

    for words in (("check",), ("format", "--check")):
        done = run("ruff", *words, "--isolated", "--line-length", "110", ".", folder=tmp_path)
        assert 0 == done.returncode, done.stdout


def test_the_test_file_has_three_lines(project):
    lines = (project / "tests" / "test_conformance.py").read_text().splitlines()

    assert 3 == len(lines)


def test_the_single_file_is_found_through_its_config(tmp_path):
    write(one_file("harbour"), tmp_path)

    config = parse_config((tmp_path / CONFIG).read_text(), folder=tmp_path)
    listed = {one.name: one for one in Registry(local=config.plugins.local).listing()}

    assert State.OK is listed["harbour"].state


@settings(max_examples=25)
@given(NAMES)
def test_whatever_a_venue_is_called_the_code_can_be_read(name):
    """But for names that no distribution may have, which are refused."""
    assume(not name.endswith("_"))

    for path, text in {**distribution(name), **one_file(name)}.items():
        assert "$" not in text
        if path.endswith(".py"):
            ast.parse(text)
        elif path.endswith(".toml"):
            tomllib.loads(text)


@pytest.mark.parametrize("name", ["Kraken", "1st", "a-b", "", "x" * 33, "up/../there", "harbour_"])
def test_a_name_that_no_venue_may_have_is_refused(name):
    with pytest.raises(UsageError, match="can be called"):
        distribution(name)


# ----------------------------------------------------------------------------------------- how it is written


def contents(folder):
    return {str(path.relative_to(folder)): path.is_file() and path.read_text() for path in folder.rglob("*")}


@given(there=st.sampled_from(sorted(distribution("harbour"))))
def test_nothing_is_overwritten_and_nothing_half_written_is_left(tmp_path_factory, there):
    """Whichever file is there already: it stays, and none of the others comes."""
    folder = tmp_path_factory.mktemp("harbour")
    mine = folder / there
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    before = contents(folder)

    with pytest.raises(UsageError, match="is there already, and nothing is overwritten"):
        write(distribution("harbour"), folder)

    assert before == contents(folder)


def test_where_nothing_can_be_written_nothing_is_left(tmp_path):
    (tmp_path / "pier").write_text("a file, and no folder")

    with pytest.raises(UsageError, match=r"pier.* cannot be written"):
        write({"first.txt": "1", "pier/second.txt": "2"}, tmp_path)

    assert {"pier": "a file, and no folder"} == contents(tmp_path)

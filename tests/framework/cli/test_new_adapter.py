"""`new-adapter`: what it writes, what it says to do next, and what it refuses."""

import pytest


def test_it_writes_a_distribution_and_says_what_to_do_next(shell):
    said = shell.run("new-adapter", "harbour").stdout.splitlines()

    written = [line.removeprefix("wrote ") for line in said if line.startswith("wrote ")]
    assert all((shell.folder / path).is_file() for path in written)
    assert ["wickwire-harbour"] == shell.files()
    assert [
        "Next:",
        "  python -m pip install -e './wickwire-harbour[test]'",
        "  wickwire adapters",
        "  wickwire check harbour",
    ] == said[-4:]


def test_one_file_is_written_with_the_config_that_names_it(shell):
    said = shell.run("new-adapter", "harbour", "--one-file").stdout.splitlines()

    assert ["harbour.py", "wickwire.toml"] == shell.files()
    [row] = [one for one in shell.json(*said[-3].split()[1:]) if one["name"] == "harbour"]
    assert ("ok", "") == (row["state"], row["reason"])


def test_a_config_that_is_there_stays_and_the_lines_to_add_are_told(shell):
    config = shell.folder / "wickwire.toml"
    config.write_text("# mine\n")

    said = shell.run("new-adapter", "harbour", "--one-file").stdout

    assert "# mine\n" == config.read_text()
    assert '  [plugins.local]\n  harbour = "harbour.py"\n' in said


def test_it_writes_where_it_is_told_to(shell):
    (shell.folder / "else where").mkdir()

    said = shell.run("new-adapter", "harbour", "--into", "else where").stdout

    assert (shell.folder / "else where" / "wickwire-harbour" / "pyproject.toml").is_file()
    assert "pip install -e './else where/wickwire-harbour[test]'" in said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["kraken"], "there is an adapter 'kraken' already, of wickwire; "),
        (["Harbour"], "no venue can be called 'Harbour': expected lower-case letters"),
        (["quay"], "wickwire-quay is there already, and nothing is overwritten"),
        (["quay", "--one-file"], "quay.py is there already, and nothing is overwritten"),
        (["pier", "--into", "nowhere"], "'nowhere' does not exist"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(shell, words, why):
    (shell.folder / "wickwire-quay").mkdir()
    (shell.folder / "quay.py").write_text("mine")

    done = shell.run("new-adapter", *words, status=2)

    assert why in done.stderr
    assert 1 == done.stderr.count("\n")
    assert ["quay.py", "wickwire-quay"] == shell.files()

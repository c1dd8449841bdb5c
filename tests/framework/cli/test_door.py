"""The door of the command line: help, exit status, and one line instead of a traceback."""

import subprocess
import sys

import click
import pytest

from wickwire.cli import COMMANDS, cli
from wickwire.cli.door import ExitCode, explain, printable
from wickwire.errors import ConfigError, PlanError, StoreError, TransportError, UsageError


def test_help_shows_every_command_without_importing_any(shell):
    helped = shell.run("--help").stdout

    assert all(f"  {name} " in helped for name in COMMANDS)
    probe = "import sys; from wickwire.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    probe += (
        "print(sorted({'rich', 'httpx', 'websockets', 'aiohttp', 'wickwire.collector'} & {*sys.modules}))"
    )

    assert subprocess.check_output([sys.executable, "-c", probe], text=True).splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says_of_itself(name):
    """The table is there so that nothing has to be imported for --help; both say the same sentence."""
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.name == name
    assert (command.help or "").splitlines()[0] == COMMANDS[name][1]


EARLY = """
import os, signal, sys
from wickwire.cli import main

class Early:
    def find_spec(self, name, path=None, target=None):
        if name == "wickwire.cli.collect" or name == "wickwire.cli.export":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Early())
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["collect", "kraken:BTC/USD@1m", "--simulate"], 0),
        (["-v", "collect", "kraken:BTC/USD@1m", "--simulate"], 0),
        (["export"], -15),  # what it writes would not be whole
    ],
)
def test_a_signal_while_a_command_is_imported_ends_it_as_later_ones_do(tmp_path, words, status):
    done = subprocess.run(
        [sys.executable, "-c", EARLY, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (status, "", "") == (done.returncode, done.stdout, done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_the_distributions(shell):
    assert shell.run("--version").stdout.startswith("wickwire 0.")


def test_an_unknown_command_is_a_wrong_usage(shell):
    done = shell.run("colect", status=2)

    assert (
        done.stderr == "error: there is no command 'colect' (did you mean 'collect'?); see wickwire --help\n"
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("x"), ExitCode.USAGE),
        (ConfigError("x"), ExitCode.USAGE),
        (PlanError("x"), ExitCode.REFUSED),
        (StoreError("x"), ExitCode.FAILED),
        (TransportError("x"), ExitCode.FAILED),
        (RuntimeError("x"), ExitCode.FAILED),
    ],
)
def test_every_error_has_its_exit_status(error, status, capsys):
    assert status == explain(error)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bug_says_how_to_see_where_it_is(capsys):
    explain(KeyError("there"))

    told = capsys.readouterr().err
    assert "KeyError" in told
    assert "--debug" in told


def test_a_venues_words_cannot_steer_the_terminal():
    assert printable("up\x1b[2J\ndown\u202e é") == "up\\x1b[2J down\\u202e é"

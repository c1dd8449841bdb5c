"""A shared budget on the command line and in the config, for real venues and for invented ones."""

from __future__ import annotations

from tests.framework.cli.conftest import FAST, FIVE_MINUTES, Shell
from tests.plugins.processes import free_port

SERIES = "kraken:BTC/USD@1m"
SIMULATED = ("collect", SERIES, "--simulate", "--speed", FAST, *FIVE_MINUTES)


def test_invented_venues_are_never_counted_in_the_budget_of_the_config(shell: Shell) -> None:
    """Nobody listens there, and nobody asks."""
    (shell.folder / "wickwire.toml").write_text(f'budget = "redis://127.0.0.1:{free_port()}"\n')

    done = shell.run(*SIMULATED, "--config", "wickwire.toml")

    assert "budget" not in done.stderr


def test_a_clock_that_is_hurried_and_a_budget_do_not_go_together(shell: Shell) -> None:
    done = shell.run(*SIMULATED, "--budget", "redis://127.0.0.1", status=2)

    assert "--budget: it counts by a clock that cannot be hurried" in done.stderr


def test_a_wrong_address_is_named_with_where_it_stands(shell: Shell) -> None:
    (shell.folder / "wickwire.toml").write_text('budget = "redis://127.0.0.1?ttl=5m"\n')

    configured = shell.run("collect", SERIES, "--config", "wickwire.toml", status=2).stderr
    given = shell.run("backfill", SERIES, "--since", "1h", "--budget", "nothing:", status=2).stderr

    assert "wickwire.toml: budget: 'redis://127.0.0.1?ttl=5m': ttl is an option of a sink" in configured
    assert "--budget: 'nothing:': no plugin takes 'nothing'" in given


def test_doctor_looks_at_the_budget_of_the_config(shell: Shell) -> None:
    (shell.folder / "wickwire.toml").write_text('budget = "redis://127.0.0.1"\n')

    said = shell.run("doctor", "--config", "wickwire.toml").stdout

    assert "redis://127.0.0.1; --online opens it" in " ".join(said.split())

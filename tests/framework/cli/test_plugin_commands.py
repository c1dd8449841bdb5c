"""Commands that an installed plugin adds."""

import pytest

MOON = """
import click
from wickwire import hookimpl

@hookimpl
def add_commands(cli):
    @cli.command()
    def moon():
        "Say what the moon does."
        click.echo("it shines")

    @cli.command()
    def collect():
        "Take a name that is taken."
        click.echo("not wickwire's")
"""


@pytest.fixture
def install(shell):
    def install(name, code):
        (shell.folder / f"{name}.py").write_text(code)
        facts = shell.folder / f"{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[wickwire.plugins]\n{name} = {name}\n")
        shell.environment["PYTHONPATH"] = str(shell.folder)

    return install


def test_an_installed_plugin_adds_its_commands(shell, install):
    install("moon", MOON)

    assert shell.run("moon").stdout == "it shines\n"
    assert "Say what the moon does." in shell.run("moon", "--help").stdout


def test_a_plugin_cannot_take_a_commands_name(shell, install):
    install("moon", MOON)

    assert "Collect series, live" in shell.run("collect", "--help").stdout


def test_a_broken_plugin_stops_no_command(shell, install):
    install("moon", MOON)
    install("lamp", "import nowhere_to_be_found")

    assert shell.run("moon").stdout == "it shines\n"
    assert shell.json("adapters")
    assert shell.run("colect", status=2).stderr.startswith("error: there is no command")

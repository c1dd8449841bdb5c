"""`new-adapter`: a skeleton for a venue that nobody brings yet. What exists is never touched."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from wickwire.cli.door import loud_options
from wickwire.cli.lines import echo
from wickwire.cli.options import config_option
from wickwire.cli.settings import read_settings
from wickwire.discovery import Kind
from wickwire.errors import UsageError
from wickwire.registry import Registry
from wickwire.scaffold import CONFIG, distribution, distribution_name, one_file, write

__all__ = ["new_adapter"]


@click.command("new-adapter")
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Where to write; here by default.",
)
@click.option(
    "--one-file", "as_file", is_flag=True, help="A private adapter: NAME.py, and a config that names it."
)
@config_option
@loud_options
def new_adapter(name: str, into: Path, as_file: bool, config_file: str | None) -> None:
    """Write a skeleton for the venue NAME, and say what to do next.

    Either a distribution, wickwire-NAME, that installs and is found at once, or one file. What is still to
    do, `wickwire check NAME` says. Nothing is overwritten.
    """
    _refuse_known(name, read_settings(config_file).registry)
    if as_file:
        _write_file(name, into)
    else:
        _write_distribution(name, into)


def _refuse_known(name: str, registry: Registry) -> None:
    for one in registry.discover():
        if one.kind is Kind.ADAPTER and one.name == name:
            raise UsageError(
                f"there is an adapter {name!r} already, of {one.distribution}; two of one name are both "
                "refused, so choose another name, or remove that one first"
            )


def _write_distribution(name: str, into: Path) -> None:
    folder = into / distribution_name(name)
    texts = distribution(name)
    if folder.exists():
        raise UsageError(f"{folder} is there already, and nothing is overwritten: move it away")
    write(texts, folder)
    for path in texts:
        echo(f"wrote {folder / path}")
    where = shlex.quote(f"{folder if folder.is_absolute() else f'./{folder}'}[test]")
    echo("Next:")
    echo(f"  python -m pip install -e {where}")
    echo("  wickwire adapters")
    echo(f"  wickwire check {name}")


def _write_file(name: str, into: Path) -> None:
    texts = dict(one_file(name))
    config = into / CONFIG
    lines = texts.pop(CONFIG) if config.exists() else ""
    write(texts, into)
    for path in texts:
        echo(f"wrote {into / path}")
    if lines:
        echo(f"{config} is there already; add to it (the first line unless it has that already):")
        for line in lines.splitlines():
            echo(f"  {line}")
    with_config = f"--config {shlex.quote(str(config))}"
    echo("Next:")
    echo(f"  wickwire adapters {with_config}")
    echo(f"  wickwire check {name} {with_config}")
    echo(f"  wickwire plan {name}:BTC/USD@1m {with_config}")

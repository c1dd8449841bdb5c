"""The command line `wickwire`: which commands there are, and the door through which every error leaves.

A command's module is imported when the command is called, so that `wickwire --help` is quick.
"""

from __future__ import annotations

import importlib
import keyword
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Final, NoReturn

import click

from wickwire.cli.door import CONTEXT, ExitCode, explain, loud_options

__all__ = ["COMMANDS", "ExitCode", "main"]

COMMANDS: Final = {
    "demo": (
        "demo",
        "Collect from all venues, simulated, for a minute; check all candles against the truth.",
    ),
    "collect": ("collect", "Collect series, live, into a store."),
    "plan": ("listing", "Say how series would be collected, and why."),
    "backfill": ("backfill", "Bring a series' history into a store."),
    "gaps": ("gaps", "Say what a store lacks."),
    "sinks": ("sinks", "Say how far the sinks are that a store feeds."),
    "audit": ("audit", "Compare what a store holds with history, and mend it."),
    "forget": ("forget", "Say what a store holds that is too old, and with --yes forget it."),
    "export": ("export", "Write stored candles as CSV or Parquet."),
    "import": ("importing", "Bring candles from files into a store."),
    "chart": ("chart", "Draw stored candles, with their holes and revisions."),
    "record": ("record", "Record what a venue says to a file."),
    "replay": ("serving", "Serve recordings on loopback as if they were the venue."),
    "simulate": ("serving", "Serve simulated venues on loopback."),
    "new-adapter": ("new_adapter", "Write a skeleton for the venue NAME, and say what to do next."),
    "check": ("check", "Check the adapter NAME against the promises that every adapter keeps."),
    "adapters": ("listing", "List the venues that are installed, and whether they work."),
    "doctor": ("doctor", "Look for what is wrong with this installation."),
}
"""Name to the module it is in and its first sentence, in the order in which they are shown."""


LASTING: Final = ("demo", "collect", "backfill", "audit", "record", "replay", "simulate")
"""These run until they are told to end: a SIGTERM is no failure, however early it comes."""


class Commands(click.Group):
    """The commands above, and those that loaded plugins add."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return [*COMMANDS, *(name for name in super().list_commands(ctx) if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command, or ask the plugins that were loaded for one of their own."""
        if cmd_name in COMMANDS:
            module = importlib.import_module(f"wickwire.cli.{COMMANDS[cmd_name][0]}")
            name = cmd_name.replace("-", "_")
            command: click.Command = getattr(module, f"{name}_" if keyword.iskeyword(name) else name)
            return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Load the configured plugins only where a command is asked for that is not in the table."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from wickwire.cli.settings import plugin_commands

            plugin_commands(self)
            if self.get_command(ctx, args[0]) is None:
                from wickwire.binding import suggestion

                there = suggestion(args[0], self.list_commands(ctx))
                raise click.UsageError(f"there is no command {args[0]!r}{there}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; it is done, without a word, when whoever read its output has enough."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would end with status 1, which says that something failed
            _drop_output()
            return ExitCode.DONE

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the table without importing what it names."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in COMMANDS.items()])
        added = [name for name in self.list_commands(ctx) if name not in COMMANDS]
        if added:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, self.commands[name].get_short_help_str()) for name in added])


@click.group(
    cls=Commands,
    context_settings=CONTEXT,
    epilog="Exit status: 0 done, 1 failed, 2 wrong usage or settings, 3 the plan refuses a series, 4 holes "
    "found, 5 a plugin hangs, 130 interrupted with Ctrl-C.",
)
@click.version_option(package_name="wickwire", message="wickwire %(version)s")
@loud_options
def cli() -> None:
    """Market data where every exchange is a plugin.

    A series is written venue:symbol@timeframe, such as kraken:BTC/USD@1m or yahoo:AAPL@1d, or with
    @trades or @quotes instead of a timeframe.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit status; an error is a line, not a traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    if next((word for word in words if not word.startswith("-")), "") in LASTING:
        with suppress(ValueError):  # not the main thread: signals are its host's
            signal.signal(signal.SIGTERM, _terminated)
    try:
        status = cli.main(arguments, prog_name="wickwire", standalone_mode=False)
    except click.exceptions.Exit as exc:
        status = exc.exit_code
    except (KeyboardInterrupt, click.Abort):
        status = ExitCode.INTERRUPTED
    except Exception as exc:  # noqa: BLE001 - the door of the command line
        status = explain(exc)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
    sys.exit(int(status or 0))


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    """End before anything has begun: a command that runs takes the signal over."""
    sys.exit(ExitCode.DONE)


def _drop_output() -> None:
    """Let what is still to be written go nowhere; else Python complains about it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)

"""How the command line ends and complains: exit status, one line for an error, one line for a warning."""

from __future__ import annotations

import enum
import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final, TypeVar, final

import click

from wickwire.errors import PlanError, UsageError, WickwireError
from wickwire.logs import told

__all__ = ["CONTEXT", "ExitCode", "explain", "loud_options", "printable"]

CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

F = TypeVar("F", bound=Callable[..., Any])

_LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
_LOUD: Final = {"debug": False}
"""Whether a bug shows its traceback; a dict, since the option is read before there is a context."""


@final
class ExitCode(enum.IntEnum):
    """What the process ends with; a contract, see docs/cli.md."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    HOLES = 4
    HUNG = 5
    INTERRUPTED = 130


def printable(text: str) -> str:
    """Return *text* in one line and without control characters: a venue's words must not steer a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text.replace("\n", " ")
    )


def explain(error: Exception) -> ExitCode:
    """Tell a person what went wrong, on stderr, and return the exit status that it means."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        where = f"; see {context.command_path} --help" if context is not None else ""
        _complain(f"{error.format_message().removesuffix('.')}{where}")
        return ExitCode.USAGE
    if isinstance(error, WickwireError):
        _complain(str(error))
        if isinstance(error, UsageError):
            return ExitCode.USAGE
        return ExitCode.REFUSED if isinstance(error, PlanError) else ExitCode.FAILED
    if isinstance(error, BrokenPipeError):
        return ExitCode.DONE  # whoever read our output has enough
    if _LOUD["debug"]:
        traceback.print_exception(error)
    else:
        what = f"{type(error).__name__}: {error}"
        _complain(f"this is a bug in wickwire: {what}; the same command with --debug shows where")
    return ExitCode.FAILED


def _complain(text: str) -> None:
    click.echo(f"{click.style('error:', fg='red', bold=True)} {printable(text)}", err=True)


def loud_options(command: F) -> F:
    """Give *command* `-v` and `--debug`, which act at once and are no arguments of it."""
    debug = click.option(
        "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show tracebacks of bugs."
    )
    verbose = click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=_set_verbose,
        help="Say more on stderr; -vv says all.",
    )
    return debug(verbose(command))


def _set_debug(_context: click.Context, _option: click.Parameter, value: bool) -> None:
    _LOUD["debug"] = _LOUD["debug"] or value


def _set_verbose(_context: click.Context, _option: click.Parameter, value: int) -> None:
    root = logging.getLogger("wickwire")
    if not root.handlers:
        handler = logging.StreamHandler(_Stderr())
        handler.setFormatter(_Line())
        root.addHandler(handler)
        root.propagate = False
        root.setLevel(logging.WARNING)
    if value:
        root.setLevel(min(root.level, _LEVELS[min(value, len(_LEVELS) - 1)]))


class _Stderr:
    """Today's `sys.stderr`: the live table puts itself in front of it while it is shown."""

    def write(self, text: str) -> None:
        sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _Line(logging.Formatter):
    """One line: level, event, and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = told(record)
        if record.exc_info and _LOUD["debug"]:
            line += "\n" + self.formatException(record.exc_info)
        return line

"""What a log line says where nobody has set up logging: the event with its fields, on stderr."""

from __future__ import annotations

import logging
import sys
from typing import Final, final

__all__ = ["speak", "told"]

_BUILT_IN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_ROOT: Final = "wickwire"


def told(record: logging.LogRecord) -> str:
    """Return *record* in one line: level, event, and its fields."""
    fields = {name: value for name, value in vars(record).items() if name not in _BUILT_IN}
    rest = "".join(f" {name}={value}" for name, value in fields.items() if value != "")
    line = f"{record.levelname.lower()}: {record.getMessage()}{rest}".replace("\n", " ")
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def speak() -> None:
    """See to it that warnings are told with their fields where the host program has set up no logging.

    Python's own handler of last resort prints the event alone, as in `stream ended`, and leaves out why. Any
    handler of the host's, at the root or on the way there, silences this one. Safe to repeat.
    """
    logger = logging.getLogger(_ROOT)
    if not any(isinstance(handler, _LastResort) for handler in logger.handlers):
        logger.addHandler(_LastResort(logging.WARNING))


@final
class _LastResort(logging.Handler):
    """Writes to today's stderr what nobody else takes."""

    def emit(self, record: logging.LogRecord) -> None:
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return
            logger = logger.parent if logger.propagate else None
        line = told(record)
        if record.exc_info:
            line += "\n" + logging.Formatter().formatException(record.exc_info)
        sys.stderr.write(f"{line}\n")

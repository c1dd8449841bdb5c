"""What a log line says: the event with its fields; on stderr where nobody has set up logging."""

from __future__ import annotations

import logging
import sys
from typing import Final, final

__all__ = ["LogFormatter", "speak", "told"]

_BUILT_IN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_ROOT: Final = "wickwire"


@final
class LogFormatter(logging.Formatter):
    """Writes the fields of a record behind its message: `stream ended venue=kraken why=cut`.

    wickwire logs an event, and what belongs to it as fields in `extra`, which Python's own formatter leaves
    out. Takes the arguments of `logging.Formatter`, and writes records of others with their fields too.

    ```python
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    ```
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        """Return the line; what a venue or a host said cannot break it, or steer a terminal."""
        return _plain(super().formatMessage(record) + _fields(record))


def told(record: logging.LogRecord) -> str:
    """Return *record* in one line: level, event, and its fields."""
    return _plain(f"{record.levelname.lower()}: {record.getMessage()}{_fields(record)}")


def _fields(record: logging.LogRecord) -> str:
    found = {name: value for name, value in vars(record).items() if name not in _BUILT_IN}
    return "".join(f" {name}={value}" for name, value in found.items() if value != "")


def _plain(line: str) -> str:
    spaced = line.replace("\n", " ")
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in spaced)


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

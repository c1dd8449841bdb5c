"""What is said where nobody has set up logging, and that it is not said where somebody has."""

from __future__ import annotations

import logging
import subprocess
import sys

from wickwire import LogFormatter
from wickwire.logs import told

PROGRAM = """
import logging
from wickwire.logs import speak
{}
speak()
speak()
logging.getLogger("wickwire.venue").warning("stream ended", extra={{"venue": "kraken", "why": "cut"}})
logging.getLogger("wickwire.venue").info("not for everybody")
"""


def said(setting: str) -> str:
    program = [sys.executable, "-c", PROGRAM.format(setting)]
    return subprocess.run(program, capture_output=True, text=True, check=True).stderr


def test_where_nobody_has_set_up_logging_a_warning_is_told_once_with_its_fields():
    assert said("") == "warning: stream ended venue=kraken why=cut\n"


def test_a_hosts_handler_is_the_only_one():
    assert said("logging.basicConfig(format='%(message)s by %(venue)s')") == "stream ended by kraken\n"
    assert said("logging.getLogger('wickwire.venue').addHandler(logging.NullHandler())") == ""
    assert said("logging.getLogger('wickwire').addHandler(logging.NullHandler())") == ""


def test_a_line_stays_a_line_whatever_a_venue_says():
    record = logging.makeLogRecord({"levelname": "WARNING", "msg": "refused", "why": "no\n\x1b[2J", "of": ""})

    assert told(record) == "warning: refused why=no \\x1b[2J"


def test_a_hosts_own_format_has_the_fields_behind_the_message():
    """Python's own formatter leaves them out: `stream ended`, and not of whom, and not why."""
    known = {"name": "wickwire.pool", "levelname": "WARNING", "msg": "refused %s", "args": ("twice",)}
    record = logging.makeLogRecord({**known, "venue": "kraken", "why": "no\n\x1b[2J", "of": ""})

    line = LogFormatter("%(levelname)s %(name)s: %(message)s").format(record)

    assert line == "WARNING wickwire.pool: refused twice venue=kraken why=no \\x1b[2J"


def test_an_exception_stands_below_its_line():
    try:
        raise ValueError("no oil")
    except ValueError:
        record = logging.makeLogRecord({"msg": "listener failed", "exc_info": sys.exc_info()})

    first, *_, last = LogFormatter().format(record).splitlines()

    assert (first, last) == ("listener failed", "ValueError: no oil")

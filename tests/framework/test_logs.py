"""What is said where nobody has set up logging, and that it is not said where somebody has."""

from __future__ import annotations

import logging
import subprocess
import sys

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

"""The conformance kit: promises that every adapter keeps, each looked at by a check.

`wickwire check NAME` runs it, `conformance` makes pytest tests of it. It needs the extra `testing`.
"""

from __future__ import annotations

from wickwire.testing.checks import PROFILE, Broken, Check, Level, Need, Skipped
from wickwire.testing.suite import conformance

__all__ = ["PROFILE", "Broken", "Check", "Level", "Need", "Skipped", "conformance"]

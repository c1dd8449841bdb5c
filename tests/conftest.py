"""What all tests share: how hard Hypothesis looks."""

from __future__ import annotations

import os

from hypothesis import settings

# A deadline would fail tests on a busy machine; no test asserts a time of the wall clock.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=300)
settings.register_profile("nightly", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

"""What is promised of instants that are read quickly: they mean what they would alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import MINUTE_NS, WireError, parse_instant
from wickwire_coinbase.instants import instant

START = parse_instant("2026-11-21T04:59:00Z")

seconds = st.integers(0, 3 * 60 - 1)
fractions = st.sampled_from(["", ".8", ".80", ".805100", ".805100000", ".000000001"])
texts = st.builds(
    lambda second, fraction: (
        f"2026-11-21T{'04:59' if second < 60 else f'05:0{second // 60 - 1}'}:{second % 60:02}{fraction}Z"
    ),
    seconds,
    fractions,
)


@given(st.lists(texts))
def test_an_instant_means_the_same_whatever_was_read_before(told: list[str]) -> None:
    known: dict[str, int] = {}

    assert [instant(text, known, "$.time") for text in told] == [parse_instant(text) for text in told]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T04:59:",
        "2026-11-21T04:59:6",
        "2026-11-21T04:59:60Z",
        "2026-11-21T04:59:1\u0660.1Z",
        "2026-11-21T04:59:10.Z",
        "2026-11-21T04:59:10.1",
        "2026-11-21T05:00:10.1z",
        "2026-11-21T05:00:10.1+",
        "2026-11-21T05:00:10.1\u0660Z",
    ],
)
def test_a_minute_that_was_read_before_makes_no_instant_of_nonsense(text: str) -> None:
    known: dict[str, int] = {}
    assert instant("2026-11-21T04:59:00Z", known, "$.time") == START
    assert instant("2026-11-21T05:00:10.5Z", known, "$.time") == START + MINUTE_NS + 10_500_000_000

    with pytest.raises(WireError, match="expected 2026-11-21"):
        instant(text, known, "$.time")

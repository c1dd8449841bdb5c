"""Errors: cut by what the catcher does next, carrying what they need for it, safe to print."""

from __future__ import annotations

import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wickwire
from wickwire import (
    ConfigError,
    FaultKind,
    PluginError,
    StoreError,
    StreamClosed,
    TransportError,
    UsageError,
    VenueError,
    WickwireError,
    WireError,
    errors,
)


def test_everything_raised_on_purpose_has_one_root():
    raised = [
        value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, Exception)
    ]

    assert all(issubclass(each, WickwireError) for each in raised)
    assert not issubclass(WickwireError, (ValueError, OSError, RuntimeError))
    assert {each.__name__ for each in raised} == set(errors.__all__) - {"FaultKind"}
    assert all(getattr(wickwire, name) is getattr(errors, name) for name in errors.__all__)


def test_the_tree_drawn_in_the_module_is_the_tree():
    assert errors.__doc__ is not None
    drawn = [line.strip("├│└─ ").split()[0] for line in errors.__doc__.splitlines() if "──" in line]

    assert set(drawn) == set(errors.__all__) - {"FaultKind", "WickwireError"}


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [(ConfigError, UsageError), (StreamClosed, TransportError), (StoreError, WickwireError)],
)
def test_who_catches_the_wide_one_catches_the_narrow_one(narrow, wide):
    assert issubclass(narrow, wide)


def test_a_wire_error_says_what_where_and_in_which_bytes():
    error = WireError("price is not a number", frame=b'{"price":"x"}', at="$.price")

    assert str(error) == """price is not a number - at $.price in b'{"price":"x"}'"""
    assert str(WireError("no frame")) == "no frame"


@given(st.binary(max_size=2_000))
def test_a_wire_error_keeps_a_bounded_sample_and_prints_no_control_characters(frame):
    error = WireError("junk", frame=frame)

    assert error.frame == frame[: WireError.SAMPLE_BYTES]
    assert str(error).isprintable()
    assert str(error).isascii()
    assert len(str(error)) <= 4 * WireError.SAMPLE_BYTES + 20


def test_a_wire_error_keeps_no_more_than_its_sample_alive():
    """A view into a huge receive buffer would keep all of it in memory."""
    buffer = memoryview(bytearray(10**6))
    error = WireError("junk", frame=buffer)  # type: ignore[arg-type]  # what a caller might do

    assert type(error.frame) is bytes
    assert len(error.frame) == WireError.SAMPLE_BYTES


def test_a_venue_error_carries_its_kind_and_the_wait():
    error = VenueError(FaultKind.WAIT, "EGeneral:Too many requests", retry_after_s=5.0)

    assert (error.kind, error.retry_after_s, str(error)) == (
        FaultKind.WAIT,
        5.0,
        "EGeneral:Too many requests",
    )
    assert VenueError(FaultKind.SYMBOL, "no").retry_after_s is None


def test_a_closed_stream_carries_its_code_and_one_without_a_close_frame_is_1006():
    assert (StreamClosed("gone").code, StreamClosed("gone").reason) == (1006, "")
    assert (StreamClosed("gone", code=1012, reason="restart").code) == 1012


def test_a_plugin_error_names_its_plugin():
    assert PluginError("cannot be imported", plugin="lantern").plugin == "lantern"


def test_kinds_of_refusal_are_plain_words_that_machines_may_print():
    words = [kind.value for kind in FaultKind]

    assert len(set(words)) == len(words) == 11
    assert json.loads(json.dumps(words)) == [kind.name.lower() for kind in FaultKind]

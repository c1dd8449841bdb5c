"""The switches of a simulated venue."""

from __future__ import annotations

import pytest

from wickwire.simulate.faults import KnownFault, Switchboard

MUTE = KnownFault("mute", "symbol on", "Data stops.")
SPLIT = KnownFault("split", "symbol ratio", "History is rescaled.", needs_symbol=True)
BEEP = KnownFault("beep", "", "It beeps.")


@pytest.fixture
def board() -> Switchboard:
    return Switchboard([MUTE, SPLIT, BEEP], {"A", "B"})


def test_what_is_on_for_all_is_on_for_each(board: Switchboard) -> None:
    assert board.on("mute", "A") is None
    assert board.switch("mute", {}, since_ns=7)
    assert {"since_ns": 7} == board.on("mute", "A") == board.on("mute")
    assert not board.switch("mute", {"on": False})
    assert board.on("mute", "A") is None


def test_what_is_on_for_one_symbol_is_on_for_no_other(board: Switchboard) -> None:
    board.switch("mute", {"symbol": "A"})
    assert board.on("mute", "A") is not None
    assert board.on("mute", "B") is None
    assert board.on("mute") is None


@pytest.mark.parametrize(
    ("name", "details", "text"),
    [
        ("mutter", {}, "no fault 'mutter'; there are mute, split, beep"),
        ("mute", {"of": "A"}, "fault 'mute' takes on, symbol, not of"),
        ("beep", {"on": True}, "fault 'beep' takes nothing, not on"),
        ("mute", {"symbol": "C"}, "needs a symbol that is traded here, got 'C': Data stops."),
        ("split", {"ratio": 4}, "needs a symbol that is traded here, got None: History is rescaled."),
    ],
)
def test_what_cannot_be_injected_is_refused_with_what_can(
    board: Switchboard, name: str, details: dict[str, object], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        board.check(name, details)


def test_people_are_told_what_there_is(board: Switchboard) -> None:
    assert {"mute": "Data stops.", "split": "History is rescaled.", "beep": "It beeps."} == board.sentences

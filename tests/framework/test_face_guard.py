"""What is promised not to change unannounced: the face as it was released, beside the face as it is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import wickwire
from scripts.face import HOW, RELEASED, Difference, differences, face, fragments, unannounced
from scripts.face_names import GROUPS, names
from scripts.face_page import PAGE, page
from wickwire.config import parse_config

BEFORE = (
    "wickwire.Store: protocol",
    "wickwire.Store.open: await -> None",
    "wickwire.Candle: value",
    "wickwire.Candle(1 symbol: str)",
    "wickwire.Candle(2 closed: bool = False)",
    "wickwire.iso: function",
    "wickwire.iso: call -> str",
    "wickwire.iso(1 at_ns: int)",
    "hooks.parse: hook",
    "hooks.parse: call -> Sequence[Event]",
    "hooks.parse(1 frame: bytes)",
    "wickwire.ConfigError: error of UsageError",
    "wickwire.Policy: enumeration",
    "wickwire.Policy.WAIT = 'wait'",
)


def told(*lines: str, without: str = "") -> list[Difference]:
    """Return what is different with *lines* more, and without one."""
    return differences(BEFORE, [*(line for line in BEFORE if line != without), *lines])


def test_nothing_on_the_face_changed_unannounced() -> None:
    left = unannounced(differences(RELEASED.read_text().splitlines(), face()), fragments())

    assert [] == left, "\n".join([HOW, *map(str, left)])


def test_the_page_is_what_the_code_says() -> None:
    """`make pages` writes it."""
    assert page() == PAGE.read_text()


def test_every_name_is_documented() -> None:
    assert [] == [str(name) for name in names() if not re.match(r"[A-Z0-9*`].*[.:]$", name.sentence)]


def test_the_face_says_what_it_promises_line_by_line() -> None:
    lines = face()

    assert {
        "wickwire.Collector.__init__(1 store: str | Store | None = None)",
        "wickwire.Collector.__init__(retention: Retention | None = None)",
        "wickwire.Collector.add: await -> Series",
        "wickwire.Collector.add(route: str | Rung | None = None)",
        "wickwire.CandleReader.__anext__: await -> SeriesCandle",
        "wickwire.CandleReader.dropped: property -> int",
        "wickwire.Candle(2 timeframe: Timeframe)",
        "wickwire.VenueHealth(failures: int)",
        "wickwire.VenueError.kind: attribute",
        "wickwire.RestAway: error of VenueError",
        "wickwire.Policy.CONFLATE = 'conflate'",
        "wickwire.Grid = Utc | Zone | Session | Unknown",
        "wickwire.frames.data_frame: await -> pd.DataFrame",
        "wickwire.config.Config.account(2 environ: Mapping[str, str])",
        "hooks.parse(1 frame: bytes)",
    } <= {*lines}
    assert len(lines) == len({*lines})
    assert not [line for line in lines if re.search(r"0x[0-9a-f]{6}|<lambda>|\._[a-z]", line)]


SPELLED = {
    "Advice",
    "Closer",
    "Found",
    "Instant",
    "Kind",
    "Listed",
    "Look",
    "LoopbackVenue",
    "Origin",
    "Portal",
    "ReaderSource",
    "Source",
    "What",
}
"""What signatures of the face spell and others have no need to name; decision 138 promises nothing of it."""


def test_what_signatures_spell_is_on_the_face_too() -> None:
    ours = {
        node.name
        for path in Path(wickwire.__file__).parent.rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    } | {"Instant", "Look", "Origin", "What"}
    spelled = {
        word
        for line in face()
        for word in re.findall(r"(?<![.\w])[A-Z]\w*[a-z]\w*", re.sub(r"'[^']*'| = .*", "", line))
    }

    assert SPELLED == (spelled & ours) - {name.name for name in names()}


def test_it_says_the_same_after_attrs_found_out_what_types_mean() -> None:
    """As reading a config does."""
    before = face()

    parse_config('series = ["kraken:BTC/USD@1m"]\n[venues.kraken.limits]\nconnections = 1\n')

    assert before == face()


def test_the_groups_hold_each_name_once() -> None:
    listed = [(group.module, name) for group in GROUPS for name in group.names]

    assert len(listed) == len({*listed})


# --------------------------------------------------------------------------------------- what breaks somebody


@pytest.mark.parametrize(
    "line",
    [
        "wickwire.Store.audit: await -> int",  # others have implemented it without
        "wickwire.iso(digits: int)",
        "wickwire.Candle(3 volume: Decimal)",
    ],
)
def test_what_asks_for_more_breaks(line: str) -> None:
    [one] = told(line)

    assert (one.breaks, one.gone, str(one)) == (True, False, f"+ {line}  (breaks who used it)")


@pytest.mark.parametrize(
    "line",
    [
        "wickwire.iso(digits: int = 9)",
        "wickwire.iso(*more: int)",
        "wickwire.Candle(3 volume: Decimal | None = None)",
        "wickwire.Policy.FAIL = 'fail'",
        "wickwire.Sink: protocol",
        "hooks.parse(2 received_ns: int)",  # an implementation is passed what it names
        "wickwire.Candle.venue: property -> str",
    ],
)
def test_what_may_be_left_alone_breaks_nothing(line: str) -> None:
    assert [False] == [one.breaks for one in told(line)]


def test_a_new_protocol_may_have_methods_and_a_new_function_parameters() -> None:
    new = "wickwire.Sink: protocol", "wickwire.Sink.put: await -> None", "wickwire.Sink.put(1 candles: int)"

    assert [False] * 3 == [one.breaks for one in told(*new)]


@pytest.mark.parametrize("line", BEFORE)
def test_whatever_goes_breaks(line: str) -> None:
    assert [(True, True)] == [(one.gone, one.breaks) for one in told(without=line)]


def test_what_changes_is_gone_and_new() -> None:
    assert [True, False] == [
        one.gone for one in told("wickwire.ConfigError: error of WickwireError", without=BEFORE[11])
    ]


# ------------------------------------------------------------------------------------------ what announces it


def test_a_change_is_announced_by_its_name_in_a_fragment() -> None:
    [one] = told("wickwire.iso(digits: int = 9)")

    assert [one] == unannounced([one], {})
    assert [one] == unannounced([one], {"9.added.md": "Times can be shown with fewer digits, iso."})
    assert [] == unannounced([one], {"9.added.md": "`iso(when_ns, digits=6)` shows fewer digits."})
    assert [] == unannounced([one], {"9.fixed.digits.md": "`iso` shows as many `digits` as it is asked for."})


def test_what_breaks_is_announced_as_changed_or_removed() -> None:
    [one] = told(without="wickwire.iso: function")

    assert [one] == unannounced([one], {"9.added.md": "`iso`", "9.fixed.md": "`iso`"})
    assert [] == unannounced([one], {"9.removed.iso.md": "`iso` is gone: use `when(ns).isoformat()`."})


def test_a_member_is_announced_by_its_own_name() -> None:
    [one] = told("wickwire.Candle.range: property -> Decimal")

    assert [one] == unannounced([one], {"9.added.md": "`Candle` knows more."})
    assert [] == unannounced([one], {"9.added.md": "`Candle.range` is high less low."})


def test_so_is_a_field() -> None:
    """A value has many of them."""
    [one] = told("wickwire.Candle(3 volume: Decimal | None = None)")

    assert [] == unannounced([one], {"9.added.md": "`Candle.volume` may be unknown."})
    assert [one] == unannounced([one], {"9.added.md": "`Candle` knows more."})

"""The face: whoever embeds the framework can name what a collector takes and gives, from one place."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, assert_type

import attrs
import pytest

import wickwire
from scripts.face_names import GROUPS

FACE = Path(wickwire.__file__)
STORES = (Path(__file__).resolve().parents[2] / "docs" / "stores.md").read_text()


def test_the_face_is_in_groups_by_who_needs_it():
    """A name more or less is a change that others see."""
    grouped = [name for group in GROUPS if group.module == "wickwire" for name in group.names]

    assert sorted(wickwire.__all__) == sorted(grouped)


def test_what_store_authors_need_is_on_their_page():
    page = STORES[STORES.index("## Another store") :]
    [stores] = [group.names for group in GROUPS if group.title == "Stores"]

    assert {*stores} == set(re.findall(r"`(\w+)`", page)) & set(wickwire.__all__)


def test_type_checkers_see_what_is_loaded_late():
    """What they read is another list than what is loaded: both say the same."""
    [block] = [
        node
        for node in ast.parse(FACE.read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    seen = {
        one.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for one in node.names
    }

    assert seen == wickwire._LATE
    for name, module in wickwire._LATE.items():
        assert getattr(wickwire, name) is getattr(import_module(module), name)


def test_the_face_can_be_listed_and_knows_no_other_name():
    assert set(wickwire.__all__) <= set(dir(wickwire))
    with pytest.raises(AttributeError, match="has no attribute 'Colector'"):
        getattr(wickwire, "Colector")  # noqa: B009 - mypy would find it, which is the point of the face


def spelled(annotation: object, space: dict[str, object]) -> Iterator[type]:
    """Every class of ours that an annotation spells."""
    if isinstance(annotation, str):
        annotation = eval(annotation, space)
    if isinstance(annotation, type) and annotation.__module__.partition(".")[0] == "wickwire":
        yield annotation
    for inner in typing.get_args(annotation):
        yield from spelled(inner, space)


def signed(member: object) -> Iterator[type]:
    """Every class of ours that the signature of a method or property names."""
    function: Any = member.fget if isinstance(member, property) else member
    for annotation in inspect.get_annotations(function).values():
        yield from spelled(annotation, dict(function.__globals__))


def test_what_a_collector_takes_and_gives_is_on_the_face():
    """Found by reading its annotations, and those of the values that it gives."""
    members = vars(wickwire.Collector)
    public = [members[name] for name in members if name == "__init__" or not name.startswith("_")]
    waiting = [one for member in public for one in signed(member)]
    found: dict[type, None] = {}
    while waiting:
        one = waiting.pop()
        if one not in found:
            found[one] = None
            space = vars(import_module(one.__module__))
            waiting += [
                kind
                for field in (attrs.fields(one) if attrs.has(one) else ())
                if not field.name.startswith("_")
                for kind in spelled(field.type, dict(space))
            ]

    hidden = {kind.__name__ for kind in found} - set(wickwire.__all__)

    assert hidden == {"Closer"}, "that one is for progress and diagnosis"
    assert {"Backoff", "Clock", "Condition", "Hold", "Plan", "Registry", "Switch", "Transport"} <= {
        kind.__name__ for kind in found
    }


async def consumer(collector: wickwire.Collector) -> None:
    """Never called: the type checker runs it, strictly, as it would a host's code."""
    assert_type(await collector.add("lantern:BTC/USD@1m"), wickwire.Series)
    assert_type(collector.plan(), Sequence[wickwire.Plan])
    assert_type(collector.health(), wickwire.Health)
    assert_type(collector.candles(), wickwire.CandleReader)
    assert_type(collector.trades(), wickwire.FeedReader[wickwire.SeriesTrade])
    assert_type(collector.quotes(policy=wickwire.Policy.CONFLATE), wickwire.FeedReader[wickwire.SeriesQuote])
    async for event in collector.events():
        match event:
            case wickwire.HoleFound():
                assert_type(event.hole, wickwire.Hole)
            case wickwire.ConditionChanged():
                assert_type(event.before, wickwire.Condition | None)
            case _:
                pass
    assert_type(collector.health().series[0].condition, wickwire.Condition)
    assert_type(collector.health().series[0].switches, Sequence[wickwire.Switch])
    wickwire.Collector(
        registry=wickwire.Registry(), backoff=wickwire.Backoff(), clock=wickwire.SystemClock(), transport=None
    )

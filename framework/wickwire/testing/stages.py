"""Frames, each with how its connection came to where it was parsed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, final

import attrs

from wickwire.adapter import Adapter
from wickwire.description import Account
from wickwire.endpoint import Ask, Endpoint, Topic
from wickwire.errors import WireError
from wickwire.events import Event
from wickwire.model import Candle
from wickwire.testing.foreign import outcome_of
from wickwire.testing.sitting import Asked, Parsed, Sitting, Step, batches, parsed
from wickwire.testing.trees import shape_of

__all__ = ["Dialogue", "Stage", "heard", "picked"]

MOST_OF_A_SHAPE = 2


@attrs.frozen(eq=False)
class Dialogue:
    """What was said on one connection.

    Attributes:
        source: Where it is from, for people.
        account: Whose connection it is.
        endpoint: How it was opened.
        steps: What was asked and what came, in order.
        topics: What was to be asked for, all of which exists.
        asked: What was asked for, of which some may not exist.
        unanswered: Which of *topics* got no answer.
        simulated: It was held with the adapter's own simulated venue, so all in it is genuine.
        error: What ended it from inside.
    """

    source: str
    account: Account
    endpoint: Endpoint
    steps: Sequence[Step]
    topics: Sequence[Topic] = ()
    asked: Sequence[Topic] = ()
    unanswered: Sequence[Topic] = ()
    simulated: bool = False
    error: Exception | None = None

    @classmethod
    def of(cls, sitting: Sitting, source: str, topics: Sequence[Topic]) -> Dialogue:
        """Return what was said in *sitting*."""
        return cls(
            source=source,
            account=sitting.account,
            endpoint=sitting.endpoint,
            steps=sitting.steps,
            topics=topics,
            asked=tuple(sitting.asked),
            unanswered=sitting.unanswered(topics),
            simulated=True,
            error=sitting.error,
        )

    @property
    def ended_ns(self) -> int:
        """When its last frame came; 0 where none did."""
        return max((step.at_ns for step in self.steps if isinstance(step, Parsed)), default=0)

    @property
    def events(self) -> Iterator[tuple[Parsed, Event]]:
        """Every event, with the frame that it came of."""
        for step in self.steps:
            if isinstance(step, Parsed):
                for event in step.events:
                    yield step, event

    @property
    def rows(self) -> Iterator[tuple[Parsed, Candle]]:
        """Those of them that are rows of candles."""
        for step, event in self.events:
            if isinstance(event, Candle):
                yield step, event

    @property
    def stages(self) -> Iterator[Stage]:
        """Every frame of it."""
        for place, step in enumerate(self.steps):
            if isinstance(step, Parsed):
                yield Stage(self, place, step)


@final
class Stage:
    """One frame of a dialogue, and the memory that it was parsed with.

    Attributes:
        dialogue: Where it belongs.
        step: The frame, and what it was taken for.
        place: Which of the dialogue's steps that is.
    """

    def __init__(self, dialogue: Dialogue, place: int, step: Parsed) -> None:
        """Remember where in *dialogue* it is."""
        self.dialogue = dialogue
        self.step = step
        self.place = place
        self._kept: Any = None
        self._copies: bool | None = None

    def memory(self, adapter: Adapter) -> Any:
        """Return a memory of its own, as it was before the frame came."""
        if self._copies is None:
            self._kept = self.rebuilt(adapter)
            # a memory need not be copyable, and says so in its own way
            self._copies = outcome_of(lambda: copy.deepcopy(self._kept))[1] is None
        return copy.deepcopy(self._kept) if self._copies else self.rebuilt(adapter)

    def rebuilt(self, adapter: Adapter) -> Any:
        """Return a memory in which everything before the frame was said again."""
        memory: Any = self.dialogue.endpoint.memory()
        for step in self.dialogue.steps[: self.place]:
            repeated(adapter, step, memory)
        return memory


def repeated(adapter: Adapter, step: Step, memory: Any) -> list[Any] | str:
    """Let *adapter* take one step again; return what it said, or the text of its WireError."""
    match step:
        case Asked():
            return list(adapter.subscribe(step.asks, step.removed, memory))
        case Parsed():
            return heard(adapter, step.frame, memory)


def heard(adapter: Adapter, frame: bytes, memory: Any) -> list[Event] | str:
    """Return the events of *frame*, or the text of the WireError.

    Raises:
        Exception: Whatever else `parse` raises.
    """
    try:
        return list(adapter.parse(frame, memory))
    except WireError as exc:
        return f"WireError: {exc}"


def followed(
    adapter: Adapter, account: Account, endpoint: Endpoint, source: str, steps: Sequence[Asked | bytes]
) -> Dialogue:
    """Return the dialogue that *steps* are, frames parsed."""
    memory = endpoint.memory()
    done: list[Step] = []
    error: Exception | None = None
    for said in steps:
        step: Step
        if isinstance(said, Asked):
            step, error = said, outcome_of(partial(adapter.subscribe, said.asks, said.removed, memory))[1]
        else:
            step, error = parsed(adapter, said, memory)
        done.append(step)
        if error is not None:
            break
    asked = tuple(ask.topic for step in steps if isinstance(step, Asked) for ask in step.asks)
    return Dialogue(source, account, endpoint, done, asked=asked, error=error)


def asks_of(topics: Sequence[Topic], endpoint: Endpoint) -> list[Asked]:
    """Return the questions for *topics*, as many at a time as *endpoint* says."""
    return [Asked(batch, ()) for batch in batches(map(Ask, topics), endpoint)]


def picked(stages: Sequence[Stage], most: int) -> list[Stage]:
    """Return *most* of *stages* at most, and of each kind of frame a few, those with events first."""
    counts: dict[object, int] = {}
    kept = []
    for stage in sorted(stages, key=lambda stage: not stage.step.events):
        kinds = frozenset(type(event) for event in stage.step.events)  # rows of one shape may mean anything
        shape = (stage.dialogue.account.feed, shape_of(stage.step.frame), kinds)
        counts[shape] = counts.get(shape, 0) + 1
        if counts[shape] <= MOST_OF_A_SHAPE:
            kept.append(stage)
    return kept[:most]

"""Level 2, frames: what `parse` makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final, get_args

import attrs

from wickwire.endpoint import Ask, Endpoint, Send, Topic
from wickwire.errors import WireError
from wickwire.events import Event
from wickwire.model import Candle, Finality, Quote, Side, Timeframe, Trade, TradeAction
from wickwire.testing.calls import hook_calls
from wickwire.testing.checks import Broken, Checks, Level, Need, Skipped, require
from wickwire.testing.foreign import outcome_of
from wickwire.testing.material import Material
from wickwire.testing.mutations import junk, lessened, mutated, reordered
from wickwire.testing.seal import sealed
from wickwire.testing.search import blamed, presented, search, sweep
from wickwire.testing.sitting import Asked, Parsed
from wickwire.testing.stages import Dialogue, Stage, heard, repeated
from wickwire.testing.trees import Members, form_of

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["PARSING", "mistyped"]

PARSING: Final = Checks(Level.PARSE)

MOST_ROWS: Final = 6
_WORD: Final = re.compile(r'[!#-\[\]-~]{16,}+(?!"\s*:)')
"""What may be a secret in a frame: anything shorter, and each name of a member, is the venue's own word."""
NEEDED: Final = ("open", "high", "low", "close", "volume", "price", "size", "open_ns", "close_ns")
"""Fields of events without which they say nothing."""

Met = tuple[Stage, bytes]
"""Where on a connection, and what came there."""


@PARSING(
    "P01",
    "Whatever arrives, parse() returns a sequence of events or raises WireError.",
    Need.STREAM,
    Need.FRAMES,
)
def events_or_wire_error(material: Material) -> None:
    def look(met: Met) -> None:
        stage, frame = met
        memory = stage.memory(material.adapter)
        try:
            events: object = material.adapter.parse(frame, memory)
        except WireError:
            return
        fits = isinstance(events, Sequence) and not isinstance(events, str | bytes)
        require(fits, f"parse() returned {events!r:.80}, which is no sequence")
        assert isinstance(events, Sequence)
        for event in events:
            require(isinstance(event, get_args(Event)), f"{event!r:.80} is none of the events")

    lesser = ((stage, frame) for stage in material.stages for frame in lessened(stage.step.frame))
    sweep(material, lesser, look, show=shown)
    search(material, met(material), look, share=4.0, show=shown)


@PARSING("P02", "What the venue really says is understood.", Need.STREAM, Need.FRAMES)
def understands(material: Material) -> None:
    for dialogue in (*material.dialogues, *material.recorded):
        if dialogue.error is not None:
            raise Broken(f"{dialogue.source}: {blamed(dialogue.error, material.code)}", shown=_last(dialogue))
        for step in dialogue.steps if dialogue.simulated else ():
            if isinstance(step, Parsed) and step.error is not None:
                raise Broken(f"{dialogue.source}: {step.error}", shown=repr(step.frame))
            material.count()
    require(not material.playing.troubles, "; ".join(material.playing.troubles[:3]))
    if material.sampled:
        sources = {stage.dialogue.source for stage in material.sampled}
        understood = {stage.dialogue.source for stage in material.sampled if stage.step.events}
        require(understood, f"none of the {len(sources)} samples gives an event")


@PARSING("P03", "parse() is a function of frame and memory alone.", Need.STREAM, Need.FRAMES)
def repeats(material: Material) -> None:
    adapter = material.adapter
    others = material.stages[:: max(1, len(material.stages) // 6)]
    for dialogue in (*material.dialogues, *material.recorded[:4]):
        steps = dialogue.steps[:80]
        apart = _said_again(material, dialogue, steps, ())
        between = _said_again(material, dialogue, steps, others)
        for number, (one, other) in enumerate(zip(apart, between, strict=True)):
            step = steps[number]
            require(
                one == other,
                f"{dialogue.source}: step {number + 1} means something else while another connection is open",
                shown=f"{step.frame if isinstance(step, Parsed) else step!r}\n{one}\n{other}",
            )

    def look(met: Met) -> None:
        stage, frame = met
        one = heard(adapter, frame, stage.memory(adapter))
        for other in others:
            heard(adapter, other.step.frame, other.memory(adapter))
        again = heard(adapter, frame, stage.memory(adapter))
        require(repr(one) == repr(again), f"the same frame means {one!r:.300} and then {again!r:.300}")

    search(material, met(material), look, forgiving=True, show=shown)


@PARSING(
    "P04", "The fields of an event have the types that they are declared with.", Need.STREAM, Need.FRAMES
)
def well_typed(material: Material) -> None:
    def look(met: Met) -> None:
        stage, frame = met
        events = _events(material, stage, frame)
        for event in events:
            wrong = mistyped(event)
            require(not wrong, wrong)

    for stage in material.stages:
        for event in stage.step.events:
            wrong = mistyped(event)
            require(not wrong, wrong, shown=repr(stage.step.frame))
    search(material, met(material), look, forgiving=True, show=shown)


@PARSING("P05", "The order of JSON members means nothing.", Need.STREAM, Need.FRAMES)
def order_of_members(material: Material) -> None:
    from hypothesis import strategies as st  # noqa: PLC0415 - an extra

    forms = [(stage, form) for stage in material.stages if (form := form_of(stage.step.frame)) is not None]
    if not forms:
        raise Skipped("its frames are neither JSON nor MessagePack")
    drawn = st.sampled_from(forms).flatmap(lambda one: st.tuples(st.just(one[0]), reordered(one[1])))

    def look(met: Met) -> None:
        stage, frame = met
        one = _comparable(material, stage, stage.step.frame)
        other = _comparable(material, stage, frame)
        require(one == other, f"in the order of the sample it means {one!r:.300}, in another {other!r:.300}")

    search(material, drawn, look, forgiving=True, show=shown)


@PARSING(
    "P25",
    "Of several rows in one frame each counts, and means what it means alone.",
    Need.STREAM,
    Need.FRAMES,
)
def each_row_counts(material: Material) -> None:
    looked = 0
    for stage in material.stages:
        form = form_of(stage.step.frame)
        for path in () if form is None else form.paths:
            assert form is not None
            rows = form.at(path)
            if not (
                isinstance(rows, list) and len(rows) > 1 and all(isinstance(one, Members) for one in rows)
            ):
                continue
            looked += 1
            whole = [repr(one) for one in _data_of(material, stage, stage.step.frame)]
            for row in rows[:MOST_ROWS]:
                frame = form.write(form.replaced(path, [row]))
                for event in _data_of(material, stage, frame):
                    require(repr(event) in whole, f"alone it is {event!r:.300}", shown=shown((stage, frame)))
    material.count_or_skip(looked, "no frame has several rows")


def _data_of(material: Material, stage: Stage, frame: bytes) -> Sequence[Event]:
    told = heard(material.adapter, frame, stage.memory(material.adapter))
    return () if isinstance(told, str) else [one for one in told if isinstance(one, Candle | Trade | Quote)]


@PARSING("P09", "Data comes under symbols that were asked for.", Need.STREAM, Need.DIALOGUES)
def under_asked_symbols(material: Material) -> None:
    for dialogue in material.dialogues:
        asked = {topic.symbol for topic in dialogue.asked}
        topics = set(dialogue.asked)
        for step in dialogue.steps:
            for event in step.events if isinstance(step, Parsed) else ():
                material.count()
                if not isinstance(event, Candle | Trade | Quote):
                    continue
                fits = event.symbol in asked
                if isinstance(event, Candle):
                    fits = Topic(event.symbol, event.timeframe) in topics
                require(
                    fits,
                    f"{event!r:.200} was not asked for",
                    shown=repr(step.frame) if isinstance(step, Parsed) else "",
                )


@PARSING("P10", "Every subscription is answered: accepted, refused, or by data.", Need.STREAM, Need.DIALOGUES)
def all_answered(material: Material) -> None:
    for dialogue in material.dialogues:
        material.count()
        if dialogue.error is None:
            silent = ", ".join(map(str, dialogue.unanswered))
            require(not silent, f"{dialogue.source}: nothing was said of {silent}")


@PARSING(
    "P11", "A hook does nothing but return: no file, socket, clock, process, thread, sleep, output or log."
)
def no_input_or_output(material: Material) -> None:
    for name, call, show in hook_calls(material):
        with sealed() as seal:
            outcome_of(call)  # other checks say what it may raise
        material.count()
        require(not seal.all, f"{name} did this: {'; '.join(seal.all[:3])}", shown=show)


@PARSING(
    "P13",
    "No secret is shown: not by what hooks return, raise or print, nor when what was sent as one comes back.",
    Need.SECRETS,
)
def secrets_are_not_shown(material: Material) -> None:
    secrets = {one for account in material.accounts for one in account.secrets.values()}
    for name, call, show in hook_calls(material):
        with sealed() as seal:
            answer, error = outcome_of(call)
            told = (answer, answer.hello) if isinstance(answer, Endpoint) else answer
            text = repr(told) if error is None else f"{error} {error!r}"
        material.count()
        for where, words in (
            (name, text),
            (f"{name}, printed", seal.output),
            (f"{name}, logged", " ".join(seal.logged)),
        ):
            leaked = next((one for one in secrets if one in words), None)
            require(leaked is None, f"{where} shows the secret {leaked!r}", shown=show)
    for dialogue in material.dialogues:
        for stage in dialogue.stages:
            for event in stage.step.events:
                if isinstance(event, Send) and event.secret:
                    _require_hidden(material, stage, event.frame, secrets)


def _require_hidden(material: Material, stage: Stage, said: str | bytes, known: Collection[str]) -> None:
    """Let what was said as a secret come back, as venues repeat what they were told.

    What is *known*, of the account, is masked by whoever shows anything. Of a token that the venue gave
    nobody knows but the adapter.
    """
    frame = said.encode() if isinstance(said, str) else said
    memory = stage.memory(material.adapter)
    outcome_of(partial(material.adapter.parse, stage.step.frame, memory))
    told, error = outcome_of(partial(material.adapter.parse, frame, memory))
    text = repr(told) if error is None else f"{error} {error!r}"
    words = [one for one in _WORD.findall(frame.decode("latin-1")) if one not in known]
    material.count()
    leaked = next((one for one in words if one in text), None)
    require(leaked is None, "what was said as a secret is shown once it comes back", shown=repr(told))


# --------------------------------------------------------------------------------------------- what is drawn


def met(material: Material) -> SearchStrategy[Met]:
    """Return frames, changed and damaged, each at a stage of a connection."""
    from hypothesis import strategies as st  # noqa: PLC0415 - an extra

    near = st.sampled_from(material.stages).flatmap(
        lambda stage: st.tuples(st.just(stage), mutated(stage.step.frame))
    )
    elsewhere = st.tuples(
        st.sampled_from(material.stages), st.sampled_from(material.stages).map(lambda stage: stage.step.frame)
    )
    anything = st.tuples(st.sampled_from(material.stages), junk())
    return st.one_of(near, near, near, elsewhere, anything)


def shown(met: Met) -> str:
    """Return how a frame at a stage is told."""
    stage, frame = met
    return f"frame {frame!r}\nin place of {stage.step.frame!r:.200} of {stage.dialogue.source}"


# ------------------------------------------------------------------------------------------ what is looked at


def mistyped(event: object) -> str:
    """Return what is wrong with the types of an event's fields, or nothing."""
    lacking = next((name for name in NEEDED if getattr(event, name, name) is None), "")
    return f"{type(event).__name__}.{lacking} is None, and says nothing so" if lacking else _mistyped(event)


def _mistyped(event: object) -> str:
    checks: dict[str, Callable[[object], bool]] = {
        "symbol": lambda one: isinstance(one, str) and one != "",
        "timeframe": lambda one: isinstance(one, Timeframe),
        "finality": lambda one: isinstance(one, Finality),
        "action": lambda one: isinstance(one, TradeAction),
        "side": lambda one: one is None or isinstance(one, Side),
        "id": lambda one: isinstance(one, str),
        "snapshot": lambda one: isinstance(one, bool),
        "trade_count": lambda one: one is None or (isinstance(one, int) and not isinstance(one, bool)),
    }
    if not isinstance(event, Candle | Trade | Quote):
        return ""
    fields: Any = event
    for name, value in attrs.asdict(fields, recurse=False).items():
        kind = type(value).__name__
        what = f"{type(event).__name__}.{name}"
        if name in checks:
            if not checks[name](value):
                return f"{what} is {value!r:.60}, a {kind}"
        elif name.endswith("_ns"):
            if not (isinstance(value, int) and not isinstance(value, bool)) and value is not None:
                return f"{what} is {value!r:.60}, a {kind}: times are int, in ns"
        elif name != "replaces" and value is not None:
            if not isinstance(value, Decimal):
                return f"{what} is {value!r:.60}, a {kind}: numbers are Decimals made from the text that came"
            if not value.is_finite():
                return f"{what} is {value}, which is no number"
    return ""


def _events(material: Material, stage: Stage, frame: bytes) -> Sequence[Any]:
    try:
        return material.adapter.parse(frame, stage.memory(material.adapter))
    except WireError:
        return ()


def _comparable(material: Material, stage: Stage, frame: bytes) -> object:
    """Return events without their order, or that there were none to be had."""
    told = heard(material.adapter, frame, stage.memory(material.adapter))
    return "WireError" if isinstance(told, str) else sorted(map(repr, told))


def _said_again(
    material: Material, dialogue: Dialogue, steps: Sequence[Asked | Parsed], others: Sequence[Stage]
) -> list[str]:
    """Return what each step means; between them *others* and the same are said on another connection."""
    adapter = material.adapter
    memory: Any = dialogue.endpoint.memory()
    elsewhere: Any = dialogue.endpoint.memory()
    found = []
    for number, step in enumerate(steps):
        material.count()
        found.append(repr(repeated(adapter, step, memory)))
        if others:
            other = others[number % len(others)]
            heard(adapter, other.step.frame, other.memory(adapter))
            if isinstance(step, Parsed):
                outcome_of(partial(heard, adapter, step.frame, elsewhere))
            topics = [Ask(topic) for topic in dialogue.topics[:1]]
            if isinstance(step, Asked) and topics:
                adapter.subscribe(topics, (), elsewhere)
    return found


def _last(dialogue: Dialogue) -> str:
    last = dialogue.steps[-1] if dialogue.steps else None
    return presented(repr(last.frame if isinstance(last, Parsed) else last))

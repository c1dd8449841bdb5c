"""Level 3, the line: keeping a connection, and what becomes of lost messages and of tokens that end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Final

from wickwire.endpoint import Ask, Topic
from wickwire.errors import FaultKind, VenueError
from wickwire.events import Event, Fault, Ready, Removed
from wickwire.model import SECOND_NS, Trade
from wickwire.simulate.server import VenueServer
from wickwire.testing.checks import Checks, Level, Need, Skipped, require
from wickwire.testing.foreign import outcome_of
from wickwire.testing.material import Material
from wickwire.testing.playing import NOBODY
from wickwire.testing.sitting import Parsed, Sitting
from wickwire.testing.stages import Dialogue
from wickwire.testing.subscriber import Phase, phases

__all__ = ["LINES"]

LINES: Final = Checks(Level.DIALOGUE)

LOSING: Final = ("lose_messages", "lose_trades")
"""Faults, by the names that a simulated venue may have them under: something that is numbered is lost."""
ENDING: Final = "expire"
"""An open stream is told that its token, or its session, has run out."""
REFUSING: Final = ("reject_token", "auth_failed")
"""Whatever token or key is shown is refused."""
REFUSES: Final = "refuse"
"""Every subscription is refused."""
LEAVES_OUT: Final = "leave_out"
"""What does not exist is left out of the answer, which is no error."""
ENDED: Final = (FaultKind.CREDENTIALS, FaultKind.RESTART)

GREETING_NS: Final = 2 * SECOND_NS
FOR_A_WHILE_NS: Final = 90 * SECOND_NS
MOST_FRAMES: Final = 1_500
SILENCES: Final = 3
LONGEST_IDLE_NS: Final = 300 * SECOND_NS


@LINES(
    "D10",
    "A connection that is kept as its endpoint says is not ended, and not silent for longer than it says.",
    Need.STREAM,
    Need.DIALOGUES,
)
def stays_alive(material: Material) -> None:
    for dialogue in material.dialogues:
        material.count()
        sitting = _connected(material, dialogue, material.playing.another_server())
        endpoint = sitting.endpoint
        limit_ns = round(endpoint.silence_limit_s * SECOND_NS)
        began_ns = sitting.now_ns
        sitting.until(began_ns + min(SILENCES * limit_ns, LONGEST_IDLE_NS), most=MOST_FRAMES)
        if sitting.error is not None:
            raise sitting.error
        require(sitting.over is None, f"{dialogue.source}: the venue ended it: {sitting.over}")
        heard = [step.at_ns for step in sitting.steps if isinstance(step, Parsed) and step.at_ns >= began_ns]
        if endpoint.keepalive is not None and endpoint.keepalive.frame is None:  # each ping brings a pong
            every_ns = round(endpoint.keepalive.every_s * SECOND_NS)
            heard += range(began_ns, sitting.now_ns, every_ns)
        times = [began_ns, *sorted(heard), sitting.now_ns]
        longest_ns = max(later - earlier for earlier, later in pairwise(times))
        why = f"nothing came for {longest_ns / SECOND_NS:g} s; it allows {endpoint.silence_limit_s:g} s"
        require(longest_ns <= limit_ns, f"{dialogue.source}: {why}")


@LINES("D11", "A gap in what the venue numbers is told.", Need.STREAM, Need.DIALOGUES)
def gaps_are_told(material: Material) -> None:
    faults = [one for one in LOSING if one in material.playing.another_server().faults]
    if not faults:
        raise Skipped(f"its simulated venue has none of the faults {' and '.join(LOSING)}")
    for dialogue in material.dialogues[:1]:
        for fault in faults:
            material.count()
            server = material.playing.another_server()
            sitting = _subscribed(material, dialogue, server)
            sitting.until(sitting.now_ns + FOR_A_WHILE_NS, most=MOST_FRAMES)
            before = len(sitting.told)
            _inject(material, server, fault, dialogue.topics)
            sitting.until(sitting.now_ns + FOR_A_WHILE_NS, most=MOST_FRAMES)
            after = sitting.told[before:]
            told = any(
                isinstance(one, Removed) or (isinstance(one, Fault) and one.kind is FaultKind.GAP)
                for one in after
            )
            jumps = fault == "lose_trades" and _is_numbered(material, dialogue) and _jumps(sitting.told)
            require(told or jumps, f"with {fault} nothing says that anything is missing")


@LINES(
    "D13",
    "On a line that nobody disturbs nothing is told to be lost, and nothing to be wrong.",
    Need.STREAM,
    Need.DIALOGUES,
)
def nothing_is_wrong(material: Material) -> None:
    for dialogue in material.dialogues:
        material.count()
        sitting = _subscribed(material, dialogue, material.playing.another_server())
        sitting.until(sitting.now_ns + FOR_A_WHILE_NS, most=MOST_FRAMES)
        wrong = next((one for one in sitting.told if isinstance(one, Fault)), None)
        require(wrong is None, f"{dialogue.source}: nothing went wrong, and it told {wrong!r:.300}")


@LINES(
    "D12", "A token or session that ends, or is refused, is told as just that.", Need.STREAM, Need.DIALOGUES
)
def endings_are_told(material: Material) -> None:
    faults = material.playing.another_server().faults
    if not any(one in faults for one in (ENDING, *REFUSING)):
        raise Skipped(f"its simulated venue has none of the faults {', '.join((ENDING, *REFUSING))}")
    for dialogue in material.dialogues[:1]:
        if ENDING in faults:
            material.count()
            server = material.playing.another_server()
            sitting = _subscribed(material, dialogue, server)
            before = len(sitting.told)
            server.inject(ENDING)
            sitting.until(sitting.now_ns + GREETING_NS, most=MOST_FRAMES)
            kinds = _kinds(sitting.told[before:])
            kind_names = " or ".join(one.name for one in ENDED)
            require(
                any(one in ENDED for one in kinds), f"it ran out; expected {kind_names}, got {_names(kinds)}"
            )
        for fault in (one for one in REFUSING if one in faults):
            material.count()
            server = material.playing.another_server()
            server.inject(fault)
            kinds = list(_refused(material, dialogue, server))
            refused = FaultKind.CREDENTIALS in kinds
            require(refused, f"with {fault}: expected CREDENTIALS, got {_names(kinds)}")


@LINES(
    "D15", "What the venue refuses is told as refused, and never as accepted.", Need.STREAM, Need.DIALOGUES
)
def refusals_are_told(material: Material) -> None:
    faults = [one for one in (REFUSES, LEAVES_OUT) if one in material.playing.another_server().faults]
    if not faults:
        raise Skipped(f"its simulated venue has none of the faults {REFUSES} and {LEAVES_OUT}")
    for dialogue in material.dialogues:
        for fault in faults:
            material.count()
            server = material.playing.another_server()
            _inject(material, server, fault, dialogue.topics)
            sitting = _connected(material, dialogue, server)
            named = dialogue.topics[0]
            topic = named if fault == REFUSES else Topic(NOBODY, named.what)
            before = len(sitting.told)
            sitting.subscribe([Ask(topic)])
            sitting.until(sitting.now_ns + GREETING_NS, most=MOST_FRAMES)
            kinds = [type(one).__name__ for one in sitting.told[before:]]
            came = ", ".join(dict.fromkeys(kinds)) or "nothing"
            phase = phases(sitting).get(topic)
            why = f"{dialogue.source}, with {fault}: {topic} is {phase.value if phase else 'not there'}"
            require(phase is Phase.REFUSED, f"{why}; there came {came}")


def _refused(material: Material, dialogue: Dialogue, server: VenueServer) -> Iterator[FaultKind]:
    """Yield what kinds of no come of connecting to a venue that takes no token."""
    sitting, error = outcome_of(lambda: _connected(material, dialogue, server))
    if isinstance(error, VenueError):
        yield error.kind
    elif error is not None:
        raise error
    if sitting is not None:
        yield from _kinds(sitting.told)
        ready = any(isinstance(one, Ready) for one in sitting.told)
        require(not ready, "the venue took no token, and the connection counts as ready")


def _connected(material: Material, dialogue: Dialogue, server: VenueServer) -> Sitting:
    sitting = Sitting(
        material.adapter, dialogue.account, server, material.playing.now_ns, tuple(dialogue.topics)
    )
    sitting.until(sitting.now_ns + GREETING_NS, most=MOST_FRAMES)
    return sitting


def _subscribed(material: Material, dialogue: Dialogue, server: VenueServer) -> Sitting:
    sitting = _connected(material, dialogue, server)
    sitting.subscribe([Ask(topic) for topic in dialogue.topics])
    sitting.until(sitting.now_ns + GREETING_NS, most=MOST_FRAMES)
    return sitting


def _inject(material: Material, server: VenueServer, fault: str, topics: Sequence[Topic]) -> None:
    """Switch *fault* on, for the first symbol where it is about one."""
    symbol = topics[0].symbol
    for details in ({}, {"symbol": symbol}, {"symbol": material.adapter.to_venue(symbol)}):
        if outcome_of(partial(server.inject, fault, **details))[1] is None:
            return
    raise Skipped(f"its simulated venue does not take the fault {fault}, with a symbol or without")


def _is_numbered(material: Material, dialogue: Dialogue) -> bool:
    """Say whether the framework looks at the ids of trades, and so finds by itself what is missing."""
    timeframe = material.described(dialogue.account).timeframes[0]
    return material.adapter.support_for(dialogue.topics[0].symbol, timeframe, dialogue.account).numbered


def _jumps(events: Sequence[Event]) -> bool:
    ids: dict[str, list[int]] = {}
    for event in events:
        if isinstance(event, Trade) and event.id.isdigit():
            ids.setdefault(event.symbol, []).append(int(event.id))
    runs = [sorted({*one}) for one in ids.values()]
    return any(later > earlier + 1 for run in runs for earlier, later in pairwise(run))


def _kinds(events: Sequence[Event]) -> list[FaultKind]:
    return [one.kind for one in events if isinstance(one, Fault)]


def _names(kinds: Sequence[FaultKind]) -> str:
    return ", ".join(one.name for one in kinds) or "nothing"

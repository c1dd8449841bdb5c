"""Level 3, dialogues: what a client that changes its mind, and a line that is bad, find of an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from wickwire.endpoint import Topic
from wickwire.events import Event, Fault, Refused, Released, Removed, SnapshotDone
from wickwire.model import SECOND_NS, Candle, Trade
from wickwire.testing.checks import Broken, Checks, Level, Need, Skipped, require
from wickwire.testing.material import Material
from wickwire.testing.playing import LASTS_NS
from wickwire.testing.search import search
from wickwire.testing.sitting import Asked, data_topic
from wickwire.testing.stages import Stage, heard
from wickwire.testing.subscriber import Connected, Deed, Party, Phase, Subscriber, Word, phases

__all__ = ["DIALOGUES"]

DIALOGUES: Final = Checks(Level.DIALOGUE)

TRAVEL_NS: Final = 2 * SECOND_NS
"""What was left may still come so long, where nothing says that it was left."""
TOLD_AGAIN_NS: Final = 120 * SECOND_NS
"""So long after its end a bucket may still be told again because of a late trade."""
LISTENS_S: Final = 30
MOST_BEHIND: Final = 12
DISORDERS: Final = 4.0


@DIALOGUES("D01", "What is wanted is confirmed in the end, and nothing else.", Need.STREAM, Need.DIALOGUES)
def wanted_is_confirmed(material: Material) -> None:
    def look(client: Subscriber) -> None:
        for connected in client.connections:
            sitting, wanted = connected.sitting, connected.wanted
            require(sitting.over is None, f"the venue ended the connection: {sitting.over}")
            missing = _unconfirmed(connected)
            if missing and not sitting.endpoint.acknowledges:  # only data says so there
                sitting.until(sitting.now_ns + LASTS_NS)
                missing = _unconfirmed(connected)
            require(not missing, f"it is wanted and not confirmed: {_names(missing)}")
            confirmed = [topic for topic, phase in phases(sitting).items() if phase is Phase.CONFIRMED]
            known = (*wanted, *client.party.nobody)
            strange = [one for one in confirmed if one not in known]
            require(not strange, f"it is confirmed and not wanted: {_names(strange)}")

    games(material, look)


@DIALOGUES(
    "D02",
    "What does not exist is refused by its name, or brings nothing; nothing else is refused with it.",
    Need.STREAM,
    Need.DIALOGUES,
)
def refused_alone(material: Material) -> None:
    def look(client: Subscriber) -> None:
        for connected in client.connections:
            sitting = connected.sitting
            for topic, phase in phases(sitting).items():
                there = topic in client.party.topics
                require(not there or phase is not Phase.REFUSED, f"{topic} exists and was refused")
                unsaid = phase is Phase.ASKED and sitting.endpoint.acknowledges
                require(there or not unsaid, f"{topic} does not exist, and nothing was said of it")
            for _, _, event in connected.events:
                topics = event.topics if isinstance(event, Refused) else ()
                strange = [one for one in topics if one in client.party.topics]
                require(not strange, f"{event!r:.200} refuses what exists")
                data = data_topic(event)
                if data is not None and data in client.party.nobody:
                    raise Broken(f"{data} does not exist, and brought {event!r:.200}")

    games(material, look)


@DIALOGUES("D03", "What was left falls silent.", Need.STREAM, Need.DIALOGUES)
def silent_when_left(material: Material) -> None:
    def look(client: Subscriber) -> None:
        for connected in client.connections:
            for topic, event in _after_leaving(connected):
                raise Broken(f"{topic} was left, and brought {event!r:.200}")

    for dialogue in material.dialogues:
        topics = tuple(dialogue.topics)
        party = Party(dialogue.account, topics, (), material.playing.now_ns)
        client = Subscriber(material.adapter, material.playing.market, party)
        for word in (Word.SUBSCRIBE, Word.LEAVE):
            client.do(Deed(word, topics))
            client.do(Deed(Word.LISTEN, amount=LISTENS_S))
        look(client)
    games(material, look, strangers=False)


@DIALOGUES("D04", "What is said again on a new connection means the same again.", Need.STREAM, Need.DIALOGUES)
def same_on_a_new_connection(material: Material) -> None:
    def look(client: Subscriber) -> None:
        other = client.again()
        for number, (first, second) in enumerate(zip(client.connections, other.connections, strict=True)):
            one, two = first.sitting.told, second.sitting.told
            at = next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)
            if at is not None:
                raise Broken(f"on connection {number + 1} it was {one[at]!r:.200}, then {two[at]!r:.200}")
            require(
                len(one) == len(two), f"on connection {number + 1} came {len(one)} events, then {len(two)}"
            )

    games(material, look, disturbed=True)


@DIALOGUES("D05", "A frame that is said twice makes no event twice.", Need.STREAM, Need.DIALOGUES)
def nothing_twice(material: Material) -> None:
    def look(client: Subscriber) -> None:
        for connected in client.connections:
            first: list[Event] = []
            at = -1
            for place, is_echo, event in connected.events:
                if not is_echo:
                    first = [*(first if place == at else ()), event]
                    at = place
                    continue
                if data_topic(event) is None:
                    continue
                is_same = place == at + 1 and event in first
                require(is_same, f"a frame that was said again became another thing: {event!r:.200}")
                nameless = isinstance(event, Trade) and not event.id
                require(not nameless, f"a trade without an id came twice: {event!r:.200}")
        _check_kept(client)

    games(material, look, disturbed=True, strangers=False)


@DIALOGUES(
    "D06", "Where frames overtake one another nothing is lost, or a gap is told.", Need.STREAM, Need.DIALOGUES
)
def nothing_lost_in_disorder(material: Material) -> None:
    from hypothesis import strategies as st  # noqa: PLC0415 - an extra

    movable = [stage for one in material.dialogues for stage in one.stages if _holds_data(stage.step.events)]
    if not movable:
        raise Skipped("no data came")

    def look(drawn: tuple[Stage, int]) -> None:
        stage, behind = drawn
        quiet, _ = _heard_in(material, stage, 0)
        disordered, told = _heard_in(material, stage, behind)
        if not told:
            lost = next((event for event in quiet if event not in disordered), None)
            require(lost is None, f"it was lost, and nothing says so: {lost}")

    def show(drawn: tuple[Stage, int]) -> str:
        stage, behind = drawn
        return f"{stage.step.frame!r}\nsaid after {behind} more frames of {stage.dialogue.source}"

    drawn = st.tuples(st.sampled_from(movable), st.integers(1, MOST_BEHIND))
    search(material, drawn, look, share=DISORDERS, forgiving=True, show=show)


def _heard_in(material: Material, moved: Stage, behind: int) -> tuple[dict[str, None], bool]:
    """Return the data of a few frames, the first of which comes *behind* others, and if a gap is told."""
    memory = moved.memory(material.adapter)
    frames: list[bytes] = []
    for step in moved.dialogue.steps[moved.place + 1 :]:
        if isinstance(step, Asked) or len(frames) == MOST_BEHIND:
            break
        frames.append(step.frame)
    frames.insert(behind, moved.step.frame)
    found: dict[str, None] = {}
    for frame in frames:
        events = heard(material.adapter, frame, memory)
        if isinstance(events, str) or any(isinstance(one, Fault | Removed) for one in events):
            return found, True
        found |= dict.fromkeys(repr(one) for one in events if data_topic(one) is not None)
    return found, False


@DIALOGUES(
    "D07",
    "The rows of a snapshot say so, and none comes after SnapshotDone.",
    Need.STREAM,
    Need.DIALOGUES,
)
def snapshots_end(material: Material) -> None:
    def look(client: Subscriber) -> None:
        for connected in client.connections:
            _check_snapshots(connected)

    games(material, look, disturbed=True, strangers=False)


def games(
    material: Material,
    look: Callable[[Subscriber], None],
    *,
    disturbed: bool = False,
    strangers: bool = True,
) -> None:
    """Play games; see `wickwire.testing.machine`, which needs Hypothesis."""
    from wickwire.testing import machine  # noqa: PLC0415 - an extra

    machine.games(material, look, disturbed=disturbed, strangers=strangers)


def _check_snapshots(connected: Connected) -> None:
    """Follow each topic from the asking to the end of its snapshot; what is said twice counts once."""
    running: dict[Topic, list[Candle]] = {}
    done: set[Topic] = set()
    asked_ns: dict[Topic, int] = {}
    heard_ns = 0
    echoes = {place for place, is_echo, _ in connected.events if is_echo}
    for place, step in enumerate(connected.sitting.steps):
        if isinstance(step, Asked):
            asked = [ask.topic for ask in step.asks]
            done.difference_update(asked)
            running |= {topic: [] for topic in asked}
            asked_ns |= dict.fromkeys(asked, heard_ns)
            continue
        heard_ns = step.at_ns
        _check_order(step.events)
        for event in step.events if place not in echoes else ():
            match event:
                case Candle():
                    topic = Topic(event.symbol, event.timeframe)
                    late = event.snapshot and topic in done
                    require(not late, f"after SnapshotDone({topic}) came {event!r:.300}")
                    since_ns = asked_ns.get(topic, 0) - TOLD_AGAIN_NS
                    live = event.snapshot or event.close_ns > since_ns
                    require(
                        live,
                        f"it was over long before {topic} was asked for, and is not marked: {event!r:.300}",
                    )
                    running.get(topic, []).append(event)
                case SnapshotDone():
                    rows = running.pop(event.topic, [])
                    unsaid = next((row for row in rows if not row.snapshot), None)
                    require(
                        unsaid is None, f"of the snapshot of {event.topic}, and not marked: {unsaid!r:.300}"
                    )
                    done.add(event.topic)
                case _:
                    continue


def _check_order(events: Sequence[Event]) -> None:
    """See whether what one frame told of a snapshot is in order: a later row closes the one before."""
    last: dict[Topic, Candle] = {}
    for event in events:
        if isinstance(event, Candle) and event.snapshot:
            topic = Topic(event.symbol, event.timeframe)
            before = last.get(topic, event)
            why = f"of a snapshot of {topic} came {before!r:.200} before {event!r:.200}"
            require(before.open_ns <= event.open_ns, why)
            last[topic] = event


def _check_kept(client: Subscriber) -> None:
    """Compare with one who did the same on lines that say everything once."""
    other = client.again(disturbed=False)
    for number, (one, two) in enumerate(zip(client.connections, other.connections, strict=True)):
        disturbed, quiet = _data(one), _data(two)
        lost = next((event for event in quiet if event not in disturbed), None)
        require(lost is None, f"it was lost on connection {number + 1}: {lost}")
        more = next((event for event in disturbed if event not in quiet), None)
        require(more is None, f"it came on connection {number + 1} only because of that: {more}")


def _data(connected: Connected) -> dict[str, None]:
    """Return the data of a connection, each once, in order."""
    return dict.fromkeys(repr(event) for *_, event in connected.events if data_topic(event) is not None)


def _after_leaving(connected: Connected) -> Iterator[tuple[Topic, Event]]:
    """Yield data that came after its topic had been left."""
    left: dict[Topic, int | None] = {}
    for step in connected.sitting.steps:
        if isinstance(step, Asked):
            left |= dict.fromkeys(step.removed)
            for ask in step.asks:
                left.pop(ask.topic, None)
            continue
        for event in step.events:
            if isinstance(event, Released):
                left |= {topic: 0 for topic in event.topics if topic in left}
            topic = data_topic(event)
            if topic in left and topic is not None:
                since_ns = left[topic]
                if since_ns is None:
                    since_ns = left[topic] = step.at_ns + TRAVEL_NS
                if step.at_ns > since_ns:
                    yield topic, event


def _unconfirmed(connected: Connected) -> list[Topic]:
    found = phases(connected.sitting)
    return [one for one in connected.wanted if found.get(one) is not Phase.CONFIRMED]


def _holds_data(events: Sequence[Event]) -> bool:
    return any(data_topic(one) is not None for one in events)


def _names(topics: Iterable[Topic]) -> str:
    return ", ".join(sorted(map(str, topics)))

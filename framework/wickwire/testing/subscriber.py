"""One client of a simulated venue: what it does, deed by deed, and a small model of what it wants."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Final, final

import attrs

from wickwire.adapter import Adapter
from wickwire.description import Account
from wickwire.endpoint import Ask, Topic
from wickwire.events import Accepted, Event, Refused, Released, SnapshotDone
from wickwire.model import SECOND_NS
from wickwire.simulate.server import Market
from wickwire.testing.foreign import outcome_of
from wickwire.testing.relay import Relay
from wickwire.testing.sitting import Asked, Sitting, data_topic

__all__ = ["Connected", "Deed", "Party", "Phase", "Subscriber", "Word", "phases"]

MOST_FRAMES: Final = 300
"""As many are listened to after one deed."""
GREETING_NS: Final = SECOND_NS
ANSWER_NS: Final = SECOND_NS


@final
class Word(enum.Enum):
    """What a client does; the value says it to people."""

    SUBSCRIBE = "subscribe to"
    LEAVE = "leave"
    LISTEN = "listen for s:"
    RECONNECT = "connect again"
    TWICE = "frames said twice:"


@attrs.frozen
class Deed:
    """One thing that a client does, or that happens to its line.

    Attributes:
        word: What.
        topics: Which topics.
        amount: Seconds, or frames.
    """

    word: Word
    topics: tuple[Topic, ...] = ()
    amount: int = 0

    def __str__(self) -> str:
        """Return `subscribe to BTC/USD@1m`."""
        said = " ".join(map(str, self.topics)) or (str(self.amount) if self.amount else "")
        return f"{self.word.value} {said}".rstrip()


@attrs.frozen
class Party:
    """Who may be a client, and of what.

    Attributes:
        account: Whose connection it is.
        topics: What exists, and may ride on one connection.
        nobody: What does not exist, though it is written as if it did.
        now_ns: When everything begins.
    """

    account: Account
    topics: tuple[Topic, ...]
    nobody: tuple[Topic, ...]
    now_ns: int


@attrs.define(eq=False)
class Connected:
    """One connection of a client.

    Attributes:
        sitting: What was said on it.
        relay: What disturbed it.
        wanted: What its client wants on it by now, and did when it ended.
    """

    sitting: Sitting
    relay: Relay
    wanted: tuple[Topic, ...] = ()

    @property
    def events(self) -> Iterator[tuple[int, bool, Event]]:
        """Every event: in which step it came, and whether its frame said again what had been said."""
        frames = -1
        for place, step in enumerate(self.sitting.steps):
            if isinstance(step, Asked):
                continue
            frames += 1
            for event in step.events:
                yield place, frames in self.relay.echoes, event


@final
class Phase(enum.Enum):
    """How far a topic is on one connection, as the adapter's events tell."""

    ASKED = "asked for"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    LEFT = "left"


@final
class Subscriber:
    """A client, the connections that it had, and what it wants by now.

    Attributes:
        party: Who it is.
        deeds: What it did.
        connections: Each connection, the open one last.
        wanted: What it wants and is there.
        strange: What it asked for and does not exist.
    """

    def __init__(self, adapter: Adapter, market: Market, party: Party) -> None:
        """Connect for the first time."""
        self._adapter = adapter
        self._market = market
        self.party = party
        self.deeds: list[Deed] = []
        self.connections: list[Connected] = []
        self.wanted: dict[Topic, None] = {}
        self.strange: dict[Topic, None] = {}
        self._now_ns = party.now_ns
        self._connect()

    @property
    def now(self) -> Connected:
        """The connection that is open."""
        return self.connections[-1]

    def do(self, deed: Deed) -> None:
        """Do one thing more; nothing where the connection has ended from inside."""
        self.deeds.append(deed)
        sitting, relay = self.now.sitting, self.now.relay
        match deed.word:
            case Word.SUBSCRIBE:
                self.wanted |= dict.fromkeys(one for one in deed.topics if one in self.party.topics)
                self.strange |= dict.fromkeys(one for one in deed.topics if one not in self.party.topics)
                self._ask(deed.topics, ())
            case Word.LEAVE:
                for topic in deed.topics:
                    self.wanted.pop(topic, None)
                self._ask((), deed.topics)
            case Word.LISTEN:
                sitting.until(sitting.now_ns + deed.amount * SECOND_NS, most=MOST_FRAMES)
            case Word.RECONNECT:
                self._now_ns = sitting.now_ns + SECOND_NS
                self.strange.clear()
                self._connect()
                self._ask(tuple(self.wanted), ())
            case Word.TWICE:
                relay.twice += deed.amount

    def again(self, *, disturbed: bool = True) -> Subscriber:
        """Return another one who did the same; unless *disturbed*, on lines that say everything once."""
        other = Subscriber(self._adapter, self._market, self.party)
        for deed in self.deeds:
            if disturbed or deed.word is not Word.TWICE:
                other.do(deed)
        return other

    def __str__(self) -> str:
        """Return what it did, a line each."""
        return "\n".join(["connect", *map(str, self.deeds)])

    def _connect(self) -> None:
        assert self._adapter.simulate is not None
        # a venue of its own: a connection is never told to be gone, so its place would stay taken
        relay = Relay(self._adapter.simulate(self._market))
        sitting = Sitting(self._adapter, self.party.account, relay, self._now_ns, tuple(self.wanted))
        sitting.until(sitting.now_ns + GREETING_NS, most=MOST_FRAMES)
        self.connections.append(Connected(sitting, relay))

    def _ask(self, topics: Sequence[Topic], removed: Sequence[Topic]) -> None:
        sitting = self.now.sitting
        self.now.wanted = tuple(self.wanted)
        if not (topics or removed) or sitting.over is not None or sitting.error is not None:
            return
        begun = len(sitting.told)
        sitting.error = outcome_of(lambda: sitting.subscribe(map(Ask, topics), removed))[1] or sitting.error
        sitting.until(sitting.now_ns + ANSWER_NS, most=MOST_FRAMES)
        unsaid = any(isinstance(event, Refused) and not event.topics for event in sitting.told[begun:])
        refused = [topic for topic in topics if phases(sitting).get(topic) is Phase.REFUSED]
        if unsaid and len(topics) > 1:  # one of them was meant: the framework tries each again, too
            for topic in refused:
                self._ask((topic,), ())


def phases(sitting: Sitting) -> dict[Topic, Phase]:
    """Return how far each topic that was asked for on *sitting* is, as the framework would have it."""
    found: dict[Topic, Phase] = {}
    open_batches: list[tuple[Topic, ...]] = []
    for step in sitting.steps:
        if isinstance(step, Asked):
            batch = tuple(ask.topic for ask in step.asks)
            said = {*batch, *step.removed}  # who is asked for again waits for the later answer
            open_batches = [tuple(one for one in earlier if one not in said) for earlier in open_batches]
            found |= dict.fromkeys(batch, Phase.ASKED) | dict.fromkeys(step.removed, Phase.LEFT)
            open_batches += [batch] if batch else []
            continue
        for event in step.events:
            _follow(event, found, open_batches)
    return found


def _follow(event: Event, found: dict[Topic, Phase], open_batches: list[tuple[Topic, ...]]) -> None:
    told, phase = _told(event)
    if isinstance(event, Refused) and not told:
        asked = (tuple(one for one in batch if found.get(one) is Phase.ASKED) for batch in open_batches)
        told = next((batch for batch in asked if batch), ())
    for topic in told:
        # whoever was refused or has left is out of it, until it is asked for again
        if found.get(topic) not in {Phase.LEFT, Phase.REFUSED}:
            found[topic] = phase


def _told(event: Event) -> tuple[Sequence[Topic], Phase]:
    """Return the topics that *event* says something of, and what."""
    match event:
        case Accepted():
            return event.topics, Phase.CONFIRMED
        case Refused():
            return event.topics, Phase.REFUSED
        case Released():
            return event.topics, Phase.LEFT
        case SnapshotDone():
            return (event.topic,), Phase.CONFIRMED
        case _:
            topic = data_topic(event)
            return (() if topic is None else (topic,)), Phase.CONFIRMED

"""Games of a client with a simulated venue: the rules by which Hypothesis plays them.

This module needs Hypothesis, which is an extra, so it is imported where games are played.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from wickwire.description import Account
from wickwire.endpoint import Topic
from wickwire.testing.checks import Skipped
from wickwire.testing.material import Material
from wickwire.testing.search import play
from wickwire.testing.subscriber import Deed, Party, Subscriber, Word

__all__ = ["games"]

NOBODY: Final = ("NOSUCH/USD", "NOSUCH")
STEPS: Final = 7
LISTENS_S: Final = (5, 30, 75)
"""Some are long enough for a bucket of a minute to end."""
MOST_TWICE: Final = 12
TWICE_S: Final = 30
LAST_S: Final = 15
SHARE: Final = 2.0


def games(
    material: Material,
    look: Callable[[Subscriber], None],
    *,
    disturbed: bool = False,
    strangers: bool = True,
) -> None:
    """Play games, and *look* at each of them when it is over.

    Args:
        material: Of the adapter.
        look: Raises where a promise is broken.
        disturbed: Frames may be said twice.
        strangers: Something may be asked for that does not exist.

    Raises:
        Broken: With the shortest game that was found.
        Skipped: There is nobody to play.
    """
    last: list[Subscriber] = []

    class Played(Game):
        """A game of this adapter."""

    Played.material, Played.last, Played.look = material, last, staticmethod(look)
    Played.everybody, Played.disturbed, Played.asks_strangers = _parties(material), disturbed, strangers
    play(material, Played, lambda: _told(last[0]) if last else None, share=SHARE, steps=STEPS)


def _told(client: Subscriber) -> str:
    """Return how a game is shown: who played, and each deed."""
    account = client.party.account
    variant = f".{account.feed}" if account.feed else ""
    return f"{account.environment}{variant}: {'; '.join(str(client).splitlines())}"


def _some(topics: Sequence[Topic]) -> st.SearchStrategy[tuple[Topic, ...]]:
    return st.lists(st.sampled_from(topics), min_size=1, max_size=4, unique=True).map(tuple)


class Game(RuleBasedStateMachine):
    """A client connects, changes its wishes, listens, and is disturbed.

    Attributes:
        material: Of the adapter.
        everybody: Who may be the client.
        look: What looks at the game when it is over.
        last: Takes the client of the last game.
        disturbed: Whether frames may be said twice.
        asks_strangers: Whether something may be asked for that does not exist.
        client: Who plays; from `connect` on.
    """

    material: ClassVar[Material]
    everybody: ClassVar[Sequence[Party]]
    look: ClassVar[Callable[[Subscriber], None]]
    last: ClassVar[list[Subscriber]]
    disturbed: ClassVar[bool]
    asks_strangers: ClassVar[bool]
    client: Subscriber | None = None

    @initialize(data=st.data())
    def connect(self, data: Any) -> None:
        """Connect for the first time, and want something."""
        self.material.count()
        party = data.draw(st.sampled_from(self.everybody))
        self.client = Subscriber(self.material.adapter, self.material.playing.market, party)
        self.last[:] = [self.client]
        self._do(Deed(Word.SUBSCRIBE, data.draw(_some(party.topics))))

    @precondition(lambda self: bool(self.unwanted))
    @rule(data=st.data())
    def subscribe(self, data: Any) -> None:
        """Want some topics more."""
        self._do(Deed(Word.SUBSCRIBE, data.draw(_some(self.unwanted))))

    @precondition(lambda self: self.asks_strangers and bool(self.strangers))
    @rule(data=st.data())
    def ask_for_what_is_not_there(self, data: Any) -> None:
        """Want something that does not exist, mostly together with what does."""
        strange = data.draw(st.sampled_from(self.strangers))
        others = data.draw(_some(self.unwanted)) if self.unwanted else ()
        self._do(Deed(Word.SUBSCRIBE, (strange, *others)))

    @precondition(lambda self: bool(self.wanted))
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        """Want some topics no more."""
        self._do(Deed(Word.LEAVE, data.draw(_some(self.wanted))))

    @rule(seconds=st.sampled_from(LISTENS_S))
    def listen(self, seconds: int) -> None:
        """Let time pass."""
        self._do(Deed(Word.LISTEN, amount=seconds))

    @rule()
    def reconnect(self) -> None:
        """Lose the connection, and make another one."""
        self._do(Deed(Word.RECONNECT))

    @precondition(lambda self: self.disturbed)
    @rule(frames=st.integers(1, MOST_TWICE))
    def say_twice(self, frames: int) -> None:
        """Hear the next frames twice."""
        self._do(Deed(Word.TWICE, amount=frames))
        self._do(Deed(Word.LISTEN, amount=TWICE_S))

    def teardown(self) -> None:
        """Look at the game."""
        if self.client is None:
            return
        self._do(Deed(Word.LISTEN, amount=LAST_S))
        error = self.client.now.sitting.error
        if error is not None:
            raise error
        type(self).look(self.client)

    @property
    def wanted(self) -> Sequence[Topic]:
        """What the client wants."""
        return () if self.client is None else tuple(self.client.wanted)

    @property
    def unwanted(self) -> Sequence[Topic]:
        """What it might want more."""
        return (
            () if self.client is None else [one for one in self.client.party.topics if one not in self.wanted]
        )

    @property
    def strangers(self) -> Sequence[Topic]:
        """What it might want though it does not exist."""
        client = self.client
        return () if client is None else [one for one in client.party.nobody if one not in client.strange]

    def _do(self, deed: Deed) -> None:
        assert self.client is not None
        self.client.do(deed)


# --------------------------------------------------------------------------------------------- who may play


def _parties(material: Material) -> Sequence[Party]:
    """Return who may be a client: one for each connection that the topics of an account need.

    Raises:
        Skipped: There is nobody.
    """
    found = []
    for dialogue in material.dialogues:
        topics, now_ns = tuple(dialogue.topics), material.playing.now_ns
        strange = [one for one in _strangers(material, dialogue.account) if _fits(material, one, topics)]
        found.append(Party(dialogue.account, topics, tuple(strange), now_ns))
    if not found:
        raise Skipped("no stream could be opened")
    return found


def _strangers(material: Material, account: Account) -> Sequence[Topic]:
    """Return topics that do not exist, though they are written as if they did."""
    told, adapter = material.described(account).timeframes, material.adapter
    return [
        Topic(symbol, one)
        for symbol in NOBODY
        for one in told
        if adapter.support_for(symbol, one, account).stream
    ]


def _fits(material: Material, topic: Topic, topics: Sequence[Topic]) -> bool:
    """Say whether *topic* is of a kind that *topics* have, and may ride with them."""
    lane_of = material.adapter.lane_of
    return topic.what in [one.what for one in topics] and lane_of(topic).key == lane_of(topics[0]).key

"""Games of a client with a simulated venue: the rules by which Hypothesis plays them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from wickwire.description import Account
from wickwire.endpoint import Topic
from wickwire.testing.checks import Skipped
from wickwire.testing.search import play
from wickwire.testing.subscriber import Deed, Party, Subscriber, Word

if TYPE_CHECKING:
    from hypothesis.stateful import RuleBasedStateMachine

    from wickwire.testing.material import Material

__all__ = ["games", "parties"]

NOBODY: Final = ("NOSUCH/USD", "NOSUCH")
STEPS: Final = 9
LISTENS_S: Final = (1, 20, 75)
"""Some are long enough for a bucket of a minute to end."""
MOST_TWICE: Final = 4
TWICE_S: Final = 30
LAST_S: Final = 3
SHARE: Final = 3.0


def parties(material: Material) -> Sequence[Party]:
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
    found = []
    for symbol in NOBODY:
        told = material.described(account).timeframes
        streamed = [one for one in told if material.adapter.support_for(symbol, one, account).stream]
        found += [Topic(symbol, one) for one in streamed]
    return found


def _fits(material: Material, topic: Topic, topics: Sequence[Topic]) -> bool:
    """Say whether *topic* is of a kind that *topics* have, and may ride with them."""
    lane_of = material.adapter.lane_of
    return topic.what in [one.what for one in topics] and lane_of(topic).key == lane_of(topics[0]).key


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
    shown: list[Subscriber] = []
    machine = _machine(material, look, shown, disturbed=disturbed, strangers=strangers)
    play(material, machine, lambda: told(shown[-1]) if shown else None, share=SHARE, steps=STEPS)


def told(subscriber: Subscriber) -> str:
    """Return how a game is shown: who played, and each deed."""
    account = subscriber.party.account
    variant = f".{account.feed}" if account.feed else ""
    return f"{account.environment}{variant}: {'; '.join(str(subscriber).splitlines())}"


def _machine(  # noqa: C901 - one short rule for each thing that may happen
    material: Material,
    look: Callable[[Subscriber], None],
    shown: list[Subscriber],
    *,
    disturbed: bool,
    strangers: bool,
) -> type[RuleBasedStateMachine]:
    from hypothesis import stateful  # noqa: PLC0415 - an extra
    from hypothesis import strategies as st  # noqa: PLC0415 - as above

    everybody = parties(material)

    def some(topics: Sequence[Topic]) -> st.SearchStrategy[tuple[Topic, ...]]:
        return st.lists(st.sampled_from(topics), min_size=1, max_size=4, unique=True).map(tuple)

    class Game(stateful.RuleBasedStateMachine):
        """A client connects, changes its wishes, listens, and is disturbed."""

        client: Subscriber

        @stateful.initialize(party=st.sampled_from(everybody))
        def connect(self, party: Party) -> None:
            material.count()
            self.client = Subscriber(material.adapter, material.playing.market, party)
            shown[:] = [self.client]

        @stateful.precondition(lambda self: bool(self.unwanted))
        @stateful.rule(data=st.data())
        def subscribe(self, data: Any) -> None:
            self.client.do(Deed(Word.SUBSCRIBE, data.draw(some(self.unwanted))))

        @stateful.precondition(lambda self: strangers and bool(self.strangers))
        @stateful.rule(data=st.data())
        def ask_for_what_is_not_there(self, data: Any) -> None:
            self.client.do(Deed(Word.SUBSCRIBE, (data.draw(st.sampled_from(self.strangers)),)))

        @stateful.precondition(lambda self: bool(self.client.wanted))
        @stateful.rule(data=st.data())
        def leave(self, data: Any) -> None:
            self.client.do(Deed(Word.LEAVE, data.draw(some(tuple(self.client.wanted)))))

        @stateful.rule(seconds=st.sampled_from(LISTENS_S))
        def listen(self, seconds: int) -> None:
            self.client.do(Deed(Word.LISTEN, amount=seconds))

        @stateful.rule()
        def reconnect(self) -> None:
            self.client.do(Deed(Word.RECONNECT))

        @stateful.precondition(lambda _: disturbed)
        @stateful.rule(frames=st.integers(1, MOST_TWICE))
        def say_twice(self, frames: int) -> None:
            self.client.do(Deed(Word.TWICE, amount=frames))
            self.client.do(Deed(Word.LISTEN, amount=TWICE_S))

        def teardown(self) -> None:
            if not hasattr(self, "client"):
                return
            self.client.do(Deed(Word.LISTEN, amount=LAST_S))
            error = self.client.now.sitting.error
            if error is not None:
                raise error
            look(self.client)

        @property
        def unwanted(self) -> list[Topic]:
            return [one for one in self.client.party.topics if one not in self.client.wanted]

        @property
        def strangers(self) -> list[Topic]:
            return [one for one in self.client.party.nobody if one not in self.client.strange]

    return Game

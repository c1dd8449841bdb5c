"""What a conformance check is: an id, a promise in one sentence, a level, and what it needs.

The checks themselves are functions that take the material of one adapter. They return where the promise is
kept, raise `Broken` where it is not, and `Skipped` where nothing here can say.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, final

import attrs

if TYPE_CHECKING:
    from wickwire.testing.material import Material

__all__ = ["PROFILE", "Broken", "Check", "Checks", "Level", "Look", "Need", "Skipped", "require"]

PROFILE: Final = "2026.11"
"""Which checks have to be passed: a check that enters later is mandatory from a later profile on."""


@final
class Level(enum.IntEnum):
    """How deep a check looks, shallow first."""

    STATIC = 1
    """What the adapter says of itself, before anything is said to it."""
    PARSE = 2
    """What it makes of frames and replies."""
    DIALOGUE = 3
    """How it behaves on streams of its simulated venue that are disturbed and made again."""
    HISTORY = 4
    """What it makes of ranges and of pages that are short, cut, repeated and out of order."""
    CAPABILITIES = 5
    """Whether what it says of its venue is what comes."""
    SYSTEM = 6
    """What the whole runtime makes of it on virtual time, with all that befalls collectors."""

    @property
    def word(self) -> str:
        """Its name for people."""
        return self.name.lower()


@final
class Need(enum.Enum):
    """What a check has to have; the value names it for people."""

    STREAM = "a stream: connect(), subscribe() and parse()"
    HISTORY = "fetch_ohlcv()"
    DISTRIBUTION = "a module that can be imported: a distribution, or a file"
    SYMBOLS = "a symbol"
    FRAMES = "frames"
    DIALOGUES = "simulate(), and a symbol that the simulated venue knows"
    SERVED = "simulate(), and a symbol of which the simulated venue serves history"
    COLLECTED = "simulate(), and candles of a quarter of an hour or less"
    PAGES = "answers to fetch_ohlcv()"
    REPLIES = "HTTP replies to fetch_ohlcv()"
    SECRETS = "secrets: describe() names none"


class Broken(AssertionError):
    """A promise is not kept.

    Attributes:
        why: In what way.
        shown: The input that shows it, shrunk as far as it could be; empty where there is none.
    """

    def __init__(self, why: str, *, shown: str = "") -> None:
        """Keep *shown* beside the reason."""
        super().__init__(why)
        self.why = why
        self.shown = shown


class Skipped(Exception):
    """Nothing here can say whether a promise is kept; the text says what is lacking."""


def require(holds: object, why: str, *, shown: str = "") -> None:
    """Raise `Broken` unless *holds*."""
    if not holds:
        raise Broken(why, shown=shown)


Look = Callable[["Material"], None]
"""What looks whether a promise is kept."""


@attrs.frozen
class Check:
    """One promise, and the function that looks whether it is kept.

    Attributes:
        id: A letter for the level and a number; it never means another promise.
        promise: In one sentence.
        level: How deep it looks.
        needs: What it has to have; without any of it the check is skipped.
        look: What looks.
        since: The profile from which on it is mandatory.
    """

    id: str
    promise: str
    level: Level
    needs: tuple[Need, ...] = attrs.field(repr=False)
    look: Look = attrs.field(repr=False, eq=False)
    since: str = PROFILE

    def __str__(self) -> str:
        """Return `P03 parse() is a function of frame and memory alone`."""
        return f"{self.id} {self.promise}"


@final
class Checks:
    """The checks of one module, in the order in which they were written."""

    def __init__(self, level: Level) -> None:
        """Begin without any."""
        self._level = level
        self._all: dict[str, Check] = {}

    def __call__(self, id: str, promise: str, *needs: Need) -> Callable[[Look], Look]:  # noqa: A002 - what it is called
        """Decorate a function that looks whether *promise* is kept.

        Raises:
            ValueError: There is a check of this id already.
        """

        def add(look: Look) -> Look:
            if id in self._all:
                raise ValueError(f"there are two checks {id}")
            self._all[id] = Check(id, promise, self._level, needs, look)
            return look

        return add

    def __iter__(self) -> Iterator[Check]:
        """Yield them in order."""
        return iter(self._all.values())

    @staticmethod
    def joined(parts: Iterable[Iterable[Check]]) -> tuple[Check, ...]:
        """Return the checks of several modules, by id.

        Raises:
            ValueError: Two have the same id.
        """
        every = [check for part in parts for check in part]
        by_id = {check.id: check for check in every}
        if len(by_id) < len(every):
            raise ValueError("two checks have one id")
        return tuple(sorted(every, key=lambda check: (check.level, check.id)))

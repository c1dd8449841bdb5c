"""What waits for one consumer: bounded, and what happens when it is full has a name. Nothing here waits."""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar, final

from wickwire.errors import UsageError
from wickwire.series import Word

__all__ = ["BOUND", "Latest", "Newest", "Policy", "checked_bound"]

BOUND: Final = 1_024
"""How many items wait for one consumer, unless it says otherwise."""

T = TypeVar("T")


@final
class Policy(Word):
    """What happens when a consumer is slower than what it consumes; whoever feeds it never waits."""

    SPILL = "spill"
    """What does not fit is read back from the store: nothing is lost. Candles only, which are stored."""
    WAIT = "wait"
    """Nothing is handed over before the consumer took what it has; the next is read from the store then.
    Candles only: a venue that streams does not wait, and closes a connection that is not read."""
    CONFLATE = "conflate"
    """Of each series only the latest waits; series take their turn in the order in which they came."""
    DROP_OLDEST = "drop_oldest"
    """The newest wait; what is older makes room for them, and is counted."""


def checked_bound(bound: int) -> int:
    """Return how many items may wait.

    Raises:
        UsageError: None may, or *bound* is no whole number.
    """
    told: object = bound
    if not isinstance(told, int) or isinstance(told, bool) or told < 1:
        raise UsageError(f"a consumer's bound has to be a whole number of at least 1, got {told!r:.40}")
    return told


@final
class Newest(Generic[T]):
    """The newest items, in the order in which they came.

    Attributes:
        dropped: How many made room for newer ones.
        conflated: Always 0: each item counts for itself.
    """

    conflated: Final = 0

    def __init__(self, bound: int) -> None:
        """Hold at most *bound* items."""
        self._items: deque[T] = deque(maxlen=bound)
        self._bound = bound
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, key: object, item: T) -> bool:  # noqa: ARG002 - as `Latest` has it
        """Take one item; say whether that was possible without losing an older one."""
        items = self._items
        full = len(items) == self._bound
        items.append(item)
        if full:
            self.dropped += 1
        return not full

    def take(self) -> T:
        """Return the oldest item, which waits no longer."""
        return self._items.popleft()

    def clear(self) -> None:
        """Let nothing wait any more."""
        self._items.clear()


@final
class Latest(Generic[T]):
    """The latest item of each key. A key keeps its turn when a newer item comes, so that none starves.

    Attributes:
        dropped: How many items of other keys made room, because there were more keys than the bound.
        conflated: How many were replaced by a newer one of the same key.
    """

    def __init__(self, bound: int) -> None:
        """Hold items of at most *bound* keys."""
        self._items: dict[object, T] = {}
        self._bound = bound
        self.dropped = 0
        self.conflated = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, key: object, item: T) -> bool:
        """Take one item of *key*; say whether that was possible without losing one of another key."""
        items = self._items
        if key in items:
            self.conflated += 1
            items[key] = item
            return True
        full = len(items) == self._bound
        if full:
            del items[next(iter(items))]
            self.dropped += 1
        items[key] = item
        return not full

    def take(self) -> T:
        """Return the item whose key has waited longest."""
        return self._items.pop(next(iter(self._items)))

    def take_all(self) -> dict[object, T]:
        """Return all items by their keys, the one that has waited longest first."""
        taken, self._items = self._items, {}
        return taken

    def clear(self) -> None:
        """Let nothing wait any more."""
        self._items.clear()

"""Answers to `fetch_ohlcv`, and asking the same again with other replies."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from wickwire.adapter import Adapter
from wickwire.conversation import HttpReply, OhlcvQuery, Page
from wickwire.description import Account
from wickwire.errors import TransportError, VenueError, WireError
from wickwire.testing.checks import Broken
from wickwire.testing.foreign import outcome_of
from wickwire.testing.search import blamed
from wickwire.testing.sitting import Exchange, conversed

if TYPE_CHECKING:
    from wickwire.testing.material import Material

__all__ = ["Fetched", "ask_again", "asked_with", "page_of", "replayed", "require_no_bug"]

R = TypeVar("R")

MOST_ASKED: Final = 8
"""After so many requests more than were answered, no reply comes any more."""


@attrs.frozen(eq=False)
class Fetched:
    """One query, the conversation that it led to, and what came of it.

    Attributes:
        source: Where the replies are from, for people.
        query: What was asked for.
        account: For whom.
        exchanges: Questions and answers.
        page: What was returned; None where an error was raised.
        error: What was raised: VenueError, WireError or TransportError.
        bug: Another exception, which no contract allows.
        simulated: The replies are those of the adapter's own simulated venue.
    """

    source: str
    query: OhlcvQuery
    account: Account
    exchanges: Sequence[Exchange]
    page: Page | None = None
    error: Exception | None = None
    bug: Exception | None = None
    simulated: bool = False

    @property
    def replies(self) -> Sequence[HttpReply]:
        """The answers that came over HTTP."""
        return [one.reply for one in self.exchanges if isinstance(one.reply, HttpReply)]


def asked_with(
    adapter: Adapter,
    query: OhlcvQuery,
    account: Account,
    answer: Callable[..., object],
    source: str,
    *,
    simulated: bool = False,
) -> Fetched:
    """Let *adapter* ask for *query*, answered by *answer*, and return what came of it."""
    kept: list[Exchange] = []
    page, raised = outcome_of(
        lambda: conversed(adapter.fetch_ohlcv(query, account), answer, kept)  # type: ignore[arg-type]  # what it returns is looked at by who asks
    )
    is_allowed = isinstance(raised, VenueError | WireError | TransportError)
    error, bug = (raised, None) if is_allowed else (None, raised)
    return Fetched(source, query, account, tuple(kept), page, error, bug, simulated)


def require_no_bug(material: Material, fetched: Fetched, what: object) -> None:
    """Raise `Broken` where *what*, which was asked for, raised what no contract allows."""
    if fetched.bug is not None:
        raise Broken(f"{what}: {blamed(fetched.bug, material.code)}", shown=repr(fetched.query))


def page_of(material: Material, fetched: Fetched, what: object) -> Page:
    """Return the page that *fetched* brought.

    Raises:
        Broken: It brought none of *what* was asked for.
    """
    require_no_bug(material, fetched, what)
    if fetched.page is None:
        raise Broken(f"{what}: {fetched.error}", shown=repr(fetched.query))
    return fetched.page


def ask_again(adapter: Adapter, fetched: Fetched, replies: Sequence[object]) -> Page:
    """Ask the same again, answered by *replies*; the last one repeats.

    Raises:
        VenueError: As `fetch_ohlcv` does.
        WireError: As `fetch_ohlcv` does.
        TransportError: As `fetch_ohlcv` does where no reply comes any more.
        Exception: Whatever else it raises.
    """
    return replayed(adapter.fetch_ohlcv(fetched.query, fetched.account), replies)


def replayed(talk: Generator[Any, Any, R], replies: Sequence[object]) -> R:
    """Return what a conversation makes of *replies*; the last one repeats.

    Raises:
        TransportError: It asks on after no reply came.
        Exception: Whatever it raises.
    """
    try:
        next(talk)
        for at in range(len(replies) + MOST_ASKED):
            talk.send(replies[min(at, len(replies) - 1)])
        talk.throw(TransportError("no reply came"))
    except StopIteration as end:
        result: R = end.value
        return result
    finally:
        talk.close()
    raise TransportError("it asks on after no reply came")

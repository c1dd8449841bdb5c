"""Which account each venue is asked with: given beforehand, or found out when a venue is first needed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from wickwire.description import Account
from wickwire.errors import ConfigError, UsageError

__all__ = ["AccountResolver", "Accounts"]

AccountResolver = Callable[[str], Account | Awaitable[Account]]
"""What `Collector(accounts=...)` takes in place of a mapping: a plain or async function of a venue's name,
asked once for each venue, before anything of that is collected or read."""


class Accounts(Mapping[str, Account]):
    """The accounts of one collector, by venue, as far as they are known; others are public data."""

    def __init__(
        self,
        given: Mapping[str, Account] | AccountResolver,
        check: Callable[[str, Account], None],
    ) -> None:
        """Know what is *given*, or ask it when a venue is needed; *check* refuses an account by ConfigError.

        Raises:
            UsageError: It is neither a function nor holds Accounts alone. What it holds is not shown.
        """
        told: object = given
        if isinstance(told, type) or not (callable(told) or isinstance(told, Mapping)):
            kind = told.__name__ if isinstance(told, type) else type(told).__name__
            raise UsageError(
                f'accounts: got {kind}; give a mapping such as {{"alpaca": Account(...)}}, '
                "or a function that returns the Account of a venue"
            )
        self._resolver = given if callable(given) else None
        self._known = {} if callable(given) else dict(given)
        for venue, account in self._known.items():
            one: object = account
            if not isinstance(one, Account):
                raise UsageError(f"accounts: {venue!r:.80} has to have an Account, got {type(one).__name__}")
        self._check = check
        self._checked: dict[str, None] = {}
        self._turn = asyncio.Lock()  # a vault is asked once, however many series begin at the same time

    def __getitem__(self, venue: str) -> Account:
        return self._known[venue]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    async def learn(self, venue: str) -> None:
        """Know the account of a venue from now on.

        Raises:
            ConfigError: The resolver failed, or returned no Account, or the account is refused. A resolver is
                asked again the next time.
        """
        if venue in self._known or self._resolver is None:
            self._check_once(venue)
            return
        async with self._turn:
            if venue in self._known:
                return
            with _resolving(venue):
                answer: object = self._resolver(venue)
                if inspect.isawaitable(answer):
                    answer = await answer
            self._know(venue, answer)

    def learn_now(self, venue: str) -> None:
        """The same for who cannot wait: an async function is not asked, and what it would say is not known.

        Raises:
            ConfigError: As `learn`.
        """
        if venue in self._known or self._resolver is None:
            self._check_once(venue)
            return
        if inspect.iscoroutinefunction(self._resolver):
            return
        with _resolving(venue):
            answer: object = self._resolver(venue)
        if inspect.iscoroutine(answer):
            answer.close()  # it has not begun
        elif not inspect.isawaitable(answer):
            self._know(venue, answer)

    def _know(self, venue: str, answer: object) -> None:
        if not isinstance(answer, Account):
            kind = type(answer).__name__
            raise ConfigError(f"{venue}: the function given as accounts returned {kind}, not an Account")
        self._check(venue, answer)
        self._known[venue] = answer

    def _check_once(self, venue: str) -> None:
        if venue in self._known and venue not in self._checked:
            self._check(venue, self._known[venue])
            self._checked[venue] = None


@contextmanager
def _resolving(venue: str) -> Iterator[None]:
    """Say that a resolver raised, and not what: it may hold what it found."""
    try:
        yield
    except Exception as exc:  # noqa: BLE001 - whatever a host's code raises
        raise ConfigError(
            f"{venue}: the function given as accounts raised {type(exc).__name__}; "
            "return Account() where there are no credentials"
        ) from None

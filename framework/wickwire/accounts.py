"""Which account each venue is asked with: given beforehand, or found out when a venue is first needed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping

from wickwire.description import Account
from wickwire.errors import ConfigError

__all__ = ["AccountResolver", "Accounts"]

AccountResolver = Callable[[str], Account | Awaitable[Account]]
"""What `Collector(accounts=...)` takes in place of a mapping: a plain or async function of a venue's name,
asked once for each venue, before anything of that is collected or read."""


class Accounts(Mapping[str, Account]):
    """The accounts of one collector, by venue, as far as they are known; others are public data."""

    def __init__(self, given: Mapping[str, Account] | AccountResolver) -> None:
        """Know what is *given*, or ask it when a venue is needed."""
        self._resolver = given if callable(given) else None
        self._known = {} if callable(given) else dict(given)
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
            ConfigError: The resolver failed, or returned no Account. It is asked again the next time.
        """
        if self._resolver is None or venue in self._known:
            return
        async with self._turn:
            if venue in self._known:
                return
            try:
                answer: object = self._resolver(venue)
                if inspect.isawaitable(answer):
                    answer = await answer
            except Exception as exc:  # noqa: BLE001 - whatever a host's code raises; it may hold what it found
                raise ConfigError(
                    f"{venue}: the function given as accounts raised {type(exc).__name__}; "
                    "return Account() where there are no credentials"
                ) from None
            if not isinstance(answer, Account):
                kind = type(answer).__name__
                raise ConfigError(f"{venue}: the function given as accounts returned {kind}, not an Account")
            self._known[venue] = answer

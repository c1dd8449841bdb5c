"""What a fullon host says of an exchange, read: which venue, on whose account, and how it spells symbols."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import attrs

from wickwire import Account, ConfigError, Description, Series, UsageError

__all__ = ["SYMBOLS", "CredentialProvider", "Exchange", "Spelling", "account_of"]

log = logging.getLogger(__name__)

CredentialProvider = Callable[[Any], tuple[str, str] | Awaitable[tuple[str, str]]]
"""Given the host's exchange object, returns `(key, secret)`, in this order; `("", "")` is public data."""

SYMBOLS: Final[Mapping[str, Mapping[str, str]]] = {"yahoo": {"SPX": "^GSPC", "GOLD": "GC=F"}}
"""By venue: symbols that hosts call otherwise than everybody else does."""

_SANDBOXES: Final = ("sandbox", "demo")
"""What venues call what a host means by `test`, best first."""


@attrs.frozen
class Exchange:
    """One exchange and account of a host.

    Attributes:
        name: As the host spells it.
        account: The host's key for its credentials; empty where it has none.
        is_test: The host wants the venue's sandbox.
        venue: Name of the adapter.
        variant: As in `alpaca.sip`; empty for the default.
    """

    name: str
    account: str
    is_test: bool
    venue: str
    variant: str = ""

    @classmethod
    def of(cls, given: Any, venues: Mapping[str, str]) -> Exchange:
        """Read the host's exchange object, of which only `cat_exchange.name` has to be there.

        Args:
            given: `cat_exchange.name`, `ex_id` and `test` are read.
            venues: The host's name to `venue` or `venue.variant`, where they differ.

        Raises:
            UsageError: It names no exchange.
        """
        name = getattr(getattr(given, "cat_exchange", None), "name", None)
        if not isinstance(name, str) or not name:
            raise UsageError(f"an exchange needs cat_exchange.name, got {type(given).__name__} without one")
        venue, _, variant = venues.get(name, name.lower()).partition(".")
        account = getattr(given, "ex_id", None)
        is_test = getattr(given, "test", False) is True
        return cls(name, "" if account is None else str(account), is_test, venue, variant)

    @property
    def scope(self) -> str:
        """Venue and variant, as written before the colon of a series."""
        return f"{self.venue}.{self.variant}" if self.variant else self.venue


@attrs.define
class Spelling:
    """How a host spells the symbols of one exchange, as far as it used them."""

    _known: dict[tuple[str, str], str] = attrs.field(factory=dict)

    def note(self, series: Series, symbol: str) -> None:
        """Keep that the host calls the symbol of a series so; the first word stays."""
        self._known.setdefault((series.venue, series.symbol), symbol)

    def of(self, series: Series) -> str:
        """Return the host's word for the symbol of a series."""
        return self._known.get((series.venue, series.symbol), series.symbol)


async def account_of(
    exchange: Exchange,
    given: Any,
    description: Description,
    provider: CredentialProvider | None,
) -> Account:
    """Return the account to collect with. A provider that fails is told, and leaves what is public.

    Raises:
        ConfigError: The host wants a sandbox, and the venue has none.
    """
    environments = description.environments
    environment = environments[0]
    if exchange.is_test:
        sandboxes = [name for name in _SANDBOXES if name in environments]
        if not sandboxes:
            raise ConfigError(
                f"{exchange.name}: its `test` is set, and the venue has no sandbox with market data; "
                f"there is {', '.join(environments)}"
            )
        environment = sandboxes[0]
    names = description.credentials or description.stream_credentials
    secrets = await _secrets(exchange, given, provider)
    return Account(environment=environment, feed=exchange.variant, secrets=_named(names, *secrets))


async def _secrets(exchange: Exchange, given: Any, provider: CredentialProvider | None) -> tuple[str, str]:
    if provider is None:
        return "", ""
    try:
        answer = provider(given)
        key, secret = await answer if inspect.isawaitable(answer) else answer
    except Exception as exc:  # noqa: BLE001 - a host's code must not keep its other exchanges from starting
        # never its text, which may hold what it found
        said = {"exchange": exchange.name, "account": exchange.account, "why": type(exc).__name__}
        log.warning("no credentials, public data only", extra=said)
        return "", ""
    return str(key or ""), str(secret or "")


def _named(names: tuple[str, ...], key: str, secret: str) -> Mapping[str, str]:
    """Return key and secret under the names that the venue has for them, in its order."""
    if not (key or secret):
        return {}
    return dict(zip(names or ("key", "secret"), (key, secret), strict=False))

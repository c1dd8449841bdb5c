"""What a host gives a collector to run on, looked at before anything runs: mistakes are named at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import attrs

from wickwire.binding import kind_of, lacking_methods, listed, suggestion
from wickwire.cache import Cache
from wickwire.discovery import Kind
from wickwire.errors import ConfigError, PluginError, UsageError
from wickwire.hot import HotMemory
from wickwire.registry import Registry
from wickwire.retention import Retention
from wickwire.series import Series
from wickwire.shared import SharedBudget
from wickwire.sink import Sink
from wickwire.status import StatusSink
from wickwire.store import Store
from wickwire.transport import Transport

if TYPE_CHECKING:
    from wickwire.description import Account

__all__ = ["Given", "check_secrets", "check_venues", "checked_series"]

_NAMED: Final = 3
"""What lacks more methods than these was never meant to be one."""

_BY_URL: Final = (Store, Sink, Cache, SharedBudget)

_STORE: Final = (
    'write a URL such as "sqlite:candles.db", or give an object with the methods of wickwire.Store'
)
_SINK: Final = 'write a URL such as "redis://127.0.0.1", or give an object with the methods of wickwire.Sink'
_HOT: Final = "give HotMemory(), a URL, or an object with the methods of wickwire.Cache"
_BUDGET: Final = "write a URL, or give an object with the methods of wickwire.SharedBudget"


@attrs.frozen(kw_only=True)
class Given:
    """What a host gave to run on; `Collector` says what each is."""

    store: str | Store | None = attrs.field(repr=False)  # a URL may hold a password
    sinks: Mapping[str, str | Sink] = attrs.field(repr=False)
    budget: str | SharedBudget | None = attrs.field(repr=False)
    transport: Transport | None
    redirects: Mapping[str, str]
    confined: str
    world: str
    hot: str | Cache | HotMemory | None = attrs.field(repr=False)
    keep_trades: bool
    retention: Retention
    status: StatusSink | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what could not do its work; raises UsageError."""
        _check("store", self.store, Store, _STORE)
        for name, sink in self.sinks.items():
            if sink is None:
                raise UsageError(f"sink {name!r:.80}: None is no sink; {_SINK}")
            _check(f"sink {name!r:.80}", sink, Sink, _SINK)
        if not isinstance(self.hot, HotMemory):
            _check("hot", self.hot, Cache, _HOT)
        _check("budget", self.budget, SharedBudget, _BUDGET)
        _check("status", self.status, StatusSink, "give an object with the methods of wickwire.StatusSink")
        _check(
            "transport", self.transport, Transport, "give an object with the methods of wickwire.Transport"
        )
        if not isinstance(self.retention, Retention):
            raise UsageError(f"retention: {kind_of(self.retention)} is none; give wickwire.Retention()")


def _check(what: str, given: object, protocol: type, instead: str) -> None:
    if given is None or (isinstance(given, str) and protocol in _BY_URL):
        return
    if isinstance(given, type):
        raise UsageError(f"{what}: {given.__name__} is a class; give an object of it")
    lacking = lacking_methods(given, protocol)
    if lacking:
        wrong = f"has no {listed(lacking)}" if len(lacking) <= _NAMED else "is none"
        raise UsageError(f"{what}: {kind_of(given)} {wrong}; {instead}")


def checked_series(given: object) -> Series:
    """Return the series that a host named.

    Raises:
        UsageError: It is none.
    """
    if isinstance(given, Series):
        return given
    if isinstance(given, str):
        return Series.parse(given)
    raise UsageError(
        f"not a series: {kind_of(given)}; write it as text, such as kraken:BTC/USD@1m, or give a Series"
    )


def check_venues(accounts: Mapping[str, Account], registry: Registry) -> None:
    """Raise ConfigError where one of *accounts* is that of a venue that nothing is installed for."""
    known = sorted({one.name for one in registry.discover() if one.kind is Kind.ADAPTER})
    for venue in accounts:
        if venue not in known:
            raise ConfigError(
                f"accounts: there is no adapter {venue!r:.80}{suggestion(str(venue), known)}; "
                f"installed: {listed(known) or 'nothing'}"
            )


def check_secrets(venue: str, account: Account, registry: Registry) -> None:
    """Raise ConfigError where a secret lacks, and one is given that the venue does not know instead.

    What comes from the environment may hold more than secrets, and what lacks there is said by the plan.
    """
    try:
        described = registry.load(venue).description_for(account)
    except PluginError:  # whoever adds a series is told
        return
    needed = dict.fromkeys((*described.credentials, *described.stream_credentials))
    lacking = [name for name in needed if not account.secrets.get(name)]
    strange = [name for name in account.secrets if name not in needed and name not in account.variables]
    if lacking and strange:
        raise ConfigError(
            f"{venue}: the account given in accounts has no secret {listed(map(repr, lacking))}, and has "
            f"{listed(map(repr, strange))}, which {venue} does not know{suggestion(strange[0], lacking)}; "
            f"it needs {listed(map(repr, needed))}"
        )

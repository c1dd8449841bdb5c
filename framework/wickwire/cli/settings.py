"""The settings of one run, and what is made of them and of the command's options."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

import attrs
import click

from wickwire.binding import listed, suggestion
from wickwire.cli.elsewhere import mistyped
from wickwire.config import Config, VenueConfig, read_config
from wickwire.description import Account
from wickwire.discovery import Kind
from wickwire.errors import ConfigError, PluginError, UsageError, VenueError, WickwireError
from wickwire.limits import effective_limits
from wickwire.model import Rung, Series
from wickwire.registry import Registry
from wickwire.retention import Retention
from wickwire.watchdog import Watchdog

if TYPE_CHECKING:
    from wickwire.adapter import Adapter
    from wickwire.cache import Cache
    from wickwire.cli.worlds import World
    from wickwire.collector import Collector
    from wickwire.fallback import FallBack
    from wickwire.planner import Plan
    from wickwire.shared import SharedBudget
    from wickwire.sink import Sink
    from wickwire.transport import Transport

__all__ = ["Settings", "plugin_commands", "read_settings"]

DEFAULT_STORE: Final = "sqlite:wickwire.db"
VARIABLE: Final = "WICKWIRE_CONFIG"


@attrs.frozen(eq=False, slots=False)
class Settings:
    """What a config says, and what follows from it.

    Attributes:
        config: The config; empty where there is none.
        invented: Secrets that it does not name are invented: simulated and recorded venues take any.
        registry: The plugins that may be loaded.
        watchdog: What looks for plugins that hold the event loop.
    """

    config: Config
    invented: bool = False
    registry: Registry = attrs.field()
    watchdog: Watchdog = attrs.field()

    @registry.default
    def _registry(self) -> Registry:
        plugins = self.config.plugins
        return Registry(allow=plugins.allow, deny=plugins.deny, local=plugins.local)

    @watchdog.default
    def _watchdog(self) -> Watchdog:
        collector = self.config.collector
        return Watchdog(self.registry, collector.hung_hook, deadline_s=collector.hung_hook_s)

    def watched(self) -> Self:
        """Name a plugin's hook that does not return, and end the process by policy, to the command's end."""
        command = click.get_current_context(silent=True)
        if command is not None:
            command.with_resource(self.watchdog.watching())
        return self

    def wanted(self, series: Sequence[Series]) -> Sequence[Series]:
        """Return *series*, or, where the command names none, those of the config.

        Raises:
            UsageError: Neither names any.
        """
        if series or self.config.series:
            return series or self.config.series
        raise UsageError(
            "which series? Write venue:symbol@what, such as kraken:BTC/USD@1m, or name them in a config"
        )

    def store_url(self, given: str | None) -> str:
        """Return the URL of the store: the command's, else the config's, else a file in this directory.

        Raises:
            ConfigError: The config's is wrong.
        """
        if given is not None or self.config.store is None:
            return DEFAULT_STORE if given is None else given
        try:
            self.registry.open_store(self.config.store)  # made, not opened: its address is read
        except ConfigError as exc:
            raise ConfigError(f"{self.config.source}: store: {str(exc).removeprefix('store ')}") from exc
        return self.config.store

    def sinks(self, given: Mapping[str, str], *, real: bool) -> Mapping[str, Sink]:
        """Return the sinks *given* on the command line and, where venues are *real*, those of the config.

        What simulated or recorded venues say does not get where the config puts what real ones do.

        Raises:
            ConfigError: An address is wrong, or nobody takes it.
            PluginError: The plugin that does is broken.
        """
        configured = self.config.sinks if real else {}
        made = {}
        for name, url in {**configured, **given}.items():
            try:
                made[name] = self.registry.open_sink(url)
            except ConfigError as exc:
                where = "--sink" if name in given else f"{self.config.source}: sinks.{name}"
                raise ConfigError(f"{where}: {str(exc).removeprefix('sink ')}") from exc
        return made

    def hot(self, given: str | None, *, real: bool) -> Cache | None:
        """Return the hot layer *given* on the command line, or, where venues are *real*, that of the config.

        Raises:
            ConfigError: The address is wrong, or nobody takes it.
            PluginError: The plugin that does is broken.
        """
        url = self.config.hot if given is None and real else given
        try:
            return None if url is None else self.registry.open_cache(url)
        except ConfigError as exc:
            where = f"{self.config.source}: hot" if given is None else "--hot"
            raise ConfigError(f"{where}: {str(exc).removeprefix('cache ')}") from exc

    def budget(self, given: str | None, *, real: bool) -> SharedBudget | None:
        """Return the shared budget *given* on the command line, else, where venues are *real*, the config's.

        What simulated or recorded venues are asked is never counted where the real ones are.

        Raises:
            ConfigError: The address is wrong, or nobody takes it.
            PluginError: The plugin that does is broken.
        """
        url = given if given is not None else self.config.budget if real else None
        if url is None:
            return None
        try:
            return self.registry.open_budget(url)
        except ConfigError as exc:
            where = "--budget" if given is not None else f"{self.config.source}: budget"
            raise ConfigError(f"{where}: {str(exc).removeprefix('budget ')}") from exc

    def check_names(self) -> None:
        """Refuse venues that no adapter is for; a typo would leave its settings unused in silence.

        Of plugins that are allowed or denied only what is nearly the name of one is refused: the others may
        be installed elsewhere.

        Raises:
            ConfigError: One is not known; the text names file, key and what is close.
        """
        plugins = {one.name for one in self.registry.discover()}
        for key, names in (("allow", self.config.plugins.allow or ()), ("deny", self.config.plugins.deny)):
            for place, name in enumerate(names):
                there = suggestion(name, plugins)
                if name not in plugins and there:
                    raise ConfigError(
                        f"{self.config.source}: plugins.{key}[{place}]: there is no plugin {name!r}{there}"
                    )
        named = {f"venues.{name}": name for name in self.config.venues}
        named |= {f"series[{place}]": one.venue for place, one in enumerate(self.config.series)}
        if not named:
            return
        known = sorted(one.name for one in self.registry.discover() if one.kind is Kind.ADAPTER)
        for key, name in named.items():
            if name not in known:
                raise ConfigError(
                    f"{self.config.source}: {key}: there is no adapter {name!r}{suggestion(name, known)}; "
                    f"there are {listed(known) or 'none'}"
                )

    def accounts(self, series: Sequence[Series]) -> Mapping[str, Account]:
        """Return the accounts for *series*, with their secrets.

        Raises:
            ConfigError: A variable that the config names is not set, or a secret or an environment in it is
                none of the venue's.
        """
        venues = dict.fromkeys(one.venue for one in series)
        for one in series:
            self._check_account(one.venue, one.variant)
        accounts = {venue: self.config.account(venue, os.environ) for venue in venues}
        if self.invented:
            for one in series:
                accounts[one.venue] = self._invented(one, accounts[one.venue])
        return accounts

    def check_venue(self, name: str) -> None:
        """Refuse what the config says of a venue and its adapter does not know.

        Raises:
            ConfigError: An environment, a secret or a redirect that is none of the venue's, or a limit that
                is higher than its own; the text names file, key and what is close.
            VenueError: The venue has no such account.
            PluginError: Its adapter is broken.
        """
        self._check_account(name, "")
        venue, adapter = self.config.venue(name), self.registry.load(name)
        told = adapter.description_for(Account(environment=venue.environment, plan=venue.plan))
        effective_limits(told.limits, venue.limits, where=f"{self.config.source}: venues.{name}.limits")
        self._check_redirects(name, adapter)

    def _check_account(self, name: str, feed: str) -> None:
        """Refuse an environment and secrets that a venue does not have."""
        venue = self.config.venue(name)
        if not venue.secrets and venue.environment == VenueConfig().environment:
            return
        account = Account(environment=venue.environment, plan=venue.plan, feed=feed)
        try:
            told = self.registry.load(name).description_for(account)
        except (VenueError, PluginError):  # told where it is planned
            return
        where = f"{self.config.source}: venues.{name}"
        if venue.environment not in told.environments:
            raise ConfigError(
                f"{where}.environment: {told.title} has no environment {venue.environment!r}"
                f"{suggestion(venue.environment, told.environments)}; it has {listed(told.environments)}"
            )
        known = dict.fromkeys((*told.credentials, *told.stream_credentials))
        for secret in venue.secrets if known else ():  # where none is needed now, another environment may
            if secret not in known:
                raise ConfigError(
                    f"{where}.secrets.{secret}: {told.title} takes no such secret"
                    f"{suggestion(secret, known)}; it takes {listed(known)}"
                )

    def _invented(self, series: Series, account: Account) -> Account:
        """Return *account* with something in place of the secrets that *series* needs and it lacks."""
        try:
            told = self.registry.load(series.venue).description_for(
                attrs.evolve(account, feed=series.variant)
            )
        except VenueError:  # it does not even tell which
            return account
        made = {name: f"invented-{name}" for name in (*told.credentials, *told.stream_credentials)}
        return attrs.evolve(account, secrets={**made, **account.secrets})

    def plans(
        self, series: Sequence[Series], route: str | None = None, *, past_only: bool = False
    ) -> Sequence[Plan]:
        """Return how *series* would be collected, or with *past_only* their history; a refused one says why.

        Raises:
            UsageError: A venue is not known.
            ConfigError: Limits in the config are higher than the venue's, or a redirect is mistyped.
            PluginError: A venue's adapter is broken.
        """
        from wickwire.places import plan_all

        adapters = {one.venue: self.registry.load(one.venue) for one in series}
        self.redirects(series)
        pins = self._pins(adapters)
        if route is not None:
            pins |= dict.fromkeys(series, Rung(route))
        accounts = self.accounts(series)  # what is wrong with them names the file itself
        try:
            return plan_all(series, adapters, accounts, pins, past_only=past_only)
        except ConfigError as exc:
            raise ConfigError(f"{self.config.source}: {exc}") from exc

    def fall_back(self, plans: Sequence[Plan]) -> FallBack:
        """Return what would become of what is streamed by *plans* if all streams were lost at once."""
        from wickwire.fallback import planned_fall_back

        series = [plan.series for plan in plans]
        adapters = {one.venue: self.registry.load(one.venue) for one in series}
        return planned_fall_back(plans, adapters, self.accounts(series))

    @property
    def priority(self) -> Sequence[Series]:
        """Which series go before others, under their canonical names.

        Raises:
            UsageError: A venue is not known.
            PluginError: A venue's adapter is broken.
        """
        canonical = {one: self.registry.load(one.venue).canonical(one.symbol) for one in self.config.priority}
        return [attrs.evolve(one, symbol=symbol) for one, symbol in canonical.items()]

    def redirects(
        self, series: Sequence[Series], given: Mapping[str, str] = MappingProxyType({})
    ) -> Mapping[str, str]:
        """Return the redirects for the venues of *series*: those of the config, and *given*, which win.

        Raises:
            UsageError: One is not used by any of them, but nearly: it must be a typo.
        """
        wanted: dict[str, str] = {}
        venues = {one.venue: self.registry.load(one.venue) for one in series}
        for venue, adapter in venues.items():
            self._check_redirects(venue, adapter)
            wanted |= self.config.venue(venue).redirects
        wrong = mistyped(given, venues.values())
        if wrong is not None:
            raise UsageError(f"--redirect {wrong[0]}: nothing goes there (did you mean {wrong[1]}?)")
        return {**wanted, **given}

    def _check_redirects(self, name: str, adapter: Adapter) -> None:
        """Refuse redirects of a venue that nothing of it goes to, but nearly."""
        wrong = mistyped(self.config.venue(name).redirects, [adapter])
        if wrong is not None:
            where = f'{self.config.source}: venues.{name}.redirects."{wrong[0]}"'
            raise ConfigError(f"{where}: nothing goes there (did you mean {wrong[1]}?)")

    def _pins(self, adapters: Mapping[str, Adapter]) -> dict[Series, Rung]:
        """Return the pins of the config under canonical names, whichever way they are spelled there."""
        pins = {}
        for written, rung in self.config.pins.items():
            series = written
            if series.venue in adapters:
                with suppress(WickwireError):  # what the venue could not have is pinned under no other name
                    series = attrs.evolve(series, symbol=adapters[series.venue].canonical(series.symbol))
            pins[series] = rung
        return pins

    def collector(
        self,
        store: str | None,
        series: Sequence[Series],
        world: World,
        *,
        sinks: Mapping[str, Sink] | None = None,
        hot: Cache | None = None,
        budget: SharedBudget | None = None,
        keep_trades: bool = False,
        retention: Retention | None = None,
        seed: int | None,
        whose: str,
        transport: Transport | None = None,
    ) -> Collector:
        """Return a collector for *series* in *world*.

        Args:
            store: URL; None for memory.
            series: What it will be asked to add.
            world: Where the venues are.
            sinks: Where candles go beside the store.
            hot: Where the newest of them are at hand.
            budget: Where limits are counted together with other processes.
            keep_trades: Store trades, too.
            retention: How long what is kept; None forgets nothing. What the config says is for `collect`:
                who fills or audits a store did not ask to have something taken out of it.
            seed: Of its jitter; None for any.
            whose: Whose candles these are, for the store.
            transport: How to reach the venues, where that is not the usual way.
        """
        from wickwire.collector import Collector

        accounts = self.accounts(series)
        return Collector(
            store,
            sinks=sinks,
            hot=hot,
            budget=budget,
            keep_trades=keep_trades,
            retention=retention,
            registry=self.registry,
            transport=transport,
            redirects=world.redirects,
            confined=world.confined,
            accounts=accounts,
            backoff={name: venue.backoff for name, venue in self.config.venues.items()},
            clock=world.clock,
            rng=random.Random(seed),
            watchdog=self.watchdog,
            world=whose,
        )


def retention_of(settings: Settings, candles: str | None, trades: str | None) -> Retention:
    """Return how long what is kept: as written on the command line, else as the config says.

    Raises:
        UsageError: It is no duration, or a shorter one than a day.
    """
    told = settings.config.retention
    try:
        return Retention(candles=candles or told.candles, trades=trades or told.trades)
    except ValueError as exc:
        raise UsageError(f"retention: {exc}") from exc


def read_settings(path: str | None) -> Settings:
    """Return the settings of the file *path*, else of the one that WICKWIRE_CONFIG names, else none.

    Raises:
        ConfigError: The file cannot be read, or something in it is wrong.
    """
    named = path or os.environ.get(VARIABLE)
    settings = Settings(read_config(Path(named)) if named else Config())
    settings.watched().check_names()
    return settings


def plugin_commands(cli: click.Group) -> None:
    """Let the plugins that work add their commands; called when a command is asked for that nobody knows."""
    registry = read_settings(None).registry
    registry.listing(Kind.PLUGIN)  # loads them; a broken one stops nobody
    registry.add_commands(cli)

"""Which plugins there are: found by metadata alone, imported one by one when asked for, never all or none.

A plugin that cannot be imported or bound is listed with its reason and stops nobody else.
"""

from __future__ import annotations

import enum
import functools
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, final

import attrs
import pluggy

from wickwire import hookspecs
from wickwire.adapter import Adapter, bind
from wickwire.binding import kind_of, lacking_methods, listed, marked_hooks, not_served, suggestion
from wickwire.cache import Cache
from wickwire.discovery import Found, Kind, MissingExtraError, files, imported, installed
from wickwire.errors import ConfigError, PluginError, UsageError, WickwireError
from wickwire.foreign import described
from wickwire.hookspecs import PLUGIN_HOOKS, PROJECT
from wickwire.memory_store import MemoryStore
from wickwire.shared import SharedBudget
from wickwire.sink import Sink
from wickwire.store import Store, shown_store

if TYPE_CHECKING:
    import click

__all__ = ["Found", "Kind", "Listed", "Registry", "State", "load_adapter"]

_MEMORY: Final = "memory"
_SCHEME: Final = re.compile(r"^([a-z][a-z0-9+.-]*):")  # RFC 3986, 3.1


@final
class State(enum.Enum):
    """Whether a plugin works."""

    OK = "ok"
    BROKEN = "broken"
    DISABLED = "disabled"
    MISSING_EXTRA = "missing-extra"


@attrs.frozen(kw_only=True)
class Listed:
    """One plugin, and whether it works: a row of `wickwire adapters`.

    Attributes:
        name: As in `Found`.
        kind: As in `Found`.
        distribution: As in `Found`.
        version: As in `Found`.
        state: Whether it works.
        reason: Why not, and what to do; empty when it works.
    """

    name: str
    kind: Kind
    distribution: str
    version: str
    state: State
    reason: str = ""


class Registry:
    """The plugins of one process, or of one test.

    Args:
        allow: Only these names may be loaded, adapters and others alike; None allows all.
        deny: These names may not be loaded.
        local: Adapters in single files, by name.
        adapters: Modules or instances that are adapters, or bound ones, by name.
        plugins: The same for plugins that are not adapters.
        installed: Whether what is installed counts too, or only what is given here.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] | None = None,
        deny: Iterable[str] = (),
        local: Mapping[str, Path] | None = None,
        adapters: Mapping[str, object] | None = None,
        plugins: Mapping[str, object] | None = None,
        installed: bool = True,
    ) -> None:
        self._takes_installed = installed
        self._allow = None if allow is None else frozenset(allow)
        self._deny = frozenset(deny)
        self._local = dict(local or {})
        self._given = {Kind.ADAPTER: dict(adapters or {}), Kind.PLUGIN: dict(plugins or {})}
        self._adapters: dict[str, Adapter] = {}
        self._plugins: dict[str, Found] = {}
        self._failures: dict[tuple[Kind, str], PluginError] = {}
        self._shared = _manager()

    # --------------------------------------------------------------------------------------- finding

    def discover(self) -> list[Found]:
        """Return all that is installed or given, by kind and name, without importing any of it."""
        return [one for names in self._found.values() for name in sorted(names) for one in names[name]]

    @functools.cached_property
    def _found(self) -> dict[Kind, dict[str, list[Found]]]:
        found: dict[Kind, dict[str, list[Found]]] = {kind: {} for kind in Kind}
        from_metadata = installed() if self._takes_installed else ()
        for one in (*from_metadata, *files(self._local), *self._objects()):
            disabled = attrs.evolve(one, disabled=self._disabled(one.name))
            found[one.kind].setdefault(one.name, []).append(disabled)
        return found

    def _disabled(self, name: str) -> str:
        if name in self._deny:
            return "it is on the deny-list"
        if self._allow is not None and name not in self._allow:
            return f"it is not on the allow-list, which names {listed(sorted(self._allow)) or 'nothing'}"
        return ""

    def _objects(self) -> Iterator[Found]:
        for kind, given in self._given.items():
            for name, plugin in given.items():
                yield Found(name=name, kind=kind, load=functools.partial(_itself, plugin))

    # --------------------------------------------------------------------------------------- loading

    def load(self, name: str) -> Adapter:
        """Import and bind the adapter of a venue; the same one each time.

        Raises:
            UsageError: There is no such adapter, or (ConfigError) a list disables it.
            PluginError: It cannot be imported, it is no adapter, or two claim its name.
        """
        if name not in self._adapters:
            self._load(Kind.ADAPTER, name)
        return self._adapters[name]

    @property
    def loaded(self) -> Sequence[Adapter]:
        """The adapters that were loaded so far."""
        return tuple(self._adapters.values())

    @functools.cached_property
    def packages(self) -> Mapping[str, Found]:
        """Whose code it is, by the top package of a module, as far as metadata tells."""
        return {one.package: one for one in self.discover() if one.package}

    def load_plugin(self, name: str) -> None:
        """Import a plugin that is not an adapter and let it take part from now on. Safe to repeat.

        Raises:
            UsageError: There is no such plugin, or (ConfigError) a list disables it.
            PluginError: It cannot be imported, it is no plugin, or two claim its name.
        """
        if name not in self._plugins:
            self._load(Kind.PLUGIN, name)

    def listing(self, kind: Kind | None = None) -> list[Listed]:
        """Load all that may be loaded and return what became of each; nothing is raised for a broken one."""
        return [self._listed(one) for one in self.discover() if kind in (None, one.kind)]

    def _listed(self, one: Found) -> Listed:
        state, reason = State.OK, ""
        try:
            if one.disabled:
                state, reason = State.DISABLED, one.disabled
            elif one.kind is Kind.ADAPTER:
                self.load(one.name)
            else:
                self.load_plugin(one.name)
        except PluginError as exc:
            state = State.MISSING_EXTRA if isinstance(exc, MissingExtraError) else State.BROKEN
            reason = str(exc).removeprefix(f"{one}: ")
        return Listed(
            name=one.name,
            kind=one.kind,
            distribution=one.distribution,
            version=one.version,
            state=state,
            reason=reason,
        )

    def _load(self, kind: Kind, name: str) -> None:
        if (kind, name) in self._failures:
            raise self._failures[kind, name].with_traceback(None)
        one = self._one(kind, name)
        try:
            plugin = imported(one)
            if kind is Kind.ADAPTER:
                self._adapters[name] = _bound(one, plugin)
            else:
                _check_plugin(one, plugin)
                if not self._shared.is_registered(plugin):  # one module may answer to two schemes
                    self._shared.register(plugin, name)
                self._plugins[name] = one
        except PluginError as exc:
            self._failures[kind, name] = exc
            raise

    def _one(self, kind: Kind, name: str) -> Found:
        """Return the only plugin of that name, if it may be loaded."""
        found = self._found[kind].get(name, [])
        match found:
            case []:
                known = listed(sorted(self._found[kind])) or "nothing"
                raise UsageError(
                    f"there is no {kind.value} {name!r}{suggestion(name, self._found[kind])}; "
                    f"installed: {known}; `wickwire adapters` shows them all"
                )
            case [one, *_] if one.disabled:
                raise ConfigError(f"{one} is disabled: {one.disabled}")
            case [one]:
                return one
            case _:
                claims = listed(f"{one.distribution} {one.version}".strip() or "an object" for one in found)
                raise PluginError(
                    f"{kind.value} {name!r}: {claims} claim this name, so none of them is used; "
                    f"uninstall or rename all but one",
                    plugin=name,
                )

    # --------------------------------------------------------------------------- what plugins are asked

    def open_store(self, url: str) -> Store:
        """Make the store that *url* names; the plugin called like its scheme is loaded, and no other.

        Raises:
            ConfigError: The URL has no scheme, nobody takes it, or it is wrong.
            PluginError: The plugin is broken.
        """
        if url.startswith(f"{_MEMORY}:"):
            return MemoryStore()
        name = "" if _SCHEME.match(url) else shown_store(url)
        write = f"memory: or sqlite:{name or 'wickwire.db'}"
        return cast("Store", self._opened(Store, url, write, built_in=(_MEMORY,)))

    def open_sink(self, url: str) -> Sink:
        """Make the sink that *url* names; the plugin called like its scheme is loaded, and no other.

        Raises:
            ConfigError: The URL has no scheme, nobody takes it, or it is wrong.
            PluginError: The plugin is broken.
        """
        return cast("Sink", self._opened(Sink, url, "redis://127.0.0.1"))

    def open_cache(self, url: str) -> Cache:
        """Make the hot layer that *url* names; the plugin called like its scheme is loaded, and no other.

        Raises:
            ConfigError: The URL has no scheme, nobody takes it, or it is wrong.
            PluginError: The plugin is broken.
        """
        return cast("Cache", self._opened(Cache, url, "redis://127.0.0.1"))

    def open_budget(self, url: str) -> SharedBudget:
        """Make the shared budget that *url* names; the plugin called like its scheme is loaded, and no other.

        Raises:
            ConfigError: The URL has no scheme, nobody takes it, or it is wrong.
            PluginError: The plugin is broken.
        """
        return cast("SharedBudget", self._opened(SharedBudget, url, "redis://127.0.0.1"))

    def _opened(
        self,
        protocol: type[Cache | SharedBudget | Sink | Store],
        url: str,
        write: str,
        *,
        built_in: Sequence[str] = (),
    ) -> object:
        """Ask the plugins for what takes *url*, and see that it has the methods of *protocol*."""
        shown, what = shown_store(url), protocol.__name__.lower().removeprefix("shared")
        match = _SCHEME.match(url)
        if match is None:
            raise ConfigError(f"{what} {shown!r} has no scheme; write {write}")
        scheme = match[1]
        if scheme in self._found[Kind.PLUGIN]:
            self.load_plugin(scheme)
        hook = f"open_{what}"
        for one, made in self._answers(hook, url=url):
            if made is not None:
                missing = lacking_methods(made, protocol)
                if missing:
                    raise PluginError(
                        f"{one}: {hook}() returned {kind_of(made)}, which has no {listed(missing)}",
                        plugin=one.name,
                    )
                return made
        known = [*built_in, *self._found[Kind.PLUGIN]]
        if scheme in known:
            raise ConfigError(f"{what} {shown!r}: the plugin {scheme!r} opens no {what}; write {write}")
        raise ConfigError(
            f"{what} {shown!r}: no plugin takes {scheme!r}{suggestion(scheme, known)}; "
            f"there are {listed(sorted(known))}"
        )

    def add_commands(self, cli: click.Group) -> None:
        """Let every loaded plugin add its commands to *cli*.

        Raises:
            PluginError: One of them failed.
        """
        for _ in self._answers("add_commands", cli=cli):
            pass

    def _answers(self, hook: str, **arguments: object) -> Iterator[tuple[Found, object]]:
        """Ask every loaded plugin, the last loaded first, and say whose answer it is."""
        for implementation in reversed(getattr(self._shared.hook, hook).get_hookimpls()):
            one = self._plugins[implementation.plugin_name]
            try:
                answer = implementation.function(*(arguments[name] for name in implementation.argnames))
            except WickwireError:
                raise
            except Exception as exc:
                raise PluginError(f"{one}: {hook}() raised {described(exc)}", plugin=one.name) from exc
            yield one, answer


def load_adapter(name: str) -> Adapter:
    """Return the installed adapter of a venue, for use without a collector.

    Raises:
        UsageError: There is no such adapter.
        PluginError: It cannot be imported, it is no adapter, or two claim its name.
    """
    return Registry().load(name)


def _bound(one: Found, plugin: object) -> Adapter:
    if not isinstance(plugin, Adapter):
        return bind(one.name, plugin, distribution=one.distribution, version=one.version)
    if plugin.name != one.name:
        raise PluginError(
            f"{one}: it is bound as {plugin.name!r} already; give it by that name", plugin=one.name
        )
    return plugin


def _itself(plugin: object) -> object:
    return plugin


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _check_plugin(one: Found, plugin: Any) -> None:
    """Refuse what would be registered and then fail or stay silent.

    It is tried in a manager of its own, since pluggy leaves a half-registered plugin behind.
    """
    trial = _manager()
    try:
        why = not_served(plugin)
        if why:
            raise PluginError(f"{one}: {why}", plugin=one.name)
        marked = marked_hooks(plugin)
        trial.register(plugin, one.name)
        trial.check_pending()
    except pluggy.PluginValidationError as exc:
        raise PluginError(f"{one}: {exc}", plugin=one.name) from exc
    if not any(hook in PLUGIN_HOOKS for hook in marked):
        raise PluginError(
            f"{one}: it has none of the hooks {listed(PLUGIN_HOOKS)}, or does not mark them with @hookimpl",
            plugin=one.name,
        )
    for hook, function in marked.items():
        if inspect.iscoroutinefunction(function):
            raise PluginError(f"{one}: {hook}() is async; make it a plain def", plugin=one.name)

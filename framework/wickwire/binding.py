"""Is this plugin an adapter? Each mistake has one message, and what passes is called by position.

pluggy checks the names of arguments and nothing else: it accepts async hooks, keyword-only arguments and
`**kwargs`, which fail or starve when called.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, ModuleType
from typing import Any, Final, NoReturn

import attrs
import pluggy

from wickwire import hookspecs
from wickwire.errors import PluginError, WickwireError
from wickwire.foreign import described
from wickwire.hookspecs import (
    ADAPTER_HOOKS,
    API_LEVEL,
    OLDEST_API_LEVEL,
    PLUGIN_HOOKS,
    PROJECT,
    REQUIRED_HOOKS,
    STREAM_HOOKS,
)

__all__ = [
    "Binding",
    "Function",
    "code_of",
    "identify",
    "kind_of",
    "lacking_methods",
    "listed",
    "marked_hooks",
    "not_served",
    "suggestion",
    "with_article",
]

# What each adapter hook is called with, in order; the hookspecs are the only place where it is written.
_PARAMETERS: Final = {
    hook: tuple(inspect.signature(getattr(hookspecs, hook)).parameters) for hook in ADAPTER_HOOKS
}
_CONVERSATIONS: Final = ("fetch_ohlcv", "fetch_trades", "list_instruments")
_MAY_CONVERSE: Final = ("connect", *_CONVERSATIONS)
_LONGEST: Final = 300
"""Most characters of a foreign value that a message repeats."""
Function = Callable[..., Any]


def identify(kind: str, name: str, distribution: str, version: str) -> str:
    """Return how messages name a plugin, such as `adapter 'lantern' (wickwire-lantern 0.3.1)`."""
    origin = f"{distribution} {version}".strip()
    return f"{kind} {name!r} ({origin})" if origin else f"{kind} {name!r}"


def lacking_methods(given: object, protocol: type) -> list[str]:
    """Return which methods of *protocol* an object does not have."""
    methods = [
        name
        for kind in protocol.__mro__
        if getattr(kind, "_is_protocol", False)
        for name in vars(kind)
        if not name.startswith("_")
    ]
    return [name for name in methods if not callable(getattr(given, name, None))]


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'kraken'?)` when one of *known* is close to *word*, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def not_served(plugin: object, *, oldest: int = OLDEST_API_LEVEL, newest: int = API_LEVEL) -> str:
    """Return why the API level that *plugin* was written for is not served; empty where it is.

    Args:
        plugin: Whose `API_LEVEL` says which one that is; without it, it is the first.
        oldest: The oldest that is served.
        newest: The newest.
    """
    level: object = getattr(plugin, "API_LEVEL", 1)
    if not isinstance(level, int) or isinstance(level, bool) or level < 1:
        return (
            f"API_LEVEL is {level!r:.{_LONGEST}}; it is the number of the API level that the plugin was "
            f"written for, today {newest}"
        )
    if level > newest:
        return (
            f"it was written for API level {level} and this wickwire has API level {newest}; upgrade wickwire"
        )
    if level < oldest:
        return (
            f"it was written for API level {level} and this wickwire serves none before {oldest}; "
            f"upgrade the plugin, or rewrite it as docs/hooks.md says"
        )
    return ""


def marked_hooks(plugin: object) -> Mapping[str, Function]:
    """Return the functions of *plugin* that carry `@hookimpl`, by the hook that they claim to be."""
    manager = pluggy.PluginManager(PROJECT)
    marked: dict[str, Function] = {}
    for attribute in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, attribute)
        if options is not None:
            marked[options["specname"] or attribute] = getattr(plugin, attribute)
    return marked


def code_of(plugin: object) -> Mapping[CodeType, str]:
    """Return the code of the adapter hooks of *plugin*, decorated ones without what decorates them."""
    return {
        inspect.unwrap(function).__code__: hook
        for hook, function in marked_hooks(plugin).items()
        if hook in ADAPTER_HOOKS and hasattr(inspect.unwrap(function), "__code__")
    }


# ------------------------------------------------------------------------------------------- the checks


@attrs.frozen
class Binding:
    """The checks of one plugin, each with its own message.

    Attributes:
        name: The plugin's name.
        who: How messages name it, see `identify`.
    """

    name: str
    who: str

    def hooks(self, plugin: object) -> dict[str, Function]:
        """Return the implementations of adapter hooks by name, each as a positional callable.

        Raises:
            PluginError: *plugin* is not an adapter; the text says why, and what to do.
        """
        if isinstance(plugin, type):
            self._refuse(
                f"the plugin is the class {plugin.__name__}; "
                f"point the entry point to a module or to an instance, {plugin.__name__}()"
            )
        functions = self._registered(plugin)
        self._check_unmarked(plugin, functions)
        self._check_complete(functions)
        return {
            hook: _positional(function, self._order(hook, function), len(_PARAMETERS[hook]))
            for hook, function in functions.items()
        }

    def _error(self, why: str) -> PluginError:
        return PluginError(f"{self.who}: {why}", plugin=self.name)

    def _refuse(self, why: str) -> NoReturn:
        raise self._error(why)

    def absent(self, what: str, hook: str) -> Function:
        """Return what is called in place of a hook that is not there."""

        def refuse(*_: object) -> NoReturn:
            self._refuse(f"it has no {what}, {hook}() does not exist")

        return refuse

    def _registered(self, plugin: object) -> dict[str, Function]:
        """Register *plugin* in a manager of its own and return its adapter hooks."""
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(hookspecs)
        known = (*ADAPTER_HOOKS, *PLUGIN_HOOKS)
        functions: dict[str, Function] = {}
        try:
            self._check_level(plugin)
            for hook, function in marked_hooks(plugin).items():
                if hook not in known:
                    self._refuse(f"{hook}() is marked with @hookimpl but no hook{suggestion(hook, known)}")
                if hook in ADAPTER_HOOKS:
                    self._check_kind(hook, function)
                    self._order(hook, function)
                    functions[hook] = function
            manager.register(plugin, self.name)
            manager.check_pending()
        except pluggy.PluginValidationError as exc:
            raise self._error(str(exc)) from exc
        except WickwireError:
            raise
        except Exception as exc:
            raise self._error(f"looking at it raised {described(exc)}") from exc
        for hook in functions:
            implementations = getattr(manager.hook, hook).get_hookimpls()
            if len(implementations) > 1:
                self._refuse(f"{hook}() is implemented {len(implementations)} times; keep one of them")
            if implementations[0].wrapper or implementations[0].hookwrapper:
                self._refuse(f"{hook}() is a wrapper; an adapter stands alone, so make it a plain @hookimpl")
        return functions

    def _check_level(self, plugin: object) -> None:
        """Refuse what was written for other hooks, before what is new or gone in them looks wrong."""
        why = not_served(plugin)
        if why:
            self._refuse(why)

    def _check_kind(self, hook: str, function: Function) -> None:
        """Refuse what could be called and would not answer."""
        forms = (function, inspect.unwrap(function))
        if any(inspect.iscoroutinefunction(form) or inspect.isasyncgenfunction(form) for form in forms):
            self._refuse(
                f"{hook}() is async; adapters describe I/O and never do it; make it "
                f"{'a plain generator that yields HttpRequests' if hook in _MAY_CONVERSE else 'a plain def'}"
            )
        converses = any(inspect.isgeneratorfunction(form) for form in forms)
        if hook in _CONVERSATIONS and not converses:
            self._refuse(
                f"{hook}() is no generator; it yields HttpRequests, receives HttpReplies and returns what "
                f"it found. Where another generator does the work: return (yield from other(...))"
            )
        if hook not in _MAY_CONVERSE and converses:
            self._refuse(f"{hook}() is a generator; only {listed(_MAY_CONVERSE)} may yield, so use return")

    def _order(self, hook: str, function: Function) -> tuple[int, ...]:
        """Return which of the hook's arguments *function* takes, in its own order."""
        expected = _PARAMETERS[hook]
        order = []
        for name, parameter in inspect.signature(function).parameters.items():
            match parameter.kind:
                case inspect.Parameter.VAR_POSITIONAL | inspect.Parameter.VAR_KEYWORD:
                    self._refuse(f"{hook}() takes {parameter}; name what it needs of ({', '.join(expected)})")
                case inspect.Parameter.KEYWORD_ONLY:
                    self._refuse(f"{hook}() takes {name!r} by keyword only; drop the * before it")
                case _ if name not in expected:
                    self._refuse(
                        f"{hook}() takes {name!r}{suggestion(name, expected)}, which it is never given; "
                        f"it may take any of ({', '.join(expected)})"
                    )
                case _:
                    order.append(expected.index(name))
        return tuple(order)

    def _check_unmarked(self, plugin: object, functions: Mapping[str, Function]) -> None:
        """Refuse what has a hook's name and is none, since it would be left out in silence."""
        unmarked = []
        for hook in ADAPTER_HOOKS:
            found = None if hook in functions else getattr(plugin, hook, None)
            if found is None or isinstance(found, ModuleType):  # a submodule may have a hook's name
                continue
            if not inspect.isroutine(found):
                self._refuse(f"{hook} is {kind_of(found)}; a hook is a function marked with @hookimpl")
            unmarked.append(f"{hook}()")
        if unmarked:
            self._refuse(
                f"{listed(unmarked)} {'lacks' if len(unmarked) == 1 else 'lack'} the marker: "
                f"write @hookimpl (from wickwire import hookimpl) above it, or give it another name"
            )

    def _check_complete(self, functions: Mapping[str, Function]) -> None:
        """Refuse a half adapter."""
        if not functions:
            self._refuse(
                "nothing in it is marked with @hookimpl; an adapter has at least describe(), "
                "supports_ohlcv(), and connect(), subscribe() and parse(), or fetch_ohlcv()"
            )
        missing = [hook for hook in REQUIRED_HOOKS if hook not in functions]
        if missing:
            self._refuse(
                f"{listed(f'{hook}()' for hook in missing)} missing; every adapter has both of "
                f"{listed(f'{hook}()' for hook in REQUIRED_HOOKS)}"
            )
        trio = [hook for hook in STREAM_HOOKS if hook in functions]
        if trio and len(trio) < len(STREAM_HOOKS):
            lacking = [hook for hook in STREAM_HOOKS if hook not in functions]
            self._refuse(
                f"it has {listed(f'{hook}()' for hook in trio)} but not "
                f"{listed(f'{hook}()' for hook in lacking)}; a stream needs all three"
            )
        if not trio and "fetch_ohlcv" not in functions:
            self._refuse(
                "it can neither stream nor be polled; add connect(), subscribe() and parse(), "
                "or fetch_ohlcv(), or both"
            )
        for one, other in (("to_venue", "from_venue"), ("from_venue", "to_venue")):
            if one in functions and other not in functions:
                self._refuse(f"it has {one}() but not {other}(); each undoes the other, so both are needed")


# ------------------------------------------------------------------------------------------- the calls


def _positional(function: Function, order: tuple[int, ...], arguments: int) -> Function:
    """Return *function* as one that takes *arguments* by position: itself, or one that drops or reorders."""
    if order == tuple(range(arguments)):
        return function
    match order:
        case ():
            return lambda *_: function()
        case (first,):
            return lambda *given: function(given[first])
        case (first, second):
            return lambda *given: function(given[first], given[second])
        case (first, second, third):
            return lambda *given: function(given[first], given[second], given[third])
        case _:
            raise AssertionError(f"no hook takes {len(order)} arguments")


def kind_of(value: object) -> str:
    """Return the kind of *value* for a message."""
    return "None" if value is None else with_article(type(value).__name__)


def with_article(noun: str) -> str:
    """Return *noun* after "a" or "an"."""
    return f"{'an' if noun[:1] in 'AEIOUaeiou' else 'a'} {noun}"


def listed(words: Iterable[str]) -> str:
    """Return "", "a", "a and b", "a, b and c"."""
    *most, last = [*words] or [""]
    return f"{', '.join(most)} and {last}" if most else last

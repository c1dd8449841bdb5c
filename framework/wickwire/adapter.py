"""A venue, ready to be asked: a plugin goes in, an `Adapter` of plain positional callables comes out.

No pluggy call stands between a frame and `parse`. Whether a plugin is an adapter is checked in `binding`;
finding and importing plugins is the registry's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from wickwire.binding import Binding, code_of, identify, kind_of, listed, with_article
from wickwire.description import Account, Description, OhlcvSupport
from wickwire.endpoint import Endpoint, Lane, Topic
from wickwire.errors import PluginError, VenueError, WickwireError
from wickwire.foreign import described
from wickwire.hookspecs import STREAM_HOOKS

if TYPE_CHECKING:
    from wickwire.conversation import Conversation, HttpReply, HttpRequest, OhlcvQuery, TradePage, TradeQuery
    from wickwire.endpoint import Ask, Send
    from wickwire.events import Event
    from wickwire.model import Timeframe
    from wickwire.simulate.server import Market, VenueServer

__all__ = ["MISFITS", "Adapter", "bind"]

MISFITS = (TypeError, AttributeError, LookupError, ValueError, ArithmeticError)
"""What our own code raises over a plugin's value of a wrong type; caught where such values come in."""

_T = TypeVar("_T")


@attrs.frozen(kw_only=True, eq=False)
class Adapter:
    """One venue, ready to be asked. Every callable takes its arguments by position, in the order shown.

    The callables are the plugin's own functions wherever their parameters are exactly those of the hook, so
    what they return has not been looked at. `description_for`, `support_for`, `lane_of` and `canonical`
    look, and turn nonsense into a PluginError that names the plugin.

    Attributes:
        name: The venue, as written before the `:` of a series.
        distribution: What was installed to bring it, or the file of a local plugin; may be empty.
        version: The distribution's version; may be empty.
        api_level: The API level that it says it was written for; None where it says nothing.
        description: What `describe` says to `Account()`. Just the name as title where the venue describes
            itself only to those who hold an account.
        streams: It has the stream trio. Without it `connect`, `subscribe` and `parse` raise PluginError.
        serves_history: It has `fetch_ohlcv`, which otherwise raises PluginError.
        describe: `(account)`.
        supports_ohlcv: `(symbol, timeframe, account)`.
        connect: `(account, topics, now_ns)`; an endpoint, or a generator that returns one.
        subscribe: `(asks, removed, memory)`.
        parse: `(frame, memory)`.
        fetch_ohlcv: `(query, account)`; a generator.
        fetch_trades: `(query, account)`; None where the adapter has none.
        list_instruments: `(query, account)`; None where the adapter has none.
        lane: `(topic)`; `Lane()` for every topic where the adapter has none.
        to_venue: `(symbol)`; the symbol itself where the adapter has none.
        from_venue: `(text)`; the text itself where the adapter has none.
        simulate: `(market)`; None where the adapter has none.
        code: The code of the plugin's own functions, to the names of the hooks that they are.
    """

    name: str
    distribution: str = ""
    version: str = ""
    api_level: int | None = None
    description: Description
    streams: bool
    serves_history: bool
    describe: Callable[[Account], Description] = attrs.field(repr=False)
    supports_ohlcv: Callable[[str, Timeframe, Account], OhlcvSupport] = attrs.field(repr=False)
    connect: Callable[
        [Account, Sequence[Topic], int], Endpoint | Generator[HttpRequest, HttpReply, Endpoint]
    ] = attrs.field(repr=False)
    subscribe: Callable[[Sequence[Ask], Sequence[Topic], Any], Sequence[Send]] = attrs.field(repr=False)
    parse: Callable[[bytes, Any], Sequence[Event]] = attrs.field(repr=False)
    fetch_ohlcv: Callable[[OhlcvQuery, Account], Conversation] = attrs.field(repr=False)
    fetch_trades: Callable[[TradeQuery, Account], Generator[HttpRequest, HttpReply, TradePage]] | None = (
        attrs.field(repr=False)
    )
    list_instruments: Callable[[str, Account], Generator[HttpRequest, HttpReply, Sequence[str]]] | None = (
        attrs.field(repr=False)
    )
    lane: Callable[[Topic], Lane] = attrs.field(repr=False)
    to_venue: Callable[[str], str] = attrs.field(repr=False)
    from_venue: Callable[[str], str] = attrs.field(repr=False)
    simulate: Callable[[Market], VenueServer] | None = attrs.field(repr=False)
    code: Mapping[CodeType, str] = attrs.field(factory=dict, repr=False)

    @property
    def who(self) -> str:
        """How messages name it, such as `adapter 'lantern' (wickwire-lantern 0.3.1)`."""
        return identify("adapter", self.name, self.distribution, self.version)

    def broke(self, what: str) -> PluginError:
        """Return the error for a broken contract, *what* such as "parse() returned None, not events"."""
        return PluginError(f"{self.who}: {what}", plugin=self.name)

    @contextmanager
    def calling(
        self, what: str, *, passing: type[WickwireError] | tuple[()] = WickwireError
    ) -> Iterator[None]:
        """Turn whatever the plugin's code raises into a PluginError, but for what its contract lets pass.

        Args:
            what: What is called, such as "lane()".
            passing: What may pass.
        """
        try:
            yield
        except passing:
            raise
        except Exception as exc:
            raise self.broke(f"{what} raised {described(exc)}") from exc

    def description_for(self, account: Account) -> Description:
        """Return what the venue is for *account*.

        Raises:
            VenueError: The account lacks a secret without which nothing works.
            PluginError: `describe` raised something else, or returned no Description.
        """
        with self.calling("describe()", passing=VenueError):
            answer = self.describe(account)
        return _checked(self, "describe", answer, Description)

    def support_for(self, symbol: str, timeframe: Timeframe, account: Account) -> OhlcvSupport:
        """Return what can be had for a series.

        Raises:
            PluginError: `supports_ohlcv` raised, returned no OhlcvSupport, or one that promises what the
                adapter has no hooks for.
        """
        with self.calling("supports_ohlcv()", passing=()):
            answer = self.supports_ohlcv(symbol, timeframe, account)
        support = _checked(self, "supports_ohlcv", answer, OhlcvSupport)
        if support.stream and not self.streams:
            raise self.broke(f"supports_ohlcv() promises a stream, but there is no {listed(STREAM_HOOKS)}")
        if support.rest and not self.serves_history:
            raise self.broke("supports_ohlcv() promises history, but there is no fetch_ohlcv()")
        return support

    def lane_of(self, topic: Topic) -> Lane:
        """Return which connection *topic* may ride.

        Raises:
            PluginError: `lane` raised, or returned no Lane, or one whose `alone` cannot be hashed.
        """
        with self.calling("lane()", passing=()):
            answer = self.lane(topic)
            hash(answer)  # lanes are compared and kept in dicts
        return _checked(self, "lane", answer, Lane)

    def endpoint_told(self) -> Endpoint | None:
        """Return how a public stream is opened, or None: it has none, or would have to ask the venue first.

        Raises:
            PluginError: `connect` raised something else than a VenueError.
        """
        if not self.streams:
            return None
        try:
            with self.calling("connect()", passing=VenueError):
                told = self.connect(Account(), (), 0)
        except VenueError:  # it opens nothing without secrets
            return None
        return told if isinstance(told, Endpoint) else None

    def canonical(self, text: str) -> str:
        """Return the canonical symbol for what somebody typed.

        Raises:
            PluginError: `from_venue` or `to_venue` raised something that is no WickwireError, or returned
                no text.
        """
        with self.calling("from_venue()"):
            symbol = _checked(self, "from_venue", self.from_venue(text), str)
        with self.calling("to_venue()"):
            native = _checked(self, "to_venue", self.to_venue(symbol), str)
        with self.calling("from_venue()"):
            symbol = _checked(self, "from_venue", self.from_venue(native), str)
        if not symbol:
            raise self.broke(f"from_venue({native!r}) returned an empty symbol")
        return symbol


def bind(name: str, plugin: object, *, distribution: str = "", version: str = "") -> Adapter:
    """Return *plugin*, a module or an instance, as an adapter.

    Args:
        name: The venue's name.
        plugin: Its functions marked with `@hookimpl` are the hooks.
        distribution: What was installed to bring it, for messages.
        version: Its version, for messages.

    Raises:
        PluginError: It is not an adapter; the text says why, and what to do.
    """
    binding = Binding(name, identify("adapter", name, distribution, version))
    hooks = binding.hooks(plugin)

    adapter = Adapter(
        name=name,
        distribution=distribution,
        version=version,
        api_level=getattr(plugin, "API_LEVEL", None),
        description=Description(title=name),
        streams="parse" in hooks,
        serves_history="fetch_ohlcv" in hooks,
        describe=hooks["describe"],
        supports_ohlcv=hooks["supports_ohlcv"],
        connect=hooks.get("connect") or binding.absent("stream", "connect"),
        subscribe=hooks.get("subscribe") or binding.absent("stream", "subscribe"),
        parse=hooks.get("parse") or binding.absent("stream", "parse"),
        fetch_ohlcv=hooks.get("fetch_ohlcv") or binding.absent("history", "fetch_ohlcv"),
        fetch_trades=hooks.get("fetch_trades"),
        list_instruments=hooks.get("list_instruments"),
        lane=hooks.get("lane", _any_lane),
        to_venue=hooks.get("to_venue", _same),
        from_venue=hooks.get("from_venue", _same),
        simulate=hooks.get("simulate"),
        code=code_of(plugin),
    )
    try:
        return attrs.evolve(adapter, description=adapter.description_for(Account()))
    except VenueError:
        return adapter  # it describes itself only to those who hold an account


def _same(text: str) -> str:
    return text


def _any_lane(_: Topic) -> Lane:
    return Lane()


def _checked(adapter: Adapter, hook: str, answer: object, expected: type[_T]) -> _T:
    if not isinstance(answer, expected):
        raise adapter.broke(f"{hook}() returned {kind_of(answer)}, not {with_article(expected.__name__)}")
    return answer

"""bind(): what is an adapter, what is not, and what each mistake is told."""

import functools
import inspect
import itertools
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import (
    Account,
    Description,
    Endpoint,
    FaultKind,
    HttpRequest,
    Lane,
    OhlcvQuery,
    OhlcvSupport,
    Page,
    PluginError,
    Timeframe,
    Topic,
    VenueError,
    hookimpl,
    hookspecs,
)
from wickwire.adapter import bind
from wickwire.binding import not_served
from wickwire.hookspecs import ADAPTER_HOOKS

MINUTE = Timeframe.parse("1m")
TOPIC = Topic("GLOW/USD", MINUTE)
QUERY = OhlcvQuery(symbol="GLOW/USD", timeframe=MINUTE, since_ns=0, until_ns=60, now_ns=60)
PARAMETERS = {hook: tuple(inspect.signature(getattr(hookspecs, hook)).parameters) for hook in ADAPTER_HOOKS}
LISTENERS = [
    hook for hook in ADAPTER_HOOKS if hook not in ("fetch_ohlcv", "fetch_trades", "list_instruments")
]


def describe(account):
    return Description(title="Lantern")


def supports_ohlcv(symbol, timeframe, account):
    return OhlcvSupport(rest=True)


def fetch_ohlcv(query, account):
    yield HttpRequest(url="https://api.lantern.example/bars")
    return Page(candles=(), covered=(0, 0))


def connect(account, topics, now_ns):
    return Endpoint(url="wss://stream.lantern.example")


def subscribe(asks, removed, memory):
    return ()


def parse(frame, memory):
    return (frame, memory)


STREAM = {"connect": connect, "subscribe": subscribe, "parse": parse}
POLLED = {"describe": describe, "supports_ohlcv": supports_ohlcv, "fetch_ohlcv": fetch_ohlcv}


def module(functions, **more):
    """A module with these functions, all marked; None leaves one out."""
    made = ModuleType("wickwire_lantern")
    for name, function in (functions | more).items():
        if function is not None:
            setattr(made, name, hookimpl(function))
    return made


def complaint(plugin):
    with pytest.raises(PluginError) as caught:
        bind("lantern", plugin, distribution="wickwire-lantern", version="0.3.1")
    assert caught.value.plugin == "lantern"
    text = str(caught.value)
    assert text.startswith("adapter 'lantern' (wickwire-lantern 0.3.1): ")
    return text.removeprefix("adapter 'lantern' (wickwire-lantern 0.3.1): ")


# ------------------------------------------------------------------------------------------- adapters


def test_history_alone_is_an_adapter():
    """Without the trio it is polled, and asking it for a stream says so."""
    adapter = bind("lantern", module(POLLED))

    assert (False, True) == (adapter.streams, adapter.serves_history)
    with pytest.raises(PluginError, match=r"it has no stream, parse\(\) does not exist"):
        adapter.parse(b"", {})


def test_a_stream_alone_is_an_adapter():
    adapter = bind("lantern", module(POLLED | STREAM, fetch_ohlcv=None))

    assert (True, False) == (adapter.streams, adapter.serves_history)
    with pytest.raises(PluginError, match=r"it has no history, fetch_ohlcv\(\) does not exist"):
        adapter.fetch_ohlcv(QUERY, Account())


def test_what_is_optional_has_a_default():
    adapter = bind("lantern", module(POLLED))

    assert (Lane(), "GLOW/USD", "GLOW/USD") == (
        adapter.lane(TOPIC),
        adapter.to_venue("GLOW/USD"),
        adapter.from_venue("GLOW/USD"),
    )
    assert [None] * 3 == [adapter.fetch_trades, adapter.list_instruments, adapter.simulate]


def test_the_description_is_asked_once_when_bound():
    """It is there before anything connects, without asking again."""
    asked = []

    def describe(account):
        asked.append(account)
        return Description(title="Lantern")

    adapter = bind("lantern", module(POLLED, describe=describe))

    assert ("Lantern", [Account()]) == (adapter.description.title, asked)


def test_a_venue_may_describe_itself_to_account_holders_only():
    """VenueError is what the hook may raise without secrets; the adapter is sound nevertheless."""

    def describe(account):
        raise VenueError(FaultKind.CREDENTIALS, "needs a key")

    assert Description(title="lantern") == bind("lantern", module(POLLED, describe=describe)).description


def test_an_instance_is_a_plugin_too():
    """Even an unhashable one, which pluggy's own per-plugin calls cannot take."""

    @attrs.define
    class Lantern:
        title: str

        @hookimpl
        def describe(self):
            return Description(title=self.title)

        @hookimpl
        def supports_ohlcv(self):
            return OhlcvSupport(rest=True)

        @hookimpl
        def fetch_ohlcv(self, query):
            yield HttpRequest(url="https://api.lantern.example/bars")
            return Page(candles=(), covered=(0, 0))

    adapter = bind("lantern", Lantern("Lantern of the coast"))

    assert adapter.description.title == "Lantern of the coast"
    assert inspect.isgenerator(adapter.fetch_ohlcv(QUERY, Account()))


def test_a_function_may_have_another_name_than_its_hook():
    plugin = module(POLLED)
    plugin.read = hookimpl(specname="parse")(parse)
    plugin.connect, plugin.subscribe = hookimpl(connect), hookimpl(subscribe)

    assert bind("lantern", plugin).parse is parse


def test_hooks_of_other_plugins_may_live_beside():
    """One module can bring an adapter and a store."""

    def open_store(url):
        return None

    assert bind("lantern", module(POLLED, open_store=open_store)).serves_history


def test_a_submodule_may_have_the_name_of_a_hook():
    plugin = module(POLLED)
    plugin.simulate = ModuleType("wickwire_lantern.simulate")

    assert bind("lantern", plugin).simulate is None


def test_a_wrapped_generator_function_is_one():
    @functools.wraps(fetch_ohlcv)
    def counted(*args, **kwargs):
        return fetch_ohlcv(*args, **kwargs)

    assert inspect.isgenerator(
        bind("lantern", module(POLLED, fetch_ohlcv=counted)).fetch_ohlcv(QUERY, Account())
    )


# ---------------------------------------------------------------------------------------------- calls


@pytest.mark.parametrize("hook", ADAPTER_HOOKS)
def test_an_implementation_with_the_parameters_of_the_hook_is_called_itself(hook):
    """Nothing stands between the session and parse()."""
    functions = POLLED | STREAM
    functions |= {name: taking(PARAMETERS[name], name) for name in ADAPTER_HOOKS if name not in functions}

    adapter = bind("lantern", module(functions))

    assert getattr(adapter, hook) is functions[hook]


def taking(names, hook):
    """A function with exactly these parameters, that returns what it got by name."""
    got = ", ".join(f"{name!r}: {name}" for name in names)
    body = "yield; return" if hook in ("fetch_ohlcv", "fetch_trades", "list_instruments") else "return"
    space: dict[str, Any] = {}
    exec(f"def {hook}({', '.join(names)}): {body} {{{got}}}", space)
    return space[hook]


SUBSETS = {
    hook: [names for size in range(len(all_) + 1) for names in itertools.permutations(all_, size)]
    for hook, all_ in PARAMETERS.items()
}


@given(st.data())
def test_a_hook_gets_the_arguments_that_it_names_in_any_order(data):
    """For each subset and permutation of the parameters, each value arrives under its own name."""
    hook = data.draw(st.sampled_from([name for name in ADAPTER_HOOKS if name != "describe"]))
    names = data.draw(st.sampled_from(SUBSETS[hook]))
    functions = POLLED | STREAM
    functions |= {name: taking(PARAMETERS[name], name) for name in ("to_venue", "from_venue")}
    adapter = bind("lantern", module(functions | {hook: taking(names, hook)}))
    values = {name: object() for name in PARAMETERS[hook]}

    answer = getattr(adapter, hook)(*values.values())
    if inspect.isgenerator(answer):
        next(answer)
        with pytest.raises(StopIteration) as stop:
            next(answer)
        answer = stop.value.value

    assert {name: values[name] for name in names} == answer


# ------------------------------------------------------------------------------------------- mistakes


def test_a_class_is_not_an_instance():
    class Lantern:
        @hookimpl
        def describe(self, account): ...

    assert complaint(Lantern) == (
        "the plugin is the class Lantern; point the entry point to a module or to an instance, Lantern()"
    )


def test_nothing_marked():
    assert complaint(ModuleType("empty")) == (
        "nothing in it is marked with @hookimpl; an adapter has at least describe(), supports_ohlcv(), "
        "and connect(), subscribe() and parse(), or fetch_ohlcv()"
    )


def test_functions_without_the_marker_are_named():
    plugin = ModuleType("wickwire_lantern")
    for name in ("describe", "supports_ohlcv", "fetch_ohlcv"):
        setattr(plugin, name, lambda: None)  # fresh ones: the marker stays on a function

    assert complaint(plugin) == (
        "describe(), supports_ohlcv() and fetch_ohlcv() lack the marker: write @hookimpl "
        "(from wickwire import hookimpl) above it, or give it another name"
    )


def test_one_function_without_the_marker_is_found_among_marked_ones():
    """It would be left out in silence, and the adapter would work without lanes."""
    plugin = module(POLLED)
    plugin.lane = lambda topic: Lane()

    assert complaint(plugin).startswith("lane() lacks the marker")


def test_a_hook_that_is_no_function():
    plugin = module(POLLED)
    plugin.parse = 5

    assert complaint(plugin) == "parse is an int; a hook is a function marked with @hookimpl"


@pytest.mark.parametrize("hook", ADAPTER_HOOKS)
def test_an_async_hook(hook):
    async def function(): ...

    text = complaint(module(POLLED | STREAM, **{hook: function}))

    assert text.startswith(f"{hook}() is async; adapters describe I/O and never do it; make it a plain ")


@pytest.mark.parametrize("hook", ["fetch_ohlcv", "parse"])
def test_an_async_generator(hook):
    async def function():
        yield 1

    assert complaint(module(POLLED | STREAM, **{hook: function})).startswith(f"{hook}() is async; ")


def test_a_keyword_only_argument():
    def parse(frame, *, memory): ...

    assert complaint(module(POLLED | STREAM, parse=parse)) == (
        "parse() takes 'memory' by keyword only; drop the * before it"
    )


def test_any_number_of_arguments():
    def parse(frame, **rest): ...

    assert complaint(module(POLLED | STREAM, parse=parse)) == (
        "parse() takes **rest; name what it needs of (frame, memory)"
    )


def test_an_unknown_argument():
    def parse(frame, memry): ...

    assert complaint(module(POLLED | STREAM, parse=parse)) == (
        "parse() takes 'memry' (did you mean 'memory'?), which it is never given; "
        "it may take any of (frame, memory)"
    )


def test_an_unknown_argument_with_a_default_would_never_be_given():
    def fetch_ohlcv(query, session=None):
        yield

    assert complaint(module(POLLED, fetch_ohlcv=fetch_ohlcv)).startswith(
        "fetch_ohlcv() takes 'session', which"
    )


def test_a_typo_in_the_name_of_a_hook():
    plugin = module(POLLED, fetch_ohlcv=None)
    plugin.fetch_ohlvc = hookimpl(fetch_ohlcv)

    assert complaint(plugin) == (
        "fetch_ohlvc() is marked with @hookimpl but no hook (did you mean 'fetch_ohlcv'?)"
    )


def test_a_missing_hook():
    assert complaint(module(POLLED, describe=None)) == (
        "describe() missing; every adapter has both of describe() and supports_ohlcv()"
    )


def test_half_a_stream():
    assert complaint(module(POLLED | STREAM, subscribe=None)) == (
        "it has connect() and parse() but not subscribe(); a stream needs all three"
    )


def test_neither_stream_nor_history():
    assert complaint(module(POLLED, fetch_ohlcv=None)).startswith("it can neither stream nor be polled; ")


@pytest.mark.parametrize(("there", "missing"), [("to_venue", "from_venue"), ("from_venue", "to_venue")])
def test_one_half_of_the_spelling(there, missing):
    plugin = module(POLLED, **{there: taking(PARAMETERS[there], there)})

    assert complaint(plugin) == (
        f"it has {there}() but not {missing}(); each undoes the other, so both are needed"
    )


@pytest.mark.parametrize("hook", ["fetch_ohlcv", "fetch_trades", "list_instruments"])
def test_a_conversation_that_is_no_generator(hook):
    """A function that merely returns another's generator says so in a line; a list is found at once."""
    assert complaint(module(POLLED, **{hook: lambda query, account: []})) == (
        f"{hook}() is no generator; it yields HttpRequests, receives HttpReplies and returns what it found. "
        f"Where another generator does the work: return (yield from other(...))"
    )


@pytest.mark.parametrize("hook", [name for name in LISTENERS if name != "connect"])
def test_a_generator_where_values_are_expected(hook):
    def function():
        yield

    assert complaint(module(POLLED | STREAM, **{hook: function})).startswith(
        f"{hook}() is a generator; only "
    )


def test_a_wrapper():
    plugin = module(POLLED)
    plugin.describe = hookimpl(wrapper=True)(taking((), "fetch_ohlcv"))
    plugin.describe.__name__ = "describe"

    assert complaint(plugin).startswith("describe() is a ")


def test_a_hook_implemented_twice():
    plugin = module(POLLED)
    plugin.describe_too = hookimpl(specname="describe")(lambda account: Description(title="Two"))

    assert complaint(plugin) == "describe() is implemented 2 times; keep one of them"


def test_a_describe_that_fails():
    def describe():
        return PARAMETERS["title"]

    assert complaint(module(POLLED, describe=describe)) == "describe() raised KeyError: 'title'"


def test_a_describe_that_returns_nonsense():
    assert complaint(module(POLLED, describe=lambda: {"title": "Lantern"})) == (
        "describe() returned a dict, not a Description"
    )


def test_looking_at_a_plugin_may_fail():
    class Lantern:
        def __dir__(self):
            raise RuntimeError("no oil")

    assert complaint(Lantern()) == "looking at it raised RuntimeError: no oil"


# --------------------------------------------------------------------------------------- how hooks evolve


def levelled(level):
    made = module(POLLED)
    made.API_LEVEL = level
    return made


def test_an_adapter_says_for_which_hooks_it_was_written():
    assert hookspecs.API_LEVEL == bind("lantern", levelled(hookspecs.API_LEVEL)).api_level
    assert bind("lantern", module(POLLED)).api_level is None, "which counts as the first"


def test_a_level_of_tomorrow_is_named_before_what_is_new_in_it():
    """Its new hook would look like a typo."""
    made = levelled(hookspecs.API_LEVEL + 1)
    made.fetch_books = hookimpl(lambda query: None, specname="fetch_books")

    assert complaint(made) == (
        f"it was written for API level {hookspecs.API_LEVEL + 1} and this wickwire has API level "
        f"{hookspecs.API_LEVEL}; upgrade wickwire"
    )


@pytest.mark.parametrize("level", [0, -1, "1", 1.0, None, True])
def test_a_level_is_a_number_from_one(level):
    assert complaint(levelled(level)).startswith(f"API_LEVEL is {level!r}; it is the number of the API level")


@pytest.mark.parametrize(("level", "served"), [(None, False), (1, False), (2, True), (3, True), (4, False)])
def test_of_levels_a_range_is_served(level, served):
    plugin = module(POLLED) if level is None else levelled(level)
    why = not_served(plugin, oldest=2, newest=3)

    assert served == (not why)
    assert served or ("upgrade wickwire" if level == 4 else "upgrade the plugin") in why


def test_who_implements_what_will_go_is_warned(monkeypatch):
    gone = DeprecationWarning("lane() goes with API level 2")
    monkeypatch.setitem(vars(hookspecs.lane)["wickwire_spec"], "warn_on_impl", gone)
    with pytest.warns(DeprecationWarning, match="lane.. goes") as told:
        bind("lantern", module(POLLED, lane=lambda topic: Lane()))

    assert [__file__] == [one.filename for one in told], "it points to the implementation"


def test_who_names_an_argument_that_will_go_is_warned_and_nobody_else(monkeypatch, recwarn):
    gone = DeprecationWarning("account goes with API level 2")
    monkeypatch.setitem(
        vars(hookspecs.supports_ohlcv)["wickwire_spec"], "warn_on_impl_args", {"account": gone}
    )
    bind("lantern", module(POLLED, supports_ohlcv=lambda symbol: OhlcvSupport(rest=True)))
    assert [] == recwarn.list

    with pytest.warns(DeprecationWarning, match="account goes"):
        bind("lantern", module(POLLED))


# ------------------------------------------------------------------------------------ what is answered


def asked(**functions):
    return bind(
        "lantern", module(POLLED | STREAM, **functions), distribution="wickwire-lantern", version="0.3.1"
    )


@pytest.mark.parametrize(
    ("functions", "text"),
    [
        ({"supports_ohlcv": lambda: None}, r"supports_ohlcv\(\) returned None, not an OhlcvSupport"),
        ({"supports_ohlcv": lambda: 1 / 0}, r"supports_ohlcv\(\) raised ZeroDivisionError"),
        (
            dict.fromkeys(STREAM) | {"supports_ohlcv": lambda: OhlcvSupport(stream=True)},
            r"promises a stream, but there is no connect, subscribe and parse",
        ),
        (
            {"fetch_ohlcv": None, "supports_ohlcv": lambda: OhlcvSupport(rest=True)},
            r"promises history, but there is no fetch_ohlcv\(\)",
        ),
    ],
)
def test_nonsense_about_support_names_the_plugin(functions, text):
    adapter = asked(**functions)

    with pytest.raises(PluginError, match=rf"^adapter 'lantern' \(wickwire-lantern 0\.3\.1\): .*{text}"):
        adapter.support_for("GLOW/USD", MINUTE, Account())


@pytest.mark.parametrize("answer", [None, Lane(alone=[])])
def test_a_lane_has_to_be_a_lane_that_can_be_compared(answer):
    with pytest.raises(PluginError, match=r"lane\(\) (returned None|raised TypeError)"):
        asked(lane=lambda: answer).lane_of(TOPIC)


def test_symbols_are_normalised_through_the_venues_spelling():
    adapter = asked(
        to_venue=lambda symbol: symbol.replace("BTC", "XBT"),
        from_venue=lambda text: text.replace("XBT", "BTC"),
    )

    assert ("BTC/USD", "BTC/USD") == (adapter.canonical("XBT/USD"), adapter.canonical("BTC/USD"))


def test_a_symbol_that_is_no_text_names_the_plugin():
    with pytest.raises(PluginError, match=r"to_venue\(\) returned None, not a str"):
        asked(to_venue=lambda: None, from_venue=lambda text: text).canonical("BTC/USD")


def test_what_a_hook_says_on_purpose_passes():
    """from_venue may refuse a spelling in the venue's words."""

    def from_venue(text):
        raise VenueError(FaultKind.SYMBOL, f"no symbol {text}")

    with pytest.raises(VenueError, match="no symbol XBT"):
        asked(to_venue=lambda symbol: symbol, from_venue=from_venue).canonical("XBT")


def test_everybody_can_name_the_plugin_that_broke_its_contract():
    error = asked().broke("parse() returned None, not events")

    assert str(error) == ("adapter 'lantern' (wickwire-lantern 0.3.1): parse() returned None, not events")
    assert "lantern" in repr(asked())

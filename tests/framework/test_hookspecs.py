"""The hookspecs and their page: a stranger finds every hook, every argument and every value there."""

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import wickwire
from scripts.hooks_page import rendered
from wickwire import (
    Account,
    PluginError,
    config,
    conversation,
    description,
    endpoint,
    errors,
    events,
    hookimpl,
    hookspecs,
    load_adapter,
)
from wickwire.adapter import bind
from wickwire.config import parse_config
from wickwire.hookspecs import ADAPTER_HOOKS, PLUGIN_HOOKS

DOCS = Path(__file__).parents[2] / "docs"
HOOKS_PAGE = (DOCS / "hooks.md").read_text()
CONFIG_PAGE = (DOCS / "configuration.md").read_text()


def sections():
    return {part.partition("\n")[0]: part for part in HOOKS_PAGE.split("\n## ")[1:]}


@pytest.mark.parametrize("hook", [*ADAPTER_HOOKS, *PLUGIN_HOOKS])
def test_every_hook_stands_in_its_section(hook):
    """With its arguments, in the order in which it is called."""
    call = f"{hook}({', '.join(inspect.signature(getattr(hookspecs, hook)).parameters)})"
    [section] = [title for title, text in sections().items() if f"`{call}`" in text]

    assert section.startswith("Adapters: ") == (hook in ADAPTER_HOOKS)


def test_the_contracts_on_the_page_are_those_of_the_hookspecs():
    """After a change of a hookspec: make pages."""
    assert HOOKS_PAGE == rendered(HOOKS_PAGE)
    listed = re.findall(r"^<!-- hooks: (.*) -->$", HOOKS_PAGE, re.MULTILINE)
    assert sorted([*ADAPTER_HOOKS, *PLUGIN_HOOKS]) == sorted(" ".join(listed).split())


def contract(hook):
    return inspect.getdoc(getattr(hookspecs, hook)) or ""


@pytest.mark.parametrize("hook", [*ADAPTER_HOOKS, *PLUGIN_HOOKS])
def test_the_contract_of_a_hook_speaks_of_every_argument_and_of_no_other(hook):
    arguments = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    text = contract(hook)
    listed = re.search(r"^Args:\n((?:    .*\n?)+)", text, re.MULTILINE)

    if listed:
        assert arguments == re.findall(r"^    (\w+): ", listed[1], re.MULTILINE)
    else:
        assert [] == [name for name in arguments if f"*{name}*" not in text]


@pytest.mark.parametrize("hook", [*ADAPTER_HOOKS, *PLUGIN_HOOKS])
def test_the_contract_of_a_hook_says_whether_it_may_answer_none(hook):
    answer = inspect.signature(getattr(hookspecs, hook)).return_annotation
    says = "Never None" if not answer.endswith("None") else "return None when" if "|" in answer else ""

    assert says in contract(hook)
    assert bool(says) == ("None" in contract(hook))


@pytest.mark.parametrize("hook", ADAPTER_HOOKS)
def test_the_contract_of_an_adapter_hook_says_that_it_is_pure(hook):
    assert re.search(r"^Pure\b", contract(hook), re.MULTILINE)


@pytest.mark.parametrize("hook", [*ADAPTER_HOOKS, *PLUGIN_HOOKS])
def test_what_a_hook_may_raise_exists(hook):
    raised = re.search(r"^Raises:\n((?:    .*\n?)+)", contract(hook), re.MULTILINE)

    for name in re.findall(r"^    (\w+): ", raised[1], re.MULTILINE) if raised else []:
        assert issubclass(getattr(errors, name), errors.WickwireError)


@pytest.mark.parametrize("hook", ADAPTER_HOOKS)
def test_a_hook_that_may_be_left_out_says_optional_and_no_other_does(hook):
    """Tried: a whole adapter without that one hook is bound, or refused by the name of the hook."""
    plugin = whole()
    pair = ("to_venue", "from_venue")  # each undoes the other
    for name in pair if hook in pair else (hook,):
        delattr(plugin, name)
    if "Optional" in contract(hook):
        bind("partial", plugin)
    else:
        with pytest.raises(PluginError, match=rf"{hook}\(\)"):
            bind("partial", plugin)


def whole():
    """Return an adapter with all hooks there are, which does nothing."""

    def function(answer=None):
        return hookimpl(lambda: answer)

    def generator():
        @hookimpl
        def conversation():
            yield

        return conversation

    plugin = ModuleType("whole")
    for hook in ADAPTER_HOOKS:
        converses = hook in ("fetch_ohlcv", "fetch_trades", "list_instruments")
        setattr(plugin, hook, generator() if converses else function())
    setattr(plugin, "describe", function(wickwire.Description(title="Whole")))  # noqa: B010 - mypy
    return plugin


def test_every_value_of_the_page_is_on_the_face():
    values = sections()["The values"]
    named = set(re.findall(r"`(\w+)`", values)) - {"wickwire", "Attributes"}

    assert len(named) > 40
    assert named <= set(wickwire.__all__)


def test_every_value_that_crosses_the_border_is_on_the_page():
    named = set(re.findall(r"`(\w+)`", sections()["The values"]))

    crossing = {*conversation.__all__, *description.__all__, *endpoint.__all__, *events.__all__}

    assert crossing - {"Conversation", "Event"} <= named


def test_the_example_works():
    [code] = re.findall(r"^```python\n(.*?)^```", HOOKS_PAGE, re.DOTALL | re.MULTILINE)
    space: dict[str, object] = {}

    exec(code, space)

    assert space["support"] == load_adapter("kraken").support_for(
        "BTC/USD", wickwire.Timeframe.parse("1m"), Account()
    )


# ---------------------------------------------------------------------------------------- configuration


def test_the_example_config_is_one_and_names_every_setting():
    [text] = re.findall(r"^```toml\n(.*?)^```", CONFIG_PAGE, re.DOTALL | re.MULTILINE)

    made = parse_config(text)

    venue = made.venue("kraken")
    assert made.series
    assert venue.limits is not None
    for value in (made, made.plugins, venue, venue.backoff, venue.limits):
        fields = {field.name for field in type(value).__attrs_attrs__} - {"source", "reply_headers"}
        assert [] == [name for name in fields if not re.search(rf"\b{name}\b", text)]


def test_the_example_messages_are_the_real_ones():
    [block] = re.findall(r"^```text\n(.*?)^```", CONFIG_PAGE, re.DOTALL | re.MULTILINE)

    for line, wrong in zip(block.splitlines(), ("limits.rest = '1/s'", "limit = 1"), strict=True):
        with pytest.raises(wickwire.ConfigError) as caught:
            config.parse_config(f"venues.kraken.{wrong}")
        assert str(caught.value).startswith(line.removesuffix("..."))

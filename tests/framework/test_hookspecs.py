"""The hookspecs and their page: a stranger finds every hook, every argument and every value there."""

import inspect
import re
from pathlib import Path

import pytest

import wickwire
import wickwire.wire
from wickwire import Account, config, hookspecs, load_adapter
from wickwire.config import parse_config
from wickwire.hookspecs import ADAPTER_HOOKS, PLUGIN_HOOKS, REQUIRED_HOOKS, STREAM_HOOKS

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


@pytest.mark.parametrize("hook", [*ADAPTER_HOOKS, *PLUGIN_HOOKS])
def test_every_hook_is_a_contract(hook):
    """Its docstring says what is returned, or refers to the hook that says it."""
    text = inspect.getdoc(getattr(hookspecs, hook)) or ""

    assert re.search(r"\b(Return|Say|Bring|Make|Add)\b", text)
    assert (
        hook in PLUGIN_HOOKS
        or hook in REQUIRED_HOOKS
        or "Optional" in text
        or hook
        in (
            *STREAM_HOOKS,
            "fetch_ohlcv",
        )
    )


def test_every_value_of_the_page_is_on_the_face():
    values = sections()["The values"]
    named = set(re.findall(r"`(\w+)`", values)) - {"wickwire", "Attributes"}

    assert len(named) > 40
    assert named <= set(wickwire.__all__)


def test_every_value_that_crosses_the_border_is_on_the_page():
    named = set(re.findall(r"`(\w+)`", sections()["The values"]))

    assert set(wickwire.wire.__all__) - {"Conversation", "Event"} <= named


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

"""The config says what is wrong by file, key and reason, and never shows a secret."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import Account, ConfigError, Limits, Rate, Rung, Series
from wickwire.config import Config, PluginsConfig, VenueConfig, parse_config, read_config
from wickwire.retry import Backoff

WHOLE = """
series = ["kraken:BTC/USD@1m", "yahoo:AAPL@1d"]
store = "sqlite:candles.db"

[plugins]
allow = ["kraken", "yahoo", "sqlite", "lantern"]
deny = ["dxlink"]
local = { lantern = "adapters/lantern.py" }

[venues.kraken]
environment = "demo"
plan = "pro"
secrets = { key = "env:KRAKEN_KEY" }
limits = { connections = 1, rest = { amount = 1, per_s = 2 } }
redirects = { "wss://ws.kraken.com" = "ws://127.0.0.1:8080", "https://api.kraken.com" = "http://[::1]:81" }
backoff = { first_s = 1, cap_s = 90, factor = 3 }
pins = { "kraken:BTC/USD@1m" = "poll" }
"""


def complaint(text):
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert str(caught.value).startswith("wickwire.toml: ")
    return str(caught.value).removeprefix("wickwire.toml: ")


def test_every_setting_has_its_place():
    config = parse_config(WHOLE, folder=Path("/etc"))

    btc = Series.parse("kraken:BTC/USD@1m")
    assert config == Config(
        series=(btc, Series.parse("yahoo:AAPL@1d")),
        store="sqlite:candles.db",
        plugins=PluginsConfig(
            allow=("kraken", "yahoo", "sqlite", "lantern"),
            deny=("dxlink",),
            local={"lantern": Path("/etc/adapters/lantern.py")},
        ),
        venues={
            "kraken": VenueConfig(
                environment="demo",
                plan="pro",
                secrets={"key": "env:KRAKEN_KEY"},
                limits=Limits(connections=1, rest=Rate(1, 2.0)),
                redirects={
                    "wss://ws.kraken.com": "ws://127.0.0.1:8080",
                    "https://api.kraken.com": "http://[::1]:81",
                },
                backoff=Backoff(first_s=1, cap_s=90, factor=3),
                pins={btc: Rung.POLL},
            )
        },
        source="wickwire.toml",
    )
    assert {btc: Rung.POLL} == config.pins
    assert set(config.redirects) == {"wss://ws.kraken.com", "https://api.kraken.com"}


def test_an_empty_file_is_a_config():
    assert Config(source="wickwire.toml") == parse_config("")
    assert VenueConfig() == parse_config("").venue("kraken")


def test_relative_paths_start_at_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[plugins.local]\nlantern = "lantern.py"')

    assert {"lantern": tmp_path / "lantern.py"} == read_config(path).plugins.local


# ----------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("serie = []", "serie: there is no such setting (did you mean 'series'?); there are series, "),
        ("source = 'x'", "source: there is no such setting"),
        ("store = 5", "store: expected str, got int"),
        ("series = 'kraken:BTC/USD@1m'", "series: expected an array, got a str"),
        ("series = ['kraken:BTC/USD@1m', 'x']", "series[1]: not a series: 'x'; write venue:symbol@what"),
        ("series = ['kraken:BTC/USD@7x']", "series[0]: not a series: 'kraken:BTC/USD@7x'"),
        ("plugins = []", "plugins: expected a table, got a list"),
        ("plugins.allow = [5]", "plugins.allow[0]: expected str, got int"),
        ("plugins.local = { Lan-tern = 'x.py' }", "plugins.local.Lan-tern: expected lower-case letters"),
        ("venues.kraken = 5", "venues.kraken: expected a table, got an int"),
        ("venues.'a b' = {}", 'venues."a b": expected lower-case letters'),
        ("store = ''", "store: is empty; write sqlite:wickwire.db or memory:"),
        ("venues.x.limit = {}", "venues.x.limit: there is no such setting (did you mean 'limits'?)"),
        ("venues.x.limits.rest = '1/s'", "venues.x.limits.rest: expected a table, got a str"),
        ("venues.x.limits.rest = {}", "venues.x.limits.rest: needs amount"),
        ("venues.x.limits.rest.amount = 0", "venues.x.limits.rest: 'amount' must be > 0: 0"),
        ("venues.x.limits.rest.amount = 1.5", "venues.x.limits.rest.amount: expected int, got float"),
        ("venues.x.limits.connections = true", "venues.x.limits.connections: expected int, got bool"),
        ("venues.x.limits.connections = 0", "venues.x.limits: 'connections' must be > 0: 0"),
        ("venues.x.limits.reply_headers = ['a']", "venues.x.limits.reply_headers: is the venue's to say"),
        ("venues.x.backoff.first_s = 'soon'", "venues.x.backoff.first_s: expected float, got str"),
        ("venues.x.backoff.cap_s = inf", "venues.x.backoff.cap_s: expected a finite number, got inf"),
        ("venues.x.backoff.cap_s = 0.1", "venues.x.backoff: Backoff.cap_s must be at least first_s"),
        (
            "venues.x.pins = { 'x:A@1m' = 'fast' }",
            'venues.x.pins."x:A@1m": expected one of stream, resample, build, poll, refuse, got \'fast\'',
        ),
        ("venues.x.pins = { 'A@1m' = 'poll' }", "venues.x.pins.\"A@1m\": not a series: 'A@1m'"),
        ("venues.x.pins = { 'y:A@1m' = 'poll' }", 'venues.x.pins."y:A@1m": belongs under [venues.y.pins]'),
        ("x = ", "is not TOML: Invalid value"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_file_key_and_reason(text, error):
    assert complaint(text).startswith(error)


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("wss://a.example", "ws://10.0.0.1:80", "expected a loopback address"),
        ("wss://a.example", "ws://localhost:80", "expected a loopback address"),
        ("wss://a.example", "ws://127.0.0.1.evil.example", "expected a loopback address"),
        ("https://a.example", "http://[::2]", "expected a loopback address"),
        ("https://a.example", "wss://b.example", "expected https or http, got 'wss://b.example'"),
        ("wss://a.example/v2", "wss://b.example", "expected an origin such as"),
        ("wss://a.example", "wss://user:word@b.example", "expected an origin such as"),
        ("wss://a.example", "ftp://127.0.0.1", "expected an origin such as"),
        ("a.example", "wss://b.example", "expected an origin such as"),
        ("wss://a.example", "ws://127.0.0.1:port", "expected an origin such as"),
    ],
)
def test_a_redirect_without_encryption_goes_to_this_machine_only(source, target, reason):
    """And by number: a name could come to mean another machine."""
    text = f"[venues.x.redirects]\n'{source}' = '{target}'"

    assert complaint(text).startswith(f'venues.x.redirects."{source}": {reason}')


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("wss://a.example", "ws://127.8.0.1:9"),
        ("wss://a.example:444", "wss://b.example"),
        ("https://a.example", "http://[::1]:8080"),
    ],
)
def test_a_redirect_may_go_to_loopback_or_stay_encrypted(source, target):
    assert {source: target} == parse_config(f"[venues.x.redirects]\n'{source}' = '{target}'").redirects


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"mine\.toml: there is no such file"):
        read_config(tmp_path / "mine.toml")


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"store = '\xe9'")

    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        read_config(tmp_path)
    with pytest.raises(ConfigError, match=r"latin\.toml: cannot be read: 'utf-8' codec"):
        read_config(tmp_path / "latin.toml")


KEYS = ["series", "store", "plugins", "local", "allow", "venues", "x", "limits", "rest", "pins", "secrets"]
ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("aenv:x@1m/", max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(["venues", "plugins", "series", "venues.x.limits"]), ITEMS)
def test_whatever_is_written_is_a_config_or_a_config_error(key, value):
    """No shape of TOML raises anything else."""

    def toml(item):
        match item:
            case bool():
                return str(item).lower()
            case None:
                return "1979-05-27"
            case dict():
                return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in item.items()) + "}"
            case list():
                return "[" + ", ".join(map(toml, item)) + "]"
            case _:
                return repr(item)

    try:
        made: Config | ConfigError = parse_config(f"{key} = {toml(value)}")
    except ConfigError as exc:
        made = exc

    assert isinstance(made, Config) or f"wickwire.toml: {key}" in str(made)


# ---------------------------------------------------------------------------------------------- secrets

SECRET = "venues.kraken.secrets.key = 'env:KRAKEN_KEY'"


def test_secrets_come_from_the_environment():
    account = parse_config(WHOLE).account("kraken", {"KRAKEN_KEY": "hush"})

    assert account == Account(
        environment="demo",
        plan="pro",
        secrets={"key": "hush"},
        limits=Limits(connections=1, rest=Rate(1, 2.0)),
    )
    assert "hush" not in repr(account)


def test_a_secret_that_the_config_does_not_name_has_a_usual_variable():
    environ = {"WICKWIRE_KRAKEN_SECRET": "hush", "WICKWIRE_KRAKEN_KEY": "loud", "WICKWIRE_KRAKEN_TOKEN": ""}
    environ |= {"WICKWIRE_YAHOO_KEY": "other", "WICKWIRE_KRAKEN_": "none", "KRAKEN_KEY": "named"}

    assert {"key": "loud", "secret": "hush"} == Config().account("kraken", environ).secrets
    account = parse_config(SECRET).account("kraken", environ)
    assert {"key": "named", "secret": "hush"} == account.secrets
    assert {"key": "KRAKEN_KEY", "secret": "WICKWIRE_KRAKEN_SECRET"} == account.variables
    assert "hush" not in repr(account)


@pytest.mark.parametrize("environ", [{}, {"KRAKEN_KEY": ""}])
def test_a_missing_variable_is_named_with_its_venue(environ):
    """Only when the venue is used: the others work without."""
    config = parse_config(SECRET)

    assert Account() == config.account("yahoo", environ)
    with pytest.raises(ConfigError) as caught:
        config.account("kraken", environ)
    assert str(caught.value) == (
        "wickwire.toml: venues.kraken.secrets.key: the environment variable KRAKEN_KEY is not set; "
        "venue 'kraken' needs it"
    )


@pytest.mark.parametrize("value", ["hush", "env:", "env:A B", "KRAKEN_KEY", "env:A\n"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(value):
    error = complaint(f"venues.kraken.secrets.key = {json.dumps(value)}")

    assert error.startswith("venues.kraken.secrets.key: expected env:NAME, ")
    assert value not in error.replace("env:NAME", "")

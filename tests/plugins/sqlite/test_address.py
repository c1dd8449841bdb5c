"""Which addresses mean a SQLite file, and which file that is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import ConfigError
from wickwire_sqlite import SqliteStore, open_store
from wickwire_sqlite.address import Address, parse_address


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:wickwire.db", "wickwire.db"),
        ("sqlite:data/candles", "data/candles"),
        ("sqlite:./wickwire.db", "wickwire.db"),
        ("sqlite:../wickwire.db", "../wickwire.db"),
        ("sqlite:/var/lib/wickwire.db", "/var/lib/wickwire.db"),
        ("sqlite:///var/lib/wickwire.db", "/var/lib/wickwire.db"),
        ("sqlite:////var/lib/wickwire.db", "/var/lib/wickwire.db"),
        ("SQLite:wickwire.db", "wickwire.db"),
        ("sqlite:my%20candles%3F.db", "my candles?.db"),
        ("sqlite:100%.db", "100%.db"),
        ("sqlite:a#b;c'.db", "a#b;c'.db"),
        ("sqlite:~/wickwire.db", str(Path.home() / "wickwire.db")),
    ],
)
def test_an_address_names_one_file(url, path):
    assert Address(path=Path(path)) == parse_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "memory:",
        "memory",
        "postgresql://host/db",
        "redis:",
        "file:wickwire.db",
        "wickwire.db",
        "/x/y.db",
        "C:/x.db",
        "wickwire",
        "x/y",
        "",
        "sqlite",
    ],
)
def test_other_addresses_are_left_to_other_plugins(url):
    assert parse_address(url) is None
    assert open_store(url) is None


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("sqlite::memory:", "is written memory:"),
        ("sqlite:", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:data/", "names no file"),
        ("sqlite:.", "names no file"),
        ("sqlite:data/..", "names no file"),
        ("sqlite://host/wickwire.db", "without a host"),
        ("sqlite://wickwire.db", "without a host"),
        ("sqlite:a%00b.db", "control characters"),
        ("sqlite:a%0Ab.db", "control characters"),
        ("sqlite:w.db?mode=rwc", "mode is rw or ro, not 'rwc'"),
        ("sqlite:w.db?mode=", "mode is rw or ro"),
        ("sqlite:w.db?cache=shared", "no option 'cache'"),
        ("sqlite:w.db?synchronous=off", "synchronous is full or normal"),
        ("sqlite:w.db?executor=process", "executor is thread or inline"),
    ],
)
def test_a_wrong_address_is_refused_with_a_next_step(url, hint):
    with pytest.raises(ConfigError) as refusal:
        open_store(url)

    assert repr(url) in str(refusal.value)
    assert hint in str(refusal.value)


@pytest.mark.parametrize(
    ("query", "address"),
    [
        ("mode=ro", Address(path=Path("w.db"), readonly=True)),
        ("mode=rw", Address(path=Path("w.db"))),
        ("synchronous=normal", Address(path=Path("w.db"), power_safe=False)),
        ("executor=inline", Address(path=Path("w.db"), inline=True)),
        ("mode=ro&executor=inline", Address(path=Path("w.db"), readonly=True, inline=True)),
    ],
)
def test_options_follow_a_question_mark(query, address):
    assert address == parse_address(f"sqlite:w.db?{query}")


def test_making_a_store_opens_nothing(tmp_path):
    """Files are touched by `Store.open`, when a collector starts."""
    assert isinstance(open_store(f"sqlite:{tmp_path}/wickwire.db"), SqliteStore)
    assert list(tmp_path.iterdir()) == []


@given(st.text())
def test_any_text_is_an_address_or_a_config_error_or_somebody_elses(text):
    for url in (text, f"sqlite:{text}"):
        try:
            address = parse_address(url)
        except ConfigError:
            continue
        assert address is None or address.path.name


@pytest.mark.parametrize(
    "url", ["sqlite://ada:hunter2@db.example/w.db", "sqlite:w.db?password=hunter2", "sqlite://hunter2@/"]
)
def test_what_is_refused_shows_no_password(url):
    """Who mistakes the file for a server writes one."""
    with pytest.raises(ConfigError) as caught:
        parse_address(url)

    assert "hunter2" not in str(caught.value)
    assert "sqlite:" in str(caught.value)

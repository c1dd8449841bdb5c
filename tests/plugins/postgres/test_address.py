"""Which addresses mean a schema of PostgreSQL, and which one that is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import ConfigError
from wickwire_postgres import PostgresStore, open_store
from wickwire_postgres.address import DAY_NS, Address, parse_address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://", Address(shown="")),
        ("postgresql://h/db", Address(shown="", hosts=("h",), ports=(5432,), database="db")),
        ("Postgres://h:5433/db", Address(shown="", hosts=("h",), ports=(5433,), database="db")),
        (
            "postgres://u:p@h/db",
            Address(shown="", hosts=("h",), ports=(5432,), user="u", password="p", database="db"),
        ),
        (
            "postgres://u%40x:p%2F%3F%23%25:@[::1]:6/my%20db",
            Address(shown="", hosts=("::1",), ports=(6,), user="u@x", password="p/?#%:", database="my db"),
        ),
        (
            "postgres://u:p@ss/w@h/db",
            Address(shown="", hosts=("h",), ports=(5432,), user="u", password="p@ss/w", database="db"),
        ),
        ("postgres://a,b:7/db", Address(shown="", hosts=("a", "b"), ports=(5432, 7), database="db")),
        (
            "postgres:///db?host=/var/run&user=u",
            Address(shown="", hosts=("/var/run",), ports=(5432,), user="u", database="db"),
        ),
        (
            "postgres://%2Fvar%2Frun/db?port=7",
            Address(shown="", hosts=("/var/run",), ports=(7,), database="db"),
        ),
    ],
)
def test_an_address_names_servers_and_a_database(url, expected):
    address = parse_address(url)

    assert address is not None
    for name in ("hosts", "ports", "user", "password", "database", "schema"):
        assert getattr(expected, name) == getattr(address, name), name


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("schema=desk_2", "schema", "desk_2"),
        ("mode=ro", "readonly", True),
        ("synchronous=normal", "power_safe", False),
        ("password=a+b%20c", "password", "a+b c"),
        ("retention=400d", "retention_ns", 400 * DAY_NS),
        ("compress_after=7d", "compress_after_ns", 7 * DAY_NS),
        ("timescale=off", "timescale", False),
        ("sslmode=require&sslrootcert=/ca.pem", "tls", {"sslmode": "require", "sslrootcert": "/ca.pem"}),
    ],
)
def test_options_follow_a_question_mark(query, name, value):
    address = parse_address(f"postgresql://h/db?{query}")

    assert value == getattr(address, name)
    assert getattr(Address(shown=""), name) != value


@pytest.mark.parametrize("url", ["memory:", "sqlite:w.db", "redis://h", "postgresql", "", "x/postgres:"])
def test_other_addresses_are_left_to_other_plugins(url):
    assert parse_address(url) is None
    assert open_store(url) is None


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("postgresql:db", "write postgresql://user@host/database"),
        ("postgresql://h:99999/db", "is no port"),
        ("postgresql://h:0/db", "is no port"),
        ("postgresql://h,/db", "empty host"),
        ("postgresql://h/db#x", "is written %23"),
        ("postgresql://h/a%0Ab", "control characters"),
        ("postgresql://h/db?schema=a%00b", "control characters"),
        ("postgresql://h/db?shema=x", "no option 'shema'"),
        ("postgresql://h/db?mode=rwc", "mode is rw or ro, not 'rwc'"),
        ("postgresql://h/db?sslmode=on", "sslmode is disable or"),
        ("postgresql://h/db?retention=1y", "a number of days such as 400d, not '1y'"),
        ("postgresql://h/db?retention=0d", "a number of days"),
        ("postgresql://h/db?schema=", "no plain name"),
        ("postgresql://h/db?schema=Desk", "no plain name"),
        ("postgresql://h/db?schema=pg_x", "no plain name"),
        ('postgresql://h/db?schema=a"; DROP', "no plain name"),
        ("postgresql://a,b,c/db?port=1,2", "2 ports for 3 hosts"),
    ],
)
def test_a_wrong_address_is_refused_with_a_next_step(url, hint):
    with pytest.raises(ConfigError) as refusal:
        open_store(url)

    assert f"store {url!r}: " in str(refusal.value)
    assert hint in str(refusal.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter2@h/db",
        "postgresql://ada:hun?hunter2@h/db",
        "postgresql://ada:hun#hunter2@h/db",
        "postgresql://ada:hun/hunter2@h/db",
        "postgresql://ada:1?hunter2@h/db",
        "postgresql://ada:hunter2/db",
        "postgresql://ada:hunter2",
        "postgresql://ada:1/hun?hunter2@h/db",
        "postgresql://ada:hun?schema=hunter2@h/db",
        "postgresql://ada:hun?x=1&retention=hunter2@h/db",
        "postgresql://h/db?password=hunter2",
        "postgresql://h/db?sslpassword=hunter2",
        "postgresql://h:x/db?password=hunter2",
        "postgresql://ada:hunter2@h/db?nonsense=1",
    ],
)
def test_nobody_is_shown_a_password(url):
    """Nor what may be one, where '@host' was forgotten or a '?' is not escaped."""
    try:
        seen = repr(open_store(url)) + repr(parse_address(url))
    except ConfigError as exc:
        seen = str(exc)

    assert "postgresql:" in seen
    assert "hunter2" not in seen


def test_making_a_store_connects_to_nothing():
    assert isinstance(open_store("postgresql://nowhere.invalid/db"), PostgresStore)


@given(st.text())
def test_any_text_is_an_address_or_a_config_error_or_somebody_elses(text):
    for url in (text, f"postgresql:{text}", f"postgresql://{text}", f"postgresql://h/db?{text}"):
        try:
            address = parse_address(url)
        except ConfigError:
            continue
        assert address is None or len(address.hosts) == len(address.ports)

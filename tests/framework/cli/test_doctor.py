"""`doctor`: what is wrong, and what to do about it."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest


def of_the_store(found):
    return [(one["state"], one["text"]) for one in found if one["what"] == "store"]


@pytest.fixture
def damaged(collected, shell):
    """Return a function that damages a copy of a sound store by SQL."""
    path = shell.folder / "wickwire.db"
    shutil.copy(collected.folder / "wickwire.db", path)

    def damage(statement):
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(statement)

    return damage


def test_a_sound_store_says_what_it_holds(collected):
    [(state, text)] = of_the_store(collected.json("doctor"))

    assert state == "ok"
    assert "it holds 2 series of simulated venues, seed 1, all sound" in text


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP TABLE superseded", "the table 'superseded' is missing"),
        ("DROP TABLE closed", "the table 'closed' is missing"),
        ("UPDATE closed SET close = 'garbage'", "@1m is damaged: ("),
        ("DELETE FROM series WHERE symbol = 'AAPL'", ", which is not there"),
    ],
)
def test_a_half_destroyed_store_is_bad_and_the_next_step_is_told(shell, damaged, statement, said):
    damaged(statement)

    found = of_the_store(shell.json("doctor", status=1))

    assert {"bad"} == {state for state, _ in found}
    assert said in found[0][1]
    assert "restore a copy, or move it away" in found[-1][1]


def test_a_truncated_store_is_bad_and_the_next_step_is_told(shell, damaged):
    damaged("VACUUM")
    path = shell.folder / "wickwire.db"
    os.truncate(path, path.stat().st_size // 2)

    found = of_the_store(shell.json("doctor", status=1))

    assert {"bad"} == {state for state, _ in found}
    assert "move it away" in found[-1][1]


@pytest.mark.parametrize("url", ["sqlite:new.db", "sqlite:with%20blank.db", "sqlite:~/new.db"])
def test_looking_leaves_no_file_behind(shell, url):
    shell.environment["HOME"] = str(shell.folder)
    [(state, text)] = of_the_store(shell.json("doctor", "--store", url))

    assert (state, text) == ("ok", f"{url} can be written; it holds nothing yet")
    assert shell.files() == []


def test_the_variables_that_a_venue_lacks_are_a_note(shell):
    for name in [name for name in shell.environment if name.startswith("WICKWIRE_")]:
        del shell.environment[name]
    shell.environment["WICKWIRE_ALPACA_KEY"] = "k"
    found = {one["what"]: one for one in shell.json("doctor", "--store", "memory:")}

    assert "note" == found["secrets of alpaca"]["state"]
    assert "set WICKWIRE_ALPACA_SECRET, or name" in found["secrets of alpaca"]["text"]
    assert "WICKWIRE_DXLINK_REFRESH_TOKEN" in found["secrets of dxlink"]["text"]
    assert "secrets of kraken" not in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[venues.kraken]\nenvironment = 'bets'",
            "venues.kraken.environment: Kraken has no environment 'bets'",
        ),
        ("[venues.kraken.limits]\nrest = { amount = 100 }", "venues.kraken.limits"),
        (
            "[venues.kraken.redirects]\n'wss://ws.krakne.com' = 'ws://127.0.0.1:1'",
            "did you mean wss://ws.kraken.com?",
        ),
        (
            "[venues.alpaca.secrets]\nkeys = 'env:PATH'",
            "venues.alpaca.secrets.keys: Alpaca takes no such secret",
        ),
    ],
)
def test_what_the_config_says_wrongly_of_a_venue_is_bad(shell, text, said):
    (shell.folder / "c.toml").write_text(text)

    findings = shell.json("doctor", "--config", "c.toml", status=1)

    [bad] = [one["text"] for one in findings if one["state"] == "bad" and one["what"].startswith("config of")]
    assert bad.startswith("c.toml: ")
    assert said in bad

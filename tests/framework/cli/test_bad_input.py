"""Whatever is wrong: one line that names it, the right exit status, no traceback, nothing half-written."""

import re
import socket
import sqlite3
import threading
from contextlib import closing

import pytest

from tests.framework.cli.conftest import FAST

SERIES = "kraken:BTC/USD@1m"
NOWHERE = (
    "--redirect",
    "wss://ws.kraken.com=ws://127.0.0.1:1",
    "--redirect",
    "https://api.kraken.com=http://127.0.0.1:1",
)


@pytest.mark.parametrize(
    ("arguments", "status", "phrase"),
    [
        (["plan", "nope:BTC/USD@1m"], 2, "there is no adapter 'nope'"),
        (["plan", "kraken:BTC/USD@13m"], 3, ""),
        (["plan", "kraken:BTC/USD"], 2, "write venue:symbol@what"),
        (["plan", "kraken:BTC/USD@1x"], 2, "not a timeframe: '1x'"),
        (["plan", ":@"], 2, "not a series"),
        (["plan"], 2, "which series?"),
        (["plan", "krakn:BTC/USD@1m"], 2, "did you mean 'kraken'?"),
        (["plan", "kraken:BTC/USD@1M"], 2, "did you mean '1mo', months, or '1m', minutes?"),
        (["plan", "kraken:BTC/USD@15mins"], 2, "did you mean '15m'?"),
        (["plan", "kraken:BTC/USD@trade"], 2, "did you mean '@trades'?"),
        (["colect"], 2, "there is no command 'colect' (did you mean 'collect'?)"),
        (["collect", SERIES, "--store", "", "--for", "1s"], 2, "store '' has no scheme"),
        (
            ["collect", SERIES, "--store", "sqlite:///proc/x.db", "--for", "1s"],
            1,
            "no file can be made in '/proc'",
        ),
        (["plan", "yahoo:no such@1m"], 2, "the symbol 'no such'"),
        (["collect", SERIES, "--for", "soon"], 2, "not a duration: 'soon'"),
        (["collect", SERIES, "--since", "soon"], 2, "not an instant: 'soon'"),
        (["collect", SERIES, "--speed", "60"], 2, "real venues cannot be hurried"),
        (["collect", SERIES, "--speed", "0", "--simulate"], 2, "--speed"),
        (["collect", SERIES, "--seed", "1"], 2, "--seed"),
        (["demo", "--live", "--speed", "10"], 2, "--speed: with --live the venues are real"),
        (["demo", "--live", "--seed", "1"], 2, "--seed: with --live the venues are real"),
        (["demo", "--store", "memory:"], 2, "name a file, sqlite:demo.db"),
        (
            ["collect", SERIES, "yahoo:AAPL@1m", *NOWHERE, "--at", "1h", "--speed", "60", "--for", "1s"],
            2,
            "--at and --speed: no real venue is asked then, but yahoo:AAPL@1m would be, as no redirect leads",
        ),
        (
            ["backfill", "yahoo:AAPL@1m", *NOWHERE, "--since", "1d", "--seed", "1"],
            2,
            "--seed: no real venue is asked then, but yahoo:AAPL@1m would be",
        ),
        (
            ["collect", SERIES, "--redirect", "wss://ws.kraken.co=ws://127.0.0.1:1", "--seed", "1"],
            2,
            "--redirect wss://ws.kraken.co: nothing goes there (did you mean wss://ws.kraken.com?)",
        ),
        (
            ["collect", SERIES, "--simulate", "--replay", "x"],
            2,
            "x: no such file; `wickwire record` makes one",
        ),
        (["collect", SERIES, "--simulate", *NOWHERE], 2, "--redirect"),
        (
            ["collect", SERIES, "--redirect", "wss://ws.kraken.com=ws://example.com", "--for", "1s"],
            2,
            "ws://",
        ),
        (
            ["collect", SERIES, "--redirect", "wss://ws.kraken.co=ws://127.0.0.1:1", "--for", "1s"],
            2,
            "--redirect wss://ws.kraken.co: nothing goes there (did you mean wss://ws.kraken.com?)",
        ),
        (
            ["backfill", SERIES, "--since", "1h", "--redirect", "https://api.krakn.com=http://127.0.0.1:1"],
            2,
            "did you mean https://api.kraken.com?",
        ),
        (["collect", SERIES, "--store", "nonsense", "--for", "1s"], 2, "store 'nonsense' has no scheme"),
        (["collect", SERIES, "--store", "oracle:x", "--for", "1s"], 2, "no plugin takes 'oracle'"),
        (
            ["collect", SERIES, "--store", "sqlite:gone/x.db", "--for", "1s"],
            1,
            "there is no directory 'gone'",
        ),
        (["collect", SERIES, "--store", "sqlite:.", "--for", "1s"], 2, "it names no file"),
        (["collect", SERIES, "--config", "gone.toml"], 2, "gone.toml: there is no such file; write it, or"),
        (["collect", SERIES, "--record", "gone/x.jsonl", "--for", "1s"], 2, "gone/x.jsonl"),
        (["gaps", SERIES], 1, "there is no such file; `wickwire collect` or `wickwire backfill` makes it"),
        (["gaps"], 1, "there is no such file"),
        (["gaps", SERIES, "--store", "nonsense"], 2, "store 'nonsense' has no scheme"),
        (
            ["backfill", SERIES, "--simulate", "--since", "1d", "--until", "2d"],
            2,
            "there is nothing between them",
        ),
        (["backfill", SERIES, "--since", "2100-01-01"], 2, "--since 2100-01-01T00:00:00Z lies in the future"),
        (["backfill", SERIES, "--since", "2100-01-01", "--simulate"], 2, "lies in the future"),
        (["collect", SERIES, "--since", "2100-01-01", "--for", "1s"], 2, "lies in the future"),
        (["collect", SERIES, "--until", "1h", "--for", "1s"], 2, "is over already; `wickwire backfill`"),
        (["collect", SERIES, "--at", "2020-01-01", "--for", "1s"], 2, "real venues live now"),
        (["record", SERIES, "x.jsonl", "--since", "2100-01-01", "--for", "1s"], 2, "lies in the future"),
        (["export", SERIES], 1, "there is no such file; `wickwire collect` or"),
        (["replay", "gone.jsonl"], 2, "gone.jsonl: no such file"),
        (["simulate", "nope"], 2, "there is no adapter 'nope'"),
        (["record", SERIES, "yahoo:AAPL@1m", "x.jsonl"], 2, "one file holds one venue"),
        (["backfill", SERIES], 2, "--since"),
        (["backfill", "kraken:BTC/USD@trades", "--since", "1d"], 2, "only candles have a history"),
    ],
)
def test_wrong_input_is_one_line(shell, arguments, status, phrase):
    done = shell.run(*arguments, status=status)

    assert phrase in done.stderr
    if arguments[0] != "plan" or status != 3:
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
    assert shell.files() == []


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("[", "is not TOML"),
        ("stroe = 'x'", "stroe"),
        ("store = 3", "store"),
        ("series = ['kraken']", "series"),
        ("[venues.kraken.secrets]\nkey = 'hunter2'", "env:NAME"),
        ("[venues.kracken]\n", "venues.kracken: there is no adapter 'kracken' (did you mean 'kraken'?)"),
        (
            "series = ['karken:BTC/USD@1m']",
            "series[0]: there is no adapter 'karken' (did",
        ),
        (
            "[venues.kraken.limits]\ntopics_per_connection = 1000",
            "c.toml: venues.kraken.limits.topics_per_connection: 1000 is more than",
        ),
        (
            '[venues.kraken.redirects]\n"wss://ws.kraken.co" = "ws://127.0.0.1:1"',
            'venues.kraken.redirects."wss://ws.kraken.co": nothing goes there (did you mean wss://ws.kraken.com?)',
        ),
        (
            "[plugins]\nallow = ['kraken', 'sqlitee']",
            "plugins.allow[1]: there is no plugin 'sqlitee' (did you mean 'sqlite'?)",
        ),
        ("[plugins]\ndeny = ['yaho']", "plugins.deny[0]: there is no plugin 'yaho' (did you mean 'yahoo'?)"),
        ("store = 'foo'", "c.toml: store: 'foo' has no scheme"),
        (
            "[venues.kraken.secrets]\nkey = 'env:NOPE_KEY'",
            "error: c.toml: venues.kraken.secrets.key: the environment variable NOPE_KEY is not set",
        ),
        (
            "series = ['alpaca.iex:AAPL@1m']\n[venues.alpaca.secrets]\napi_key = 'env:NOPE_KEY'",
            "alpaca.secrets.api_key: Alpaca takes no such secret (did you mean 'key'?); it takes key and",
        ),
        (
            "series = ['alpaca.iex:AAPL@1m']\n[venues.alpaca.secrets]\nsecrte = 'env:NOPE_KEY'",
            "takes no such secret (did you mean 'secret'?)",
        ),
        (
            "[venues.kraken]\nenvironment = 'prodution'",
            "venues.kraken.environment: Kraken has no environment 'prodution' (did you mean 'production'",
        ),
    ],
)
def test_a_broken_config_names_file_and_key(shell, text, phrase):
    (shell.folder / "c.toml").write_text(text)

    wanted = () if text.startswith("series = ['alpaca") else (SERIES,)
    done = shell.run("plan", *wanted, "--config", "c.toml", status=2)

    assert "c.toml" in done.stderr
    assert phrase in done.stderr
    assert "hunter2" not in done.stderr


def test_what_is_allowed_or_denied_and_not_installed_is_no_error_but_noted(shell):
    """The same config may serve a machine where it is."""
    (shell.folder / "c.toml").write_text("[plugins]\ndeny = ['somebodys_venue']")

    findings = {row["what"]: row for row in shell.json("doctor", "--config", "c.toml")}

    assert findings["plugin somebodys_venue"]["state"] == "note"


def test_a_redirect_far_from_any_address_is_taken(shell):
    """Where a venue is, some adapters only learn from the venue."""
    (shell.folder / "c.toml").write_text(
        '[venues.kraken.redirects]\n"wss://eu.kraken.com" = "ws://127.0.0.1:1"'
    )

    shell.run("plan", SERIES, "--config", "c.toml")


def test_an_output_in_no_directory_is_named_with_what_to_do(collected):
    done = collected.run("export", "-o", "out/x.csv", status=2)

    assert done.stderr == "error: output 'out/x.csv': there is no directory 'out'; create it\n"


def test_a_store_in_the_config_that_is_none_is_named_by_file_and_key(shell):
    (shell.folder / "c.toml").write_text("store = 'candles.db'")

    done = shell.run("gaps", SERIES, "--config", "c.toml", status=2)

    assert "c.toml: store: 'candles.db' has no scheme" in done.stderr


@pytest.mark.parametrize(
    "series", ["kraken:BTC/USD@7m", "kraken:BTC/USD@1s", "kraken:FOO@1m", "yahoo:AAPL@7m", "yahoo:A/B/C@1m"]
)
def test_a_refusal_names_the_venue_once(shell, series):
    [row] = shell.json("plan", series, status=3)

    assert row["why"].count("Kraken") + row["why"].count("Yahoo") == 1


def test_a_local_plugin_that_is_no_python_is_named_by_file_and_line(shell):
    (shell.folder / "lantern.py").write_text("def parse(:\n    pass\n")
    (shell.folder / "c.toml").write_text("[plugins.local]\nlantern = 'lantern.py'\n")

    [row] = [one for one in shell.json("adapters", "--config", "c.toml") if one["name"] == "lantern"]

    assert row["reason"] == "importing it raised SyntaxError: invalid syntax (lantern.py, line 1)"


def test_a_corrupt_store_is_named_and_left_alone(shell):
    (shell.folder / "x.db").write_bytes(b"this is no database, whatever its name says" * 100)

    for command in (["collect", SERIES, "--simulate", "--for", "1s"], ["gaps", SERIES], ["export", SERIES]):
        done = shell.run(*command, "--store", "sqlite:x.db", status=1)
        assert done.stderr.startswith("error: store 'x.db'")

    assert (shell.folder / "x.db").read_bytes().startswith(b"this is no database")
    assert shell.files() == ["x.db"]


def test_somebody_elses_database_is_left_alone(shell):
    with closing(sqlite3.connect(shell.folder / "x.db")) as database, database:
        database.execute("CREATE TABLE mine (x)")
    before = (shell.folder / "x.db").read_bytes()

    done = shell.run("collect", SERIES, "--store", "sqlite:x.db", "--simulate", "--for", "1s", status=1)

    assert "not a wickwire store" in done.stderr
    assert before == (shell.folder / "x.db").read_bytes()


@pytest.mark.parametrize("series", [SERIES, "yahoo:AAPL@1m"])
def test_a_host_that_cannot_be_reached_is_named(shell, series):
    """It is tried again and again until it is told to stop; then it says that nothing came, and why."""
    nowhere = (
        *NOWHERE,
        *redirected("https://query1.finance.yahoo.com"),
        *redirected("https://query2.finance.yahoo.com"),
        *("--since", "1h", "--for", "8s"),
    )

    done = shell.run("collect", series, *nowhere, "--store", "memory:", status=1)

    assert "error: nothing was collected" in done.stderr.splitlines()[-1]
    assert "127.0.0.1:1" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("series", ["yahoo:NOSUCH@1mo", "kraken:NO/SUCH@1d"])
def test_an_unknown_symbol_is_said_before_its_first_candle_is_due(shell, series):
    done = shell.run("collect", series, "--simulate", "--for", "50s", "--store", "memory:", status=1)

    warning, error = [line for line in done.stderr.splitlines() if not line.startswith("simulated ")]
    assert warning.startswith("warning: ")
    assert error.startswith("error: nothing was collected: ")
    assert series in error


def test_one_series_that_never_came_is_no_success(shell):
    done = shell.run(
        *("collect", "kraken:BTC/USD@1d", "yahoo:NOSUCH@1d", "--simulate"),
        *("--for", "6s", "--store", "memory:"),
        status=1,
    )

    assert "error: not everything was collected: yahoo:NOSUCH@1d" in done.stderr
    assert "kraken" not in done.stderr.splitlines()[-1]


def test_a_venue_that_says_nothing_at_all_is_no_success(shell):
    """It accepts the connection and is mute: within --for no request has failed yet."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"http://127.0.0.1:{server.getsockname()[1]}"
        redirects = [f"https://query{number}.finance.yahoo.com={there}" for number in (1, 2)]
        done = shell.run(
            *("collect", "yahoo:AAPL@1d", "--redirect", redirects[0], "--redirect", redirects[1]),
            *("--for", "2s", "--store", "memory:"),
            status=1,
        )

    assert "yahoo:AAPL@1d: the venue did not answer in this time" in done.stderr.splitlines()[-1]


def redirected(origin):
    return "--redirect", f"{origin}=http://127.0.0.1:1"


def test_a_server_that_speaks_no_tls_is_refused(shell):
    """The certificate is what tells a venue from somebody else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        threading.Thread(target=chatter, args=(server,), daemon=True).start()
        there = ("--redirect", f"wss://ws.kraken.com=wss://127.0.0.1:{port}")

        done = shell.run("collect", SERIES, *there, "--for", "2s", "--store", "memory:", status=1)

    assert "TLS" in done.stderr.splitlines()[-1]


def chatter(server):
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"hello, whoever you are\r\n")


def test_a_backfill_gives_up_after_its_patience(shell):
    done = shell.run("backfill", SERIES, "--since", "1d", *NOWHERE, "--patience", "1s", status=1)

    assert "error: the history could not be brought" in done.stderr


def test_a_store_that_knows_the_future_is_refused(shell):
    """The clock is wrong, now or when that was collected."""
    future = ("--simulate", "--at", "2030-01-01T12:00:00Z", "--speed", FAST)
    shell.run("collect", SERIES, *future, "--for", "2s")

    done = shell.run("collect", SERIES, *NOWHERE, "--seed", "1", "--for", "5s", status=2)

    assert "it knows candles up to 2030-01-01T12:" in done.stderr
    assert "set the clock" in done.stderr


OF_THE_SIMULATION = (
    ("--seed", "3"),
    ("--at", "2026-11-20T15:00:00Z"),
    ("--at", "2026-11-20T15:00:00Z", "--speed", "60"),
)


@pytest.mark.parametrize("options", OF_THE_SIMULATION, ids=" ".join)
def test_redirects_of_one_venue_do_not_let_real_ones_be_hurried(shell, options):
    """Its candles would be asked for at that speed, and stored as those of a simulated market."""
    (shell.folder / "w.toml").write_text(
        '[venues.kraken.redirects]\n"wss://ws.kraken.com"="ws://127.0.0.1:1"'
    )

    done = shell.run("collect", "yahoo:AAPL@1m", "--config", "w.toml", *options, "--for", "1s", status=2)

    assert "no real venue is asked then, but yahoo:AAPL@1m would be, as no redirect leads from" in done.stderr
    assert shell.files() == ["w.toml"]


@pytest.mark.parametrize("options", OF_THE_SIMULATION, ids=" ".join)
def test_what_of_a_venue_is_not_redirected_is_not_asked_either(shell, options):
    shell.environment["HTTPS_PROXY"] = "http://127.0.0.1:1"  # nothing leaves this machine
    stream = ("--redirect", "wss://ws.kraken.com=ws://127.0.0.1:1")
    run = ("--route", "poll", "--store", "memory:", "--for", "2s")

    done = shell.run("collect", SERIES, *stream, *options, *run, status=1)

    assert "https://api.kraken.com: nothing was sent there, as with --" in done.stderr


def test_the_backoff_of_the_config_is_kept_to(shell):
    (shell.folder / "w.toml").write_text("[venues.kraken.backoff]\nfirst_s = 0.001\ncap_s = 0.001")
    more = ("--config", "w.toml", "--store", "memory:", "--for", "2s")

    done = shell.run("-vv", "collect", SERIES, *NOWHERE, *more, status=1)

    waits_s = [float(text) for text in re.findall(r"wait_s=([0-9.]+)", done.stderr)]
    assert len(waits_s) > 2
    assert max(waits_s) <= 0.001

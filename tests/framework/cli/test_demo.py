"""`demo`: what `make demo` runs, only faster."""

import pytest


@pytest.mark.slow
def test_the_demo_breaks_the_stream_and_finds_everything_true(shell):
    told = shell.run("demo", "--for", "14s", "--speed", 200).stdout

    assert "the stream of kraken breaks" in told
    assert "kraken:BTC/USD@1m  now poll: " in told
    assert "kraken:BTC/USD@1m  now stream: " in told
    assert "kraken:ETH/USD@3m  now resample: " in told
    assert "3 series were polled, and 3 came back" in told
    assert "Nothing missing, nothing doubled, nothing wrong." in told
    assert shell.files() == ["wickwire-demo.db"]


def test_a_short_demo_starts_afresh_each_time(shell):
    """What an earlier one left is replaced, so that the same seed shows the same again."""
    for _ in range(2):
        told = shell.run("demo", "--for", "2s", "--speed", 200).stdout
        assert "Nothing missing, nothing doubled, nothing wrong." in told

    assert shell.json("gaps", "kraken:BTC/USD@1m", "--store", "sqlite:wickwire-demo.db")[0]["holes"] == []


def test_a_directory_where_nothing_can_be_written_is_named(shell):
    (shell.folder / "wickwire-demo.db").mkdir()

    done = shell.run("demo", "--for", "3s", status=2)

    assert "wickwire-demo.db" in done.stderr


def test_real_venues_that_cannot_be_reached_are_named(shell):
    """What needs keys is left out aloud, and nothing that was not seen is claimed."""
    hosts = {
        "kraken": ("wss://ws.kraken.com", "https://api.kraken.com"),
        "coinbase": ("wss://advanced-trade-ws.coinbase.com", "https://api.coinbase.com"),
        "yahoo": ("https://query1.finance.yahoo.com", "https://query2.finance.yahoo.com"),
    }
    lines = []
    for venue, origins in hosts.items():
        lines.append(f"[venues.{venue}.redirects]")
        lines += [f'"{one}" = "{"ws" if one.startswith("ws") else "http"}://127.0.0.1:1"' for one in origins]
    (shell.folder / "nowhere.toml").write_text("\n".join(lines))
    shell.environment["WICKWIRE_CONFIG"] = "nowhere.toml"

    done = shell.run("demo", "--live", "--for", "1s", "--store", "sqlite:live.db", status=1)

    assert "left out  alpaca.iex:AAPL@1m: Alpaca needs key and secret" in done.stdout
    assert "NOT AS IT SHOULD BE: no candle closed" in done.stdout

"""`demo`: what `make demo` runs, only faster."""

import pytest


@pytest.mark.slow
def test_the_demo_breaks_the_stream_and_finds_everything_true(shell):
    told = shell.run("demo", "--for", "14s", "--speed", 200).stdout

    assert "the stream of kraken breaks" in told
    assert "kraken:BTC/USD@1m  now poll: " in told
    assert "kraken:BTC/USD@1m  now stream: " in told
    assert "4 series were polled, and 4 came back" in told
    assert "Nothing missing, nothing doubled, nothing wrong." in told
    assert shell.files() == ["wickwire-demo.db"]


def test_a_short_demo_starts_afresh_each_time(shell):
    """What an earlier one left is replaced, so that the same seed shows the same again."""
    for _ in range(2):
        told = shell.run("demo", "--for", "3s", "--speed", 100).stdout
        assert "Nothing missing, nothing doubled, nothing wrong." in told

    assert shell.json("gaps", "kraken:BTC/USD@1m", "--store", "sqlite:wickwire-demo.db")[0]["holes"] == []


def test_a_directory_where_nothing_can_be_written_is_named(shell):
    (shell.folder / "wickwire-demo.db").mkdir()

    done = shell.run("demo", "--for", "3s", status=2)

    assert "wickwire-demo.db" in done.stderr

"""What people type: durations, instants, redirects."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire.cli.options import DURATION, INSTANT, REDIRECT, SERIES, Moment, Number
from wickwire.model import SECOND_NS, parse_instant


def read(kind, text):
    return kind.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1.5h", 5400), ("2d", 172_800), ("0.25s", 0.25)]
)
def test_durations_have_a_unit(text, seconds):
    assert seconds == read(DURATION, text)


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "0s", "1 s", "1e3s", "1w", "infs", "\u0661s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(click.BadParameter, match="not a duration"):
        read(DURATION, text)


@given(st.integers(min_value=1, max_value=999_999))
def test_a_duration_instead_of_an_instant_means_so_long_ago(minutes):
    now_ns = parse_instant("2026-11-20T15:00:00Z")

    assert now_ns - minutes * 60 * SECOND_NS == read(INSTANT, f"{minutes}m").ns(now_ns)


def test_an_instant_is_itself_whenever_it_is_asked():
    assert Moment(parse_instant("2026-11-01")) == read(INSTANT, "2026-11-01")
    assert parse_instant("2026-11-01") == read(INSTANT, "2026-11-01").ns(0)


def test_a_wrong_instant_names_both_ways_to_write_one():
    with pytest.raises(click.BadParameter, match=r"not an instant: 'monday'.*2026-11-21.*12h"):
        read(INSTANT, "monday")


def test_a_redirect_is_split_at_the_first_equals_sign():
    assert ("wss://a", "ws://127.0.0.1:1") == read(REDIRECT, "wss://a=ws://127.0.0.1:1")
    with pytest.raises(click.BadParameter, match="ORIGIN=ORIGIN"):
        read(REDIRECT, "wss://a")


def test_a_malformed_series_says_how_to_write_one():
    with pytest.raises(click.BadParameter, match="write venue:symbol@what"):
        read(SERIES, "kraken/BTC@1m")


def test_what_is_no_number_is_called_so():
    with pytest.raises(click.BadParameter, match="'fast' is not a valid number"):
        read(Number(min=0), "fast")

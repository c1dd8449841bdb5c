"""A body is inflated piece by piece, whole or not at all, and never beyond its limit (F8)."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire.transport.body import Body, BodyError

MEBIBYTE = 1024 * 1024


@given(st.binary(max_size=2000), st.lists(st.integers(1, 50)), st.booleans(), st.booleans())
def test_any_cutting_gives_the_same_body(data, cuts, packed, twice):
    """Also a gzip of two members, as RFC 1952 allows."""
    wire = gzip.compress(data) * (2 if twice else 1) if packed else data
    body = Body("gzip" if packed else "", limit=5000)
    for cut in cuts:
        body.feed(wire[:cut])
        wire = wire[cut:]
    body.feed(wire)

    assert body.finish() == data * (2 if packed and twice else 1)


def test_a_bomb_is_refused_before_it_is_inflated():
    """256 MiB in 256 KiB: memory grows by the limit and a step, not by the bomb."""
    pump = zlib.compressobj(9, wbits=31)
    bomb = b"".join(pump.compress(bytes(MEBIBYTE)) for _ in range(256)) + pump.flush()
    assert len(bomb) < 1.1 * MEBIBYTE
    body = Body("gzip", limit=8 * MEBIBYTE)
    tracemalloc.start()
    try:
        with pytest.raises(BodyError, match="larger than 8388608 bytes"):
            body.feed(bomb)
        assert tracemalloc.get_traced_memory()[1] < 16 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_exactly_the_limit_is_allowed():
    body = Body("", limit=3)
    body.feed(b"abc")

    assert body.finish() == b"abc"


def test_one_byte_more_is_refused():
    body = Body("", limit=3)
    with pytest.raises(BodyError, match="larger than 3"):
        body.feed(b"abcd")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_an_encoding_that_we_did_not_ask_for_is_refused(encoding):
    with pytest.raises(BodyError, match="asked was gzip"):
        Body(encoding, limit=10)


def test_a_torn_gzip_is_not_taken_for_a_whole_one():
    body = Body("gzip", limit=1000)
    body.feed(gzip.compress(b"[1, 2, 3]")[:-9])
    with pytest.raises(BodyError, match="in the middle"):
        body.finish()


def test_what_only_says_gzip_is_refused():
    body = Body("gzip", limit=1000)
    with pytest.raises(BodyError, match="says gzip and is none"):
        body.feed(b"<html>")


def test_an_empty_body_may_call_itself_gzip():
    """304 and HEAD do."""
    assert Body("gzip", limit=1000).finish() == b""

"""Instants of Alpaca's stream, in JSON and in msgpack: nothing is lost, and nothing else is taken for one."""

import struct

import msgspec
import pytest

from tests.adapters.alpaca.talk import ENCODINGS, heard, memory, ns, said
from wickwire import WireError

both = pytest.mark.parametrize("encoding", ENCODINGS)


# --------------------------------------------------------------------------------------------------- times


def trade_at(told):
    return [{"T": "t", "S": "AAPL", "i": 1, "p": 1, "s": 1, "t": told}]


@pytest.mark.parametrize(
    "decimals", ["", ".2", ".20", ".208", ".83540958", ".123456789", ".000000001", ".999999999"]
)
def test_trailing_zeros_are_dropped_and_nothing_is_lost(decimals):
    """The same second twice: the second time it is known already."""
    text, heard_by = f"2026-11-20T14:31:02{decimals}Z", memory()

    assert {said(trade_at(text), heard_by)[0].time_ns for _ in range(2)} == {ns(text)}


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T14:31:02+01:00",
        "2026-11-20T14:31:02",
        "2026-11-20T14:31:02.Z",
        "2026-11-20T14:31:02.1234567891Z",
        "2026-11-20T14:31:02.12_4Z",
        "2026-11-20T14:31:02.\u0661Z",
        "2026-11-20T14:31:60Z",
        "2026-02-30T14:31:02Z",
        "2026-11-20T14:31:02x1Z",
        "",
        "now",
    ],
)
def test_what_is_no_instant_is_refused_also_in_a_known_second(text):
    heard_by = memory()
    said(trade_at("2026-11-20T14:31:02.5Z"), heard_by)

    with pytest.raises(WireError, match=r"instant|expected 2026") as caught:
        said(trade_at(text), heard_by)
    assert caught.value.at == "$[0].t"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (struct.pack(">I", 1_795_185_062), 1_795_185_062_000_000_000),
        (struct.pack(">Q", 5 << 34 | 1_795_185_062), 1_795_185_062_000_000_005),
        (struct.pack(">Iq", 999_999_999, 1_795_185_062), 1_795_185_062_999_999_999),
    ],
)
def test_a_msgpack_timestamp_comes_in_three_lengths(data, expected):
    [trade] = heard(
        msgspec.msgpack.encode(trade_at(msgspec.msgpack.Ext(-1, data))), memory(encoding="msgpack")
    )

    assert trade.time_ns == expected


@pytest.mark.parametrize(
    "told",
    [
        msgspec.msgpack.Ext(5, bytes(8)),
        msgspec.msgpack.Ext(-1, bytes(7)),
        msgspec.msgpack.Ext(-1, struct.pack(">Q", 10**9 << 34)),
        msgspec.msgpack.Ext(-1, struct.pack(">Iq", 0, -1)),
        msgspec.msgpack.Ext(-1, struct.pack(">Iq", 10**9, 1)),
        msgspec.msgpack.Ext(-1, struct.pack(">Iq", 0, 2**62)),
        msgspec.msgpack.Ext(-1, struct.pack(">Iq", 0, 10**10)),  # beyond 64 bits of nanoseconds
        msgspec.msgpack.Ext(-1, struct.pack(">Iq", 1, 10**10)),
        "2026-11-20T14:31:02Z",
        1_795_185_062,
    ],
)
def test_what_is_no_timestamp_is_refused(told):
    with pytest.raises(WireError):
        heard(msgspec.msgpack.encode(trade_at(told)), memory(encoding="msgpack"))

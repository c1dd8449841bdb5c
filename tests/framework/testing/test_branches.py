"""Which branches of an adapter its samples take, of a small adapter in which each can be counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from wickwire.registry import Registry
from wickwire.testing.branches import Taken, branches_taken
from wickwire.testing.running import material_of

ADAPTER = dedent("""\
    from typing import TYPE_CHECKING
    from wickwire import Description, Endpoint, Heartbeat, HttpRequest, OhlcvSupport, Page, Timeframe
    from wickwire import WireError, hookimpl
    if TYPE_CHECKING:
        from wickwire import Candle

    @hookimpl
    def describe():
        return Description(title="Beacon", timeframes=(Timeframe.parse("1m"),))

    @hookimpl
    def supports_ohlcv(symbol):
        return OhlcvSupport(stream=True, rest=True)

    @hookimpl
    def connect():
        return Endpoint(url="wss://ws.beacon.example")

    @hookimpl
    def subscribe():
        return ()

    @hookimpl
    def parse(frame):
        if frame == b"beat":
            return [Heartbeat()]
        raise WireError("beacon: unknown", frame=frame)

    @hookimpl
    def fetch_ohlcv(query):
        reply = yield HttpRequest(url="https://api.beacon.example")
        if reply.body == b"none":
            return Page(candles=(), covered=(query.since_ns, query.until_ns))
        raise WireError("beacon: no page")
    """)
PARSE = ADAPTER.splitlines().index('    if frame == b"beat":') + 1
FETCH = ADAPTER.splitlines().index('    if reply.body == b"none":') + 1

Taking = Callable[..., list[Taken]]


@pytest.fixture
def taking(tmp_path: Path) -> Taking:
    """What is taken by samples of these names and contents."""
    (tmp_path / "beacon.py").write_text(ADAPTER)
    folder = tmp_path / "wire"

    def of(**samples: str) -> list[Taken]:
        folder.mkdir()
        for name, text in samples.items():
            suffix = "json" if name.startswith("rest_") else "txt"
            (folder / f"{name}.{suffix}").write_text(text)
        registry = Registry(local={"beacon": tmp_path / "beacon.py"}, installed=False)
        symbols = ["BTC/USD"]
        material = material_of("beacon", registry, samples=folder if samples else None, symbols=symbols)
        assert not material.problem
        return list(branches_taken(material))

    return of


def test_without_samples_nothing_is_taken_and_nothing_said(taking: Taking) -> None:
    assert [] == taking()


@pytest.mark.parametrize(
    ("samples", "missed"),
    [
        ({"frames": "beat"}, [(PARSE, PARSE + 2), (FETCH, FETCH + 1), (FETCH, FETCH + 2)]),
        ({"frames": "what"}, [(PARSE, PARSE + 1), (FETCH, FETCH + 1), (FETCH, FETCH + 2)]),
        ({"frames": "beat\nwhat"}, [(FETCH, FETCH + 1), (FETCH, FETCH + 2)]),
        ({"rest_none": "none"}, [(PARSE, PARSE + 1), (PARSE, PARSE + 2), (FETCH, FETCH + 2)]),
        ({"frames": "beat\nwhat", "rest_none": "none", "rest_junk": "junk"}, []),
    ],
)
def test_what_no_sample_takes_is_named_by_its_lines(
    taking: Taking, samples: dict[str, str], missed: list[tuple[int, int]]
) -> None:
    [found] = taking(**samples)

    assert (4, 4 - len(missed), missed) == (found.branches, found.taken, list(found.missed))
    assert found.file.endswith("beacon.py")

"""A stranger's distribution: built, installed beside wickwire's wheel, found, planned and collected from.

In-repo adapters ride in our own metadata, so only this proves that the seam holds.
"""

import asyncio
import importlib
import json
import random
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.third_party.environment import Installed, built, ran
from wickwire import (
    SECOND_NS,
    Account,
    Ask,
    FaultKind,
    HttpReply,
    MemoryStore,
    OhlcvQuery,
    Refused,
    Rung,
    SeriesCandle,
    Timeframe,
    Topic,
    VenueError,
    WireError,
)
from wickwire.adapter import Adapter, bind
from wickwire.collector import Collector
from wickwire.registry import Registry
from wickwire.simulate import SeededMarket
from wickwire.simulate.loops import run_virtual, running_clock
from wickwire.simulate.memory import MemoryTransport

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LANTERN = HERE / "lantern"
MINUTE = Timeframe.parse("1m")
GLOW = Topic("GLOW/USD", MINUTE)
COLLECTED = [
    *("series", "open_time", "close_time", "open", "high", "low", "close", "volume", "trade_count", "vwap"),
    *("state", "evidence", "revision", "healed", "route"),
]


# ---------------------------------------------------------------------------------------- in this process


@pytest.fixture(scope="module")
def lantern() -> Iterator[ModuleType]:
    """Lantern's package, from its source."""
    sys.path.insert(0, str(LANTERN / "src"))
    yield importlib.import_module("wickwire_lantern")
    sys.path.remove(str(LANTERN / "src"))
    for name in [name for name in sys.modules if name.startswith("wickwire_lantern")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def adapter(lantern: ModuleType) -> Adapter:
    return bind("lantern", lantern)


def test_each_answer_finds_its_question(adapter):
    memory: dict[str, Any] = {}
    gloom = Topic("GLOOM/USD", MINUTE)

    frames = [send.frame for send in adapter.subscribe([Ask(GLOW), Ask(gloom)], [], memory)]

    assert frames == ["SUB|1|glow-usd|60", "SUB|2|gloom-usd|60"]
    assert adapter.parse(b"NO|2|no such lamp", memory) == (
        Refused((gloom,), FaultKind.SYMBOL, "no such lamp"),
    )


def test_a_bar_of_the_snapshot_says_so(adapter):
    frames = [b"BAR|glow-usd|60|1795237080|95.1|95.4|95.0|95.2|3.25|41|F" + end for end in (b"", b"|S")]

    [update], [snapshot] = (adapter.parse(frame, {}) for frame in frames)

    assert (False, True) == (update.snapshot, snapshot.snapshot)


@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from(["BAR", "OK", "glow-usd", "60", "1", "nan", "F", "S", "-1", ""])).map(
        lambda words: "|".join(words).encode()
    )
)
def test_junk_is_refused_by_name(adapter, frame):
    try:
        events = adapter.parse(frame, {})
    except WireError:
        events = ()

    assert isinstance(events, tuple)


def test_ticks_that_are_lost_late_or_said_twice_are_told_or_dropped(adapter):
    memory: dict[str, Any] = {}

    def told(number):
        frame = f"TICK|glow-usd|{number}|1795237085123456000|95.3|0.25|B".encode()
        return [getattr(event, "kind", getattr(event, "id", None)) for event in adapter.parse(frame, memory)]

    assert [["7"], ["8"], [], [FaultKind.GAP, "11"], [FaultKind.GAP]] == [told(at) for at in (7, 8, 8, 11, 6)]


def test_pages_are_read_on_until_the_last_one(adapter):
    query = OhlcvQuery(
        symbol="GLOW/USD", timeframe=MINUTE, since_ns=0, until_ns=180 * SECOND_NS, now_ns=200 * SECOND_NS
    )
    talk = adapter.fetch_ohlcv(query, Account())
    next(talk)

    second = talk.send(HttpReply(status=200, body=b"0,1,2,1,2,5,3,C\nmore,60"))
    with pytest.raises(StopIteration) as end:
        talk.send(HttpReply(status=200, body=b"60,1,2,1,2,5,3,C\n120,1,2,1,2,5,3,C"))

    assert "60" == second.params["from"]
    assert [0, 60, 120] == [one.open_ns // SECOND_NS for one in end.value.value.candles]


def test_a_history_that_is_refused_says_how(adapter):
    query = OhlcvQuery(symbol="GLOW/USD", timeframe=MINUTE, since_ns=0, until_ns=60 * SECOND_NS, now_ns=1)
    talk = adapter.fetch_ohlcv(query, Account())
    next(talk)

    with pytest.raises(VenueError) as caught:
        talk.send(HttpReply(status=429, body=b"slow down", headers={"retry-after": "3"}))

    assert (FaultKind.WAIT, 3.0) == (caught.value.kind, caught.value.retry_after_s)


@attrs.define
class Seen:
    """What a collector brought, and the truth."""

    rungs: list[Rung] = attrs.field(factory=list)
    candles: list[SeriesCandle] = attrs.field(factory=list)
    truth: dict[int, Any] = attrs.field(factory=dict)


@pytest.mark.parametrize(("name", "rung"), [("1m", Rung.STREAM), ("1h", Rung.RESAMPLE), ("1h", Rung.POLL)])
def test_its_simulated_venue_is_collected_completely(lantern, name, rung):
    """On virtual time: every candle since the start is there once, with the market's values."""
    timeframe = Timeframe.parse(name)
    seen = Seen()

    async def main() -> None:
        clock = running_clock()
        market = SeededMarket(1, clock.now_ns() - 24 * 3600 * SECOND_NS)
        registry = Registry(adapters={"lantern": lantern})
        simulate = registry.load("lantern").simulate
        assert simulate is not None
        transport = MemoryTransport([simulate(market)], clock, latency_s=0.05)
        began_ns = clock.now_ns()
        async with Collector(
            MemoryStore(), registry=registry, transport=transport, clock=clock, rng=random.Random(1)
        ) as collector:
            collector.on_candle(seen.candles.append)
            await collector.add(f"lantern:GLOW/USD@{name}", route=rung)
            await asyncio.sleep(20 * timeframe.nominal_ns / SECOND_NS)
            seen.rungs = [plan.rung for plan in collector.plan()]
        first_ns = timeframe.close_of(began_ns - began_ns % timeframe.nominal_ns, lantern.Utc())
        last_ns = clock.now_ns() - timeframe.nominal_ns - 60 * SECOND_NS
        truth = market.candles("ETH/USD", timeframe, first_ns, clock.now_ns(), grid=lantern.Utc())
        seen.truth = {one.open_ns: one for one in truth if one.open_ns <= last_ns}

    run_virtual(main())

    stored = {one.open_ns: one for one in seen.candles}
    assert [rung] == seen.rungs
    assert len(seen.truth) > 15
    assert len(stored) == len(seen.candles)
    assert [] == [
        ns for ns, true in seen.truth.items() if ns not in stored or not true.same_values(stored[ns])
    ]


# ------------------------------------------------------------------------------- in an environment of its own


@pytest.fixture(scope="module")
def installed(wickwire_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Both wheels in an environment of their own."""
    folder = tmp_path_factory.mktemp("lantern")
    return Installed.of([wickwire_wheel, built(LANTERN, folder)], folder)


def test_the_wheels_are_what_is_imported(installed):
    """Or all that follows would prove nothing."""
    code = "import wickwire, wickwire_lantern; print(wickwire.__file__); print(wickwire_lantern.__file__)"

    for line in ran(installed.folder, installed.python, "-I", "-c", code).splitlines():
        assert line.startswith(str(installed.python.parent.parent))


def test_it_is_listed_beside_the_others(installed):
    done = installed.wickwire("adapters", "--json")

    assert (0, "") == (done.returncode, done.stderr)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert {"alpaca", "coinbase", "dxlink", "kraken", "lantern", "yahoo"} == rows.keys()
    assert rows["lantern"] == {
        "name": "lantern",
        "distribution": "wickwire-lantern",
        "version": "0.3.1",
        "state": "ok",
        "reason": "",
    }


def test_it_is_planned(installed):
    """Streamed, resampled from what is streamed, and refused: the exit status says that one is refused."""
    names = [f"lantern:GLOW/USD@{timeframe}" for timeframe in ("1m", "1h", "7m")]

    done = installed.wickwire("plan", *names, "--json")

    assert done.returncode == 3
    rows = json.loads(done.stdout)
    assert names == [row["series"] for row in rows]
    assert [("stream", "poll"), ("resample", "poll"), ("refuse", None)] == [
        (row["rung"], row["falls_to"]) for row in rows
    ]
    assert rows[1]["why"] == "Lantern does not stream 1h candles; resampled from streamed 5m candles"
    assert rows[2]["why"] == "Lantern: there are no 7m candles; there are 1m, 5m, 1h"


def test_it_is_collected_from(installed):
    """Of five minutes at least two close."""
    done = installed.wickwire(
        *("collect", "lantern:GLOW/USD@1m", "--simulate", "--speed", "200"),
        *("--at", "2026-11-20T15:00:00Z", "--until", "2026-11-20T15:05:00Z"),
        *("--store", "memory:", "--json"),
    )

    assert done.returncode == 0, done.stderr
    candles = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(candles) >= 2
    for candle in candles:
        assert set(COLLECTED) <= candle.keys()
        assert candle["series"] == "lantern:GLOW/USD@1m"
        assert candle["state"] in ("closed", "revised")
        assert Decimal(candle["low"]) <= Decimal(candle["close"]) <= Decimal(candle["high"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", candle["open_time"])
    opens = [candle["open_time"] for candle in candles if candle["revision"] == 0]
    assert sorted(set(opens)) == opens


def test_one_file_is_a_plugin_too(installed):
    """The page's own adapter, named in a config: no package, no installation."""
    page = (ROOT / "docs" / "adapters.md").read_text()
    [adapter, *_] = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (installed.folder / "beacon.py").write_text(adapter)
    config = installed.folder / "wickwire.toml"
    config.write_text('[plugins.local]\nbeacon = "beacon.py"\n')

    listed = installed.wickwire("adapters", "--config", str(config), "--json")
    planned = installed.wickwire("plan", "beacon:BTC/USD@1m", "--config", str(config), "--json")

    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    assert ("ok", str(installed.folder / "beacon.py")) == (
        rows["beacon"]["state"],
        rows["beacon"]["distribution"],
    )
    assert (0, "stream") == (planned.returncode, json.loads(planned.stdout)[0]["rung"])


def test_a_broken_file_is_listed_and_stops_nobody(installed):
    (installed.folder / "broken.py").write_text("import sys\nsys.exit(1)")
    config = installed.folder / "broken.toml"
    config.write_text('[plugins.local]\nbroken = "broken.py"\n')

    listed = installed.wickwire("adapters", "--config", str(config), "--json")
    planned = installed.wickwire("plan", "broken:A@1m", "--config", str(config))

    states = {row["name"]: row["state"] for row in json.loads(listed.stdout)}
    assert "broken" == states.pop("broken")
    assert {"ok"} == set(states.values())
    assert {"alpaca", "coinbase", "dxlink", "kraken", "lantern", "yahoo"} == states.keys()
    assert planned.returncode == 1
    assert "importing it raised SystemExit" in re.sub(r"\s+", " ", planned.stderr)
    assert "Traceback" not in planned.stderr

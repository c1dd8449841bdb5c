"""docs/adapters.md is all that a stranger reads: its code runs, and its messages are the real ones."""

import json
import re
import sys
import tomllib
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wickwire
from wickwire import (
    Accepted,
    Account,
    Ask,
    Candle,
    Description,
    Endpoint,
    FaultKind,
    HttpReply,
    HttpRequest,
    Limits,
    OhlcvQuery,
    OhlcvSupport,
    Page,
    PluginError,
    Refused,
    Released,
    Rung,
    Series,
    Timeframe,
    Topic,
    VenueError,
    WireError,
    hookimpl,
)
from wickwire.adapter import Adapter, bind
from wickwire.config import parse_config
from wickwire.planner import plan
from wickwire.registry import Registry

PAGE = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text()
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
TOML = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
MINUTE = Timeframe.parse("1m")
TOPIC = Topic("BTC/USD", MINUTE)
ROW = [1795237080000, "95.1", "95.4", "95.0", "95.2", "3.25"]
OPEN_NS = 1795237080 * 10**9
QUERY = OhlcvQuery(
    symbol="BTC/USD", timeframe=MINUTE, since_ns=OPEN_NS, until_ns=OPEN_NS + 60 * 10**9, now_ns=OPEN_NS * 2
)


@pytest.fixture(scope="module")
def beacon() -> ModuleType:
    module = ModuleType("beacon")
    exec(compile(PYTHON[0], "beacon.py", "exec"), vars(module))
    return module


@pytest.fixture(scope="module")
def adapter(beacon: ModuleType) -> Adapter:
    return bind("beacon", beacon)


def test_it_is_as_short_as_the_page_says():
    """Empty lines are not counted; a line is no longer than the page is wide."""
    lines = [line for line in PYTHON[0].splitlines() if line.strip()]

    assert f"Put these {len(lines)} lines into a file" in PAGE
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120


def test_it_is_an_adapter(adapter):
    assert (adapter.streams, adapter.serves_history) == (True, True)
    assert plan(Series.parse("beacon:BTC/USD@1m"), adapter, Account()).rung is Rung.STREAM
    assert plan(Series.parse("beacon:BTC/USD@3m"), adapter, Account()).rung is Rung.RESAMPLE
    assert plan(Series.parse("beacon:BTC/USD@30s"), adapter, Account()).rung is Rung.REFUSE


def test_answers_find_their_questions(adapter):
    memory = adapter.connect(Account(), (), 0).memory()

    sends = adapter.subscribe([Ask(TOPIC), Ask(Topic("X/USD", MINUTE))], [], memory)
    sends += adapter.subscribe([], [TOPIC], memory)

    assert json.loads(sends[0].frame) == {"id": 1, "op": "subscribe", "pair": "BTC/USD", "bar": "1min"}
    assert adapter.parse(b'{"id":1,"ok":true}', memory) == [Accepted([TOPIC])]
    assert adapter.parse(b'{"id":2,"ok":false,"error":"what?"}', memory) == [
        Refused([Topic("X/USD", MINUTE)], FaultKind.SYMBOL, "what?")
    ]
    assert adapter.parse(b'{"id":3,"ok":true}', memory) == [Released([TOPIC])]


def test_a_bar_is_a_candle(adapter):
    frame = {"pair": "BTC/USD", "bar": "1min", "bars": [ROW], "snapshot": True}
    open_, high, low, close, volume = (Decimal(text) for text in ("95.1", "95.4", "95.0", "95.2", "3.25"))
    close_ns = OPEN_NS + 60 * 10**9

    assert adapter.parse(json.dumps(frame).encode(), {}) == [
        Candle("BTC/USD", MINUTE, OPEN_NS, close_ns, open_, high, low, close, volume, snapshot=True)
    ]


def reply_of(adapter, status, body=b"", headers=None):
    talk = adapter.fetch_ohlcv(QUERY, Account())
    assert isinstance(next(talk), HttpRequest)
    with pytest.raises(StopIteration) as done:
        talk.send(HttpReply(status=status, body=body, headers=headers or {}))
    return done.value.value


def test_history_is_a_page(adapter):
    page = reply_of(adapter, 200, json.dumps({"pair": "BTC/USD", "bar": "1min", "bars": [ROW]}).encode())

    assert [OPEN_NS] == [candle.open_ns for candle in page.candles]
    assert (QUERY.since_ns, QUERY.until_ns) == page.covered


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, FaultKind.SYMBOL), (429, FaultKind.WAIT), (503, FaultKind.OUTAGE), (400, FaultKind.REQUEST)],
)
def test_a_refusal_says_which_kind(adapter, status, kind):
    with pytest.raises(VenueError) as caught:
        reply_of(adapter, status, headers={"retry-after": "7"})

    assert (kind, 7.0) == (caught.value.kind, caught.value.retry_after_s)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["BTC/USD", "1min", *ROW]),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.sampled_from(["pair", "bar", "bars", "id", "ok", "error", "event"]), inner)
    ),
)
FRAMES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
BARS = st.fixed_dictionaries({"pair": st.just("BTC/USD"), "bar": st.just("1min"), "bars": JSON})


@given(FRAMES | BARS.map(lambda value: json.dumps(value).encode()))
def test_junk_is_refused_by_name(adapter, frame):
    """Whatever arrives, parse() returns events or raises WireError."""
    with suppress(WireError):
        assert isinstance(adapter.parse(frame, {}), list)


@given(FRAMES | BARS.map(lambda value: json.dumps(value).encode()))
def test_junk_from_rest_is_refused_too(adapter, body):
    with suppress(WireError):
        assert isinstance(reply_of(adapter, 200, body), Page)


def test_its_own_test_passes(beacon, monkeypatch):
    monkeypatch.setitem(sys.modules, "beacon", beacon)
    space: dict[str, Any] = {}
    exec(compile(PYTHON[1], "test_beacon.py", "exec"), space)

    tests = [value for name, value in space.items() if name.startswith("test_")]

    assert len(tests) == 2
    for test in tests:
        test()


def test_the_config_loads_it(tmp_path):
    (tmp_path / "beacon.py").write_text(PYTHON[0])
    config = parse_config(TOML[0], folder=tmp_path)

    assert Registry(local=config.plugins.local).load("beacon").description.title == "Beacon"


def test_the_package_has_an_entry_point():
    project = tomllib.loads(TOML[1])["project"]

    assert {"wickwire.adapters": {"beacon": "wickwire_beacon"}} == project["entry-points"]


def test_every_name_in_the_page_is_on_the_face():
    """What is written in backticks like a class of ours can be imported from wickwire."""
    named = set(re.findall(r"`([A-Z][a-z]\w+)\(", PAGE)) - {"Decimal", "Beacon"}

    assert named <= set(wickwire.__all__)


def between(first: str, last: str) -> str:
    return PAGE.partition(first)[2].partition(last)[0]


def test_every_field_that_the_page_tells_is_there():
    """A wrong keyword is the first error that a stranger meets."""
    rows = re.findall(r"^\| (`.*?) \|", between("| of an `Endpoint` |", "\n\n"), re.MULTILINE)
    told = {
        Endpoint: " ".join(rows),
        Description: between("**`describe(account)`** ", "`limits`:"),
        Limits: between("`limits`: ", "The whole amount"),
        OhlcvSupport: between("**`supports_ohlcv(symbol, timeframe, account)`** ", "never raise"),
    }

    for value, text in told.items():
        names = set(re.findall(r"`([a-z]\w+)`", text)) - {"fetch_ohlcv"}
        assert names
        assert names <= {field.name for field in attrs.fields(value)}


def test_the_defaults_of_an_endpoint_are_the_told_ones():
    rows = dict(re.findall(r"^\| `(\w+)` \| .*?\b(30|None|16 MiB|50|8|True)\b[^|\d]*", PAGE, re.MULTILINE))
    endpoint = Endpoint(url="wss://ws.beacon.example/v2")

    assert {
        "silence_limit_s": "30",
        "max_age_s": "None",
        "max_frame_bytes": "16 MiB",
        "topics_per_frame": "50",
        "changes_in_flight": "8",
        "acknowledges": "True",
    } == {name: rows[name] for name in rows if hasattr(endpoint, name)}
    assert (endpoint.silence_limit_s, endpoint.max_age_s) == (30.0, None)
    assert (endpoint.topics_per_frame, endpoint.changes_in_flight) == (50, 8)
    assert endpoint.max_frame_bytes == 16 * 2**20
    assert endpoint.acknowledges
    assert endpoint.memory() == {}


def test_an_instant_keeps_its_nine_digits():
    [text] = re.findall(r'`parse_instant\("(.*?)"\)`', PAGE)

    assert wickwire.parse_instant(text) % 10**9 == 89_817_981
    with pytest.raises(wickwire.UsageError):
        wickwire.parse_instant("2026-11-21 05:00:10.089 +0000 UTC m=+21697.19")


# ---------------------------------------------------------------------------------------------- mistakes

ROWS = re.findall(r"^\| `([^|]*)` \|", PAGE.partition("## When it is not accepted")[2], re.MULTILINE)


def with_hooks(beacon: ModuleType, **changed: Any) -> ModuleType:
    module = ModuleType("beacon")
    for name, value in {**vars(beacon), **{k: v and hookimpl(v) for k, v in changed.items()}}.items():
        if value is not None:
            setattr(module, name, value)
    return module


def mistaken(beacon: ModuleType) -> dict[str, object]:
    """What the page calls a mistake, by the beginning of its message."""

    async def awaiting(): ...

    def yielding():
        yield

    def misspelt(frme): ...
    def keyword(frame, *, memory): ...
    def anything(**rest): ...

    def polled(**changed: Any) -> ModuleType:
        return with_hooks(beacon, **(dict.fromkeys(("connect", "subscribe", "parse")) | changed))

    unmarked = with_hooks(beacon)
    unmarked.lane = lambda topic: None  # type: ignore[attr-defined]  # a module
    return {
        "parse() is async": with_hooks(beacon, parse=awaiting),
        "fetch_ohlcv() is no generator": with_hooks(beacon, fetch_ohlcv=lambda query: []),
        "parse() is a generator": with_hooks(beacon, parse=yielding),
        "parse() takes 'frme'": with_hooks(beacon, parse=misspelt),
        "parse() takes 'memory'": with_hooks(beacon, parse=keyword),
        "parse() takes **rest": with_hooks(beacon, parse=anything),
        "fetch_ohlvc()": with_hooks(beacon, fetch_ohlcv=None, fetch_ohlvc=yielding),
        "lane() lacks": unmarked,
        "describe() missing": with_hooks(beacon, describe=None),
        "it has connect()": with_hooks(beacon, subscribe=None),
        "it can neither": polled(fetch_ohlcv=None),
        "it has to_venue()": with_hooks(beacon, to_venue=lambda symbol: symbol),
        "the plugin is the class": type("Beacon", (), {}),
        "describe() returned": with_hooks(beacon, describe=lambda: {"title": "Beacon"}),
    }


def test_the_messages_on_the_page_are_the_real_ones(beacon):
    made = mistaken(beacon)
    shown = [row for row in ROWS if not row.startswith(("supports_ohlcv()", "needs the package"))]

    assert len(shown) == len(made)
    for row, (beginning, plugin) in zip(shown, made.items(), strict=True):
        with pytest.raises(PluginError) as caught:
            bind("beacon", plugin)
        message = str(caught.value).removeprefix("adapter 'beacon': ")
        assert row.startswith(beginning)
        for part in row.split("..."):
            assert part in message


def test_a_promise_without_its_hook_is_found_when_a_series_is_planned(beacon):
    plugin = with_hooks(beacon, fetch_ohlcv=None, supports_ohlcv=lambda: OhlcvSupport(rest=True))
    [shown] = [row for row in ROWS if row.startswith("supports_ohlcv()")]

    with pytest.raises(PluginError, match=re.escape(shown)):
        plan(Series.parse("beacon:BTC/USD@1m"), bind("beacon", plugin), Account())


def test_a_missing_package_is_told_as_the_page_says(tmp_path):
    [shown] = [row for row in ROWS if row.startswith("needs the package")]
    (tmp_path / "beacon.py").write_text("import oil")

    with pytest.raises(PluginError, match=re.escape(shown.removesuffix("..."))):
        Registry(local={"beacon": tmp_path / "beacon.py"}).load("beacon")

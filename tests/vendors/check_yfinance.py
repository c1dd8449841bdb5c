"""yfinance against the simulated Yahoo: the frames that it makes are compared with the market's truth.

Its whole flow runs (cookie, crumb, time zone, chart, the second strategy after a refusal) over a requests
session whose adapter turns every https address to loopback. Simulated time is a Friday, 09:58 in New York.
"""

import math
import struct
import tempfile
import urllib.parse
from decimal import Decimal
from typing import Any

import pandas as pd
import requests
import requests.adapters
import yfinance as yf
from checks import Truth, check, main, same
from yfinance.exceptions import YFPricesMissingError, YFRateLimitError

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0"
NEW_YORK_OPEN = 1795185000
"""2026-11-20T14:30Z."""


class ToLoopback(requests.adapters.HTTPAdapter):
    """Sends what is meant for Yahoo to the simulated one, and keeps what was asked."""

    def __init__(self, truth: Truth) -> None:
        super().__init__()
        self._truth = truth
        self.asked: list[str] = []

    def send(self, request: Any, **options: Any) -> Any:
        """Send it, and let everybody believe in the first address: cookies hang on it."""
        parts, original = urllib.parse.urlsplit(request.url), request.url
        self.asked.append(f"{parts.netloc}{parts.path}")
        request.url = f"{self._truth.rest}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
        reply = super().send(request, **{**options, "verify": False, "proxies": {}})
        request.url = reply.url = original
        return reply


class Yahoo:
    """One session, since yfinance keeps the first that it is given."""

    session: requests.Session | None = None
    adapter: ToLoopback

    @classmethod
    def ticker(cls, truth: Truth, name: str) -> Any:
        """Return a `yfinance.Ticker` on loopback."""
        if cls.session is None:
            yf.set_tz_cache_location(tempfile.mkdtemp(prefix="wickwire-vendors-"))
            yf.config.debug.hide_exceptions = False
            cls.adapter = ToLoopback(truth)
            cls.session = requests.Session()
            cls.session.trust_env = False
            cls.session.headers["User-Agent"] = BROWSER
            cls.session.mount("https://", cls.adapter)
        return yf.Ticker(name, session=cls.session)


def widened(price: Decimal) -> float:
    """Return a price as a float of 32 bits."""
    return float(struct.unpack("f", struct.pack("f", float(price)))[0])


def told(frame: pd.DataFrame) -> dict[int, tuple[float, ...]]:
    """Return a frame's prices by Unix seconds."""
    return {
        int(stamp.timestamp()): (row.Open, row.High, row.Low, row.Close) for stamp, row in frame.iterrows()
    }


def true(
    truth: Truth, symbol: str, timeframe: str, since_s: int, until_ns: int
) -> dict[int, tuple[float, ...]]:
    """Return the market's candles in the same form, cut at *until_ns*."""
    found = truth.candles(symbol, timeframe, since_s * 10**9, until_ns, grid="session")
    names = ("open", "high", "low", "close")
    return {opened: tuple(widened(row[name]) for name in names) for opened, row in found.items()}


def without_last(rows: dict[int, tuple[float, ...]]) -> dict[int, tuple[float, ...]]:
    """Return all rows but the running one."""
    return {stamp: row for stamp, row in rows.items() if stamp != max(rows)}


@check("Intraday: closed rows of share, index, currency, future and crypto equal the truth")
def intraday(truth: Truth) -> None:
    for name, symbol, interval, timeframe in (
        ("AAPL", "AAPL", "5m", "5m"),
        ("^GSPC", "^GSPC", "1m", "1m"),
        ("EURUSD=X", "EUR/USD", "15m", "15m"),
        ("ES=F", "ES=F", "60m", "1h"),
        ("BTC-USD", "BTC/USD", "1m", "1m"),
    ):
        frame = Yahoo.ticker(truth, name).history(period="1d", interval=interval)
        found = told(frame)
        expected = true(truth, symbol, timeframe, min(found), truth.now_ns())
        same(without_last(found), without_last(expected), f"{name} {interval}")
        assert len(found) > 5


@check("The live row is folded into the running bar, and its price is the last trade's")
def live_row(truth: Truth) -> None:
    ticker = Yahoo.ticker(truth, "AAPL")
    before_ns = truth.now_ns()
    frame = ticker.history(period="1d", interval="5m")

    same([int(stamp.timestamp()) % 300 for stamp in frame.index], [0] * len(frame), "rows off the grid")
    since_ns = before_ns - 120 * 10**9
    recent = [
        trade
        for trade in truth.trades("AAPL", since_ns, truth.now_ns())
        if trade["time_ns"] <= truth.now_ns()
    ]
    assert frame.Close.iloc[-1] in {widened(trade["price"]) for trade in recent}
    volume = truth.candles("AAPL", "5m", NEW_YORK_OPEN * 10**9, before_ns, grid="session")[NEW_YORK_OPEN][
        "volume"
    ]
    same(int(frame.Volume.iloc[0]), int(volume), "volume of the first bar")


@check("Rows of nulls are dropped; only minutes with trades are left")
def nulls(truth: Truth) -> None:
    start, end = "2026-11-18", "2026-11-19"
    found = told(Yahoo.ticker(truth, "DUSK").history(start=start, end=end, interval="1m"))

    same(found, true(truth, "DUSK", "1m", 1795012200, 1795035600 * 10**9), "DUSK")
    assert len(found) < 60


@check("30m arrives as a request for 15m and is the truth when resampled")
def half_hours(truth: Truth) -> None:
    found = told(Yahoo.ticker(truth, "AAPL").history(start="2026-11-19", end="2026-11-20", interval="30m"))

    same(found, true(truth, "AAPL", "30m", 1795098600, 1795122000 * 10**9), "AAPL 30m")
    same(len(found), 13, "half hours of a session")


@check("Daily rows are dated by local midnight and equal the truth")
def daily(truth: Truth) -> None:
    for name, symbol in (
        ("AAPL", "AAPL"),
        ("7203.T", "7203.T"),
        ("BTC-USD", "BTC/USD"),
        ("JPY=X", "USD/JPY"),
    ):
        frame = Yahoo.ticker(truth, name).history(start="2026-11-09", end="2026-11-20", interval="1d")
        found = told(frame)
        same({(stamp.hour, stamp.minute) for stamp in frame.index}, {(0, 0)}, f"local time of {name}")
        expected = true(truth, symbol, "1d", min(found), (max(found) + 86_400) * 10**9)
        same(set(found), set(expected), f"days of {name}")
        same(without_last(found), without_last(expected), name)
        assert len(found) >= 9


@check("The two rows of a running week are merged into one")
def weekly(truth: Truth) -> None:
    ticker = Yahoo.ticker(truth, "AAPL")
    frame = ticker.history(period="1mo", interval="1wk")

    found = told(frame)
    expected = true(truth, "AAPL", "1w", min(found), truth.now_ns())
    same(set(found), set(expected), "weeks")
    same(without_last(found), without_last(expected), "closed weeks")
    last = frame.iloc[-1]
    monday = ticker.history(start="2026-11-16", end="2026-11-17", interval="1d").iloc[0]
    same(last.Open, monday.Open, "open of the running week")
    whole = truth.candles("AAPL", "1w", max(found) * 10**9, truth.now_ns(), grid="session")[max(found)]
    assert math.isclose(last.Volume, float(whole["volume"]), rel_tol=0.01)


@check("A split is reported as an action, with all history rescaled")
def split(truth: Truth) -> None:
    ticker = Yahoo.ticker(truth, "MSFT")
    before = ticker.history(start="2026-11-16", end="2026-11-20", interval="1d")
    truth.inject("split", symbol="MSFT", ratio=4)
    after = ticker.history(period="5d", interval="1d")

    assert math.isclose(after.Close.iloc[0] * 4, before.Close.iloc[0], rel_tol=1e-6)
    same([share for share in after["Stock Splits"] if share], [4.0], "splits")


@check("Cookie and crumb were asked for, and meta is read")
def flow(truth: Truth) -> None:
    ticker = Yahoo.ticker(truth, "AAPL")
    ticker.history(period="1d", interval="5m")

    asked = Yahoo.adapter.asked
    assert any(address.startswith("fc.yahoo.com") for address in asked)
    assert any(address.endswith("/v1/test/getcrumb") for address in asked)
    meta = ticker.get_history_metadata()
    same(meta["exchangeTimezoneName"], "America/New_York", "zone")
    same(meta["currency"], "USD", "currency")


def raised(expected: type[Exception], act: Any) -> Exception:
    """Return the exception that *act* raises."""
    try:
        act()
    except expected as exc:
        return exc
    raise AssertionError(f"no {expected.__name__}")


@check("404, 400 and 422 reach the user in Yahoo's words")
def refusals(truth: Truth) -> None:
    ticker = Yahoo.ticker(truth, "AAPL")
    deep = raised(
        YFPricesMissingError,
        lambda: ticker.history(start="2026-09-01", end="2026-09-10", interval="5m"),
    )
    wide = raised(
        YFPricesMissingError,
        lambda: ticker.history(start="2026-11-01", end="2026-11-19", interval="1m"),
    )
    idle = raised(
        YFPricesMissingError,
        lambda: ticker.history(start="2026-11-14", end="2026-11-15", interval="5m"),
    )

    assert "The requested range must be within the last 60 days." in str(deep)
    assert "Only 8 days worth of 1m granularity data are allowed to be fetched per request." in str(wide)
    assert "Data doesn't exist for startDate = " in str(idle)
    unknown = raised(Exception, lambda: Yahoo.ticker(truth, "NONSENSE").history(period="5d", interval="1d"))
    assert "NONSENSE" in str(unknown) or "404" in str(unknown), repr(unknown)


@check("Nothing in the window (no timestamp) is told as missing prices")
def empty(truth: Truth) -> None:
    ticker = Yahoo.ticker(truth, "AAPL")
    truth.inject("empty")
    try:
        raised(YFPricesMissingError, lambda: ticker.history(period="5d", interval="1d"))
    finally:
        truth.inject("empty", on=False)


@check("Without validRanges yfinance stumbles, as it does over the real thing")
def no_valid_ranges(truth: Truth) -> None:
    ticker = Yahoo.ticker(truth, "AAPL")
    truth.inject("no_valid_ranges")
    try:
        same(
            str(raised(KeyError, lambda: ticker.history(period="5d", interval="1d"))), "'validRanges'", "key"
        )
    finally:
        truth.inject("no_valid_ranges", on=False)


@check("Both 429 texts raise YFRateLimitError, the outage page its own error")
def throttled(truth: Truth) -> None:
    ticker = Yahoo.ticker(truth, "AAPL")
    truth.inject("throttle")
    raised(YFRateLimitError, lambda: ticker.history(period="5d", interval="1d"))
    truth.inject("throttle", on=False)

    session = Yahoo.session
    assert session is not None
    session.headers["User-Agent"] = "python-requests/2.34.2"
    raised(YFRateLimitError, lambda: ticker.history(period="5d", interval="1d"))
    session.headers["User-Agent"] = BROWSER

    truth.inject("outage")
    page = raised(Exception, lambda: ticker.history(period="5d", interval="1d"))
    assert "YAHOO! FINANCE IS CURRENTLY DOWN" in str(page), repr(page)
    truth.inject("outage", on=False)
    assert len(ticker.history(period="5d", interval="1d")) == 5


if __name__ == "__main__":
    main()

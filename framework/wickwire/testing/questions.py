"""What an adapter is asked before anything is said to it: symbols, series, and its first words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from wickwire.conversation import OhlcvQuery, TradeQuery
from wickwire.description import Account
from wickwire.endpoint import Endpoint
from wickwire.errors import VenueError
from wickwire.model import Timeframe, Utc
from wickwire.testing.material import Material
from wickwire.testing.playing import is_had

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["first_words", "is_offered", "offered", "texts"]

SPELLED: Final = (
    "BTC/USD",
    "btc-usd",
    "BTCUSD",
    "AAPL",
    "EUR/USD",
    "^GSPC",
    "BRK.B",
    "",
    " ",
    "/",
    "//",
    "\u0000",
    "é",
)


def texts(material: Material) -> SearchStrategy[str]:
    """Return symbols, and what resembles them more or less."""
    from hypothesis import strategies as st  # noqa: PLC0415 - an extra

    known = [*material.symbols, *SPELLED]
    pieces = st.lists(st.sampled_from([*known, "-", "/", ".", ":", "=", "_"]), max_size=4).map("".join)
    letters = st.text("ABCXYZabc019-/.:=^_ ", max_size=12)
    pairs = st.tuples(*[st.text("ABCXYZ019", min_size=2, max_size=9)] * 2).map("/".join)
    return st.one_of(st.sampled_from(known), pairs, letters, pieces, st.text(max_size=20))


def is_offered(material: Material, symbol: str) -> bool:
    """Say whether anything can be had of *symbol*, as far as that is known before the venue is asked."""
    timeframes = material.described(material.account).timeframes[:1]
    asked = [material.adapter.supports_ohlcv(symbol, one, material.account) for one in timeframes]
    return any(map(is_had, asked))


def offered(material: Material) -> Iterator[tuple[str, Timeframe, Account]]:
    """Yield the series of the first symbols of which anything can be had."""
    for account in material.accounts:
        for symbol in material.symbols[:3]:
            for timeframe in material.described(account).timeframes:
                support = material.adapter.support_for(symbol, timeframe, account)
                if is_had(support):
                    yield symbol, timeframe, account


def first_words(material: Material, account: Account) -> Sequence[object]:
    """Return the endpoint, or the first request of each conversation, for *account*."""
    adapter, now_ns = material.adapter, material.playing.now_ns
    found: list[object] = []
    calls: list[Any] = []
    if adapter.streams:
        calls.append(partial(adapter.connect, account, (), now_ns))
    for symbol, timeframe, whose in offered(material):
        if whose == account and adapter.support_for(symbol, timeframe, account).rest:
            query = OhlcvQuery(
                symbol=symbol,
                timeframe=timeframe,
                since_ns=(open_ns := timeframe.open_at(now_ns, Utc())),
                until_ns=timeframe.close_of(open_ns, Utc()),
                now_ns=now_ns,
            )
            calls.append(partial(adapter.fetch_ohlcv, query, account))
            trades = TradeQuery(symbol=symbol, since_ns=query.since_ns, until_ns=now_ns, now_ns=now_ns)
            if adapter.fetch_trades is not None:
                calls.append(partial(adapter.fetch_trades, trades, account))
            break
    if adapter.list_instruments is not None:
        calls.append(partial(adapter.list_instruments, "", account))
    for call in calls:
        try:
            answer = call()
            if not isinstance(answer, Endpoint):
                talk, answer = answer, next(answer, None)
                talk.close()
        except VenueError:
            continue
        found.append(answer)
    return found

"""Level 4, trades: whether the history of trades is what the venue's market did, whatever is answered."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from wickwire.conversation import HttpReply, Stopped, TradePage, TradeQuery
from wickwire.description import Account
from wickwire.errors import FaultKind, TransportError, VenueError, WireError
from wickwire.model import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Trade
from wickwire.testing.checks import Broken, Checks, Level, Need, Skipped, require
from wickwire.testing.foreign import outcome_of
from wickwire.testing.material import Material
from wickwire.testing.mutations import mutated
from wickwire.testing.pages import replayed
from wickwire.testing.search import blamed, search
from wickwire.testing.sitting import Exchange, conversed, replied
from wickwire.testing.truth import known, recognised

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["TRADING"]

TRADING: Final = Checks(Level.HISTORY)

SPANS_NS: Final = (20 * SECOND_NS, 3 * MINUTE_NS, 360 * MINUTE_NS)
"""How much up to now is asked for: a few trades, many, and more than a reply of any venue holds."""
AGES_NS: Final = (61 * MINUTE_NS, 25 * HOUR_NS, 3 * DAY_NS)
"""How long ago ranges end that do not reach up to now: of what lies behind them nothing is wanted."""
MOST_SYMBOLS: Final = 2
MOST_PAGES: Final = 40
KINDS: Final = {429: FaultKind.WAIT, 500: FaultKind.OUTAGE, 503: FaultKind.OUTAGE}
STATUSES: Final = (200, 400, 403, 404, *KINDS)


@attrs.frozen(eq=False)
class _Asked:
    """One query for trades, and what was said."""

    query: TradeQuery
    account: Account
    exchanges: Sequence[Exchange]

    @property
    def reply(self) -> bytes:
        """The last body that came."""
        bodies = [one.reply.body for one in self.exchanges if isinstance(one.reply, HttpReply)]
        return bodies[-1] if bodies else b""


@attrs.frozen(eq=False)
class _Told(_Asked):
    """The same, and what came of it."""

    page: TradePage


@TRADING(
    "H14",
    "fetch_trades() brings the market's own trades, oldest first, each once, and all of what it covers.",
    Need.SERVED,
)
def true_trades_of_the_past(material: Material) -> None:
    looked = 0
    for symbol, account in _traded(material):
        truth = known(material, symbol).trades
        assert truth is not None
        for query in _queries(material, symbol):
            found = [*_pages(material, query, account)]
            # what two pages hold, at the border of what they cover, is one trade
            told = {_key(trade): (trade, one.reply) for one in found for trade in one.page.trades}
            true = truth.trades(symbol, query.since_ns - SECOND_NS, query.until_ns + SECOND_NS)
            numbers = recognised([*told.values()], true)
            for one in found:
                since_ns, until_ns = one.page.covered
                missing = [
                    each
                    for each in true
                    if since_ns <= each.time_ns < until_ns and each.number not in numbers
                ]
                why = f"it covers {one.page.covered} of {symbol}, and leaves out {missing[:1]}"
                require(not missing, why, shown=repr(one.query))
            looked += len(told)
    material.count_or_skip(looked, "nothing was traded of which the truth is known")


@TRADING(
    "H15",
    "Whatever reply comes, fetch_trades() returns a TradePage or raises VenueError or WireError.",
    Need.SERVED,
)
def trade_page_or_error(material: Material) -> None:
    asked = [
        one
        for symbol, account in _traded(material)
        for one in [_asked(material, _recent(material, symbol), account)[0]]
        if one.exchanges
    ]
    if not asked:
        raise Skipped("no trade was asked for over HTTP")
    for one in asked:
        for status, kind in KINDS.items():
            error = outcome_of(partial(_answered, material, one, 0, status, b""))[1]
            fits = isinstance(error, VenueError) and error.kind is kind
            require(fits, f"a {status} became {error!r:.200}", shown=repr(one.query))
            material.count()

    def look(case: tuple[_Asked, int, int, bytes]) -> None:
        try:
            page: object = _answered(material, *case)
        except (VenueError, WireError, TransportError):
            return
        require(isinstance(page, TradePage), f"fetch_trades() returned {page!r:.80}, not a TradePage")

    search(material, _cases(asked), look, show=_shown)


# ------------------------------------------------------------------------------------------- what is asked


def _traded(material: Material) -> Iterator[tuple[str, Account]]:
    """Yield what has a history of trades of which the truth is known, on the default variant.

    Raises:
        Skipped: The adapter has no such hook.
    """
    if material.adapter.fetch_trades is None:
        raise Skipped("it has no fetch_trades()")
    for account in material.playing.accounts:
        if account.feed:
            continue  # of others the market does not know what they leave out
        for symbol in material.playing.known(account)[:MOST_SYMBOLS]:
            if known(material, symbol).trades is not None:
                yield symbol, account


def _queries(material: Material, symbol: str) -> Iterator[TradeQuery]:
    """Yield ranges up to now, and some that end in the past, as far back as the simulated market goes."""
    now_ns = material.playing.now_ns
    ends = [(now_ns, span_ns) for span_ns in SPANS_NS] + [
        (now_ns - ago_ns, SPANS_NS[1]) for ago_ns in AGES_NS
    ]
    for until_ns, span_ns in ends:
        if until_ns - span_ns >= material.playing.market.start_ns:
            yield TradeQuery(symbol=symbol, since_ns=until_ns - span_ns, until_ns=until_ns, now_ns=now_ns)


def _key(trade: Trade) -> Hashable:
    return trade.id, trade.time_ns, trade.price, trade.size, trade.side


def _recent(material: Material, symbol: str) -> TradeQuery:
    now_ns = material.playing.now_ns
    return TradeQuery(symbol=symbol, since_ns=now_ns - SPANS_NS[1], until_ns=now_ns, now_ns=now_ns)


def _pages(material: Material, query: TradeQuery, account: Account) -> Iterator[_Told]:
    """Ask for *query*, and then for what the pages do not cover, as often as that brings more."""
    left = [(query.since_ns, query.until_ns)]
    for _ in range(MOST_PAGES):
        if not left:
            return
        since_ns, until_ns = left.pop()
        one = _page(material, attrs.evolve(query, since_ns=since_ns, until_ns=until_ns), account)
        yield one
        first_ns, last_ns = one.page.covered
        if first_ns < last_ns:
            left += [(low, high) for low, high in ((since_ns, first_ns), (last_ns, until_ns)) if low < high]
        else:
            why = f"of {(since_ns, until_ns)} it covers nothing, and says that this is all"
            require(one.page.stopped is not Stopped.UNTIL, why, shown=repr(one.query))


def _asked(
    material: Material, query: TradeQuery, account: Account
) -> tuple[_Asked, object, BaseException | None]:
    """Ask for *query*; return what was said, and what came of it."""
    assert material.adapter.fetch_trades is not None
    server, kept = material.playing.another_server(), list[Exchange]()
    talk = material.adapter.fetch_trades(query, account)
    page, error = outcome_of(lambda: conversed(talk, lambda one: replied(one, server, query.now_ns), kept))
    return _Asked(query, account, tuple(kept)), page, error


def _page(material: Material, query: TradeQuery, account: Account) -> _Told:
    asked, page, error = _asked(material, query, account)
    if error is not None:
        raise Broken(blamed(error, material.code), shown=repr(query))
    require(isinstance(page, TradePage), f"fetch_trades() returned {page!r:.80}, not a TradePage")
    assert isinstance(page, TradePage)
    since_ns, until_ns = page.covered
    inside = query.since_ns <= since_ns <= until_ns <= query.until_ns
    require(
        inside, f"asked for {(query.since_ns, query.until_ns)}, covered {page.covered}", shown=repr(query)
    )
    times = [one.time_ns for one in page.trades]
    require(times == sorted(times), "the trades are not there oldest first", shown=repr(query))
    strange = [one for one in page.trades if not query.since_ns <= one.time_ns < query.until_ns]
    require(not strange, f"nobody asked for {strange[:1]}", shown=repr(query))
    ids = [one.id for one in page.trades if one.id]
    require(len(ids) == len({*ids}), "a trade is there twice", shown=repr(query))
    other = [one for one in page.trades if one.symbol != query.symbol]
    require(not other, f"{query.symbol} was asked for, and there is {other[:1]}", shown=repr(query))
    return _Told(query, account, asked.exchanges, page)


# ---------------------------------------------------------------------------------------- what is answered


def _answered(material: Material, asked: _Asked, at: int, status: int, body: bytes) -> TradePage:
    """Ask the same again, and let one answer be another."""
    assert material.adapter.fetch_trades is not None
    answers: list[object] = [one.reply for one in asked.exchanges]
    reply = asked.exchanges[at].reply
    assert isinstance(reply, HttpReply)
    answers[at] = attrs.evolve(reply, status=status, body=body)
    return replayed(material.adapter.fetch_trades(asked.query, asked.account), answers)


def _cases(asked: Sequence[_Asked]) -> SearchStrategy[tuple[_Asked, int, int, bytes]]:
    from hypothesis import strategies as st  # noqa: PLC0415 - an extra

    @st.composite
    def drawn(draw: st.DrawFn) -> tuple[_Asked, int, int, bytes]:
        one = draw(st.sampled_from(asked))
        at = draw(st.integers(0, len(one.exchanges) - 1))
        reply = one.exchanges[at].reply
        assert isinstance(reply, HttpReply)
        status = draw(st.one_of(st.just(200), st.sampled_from(STATUSES)))
        return one, at, status, draw(mutated(reply.body))

    return drawn()


def _shown(case: tuple[_Asked, int, int, bytes]) -> str:
    asked, at, status, body = case
    return f"reply {at + 1} of {len(asked.exchanges)}: status {status}, body {body!r:.1500}\nto {asked.query}"

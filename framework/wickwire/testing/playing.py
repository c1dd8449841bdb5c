"""Dialogues with an adapter's own simulated venue, over a seeded market: genuine frames and pages."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, final

from wickwire.conversation import HttpReply, HttpRequest, OhlcvQuery, StreamHistory, StreamRequest
from wickwire.description import Account, OhlcvSupport
from wickwire.endpoint import Ask, Topic
from wickwire.model import DAY_NS, MINUTE_NS, SECOND_NS, Feed, Grid, Timeframe, Unknown, Utc, parse_instant
from wickwire.simulate.market import SeededMarket
from wickwire.testing.foreign import outcome_of
from wickwire.testing.literals import instants
from wickwire.testing.pages import Fetched, asked_with
from wickwire.testing.sitting import Sitting, replied, streamed
from wickwire.testing.stages import Dialogue

if TYPE_CHECKING:
    from wickwire.adapter import Adapter
    from wickwire.simulate.server import VenueServer

__all__ = ["LASTS_NS", "NOBODY", "NOW_NS", "Playing", "few", "grid_of", "is_had", "topics_of"]

NOW_NS: Final = parse_instant("2026-11-20T15:00:20Z")
"""A Friday on which shares and currencies are traded, so that any venue has something to say."""
HISTORY_NS: Final = 3 * DAY_NS
LASTS_NS: Final = 130 * SECOND_NS
"""Long enough for a bucket of a minute to end, and another."""
MOST_STEPS: Final = 160
MOST_ACCOUNTS: Final = 5
MOST_SYMBOLS: Final = 2
MOST_KINDS: Final = 6
MOST_TRIED: Final = 32
ROWS: Final = 12
MOST_ROWS: Final = 300
SHORTEST_NS: Final = MINUTE_NS
"""Shorter ones are collected where there are no others: a thousand buckets show no more than twenty."""
LONGEST_NS: Final = 15 * MINUTE_NS
"""Longer ones are over too rarely to be waited for."""
MOST_TIMEFRAMES: Final = 2
NOBODY: Final = "NOSUCH/USD"


def few(timeframes: Sequence[Timeframe]) -> Sequence[Timeframe]:
    """Return those of *timeframes* that are nearest to a minute, to five, and to a day."""
    nearest = [
        min(timeframes, key=lambda one: max(one.nominal_ns, wanted_ns) / min(one.nominal_ns, wanted_ns))
        for wanted_ns in (MINUTE_NS, 5 * MINUTE_NS, DAY_NS)
        if timeframes
    ]
    return tuple(dict.fromkeys(nearest))


def is_had(support: OhlcvSupport) -> bool:
    """Say whether candles can be had at all, in any way."""
    return support.stream or support.rest or support.trades


def grid_of(support: OhlcvSupport) -> Grid:
    """Return where candles open, as far as that is known: else they are taken to open as in UTC."""
    return Utc() if isinstance(support.grid, Unknown) else support.grid


def topics_of(adapter: Adapter, symbol: str, account: Account, *, most: int | None = None) -> list[Topic]:
    """Return what may be subscribed to of *symbol*: a few timeframes, *most* at most, and the feeds."""
    told = adapter.description_for(account)
    streamed_here = few([one for one in told.timeframes if adapter.support_for(symbol, one, account).stream])
    feeds = tuple(Feed) if told.feeds is None else told.feeds
    whats: Sequence[Timeframe | Feed] = (*streamed_here[:most], *feeds)
    return [Topic(symbol, what) for what in whats]


@final
class Playing:
    """A simulated venue, and what was said to it.

    Attributes:
        now_ns: When everything begins.
        market: What is traded there: the truth.
        server: The simulated venue, to be asked what it is; None where the adapter has none.
        troubles: What kept dialogues from being held.
        tried: What came of asking for symbols that it might know.
    """

    def __init__(
        self,
        adapter: Adapter,
        accounts: Sequence[Account],
        symbols: Sequence[str],
        seed: int,
        now_ns: int = NOW_NS,
    ) -> None:
        """Say nothing yet.

        Args:
            adapter: Whose venue it is.
            accounts: Whom to ask for, the default first.
            symbols: What to ask for; where empty, what the venue turns out to know.
            seed: Of the market.
            now_ns: When everything begins.
        """
        self.now_ns = now_ns
        self.troubles: list[str] = []
        self.tried: list[Fetched] = []
        self._adapter = adapter
        self._accounts = accounts
        self._given = symbols
        self.market = SeededMarket(seed, now_ns // DAY_NS * DAY_NS - HISTORY_NS)
        self.server = None if adapter.simulate is None else adapter.simulate(self.market)

    @functools.cached_property
    def accounts(self) -> Sequence[Account]:
        """Whom it is asked for: the variants of the default environment, then the other environments."""
        first = self._accounts[0].environment
        variants = [one for one in self._accounts if one.environment == first]
        others = [one for one in self._accounts if one.environment != first and not one.feed]
        return [*variants[: MOST_ACCOUNTS - 2], *others[:2]]

    def known(self, account: Account) -> Sequence[str]:
        """Return what the venue knows for *account*, a few, lively ones first."""
        return self._known.get(account.environment + account.feed, ())

    @functools.cached_property
    def _known(self) -> Mapping[str, Sequence[str]]:
        return {one.environment + one.feed: self._found(one) for one in self.accounts} if self.server else {}

    def _found(self, account: Account) -> Sequence[str]:
        found: list[str] = []
        for symbol in self._candidates:
            offered = self._offered(symbol, account)
            if offered and self._exists(symbol, offered[0], account):
                found.append(symbol)
            if len(found) == MOST_SYMBOLS:
                break
        return found

    @functools.cached_property
    def kinds(self) -> Sequence[str]:
        """What the venue knows for the first account, one symbol of each grid."""
        account = self.accounts[0]
        found: dict[Grid, str] = {}
        for symbol in self.known(account) and [*self.known(account), *self._candidates]:
            offered = self._offered(symbol, account)
            grid = self._adapter.support_for(symbol, offered[0], account).grid if offered else None
            if grid is None or grid in found or len(found) == MOST_KINDS:
                continue
            if symbol in self.known(account) or self._exists(symbol, offered[0], account):
                found[grid] = symbol
        return tuple(found.values())

    @functools.cached_property
    def collected(self) -> Mapping[str, OhlcvSupport]:
        """The series of a whole run, by name: short timeframes of what the venue knows."""
        account, adapter = self.accounts[0], self._adapter
        told = adapter.description_for(account).timeframes
        short = sorted(
            (one for one in told if one.nominal_ns <= LONGEST_NS),
            key=lambda one: (one.nominal_ns < SHORTEST_NS, one.nominal_ns),
        )
        found = {
            f"{adapter.name}:{symbol}@{timeframe}": adapter.support_for(symbol, timeframe, account)
            for symbol in self.known(account)
            for timeframe in short[:MOST_TIMEFRAMES]
        }
        return {name: support for name, support in found.items() if is_had(support)}

    @property
    def _candidates(self) -> Sequence[str]:
        return [*map(self._adapter.canonical, self._given)] or self.market.symbols[:MOST_TRIED]

    def _offered(self, symbol: str, account: Account) -> Sequence[Timeframe]:
        """Return the timeframes of *symbol* that can be had, streamed ones first."""
        told = self._adapter.description_for(account).timeframes
        support = {one: self._adapter.support_for(symbol, one, account) for one in told}
        there = [one for one in told if is_had(support[one])]
        return sorted(there, key=lambda one: not support[one].stream)

    def _exists(self, symbol: str, timeframe: Timeframe, account: Account) -> bool:
        if self._adapter.serves_history:
            rest = [
                one
                for one in self._offered(symbol, account)
                if self._adapter.support_for(symbol, one, account).rest
            ]
            for one in rest[:1]:
                fetched = self.fetch(self.query(symbol, one, ROWS, 0), account)
                self.tried.append(fetched)
                return fetched.bug is not None or (fetched.page is not None and bool(fetched.page.candles))
        sitting = self._sat(account, [Topic(symbol, timeframe)])
        return sitting is not None and not sitting.unanswered([Topic(symbol, timeframe)])

    # ---------------------------------------------------------------------------------------- streams

    @functools.cached_property
    def dialogues(self) -> Sequence[Dialogue]:
        """One for every connection that the topics of an account need."""
        if self.server is None or not self._adapter.streams:
            return ()
        return [one for account in self.accounts for one in self._held(account)]

    def topics(self, account: Account) -> Sequence[Topic]:
        """Return what is asked for: of each symbol a few timeframes, and the feeds."""
        found: list[Topic] = []
        first = account == self._accounts[0]
        for symbol in self.known(account)[: None if first else 1]:
            found += topics_of(self._adapter, symbol, account, most=None if first else 1)
        return sorted(found, key=str)

    def _held(self, account: Account) -> Iterable[Dialogue]:
        groups: list[list[Topic]] = []
        for topic in self.topics(account):
            lane = self._adapter.lane_of(topic)
            for group in groups:
                lanes = [self._adapter.lane_of(one) for one in group]
                alone = lane.alone is not None and lane.alone in [one.alone for one in lanes]
                if lanes[0].key == lane.key and not alone:
                    group.append(topic)
                    break
            else:
                groups.append([topic])
        for group in groups:
            sitting = self._sat(account, group)
            if sitting is not None:
                who = f"{account.environment}{f'.{account.feed}' if account.feed else ''}"
                yield Dialogue.of(sitting, f"simulate() for {who}", group)

    def said_to(
        self, server: VenueServer, dialogue: Dialogue, topics: Sequence[Topic], lasts_ns: int
    ) -> Dialogue | None:
        """Return what *server* says for so long of *topics* of a dialogue; None where nobody may listen."""
        opened = outcome_of(lambda: Sitting(self._adapter, dialogue.account, server, self.now_ns, topics))
        sitting, error = opened
        if sitting is None:
            self.troubles.append(f"connect(): {type(error).__name__}: {error}")
            return None
        sitting.until(sitting.now_ns + SECOND_NS)
        sitting.subscribe([Ask(topic) for topic in topics])
        sitting.until(sitting.now_ns + lasts_ns)
        return Dialogue.of(sitting, dialogue.source, topics)

    def _sat(self, account: Account, topics: Sequence[Topic]) -> Sitting | None:
        # a connection is never told to be gone, so its place would stay taken
        server = self.another_server()
        sitting, error = outcome_of(lambda: Sitting(self._adapter, account, server, self.now_ns, topics))
        if sitting is None:
            self.troubles.append(f"connect(): {type(error).__name__}: {error}")
            return None
        raised = outcome_of(lambda: self._converse(sitting, topics))[1]
        sitting.error = sitting.error or raised  # what parse() raised is noted while they converse
        return sitting

    def _converse(self, sitting: Sitting, topics: Sequence[Topic]) -> None:
        """Subscribe, listen, and leave."""
        sitting.until(sitting.now_ns + SECOND_NS, most=MOST_STEPS)
        if sitting.ready:
            sitting.subscribe([Ask(topic) for topic in topics])
            sitting.until(sitting.now_ns + LASTS_NS, most=MOST_STEPS)
            self._end(sitting, topics)

    def _end(self, sitting: Sitting, topics: Sequence[Topic]) -> None:
        """Ask for something that does not exist, and leave."""
        first = topics[0]
        nobody = Topic(NOBODY, first.what)
        if isinstance(first.what, Timeframe):
            support = self._adapter.support_for(NOBODY, first.what, sitting.account)
            if support.stream and sitting.over is None:
                sitting.subscribe([Ask(nobody)])
                sitting.until(sitting.now_ns + SECOND_NS, most=MOST_STEPS)
        if sitting.over is None and sitting.error is None:
            sitting.subscribe([], topics)
            sitting.until(sitting.now_ns + SECOND_NS, most=MOST_STEPS)

    # ---------------------------------------------------------------------------------------- history

    @functools.cached_property
    def fetched(self) -> Sequence[Fetched]:
        """Pages of several timeframes and ranges; the running bucket is in some of them."""
        if self.server is None or not self._adapter.serves_history:
            return ()
        found = []
        for account in self.accounts:
            for symbol in self.known(account)[:1]:
                told = self._adapter.description_for(account).timeframes
                rest = [one for one in told if self._adapter.support_for(symbol, one, account).rest]
                for timeframe in few(rest)[: None if account == self._accounts[0] else 1]:
                    found += [
                        self.fetch(self.query(symbol, timeframe, rows, back), account)
                        for rows, back in ((ROWS, 0), (3, 2))
                    ]
        return found

    def query(
        self, symbol: str, timeframe: Timeframe, rows: int, back: int, *, now_ns: int | None = None
    ) -> OhlcvQuery:
        """Ask for *rows* buckets, of which the last is *back* before the running one."""
        grid = grid_of(self._adapter.support_for(symbol, timeframe, self._accounts[0]))
        opens = []
        now_ns = now_ns or self.now_ns
        at_ns = now_ns
        for _ in range(rows + back):
            try:
                open_ns = timeframe.open_at(at_ns, grid)
            except ValueError:
                open_ns = timeframe.open_at(at_ns, Utc())
            opens.append(open_ns)
            at_ns = open_ns - 1
        until_ns = timeframe.close_of(opens[back], Utc())
        return OhlcvQuery(
            symbol=symbol,
            timeframe=timeframe,
            since_ns=opens[-1],
            until_ns=opens[back - 1] if back else until_ns,
            now_ns=now_ns,
        )

    def fetch(self, query: OhlcvQuery, account: Account, server: VenueServer | None = None) -> Fetched:
        """Let the adapter ask for *query*, answered by *server*, or by one that was asked nothing before."""
        answer = self.answering(query, account, server or self.another_server())
        return asked_with(self._adapter, query, account, answer, "simulate()", simulated=True)

    def answering(
        self, query: OhlcvQuery, account: Account, server: VenueServer
    ) -> Callable[[HttpRequest | StreamRequest], HttpReply | StreamHistory]:
        """Return what answers the requests for *query*."""

        def answer(request: HttpRequest | StreamRequest) -> HttpReply | StreamHistory:
            if isinstance(request, StreamRequest):
                return streamed(request, self._adapter, account, server, query.now_ns)
            return replied(request, server, query.now_ns)

        return answer

    def another_server(self) -> VenueServer:
        """Return a simulated venue of its own over the same market."""
        assert self._adapter.simulate is not None
        return self._adapter.simulate(self.market)

    def of_bodies(
        self, bodies: Sequence[tuple[str, bytes, int | None]], symbols: Sequence[str]
    ) -> Sequence[Fetched]:
        """Return what comes of *bodies*, each asked for as it fits best."""
        account = self._accounts[0]
        return [self._of_body(name, body, at_ns, symbols, account) for name, body, at_ns in bodies]

    def _of_body(
        self, name: str, body: bytes, at_ns: int | None, symbols: Sequence[str], account: Account
    ) -> Fetched:
        """Ask for every series until one of them finds candles in *body*, then for just their range."""
        newest_ns = max((one.ns for one in instants(body)), default=self.now_ns)
        now_ns = at_ns or min(newest_ns, self.now_ns) + SECOND_NS
        reply = HttpReply(status=200, body=body, date_ns=now_ns // SECOND_NS * SECOND_NS)
        first: Fetched | None = None
        for symbol in symbols or (NOBODY,):
            for timeframe in self._offered(symbol, account) or (Timeframe.parse("1m"),):
                rows = self._adapter.support_for(symbol, timeframe, account).page_rows
                query = self.query(symbol, timeframe, min(rows, MOST_ROWS), 0, now_ns=now_ns)
                fetched = asked_with(self._adapter, query, account, lambda _: reply, name)
                first = first or fetched
                if fetched.page is not None and fetched.page.candles:
                    opens = [one.open_ns for one in fetched.page.candles]
                    closes = [one.close_ns for one in fetched.page.candles]
                    narrow = OhlcvQuery(
                        symbol=symbol,
                        timeframe=timeframe,
                        since_ns=min(opens),
                        until_ns=max(closes),
                        now_ns=max(now_ns, *closes),
                    )
                    return asked_with(self._adapter, narrow, account, lambda _: reply, name)
        assert first is not None
        return first

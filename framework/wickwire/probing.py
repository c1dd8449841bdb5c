"""Trades and quotes that stop coming: history is asked whether they should have come, before anything ends.

A feed that is silent for longer than it usually is may be quiet or deaf; its connection lives either way.
Where the venue's candles hold trades since its last event, it is deaf: it is subscribed to anew, and if that
does not help its connection is replaced. Where they hold none, it is quiet, and asked about ever more rarely.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from wickwire.adapter import Adapter
from wickwire.budget import Priority
from wickwire.clock import Clock, loop_s
from wickwire.conversation import OhlcvQuery
from wickwire.description import Account, OhlcvSupport
from wickwire.endpoint import Topic
from wickwire.errors import WickwireError
from wickwire.fanout import AnyFeedRoute
from wickwire.history import History
from wickwire.model import SECOND_NS, Candle, Series, Timeframe
from wickwire.news import Doubted, Tell
from wickwire.rhythm import Rhythm

__all__ = ["Probing"]

LOOK_S: Final = 5.0
"""How often all feeds are looked at."""

LEAST_S: Final = 30.0
"""A shorter silence is no reason to ask anybody."""

NEVER_S: Final = 120.0
"""How long a feed may bring nothing of which nobody knows yet how it usually is."""

AGAIN_S: Final = 60.0
"""How soon it is asked again at first, when history failed or a remedy has to show its effect; it doubles."""

LONGEST_S: Final = 1_800.0

LONGEST_CANDLE_S: Final = 300.0
"""Candles that are longer prove too late what was traded."""


@attrs.define(eq=False)
class _Watch:
    """What is known of one feed: how it usually is, when it is asked about next, and what was tried."""

    rhythm: Rhythm = attrs.field(factory=Rhythm)
    counted: int = 0
    counted_s: float = 0.0
    after_s: float = 0.0
    asked: int = 0
    remedies: int = 0

    def look(self, route: AnyFeedRoute) -> None:
        """Learn from what came since the last look."""
        came = route.received - self.counted
        if not came:
            return
        if self.counted:
            self.rhythm.saw(came, max(route.heard_s - self.counted_s, 0.001))
        self.counted, self.counted_s = route.received, route.heard_s
        self.asked = self.remedies = 0
        self.after_s = 0.0

    def is_due(self, route: AnyFeedRoute, now_s: float) -> bool:
        """Say whether its silence is to be asked about now."""
        if not route.live or now_s < self.after_s:
            return False
        limit_s = NEVER_S if math.isinf(self.rhythm.gap_s) else max(self.rhythm.limit_s, LEAST_S)
        return now_s - route.heard_s > min(limit_s, LONGEST_S)

    def postpone(self, now_s: float) -> None:
        """Ask about it again later, ever more rarely."""
        self.after_s = now_s + min(AGAIN_S * 2.0**self.asked, LONGEST_S)
        self.asked += 1


class Probing:
    """Looks after the trades and quotes of one venue scope."""

    def __init__(
        self,
        scope: str,
        adapter: Adapter,
        account: Account,
        feeds: Mapping[Series, AnyFeedRoute],
        history: History,
        clock: Clock,
        *,
        again: Callable[[Series], None],
        replace: Callable[[Series, str], None],
        tell: Tell,
    ) -> None:
        """Look at nothing before `run`.

        Args:
            scope: Venue and variant, for people.
            adapter: Whose venue.
            account: Which account.
            feeds: What is looked after; may change.
            history: What is asked.
            clock: What stamps.
            again: Subscribes to a feed anew.
            replace: Replaces the connection of a feed, for a reason.
            tell: Told of a feed that is deaf.
        """
        self._scope = scope
        self._adapter = adapter
        self._account = account
        self._feeds = feeds
        self._history = history
        self._clock = clock
        self._again = again
        self._replace = replace
        self._tell = tell
        self._watches: dict[AnyFeedRoute, _Watch] = {}

    async def run(self) -> None:
        """Look for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_S)
            routes = list(self._feeds.values())  # one that left and came back is another
            self._watches = {route: self._watches.get(route, _Watch()) for route in routes}
            for route, watch in self._watches.items():
                if self._feeds.get(route.series) is route:
                    watch.look(route)
                    if watch.is_due(route, loop.time()):
                        await self._probe(route.series, route, watch)

    async def _probe(self, series: Series, route: AnyFeedRoute, watch: _Watch) -> None:
        """Ask history about one feed, and do what follows from it."""
        now_s, heard_s = loop_s(), route.heard_s
        watch.postpone(now_s)
        # by the venue's clock: by one of ours that is behind, its last trade would be one that did not come
        now_ns = self._history.clocks.at_venue_ns(self._clock.now_ns(), now_s)
        since_ns = now_ns - round((now_s - heard_s) * SECOND_NS)
        if route.latest is not None:
            since_ns = max(since_ns, min(route.latest.time_ns or 0, now_ns))
        try:
            traded = await self._traded(series, since_ns, now_ns)
        except WickwireError:  # the candle series of the venue, or its health, say what is wrong with history
            return
        if traded is None or route.heard_s != heard_s or self._feeds.get(series) is not route:
            return
        why = f"history holds trades of {traded.open_time:%H:%M}, of which nothing came here"
        route.deaf(why)
        topic = Topic(series.symbol, series.what)
        self._tell(Doubted(venue=self._scope, topics=(topic,), at_ns=self._clock.now_ns(), why=why))
        watch.remedies += 1
        if watch.remedies == 1:
            self._again(series)
        else:
            self._replace(series, why)

    async def _traded(self, series: Series, since_ns: int, now_ns: int) -> Candle | None:
        """Return a candle of *series*' symbol since then in which something was traded, if there is one."""
        found = self._support(series)
        if found is None:
            return None
        support, timeframe = found
        size_ns = timeframe.nominal_ns
        until_ns = now_ns - round(support.settle_s * SECOND_NS)
        first_ns = max(since_ns - since_ns % size_ns + size_ns, until_ns - support.page_rows * size_ns)
        if first_ns + size_ns > until_ns:
            return None
        query = OhlcvQuery(
            symbol=series.symbol, timeframe=timeframe, since_ns=first_ns, until_ns=until_ns, now_ns=now_ns
        )
        fetched = await self._history.page(query, Priority.HEAL)
        whole = (row for row in fetched.page.candles if first_ns <= row.open_ns and row.close_ns <= until_ns)
        return next((row for row in whole if row.volume > 0), None)

    def _support(self, series: Series) -> tuple[OhlcvSupport, Timeframe] | None:
        """Return the shortest candles of a symbol that history holds, where they are short enough."""
        known = sorted(
            self._adapter.description_for(self._account).timeframes, key=lambda one: one.nominal_ns
        )
        for timeframe in known:
            if timeframe.nominal_ns > LONGEST_CANDLE_S * SECOND_NS:
                return None
            support = self._adapter.support_for(series.symbol, timeframe, self._account)
            if support.rest:
                return support, timeframe
        return None

"""A symbol that a venue does not know is left alone for a while, and tried again, while the others go on."""

from __future__ import annotations

import asyncio
import json

import attrs

from tests.framework.scripted import MINUTE_NS, Scripted
from tests.framework.test_collector import World, play
from wickwire import HttpReply, HttpRequest, TransportError
from wickwire.closer import Condition
from wickwire.collector import Collector

KNOWN, NEW = "scripted:BTC/USD@1m", "scripted:NEW/USD@1m"


@attrs.define(eq=False)
class Listing(World):
    """A venue that begins to know a symbol some day."""

    listed: bool = False
    asked: list[float] = attrs.field(factory=list)

    def _answer(self, request: HttpRequest) -> HttpReply | TransportError:
        symbol = request.params["symbol"]
        if symbol == "NEW/USD":
            self.asked.append(asyncio.get_running_loop().time())
            if not self.listed:
                return HttpReply(status=404, body=b"[]")
        since, until = (int(request.params[key]) // MINUTE_NS for key in ("since", "until"))
        rows = [
            {"minute": minute, "close": 100, "symbol": symbol}
            for minute in range(since, min(until, self.minute + 1))
        ]
        return HttpReply(status=200, body=json.dumps(rows).encode())

    def asked_within(self, seconds: float) -> int:
        now_s = asyncio.get_running_loop().time()
        return len([at_s for at_s in self.asked if at_s > now_s - seconds])

    async def answer_streams(self) -> None:
        """Confirm and refuse what is asked on the newest stream, for ever."""
        answered = 0
        while True:
            await asyncio.sleep(1)
            for topics in self.stream.asked[answered:]:
                known = [topic for topic in topics if self.listed or not topic.startswith("NEW")]
                if known:
                    self.stream.say({"accepted": known})
                if len(known) < len(topics):
                    self.stream.say({"refused": ["NEW/USD@1m"], "why": "no such pair"})
                answered += 1


def health_of(collector: Collector, series: str) -> Condition:
    [health] = [one for one in collector.health().series if str(one.series) == series]
    return health.condition


async def closes(world: World, collector: Collector, series: str) -> int:
    [health] = [one for one in collector.health().series if str(one.series) == series]
    return health.closed


def test_a_polled_symbol_comes_back_by_itself_and_is_asked_for_rarely_until_then() -> None:
    async def test(world: Listing, collector: Collector) -> None:
        await collector.add(KNOWN)
        await collector.add(NEW)
        await asyncio.sleep(3 * 3_600)
        assert Condition.REFUSED is health_of(collector, NEW)
        assert 5 <= world.asked_within(3_600) <= 7, "every ten minutes"
        assert await closes(world, collector, KNOWN) >= 178
        assert Condition.POLLED is health_of(collector, KNOWN)
        world.listed = True
        await asyncio.sleep(20 * 60)
        assert Condition.POLLED is health_of(collector, NEW)
        assert await closes(world, collector, NEW) >= 199, "and what was missed is healed"

    play(test, Listing(plugin=Scripted(stream=False)))


def test_a_symbol_that_is_streamed_comes_back_by_itself_on_the_same_connection() -> None:
    async def test(world: Listing, collector: Collector) -> None:
        await collector.add(KNOWN)
        await collector.add(NEW)
        await asyncio.sleep(0.1)
        async with asyncio.TaskGroup() as tasks:
            venue = tasks.create_task(world.answer_streams())
            await asyncio.sleep(3_600)
            assert Condition.REFUSED is health_of(collector, NEW)
            asked = [topics for topics in world.stream.asked if "NEW/USD@1m" in topics]
            assert 6 <= len(asked) <= 8
            assert world.asked_within(3_600) <= 10
            world.listed = True
            await asyncio.sleep(25 * 60)
            assert 1 == len(world.transport.streams)
            assert health_of(collector, NEW) not in {Condition.REFUSED, Condition.STALE}
            venue.cancel()

    play(test, Listing())


def test_one_that_is_removed_is_asked_for_no_more_and_all_may_be() -> None:
    async def test(world: Listing, collector: Collector) -> None:
        await collector.add(KNOWN)
        await collector.add(NEW)
        await asyncio.sleep(60)
        await collector.remove(NEW)
        await asyncio.sleep(1_800)
        assert not world.asked_within(1_799)
        await collector.remove(KNOWN)
        before = len(world.transport.requests)
        await asyncio.sleep(600)
        assert before == len(world.transport.requests)
        assert not collector.health().series

    play(test, Listing(plugin=Scripted(stream=False)))

"""Level 5, capabilities: whether what an adapter says of its venue is what its simulated venue does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from wickwire.conversation import OhlcvQuery, StreamRequest
from wickwire.description import Account
from wickwire.endpoint import Ask, Send, Topic
from wickwire.errors import VenueError
from wickwire.model import MINUTE_NS, SECOND_NS, Feed, Finality, Timeframe, Trade, iso
from wickwire.testing.checks import Broken, Checks, Level, Need, Skipped, require
from wickwire.testing.material import Material
from wickwire.testing.pages import require_no_bug
from wickwire.testing.playing import few, is_had
from wickwire.testing.ranges import Served, agree, brought, depth_of, false_proof, inside, served, some_served
from wickwire.testing.sitting import Sitting, conversed, data_topic, replied
from wickwire.testing.stages import Dialogue

__all__ = ["CAPABILITIES"]

CAPABILITIES: Final = Checks(Level.CAPABILITIES)

ROWS: Final = 12
ODD: Final = (Timeframe.parse("7m"), Timeframe.parse("11h"), Timeframe.parse("13d"))
"""What no venue is known to have."""
GREETING_NS: Final = 2 * SECOND_NS
LISTENS_NS: Final = 10 * SECOND_NS
PATIENCE_NS: Final = 3 * MINUTE_NS
"""After so long anything that is streamed was told once, unless longer buckets are told at their end."""
LONGEST_NS: Final = 15 * MINUTE_NS
TRADES: Final = 3
LATER_NS: Final = 10 * MINUTE_NS
MARGIN_ROWS: Final = 4
"""So many of the oldest rows that history may have are left alone."""
MOST_PAGE_ROWS: Final = 1_500
"""Pages that may be longer are asked for with so many rows."""


@CAPABILITIES("C01", "Every timeframe that is said to be streamed comes.", Need.STREAM, Need.DIALOGUES)
def streams_come(material: Material) -> None:
    looked = 0
    for symbol, account in _asked(material):
        told = material.described(account).timeframes
        streamed = [one for one in told if material.adapter.support_for(symbol, one, account).stream]
        for timeframe in streamed if account == material.account else few(streamed):
            looked += 1
            topic = Topic(symbol, timeframe)
            came, patience_ns = _first_of(material, account, topic)
            if came is None and patience_ns >= timeframe.nominal_ns:
                raise Broken(f"{topic} is said to be streamed; in {patience_ns // SECOND_NS} s nothing came")
    material.count_or_skip(looked, "supports_ohlcv() says of no timeframe that it is streamed")


@CAPABILITIES(
    "C02",
    "History that is said to be served is, of every timeframe, as far back as it says, and the way it says.",
    Need.HISTORY,
    Need.SERVED,
)
def history_comes(material: Material) -> None:
    for one in served(material, all_timeframes=True):
        material.count()
        query = material.playing.query(one.symbol, one.timeframe, ROWS, 0)
        fetched = material.playing.fetch(query, one.account)
        rows = () if fetched.page is None else fetched.page.candles
        require(
            rows,
            f"{one}: history is said to be served, and {fetched.error or 'none came'}",
            shown=repr(query),
        )
        streamed = any(isinstance(each.request, StreamRequest) for each in fetched.exchanges)
        said = f"{one}: over_stream is {one.support.over_stream}"
        require(streamed is one.support.over_stream, f"{said}, and it asked the other way", shown=repr(query))
    for one in some_served(material):
        old = _oldest(material, one)
        if old is not None:
            material.count()
            page = brought(material, one, old)
            wrong = false_proof(material, one, old, page)
            since_ns, until_ns = page.covered
            why = f"{one}: of the oldest rows that it says it has it covers {page.covered}"
            require(not wrong and since_ns < until_ns, wrong or why, shown=repr(old))


@CAPABILITIES(
    "C03",
    "Feeds that are named come; trades of which candles may be built have ids, numbered ones one by one.",
    Need.STREAM,
    Need.DIALOGUES,
)
def feeds_come(material: Material) -> None:
    looked = 0
    for symbol, account in _asked(material):
        told = material.described(account)
        builds = [
            support
            for one in told.timeframes
            if (support := material.adapter.support_for(symbol, one, account)).trades
        ]
        feeds = dict.fromkeys((*(told.feeds or ()), *((Feed.TRADES,) if builds else ())))
        for feed in feeds:
            looked += 1
            topic = Topic(symbol, feed)
            came, patience_ns = _first_of(material, account, topic, most=TRADES if feed is Feed.TRADES else 1)
            require(came is not None, f"{topic} is said to come; in {patience_ns // SECOND_NS} s it did not")
            if feed is Feed.TRADES and builds:
                assert came is not None
                _check_ids(topic, came, numbered=any(one.numbered for one in builds))
    material.count_or_skip(looked, "describe() names no feed, and candles cannot be built from trades")


def _check_ids(topic: Topic, sitting: Sitting, *, numbered: bool) -> None:
    ids = [one.id for one in sitting.told if isinstance(one, Trade) and one.symbol == topic.symbol]
    require(all(ids), f"candles may be built of {topic}, and its trades have no ids")
    if numbered:
        require(
            all(one.isdigit() for one in ids), f"ids of {topic} are said to count, and one is {min(ids)!r}"
        )
        numbers = sorted({int(one) for one in ids})
        counts = numbers[-1] - numbers[0] == len(numbers) - 1
        require(counts, f"ids of {topic} are said to count one by one, and are {numbers[:6]}")


@CAPABILITIES(
    "C04",
    "History that is denied is refused with a VenueError, when it is asked for all the same.",
    Need.HISTORY,
    Need.SERVED,
)
def denied_is_refused(material: Material) -> None:
    for one in some_served(material):
        told = material.described(one.account).timeframes
        for timeframe in dict.fromkeys((*told, *ODD)):
            if material.adapter.support_for(one.symbol, timeframe, one.account).rest:
                continue
            material.count()
            query = material.playing.query(one.symbol, timeframe, 3, 2)
            fetched = material.playing.fetch(query, one.account)
            series = f"{one.symbol}@{timeframe} is denied"
            require_no_bug(material, fetched, series)
            came = fetched.error or fetched.page
            require(isinstance(came, VenueError), f"{series}, and became {came!r:.300}", shown=repr(query))


@CAPABILITIES(
    "C05",
    "Rows are marked closed where marks_closed says so, and nowhere else.",
    Need.DIALOGUES,
    Need.STREAM,
)
def marks_as_it_says(material: Material) -> None:
    looked = 0
    for dialogue in material.dialogues:
        marked: dict[Topic, bool] = {}
        for step, row in dialogue.rows:
            looked += 1
            topic = Topic(row.symbol, row.timeframe)
            says = material.adapter.support_for(row.symbol, row.timeframe, dialogue.account).marks_closed
            is_closed = row.finality is Finality.CLOSED
            require(
                says or not is_closed,
                f"marks_closed is False, and {row!r:.300} is marked",
                shown=repr(step.frame),
            )
            ended = row.close_ns <= dialogue.ended_ns - MINUTE_NS
            if says and ended:
                marked[topic] = marked.get(topic, False) or is_closed
        never = next((topic for topic, is_marked in marked.items() if not is_marked), None)
        require(
            never is None, f"{dialogue.source}: marks_closed is True, and no row of {never} ever is marked"
        )
    material.count_or_skip(looked, "no candles are streamed")


@CAPABILITIES(
    "C06",
    "After settle_s history holds a bucket, and changes it no more.",
    Need.HISTORY,
    Need.SERVED,
)
def settles_as_it_says(material: Material) -> None:
    for one in some_served(material):
        query = material.playing.query(one.symbol, one.timeframe, ROWS, 1)
        settled_ns = query.until_ns + round(one.support.settle_s * SECOND_NS)
        asked = [attrs.evolve(query, now_ns=settled_ns + after_ns) for after_ns in (0, LATER_NS)]
        soon, late = (inside(query, brought(material, one, each)) for each in asked)
        material.count()
        for open_ns, row in late.items():
            why = f"{one}: {one.support.settle_s:g} s after its end the bucket of {iso(open_ns)}"
            require(open_ns in soon, f"{why} was not there yet", shown=repr(asked[0]))
            require(
                row.same_values(soon[open_ns]), f"{why} was {soon[open_ns]!r:.300}, and became {row!r:.300}"
            )


@CAPABILITIES(
    "C07",
    "A bucket that was streamed to its end is the same in history.",
    Need.STREAM,
    Need.HISTORY,
    Need.DIALOGUES,
)
def stream_and_history_agree(material: Material) -> None:
    looked = 0
    for dialogue in material.dialogues:
        last = {(Topic(row.symbol, row.timeframe), row.open_ns): row for _, row in dialogue.rows}
        for (topic, open_ns), row in last.items():
            support = material.adapter.support_for(row.symbol, row.timeframe, dialogue.account)
            late_ns = round(max(support.grace_s, support.settle_s) * SECOND_NS)
            if not support.rest or row.close_ns + late_ns > dialogue.ended_ns:
                continue
            one = Served(row.symbol, row.timeframe, dialogue.account, support)
            now_ns = dialogue.ended_ns + late_ns
            query = OhlcvQuery(
                symbol=row.symbol,
                timeframe=row.timeframe,
                since_ns=open_ns,
                until_ns=row.close_ns,
                now_ns=now_ns,
            )
            looked += 1
            told = inside(query, brought(material, one, query)).get(open_ns)
            same = told is not None and agree(row, told)
            require(
                same, f"streamed, {topic} was {row!r:.300}, and in history {told!r:.300}", shown=repr(query)
            )
    material.count_or_skip(looked, "no streamed bucket ended of which history is served")


@CAPABILITIES(
    "C08",
    "An endpoint allows no more than describe() says, and what it says itself is no larger than it allows.",
    Need.STREAM,
    Need.DIALOGUES,
)
def limits_are_kept(material: Material) -> None:
    for dialogue in material.dialogues:
        material.count()
        endpoint, limits = dialogue.endpoint, material.described(dialogue.account).limits
        for name, own, most in (
            ("topics_per_frame", endpoint.topics_per_frame, limits.topics_per_frame),
            ("max_send_bytes", endpoint.max_send_bytes, limits.bytes_per_frame),
        ):
            require(most is None or own <= most, f"{name} of the endpoint is {own}; the venue allows {most}")
        for send in _said(material, dialogue):
            size = len(send.frame.encode() if isinstance(send.frame, str) else send.frame)
            why = f"{send!r} has {size} bytes; the endpoint allows {endpoint.max_send_bytes}"
            require(size <= endpoint.max_send_bytes, f"{dialogue.source}: {why}")


@CAPABILITIES(
    "C09",
    "One call of fetch_ohlcv() brings as many rows as page_rows says, in no more requests than it may send.",
    Need.HISTORY,
    Need.SERVED,
)
def pages_are_as_long_as_said(material: Material) -> None:
    for one in some_served(material):
        material.count()
        length_ns = one.timeframe.nominal_ns
        known_ns = material.playing.now_ns - material.playing.market.start_ns
        reach_ns = min(known_ns, depth_of(one) or known_ns)
        rows = max(1, min(one.support.page_rows, MOST_PAGE_ROWS, reach_ns // length_ns - MARGIN_ROWS))
        query = material.playing.query(one.symbol, one.timeframe, rows, 2)
        page = brought(material, one, query)
        wrong = false_proof(material, one, query, page)
        require(not wrong, f"{one}: {wrong}", shown=repr(query))
        whole = page.covered == (query.since_ns, query.until_ns)
        why = f"{one}: page_rows is {one.support.page_rows}; of {rows} rows it covers {page.covered}"
        require(whole, why, shown=repr(query))


@CAPABILITIES(
    "C10",
    "list_instruments() finds what there is by its name, and names nothing that cannot be asked for.",
    Need.SERVED,
)
def lists_what_there_is(material: Material) -> None:
    adapter, server = material.adapter, material.playing.another_server()
    if adapter.list_instruments is None:
        raise Skipped("it has no list_instruments()")
    for account in material.playing.accounts:
        told = material.described(account).timeframes
        for symbol in material.playing.known(account):
            material.count()
            talk = adapter.list_instruments(symbol, account)
            listed = conversed(talk, lambda request: replied(request, server, material.playing.now_ns), [])
            require(symbol in listed, f"{symbol} can be had, and is not among {[*listed][:12]}")
            for name in listed:
                own = adapter.from_venue(name)
                require(own == name, f"it lists {name!r}, which is {own!r} here")
                had = any(is_had(adapter.support_for(name, one, account)) for one in told)
                require(had, f"it lists {name!r}, of which supports_ohlcv() has nothing")


# ------------------------------------------------------------------------------------------- what is asked


def _asked(material: Material) -> Iterator[tuple[str, Account]]:
    """Yield the first symbol that the simulated venue knows, for each account."""
    for account in material.playing.accounts:
        for symbol in material.playing.known(account)[:1]:
            yield symbol, account


def _first_of(
    material: Material, account: Account, topic: Topic, *, most: int = 1
) -> tuple[Sitting | None, int]:
    """Listen until *most* events of *topic* came; return None where they did not, and for how long it was."""
    server = material.playing.another_server()
    sitting = Sitting(material.adapter, account, server, material.playing.now_ns, (topic,))
    sitting.until(sitting.now_ns + GREETING_NS)
    began_ns = sitting.now_ns
    sitting.subscribe([Ask(topic)])
    length_ns = topic.what.nominal_ns if isinstance(topic.what, Timeframe) else 0
    patience_ns = max(PATIENCE_NS, min(2 * length_ns, LONGEST_NS))
    while sum(data_topic(event) == topic for event in sitting.told) < most:
        if sitting.error is not None:
            raise sitting.error
        if sitting.over is not None or sitting.now_ns - began_ns >= patience_ns:
            return None, sitting.now_ns - began_ns
        sitting.until(sitting.now_ns + LISTENS_NS)
    return sitting, sitting.now_ns - began_ns


def _oldest(material: Material, one: Served) -> OhlcvQuery | None:
    """Return a range of the oldest rows that history is said to have; None where nothing is that old."""
    depth_ns = depth_of(one)
    query = material.playing.query(one.symbol, one.timeframe, 1, 0)
    if depth_ns is None or query.since_ns - depth_ns <= material.playing.market.start_ns:
        return None
    since_ns = query.since_ns - depth_ns + 2 * one.timeframe.nominal_ns
    return attrs.evolve(query, since_ns=since_ns, until_ns=since_ns + ROWS * one.timeframe.nominal_ns)


def _said(material: Material, dialogue: Dialogue) -> Iterator[Send]:
    """Yield what goes out by itself: greeting, keepalive, answers, and the questions for one topic each."""
    endpoint = dialogue.endpoint
    yield from endpoint.hello
    if endpoint.keepalive is not None and endpoint.keepalive.frame is not None:
        yield Send(endpoint.keepalive.frame)
    yield from (event for _, event in dialogue.events if isinstance(event, Send))
    memory = endpoint.memory()
    for topic in dialogue.topics:
        yield from material.adapter.subscribe([Ask(topic)], (), memory)

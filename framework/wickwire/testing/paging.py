"""Level 4, pages: whatever a venue does between the questions and the answers of one conversation."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, final

import attrs

from wickwire.conversation import HttpReply, HttpRequest, OhlcvQuery, Page, StreamRequest
from wickwire.errors import TransportError, VenueError
from wickwire.testing.checks import Broken, Checks, Level, Need, Skipped, require
from wickwire.testing.material import Material
from wickwire.testing.pages import Fetched, asked_with, page_of, require_no_bug
from wickwire.testing.playing import NOBODY
from wickwire.testing.ranges import Served, brought, false_proof, inside, some_served
from wickwire.testing.search import blamed, search
from wickwire.testing.sitting import MOST_REQUESTS
from wickwire.testing.tables import Reply, Table, table_of

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from wickwire.simulate.server import VenueServer

__all__ = ["PAGING"]

PAGING: Final = Checks(Level.HISTORY)

ROWS: Final = 17
NARROW: Final = 5
SHARE: Final = 1.0
NOT_FOUND: Final = 404
SHORT: Final = "short_pages"
"""A fault, by the name that a simulated venue may have it under: replies are short, and say how to go on."""

Answer = Callable[[HttpRequest | StreamRequest], Reply]


@final
class Deed(enum.Enum):
    """What becomes of one answer; the value says it to people."""

    SAME = "the answer before it comes again"
    EMPTY = "it has no rows"
    FIRST = "only its first half of the rows"
    LAST = "only its last half of the rows"
    DOWN = "503"
    BUSY = "429"
    NONE = "no reply comes"


@attrs.frozen
class Case:
    """A range, and what becomes of the answers from one of them on.

    Attributes:
        one: Which series.
        deed: What becomes of them.
        at: Of which answer first, counted from 0.
        always: Of all after it too.
    """

    one: Served
    deed: Deed
    at: int
    always: bool

    def __str__(self) -> str:
        """Return `GLOW/USD@1m, from answer 2 on: it has no rows`."""
        where = f"from answer {self.at + 1} on" if self.always else f"answer {self.at + 1}"
        return f"{self.one}, {where}: {self.deed.value}"


@PAGING(
    "H06",
    "Whatever comes instead of an answer, a conversation ends: after few requests, with a page or an error.",
    Need.HISTORY,
    Need.SERVED,
)
def every_conversation_ends(material: Material) -> None:
    def look(case: Case) -> None:
        fetched = _fetched(material, case)
        asked = len(fetched.exchanges)
        require(asked < MOST_REQUESTS, f"it asked {asked} times, and would ask on")
        if fetched.page is not None and not _lawless(
            fetched.query, brought(material, case.one, fetched.query)
        ):
            wrong = _lawless(fetched.query, fetched.page)
            require(not wrong, wrong)

    for deed in Deed:
        look(Case(some_served(material)[0], deed, 0, always=True))
    search(material, _cases(material, Deed), look, share=SHARE * 4, show=str)


@PAGING(
    "H07",
    "Where answers are short and say how to go on, a page covers something, and lacks nothing of it.",
    Need.HISTORY,
    Need.SERVED,
)
def short_pages_are_joined(material: Material) -> None:
    if SHORT not in material.playing.another_server().faults:
        raise Skipped(f"its simulated venue has not the fault {SHORT}")
    for one in some_served(material):
        for rows in (3, ROWS):
            material.count()
            query = material.playing.query(one.symbol, one.timeframe, rows, 2)
            whole = inside(query, brought(material, one, query))
            fetched = material.playing.fetch(query, one.account, _short_server(material))
            page = page_of(material, fetched, one)
            since_ns, until_ns = page.covered
            lost = [ns for ns in whole if since_ns <= ns < until_ns and ns not in inside(query, page)]
            shown = repr(query)
            require(
                not lost,
                f"{one}: it covers {whole.get(min(lost, default=0))!r:.300}, and lacks it",
                shown=shown,
            )
            require(
                since_ns < until_ns, f"{one}: it covers nothing, so it would be asked for ever", shown=shown
            )


@PAGING("H08", "Rows out of order, or twice, make the same page, or none.", Need.HISTORY, Need.SERVED)
def order_means_nothing(material: Material) -> None:
    from hypothesis import strategies as st  # noqa: PLC0415 - an extra

    tables = [(one, table) for one in some_served(material) if (table := _table(material, one)) is not None]
    if not tables:
        raise Skipped("no rows can be told apart in its answers")

    def look(drawn: tuple[tuple[Served, Table], Sequence[int]]) -> None:
        (one, table), order = drawn
        query = _query(material, one)
        page = _page_from(material, one, query, table.with_rows(order))
        plain = brought(material, one, query)
        if page is not None and not _lawless(query, plain):
            wrong = _lawless(query, page)
            require(not wrong, wrong)
            require(inside(query, page) == inside(query, plain), "it became other rows")
            longer = page.covered[0] < plain.covered[0] or page.covered[1] > plain.covered[1]
            require(not longer, f"it covers {page.covered}, and in order {plain.covered}")

    def disordered(drawn: tuple[Served, Table]) -> SearchStrategy[tuple[tuple[Served, Table], Sequence[int]]]:
        numbers = range(drawn[1].count)
        again = st.lists(st.sampled_from(numbers), max_size=3).map(lambda more: [*numbers, *more])
        return st.tuples(st.just(drawn), st.one_of(st.permutations(numbers), again))

    def show(drawn: tuple[tuple[Served, Table], Sequence[int]]) -> str:
        return f"{drawn[0][0]}: rows of the answer in the order {list(drawn[1])}"

    search(material, st.sampled_from(tables).flatmap(disordered), look, share=SHARE, show=show)


@PAGING(
    "H09",
    "After an error in the midst of a conversation nothing is covered that did not come.",
    Need.HISTORY,
    Need.SERVED,
)
def errors_cover_nothing(material: Material) -> None:
    def look(case: Case) -> None:
        fetched = _fetched(material, case)
        if fetched.page is not None and len(fetched.exchanges) > case.at:
            wrong = false_proof(material, case.one, fetched.query, fetched.page)
            require(not wrong, wrong)

    search(material, _cases(material, (Deed.DOWN, Deed.BUSY, Deed.NONE)), look, share=SHARE, show=str)


@PAGING("H10", "Rows outside of what was asked for change nothing inside of it.", Need.HISTORY, Need.SERVED)
def rows_outside_change_nothing(material: Material) -> None:
    looked = 0
    for one in some_served(material):
        wide = _query(material, one)
        fetched = material.playing.fetch(wide, one.account)
        rows = [*inside(wide, page_of(material, fetched, one))]
        if len(fetched.exchanges) != 1 or len(rows) <= 2 * NARROW:
            continue
        looked += 1
        query = attrs.evolve(wide, since_ns=rows[NARROW], until_ns=rows[-NARROW])
        page = _page_from(material, one, query, fetched.exchanges[0].reply)
        plain = brought(material, one, query)
        if page is None or _lawless(query, plain) or false_proof(material, one, query, plain):
            continue  # it refuses what it did not ask for, or that is for another check to say
        wrong = _lawless(query, page) or false_proof(material, one, query, page)
        require(not wrong, wrong, shown=repr(query))
        there, due = inside(query, page), inside(query, plain)
        why = f"{one}: of {len(due)} rows {len(there)} are there"
        require(there == due or not there, why, shown=repr(query))
    material.count_or_skip(looked, "no range comes in one answer")


@PAGING(
    "H12",
    "History of what does not exist is refused with a VenueError, or holds no candle.",
    Need.HISTORY,
    Need.SERVED,
)
def nobody_has_no_history(material: Material) -> None:
    looked = 0
    for one in some_served(material):
        for symbol in (NOBODY, NOBODY.partition("/")[0]):
            if not material.adapter.support_for(symbol, one.timeframe, one.account).rest:
                continue
            looked += 1
            query = material.playing.query(symbol, one.timeframe, ROWS, 2)
            fetched = material.playing.fetch(query, one.account)
            came = fetched.error or fetched.page
            require_no_bug(material, fetched, symbol)
            empty = fetched.page is not None and not fetched.page.candles
            refused = isinstance(came, VenueError)
            require(refused or empty, f"{symbol} does not exist, and became {came!r:.300}", shown=repr(query))
            denied = any(reply.status == NOT_FOUND for reply in fetched.replies)
            require(refused or not denied, f"{symbol}: a {NOT_FOUND} became {came!r:.300}", shown=repr(query))
    material.count_or_skip(looked, "supports_ohlcv() denies symbols that do not exist")


# ------------------------------------------------------------------------------------------- what is played


def _cases(material: Material, deeds: Sequence[Deed] | type[Deed]) -> SearchStrategy[Case]:
    from hypothesis import strategies as st  # noqa: PLC0415 - an extra

    return st.builds(
        Case,
        st.sampled_from(some_served(material)),
        st.sampled_from(list(deeds)),
        st.integers(0, 3),
        st.booleans(),
    )


def _query(material: Material, one: Served) -> OhlcvQuery:
    return material.playing.query(one.symbol, one.timeframe, ROWS, 2)


def _short_server(material: Material) -> VenueServer:
    """Return a simulated venue whose replies are short, where it can; then a conversation has several."""
    server = material.playing.another_server()
    if SHORT in server.faults:
        server.inject(SHORT)
    return server


def _fetched(material: Material, case: Case) -> Fetched:
    """Return what comes of a range whose answers are disturbed: a page, or an error that is allowed."""
    one, query = case.one, _query(material, case.one)
    plain = material.playing.answering(query, one.account, _short_server(material))
    told: list[Reply] = []
    count = 0

    def answer(request: HttpRequest | StreamRequest) -> Reply:
        nonlocal count
        number, count = count, count + 1
        reply = plain(request)
        if number == case.at or (case.always and number > case.at):
            reply = _disturbed(material, case, query, reply, told)
        told.append(reply)
        return reply

    fetched = asked_with(material.adapter, query, one.account, answer, "simulate()", simulated=True)
    if fetched.bug is not None:
        raise Broken(blamed(fetched.bug, material.code))  # which case that was, the search says
    return fetched


def _disturbed(
    material: Material, case: Case, query: OhlcvQuery, reply: Reply, told: Sequence[Reply]
) -> Reply:
    """Return what comes instead of *reply*.

    Raises:
        TransportError: Nothing does.
    """
    is_http = isinstance(reply, HttpReply)
    match case.deed:
        case Deed.NONE:
            raise TransportError("no reply came")
        case Deed.SAME:
            return told[-1] if told else reply
        case Deed.DOWN | Deed.BUSY if is_http:
            return HttpReply(status=int(case.deed.value), body=b"")
        case Deed.EMPTY | Deed.FIRST | Deed.LAST:
            table = table_of(reply, lambda other: _page_from(material, case.one, query, other))
            if table is None:
                return reply
            half = table.count // 2
            kept = {Deed.EMPTY: range(0), Deed.FIRST: range(half), Deed.LAST: range(half, table.count)}
            return table.with_rows(kept[case.deed])
        case _:
            return reply


def _table(material: Material, one: Served) -> Table | None:
    """Return the rows of the one answer that a range needs, where they can be told apart."""
    query = _query(material, one)
    fetched = material.playing.fetch(query, one.account)
    if len(fetched.exchanges) != 1:
        return None
    reply = fetched.exchanges[0].reply
    return table_of(reply, lambda other: _page_from(material, one, query, other))


def _page_from(material: Material, one: Served, query: OhlcvQuery, reply: Reply) -> Page | None:
    """Return the page that *reply* alone makes, whatever is asked; None where it is refused."""
    fetched = asked_with(material.adapter, query, one.account, lambda _: reply, "simulate()", simulated=True)
    require_no_bug(material, fetched, one)
    return fetched.page


def _lawless(query: OhlcvQuery, page: Page) -> str:
    """Return what no page may be, or nothing."""
    opens = [row.open_ns for row in page.candles]
    twice = next((row for row in page.candles if opens.count(row.open_ns) > 1), None)
    if twice is not None:
        return f"a bucket is there twice: {twice!r:.300}"
    since_ns, until_ns = page.covered
    within = query.since_ns <= since_ns <= until_ns <= query.until_ns
    return "" if within else f"asked for {(query.since_ns, query.until_ns)}, covered {page.covered}"

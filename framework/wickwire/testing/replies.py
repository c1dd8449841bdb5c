"""Level 2, replies: what `fetch_ohlcv` makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from wickwire.conversation import HttpReply, Page
from wickwire.errors import FaultKind, TransportError, VenueError, WireError
from wickwire.testing.checks import Broken, Checks, Level, Need, Skipped, require
from wickwire.testing.material import Material
from wickwire.testing.mutations import mutated
from wickwire.testing.pages import Fetched, ask_again, require_no_bug
from wickwire.testing.search import search

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["REPLIES", "THROTTLE"]

REPLIES: Final = Checks(Level.PARSE)

STATUSES: Final = (200, 201, 204, 301, 400, 401, 403, 404, 418, 422, 429, 451, 500, 502, 503, 504, 520, 599)
DOWN: Final = (500, 502, 503, 504)
WRONG: Final = (400,)
"""Whoever asks the same again is told the same again. What others of 4xx mean is the venue's to say."""
THROTTLED: Final = (403, 418, 420, 503)
"""With these some venues say that too much was asked, too; what each means is for its adapter to know."""
RETRY_S: Final = 7.0
THROTTLE: Final = "throttle"
"""A fault, by the name that a simulated venue may have it under: REST answers as to whoever asks too much."""
HTML: Final = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Back soon.</body></html>"
ODD_BODIES: Final = (b"", b"null", b"[]", b"{}", b'""', b"0", b'{"error":"Too many requests"}', HTML)

Case = tuple[Fetched, int, HttpReply]
"""Which conversation, which of its answers, and what comes instead."""


@REPLIES(
    "P14",
    "Whatever reply comes, fetch_ohlcv() returns a Page or raises VenueError or WireError.",
    Need.HISTORY,
    Need.REPLIES,
)
def page_or_error(material: Material) -> None:
    for fetched in material.fetched:
        require_no_bug(material, fetched, fetched.source)

    def look(case: Case) -> None:
        try:
            page: object = _asked(material, case)
        except (VenueError, WireError, TransportError):
            return
        require(isinstance(page, Page), f"fetch_ohlcv() returned {page!r:.80}, not a Page")

    search(material, cases(material, statuses=STATUSES), look, share=3.0, show=shown)


@REPLIES("P22", "What the venue really answers to fetch_ohlcv() is understood.", Need.HISTORY)
def understands_answers(material: Material) -> None:
    playing = material.playing
    for account in playing.accounts:
        playing.known(account)  # which asks for what might be there
    for fetched in playing.tried:
        material.count()
        error = fetched.error
        understood = not isinstance(error, WireError | TransportError)
        require(understood, f"{fetched.source}: {error}", shown=repr(fetched.query))
        unknown = not isinstance(error, VenueError) or error.kind is FaultKind.SYMBOL
        why = f"its simulated venue knows nothing, and says of {fetched.query.symbol}: {error}"
        require(playing.known(fetched.account) or unknown, why, shown=repr(fetched.query))
    if not playing.tried:
        raise Skipped("there is no simulate(), or none of its symbols is served")
    there = any(playing.known(account) for account in playing.accounts)
    symbols = ", ".join(dict.fromkeys(one.query.symbol for one in playing.tried if one.error is None))
    require(
        there or not symbols, f"of all that is traded nothing came, and no error: {symbols}; try --symbol"
    )


@REPLIES(
    "P15",
    "Too many requests become WAIT, a 5xx OUTAGE, a 400 neither; where waiting helps Retry-After is obeyed.",
    Need.HISTORY,
    Need.REPLIES,
)
def refusals(material: Material) -> None:
    for fetched in material.replied:
        for at, exchange in enumerate(fetched.exchanges):
            if not isinstance(exchange.reply, HttpReply):
                continue
            for body in (b"", b'{"message":"no"}', HTML):
                material.count()
                plain = HttpReply(status=0, body=body, date_ns=exchange.reply.date_ns)
                _look_at_refusals(material, fetched, at, plain)
    _look_at_throttling(material)


def _look_at_throttling(material: Material) -> None:
    """Require that what the venue says whoever asks too much becomes WAIT, in whatever way it says it."""
    for account in material.playing.accounts if material.playing.fetched else ():
        server = material.playing.another_server()
        asked = next((one.query for one in material.playing.fetched if one.account == account), None)
        if asked is None or THROTTLE not in server.faults:
            continue
        server.inject(THROTTLE)
        told = material.playing.fetch(asked, account, server)
        kind = told.error.kind if isinstance(told.error, VenueError) else None
        said = f"too many requests, as its simulated venue says it, became {told.error!r:.200}"
        require(kind is FaultKind.WAIT, said, shown=f"{told.replies[-1:]!r:.1500}\nto {asked}")
        material.count()


def _look_at_refusals(material: Material, fetched: Fetched, at: int, plain: HttpReply) -> None:
    """Require that each status, with the body of *plain* as answer number *at*, becomes what it means."""
    meant = {429: FaultKind.WAIT} | dict.fromkeys(DOWN, FaultKind.OUTAGE)
    for status in dict.fromkeys((*meant, *WRONG, *THROTTLED)):
        case = fetched, at, attrs.evolve(plain, status=status)
        later = fetched, at, attrs.evolve(case[2], headers={"retry-after": f"{RETRY_S:.0f}"})
        error = _refused(material, case)
        if status in meant:
            require(error.kind is meant[status], f"a {status} became {error.kind}", shown=shown(case))
        again = error.kind in (FaultKind.WAIT, FaultKind.OUTAGE)
        if status in WRONG and plain.body is not HTML:  # a page may be anybody's
            require(not again, f"a {status} became {error.kind}: it would be asked again", shown=shown(case))
        if again:
            told_s = _refused(material, later).retry_after_s
            why = f"a {status} became {error.kind}, and its Retry-After: {RETRY_S:.0f} became {told_s}"
            require(told_s == RETRY_S, why, shown=shown(later))


@REPLIES("P16", "A page of HTML with status 200 is no page of candles.", Need.HISTORY, Need.REPLIES)
def no_candles_in_html(material: Material) -> None:
    for fetched in material.replied:
        for at, exchange in enumerate(fetched.exchanges):
            if not isinstance(exchange.reply, HttpReply):
                continue
            material.count()
            headers = {"content-type": "text/html"}
            case = (
                fetched,
                at,
                HttpReply(status=200, body=HTML, headers=headers, date_ns=exchange.reply.date_ns),
            )
            try:
                page = _asked(material, case)
            except (VenueError, WireError):
                continue
            proves = page.covered[0] < page.covered[1]
            require(not proves, f"it became a page that covers {page.covered}", shown=shown(case))


@REPLIES(
    "P17",
    "A page never covers more than was asked for, holds a bucket once, and is the same each time.",
    Need.HISTORY,
    Need.PAGES,
)
def within_what_was_asked(material: Material) -> None:
    for fetched in material.fetched:
        page = fetched.page
        if page is None:
            continue
        opens = [one.open_ns for one in page.candles]
        twice = sorted({one for one in opens if opens.count(one) > 1})
        require(not twice, f"buckets are there twice: {twice[:3]}", shown=repr(fetched.query))
        answers = [one.reply for one in fetched.exchanges]
        again = ask_again(material.adapter, fetched, answers)
        require(again == page, "the same replies make another page", shown=f"{page!r:.600}\n{again!r:.600}")
        _check_covered(fetched, page)
    if not material.replied:
        return

    def look(case: Case) -> None:
        try:
            page = _asked(material, case)
        except (VenueError, WireError, TransportError):
            return
        _check_covered(case[0], page)

    search(material, cases(material, statuses=(200,)), look, forgiving=True, show=shown)


def _check_covered(fetched: Fetched, page: Page) -> None:
    since_ns, until_ns = page.covered
    query = fetched.query
    require(since_ns <= until_ns, f"covered is {page.covered}, which ends before it begins")
    inside = query.since_ns <= since_ns and until_ns <= query.until_ns
    asked = (query.since_ns, query.until_ns)
    require(inside, f"asked for {asked}, covered {page.covered}", shown=repr(query))


def cases(material: Material, *, statuses: tuple[int, ...]) -> SearchStrategy[Case]:
    """Return conversations of which one answer is changed."""
    from hypothesis import strategies as st  # noqa: PLC0415 - an extra

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        fetched = draw(st.sampled_from(material.replied))
        places = [at for at, one in enumerate(fetched.exchanges) if isinstance(one.reply, HttpReply)]
        at = draw(st.sampled_from(places))
        reply = fetched.exchanges[at].reply
        assert isinstance(reply, HttpReply)
        body = draw(st.one_of(mutated(reply.body), mutated(reply.body), st.sampled_from(ODD_BODIES)))
        status = draw(st.one_of(st.just(200), st.sampled_from(statuses)))
        return fetched, at, attrs.evolve(reply, body=body, status=status)

    return drawn()


def shown(case: Case) -> str:
    """Return how a changed conversation is told."""
    fetched, at, reply = case
    told = f"status {reply.status}, headers {dict(reply.headers)}, body {reply.body!r:.1500}"
    return f"reply {at + 1} of {len(fetched.exchanges)}: {told}\nto {fetched.query}"


def _asked(material: Material, case: Case) -> Page:
    fetched, at, reply = case
    answers = [one.reply for one in fetched.exchanges]
    return ask_again(material.adapter, fetched, [*answers[:at], reply, *answers[at + 1 :]])


def _refused(material: Material, case: Case) -> VenueError:
    try:
        _asked(material, case)
    except VenueError as exc:
        return exc
    except (WireError, TransportError) as exc:
        raise Broken(f"a {case[2].status} became {type(exc).__name__}: {exc}", shown=shown(case)) from exc
    raise Broken(f"a {case[2].status} became a page", shown=shown(case))

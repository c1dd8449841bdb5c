"""Level 2, values: whether numbers, times and rows are what was sent, in frames and in pages alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import attrs

from wickwire.conversation import HttpReply
from wickwire.description import Account
from wickwire.errors import TransportError, VenueError, WireError
from wickwire.laws import broken_law
from wickwire.model import DAY_NS, Candle, Quote, Trade, TradeAction, Unit, Unknown, Utc, Zone, iso
from wickwire.testing.checks import Checks, Level, Need, Skipped, require
from wickwire.testing.literals import FIRST_NS, LAST_NS, Instant, Literal, instants, numbers
from wickwire.testing.material import Material
from wickwire.testing.pages import Fetched, ask_again
from wickwire.testing.parsing import mistyped
from wickwire.testing.stages import Stage, heard

__all__ = ["VALUES", "not_a_month"]

VALUES: Final = Checks(Level.PARSE)

TAIL: Final = "1234567890123456789012345"
DIGITS: Final = 25
SHORT: Final = tuple(f"{tail:03}" for tail in range(111, 999))
"""Digits of which one tail makes a number that is not in the data already."""
MOST_LITERALS: Final = 40
LONG_ID: Final = "3447222699101865077"
"""As long as ids get, and no number that a double holds."""
ROUNDED: Final = 10_000
"""No id of 19 digits that went through a double is further away from what was sent."""
NO_NUMBERS: Final = ("NaN", '"NaN"', "-Infinity", "null")
MOST_SPELLINGS: Final = 4


@attrs.frozen
class Place:
    """A text that can be said again otherwise: a frame at a stage, or the body of a reply.

    Attributes:
        source: Where it is from.
        text: What was said.
        read: Returns the data that a text in its place means; nothing where it is refused.
        account: For whom.
    """

    source: str
    text: bytes
    read: Callable[[bytes], Sequence[Any]]
    account: Account

    def told(self, frame: bytes) -> str:
        """Return how it is shown to people."""
        return f"{frame!r:.600}\nin place of {self.text!r:.300} of {self.source}"


@VALUES(
    "P06", "A price or size has all digits that were sent, or the frame is refused.", Need.STREAM, Need.FRAMES
)
def exact_numbers(material: Material) -> None:
    _check_exact(material, [_at_stage(material, stage) for stage in material.stages])


@VALUES(
    "P07",
    "A time that is sent otherwise is told otherwise, by as much; events are of this century.",
    Need.STREAM,
    Need.FRAMES,
)
def right_times(material: Material) -> None:
    every = [stage for one in material.dialogues for stage in one.stages] or material.stages
    for stage in every:
        for event in stage.step.events:
            for name, ns in _times(event):
                fits = FIRST_NS <= ns < LAST_NS
                require(
                    fits, f"{name} is {ns}, {_instant(ns)}: the unit is wrong", shown=repr(stage.step.frame)
                )
    _check_shifts(material, [_at_stage(material, stage) for stage in material.stages])


@VALUES(
    "P08",
    "A candle that was really sent obeys the laws of prices, and lies where its bucket does.",
    Need.STREAM,
    Need.FRAMES,
)
def lawful(material: Material) -> None:
    stages = [stage for one in material.dialogues for stage in one.stages] or material.stages
    for stage in stages:
        for event in stage.step.events:
            if isinstance(event, Candle):
                material.count()
                if mistyped(event) or not FIRST_NS <= event.open_ns < LAST_NS:
                    continue  # that is for other checks to say
                wrong = unlawful(material, event, stage.dialogue.account)
                require(not wrong, f"{wrong}: {event!r:.300}", shown=repr(stage.step.frame))


@VALUES(
    "P18",
    "A price or size of history has all digits that were sent, or the reply is refused.",
    Need.HISTORY,
    Need.PAGES,
)
def exact_history(material: Material) -> None:
    _check_exact(material, [place for one in material.pages[:4] for place in _at_replies(material, one)])


@VALUES(
    "P19",
    "A row of history that is sent with another time is told with another time, by as much.",
    Need.HISTORY,
    Need.PAGES,
)
def right_times_of_history(material: Material) -> None:
    _check_shifts(material, [place for one in material.pages[:4] for place in _at_replies(material, one)])


@VALUES(
    "P20",
    "A row of history that was really sent obeys the laws of prices, and lies where its bucket does.",
    Need.HISTORY,
    Need.PAGES,
)
def lawful_history(material: Material) -> None:
    for fetched in material.pages:
        assert fetched.page is not None
        for candle in fetched.page.candles:
            material.count()
            wrong = unlawful(material, candle, fetched.account)
            require(not wrong, f"{wrong}: {candle!r:.300}", shown=repr(fetched.query))


@VALUES("P21", "What is sent in place of a number and is none, NaN, infinite or null, becomes no number.")
def only_numbers(material: Material) -> None:
    places = [_at_stage(material, stage) for stage in material.stages]
    places += [place for one in material.pages[:4] for place in _at_replies(material, one)]
    for place in places:
        before = _decimals(place.read(place.text))
        for literal in _some(one for one in numbers(place.text) if one.value in before):
            for text in NO_NUMBERS:
                frame = literal.in_place(place.text, text)
                material.count()
                wrong = next(filter(None, map(mistyped, place.read(frame))), "")
                require(not wrong, wrong, shown=place.told(frame))
    if not places:
        raise Skipped("there are no frames and no pages; give --samples DIR, or implement simulate()")


@VALUES("P24", "The id of a trade has all digits that were sent.", Need.STREAM, Need.FRAMES)
def exact_ids(material: Material) -> None:
    looked = 0
    for place in (_at_stage(material, stage) for stage in material.stages):
        ids = {one.id for one in place.read(place.text) if isinstance(one, Trade)}
        sent = {literal.text for literal in numbers(place.text) if literal.text.isdigit()}
        for name in (one for one in ids - sent if one.isdigit()):
            near = next((one for one in sent if 0 < abs(int(one) - int(name)) < ROUNDED), None)
            require(
                near is None or int(near) < ROUNDED,
                f"{near} was sent and became {name}",
                shown=place.told(b""),
            )
        for literal in numbers(place.text) if ids else ():
            if literal.text not in ids:
                continue
            frame = literal.in_place(place.text, LONG_ID)
            after = {one.id for one in place.read(frame) if isinstance(one, Trade)}
            if after and after != ids:
                looked += 1
                require(
                    LONG_ID in after, f"{LONG_ID} was sent and became {max(after)}", shown=place.told(frame)
                )
    material.count_or_skip(looked, "no number of a text frame is the id of a trade")


@VALUES(
    "P23",
    "No price of a trade or quote, and no vwap, that was really sent is 0, or negative where that cannot be.",
    Need.STREAM,
    Need.FRAMES,
)
def real_prices(material: Material) -> None:
    for stage in material.stages:
        for event in stage.step.events:
            if not isinstance(event, Candle | Trade | Quote) or mistyped(event):
                continue
            material.count()
            impossible = _impossible(material, event, stage.dialogue.account)
            shown = repr(stage.step.frame)
            require(
                not impossible, f"a price of nothing is None, not {impossible}: {event!r:.300}", shown=shown
            )


def _impossible(material: Material, event: Candle | Trade | Quote, account: Account) -> Sequence[Decimal]:
    """Return the prices of *event* that can be none."""
    match event:
        case Candle():
            told_prices = [event.vwap]
        case Trade():
            told_prices = [event.price if event.action is TradeAction.NEW else None]
        case _:
            told_prices = [event.bid, event.ask]
    prices = [one for one in told_prices if one is not None]
    told = material.described(account).timeframes
    signed = any(material.adapter.support_for(event.symbol, one, account).signed_prices for one in told[:1])
    return [one for one in prices if not one or (one < 0 and not signed)]


def unlawful(material: Material, candle: Candle, account: Account) -> str:
    """Return which law a genuine candle breaks, or nothing."""
    support = material.adapter.support_for(candle.symbol, candle.timeframe, account)
    law = broken_law(candle, signed_prices=support.signed_prices)
    if law is not None:
        return law
    if not FIRST_NS <= candle.open_ns < LAST_NS:
        return f"it opens in {_instant(candle.open_ns)}: the unit is wrong"
    if isinstance(support.grid, Utc | Zone):
        try:
            opens_ns = candle.timeframe.open_at(candle.open_ns, support.grid)
            closes_ns = candle.timeframe.close_of(candle.open_ns, support.grid)
        except ValueError:
            return ""
        if candle.open_ns != opens_ns:
            return f"no bucket of {support.grid} opens at {iso(candle.open_ns)}"
        if candle.close_ns != closes_ns:
            return f"its bucket ends at {iso(closes_ns)}, not at {iso(candle.close_ns)}"
    elif candle.close_ns - candle.open_ns > candle.timeframe.nominal_ns + 3_600 * 10**9:
        return f"it lasts longer than {candle.timeframe}"
    return not_a_month(candle) if isinstance(support.grid, Unknown) else ""


def not_a_month(candle: Candle) -> str:
    """Return what is wrong with a month of which only the time zone is not known, or nothing."""
    if candle.timeframe.unit is not Unit.MONTH:
        return ""
    nearest_ns = candle.timeframe.open_at(candle.open_ns + DAY_NS, Utc())
    whole_ns = candle.timeframe.close_of(nearest_ns, Utc()) - nearest_ns
    lasts_ns = candle.close_ns - candle.open_ns
    if abs(candle.open_ns - nearest_ns) <= DAY_NS and abs(lasts_ns - whole_ns) >= DAY_NS:
        return f"it lasts {lasts_ns / DAY_NS:g} days, its month {whole_ns / DAY_NS:g}"
    return ""


# --------------------------------------------------------------------------------------------------- digits


def _check_exact(material: Material, places: Sequence[Place]) -> None:
    """Put a number of 25 digits in the place of each that appears in data, and look for it there."""
    carried = 0
    for place in places:
        before = _decimals(place.read(place.text))
        if not before:
            continue
        for literal in _some(numbers(place.text)):
            short = next(one for one in map(literal.longer, SHORT) if Decimal(one) not in before)
            if literal.value not in before or "e" in literal.text.lower():
                continue
            if Decimal(short) not in _decimals(place.read(literal.in_place(place.text, short))):
                continue  # it is another number, or is looked at more closely than that
            own = len(literal.text.replace("-", "").replace(".", "").lstrip("0"))
            long = literal.longer(TAIL[: max(1, DIGITS - own)])
            frame = literal.in_place(place.text, long)
            events = place.read(frame)
            material.count()
            if not events:
                continue  # it refuses what it could not keep
            after = _decimals(events)
            nearest = min(after, key=lambda one: abs(one - Decimal(long)), default=None)
            require(Decimal(long) in after, f"{long} was sent and became {nearest}", shown=place.told(frame))
            carried += 1
    if not carried:
        raise Skipped("no number of a text frame appears in its data with more digits")


def _decimals(events: Sequence[Any]) -> set[Decimal]:
    found = set()
    for event in events:
        if isinstance(event, Candle | Trade | Quote):
            values: Any = event
            found |= {
                one
                for one in attrs.asdict(values, recurse=False).values()
                if isinstance(one, Decimal) and one.is_finite()
            }
    return found


# ---------------------------------------------------------------------------------------------------- times


def _check_shifts(material: Material, places: Sequence[Place]) -> None:
    """Let each time that appears in data be another, and look whether the data follows."""
    followed = 0
    for place in places:
        before = place.read(place.text)
        steps = {ns: _step(event) for event in before for _, ns in _times(event)}
        spelled: dict[int, list[Instant]] = {}
        for instant in instants(place.text):
            if instant.ns in steps:
                spelled.setdefault(instant.ns, []).append(instant)
        for ns, spellings in spelled.items():
            wrong = [_unmoved(place, one, {*steps}, steps[ns]) for one in spellings[:MOST_SPELLINGS]]
            material.count(len(wrong))
            if all(wrong):
                why, shown = wrong[0] or ("", "")
                require(holds=False, why=why, shown=shown)
            followed += None in wrong
    if not followed:
        raise Skipped("no time of a text frame appears in its data")


def _unmoved(
    place: Place, instant: Instant, known: set[int], by_ns: int
) -> tuple[str, str] | tuple[()] | None:
    """Return None where data follows *instant*, nothing where it is refused, else what came of it."""
    frame = instant.literal.in_place(place.text, instant.shifted(by_ns))
    after = {ns for event in place.read(frame) for _, ns in _times(event)}
    later_ns = instant.ns + by_ns
    if later_ns in after - known or (later_ns in after and instant.ns not in after):
        return None  # where another row has that time already, it takes its place
    if after < known:
        return ()  # it is refused, or is none of what was asked for, or was there already
    became = ", ".join(map(_instant, sorted(after - known))) or "the same as before"
    told = f"{instant.literal.text} is {iso(instant.ns)}; sent {by_ns} ns later, it became {became}"
    return told, place.told(frame)


def _times(event: object) -> Iterator[tuple[str, int]]:
    match event:
        case Candle():
            yield "Candle.open_ns", event.open_ns
        case Trade():
            yield "Trade.time_ns", event.time_ns
        case Quote() if event.time_ns is not None:
            yield "Quote.time_ns", event.time_ns
        case _:
            return


def _step(event: object) -> int:
    """Return by how much its time is shifted: a bucket, or a minute."""
    fixed_ns = event.timeframe.fixed_ns if isinstance(event, Candle) else None
    return max(fixed_ns or 0, 60 * 10**9) if not isinstance(event, Candle) or fixed_ns else 7 * 86_400 * 10**9


def _instant(ns: int) -> str:
    try:
        return iso(ns)
    except (ValueError, OverflowError):
        return f"{ns} ns"


# --------------------------------------------------------------------------------------------------- places


def _at_stage(material: Material, stage: Stage) -> Place:
    def read(frame: bytes) -> Sequence[Any]:
        told = heard(material.adapter, frame, stage.memory(material.adapter))
        return () if isinstance(told, str) else told

    return Place(stage.dialogue.source, stage.step.frame, read, stage.dialogue.account)


def _at_replies(material: Material, fetched: Fetched) -> Iterator[Place]:
    replies = [one.reply for one in fetched.exchanges]
    for at, reply in enumerate(replies):
        if not isinstance(reply, HttpReply):
            continue

        def read(body: bytes, at: int = at, reply: HttpReply = reply) -> Sequence[Any]:
            changed = [*replies[:at], attrs.evolve(reply, body=body), *replies[at + 1 :]]
            try:
                return ask_again(material.adapter, fetched, changed).candles
            except (WireError, VenueError, TransportError):
                return ()

        yield Place(fetched.source, reply.body, read, fetched.account)


def _some(found: Iterator[Literal]) -> Sequence[Literal]:
    every = list(found)
    return every[:: max(1, len(every) // MOST_LITERALS)]

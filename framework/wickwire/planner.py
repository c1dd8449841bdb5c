"""How each series is to be collected, decided before anything connects, and why. Pure.

The ladder is stream, resample, build, poll, refuse: the first rung that the venue offers and its limits
carry is taken. What each rung offers is told in `ladder`; what series leave each other, in `room`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import attrs

from wickwire.binding import suggestion
from wickwire.credentials import how_to_set
from wickwire.description import Account, Description, Limits, OhlcvSupport
from wickwire.endpoint import Lane, Topic
from wickwire.errors import PluginError, UsageError, WickwireError
from wickwire.ladder import LADDER, Case, Cost, Offer
from wickwire.limits import effective_limits
from wickwire.model import Feed, Rung, Series, Timeframe

if TYPE_CHECKING:
    from wickwire.adapter import Adapter

__all__ = ["PINS", "Cost", "Judged", "Plan", "explain", "judge", "pinned", "plan", "unpinnable"]

_PARTICIPLE: Final = {
    Rung.STREAM: "streamed",
    Rung.RESAMPLE: "resampled",
    Rung.BUILD: "built from trades",
    Rung.POLL: "polled",
}
_TOLD: Final = (Rung.STREAM, Rung.POLL)

PINS: Final = (*LADDER, Rung.REFUSE)
"""What a series may be pinned to."""


def pinned(route: str | Rung) -> Rung:
    """Return the rung that somebody pins a series to.

    Raises:
        UsageError: There is no such rung.
    """
    try:
        rung = Rung(route)
    except ValueError:
        rung = None
    if rung not in PINS:
        raise UsageError(f"route: {unpinnable(route)}")
    return rung


def unpinnable(route: object) -> str:
    """Return what is wrong with a rung that there is not."""
    known = [rung.value for rung in PINS]
    return f"expected one of {', '.join(known)}, got {route!r}{suggestion(str(route), known)}"


@attrs.frozen(kw_only=True)
class Plan:
    """How one series is collected.

    Attributes:
        series: With its canonical symbol, as far as that could be found out.
        topic: What is subscribed to: the series itself, or what it is made of; where nothing is, the series.
        rung: How it is collected; REFUSE when it cannot be.
        why: One sentence for people, without a full stop.
        falls_to: The rung that it falls to, should this one fail at run time: POLL, or None. What fails a
            stream, its connection, fails what is made of streams too.
        cost: What it takes.
        fall_cost: What it takes on the rung that it falls to; None where it falls to none.
        lane: Which connection its topic may ride.
        line: Number of the connection that it got its place on, among those of the venue; 0 without one.
        support: What holds for it on that rung, as the adapter says; None for trades and quotes, and where
            the adapter could not be asked.
        folds: The smaller timeframe that its history is folded from; None where the venue serves its own.
        pinned: The user chose the rung.
        priority: The user wants it served before others.
    """

    series: Series
    topic: Topic
    rung: Rung
    why: str
    falls_to: Rung | None = None
    cost: Cost = attrs.field(factory=Cost)
    fall_cost: Cost | None = None
    lane: Lane = attrs.field(factory=Lane)
    line: int = 0
    support: OhlcvSupport | None = None
    folds: Timeframe | None = None
    pinned: bool = False
    priority: bool = False


# -------------------------------------------------------------------------------------------- one series


def plan(series: Series, adapter: Adapter, account: Account, *, pin: Rung | None = None) -> Plan:
    """Decide how *series* is collected, alone on its venue: what it shares with others is for `places`.

    Args:
        series: Its symbol may be spelled as the venue does.
        adapter: The adapter of its venue.
        account: Whose plan, environment and secrets count; its feed is taken from the series.
        pin: Take this rung or none.

    Returns:
        The plan. Where the series cannot be collected it refuses and says why; nothing is raised for that.

    Raises:
        PluginError: A hook raised, or returned nonsense.
    """
    return judge(series, adapter, account).climb(pin, {})


@attrs.frozen(kw_only=True)
class Judged:
    """Everything about one series but what other series leave of the limits.

    Attributes:
        blank: The plan without a rung; a refusal where the ladder is empty.
        ladder: What each rung offers, or why it does not.
        known: The venue's timeframes or feeds, for a refusal.
        limits: What the venue allows the account.
        wish: What of that the user lowered.
        lane_of: Which connection a topic may ride.
    """

    blank: Plan
    ladder: Mapping[Rung, Offer | str] = attrs.field(factory=dict)
    known: str = ""
    limits: Limits = attrs.field(factory=Limits)
    wish: Limits = attrs.field(factory=Limits)
    lane_of: Callable[[Topic], Lane] = attrs.field(default=lambda _topic: Lane())

    def climb(self, pin: Rung | None, taken: Mapping[Rung, str]) -> Plan:
        """Return the plan on the pinned rung, or on the first that is offered and not *taken* by others."""
        blank = attrs.evolve(self.blank, pinned=pin is not None)
        ladder = {**self.ladder, **taken}
        if not ladder:
            return blank
        offers = {rung: answer for rung, answer in ladder.items() if isinstance(answer, Offer)}
        if pin is not None:
            return self._laned(_pinned(blank, pin, ladder, offers))
        # that there is nothing to make them of is no news, unless the user asked for it
        told = {rung: str(answer) for rung, answer in ladder.items() if rung in _TOLD or rung in taken}
        if not offers:
            return attrs.evolve(blank, why=self.known or ", and ".join(dict.fromkeys(told.values())))
        rung, offer = next(iter(offers.items()))
        above = [told[one] for one in itertools.takewhile(lambda one: one is not rung, ladder) if one in told]
        polled = offers.get(Rung.POLL) if rung is not Rung.POLL else None
        falls_to, fall_cost = (None, None) if polled is None else (Rung.POLL, polled.cost)
        why = "; ".join(dict.fromkeys([*above, offer.text]))
        made = attrs.evolve(_on(blank, rung, offer), why=why, falls_to=falls_to, fall_cost=fall_cost)
        return self._laned(made)

    def past(self, pin: Rung | None) -> Plan:
        """Return the plan by which history alone brings what there was; it costs nothing while it lasts.

        A pin says how the series is collected live, so it forbids that only where it refuses the series.
        """
        if not self.ladder:
            return self.blank
        if pin is Rung.REFUSE:
            return self.climb(pin, {})
        offer = self.ladder[Rung.POLL]
        if not isinstance(offer, Offer):
            return attrs.evolve(self.blank, why=self.known or offer)
        made = attrs.evolve(_on(self.blank, Rung.POLL, offer), why="only its history is asked", cost=Cost())
        return self._laned(made)

    def _laned(self, made: Plan) -> Plan:
        return made if made.rung is Rung.REFUSE else attrs.evolve(made, lane=self.lane_of(made.topic))


def _on(blank: Plan, rung: Rung, offer: Offer) -> Plan:
    """Return the plan on a rung that is offered."""
    return attrs.evolve(
        blank,
        rung=rung,
        why=offer.text,
        cost=offer.cost,
        topic=offer.topic,
        support=offer.support,
        folds=offer.folds,
    )


def _pinned(blank: Plan, pin: Rung, ladder: Mapping[Rung, Offer | str], offers: Mapping[Rung, Offer]) -> Plan:
    """Return the plan on the rung that the user chose, or a refusal."""
    if pin is Rung.REFUSE:
        return attrs.evolve(blank, why="pinned to refuse")
    answer = ladder[pin]
    if isinstance(answer, Offer):
        return attrs.evolve(_on(blank, pin, answer), why=f"pinned to {pin.value}; {answer.text}")
    instead = f"; without the pin it would be {_PARTICIPLE[next(iter(offers))]}" if offers else ""
    return attrs.evolve(blank, why=f"pinned to {pin.value}, but {answer}{instead}")


def judge(series: Series, adapter: Adapter, account: Account) -> Judged:
    """Return everything about *series* but what other series leave of the limits.

    Raises:
        PluginError: A hook raised, or returned nonsense.
        ConfigError: The limits of *account* are higher than the venue's.
    """
    account = attrs.evolve(account, feed=series.variant)
    blank = Plan(series=series, topic=Topic(series.symbol, series.what), rung=Rung.REFUSE, why="")
    try:
        venue = adapter.description_for(account)
        why = _unfit(series, venue, account)
        series = attrs.evolve(series, symbol=adapter.canonical(series.symbol))
    except PluginError:
        raise
    except WickwireError as exc:  # the venue's own words, about the account or the symbol
        return Judged(blank=attrs.evolve(blank, why=_said(adapter.description.title, str(exc))))
    topic = Topic(series.symbol, series.what)
    blank = attrs.evolve(blank, series=series, topic=topic, why=why)
    if why:
        return Judged(blank=blank)
    missing = [name for name in venue.credentials if not account.secrets.get(name)]
    if missing:  # what could not be had with them either is to be known before anybody gets them
        account = attrs.evolve(account, secrets={**account.secrets, **dict.fromkeys(missing, "to come")})
    support = _support(series, venue, adapter, account)
    case = Case(
        series=series,
        adapter=adapter,
        account=account,
        venue=venue,
        support=None if isinstance(series.what, Feed) else support,
    )
    ladder = {rung: judged(case) for rung, judged in LADDER.items()}
    offered = case.support is not None and any(isinstance(answer, Offer) for answer in ladder.values())
    if support is not None and support.why_not and not offered:
        blank = attrs.evolve(blank, why=_said(venue.title, support.why_not), support=case.support)
        return Judged(blank=blank)
    if missing:
        return Judged(blank=attrs.evolve(blank, why=_lacking(series, venue, missing)))
    return Judged(
        blank=attrs.evolve(blank, support=case.support),
        ladder=ladder,
        known=_known(case),
        lane_of=adapter.lane_of,
        limits=effective_limits(venue.limits, account.limits, where=f"venues.{series.venue}.limits"),
        wish=account.limits or Limits(),
    )


def _support(series: Series, venue: Description, adapter: Adapter, account: Account) -> OhlcvSupport | None:
    """Return what the adapter says of a candle series; of trades and quotes, why there are no candles either.

    A symbol of which nothing can be had in any timeframe has no trades and quotes: it is of a wrong form, or
    belongs elsewhere. None where the adapter has nothing against it.
    """
    if not isinstance(series.what, Feed):
        return adapter.support_for(series.symbol, series.what, account)
    told = None
    for timeframe in venue.timeframes:
        support = adapter.support_for(series.symbol, timeframe, account)
        if not support.why_not:
            return None
        told = told or support
    return told


def _unfit(series: Series, venue: Description, account: Account) -> str:
    """Return why series or account do not fit the venue, or nothing."""
    if series.variant and series.variant not in venue.variants:
        there = ", ".join(venue.variants) or "none"
        return f"{venue.title} has no variant {series.variant!r}; it has {there}"
    if account.environment not in venue.environments:
        there = ", ".join(venue.environments)
        return f"{venue.title} has no environment {account.environment!r}; it has {there}"
    return ""


def _lacking(series: Series, venue: Description, missing: Sequence[str]) -> str:
    """Return which secrets are missing, where they are named, and what works without them."""
    without = venue.without_credentials and f"; without them {venue.without_credentials}"
    return f"{venue.title} needs {how_to_set(series.venue, missing)}{without}"


def _said(title: str, text: str) -> str:
    """Return an adapter's sentence with the venue's name before it, unless the sentence names it itself."""
    return text if title.partition(" ")[0] in text else f"{title}: {text}"


def _known(case: Case) -> str:
    """Return what the venue has instead, where it has nothing of what is wanted."""
    timeframes = case.venue.timeframes
    if isinstance(case.series.what, Feed) or not timeframes or case.series.what in timeframes:
        return ""
    known = ", ".join(str(one) for one in sorted(timeframes, key=lambda one: one.nominal_ns))
    return f"{case.venue.title} has no {case.what}; it has {known}"


def explain(plan: Plan) -> str:
    """Return *plan* as one line for people."""
    text = f"{plan.series}: {plan.rung.value}: {plan.why}"
    if plan.rung is Rung.REFUSE:
        return text
    more = [f"takes {plan.cost}"]
    if plan.falls_to is not None:
        more.append(f"falls to {plan.falls_to.value}")
    if plan.support is not None:
        more.extend(plan.support.notes)
    return f"{text} ({'; '.join(more)})"

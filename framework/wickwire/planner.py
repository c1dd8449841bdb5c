"""How each series is to be collected, decided before anything connects, and why. Pure.

The ladder is stream, resample, build, poll, refuse: the first rung that the venue offers and its limits
carry is taken. Resampling and building from trades have no entry in `_LADDER` yet.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import attrs

from wickwire.errors import PluginError, WickwireError
from wickwire.limits import effective_limits
from wickwire.model import HOUR_NS, SECOND_NS, Feed, Rung, Series
from wickwire.wire import Account, Description, Lane, Limits, OhlcvSupport, Topic

if TYPE_CHECKING:
    from wickwire.adapter import Adapter

__all__ = ["PINS", "Cost", "Plan", "explain", "plan", "plan_all"]

_PARTICIPLE: Final = {Rung.STREAM: "streamed", Rung.POLL: "polled"}
_HOUR_S: Final = HOUR_NS / SECOND_NS


@attrs.frozen(kw_only=True)
class Cost:
    """What collecting a series takes from the venue's limits, where nothing goes wrong.

    Attributes:
        connections: Connections opened for it; of several series on one connection, the first bears it.
        rest_per_hour: REST requests in an hour while the market is open.
    """

    connections: int = 0
    rest_per_hour: float = 0.0

    def __str__(self) -> str:
        parts = []
        if self.connections:
            parts.append("1 connection" if self.connections == 1 else f"{self.connections} connections")
        if self.rest_per_hour:
            exact = f"{self.rest_per_hour:,.0f}" if self.rest_per_hour >= 1 else f"{self.rest_per_hour:.2g}"
            parts.append(f"{exact} REST calls an hour")
        return " and ".join(parts) or "nothing more"


@attrs.frozen(kw_only=True)
class Plan:
    """How one series is collected.

    Attributes:
        series: With its canonical symbol, as far as that could be found out.
        topic: What an adapter is asked for.
        rung: How it is collected; REFUSE when it cannot be.
        why: One sentence for people, without a full stop.
        falls_to: The next rung, should this one fail at run time; None when there is none.
        cost: What it takes.
        lane: Which connection its topic may ride.
        support: What the adapter said; None for trades and quotes, and where it could not be asked.
        pinned: The user chose the rung.
    """

    series: Series
    topic: Topic
    rung: Rung
    why: str
    falls_to: Rung | None = None
    cost: Cost = Cost()
    lane: Lane = attrs.field(factory=Lane)
    support: OhlcvSupport | None = None
    pinned: bool = False


@attrs.frozen(kw_only=True)
class _Case:
    """What the rungs are judged by."""

    series: Series
    adapter: Adapter
    venue: Description
    support: OhlcvSupport | None

    @property
    def what(self) -> str:
        """What is wanted, for a sentence: `1m candles`, `trades`."""
        what = self.series.what
        return what.value if isinstance(what, Feed) else f"{what} candles"


@attrs.frozen
class _Offer:
    """A rung that the venue offers: what it is, in a sentence, and what it takes."""

    text: str
    cost: Cost


def _stream(case: _Case) -> _Offer | str:
    """Offer the stream, or say why there is none."""
    title = case.venue.title
    if not case.adapter.streams:
        return f"{title} has no stream"
    feeds = case.venue.feeds
    streamed = case.support.stream if case.support else feeds is None or case.series.what in feeds
    if not streamed:
        return f"{title} does not stream {case.what}"
    return _Offer(f"{title} streams {case.what}", Cost(connections=1))


def _poll(case: _Case) -> _Offer | str:
    """Offer polling, or say why it cannot be."""
    title = case.venue.title
    if case.support is None:
        return f"{case.what} come over a stream only"
    if not case.adapter.serves_history:
        return f"{title} serves no history"
    if not case.support.rest:
        return f"{title} does not serve {case.what} over REST"
    per_hour = HOUR_NS / case.series.timeframe.nominal_ns
    return _Offer(
        f"polled over REST {case.support.settle_s:g} s after each close", Cost(rest_per_hour=per_hour)
    )


# From the top: the first that is offered is taken. A rung that is not here is never chosen.
_LADDER: Final[Mapping[Rung, Callable[[_Case], _Offer | str]]] = {Rung.STREAM: _stream, Rung.POLL: _poll}

PINS: Final = (*_LADDER, Rung.REFUSE)
"""What a series may be pinned to."""


# -------------------------------------------------------------------------------------------- one series


def plan(series: Series, adapter: Adapter, account: Account, *, pin: Rung | None = None) -> Plan:
    """Decide how *series* is collected, alone on its venue: what it shares with others is `plan_all`'s.

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
    return _judge(series, adapter, account).climb(pin, {})


@attrs.frozen(kw_only=True)
class _Judged:
    """Everything about one series but what other series leave of the limits.

    Attributes:
        blank: The plan without a rung; a refusal where the ladder is empty.
        ladder: What each rung offers, or why it does not.
        known: The venue's timeframes or feeds, for a refusal.
        limits: What the venue allows the account.
    """

    blank: Plan
    ladder: Mapping[Rung, _Offer | str] = attrs.field(factory=dict)
    known: str = ""
    limits: Limits = attrs.field(factory=Limits)

    def climb(self, pin: Rung | None, taken: Mapping[Rung, str]) -> Plan:
        """Return the plan on the pinned rung, or on the first that is offered and not *taken* by others."""
        blank = attrs.evolve(self.blank, pinned=pin is not None)
        ladder = {**self.ladder, **taken}
        if not ladder:
            return blank
        offers = [(rung, answer) for rung, answer in ladder.items() if isinstance(answer, _Offer)]
        if pin is not None:
            return _pinned(blank, pin, ladder, offers)
        if not offers:
            return attrs.evolve(blank, why=self.known or ", and ".join(map(str, ladder.values())))
        (rung, offer), *below = offers
        above = itertools.takewhile(lambda answer: answer is not offer, ladder.values())
        return attrs.evolve(
            blank,
            rung=rung,
            why="; ".join([*map(str, above), offer.text]),
            falls_to=below[0][0] if below else None,
            cost=offer.cost,
        )


def _pinned(
    blank: Plan, pin: Rung, ladder: Mapping[Rung, _Offer | str], offers: Sequence[tuple[Rung, _Offer]]
) -> Plan:
    """Return the plan on the rung that the user chose, or a refusal."""
    if pin is Rung.REFUSE:
        return attrs.evolve(blank, why="pinned to refuse")
    answer = ladder.get(pin, "this version of wickwire cannot do that")
    if isinstance(answer, _Offer):
        return attrs.evolve(blank, rung=pin, why=f"pinned to {pin.value}; {answer.text}", cost=answer.cost)
    instead = f"; without the pin it would be {_PARTICIPLE[offers[0][0]]}" if offers else ""
    return attrs.evolve(blank, why=f"pinned to {pin.value}, but {answer}{instead}")


def _judge(series: Series, adapter: Adapter, account: Account) -> _Judged:
    account = attrs.evolve(account, feed=series.variant)
    blank = Plan(series=series, topic=Topic(series.symbol, series.what), rung=Rung.REFUSE, why="")
    try:
        venue = adapter.description_for(account)
        why = _unfit(series, venue, account)
        series = attrs.evolve(series, symbol=adapter.canonical(series.symbol))
    except PluginError:
        raise
    except WickwireError as exc:  # the venue's own words, about the account or the symbol
        return _Judged(blank=attrs.evolve(blank, why=_said(adapter.description.title, str(exc))))
    topic = Topic(series.symbol, series.what)
    blank = attrs.evolve(blank, series=series, topic=topic, why=why)
    if why:
        return _Judged(blank=blank)
    support = None
    if not isinstance(series.what, Feed):
        support = adapter.support_for(series.symbol, series.what, account)
        blank = attrs.evolve(blank, support=support)
        if support.why_not and not (support.stream or support.rest):
            return _Judged(blank=attrs.evolve(blank, why=_said(venue.title, support.why_not)))
    case = _Case(series=series, adapter=adapter, venue=venue, support=support)
    return _Judged(
        blank=attrs.evolve(blank, lane=adapter.lane_of(topic)),
        ladder={rung: judged(case) for rung, judged in _LADDER.items()},
        known=_known(case),
        limits=effective_limits(venue.limits, account.limits, where=f"venues.{series.venue}.limits"),
    )


def _unfit(series: Series, venue: Description, account: Account) -> str:
    """Return why series or account do not fit the venue, or nothing."""
    if series.variant and series.variant not in venue.variants:
        there = ", ".join(venue.variants) or "none"
        return f"{venue.title} has no variant {series.variant!r}; it has {there}"
    if account.environment not in venue.environments:
        there = ", ".join(venue.environments)
        return f"{venue.title} has no environment {account.environment!r}; it has {there}"
    missing = [name for name in venue.credentials if not account.secrets.get(name)]
    if missing:
        return (
            f"{venue.title} needs {' and '.join(missing)}; name the environment variables that hold them "
            f"under [venues.{series.venue}.secrets] in the config"
        )
    return ""


def _said(title: str, text: str) -> str:
    """Return an adapter's sentence with the venue's name before it, unless the sentence names it itself."""
    return text if title.partition(" ")[0] in text else f"{title}: {text}"


def _known(case: _Case) -> str:
    """Return what the venue has instead, where it has nothing of what is wanted."""
    timeframes = case.venue.timeframes
    if isinstance(case.series.what, Feed) or not timeframes or case.series.what in timeframes:
        return ""
    known = ", ".join(str(one) for one in sorted(timeframes, key=lambda one: one.nominal_ns))
    return f"{case.venue.title} has no {case.what}; it has {known}"


# ------------------------------------------------------------------------------------- what series share


def plan_all(
    wanted: Sequence[Series],
    adapters: Mapping[str, Adapter],
    accounts: Mapping[str, Account] | None = None,
    pins: Mapping[Series, Rung] | None = None,
) -> list[Plan]:
    """Decide how all of *wanted* are collected together, within what each venue allows.

    Args:
        wanted: In order of importance: earlier ones get the places.
        adapters: By venue, for each venue in *wanted*.
        accounts: By venue; public data where there is none.
        pins: Rungs that the user chose, by series as written or canonical.

    Returns:
        One plan for each of *wanted*, in that order; a series that occurs twice is planned once and counted
        once. A series whose adapter fails is refused with the adapter's error.

    Raises:
        ConfigError: An account's limits are higher than its venue's.
    """
    rooms: dict[str, _Room] = {}
    planned: dict[Series, Plan] = {}
    chosen = pins or {}
    plans = []
    for series in wanted:
        account = (accounts or {}).get(series.venue, Account())
        try:
            judged = _judge(series, adapters[series.venue], account)
        except PluginError as exc:
            topic = Topic(series.symbol, series.what)
            plans.append(Plan(series=series, topic=topic, rung=Rung.REFUSE, why=str(exc)))
            continue
        canonical = judged.blank.series
        if canonical not in planned:
            pin = chosen.get(series, chosen.get(canonical))
            if judged.ladder:
                room = rooms.setdefault(series.venue, _Room(judged.limits))
                planned[canonical] = room.place(judged, pin)
            else:
                planned[canonical] = judged.climb(pin, {})
        plans.append(planned[canonical])
    return plans


@attrs.define
class _Line:
    """One connection to be."""

    key: tuple[str, str]
    alone: set[object] = attrs.field(factory=set)
    topics: int = 0


@attrs.define
class _Room:
    """What is left of a venue's limits while plans are made."""

    limits: Limits
    lines: list[_Line] = attrs.field(factory=list)
    rest_per_hour: float = 0.0

    def place(self, judged: _Judged, pin: Rung | None) -> Plan:
        """Return the plan on the first rung that has room for it."""
        taken: dict[Rung, str] = {}
        while True:
            chosen = judged.climb(pin, taken)
            match chosen.rung:
                case Rung.STREAM:
                    placed = self._on_a_line(chosen)
                case Rung.POLL:
                    placed = self._over_rest(chosen)
                case _:
                    return chosen
            if isinstance(placed, Plan):
                return placed
            taken[chosen.rung] = placed

    def _on_a_line(self, chosen: Plan) -> Plan | str:
        key, alone = (chosen.series.variant, chosen.lane.key), chosen.lane.alone
        most = self.limits.topics_per_connection
        for line in self.lines:
            if line.key == key and alone not in line.alone and (most is None or line.topics < most):
                break
        else:
            full = self._lane_is_full(key)
            if full:
                return full
            if self.limits.connections is not None and len(self.lines) >= self.limits.connections:
                plural = "" if self.limits.connections == 1 else "s"
                return f"no place is left on the {self.limits.connections} connection{plural} allowed"
            line = _Line(key)
            self.lines.append(line)
        opened = 0 if line.topics else 1
        line.topics += 1
        if alone is not None:
            line.alone.add(alone)
        return attrs.evolve(chosen, cost=Cost(connections=opened))

    def _lane_is_full(self, key: tuple[str, str]) -> str:
        """Return why no further connection may be opened to an endpoint, or nothing."""
        most = self.limits.connections_per_lane
        if most is None or sum(line.key == key for line in self.lines) < most:
            return ""
        plural = "" if most == 1 else "s"
        return f"no place is left on the {most} connection{plural} allowed to this endpoint"

    def _over_rest(self, chosen: Plan) -> Plan | str:
        rate = self.limits.rest
        if rate is not None:
            allowed = rate.amount / rate.per_s * _HOUR_S
            if self.rest_per_hour + chosen.cost.rest_per_hour > allowed:
                return f"the {allowed:,.0f} REST calls an hour that are allowed are taken"
        self.rest_per_hour += chosen.cost.rest_per_hour
        return chosen


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

"""What happens in one simulated run: which series are collected, and what befalls them when. By the seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from tests.simulation.catalogue import CATALOGUE
from tests.simulation.forgetting import FORGETTING, moments_s
from tests.simulation.guests import DEPTHS, DYING_S, berths, guests
from tests.simulation.harbour_server import HABITS
from tests.simulation.pools import BACKLOG, DEAF, LULL, POOL_TROUBLES, REPLACED, narrowed
from tests.simulation.trouble import Trouble
from tests.simulation.ways import Way, polled_by, ways
from wickwire import parse_instant

__all__ = ["AUDITED_S", "CALM_MIN", "Act", "Script", "drawn"]

CALM_MIN: Final = 20.0
"""How long nothing happens at the end, at least; after most troubles it is longer."""
WARM_UP_MIN: Final = 3.0

SERIES: Final[dict[str, Sequence[str]]] = {
    "kraken": ("BTC/USD@1m", "ETH/USD@1m", "SOL/USD@1m", "BTC/USD@5m", "XRP/USD@1m", "BTC/USD@trades"),
    "coinbase": ("BTC/USD@5m", "ETH/USD@1m", "LTC/USD@5m", "BTC/USD@15m", "SOL/USD@1m", "ETH/USD@quotes"),
    "alpaca": (".iex:AAPL@1m", "BTC/USD@1m", "XMR/USD@1m", "ETH/USD@1h", "SOL/USD@1m", "ETH/USD@trades"),
    "dxlink": ("BTC/USD@1m", "ETH/USD@1m", "SOL/USD@5m", "XRP/USD@1m", "DOGE/USD@1m", "ETH/USD@trades"),
    "yahoo": ("BTC/USD@1m", "AAPL@1m", "ETH/USD@5m", "SOL/USD@1m", "XRP/USD@1m", "MSFT@1m"),
    "harbour": ("BTC/USD@1m", "ETH/USD@1m", "SOL/USD@1m", "BTC/USD@5m", "XRP/USD@1m", "ETH/USD@5m"),
}
"""Streamed, resampled (15m, 1h), built from trades (Coinbase's minutes), polled (Yahoo), and feeds; Harbour
is invented, and tells no more than a venue has to."""

TRADED: Final = ("kraken", "coinbase", "alpaca", "dxlink")
"""Who has trades; those of every second of them are collected too."""

AUDITED_S: Final = 2_400.0
"""So long before the end a venue changes at least one candle without a word: an audit has to find it."""
ROTATIONS: Final = 12
LATE_IN_HARBOUR: Final = 3
"""Harbour answers in short pages, and refuses some: an audit of it takes several, and may fail in between."""

POOL_ACTS: Final = 3
"""How many troubles of pools a run has at least."""

MOOD_S: Final = 660.0
CALM_ROTATIONS: Final = 10
CALM_LAST_S: Final = 660.0
CALM_ENDS_S: Final = 240.0
"""How long before the end connections are replaced while all is well, and how long before it no more."""

LULL_S: Final = 200.0
MISLAID_S: Final = 100.0
IGNORED_S: Final = 60.0
UNKNOWN_S: Final = 400.0
LAST_WORDS: Final = 6
BEFORE_END_S: Final = 0.5, 5.0
"""How often the last that is said of a bucket is lost, and how long before its end that begins."""
GUESTS_END_S: Final = 930.0
"""So long before the end guests come no more: the last is gone when connections are replaced in the calm."""

LOGIN_OFF_S: Final = 120.0
"""By how much the clock of a host that serves no candles may be wrong; in every second run it is."""

_STARTS: Final = tuple(
    map(parse_instant, ("2027-01-15T14:27:00Z", "2027-01-15T20:05:00Z", "2027-01-17T23:20:00Z"))
)
"""Before New York opens, before it closes, and before the week begins."""


@attrs.frozen(kw_only=True)
class Act:
    """One trouble as it is played, in seconds since the start; *where* is a series or an origin, by lot."""

    number: int
    since_s: float
    until_s: float
    trouble: Trouble
    lot: int


@attrs.frozen(kw_only=True)
class Script:
    """One run.

    Attributes:
        seed: What all of it follows from.
        hours: How long it is.
        starts_ns: When it begins.
        series: What is collected.
        acts: What happens, in order of beginning.
        ways: How what is collected is wanted, where that is not the usual way.
        habits: What Harbour is like.
        login_ahead_s: How far the clock of the host that grants DXLink's tokens is ahead of its feed's.
        narrow: How many topics a connection carries, by venue, where that is fewer than the venue allows.
        balanced: What connections carry is evened out, however little it is.
        berths: How many connections are allowed, by venue, where each carries one topic.
    """

    seed: int
    hours: float
    starts_ns: int
    series: Sequence[str]
    acts: Sequence[Act]
    ways: Mapping[str, Way] = attrs.field(factory=dict)
    habits: frozenset[str] = frozenset()
    login_ahead_s: float = 0.0
    narrow: Mapping[str, int] = attrs.field(factory=dict)
    balanced: bool = False
    berths: Mapping[str, int] = attrs.field(factory=dict)


def drawn(
    seed: int, hours: float, *, each: int = 4, venues: Sequence[str] = tuple(SERIES), troubles: bool = True
) -> Script:
    """Draw a run.

    Args:
        seed: Any number.
        hours: How long it is, the calm at its end included.
        each: How many series of every venue.
        venues: Of which venues.
        troubles: Whether anything goes wrong.
    """
    rng = random.Random(f"script/{seed}")
    series = [name for venue in venues for name in _series(venue, each, rng)]
    length_s = hours * 3_600.0
    acts: list[Act] = []
    if troubles:
        acts = (_storms if seed % 2 else _by_lot)(length_s, venues, rng)
        acts += _silent(length_s, venues, random.Random(f"silent/{seed}"))
        acts += _of_pools(length_s, venues, random.Random(f"pools/{seed}"))
        for name, is_one, lasts_s in SPELLS:
            acts += _spell(length_s, venues, random.Random(f"{name}/{seed}"), is_one, lasts_s)
        acts += _last_words(length_s, venues, random.Random(f"last words/{seed}"))
        acts += _lull(length_s, venues, random.Random(f"lull/{seed}"))
        acts += _guests(length_s, random.Random(f"guests/{seed}"))
        acts += _depths(length_s, random.Random(f"depths/{seed}"))
        acts += _forgets(length_s, random.Random(f"forgets/{seed}"))
    narrow = narrowed(venues, random.Random(f"narrow/{seed}")) if troubles else {}
    feeds = _feeds(series, venues, random.Random(f"feeds/{seed}"))
    lots, logins = random.Random(f"habits/{seed}"), random.Random(f"login/{seed}")
    login_ahead_s = logins.uniform(-LOGIN_OFF_S, LOGIN_OFF_S) if logins.random() < 1 / 2 else 0.0
    return Script(
        seed=seed,
        hours=hours,
        starts_ns=rng.choice(_STARTS),
        series=[*series, *feeds],
        acts=_while_it_lives(acts),
        ways=ways(series, random.Random(f"ways/{seed}")) | polled_by(login_ahead_s, series),
        habits=frozenset(habit for habit in HABITS if troubles and lots.random() < 1 / 3),
        login_ahead_s=login_ahead_s,
        narrow=narrow,
        balanced=troubles and lots.random() < 1 / 2,
        berths=berths(narrow, [*series, *feeds]),
    )


def _by_lot(length_s: float, venues: Sequence[str], rng: random.Random) -> list[Act]:
    """Draw troubles one after the other, of whatever kind."""
    acts: list[Act] = []
    at_s, pace_s = WARM_UP_MIN * 60.0, rng.choice((120.0, 300.0, 600.0))
    while (at_s := at_s + rng.expovariate(1.0 / pace_s)) < length_s - CALM_MIN * 60.0:
        fitting = [
            one
            for one in CATALOGUE
            if at_s + one.settles_min * 60.0 < length_s and (one.fault is None or one.place in venues)
        ]
        if not fitting:
            break
        # each place is as likely as any other, however many troubles it knows
        place = rng.choice(sorted({one.place for one in fitting}))
        trouble = rng.choice([one for one in fitting if one.place == place])
        acts.append(_act(len(acts), at_s, trouble, length_s, rng))
    return acts


def _storms(length_s: float, venues: Sequence[str], rng: random.Random) -> list[Act]:
    """Draw storms at every venue, with calm between: a stream fails, and while that is mended something else.

    What keeps data whole is tried most where one thing fails on top of another.
    """
    acts: list[Act] = []
    deaths = [one for one in CATALOGUE if one.name == "killed" and one.details["away_s"] < 300.0]

    def begin(at_s: float, fitting: Sequence[Trouble]) -> None:
        known = [one for one in fitting if at_s + one.settles_min * 60.0 < length_s]
        if known:
            acts.append(_act(len(acts), at_s, rng.choice(known), length_s, rng))

    for venue in (*venues, None):
        here = [one for one in CATALOGUE if (one.place == venue if venue else one.fault is None)]
        streams, others = (
            [one for one in here if one.leaves_history],
            [one for one in here if not one.leaves_history],
        )
        at_s = WARM_UP_MIN * 60.0 + rng.uniform(0.0, 300.0)
        while at_s < length_s - CALM_MIN * 60.0:
            if venue is None:
                begin(at_s, here)
            else:
                begin(at_s, streams)
                if rng.random() < 0.6:
                    begin(at_s + rng.expovariate(1.0 / 30.0), others)
                if rng.random() < 0.15:
                    begin(at_s + rng.expovariate(1.0 / 60.0), deaths)
            at_s += rng.uniform(300.0, 600.0)
    return acts


def _silent(length_s: float, venues: Sequence[str], rng: random.Random) -> list[Act]:
    """Draw what nobody should notice, in every run: connections replaced, and a candle changed in silence.

    And one connection that is dead without a word.
    """
    acts: list[Act] = []
    rotation = next(one for one in CATALOGUE if one.name == "rotate")
    late = [one for one in CATALOGUE if one.name == "late_trade" and one.place in venues]
    last_s = length_s - rotation.settles_min * 60.0
    if last_s > WARM_UP_MIN * 60.0:
        instants = [rng.uniform(WARM_UP_MIN * 60.0, last_s) for _ in range(ROTATIONS)]
        acts += [_act(0, at_s, rotation, length_s, rng) for at_s in instants]
    half_open = next(one for one in CATALOGUE if one.name == "half_open")
    last_s = length_s - half_open.settles_min * 60.0
    if last_s > WARM_UP_MIN * 60.0:
        acts.append(_act(0, rng.uniform(WARM_UP_MIN * 60.0, last_s), half_open, length_s, rng))
    if late and length_s > AUDITED_S + WARM_UP_MIN * 60.0:
        at_s = rng.uniform(WARM_UP_MIN * 60.0, length_s - AUDITED_S)
        acts.append(_act(0, at_s, rng.choice(late), length_s, rng))
        for trouble in [one for one in late if one.place == "harbour"] * LATE_IN_HARBOUR:
            acts.append(
                _act(0, rng.uniform(WARM_UP_MIN * 60.0, length_s - AUDITED_S), trouble, length_s, rng)
            )
    return acts


def _of_pools(length_s: float, venues: Sequence[str], rng: random.Random) -> list[Act]:
    """Draw what befalls one connection among others, and in the calm at the end what nobody may notice."""
    acts: list[Act] = []
    streamed = any(venue != "yahoo" for venue in venues)
    backlog = [BACKLOG] if rng.random() < 1 / 4 else []
    for trouble in [*rng.choices(POOL_TROUBLES, k=POOL_ACTS), *backlog]:
        last_s = length_s - trouble.settles_min * 60.0
        if last_s > WARM_UP_MIN * 60.0 and streamed:
            acts.append(_act(0, rng.uniform(WARM_UP_MIN * 60.0, last_s), trouble, length_s, rng))
    if streamed and length_s > CALM_MIN * 60.0:
        for trouble in [REPLACED] * CALM_ROTATIONS + [DEAF]:
            at_s = rng.uniform(length_s - CALM_LAST_S, length_s - CALM_ENDS_S)
            acts.append(_act(0, at_s, trouble, length_s, rng))
    return acts


def _spell(
    length_s: float,
    venues: Sequence[str],
    rng: random.Random,
    is_one: Callable[[Trouble], bool],
    lasts_s: float,
) -> list[Act]:
    """Draw one of some troubles that chance would draw too seldom, in half of the runs, for so long."""
    places = {*venues, "store"}
    troubles = [one for one in CATALOGUE if is_one(one) and one.place in places]
    last_s = length_s - lasts_s - max((one.settles_min * 60.0 for one in troubles), default=0.0)
    if not troubles or rng.random() < 1 / 2 or last_s < WARM_UP_MIN * 60.0:
        return []
    act = _act(0, rng.uniform(WARM_UP_MIN * 60.0, last_s), rng.choice(troubles), length_s, rng)
    return [attrs.evolve(act, until_s=act.since_s + lasts_s)]


def _lies(trouble: Trouble) -> bool:
    """Say whether Harbour lies now and then, for so long that it might be trusted meanwhile."""
    return trouble.name == "moody"


def _mislays(trouble: Trouble) -> bool:
    """Say whether answers of the store are lost: it took what it was given all the same."""
    return trouble.name == "lost_answer"


def _ignores(trouble: Trouble) -> bool:
    """Say whether who subscribes gets no answer, and nothing else."""
    return trouble.name == "silent_ack" and trouble.details.get("acked") is False


def _unknown(trouble: Trouble) -> bool:
    """Say whether history of what is polled knows nothing of it for a while."""
    return trouble.name == "delisted"


SPELLS: Final = (
    ("moods", _lies, MOOD_S),
    ("mislaid", _mislays, MISLAID_S),
    ("ignored", _ignores, IGNORED_S),
    ("unknown", _unknown, UNKNOWN_S),
)


def _last_words(length_s: float, venues: Sequence[str], rng: random.Random) -> list[Act]:
    """Lose the last that Harbour says of some buckets: the number of what comes next alone tells of it."""
    loses = next(one for one in CATALOGUE if one.name == "lose" and not one.misleads)
    first, last = round(WARM_UP_MIN) + 1, int(length_s / 60.0 - loses.settles_min)
    if "harbour" not in venues or last <= first:
        return []
    ends_s = [60.0 * rng.randrange(first, last) for _ in range(LAST_WORDS)]
    return [_act(0, end_s - rng.uniform(*BEFORE_END_S), loses, length_s, rng) for end_s in ends_s]


def _lull(length_s: float, venues: Sequence[str], rng: random.Random) -> list[Act]:
    """Let all connections of Harbour end once, and nothing be traded there when they are opened again."""
    last_s = length_s - LULL_S - LULL.settles_min * 60.0
    if "harbour" not in venues or last_s < WARM_UP_MIN * 60.0:
        return []
    act = _act(0, rng.uniform(WARM_UP_MIN * 60.0, last_s), LULL, length_s, rng)
    return [attrs.evolve(act, until_s=act.since_s + LULL_S)]


def _guests(length_s: float, rng: random.Random) -> list[Act]:
    """Let series come for a while that nobody else wants."""
    coming = guests(WARM_UP_MIN * 60.0, length_s - GUESTS_END_S, rng)
    return [
        Act(number=0, since_s=at_s, until_s=at_s, trouble=trouble, lot=lot) for at_s, trouble, lot in coming
    ]


def _depths(length_s: float, rng: random.Random) -> list[Act]:
    """Let much of the past be wanted and the process die before it has come, in a third of the runs."""
    last_s = length_s - GUESTS_END_S
    if rng.random() >= 1 / 3 or last_s <= WARM_UP_MIN * 60.0:
        return []
    at_s, death = (
        rng.uniform(WARM_UP_MIN * 60.0, last_s),
        next(one for one in CATALOGUE if one.name == "killed"),
    )
    moments = (at_s, DEPTHS), (at_s + rng.uniform(*DYING_S), death)
    return [
        Act(number=0, since_s=since_s, until_s=since_s, trouble=trouble, lot=rng.getrandbits(32))
        for since_s, trouble in moments
    ]


def _forgets(length_s: float, rng: random.Random) -> list[Act]:
    """Have the store forget what is old."""
    last_s = length_s - FORGETTING.settles_min * 60.0
    return [_act(0, at_s, FORGETTING, length_s, rng) for at_s in moments_s(WARM_UP_MIN * 60.0, last_s, rng)]


def _while_it_lives(acts: Sequence[Act]) -> list[Act]:
    """Leave out what begins while the process is away, or stands still: nobody would meet it."""
    kept: list[Act] = []
    away_until_s = 0.0
    for act in sorted(acts, key=lambda one: one.since_s):
        if act.since_s >= away_until_s:
            kept.append(attrs.evolve(act, number=len(kept)))
            if act.trouble.place == "process":
                away_until_s = act.since_s + act.trouble.details["away_s"]
            elif act.trouble.name == "stopped":
                away_until_s = act.since_s + act.trouble.details["for_s"]
    return kept


def _act(number: int, at_s: float, trouble: Trouble, length_s: float, rng: random.Random) -> Act:
    most_s = max(6.0, min(trouble.most_min * 60.0, length_s - trouble.settles_min * 60.0 - at_s))
    lasts_s = 0.0 if trouble.once else min(most_s, 6.0 + rng.expovariate(1.0 / 240.0))
    lot = rng.getrandbits(32)
    return Act(number=number, since_s=at_s, until_s=at_s + lasts_s, trouble=trouble, lot=lot)


def _series(venue: str, count: int, rng: random.Random) -> Sequence[str]:
    """Return *count* series of a venue; the first is always among them."""
    first, *others = SERIES[venue]
    if venue == "harbour":  # each has a connection of its own, and they have to share the venue
        count = min(count + 2, 1 + len(others))
    chosen = [first, *rng.sample(others, count - 1)]
    return [f"{venue}{name}" if name.startswith(".") else f"{venue}:{name}" for name in chosen]


def _feeds(series: Sequence[str], venues: Sequence[str], rng: random.Random) -> Sequence[str]:
    """Return trades to be collected beside *series*."""
    names = [f"{venue}:BTC/USD@trades" for venue in venues if venue in TRADED and rng.random() < 1 / 2]
    return [name for name in names if name not in series]

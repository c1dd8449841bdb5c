"""The planner decides before anything connects, and says why in one sentence."""

from types import ModuleType

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import (
    Account,
    ConfigError,
    Description,
    Endpoint,
    FaultKind,
    Feed,
    HttpRequest,
    Lane,
    Limits,
    OhlcvSupport,
    Page,
    PluginError,
    Rate,
    Rung,
    Series,
    Timeframe,
    UsageError,
    Utc,
    VenueError,
    hookimpl,
    load_adapter,
)
from wickwire.adapter import bind
from wickwire.limits import effective_limits
from wickwire.places import plan_all
from wickwire.planner import Cost, explain, pinned, plan

M1, M5, H1 = (Timeframe.parse(text) for text in ("1m", "5m", "1h"))
SUPPORT = {
    M1: OhlcvSupport(stream=True, rest=True, notes=("UTC days",)),
    M5: OhlcvSupport(rest=True, settle_s=20),
    H1: OhlcvSupport(stream=True),
}
OVER_A_STREAM = OhlcvSupport(rest=True, over_stream=True)
LANTERN = Description(title="Lantern", timeframes=(H1, M1, M5))
TRADES_ONLY = attrs.evolve(LANTERN, feeds=(Feed.TRADES,))


def connect():
    return Endpoint(url="wss://stream.lantern.example")


def lantern(name="lantern", *, support=SUPPORT, description=LANTERN, stream=True, history=True, **more):
    """An adapter that answers from these tables."""

    def supports_ohlcv(symbol, timeframe):
        if not symbol.isascii() or "/" not in symbol:
            return OhlcvSupport(why_not=f"no symbol {symbol!r}; write base/quote, such as GLOW/USD")
        return support.get(timeframe, OhlcvSupport())

    def fetch_ohlcv():
        yield HttpRequest(url="https://api.lantern.example")
        return Page(candles=(), covered=(0, 0))

    hooks = {"describe": lambda: description, "supports_ohlcv": supports_ohlcv, **more}
    if history:
        hooks["fetch_ohlcv"] = fetch_ohlcv
    if stream:
        hooks |= {"connect": connect, "subscribe": lambda: (), "parse": lambda: ()}
    module = ModuleType(name)
    for hook, function in hooks.items():
        setattr(module, hook, hookimpl(function))
    return bind(name, module, distribution=f"wickwire-{name}", version="1.0")


POLLED = {timeframe: attrs.evolve(one, stream=False, rest=True) for timeframe, one in SUPPORT.items()}
YAHOO = lantern("yahoo", stream=False, support=POLLED, description=attrs.evolve(LANTERN, title="Yahoo"))


def planned(text, adapter=None, account=None, **options):
    return plan(Series.parse(text), adapter or lantern(), account or Account(), **options)


# ---------------------------------------------------------------------------------------- one series


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (
            planned("lantern:GLOW/USD@1m"),
            (
                "lantern:GLOW/USD@1m: stream: Lantern streams 1m candles "
                "(takes 1 connection; falls to poll; UTC days)"
            ),
        ),
        (
            planned("lantern:GLOW/USD@1h"),
            "lantern:GLOW/USD@1h: stream: Lantern streams 1h candles (takes 1 connection)",
        ),
        (
            planned("lantern:GLOW/USD@5m"),
            (
                "lantern:GLOW/USD@5m: poll: Lantern does not stream 5m candles; "
                "polled over REST 20 s after each close (takes 12 REST calls an hour)"
            ),
        ),
        (
            planned("yahoo:GLOW/USD@1m", YAHOO),
            (
                "yahoo:GLOW/USD@1m: poll: Yahoo has no stream; "
                "polled over REST 5 s after each close (takes 60 REST calls an hour; UTC days)"
            ),
        ),
        (
            planned("lantern:GLOW/USD@3m"),
            "lantern:GLOW/USD@3m: refuse: Lantern has no 3m candles; it has 1m, 5m, 1h",
        ),
        (
            planned("lantern:GLOW@1m"),
            "lantern:GLOW@1m: refuse: Lantern: no symbol 'GLOW'; write base/quote, such as GLOW/USD",
        ),
        (
            planned("lantern:GLOW/USD@trades"),
            "lantern:GLOW/USD@trades: stream: Lantern streams trades (takes 1 connection)",
        ),
        (
            planned(
                "lantern:GLOW/USD@quotes", lantern(description=attrs.evolve(LANTERN, feeds=(Feed.TRADES,)))
            ),
            (
                "lantern:GLOW/USD@quotes: refuse: Lantern does not stream quotes, "
                "and quotes come over a stream only"
            ),
        ),
        (
            planned("yahoo:GLOW/USD@trades", YAHOO),
            "yahoo:GLOW/USD@trades: refuse: Yahoo has no stream, and trades come over a stream only",
        ),
        (
            planned("lantern:GLOW/USD@5m", lantern(history=False, support={M5: OhlcvSupport()})),
            "lantern:GLOW/USD@5m: refuse: Lantern does not stream 5m candles, and Lantern serves no history",
        ),
        (
            planned("lantern:GLOW/USD@5m", lantern(support={})),
            (
                "lantern:GLOW/USD@5m: refuse: Lantern does not stream 5m candles, "
                "and Lantern does not serve 5m candles over REST"
            ),
        ),
        (
            planned("lantern:GLOW/USD@5m", lantern(support={M5: attrs.evolve(OVER_A_STREAM, rest=False)})),
            (
                "lantern:GLOW/USD@5m: refuse: Lantern does not stream 5m candles, "
                "and Lantern does not serve 5m candles"
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_plan_explains_itself(made, line):
    assert line == explain(made)


@pytest.mark.parametrize(
    ("made", "rung", "why"),
    [
        (
            planned("lantern:GLOW/USD@1m", pin=Rung.POLL),
            Rung.POLL,
            "pinned to poll; polled over REST 5 s after each close",
        ),
        (
            planned("lantern:GLOW/USD@5m", lantern(support={M5: OVER_A_STREAM}), pin=Rung.POLL),
            Rung.POLL,
            "pinned to poll; polled over a connection of its own 5 s after each close",
        ),
        (
            planned("yahoo:GLOW/USD@1m", YAHOO, pin=Rung.STREAM),
            Rung.REFUSE,
            "pinned to stream, but Yahoo has no stream; without the pin it would be polled",
        ),
        (
            planned("lantern:GLOW/USD@1m", pin=Rung.BUILD),
            Rung.REFUSE,
            (
                "pinned to build, but Lantern streams no trades that 1m candles could be built from; "
                "without the pin it would be streamed"
            ),
        ),
        (
            planned("lantern:GLOW/USD@1h", pin=Rung.POLL),
            Rung.REFUSE,
            (
                "pinned to poll, but Lantern does not serve 1h candles over REST; "
                "without the pin it would be streamed"
            ),
        ),
        (planned("lantern:GLOW/USD@1h", pin=Rung.REFUSE), Rung.REFUSE, "pinned to refuse"),
    ],
)
def test_a_rung_can_be_pinned(made, rung, why):
    """A pinned series falls to no other rung, and an impossible pin is refused with its reason."""
    assert (rung, why, None, True) == (made.rung, made.why, made.falls_to, made.pinned)


@pytest.mark.parametrize(
    ("text", "account", "why"),
    [
        ("lantern.foo:GLOW/USD@1m", {}, "Lantern has no variant 'foo'; it has iex, sip"),
        (
            "lantern:GLOW/USD@1m",
            {"environment": "demo"},
            "Lantern has no environment 'demo'; it has production",
        ),
        (
            "lantern:GLOW/USD@1m",
            {"secrets": {"key": ""}},
            (
                "Lantern needs key and secret: set WICKWIRE_LANTERN_KEY and WICKWIRE_LANTERN_SECRET, or name "
                "other environment variables under [venues.lantern.secrets] in the config, "
                "or give the Collector of a program accounts; without them "
                "its weather is told"
            ),
        ),
    ],
)
def test_what_does_not_fit_the_venue_is_refused(text, account, why):
    credentials = ("key", "secret") if "secrets" in account else ()
    described = attrs.evolve(LANTERN, variants=("iex", "sip"), credentials=credentials)
    adapter = lantern(description=attrs.evolve(described, without_credentials="its weather is told"))

    made = planned(text, adapter, Account(**account))

    assert (Rung.REFUSE, why) == (made.rung, made.why)


NEEDY = attrs.evolve(LANTERN, credentials=("key",), without_credentials="candles of last year are there")


def test_what_works_without_the_missing_secrets_is_said():
    assert planned("lantern:GLOW/USD@1m", lantern(description=NEEDY)).why == (
        "Lantern needs key: set WICKWIRE_LANTERN_KEY, or name other environment variables under "
        "[venues.lantern.secrets] in the config, "
        "or give the Collector of a program accounts; without them candles of last year are there"
    )


@pytest.mark.parametrize("what", ["1m", "trades"])
def test_what_could_not_be_had_with_the_secrets_either_is_refused_for_that(what):
    """Nobody gets a pair of keys to learn then that the symbol is written otherwise."""
    made = planned(f"lantern:GLOW@{what}", lantern(description=NEEDY))

    assert (Rung.REFUSE, "Lantern: no symbol 'GLOW'; write base/quote, such as GLOW/USD") == (
        made.rung,
        made.why,
    )


def test_a_symbol_without_any_candles_has_no_trades_either():
    assert "no symbol 'GLOW'" in planned("lantern:GLOW@trades").why
    assert planned("lantern:GLOW/USD@trades").rung is Rung.STREAM


def test_a_venue_without_candles_is_not_asked_about_them():
    adapter = lantern(description=attrs.evolve(LANTERN, timeframes=()), support={})

    assert planned("lantern:GLOW@trades", adapter).rung is Rung.STREAM


def test_a_venue_without_variants_says_so():
    assert planned("lantern.sip:GLOW/USD@1m").why == "Lantern has no variant 'sip'; it has none"


def test_the_variant_reaches_the_adapter_as_feed():
    asked = []

    def supports_ohlcv(symbol, timeframe, account):
        asked.append(account.feed)
        return SUPPORT[M1]

    adapter = lantern(supports_ohlcv=supports_ohlcv, description=attrs.evolve(LANTERN, variants=("sip",)))
    planned("lantern.sip:GLOW/USD@1m", adapter)

    assert asked == ["sip"]


def test_the_symbol_is_normalised():
    """Native spellings are accepted; the plan speaks of the canonical symbol."""
    adapter = lantern(
        to_venue=lambda symbol: symbol.replace("/", ""), from_venue=lambda text: f"{text[:4]}/{text[-3:]}"
    )

    made = planned("lantern:GLOWUSD@1m", adapter)

    assert ("lantern:GLOW/USD@1m", "GLOW/USD@1m") == (str(made.series), str(made.topic))


def test_a_symbol_that_the_venue_cannot_spell_is_refused_in_its_words():
    def from_venue(text):
        raise VenueError(FaultKind.SYMBOL, f"no lamp {text}")

    made = planned("lantern:GLOW@1m", lantern(to_venue=lambda symbol: symbol, from_venue=from_venue))

    assert (Rung.REFUSE, "Lantern: no lamp GLOW") == (made.rung, made.why)


def test_the_lane_and_the_support_are_in_the_plan():
    adapter = lantern(lane=lambda topic: Lane(key=str(topic.what), alone=topic.symbol))

    made = planned("lantern:GLOW/USD@1m", adapter)

    assert (Lane("1m", "GLOW/USD"), SUPPORT[M1]) == (made.lane, made.support)


def test_a_broken_hook_is_an_error_that_names_the_plugin():
    with pytest.raises(PluginError, match=r"^adapter 'lantern' \(wickwire-lantern 1\.0\): supports_oh"):
        planned("lantern:GLOW/USD@1m", lantern(supports_ohlcv=lambda: None))


def test_secrets_that_only_the_stream_needs_are_named_and_history_goes_on():
    adapter = lantern(description=attrs.evolve(LANTERN, stream_credentials=("key", "secret")))
    half, whole = ({"key": "K"}, {"key": "K", "secret": "S"})

    without = planned("lantern:GLOW/USD@1m", adapter, Account(secrets=half))
    assert without.rung is Rung.POLL
    assert without.why.startswith("Lantern streams nothing without secret: set WICKWIRE_LANTERN_SECRET, or ")
    assert planned("lantern:GLOW/USD@1m", adapter, Account(secrets=whole)).rung is Rung.STREAM
    assert "without key and secret" in planned("lantern:GLOW/USD@trades", adapter).why


# ------------------------------------------------------------------------------------- many series


def together(*texts, limits, pins=None, account=None, **options):
    adapter = lantern(description=attrs.evolve(LANTERN, limits=limits), **options)
    return plan_all(
        [Series.parse(text) for text in texts],
        {"lantern": adapter, "yahoo": YAHOO},
        {"lantern": account or Account()},
        pins,
    )


def test_series_share_connections_up_to_what_is_allowed():
    """Whoever opens a connection bears it; who finds no place is polled, and says why."""
    plans = together(
        *(f"lantern:{symbol}/USD@1m" for symbol in "ABCDE"),
        limits=Limits(connections=2, topics_per_connection=2),
    )

    assert [Rung.STREAM] * 4 + [Rung.POLL] == [one.rung for one in plans]
    assert [1, 0, 1, 0, 0] == [one.cost.connections for one in plans]
    assert plans[4].why == (
        "no place is left on the 2 connections allowed (limit connections) for one topic more: "
        "each carries 2 and may no more (limit topics_per_connection); polled over REST 5 s after each close"
    )


def test_each_endpoint_has_places_of_its_own():
    """Two variants, and two lanes of one, are endpoints; whoever comes second to one is polled."""
    adapter = lantern(
        description=attrs.evolve(
            LANTERN,
            variants=("iex", "sip"),
            limits=Limits(connections_per_lane=1, topics_per_connection=1),
        ),
        lane=lambda topic: Lane(topic.symbol[:1]),
    )
    names = ("lantern.iex:A/USD@1m", "lantern.sip:A/USD@1m", "lantern.iex:B/USD@1m", "lantern.iex:AA/USD@1m")
    plans = plan_all([Series.parse(name) for name in names], {"lantern": adapter}, {})

    assert [Rung.STREAM] * 3 + [Rung.POLL] == [one.rung for one in plans]
    assert plans[3].why.startswith(
        "no place is left on the 1 connection allowed to this endpoint (limit connections_per_lane)"
    )


def test_a_series_that_can_only_be_streamed_is_refused_by_name_when_no_place_is_left():
    """Which limits stand against it, how much they allow, what was asked, and what to do."""
    plans = together(
        "lantern:A/USD@1h", "lantern:B/USD@1h", limits=Limits(connections=1, topics_per_connection=1)
    )

    assert explain(plans[1]) == (
        "lantern:B/USD@1h: refuse: no place is left on the 1 connection allowed (limit connections) for one "
        "topic more: each carries 1 and may no more (limit topics_per_connection), and Lantern does not "
        "serve 1h candles over REST; collect fewer series of lantern"
    )


def test_a_limit_that_the_user_lowered_is_named_as_what_may_be_raised():
    own = Account(limits=Limits(topics_per_connection=1, messages=Rate(1, 1)))
    plans = together(
        "lantern:A/USD@1h", "lantern:B/USD@1h", limits=Limits(connections=1, rest=Rate(9, 1)), account=own
    )

    assert plans[1].why.endswith(
        "; collect fewer series of lantern, or raise venues.lantern.limits.topics_per_connection"
    )


def test_a_full_venue_says_why_a_free_place_on_a_connection_does_not_help():
    """Topics that exclude each other, as Kraken's intervals do; and a connection to another endpoint."""
    excluded = together(
        *("lantern:A/USD@1m", "lantern:A/USD@1h"),
        limits=Limits(connections=1, topics_per_connection=9),
        lane=lambda topic: Lane(alone=topic.symbol),
    )
    elsewhere = together(
        *("lantern:A/USD@1m", "lantern:A/USD@1h"),
        limits=Limits(connections=1),
        lane=lambda topic: Lane(str(topic.what)),
    )

    assert "(limit connections) for one topic more: what rides there excludes A/USD@1h" in excluded[1].why
    assert "(limit connections) for one topic more: none of them leads to its endpoint" in elsewhere[1].why


@pytest.mark.parametrize(
    ("pin", "limits", "instead"),
    [
        (Rung.STREAM, Limits(connections=1, topics_per_connection=1), "; without the pin it would be polled"),
        (Rung.BUILD, Limits(connections=1, topics_per_connection=1), "; without the pin it would be polled"),
        (Rung.POLL, Limits(rest=Rate(60, 3600)), "; without the pin it would be streamed"),
        (
            Rung.STREAM,
            Limits(connections=1, topics_per_connection=1, rest=Rate(1, 3600)),
            "(limit topics_per_connection); collect",
        ),
    ],
)
def test_what_a_pinned_series_would_be_instead_has_a_place(pin, limits, instead):
    """A rung that is offered and has no room is not what it would be: trades need a connection too."""
    first = Rung.POLL if pin is Rung.POLL else Rung.STREAM
    plans = together(
        *("lantern:A/USD@1m", "lantern:B/USD@1m"),
        limits=limits,
        support={M1: OhlcvSupport(stream=True, trades=True, rest=True, grid=Utc())},
        pins={Series.parse("lantern:A/USD@1m"): first, Series.parse("lantern:B/USD@1m"): pin},
    )

    assert [first, Rung.REFUSE] == [one.rung for one in plans]
    assert plans[1].why.startswith(f"pinned to {pin.value}, but ")
    assert instead in plans[1].why
    assert plans[1].why.endswith("; collect fewer series of lantern")


@given(st.lists(st.sampled_from(["stream", "build", "poll", "refuse", ""]), max_size=8), st.integers(1, 3))
def test_a_refused_pin_takes_no_place_of_what_it_would_be_instead(pins, topics):
    """The plans of the others are as if nobody had asked for what was refused."""
    support = {M1: OhlcvSupport(stream=True, trades=True, rest=True, grid=Utc())}
    limits = Limits(connections=1, topics_per_connection=topics, rest=Rate(120, 3600))
    names = [f"lantern:{symbol}/USD@1m" for symbol, _ in zip("ABCDEFGH", pins, strict=False)]
    pinned = {Series.parse(name): Rung(pin) for name, pin in zip(names, pins, strict=True) if pin}

    plans = together(*names, limits=limits, support=support, pins=pinned)
    kept = [one for one in plans if one.rung is not Rung.REFUSE]

    again = together(*(str(one.series) for one in kept), limits=limits, support=support, pins=pinned)
    assert [(one.series, one.rung, one.line) for one in kept] == [
        (one.series, one.rung, one.line) for one in again
    ]


def test_what_stands_against_several_rungs_is_said_once():
    kraken = load_adapter("kraken")
    narrow = Account(limits=Limits(connections=1, topics_per_connection=1))
    series = [Series.parse(f"kraken:{symbol}/USD@1m") for symbol in ("BTC", "ETH")]

    plans = plan_all(series, {"kraken": kraken}, {"kraken": narrow})

    assert plans[1].rung is Rung.POLL
    assert plans[1].why.count("no place is left") == 1


def test_topics_that_exclude_each_other_ride_on_two_connections():
    """As Kraken's intervals do: one per symbol and connection."""
    plans = together(
        *("lantern:A/USD@1m", "lantern:A/USD@1h", "lantern:B/USD@1h"),
        limits=Limits(connections=2),
        lane=lambda topic: Lane(alone=("ohlc", topic.symbol)),
    )

    assert [1, 1, 0] == [one.cost.connections for one in plans]


def test_lanes_with_other_keys_do_not_mix():
    plans = together(
        "lantern:A/USD@1m",
        "lantern:A/USD@1h",
        limits=Limits(connections=1),
        lane=lambda topic: Lane(str(topic.what)),
    )

    assert [Rung.STREAM, Rung.REFUSE] == [one.rung for one in plans]


def test_polls_are_refused_beyond_the_rate():
    """12 calls an hour each: the third does not fit into 30."""
    plans = together(*(f"lantern:{symbol}/USD@5m" for symbol in "ABC"), limits=Limits(rest=Rate(30, 3600)))

    assert [Rung.POLL, Rung.POLL, Rung.REFUSE] == [one.rung for one in plans]
    assert plans[2].why == (
        "Lantern does not stream 5m candles, and the 30 REST calls an hour that are allowed are taken "
        "(limit rest): 24 by others, and 12 more were asked for; collect fewer series of lantern"
    )


def test_series_that_are_polled_over_a_stream_share_its_connection():
    """They take nothing of what REST allows."""
    names = ("lantern:A/USD@5m", "lantern:B/USD@5m")
    plans = together(*names, limits=Limits(rest=Rate(1, 3600)), support={M5: OVER_A_STREAM})

    assert [Cost(connections=1), Cost()] == [one.cost for one in plans]


def test_limits_of_the_account_count():
    plans = together(
        *("lantern:A/USD@1h", "lantern:B/USD@1h"),
        limits=Limits(connections=10, topics_per_connection=1),
        account=Account(limits=Limits(connections=1)),
    )

    assert [Rung.STREAM, Rung.REFUSE] == [one.rung for one in plans]


def test_the_same_series_twice_is_planned_once():
    """Also where one of them is spelled as the venue does."""
    plans = together(
        *("lantern:GLOW/USD@1h", "lantern:GLOWUSD@1h"),
        limits=Limits(connections=1, topics_per_connection=1),
        to_venue=lambda symbol: symbol.replace("/", ""),
        from_venue=lambda text: f"{text.replace('/', '')[:4]}/{text[-3:]}",
    )

    assert plans[0] is plans[1]


def test_pins_are_found_by_the_canonical_series_too():
    plans = together(
        "lantern:GLOWUSD@1m",
        limits=Limits(),
        pins={Series.parse("lantern:GLOW/USD@1m"): Rung.POLL},
        to_venue=lambda symbol: symbol.replace("/", ""),
        from_venue=lambda text: f"{text.replace('/', '')[:4]}/{text[-3:]}",
    )

    assert [Rung.POLL] == [one.rung for one in plans]


def test_a_refused_series_takes_no_place():
    plans = together(
        *("lantern:GLOW@1h", "lantern:A/USD@1h", "lantern:B/USD@1h"),
        limits=Limits(connections=1, topics_per_connection=1),
    )

    assert [Rung.REFUSE, Rung.STREAM, Rung.REFUSE] == [one.rung for one in plans]


def test_one_broken_adapter_refuses_its_series_and_no_others():
    plans = together("lantern:A/USD@1m", "yahoo:A/USD@1m", limits=Limits(), supports_ohlcv=lambda: None)

    assert [Rung.REFUSE, Rung.POLL] == [one.rung for one in plans]
    assert plans[0].why.startswith("adapter 'lantern' (wickwire-lantern 1.0): supports_ohlcv() returned None")


@given(
    st.lists(st.tuples(st.sampled_from("ABCDEF"), st.sampled_from(["1m", "1h", "5m", "3m"])), max_size=12),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_a_plan_never_exceeds_the_limits(pairs, connections, topics):
    """Whatever is asked for, connections and topics on them stay within what is allowed."""
    plans = together(
        *(f"lantern:{symbol}/USD@{timeframe}" for symbol, timeframe in pairs),
        limits=Limits(connections=connections, topics_per_connection=topics, rest=Rate(100, 3600)),
    )

    distinct = {one.series: one for one in plans}.values()
    assert len(pairs) == len(plans)
    assert sum(one.cost.connections for one in distinct) <= connections
    assert sum(one.rung is Rung.STREAM for one in distinct) <= connections * topics
    assert sum(one.cost.rest_per_hour for one in distinct) <= 100
    assert all(one.why for one in plans)


# ---------------------------------------------------------------------------------------------- limits


def test_a_wish_can_only_lower():
    venue = Limits(connections=5, rest=Rate(10, 1), reply_headers=("x-most", "x-left", "x-next"))

    lowered = effective_limits(venue, Limits(connections=2, rest=Rate(1, 2), topics_per_connection=9))

    assert lowered == attrs.evolve(venue, connections=2, rest=Rate(1, 2), topics_per_connection=9)
    assert effective_limits(venue, None) is venue


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (
            Limits(connections=6),
            r"venues\.x\.limits\.connections: 6 is more than the 5 that the venue ",
        ),
        (
            Limits(rest=Rate(11, 1)),
            r"limits\.rest: 11 in 1 s \(11 at once\) is more than the 10 in 1 s \(10 at once\)",
        ),
        (Limits(rest=Rate(10, 60, burst=11)), r"limits\.rest: 10 in 60 s \(11 at once\) is more"),
    ],
)
def test_a_wish_that_raises_a_limit_is_refused(wish, text):
    with pytest.raises(ConfigError, match=text):
        effective_limits(Limits(connections=5, rest=Rate(10, 1)), wish, where="venues.x.limits")


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (Cost(), "nothing more"),
        (Cost(connections=2, rest_per_hour=3600), "2 connections and 3,600 REST calls an hour"),
        (Cost(rest_per_hour=1 / 24), "0.042 REST calls an hour"),
    ],
)
def test_a_cost_is_readable(cost, text):
    assert text == str(cost)


@pytest.mark.parametrize("route", ["import", Rung.IMPORT, "walk"])
def test_a_series_is_pinned_to_a_way_of_collecting_it_alone(route):
    with pytest.raises(UsageError, match="expected one of stream, resample, build, poll, refuse"):
        pinned(route)

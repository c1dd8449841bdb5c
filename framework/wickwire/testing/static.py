"""Level 1: what an adapter says of itself, before anything is said to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from typing import Any, Final

import attrs

from wickwire.conversation import HttpRequest, StreamRequest
from wickwire.description import Account, OhlcvSupport
from wickwire.endpoint import Ask, Endpoint, Topic
from wickwire.errors import VenueError, WickwireError
from wickwire.hookspecs import API_LEVEL
from wickwire.model import Feed, Timeframe, Unit, Utc, Zone
from wickwire.testing.checks import Checks, Level, Need, Skipped, require
from wickwire.testing.foreign import outcome_of
from wickwire.testing.material import Material
from wickwire.testing.playing import is_had
from wickwire.testing.questions import first_words, is_offered, offered, texts
from wickwire.testing.search import search
from wickwire.transport.origins import HTTP_SCHEMES, STREAM_SCHEMES, Address

__all__ = ["STATIC"]

STATIC: Final = Checks(Level.STATIC)

USUAL: Final = tuple(
    Timeframe(n, unit)
    for unit, counts in {
        Unit.SECOND: (1, 5, 10, 15, 30),
        Unit.MINUTE: (1, 2, 3, 5, 10, 15, 30, 45),
        Unit.HOUR: (1, 2, 3, 4, 6, 8, 12),
        Unit.DAY: (1, 2, 3, 5, 1_000),
        Unit.WEEK: (1,),
        Unit.MONTH: (1, 3),
    }.items()
    for n in counts
)
PAIRS: Final = ("BTC/USDT", "ETH/USDC", "DOGE/USDT", "SHIB/EUR", "1INCH/USD")
"""Bases and quotes of three letters alone hide who cuts names by their length."""
SHARES: Final = ("AAPL", "BRK.B", "BRK-B", "BRK/B", "VOD.L", "7203.T")
"""Shares as they are written in one place or another."""
IMPORT_S: Final = 120.0


@STATIC("S01", "It is an adapter: its hooks exist, are complete, and take what they are given.")
def binds(material: Material) -> None:
    require(not material.problem, material.problem)
    adapter = material.adapter
    for account in material.accounts:
        for timeframe in USUAL[:3]:
            adapter.support_for("BTC/USD", timeframe, account)


@STATIC("S02", "describe() names the venue and the documents that the adapter follows.")
def describes(material: Material) -> None:
    for account in (Account(), *material.accounts):
        try:
            told = material.described(account)
        except VenueError:
            continue
        title: object = told.title
        require(isinstance(title, str) and title.strip(), f"the title is {title!r}")
        require(told.documents, "documents is empty: name what was read, and when")
        for name in (
            "documents",
            "channels",
            "credentials",
            "stream_credentials",
            "environments",
            "variants",
        ):
            words = getattr(told, name)
            fits = isinstance(words, tuple) and all(isinstance(one, str) and one.strip() for one in words)
            require(fits, f"{name} has to be a tuple of texts, got {words!r}")
        known: object = told.timeframes
        fits = isinstance(known, tuple) and all(isinstance(one, Timeframe) for one in known)
        require(fits, f"timeframes has to be a tuple of Timeframe, got {told.timeframes!r}")


@STATIC("S03", "Every symbol has one spelling at the venue, and that spelling means no other symbol.")
def maps_symbols(material: Material) -> None:
    adapter = material.adapter
    for symbol in material.symbols:
        require(
            adapter.from_venue(symbol) == symbol, f"from_venue({symbol!r}) is {adapter.from_venue(symbol)!r}"
        )
    for pair in PAIRS:
        told, _ = outcome_of(partial(adapter.from_venue, pair))
        if isinstance(told, str) and is_offered(material, told):
            kept = told.partition("/")[0] == pair.partition("/")[0]
            require(kept, f"from_venue({pair!r}) is {told!r}: that is another base")
    natives: dict[str, str] = {}

    def look(text: str) -> None:
        try:
            canonical = adapter.from_venue(adapter.to_venue(adapter.from_venue(text)))
            native = adapter.to_venue(canonical)
            again = adapter.from_venue(native)
        except WickwireError:
            return
        if text and adapter.from_venue(text) == text and is_offered(material, text):
            native = adapter.to_venue(text)
            again = adapter.from_venue(native)
            require(again == text, f"from_venue(to_venue({text!r})) is {again!r}: by way of {native!r}")
        words: tuple[object, object] = canonical, native
        require(
            all(isinstance(one, str) for one in words),
            f"from_venue() returned {canonical!r:.60}, to_venue() {native!r:.60}",
        )
        require(again == canonical, f"from_venue(to_venue({canonical!r})) is {again!r}: by way of {native!r}")
        other = natives.setdefault(native, canonical)
        require(other == canonical, f"both {other!r} and {canonical!r} are {native!r} at the venue")

    for text in (*material.playing.market.symbols, *SHARES):
        look(text)
    search(material, texts(material), look, share=4.0, forgiving=True, show=lambda text: f"symbol {text!r}")


@STATIC("S04", "supports_ohlcv() answers for any text and timeframe, and says why where nothing can be had.")
def answers_support(material: Material) -> None:
    from hypothesis import strategies as st  # noqa: PLC0415 - an extra

    adapter = material.adapter
    drawn = st.builds(Timeframe, st.integers(1, 60), st.sampled_from(Unit))
    asked = st.tuples(
        texts(material), st.one_of(st.sampled_from(USUAL), drawn), st.sampled_from(material.accounts)
    )

    def look(asked: tuple[str, Timeframe, Account]) -> None:
        told = adapter.supports_ohlcv(*asked)
        require(isinstance(told, OhlcvSupport), f"it returned {told!r:.60}, not an OhlcvSupport")
        require(is_had(told) or told.why_not.strip(), "nothing can be had, and why_not is empty")

    search(material, asked, look, share=2.0, show=lambda one: f"symbol {one[0]!r}, timeframe {one[1]}")


@STATIC("S05", "supports_ohlcv() and describe() name the same timeframes.", Need.SYMBOLS)
def agrees_on_timeframes(material: Material) -> None:
    adapter = material.adapter
    told = [(account, material.described(account).timeframes) for account in material.accounts]
    pairs = [(symbol, account, known) for account, known in told for symbol in material.symbols]
    for timeframe in dict.fromkeys(one for _, known in told for one in known):
        had = [adapter.support_for(symbol, timeframe, account) for symbol, account, _ in pairs]
        require(
            any(map(is_had, had)),
            f"describe() names {timeframe}, but supports_ohlcv() has it for none of {material.symbols}",
        )
    for symbol, account, known in pairs:
        for timeframe in USUAL:
            support = adapter.support_for(symbol, timeframe, account)
            undeclared = (support.stream or support.rest) and timeframe not in known
            require(
                not undeclared,
                f"supports_ohlcv() has {timeframe} of {symbol}, which describe() does not name",
            )


@STATIC(
    "S06",
    "What supports_ohlcv() promises can be used: a grid that can be computed, numbers that make sense.",
    Need.SYMBOLS,
)
def sensible_support(material: Material) -> None:
    for symbol, timeframe, account in offered(material):
        told = material.adapter.support_for(symbol, timeframe, account)
        which = f"{symbol}@{timeframe}"
        require(told.depth_rows is None or told.depth_rows > 0, f"{which}: depth_rows is {told.depth_rows}")
        require(told.depth_s is None or told.depth_s > 0, f"{which}: depth_s is {told.depth_s}")
        for name in ("settle_s", "grace_s", "proof_s"):
            seconds = getattr(told, name)
            require(seconds < 7 * 86_400, f"{which}: {name} is {seconds:g} s, more than a week")
        require(not told.numbered or told.trades, f"{which}: numbered, but no trades")
        require(not told.over_stream or told.rest, f"{which}: over_stream, but no history (rest)")
        if isinstance(told.grid, Utc | Zone):
            now_ns = material.playing.now_ns
            try:
                open_ns = timeframe.open_at(now_ns, told.grid)
                close_ns = timeframe.close_of(open_ns, told.grid)
            except ValueError as exc:
                require(holds=False, why=f"{which}: {exc}")
                continue
            require(open_ns <= now_ns < close_ns, f"{which}: {told.grid} gives {open_ns} to {close_ns}")
        else:
            require(told.grid is not None, f"{which}: grid is None; where nobody says it is Unknown()")


@STATIC("S07", "Every address that it names is encrypted.")
def encrypted(material: Material) -> None:
    seen = 0
    for account in material.accounts:
        for asked in first_words(material, account):
            seen += 1
            match asked:
                case Endpoint():
                    _check_address(asked.url, STREAM_SCHEMES, "connect()")
                case HttpRequest():
                    _check_address(asked.url, HTTP_SCHEMES, "a conversation")
                case _:
                    continue
    exchanges = [one for fetched in material.fetched for one in fetched.exchanges]
    for exchange in exchanges:
        if isinstance(exchange.request, HttpRequest):
            _check_address(exchange.request.url, HTTP_SCHEMES, "fetch_ohlcv()")
    if not seen and not exchanges:
        raise Skipped("it opens nothing without more: name a symbol with --symbol")


@STATIC("S08", "It declares a limit for each way it uses.", Need.SYMBOLS)
def declares_limits(material: Material) -> None:
    supports = [material.adapter.support_for(*one) for one in offered(material)]
    limits = material.described(material.account).limits
    streaming = ("connections", "connections_per_lane", "connects", "messages", "messages_overall")
    if material.adapter.streams:
        named = any(getattr(limits, name) is not None for name in (*streaming, "topics_per_connection"))
        require(named, f"it streams, and limits names none of {', '.join(streaming)}")
    if any(one.rest and not one.over_stream for one in supports):
        require(limits.rest is not None, "it asks over REST, and limits names no rate for rest")


@STATIC("S09", "Importing it does no I/O and reads no secrets.", Need.DISTRIBUTION)
def imports_quietly(material: Material) -> None:
    command = [sys.executable, "-B", "-m", "wickwire.testing.importing", str(material.module)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(  # noqa: S603 - this interpreter, a module of ours
        command, env=environment, capture_output=True, text=True, check=False, timeout=IMPORT_S
    )
    require(done.returncode == 0, f"it cannot be imported by itself: {done.stderr.strip()[-300:]}")
    deeds = json.loads(done.stdout.splitlines()[-1])
    require(not deeds, f"importing it does: {'; '.join(deeds[:5])}")


@STATIC("S10", "A hook that is asked the same twice says the same.")
def pure(material: Material) -> None:
    adapter = material.adapter
    for account in material.accounts:
        require(
            material.described(account) == material.described(account),
            f"describe({account!r}) differs the second time",
        )
        first, second = ([_told(one) for one in first_words(material, account)] for _ in range(2))
        for one, other in zip(first, second, strict=True):
            require(one == other, "a hook says something else the second time", shown=f"{one}\n{other}")
    for symbol, timeframe, account in offered(material):
        told, again = (adapter.support_for(symbol, timeframe, account) for _ in range(2))
        require(told == again, f"supports_ohlcv({symbol!r}, {timeframe}) differs the second time")
        lanes = [adapter.lane_of(Topic(symbol, timeframe)) for _ in range(2)]
        require(lanes[0] == lanes[1], f"lane() differs the second time for {symbol}@{timeframe}")
        names = [adapter.to_venue(symbol) for _ in range(2)]
        require(names[0] == names[1], f"to_venue({symbol!r}) differs the second time")


@STATIC("S11", "What describe() names as feeds can be subscribed to.", Need.STREAM, Need.SYMBOLS)
def carries_feeds(material: Material) -> None:
    tried = 0
    for dialogue in material.dialogues or material.recorded:
        for topic in dialogue.asked:
            if not isinstance(topic.what, Feed):
                continue
            memory: Any = dialogue.endpoint.memory()
            sends = material.adapter.subscribe([Ask(topic)], (), memory)
            tried += 1
            material.count()
            answered = dialogue.simulated and topic not in dialogue.unanswered
            require(len(sends) or answered, f"subscribe() asks for nothing where {topic} is wanted")
    if not tried:
        raise Skipped(_why_no_feed_was_asked_for(material))


@STATIC("S13", "It says which API level of the hooks it was written for.")
def declares_its_level(material: Material) -> None:
    require(
        material.adapter.api_level is not None,
        f"its module says nothing: write API_LEVEL = {API_LEVEL} beside the hooks, the number of today",
    )


# ---------------------------------------------------------------------------------------- how it is looked at


def _told(asked: object) -> str:
    """Return all that an answer says, but for the function that makes memories."""
    if isinstance(asked, Endpoint | HttpRequest | StreamRequest):
        fields = attrs.asdict(asked, recurse=False)
        fields.pop("memory", None)
        return repr(fields)
    return repr(asked)


def _why_no_feed_was_asked_for(material: Material) -> str:
    if all(material.described(account).feeds == () for account in material.accounts):
        return "describe() names no feed"
    lacking = material.lacking(Need.FRAMES)
    if lacking:
        return f"no connection is there to ask on: {lacking}"
    return "no feed was asked for on any connection"


def _check_address(url: str, schemes: tuple[str, ...], who: str) -> None:
    try:
        origin = Address.parse(url, schemes).origin
    except ValueError as exc:
        require(holds=False, why=f"{who} names an address that nobody goes to: {exc}")
        return
    require(origin.secure or origin.loopback, f"{who} names {origin}, which is not encrypted")

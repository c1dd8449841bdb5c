"""Requests on Kraken's stream and the answers to them: what one connection asked for and remembers.

Reference: Kraken API Center, Spot WebSocket v2, read 2026-11; texts of refusals as captured from the venue.

Every symbol of a request is answered alone. A confirmation says channel, symbol and interval, so it is
matched by what it says and not by `req_id`: a recorded session numbers its requests differently and still
fits. A refusal says symbol and `req_id` only, and calls itself "subscribe" even when it answers an
unsubscribe, so it is matched by what we asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs
import msgspec

from wickwire import (
    Accepted,
    Ask,
    Event,
    Fault,
    FaultKind,
    Feed,
    Refused,
    Released,
    Send,
    Timeframe,
    Topic,
    hookimpl,
)
from wickwire_kraken.refusals import kind_of_refusal
from wickwire_kraken.symbols import MINUTES

__all__ = ["Dialogue", "Reply", "answer", "subscribe"]

What = Timeframe | Feed

_CHANNELS: Final[dict[What, dict[str, object]]] = {
    # without bbo the ticker speaks only when somebody trades, and the quote goes stale in between
    Feed.QUOTES: {"channel": "ticker", "event_trigger": "bbo"},
    Feed.TRADES: {"channel": "trade"},
    **{timeframe: {"channel": "ohlc", "interval": minutes} for timeframe, minutes in MINUTES.items()},
}

_WHATS: Final = {(fields["channel"], fields.get("interval")): what for what, fields in _CHANNELS.items()}

_ALREADY: Final = "Already subscribed"
_NOT_FOUND: Final = "Subscription Not Found"

_LARGEST_ID: Final = 2**31 - 1


@attrs.frozen(cache_hash=True)
class Asked:
    """One topic that waits for its answer; *leaving* when it was unsubscribed."""

    topic: Topic
    leaving: bool


@attrs.define
class Dialogue:
    """What one connection remembers.

    Attributes:
        last_id: The `req_id` of the last request.
        asked: What was asked and not yet answered, and the `req_id` that asked for it last.
        seconds: See `rows.Seconds`: only to be quick.
    """

    last_id: int = 0
    asked: dict[Asked, int] = attrs.Factory(dict)
    seconds: dict[str, int] = attrs.Factory(dict)


class Result(msgspec.Struct):
    """What a confirmation confirms: one symbol of a request."""

    channel: str = ""
    symbol: str = ""
    interval: int | None = None


class Reply(msgspec.Struct):
    """A message without a known channel: an answer, a complaint, or not of this protocol at all."""

    method: str = ""
    success: bool | None = None
    error: str = ""
    symbol: str | None = None
    req_id: int | None = None
    result: Result | None = None
    time_out: str | None = None
    complaint: str | None = msgspec.field(default=None, name="Error")  # {"Error":"Exceeded msg rate"}
    channel: str | None = None
    event: str | None = None  # WebSocket v1


@hookimpl
def subscribe(asks: Sequence[Ask], removed: Sequence[Topic], memory: Dialogue) -> Sequence[Send]:
    """Return one request for each channel and interval; leaving comes first, since it frees places."""
    return [
        *_requests("unsubscribe", removed, memory),
        *_requests("subscribe", (ask.topic for ask in asks), memory),
    ]


def answer(reply: Reply, memory: Dialogue) -> Sequence[Event]:
    """Say what a confirmation or a refusal means; *reply* says whether it was a success."""
    return _confirmation(reply, memory) if reply.success else _refusal(reply, memory)


def _requests(method: str, topics: Iterable[Topic], memory: Dialogue) -> Iterable[Send]:
    batches: dict[What, list[Topic]] = {}
    for topic in topics:
        batches.setdefault(topic.what, []).append(topic)
    leaving = method == "unsubscribe"
    for what, batch in batches.items():
        memory.last_id = number = memory.last_id % _LARGEST_ID + 1
        params: dict[str, Any] = {**_CHANNELS[what], "symbol": [topic.symbol for topic in batch]}
        if not leaving:
            params["snapshot"] = True  # always said: Kraken's pages disagree on its default
        memory.asked.update((Asked(topic, leaving), number) for topic in batch)
        request = {"method": method, "params": params, "req_id": number}
        yield Send(msgspec.json.encode(request).decode())


def _confirmation(reply: Reply, memory: Dialogue) -> Sequence[Event]:
    result = reply.result
    what = _WHATS.get((result.channel, result.interval)) if result is not None else None
    if result is None or what is None:
        return ()  # of a channel that is not ours
    topic, leaving = Topic(result.symbol, what), reply.method == "unsubscribe"
    memory.asked.pop(Asked(topic, leaving), None)
    return (Released((topic,)) if leaving else Accepted((topic,)),)


def _refusal(reply: Reply, memory: Dialogue) -> Sequence[Event]:
    text = reply.error or "refused without a reason"
    if reply.symbol is None and reply.req_id is None:
        return (Fault(FaultKind.PROTOCOL, text),)
    kind = kind_of_refusal(text)
    meant = _meant(reply, memory)
    if reply.symbol is None and len(meant) > 1:
        return (Refused((), kind, text),)  # one of them, and it does not say which
    for asked in meant:
        del memory.asked[asked]
    joining = [asked.topic for asked in meant if not asked.leaving]
    leaving = [asked.topic for asked in meant if asked.leaving]
    if text == _NOT_FOUND:
        return (Released(leaving),) if leaving else ()
    if text == _ALREADY:
        return (Accepted(joining),) if joining else ()
    if joining:
        return (Refused(joining, kind, text),)
    if leaving or reply.symbol is None:
        return (Fault(FaultKind.REQUEST, text),)
    # Not asked by us but in a recorded session: whatever was wanted of that symbol is refused.
    return (Refused([Topic(reply.symbol, what) for what in _CHANNELS], kind, text),)


def _meant(reply: Reply, memory: Dialogue) -> list[Asked]:
    """Return which of our questions a refusal answers."""
    ours = [asked for asked, number in memory.asked.items() if number == reply.req_id]
    symbols = reply.error.split() if reply.symbol is None else [reply.symbol]
    exact = [asked for asked in ours if asked.topic.symbol in symbols]
    if exact or reply.symbol is None:
        return exact or ours
    leaving, ohlc_only = reply.error == _NOT_FOUND, "ohlc" in reply.error
    return [
        asked
        for asked in memory.asked
        if asked.topic.symbol == reply.symbol
        and asked.leaving is leaving
        and (isinstance(asked.topic.what, Timeframe) or not ohlc_only)
    ]

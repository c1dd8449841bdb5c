"""Requests on Coinbase's stream and the answers to them: what is confirmed, released, refused.

Reference: Coinbase Advanced Trade WebSocket, "WebSocket Overview" (subscribing, unsubscribing, errors), read
2026-11; answers as public projects captured them.

A request is of one channel and carries no id. The venue answers each in turn: with `subscriptions`, which
lists *all* that this connection now is subscribed to, or with an error, which names nothing at all. So what a
confirmation says is taken from its list, and whose an error is from the order of requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from wickwire import Accepted, Ask, Event, Fault, FaultKind, Refused, Released, Send, Topic, hookimpl
from wickwire_coinbase.memory import CHANNELS, HEARTBEATS, Memory, Request
from wickwire_coinbase.symbols import to_venue

__all__ = ["GREETING", "State", "confirmation", "refusal", "subscribe"]

State = Mapping[str, Sequence[str]]
"""Channel to product ids, as a confirmation lists them."""

GREETING: Final = Send('{"type":"subscribe","channel":"heartbeats"}')
"""Said at once: the venue ends a connection that subscribes to nothing for five seconds, and channels that
bring nothing for 60 to 90 seconds, unless heartbeats are subscribed to."""

_UNKNOWN_CHANNEL: Final = "authentication failure"
"""What the venue says of a wrong token, and of a channel that it does not have; we send no token."""


@hookimpl
def subscribe(asks: Sequence[Ask], removed: Sequence[Topic], memory: Memory) -> Sequence[Send]:
    """Return one request for each channel, unsubscriptions first."""
    leaving: dict[str, list[Topic]] = {}
    for topic in removed:
        memory.asked.pop(topic, None)
        leaving.setdefault(CHANNELS[topic.what], []).append(topic)
    joining: dict[str, list[Topic]] = {}
    for ask in asks:
        memory.asked[ask.topic] = False
        joining.setdefault(CHANNELS[ask.topic.what], []).append(ask.topic)
    memory.rewire()
    return [*_unsubscribe(leaving, memory), *_subscribe(joining, memory)]


def _unsubscribe(leaving: Mapping[str, list[Topic]], memory: Memory) -> Iterable[Send]:
    """Yield what ends *leaving*; a book that another symbol still needs goes on."""
    needed = {memory.book_of(topic) for topic in memory.asked}
    for channel, topics in leaving.items():
        sent = memory.sent[channel]
        books = {memory.book_of(topic) for topic in topics} - needed
        products = [product for product in sent if (channel, memory.book(product)) in books]
        for product in products:
            del sent[product]
        if products:
            ended = tuple(topic for topic in topics if memory.book_of(topic) in books)
            memory.pending.append(Request(subscribes=False, channel=channel, topics=ended))
            yield _request("unsubscribe", channel, products)


def _subscribe(joining: Mapping[str, list[Topic]], memory: Memory) -> Iterable[Send]:
    for channel, topics in joining.items():
        products = [to_venue(topic.symbol) for topic in topics]
        memory.sent[channel].update(dict.fromkeys(products))
        memory.pending.append(Request(subscribes=True, channel=channel, topics=tuple(topics)))
        yield _request("subscribe", channel, products)


def _request(kind: str, channel: str, products: Sequence[str]) -> Send:
    message = {"type": kind, "product_ids": products, "channel": channel}  # the order of Coinbase's own SDK
    return Send(msgspec.json.encode(message).decode())


# ------------------------------------------------------------------------------------------------- answers


def confirmation(state: State, memory: Memory) -> Sequence[Event]:
    """Say what the list of all subscriptions means: what is gone from it, what is new, what was left out."""
    request = memory.pending.popleft() if memory.pending else None
    subscribed = [topic for topic, confirmed in memory.asked.items() if confirmed]
    left = () if request is None or request.subscribes else request.topics
    gone = [topic for topic in dict.fromkeys((*left, *subscribed)) if not _listed(topic, state, memory)]
    # a list from before an unsubscription was heard still holds what is about to be left
    new = [
        topic
        for topic in memory.awaited(memory.asked)
        if _listed(topic, state, memory) and not memory.leaving(topic)
    ]
    memory.asked.update({topic: False for topic in gone if topic in memory.asked})
    memory.asked.update(dict.fromkeys(new, True))
    events: list[Event] = [kind(topics) for kind, topics in ((Released, gone), (Accepted, new)) if topics]
    if request is not None and request.subscribes:
        # the venue may never have answered this request: then its answer belongs to a later one
        later = {topic for each in memory.pending for topic in each.topics}
        missing = [
            topic
            for topic in memory.awaited(request.topics)
            if topic not in later and not _listed(topic, state, memory)
        ]
        names = " ".join(to_venue(topic.symbol) for topic in missing)
        text = f"the venue's answer does not list {names} on {request.channel}"
        events += _refused(missing, FaultKind.SYMBOL, text, memory) if missing else ()
    return events


def _listed(topic: Topic, state: State, memory: Memory) -> bool:
    channel, book = memory.book_of(topic)
    products = state.get(channel, ())
    return book in products or to_venue(topic.symbol) in products


def refusal(text: str, memory: Memory) -> Sequence[Event]:
    """Say what an error means, by the request that it answers."""
    request = memory.pending.popleft() if memory.pending else None
    low = text.casefold()
    if request is None:
        waits = memory.awaited(memory.asked)
        return (Refused((), FaultKind.REQUEST, text),) if waits else (Fault(FaultKind.PROTOCOL, text),)
    limited = "rate limit" in low or "too many" in low
    if not request.subscribes or request.channel == HEARTBEATS:
        kind = FaultKind.WAIT if limited else FaultKind.PROTOCOL
        return (Fault(kind, f"coinbase: {text} (of {request.channel})"),)
    topics = memory.awaited(request.topics)
    if limited:
        return _refused(topics, FaultKind.WAIT, text, memory)
    if _UNKNOWN_CHANNEL in low:
        why = f"{text}: the venue says so of a channel that it does not have, here {request.channel}"
        return _refused(topics, FaultKind.REQUEST, why, memory)
    words = {word.strip(".,:;'\"()[]") for word in text.split()}
    named = [topic for topic in topics if to_venue(topic.symbol) in words]
    kind = FaultKind.SYMBOL if named or "product" in low else FaultKind.REQUEST
    if not named and len(topics) > 1:
        return (Refused((), kind, text),)  # one of them, and it does not say which
    return _refused(named or topics, kind, text, memory)


def _refused(topics: Sequence[Topic], kind: FaultKind, text: str, memory: Memory) -> Sequence[Event]:
    """Say that *topics* are refused, and forget them; the framework asks again when it wants to."""
    for topic in topics:
        memory.asked.pop(topic, None)
        memory.sent[CHANNELS[topic.what]].pop(to_venue(topic.symbol), None)
    memory.rewire()
    return (Refused(topics, kind, text),) if topics else (Fault(FaultKind.REQUEST, f"coinbase: {text}"),)

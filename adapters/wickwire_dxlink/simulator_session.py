"""One connection to the simulated DXLink server: greeting, token, channels, life signs, refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wickwire import SECOND_NS
from wickwire.simulate.server import Hangup, Outgoing
from wickwire_dxlink.simulator_channel import CONTRACTS, FeedChannel, Refused, message
from wickwire_dxlink.simulator_exchange import Exchange, Feed
from wickwire_dxlink.simulator_feed import LiveFeed

__all__ = ["DXLinkConnection"]

VERSION: Final = "1.0-1.2.1-20240722-153442"
SETUP_DEADLINE_NS: Final = 10 * SECOND_NS
DEFAULT_TIMEOUT_S: Final = 60.0
CHANNEL_ACTIONS: Final = ("CHANNEL_REQUEST", "CHANNEL_CANCEL", "FEED_SETUP", "FEED_SUBSCRIPTION")
EVEN: Final = "Protocol violation with an even channel usage."


class DXLinkConnection:
    """A `Connection` of the simulated server. Only the answer to an even channel has recorded words."""

    def __init__(self, exchange: Exchange, feed: Feed, number: int, now_ns: int) -> None:
        self._exchange = exchange
        self._terms = feed
        self._number = number
        self._opened_ns = self._heard_ns = self._said_ns = now_ns
        self._timeout_ns = round(DEFAULT_TIMEOUT_S * SECOND_NS)
        self._keepalive_s = exchange.keepalive_s
        self._greeted = self._authorized = False
        self._early: list[Mapping[str, Any]] = []
        self._heard = len(exchange.announcements)
        self._live = LiveFeed(exchange, feed.delay_ns, now_ns)
        self._channels = self._live.channels

    @property
    def subscribed(self) -> Sequence[tuple[str, str]]:
        """What is subscribed to: the kind of data, and the symbol as the market calls it."""
        subscriptions = [one for each in self._channels.values() for one in each.subscriptions.values()]
        return [(f"{one.kind} {one.symbol}", one.listed.symbol) for one in subscriptions if one.listed]

    # ------------------------------------------------------------------------------- the four questions

    def opened(self, now_ns: int) -> Sequence[Outgoing]:
        """Say nothing: the client speaks first."""
        del now_ns
        return ()

    def received(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        """Answer one message, after all that was due before it."""
        self._exchange.received[0] += 1
        self._exchange.received[1] += len(frame)
        out = list(self.due(now_ns))
        if out and isinstance(out[-1], Hangup):
            return out
        self._heard_ns = now_ns
        if len(frame) > self._exchange.largest_frame:
            return [*out, Hangup(1009, "message too long")]
        return self._say([*out, *self._answers(frame, now_ns)], now_ns)

    def due(self, now_ns: int) -> Sequence[Outgoing]:
        """Return announcements, data, and a life sign after half of the time that was announced."""
        if self._exchange.fault("stall") is not None:
            return ()
        out = self._announced()
        if out and isinstance(out[-1], Hangup):
            return out
        out += self._live.due(now_ns)
        limit_ns = self._timeout_ns if self._greeted else SETUP_DEADLINE_NS
        if now_ns - self._heard_ns >= limit_ns:
            ago = f"The message was last received {limit_ns // SECOND_NS} seconds ago."
            error = self._error("TIMEOUT", f"The timeout has been reached. {ago}")
            return [*out, error, Hangup(1000, "timeout")]
        if not out and self._greeted and now_ns - self._said_ns >= self._idle_ns:
            out.append(message("KEEPALIVE", 0))
        return self._say(out, now_ns)

    def next_ns(self, now_ns: int) -> int:
        """Return when something may be due, and never more than a second away."""
        data_ns = None if self._exchange.fault("stall") is not None else self._live.next_ns()
        instants = [now_ns + SECOND_NS, *([] if data_ns is None else [data_ns])]
        return max(now_ns + 1, min(instants))

    @property
    def _idle_ns(self) -> int:
        return round(self._keepalive_s * SECOND_NS / 2)

    def _say(self, out: list[Outgoing], now_ns: int) -> list[Outgoing]:
        if self._exchange.fault("stall") is not None:
            return []
        if out:
            self._said_ns = now_ns
        return out

    # ------------------------------------------------------------------------------------------- messages

    def _answers(self, frame: str | bytes, now_ns: int) -> list[Outgoing]:
        try:
            said = json.loads(frame)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict) or not isinstance(said.get("type"), str):
            return [self._error("INVALID_MESSAGE", "The message is not valid JSON.")]
        channel = said.get("channel")
        if not isinstance(channel, int) or isinstance(channel, bool):
            return [self._error("INVALID_MESSAGE", "The message has no channel.")]
        return self._understood(said, said["type"], channel, now_ns)

    def _understood(self, said: Mapping[str, Any], kind: str, channel: int, now_ns: int) -> list[Outgoing]:
        if kind in ("KEEPALIVE", "ERROR"):
            return []
        if kind == "SETUP":
            return self._setup(said)
        if not self._greeted:
            return [self._error("BAD_ACTION", "SETUP is expected first.")]
        if kind == "AUTH":
            return self._auth(said, now_ns)
        if kind not in CHANNEL_ACTIONS:
            return [self._error("BAD_ACTION", f"Unknown message type {kind[:40]}.")]
        if not self._authorized and self._exchange.fault("lenient") is None:
            return [self._error("UNAUTHORIZED", "Not authorized.")]
        if not self._authorized:
            self._early.append(said)
            return []
        try:
            return self._on_channel(said, channel)
        except Refused as refused:
            return [self._error("BAD_ACTION", str(refused), channel)]

    def _setup(self, said: Mapping[str, Any]) -> list[Outgoing]:
        version, timeout = said.get("version"), said.get("keepaliveTimeout")
        if not isinstance(version, str) or not version.startswith(("0.", "1.")):
            error = self._error("UNSUPPORTED_PROTOCOL", "The version of the protocol is not supported.")
            return [error, Hangup(1000, "unsupported protocol")]
        if isinstance(timeout, int | float) and timeout > 0:
            self._timeout_ns = round(timeout * SECOND_NS)
        if self._greeted:
            return []  # repeated, to change the timeouts
        self._greeted = True
        timeouts = {"keepaliveTimeout": self._keepalive_s, "acceptKeepaliveTimeout": 60}
        setup = message("SETUP", 0, **timeouts, version=VERSION)
        if not self._terms.token or self._exchange.fault("no_auth") is not None:
            return [setup, *self._let_in()]
        return [setup, message("AUTH_STATE", 0, state="UNAUTHORIZED")]

    def _auth(self, said: Mapping[str, Any], now_ns: int) -> list[Outgoing]:
        token = said.get("token")
        known = isinstance(token, str) and self._exchange.tokens.get(token, 0) > now_ns
        rejected = self._exchange.fault("reject_token") is not None
        if not known or rejected:
            # the close is the reference's word; its code was not recorded
            return [message("AUTH_STATE", 0, state="UNAUTHORIZED"), Hangup(1000, "unauthorized")]
        return self._let_in()

    def _let_in(self) -> list[Outgoing]:
        self._authorized = True
        early, self._early = self._early, []
        out: list[Outgoing] = [message("AUTH_STATE", 0, state="AUTHORIZED", userId=f"U{self._number:010}")]
        for said in early:
            out += self._on_channel(said, said["channel"])
        return out

    # ------------------------------------------------------------------------------------------- channels

    def _on_channel(self, said: Mapping[str, Any], number: int) -> list[Outgoing]:
        channel, kind = self._channels.get(number), said["type"]
        if kind == "CHANNEL_REQUEST":
            return self._opened(said, number)
        if channel is None:
            raise Refused(f"The channel {number} is not opened.")
        if kind == "CHANNEL_CANCEL":
            del self._channels[number]
            return [message("CHANNEL_CLOSED", number)]
        if kind == "FEED_SETUP":
            return [channel.setup(said)]
        return list(self._live.begin(channel, channel.subscribe(said)))

    def _opened(self, said: Mapping[str, Any], number: int) -> list[Outgoing]:
        if number <= 0 or number % 2 == 0:
            return [self._error("BAD_ACTION", EVEN)]
        if number in self._channels:
            raise Refused(f"The channel {number} is opened already.")
        parameters = said.get("parameters")
        contract = parameters.get("contract") if isinstance(parameters, dict) else None
        if said.get("service") != "FEED" or contract not in CONTRACTS:
            raise Refused("There is no such service.")  # DOM, order books, is not simulated
        self._channels[number] = FeedChannel(self._exchange, number, contract)
        told = {"contract": contract, "subFormat": "LIST"}
        return [message("CHANNEL_OPENED", number, service="FEED", parameters=told)]

    # ------------------------------------------------------------------------------------------ on demand

    def _announced(self) -> list[Outgoing]:
        out: list[Outgoing] = []
        news = self._exchange.announcements[self._heard :]
        self._heard = len(self._exchange.announcements)
        for item in news:
            if isinstance(item, tuple):
                out += self._demanded(*item)
            else:
                out.append(item)
            if isinstance(item, Hangup):
                break
        return out

    def _demanded(self, name: str, details: Mapping[str, Any]) -> list[Outgoing]:
        match name:
            case "expire":
                return [message("AUTH_STATE", 0, state="UNAUTHORIZED")] if self._authorized else []
            case "error":
                error, text = details.get("error", "UNKNOWN"), details.get("text", "Something happened.")
                return [self._error(str(error), str(text), int(details.get("channel", 0)))]
            case "close_channel":
                wanted = details.get("channel")
                closing = [number for number in self._channels if wanted in (None, number)]
                for number in closing:
                    del self._channels[number]
                return [message("CHANNEL_CLOSED", number) for number in closing]
            case _:
                return list(self._live.again(name, details))

    def _error(self, error: str, text: str, channel: int = 0) -> str:
        return message("ERROR", channel, error=error, message=text)

"""One connection to the simulated stream: keys and subscriptions in; answers, bars, trades and quotes out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from wickwire import SECOND_NS
from wickwire.simulate.server import Hangup, Outgoing
from wickwire_alpaca.simulator_bars import Bars
from wickwire_alpaca.simulator_news import News
from wickwire_alpaca.simulator_rows import packed, text_of
from wickwire_alpaca.simulator_venue import PAIR_FORM, STOCK_FORM, Endpoint, Venue

__all__ = ["AlpacaConnection"]

AUTH_NS: Final = 10 * SECOND_NS
MOST_ROWS: Final = 100

CONNECTED: Final = {"T": "success", "msg": "connected"}
AUTHENTICATED: Final = {"T": "success", "msg": "authenticated"}
PROBLEMS: Final = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
}
FOLLOWING: Final = ("corrections", "cancelErrors")
"""Channels that nobody asks for: they hold what trades holds."""


class AlpacaConnection:
    """Speaks to one client.

    `received` and `due` are called with the time; nothing else moves it.
    """

    def __init__(
        self, venue: Venue, bars: Bars, path: str, endpoint: Endpoint, headers: Mapping[str, str], now_ns: int
    ) -> None:
        self._venue = venue
        self._path = path
        self._endpoint = endpoint
        self._packs = headers.get("content-type", "").partition(";")[0].strip() == "application/msgpack"
        self._offered = (headers.get("apca-api-key-id", ""), headers.get("apca-api-secret-key", ""))
        self._key: str | None = None
        self._opened_ns = now_ns
        self._heard = len(venue.announcements)
        self._held: dict[str, dict[str, None]] = {channel: {} for channel in endpoint.channels}
        self._news = News(venue, bars, endpoint, now_ns)

    @property
    def subscribed(self) -> Sequence[tuple[str, str]]:
        """What is subscribed to: the kind of data, and the symbol as the market calls it."""
        return [(channel, symbol) for channel, symbols in self._held.items() for symbol in symbols]

    # ------------------------------------------------------------------------------- the four questions

    def opened(self, now_ns: int) -> Sequence[Outgoing]:
        """Welcome the client; keys in the headers are taken at once."""
        self._venue.tell(now_ns)
        out = [self._frame([CONNECTED])]
        if all(self._offered):
            out.append(self._auth(*self._offered, now_ns))
        return out

    def received(self, frame: str | bytes, now_ns: int) -> Sequence[Outgoing]:
        """Answer one message, after all that was due before it."""
        out = list(self.due(now_ns))
        if out and isinstance(out[-1], Hangup):
            return out
        return [*out, self._answer(self._read(frame), now_ns)]

    def due(self, now_ns: int) -> Sequence[Outgoing]:
        """Return announcements, the data up to *now_ns*, and the end of a client without keys."""
        self._venue.tell(now_ns)
        if self._key is None:
            late = now_ns >= self._opened_ns + AUTH_NS
            return [self._problem(404), Hangup(1000)] if late else self._announced()
        self._venue.occupy(self._path, self._key, self, now_ns)
        out = self._announced()
        if out and isinstance(out[-1], Hangup):
            return out
        rows = self._news.rows(now_ns)
        for start in range(0, len(rows), MOST_ROWS):
            out.append(self._frame(rows[start : start + MOST_ROWS]))
        return out

    def next_ns(self, now_ns: int) -> int:
        """Return when something may be due; without keys that is no news, but the end."""
        if self._key is None:
            return max(now_ns + 1, min(self._opened_ns + AUTH_NS, now_ns + SECOND_NS))
        return self._news.next_ns(now_ns)

    # ------------------------------------------------------------------------------------------ requests

    def _read(self, frame: str | bytes) -> Mapping[str, Any] | None:
        try:
            if self._packs and isinstance(frame, bytes):
                message = msgspec.msgpack.decode(frame)
            else:
                message = None if self._packs else json.loads(frame)
        except (ValueError, RecursionError):
            return None
        return message if isinstance(message, dict) else None

    def _answer(self, message: Mapping[str, Any] | None, now_ns: int) -> Outgoing:
        match message:
            case {"action": "auth", "key": str(key), "secret": str(secret)}:
                return self._problem(403) if self._key is not None else self._auth(key, secret, now_ns)
            case {"action": "subscribe" | "unsubscribe"} if self._key is None:
                return self._problem(401)
            case {"action": "subscribe", **channels}:
                return self._subscribe({str(name): symbols for name, symbols in channels.items()})
            case {"action": "unsubscribe", **channels}:
                return self._unsubscribe({str(name): symbols for name, symbols in channels.items()})
            case _:
                return self._problem(400)

    def _auth(self, key: str, secret: str, now_ns: int) -> Outgoing:
        if not key or not secret or key.startswith("BAD") or self._venue.fault("auth_failed") is not None:
            return self._problem(402)
        if self._endpoint.paid and self._venue.plan == "basic":
            return self._problem(409)
        if not self._venue.occupy(self._path, key, self, now_ns):
            return self._problem(406)
        self._key = key
        return self._frame([AUTHENTICATED])

    def _subscribe(self, channels: Mapping[str, Any]) -> Outgoing:
        code = self._refusal(channels)
        if code:
            return self._problem(code)
        symbols = {symbol for wanted in channels.values() for symbol in wanted}
        for symbol in sorted(symbols):
            refused = self._venue.fault("refuse", symbol)
            if refused is not None:
                return self._problem(int(refused.get("code", 400)), refused.get("msg"))
        held = {
            channel: {**self._held[channel], **dict.fromkeys(channels.get(channel, ()))}
            for channel in self._held
        }
        if self._venue.plan == "basic" and self._count(held) > self._venue.free_symbols:
            return self._problem(405)
        self._held = held
        self._news.silent |= {one for one in symbols if self._venue.fault("silent_ack", one) is not None}
        self._news.held = held
        self._news.changed()
        return self._acknowledged()

    def _refusal(self, channels: Mapping[str, Any]) -> int:
        """Return the code with which a request is refused, or 0."""
        form = PAIR_FORM if self._endpoint.crypto else STOCK_FORM
        for channel, symbols in channels.items():
            if channel not in self._held or channel in FOLLOWING:
                return 410
            if not isinstance(symbols, list | tuple):
                return 400
            for symbol in symbols:
                if symbol == "*" and self._venue.plan == "basic":
                    return 405
                if symbol != "*" and (not isinstance(symbol, str) or not form.fullmatch(symbol)):
                    return 400
        return 0

    def _count(self, held: Mapping[str, Mapping[str, None]]) -> int:
        return sum(len(held.get(channel, ())) for channel in self._venue.counted)

    def _unsubscribe(self, channels: Mapping[str, Any]) -> Outgoing:
        if self._refusal(channels):
            return self._problem(self._refusal(channels))
        for channel, symbols in channels.items():
            for symbol in symbols:
                self._held[channel].pop(symbol, None)
                if not any(symbol in held for held in self._held.values()):
                    self._news.silent.discard(symbol)
        return self._acknowledged()

    def _acknowledged(self) -> Outgoing:
        following: dict[str, dict[str, None]] = {
            channel: self._held["trades"] for channel in FOLLOWING if channel in self._held
        }
        held: dict[str, dict[str, None]] = {**self._held, **following}
        whole = {channel: list(symbols) for channel, symbols in held.items()}
        return self._frame([{"T": "subscription", **whole}])

    # --------------------------------------------------------------------------------------------- inside

    def _announced(self) -> list[Outgoing]:
        out: list[Outgoing] = []
        news = self._venue.announcements[self._heard :]
        self._heard = len(self._venue.announcements)
        for item in news:
            match item:
                case Hangup():
                    return [*out, item]
                case bytes():
                    out.append(item if self._packs else item.decode(errors="replace"))
                case ("status", symbol, code, text):
                    if {symbol, "*"} & self._held.get("statuses", {}).keys():
                        row = {"T": "s", "S": symbol, "sc": code, "sm": text, "rc": "", "rm": "", "z": "C"}
                        out.append(self._frame([{**row, "t": self._venue.now_ns}]))
                case dict():
                    out.append(self._frame([item]))
                case _:
                    raise AssertionError(f"nobody announces {item!r}")
        return out

    def _problem(self, code: int, text: str | None = None) -> Outgoing:
        return self._frame(
            [{"T": "error", "code": code, "msg": text or PROBLEMS.get(code, "internal error")}]
        )

    def _frame(self, rows: Sequence[Mapping[str, object]]) -> Outgoing:
        return packed(rows) if self._packs else text_of(rows)

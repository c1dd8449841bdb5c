"""What both shells of a simulated venue share: one connection driven by timers, and how requests come in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from typing import Final, TypeVar, final
from urllib.parse import parse_qsl, unquote

from wickwire.clock import Clock
from wickwire.errors import PluginError
from wickwire.model import SECOND_NS
from wickwire.simulate.server import Connection, Hangup, Incoming, Outgoing

__all__ = ["Driver", "asked", "http_date", "incoming"]

T = TypeVar("T")

_MOST_ASLEEP_NS: Final = 3_600 * SECOND_NS
"""Longest that a timer is set for: a clock that is not the loop's own may jump."""
_SAME_S: Final = 0.000_001_5
"""A timer that differs by less stays as it is."""


@final
class Driver:
    """Calls one `Connection` whenever something came in or something is due.

    All that it says is handed to *emit* at once and in order; after a `Hangup` it is never called again. What
    it raises is a bug in the simulator: it ends the connection, and *broke* learns of it.
    """

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        *,
        emit: Callable[[Outgoing], None],
        broke: Callable[[PluginError], None],
    ) -> None:
        """Wait for `start`; belongs to the running loop."""
        self._connection = connection
        self._clock = clock
        self._emit = emit
        self._broke = broke
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0
        self._paused = False
        self._over = False

    def start(self) -> None:
        """Say what the server says first."""
        self._step("opened", self._connection.opened)

    def received(self, frame: str | bytes) -> None:
        """Hand in one message."""
        self._step("received", lambda now_ns: self._connection.received(frame, now_ns))

    def pause(self) -> None:
        """Let nothing fall due: the client does not read. Answers are still given."""
        self._paused = True
        self._disarm()

    def resume(self) -> None:
        """Let things fall due again, and say all that did meanwhile."""
        if self._paused:
            self._paused = False
            self._due()

    def stop(self) -> None:
        """Call the connection never again."""
        self._over = True
        self._disarm()

    def _due(self) -> None:
        self._timer = None
        self._step("due", self._connection.due)

    def _step(self, name: str, call: Callable[[int], Sequence[Outgoing]]) -> None:
        if self._over:
            return
        now_ns = self._clock.now_ns()  # once: time stands still in a step
        for outgoing in self._ask(name, call, now_ns) or ():
            if isinstance(outgoing, Hangup):
                self.stop()
            self._emit(outgoing)
            if self._is_over():  # by itself, or because of what was emitted
                return
        self._arm(now_ns)

    def _arm(self, now_ns: int) -> None:
        if self._paused or self._over:
            self._disarm()
            return
        next_ns = self._ask("next_ns", self._connection.next_ns, now_ns)
        if next_ns is None:
            self._disarm()
            return
        # Clocks of loops count whole microseconds: a timer rounded down would fire just too early, for ever.
        delay_us = max(1, -(-min(next_ns - now_ns, _MOST_ASLEEP_NS) // 1_000))
        at_s = self._loop.time() + delay_us / 1_000_000
        if self._timer is not None:
            if abs(at_s - self._timer_s) < _SAME_S:
                return
            self._timer.cancel()
        self._timer, self._timer_s = self._loop.call_at(at_s, self._due), at_s

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ask(self, name: str, call: Callable[[int], T], now_ns: int) -> T | None:
        try:
            return call(now_ns)
        except Exception as exc:  # noqa: BLE001 - a simulator is a plugin's code
            self.stop()
            self._broke(_bug(f"{type(self._connection).__qualname__}.{name}", exc))
            return None

    def _is_over(self) -> bool:
        return self._over


def asked(call: Callable[[Incoming, int], T], came: Incoming, now_ns: int) -> T:
    """Return what a server's *call* says to *came*.

    Raises:
        PluginError: It raised, which is a bug of the simulator.
    """
    try:
        return call(came, now_ns)
    except Exception as exc:
        raise _bug(getattr(call, "__qualname__", repr(call)), exc) from exc


def _bug(where: str, exc: Exception) -> PluginError:
    error = PluginError(f"simulated venue: {where}() raised {exc!r}")
    error.__cause__ = exc
    return error


def incoming(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Incoming:
    """Return a request as a simulated venue sees it.

    Args:
        method: GET or POST.
        target: Path and query, percent-encoded as they were sent.
        headers: Under any spelling of their names.
        body: The whole body.
    """
    path, _, query = target.partition("?")
    return Incoming(
        method=method,
        path=unquote(path),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
    )


def http_date(now_ns: int) -> str:
    """Return *now_ns* as a Date header says it: whole seconds, rounded down."""
    return formatdate(now_ns // SECOND_NS, usegmt=True)

"""Watches the thread of an event loop for code that does not give it back, and says whose code that is.

A plain function that never returns cannot be stopped by the loop that waits for it. So a thread beside it
looks at the loop's now and then. Nothing is paid where events pass: no hook is marked, the interpreter itself
says where a thread is. Between two looks the same call is known by its frames; what counts against it is the
time for which its thread computed in it, or slept. A busy machine, on which threads wait for a processor, is
nobody's fault.
"""

from __future__ import annotations

import enum
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Final, final

import attrs

from wickwire.clock import SystemClock
from wickwire.threads import (
    ThreadClock,
    frames_of,
    innermost,
    line_of,
    module_of,
    package_of,
    place_of,
    stack_of,
    waits,
)

if TYPE_CHECKING:
    from wickwire.registry import Registry

__all__ = ["EXIT_STATUS", "LIMIT_S", "Hold", "HungHook", "Watchdog"]

log = logging.getLogger(__name__)

LIMIT_S: Final = 0.05
"""How long one call may keep the loop, computing or asleep, before it is named."""

LONGEST_S: Final = 1.0
"""How long one call may last by the clock, whatever its thread did; imports may take as long."""

EXIT_STATUS: Final = 5
"""What the process ends with when a hook did not return (docs/cli.md)."""

LOOK_S: Final = 0.05
CLOSELY_S: Final = 0.01
"""How often to look: as long as all goes well, and when the loop was seen in the middle of something."""

RED_S: Final = 60.0
"""How long after a slow call the alarm stays, and for how long the next one of the same is no news."""

NAME: Final = "wickwire watchdog"
"""Of its thread."""

_KEPT: Final = 20
_DEEPEST: Final = 20
_SIMULATED: Final = "wickwire.simulate."
_LOOPS: Final = "wickwire.simulate.loops"
_OURS: Final = "wickwire"
_CALLS_HOSTS: Final = {
    f"wickwire.{name}" for name in ("accounts", "audience", "portal", "sink_calls", "status")
}
"""Where functions and objects of a host are called."""
_IMPORTING: Final = ("importlib._bootstrap", "_frozen_importlib")


@final
class HungHook(enum.Enum):
    """What becomes of a process whose loop is in a hook that does not return."""

    REPORT = "report"
    """It is said, in the log and in health; the process waits."""
    EXIT = "exit"
    """It is said, and after the deadline the process ends with `EXIT_STATUS`: whoever started it may start it
    again. What was acknowledged is stored."""


@attrs.frozen(kw_only=True)
class Hold:
    """One call that kept the event loop for too long.

    Attributes:
        plugin: Name of the plugin whose call it is; empty where it is no plugin's.
        who: The plugin with its version, such as "adapter 'lantern' (wickwire-lantern 0.3.1)", or a package.
        hook: What was called: a hook, or the qualified name of another function.
        where: File and line of its innermost frame when it was noticed.
        stack: Files, lines and functions when it was noticed, innermost first.
        at_ns: When it was noticed, by this machine's clock.
        held_s: For how long, as far as seen.
        over: It returned.
    """

    plugin: str
    who: str
    hook: str
    where: str
    stack: Sequence[str] = attrs.field(repr=False)
    at_ns: int
    held_s: float
    over: bool = False

    def __str__(self) -> str:
        """Say it in a sentence."""
        verb = "held" if self.over else "has held"
        return f"{self.who}: {self.hook}() {verb} the event loop for {self.held_s:.2g} s, at {self.where}"


@attrs.frozen
class _Owner:
    """Whose a frame is."""

    plugin: str
    who: str
    hook: str


@attrs.define
class _Timed:
    """Something that is under way: the frames by which it is known, and how long it has been."""

    frames: tuple[FrameType, ...]
    busy_s: float = 0.0
    wall_s: float = 0.0
    hold: Hold | None = None

    def goes_on(self, frames: Sequence[FrameType]) -> bool:
        """Say whether *frames* are those of the same call."""
        return len(frames) == len(self.frames) and all(map(_is, frames, self.frames))


class Watchdog:
    """Looks at one thread for as long as anybody is inside `watching`.

    Args:
        registry: Whose plugins are told apart.
        hung_hook: What follows when a hook does not return at all.
        deadline_s: How long the process waits for it, where it ends.
        end: Ends the process.
        now_s: What reads the time.
    """

    def __init__(
        self,
        registry: Registry,
        hung_hook: HungHook = HungHook.REPORT,
        *,
        deadline_s: float = 30.0,
        end: Callable[[int], object] = os._exit,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._hung_hook = hung_hook
        self._deadline_s = deadline_s
        self._end = end
        self._now_s = now_s
        self._step: _Timed | None = None
        self._call: _Timed | None = None
        self._read_s: tuple[float, float] | None = None
        self._holds: deque[Hold] = deque(maxlen=_KEPT)
        self._told_s: dict[tuple[str, str], float] = {}
        self._ended_s = float("-inf")
        self._pause_s = LOOK_S
        self._known = 0
        self._code: Mapping[CodeType, _Owner] = {}
        self._users = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # --------------------------------------------------------------------------------------------- for others

    @property
    def holds(self) -> Sequence[Hold]:
        """The last 20 calls that were too slow, the newest last; the present one is not `over`."""
        return tuple(self._holds)

    @property
    def alarm(self) -> Hold | None:
        """The hook of a plugin that holds the loop now, or did so in the last minute."""
        found = next((hold for hold in reversed(self.holds) if hold.plugin), None)
        if found is None or (found.over and self._now_s() - self._ended_s >= RED_S):
            return None
        return found

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the thread that enters; who enters while it is watched already shares the watch."""
        self._users += 1
        if self._users == 1:
            self._stop = threading.Event()
            thread = threading.current_thread()
            clock = ThreadClock(thread)
            self._thread = threading.Thread(
                target=self._run,
                args=(thread.ident, clock, self._stop),
                name="wickwire watchdog",
                daemon=True,
            )
            self._thread.start()
        try:
            yield
        finally:
            self._users -= 1
            if self._users == 0 and self._thread is not None:
                self._stop.set()
                self._thread.join(LONGEST_S)
                self._thread = None

    def _run(self, ident: int, clock: ThreadClock, stop: threading.Event) -> None:
        self._read_s, self._pause_s = None, LOOK_S
        while not stop.wait(self._pause_s):
            frames = frames_of(ident)
            if not frames:
                return
            try:
                if waits(frames):
                    self.rest()
                else:
                    self.look(frames, clock.busy_s(2 * self._pause_s))
            except Exception:  # this thread's door: nobody else would hear of a bug in here
                log.exception("watchdog failed")
                return
            del frames  # they keep alive what they hold
        self._step = self._call = None

    # ----------------------------------------------------------------------------------------------- looking

    def rest(self) -> None:
        """Note that the loop waits: nothing is under way."""
        self._step = self._timed(self._step, (), (0.0, 0.0))
        self._call = self._timed(self._call, (), (0.0, 0.0))
        self._read_s, self._pause_s = None, LOOK_S

    def look(self, frames: Sequence[FrameType], busy_s: float) -> None:
        """Judge where a thread is.

        Args:
            frames: Its frames, the innermost first.
            busy_s: How long it has computed, or slept, so far; see `ThreadClock`.
        """
        now_s = self._now_s()
        last_s, last_busy_s = self._read_s or (now_s, busy_s)
        self._read_s = now_s, busy_s
        wall_s = min(now_s - last_s, 2 * self._pause_s)  # a machine that was asleep counts little
        more_s = busy_s - last_busy_s, wall_s
        stack, begins = stack_of(frames)
        step = stack[begins - 1 : begins]
        goes_on = self._step is not None and self._step.goes_on(step)
        self._step = self._timed(self._step, step, more_s)
        inside = stack[begins:] or step
        # a step that has just begun is no plugin's yet: most looks end here
        owner, place = self._plugin_in(inside) if goes_on or not step else (None, 0)
        call = [] if owner is None else inside[max(place - 1, 0) : place + 1]
        known = self._call is not None and self._call.goes_on(call)
        self._call = self._timed(self._call, call, more_s)
        self._pause_s = CLOSELY_S if self._step or self._call else LOOK_S
        if self._call is not None and owner is not None:
            self._judge(self._call, owner, inside)
        if self._step is not None and not known:  # else it will show whether it is the plugin
            self._judge(self._step, _stranger(inside[:place] or inside), inside)

    def _timed(
        self, before: _Timed | None, frames: Sequence[FrameType], more_s: tuple[float, float]
    ) -> _Timed | None:
        """Return what is under way now: the same as *before*, longer; something new; or nothing."""
        if before is not None and before.goes_on(frames):
            before.busy_s += more_s[0]
            before.wall_s += more_s[1]
            return before
        if before is not None and before.hold is not None:
            self._over(before.hold, before.wall_s)
        return _Timed(tuple(frames)) if frames else None

    def _judge(self, timed: _Timed, owner: _Owner, inside: Sequence[FrameType]) -> None:
        if timed.hold is not None:
            self._pause_s = LOOK_S
            timed.hold = self._replaced(timed.hold, attrs.evolve(timed.hold, held_s=timed.wall_s))
            if owner.plugin and self._hung_hook is HungHook.EXIT and timed.wall_s >= self._deadline_s:
                self._give_up(timed.hold)
            return
        importing = any(module_of(one) in _IMPORTING for one in inside)
        too_long = timed.busy_s >= LIMIT_S and not importing
        explained = self._call is not None and self._call is not timed and self._call.hold is not None
        if explained or not (too_long or timed.wall_s >= LONGEST_S):
            return
        hold = Hold(
            plugin=owner.plugin,
            who=owner.who,
            hook=owner.hook,
            where=place_of(innermost(inside)),
            stack=tuple(line_of(one) for one in reversed(inside[-_DEEPEST:])),
            at_ns=SystemClock().now_ns(),
            held_s=timed.wall_s,
        )
        timed.hold = hold
        self._holds.append(hold)
        self._tell(hold, warns=bool(owner.plugin) or _is_the_hosts(inside))

    def _tell(self, hold: Hold, *, warns: bool) -> None:
        """Write a line about *hold*, once a minute for each hook of a plugin, or for each other package."""
        key, now_s = (hold.who, hold.hook if hold.plugin else ""), self._now_s()
        news = now_s - self._told_s.get(key, float("-inf")) >= RED_S
        if news:
            self._told_s[key] = now_s
        level = logging.DEBUG if not news else logging.WARNING if warns else logging.INFO
        log.log(
            level,
            "event loop held",
            extra={
                "by": hold.who,
                "hook": hold.hook,
                "where": hold.where,
                "held_s": round(hold.held_s, 3),
                "stack": " < ".join(hold.stack),
            },
        )

    def _over(self, hold: Hold, held_s: float) -> None:
        self._replaced(hold, attrs.evolve(hold, held_s=held_s, over=True))
        if hold.plugin:
            self._ended_s = self._now_s()
        log.info(
            "event loop free again", extra={"by": hold.who, "hook": hold.hook, "held_s": round(held_s, 3)}
        )

    def _replaced(self, old: Hold, new: Hold) -> Hold:
        for place, one in enumerate(self.holds):
            if one is old:
                self._holds[place] = new
        return new

    def _give_up(self, hold: Hold) -> None:
        log.critical(
            "a hook does not return: the process ends",
            extra={
                "by": hold.who,
                "hook": hold.hook,
                "where": hold.where,
                "held_s": round(hold.held_s, 3),
                "status": EXIT_STATUS,
            },
        )
        self._end(EXIT_STATUS)

    # ------------------------------------------------------------------------------------------------ whose

    def _plugin_in(self, inside: Sequence[FrameType]) -> tuple[_Owner | None, int]:
        """Return whose call *inside* is in the middle of, and the place of its outermost frame.

        That frame alone is not the call, as a generator has the same one each time that it goes on; its
        caller's is another one then.
        """
        if any(map(_simulates, inside)):
            return None, 0
        hooks = self._hooks()
        for place, one in enumerate(inside):
            if one.f_code in hooks:
                return hooks[one.f_code], place
        packages = self._registry.packages
        for place, one in enumerate(inside):
            found = packages.get(package_of(one))
            if found is not None:
                return _Owner(found.name, str(found), one.f_code.co_qualname), place
        return None, 0

    def _hooks(self) -> Mapping[CodeType, _Owner]:
        """Return the code of the hooks of all adapters that are loaded."""
        loaded = self._registry.loaded
        if len(loaded) != self._known:
            self._known = len(loaded)
            self._code = {
                code: _Owner(adapter.name, adapter.who, hook)
                for adapter in loaded
                for code, hook in adapter.code.items()
            }
        return self._code


def _is(one: object, other: object) -> bool:
    return one is other


def _simulates(frame: FrameType) -> bool:
    """Say whether this is a simulated venue's shell, below which an adapter's simulator does not count."""
    module = module_of(frame)
    return module.startswith(_SIMULATED) and module != _LOOPS


def _is_the_hosts(inside: Sequence[FrameType]) -> bool:
    """Say whether it is code of the host: of a task of its own, or called where its functions are."""
    ours = next((module_of(one) for one in reversed(inside) if package_of(one) == _OURS), None)
    return ours is None or ours in _CALLS_HOSTS


def _stranger(inside: Sequence[FrameType]) -> _Owner:
    """Return whose code it is where it is no plugin's."""
    at = innermost(inside)
    return _Owner("", package_of(at), at.f_code.co_qualname)

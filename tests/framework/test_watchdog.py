"""The watchdog looks at real threads in real loops; how much time has passed, the tests tell it."""

from __future__ import annotations

import asyncio
import dis
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import attrs
import pytest

from tests.framework.scripted import Scripted
from wickwire import Account, Event, OhlcvQuery, Timeframe, hookimpl
from wickwire.adapter import Adapter
from wickwire.cli.door import ExitCode
from wickwire.collector import Collector
from wickwire.registry import Registry
from wickwire.simulate.loops import ScaledLoop, run_virtual
from wickwire.threads import ThreadClock, frames_of, waits
from wickwire.watchdog import (
    CLOSELY_S,
    EXIT_STATUS,
    LIMIT_S,
    LONGEST_S,
    LOOK_S,
    NAME,
    RED_S,
    HungHook,
    Watchdog,
)

QUERY = OhlcvQuery(symbol="BTC/USD", timeframe=Timeframe.parse("1m"), since_ns=0, until_ns=1, now_ns=2)


class Gate:
    """Where a thread waits, so that it can be looked at: `pass_on` lets it go as far as the next one."""

    def __init__(self) -> None:
        self._there, self._go = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self) -> None:
        self._there.release()
        self._go.acquire()

    def reached(self) -> None:
        assert self._there.acquire(timeout=60)

    def pass_on(self) -> None:
        self._go.release()


class Slow(Scripted):
    """An adapter whose hooks wait at a gate."""

    gate: Gate

    @hookimpl
    def parse(self) -> Sequence[Event]:  # type: ignore[override]  # hooks take what they need
        self.gate()
        return ()

    @hookimpl
    def fetch_ohlcv(self) -> Any:  # type: ignore[override]  # the same
        while True:
            self.gate()
            yield


@attrs.define
class Watched:
    """A watchdog over a loop in another thread."""

    gate: Gate
    thread: threading.Thread
    watchdog: Watchdog
    ended: list[int]
    now_s: float = 0.0
    busy_s: float = 0.0

    def look(self, wall_s: float = CLOSELY_S, busy_s: float | None = None) -> None:
        """Look once more, so much later."""
        self.now_s += wall_s
        self.busy_s += wall_s if busy_s is None else busy_s
        self.watchdog.look(frames_of(self.thread.ident or 0), self.busy_s)

    def look_for(self, seconds: float, wall_s: float = CLOSELY_S, busy_s: float | None = None) -> None:
        for _ in range(round(seconds / wall_s)):
            self.look(wall_s, busy_s)

    def onwards(self) -> None:
        """Let the thread go on to the next gate."""
        self.gate.pass_on()
        self.gate.reached()


def slow() -> Slow:
    plugin = Slow()
    plugin.gate = Gate()
    return plugin


@contextmanager
def watched(
    work: Callable[[Adapter, Gate], None], hung_hook: HungHook = HungHook.REPORT, gates: int = 1
) -> Iterator[Watched]:
    """Run *work*, which passes so many gates, inside a loop; leave it at the first one."""
    plugin = slow()
    registry = Registry(adapters={"slow": plugin})
    adapter = registry.load("slow")
    ended: list[int] = []

    async def main() -> None:
        work(adapter, plugin.gate)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    made = Watched(plugin.gate, thread, None, ended)  # type: ignore[arg-type]  # each needs the other
    made.watchdog = Watchdog(registry, hung_hook, deadline_s=3.0, end=ended.append, now_s=lambda: made.now_s)
    thread.start()
    plugin.gate.reached()
    try:
        yield made
    finally:
        for _ in range(gates):
            plugin.gate.pass_on()
        thread.join(60)
        assert not thread.is_alive()


def parses(adapter: Adapter, _: Gate) -> None:
    adapter.parse(b"", None)


def parses_again_and_again(adapter: Adapter, _: Gate) -> None:
    for _time in range(3):
        adapter.parse(b"", None)


def rests(_: Adapter, gate: Gate) -> None:
    gate()


def test_a_hook_that_keeps_the_loop_is_named_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), watched(parses) as seen:
        seen.look_for(1.0)
        [hold] = seen.watchdog.holds

    assert ("slow", "adapter 'slow'", "parse", False) == (hold.plugin, hold.who, hold.hook, hold.over)
    assert hold.where.startswith("test_watchdog.py:")
    assert "threading.py" in hold.stack[0], "innermost first"
    assert any("in Slow.parse" in line for line in hold.stack)
    assert 0.9 < hold.held_s < 1.0
    [told] = caplog.records
    assert ("WARNING", "parse", "adapter 'slow'") == (told.levelname, vars(told)["hook"], vars(told)["by"])
    assert "adapter 'slow': parse() has held the event loop for" in str(seen.watchdog.alarm)


def test_it_is_named_after_50_ms_and_not_before() -> None:
    with watched(parses) as seen:
        seen.look(LOOK_S)
        seen.look_for(LIMIT_S)
        assert () == seen.watchdog.holds
        seen.look_for(2 * CLOSELY_S)
        assert 1 == len(seen.watchdog.holds)


def test_a_thread_that_waits_for_a_processor_is_nobodys_fault() -> None:
    with watched(parses) as seen:
        seen.look_for(0.9 * LONGEST_S, busy_s=0.0)
        assert () == seen.watchdog.holds
        seen.look_for(0.2 * LONGEST_S, busy_s=0.0)
        assert 1 == len(seen.watchdog.holds), "so long is odd, whatever the reason"


def test_a_machine_that_was_asleep_blames_nobody() -> None:
    with watched(parses, HungHook.EXIT) as seen:
        seen.look_for(3 * CLOSELY_S)
        seen.look(3_600.0, busy_s=0.0)
        assert ((), []) == (seen.watchdog.holds, seen.ended)


def test_many_quick_calls_are_not_one_slow_one() -> None:
    """What has kept the loop is then the code that makes them, in one step."""
    with watched(parses_again_and_again) as seen:
        for _ in range(2):
            seen.look_for(0.04)
            seen.onwards()
        seen.look()

        assert [("", "tests", "parses_again_and_again")] == [
            (hold.plugin, hold.who, hold.hook) for hold in seen.watchdog.holds
        ]


def test_a_conversation_that_goes_on_is_another_call_each_time() -> None:
    def converses(adapter: Adapter, _: Gate) -> None:
        talk = adapter.fetch_ohlcv(QUERY, Account())

        def advance() -> None:
            next(talk)

        advance()
        advance()
        talk.close()

    with watched(converses) as seen:
        seen.look_for(0.05)
        seen.onwards()
        seen.look_for(0.05)
        assert [""] == [hold.plugin for hold in seen.watchdog.holds]
        seen.look_for(0.05)
        assert "fetch_ohlcv" == seen.watchdog.holds[-1].hook


def test_a_loop_that_waits_is_fine() -> None:
    """A look at a thread outside of any step ends what was under way."""
    elsewhere = Gate()
    waiting = threading.Thread(target=elsewhere)
    waiting.start()
    elsewhere.reached()
    with watched(parses) as seen:
        seen.look_for(0.5)
        loop, seen.thread = seen.thread, waiting
        seen.look_for(0.5)
        seen.thread = loop
        elsewhere.pass_on()
        waiting.join(60)

        assert [True] == [hold.over for hold in seen.watchdog.holds]


@pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, lambda: ScaledLoop(2.0)])
def test_a_loop_that_waits_for_its_sockets_is_known_as_such(loop: Any) -> None:
    """And whatever was under way is over."""
    runner, begun, end = asyncio.Runner(loop_factory=loop), threading.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await end.wait()

    thread = threading.Thread(target=lambda: runner.run(wait()))
    thread.start()
    begun.wait(60)
    while not waits(frames_of(thread.ident or 0)):
        """Until it does."""
    runner.get_loop().call_soon_threadsafe(end.set)
    thread.join(60)
    runner.close()

    with watched(parses) as seen:
        seen.look_for(0.5)
        seen.watchdog.rest()
        assert [True] == [hold.over for hold in seen.watchdog.holds]


def test_its_end_is_noted_and_the_alarm_stays_for_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    def parses_and_rests(adapter: Adapter, gate: Gate) -> None:
        parses(adapter, gate)
        rests(adapter, gate)

    with caplog.at_level(logging.INFO), watched(parses_and_rests) as seen:
        seen.look_for(0.2)
        seen.onwards()
        seen.look()
        alarm = seen.watchdog.alarm
        assert alarm is not None
        assert alarm.over
        assert "parse() held the event loop for 0.18 s" in str(alarm)
        assert "event loop free again" in caplog.text
        seen.look(RED_S)
        assert seen.watchdog.alarm is None


def test_the_same_hook_is_not_told_again_within_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    def separately(adapter: Adapter, gate: Gate) -> None:
        for _ in range(3):
            parses(adapter, gate)

    with caplog.at_level(logging.WARNING), watched(separately) as seen:
        for pause_s in (CLOSELY_S, RED_S):
            seen.look_for(0.2)
            seen.onwards()
            seen.look(pause_s, busy_s=0.0)
        seen.look_for(0.2)
        assert 3 == len([hold for hold in seen.watchdog.holds if hold.plugin])
    assert 2 == len([record for record in caplog.records if record.levelname == "WARNING"])


@pytest.mark.parametrize(("policy", "ended"), [(HungHook.REPORT, []), (HungHook.EXIT, [EXIT_STATUS])])
def test_the_process_ends_after_the_deadline_where_that_is_wanted(policy: HungHook, ended: list[int]) -> None:
    with watched(parses, policy) as seen:
        seen.look_for(2.9)
        assert [] == seen.ended
        seen.look_for(0.2, wall_s=LOOK_S)
        assert ended == seen.ended[:1]


def test_code_that_is_no_plugins_is_named_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), watched(rests, HungHook.EXIT) as seen:
        seen.look_for(5.0)
        [hold] = seen.watchdog.holds

        assert ("", "tests") == (hold.plugin, hold.who)
        assert seen.watchdog.alarm is None
        assert [] == seen.ended
    assert ["WARNING"] == [record.levelname for record in caplog.records]


def test_what_a_host_does_for_too_long_is_one_warning_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Each time it may be another function of its code."""

    def this(gate: Gate) -> None:
        gate()

    def that(gate: Gate) -> None:
        gate()

    def separately(_: Adapter, gate: Gate) -> None:
        for function in (this, that, this):
            function(gate)

    with caplog.at_level(logging.WARNING), watched(separately) as seen:
        for pause_s in (CLOSELY_S, RED_S):
            seen.look_for(0.2)
            seen.watchdog.rest()
            seen.onwards()
            seen.now_s += pause_s
        seen.look_for(0.2)
        assert 3 == len(seen.watchdog.holds)
    assert 2 == len(caplog.records)
    assert {"tests"} == {vars(record)["by"] for record in caplog.records}


@pytest.mark.parametrize(
    ("module", "level"),
    [("wickwire.audience", "WARNING"), ("wickwire.transport.http", "INFO"), ("wickwire.ledger", "INFO")],
)
def test_whether_it_warns_depends_on_who_called(
    module: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A library that we call is not the host's code, and a function that it gave us is."""

    def called(_: Adapter, gate: Gate) -> None:
        within(module, lambda: within("somebody", gate))

    with caplog.at_level(logging.INFO), watched(called) as seen:
        seen.look_for(0.5)
    assert [level] == [record.levelname for record in caplog.records]


def within(module: str, call: Callable[[], None]) -> None:
    """Run *call* below a frame of *module*."""
    exec("call()", {"__name__": module, "call": call})


@pytest.mark.parametrize(
    ("module", "blamed"),
    [("wickwire.simulate.memory", []), ("wickwire.simulate.loops", ["slow"]), ("wickwire.session", ["slow"])],
)
def test_a_simulated_venue_is_not_its_adapter(module: str, blamed: list[str]) -> None:
    with watched(lambda adapter, gate: within(module, lambda: parses(adapter, gate))) as seen:
        seen.look_for(0.5)
        assert blamed == [hold.plugin for hold in seen.watchdog.holds if hold.plugin]


def test_an_import_may_take_a_second() -> None:
    with watched(
        lambda _, gate: within("importlib._bootstrap", lambda: within("wickwire_kraken.x", gate))
    ) as seen:
        seen.look_for(0.9)
        assert not seen.watchdog.holds
        seen.look_for(0.3)
        [hold] = seen.watchdog.holds
        assert ("kraken", "<module>") == (hold.plugin, hold.hook)


def test_what_is_neither_loaded_nor_marked_is_known_by_its_package() -> None:
    """While it is bound, and in the memory of a connection."""
    with watched(lambda _, gate: within("wickwire_yahoo.anything", gate)) as seen:
        seen.look_for(0.3)
        [hold] = seen.watchdog.holds
    assert "yahoo" == hold.plugin
    assert hold.who.startswith("adapter 'yahoo' (wickwire ")


# ------------------------------------------------------------------------------------------------ threads


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_a_collector_is_watched_for_as_long_as_it_runs() -> None:
    async def main() -> None:
        async with Collector(), Collector():
            assert 2 == len(watchers())

    asyncio.run(main())
    assert [] == watchers()


def test_there_is_nothing_to_watch_on_virtual_time() -> None:
    async def main() -> None:
        async with Collector():
            assert [] == watchers()

    run_virtual(main())


def test_who_is_watched_already_is_watched_once() -> None:
    watchdog = Watchdog(Registry())
    with watchdog.watching(), watchdog.watching():
        assert 1 == len(watchers())
    assert [] == watchers()


def test_a_thread_finds_a_hook_that_hangs_by_itself() -> None:
    """No time is told here: it waits until the watchdog has seen it."""
    plugin = slow()
    registry = Registry(adapters={"slow": plugin})
    adapter = registry.load("slow")
    ended = threading.Event()

    def end(_: int) -> None:
        ended.set()
        plugin.gate.pass_on()

    watchdog = Watchdog(registry, HungHook.EXIT, deadline_s=0.2, end=end)

    async def main() -> None:
        async with Collector(registry=registry, watchdog=watchdog) as collector:
            adapter.parse(b"", None)
            health = collector.health()
            assert "parse() " in health.alarm
            assert "parse" == health.holds[-1].hook

    asyncio.run(main())
    assert ended.is_set()


def test_a_thread_that_computes_is_busy_for_that_time() -> None:
    clock = ThreadClock(threading.current_thread())
    begun_s = time.thread_time()
    before_s = clock.busy_s(0.0)
    while time.thread_time() - begun_s < 0.05:
        pass

    assert clock.busy_s(0.0) - before_s >= 0.04


def test_a_thread_that_sleeps_is_busy_too_as_far_as_somebody_looks() -> None:
    gate = Gate()
    sleeper = threading.Thread(target=gate)
    sleeper.start()
    gate.reached()
    clock = ThreadClock(sleeper)
    before_s = clock.busy_s(1e-9)
    while not 0 < (now_s := clock.busy_s(1e-9)) - before_s < 2e-9:  # until it sleeps
        before_s = now_s
    gate.pass_on()
    sleeper.join()


def test_the_status_of_the_end_is_the_documented_one() -> None:
    assert EXIT_STATUS == int(ExitCode.HUNG)


def test_the_frames_of_a_thread_are_taken_in_one_step_of_bytecode() -> None:
    """A thread that runs while its frames are walked leaves them: then they lead to freed memory."""
    steps: list[str] = []

    def count(frame: FrameType, event: str, _arg: object) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_code is frames_of.__code__:
            steps.append(dis.opname[frame.f_code.co_code[frame.f_lasti]])
        return count

    def deep(levels: int) -> list[FrameType]:
        return deep(levels - 1) if levels else frames_of(threading.get_ident())

    traced = sys.gettrace()
    counts = []
    for levels in (1, 50):
        steps.clear()
        sys.settrace(count)
        try:
            frames = deep(levels)
        finally:
            sys.settrace(traced)
        counts.append(len(steps))
        assert [frames_of.__name__, *["deep"] * (levels + 1)] == [
            one.f_code.co_name for one in frames[: levels + 2]
        ]
    assert counts[0] == counts[1], "however deep the stack is"
    assert [] == frames_of(0), "a thread that has ended"


def test_a_watchdog_that_fails_says_so(caplog: pytest.LogCaptureFixture) -> None:
    class Blind(Watchdog):
        def look(self, frames: object, busy_s: float) -> None:
            raise LookupError("a bug of the watchdog")

    async def main() -> None:
        with Blind(Registry(adapters={})).watching():
            until_s = time.monotonic() + 30
            while "watchdog failed" not in caplog.text and time.monotonic() < until_s:
                """Keep the loop, so that there is something to look at."""

    asyncio.run(main())
    assert "a bug of the watchdog" in caplog.text

"""Whether REST of a venue may be asked: the rules, whoever asks in whatever order, on virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import Backoff, FaultKind, RestAway, TransportError, VenueError
from wickwire.breaker import AWAY_AFTER, LONGEST_S, TURN_S, Asker, Attempt, Breaker
from wickwire.clock import loop_s
from wickwire.simulate.loops import run_virtual, running_clock

DOWN = TransportError("no whole reply within 15 s")
EXACT = Backoff(jitter=0.0)


@attrs.define(eq=False)
class Bench:
    """A breaker, requests that are under way, and who was called.

    Attributes:
        breaker: The one under test.
        open: What is under way: who asks, the request, what ends it, and whether it was sent while away.
        called: The symbols that were called since that was looked at last.
    """

    breaker: Breaker
    open: list[tuple[Asker, Attempt, ExitStack, bool]] = attrs.field(factory=list)
    called: list[str] = attrs.field(factory=list)
    askers: dict[str, Asker] = attrs.field(factory=dict)

    def asker(self, symbol: str, place: int = 0) -> Asker:
        def again() -> bool:
            self.called.append(symbol)
            return True

        return self.askers.setdefault(symbol, Asker(symbol, symbol, (1, place), again))

    def ask(self, symbol: str, place: int = 0) -> bool:
        """Send a request; return whether it is let through."""
        asker, way = self.asker(symbol, place), ExitStack()
        was_away = self.breaker.is_away
        try:
            attempt = way.enter_context(self.breaker.attempt(asker))
            attempt.begin()
        except RestAway:
            way.close()
            return False
        self.open.append((asker, attempt, way, was_away))
        return True

    def end(self, number: int, outcome: str) -> None:
        """Let a request be answered, fail, or be canceled."""
        _, attempt, way, _ = self.open.pop(number)
        if outcome == "answered":
            attempt.answered()
        elif outcome == "failed":
            attempt.failed(DOWN, str(DOWN))
        way.close()

    def fail(self, *symbols: str) -> None:
        for symbol in symbols:
            assert self.ask(symbol), symbol
            self.end(-1, "failed")


def breaking(test: Callable[[Bench], Coroutine[Any, Any, None]], backoff: Backoff = EXACT) -> None:
    async def main() -> None:
        bench = Bench(Breaker("scripted", backoff, running_clock(), random.Random(1)))
        await test(bench)
        while bench.open:  # what is under way ends with the loop that it needs
            bench.end(0, "canceled")

    run_virtual(main())


def test_one_failure_less_and_an_answer_between_is_nothing() -> None:
    async def test(bench: Bench) -> None:
        for _ in range(10):
            bench.fail(*["A", "B", "C"][: AWAY_AFTER - 1])
            assert bench.ask("A")
            bench.end(-1, "answered")
        assert bench.breaker.away() is None

    breaking(test)


def test_the_others_are_told_why_and_called_when_it_is_back_the_most_important_first() -> None:
    async def test(bench: Bench) -> None:
        bench.fail("A", "B", "C")
        with pytest.raises(RestAway, match=r"scripted: REST is away since .* \(no whole reply") as raised:
            bench.breaker.attempt(bench.asker("D", 3)).__enter__()
        assert (FaultKind.OUTAGE, 0.5) == (raised.value.kind, raised.value.retry_after_s)
        assert not bench.ask("E", 2)
        await asyncio.sleep(0.5)
        [first] = bench.called
        assert not bench.ask("A")
        assert bench.ask(first)
        bench.called.clear()
        bench.end(0, "answered")
        assert ["C", "A", "D"] == bench.called

    breaking(test)


def test_who_was_called_and_does_not_come_leaves_its_turn_to_the_next() -> None:
    async def test(bench: Bench) -> None:
        bench.fail("A", "B", "C")
        assert not bench.ask("D", 1)
        assert not bench.ask("E", 2)
        await asyncio.sleep(0.5 + TURN_S)
        assert ["D", "E"] == bench.called
        assert bench.ask("E")

    breaking(test)


def test_a_try_that_is_canceled_is_the_next_ones() -> None:
    async def test(bench: Bench) -> None:
        bench.fail("A", "B", "C")
        assert not bench.ask("D", 1)
        assert not bench.ask("E", 2)
        await asyncio.sleep(0.5)
        assert bench.ask("D")
        bench.end(0, "canceled")
        await asyncio.sleep(0.01)
        assert bench.called[-1] == "E"

    breaking(test)


def test_requests_that_were_under_way_when_it_showed_make_no_wait_longer() -> None:
    async def test(bench: Bench) -> None:
        symbols = [f"S{number}" for number in range(24)]
        assert all(bench.ask(symbol) for symbol in symbols)
        for _ in symbols:
            bench.end(0, "failed")
        away = bench.breaker.away()
        assert away is not None
        assert 0.5 == away.next_s

    breaking(test)


def test_however_often_some_symbols_fail_another_waits_for_a_moment_only() -> None:
    async def test(bench: Bench) -> None:
        bench.fail("A", "B", "A")
        for _ in range(20):
            away = bench.breaker.away()
            assert away is not None
            assert away.next_s is not None
            await asyncio.sleep(away.next_s)
            bench.fail(bench.called.pop())
        assert not bench.ask("healthy")
        await asyncio.sleep(0.5)
        assert bench.called[-1] == "healthy"

    breaking(test)


def test_what_a_venue_asks_for_is_waited_for() -> None:
    async def test(bench: Bench) -> None:
        bench.fail("A", "B")
        assert bench.ask("A")
        _, attempt, way, _ = bench.open.pop()
        attempt.failed(VenueError(FaultKind.OUTAGE, "down", retry_after_s=300.0), "down")
        way.close()
        away = bench.breaker.away()
        assert away is not None
        assert 300.0 == away.next_s

    breaking(test)


def test_a_venue_that_answers_now_and_then_is_not_tried_from_the_beginning() -> None:
    """Only half a minute of health is forgotten."""
    waits_s: list[float] = []

    async def test(bench: Bench) -> None:
        for health_s in (0.0, 0.0, 0.0, 31.0):
            bench.fail("A", "A", "A")
            away = bench.breaker.away()
            assert away is not None
            assert away.next_s is not None
            waits_s.append(away.next_s)
            await asyncio.sleep(away.next_s)
            assert bench.ask("A")
            bench.end(0, "answered")
            await asyncio.sleep(health_s)
        bench.fail("A", "A", "A")
        away = bench.breaker.away()
        assert away is not None
        assert 0.5 == away.next_s

    breaking(test)
    assert [0.5, 1.0, 2.0, 4.0] == waits_s


# -------------------------------------------------------------------------------------- in whatever order

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 5)),
        st.tuples(st.sampled_from(["answered", "failed", "failed", "failed", "canceled"]), st.integers(0, 9)),
        st.tuples(st.just("sleep"), st.sampled_from([0, 1, 20, 200])),
    ),
    max_size=60,
)


@given(STEPS, st.sampled_from([Backoff(), EXACT, Backoff(first_s=5.0, cap_s=300.0)]))
def test_one_at_a_time_finds_out_and_nobody_waits_for_ever(
    steps: Sequence[tuple[str, int]], backoff: Backoff
) -> None:
    async def test(bench: Bench) -> None:
        for what, number in steps:
            if what == "ask":
                bench.ask(f"S{number}", number)
            elif what == "sleep":
                await asyncio.sleep(number)
            elif bench.open:
                bench.end(number % len(bench.open), what)
            if bench.breaker.is_away:
                assert sum(sent_away for *_, sent_away in bench.open) <= 1
            else:
                assert bench.breaker.away() is None
        while bench.open:
            bench.end(0, "canceled")
        if bench.breaker.is_away:
            await _is_found_out(bench)

    breaking(test, backoff)


async def _is_found_out(bench: Bench) -> None:
    """Whoever comes is called within the longest wait, and lets all go on that were refused."""
    refused = [symbol for symbol in ("S0", "S1", "late") if not bench.ask(symbol)]
    while bench.open:
        bench.end(0, "canceled")
    refused += [symbol for symbol in ("S0", "S1", "late") if not bench.ask(symbol) and symbol not in refused]
    bench.called.clear()
    began_s = loop_s()
    while not (bench.open or (bench.called and bench.ask(bench.called[-1]))):
        assert loop_s() - began_s <= LONGEST_S + 1.0
        await asyncio.sleep(0.25)
    finder = bench.open[0][0].symbol
    bench.end(0, "answered")
    assert not bench.breaker.is_away
    assert {*refused} <= {*bench.called, finder}
    assert all(bench.ask(symbol) for symbol in ("S0", "S1", "late"))
    while bench.open:
        bench.end(0, "answered")

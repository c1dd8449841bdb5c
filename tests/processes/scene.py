"""What most tests here set up: simulated venues, collectors in other processes, a network in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs

from tests.processes.machine import Machine
from tests.processes.programs import SPEED, Collector, Venue
from tests.processes.relay import Relay
from tests.processes.truth import differences, holes

__all__ = ["BITCOIN", "ETHER", "FIVE", "SHARE", "Scene", "at_once", "scene", "scene_with_a_machine"]

BITCOIN: Final = "kraken:BTC/USD@1m"
ETHER: Final = "kraken:ETH/USD@1m"
FIVE: Final = "kraken:BTC/USD@5m"
SHARE: Final = "yahoo:AAPL@1m"
START: Final = "2026-11-20T15:00:00Z"
"""A Friday, half an hour after shares began to trade in New York; six simulated hours are left."""
_MOST_LOOKS: Final = 40
"""How often `gaps` is asked whether all is healed: some twenty simulated minutes."""


@attrs.frozen
class Scene:
    """A market, its venues, and the line to one of them.

    Attributes:
        folder: Where the collectors run, and keep their store.
        seed: Which market.
        venue: Simulated Kraken and Yahoo, with a clock of their own.
        relay: The line to Kraken; Yahoo is reached directly.
        machine: What the collectors run on, where that is not the tests' own.
    """

    folder: Path
    seed: int
    venue: Venue
    relay: Relay
    machine: Machine | None = None

    def collector(self, *series: str, options: Sequence[object] = (), **more: Any) -> Collector:
        """Start a collector whose clock says what the venues' says now."""
        clock: Sequence[object] = ()
        if self.machine is None:
            clock = ("--at", self.venue.now(), "--speed", SPEED)
        else:
            more["prefix"] = self.machine.prefix
        redirects = self.venue.through(kraken=self.relay.port)
        return Collector(*series, cwd=self.folder, redirects=redirects, options=(*clock, *options), **more)

    def finish(self, collector: Collector, *series: str) -> None:
        """Wait until *collector* has caught up with the venues and healed what can be; end it in order."""
        collector.wait_for_candle_at(series, self.venue.now())
        looks = (holes(series, self.folder)[0] for _ in range(_MOST_LOOKS))
        assert 0 in looks, holes(series, self.folder)
        collector.process.terminate()
        assert collector.ended() == 0

    def differences(self, acknowledged: Sequence[Mapping[str, Any]], *series: str) -> list[str]:
        """Return what is wrong with the store, see `truth.differences`."""
        return differences(series, self.folder, self.seed, acknowledged)


def at_once(folder: Path, *tests: Callable[[Path], None]) -> None:
    """Run tests that mostly wait beside each other, each in a folder of its own; fail when one does."""
    with ThreadPoolExecutor(len(tests)) as threads:
        running = []
        for number, test in enumerate(tests):
            own = folder / str(number)
            own.mkdir()
            running.append(threads.submit(test, own))
    errors = [error for one in running if isinstance(error := one.exception(), Exception)]
    if errors:
        raise ExceptionGroup("some of them failed", errors)


@contextmanager
def scene(folder: Path, seed: int) -> Iterator[Scene]:
    """Set it up, and clear it away."""
    with (
        Venue("kraken", "yahoo", at=START, seed=seed, cwd=folder) as venue,
        Relay(venue.port("kraken")) as relay,
    ):
        yield Scene(folder, seed, venue, relay)


@contextmanager
def scene_with_a_machine(folder: Path, seed: int) -> Iterator[tuple[Scene, Machine]]:
    """Set it up with collectors on a machine of their own, by whose wall clock they live."""
    with (
        Machine(folder, "right", at=START, speed=SPEED) as right,
        Machine(folder, "theirs", at=START, speed=SPEED, began_ns=right.began_ns) as theirs,
        Venue("kraken", "yahoo", seed=seed, cwd=folder, prefix=right.prefix) as venue,
        Relay(venue.port("kraken")) as relay,
    ):
        yield Scene(folder, seed, venue, relay, theirs), theirs

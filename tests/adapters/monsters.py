"""Numbers of a million digits, and exponents without end, in every message of one adapter.

monsters.py VENUE       parses each message with each number in it made a monster of; prints how many

It limits itself: who needs time or memory that grows with the square of the digits, or with the exponent, is
killed by the system.
"""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from wickwire import WireError

DIGITS: Final = 1_000_000
MOST_CPU_S: Final = 20
MOST_BYTES: Final = 2 * 2**30
MONSTERS: Final = (
    b"9" * DIGITS,
    b"0." + b"1" * DIGITS,
    b"1e999999999999",
    b"-1e-999999999999",
    b"9007199254740993",
)
NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
WIRE: Final = Path(__file__).parent


def frames(venue: str) -> list[bytes]:
    """Return the messages that the tests of its adapter have."""
    if venue == "dxlink":
        return [*import_module("tests.adapters.dxlink.test_junk").FRAMES]
    folder = WIRE / venue / "wire"
    return [path.read_bytes() for path in sorted(folder.glob("*.json")) if not path.stem.startswith("rest_")]


def memory_of(venue: str) -> Callable[[], Any]:
    """Return what makes the memory of a new connection."""
    module, name = {
        "alpaca": ("tests.adapters.alpaca.talk", "memory"),
        "coinbase": ("tests.adapters.coinbase.test_junk", "asking"),
        "dxlink": ("tests.adapters.dxlink.talk", "opened"),
        "kraken": ("wickwire_kraken.dialogue", "Dialogue"),
    }[venue]
    made: Callable[[], Any] = getattr(import_module(module), name)
    return made


def changed(frame: bytes) -> Iterator[bytes]:
    """Return *frame* with each of its first numbers made each monster."""
    for found in list(NUMBER.finditer(frame))[:12]:
        for monster in MONSTERS:
            yield frame[: found.start()] + monster + frame[found.end() :]


def main(venue: str) -> None:
    """Parse them all; whatever comes is a sequence of events, or a WireError."""
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    parse, memory, count = import_module(f"wickwire_{venue}").parse, memory_of(venue), 0
    for frame in frames(venue):
        for monstrous in changed(frame):
            count += 1
            try:
                assert isinstance(parse(monstrous, memory()), Sequence)
            except WireError:
                continue
    sys.stdout.write(f"{count}\n")


if __name__ == "__main__":
    main(sys.argv[1])

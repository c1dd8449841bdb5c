"""Somebody has the store forget what is old while it is collected into: another process, as a command is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tests.simulation.trouble import Trouble
from wickwire import MINUTE_NS
from wickwire_sqlite import SqliteStore

if TYPE_CHECKING:
    from tests.simulation.stage import Stage

__all__ = ["FORGETTING", "forget", "moments_s"]

FORGETTING: Final = Trouble(place="calm", name="forget", tag="F56", once=True, settles_min=6.0)
"""Nobody may notice it: what is new is collected as before."""

OLD_MIN: Final = (3, 40)
"""How old is too old: sometimes more than has been collected, sometimes just behind the running minute."""


def moments_s(first_s: float, last_s: float, rng: random.Random) -> Sequence[float]:
    """Draw when it happens: up to three times, in half of the runs."""
    if last_s <= first_s or rng.random() < 1 / 2:
        return []
    return [rng.uniform(first_s, last_s) for _ in range(rng.randint(1, 3))]


async def forget(stage: Stage, lot: int) -> None:
    """Forget what is some minutes old, by the venues' clock, beside whoever collects."""
    before_ns = stage.true.now_ns() - (OLD_MIN[0] + lot % (OLD_MIN[1] - OLD_MIN[0])) * MINUTE_NS
    store = SqliteStore(stage.file, inline=True, power_safe=False)
    await store.open()
    try:
        gone = await store.forget(before_ns)
    finally:
        await store.aclose()
    stage.forgotten.append((stage.true.now_ns(), before_ns))
    stage.journal.note("forgot", before_ns, gone)

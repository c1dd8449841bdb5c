"""The shared budget of one collector: asked in time, let go when it is away, and asked again.

Nobody waits for one that is away: each process goes on with its part of the limits, as many as there were
last, until it answers again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import random
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, final

from wickwire.clock import Clock, loop_s
from wickwire.description import Account
from wickwire.driven import Driven
from wickwire.errors import BudgetError
from wickwire.foreign import placed
from wickwire.gates import Gate
from wickwire.news import BudgetChanged, Tell
from wickwire.retry import Backoff
from wickwire.shared import Report, Ruling, SharedBudget
from wickwire.store import REAL, shown_store

__all__ = ["ANSWER_S", "PULSE_S", "Sharing", "account_name"]

log = logging.getLogger(__name__)

ANSWER_S: Final = 0.5
"""So long a shared budget may take for an answer; then it is away."""

PULSE_S: Final = 3.0
"""How often a process reports that has nothing to say."""

FLUSH_S: Final = 0.02
"""So long what has ended waits for a claim that takes it along."""

OPEN_S: Final = 10.0

FORGETS: Final = (
    "it forgets at once what it is told; see that one server answers there, and that it drops no keys"
)

MOST_SAID: Final = 500

_BACKOFF: Final = Backoff(first_s=0.5, cap_s=5.0, jitter=0.5)

_IDS: Final = frozenset(
    {"key", "key_id", "api_key", "apikey", "account", "client_id", "user", "username", "login"}
)
"""Names of what tells accounts apart and lets nobody in by itself."""


def account_name(account: Account, world: str) -> str:
    """Return a name for an account of a venue that holds no secret, and is the same in every process.

    It is a hash of what merely names the account; secrets have no part in it. Accounts that differ in
    secrets alone share a name, and so a limit: slower than they might be, and never too fast.
    """
    names = sorted((name, value) for name, value in account.secrets.items() if name.lower() in _IDS)
    told = [world if world != REAL else "", account.environment, *(part for pair in names for part in pair)]
    return hashlib.sha256("\0".join(told).encode(errors="surrogatepass")).hexdigest()[:16]


@final
class Sharing:
    """One shared budget, as this process knows it.

    Attributes:
        member: What this process is called there.
        trouble: Why it is away; empty while it answers.
    """

    def __init__(
        self, shared: SharedBudget, clock: Clock, rng: random.Random, tell: Tell, world: str = REAL
    ) -> None:
        """Share by *shared*; the venues are those of *world*."""
        self.member = uuid.uuid4().hex  # not of *rng*: two processes may be given the same seed
        self.trouble = ""
        self._shared = shared
        self._clock = clock
        self._rng = rng
        self._tell = tell
        self._world = world
        self._failures = 0
        self._gates: list[Gate] = []
        self._woken = asyncio.Event()

    def gates(self, venue: str, account: Account) -> Mapping[str, Gate]:
        """Return the gates of a venue's limits, by the names of these."""
        name = account_name(account, self._world)
        made = {
            limit: Gate(self, venue, name, limit, only_rates=limit == "messages")
            for limit in ("rest", "connects", "messages")
        }
        self._gates += made.values()
        return made

    def wake(self) -> None:
        """Have reported soon what happened."""
        if not self.trouble:
            self._woken.set()

    async def open(self) -> None:
        """Open the shared budget.

        Raises:
            BudgetError: It will not work until somebody mends what the text names.
        """
        limit = asyncio.timeout(OPEN_S)
        try:
            async with limit:
                await Driven(self._shared.open(), limit.expired)
        except OSError:
            pass  # it is away, as the first report will find out; TimeoutError is one
        except BudgetError:
            raise
        except Exception as exc:
            raise BudgetError(f"the shared budget has a bug: {type(exc).__name__}: {exc}") from exc

    async def close(self) -> None:
        """Say that this process ends, where somebody listens, and release the shared budget."""
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * ANSWER_S):
                for gate in self._gates:
                    if not self.trouble:
                        await gate.ask(leaves=True)
        self._gates = []
        limit = asyncio.timeout(2 * ANSWER_S)
        with suppress(TimeoutError, BudgetError, OSError):
            async with limit:
                await Driven(self._shared.aclose(), limit.expired)

    async def settle(self, report: Report) -> Ruling | None:
        """Return what the shared budget says to *report*; None where it is away."""
        if self.trouble and report.claims:
            return None
        limit, last = asyncio.timeout(ANSWER_S), asyncio.timeout(2 * ANSWER_S)
        try:
            async with last, limit:
                ruling = await Driven(self._shared.settle(report), last.expired)
        except BudgetError as exc:
            why = str(exc) or "it does not say why"
        except OSError as exc:  # TimeoutError is one
            why = (
                f"no answer within {ANSWER_S:g} s"
                if limit.expired()
                else shown_store(str(exc) or type(exc).__name__)
            )
        except Exception as exc:  # noqa: BLE001 - whatever a plugin raises is told, and collection goes on
            why = shown_store(f"it has a bug: {placed(exc)}")
        else:
            if not report.is_forgotten_by(ruling):
                self._answered()
            return ruling
        self._failed(why[:MOST_SAID])
        return None

    def forgets(self) -> None:
        """Note that the shared budget forgot what it had been told a moment before: it is none, then."""
        self._failed(FORGETS)

    def _answered(self) -> None:
        self._failures = 0
        if self.trouble:
            self.trouble = ""
            log.info("shared budget back")
            self._tell(BudgetChanged(at_ns=self._clock.now_ns(), trouble=""))
            for gate in self._gates:
                gate.rejoin(loop_s())
                gate.look()

    def _failed(self, why: str) -> None:
        self._failures += 1
        if not self.trouble:
            self.trouble = why
            log.warning("shared budget away", extra={"why": why, "then": "each keeps to its part"})
            self._tell(BudgetChanged(at_ns=self._clock.now_ns(), trouble=why))
            self._woken.set()  # what waits for news waits for its return from now on
            for gate in self._gates:
                gate.look()

    async def run(self) -> None:
        """Report for ever: what has ended, at once; that this process lives, every few seconds."""
        pulsed_s = -math.inf
        while True:
            await self._wait()
            self._woken.clear()
            is_pulse = bool(self._failures) or loop_s() - pulsed_s >= PULSE_S
            pulsed_s = loop_s() if is_pulse else pulsed_s
            for gate in list(self._gates):
                if is_pulse or gate.has_news:
                    await gate.ask()
                    gate.look()
                if self._failures:
                    break

    async def _wait(self) -> None:
        """Wait until there is something to report, or to ask again whether it is back."""
        if not self._failures:
            with suppress(TimeoutError):
                async with asyncio.timeout(PULSE_S):
                    await self._woken.wait()
                    await asyncio.sleep(FLUSH_S)
        if self._failures:
            await asyncio.sleep(_BACKOFF.wait_s(self._failures, self._rng))

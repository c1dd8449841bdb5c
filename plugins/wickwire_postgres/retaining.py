"""The retention of an address: what is older is forgotten once an hour, a step with each commit."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

from wickwire import StoreError
from wickwire_postgres.address import DAY_NS

__all__ = ["AT_OPENING", "Retaining"]

log = logging.getLogger(__name__)

EVERY_S: Final = 3_600.0
AT_OPENING: Final = 10
"""So many steps are made before a store is open: whoever opens it waits for them."""


class Retaining:
    """Forgets for one store, which has no task of its own: whoever commits takes a step."""

    def __init__(
        self,
        age_ns: int | None,
        present_ns: Callable[[], Awaitable[int | None]],
        steps: Callable[[int], AsyncGenerator[int]],
    ) -> None:
        """Prepare.

        Args:
            age_ns: How old a candle may grow; None to keep all.
            present_ns: Tells what ages count from; None where no candle was ever stored.
            steps: Forgets what is older than that, step by step.
        """
        self._age_ns = age_ns
        self._present_ns = present_ns
        self._steps = steps
        self._due_s = 0.0
        self._going: AsyncGenerator[int] | None = None

    async def go_on(self, most: int = 1) -> None:
        """Take *most* steps, where there are any; what fails has another hour."""
        if self._age_ns is None:
            return
        try:
            if self._going is None:
                self._going = await self._begun(self._age_ns)
            for _ in range(most if self._going else 0):
                if self._going is not None and await anext(self._going, None) is None:
                    self._going = None
        except StoreError as exc:
            self._going = None
            log.warning("retention failed", extra={"why": str(exc)})

    async def _begun(self, age_ns: int) -> AsyncGenerator[int] | None:
        """Return the steps of this hour; None where they were taken, or there is nothing to be old."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._due_s:
            return None
        self._due_s = now_s + EVERY_S
        now_ns = await self._present_ns()
        if now_ns is None:
            return None
        before_ns = now_ns - age_ns
        return self._steps(before_ns - before_ns % DAY_NS)

    async def aclose(self) -> None:
        """Leave what is begun as it is."""
        going, self._going = self._going, None
        if going is not None:
            await going.aclose()

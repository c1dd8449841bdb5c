"""Tests on virtual time: whole ones, and machines whose rules let it pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from wickwire.simulate.loops import VirtualLoop, run_virtual

T = TypeVar("T")


def virtual(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on a virtual loop of its own."""

    def running() -> None:
        run_virtual(test())

    running.__name__, running.__doc__ = test.__name__, test.__doc__
    return running


class VirtualMachine(RuleBasedStateMachine):
    """Has one virtual loop, whose time stands still between the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)

    def teardown(self) -> None:
        self.runner.close()

    def do(self, act: Callable[[], T]) -> T:
        """Call *act* where the loop runs, and return what it returns."""

        async def acting() -> T:
            return act()

        return self.runner.run(acting())

    def sleep(self, seconds: float) -> None:
        self.runner.run(asyncio.sleep(seconds))

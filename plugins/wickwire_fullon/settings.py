"""What all handlers of one facade have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from wickwire import Clock
from wickwire_fullon.shapes import FullonTick, FullonTrade

__all__ = ["Settings"]


@attrs.frozen(kw_only=True)
class Settings:
    """What all handlers of one facade have in common; `FullonQueue` says what each is."""

    native_only: bool
    symbols: Mapping[str, Mapping[str, str]]
    trades_first: frozenset[str]
    trade_factory: Callable[[FullonTrade], Any]
    tick_factory: Callable[[FullonTick], Any]
    history_patience_s: float
    order_patience_s: float
    clock: Clock

"""What it means for a store to forget: which candles are too old, and what is known afterwards. Pure.

A state that claims what is gone would be a hole that nobody knows of. So the state goes first and the candles
after it, and who does not know that something was forgotten (a collector in another process, a change that
was on its way) cannot claim it again: its changes are `reconciled` before they are stored.
"""

from __future__ import annotations

import attrs

from wickwire.instants import FIRST_NS
from wickwire.model import Series
from wickwire.store import Change, Forgotten, SeriesState

__all__ = ["FORGET_ROWS", "first_kept", "once_forgotten", "reconciled"]

FORGET_ROWS = 2_000
"""How many candles a store takes out in one transaction: commits wait for tens of milliseconds at most."""


def first_kept(series: Series, before_ns: int) -> int:
    """Return which candles of *series* are not older than *before_ns*: those that open from here on.

    Their buckets were not over by then; so no timeframe is so long that its last candle is gone at once.
    """
    return max(before_ns - series.timeframe.nominal_ns, FIRST_NS)


def once_forgotten(state: SeriesState, before_ns: int) -> SeriesState:
    """Return what is known of a series once all that is older than *before_ns* was forgotten.

    It is *state* itself where nothing that it claims is so old.
    """
    kept_ns = first_kept(state.series, before_ns)
    if state.origin_ns >= kept_ns:
        return state
    times = 0 if state.forgotten is None else state.forgotten.times
    return _begun(state, Forgotten(kept_ns, times + 1))


def reconciled(change: Change, forgotten: Forgotten | None) -> Change:
    """Return *change* as it may be stored where so much was *forgotten*.

    It is *change* itself where it knows that: who does may claim again what is older, and brings it.
    """
    known = change.state.forgotten
    if forgotten is None or (known is not None and known.times >= forgotten.times):
        return change
    kept = [one for one in change.closings if one.candle.open_ns >= forgotten.before_ns]
    return Change(state=_begun(change.state, forgotten), closings=kept)


def _begun(state: SeriesState, forgotten: Forgotten) -> SeriesState:
    """Return *state* without what it says of the time before."""
    before_ns = forgotten.before_ns
    left = (
        attrs.evolve(one, since_ns=max(one.since_ns, before_ns))
        for one in state.holes
        if one.until_ns > before_ns
    )
    return attrs.evolve(
        state,
        origin_ns=max(state.origin_ns, before_ns),
        frontier_ns=max(state.frontier_ns, before_ns),
        holes=tuple(attrs.evolve(one, since_ns=max(one.since_ns, before_ns)) for one in left),
        forgotten=forgotten,
    )

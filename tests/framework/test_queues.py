"""What waits for a consumer, beside plain models of what should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wickwire import UsageError
from wickwire.queues import Latest, Newest, checked_bound

TAKE = None
STEPS = st.lists(st.one_of(st.just(TAKE), st.sampled_from("abcd")), max_size=60)
BOUNDS = st.integers(1, 5)


@given(BOUNDS, STEPS)
def test_the_newest_wait_in_order_and_what_is_lost_is_counted(bound: int, steps: list[str | None]) -> None:
    queue, model, lost = Newest[int](bound), list[int](), 0
    for number, step in enumerate(steps):
        if step is not TAKE:
            model.append(number)
            fits = len(model) <= bound
            assert fits is queue.put(step, number)
            lost += not fits
            model = model[-bound:]
        elif model:
            assert model.pop(0) == queue.take()
        assert (len(model), lost, 0) == (len(queue), queue.dropped, queue.conflated)


@given(BOUNDS, STEPS)
def test_the_latest_of_each_key_waits_and_keeps_the_turn_of_its_key(
    bound: int, steps: list[str | None]
) -> None:
    queue, model, lost, replaced = Latest[int](bound), list[tuple[str, int]](), 0, 0
    for number, step in enumerate(steps):
        if step is not TAKE:
            turn = next((turn for turn, (key, _) in enumerate(model) if key == step), None)
            fits = turn is not None or len(model) < bound
            assert fits is queue.put(step, number)
            if turn is not None:
                model[turn] = (step, number)
                replaced += 1
            else:
                model = [*model, (step, number)][-bound:]
                lost += not fits
        elif model:
            assert model.pop(0)[1] == queue.take()
        assert (len(model), lost, replaced) == (len(queue), queue.dropped, queue.conflated)


@pytest.mark.parametrize("bound", [0, -1, True, 1.5, None, "8"])
def test_a_bound_that_holds_nothing_is_refused(bound: object) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        checked_bound(bound)  # type: ignore[arg-type]  # what a program may pass all the same

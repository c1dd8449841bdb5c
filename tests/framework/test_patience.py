"""How long a silent series is believed to be quiet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wickwire.patience import Patience


def test_a_series_that_is_always_traded_is_asked_about_after_one_empty_bucket() -> None:
    patience = Patience()
    for _ in range(100):
        patience.traded()
    assert 1 == patience.buckets


def test_a_series_that_is_hardly_ever_traded_is_given_ten() -> None:
    patience = Patience()
    patience.empty(1_000)
    assert 10 == patience.buckets


@given(st.lists(st.integers(0, 100)))
def test_it_is_never_less_than_one_nor_more_than_ten(spells: list[int]) -> None:
    patience, before = Patience(), 1
    for spell in spells:
        patience.empty(spell)
        assert before <= patience.buckets <= 10
        patience.traded()
        assert 1 <= patience.buckets
        before = patience.buckets

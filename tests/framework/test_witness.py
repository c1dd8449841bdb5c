"""What a stream brought, compared with what history holds."""

from __future__ import annotations

from tests.framework.test_closes import row
from wickwire.model import MINUTE_NS
from wickwire.store import TAIL
from wickwire.witness import Witness


def begun(minute: int = 0) -> Witness:
    witness = Witness()
    witness.begin(minute * MINUTE_NS)
    return witness


def test_rows_with_the_same_values_agree() -> None:
    witness = begun()
    witness.saw(row(0, 100))
    witness.saw(row(1, 101))
    assert (1, []) == witness.compare([row(0, 100), row(1, 999)], None)


def test_a_row_that_is_read_again_does_not_agree_twice() -> None:
    witness = begun()
    witness.saw(row(0, 100))
    assert (1, []) == witness.compare([row(0, 100)], None)
    assert (0, []) == witness.compare([row(0, 100)], None)


def test_a_whole_bucket_with_other_values_contradicts_the_stream() -> None:
    witness = begun()
    witness.saw(row(0, 100))
    witness.saw(row(1, 101))
    witness.compare([row(0, 100)], None)
    assert 0 == witness.contradicted_ns
    witness.compare([row(1, 999)], None)
    assert MINUTE_NS == witness.contradicted_ns
    witness.compare([row(0, 999)], None)
    assert MINUTE_NS == witness.contradicted_ns


def test_a_bucket_that_began_before_the_subscription_contradicts_nothing() -> None:
    witness = begun(1)
    witness.saw(row(0, 100))
    witness.compare([row(0, 999)], None)
    assert 0 == witness.contradicted_ns


def test_what_the_stream_should_have_brought_and_did_not_is_missed() -> None:
    witness = begun(5)
    assert (0, [5 * MINUTE_NS]) == witness.compare([row(4), row(5)], None)


def test_a_bucket_that_the_stream_did_not_end_agrees_as_far_as_it_came() -> None:
    witness = begun()
    assert (1, []) == witness.compare([row(0, 100)], row(0, 100))
    assert (0, [0]) == witness.compare([row(0, 100)], row(0, 101))


def test_a_subscription_that_began_later_than_was_thought_has_less_to_bring() -> None:
    witness = begun(5)
    witness.began_after(4 * MINUTE_NS)
    assert (0, [5 * MINUTE_NS]) == witness.compare([row(5)], None), "it is no news that it began so late"
    witness.began_after(6 * MINUTE_NS)
    assert (0, [6 * MINUTE_NS]) == witness.compare([row(5), row(6)], None)


def test_of_a_bucket_that_began_before_the_subscription_it_may_agree_and_misses_nothing() -> None:
    witness = begun(1)
    assert (1, []) == witness.compare([row(0, 100)], row(0, 100))
    assert (0, []) == witness.compare([row(0, 100)], row(0, 101))


def test_without_a_subscription_nothing_is_held_against_the_stream() -> None:
    witness = begun()
    witness.saw(row(0))
    witness.end()
    assert (0, []) == witness.compare([row(0), row(1)], None)
    assert (0, []) == Witness().compare([row(0)], None)


def test_what_is_forgotten_is_not_missed() -> None:
    witness = begun()
    for minute in range(TAIL + 10):
        witness.saw(row(minute))
    assert (1, []) == witness.compare([row(0), row(9), row(10)], None)


def test_when_it_was_subscribed_is_corrected_by_what_the_venue_tells_later() -> None:
    witness = begun(90)
    witness.began(5 * MINUTE_NS)
    assert (0, [5 * MINUTE_NS]) == witness.compare([row(4), row(5)], None)
    assert witness.came_after(row(4))
    assert not witness.came_after(row(5))


def test_what_is_to_come_as_a_whole_is_not_corrected_by_the_venues_clock() -> None:
    witness = begun(3)
    witness.expect(5 * MINUTE_NS)
    witness.began(2 * MINUTE_NS)
    assert (0, [5 * MINUTE_NS]) == witness.compare([row(4), row(5)], None)


def test_what_is_over_is_not_begun_by_a_correction() -> None:
    witness = begun(3)
    witness.end()
    witness.began(2 * MINUTE_NS)
    assert (0, []) == witness.compare([row(4)], None)

"""Pictures: what is in them can be read, and they need nothing else."""

import re
import xml.etree.ElementTree as ET
from decimal import Decimal

import pytest

from tests.framework.files.stocked import BTC, all_of, candle, known, run, stocked
from wickwire import Evidence, Hole, HoleKind, MemoryStore, Series, SeriesState
from wickwire.files.drawing import FORMS, drawn
from wickwire.files.picture import Picture, laid_out

ODD = Series.parse("kraken:$A&B^$1@1m")


def picture(series: Series = BTC, *, many: int = 4, world: str = "simulated venues, seed 7") -> Picture:
    """Some candles with a hole of each kind between them, one of them revised."""

    async def look():
        places = range(0, 3 * many, 3)
        change = known([candle(minute, "64001.5", series) for minute in places], series)
        kinds = [*HoleKind] * many
        holes = [
            Hole(one.since_ns, one.until_ns, kind)
            for one, kind in zip(change.state.holes, kinds, strict=False)
        ]
        state = SeriesState(
            series=series,
            origin_ns=change.state.origin_ns,
            frontier_ns=change.state.frontier_ns,
            holes=tuple(holes),
        )
        store = await stocked(change, into=MemoryStore())
        await store.commit([known([candle(0, "64002.75", series)], series, evidence=Evidence.VENUE)])
        return laid_out(state, await all_of(store, series), -(2**63), 2**63 - 1, world)

    shown: Picture = run(look())
    return shown


def words(svg: str) -> str:
    return " ".join(text for text in ET.fromstring(svg).itertext() if text.strip())


@pytest.mark.parametrize("form", FORMS)
def test_the_same_candles_make_the_same_bytes(form):
    assert drawn(picture(), form) == drawn(picture(), form)


def test_a_png_is_one():
    assert drawn(picture(), "png").startswith(b"\x89PNG\r\n\x1a\n")


def test_an_svg_names_series_world_holes_and_revisions():
    said = words(drawn(picture(many=6), "svg").decode())

    for phrase in (str(BTC), "6 candles, simulated venues, seed 7", "missing (1)", "unreachable (1)"):
        assert phrase in said
    assert "session closed (1)" in said
    assert "revised (1)" in said
    assert "missing, 2 min" in said
    assert "empty" not in said


def test_real_candles_are_not_said_to_be_real():
    assert "venues" not in words(drawn(picture(world="the real venues"), "svg").decode())


def test_a_page_needs_nothing_else():
    """No script, no style sheet, no picture and no font from anywhere."""
    page = drawn(picture(), "html").decode()

    assert not re.findall(r"<script|<link|<img|@import|url\((?!#)", page)
    linked = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert [] == [one for one in linked if not one.startswith("#")]
    assert "<tr><td>2026-10-31T23:50:00Z</td><td>64002.75</td><td>1</td></tr>" in page
    assert "<td>missing</td><td>2 min</td>" in page


def test_a_symbol_is_text_and_neither_markup_nor_a_formula():
    page = drawn(picture(ODD), "html").decode()

    assert "<title>kraken:$A&amp;B^$1@1m</title>" in page
    assert "kraken:$A&amp;B^$1@1m</text>" in page


def test_thousands_of_candles_are_still_a_small_page():
    assert len(drawn(picture(many=1_000), "html")) < 1_000_000


def test_a_price_that_never_moved_can_be_drawn():
    async def look():
        change = known([candle(0, "1E-9", volume=Decimal(0))])
        return laid_out(change.state, await all_of(await stocked(change)), 0, 2**63 - 1, "")

    assert b"1e-09" in drawn(run(look()), "svg")

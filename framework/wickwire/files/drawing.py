"""Pictures of candles, drawn by matplotlib: PNG, SVG, and a page of HTML with the SVG in it.

No window and no global figure; the same candles make the same bytes.
"""

from __future__ import annotations

import html
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator

from wickwire.files.picture import Bar, Gap, Picture, lasting
from wickwire.instants import iso_second, when
from wickwire.model import DAY_NS, HoleKind
from wickwire.store import REAL

__all__ = ["FORMS", "drawn"]

FORMS: Final = ("png", "svg", "html")

Corners = Sequence[tuple[float, float]]

_INK, _PALE, _RISING, _FALLING, _REVISED = "#1f2933", "#9aa5b1", "#1b7f79", "#c2410c", "#6d28d9"
_KINDS: Final = {
    HoleKind.MISSING: ("#dc2626", "////"),
    HoleKind.UNKNOWN: ("#a16207", "xxx"),
    HoleKind.UNREACHABLE: ("#64748b", "\\\\\\\\"),
    HoleKind.SESSION_CLOSED: ("#2563eb", ""),
    HoleKind.EMPTY: ("#cbd5e1", ""),
}
"""Colour and pattern: who does not tell colours apart tells patterns."""

_STYLE: Final = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": _PALE,
    "axes.labelcolor": _INK,
    "hatch.linewidth": 0.8,
    "path.simplify": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "wickwire",
    "text.color": _INK,
    "text.parse_math": False,  # a symbol may hold dollar signs
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_SIZE: Final = (14, 7.5)
_BODY: Final = 0.72
_TICKS: Final = 10
_ROOM_FOR_WORDS: Final = 0.016
_MOST_LISTED: Final = 200


def drawn(picture: Picture, form: str) -> bytes:
    """Return *picture* as a file of one of `FORMS`."""
    with mpl.rc_context(_STYLE):
        figure = _figure(picture)
        out = io.BytesIO()
        if form == "png":
            figure.savefig(out, format="png", dpi=120, metadata={"Software": None})
            return out.getvalue()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    return svg if form == "svg" else _page(picture, svg[svg.index(b"<svg") :].decode()).encode()


def _figure(picture: Picture) -> Figure:
    figure = Figure(figsize=_SIZE, layout="constrained")
    prices, volumes = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
    _draw_candles(prices, picture)
    _draw_volumes(volumes, picture)
    for axes in (prices, volumes):
        _draw_gaps(axes, picture, in_words=axes is prices)
        axes.grid(visible=True, axis="y", color="#e5e9ee", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "left"]].set_visible(False)
        axes.yaxis.tick_right()
        axes.set_xlim(0, max(picture.width, 1))
    _name_times(volumes, picture)
    prices.set_title(_title(picture), loc="left", fontsize=13, fontweight="bold", pad=28)
    prices.text(0, 1.02, _subtitle(picture), transform=prices.transAxes, color="#52606d", va="bottom")
    marks = _legend(picture)
    if marks:
        prices.legend(
            handles=marks, loc="lower right", bbox_to_anchor=(1, 1.0), ncols=len(marks), frameon=False
        )
    return figure


# ---------------------------------------------------------------------------------------------- candles


def _draw_candles(axes: Axes, picture: Picture) -> None:
    for colour, bars in _by_colour(picture.bars):
        wicks = [_wick(bar) for bar in bars]
        bodies = [_box(bar, bar.candle.open, bar.candle.close) for bar in bars]
        axes.add_patch(PathPatch(_joined(wicks), facecolor="none", edgecolor=colour, linewidth=1))
        axes.add_patch(PathPatch(_joined(bodies), facecolor=colour, edgecolor=colour, linewidth=0.8))
    if picture.revised:
        lowest = [float(bar.candle.low) for bar in picture.revised]
        places = [bar.place for bar in picture.revised]
        axes.scatter(places, lowest, marker=6, s=55, color=_REVISED, zorder=4, clip_on=False)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda price, _: f"{price:,.10g}"))
    axes.autoscale_view()
    axes.margins(y=0.08)


def _by_colour(bars: Sequence[Bar]) -> Iterator[tuple[str, Sequence[Bar]]]:
    for colour, is_rising in ((_RISING, True), (_FALLING, False)):
        same = [bar for bar in bars if (bar.candle.close >= bar.candle.open) is is_rising]
        if same:
            yield colour, same


def _joined(shapes: Sequence[Corners]) -> Path:
    """Return many shapes as one: of thousands of candles a browser draws four, and a page stays small."""
    corners = [corner for shape in shapes for corner in shape]
    codes = [Path.MOVETO if place == 0 else Path.LINETO for shape in shapes for place in range(len(shape))]
    return Path(corners, codes)


def _wick(bar: Bar) -> Corners:
    return ((bar.place, float(bar.candle.low)), (bar.place, float(bar.candle.high)))


def _box(bar: Bar, first: Decimal, last: Decimal) -> Corners:
    left, right = bar.place - _BODY / 2, bar.place + _BODY / 2
    bottom, top = float(first), float(last)
    return ((left, bottom), (right, bottom), (right, top), (left, top), (left, bottom))


def _draw_volumes(axes: Axes, picture: Picture) -> None:
    for colour, bars in _by_colour(picture.bars):
        boxes = [_box(bar, Decimal(0), bar.candle.volume) for bar in bars]
        axes.add_patch(PathPatch(_joined(boxes), facecolor=colour, edgecolor="none", alpha=0.45))
    axes.autoscale_view()
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda volume, _: f"{volume:,.6g}"))
    axes.set_ylabel("volume", color="#52606d")


# ------------------------------------------------------------------------------------------------- gaps


def _draw_gaps(axes: Axes, picture: Picture, *, in_words: bool) -> None:
    marked = [gap for gap in picture.gaps if gap.kind is not HoleKind.EMPTY or gap.is_cut]
    for kind, (colour, pattern) in _KINDS.items():
        boxes = [_column(gap) for gap in marked if gap.kind is kind]
        if boxes:
            place = {"transform": axes.get_xaxis_transform(), "linewidth": 0, "zorder": 0}
            axes.add_patch(PathPatch(_joined(boxes), facecolor=colour, alpha=0.1, **place))
            axes.add_patch(
                PathPatch(_joined(boxes), fill=False, edgecolor=colour, alpha=0.6, hatch=pattern, **place)
            )
    for gap in marked if in_words else ():
        if (gap.last - gap.first) >= _ROOM_FOR_WORDS * picture.width:
            _name_gap(axes, gap)


def _column(gap: Gap) -> Corners:
    """Return its corners, from the bottom to the top of the axes."""
    return ((gap.first, 0), (gap.last, 0), (gap.last, 1), (gap.first, 1), (gap.first, 0))


def _name_gap(axes: Axes, gap: Gap) -> None:
    axes.text(
        (gap.first + gap.last) / 2,
        0.5,
        f"{_said(gap.kind)}, {lasting(gap.until_ns - gap.since_ns)}",
        transform=axes.get_xaxis_transform(),
        rotation=90,
        ha="center",
        va="center",
        fontsize=9,
        zorder=0.5,  # above the pattern, below the candles beside it
        color="#52606d" if gap.kind is HoleKind.EMPTY else _KINDS[gap.kind][0],
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
    )


def _said(kind: HoleKind) -> str:
    return "nothing traded" if kind is HoleKind.EMPTY else kind.value.replace("_", " ")


def _legend(picture: Picture) -> Sequence[Patch | Line2D]:
    marks: list[Patch | Line2D] = []
    for kind, (colour, pattern) in _KINDS.items():
        count = sum(gap.kind is kind for gap in picture.holes)
        if count:
            fill = mpl.colors.to_rgba(colour, 0.15)
            marks.append(
                Patch(
                    facecolor=fill,
                    edgecolor=colour,
                    hatch=pattern,
                    linewidth=0.5,
                    label=f"{_said(kind)} ({count})",
                )
            )
    if picture.revised:
        label = f"revised ({len(picture.revised)})"
        marks.append(Line2D([], [], marker=6, markersize=8, color=_REVISED, linestyle="none", label=label))
    return marks


# ------------------------------------------------------------------------------------------------ words


def _title(picture: Picture) -> str:
    return str(picture.series)


def _subtitle(picture: Picture) -> str:
    count = f"{len(picture.bars):,} candles"
    world = "" if picture.world in (REAL, "") else f", {picture.world}"
    if not picture.bars:
        return f"{count}{world}"
    first, last = picture.bars[0].candle, picture.bars[-1].candle
    return f"{iso_second(first.open_ns)} to {iso_second(last.close_ns)}, {count}{world}"


def _name_times(axes: Axes, picture: Picture) -> None:
    """Write when candles open below some of them, and the date where another day begins."""
    step = max(1, -(-len(picture.bars) // _TICKS))
    named = picture.bars[step // 2 :: step]
    labels: list[str] = []
    day = ""
    for bar in named:
        opens = when(bar.candle.open_ns)
        date = f"{opens:%Y-%m-%d}"
        clock = f"{opens:%H:%M:%S}".removesuffix(":00")
        is_daily = bar.candle.close_ns - bar.candle.open_ns >= DAY_NS
        labels.append(date if is_daily else clock if date == day else f"{clock}\n{date}")
        day = date
    axes.set_xticks([bar.place for bar in named], labels)


def _page(picture: Picture, svg: str) -> str:
    """Return a page that needs nothing else: the picture, and in words what it marks."""
    title = html.escape(_title(picture))
    holes = [_hole_row(gap) for gap in picture.holes[:_MOST_LISTED]]
    revised = [_revised_row(bar) for bar in picture.revised[:_MOST_LISTED]]
    tables = _table("Holes", ("since", "until", "kind", "lasts"), holes, len(picture.holes))
    tables += _table("Revised", ("opens", "close", "times"), revised, len(picture.revised))
    return _PAGE.format(title=title, svg=svg, tables=tables)


def _hole_row(gap: Gap) -> Sequence[str]:
    since, until = iso_second(gap.since_ns), iso_second(gap.until_ns)
    return (since, until, _said(gap.kind), lasting(gap.until_ns - gap.since_ns))


def _revised_row(bar: Bar) -> Sequence[str]:
    return (iso_second(bar.candle.open_ns), f"{bar.candle.close:f}", str(bar.candle.revision))


def _table(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]], count: int) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(one)}</th>" for one in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    more = f"<p>and {count - len(rows)} more</p>\n" if count > len(rows) else ""
    return f"<h2>{name}</h2>\n<table>\n<tr>{head}</tr>\n{body}</table>\n{more}"


_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; color: #1f2933; margin: 1.5rem auto; max-width: 90rem; padding: 0 1rem; }}
svg {{ width: 100%; height: auto; }}
svg text {{ font-family: sans-serif !important; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; padding: 0.2rem 1.5rem 0.2rem 0; border-bottom: 1px solid #e5e9ee; }}
h2 {{ font-size: 1.05rem; margin-top: 1.5rem; }}
</style>
</head>
<body>
{svg}
{tables}</body>
</html>
"""

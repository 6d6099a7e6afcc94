"""
Draw the plots of the status page, as SVG that stands in its HTML.

Owns the choice of chart and what is taken out of the library's drawing. pygal draws axes and
marks; its style sheet, its script and its tooltips go, as the page's policy would refuse them, and
page.css gives the colours of both themes. Never decides what is counted.
Invariant: the drawing holds no script, no style and no link, and has a name and a description.
Kind: pure.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    import pygal

WIDTH, HEIGHT = 360, 180
"""Units of the drawing: on a phone nearly a pixel each, so that labels stay legible."""
_FONT = 12
"""Room for labels; page.css has the same size."""
_LABELS = 4
_STEPS = 4
_DROPPED_CLASSES = frozenset({"tooltip", "background", "text-overlay", "title", "tooltip-overlay"})
_KEPT_ATTRIBUTES = frozenset(
    {"class", "d", "x", "y", "cx", "cy", "r", "rx", "ry", "width", "height", "transform", "viewBox"}
)


@dataclass(frozen=True, slots=True)
class Plot:
    """What one plot shows."""

    key: str
    """Unique on the page; a name for its elements."""
    title: str
    description: str
    """What a reader who does not see the drawing should know of it."""
    labels: tuple[str, ...]
    values: tuple[int | None, ...]
    """``None``: not known; the drawing has a gap there."""
    limit: int | None = None
    """A line that the values should stay below."""
    is_level: bool = False
    """A level is drawn as a line, a count of happenings as bars."""


def draw(plot: Plot) -> str:
    """The plot as an ``<svg>`` element."""
    chart = _chart(plot)
    chart.x_labels = list(plot.labels)
    chart.x_labels_major = _major(plot.labels)
    chart.add("", list(plot.values), fill=plot.is_level)
    if plot.is_level:
        # The area has an outline down to zero; the line is drawn over it, and page.css hides that.
        chart.add("", list(plot.values), fill=False)
    chart.add_xml_filter(lambda root: _cleaned(root, plot))
    return str(chart.render(is_unicode=True))


def _chart(plot: Plot) -> pygal.Graph:
    import pygal  # noqa: PLC0415 - costs a start, and only the page draws
    from pygal.style import Style  # noqa: PLC0415

    # It leaves a finder of plug-ins behind that Python 3.4 was the last to ask: without find_spec
    # each import of what is not installed warns of it.
    sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

    known = [value for value in plot.values if value is not None]
    top = max([*known, plot.limit or 0])
    ticks = scale(top, plot.limit)
    config: dict[str, Any] = {
        "js": (),
        "style": Style(label_font_size=_FONT, major_label_font_size=_FONT),
        "disable_xml_declaration": True,
        "no_prefix": True,
        "show_legend": False,
        "show_minor_x_labels": False,
        "truncate_label": -1,
        "width": WIDTH,
        "height": HEIGHT,
        "margin": 6,
        "spacing": 6,
        "range": (0, max(ticks[-1], top)),
        "y_labels": [{"value": tick, "label": short(tick)} for tick in ticks],
        "y_labels_major": [ticks[-1] if plot.limit is None else plot.limit],
    }
    if plot.is_level:
        return pygal.Line(show_dots=len(known) == 1, **config)
    return pygal.Bar(**config)


def scale(top: int, limit: int | None = None) -> tuple[int, ...]:
    """Round whole numbers from zero to no less than the top, and the limit among them."""
    step = 1
    while step * _STEPS < top:
        # 1, 2, 5, 10, 20, 50, …
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    ticks = range(0, step * max(1, -(-top // step)) + 1, step)
    if limit is None:
        return tuple(ticks)
    apart = [tick for tick in ticks if abs(tick - limit) * _STEPS >= ticks[-1]]
    return tuple(sorted({0, *apart, limit}))


def short(count: int) -> str:
    """A count in at most five characters or so: 950, 1.5k, 250k, 1M."""
    for unit, size in (("M", 1_000_000), ("k", 1000)):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def _major(labels: Sequence[str]) -> list[str]:
    """A few labels, evenly spread from the first."""
    step = max(1, -(-len(labels) // _LABELS))
    return list(labels[::step])


def _cleaned(root: ET.Element, plot: Plot) -> ET.Element:
    """The drawing alone, made anew from what is known to be harmless."""
    ids = f"plot-{plot.key}-title", f"plot-{plot.key}-desc"
    drawing = ET.Element(
        "svg",
        {
            "class": "plot" if plot.limit is None else "plot limited",
            "role": "img",
            "viewBox": root.get("viewBox", ""),
            "aria-labelledby": " ".join(ids),
        },
    )
    for tag, name, text in zip(("title", "desc"), ids, (plot.title, plot.description), strict=True):
        ET.SubElement(drawing, tag, {"id": name}).text = text
    for child in root:
        if child.tag == "g":
            _copy(child, drawing)
    return drawing


def _copy(element: ET.Element, parent: ET.Element) -> None:
    classes = set(element.get("class", "").split())
    if element.tag not in {"g", "path", "rect", "text", "circle"} or classes & _DROPPED_CLASSES:
        return
    attributes = {name: text for name, text in element.attrib.items() if name in _KEPT_ATTRIBUTES}
    copy = ET.SubElement(parent, element.tag, attributes)
    copy.text = element.text
    for child in element:
        _copy(child, copy)

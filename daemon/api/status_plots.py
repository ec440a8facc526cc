"""Small plots of the last hour as SVG elements: they scale with the page, and what colours them is its style sheet.

Every plot has a text for who does not see it, and its scale beside it as text of the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

_HEIGHT = 100.0
_BAR = 0.82
"""Width of a bar, of the one unit that a minute has."""


def bars(stacks: Sequence[Sequence[float]], classes: Sequence[str], told: str) -> Element:
    """Stacked bars, a stack for each minute.

    Args:
        stacks: for each minute its values, from the bottom up.
        classes: style of each value.
        told: the plot in one sentence.

    Returns:
        An `svg` element.
    """
    highest = max((sum(stack) for stack in stacks), default=0) or 1
    plot = _plot(len(stacks), told)
    for minute, stack in enumerate(stacks):
        top = _HEIGHT
        for value, style in zip(stack, classes, strict=True):
            if value > 0:
                height = _HEIGHT * value / highest
                top -= height
                place = {"x": _number(minute + (1 - _BAR) / 2), "y": _number(top)}
                SubElement(plot, "rect", place | {"width": _number(_BAR), "height": _number(height), "class": style})
    return plot


def lines(series: Sequence[Sequence[float | None]], classes: Sequence[str], told: str) -> Element:
    """Lines over the minutes; where a minute has no value the line is broken, and a lone minute is a short line.

    Args:
        series: for each line its value by minute.
        classes: style of each line.
        told: the plot in one sentence.

    Returns:
        An `svg` element.
    """
    highest = max((value for values in series for value in values if value is not None), default=0) or 1
    plot = _plot(max((len(values) for values in series), default=0), told)
    for values, style in zip(series, classes, strict=True):
        drawn = " ".join(_strokes(values, highest))
        SubElement(plot, "path", {"d": drawn, "class": style, "vector-effect": "non-scaling-stroke"})
    return plot


def _strokes(values: Sequence[float | None], highest: float) -> list[str]:
    strokes, pen_is_down = [], False
    for minute, value in enumerate(values):
        if value is not None:
            y = _number(_HEIGHT - _HEIGHT * value / highest)
            begin = f"M{_number(minute + 0.1)} {y}H{_number(minute + 0.9)}"
            strokes.append(f"L{_number(minute + 0.5)} {y}" if pen_is_down else begin)
        pen_is_down = value is not None
    return strokes


def _plot(minutes: int, told: str) -> Element:
    size = f"0 0 {max(minutes, 1)} {_HEIGHT:g}"
    return Element("svg", {"viewBox": size, "preserveAspectRatio": "none", "role": "img", "aria-label": told})


def _number(value: float) -> str:
    return f"{value:.2f}"

"""Draw Regions, and what moves between them, as a picture that needs nothing but the page it is in.

SVG without scripts, styles, fonts or identifiers of its own: several pictures on a page cannot
disturb each other. Text takes the colour of the page, so dark pages are as legible as light ones.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["picture"]

_WIDTH = 640
_BOX_HEIGHT = 46
_LINE = 16
_UNCROWDED = 3  # Regions
_CHARACTER = 7.4  # pixels of a character of 13 px, on average
_COLOUR = "#3b82c4"  # in the middle between black and white
_THINNEST, _THICKEST = 1.5, 11.0
_BOW = 26  # pixels that an arrow bows, so that both directions are seen
_LABEL = 0.36  # where an arrow's text is: nearer to its source, so that texts of several do not meet
_Point = tuple[float, float]


@dataclass(frozen=True)
class _Box:
    """A Region's place, by its centre and half its extent, in pixels."""

    x: float
    y: float
    half_width: float
    half_height: float = _BOX_HEIGHT / 2

    def holds(self, point: _Point) -> bool:
        inside = abs(point[0] - self.x) <= self.half_width + 3
        return inside and abs(point[1] - self.y) <= self.half_height + 3


@dataclass(frozen=True)
class _Arrow:
    """How an arrow looks: its text and how many lines of it to write, its share of the widest, dashes."""

    label: str
    share: float
    estimate: bool
    lines: int | None


def picture(
    between: Mapping[tuple[str, str], int],
    *,
    beneath: Mapping[str, str],
    label: Callable[[tuple[str, str], int], str],
    title: str,
    estimate: bool = False,
) -> str:
    """Draw Regions as boxes, and what moves between them as arrows.

    Parameters
    ----------
    between
        Bytes by (sending Region, receiving Region). The area of an arrow's cross-section grows with its
        bytes (its width with their square root); pairs of the same Region are not drawn.
    beneath
        Text below a Region's name; its Regions are drawn even where nothing moves.
    label
        Returns the text at an arrow, from its pair and bytes; several lines where it has line breaks.
    title
        What the picture shows, for those who do not see it: the numbers follow by themselves.
    estimate
        Draw dashed arrows.

    Returns
    -------
    str
        An ``svg`` element; the empty string where there is no Region.
    """
    arrows = {pair: n for pair, n in between.items() if pair[0] != pair[1] and n > 0}
    names = sorted({name for pair in between for name in pair} | set(beneath))
    if not names:
        return ""
    height = 70 if len(names) == 1 else 170 if len(names) == 2 else 400
    boxes = _places(names, beneath, height)
    most = max(arrows.values(), default=1)
    sentences = [
        f"{source} to {target}: {', '.join(label((source, target), n).splitlines())}"
        for (source, target), n in sorted(arrows.items())
    ]
    description = html.escape(f"{title}. {'; '.join(sentences) or 'Nothing crosses'}.", quote=True)
    # Among many arrows there is room for one line each; the rest is shown where the pointer rests.
    lines = None if len(names) <= _UNCROWDED else 1
    parts = [
        *(
            _arrow(
                boxes[source], boxes[target], _Arrow(label((source, target), n), n / most, estimate, lines)
            )
            for (source, target), n in sorted(arrows.items())
        ),
        *(_region(boxes[name], name, beneath.get(name, "")) for name in names),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{description}" '
        f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" style="max-width:100%;height:auto" '
        'font-family="sans-serif" font-size="13" fill="currentColor" text-anchor="middle">'
        f"{''.join(parts)}</svg>"
    )


def _places(names: list[str], beneath: Mapping[str, str], height: float) -> dict[str, _Box]:
    """Put the Regions on an ellipse, the first one at its left."""
    widths = {name: _CHARACTER * max(len(name), len(beneath.get(name, ""))) / 2 + 12 for name in names}
    if len(names) == 1:
        return {names[0]: _Box(_WIDTH / 2, height / 2, widths[names[0]])}
    # Arrows bow to the outside, and their text lies beyond them.
    across = _WIDTH / 2 - max(widths.values()) - (4 if len(names) == 2 else 50)
    down = height / 2 - _BOX_HEIGHT
    boxes = {}
    for number, name in enumerate(names):
        angle = math.pi + 2 * math.pi * number / len(names)
        x, y = _WIDTH / 2 + across * math.cos(angle), height / 2 + down * math.sin(angle)
        boxes[name] = _Box(x, y, widths[name])
    return boxes


def _region(box: _Box, name: str, beneath: str) -> str:
    below = f'<text x="{box.x:.1f}" y="{box.y + 15:.1f}" opacity="0.75">{html.escape(beneath)}</text>'
    return (
        f'<rect x="{box.x - box.half_width:.1f}" y="{box.y - box.half_height:.1f}" '
        f'width="{2 * box.half_width:.1f}" height="{2 * box.half_height:.1f}" rx="8" '
        'fill="none" stroke="currentColor" stroke-opacity="0.6"/>'
        f'<text x="{box.x:.1f}" y="{box.y - 3 if beneath else box.y + 4:.1f}" font-weight="bold">'
        f"{html.escape(name)}</text>{below if beneath else ''}"
    )


def _arrow(source: _Box, target: _Box, arrow: _Arrow) -> str:
    width = _THINNEST + (_THICKEST - _THINNEST) * math.sqrt(arrow.share)
    dx, dy = target.x - source.x, target.y - source.y
    length = math.hypot(dx, dy)
    aside = (dy / length, -dx / length)
    bow = 2 * _BOW  # a quadratic curve comes half way to its control point
    control = ((source.x + target.x) / 2 + aside[0] * bow, (source.y + target.y) / 2 + aside[1] * bow)
    curve = ((source.x, source.y), control, (target.x, target.y))
    start, middle, tip = _visible(curve, source, target)
    base, head = _head(middle, tip, width)
    near = _blossom(curve, _LABEL, _LABEL)
    outer = (near[0] + aside[0] * width / 2, near[1] + aside[1] * width / 2)
    text = _beside(outer, aside, arrow.label.splitlines()[: arrow.lines])
    dashes = f' stroke-dasharray="{4 + width:.1f} {3 + width / 2:.1f}"' if arrow.estimate else ""
    return (
        f"<g><title>{html.escape(', '.join(arrow.label.splitlines()))}</title>"
        f'<path d="M{_at(start)} Q{_at(middle)} {_at(base)}" fill="none" stroke="{_COLOUR}" '
        f'stroke-width="{width:.1f}" stroke-opacity="0.8"{dashes}/>'
        f'<polygon points="{" ".join(map(_at, head))}" fill="{_COLOUR}"/>'
        f"{text}</g>"
    )


def _beside(point: _Point, aside: _Point, lines: list[str]) -> str:
    """Write lines next to a point, on the given side of it and inside the picture."""
    anchor = "middle" if abs(aside[0]) < 0.3 else "start" if aside[0] > 0 else "end"
    x, middle = point[0] + aside[0] * 8, point[1] + aside[1] * (6 + _LINE * len(lines) / 2)
    room = _CHARACTER * max(map(len, lines), default=0) * (0.5 if anchor == "middle" else 1)
    x = max(x, room) if anchor != "start" else x
    x = min(x, _WIDTH - room) if anchor != "end" else x
    first = middle - _LINE * (len(lines) - 1) / 2 + 4
    return "".join(
        f'<text x="{x:.1f}" y="{first + _LINE * number:.1f}" text-anchor="{anchor}">'
        f"{html.escape(line)}</text>"
        for number, line in enumerate(lines)
    )


def _visible(curve: tuple[_Point, _Point, _Point], source: _Box, target: _Box) -> list[_Point]:
    """Return the part of a curve outside both boxes, as a quadratic curve."""
    steps = [step / 100 for step in range(101)]
    outside = [
        step
        for step in steps
        if not source.holds(_blossom(curve, step, step)) and not target.holds(_blossom(curve, step, step))
    ]
    first, last = (outside[0], outside[-1]) if outside else (0.0, 1.0)
    return [_blossom(curve, first, first), _blossom(curve, first, last), _blossom(curve, last, last)]


def _blossom(curve: tuple[_Point, _Point, _Point], s: float, t: float) -> _Point:
    """Return the polar form of a quadratic curve: its points where s equals t, else control points."""
    a, b, c = (1 - s) * (1 - t), s * (1 - t) + t * (1 - s), s * t
    (x0, y0), (x1, y1), (x2, y2) = curve
    return a * x0 + b * x1 + c * x2, a * y0 + b * y1 + c * y2


def _head(before: _Point, tip: _Point, width: float) -> tuple[_Point, list[_Point]]:
    """Return where an arrow's line ends, and the corners of its head."""
    dx, dy = tip[0] - before[0], tip[1] - before[1]
    length = math.hypot(dx, dy) or 1.0
    dx, dy = dx / length, dy / length
    long, half = 7 + width, 3 + 0.9 * width
    base = (tip[0] - dx * long, tip[1] - dy * long)
    corners = [tip, (base[0] - dy * half, base[1] + dx * half), (base[0] + dy * half, base[1] - dx * half)]
    return base, corners


def _at(point: _Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"

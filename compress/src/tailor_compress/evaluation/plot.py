# SPDX-License-Identifier: Apache-2.0
"""A plot of quality against cost as SVG, written by hand: no display, no further library."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 860, 520
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 190, 24, 52
_TICKS = (1.0, 2.0, 5.0)


@dataclass(frozen=True)
class Point:
    """A variant: cost in ms, quality with its 95 % interval."""

    label: str
    cost: float
    quality: float
    low: float
    high: float
    is_rung: bool
    ship: bool


@dataclass(frozen=True)
class _Axes:
    """Cost on a logarithmic axis, quality on a straight one."""

    least_cost: float
    most_cost: float
    least: float
    most: float

    def x(self, cost: float) -> float:
        """Return where a cost stands."""
        span = math.log(self.most_cost / self.least_cost)
        share = math.log(cost / self.least_cost) / span
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, quality: float) -> float:
        """Return where a quality stands."""
        share = (quality - self.least) / (self.most - self.least)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _axes(points: Sequence[Point], floors: Sequence[tuple[str, float]]) -> _Axes:
    costs = [point.cost for point in points]
    values = [*(p.low for p in points), *(value for _, value in floors)]
    top = max(point.high for point in points)
    least = math.floor(20 * min(values)) / 20
    return _Axes(min(costs) / 1.5, max(costs) * 1.5, least, math.ceil(20 * top + 0.1) / 20)


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def _grid(axes: _Axes) -> list[str]:
    parts = []
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for exponent in range(-6, 7):
        for factor in _TICKS:
            cost = factor * 10.0**exponent
            if axes.least_cost <= cost <= axes.most_cost:
                x = axes.x(cost)
                parts.append(_line(x, _TOP, x, bottom, 'stroke="#e4e4e4"'))
                parts.append(_text(x, bottom + 18, f"{cost:g}", 'text-anchor="middle"'))
    steps = round((axes.most - axes.least) / 0.05)
    for step in range(steps + 1):
        value = axes.least + step * 0.05
        y = axes.y(value)
        parts.append(_line(_LEFT, y, right, y, 'stroke="#e4e4e4"'))
        parts.append(_text(_LEFT - 8, y + 4, f"{value:.2f}", 'text-anchor="end"'))
    return parts


def _mark(axes: _Axes, point: Point) -> list[str]:
    x, y = axes.x(point.cost), axes.y(point.quality)
    color = "#b3001b" if point.is_rung else "#5a6b7b"
    fill = color if point.ship else "white"
    bar = _line(x, axes.y(point.low), x, axes.y(point.high), f'stroke="{color}" opacity="0.35"')
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{color}"/>'
    weight = 'font-weight="bold"' if point.is_rung else 'fill="#5a6b7b"'
    return [bar, dot, _text(x + 7, y + 4, point.label, weight)]


def plot(
    points: Sequence[Point], floors: Sequence[tuple[str, float]], x_label: str, y_label: str
) -> str:
    """Return the SVG: a mark a variant, the ladder as a stair, floors as dashed lines.

    Variants that are not shipped are hollow. ``points`` must not be empty.
    """
    axes = _axes(points, floors)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = _grid(axes)
    for label, value in floors:
        y = axes.y(value)
        parts.append(_line(_LEFT, y, right, y, 'stroke="#888" stroke-dasharray="5 4"'))
        parts.append(_text(right + 6, y + 4, label, 'fill="#666"'))
    stair = sorted((p for p in points if p.is_rung), key=lambda p: p.cost)
    if stair:
        path = f"M{axes.x(stair[0].cost):.1f} {axes.y(stair[0].quality):.1f}"
        for point in stair[1:]:
            path += f" H{axes.x(point.cost):.1f} V{axes.y(point.quality):.1f}"
        path += f" H{right}"
        parts.append(f'<path d="{path}" fill="none" stroke="#b3001b" stroke-width="1.5"/>')
    for point in points:
        parts += _mark(axes, point)
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 10, x_label, 'text-anchor="middle"'))
    middle = (_TOP + bottom) / 2
    turned = f'text-anchor="middle" transform="rotate(-90 16 {middle:.1f})"'
    parts.append(_text(16, middle, y_label, turned))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
    )
    back = f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
    return "\n".join([head, back, *parts, "</svg>"]) + "\n"

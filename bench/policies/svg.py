# SPDX-License-Identifier: Apache-2.0
"""Line plots as SVG, written by hand: no display, no further library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 170, 30, 46
_COLORS = (
    "#b3001b",
    "#2456c9",
    "#12805c",
    "#b25e09",
    "#7a3fa0",
    "#00838f",
    "#5a6b7b",
    "#a0522d",
    "#c2185b",
    "#607d20",
)
_LEAST_SPAN = 0.02
_LABEL_GAP = 13.0


@dataclass(frozen=True)
class Series:
    """A line: one point a category, with the half width of its 95 % interval."""

    label: str
    values: Sequence[float | None]
    errors: Sequence[float]


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'


def _label_places(wanted: Sequence[float]) -> list[float]:
    """Heights for labels at least a line apart, close to those wanted."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    places = [0.0] * len(wanted)
    last = float("-inf")
    for index in order:
        last = max(wanted[index], last + _LABEL_GAP)
        places[index] = last
    too_low = last - (_HEIGHT - _BOTTOM)
    return [place - max(0.0, too_low) for place in places]


def plot(title: str, categories: Sequence[str], series: Sequence[Series], y_label: str) -> str:
    """Return the SVG; categories stand at equal distances on the x axis."""
    points = [v for s in series for v in s.values if v is not None]
    low, high = min(points), max(points)
    span = max(high - low, _LEAST_SPAN)
    low, high = low - 0.05 * span, low + 1.05 * span
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(index: int) -> float:
        return _LEFT + (index + 0.5) * (right - _LEFT) / len(categories)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - _TOP)

    parts = [_text((_LEFT + right) / 2, 16, title, 'text-anchor="middle" font-weight="bold"')]
    for step in range(6):
        value = low + step * (high - low) / 5
        parts.append(f'<path d="M{_LEFT} {y(value):.1f}H{right}" stroke="#e4e4e4"/>')
        parts.append(_text(_LEFT - 6, y(value) + 4, f"{value:.3f}", 'text-anchor="end"'))
    for index, category in enumerate(categories):
        parts.append(_text(x(index), bottom + 18, category, 'text-anchor="middle"'))
    last = [next((v for v in reversed(s.values) if v is not None), low) for s in series]
    places = _label_places([y(value) for value in last])
    for number, line in enumerate(series):
        color = _COLORS[number % len(_COLORS)]
        style = f'fill="none" stroke="{color}" stroke-width="{2 if number == 0 else 1.3}"'
        drawn = [(x(i), v) for i, v in enumerate(line.values) if v is not None]
        path = " ".join(f"{px:.1f},{y(v):.1f}" for px, v in drawn)
        parts.append(f'<polyline points="{path}" {style}/>')
        for (px, value), error in zip(drawn, line.errors, strict=True):
            bar = f"M{px:.1f} {y(value - error):.1f}V{y(value + error):.1f}"
            parts.append(f'<path d="{bar}" {style} opacity="0.5"/>')
            parts.append(f'<circle cx="{px:.1f}" cy="{y(value):.1f}" r="2.5" fill="{color}"/>')
        parts.append(_text(right + 8, places[number] + 4, line.label, f'fill="{color}"'))
    middle = (_TOP + bottom) / 2
    turned = f'text-anchor="middle" transform="rotate(-90 14 {middle:.1f})"'
    parts.append(_text(14, middle, y_label, turned))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
    )
    back = f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
    return "\n".join([head, back, *parts, "</svg>"]) + "\n"

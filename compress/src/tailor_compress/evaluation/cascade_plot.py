# SPDX-License-Identifier: Apache-2.0
"""A plot of quality against time as SVG: single cuts as a stair, what is planned as a line."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from tailor_compress.evaluation.cascade import CurvePoint

_WIDTH, _HEIGHT = 760, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 24, 52
_SINGLE, _PLANNED = "#5a6b7b", "#b3001b"
_STEP = 0.02


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, color: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}"/>'


def cascade_plot(points: Sequence[CurvePoint]) -> str:
    """Return the SVG; time on a logarithmic axis. ``points`` rise in time, at least two."""
    low_ms, high_ms = points[0].ms, points[-1].ms
    values = [value for point in points for value in (point.single, point.planned)]
    low, high = (
        math.floor(min(values) / _STEP) * _STEP,
        math.ceil(max(values) / _STEP + 0.1) * _STEP,
    )
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def x(ms: float) -> float:
        return _LEFT + math.log(ms / low_ms) / math.log(high_ms / low_ms) * (right - _LEFT)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - _TOP)

    parts = []
    for exponent in range(-3, 4):
        for factor in (1, 2, 5):
            ms = factor * 10.0**exponent
            if low_ms <= ms <= high_ms:
                parts.append(_line(x(ms), _TOP, x(ms), bottom, "#e4e4e4"))
                parts.append(_text(x(ms), bottom + 18, f"{ms:g}", 'text-anchor="middle"'))
    for step in range(round((high - low) / _STEP) + 1):
        value = low + step * _STEP
        parts.append(_line(_LEFT, y(value), right, y(value), "#e4e4e4"))
        parts.append(_text(_LEFT - 8, y(value) + 4, f"{value:.2f}", 'text-anchor="end"'))
    single = f"M{x(points[0].ms):.1f} {y(points[0].single):.1f}"
    for point in points[1:]:
        single += f" H{x(point.ms):.1f} V{y(point.single):.1f}"
    planned = "M" + " L".join(f"{x(p.ms):.1f} {y(p.planned):.1f}" for p in points)
    for path, color in ((single, _SINGLE), (planned, _PLANNED)):
        parts.append(f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.8"/>')
    for row, (label, color) in enumerate(
        (("cascade where it pays", _PLANNED), ("best single cut", _SINGLE))
    ):
        at = _TOP + 20 + 20 * row
        parts.append(_line(_LEFT + 16, at - 4, _LEFT + 44, at - 4, color))
        parts.append(_text(_LEFT + 52, at, label))
    middle = (_TOP + bottom) / 2
    parts.append(
        _text((_LEFT + right) / 2, _HEIGHT - 10, "ms for a list of 32", 'text-anchor="middle"')
    )
    turned = f'text-anchor="middle" transform="rotate(-90 16 {middle:.1f})"'
    parts.append(_text(16, middle, "nDCG@10 on the test set", turned))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
    )
    back = f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
    return "\n".join([head, back, *parts, "</svg>"]) + "\n"

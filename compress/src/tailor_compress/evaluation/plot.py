# SPDX-License-Identifier: Apache-2.0
"""A plot of quality against cost as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from tailor_compress.figures import OTHER, OWN, new_figure, plain_log_x, svg_of


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


def plot(
    points: Sequence[Point], floors: Sequence[tuple[str, float]], x_label: str, y_label: str
) -> str:
    """Return the SVG: a mark a variant, the ladder as a stair, floors as dashed lines.

    Variants that are not shipped are hollow. ``points`` must not be empty.
    """
    figure, axes = new_figure(x_label, y_label)
    plain_log_x(axes)
    for label, value in floors:
        axes.axhline(value, color="#888888", linestyle="--", linewidth=1)
        axes.annotate(label, (1, value), xycoords=("axes fraction", "data"), color="#666666")
    stair = sorted((p for p in points if p.is_rung), key=lambda p: p.cost)
    if stair:
        costs, qualities = [p.cost for p in stair], [p.quality for p in stair]
        axes.step(costs, qualities, where="post", color=OWN, linewidth=1.5, gid="ladder")
    for point in points:
        color = OWN if point.is_rung else OTHER
        axes.plot([point.cost] * 2, [point.low, point.high], color=color, alpha=0.35, linewidth=1)
        face = color if point.ship else "white"
        axes.plot(point.cost, point.quality, "o", color=color, markerfacecolor=face, markersize=4.5)
        axes.annotate(
            point.label,
            (point.cost, point.quality),
            xytext=(-4, 4) if point.is_rung else (4, -2),
            textcoords="offset points",
            horizontalalignment="right" if point.is_rung else "left",
            fontsize=9 if point.is_rung else 6,
            fontweight="bold" if point.is_rung else "normal",
            color="black" if point.is_rung else OTHER,
        )
    return svg_of(figure)

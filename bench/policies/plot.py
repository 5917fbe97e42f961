# SPDX-License-Identifier: Apache-2.0
"""Lines over categories as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tailor_compress.figures import new_figure, svg_of


@dataclass(frozen=True)
class Series:
    """A line: one point a category, with the half width of its 95 % interval."""

    label: str
    values: Sequence[float | None]
    errors: Sequence[float]


def plot(
    title: str, categories: Sequence[str], series: Sequence[Series], x_label: str, y_label: str
) -> str:
    """Return the SVG; the first series is drawn stronger than those it is held against."""
    figure, axes = new_figure(x_label, y_label, width=7.6, height=4.2)
    axes.set_title(title)
    for number, line in enumerate(series):
        drawn = [i for i, value in enumerate(line.values) if value is not None]
        axes.errorbar(
            [categories[i] for i in drawn],
            [line.values[i] or 0.0 for i in drawn],
            [line.errors[i] for i in drawn],
            label=line.label,
            marker="o",
            markersize=3,
            capsize=2,
            linewidth=2.2 if number == 0 else 1.2,
        )
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return svg_of(figure)

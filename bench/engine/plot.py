# SPDX-License-Identifier: Apache-2.0
"""Ratios to the best peer as SVG: a panel a model, a group of bars a batch, a bar a precision."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.lines
import matplotlib.patches
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from report import Row

_COLOURS = {"f32": "#5a6b7b", "bf16": "#b3001b", "f16": "#b3001b", "int8": "#e0a030"}
_STYLE: dict[Any, object] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tailor",  # ids of elements, random otherwise
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_TICKS = (0.5, 1, 2, 5, 10, 20, 50)
_GROUP = 0.8  # width of a batch's bars together


def _panel(axes: Any, model: str, rows: Sequence[Row]) -> None:
    batches = list(dict.fromkeys(row.batch for row in rows))
    precisions = [name for name in _COLOURS if any(row.precision == name for row in rows)]
    width = _GROUP / len(precisions)
    for row in rows:
        place = precisions.index(row.precision) + 0.5
        x = batches.index(row.batch) - _GROUP / 2 + place * width
        ratio = row.ratio
        # Medians come from different turns, so that all ratios of turns may lie on one side.
        error = [[max(0, ratio.median - ratio.low)], [max(0, ratio.high - ratio.median)]]
        axes.bar(x, ratio.median - 1, 0.9 * width, bottom=1, color=_COLOURS[row.precision])
        axes.errorbar(x, ratio.median, error, color="black", linewidth=0.8, capsize=1.5)
        axes.hlines(row.target, x - width / 2, x + width / 2, color="black", linewidth=1.4)
    axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
    axes.set_title(model)
    axes.set_xticks(range(len(batches)), batches)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator(_TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}x"))
    axes.grid(axis="y", color="#e4e4e4")


def plot(rows: Sequence[Row], machine: str) -> str:
    """The SVG; bars start at 1, whiskers are the range of single turns."""
    models = list(dict.fromkeys(row.model for row in rows))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(2.9 * len(models) + 0.8, 3.6), layout="constrained")
        panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
        for axes, model in zip(panels, models, strict=True):
            _panel(axes, model, [row for row in rows if row.model == model])
        panels[0].set_ylabel("engine / best peer of the precision")
        handles: list[Any] = [
            mpl.patches.Patch(color=c, label=name) for name, c in _COLOURS.items()
        ]
        handles.append(mpl.lines.Line2D([], [], color="black", linewidth=1.4, label="target"))
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
        figure.suptitle(machine, fontsize=8)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"

# SPDX-License-Identifier: Apache-2.0
"""Plots as SVG text: the same bytes for the same data, no display needed."""

import io
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

OWN, OTHER = "#b3001b", "#5a6b7b"  # what the plot is about, and what it is held against
_STYLE: dict[Any, object] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tailor",  # ids of elements, random otherwise
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e4e4",
}


def new_figure(
    x_label: str, y_label: str, width: float = 8.6, height: float = 5.2
) -> tuple[Figure, Axes]:
    """Return a figure of this size in inches, and its axes."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    return figure, axes


def plain_log_x(axes: Axes) -> None:
    """Make the x axis logarithmic, with plain numbers at 1, 2 and 5 of each decade."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())


def svg_of(figure: Figure) -> str:
    """Return the figure as SVG."""
    out = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"

# SPDX-License-Identifier: Apache-2.0
"""A plot of quality against time as SVG: single cuts as a stair, what is planned as a line."""

from collections.abc import Sequence

from tailor_compress.evaluation.cascade import CurvePoint
from tailor_compress.figures import OTHER, OWN, new_figure, plain_log_x, svg_of


def cascade_plot(points: Sequence[CurvePoint]) -> str:
    """Return the SVG; time on a logarithmic axis. ``points`` rise in time, at least two."""
    figure, axes = new_figure("ms for a list of 32", "nDCG@10 on the test set", 7.6, 4.4)
    plain_log_x(axes)
    times = [point.ms for point in points]
    planned, single = [p.planned for p in points], [p.single for p in points]
    axes.plot(times, planned, color=OWN, linewidth=1.8, label="cascade where it pays")
    axes.step(times, single, where="post", color=OTHER, linewidth=1.8, label="best single cut")
    axes.legend(loc="upper left", frameon=False)
    return svg_of(figure)

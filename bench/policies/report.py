# SPDX-License-Identifier: Apache-2.0
"""The comparison as a page, a JSON file and plots."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from plot import Series, plot
from profiles import Profile
from runs import BOUND, Store, has_bound
from scenarios import BOUND_DURATION, DURATION, SCENARIOS, Scenario, policies
from statistics_of_seeds import Estimate, estimate, paired

OWN, RIVAL = "tailored", "slackfit"
_FIGURES: dict[str, Callable[[dict[str, Any]], float]] = {
    "attainment": lambda r: float(r["attainment"]),
    "mean_quality": lambda r: float(r["mean_quality"]),
    "effective_quality": lambda r: float(r["effective_quality"]),
    "documents_per_s": lambda r: float(r["documents_per_s"]),
    "decision_p50_us": lambda r: float(r["decision_us"]["p50"]),
    "decision_p99_us": lambda r: float(r["decision_us"]["p99"]),
}
_PLOTTED_SHARE = 0.8  # of the best: what falls below would flatten the other lines


@dataclass(frozen=True)
class Comparison:
    """All results of one profile."""

    profile: Profile
    store: Store

    def scenarios(self) -> list[Scenario]:
        """Those in which every policy has been run."""
        return [
            s for s in SCENARIOS if all(self.by_seed(s, p, "attainment") for p in self.policies())
        ]

    def policies(self) -> list[str]:
        """Those compared."""
        return policies(self.profile)

    def by_seed(self, scenario: Scenario, policy: str, figure: str) -> dict[int, float]:
        """A figure of every seed."""
        return self.store.values(self.profile.name, scenario, policy, _FIGURES[figure])

    def mean(self, scenario: Scenario, policy: str, figure: str) -> Estimate:
        """A figure over the seeds."""
        return estimate(list(self.by_seed(scenario, policy, figure).values()))

    def difference(self, scenario: Scenario, other: str, figure: str) -> Estimate:
        """Tailored's figure less another policy's, seed by seed."""
        mine, theirs = (self.by_seed(scenario, p, figure) for p in (OWN, other))
        both = sorted(mine.keys() & theirs.keys())
        return paired([mine[s] for s in both], [theirs[s] for s in both])

    def distance(self, scenario: Scenario, policy: str) -> list[float]:
        """How far below the bound a policy stays, a share, without noise; one a seed."""
        values = self.store.values(
            self.profile.name, scenario, BOUND, lambda r: 1 - r["reached"][policy] / r["bound"]
        )
        return list(values.values())


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _effective(comparison: Comparison) -> list[str]:
    rows = []
    for scenario in comparison.scenarios():
        means = {
            p: comparison.mean(scenario, p, "effective_quality") for p in comparison.policies()
        }
        best = max(e.mean for e in means.values())
        cells = [f"**{e.shown()}**" if e.mean == best else e.shown() for e in means.values()]
        rows.append([scenario.label(), *cells])
    return ["Effective quality:", "", *_table(["trace, load", *comparison.policies()], rows)]


def _met(comparison: Comparison) -> list[str]:
    rows = []
    for scenario in comparison.scenarios():
        cells = []
        for policy in comparison.policies():
            met = comparison.mean(scenario, policy, "attainment").mean
            quality = comparison.mean(scenario, policy, "mean_quality").mean
            cells.append(f"{100 * met:.2f} / {quality:.4f}")
        rows.append([scenario.label(), *cells])
    head = ["trace, load", *comparison.policies()]
    return ["Attainment in percent / mean quality of what was met:", "", *_table(head, rows)]


def _costs(comparison: Comparison) -> list[str]:
    rows = []
    for policy in comparison.policies():
        means = [
            float(np.mean([comparison.mean(s, policy, f).mean for s in comparison.scenarios()]))
            for f in ("documents_per_s", "decision_p50_us", "decision_p99_us")
        ]
        rows.append([policy, f"{means[0]:.1f}", f"{means[1]:.1f}", f"{means[2]:.1f}"])
    head = ["policy", "documents/s in time", "decision p50, us", "decision p99, us"]
    return ["Means over the traces:", "", *_table(head, rows)]


def _bound(comparison: Comparison) -> list[str]:
    rows, own, rival = [], [], []
    for scenario in filter(has_bound, comparison.scenarios()):
        mine, theirs = (comparison.distance(scenario, p) for p in (OWN, RIVAL))
        if not mine:
            continue
        own.append(float(np.mean(mine)))
        rival.append(float(np.mean(theirs)))
        rows.append([scenario.label(), f"{100 * own[-1]:.2f}", f"{100 * rival[-1]:.2f}"])
    if not rows:
        return []
    rows.append(["mean", f"{100 * np.mean(own):.2f}", f"{100 * np.mean(rival):.2f}"])
    head = ["trace, load", f"{OWN}, %", f"{RIVAL}, %"]
    return [
        f"Distance to the clairvoyant bound, without noise, {BOUND_DURATION} a run:",
        "",
        *_table(head, rows),
    ]


def _below(comparison: Comparison) -> list[str]:
    """Where another policy has more effective quality, beyond the interval."""
    lines = []
    for scenario in comparison.scenarios():
        for policy in comparison.policies()[1:]:
            gap = comparison.difference(scenario, policy, "effective_quality")
            if gap.high < 0:
                lines.append(f"{scenario.label()}: {policy} by {-gap.mean:.4f} ± {gap.half:.4f}")
    return lines


def _miss_ratio(comparison: Comparison, scenario: Scenario) -> float | None:
    """Misses of tailored over SlackFit's; nothing when it misses none or its quality leads."""
    missed = [1 - comparison.mean(scenario, p, "attainment").mean for p in (OWN, RIVAL)]
    quality = comparison.difference(scenario, RIVAL, "mean_quality")
    if missed[1] == 0 or quality.high < 0:
        return None
    return missed[0] / missed[1]


def _claims(comparison: Comparison) -> list[list[str]]:
    scenarios = comparison.scenarios()
    below = _below(comparison)
    bursty = [s for s in scenarios if s.is_bursty]
    gains = []
    for scenario in bursty:
        gap = comparison.difference(scenario, RIVAL, "effective_quality").mean
        gains.append(gap / comparison.mean(scenario, RIVAL, "effective_quality").mean)
    ratios = [r for r in (_miss_ratio(comparison, s) for s in scenarios) if r is not None]
    distances = [
        float(np.mean(values))
        for values in (comparison.distance(s, OWN) for s in filter(has_bound, scenarios))
        if values
    ]
    name = comparison.profile.name
    pairs = len(scenarios) * (len(comparison.policies()) - 1)
    rows = [[name, "traces x policies with less than another", "0", f"{len(below)} of {pairs}"]]
    if gains:
        rows.append(
            [name, "gain on SlackFit, bursty traces", ">= 3 %", f"{100 * np.mean(gains):+.2f} %"]
        )
    if ratios:
        kept = sum(r <= 0.5 for r in ratios)
        rows.append(
            [
                name,
                "misses against SlackFit at no less quality",
                "<= 1/2",
                f"median {np.median(ratios):.2f}, kept in {kept} of {len(ratios)}",
            ]
        )
    if distances:
        goal = "<= 10 %" if any(cut.fixed > 0 for cut in comparison.profile.cuts) else "<= 5 %"
        measured = f"{100 * np.mean(distances):.2f} %"
        rows.append([name, "distance to the bound, up to load 1", goal, measured])
    return rows


def _plots(comparison: Comparison, folder: Path) -> list[str]:
    scenarios = [s for s in comparison.scenarios() if s.trace == "poisson"]
    if not scenarios:
        return []
    lines = []
    for policy in comparison.policies():
        means = [comparison.mean(s, policy, "effective_quality") for s in scenarios]
        lines.append(Series(policy, [e.mean for e in means], [e.half for e in means]))
    most = [max(s.values[i] or 0 for s in lines) for i in range(len(scenarios))]
    shown = [
        s
        for s in lines
        if all((v or 0) >= _PLOTTED_SHARE * m for v, m in zip(s.values, most, strict=True))
    ]
    name = comparison.profile.name
    title = f"{name}: Poisson arrivals"
    drawn = plot(title, [f"{s.load:g}" for s in scenarios], shown, "load", "effective quality")
    (folder / f"policies-{name}.svg").write_text(drawn, encoding="utf-8")
    return [f"![Effective quality over the load, {name}](policies-{name}.svg)", ""]


_INTRODUCTION = """# Policies compared

`tailor simulate` runs the server's own queue, admission, selector and cost model on a virtual
clock with an engine that takes what a profile says times a random error;
[ADR 0014](adr/0014-the-simulator.md) says how, `bench/policies/make_profiles.py` where the
profiles' numbers come from. A request is met when it is answered within its budget. Effective
quality is the quality summed over what was met, divided by all requests. Load 1 keeps the
profile's capacity cut busy, which is in the middle of the family. Intervals are 95 %, Student's t
over the seeds; the best of a row is bold.

The clairvoyant bound knows all arrivals and costs and pays no constant for a batch; why nothing
exceeds it stands in `bench/policies/bound.py`.

"""


def write_page(
    comparisons: list[Comparison], page: Path, provenance: str, seeds: int, missing: int
) -> None:
    """Write the page and the plots beside it."""
    text = _INTRODUCTION
    text += f"{provenance}; {seeds} seeds, {DURATION} a run.\n\n"
    if missing:
        text += f"Not whole: {missing} runs are missing.\n\n"
    text += "## Figures to reach\n\n"
    claims = [row for comparison in comparisons for row in _claims(comparison)]
    text += "\n".join(_table(["profile", "figure", "wanted", "measured"], claims)) + "\n"
    below = [
        f"- {comparison.profile.name}, {line}"
        for comparison in comparisons
        for line in _below(comparison)
    ]
    if below:
        text += "Where another policy delivers more, beyond the interval of the difference:\n\n"
        text += "\n".join(below) + "\n\n"
    for comparison in comparisons:
        text += f"## {comparison.profile.name}\n\n{comparison.profile.source}.\n\n"
        parts = [_plots(comparison, page.parent), _effective(comparison), _met(comparison)]
        parts += [_bound(comparison), _costs(comparison)]
        text += "\n".join(line for part in parts for line in part) + "\n"
    page.write_text(text.rstrip() + "\n", encoding="utf-8")


def write_json(comparisons: list[Comparison], file: Path) -> None:
    """Write every mean with its interval."""
    data = {
        comparison.profile.name: {
            scenario.label(): {
                policy: {
                    figure: {"mean": e.mean, "low": e.low, "high": e.high}
                    for figure in _FIGURES
                    for e in [comparison.mean(scenario, policy, figure)]
                }
                for policy in comparison.policies()
            }
            for scenario in comparison.scenarios()
        }
        for comparison in comparisons
    }
    file.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

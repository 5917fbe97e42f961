# SPDX-License-Identifier: Apache-2.0
"""What is run: the traces with their loads, and the policies."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profiles import Profile

DURATION = "60s"
BOUND_DURATION = "15s"  # the linear programs take seconds for thousands of requests


@dataclass(frozen=True)
class Scenario:
    """A generated trace at a load; 1 keeps the profile's capacity cut busy."""

    trace: str
    load: float
    is_bursty: bool = False
    fault: str = "none"

    def label(self) -> str:
        """As tables name it."""
        fault = "" if self.fault == "none" else f", {self.fault}"
        return f"{self.trace} {self.load:g}{fault}"


SCENARIOS = (
    *(Scenario("poisson", load) for load in (0.3, 0.6, 1, 2, 3)),
    *(Scenario(f"gamma-{cv2}", 0.8, is_bursty=True) for cv2 in (2, 4, 8)),
    *(Scenario(f"ramp-{slope}", 1, is_bursty=True) for slope in (250, 1000, 5000)),
    Scenario("day", 0.8, is_bursty=True),
    Scenario("flash", 0.8, is_bursty=True),
    Scenario("classes", 0.8),
    Scenario("sizes", 0.8),
    *(Scenario("mixed", load, is_bursty=True) for load in (0.3, 1, 3)),
    *(
        Scenario("gamma-4", 0.8, fault=fault)
        for fault in ("slow-phases", "lost-core", "slow-spell")
    ),
)


def policies(profile: Profile) -> list[str]:
    """The policies to compare, Tailor's own first; the fixed ones span the profile."""
    fixed = dict.fromkeys([profile.best().id, profile.capacity_cut, profile.cheapest().id])
    adaptive = ["slackfit", "infaas-mincost", "infaas-slowest-fit", "proteus"]
    return [
        "tailored",
        *adaptive,
        "model-switching",
        "aimd",
        *(f"fixed:{cut}" for cut in fixed),
    ]


def simulate(
    tailor: Path,
    profile: Path,
    scenario: Scenario,
    policy: str,
    seed: int,
    *,
    noise: float = 0.05,
    duration: str = DURATION,
    record: Path | None = None,
) -> dict[str, Any]:
    """One run of ``tailor simulate``, with the times of decisions."""
    command = [str(tailor), "simulate", "--json", "--decision-time", "--profile", str(profile)]
    command += ["--trace", scenario.trace, "--load", f"{scenario.load:g}", "--policy", policy]
    command += ["--fault", scenario.fault, "--noise", f"{noise:g}", "--seed", str(seed)]
    command += ["--duration", duration]
    if record is not None:
        command += ["--record", str(record)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result

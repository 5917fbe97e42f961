# SPDX-License-Identifier: Apache-2.0
"""Two processes train the same weights as one with the same lists a step."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from two_processes import train_and_score

from tailor_compress.errors import TailorError
from tailor_compress.ladder.basic import FineTune
from tailor_compress.ladder.run import divided

SCRIPT = Path(__file__).with_name("two_processes.py")


def test_two_processes_are_one_with_all_lists(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launch, str(SCRIPT), str(tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    train_and_score(tmp_path / "one")
    first, second = (torch.load(tmp_path / "two" / f"weights-2-{rank}.pt") for rank in (0, 1))
    single = torch.load(tmp_path / "one" / "weights-1-0.pt")
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name
        # Softmaxes do not see these biases: their gradient is rounding noise, which the optimiser
        # scales up.
        if not name.endswith(("key.bias", "classifier.bias")):
            torch.testing.assert_close(weight, single[name], atol=2e-4, rtol=0)
    assert len(list((tmp_path / "two" / "scores").glob("*.npy"))) == 2
    expected = np.load(tmp_path / "one" / "scores-1-0.npy")
    for rank in (0, 1):
        found = np.load(tmp_path / "two" / f"scores-2-{rank}.npy")
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_lists_that_cannot_be_shared_are_refused() -> None:
    halved = divided(FineTune(lists_per_step=6), 2)
    assert isinstance(halved, FineTune)
    assert halved.lists_per_step == 3
    with pytest.raises(TailorError, match="lists_per_step that 4 processes can share; got 6"):
        divided(FineTune(lists_per_step=6), 4)

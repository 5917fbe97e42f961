# SPDX-License-Identifier: Apache-2.0
"""Where a run happens: pinned packages, cores, the processor and what it is called."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

from amx import has_amx

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-bench"
MODELS = VENV / "models"
FAMILY = ROOT / "models/packages"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PEERS = ("onnxruntime", "openvino", "nncf", "ctranslate2", "torch")
# Extensions that decide which kernels run, best first, as /proc/cpuinfo calls them.
EXTENSIONS = ("amx_int8", "amx_bf16", "amx_fp16", "avx512_fp16", "avx512_vnni", "avx512f", "avx2")


def enter_venv() -> None:
    """Re-executes this script inside .venv-bench with the pinned packages, installed if needed."""
    python = VENV / "bin" / "python"
    ready = VENV / "ready"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        print(f"installing {REQUIREMENTS.name} into {VENV}", flush=True)
        if not python.exists():
            venv.create(VENV, with_pip=True)
        (VENV / ".gitignore").write_text("*\n")
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", REQUIREMENTS], check=True)
        ready.write_text(wanted, encoding="utf-8")
    if Path(sys.prefix) != VENV:
        os.execv(python, [str(python), *sys.argv])


def pin(threads: int) -> None:
    """Confines this process, and all that it starts, to its first `threads` cores.

    Every candidate then runs as many threads as it has cores, on the same ones. KMP_BLOCKTIME is
    for OpenMP runtimes of Intel's kind, whose threads else spin for 200 ms after their last run.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < threads:
        sys.exit(f"expected at most {len(cores)} threads, got {threads}: lower --threads")
    os.sched_setaffinity(0, cores[:threads])
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["KMP_BLOCKTIME"] = "1"
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(VENV / "inductor")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _cpuinfo(key: str) -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def extensions() -> list[str]:
    """Those of EXTENSIONS that the host has and this process may use."""
    flags = _cpuinfo("flags").split()
    usable = EXTENSIONS if has_amx() else [name for name in EXTENSIONS if "amx" not in name]
    return [name for name in usable if name in flags]


def heading(threads: int, rounds: int, load_before: float) -> list[str]:
    """Machine, date, command and versions: without them a figure is worth nothing."""
    versions = ", ".join(f"{name} {version(name)}" for name in PEERS)
    command = shlex.join(["python3", os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]])
    return [
        f"Machine: {_cpuinfo('model name') or platform.processor()}, {os.cpu_count()} cores; "
        f"{' '.join(extensions())}; {platform.system()} {platform.release()}",
        f"Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC; load average before: "
        f"{load_before:.2f}",
        f"Command: {command}",
        f"Peers: {versions}; {threads} threads each; medians of {rounds} interleaved turns",
    ]

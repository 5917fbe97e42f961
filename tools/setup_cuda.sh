#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes .venv-cuda: the CUDA compiler and libraries from PyPI wheels, with no driver and no GPU needed.
# Does nothing when a CUDA toolkit is installed already, or when the requirements have not changed
# since the last time.
set -euo pipefail
cd "$(dirname "$0")/.."

toolkit=${CUDAToolkit_ROOT:-${CUDA_HOME:-}}
if nvcc=$(command -v "${toolkit:+$toolkit/bin/}nvcc"); then
  echo "setup: CUDA is installed ($nvcc), so .venv-cuda is not needed"
  exit 0
fi
stamp=.venv-cuda/requirements.sha256
wanted=$(cat tools/cuda_requirements.txt tools/setup_cuda.sh | sha256sum)
if [[ -f "$stamp" && "$(cat "$stamp")" == "$wanted" ]]; then
  echo "setup: .venv-cuda is up to date"
  exit 0
fi
echo "setup: creating .venv-cuda (about 1.1 GB, half a minute)"
[[ -x .venv-cuda/bin/python ]] || python3 -m venv .venv-cuda
.venv-cuda/bin/pip install -q --disable-pip-version-check -r tools/cuda_requirements.txt
# One name for the toolkit, whatever Python made the environment.
roots=(.venv-cuda/lib/python3*/site-packages/nvidia/cu13)
if [[ ${#roots[@]} != 1 || ! -x "${roots[0]}/bin/nvcc" ]]; then
  echo "setup: expected one nvidia/cu13/bin/nvcc in .venv-cuda, got: ${roots[*]}; remove .venv-cuda and run again" >&2
  exit 1
fi
ln -sfn "${roots[0]#.venv-cuda/}" .venv-cuda/cuda
echo "$wanted" >"$stamp"

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Lists the GPU code in the binary of a build and fails when that of one architecture is missing.
# Usage: tools/cuda_architectures.sh [BUILD]
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:-build/cuda}
cuobjdump=$(sed -n 's|^TAILOR_NVCC:FILEPATH=\(.*/\)nvcc$|\1cuobjdump|p' "$build/CMakeCache.txt")
listing=$("$cuobjdump" --list-elf --list-ptx "$build/cli/tailor" 2>&1 || true)
found=$(grep -oE 'sm_[0-9]+a?\.(cubin|ptx)$' <<<"$listing" | sort -u | tr '\n' ' ' || true)
echo "cuda: $build/cli/tailor holds ${found:-no GPU code}"
for wanted in sm_80.cubin sm_89.cubin sm_90a.cubin sm_90.ptx; do
  if [[ " $found" != *" $wanted "* ]]; then
    echo "cuda: expected $wanted in $build/cli/tailor, got ${found:-nothing}" >&2
    exit 1
  fi
done

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that judges without running: layout, static analysis, types, layers, documents.
# CHANGED=1 limits clang-tidy to the files that differ from the last commit.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
check() {
  local name=$1
  echo "lint: $name"
  shift
  "$@" 2>&1 || { failed=1; echo "lint: FAILED: $name"; }
}

mapfile -t cpp < <(git ls-files --cached --others --exclude-standard '*.cc' '*.h' '*.cu' '*.cuh')
mapfile -t sources < <(git ls-files --cached --others --exclude-standard '*.cc' | grep -v -E '_(test|bench|fuzz)\.cc$|^tests/|^bench/')
if [[ "${CHANGED:-0}" == 1 ]]; then
  mapfile -t sources < <({ git diff --name-only HEAD; git ls-files --others --exclude-standard; } | grep -E '\.cc$' | grep -v -E '_(test|bench|fuzz)\.cc$|^tests/|^bench/')
fi
check "clang-format" clang-format-16 --dry-run -Werror "${cpp[@]}"
# The sources of the GPU engine are compiled, and known to CMake, in a build with CUDA alone.
host=() gpu=()
for source in "${sources[@]}"; do
  if [[ "$source" != engine/cuda/* ]] || grep -qsF "/$source\"" build/release/compile_commands.json; then
    host+=("$source")
  else
    gpu+=("$source")
  fi
done
tidy() {
  local build=$1
  shift
  (($#)) || return 0
  check "clang-tidy on $# files of $build" \
    bash -c 'build=$1; shift; printf "%s\n" "$@" | xargs -P "$(nproc)" -n 4 clang-tidy-16 -p "$build" --quiet 2>/dev/null' _ "$build" "$@"
}
tidy build/release "${host[@]}"
if [[ -f build/cuda/compile_commands.json ]]; then
  tidy build/cuda "${gpu[@]}"
elif ((${#gpu[@]})); then
  echo "lint: clang-tidy skips ${#gpu[@]} files that need build/cuda; run make build-cuda first"
fi
check "layers" python3 tools/check_layers.py
check "documents" python3 tools/check_docs.py
check "ruff" .venv/bin/ruff check compress tools tests bench
check "ruff format" .venv/bin/ruff format --check compress tools tests bench
check "mypy of compress" bash -c "cd compress && ../.venv/bin/mypy"
# bench/engine runs in an environment of its own, whose packages are not installed here.
check "mypy of tools" .venv/bin/mypy --strict tools bench/service bench/policies
exit $failed

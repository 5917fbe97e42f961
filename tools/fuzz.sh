#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target of a build for some seconds on its committed corpus; new inputs go to a
# temporary folder. Usage: tools/fuzz.sh BUILD SECONDS
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
seconds=$2

found=0
while read -r target; do
  found=$((found + 1))
  name=$(basename "$target" _fuzz)
  corpus=tests/fuzz/$(basename "$(dirname "$target")")/corpus
  [[ -d "$corpus/$name" ]] && corpus=$corpus/$name
  fresh=$(mktemp -d)
  echo "fuzz: $name for $seconds s, corpus $corpus"
  "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 "$fresh" "$corpus"
  rm -rf "$fresh"
done < <(find "$build/tests/fuzz" -type f -name '*_fuzz' -perm -u+x)
((found > 0)) || { echo "fuzz: no targets in $build/tests/fuzz; configure with TAILOR_BUILD_FUZZERS=ON" >&2; exit 1; }

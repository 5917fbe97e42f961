#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that tools/packages.txt lists for the sections named as arguments
# (default: build). Idempotent. SKIP_APT=1 installs nothing and says what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

sections=" ${*:-build} "
missing=()
while read -r name section reason; do
  [[ -z "$name" || "$name" == \#* || "$sections" != *" $section "* ]] && continue
  if [[ "$(dpkg-query -W -f '${Status}' "$name" 2>/dev/null)" != "install ok installed" ]]; then
    # A command that came from elsewhere (for example a newer CMake) serves as well as the package.
    case "$name" in
      cmake | git | make | python3) command -v "$name" >/dev/null && continue ;;
      python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null && continue ;;
      ninja-build) command -v ninja >/dev/null && continue ;;
    esac
    missing+=("$name")
    echo "setup: missing $name ($reason)"
  fi
done <tools/packages.txt

if ((${#missing[@]} == 0)); then
  echo "setup: all packages of section(s)$sections are installed"
  exit 0
fi
if [[ "${SKIP_APT:-0}" == 1 ]]; then
  echo "setup: SKIP_APT=1, so nothing was installed; to install: apt-get install ${missing[*]}" >&2
  exit 1
fi
as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || { echo "setup: expected root or sudo to install: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
step() { echo "setup: $*"; "$@"; }
step "${as_root[@]}" apt-get update -qq
step "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get install -y -qq --no-install-recommends "${missing[@]}"

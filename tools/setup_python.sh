#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes .venv with the compress package and what the Python tests and linters need. Does nothing when
# the files that name the requirements have not changed since the last time.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/requirements.sha256
wanted=$(cat compress/pyproject.toml tests/requirements.txt | sha256sum)
if [[ -f "$stamp" && "$(cat "$stamp")" == "$wanted" ]]; then
  echo "setup: .venv is up to date"
  exit 0
fi
echo "setup: creating .venv (PyTorch is large: about 5 GB, a minute or two)"
[[ -x .venv/bin/python ]] || python3 -m venv .venv
.venv/bin/pip install -q --disable-pip-version-check -e 'compress[test]' -r tests/requirements.txt
echo "$wanted" >"$stamp"

#!/usr/bin/env bash
# Write the locked requirements, for every supported Python and platform, with hashes.
# They name no index, so they install from whichever one the machine is set up with.
# Usage: packaging/lock.sh [--upgrade]
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v uv >/dev/null; then
  # Kept apart from .venv, which holds only what is locked.
  [ -x .cache/lock/bin/uv ] || { python3 -m venv .cache/lock && .cache/lock/bin/pip --quiet install uv; }
  PATH=$PWD/.cache/lock/bin:$PATH
fi

compile() {
  local output=$1
  shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
    --output-file "$output" "$@"
  # The header is ours, because the tool's own would quote paths of the machine that ran it.
  sed -i '1i # Made by `make lock` from pyproject.toml; edit that instead.' "$output"
}

compile packaging/requirements.txt pyproject.toml "$@"
# The same versions with the development tools on top.
compile packaging/requirements-dev.txt pyproject.toml --extra dev \
  --constraint packaging/requirements.txt "$@"
# What builds the project itself; `editables` is what hatchling needs for `pip install --editable`.
printf 'hatchling>=1.27,<2\neditables\n' | compile packaging/requirements-build.txt - "$@"

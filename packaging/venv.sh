#!/usr/bin/env bash
# Set up .venv from the locked requirements: `packaging/venv.sh run` or `packaging/venv.sh dev`.
# Done once per content of the lock: a stamp inside .venv says what it was made from.
set -euo pipefail
cd "$(dirname "$0")/.."
level=${1:?run or dev}

find_python() {
  local name
  for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    # Asked to run: a name on PATH may be a stub for a version that is not there.
    if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  echo "reconciler needs Python 3.11 or newer, with venv (on Debian: apt install python3-venv)." >&2
  echo "Where it goes by another name: make PYTHON=/path/to/python3 …" >&2
  return 1
}

wanted() {
  cat pyproject.toml packaging/requirements-build.txt "$1" | cksum
}

requirements_of() {
  case $1 in
    run) echo packaging/requirements.txt ;;
    dev) echo packaging/requirements-dev.txt ;;
    *) echo "unknown: $1 (run or dev)" >&2; return 2 ;;
  esac
}

is_ready() {
  local stamp=.venv/made-from-$1
  [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted "$(requirements_of "$1")")" ]
}

install() {
  .venv/bin/python -m pip --quiet --disable-pip-version-check install "$@"
}

requirements=$(requirements_of "$level")
# The development environment has everything that running takes.
if is_ready "$level" || { [ "$level" = run ] && is_ready dev; }; then
  exit 0
fi

# Two makes at once (tests and a daemon) set it up one after the other.
exec 9<"packaging/venv.sh"
if command -v flock >/dev/null; then flock 9; fi
is_ready "$level" && exit 0

if ! .venv/bin/python -c '' 2>/dev/null; then
  python=$(find_python)
  echo "set up: .venv with $("$python" --version)"
  rm -rf .venv
  "$python" -m venv .venv
fi
echo "set up: installing ${requirements} (about half a minute, once)"
install --require-hashes --requirement "$requirements"
install --require-hashes --requirement packaging/requirements-build.txt
install --no-deps --no-build-isolation --editable .
wanted "$requirements" >".venv/made-from-$level"

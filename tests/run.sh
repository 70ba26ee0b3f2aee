#!/usr/bin/env bash
# Sets up everything that the tests need (first call only) and runs them.
#
#   ./tests/run.sh [OPTIONS OF pytest]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../examples/environment.sh"

environment cpu,mesh,train,dev
# Tests of synthetic speech are skipped without it; nothing else is.
command -v espeak-ng > /dev/null || debian espeak-ng || true
cd "$REPOSITORY"
exec python -m pytest "$@"

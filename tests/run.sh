#!/usr/bin/env bash
# Sets up everything that the tests need (first call only) and runs them.
#
#   ./tests/run.sh [OPTIONS OF pytest]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../examples/environment.sh"

environment cpu,mesh,video,usd,ray,train,studio,dev
# Where these are missing, the tests that need them are skipped, and say so: synthetic speech, tracking of videos, pages.
command -v espeak-ng > /dev/null || debian espeak-ng || true
python -c 'import ctypes; [ctypes.CDLL(n) for n in ("libEGL.so.1", "libGLESv2.so.2", "libGL.so.1")]' 2> /dev/null ||
  debian libegl1 libgles2 libgl1 libgl1-mesa-dri || true
command -v chromium > /dev/null || debian chromium || true
cd "$REPOSITORY"
exec python -m pytest "$@"

#!/usr/bin/env bash
# Sets MSMD up (first call only) and animates the example lines.
#
#   ./examples/run.sh [OPTIONS OF msmd batch]      default: --style angry --out out
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

environment cpu
[ $# -gt 0 ] || set -- --style angry --out "$REPOSITORY/out"
exec msmd batch "$REPOSITORY/examples/lines.yaml" "$@"

# Sourced by examples/run.sh and tests/run.sh: a virtual environment with MSMD in it.
#
#   environment EXTRAS    makes it where needed and puts its programs first in PATH; EXTRAS as in pip: cpu,dev
#   debian PACKAGE...     installs Debian packages where that is possible; fails where it is not
#
# MSMD_VENV is its folder (default: .venv in the repository). A call that asks for nothing new, with the same
# pyproject.toml, changes nothing and needs no network.

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${MSMD_VENV:-$REPOSITORY/.venv}

say() { printf '%s\n' "$*" >&2; }

debian() {
  local become=()
  [ "$(id -u)" = 0 ] || become=(sudo)
  if ! command -v apt-get > /dev/null || { [ "$(id -u)" != 0 ] && ! command -v sudo > /dev/null; }; then
    say "Hint: install what Debian calls: $*"
    return 1
  fi
  say "installing $* ..."
  "${become[@]}" env DEBIAN_FRONTEND=noninteractive sh -c '
    apt-get update -qq && apt-get install -qq -y --no-install-recommends "$@" > /dev/null' apt "$@" >&2
}

python_is_fit() { python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; }

environment() {
  local wanted=$1 project installed="" missing="" extra stamp=$VENV/msmd-installed
  if [ ! -x "$VENV/bin/python" ]; then
    if ! python_is_fit && ! { debian python3 python3-venv && python_is_fit; }; then
      say "Error: MSMD needs Python 3.11 or later with its venv module"
      return 1
    fi
    python3 -m venv "$VENV"
  fi
  project="$REPOSITORY $(sha256sum < "$REPOSITORY/pyproject.toml")"
  if [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$project" ]; then installed=$(tail -n 1 "$stamp"); fi
  for extra in ${wanted//,/ }; do
    case ",$installed," in *",$extra,"*) ;; *) missing=$missing,$extra ;; esac
  done
  if [ -n "$missing" ]; then
    installed=$installed$missing
    installed=${installed#,}
    say "installing MSMD with the extras $installed into $VENV ..."
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$REPOSITORY[$installed]" >&2
    printf '%s\n%s\n' "$project" "$installed" > "$stamp"
  fi
  PATH=$VENV/bin:$PATH
}

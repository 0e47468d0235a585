# SPDX-License-Identifier: BSL-1.0
#
# What the scripts in this folder share. docs.py runs each in an empty folder and in a network namespace
# of its own, where every port is free; what a script prints is shown in a page.
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
ip link set lo up
cp "$(dirname "$LIBRARY")"/*.py .

# What netstat says without root, and lsof of file systems that it cannot read.
remarks='/^(Not all processes/d; /^ will not be shown/d; /^(No info could be read/d'
remarks+='; /^lsof: WARNING/d; /^ *Output information may be incomplete/d'

# show COMMAND: prints it as at a prompt, then what it prints.
show() {
  printf '$ %s\n' "$1"
  bash -c "$1" 2>&1 | sed "$remarks" || true
}

# start COMMAND...: in the background, until it prints a line.
start() {
  mkfifo ready
  "$@" >ready 2>&1 &
  head -1 ready >/dev/null
  rm ready
}

# tools PORT [ADDRESS:PORT [FILTER]]: what the usual tools show of a TCP port, and then tidewait of a bind
# to the endpoint.
tools() {
  show "netstat -antp | grep :$1${3:-}"
  echo
  show "ss -Hantp 'sport = :$1'"
  echo
  show "lsof -nP -iTCP:$1"
  echo
  show "tidewait why ${2:-$1}"
}

#!/usr/bin/env bash
# Ends the control plane that up.sh started in DIR, and waits until all of it is gone. Harmless when nothing runs.
#
#   down.sh [--remove] DIR        --remove: DIR goes too
set -euo pipefail

REMOVE=no
if [ "${1:-}" = --remove ]; then REMOVE=yes; shift; fi
[ $# = 1 ] || { echo "usage: down.sh [--remove] DIR" >&2; exit 1; }
[ -d "$1" ] || exit 0
DIR=$(cd "$1" && pwd -P)

# shellcheck source=identity.sh
source "$(dirname "${BASH_SOURCE[0]}")/identity.sh"

# A pid alone may by now belong to somebody else; our servers have DIR as their working directory.
declare -A running=()
for file in "$DIR"/pids/*; do
  if [ -e "$file" ]; then
    pid=$(<"$file")
    if [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$DIR" ]; then running[$pid]=$(identity "$pid"); fi
  fi
done

supervisor=$(cat "$DIR/pids/supervisor" 2>/dev/null || true)
if [ -n "${running[${supervisor:-none}]:-}" ]; then kill -TERM "$supervisor" 2>/dev/null || true; fi
for attempt in {1..200}; do
  for pid in "${!running[@]}"; do
    if [ "$(identity "$pid")" != "${running[$pid]}" ]; then unset "running[$pid]"; continue; fi
    # The supervisor should have ended them long since.
    if [ "$attempt" -gt 100 ]; then kill -KILL "$pid" 2>/dev/null || true; fi
  done
  if [ ${#running[@]} = 0 ]; then break; fi
  sleep 0.05
done
if [ $REMOVE = yes ]; then rm -rf "$DIR"; fi

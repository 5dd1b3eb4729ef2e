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

# A pid alone may by now belong to somebody else; our servers have DIR as their working directory.
ours() { [ "$(readlink "/proc/$1/cwd" 2>/dev/null)" = "$DIR" ]; }

pids=()
for file in "$DIR"/pids/*; do
  if [ -e "$file" ]; then pids+=("$(<"$file")"); fi
done
if [ -e "$DIR/pids/supervisor" ]; then
  supervisor=$(<"$DIR/pids/supervisor")
  if ours "$supervisor"; then kill -TERM "$supervisor" 2>/dev/null || true; fi
fi
for attempt in {1..100}; do
  alive=no
  for pid in "${pids[@]}"; do if ours "$pid"; then alive=yes; fi; done
  if [ $alive = no ]; then break; fi
  # The supervisor should have ended them long since.
  if [ "$attempt" -gt 50 ]; then for pid in "${pids[@]}"; do if ours "$pid"; then kill -KILL "$pid" 2>/dev/null || true; fi; done; fi
  sleep 0.1
done
if [ $REMOVE = yes ]; then rm -rf "$DIR"; fi

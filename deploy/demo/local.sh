#!/usr/bin/env bash
# `make demo-local`: the same documents for a process without any cluster. A command runs with the values of a sealed file
# and is restarted when a value changes, once; every claim is checked, and one that does not hold ends it with exit 1.
#
#   deploy/demo/local.sh             needs target/debug/sealctl (make build)
#   PROGRAMS=FOLDER                  takes sealctl from there
#
# It works on a copy of keys/ and envs/ in a scratch folder, with an identity that was made for tests, and looks at no key
# of yours.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
# shellcheck source=deploy/demo/steps.sh
. deploy/demo/steps.sh

PROGRAMS=$(cd "${PROGRAMS:-${CARGO_TARGET_DIR:-target}/debug}" && pwd)
ENVIRONMENT=dev
APP=polls
FILE=envs/$ENVIRONMENT/$APP.yaml
[ -x "$PROGRAMS/sealctl" ] || { echo "local.sh: $PROGRAMS/sealctl is missing; run make build" >&2; exit 1; }

# Nothing of the caller's own configuration gets in.
for variable in $(compgen -e | grep -E '^(SEALCTL|SOPS|DATABASE|DJANGO)_?' || true); do unset "$variable"; done
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/sealctl-demo.XXXXXX")
PROJECT=$SCRATCH/project
LOG=$SCRATCH/server.log
mkdir "$SCRATCH/home" "$PROJECT"
export HOME=$SCRATCH/home XDG_CONFIG_HOME=$SCRATCH/home/.config SOPS_AGE_KEY_FILE=$ROOT/tests/keys/alice.txt
cp -R keys envs "$PROJECT/"

# --- what stops it all ------------------------------------------------------------------------------------------------

RUNNING=

clean_up() {
  local code=$?
  trap - EXIT
  if [ -n "$RUNNING" ]; then kill -TERM "$RUNNING" 2>/dev/null || true; wait "$RUNNING" 2>/dev/null || true; fi
  rm -rf "$SCRATCH"
  exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

still_running() { [ -z "$RUNNING" ] || kill -0 "$RUNNING" 2>/dev/null; }
on_failure() { if [ -e "$LOG" ]; then echo "   what the command printed:"; tail -n 20 "$LOG" | indented; fi; }

# --- short words for what is done often -----------------------------------------------------------------------------

sealctl() { (cd "$PROJECT" && "$PROGRAMS/sealctl" "$@"); }
starts() { grep -c '^server: up' "$LOG" || true; }
said() { grep -qF -- "$1" "$LOG"; }
hides() { ! grep -qF -f <(for key in DJANGO_SECRET_KEY DATABASE_PASSWORD; do sealctl get $key -e $ENVIRONMENT; echo; done) "$LOG"; }
started() { [ "$(starts)" = "$1" ]; }

# A stand-in for a development server: it says what it got, never a value, and ends when it is told to.
cat >"$SCRATCH/server" <<'END'
#!/bin/sh
trap 'echo "server: stops"; exit 0' TERM
echo "server: up, with database user $DATABASE_USER and a secret key of ${#DJANGO_SECRET_KEY} characters"
while :; do sleep 0.1; done
END
chmod +x "$SCRATCH/server"

# --- the demonstration ----------------------------------------------------------------------------------------------

step "A sealed file in git"
run sealctl show -e $ENVIRONMENT
claim "the file itself shows no secret" grep -q 'DJANGO_SECRET_KEY: .*ENC\[AES256_GCM' "$PROJECT/$FILE"

step "A process gets its values, without any server or cluster"
show "sealctl run -e $ENVIRONMENT --watch -- ./server"
(cd "$PROJECT" && exec "$PROGRAMS/sealctl" run -e $ENVIRONMENT --watch -- "$SCRATCH/server") >"$LOG" 2>&1 &
RUNNING=$!
await "the command is up" 10 started 1
indented <"$LOG"

step "One sealed value changes"
show "head -c 36 /dev/urandom | base64 | tr -d '\\n' | sealctl set DJANGO_SECRET_KEY - -e $ENVIRONMENT"
head -c 36 /dev/urandom | base64 | tr -d '\n' | sealctl set DJANGO_SECRET_KEY - -e $ENVIRONMENT 2>&1 | indented
await "the command was restarted" 20 started 2
claim "sealctl said why, by name and not by value" said "~ DJANGO_SECRET_KEY"
claim "it was told to stop before, and did" said "server: stops"
sleep 1
claim "it was restarted once" started 2

step "The same file, touched without change"
run touch "$PROJECT/$FILE"
sleep 3
claim "nothing was restarted" started 2

step "The file is broken on purpose"
cp "$PROJECT/$FILE" "$SCRATCH/good.yaml"
show "sed -i 's/^  DATABASE_USER: .*/  DATABASE_USER: mallory/' $FILE"
sed -i 's/^  DATABASE_USER: .*/  DATABASE_USER: mallory/' "$PROJECT/$FILE"
await "sealctl says what is wrong with it" 20 said "E0130"
grep -A 3 -F 'E0130' "$LOG" | indented
claim "the command keeps running with the last good values" started 2

step "The file is put right again"
show "git restore $FILE"
cp "$SCRATCH/good.yaml" "$PROJECT/$FILE"
await "sealctl sees the same values as before" 20 said "same values"
claim "nothing was restarted" started 2

step "The end"
show "kill -TERM \$(pidof sealctl)"
kill -TERM "$RUNNING"
code=0; wait "$RUNNING" || code=$?
RUNNING=
claim "the command was ended with it, and its status passed on" same "$code" 0
claim "no value stands in what was printed" hides
finish

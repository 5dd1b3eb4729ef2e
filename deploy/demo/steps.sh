# shellcheck shell=bash
# How a demonstration is told: steps with their time, commands shown before they run, claims that end it when they fail.
# Sourced by the demonstrations. They define `on_failure`, which prints what helps to understand.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
  BOLD='' DIM='' RED='' GREEN='' PLAIN=''
fi

milliseconds() { local now=${EPOCHREALTIME/[.,]/}; echo $((now / 1000)); }
as_seconds() { printf '%d.%01d s' $(($1 / 1000)) $(($1 % 1000 / 100)); }

BEGIN=$(milliseconds)
STEP=0 STEP_BEGIN=$BEGIN CLAIMS=0

# step TITLE: ends the step before, with its time, and begins one.
step() {
  end_step
  STEP=$((STEP + 1)) STEP_BEGIN=$(milliseconds)
  printf '\n%s%d. %s%s\n' "$BOLD" "$STEP" "$1" "$PLAIN"
}

end_step() {
  if [ "$STEP" -gt 0 ]; then printf '   %s%s%s\n' "$DIM" "$(as_seconds $(($(milliseconds) - STEP_BEGIN)))" "$PLAIN"; fi
}

say() { printf '   %s\n' "$*"; }
indented() { sed 's/^/     /'; }

# show COMMAND-LINE: what somebody would type, where it has a pipe or a redirection.
show() { printf '   %s$ %s%s\n' "$BOLD" "$*" "$PLAIN"; }

# run COMMAND...: shows it, runs it, indents what it says; ends the demonstration when it fails.
run() {
  show "$*"
  "$@" 2>&1 | indented || fail "that command failed"
}

# claim TEXT COMMAND...: COMMAND has to succeed, or the demonstration fails.
claim() {
  local text=$1; shift
  if ! "$@"; then fail "not shown: $text"; fi
  CLAIMS=$((CLAIMS + 1))
  printf '   %s✓%s %s\n' "$GREEN" "$PLAIN" "$text"
}

# await TEXT SECONDS COMMAND...: COMMAND has to succeed within that time, which is printed.
await() {
  local text=$1 limit=$2 begin; shift 2
  begin=$(milliseconds)
  until "$@"; do
    if [ $(($(milliseconds) - begin)) -ge $((limit * 1000)) ]; then fail "not shown within $limit s: $text"; fi
    if ! still_running; then fail "a program of the demonstration has ended"; fi
    sleep 0.1
  done
  CLAIMS=$((CLAIMS + 1))
  printf '   %s✓%s %s  %safter %s%s\n' "$GREEN" "$PLAIN" "$text" "$DIM" "$(as_seconds $(($(milliseconds) - begin)))" "$PLAIN"
}

# The demonstrations may say more.
still_running() { true; }
on_failure() { true; }

fail() {
  printf '\n   %s✗ %s%s\n' "$RED" "$1" "$PLAIN" >&2
  trap - ERR
  on_failure >&2 || true
  exit 1
}

same() { [ "$1" = "$2" ]; }
differ() { [ "$1" != "$2" ]; }

finish() {
  end_step
  printf '\n%s%s%d steps, %d claims shown, %s%s\n' "$BOLD" "$GREEN" "$STEP" "$CLAIMS" \
    "$(as_seconds $(($(milliseconds) - BEGIN)))" "$PLAIN"
}

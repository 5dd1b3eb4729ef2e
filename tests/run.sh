#!/usr/bin/env bash
# Runs the steps that prove the project, one after the other, and says how long each took. `make` calls it.
#
#   tests/run.sh [--only STEP,STEP...]        without --only: all of them, in the order of STEPS
#
# Nothing is installed on the machine: what is missing is named, with the way to get it. What is built goes to
# target/ and to the user's cache. The output of every step also lies in target/steps/STEP.log.
# Exit: 0 all passed, 1 a step failed, 2 something is missing or the usage is wrong.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Fast ones first. `tools` waits for the servers that the following ones need, built meanwhile.
STEPS=(fmt clippy doc packages build unit tools cli core cluster complete image demo-local demo)
TARGET=${CARGO_TARGET_DIR:-target}
LOGS=$TARGET/steps

if [ -t 1 ]; then BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'; else BOLD='' RED='' GREEN='' PLAIN=''; fi

# --- what has to be there ---------------------------------------------------------------------------------------------

missing=()

# need PROGRAM WHAT-FOR HOW: notes PROGRAM as missing unless it is there.
need() { command -v "$1" >/dev/null || missing+=("$1 ($2): $3"); }

need_go() {
  local version
  if ! command -v go >/dev/null; then
    missing+=("go (builds Kubernetes, etcd, kwok and SOPS for the tests): https://go.dev/dl/, or apt-get install golang-go")
    return
  fi
  version=$(go env GOVERSION); version=${version#go}
  # Since 1.21 Go fetches by itself the version that a go.mod asks for.
  if [ "$(printf '1.21\n%s\n' "$version" | sort -V | head -1)" != 1.21 ]; then
    missing+=("Go 1.21 or newer (found $version): https://go.dev/dl/")
  fi
}

need_python() {
  need python3 "a real Django runs the superuser Job's command, and Ansible opens files through us" "apt-get install python3 python3-venv"
  if command -v python3 >/dev/null && ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    missing+=("python3's venv (for that Django): apt-get install python3-venv")
  fi
}

check_machine() {
  [ "$(uname -s)" = Linux ] || missing+=("Linux (the control plane of the tests needs its /proc)")
  need cargo "builds everything" "https://rustup.rs; it then fetches the version of rust-toolchain.toml by itself"
  need cc "links, and compiles ring" "apt-get install build-essential"
  need git "tests of projects in git" "apt-get install git"
  need flock "one build at a time" "apt-get install util-linux"
  if selected tools; then need_go; fi
  if selected cluster || selected core || selected cli; then need_python; fi
  if selected image; then need python3 "writes the image's tar" "apt-get install python3"; fi
  [ ${#missing[@]} = 0 ] && return
  echo "missing on this machine:" >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 2
}

# --- the steps --------------------------------------------------------------------------------------------------------

# The servers are built while cargo works; `tools` is the moment from which they are needed.
TOOLS_PID=
start_tools() {
  local servers="etcd kubernetes kwok"
  # The demo seals with sealctl alone.
  if selected cli || selected core || selected cluster; then servers+=" sops"; fi
  : >"$LOGS/tools.log"
  setsid bash -c 'set -o pipefail; tests/cluster/tools/build.sh $2 2>&1 | tee -a "$1" \
    | sed -u "/^\//d; s/^/  [servers] /"' build "$LOGS/tools.log" "$servers" &
  TOOLS_PID=$!
}
stop_tools() { if [ -n "$TOOLS_PID" ]; then kill -TERM -- "-$TOOLS_PID" 2>/dev/null || true; fi; }

await_tools() {
  local pid=$TOOLS_PID
  TOOLS_PID=
  wait "$pid" || { echo "the servers could not be built (all of it: $LOGS/tools.log)"; return 1; }
}

step_fmt() { cargo fmt --all --check; }
step_clippy() { cargo clippy --locked --all-targets -- -D warnings; }
# The pages of the library: a link that leads nowhere is a failure. Its examples run with `unit`.
step_doc() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps; }
step_packages() {
  if ! command -v cargo-deny >/dev/null; then
    echo "cargo-deny is not installed (cargo install cargo-deny): advisories are not looked up;"
    echo "licences, bans and sources are checked by tests/core/packages.rs, which runs with the other tests."
    if only; then cargo test --locked --test core -- packages || return 1; fi
    return 0
  fi
  cargo deny --locked check bans licenses sources || return 1
  cargo deny --locked check advisories || echo "advisories were found; they do not fail this step"
}
# The tests need the programs, so cargo builds these, too. (`cargo build --bins` would compile tokio and all that stands on
# it once more, without the features that the tests' own packages ask for.)
step_build() {
  if only; then cargo build --locked --bins; else cargo test --locked --no-run; fi
}
step_unit() {
  cargo test --locked --lib -- --include-ignored && cargo test --locked --doc
}
step_cli() { cargo test --locked --test cli -- --include-ignored; }
step_core() { cargo test --locked --test core -- --include-ignored; }
step_cluster() { cargo test --locked --test cluster -- --include-ignored --show-output; }
# How the image is made is what is shown here, not how fast its programs are: little optimising saves minutes. In a
# folder of its own, so that nobody takes it for the one of `make image`.
step_image() {
  CARGO_TARGET_DIR=$TARGET/test-image CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 deploy/image/build.sh || return 1
  python3 -B deploy/image/check.py "$TARGET"/test-image/image/seald-*.tar
}
step_demo_local() { deploy/demo/local.sh; }
step_demo() { deploy/demo/cluster.sh; }

# A test that was ignored or filtered out proves nothing: every one that is ignored by default has run here.
step_complete() {
  local name logs=() count=0 lost=0
  for name in unit cli core cluster; do
    if [ -e "$LOGS/$name.log" ]; then logs+=("$LOGS/$name.log"); fi
  done
  if grep -hE '^test result:.* ([1-9][0-9]* ignored|[1-9][0-9]* filtered out)' "${logs[@]}"; then
    echo "tests were left out (above)"; lost=1
  fi
  while IFS= read -r name; do
    count=$((count + 1))
    grep -qxE "test ${name//./\\.}( - should panic)? \.\.\. ok" "${logs[@]}" || { echo "did not run: $name"; lost=1; }
  done < <(cargo test --locked --quiet --tests -- --list --ignored --format terse 2>/dev/null | sed -n 's/: test$//p')
  echo "$count tests are ignored by default; $([ $lost = 0 ] && echo "all of them ran" || echo "not all of them ran")"
  return $lost
}

# --- running them -----------------------------------------------------------------------------------------------------

ONLY=
only() { [ -n "$ONLY" ]; }
selected() { [ -z "$ONLY" ] || [[ ",$ONLY," = *",$1,"* ]]; }

names=() seconds=() verdicts=() failed=0

run_step() {
  local name=$1 begin=$SECONDS code=0
  printf '\n%s== %s%s\n' "$BOLD" "$name" "$PLAIN"
  if [ "$name" = tools ]; then
    await_tools || code=$?
  elif [ -t 1 ] && [[ $name = build || $name = demo* ]]; then
    # cargo shows a living bar, and the demo its colours, on a terminal only.
    "step_${name//-/_}" || code=$?
  else
    ("step_${name//-/_}") 2>&1 | tee "$LOGS/$name.log" || code=$?
  fi
  names+=("$name"); seconds+=($((SECONDS - begin)))
  if [ $code = 0 ]; then verdicts+=(ok); else verdicts+=(FAILED); failed=1; fi
  return $code
}

summary() {
  local at
  printf '\n%sstep          seconds%s\n' "$BOLD" "$PLAIN"
  for at in "${!names[@]}"; do
    printf '%-12s %8d  %s%s%s\n' "${names[at]}" "${seconds[at]}" \
      "$([ "${verdicts[at]}" = ok ] && echo "$GREEN" || echo "$RED")" "${verdicts[at]}" "$PLAIN"
  done
  printf '%-12s %8d\n' total $SECONDS
}

while [ $# -gt 0 ]; do
  case $1 in
    --only) ONLY=${2:?--only needs a list of steps: ${STEPS[*]}}; shift 2 ;;
    *) echo "usage: tests/run.sh [--only STEP,STEP...]   steps: ${STEPS[*]}" >&2; exit 2 ;;
  esac
done
for name in ${ONLY//,/ }; do
  [[ " ${STEPS[*]} " = *" $name "* ]] || { echo "unknown step $name; known: ${STEPS[*]}" >&2; exit 2; }
done

check_machine
mkdir -p "$LOGS"
for name in "${STEPS[@]}"; do if selected "$name"; then rm -f "$LOGS/$name.log"; fi; done
trap stop_tools EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
SECONDS=0
if selected tools; then start_tools; fi
for name in "${STEPS[@]}"; do
  if ! selected "$name"; then continue; fi
  if ! run_step "$name"; then
    echo "${RED}$name failed${PLAIN} (its output: $LOGS/$name.log)"
    # Without these nothing else can run.
    if [[ $name = build || $name = tools ]]; then break; fi
  fi
done
# A single step and its time need no table.
if [ ${#names[@]} -gt 3 ] || [ $failed = 1 ]; then summary; fi
exit $failed

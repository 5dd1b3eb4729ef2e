#!/usr/bin/env bash
# Runs fuzz targets, each for TIME seconds (60). `make fuzz` calls it.
#
#   tests/fuzz/run.sh [TARGET...]        without TARGET: all of them, one after the other
#
# A run goes on after a find, so that one run shows many. What is found lies in tests/fuzz/artifacts/TARGET/. Mend it, and move the input to tests/fuzz/regressions/TARGET/, where
# the tests try it ever after. The corpus grows in tests/fuzz/corpus/TARGET/ (not for git) and is used again.
# Exit: 0 nothing was found, 1 something was, 2 something is missing or the usage is wrong.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

missing() { printf 'missing on this machine: %s\n' "$*" >&2; exit 2; }
command -v cargo >/dev/null || missing "cargo: https://rustup.rs"
command -v c++ >/dev/null || missing "c++ (compiles libFuzzer): apt-get install build-essential"
cargo fuzz --version >/dev/null 2>&1 || missing "cargo-fuzz: cargo install cargo-fuzz --locked"

ALL=$(cd fuzz_targets && ls -- *.rs | sed 's/\.rs$//')
for target in "$@"; do
  grep -qxF -- "$target" <<<"$ALL" || { echo "unknown target $target; known:" $ALL >&2; exit 2; }
done

# No unsafe code is in the project, so no sanitizer is needed, and the stable compiler will do. Overflow and the project's
# own assertions are checked.
cargo fuzz build --fuzz-dir . --sanitizer none
programs=target/$(rustc -vV | sed -n 's/^host: //p')/release

found=0
for target in ${*:-$ALL}; do
  printf '\n== %s, %s s\n' "$target" "${TIME:-60}"
  mkdir -p "corpus/$target" "artifacts/$target"
  begun=$(mktemp)
  SEALCTL_FUZZ_SEEDS=corpus/$target "$programs/$target" "corpus/$target" -artifact_prefix="artifacts/$target/" -dict="dictionaries/$target.dict" \
    -fork=1 -ignore_crashes=1 -max_total_time="${TIME:-60}" -timeout=20 -rss_limit_mb=2048 -max_len=16384 || found=1
  finds=$(find "artifacts/$target" -type f -newer "$begun")
  rm -f "$begun"
  if [ -n "$finds" ]; then
    printf 'found:\n%s\n' "$finds"
    found=1
  fi
done
exit $found

#!/usr/bin/env bash
# Writes an image from scratch with seald and sealctl, both static, as one tar that docker load, kind load
# image-archive, k3s ctr images import and ctr images import take. No daemon, no root, no base image.
#
#   deploy/image/build.sh            writes target/image/seald-VERSION.tar and prints its path
#
#   IMAGE=NAME:TAG                   default seald:VERSION, which is what deploy/manifests asks for
#   BINARIES=FOLDER                  take seald and sealctl from there instead of building them
#
# The same sources, toolchain and machine type give the same bytes: no times, no owners, no paths of the build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

die() { echo "build.sh: $*" >&2; exit 1; }
[ "$(uname -s)" = Linux ] || die "the image holds Linux programs: build it on Linux"
command -v python3 >/dev/null || die "python3 is missing (it writes the tar): apt-get install python3"

TARGET=${CARGO_TARGET_DIR:-target}
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
HOST=$(rustc -vV | sed -n 's/^host: //p')
BINARIES=${BINARIES:-}

if [ -z "$BINARIES" ]; then
  # Documents of environments have X25519 keys only: the other kinds, and the packages for them, stay outside.
  # With --target the flags reach only what runs in the image, not the build's own programs.
  flags="$(cat deploy/image/rustflags) --remap-path-prefix=$PWD=/src"
  flags+=" --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
  RUSTFLAGS=$flags cargo build --locked --release --bins --no-default-features --target "$HOST" >&2
  BINARIES=$TARGET/$HOST/release
fi

mkdir -p "$TARGET/image"
exec python3 -B deploy/image/pack.py --name "${IMAGE:-seald:$VERSION}" --version "$VERSION" \
  --output "$TARGET/image/seald-$VERSION.tar" "$BINARIES/seald" "$BINARIES/sealctl"

#!/usr/bin/env bash
# Builds the foreign programs that the tests run against, once per version, and prints where they lie.
#
#   build.sh NAME...     NAME: etcd, kubernetes, kwok, sops
#
# Standard output: one line per NAME, in the order asked for: the folder that holds its binaries.
# Standard error: progress. Versions are pinned by NAME/go.mod and NAME/go.sum; the binaries lie in
# ${XDG_CACHE_HOME:-~/.cache}/sealctl-tests/<hash>/bin, the hash being over these two files, the linker flags and the Go
# version. Callers that run at the same time build once.
#
# KUBEBUILDER_ASSETS: a folder with etcd and kube-apiserver (and kubectl), taken from there instead of being built.
set -euo pipefail

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${XDG_CACHE_HOME:-${HOME:?neither HOME nor XDG_CACHE_HOME is set: no place to keep the binaries}/.cache}/sealctl-tests
ASSETS=${KUBEBUILDER_ASSETS:-}

cd "$TOOLS"   # the folder of the caller may be gone by the time that Go asks for it

say() { printf 'build.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# The packages of a group, one a line: the last part of the path is the binary's name.
packages() {
  case $1 in
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    kubernetes) printf 'k8s.io/kubernetes/cmd/%s\n' kube-apiserver kube-controller-manager kube-scheduler kubectl ;;
    kwok) echo sigs.k8s.io/kwok/cmd/kwok ;;
    sops) printf '%s\n' github.com/getsops/sops/v3/cmd/sops filippo.io/age/cmd/age filippo.io/age/cmd/age-keygen ;;
    *) die "unknown name \"$1\"; known: etcd, kubernetes, kwok, sops" ;;
  esac
}

binary_of() { case $1 in go.etcd.io/etcd/server/v3) echo etcd ;; *) echo "${1##*/}" ;; esac; }

# Version that go.mod of a group requires of a module.
pinned() { awk -v module="$2" '{ sub(/^require /, "") } $1 == module { print $2; exit }' "$TOOLS/$1/go.mod"; }

linker_flags() {
  local version
  case $1 in
    kubernetes)
      version=$(pinned kubernetes k8s.io/kubernetes)
      local package=k8s.io/component-base/version part
      IFS=. read -ra part <<<"${version#v}"
      echo "-s -w -X $package.gitVersion=$version -X $package.gitMajor=${part[0]} -X $package.gitMinor=${part[1]}" \
           "-X $package.gitTreeState=clean"
      ;;
    sops) echo "-s -w -X main.Version=$(pinned sops filippo.io/age)" ;;
    kwok) echo "-s -w -X sigs.k8s.io/kwok/pkg/consts.Version=$(pinned kwok sigs.k8s.io/kwok)" ;;
    *) echo "-s -w" ;;
  esac
}

need_go() {
  command -v go >/dev/null && return
  local need
  need=$(awk '$1 == "go" { print $2 }' "$TOOLS"/*/go.mod | sort -V | tail -1)
  die "Go is missing: the tests build real Kubernetes, etcd and SOPS from source.
  Install Go $need or newer (any Go since 1.21 fetches that version itself): https://go.dev/dl/, or the package golang-go."
}

# Only what is not in KUBEBUILDER_ASSETS has to be built.
from_assets() { [ -n "$ASSETS" ] && [[ $1 = etcd || $1 = kube-apiserver || $1 = kubectl ]] && [ -x "$ASSETS/$1" ]; }

hash_of() {
  { cat "$TOOLS/$1/go.mod" "$TOOLS/$1/go.sum"; linker_flags "$1"; packages "$1"; go version
    local p b; for p in $(packages "$1"); do b=$(binary_of "$p"); if from_assets "$b"; then echo "$ASSETS/$b"; fi; done
  } | sha256sum | cut -c1-20
}

# Reads what `go build -v` prints and shows how far it is: a living line on a terminal, else one line per binary.
progress() {
  local group=$1 folder=$2 log=$3 line name downloaded=0 compiled=0 shown=0 code
  declare -A done=()
  while true; do
    code=0; IFS= read -r -t 1 line || code=$?
    if [ $code = 0 ]; then
      printf '%s\n' "$line" >>"$log"
      case $line in "go: downloading"*) downloaded=$((downloaded + 1)) ;; *) compiled=$((compiled + 1)) ;; esac
    fi
    if [ -t 2 ] && [ $SECONDS != "$shown" ]; then
      shown=$SECONDS
      printf '\r\033[K%s: %d modules fetched, %d packages compiled, %d s' "$group" $downloaded $compiled $SECONDS >&2
    elif [ $((SECONDS - shown)) -ge 30 ]; then
      shown=$SECONDS
      say "$group: $downloaded modules fetched, $compiled packages compiled, $SECONDS s"
    fi
    local file; for file in "$folder"/*; do
      [ -x "$file" ] && [ -z "${done[$file]:-}" ] || continue
      done[$file]=1
      if [ -t 2 ]; then printf '\r\033[K' >&2; fi
      # etcd's main package lies in a folder called server.
      name=${file##*/}; say "$group: built ${name/#server/etcd} after $SECONDS s"
    done
    if [ $code -ge 1 ] && [ $code -le 128 ]; then break; fi   # end of input; above 128: nothing came for a second
  done
}

build() {
  local group=$1 target=$2 work package name todo=()
  work=$(mktemp -d "$CACHE/.building-$group-XXXXXX")
  # shellcheck disable=SC2064
  trap "chmod -R u+w '$work' 2>/dev/null; rm -rf '$work'" EXIT
  mkdir "$work/out" "$work/bin"
  for package in $(packages "$group"); do
    name=$(binary_of "$package")
    if from_assets "$name"; then ln -s "$(cd "$ASSETS" && pwd)/$name" "$work/bin/$name"; say "$group: $name from KUBEBUILDER_ASSETS"
    else todo+=("$package"); fi
  done
  if [ ${#todo[@]} -gt 0 ]; then compile "$group" "$work" "${todo[@]}"; fi
  if [ "$group" = kwok ]; then copy_stages "$work"; fi
  rm -rf "$work/out" "$work/log"
  # A folder without its mark `complete` was left by an interrupted rename across versions of this script.
  rm -rf "$target"
  mv "$work" "$target"
  trap - EXIT
}

compile() {
  local group=$1 work=$2; shift 2
  SECONDS=0
  say "$group: building $(for p in "$@"; do binary_of "$p"; done | paste -sd' ') (once per version)"
  # The linker drops debug information (-w); not making it in the first place saves a fifth of the time.
  if ! (cd "$TOOLS/$group" && GOWORK=off CGO_ENABLED=0 go build -v -trimpath -buildvcs=false -mod=readonly \
        -gcflags=all=-dwarf=false -ldflags "$(linker_flags "$group")" -o "$work/out/" "$@" 2>&1) | progress "$group" "$work/out" "$work/log"; then
    if [ -t 2 ]; then echo >&2; fi
    tail -n 30 "$work/log" >&2
    die "$group: go build failed (its last lines stand above)"
  fi
  local package name
  for package in "$@"; do
    name=$(binary_of "$package")
    if [ -e "$work/out/$name" ]; then mv "$work/out/$name" "$work/bin/$name"
    else mv "$work/out/server" "$work/bin/$name"; fi
  done
}

# The stages of kwok that the fake nodes play.
copy_stages() {
  local module file
  module=$(cd "$TOOLS/kwok" && GOWORK=off go list -mod=readonly -m -f '{{.Dir}}' sigs.k8s.io/kwok)
  mkdir "$1/stage"
  for file in node/fast/node-initialize node/heartbeat-with-lease/node-heartbeat-with-lease \
              pod/fast/pod-{ready,complete,delete}; do
    cp "$module/kustomize/stage/$file.yaml" "$1/stage/"
  done
  chmod -R u+w "$1/stage"
}

[ $# -gt 0 ] || die "usage: build.sh NAME...   (etcd, kubernetes, kwok, sops)"
need_go
mkdir -p "$CACHE"
folders=()
for group in "$@"; do
  packages "$group" >/dev/null
  hash=$(hash_of "$group")
  target=$CACHE/$hash
  if [ ! -d "$target/bin" ]; then
    # The lock file stays: removing it would let two callers hold "the" lock.
    exec 9>"$CACHE/$group.lock"
    if ! flock -n 9; then say "$group: another process builds it, waiting"; flock 9; fi
    if [ ! -d "$target/bin" ]; then build "$group" "$target"; fi
    exec 9>&-
  fi
  folders+=("$target/bin")
done
printf '%s\n' "${folders[@]}"

#!/usr/bin/env bash
# Starts a throwaway Kubernetes control plane in the folder DIR and returns when it is usable.
#
#   up.sh [--tier api|control-plane] [--nodes N] [--owner PID] [--scratch] DIR
#
#   --tier api             etcd and kube-apiserver: API, watches, RBAC, tokens
#   --tier control-plane   also controller-manager, scheduler and N fake nodes (kwok): rollouts, Jobs (default; N is 2)
#   --owner PID            everything ends as soon as this process is gone, however it ended; else down.sh DIR ends it
#   --scratch              DIR is removed at the end, unless a file DIR/keep exists
#
# DIR then holds: kubeconfig (administrator), bin/ (etcd, kubectl, ...), logs/ (one per server, and audit.log), pids/.
# Progress goes to standard error. The servers listen on 127.0.0.1 only; no root is needed. Needs Go for the first build.
set -euo pipefail

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=identity.sh
source "$TOOLS/identity.sh"
BEGIN=${EPOCHREALTIME/[.,]/}

elapsed() { local now=${EPOCHREALTIME/[.,]/}; local ms=$(((now - BEGIN) / 1000)); printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100)); }
say() { printf 'up.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# --- the supervisor: starts the servers, waits until they are no longer wanted, ends them ---------------------------

pids=()

# Starts a server with DIR as its working directory, by which down.sh knows it again. The kernel kills it when the
# supervisor dies (no trap can run after SIGKILL).
start() {
  local name=$1; shift
  "${guard[@]}" "$@" </dev/null >>"logs/$name.log" 2>&1 7>&- &
  pids+=($!)
  echo $! >"pids/$name"
}

running() { kill -0 "$(<"pids/$1")" 2>/dev/null; }

pause() { read -r -t "$1" -u 7 _ || true; }

fail() {
  say "$1 (logs: $DIR/logs)"
  tail -n 15 "$DIR/logs/$2.log" | sed 's/^/    /' >&2
  touch keep failed
  exit 1
}

end() {
  trap '' TERM INT HUP
  trap - EXIT
  if [ ${#pids[@]} -gt 0 ]; then kill -KILL "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; fi
  cd /
  if [ "$SCRATCH" = yes ] && [ ! -e "$DIR/keep" ]; then rm -rf "$DIR"; else rm -rf "$DIR/pids" "$DIR/control"; fi
}

start_etcd() {
  # A unix socket needs no port. The advertised address is never dialled.
  start etcd bin/etcd --data-dir etcd --listen-client-urls unix://etcd.sock \
    --advertise-client-urls http://127.0.0.1:1 --listen-peer-urls http://127.0.0.1:0 \
    --unsafe-no-fsync --log-level error
}

# The API server refuses port 0. So: choose one outside of the range for outgoing connections, and choose again if somebody
# was quicker. A stranger on that port cannot be mistaken for it: its certificate is made here.
start_api_server() {
  local attempt port
  for attempt in {1..50}; do
    port=$((20000 + RANDOM % 10000))
    if (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi
    : >logs/kube-apiserver.log
    start kube-apiserver bin/kube-apiserver --etcd-servers=unix://etcd.sock \
      --bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port="$port" --cert-dir=pki \
      --token-auth-file=pki/tokens.csv --authorization-mode=RBAC \
      --service-account-issuer=https://kubernetes.default.svc \
      --service-account-key-file=pki/apiserver.key --service-account-signing-key-file=pki/apiserver.key \
      --service-cluster-ip-range=10.96.0.0/16 --endpoint-reconciler-type=none --enable-priority-and-fairness=false \
      --audit-policy-file="$TOOLS/audit-policy.yaml" --audit-log-path=logs/audit.log --audit-log-mode=blocking
    until grep -q 'Serving securely on' logs/kube-apiserver.log; do
      if ! running kube-apiserver; then
        if grep -q 'address already in use' logs/kube-apiserver.log; then continue 2; fi
        fail "kube-apiserver ended while starting" kube-apiserver
      fi
      pause 0.03
    done
    PORT=$port
    return
  done
  fail "no free port for kube-apiserver found" kube-apiserver
}

write_kubeconfig() {
  (umask 077; cat >kubeconfig.new <<END
apiVersion: v1
kind: Config
clusters:
- name: test
  cluster: {server: "https://127.0.0.1:$PORT", certificate-authority-data: $(base64 -w0 pki/apiserver.crt)}
users:
- name: admin
  user: {token: $TOKEN}
contexts:
- name: test
  context: {cluster: test, user: admin}
current-context: test
END
  )
  mv kubeconfig.new kubeconfig
}

kubectl() { bin/kubectl --kubeconfig kubeconfig "$@"; }

await_ready() {
  local attempt
  for attempt in {1..300}; do
    if kubectl get --raw /readyz >logs/readyz.log 2>&1; then return; fi
    if ! running kube-apiserver; then fail "kube-apiserver ended while starting" kube-apiserver; fi
    if ! running etcd; then fail "etcd ended while starting" etcd; fi
    pause 0.1
  done
  fail "kube-apiserver is not ready after $(elapsed) s" kube-apiserver
}

start_controllers() {
  local stage stages=()
  for stage in bin/../stage/*.yaml; do
    # Jobs end by stages of our own, which can also let them fail, hang and leave a message.
    if [[ $stage != */pod-complete.yaml ]]; then stages+=(-c "$stage"); fi
  done
  start kube-controller-manager bin/kube-controller-manager --kubeconfig kubeconfig \
    --authentication-kubeconfig kubeconfig --authorization-kubeconfig kubeconfig \
    --service-account-private-key-file=pki/apiserver.key --root-ca-file=pki/apiserver.crt \
    --leader-elect=false --secure-port=0 --use-service-account-credentials=false \
    --kube-api-qps=1000 --kube-api-burst=2000
  start kube-scheduler bin/kube-scheduler --kubeconfig kubeconfig \
    --authentication-kubeconfig kubeconfig --authorization-kubeconfig kubeconfig \
    --leader-elect=false --secure-port=0 --kube-api-qps=1000 --kube-api-burst=2000
  start kwok bin/kwok --kubeconfig kubeconfig --manage-all-nodes=false --node-port=0 \
    --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake --node-lease-duration-seconds=40 \
    "${stages[@]}" -c "$TOOLS/stages.yaml"
}

add_nodes() {
  local n
  for ((n = 1; n <= NODES; n++)); do
    printf -- '---\napiVersion: v1\nkind: Node\nmetadata:\n  name: fake-%d\n  annotations: {kwok.x-k8s.io/node: fake}\n' "$n"
    printf '  labels: {kubernetes.io/hostname: fake-%d, kubernetes.io/os: linux}\n' "$n"
  done >nodes.yaml
  kubectl create -f nodes.yaml >/dev/null
  # Without its namespace's service account `default` a pod is refused.
  if ! kubectl wait --for=condition=Ready --timeout=60s -f nodes.yaml >logs/readyz.log 2>&1; then
    fail "the fake nodes are not ready" kwok
  fi
  if ! kubectl wait --for=create --timeout=60s -n default serviceaccount/default >logs/readyz.log 2>&1; then
    fail "no service account default" kube-controller-manager
  fi
}

supervise() {
  cd "$DIR"
  echo $$ >pids/supervisor
  trap end EXIT
  trap 'exit 0' TERM INT HUP
  exec 7<>control
  guard=()
  if setpriv --pdeathsig KILL true 2>/dev/null; then guard=(setpriv --pdeathsig KILL); fi
  local owner=none now
  if [ -n "$OWNER" ]; then owner=$(identity "$OWNER"); fi
  if [ "$owner" = gone ]; then die "the owner, process $OWNER, does not exist"; fi
  TOKEN=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
  (umask 077; mkdir pki; printf '%s,admin,admin,"system:masters"\n' "$TOKEN" >pki/tokens.csv)

  start_etcd
  start_api_server
  write_kubeconfig
  if [ "$TIER" = control-plane ]; then start_controllers; fi
  await_ready
  say "etcd and kube-apiserver are ready, $(elapsed) s"
  if [ "$TIER" = control-plane ]; then add_nodes; say "controllers and $NODES fake nodes are ready, $(elapsed) s"; fi
  exec >>logs/supervisor.log 2>&1
  touch ready

  local name seen=
  while [ -e pids/supervisor ]; do
    pause 0.2
    if [ -n "$OWNER" ]; then
      now=$(identity "$OWNER")
      if [ "$now" != "$owner" ]; then break; fi
    fi
    for name in pids/*; do
      name=${name#pids/}
      if [ "$name" != supervisor ] && [[ "$seen" != *" $name "* ]] && ! running "$name" 2>/dev/null; then
        seen+=" $name "; say "$name has ended"; echo "$name" >>died
      fi
    done
  done
  exit 0
}

# --- the command -----------------------------------------------------------------------------------------------------

TIER=control-plane NODES=2 OWNER= SCRATCH=no DIR= ROLE=command
while [ $# -gt 0 ]; do
  case $1 in
    --tier) TIER=$2; shift 2 ;;
    --nodes) NODES=$2; shift 2 ;;
    --owner) OWNER=$2; shift 2 ;;
    --scratch) SCRATCH=yes; shift ;;
    --supervise) ROLE=supervisor; shift ;;
    -*) die "unknown option $1 (the head of this file says which there are)" ;;
    *) DIR=$1; shift ;;
  esac
done
[ -n "$DIR" ] || die "usage: up.sh [--tier api|control-plane] [--nodes N] [--owner PID] [--scratch] DIR"
case $TIER in api | control-plane) ;; *) die "unknown tier $TIER; known: api, control-plane" ;; esac
[ "$(uname -s)" = Linux ] || die "the control plane runs on Linux only (it relies on /proc and setpriv)"
if [ $ROLE = supervisor ]; then supervise; fi

groups=(etcd kubernetes)
if [ "$TIER" = control-plane ]; then groups+=(kwok); fi
assets=${KUBEBUILDER_ASSETS:-}
if [ "$TIER" = api ] && [ -x "$assets/etcd" ] && [ -x "$assets/kube-apiserver" ] && [ -x "$assets/kubectl" ]; then
  folders=$(cd "$assets" && pwd)   # all that this tier needs; nothing to build, no Go
else
  folders=$("$TOOLS/build.sh" "${groups[@]}")
fi
BEGIN=${EPOCHREALTIME/[.,]/}

mkdir -p "$DIR"
DIR=$(cd "$DIR" && pwd)
if [ -e "$DIR/pids/supervisor" ] && kill -0 "$(<"$DIR/pids/supervisor")" 2>/dev/null; then
  die "a control plane runs in $DIR already; down.sh ends it"
fi
cd "$DIR"
rm -rf ready failed died bin etcd pki pids control logs kubeconfig stage etcd.sock keep
mkdir bin pids logs
mkfifo -m 600 control
while IFS= read -r folder; do
  ln -s "$folder"/* bin/
  if [ -d "${folder%/bin}/stage" ]; then ln -s "${folder%/bin}/stage" stage; fi
done <<<"$folders"

forward=(--tier "$TIER" --nodes "$NODES")
if [ -n "$OWNER" ]; then forward+=(--owner "$OWNER"); fi
if [ $SCRATCH = yes ]; then forward+=(--scratch); fi
# A session of its own: Ctrl-C reaches the owner, and the supervisor sees the owner end.
setsid bash "$TOOLS/up.sh" --supervise "${forward[@]}" "$DIR" </dev/null &
supervisor=$!
trap 'kill "$supervisor" 2>/dev/null' INT TERM
until [ -e ready ]; do
  if ! kill -0 $supervisor 2>/dev/null; then exit 1; fi
  sleep 0.02
done

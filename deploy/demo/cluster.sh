#!/usr/bin/env bash
# `make demo`: the main job, step by step, on a throwaway Kubernetes control plane. A sealed file becomes ConfigMap, Secret,
# one rolling restart and a superuser; every claim is checked with kubectl, and one that does not hold ends it with exit 1.
#
#   deploy/demo/cluster.sh           needs target/debug/{sealctl,seald} (make build) and Go for the first time
#   KEEP=1                           leaves it all up and prints how to look at it
#   PROGRAMS=FOLDER                  takes sealctl and seald from there
#
# It works on a copy of keys/ and envs/ in a scratch folder, with an identity that was made for tests, as seald's own
# ServiceAccount, and looks at no kubeconfig or key of yours.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
# shellcheck source=deploy/demo/steps.sh
. deploy/demo/steps.sh

KEEP=${KEEP:-}
PROGRAMS=$(cd "${PROGRAMS:-${CARGO_TARGET_DIR:-target}/debug}" && pwd)
ENVIRONMENT=prod
APP=polls
KEY=DJANGO_SECRET_KEY
# Keys that are published with the tests: a person's, and the cluster's.
ALICE=$ROOT/tests/keys/alice.txt
CLUSTER=$ROOT/tests/keys/cluster-$ENVIRONMENT.txt

for program in sealctl seald; do
  [ -x "$PROGRAMS/$program" ] || { echo "cluster.sh: $PROGRAMS/$program is missing; run make build" >&2; exit 1; }
done

# Nothing of the caller's own configuration gets in.
for variable in $(compgen -e | grep -E '^(SEALCTL|SEALD|SOPS|KUBE|POD)_?' || true); do unset "$variable"; done
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/sealctl-demo.XXXXXX")
PLANE=$SCRATCH/plane
PROJECT=$SCRATCH/project
FILE=envs/$ENVIRONMENT/$APP.yaml
mkdir "$SCRATCH/home"
# A home without keys, for our programs only: the servers are built into the caller's own cache.
isolated=(env "HOME=$SCRATCH/home" "XDG_CONFIG_HOME=$SCRATCH/home/.config")
export SOPS_AGE_KEY_FILE=$ALICE

# --- what stops it all ------------------------------------------------------------------------------------------------

SEALD=
OBSERVERS=()

stop_seald() {
  local pid=$SEALD
  [ -n "$pid" ] || return 0
  SEALD=
  kill -TERM "$pid" 2>/dev/null || true
  wait "$pid"
}

clean_up() {
  local code=$?
  trap - EXIT
  for pid in ${OBSERVERS[@]+"${OBSERVERS[@]}"}; do kill "$pid" 2>/dev/null || true; done
  if [ -n "$KEEP" ] && [ -e "$PLANE/kubeconfig" ]; then how_to_look; exit $code; fi
  stop_seald || true
  "$ROOT/tests/cluster/tools/down.sh" "$PLANE"
  rm -rf "$SCRATCH"
  exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

how_to_look() {
  cat <<END

It is still up:
   export KUBECONFIG=$PLANE/kubeconfig PATH=$PLANE/bin:\$PATH
   kubectl get senv,cm,secret,deploy,rs,job -n $APP
   kubectl describe senv $APP -n $APP
   less $SCRATCH/seald.log
   cd $PROJECT; SOPS_AGE_KEY_FILE=$ALICE $PROGRAMS/sealctl set $KEY - -e $ENVIRONMENT -a $APP
To end it:
   kill ${SEALD:-} ; $ROOT/tests/cluster/tools/down.sh $PLANE; rm -rf $SCRATCH
END
}

still_running() { [ -z "$SEALD" ] || kill -0 "$SEALD" 2>/dev/null; }

on_failure() {
  if [ -e "$SCRATCH/seald.log" ]; then echo "   the end of seald's log:"; tail -n 20 "$SCRATCH/seald.log" | indented; fi
  if [ -e "$PLANE/kubeconfig" ]; then
    kubectl get senv,cm,secret,deploy,rs,job -n $APP 2>&1 | indented
    kubectl get senv $APP -n $APP -o jsonpath='{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}' 2>&1 | indented
  fi
}

# --- short words for what is done often -----------------------------------------------------------------------------

kubectl() { "$PLANE/bin/kubectl" --kubeconfig "$PLANE/kubeconfig" "$@"; }
# The document is the one in the copy; the folder is left out of what is shown.
sealctl() { (cd "$PROJECT" && "${isolated[@]}" "$PROGRAMS/sealctl" "$@"); }
field() { kubectl get "$1" -n "${3:-$APP}" -o jsonpath="$2" 2>/dev/null; }
is() { [ "$(field "$1" "$2" || true)" = "$3" ]; }
exists() { kubectl get "$1" -n "$APP" >/dev/null 2>&1; }
gone() { ! exists "$1"; }
condition() { field "senv/$APP" "{.status.conditions[?(@.type==\"$1\")].$2}"; }
ready_is() { [ "$(condition Ready status)" = "$1" ]; }

# Every object of the namespace with its version: equal texts mean that nothing was written in between.
versions() {
  kubectl get senv,configmap,secret,deployment,replicaset,job,pod -n $APP --no-headers \
    -o custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion
}
settled() { local before; before=$(versions); sleep 1; [ "$(versions)" = "$before" ]; }

# ReplicaSets that a Deployment ever had, and Jobs of any name, counted by kubectl's watches and not by what seald reports.
watch_all() {
  kubectl get "$1" -n $APP --watch --no-headers \
    -o custom-columns='UID:.metadata.uid,OWNER:.metadata.ownerReferences[0].name' >"$SCRATCH/$1.log" 2>&1 &
  OBSERVERS+=($!)
}
replica_sets_of() { awk -v owner="$1" '$2 == owner { print $1 }' "$SCRATCH/replicasets.log" | sort -u | wc -l; }
jobs_seen() { awk '{ print $1 }' "$SCRATCH/jobs.log" | sort -u | wc -l; }
replica_sets_are() { [ "$(replica_sets_of "$1")" = "$2" ]; }

rolled_out() { kubectl rollout status "deployment/$1" -n $APP --timeout=1s >/dev/null 2>&1; }

free_port() {
  local port
  while true; do
    port=$((20000 + RANDOM % 10000))
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; return; }
  done
}

# Whether a probe answers 200. In a shell of its own: `exec` that cannot connect ends the shell.
probe() (
  exec 8<>"/dev/tcp/127.0.0.1/$PROBES"
  printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&8
  IFS= read -r answer <&8
  [[ $answer = *" 200 "* ]]
) 2>/dev/null

# A kubeconfig with the token of seald's ServiceAccount in place of the administrator's.
write_kubeconfig_of_seald() {
  local token line
  token=$(kubectl create token seald -n seald --duration=2h)
  (umask 077
   while IFS= read -r line; do
     case $line in *"{token: "*) printf '  user: {token: %s}\n' "$token" ;; *) printf '%s\n' "$line" ;; esac
   done <"$PLANE/kubeconfig" >"$SCRATCH/seald.kubeconfig")
}

secret_holds_what_the_file_says() {
  local in_file in_cluster
  in_file=$(sealctl get $KEY -e $ENVIRONMENT -a $APP | base64 -w0)
  in_cluster=$(field secret/$APP-secrets "{.data.$KEY}")
  [ -n "$in_file" ] && [ "$in_file" = "$in_cluster" ]
}

# The superuser's password, raw and in base64, stands in no object that kubectl shows apart from Secrets.
password_is_nowhere() {
  local objects=$SCRATCH/objects.yaml
  kubectl get senv,configmap,deployment,replicaset,job,pod,event -n $APP -o yaml >"$objects"
  ! grep -qF -f <(sealctl get superuser.password -e $ENVIRONMENT -a $APP; echo
                  sealctl get superuser.password -e $ENVIRONMENT -a $APP | base64 -w0) "$objects"
}

job_came_after_the_rollout() {
  local rolled started
  rolled=$(field "deployment/$APP" '{.status.conditions[?(@.type=="Available")].lastTransitionTime}')
  started=$(kubectl get jobs -n $APP -o jsonpath='{.items[0].metadata.creationTimestamp}')
  say "available since $rolled, Job made at $started"
  [[ ! $started < $rolled ]]
}

warned() {
  kubectl get events.events.k8s.io -n $APP \
    -o jsonpath='{range .items[?(@.type=="Warning")]}{.regarding.name} {.reason}{"\n"}{end}' | grep -qx "$APP $1"
}

tree_of() { if [ -e "$ROOT/.git" ]; then git -C "$ROOT" status --porcelain; fi; }

# --- the demonstration ------------------------------------------------------------------------------------------------

TREE=$(tree_of)
printf '%sFrom a sealed file to a running app%s   (scratch folder: %s)\n' "$BOLD" "$PLAIN" "$SCRATCH"

step "A throwaway control plane: etcd, API server, controllers, scheduler, fake nodes"
owner=(--owner $$); [ -z "$KEEP" ] || owner=()
show "tests/cluster/tools/up.sh plane"
"$ROOT/tests/cluster/tools/up.sh" ${owner[@]+"${owner[@]}"} "$PLANE" 2>&1 | indented
run kubectl get nodes

step "The project: who can read, and what is sealed"
mkdir "$PROJECT"
cp -R keys envs "$PROJECT"
if [ -e .sops.yaml ]; then cp .sops.yaml "$PROJECT"; fi
show "ls keys/$ENVIRONMENT"
find "$PROJECT/keys/$ENVIRONMENT" -type f -printf "%f\n" | sort | indented
show "cat $FILE"
sed '/^sops:/,$d' "$PROJECT/$FILE" | cut -c1-100 | indented
claim "its secrets are ciphertext" grep -q "^  $KEY: '\?ENC\[AES256_GCM" "$PROJECT/$FILE"

step "CRD, ServiceAccount and roles: what a cluster administrator applies once"
run kubectl apply -k deploy/manifests/base
run kubectl apply -f deploy/manifests/directory/rbac.yaml
run kubectl wait --for=condition=Established crd/sealedenvs.sealctl.dev --timeout=30s
for namespace in $APP jobs; do run kubectl create namespace $namespace; done
show "sealctl rbac -e $ENVIRONMENT | kubectl apply -f -"
sealctl rbac -e $ENVIRONMENT | kubectl apply -f - | indented
watch_all replicasets
watch_all jobs

step "seald starts on the directory, as its own ServiceAccount"
write_kubeconfig_of_seald
may_not() { ! kubectl --kubeconfig "$SCRATCH/seald.kubeconfig" auth can-i "$@" >/dev/null 2>&1; }
claim "it may not list Secrets" may_not list secrets -A
claim "it may not read its neighbours' Secrets" may_not get secrets/other -n $APP
mkdir -m 700 "$SCRATCH/identity"
install -m 600 "$CLUSTER" "$SCRATCH/identity/$ENVIRONMENT"
PROBES=$(free_port)
METRICS=$(free_port)
show "seald --kubeconfig seald.kubeconfig --environment $ENVIRONMENT --source dir:. --identity identity &"
# Kept up, it has to outlive this terminal.
session=(); [ -z "$KEEP" ] || session=(setsid)
${session[@]+"${session[@]}"} "${isolated[@]}" POD_NAME=demo POD_NAMESPACE=seald \
  "$PROGRAMS/seald" --kubeconfig "$SCRATCH/seald.kubeconfig" --environment $ENVIRONMENT --source "dir:$PROJECT" --identity "$SCRATCH/identity" \
  --listen-metrics "127.0.0.1:$METRICS" --listen-probes "127.0.0.1:$PROBES" --log-format text \
  >"$SCRATCH/seald.log" 2>&1 </dev/null &
SEALD=$!
await "/readyz answers 200" 60 probe /readyz
await "the SealedEnv appears" 60 exists senv/$APP
await "the ConfigMap appears" 60 exists configmap/$APP-config
await "the Secret appears" 60 exists secret/$APP-secrets
claim "the Secret holds what the file says" secret_holds_what_the_file_says
run kubectl get senv,configmap,secret -n $APP

step "A Django-like app, and another one that reads only the ConfigMap"
run kubectl apply -n $APP -f deploy/demo/app.yaml
await "$APP is ready" 60 rolled_out $APP
await "hello is ready" 60 rolled_out hello
claim "seald has not restarted $APP" replica_sets_are $APP 1
claim "seald has not restarted hello" replica_sets_are hello 1

step "The superuser, once, after the rollout"
await "the Job is done" 90 is senv/$APP '{.status.bootstrap.state}' Done
run kubectl get jobs -n $APP
claim "it was made after the app was available" job_came_after_the_rollout
claim "its credentials have left the cluster" gone secret/seald-bootstrap-$APP
claim "the password stands in no Job, pod, Event or status" password_is_nowhere
await "the SealedEnv is Ready" 60 ready_is True
claim "there was one Job" same "$(jobs_seen)" 1

step "One sealed value changes"
await "everything has come to rest" 60 settled
version=$(field secret/$APP-secrets '{.metadata.resourceVersion}')
configured=$(field configmap/$APP-config '{.metadata.resourceVersion}')
show "head -c 36 /dev/urandom | base64 | tr -d '\\n' | sealctl set $KEY - -e $ENVIRONMENT -a $APP"
head -c 36 /dev/urandom | base64 | tr -d '\n' | sealctl set $KEY - -e $ENVIRONMENT -a $APP 2>&1 | indented
await "the Secret holds the new value" 60 secret_holds_what_the_file_says
claim "it was written" differ "$(field secret/$APP-secrets '{.metadata.resourceVersion}')" "$version"
claim "the ConfigMap was not written" same "$(field configmap/$APP-config '{.metadata.resourceVersion}')" "$configured"
await "$APP, which reads it, rolls (seald lets changes settle first)" 90 replica_sets_are $APP 2
await "its new pods are ready" 60 rolled_out $APP
await "the SealedEnv is Ready again" 60 ready_is True
await "everything has come to rest" 60 settled
run kubectl get replicasets -n $APP
claim "$APP rolled once" replica_sets_are $APP 2
claim "hello did not roll" replica_sets_are hello 1
claim "no second Job ran" same "$(jobs_seen)" 1

step "The same file, touched and copied without change: nothing moves"
before=$(versions)
show "touch $FILE"
touch "$PROJECT/$FILE"
cp "$PROJECT/$FILE" "$SCRATCH/good.yaml"
show "cp $FILE copy && mv copy $FILE"
cp "$PROJECT/$FILE" "$PROJECT/copy" && mv "$PROJECT/copy" "$PROJECT/$FILE"
sleep 4
claim "no object has another version" same "$(versions)" "$before"

step "The file is broken on purpose: somebody edits a clear value by hand, past the seal"
show "sed -i 's/^  DATABASE_HOST: .*/  DATABASE_HOST: elsewhere/' $FILE"
sed -i 's/^  DATABASE_HOST: .*/  DATABASE_HOST: elsewhere/' "$PROJECT/$FILE"
claim "the file has changed" differ "$(<"$PROJECT/$FILE")" "$(<"$SCRATCH/good.yaml")"
data=$(field secret/$APP-secrets '{.metadata.resourceVersion}') config=$(field configmap/$APP-config '{.metadata.resourceVersion}')
await "the SealedEnv is not Ready" 60 ready_is False
reason=$(condition Ready reason)
say "Ready=False  $reason: $(condition Ready message)"
claim "the status gives the reason" test -n "$reason"
await "a Warning Event gives the same reason" 30 warned "$reason"
show "kubectl get events.events.k8s.io -n $APP"
kubectl get events.events.k8s.io -n $APP --no-headers \
  -o custom-columns=TYPE:.type,REASON:.reason,ABOUT:.regarding.name,NOTE:.note | grep Warning | tail -3 | indented
sleep 2
claim "the last good content stays in the Secret" same "$(field secret/$APP-secrets '{.metadata.resourceVersion}')" "$data"
claim "the last good content stays in the ConfigMap" same "$(field configmap/$APP-config '{.metadata.resourceVersion}')" "$config"
claim "nothing rolled" replica_sets_are $APP 2

step "The good file comes back"
show "git checkout $FILE"
cp "$SCRATCH/good.yaml" "$PROJECT/$FILE"
await "the SealedEnv is Ready" 90 ready_is True
claim "nothing rolled" replica_sets_are $APP 2
claim "the Secret was not written" same "$(field secret/$APP-secrets '{.metadata.resourceVersion}')" "$data"

if [ -z "$KEEP" ]; then
  step "seald stops in order"
  show "kill -TERM seald"
  stopped=$(milliseconds)
  claim "exit code 0" stop_seald
  claim "within 10 s" test $(($(milliseconds) - stopped)) -lt 10000
fi
claim "the work tree is as it was" same "$(tree_of)" "$TREE"
finish

#!/bin/sh
# Brings the version that a stage has moved to into a Deployment, and tells the registry how that went:
#
#   gradus watch acme/ticket-triage:production --exec deploy/vllm/watcher/rollout.sh
#
# `gradus watch` sets GRADUS_WORKLOAD, GRADUS_STAGE, GRADUS_VERSION, GRADUS_DIGEST and GRADUS_KIND. Promotions and
# rollbacks are the same here: the stage holds a version, and it is to run.
set -eu
deployment=${DEPLOYMENT:-deployment/ticket-triage}
container=${CONTAINER:-model}
target=${TARGET:-cluster-1}
seconds=${ROLLOUT_SECONDS:-1200}
model="$GRADUS_WORKLOAD@$GRADUS_DIGEST"

# In a pod, and each time: a rollout takes longer than a token lives.
log_in() {
  [ -z "${IDENTITY_FILE:-}" ] || gradus login "$GRADUS_SERVER" --oidc --namespace "${GRADUS_WORKLOAD%%/*}" \
    --identity-file "$IDENTITY_FILE" > /dev/null
}

report() {
  log_in
  # 3: by its policy the stage has gone back for it, and that is a change of its own.
  gradus deployment report "$model" --stage "$GRADUS_STAGE" --target "$target" --status "$1" ${URL:+--url "$URL"} \
    || [ $? -eq 3 ]
}

# Whoever was away hears of all that happened meanwhile. What the stage has left since must not run again.
log_in
now=$(gradus resolve "$GRADUS_WORKLOAD:$GRADUS_STAGE")
now=${now#* }
if [ "${now%% *}" != "$GRADUS_DIGEST" ]; then
  echo "$GRADUS_STAGE has moved on from $GRADUS_WORKLOAD:$GRADUS_VERSION" >&2
  exit 0
fi

# Before anything is rolled: that it can be fetched, and is what the registry says. Pods that fail at that would make it
# a version that failed here.
gradus verify "$model" ${GRADUS_LOG_KEY:+--log-key "$GRADUS_LOG_KEY"}

echo "$GRADUS_KIND: $GRADUS_WORKLOAD:$GRADUS_VERSION goes to $deployment" >&2
# By digest: a pod that starts next week fetches this version, not what is in the stage by then.
kubectl set env "$deployment" --containers="$container" "MODEL=$model"
if kubectl rollout status "$deployment" --timeout="${seconds}s"; then
  report running
else
  # Old pods serve on, since new ones only replace them once they are ready. Go back, so that none of the new is left.
  report failed || true
  kubectl rollout undo "$deployment"
  exit 1
fi

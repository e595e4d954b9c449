#!/bin/sh
# Brings the version that a stage has moved to into a Deployment, and tells the registry how that went:
#
#   gradus watch acme/ticket-triage:production --exec deploy/vllm/rollout.sh
#
# `gradus watch` sets GRADUS_WORKLOAD, GRADUS_VERSION, GRADUS_DIGEST and GRADUS_KIND. Promotions and rollbacks are the
# same here: the stage holds a version, and it is to run.
set -eu
deployment=${DEPLOYMENT:-deployment/ticket-triage}
container=${CONTAINER:-model}
target=${TARGET:-cluster-1/ticket-triage}
seconds=${ROLLOUT_SECONDS:-1200}
model="$GRADUS_WORKLOAD@$GRADUS_DIGEST"

echo "$GRADUS_KIND: $GRADUS_WORKLOAD:$GRADUS_VERSION goes to $deployment" >&2
# By digest: a pod that starts next week fetches this version, not what is in the stage by then.
kubectl set env "$deployment" --containers="$container" "MODEL=$model"
if kubectl rollout status "$deployment" --timeout="${seconds}s"; then
  gradus deployment report "$model" --target "$target" --status running ${URL:+--url "$URL"}
else
  # Old pods serve on, since new ones only replace them once they are ready. Go back, so that none of the new is left.
  gradus deployment report "$model" --target "$target" --status failed ${URL:+--url "$URL"} || true
  kubectl rollout undo "$deployment"
  exit 1
fi

#!/bin/sh
# Brings the version that a stage has moved to into an InferenceService, and tells the registry how that went:
#
#   gradus watch acme/ticket-triage:production --exec deploy/kserve/rollout.sh
set -eu
service=${SERVICE:-ticket-triage}
target=${TARGET:-cluster-1/ticket-triage}
seconds=${ROLLOUT_SECONDS:-1200}
model="$GRADUS_WORKLOAD@$GRADUS_DIGEST"
place=/spec/predictor/initContainers/0/env/0

set_model() {
  # The test refuses the patch if that place holds something else.
  kubectl patch inferenceservice "$service" --type json --patch "[
    {\"op\": \"test\", \"path\": \"$place/name\", \"value\": \"MODEL\"},
    {\"op\": \"replace\", \"path\": \"$place/value\", \"value\": \"$1\"}
  ]"
}

before=$(kubectl get inferenceservice "$service" --output "jsonpath={.spec.predictor.initContainers[0].env[0].value}")
echo "$GRADUS_KIND: $GRADUS_WORKLOAD:$GRADUS_VERSION goes to $service" >&2
set_model "$model"
# The Deployment is what says whether the new pods are there: Ready of the service holds while old ones serve on.
# KServe takes a moment to change it.
deployment="deployment/$service-predictor"
if kubectl wait "$deployment" --timeout=60s \
  --for "jsonpath={.spec.template.spec.initContainers[0].env[0].value}=$model" \
  && kubectl rollout status "$deployment" --timeout="${seconds}s"; then
  gradus deployment report "$model" --target "$target" --status running ${URL:+--url "$URL"}
else
  gradus deployment report "$model" --target "$target" --status failed ${URL:+--url "$URL"} || true
  set_model "$before"
  exit 1
fi
